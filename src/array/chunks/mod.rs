//! Chunk arithmetic: how an array is cut into blocks, and how cuts change.
//!
//! Everything here is pure integer code. It knows nothing of arrays, plans, threads or elements,
//! so each algorithm is tested by moving positions around.
//!
//! Invariant: an axis has at least one block, and the blocks' lengths sum to the axis' length
//! without overflow. Chunks are compact data: a regular axis, also one whose first block is cut
//! short, is two or three integers however many blocks it has.
//!
//! Read [`axis`] and [`grid`] first.

mod axis;
mod grid;

mod auto;
mod coarsen;
mod groups;
pub(crate) mod limit;
mod normalize;

mod overlap;
mod rechunk;
mod reshape;
mod slice;
mod split;
mod storage;
mod take;
pub(crate) mod tree;
mod unify;
mod windows;
mod within;

#[cfg(test)]
mod golden;

pub(crate) use axis::AxisChunks;
pub(crate) use coarsen::coarsen_chunks;
pub use grid::Chunks;
pub(crate) use grid::tuple_text;
pub(crate) use groups::{NO_GROUP, group_cuts, group_steps, groups_of_blocks};
pub use normalize::{AxisSpec, ChunkSpec};
pub(crate) use normalize::{check_shape, normalize_chunks};
pub(crate) use overlap::min_overlap_chunks;
#[cfg(test)]
pub(crate) use rechunk::plan_rechunk;
pub(crate) use rechunk::{
    Overlap, RechunkLimits, THRESHOLD, overlap, overlap_around, rechunk_steps,
};
pub(crate) use reshape::{
    ReshapePlan, Unsupported, plan_reshape_within, reshape_steps, resolve_shape,
};
pub(crate) use slice::{AxisSlice, Piece, SlicePieces, slice_axis};
pub(crate) use storage::aligned_to;
pub(crate) use take::{
    by_block, even_chunks, shuffle_chunks, take_blocks, take_chunks, take_sources,
};
pub use tree::SplitEvery;
pub(crate) use unify::{broadcast_shapes, unify, unify_broadcast, unify_indices};
pub(crate) use windows::window_chunks;
pub(crate) use within::cut_within;
