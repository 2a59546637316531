//! What tasks of frames do, on partitions in memory: one call, from any thread, on polars frames.
//!
//! Invariant: kernels know nothing of plans and lazy frames, or of the partitions of other tasks.

pub(crate) mod aggregate;
pub(crate) mod asof;
pub(crate) mod beside;
mod codes;
pub(crate) mod concat;
pub(crate) mod divide;
pub(crate) mod eval;
pub(crate) mod exchange;
pub(crate) mod group_by;
mod hash;
pub(crate) mod join;
pub(crate) mod key_filter;
pub(crate) mod neighbours;
pub(crate) mod one_thread;
pub(crate) mod ordered;
pub(crate) mod per_group;
pub(crate) mod periods;
mod pieces;
pub(crate) mod pipeline;
pub(crate) mod ranges;
pub(crate) mod reshape;
mod rows;
pub(crate) mod sample;
pub(crate) mod shapes;
pub(crate) mod shuffle;
pub(crate) mod sketches;
pub(crate) mod sort;
pub(crate) mod spill;
pub(crate) mod split;
pub(crate) mod tasks;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use polars_core::prelude::PolarsError;

use crate::error::Error;

/// An error of polars as one of ours; `operation` says what was computed.
pub(crate) fn values_error(operation: impl Into<String>) -> impl FnOnce(PolarsError) -> Error {
    let operation = operation.into();
    move |error| Error::Values { operation, problem: error.to_string() }
}

/// Turns what polars refused into an error of this operation.
fn failed(operation: &str) -> impl Fn(PolarsError) -> Error + '_ {
    move |error| values_error(operation)(error)
}

/// An error of this operation that is not polars'.
fn refused(operation: &str, problem: impl Into<String>) -> Error {
    Error::Values { operation: operation.to_owned(), problem: problem.into() }
}
