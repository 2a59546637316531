//! Arrays put together: one after another, and one into another.

use std::sync::Arc;

use super::indexing::slice_along;
use super::manipulation::{at_least, permute};
use crate::array::args::{AxisRef, Shape};
use crate::array::chunks::AxisSlice;
use crate::array::expr::{Handle, Node};
use crate::array::meta::Meta;
use crate::array::op::{ArrayOp, concatenated_chunks};
use crate::error::{Call, Error, Result};

/// Arrays one after another along an axis that they have.
pub(crate) fn concatenate(call: Call, arrays: &[&Handle], axis: &AxisRef) -> Handle {
    Handle::join(arrays, |nodes| {
        let first = first_of(call, nodes)?;
        let axis = axis.resolve(call, first.ndim(), first.dim_names())?;
        for node in nodes {
            check_like(call, first, node, Some(axis))?;
        }
        side_by_side(call, nodes, axis)
    })
}

/// Arrays with at least `ndim` dimensions one after another along `axis`, or along axis 0 if they
/// are one-dimensional even so.
pub(crate) fn stack_along(call: Call, arrays: &[&Handle], ndim: usize, axis: usize) -> Handle {
    let raised: Vec<Handle> =
        arrays.iter().map(|array| array.then(|node| at_least(node, ndim))).collect();
    let is_flat = raised.first().is_some_and(|first| first.node().is_ok_and(|n| n.ndim() == 1));
    let axis = AxisRef::from(if is_flat { 0 } else { axis });
    concatenate(call, &raised.iter().collect::<Vec<_>>(), &axis)
}

/// Rows of arrays, each row joined along the last axis, and the rows along the one before it.
pub(crate) fn block(call: Call, rows: &[Vec<&Handle>]) -> Handle {
    let rows: Vec<Handle> = rows
        .iter()
        .map(|row| {
            let raised: Vec<Handle> =
                row.iter().map(|array| array.then(|node| at_least(node, 2))).collect();
            concatenate(call, &raised.iter().collect::<Vec<_>>(), &AxisRef::from(-1))
        })
        .collect();
    concatenate(call, &rows.iter().collect::<Vec<_>>(), &AxisRef::from(-2))
}

/// `values` before position `index` of an axis.
pub(crate) fn insert(
    call: Call,
    x: &Handle,
    index: i64,
    values: &Handle,
    axis: &AxisRef,
) -> Handle {
    Handle::join(&[x, values], |nodes| {
        let (node, values) = (nodes[0], nodes[1]);
        let axis = axis.resolve(call, node.ndim(), node.dim_names())?;
        check_like(call, node, values, Some(axis))?;
        let len = node.axis_len(call, axis)?;
        let at = if index < 0 { len.checked_sub(index.unsigned_abs()) } else { Some(index as u64) };
        let at = at.filter(|at| *at <= len);
        let at = at.ok_or(Error::IndexOutOfBounds { call, index, axis, len })?;
        let head = slice_along(call, node, axis, AxisSlice::new(0, at, 1))?;
        let tail = slice_along(call, node, axis, AxisSlice::new(at, len - at, 1))?;
        join_pieces(call, &[head, Arc::clone(values), tail], axis)
    })
}

/// Without the given positions of an axis.
pub(crate) fn delete(call: Call, x: &Handle, positions: &Shape, axis: &AxisRef) -> Handle {
    x.then(|node| {
        let axis = axis.resolve(call, node.ndim(), node.dim_names())?;
        let len = node.axis_len(call, axis)?;
        let mut gone = super::indexing::positions(call, &positions.0, axis, len)?;
        gone.sort_unstable();
        gone.dedup();
        // The runs between the positions that go.
        let mut pieces = Vec::with_capacity(gone.len() + 1);
        let mut start = 0;
        for end in gone.into_iter().chain([len]) {
            if end > start {
                pieces.push(slice_along(call, node, axis, AxisSlice::new(start, end - start, 1))?);
            }
            start = end + 1;
        }
        if pieces.is_empty() {
            return slice_along(call, node, axis, AxisSlice::new(0, 0, 1));
        }
        join_pieces(call, &pieces, axis)
    })
}

/// Parts of like arrays one after another, without those that are empty, unless all are.
pub(crate) fn join_pieces(call: Call, pieces: &[Arc<Node>], axis: usize) -> Result<Arc<Node>> {
    let is_full = |node: &&Arc<Node>| node.meta.chunks.axes()[axis].len() != Some(0);
    let full: Vec<&Arc<Node>> = pieces.iter().filter(is_full).collect();
    if full.is_empty() {
        return side_by_side(call, &pieces.iter().take(1).collect::<Vec<_>>(), axis);
    }
    side_by_side(call, &full, axis)
}

/// Arrays one after another along a new axis.
pub(crate) fn stack(call: Call, arrays: &[&Handle], axis: &AxisRef) -> Handle {
    Handle::join(arrays, |nodes| {
        let first = first_of(call, nodes)?;
        for node in nodes {
            check_like(call, first, node, None)?;
        }
        let place = axis.resolve(call, first.ndim() + 1, None)?;
        let expanded: Vec<_> = nodes
            .iter()
            .map(|node| {
                let mut axes: Vec<_> = (0..node.ndim()).map(Some).collect();
                axes.insert(place, None);
                permute(node, axes)
            })
            .collect::<Result<_>>()?;
        side_by_side(call, &expanded.iter().collect::<Vec<_>>(), place)
    })
}

/// Arrays that fit one after another along `axis`; there is at least one.
pub(crate) fn side_by_side(call: Call, nodes: &[&Arc<Node>], axis: usize) -> Result<Arc<Node>> {
    if let [only] = nodes {
        return Ok(Arc::clone(only));
    }
    let metas: Vec<_> = nodes.iter().map(|node| &node.meta).collect();
    let chunks = super::countable(call, concatenated_chunks(call, &metas, axis)?)?;
    let meta = Meta { dtype: nodes[0].meta.dtype, chunks };
    Ok(Node::with_meta(ArrayOp::Concat(axis), nodes, meta))
}

fn first_of<'a>(call: Call, nodes: &[&'a Arc<Node>]) -> Result<&'a Arc<Node>> {
    nodes.first().copied().ok_or(Error::InvalidArgument {
        call,
        argument: "arrays",
        got: "none".into(),
        expected: "at least one array",
    })
}

/// Arrays side by side must agree in rank, dtype and every length but the one along `except`.
fn check_like(call: Call, first: &Node, node: &Node, except: Option<usize>) -> Result<()> {
    if node.meta.dtype != first.meta.dtype {
        return Err(super::unsupported(call, node.meta.dtype, first.meta.dtype.name()));
    }
    let lengths = |node: &Node| node.meta.chunks.shape();
    let (ours, theirs) = (lengths(first), lengths(node));
    let mut pairs = ours.iter().zip(&theirs).enumerate();
    let same = pairs.all(|(axis, (a, b))| Some(axis) == except || a == b);
    if ours.len() != theirs.len() || !same {
        let shape =
            |lengths: Vec<Option<u64>>| lengths.into_iter().map(|n| n.unwrap_or(0)).collect();
        return Err(Error::ShapeMismatch {
            call,
            left: shape(theirs),
            right: shape(ours),
            remedy: "all other axes need the same lengths",
        });
    }
    Ok(())
}
