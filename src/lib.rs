//! Lazy, chunked, parallel arrays and dataframes inside a memory budget.

#![deny(unsafe_code)]
#![warn(clippy::disallowed_methods)]
#![cfg_attr(
    not(feature = "array"),
    allow(
        dead_code,
        unused_imports,
        unused_mut,
        reason = "without a kind of collection there is nothing to run"
    )
)]

mod atomic;
#[doc(hidden)]
pub mod bench_support;
mod bytes;
mod cache;
pub mod client;
mod compute;
mod config;
mod delayed;
pub mod diagnostics;
#[cfg(feature = "dist")]
pub mod dist;
mod error;
mod explain;
mod function;
mod graph;
mod keep;
mod memory;
mod observe;
#[cfg(feature = "dist")]
mod registry;
mod sched;
mod scratch;
#[cfg(any(feature = "array", feature = "frame"))]
mod storage;
mod visualize;

#[cfg(feature = "array")]
pub mod array;
#[cfg(feature = "frame")]
pub mod frame;

/// Object stores: with which settings, and stores of your own.
///
/// With this feature, a URL stands wherever a path does for frames, Zarr arrays, and `.npy`, NetCDF and HDF5 files to read: `s3://bucket/key/*.parquet`, `gs://…`, `az://…`,
/// `http://…` (single files), `memory://…` (of this process) and `file://…`. Credentials and regions come from the
/// environment, or from [`StoreOptions`](cloud::StoreOptions).
#[cfg(all(feature = "cloud", any(feature = "array", feature = "frame")))]
pub mod cloud {
    pub use crate::storage::{StoreOptions, register, register_store, unregister};
    pub use object_store;
}

pub use cache::Cache;
pub use client::{Client, Future, as_completed};
pub use compute::{Collection, compute, compute_with};
pub use config::{CancelToken, Config, ExecutorKind};
pub use delayed::{Delayed, delayed, try_delayed};
pub use error::{Call, Error, FailedTask, Result};
pub use explain::{Explain, explain};
pub use function::{Argument, Arguments, Function};
pub use visualize::{visualize, visualize_tasks};

/// The code of the README, which is compiled and run with the tests.
#[cfg(all(doctest, feature = "zarr", feature = "frame", feature = "dist"))]
#[doc = include_str!("../README.md")]
struct Readme;

/// What most programs need.
pub mod prelude {
    #[cfg(feature = "array")]
    pub use crate::array::{self, Array, DynArray, over};
    pub use crate::{Config, Error, Result, compute};
    #[cfg(feature = "array")]
    pub use ndarray::s;
}
