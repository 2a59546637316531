//! Lazy chunked N-d arrays.

mod any;
mod chunk;
mod chunks;
mod dtype;
mod expr;
mod io;
mod kernels;
mod lower;
mod meta;
mod op;
mod rules;

pub use any::{AnyArray, AnyElement, AnyViewMut};
pub use dtype::{DType, Element};
pub use io::Source;
