//! Statistics that are made of reductions and products.

use std::sync::Arc;

use super::elementwise::{Term, binary, cast, clip, unary};
use super::linalg::matmul;
use super::manipulation::{expand_dims, transpose};
use super::reductions::{Over, over, reduce};
use crate::array::args::{Axes, AxisRef};
use crate::array::dtype::DType;
use crate::array::expr::Handle;
use crate::array::kernels::{BinaryOp, ReduceKind, Scalar, UnaryOp};
use crate::error::{Call, Error, Result};

fn of_both(call: Call, op: BinaryOp, a: &Handle, b: &Handle) -> Handle {
    binary(call, op, &Term::Array(a.clone()), &Term::Array(b.clone()))
}

fn of_number(call: Call, op: BinaryOp, a: &Handle, b: f64, dtype: DType) -> Handle {
    binary(call, op, &Term::Array(a.clone()), &Term::Scalar(Scalar::F64(b).cast(dtype)))
}

/// The largest element minus the smallest.
pub(crate) fn ptp(call: Call, x: &Handle, how: &Over) -> Handle {
    let [max, min] =
        [ReduceKind::Max, ReduceKind::Min].map(|kind| reduce(call, x, kind, false, how));
    of_both(call, BinaryOp::Sub, &max, &min)
}

/// The mean of elements that count as often as their weights say, and what the weights add up to.
pub(crate) fn average(
    call: Call,
    x: &Handle,
    weights: &Handle,
    axis: &AxisRef,
    out: DType,
) -> [Handle; 2] {
    let both = |handle: Handle| [handle.clone(), handle];
    let (Ok(node), Ok(of)) = (x.node(), weights.node()) else {
        return both(Handle::join(&[x, weights], |nodes| Ok(Arc::clone(nodes[0]))));
    };
    let resolved = match axis.resolve(call, node.ndim(), node.dim_names()) {
        Ok(axis) => axis,
        Err(error) => return both(Handle::from_result(Err(error))),
    };
    let (len, n_weights) = (node.meta.chunks.axes()[resolved].len(), of.meta.chunks.shape());
    let mut weights = cast(call, weights, out);
    if n_weights == [len] {
        let after: Vec<usize> = (1..node.ndim() - resolved).collect();
        weights = expand_dims(call, &weights, &Axes::from(after));
    } else if n_weights != node.meta.chunks.shape() {
        let shape = |lengths: Vec<Option<u64>>| lengths.into_iter().flatten().collect();
        return both(Handle::from_result(Err(Error::ShapeMismatch {
            call,
            left: shape(n_weights),
            right: shape(node.meta.chunks.shape()),
            remedy: "weights need the shape of the array, or the length of the axis",
        })));
    }
    let weighted = of_both(call, BinaryOp::Mul, &cast(call, x, out), &weights);
    let total = reduce(call, &weighted, ReduceKind::Sum, false, &over(resolved));
    // Counted from the end, since weights of one axis have fewer dimensions.
    let from_end = resolved as i64 - node.ndim() as i64;
    let n_kept = weights.node().map_or(1, |weights| weights.ndim());
    let mut how = over(from_end);
    if n_kept < node.ndim() {
        how = how.keepdims();
    }
    let mut count = reduce(call, &weights, ReduceKind::Sum, false, &how);
    if n_kept < node.ndim() {
        count = super::manipulation::reshape(call, &count, &crate::array::args::Shape::from(()));
    }
    let average = of_both(call, BinaryOp::Div, &total, &count);
    [average, count]
}

/// The covariances of the rows of a matrix, whose columns are observations.
pub(crate) fn cov(call: Call, x: &Handle, ddof: f64, out: DType) -> Handle {
    let x = cast(call, x, out);
    let n = match x.node().and_then(|node| match node.ndim() {
        2 => node.axis_len(call, 1),
        ndim => Err(Error::InvalidArgument {
            call,
            argument: "array",
            got: format!("{ndim} dimensions"),
            expected: "a matrix with a row for each variable",
        }),
    }) {
        Ok(n) => n,
        Err(error) => return Handle::from_result(Err(error)),
    };
    let mean = reduce(call, &x, ReduceKind::Mean, false, &over(1).keepdims());
    let centred = of_both(call, BinaryOp::Sub, &x, &mean);
    let other = transpose(call, &unary(call, UnaryOp::Conj, &centred), None);
    let products = matmul(call, &centred, &other);
    of_number(call, BinaryOp::Div, &products, n as f64 - ddof, out)
}

