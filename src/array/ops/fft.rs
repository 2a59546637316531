//! Discrete Fourier transforms along whole axes, one axis after another.

use std::sync::Arc;

use super::elementwise::{cast, unary};
use super::linalg::real_of;
use super::manipulation::permute;
use super::repeats::roll;
use super::selections::blockwise;
use crate::array::args::{Axes, AxisRef, Shape};
use crate::array::chunks::{AxisChunks, ChunkSpec, cut_within};
use crate::array::dtype::DType;
use crate::array::expr::{Handle, Node};
use crate::array::kernels::fft::{FftKernel, Transform};
use crate::array::kernels::{BinaryOp, Builder, Scalar, UnaryOp};
use crate::array::meta::Meta;
use crate::error::{Call, Error, Result};
use crate::graph::{AxisMap, BlockMap, Kernel};

/// By what a transform is divided, with `n` the number of its elements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FftNorm {
    /// The inverse by `n`.
    #[default]
    Backward,
    /// Both by the root of `n`.
    Ortho,
    /// The forward one by `n`.
    Forward,
}

impl FftNorm {
    fn scale(self, transform: Transform, n: u64) -> f64 {
        let is_forward = matches!(transform, Transform::Forward | Transform::RealForward);
        match self {
            FftNorm::Ortho => 1.0 / (n as f64).sqrt(),
            FftNorm::Forward if is_forward => 1.0 / n as f64,
            FftNorm::Backward if !is_forward => 1.0 / n as f64,
            FftNorm::Forward | FftNorm::Backward => 1.0,
        }
    }

    /// The norm of the transform in the other direction.
    fn swapped(self) -> FftNorm {
        match self {
            FftNorm::Backward => FftNorm::Forward,
            FftNorm::Ortho => FftNorm::Ortho,
            FftNorm::Forward => FftNorm::Backward,
        }
    }
}

/// The transform along one axis, of `n` elements: cut off, or with zeros after the last.
pub(crate) fn fft(
    call: Call,
    x: &Handle,
    transform: Transform,
    n: Option<u64>,
    axis: &AxisRef,
    norm: FftNorm,
) -> Handle {
    x.then(|node| {
        let axis = axis.resolve(call, node.ndim(), node.dim_names())?;
        along(call, node, transform, n, axis, norm)
    })
}

/// The dtype of the transform of elements of another.
fn complex_of(dtype: DType) -> DType {
    match dtype {
        DType::F32 | DType::C64 => DType::C64,
        _ => DType::C128,
    }
}

fn along(
    call: Call,
    node: &Arc<Node>,
    transform: Transform,
    n: Option<u64>,
    axis: usize,
    norm: FftNorm,
) -> Result<Arc<Node>> {
    let len = node.axis_len(call, axis)?;
    let n = n.unwrap_or(match transform {
        Transform::RealInverse => 2 * len.saturating_sub(1),
        _ => len,
    });
    if n == 0 || n > isize::MAX as u64 / 512 {
        return Err(Error::InvalidArgument {
            call,
            argument: "n",
            got: n.to_string(),
            expected: "a transform of at least one element",
        });
    }
    let complex = complex_of(node.meta.dtype);
    let (from, to) = match transform {
        Transform::Forward | Transform::Inverse => (complex, complex),
        Transform::RealForward => (real_of(complex), complex),
        Transform::RealInverse => (complex, real_of(complex)),
    };
    if transform == Transform::RealForward && node.meta.dtype.is_complex() {
        return Err(super::unsupported(call, node.meta.dtype, "a real number"));
    }
    let n_out = if transform == Transform::RealForward { n / 2 + 1 } else { n };
    let last = node.ndim() - 1;
    let order = (0..=last).filter(|other| *other != axis).chain([axis]);
    let lanes = permute(node, order.map(Some).collect())?;
    let lanes = whole_lanes(call, node, &lanes, [(len, from), (n_out, to)])?;
    let lanes = cast(call, &Handle::from_result(Ok(lanes)), from);
    let lanes = lanes.node()?;
    let scale = norm.scale(transform, n);
    let kernel: Arc<dyn Kernel> = match complex {
        DType::C64 => Arc::new(FftKernel::<f32>::new(transform, n, scale)),
        _ => Arc::new(FftKernel::<f64>::new(transform, n, scale)),
    };
    let out =
        Meta { dtype: to, chunks: lanes.meta.chunks.with_axis(last, AxisChunks::whole(n_out)) };
    let map = BlockMap::axes((0..=last).map(AxisMap::same));
    let scratch = lanes_in_plan(n).saturating_mul(n).saturating_mul(complex.nbytes() as u64);
    let made = blockwise(call, kernel, &[(lanes, map)], out, None, scratch)?;
    let back = (0..=last).map(|place| match place.cmp(&axis) {
        std::cmp::Ordering::Less => Some(place),
        std::cmp::Ordering::Equal => Some(last),
        std::cmp::Ordering::Greater => Some(place - 1),
    });
    Ok(permute(&made, back.collect())?.with_note(node.note.clone()))
}

