//! The one integration test binary: it links the crate once. Each module is a suite.
#![allow(missing_docs)]

mod suite {
    mod bits;
    mod first;
    mod golden_values;
    mod oracle;
    mod values;
}
