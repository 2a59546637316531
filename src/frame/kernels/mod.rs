//! What tasks do with frames: one call, from any thread, on polars frames.
//!
//! Invariant: kernels know nothing of plans and expressions, or of the partitions of other tasks.

pub(crate) mod asof;
pub(crate) mod concat;
pub(crate) mod exchange;
pub(crate) mod join;
mod rows;
pub(crate) mod sample;
pub(crate) mod sort;
pub(crate) mod spill;
pub(crate) mod split;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub(crate) mod unique;

use polars_core::error::PolarsError;

use crate::error::Error;

/// Turns what polars refused into an error of this operation.
fn failed(operation: &str) -> impl Fn(PolarsError) -> Error + '_ {
    move |error| Error::Values { operation: operation.to_owned(), problem: error.to_string() }
}

/// An error of this operation that is not polars'.
fn refused(operation: &str, problem: impl Into<String>) -> Error {
    Error::Values { operation: operation.to_owned(), problem: problem.into() }
}
