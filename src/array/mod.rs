//! Lazy chunked N-d arrays.

mod any;
mod chunk;
mod chunks;
mod dtype;
mod io;
#[doc(hidden)]
pub mod kernels;

pub use any::{AnyArray, AnyElement, AnyViewMut};
pub use dtype::{DType, Element};
pub use io::Source;