/// How many lanes a transform takes: its lane, its factors, and what it is made in. Where a large prime divides `n`, it
/// is a convolution of up to four times the length.
fn lanes_in_plan(n: u64) -> u64 {
    let rest = [2, 3, 5, 7, 11].into_iter().fold(n.max(1), |mut rest, prime| {
        while rest.is_multiple_of(prime) {
            rest /= prime;
        }
        rest
    });
    if rest == 1 { 4 } else { 16 }
}

/// The lanes in one block each, and as many together as neither before nor after the transform are more than the
/// largest block was, or the chunk size.
fn whole_lanes(
    call: Call,
    node: &Node,
    lanes: &Arc<Node>,
    ends: [(u64, DType); 2],
) -> Result<Arc<Node>> {
    let last = lanes.ndim() - 1;
    let len = lanes.axis_len(call, last)?;
    let bytes_max = node.meta.block_bytes_max().unwrap_or(0).max(super::chunk_bytes()?);
    let lane_bytes =
        ends.iter().map(|(len, dtype)| len.saturating_mul(dtype.nbytes() as u64)).max();
    let sized = lanes.meta.chunks.with_axis(last, AxisChunks::whole(lane_bytes.unwrap_or(0)));
    let cut = cut_within(sized, 0..last, bytes_max);
    lanes.in_chunks(cut.with_axis(last, AxisChunks::whole(len)))
}

/// Which axes of an array a transform of several is along, and how long it is along each.
fn plan(
    call: Call,
    node: &Node,
    shape: Option<&Shape>,
    axes: &Axes,
) -> Result<Vec<(usize, Option<u64>)>> {
    let lens = shape.map(|shape| shape.lengths(call)).transpose()?;
    let mut axes = axes.resolve(call, node.ndim(), node.dim_names())?;
    if let Some(lens) = &lens {
        // As in NumPy, a shape alone is that of the last axes.
        if axes.len() == node.ndim() && lens.len() < axes.len() {
            axes.drain(..axes.len() - lens.len());
        }
        if lens.len() != axes.len() {
            return Err(Error::InvalidArgument {
                call,
                argument: "shape",
                got: format!("{} lengths for {} axes", lens.len(), axes.len()),
                expected: "a length for each axis",
            });
        }
    }
    let len = |i: usize| lens.as_ref().map(|lens| lens[i]);
    Ok(axes.iter().enumerate().map(|(i, &axis)| (axis, len(i))).collect())
}

/// The transform along no axes, which are the elements themselves; that of real numbers halves one axis.
fn along_none(call: Call, x: &Handle, node: &Node, transform: Transform) -> Result<Arc<Node>> {
    if matches!(transform, Transform::RealForward | Transform::RealInverse) {
        return Err(Error::InvalidArgument {
            call,
            argument: "axes",
            got: "none".into(),
            expected: "at least one axis, of which the last is halved",
        });
    }
    Ok(Arc::clone(cast(call, x, complex_of(node.meta.dtype)).node()?))
}

