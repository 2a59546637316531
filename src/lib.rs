//! Lazy, chunked, parallel arrays and dataframes inside a memory budget.

#[doc(hidden)]
pub mod bench_support;
mod bytes;
mod config;
mod error;
mod graph;
mod memory;
mod sched;

#[cfg(feature = "array")]
pub mod array;

pub use config::{Config, ExecutorKind};
pub use error::{Call, Error, Result};
pub use sched::CancelToken;
