//! The one integration test binary: it links the crate once. Each module is a suite.
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

#[path = "../examples/common/mod.rs"]
mod common;

#[path = "common/child.rs"]
mod child;

mod suite {
    mod bits;
    mod breadth;
    mod cost;
    mod errors;
    mod faults;
    mod files;
    mod first;
    mod golden_values;
    mod held_memory;
    mod limits;
    mod linalg_memory;
    mod no_panic;
    mod oracle;
    mod peak_memory;
    mod reads;
    mod recorder;
    mod slices;
    mod spill;
    mod tasks;
    mod values;
}