/// The transform along several axes; one of real numbers is along the last of them, where it makes fewest.
pub(crate) fn fftn(
    call: Call,
    x: &Handle,
    transform: Transform,
    shape: Option<&Shape>,
    axes: &Axes,
    norm: FftNorm,
) -> Handle {
    x.then(|node| {
        let mut plan = plan(call, node, shape, axes)?;
        let mut current = Arc::clone(node);
        let Some(last) = plan.pop() else { return along_none(call, x, node, transform) };
        let (others, is_first) = match transform {
            Transform::RealForward => (Transform::Forward, true),
            Transform::RealInverse => (Transform::Inverse, false),
            other => (other, true),
        };
        if is_first {
            current = along(call, &current, transform, last.1, last.0, norm)?;
        }
        for (axis, n) in plan.into_iter().rev() {
            current = along(call, &current, others, n, axis, norm)?;
        }
        if !is_first {
            current = along(call, &current, transform, last.1, last.0, norm)?;
        }
        Ok(current)
    })
}

/// The real numbers of which the transform is symmetric, from one half of it.
pub(crate) fn hfft(
    call: Call,
    x: &Handle,
    n: Option<u64>,
    axis: &AxisRef,
    norm: FftNorm,
) -> Handle {
    let x = unary(call, UnaryOp::Conj, x);
    fft(call, &x, Transform::RealInverse, n, axis, norm.swapped())
}

/// The inverse of [`hfft`].
pub(crate) fn ihfft(
    call: Call,
    x: &Handle,
    n: Option<u64>,
    axis: &AxisRef,
    norm: FftNorm,
) -> Handle {
    let made = fft(call, x, Transform::RealForward, n, axis, norm.swapped());
    unary(call, UnaryOp::Conj, &made)
}

/// The frequencies of the elements of a transform of `n` samples that are `spacing` apart, all of them or those of one
/// half.
pub(crate) fn frequencies(
    call: Call,
    n: u64,
    spacing: f64,
    is_half: bool,
    chunks: &ChunkSpec,
) -> Handle {
    if n == 0 || i64::try_from(n).is_err() {
        return Handle::from_result(Err(Error::InvalidArgument {
            call,
            argument: "n",
            got: n.to_string(),
            expected: "at least one sample",
        }));
    }
    let mut b = Builder::new(0);
    let index = b.index(0, 0, 1);
    let whole = b.constant(Scalar::I64(n as i64));
    let first_negative = b.constant(Scalar::I64(n.div_ceil(2) as i64));
    let before = b.binary(BinaryOp::Sub, index, whole).expect("integers subtract");
    let is_positive = b.binary(BinaryOp::Lt, index, first_negative).expect("integers compare");
    let cycles = if is_half { index } else { b.select(is_positive, index, before) };
    let cycles = b.cast(cycles, DType::F64);
    let step = b.constant(Scalar::F64(1.0 / (n as f64 * spacing)));
    let frequency = b.binary(BinaryOp::Mul, cycles, step).expect("floats multiply");
    let len = if is_half { n / 2 + 1 } else { n };
    super::creation::create(call, b.finish(frequency), &Shape::from(len), chunks)
}

/// The frequency 0 moved to the middle of each axis, or, if `is_back`, from there to the start.
pub(crate) fn shift(call: Call, x: &Handle, axes: &Axes, is_back: bool) -> Handle {
    x.then(|node| {
        let axes = axes.resolve(call, node.ndim(), node.dim_names())?;
        let mut shifts = Vec::with_capacity(axes.len());
        for &axis in &axes {
            let half = (node.axis_len(call, axis)? / 2) as i64;
            shifts.push(if is_back { -half } else { half });
        }
        if axes.is_empty() {
            return Ok(Arc::clone(node));
        }
        roll(call, x, &Shape::from(shifts), &Axes::from(axes)).node().cloned()
    })
}