/// The correlations of the rows of a matrix of real numbers.
pub(crate) fn corrcoef(call: Call, x: &Handle, out: DType) -> Handle {
    let covariances = cov(call, x, 0.0, out);
    let spread = reduce(call, &cast(call, x, out), ReduceKind::Std, false, &over(1).keepdims());
    let by_row = of_both(call, BinaryOp::Div, &covariances, &spread);
    let ratio = of_both(call, BinaryOp::Div, &by_row, &transpose(call, &spread, None));
    let bound = |value: f64| Some(Scalar::F64(value).cast(out));
    clip(call, &ratio, bound(-1.0), bound(1.0))
}

/// The mean of the `order`-th powers of the distances from the mean.
pub(crate) fn moment(call: Call, x: &Handle, order: u32, axes: &Axes, out: DType) -> Handle {
    let x = cast(call, x, out);
    let mean = reduce(call, &x, ReduceKind::Mean, false, &over(axes.clone()).keepdims());
    let centred = of_both(call, BinaryOp::Sub, &x, &mean);
    let power = of_number(call, BinaryOp::Pow, &centred, f64::from(order), out);
    reduce(call, &power, ReduceKind::Mean, false, &over(axes.clone()))
}

/// The mean of a power of the distances from the mean, which are divided by the standard deviation: the third
/// power says how skewed a distribution is, the fourth how long its tails are.
fn standardized(call: Call, x: &Handle, order: u32, axes: &Axes, out: DType) -> Handle {
    let x = cast(call, x, out);
    let mean = reduce(call, &x, ReduceKind::Mean, false, &over(axes.clone()).keepdims());
    let centred = of_both(call, BinaryOp::Sub, &x, &mean);
    let square = of_both(call, BinaryOp::Mul, &centred, &centred);
    let power = match order {
        3 => of_both(call, BinaryOp::Mul, &square, &centred),
        _ => of_both(call, BinaryOp::Mul, &square, &square),
    };
    let [second, higher] =
        [&square, &power].map(|x| reduce(call, x, ReduceKind::Mean, false, &over(axes.clone())));
    let scale = of_number(call, BinaryOp::Pow, &second, f64::from(order) / 2.0, out);
    of_both(call, BinaryOp::Div, &higher, &scale)
}

/// How skewed the distribution along some axes is; without bias, as of a sample.
pub(crate) fn skew(call: Call, x: &Handle, axes: &Axes, is_biased: bool, out: DType) -> Handle {
    let skew = standardized(call, x, 3, axes, out);
    if is_biased {
        return skew;
    }
    match n_along(call, x, axes) {
        Ok(n) if n > 2.0 => {
            of_number(call, BinaryOp::Mul, &skew, (n * (n - 1.0)).sqrt() / (n - 2.0), out)
        }
        Ok(_) => skew,
        Err(error) => Handle::from_result(Err(error)),
    }
}

/// How long the tails of the distribution along some axes are, of which those of a normal one are 0; without bias,
/// as of a sample.
pub(crate) fn kurtosis(call: Call, x: &Handle, axes: &Axes, is_biased: bool, out: DType) -> Handle {
    let kurtosis = standardized(call, x, 4, axes, out);
    let excess = of_number(call, BinaryOp::Sub, &kurtosis, 3.0, out);
    if is_biased {
        return excess;
    }
    match n_along(call, x, axes) {
        Ok(n) if n > 3.0 => {
            let scaled = of_number(call, BinaryOp::Mul, &excess, n + 1.0, out);
            let shifted = of_number(call, BinaryOp::Add, &scaled, 6.0, out);
            of_number(call, BinaryOp::Mul, &shifted, (n - 1.0) / ((n - 2.0) * (n - 3.0)), out)
        }
        Ok(_) => excess,
        Err(error) => Handle::from_result(Err(error)),
    }
}

/// How many elements stand along some axes.
fn n_along(call: Call, x: &Handle, axes: &Axes) -> Result<f64> {
    let node = x.node()?;
    let axes = axes.resolve(call, node.ndim(), node.dim_names())?;
    let lens = axes.iter().map(|&axis| node.axis_len(call, axis));
    Ok(lens.collect::<Result<Vec<_>>>()?.into_iter().map(|len| len as f64).product())
}
