//! Quantiles with weights, and quantiles that are nearly right from a part of the data.
//!
//! Each block gives elements at evenly spaced ranks, and these, with the number of elements that each stands for as its weight,
//! have nearly the quantiles of all. What blocks do not know adds up to the same part of the whole as of a block, so the error of
//! ranks is that of one block, however many there are.
//!
//! # Source
//! Munro, Paterson, "Selection and sorting with limited storage" (1980); of mergeable summaries it is the simplest.

use std::marker::PhantomData;
use std::sync::Arc;

use super::creation::{from_shared, full_like};
use super::elementwise::{Term, binary, cast};
use super::manipulation::{broadcast_to, expand_dims, permute};
use super::quantiles::{check_at, lanes_last, result_names, result_places};
use super::reductions::Over;
use crate::array::args::{Axes, Shape};
use crate::array::chunks::limit::check_listed;
use crate::array::chunks::{AxisChunks, ChunkSpec};
use crate::array::dtype::{DType, dispatch};
use crate::array::expr::{Handle, Node};
use crate::array::kernels::BinaryOp;
use crate::array::kernels::samples::SamplesKernel;
use crate::array::kernels::weighted::WeightedQuantileKernel;
use crate::array::meta::Meta;
use crate::array::op::{ArrayOp, Blockwise};
use crate::error::{Call, Error, Result};
use crate::graph::{AxisMap, BlockMap, Kernel};

/// What a quantile with weights is to be.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// From 0 to 1; one without a list leaves no axis.
    pub(crate) at: Vec<f64>,
    pub(crate) is_list: bool,
}

impl Wanted {
    fn check(&self, call: Call) -> Result<()> {
        check_at(call, &self.at, "quantiles from 0 to 1")
    }
}

/// Quantiles over some axes of elements with weights, which broadcast to the array.
pub(crate) fn weighted_quantile(
    call: Call,
    x: &Handle,
    weights: &Handle,
    wanted: &Wanted,
    how: &Over,
) -> Handle {
    x.then(|node| {
        wanted.check(call)?;
        let (mut axes, keepdims) = how.resolve(call, node)?;
        axes.sort_unstable();
        let shape = Shape::from(node.known_shape(call)?);
        let weights = broadcast_to(call, &cast(call, weights, DType::F64), &shape);
        let weights = lanes_last(call, weights.node()?, &axes)?;
        let lanes = lanes_last(call, node, &axes)?;
        let quantiles = of_lanes(call, &lanes, &weights, wanted)?;
        let places = result_places(node.ndim(), &axes, keepdims, wanted.is_list);
        let names = result_names(node, &axes, keepdims, wanted.is_list);
        Ok(permute(&quantiles, places)?.with_note(names))
    })
}

fn of_lanes(
    call: Call,
    lanes: &Arc<Node>,
    weights: &Arc<Node>,
    wanted: &Wanted,
) -> Result<Arc<Node>> {
    let last = lanes.ndim() - 1;
    let n = lanes.axis_len(call, last)?;
    if n == 0 {
        return Err(Error::InvalidArgument {
            call,
            argument: "axis",
            got: "axes without elements".into(),
            expected: "axes with at least one element",
        });
    }
    let weights = weights.in_chunks(lanes.meta.chunks.clone())?;
    let dtype = lanes.meta.dtype;
    let quantiles: Arc<[f64]> = wanted.at.as_slice().into();
    let kernel: Arc<dyn Kernel> = dispatch!(dtype, real T => {
        Arc::new(WeightedQuantileKernel::<T> { call, quantiles, element: PhantomData })
    }, else return Err(super::unsupported(call, dtype, "a real number")));
    let axes = || BlockMap::axes((0..lanes.ndim()).map(AxisMap::same));
    let chunks = lanes.meta.chunks.with_axis(last, AxisChunks::whole(wanted.at.len() as u64));
    // An element and its weight, padded to whole words.
    let blockwise = Blockwise {
        name: call.op.into(),
        kernel,
        maps: vec![axes(), axes()],
        out: Meta { dtype, chunks },
        out_bytes: None,
        scratch_bytes: n.saturating_mul(16),
    };
    Node::of(ArrayOp::Blockwise(Arc::new(blockwise)), &[lanes, &weights])
}

