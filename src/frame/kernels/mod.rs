//! What tasks of frames do, on partitions in memory.
//!
//! Invariant: kernels know nothing of plans and lazy frames.

pub(crate) mod aggregate;
pub(crate) mod eval;
pub(crate) mod group_by;
pub(crate) mod tasks;

use polars_core::prelude::PolarsError;

use crate::error::Error;

/// An error of polars as one of ours; `operation` says what was computed.
pub(crate) fn values_error(operation: impl Into<String>) -> impl FnOnce(PolarsError) -> Error {
    let operation = operation.into();
    move |error| Error::Values { operation, problem: error.to_string() }
}
