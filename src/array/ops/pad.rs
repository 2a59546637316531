//! Arrays with more elements at their ends.

use std::sync::Arc;

use super::creation::create_in_chunks;
use super::elementwise::{cast, elemwise_of, unary};
use super::indexing::slice_along;
use super::joins::join_pieces;
use super::manipulation::flipped;
use super::quantiles::{Quantiles, quantile};
use super::reductions::{over, reduce};
use crate::array::args::AxisRef;
use crate::array::chunks::{AxisChunks, AxisSlice, limit};
use crate::array::dtype::{DType, Element};
use crate::array::expr::{Handle, Node};
use crate::array::kernels::quantile::QuantileMethod;
use crate::array::kernels::{BinaryOp, Builder, Program, ReduceKind, Scalar, UnaryOp};
use crate::array::op::ArrayOp;
use crate::error::{Call, Error, Result};

/// What stands in the elements that [`Array::pad`](crate::array::Array::pad) adds.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum PadMode<T> {
    /// A value: `a a | x y z | a a`.
    Constant(T),
    /// The nearest element: `x x | x y z | z z`.
    Edge,
    /// The mirror image without the edge: `z y | x y z | y x`.
    Reflect,
    /// The mirror image with the edge: `y x | x y z | z y`.
    Symmetric,
    /// The other end: `y z | x y z | x y`.
    Wrap,
    /// The largest element along the axis.
    Maximum,
    /// The smallest element along the axis.
    Minimum,
    /// The mean along the axis, rounded to the nearest integer if that is what elements are.
    Mean,
    /// The median along the axis, rounded in the same way.
    Median,
    /// From a value at the far end in equal steps to the element at the edge; integers are rounded down.
    LinearRamp(T),
}

impl<T: Element> PadMode<T> {
    pub(crate) fn erased(self) -> PadMode<Scalar> {
        match self {
            PadMode::Constant(value) => PadMode::Constant(super::scalar(value)),
            PadMode::Edge => PadMode::Edge,
            PadMode::Reflect => PadMode::Reflect,
            PadMode::Symmetric => PadMode::Symmetric,
            PadMode::Wrap => PadMode::Wrap,
            PadMode::Maximum => PadMode::Maximum,
            PadMode::Minimum => PadMode::Minimum,
            PadMode::Mean => PadMode::Mean,
            PadMode::Median => PadMode::Median,
            PadMode::LinearRamp(end) => PadMode::LinearRamp(super::scalar(end)),
        }
    }
}

/// How many elements before and after each axis: a number or a pair for all axes, a list of
/// pairs, or a list of axes, by name or number, with a pair each (`[("longitude", (1, 1))]`); the others get none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Widths(PerAxis);

#[derive(Clone, Debug, PartialEq, Eq)]
enum PerAxis {
    All([i64; 2]),
    Each(Vec<[i64; 2]>),
    Of(Vec<(AxisRef, [i64; 2])>),
}

macro_rules! widths {
    ($($int:ty)*) => {$(
        impl From<$int> for Widths {
            fn from(both: $int) -> Self {
                Widths::from((both, both))
            }
        }

        impl From<($int, $int)> for Widths {
            fn from((before, after): ($int, $int)) -> Self {
                Widths(PerAxis::All([before, after].map(|n| i64::try_from(n).unwrap_or(i64::MAX))))
            }
        }

        impl From<Vec<($int, $int)>> for Widths {
            fn from(axes: Vec<($int, $int)>) -> Self {
                let number = |n| i64::try_from(n).unwrap_or(i64::MAX);
                Widths(PerAxis::Each(axes.into_iter().map(|(a, b)| [a, b].map(number)).collect()))
            }
        }

        impl<A: Into<AxisRef>, const N: usize> From<[(A, ($int, $int)); N]> for Widths {
            fn from(axes: [(A, ($int, $int)); N]) -> Self {
                let number = |n| i64::try_from(n).unwrap_or(i64::MAX);
                let pair = |(axis, (a, b)): (A, _)| (axis.into(), [a, b].map(number));
                Widths(PerAxis::Of(axes.into_iter().map(pair).collect()))
            }
        }

        impl<const N: usize> From<[($int, $int); N]> for Widths {
            fn from(axes: [($int, $int); N]) -> Self {
                Widths::from(axes.to_vec())
            }
        }
    )*};
}

widths!(i32 i64 u64 usize);