/// Quantiles over some axes, of which the ranks are wrong by at most `error` of all elements.
pub(crate) fn approximate_quantile(
    call: Call,
    x: &Handle,
    error: f64,
    wanted: &Wanted,
    how: &Over,
) -> Handle {
    x.then(|node| {
        wanted.check(call)?;
        if !(error > 0.0 && error <= 0.5) {
            return Err(Error::InvalidArgument {
                call,
                argument: "error",
                got: error.to_string(),
                expected: "a part of the elements, more than 0 and at most 0.5",
            });
        }
        let (mut axes, _) = how.resolve(call, node)?;
        axes.sort_unstable();
        node.known_shape(call)?;
        let node = without_empty_blocks(node, &axes)?;
        let n = (0.5 / error).ceil() as u64;
        // As many samples as elements are those themselves.
        if axes.is_empty() || n >= lane_len_max(&node, &axes) {
            let ones = full_like(call, 1.0_f64.into(), x);
            return weighted_quantile(call, x, &ones, wanted, how).node().cloned();
        }
        let samples = samples(call, &node, &axes, n)?;
        let weights = weights(call, &node, &axes, n);
        let samples = Handle::from_result(Ok(samples));
        weighted_quantile(call, &samples, &weights, wanted, how).node().cloned()
    })
}

/// Blocks without elements have no samples.
fn without_empty_blocks(node: &Arc<Node>, axes: &[usize]) -> Result<Arc<Node>> {
    let mut chunks = node.meta.chunks.clone();
    for &axis in axes {
        let full = chunks.axes()[axis].sizes().filter(|&n| n > 0);
        if let Some(full) = AxisChunks::from_size_iter(full) {
            chunks = chunks.with_axis(axis, full);
        }
    }
    node.in_chunks(chunks)
}

/// The most elements that a block has for one quantile.
fn lane_len_max(node: &Node, axes: &[usize]) -> u64 {
    let of_axes = |axis: &usize| node.meta.chunks.axes()[*axis].max_len().unwrap_or(1);
    axes.iter().map(of_axes).fold(1, u64::saturating_mul)
}

/// `n` elements of each block: along the last of the axes, and one along each other one.
fn samples(call: Call, node: &Arc<Node>, axes: &[usize], n: u64) -> Result<Arc<Node>> {
    let dtype = node.meta.dtype;
    let mut chunks = node.meta.chunks.clone();
    for &axis in axes {
        let n_blocks = chunks.axes()[axis].n_blocks();
        check_listed(call.op, Some(call), n_blocks)?;
        let each = if axis == axes[axes.len() - 1] { n } else { 1 };
        chunks = chunks.with_axis(axis, AxisChunks::uniform(n_blocks.saturating_mul(each), each));
    }
    let sampled = (axes.to_vec(), n as usize);
    let kernel: Arc<dyn Kernel> = dispatch!(dtype, real T => {
        let (axes, n) = sampled;
        Arc::new(SamplesKernel::<T> { axes, n, element: PhantomData })
    }, else return Err(super::unsupported(call, dtype, "a real number")));
    let blockwise = Blockwise {
        name: format!("{} (samples)", call.op).into(),
        kernel,
        maps: vec![BlockMap::axes((0..node.ndim()).map(AxisMap::same))],
        out: Meta { dtype, chunks },
        out_bytes: None,
        scratch_bytes: lane_len_max(node, axes).saturating_mul(dtype.nbytes() as u64),
    };
    Ok(Node::of(ArrayOp::Blockwise(Arc::new(blockwise)), &[node])?.with_note(node.note.clone()))
}

/// How many elements each sample stands for, in a shape that broadcasts to that of the samples.
fn weights(call: Call, node: &Arc<Node>, axes: &[usize], n: u64) -> Handle {
    let along = |&axis: &usize| {
        let sizes = node.meta.chunks.axes()[axis].sizes().map(|size| size as f64);
        let along = if axis == axes[axes.len() - 1] {
            let each = sizes.flat_map(|size| std::iter::repeat_n(size / n as f64, n as usize));
            vector(call, each.collect(), n)
        } else {
            vector(call, sizes.collect(), 1)
        };
        // As many axes of length 1 behind it as the array has.
        let behind: Vec<usize> = (1..node.ndim() - axis).collect();
        expand_dims(call, &along, &Axes::from(behind))
    };
    let mul = |a: Handle, b: Handle| binary(call, BinaryOp::Mul, &Term::Array(a), &Term::Array(b));
    axes.iter().map(along).reduce(mul).expect("there is an axis")
}

fn vector(call: Call, values: Vec<f64>, chunk: u64) -> Handle {
    let values = ndarray::Array1::from(values).into_dyn().into_shared();
    from_shared(call, values, &ChunkSpec::from([chunk as i64]))
}
