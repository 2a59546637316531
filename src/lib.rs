//! Lazy, chunked, parallel arrays and dataframes inside a memory budget.

mod error;
mod graph;
mod memory;
mod sched;

#[cfg(feature = "array")]
pub mod array;

pub use error::{Call, Error, Result};

/// What `benches/` may see of the inside; no part of the API.
#[doc(hidden)]
pub mod bench_support {
    #[cfg(feature = "array")]
    pub use crate::array::kernels::bench_support as elemwise;
}
