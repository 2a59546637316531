//! Assignment as an expression: an array with other values at some of its places.

use std::sync::Arc;

use ndarray::Array1;

use super::creation::{create_in_chunks, from_shared};
use super::elementwise::{Term, select};
use super::indexing::{IndexEntry, Selection, positions, selection, slice_along};
use super::manipulation::{broadcast_to, flipped, permute};
use super::pad::{PadMode, pad_axis};
use super::repeats::repeated;
use crate::array::args::{AxisRef, Shape};
use crate::array::chunks::limit::check_listed;
use crate::array::chunks::{AxisSlice, ChunkSpec, Chunks};
use crate::array::expr::{Handle, Node};
use crate::array::kernels::{BinaryOp, Builder, Program, Scalar};
use crate::array::meta::Meta;
use crate::array::op::{ArrayOp, Take};
use crate::error::{Call, Error, Result};

/// The values where a mask holds, which broadcasts to the array as they do.
pub(crate) fn assign_where(call: Call, x: &Handle, mask: &Handle, value: &Term) -> Handle {
    let chosen = select(call, mask, value, &Term::Array(x.clone()));
    Handle::join(&[x, &chosen], |nodes| {
        let (shape, got) = (nodes[0].meta.chunks.shape(), nodes[1].meta.chunks.shape());
        if shape != got {
            let lengths =
                |shape: Vec<Option<u64>>| shape.into_iter().map(|n| n.unwrap_or(0)).collect();
            return Err(Error::ShapeMismatch {
                call,
                left: lengths(got),
                right: lengths(shape),
                remedy: "mask and values must broadcast to the shape of the array",
            });
        }
        Ok(Arc::clone(nodes[1]))
    })
}

/// The values in the part of the array that an index selects.
pub(crate) fn assign(call: Call, x: &Handle, entries: &[IndexEntry], value: &Term) -> Handle {
    x.then(|node| {
        let Selection { slices, axes } = selection(call, node, entries)?;
        let lens = node.known_shape(call)?;
        let full =
            |(slice, &len): (&Option<AxisSlice>, &u64)| slice.unwrap_or(AxisSlice::full(len));
        let slices: Vec<AxisSlice> = slices.iter().zip(&lens).map(full).collect();
        if slices.iter().any(|slice| slice.len == 0) {
            return Ok(Arc::clone(node));
        }
        let is_there =
            Handle::from_result(create_in_chunks(call, inside(&slices), node.meta.chunks.clone()));
        let value = match value {
            Term::Scalar(_) => value.clone(),
            Term::Array(value) => {
                let shape = axes.iter().map(|axis| axis.map_or(1, |axis| slices[axis].len));
                let fit = broadcast_to(call, value, &Shape::from(shape.collect::<Vec<_>>()));
                Term::Array(fit.then(|value| placed(call, node, value, &slices, &axes)))
            }
        };
        select(call, &is_there, &value, &Term::Array(x.clone())).node().cloned()
    })
}

/// Whether the index of an element is in all slices.
fn inside(slices: &[AxisSlice]) -> Program {
    let mut b = Builder::new(0);
    let supported = "integers compare";
    let mut all = b.constant(Scalar::Bool(true));
    for (axis, slice) in slices.iter().enumerate() {
        let (low, high) = bounds(slice);
        let index = b.index(axis, 0, 1);
        let [low, high] = [low, high].map(|at| b.constant(Scalar::I64(at as i64)));
        let from = b.binary(BinaryOp::Ge, index, low).expect(supported);
        let to = b.binary(BinaryOp::Le, index, high).expect(supported);
        all = b.binary(BinaryOp::LogicalAnd, all, from).expect("booleans combine");
        all = b.binary(BinaryOp::LogicalAnd, all, to).expect("booleans combine");
        if slice.step.unsigned_abs() > 1 {
            let step = b.constant(Scalar::I64(slice.step.abs()));
            let zero = b.constant(Scalar::I64(0));
            let distance = b.binary(BinaryOp::Sub, index, low).expect("integers subtract");
            let beside = b.binary(BinaryOp::Rem, distance, step).expect("integers divide");
            let on = b.binary(BinaryOp::Eq, beside, zero).expect(supported);
            all = b.binary(BinaryOp::LogicalAnd, all, on).expect("booleans combine");
        }
    }
    b.finish(all)
}

