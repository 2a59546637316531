//! Least squares.

use std::sync::Arc;

use super::super::elementwise::{Term, binary, cast, select, unary};
use super::super::indexing::slice_along;
use super::super::joins::side_by_side;
use super::super::manipulation::expand_dims;
use super::super::reductions::{over, reduce};
use super::products::matmul;
use super::qr::Factors;
use super::svd::of_block;
use super::{adjoint, as_float, matrix_lengths, of_both, of_number, real_of, results, with_whole};
use crate::array::args::Axes;
use crate::array::chunks::AxisSlice;
use crate::array::dtype::DType;
use crate::array::expr::{Handle, Node};
use crate::array::kernels::{BinaryOp, ReduceKind, Scalar, UnaryOp};
use crate::error::{Call, Error, Result};

/// The `x` with the smallest `|a·x - b|`, of these the shortest; the sums of the squares that are left; the
/// rank of `a`; and its singular values.
///
/// The triangle of `a` and `b` side by side has all that is needed, so that each is read once and nothing as
/// long as they are is kept. Singular values below `rcond` times the largest count as zeros.
pub(crate) fn lstsq(call: Call, a: &Handle, b: &Handle, rcond: Option<f64>) -> [Handle; 4] {
    let is_vector = b.node().is_ok_and(|node| node.ndim() == 1);
    let (a, b) = (as_float(call, a), as_float(call, b));
    let b = if is_vector { expand_dims(call, &b, &Axes::from(1)) } else { b };
    let solved = a.node().and_then(|a| {
        let b = b.node()?;
        let solution = solved(call, a, b, rcond)?;
        let [x, left, rank, s] = solution;
        if !is_vector {
            return Ok([x, left, rank, s]);
        }
        let x = super::super::manipulation::drop_axes(&x, &[1])?;
        Ok([x, left, rank, s])
    });
    results(solved)
}

fn solved(call: Call, a: &Arc<Node>, b: &Arc<Node>, rcond: Option<f64>) -> Result<[Arc<Node>; 4]> {
    let ([m, n], [m_b, n_b]) = (matrix_lengths(call, a)?, matrix_lengths(call, b)?);
    let dtype = a.meta.dtype;
    if m != m_b || dtype != b.meta.dtype {
        return Err(Error::ShapeMismatch {
            call,
            left: vec![m, n],
            right: vec![m_b, n_b],
            remedy: "a right-hand side needs a row for each row of the matrix, and the same dtype",
        });
    }
    let both = side_by_side(call, &[a, b], 1)?;
    let factors = Factors::new(call, &with_whole(call, &both, 1)?)?;
    let of = |rows: u64, start: u64, len: u64| {
        let columns = slice_along(call, &factors.triangle, 1, AxisSlice::new(start, len, 1))?;
        slice_along(call, &columns, 0, AxisSlice::new(0, rows, 1))
    };
    let handle = |node: &Arc<Node>| Handle::from_result(Ok(Arc::clone(node)));
    let (k, rows) = (m.min(n), m.min(n + n_b));
    let [u, s, v] = of_block(call, &of(k, 0, n)?)?;
    let (u, s, v) = (handle(&u), handle(&s), handle(&v));
    let rcond = rcond.unwrap_or_else(|| epsilon(dtype) * m.max(n) as f64);
    let largest = reduce(call, &s, ReduceKind::Max, false, &over(0).keepdims());
    let counts = if k == 0 {
        binary(call, BinaryOp::Gt, &Term::Array(s.clone()), &Term::Array(s.clone()))
    } else {
        of_both(call, BinaryOp::Gt, &s, &of_number(call, BinaryOp::Mul, &largest, rcond))
    };
    let one = Term::Scalar(Scalar::F64(1.0).cast(real_of(dtype)));
    let zero = Term::Scalar(Scalar::F64(0.0).cast(real_of(dtype)));
    // What counts as zero is not divided by.
    let divisor = select(call, &counts, &Term::Array(s.clone()), &one);
    let inverse = binary(call, BinaryOp::Div, &one, &Term::Array(divisor));
    let inverse = select(call, &counts, &Term::Array(inverse), &zero);
    let inverse = expand_dims(call, &cast(call, &inverse, dtype), &Axes::from(1));
    let projected = matmul(call, &adjoint(call, &u), &handle(&of(k, n, n_b)?));
    let scaled = of_both(call, BinaryOp::Mul, &projected, &inverse);
    let x = matmul(call, &adjoint(call, &v), &scaled);
    let reached = matmul(call, &handle(&of(rows, 0, n)?), &x);
    let left = of_both(call, BinaryOp::Sub, &handle(&of(rows, n, n_b)?), &reached);
    let left = unary(call, UnaryOp::Square, &unary(call, UnaryOp::Abs, &left));
    let left = reduce(call, &left, ReduceKind::Sum, false, &over(0));
    let rank = reduce(call, &counts, ReduceKind::CountNonzero, false, &over(..));
    let node = |handle: &Handle| handle.node().cloned();
    Ok([node(&x)?, node(&left)?, node(&rank)?, node(&s)?])
}

fn epsilon(dtype: DType) -> f64 {
    if real_of(dtype) == DType::F32 { f64::from(f32::EPSILON) } else { f64::EPSILON }
}
