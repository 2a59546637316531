//! Lazy, partitioned dataframes.
//!
//! A frame is cut into partitions, each a [`polars_core::frame::DataFrame`] of a size that a task can hold.
//! Names and semantics of expressions are those of Polars.

mod expr;
mod interop;
mod io;
mod kernels;

pub use expr::{
    ClosedInterval, DateLikeNameSpace, Expr, ExprName, Interpolation, IntoExprs, IntoValues,
    Literal, RankTies, RollingOptions, StringNameSpace, Then, When, coalesce, col, concat_str, len,
    lit, map_many, null, when,
};
pub use polars_core;
