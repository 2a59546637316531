//! The one integration test binary: it links the crate once. Each module is a suite.
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

#[path = "../examples/common/mod.rs"]
mod common;

#[path = "common/busy.rs"]
mod busy;
#[path = "common/child.rs"]
mod child;
#[path = "common/golden.rs"]
mod golden;
#[path = "common/trouble.rs"]
mod trouble;

mod suite {
    mod array_breadth;
    mod array_defects;
    mod array_memory;
    mod bits;
    mod block_functions;
    mod breadth;
    mod cache;
    mod client_events;
    mod cost;
    mod errors;
    mod faults;
    mod files;
    mod first;
    mod functions;
    mod golden_slices;
    mod golden_values;
    #[cfg(feature = "hdf5")]
    mod hdf5;
    #[cfg(feature = "hdf5")]
    mod hdf5_write;
    mod held_memory;
    mod labels;
    mod limits;
    mod linalg_memory;
    mod names;
    #[cfg(feature = "netcdf")]
    mod netcdf_write;
    mod no_panic;
    mod oracle;
    mod peak_memory;
    mod reads;
    mod recorder;
    #[cfg(feature = "cloud")]
    mod remote;
    mod selection;
    mod slices;
    mod spill;
    mod tasks;
    mod threads;
    mod values;
}
