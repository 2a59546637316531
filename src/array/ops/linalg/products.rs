//! Products of arrays.

use std::sync::Arc;

use super::super::manipulation::drop_axes;
use super::super::reductions::{over, reduce};
use super::super::{countable, elementwise, not_grown, unsupported};
use crate::array::args::Axes;
use crate::array::chunks::{Chunks, unify};
use crate::array::dtype::DType;
use crate::array::expr::{Handle, Node};
use crate::array::kernels::ReduceKind;
use crate::array::kernels::contract::Contraction;
use crate::array::meta::Meta;
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
        let left_axes = left_axes.resolve(call, left.ndim(), left.dim_names())?;
        let right_axes = right_axes.resolve(call, right.ndim(), right.dim_names())?;
        if left_axes.len() != right_axes.len() {
            return Err(mismatch(call, left, right));
        }
        let summed = left_axes.into_iter().zip(right_axes).collect();
        partial_products(call, left, right, Contraction { batch: Vec::new(), summed })
    });
    let n_pairs = match (left_axes, left.node()) {
        (Axes::List(list), _) => list.len(),
        (Axes::All, Ok(node)) => node.ndim(),
        (Axes::All, Err(_)) => 0,
    };
    sum_partials(call, &products, n_pairs)
}

/// Sums the trailing axes on which the partial products of the contracted blocks stand.
pub(super) fn sum_partials(call: Call, products: &Handle, n_pairs: usize) -> Handle {
    if n_pairs == 0 {
        return products.clone();
    }
    let Ok(node) = products.node() else { return products.clone() };
    let dtype = node.meta.dtype;
    let last: Vec<i64> = (1..=n_pairs as i64).map(|axis| -axis).collect();
    let summed = reduce(call, products, ReduceKind::Sum, false, &over(last));
    // A sum of small integers widens, a product of matrices does not.
    elementwise::cast(call, &summed, dtype)
}

fn mismatch(call: Call, left: &Node, right: &Node) -> Error {
    let shape = |node: &Node| {
        node.meta.chunks.shape().into_iter().map(|len| len.unwrap_or(0)).collect::<Vec<_>>()
    };
    Error::ShapeMismatch {
        call,
        left: shape(left),
        right: shape(right),
        remedy: "axes that are multiplied need the same length",
    }
}

/// The products of the blocks, in chunks that are made to fit along the axes that both have.
///
/// A block of the result is as large as free axes of both sides are long, so these may be cut as well.
pub(super) fn partial_products(
    call: Call,
    left: &Arc<Node>,
    right: &Arc<Node>,
    contraction: Contraction,
) -> Result<Arc<Node>> {
    if left.meta.dtype != right.meta.dtype {
        return Err(unsupported(call, right.meta.dtype, left.meta.dtype.name()));
    }
    if left.meta.dtype == DType::Bool {
        return Err(unsupported(call, DType::Bool, "a number"));
    }
    let (mut left_chunks, mut right_chunks) = (left.meta.chunks.clone(), right.meta.chunks.clone());
    for &(a, b) in contraction.summed.iter().chain(&contraction.batch) {
        let (a_axis, b_axis) = (&left.meta.chunks.axes()[a], &right.meta.chunks.axes()[b]);
        if a_axis.len() != b_axis.len() {
            return Err(mismatch(call, left, right));
        }
        let common = unify(call, &[a_axis, b_axis])?;
        left_chunks = left_chunks.with_axis(a, common.clone());
        right_chunks = right_chunks.with_axis(b, common);
    }
    let chunks = countable(call, contraction.out_chunks(&left_chunks, &right_chunks))?;
    // The axes of the summed pairs come last, and already have one element a block.
    let axes = contraction.batch.len()..chunks.ndim() - contraction.summed.len();
    let out = Meta { dtype: left.meta.dtype, chunks };
    let meta = not_grown(out, axes.clone(), &[left, right])?;
    let [of_left, of_right] = contraction.places([left.ndim(), right.ndim()]);
    let cut = |chunks: Chunks, places: Vec<usize>| {
        let free = places.into_iter().enumerate().filter(|(_, place)| axes.contains(place));
        free.fold(chunks, |chunks, (axis, place)| {
            chunks.with_axis(axis, meta.chunks.axes()[place].clone())
        })
    };
    let left = left.in_chunks(cut(left_chunks, of_left))?;
    let right = right.in_chunks(cut(right_chunks, of_right))?;
    Ok(Node::with_meta(ArrayOp::Contract(Arc::new(contraction)), &[&left, &right], meta))
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
    let stacks = |handle: &Handle| handle.node().is_ok_and(|node| node.ndim() > 2);
    if !stacks(left) && !stacks(right) {
        return dot(call, left, right);
    }
    let mut order = Vec::new();
    let products = Handle::join(&[left, right], |nodes| {
        if nodes.iter().any(|node| node.ndim() == 0) {
            return Err(mismatch(call, nodes[0], nodes[1]));
        }
        let stack = Stack::new(call, nodes[0], nodes[1])?;
        order = stack.order();
        partial_products(call, &stack.left, &stack.right, stack.contraction)
    });
    sum_partials(call, &products, 1)
        .then(|node| Node::of(ArrayOp::Permute(order.iter().copied().map(Some).collect()), &[node]))
}

/// Stacks of matrices that are ready to be multiplied.
///
/// An axis that only one of the two really has is a free axis of that one: nothing is repeated.
struct Stack {
    left: Arc<Node>,
    right: Arc<Node>,
    contraction: Contraction,
    /// Where each leading axis of the result comes from.
    leading: Vec<Whose>,
    /// Rows of the left and columns of the right, 1 or, for a vector, 0.
    n_matrix: [usize; 2],
}

