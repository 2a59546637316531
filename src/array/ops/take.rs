//! Elements that are picked by position.

use std::sync::Arc;

use super::indexing::{positions, slice_along};
use crate::array::args::{AxisRef, Shape};
use crate::array::chunks::limit::MAX_LISTED;
use crate::array::chunks::{AxisSlice, shuffle_chunks, take_chunks};
use crate::array::expr::{Handle, Node};
use crate::array::op::{ArrayOp, Take};
use crate::error::{Call, Error, Result};

/// The elements at some positions of an axis, of which negative ones count from its end.
pub(crate) fn take(call: Call, x: &Handle, index: &Shape, axis: &AxisRef) -> Handle {
    x.then(|node| {
        let axis = axis.resolve(call, node.ndim(), node.dim_names())?;
        let len = node.axis_len(call, axis)?;
        take_positions(call, node, axis, positions(call, &index.0, axis, len)?)
    })
}

/// The elements at some positions of an axis, which must be on it.
pub(crate) fn take_positions(
    call: Call,
    node: &Arc<Node>,
    axis: usize,
    index: Vec<u64>,
) -> Result<Arc<Node>> {
    let len = node.axis_len(call, axis)?;
    // A run is a slice, of which plans know more.
    if let Some(&first) = index.first()
        && index.iter().copied().eq(first..first + index.len() as u64)
    {
        return slice_along(call, node, axis, AxisSlice::new(first, index.len() as u64, 1));
    }
    if index.is_empty() || len == 0 {
        return slice_along(call, node, axis, AxisSlice::new(0, 0, 1));
    }
    let chunks = take_chunks(&node.meta.chunks.axes()[axis], &index);
    let chunks = chunks.ok_or_else(|| too_many(call))?;
    Node::of(ArrayOp::Take(Arc::new(Take { axis, index: index.into(), chunks })), &[node])
}

/// The elements at positions of an axis that come in groups, none of which is cut by a block.
pub(crate) fn shuffle(call: Call, x: &Handle, groups: &[Vec<i64>], axis: &AxisRef) -> Handle {
    x.then(|node| {
        let axis = axis.resolve(call, node.ndim(), node.dim_names())?;
        let len = node.axis_len(call, axis)?;
        let index = positions(call, &groups.concat(), axis, len)?;
        if index.is_empty() {
            return slice_along(call, node, axis, AxisSlice::new(0, 0, 1));
        }
        let lens: Vec<u64> = groups.iter().map(|group| group.len() as u64).collect();
        let chunks = shuffle_chunks(&node.meta.chunks, axis, &lens);
        let chunks = chunks.ok_or_else(|| too_many(call))?;
        let along = chunks.axes()[axis].clone();
        let cut = node.in_chunks(chunks.with_axis(axis, node.meta.chunks.axes()[axis].clone()))?;
        Node::of(
            ArrayOp::Take(Arc::new(Take { axis, index: index.into(), chunks: along })),
            &[&cut],
        )
    })
}

/// The error for more blocks than can be listed.
pub(super) fn too_many(call: Call) -> Error {
    Error::TooManyTasks { op: call.op.into(), call: Some(call), limit: MAX_LISTED }
}