impl Widths {
    /// The two widths of each axis of an array, which are `argument` of `call`.
    pub(crate) fn resolve(
        &self,
        call: Call,
        node: &Node,
        argument: &'static str,
    ) -> Result<Vec<[u64; 2]>> {
        let ndim = node.ndim();
        let (widths, expected) = match &self.0 {
            PerAxis::All(both) => (vec![*both; ndim], "lengths of 0 or more"),
            PerAxis::Each(axes) if axes.len() == ndim => (axes.clone(), "lengths of 0 or more"),
            PerAxis::Of(axes) => {
                let mut widths = vec![[0, 0]; ndim];
                for (axis, pair) in axes {
                    widths[axis.resolve(call, ndim, node.dim_names())?] = *pair;
                }
                (widths, "lengths of 0 or more")
            }
            PerAxis::Each(_) => (vec![[-1; 2]], "a pair for each axis"),
        };
        let lengths =
            |pair: &[i64; 2]| Some([u64::try_from(pair[0]).ok()?, u64::try_from(pair[1]).ok()?]);
        let resolved: Option<Vec<_>> = widths.iter().map(lengths).collect();
        resolved.ok_or_else(|| Error::InvalidArgument {
            call,
            argument,
            got: format!("{:?} for {ndim} dimensions", self.0),
            expected,
        })
    }
}

/// The array with more elements at the ends of its axes.
pub(crate) fn pad(call: Call, x: &Handle, width: &Widths, mode: PadMode<Scalar>) -> Handle {
    x.then(|node| {
        let widths = width.resolve(call, node, "width")?;
        let mut current = Arc::clone(node);
        for (axis, width) in widths.into_iter().enumerate() {
            current = pad_axis(call, &current, axis, width, mode)?;
        }
        Ok(current)
    })
}

/// The array with more elements at the ends of one axis, in chunks no longer than those that it has.
pub(crate) fn pad_axis(
    call: Call,
    node: &Arc<Node>,
    axis: usize,
    width: [u64; 2],
    mode: PadMode<Scalar>,
) -> Result<Arc<Node>> {
    if width == [0, 0] {
        return Ok(Arc::clone(node));
    }
    let len = node.axis_len(call, axis)?;
    let total = width[0].checked_add(width[1]).and_then(|n| n.checked_add(len));
    if total.is_none_or(|n| n > i64::MAX as u64)
        || (len == 0 && !matches!(mode, PadMode::Constant(_)))
    {
        return Err(Error::InvalidArgument {
            call,
            argument: "width",
            got: format!("{width:?} for axis {axis} of length {len}"),
            expected: "an axis that has elements to pad with, and a sum that can be counted",
        });
    }
    let period = match mode {
        PadMode::Constant(value) => {
            let filled =
                |n| create_in_chunks(call, Program::constant(value), spread(node, axis, n));
            let [head, tail] = [filled(width[0])?, filled(width[1])?];
            return join_pieces(call, &[head, Arc::clone(node), tail], axis);
        }
        PadMode::Maximum | PadMode::Minimum | PadMode::Mean | PadMode::Median => {
            let of_lanes = summary(call, node, axis, mode);
            let of_lanes = of_lanes.node()?;
            return framed(call, node, axis, width, [of_lanes, of_lanes]);
        }
        PadMode::LinearRamp(end) => return ramps(call, node, axis, width, end),
        PadMode::Wrap => Arc::clone(node),
        PadMode::Symmetric => {
            join_pieces(call, &[Arc::clone(node), flipped(call, node, &[axis])?], axis)?
        }
        PadMode::Reflect if len > 2 => {
            let inner = AxisSlice::new(len - 2, len - 2, -1);
            join_pieces(call, &[Arc::clone(node), slice_along(call, node, axis, inner)?], axis)?
        }
        PadMode::Reflect if len == 2 => Arc::clone(node),
        PadMode::Edge | PadMode::Reflect => {
            let at = |start| slice_along(call, node, axis, AxisSlice::new(start, 1, 1));
            return framed(call, node, axis, width, [&at(0)?, &at(len - 1)?]);
        }
    };
    periodic(call, &period, axis, width[0], width[0] + len + width[1])
}

/// The chunks of `node` with `n` elements along `axis`.
fn spread(node: &Node, axis: usize, n: u64) -> crate::array::chunks::Chunks {
    let size = node.meta.chunks.axes()[axis].max_len().unwrap_or(1);
    node.meta.chunks.with_axis(axis, AxisChunks::uniform(n, size.max(1)))
}

