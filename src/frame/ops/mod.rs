//! The functions of frames by family, from untyped handles to untyped handles.
//!
//! Invariant: this is the only folder besides `files.rs` that makes nodes.

mod across;
pub(crate) mod groups;
pub(crate) mod joins;
pub(crate) mod rows;
pub(crate) mod sorts;
