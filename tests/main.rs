//! The one integration test binary: it links the crate once. Each module is a suite.
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

mod suite {
    mod bits;
    mod files;
    mod first;
    mod golden_values;
    mod oracle;
    mod values;
}
