//! Chunk arithmetic: how an array is cut into blocks, and how cuts change.
//!
//! Everything here is pure integer code. It knows nothing of arrays, plans, threads or elements,
//! so each algorithm is tested by moving positions around.
//!
//! Invariant: an axis has at least one block, and the blocks' lengths sum to the axis' length
//! without overflow. Chunks are compact data: a regular axis is two integers however many blocks
//! it has.
//!
//! Read [`axis`] and [`grid`] first.
// Callers arrive with the array operations; until then most of this is unused.
#![allow(dead_code, unreachable_pub, unused_imports)]

mod axis;
mod grid;

mod auto;
mod bytes;
mod limit;
mod normalize;

mod overlap;
mod rechunk;
mod reshape;
mod slice;
mod split;
mod take;
pub(crate) mod tree;
mod unify;

#[cfg(test)]
mod golden;

pub(crate) use axis::AxisChunks;
pub(crate) use bytes::{format_bytes, parse_bytes};
pub use grid::Chunks;
pub use normalize::{AxisSpec, ChunkSpec};
pub(crate) use normalize::{check_shape, normalize_chunks};
pub(crate) use overlap::min_overlap_chunks;
pub(crate) use rechunk::{Overlap, THRESHOLD, balance, overlap, plan_rechunk};
pub(crate) use reshape::{
    ReshapePlan, Unsupported, plan_reshape, plan_reshape_steps, plan_reshape_within, reshape_steps,
    resolve_shape,
};
pub(crate) use slice::{AxisSlice, Piece, SlicePieces, slice_axis, slice_chunks};
pub(crate) use take::{TakeSource, take_chunks, take_sources};
pub use tree::SplitEvery;
pub(crate) use unify::{broadcast_chunks, broadcast_shapes, unify, unify_broadcast, unify_indices};
