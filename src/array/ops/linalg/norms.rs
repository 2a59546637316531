//! Norms, and products that are sums of products of elements.

use std::sync::Arc;

use super::super::elementwise::{cast, unary};
use super::super::manipulation::{expand_dims, reshape};
use super::super::reductions::{Over, over, reduce};
use super::products::{dot, matmul};
use super::{as_float, of_both, of_number};
use crate::array::args::{Axes, AxisRef, Shape};
use crate::array::dtype::DType;
use crate::array::expr::{Handle, Node};
use crate::array::kernels::{BinaryOp, ReduceKind, UnaryOp};
use crate::error::{Call, Error, Result};

/// Which norm of a vector or a matrix.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Norm {
    /// The root of the sum of the squares of all magnitudes.
    #[default]
    Frobenius,
    /// The sum of the singular values of a matrix.
    Nuclear,
    /// Of a vector the largest magnitude, of a matrix the largest sum of the magnitudes of a row.
    Inf,
    /// Of a vector the smallest magnitude, of a matrix the smallest sum of the magnitudes of a row.
    NegInf,
    /// Of a vector the `p`-th root of the sum of the `p`-th powers of the magnitudes, and for 0 how many elements are
    /// not 0. Of a matrix, for 1 and -1 the largest and the smallest sum of the magnitudes of a column, for 2 and -2
    /// the largest and the smallest singular value.
    P(f64),
}

impl From<f64> for Norm {
    fn from(p: f64) -> Self {
        match p {
            p if p == f64::INFINITY => Norm::Inf,
            p if p == f64::NEG_INFINITY => Norm::NegInf,
            p => Norm::P(p),
        }
    }
}

/// The norm of the vectors along one axis, of the matrices along two, or, for the Frobenius norm, over any.
pub(crate) fn norm(call: Call, x: &Handle, kind: Norm, how: &Over) -> Handle {
    // Infinities have names of their own.
    let kind = if let Norm::P(p) = kind { Norm::from(p) } else { kind };
    let x = as_float(call, x);
    let resolved = x.node().and_then(|node| how.resolve(call, node));
    let (axes, keepdims) = match resolved {
        Ok(resolved) => resolved,
        Err(error) => return Handle::from_result(Err(error)),
    };
    let magnitude = unary(call, UnaryOp::Abs, &x);
    let reduced = |x: &Handle, kind, axes: &[usize], keepdims: bool| {
        let how = over(axes.to_vec());
        reduce(call, x, kind, false, &if keepdims { how.keepdims() } else { how })
    };
    match (kind, &axes[..]) {
        (Norm::Frobenius, axes) => {
            let squares = unary(call, UnaryOp::Square, &magnitude);
            unary(call, UnaryOp::Sqrt, &reduced(&squares, ReduceKind::Sum, axes, keepdims))
        }
        (Norm::Inf, axes @ [_]) => reduced(&magnitude, ReduceKind::Max, axes, keepdims),
        (Norm::NegInf, axes @ [_]) => reduced(&magnitude, ReduceKind::Min, axes, keepdims),
        (Norm::P(0.0), axes @ [_]) => {
            let count = reduced(&magnitude, ReduceKind::CountNonzero, axes, keepdims);
            magnitude.then(|of| cast(call, &count, of.meta.dtype).node().cloned())
        }
        (Norm::P(p), axes @ [_]) => {
            let powers = of_number(call, BinaryOp::Pow, &magnitude, p);
            let sum = reduced(&powers, ReduceKind::Sum, axes, keepdims);
            of_number(call, BinaryOp::Pow, &sum, 1.0 / p)
        }
        // Sums along one axis, of which the other then has the extreme.
        (Norm::Inf | Norm::NegInf | Norm::P(1.0 | -1.0), &[rows, columns]) => {
            let is_by_rows = matches!(kind, Norm::Inf | Norm::NegInf);
            let along = if is_by_rows { columns } else { rows };
            let extreme = match kind {
                Norm::Inf | Norm::P(1.0) => ReduceKind::Max,
                _ => ReduceKind::Min,
            };
            let sums = reduced(&magnitude, ReduceKind::Sum, &[along], true);
            reduced(
                &reduced(&sums, extreme, &[rows + columns - along], true),
                ReduceKind::Sum,
                &axes,
                keepdims,
            )
        }
        (Norm::Nuclear | Norm::P(2.0 | -2.0), [_, _]) => of_values(call, &x, kind, keepdims),
        (_, axes) => Handle::from_result(Err(Error::InvalidArgument {
            call,
            argument: "norm",
            got: format!("{kind:?} over {} axes", axes.len()),
            expected: "a norm of vectors over one axis, or of matrices over two",
        })),
    }
}

