//! Lazy, chunked, parallel arrays and dataframes inside a memory budget.

mod error;
mod graph;
mod memory;
mod sched;

#[cfg(feature = "array")]
pub mod array;

pub use error::{Call, Error, Result};
