//! Lazy, partitioned dataframes.
//!
//! A frame is cut into partitions, each a [`polars_core::frame::DataFrame`] of a size that a task can hold.
//! Names and semantics of expressions are those of Polars.

mod interop;
mod io;
mod kernels;
mod partitions;

pub use polars_core;
