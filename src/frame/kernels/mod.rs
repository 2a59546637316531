//! What tasks do with frames: one call, from any thread, on polars frames.
//!
//! Invariant: kernels know nothing of plans and expressions, or of the partitions of other tasks.
