//! Lazy chunked N-d arrays.

mod any;
mod chunk;
mod chunks;
mod dtype;
mod io;
pub(crate) mod kernels;

pub use any::{AnyArray, AnyElement, AnyViewMut};
pub use dtype::{DType, Element};
pub use io::Source;