/// Norms that need the singular values of a matrix.
fn of_values(call: Call, x: &Handle, kind: Norm, keepdims: bool) -> Handle {
    let [_, values, _] = super::svd(call, x);
    let kind = match kind {
        Norm::Nuclear => ReduceKind::Sum,
        Norm::P(p) if p < 0.0 => ReduceKind::Min,
        _ => ReduceKind::Max,
    };
    let value = reduce(call, &values, kind, false, &over(0));
    if keepdims { expand_dims(call, &value, &Axes::from([0, 1])) } else { value }
}

/// The sum of the conjugate elements of one array times those of another, both in C order.
pub(crate) fn vdot(call: Call, a: &Handle, b: &Handle) -> Handle {
    let flat = |x: &Handle| reshape(call, x, &Shape::from(-1));
    let is_complex = a.node().is_ok_and(|node| node.meta.dtype.is_complex());
    let a = if is_complex { unary(call, UnaryOp::Conj, a) } else { a.clone() };
    dot(call, &flat(&a), &flat(b))
}

/// The product of each element of one array with each of another, both in C order.
pub(crate) fn outer(call: Call, a: &Handle, b: &Handle) -> Handle {
    let flat = |x: &Handle| reshape(call, x, &Shape::from(-1));
    let column = expand_dims(call, &flat(a), &Axes::from(1));
    of_both(call, BinaryOp::Mul, &column, &expand_dims(call, &flat(b), &Axes::from(0)))
}

/// Copies of one array, each times an element of another, where that element stands.
pub(crate) fn kron(call: Call, a: &Handle, b: &Handle) -> Handle {
    let shapes = |x: &Handle| x.node().and_then(|node| node.known_shape(call));
    let (of_a, of_b) = match (shapes(a), shapes(b)) {
        (Ok(a), Ok(b)) => (a, b),
        (Err(error), _) | (_, Err(error)) => return Handle::from_result(Err(error)),
    };
    let ndim = of_a.len().max(of_b.len());
    let raised = |shape: &[u64]| [vec![1; ndim - shape.len()], shape.to_vec()].concat();
    let (of_a, of_b) = (raised(&of_a), raised(&of_b));
    // Axes of the two take turns, and each pair becomes one.
    let in_turns = |x: &Handle, shape: &[u64], at: usize| {
        let axes = (0..ndim).flat_map(|i| if at == 0 { [shape[i], 1] } else { [1, shape[i]] });
        reshape(call, x, &Shape::from(axes.collect::<Vec<u64>>()))
    };
    let products = of_both(call, BinaryOp::Mul, &in_turns(a, &of_a, 0), &in_turns(b, &of_b, 1));
    let merged = of_a.iter().zip(&of_b).map(|(a, b)| a.saturating_mul(*b));
    reshape(call, &products, &Shape::from(merged.collect::<Vec<u64>>()))
}