/// The first and the last position of a slice that is not empty, in ascending order.
fn bounds(slice: &AxisSlice) -> (u64, u64) {
    let last = slice.last().unwrap_or(slice.start);
    (slice.start.min(last), slice.start.max(last))
}

/// `value`, which has the shape of the selection, with its elements where they belong in `node`.
fn placed(
    call: Call,
    node: &Arc<Node>,
    value: &Arc<Node>,
    slices: &[AxisSlice],
    axes: &[Option<usize>],
) -> Result<Arc<Node>> {
    let from = (0..node.ndim()).map(|axis| axes.iter().position(|from| *from == Some(axis)));
    let mut placed = permute(value, from.collect())?;
    for (axis, slice) in slices.iter().enumerate() {
        let len = node.axis_len(call, axis)?;
        let (low, high) = bounds(slice);
        if slice.step < 0 {
            placed = flipped(call, &placed, &[axis])?;
        }
        if slice.step.unsigned_abs() > 1 {
            placed = repeated(call, &placed, axis, axis + 1, slice.step.unsigned_abs())?;
            placed = slice_along(call, &placed, axis, AxisSlice::new(0, high - low + 1, 1))?;
        }
        let zero = PadMode::Constant(Scalar::I8(0).cast(node.meta.dtype));
        placed = pad_axis(call, &placed, axis, [low, len - 1 - high], zero)?;
    }
    placed.in_chunks(node.meta.chunks.clone())
}

/// The values at some positions of an axis, of which a later one of the same position wins.
pub(crate) fn assign_at(
    call: Call,
    x: &Handle,
    index: &Shape,
    axis: &AxisRef,
    value: &Term,
) -> Handle {
    x.then(|node| {
        let axis = axis.resolve(call, node.ndim(), node.dim_names())?;
        let len = node.axis_len(call, axis)?;
        let index = positions(call, &index.0, axis, len)?;
        if index.is_empty() {
            return Ok(Arc::clone(node));
        }
        check_listed(call.op, Some(call), len)?;
        let mut source = vec![None; len as usize];
        for (i, &at) in index.iter().enumerate() {
            source[at as usize] = Some(i as u64);
        }
        let is_there: Array1<bool> = source.iter().map(Option::is_some).collect();
        let is_there = from_shared(call, is_there.into_dyn().into_shared(), &ChunkSpec::from(-1));
        let beside = |i| (i == axis).then_some(0);
        let is_there = is_there.then(|mask| permute(mask, (0..node.ndim()).map(beside).collect()));
        let value = match value {
            Term::Scalar(_) => value.clone(),
            Term::Array(value) => {
                let mut shape = node.known_shape(call)?;
                shape[axis] = index.len() as u64;
                let fit = broadcast_to(call, value, &Shape::from(shape));
                // Where nothing is assigned, any element will do.
                let source: Arc<[u64]> = source.iter().map(|i| i.unwrap_or(0)).collect();
                Term::Array(fit.then(|value| spread(node, value, axis, source)))
            }
        };
        select(call, &is_there, &value, &Term::Array(x.clone())).node().cloned()
    })
}

/// `value` with the elements at `source` along an axis, in the chunks of `node`, however few there are to
/// pick from.
fn spread(
    node: &Arc<Node>,
    value: &Arc<Node>,
    axis: usize,
    source: Arc<[u64]>,
) -> Result<Arc<Node>> {
    let mut axes = value.meta.chunks.axes().to_vec();
    axes[axis] = node.meta.chunks.axes()[axis].clone();
    let out = Meta { dtype: value.meta.dtype, chunks: Chunks::new(axes) };
    let out = super::not_grown(out, axis..axis + 1, &[node, value])?;
    let take = Take { axis, index: source, chunks: out.chunks.axes()[axis].clone() };
    Node::of(ArrayOp::Take(Arc::new(take)), &[value])?.in_chunks(node.meta.chunks.clone())
}
