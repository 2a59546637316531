//! Groups by labels that are an array themselves: which position is in which group is known when it is computed.

use std::sync::Arc;

use super::super::elementwise::{Term, binary, cast};
use super::super::lookups::places;
use super::super::manipulation::reshape;
use super::super::pick::pick;
use super::{Codes, Grouping, too_many_labels};
use crate::array::args::{Axes, AxisRef, Shape};
use crate::array::chunks::{AxisChunks, Chunks, NO_GROUP};
use crate::array::dtype::DType;
use crate::array::expr::{Handle, Node};
use crate::array::kernels::BinaryOp;
use crate::error::{Call, Error, Result};
use crate::graph::{AxisMap, BlockMap};

/// Groups positions along `axes` by where their labels stand in the vector `groups`, which ascends.
pub(crate) fn group_computed(
    call: Call,
    x: &Handle,
    axes: &Axes,
    labels: &Handle,
    groups: &Handle,
) -> Result<Grouping> {
    let node = Arc::clone(x.node()?);
    let axes = axes.resolve(call, node.ndim(), node.dim_names())?;
    let lens = axes.iter().map(|&axis| node.axis_len(call, axis)).collect::<Result<Vec<_>>>()?;
    let labels = labels.node()?;
    let of_labels = labels.known_shape(call)?;
    if axes.is_empty() || lens != of_labels {
        return Err(Error::ShapeMismatch {
            call,
            left: lens,
            right: of_labels,
            remedy: "there has to be a label for each position along the axes that are grouped",
        });
    }
    let groups = groups.node()?;
    let n_groups = u32::try_from(groups.axis_len(call, 0)?).ok().filter(|n| *n < NO_GROUP);
    let n_groups = n_groups.ok_or_else(|| too_many_labels(call))?;
    // So that each block of the array meets one of the labels.
    let chunks = axes.iter().map(|&axis| node.meta.chunks.axes()[axis].clone()).collect();
    let codes = places(call, &labels.in_chunks(chunks)?, groups)?;
    Ok(Grouping { node, axes, codes: Codes::Computed(codes), n_groups })
}

/// One of the groups of each block of a result, as each of `n_blocks` may have any.
pub(super) fn any_of(cuts: &AxisChunks, n_blocks: u64) -> Vec<Vec<u32>> {
    let first = (0..cuts.n_blocks()).filter_map(|i| cuts.block_start(i)).map(|group| group as u32);
    vec![first.collect(); n_blocks as usize]
}

/// From a block of partial results, whose last axis has all blocks of the grouped axes in C order, to its labels.
pub(super) fn labels_map(grouped: &[AxisChunks], last: usize) -> BlockMap {
    let grid = Chunks::new(grouped).grid();
    let n_blocks: u64 = grid.iter().product();
    let along = |axis: usize| {
        let place = |block: u64| {
            let after: u64 = grid[axis + 1..].iter().product();
            let place = block / after % grid[axis];
            (place, place + 1)
        };
        AxisMap::Ranges { axis: last, ranges: (0..n_blocks).map(place).collect() }
    };
    BlockMap::axes((0..grid.len()).map(along))
}

/// The codes, with that of some group in place of that of none.
pub(super) fn some_group(call: Call, codes: &Arc<Node>, n_groups: u32) -> Handle {
    let codes = Handle::from_result(Ok(Arc::clone(codes)));
    let last = Term::Scalar(n_groups.saturating_sub(1).into());
    binary(call, BinaryOp::Minimum, &Term::Array(codes), &last)
}

/// What stands for the group of each position, along one axis. The code of none is a position that there is not.
pub(super) fn taken(
    call: Call,
    result: &Arc<Node>,
    codes: &Handle,
    place: usize,
) -> Result<Arc<Node>> {
    let flat = reshape(call, &cast(call, codes, DType::I64), &Shape::from(-1));
    let result = Handle::from_result(Ok(Arc::clone(result)));
    pick(call, &result, &flat, &AxisRef::from(place)).node().cloned()
}

/// The error for what has to know the labels before anything is computed.
pub(super) fn computed_labels(call: Call) -> Error {
    Error::InvalidArgument {
        call,
        argument: "labels",
        got: "labels that are to be computed".into(),
        expected: "labels that are known: compute them first, and group with group_by_axis()",
    }
}