/// The sum of the elements of the `k`-th diagonal of a matrix, or of a stack of them, along two axes.
pub(crate) fn trace(call: Call, x: &Handle, k: i64, [a, b]: [&AxisRef; 2], out: DType) -> Handle {
    x.then(|node| {
        let (a, b) = (axis(call, node, a)?, axis(call, node, b)?);
        if a == b {
            return Err(Error::InvalidArgument {
                call,
                argument: "axes",
                got: format!("axis {a} twice"),
                expected: "two axes",
            });
        }
        let [n, m] = [node.axis_len(call, a)?, node.axis_len(call, b)?];
        let [down, right] = if k < 0 { [k.unsigned_abs(), 0] } else { [0, k.unsigned_abs()] };
        let len = n.saturating_sub(down).min(m.saturating_sub(right));
        let list = |start: u64| Shape::from((start..start + len).collect::<Vec<_>>());
        crate::array::chunks::limit::check_listed(call.op, Some(call), len)?;
        let lists = [(AxisRef::from(a), list(down)), (AxisRef::from(b), list(right))];
        let diagonal = super::super::points::vindex(call, x, &lists);
        let sum = reduce(call, &diagonal, ReduceKind::Sum, false, &over(0));
        cast(call, &sum, out).node().cloned()
    })
}

fn axis(call: Call, node: &Arc<Node>, axis: &AxisRef) -> Result<usize> {
    axis.resolve(call, node.ndim(), node.dim_names())
}

/// The product of several matrices, of which the first and the last may be vectors, in the order that takes the
/// fewest multiplications.
///
/// # Source
/// Cormen, Leiserson, Rivest, Stein, "Introduction to Algorithms", 15.2.
pub(crate) fn multi_dot(call: Call, arrays: &[&Handle]) -> Handle {
    let count = arrays.len();
    if count == 0 {
        return Handle::from_result(Err(Error::InvalidArgument {
            call,
            argument: "arrays",
            got: "none".into(),
            expected: "at least one array",
        }));
    }
    // Lengths of the axes between the arrays; a vector at an end has length 1 outside.
    let mut sizes: Vec<f64> = Vec::with_capacity(count + 1);
    for (i, array) in arrays.iter().enumerate() {
        let shape = match array.node().and_then(|node| node.known_shape(call)) {
            Ok(shape) => shape,
            Err(error) => return Handle::from_result(Err(error)),
        };
        match (&shape[..], i) {
            ([n], 0) => sizes.extend([1.0, *n as f64]),
            ([_], i) if i + 1 == count => sizes.push(1.0),
            ([n, m], 0) => sizes.extend([*n as f64, *m as f64]),
            ([_, m], _) => sizes.push(*m as f64),
            (shape, i) => {
                return Handle::from_result(Err(Error::InvalidArgument {
                    call,
                    argument: "arrays",
                    got: format!("{} dimensions at place {i}", shape.len()),
                    expected: "matrices, and at the ends matrices or vectors",
                }));
            }
        }
    }
    let split = splits(&sizes);
    product_of(call, arrays, &split, 0, count - 1)
}

/// Where to split each run of matrices for the fewest multiplications.
fn splits(sizes: &[f64]) -> Vec<Vec<usize>> {
    let count = sizes.len() - 1;
    let mut cost = vec![vec![0.0_f64; count]; count];
    let mut split = vec![vec![0; count]; count];
    for len in 1..count {
        for i in 0..count - len {
            let j = i + len;
            let of = |at: usize, cost: &[Vec<f64>]| {
                cost[i][at] + cost[at + 1][j] + sizes[i] * sizes[at + 1] * sizes[j + 1]
            };
            let best = (i..j).min_by(|a, b| of(*a, &cost).total_cmp(&of(*b, &cost)));
            let best = best.unwrap_or(i);
            cost[i][j] = of(best, &cost);
            split[i][j] = best;
        }
    }
    split
}

/// A few matrices at most; the depth is their number.
fn product_of(call: Call, arrays: &[&Handle], split: &[Vec<usize>], i: usize, j: usize) -> Handle {
    if i == j {
        return arrays[i].clone();
    }
    let at = split[i][j];
    let left = product_of(call, arrays, split, i, at);
    matmul(call, &left, &product_of(call, arrays, split, at + 1, j))
}
