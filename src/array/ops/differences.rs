//! Differences of neighbours.

use std::sync::Arc;

use super::creation::create_in_chunks;
use super::elementwise::{Term, binary, cast};
use super::indexing::slice_along;
use super::joins::join_pieces;
use crate::array::args::AxisRef;
use crate::array::chunks::{AxisChunks, AxisSlice, Chunks};
use crate::array::dtype::DType;
use crate::array::expr::{Handle, Node};
use crate::array::kernels::{BinaryOp, Builder, Scalar};
use crate::error::{Call, Error, Result};

/// The `n`-th differences of neighbours along an axis.
pub(crate) fn diff(call: Call, x: &Handle, n: u64, axis: &AxisRef) -> Handle {
    x.then(|node| {
        let axis = axis.resolve(call, node.ndim(), node.dim_names())?;
        if n >= node.axis_len(call, axis)? {
            return slice_along(call, node, axis, AxisSlice::new(0, 0, 1));
        }
        let mut current = Arc::clone(node);
        for _ in 0..n {
            current = differences(call, &current, axis)?;
        }
        Ok(current)
    })
}

fn differences(call: Call, node: &Arc<Node>, axis: usize) -> Result<Arc<Node>> {
    let n = node.axis_len(call, axis)?.saturating_sub(1);
    let earlier = slice_along(call, node, axis, AxisSlice::new(0, n, 1))?;
    let later = slice_along(call, node, axis, AxisSlice::new(1, n, 1))?;
    // Common chunks would have a sliver between any two blocks.
    let later = later.in_chunks(earlier.meta.chunks.clone())?;
    let op = if node.meta.dtype == DType::Bool { BinaryOp::Ne } else { BinaryOp::Sub };
    combined(call, op, later, earlier)
}

fn combined(call: Call, op: BinaryOp, a: Arc<Node>, b: Arc<Node>) -> Result<Arc<Node>> {
    let term = |node| Term::Array(Handle::from_result(Ok(node)));
    binary(call, op, &term(a), &term(b)).node().cloned()
}

/// Central differences along an axis, one-sided at its ends, divided by the distance between elements.
pub(crate) fn gradient(
    call: Call,
    x: &Handle,
    out: DType,
    distance: Scalar,
    axis: &AxisRef,
) -> Handle {
    cast(call, x, out).then(|node| {
        let axis = axis.resolve(call, node.ndim(), node.dim_names())?;
        let len = node.axis_len(call, axis)?;
        if len < 2 {
            return Err(Error::InvalidArgument {
                call,
                argument: "axis",
                got: format!("axis {axis} of length {len}"),
                expected: "at least two elements",
            });
        }
        let at = |start, n| slice_along(call, node, axis, AxisSlice::new(start, n, 1));
        let chunks = || node.meta.chunks.clone();
        let next = join_pieces(call, &[at(1, len - 1)?, at(len - 1, 1)?], axis)?;
        let last = join_pieces(call, &[at(0, 1)?, at(0, len - 1)?], axis)?;
        let rise =
            combined(call, BinaryOp::Sub, next.in_chunks(chunks())?, last.in_chunks(chunks())?)?;
        combined(call, BinaryOp::Div, rise, distances(call, node, axis, len, distance)?)
    })
}

/// Between the neighbours of each element there are two steps, and one at the ends.
fn distances(call: Call, node: &Node, axis: usize, len: u64, step: Scalar) -> Result<Arc<Node>> {
    let mut b = Builder::new(0);
    let supported = "floats have a product";
    let dtype = node.meta.dtype;
    let one = b.constant(step.cast(dtype));
    let two = b.constant(Scalar::I8(2).cast(dtype));
    let two = b.binary(BinaryOp::Mul, two, one).expect(supported);
    let index = b.index(axis, 0, 1);
    let first = b.constant(Scalar::I64(0));
    let last = b.constant(Scalar::I64(len as i64 - 1));
    let is_first = b.binary(BinaryOp::Eq, index, first).expect("integers compare");
    let is_last = b.binary(BinaryOp::Eq, index, last).expect("integers compare");
    let inner = b.select(is_last, one, two);
    let value = b.select(is_first, one, inner);
    let axes = node.meta.chunks.axes().iter().enumerate();
    let chunks: Chunks = axes
        .map(|(i, chunks)| if i == axis { chunks.clone() } else { AxisChunks::whole(1) })
        .collect();
    create_in_chunks(call, b.finish(value), chunks)
}
