//! Products of arrays.

use std::sync::Arc;

use super::manipulation::{broadcast_to, moveaxis};
use super::reductions::{over, reduce};
use crate::array::args::{Axes, Shape};
use crate::array::chunks::{broadcast_shapes, unify};
use crate::array::dtype::DType;
use crate::array::expr::{Handle, Node};
use crate::array::kernels::ReduceKind;
use crate::array::kernels::contract::Contraction;
use crate::array::op::ArrayOp;
use crate::error::{Call, Error, Result};

/// The sum of products over pairs of axes: free axes of the left, then those of the right.
pub(crate) fn tensordot(
    call: Call,
    left: &Handle,
    right: &Handle,
    left_axes: &Axes,
    right_axes: &Axes,
) -> Handle {
    let products = Handle::join(&[left, right], |nodes| {
        let (left, right) = (nodes[0], nodes[1]);
        let left_axes = left_axes.resolve(call, left.ndim(), left.dim_names.as_ref())?;
        let right_axes = right_axes.resolve(call, right.ndim(), right.dim_names.as_ref())?;
        partial_products(call, 0, [left, right], [left_axes, right_axes])
    });
    let n_pairs = match (left_axes, left.node()) {
        (Axes::List(list), _) => list.len(),
        (Axes::All, Ok(node)) => node.ndim(),
        (Axes::All, Err(_)) => 0,
    };
    sum_partials(call, &products, n_pairs)
}

/// Sums the trailing axes on which the partial products of the contracted blocks stand.
fn sum_partials(call: Call, products: &Handle, n_pairs: usize) -> Handle {
    if n_pairs == 0 {
        return products.clone();
    }
    let Ok(node) = products.node() else { return products.clone() };
    let dtype = node.meta.dtype;
    let last: Vec<i64> = (1..=n_pairs as i64).map(|axis| -axis).collect();
    let summed = reduce(call, products, ReduceKind::Sum, false, &over(last));
    // A sum of small integers widens, a product of matrices does not.
    super::elementwise::cast(call, &summed, dtype)
}

/// Products over pairs of axes, for each place along the first `n_common` axes of both.
fn partial_products(
    call: Call,
    n_common: usize,
    [left, right]: [&Arc<Node>; 2],
    [left_axes, right_axes]: [Vec<usize>; 2],
) -> Result<Arc<Node>> {
    if left.meta.dtype != right.meta.dtype {
        return Err(super::unsupported(call, right.meta.dtype, left.meta.dtype.name()));
    }
    if left.meta.dtype == DType::Bool {
        return Err(super::unsupported(call, DType::Bool, "a number"));
    }
    let mismatch = || Error::ShapeMismatch {
        call,
        left: left.meta.chunks.shape().into_iter().map(|len| len.unwrap_or(0)).collect(),
        right: right.meta.chunks.shape().into_iter().map(|len| len.unwrap_or(0)).collect(),
        remedy: "contracted axes need the same length",
    };
    if left_axes.len() != right_axes.len() {
        return Err(mismatch());
    }
    let (mut left_chunks, mut right_chunks) = (left.meta.chunks.clone(), right.meta.chunks.clone());
    let common = (0..n_common).map(|axis| (axis, axis));
    let contracted = left_axes.iter().copied().zip(right_axes.iter().copied());
    for (a, b) in common.chain(contracted) {
        let (a_axis, b_axis) = (&left.meta.chunks.axes()[a], &right.meta.chunks.axes()[b]);
        if a_axis.len() != b_axis.len() {
            return Err(mismatch());
        }
        let common = unify(call, &[a_axis, b_axis])?;
        left_chunks = left_chunks.with_axis(a, common.clone());
        right_chunks = right_chunks.with_axis(b, common);
    }
    let aligned = |node: &Arc<Node>, chunks| {
        if node.meta.chunks == chunks {
            return Ok(Arc::clone(node));
        }
        Handle::new(ArrayOp::Rechunk(chunks), &[node])
    };
    let left = aligned(left, left_chunks)?;
    let right = aligned(right, right_chunks)?;
    let contraction = Contraction { n_common, left: left_axes, right: right_axes };
    Handle::new(ArrayOp::Contract(Arc::new(contraction)), &[&left, &right])
}

/// NumPy's `dot`: the last axis of the left with the last but one of the right.
pub(crate) fn dot(call: Call, left: &Handle, right: &Handle) -> Handle {
    let (Ok(a), Ok(b)) = (left.node(), right.node()) else {
        return Handle::join(&[left, right], |nodes| Ok(Arc::clone(nodes[0])));
    };
    let (a_ndim, b_ndim) = (a.ndim(), b.ndim());
    if a_ndim == 0 || b_ndim == 0 {
        return Handle::from_result(Err(Error::InvalidArgument {
            call,
            argument: "array",
            got: "an array without dimensions".into(),
            expected: "arrays of at least one dimension; multiply with *",
        }));
    }
    let right_axis = b_ndim.saturating_sub(2);
    tensordot(call, left, right, &Axes::from(a_ndim - 1), &Axes::from(right_axis))
}

/// NumPy's `matmul`: matrices in the last two axes, the others broadcast.
pub(crate) fn matmul(call: Call, left: &Handle, right: &Handle) -> Handle {
    let (Ok(a), Ok(b)) = (left.node(), right.node()) else {
        return dot(call, left, right);
    };
    match (a.ndim(), b.ndim()) {
        (_, 0..=2) | (0..=1, _) => dot(call, left, right),
        // The rows of the one matrix come before the stack of the others.
        (2, _) => {
            let rows_first = dot(call, left, right);
            moveaxis(call, &rows_first, &Axes::from(0), &Axes::from(-2))
        }
        _ => matmul_stacks(call, [left, right], [a, b]),
    }
}

/// Products of as many matrices of the left and of the right as their leading axes have places.
fn matmul_stacks(call: Call, handles: [&Handle; 2], [a, b]: [&Arc<Node>; 2]) -> Handle {
    let shapes = a.known_shape(call).and_then(|a| Ok([a, b.known_shape(call)?]));
    let shapes = match shapes {
        Ok(shapes) => shapes,
        Err(error) => return Handle::from_result(Err(error)),
    };
    let split = shapes.each_ref().map(|shape| shape.split_at(shape.len() - 2));
    let common = match broadcast_shapes(call, &split.map(|(common, _)| common)) {
        Ok(common) => common,
        Err(error) => return Handle::from_result(Err(error)),
    };
    let [left, right] = [0, 1].map(|i| {
        let shape = [&common[..], split[i].1].concat();
        if shape == shapes[i] {
            return handles[i].clone();
        }
        broadcast_to(call, handles[i], &Shape::from(shape))
    });
    let n_common = common.len();
    let products = Handle::join(&[&left, &right], |nodes| {
        let axes = [vec![n_common + 1], vec![n_common]];
        partial_products(call, n_common, [nodes[0], nodes[1]], axes)
    });
    sum_partials(call, &products, 1)
}