/// `node` between copies of two arrays of length 1.
fn framed(
    call: Call,
    node: &Arc<Node>,
    axis: usize,
    width: [u64; 2],
    edges: [&Arc<Node>; 2],
) -> Result<Arc<Node>> {
    let copies = |i: usize| Node::of(ArrayOp::Broadcast(spread(node, axis, width[i])), &[edges[i]]);
    join_pieces(call, &[copies(0)?, Arc::clone(node), copies(1)?], axis)
}

/// One element for each lane along an axis.
fn summary(call: Call, node: &Arc<Node>, axis: usize, mode: PadMode<Scalar>) -> Handle {
    let dtype = node.meta.dtype;
    let x = Handle::from_result(Ok(Arc::clone(node)));
    let how = over(axis).keepdims();
    let middle = match mode {
        PadMode::Maximum => return reduce(call, &x, ReduceKind::Max, false, &how),
        PadMode::Minimum => return reduce(call, &x, ReduceKind::Min, false, &how),
        PadMode::Mean => reduce(call, &x, ReduceKind::Mean, false, &how),
        _ => {
            let (at, method) = (vec![0.5], QuantileMethod::Midpoint);
            quantile(call, &x, &Quantiles { at, is_list: false, method, skip_nan: false }, &how)
        }
    };
    let is_whole = dtype.is_integer() || dtype == DType::Bool;
    let middle = if is_whole { unary(call, UnaryOp::Rint, &middle) } else { middle };
    cast(call, &middle, dtype)
}

/// `node` between steps from `end` to its edges.
fn ramps(
    call: Call,
    node: &Arc<Node>,
    axis: usize,
    width: [u64; 2],
    end: Scalar,
) -> Result<Arc<Node>> {
    let len = node.axis_len(call, axis)?;
    let dtype = node.meta.dtype;
    let unsupported = |_| super::unsupported(call, dtype, "a real number");
    let wide = DType::F64;
    // How many steps an element is away from the far end.
    let ramp = |i: usize, edge: u64, first: i64, step: i64| {
        let edge = slice_along(call, node, axis, AxisSlice::new(edge, 1, 1))?;
        let spread = Node::of(ArrayOp::Broadcast(spread(node, axis, width[i])), &[&edge])?;
        let mut b = Builder::new(1);
        let x = b.input(0, dtype);
        let x = b.cast(x, wide);
        let end = b.constant(end.cast(wide));
        let n = b.constant(Scalar::F64(width[i] as f64));
        let at = b.index(axis, first, step);
        let at = b.cast(at, wide);
        let whole = b.binary(BinaryOp::Sub, x, end).map_err(unsupported)?;
        let step = b.binary(BinaryOp::Div, whole, n).map_err(unsupported)?;
        let climbed = b.binary(BinaryOp::Mul, at, step).map_err(unsupported)?;
        let mut value = b.binary(BinaryOp::Add, climbed, end).map_err(unsupported)?;
        if !dtype.is_float() {
            value = b.unary(UnaryOp::Floor, value).map_err(unsupported)?;
        }
        let value = b.cast(value, dtype);
        elemwise_of(call, b.finish(value), &[&spread])
    };
    if dtype.is_complex() {
        return Err(super::unsupported(call, dtype, "a real number"));
    }
    let before = ramp(0, 0, 0, 1)?;
    let after = ramp(1, len - 1, width[1] as i64 - 1, -1)?;
    join_pieces(call, &[before, Arc::clone(node), after], axis)
}

/// `n` elements of an array that repeats without end, from `before` elements before its first on.
fn periodic(call: Call, period: &Arc<Node>, axis: usize, before: u64, n: u64) -> Result<Arc<Node>> {
    let len = period.axis_len(call, axis)?;
    let n_blocks = period.meta.chunks.axes()[axis].n_blocks();
    limit::check_listed(call.op, Some(call), (n / len).saturating_mul(n_blocks))?;
    let (mut at, mut left) = ((len - before % len) % len, n);
    let mut pieces = Vec::new();
    while left > 0 {
        let run = left.min(len - at);
        pieces.push(slice_along(call, period, axis, AxisSlice::new(at, run, 1))?);
        left -= run;
        at = 0;
    }
    join_pieces(call, &pieces, axis)
}
