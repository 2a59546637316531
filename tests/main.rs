//! The one integration test binary: it links the crate once. Each module is a suite.
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

mod suite {
    mod bits;
    mod cost;
    mod errors;
    mod files;
    mod first;
    mod golden_values;
    mod no_panic;
    mod oracle;
    mod reads;
    mod recorder;
    mod tasks;
    mod values;
}
