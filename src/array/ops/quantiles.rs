//! Exact quantiles.

use std::marker::PhantomData;
use std::sync::Arc;

use super::manipulation::{permute, reshape};
use crate::array::args::Shape;
use crate::array::chunks::{AxisChunks, cut_within};
use crate::array::dtype::{DType, Element, dispatch};
use crate::array::expr::{Handle, Node};
use crate::array::kernels::quantile::{QuantileKernel, QuantileMethod};
use crate::array::meta::Meta;
use crate::array::op::{ArrayOp, Blockwise};
use crate::error::{Call, Error, Result};
use crate::graph::{AxisMap, BlockMap, Kernel};

use super::reductions::Over;

/// What a quantile is to be.
#[derive(Clone, Debug)]
pub(crate) struct Quantiles {
    /// From 0 to 1; one without a list leaves no axis.
    pub(crate) at: Vec<f64>,
    pub(crate) is_list: bool,
    pub(crate) method: QuantileMethod,
    pub(crate) skip_nan: bool,
}

impl Quantiles {
    pub(crate) fn check(&self, call: Call) -> Result<()> {
        if self.at.iter().all(|q| (0.0..=1.0).contains(q)) {
            return Ok(());
        }
        Err(Error::InvalidArgument {
            call,
            argument: "q",
            got: format!("{:?}", self.at),
            expected: "quantiles from 0 to 1, or percentiles from 0 to 100",
        })
    }
}

/// Quantiles over some axes; those of a list stand along a new first axis.
pub(crate) fn quantile(call: Call, x: &Handle, wanted: &Quantiles, how: &Over) -> Handle {
    x.then(|node| {
        wanted.check(call)?;
        let (mut axes, keepdims) = how.resolve(call, node)?;
        axes.sort_unstable();
        let lanes = lanes_last(call, node, &axes)?;
        let n = lanes.axis_len(call, lanes.ndim() - 1)?;
        if n == 0 {
            return Err(Error::InvalidArgument {
                call,
                argument: "axis",
                got: "axes without elements".into(),
                expected: "axes with at least one element",
            });
        }
        let quantiles = of_lanes(call, &lanes, wanted)?;
        let places = result_places(node.ndim(), &axes, keepdims, wanted.is_list);
        let left = (0..node.ndim()).filter(|axis| keepdims || !axes.contains(axis));
        let names = node.dim_names().filter(|_| !wanted.is_list);
        let names = names.map(|names| left.map(|axis| Arc::clone(&names[axis])).collect());
        Ok(permute(&quantiles, places)?.with_note(names))
    })
}

/// Where the axes of a result come from, whose last axis is that of the quantiles: those of a list stand first.
pub(super) fn result_places(
    ndim: usize,
    axes: &[usize],
    keepdims: bool,
    is_list: bool,
) -> Vec<Option<usize>> {
    let mut kept = 0..;
    let place = |axis: usize| match axes.contains(&axis) {
        true => keepdims.then_some(None),
        false => Some(kept.next()),
    };
    let mut places: Vec<Option<usize>> = (0..ndim).filter_map(place).collect();
    if is_list {
        places.insert(0, Some(ndim - axes.len()));
    }
    places
}

/// The array with some axes merged into one that comes last and is one block.
///
/// The other axes are cut, so that no block outgrows those of the array and the chunk size.
pub(super) fn lanes_last(call: Call, node: &Arc<Node>, axes: &[usize]) -> Result<Arc<Node>> {
    let kept = (0..node.ndim()).filter(|axis| !axes.contains(axis));
    let order: Vec<_> = kept.chain(axes.iter().copied()).map(Some).collect();
    let mut lanes = permute(node, order)?;
    if axes.len() != 1 {
        let mut shape = lanes.known_shape(call)?;
        let len = shape.split_off(node.ndim() - axes.len()).iter().product();
        shape.push(len);
        let whole = Handle::from_result(Ok(lanes));
        lanes = Arc::clone(reshape(call, &whole, &Shape::from(shape)).node()?);
    }
    let last = lanes.ndim() - 1;
    let len = lanes.axis_len(call, last)?;
    let largest = node.meta.block_bytes_max().unwrap_or(0).max(super::chunk_bytes()?);
    let whole = lanes.meta.chunks.with_axis(last, AxisChunks::whole(len));
    lanes.in_chunks(cut_within(whole, 0..last, largest / node.meta.dtype.nbytes() as u64))
}

fn of_lanes(call: Call, lanes: &Arc<Node>, wanted: &Quantiles) -> Result<Arc<Node>> {
    let dtype = lanes.meta.dtype;
    let n = wanted.at.len() as u64;
    let (method, skip_nan) = (wanted.method, wanted.skip_nan);
    let quantiles: Arc<[f64]> = wanted.at.as_slice().into();
    let (kernel, out): (Arc<dyn Kernel>, DType) = dispatch!(dtype, real T => {
        type U = <T as Element>::Mean;
        let types = PhantomData::<fn(T) -> U>;
        (Arc::new(QuantileKernel { quantiles, method, skip_nan, types }), U::DTYPE)
    }, else return Err(super::unsupported(call, dtype, "a real number")));
    let last = lanes.ndim() - 1;
    let chunks = lanes.meta.chunks.with_axis(last, AxisChunks::whole(n));
    let lane_bytes = lanes.meta.chunks.axes()[last].len().unwrap_or(0) * dtype.nbytes() as u64;
    let blockwise = Blockwise {
        name: call.op.into(),
        kernel,
        maps: vec![BlockMap::axes((0..lanes.ndim()).map(AxisMap::same))],
        out: Meta { dtype: out, chunks },
        out_bytes: None,
        scratch_bytes: lane_bytes,
    };
    Node::of(ArrayOp::Blockwise(Arc::new(blockwise)), &[lanes])
}
