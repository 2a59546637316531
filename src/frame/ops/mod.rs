//! The functions of frames by family, from untyped handles to untyped handles.
//!
//! Invariant: this is the only folder besides `files.rs` that makes nodes.

mod across;
pub(crate) mod clean;
pub(crate) mod dynamic;
pub(crate) mod groups;
pub(crate) mod joins;
pub(crate) mod reductions;
pub(crate) mod reshape;
pub(crate) mod rows;
pub(crate) mod sorts;
pub(crate) mod stats;
pub(crate) mod windows;