#[derive(Clone, Copy)]
enum Whose {
    Both,
    Left,
    Right,
}

impl Stack {
    fn new(call: Call, left: &Arc<Node>, right: &Arc<Node>) -> Result<Stack> {
        let n_leading = |node: &Node| node.ndim().saturating_sub(2);
        let n_out = n_leading(left).max(n_leading(right));
        let mut leading = Vec::with_capacity(n_out);
        let mut batch = Vec::new();
        let mut dropped = [Vec::new(), Vec::new()];
        for place in 0..n_out {
            let axis = |node: &Node| (place + n_leading(node)).checked_sub(n_out);
            let len =
                |node: &Node| axis(node).map(|axis| (axis, node.meta.chunks.axes()[axis].len()));
            leading.push(match (len(left), len(right)) {
                (Some((a, a_len)), Some((b, b_len))) if a_len == b_len => {
                    batch.push((a, b));
                    Whose::Both
                }
                (Some(_), None) => Whose::Left,
                (None, Some(_)) => Whose::Right,
                (Some(_), Some((b, Some(1)))) => {
                    dropped[1].push(b);
                    Whose::Left
                }
                (Some((a, Some(1))), Some(_)) => {
                    dropped[0].push(a);
                    Whose::Right
                }
                _ => return Err(mismatch(call, left, right)),
            });
        }
        let inner = (left.ndim() - 1, right.ndim().saturating_sub(2));
        let kept = |axis: usize, dropped: &[usize]| {
            axis - dropped.iter().filter(|&&other| other < axis).count()
        };
        let renumbered = |(a, b): (usize, usize)| (kept(a, &dropped[0]), kept(b, &dropped[1]));
        Ok(Stack {
            contraction: Contraction {
                batch: batch.into_iter().map(renumbered).collect(),
                summed: vec![renumbered(inner)],
            },
            left: drop_axes(left, &dropped[0])?,
            right: drop_axes(right, &dropped[1])?,
            leading,
            n_matrix: [left, right].map(|node| (node.ndim() - 1).min(1)),
        })
    }

    /// The axes of the summed products in the order of the result.
    fn order(&self) -> Vec<usize> {
        let count = |wanted: fn(&Whose) -> bool| self.leading.iter().filter(|f| wanted(f)).count();
        let n_both = count(|from| matches!(from, Whose::Both));
        let n_left = count(|from| matches!(from, Whose::Left));
        let n_right = count(|from| matches!(from, Whose::Right));
        let first_right = n_both + n_left + self.n_matrix[0];
        let (mut both, mut left, mut right) = (0.., n_both.., first_right..);
        let leading = self.leading.iter().filter_map(|from| match from {
            Whose::Both => both.next(),
            Whose::Left => left.next(),
            Whose::Right => right.next(),
        });
        let mut order: Vec<usize> = leading.collect();
        order.extend((0..self.n_matrix[0]).map(|_| n_both + n_left));
        order.extend((0..self.n_matrix[1]).map(|_| first_right + n_right));
        order
    }
}

#[cfg(test)]
mod tests {
    use crate::Config;
    use crate::prelude::*;

    /// The chunks of a product, and whether its values are those of ndarray, with chunks of `bytes`.
    fn product(shapes: [[u64; 2]; 2], chunks: [[u64; 2]; 2], bytes: u64) -> String {
        Config::new().with_chunk_bytes(bytes).scope(|| {
            let of = |i: usize| {
                let len = (shapes[i][0] * shapes[i][1]) as f64;
                array::arange(0.0, len, 1.0, 7).reshape(shapes[i]).rechunk(chunks[i])
            };
            let (x, y) = (of(0), of(1));
            let product = x.matmul(&y);
            let matrix = |x: &Array<f64>| {
                x.compute().unwrap().into_dimensionality::<ndarray::Ix2>().unwrap()
            };
            assert_eq!(matrix(&product), matrix(&x).dot(&matrix(&y)));
            product.chunks().unwrap().to_string()
        })
    }

    #[test]
    fn blocks_of_products_are_cut_to_the_chunk_size() {
        let (tall, wide) = ([24, 2], [2, 24]);
        assert_eq!(product([tall, wide], [tall, wide], 24 * 24 * 8), "((24,), (24,))");
        assert_eq!(product([tall, wide], [tall, wide], 12 * 12 * 8), "((12, 12), (12, 12))");
        // What an input already has is allowed.
        assert_eq!(product([tall, wide], [tall, wide], 1), "((6, 6, 6, 6), (6, 6, 6, 6))");
        assert_eq!(product([wide, tall], [[2, 5], [3, 24]], 1), "((2,), (2,))");
    }

    #[test]
    fn batch_axes_of_products_keep_their_chunks() {
        Config::new().with_chunk_bytes(8).scope(|| {
            let x: Array<f64> = array::ones([4, 6, 1], [2, 6, 1]);
            let product = x.matmul(&array::ones([4, 1, 6], [2, 1, 6]));
            assert_eq!(product.chunks().unwrap().to_string(), "((2, 2), (2, 2, 2), (3, 3))");
            let outer = array::ones::<f64>([12], [12]).tensordot(
                &array::ones([12], [6]),
                [0_i64; 0],
                [0_i64; 0],
            );
            assert_eq!(outer.chunks().unwrap().to_string(), "((3, 3, 3, 3), (3, 3, 3, 3))");
        });
    }
}
