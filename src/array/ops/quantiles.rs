//! Exact quantiles.
//!
//! Those along some axes need whole lanes. Those of all elements are found by counting, so that the elements stay where
//! they are.

use std::marker::PhantomData;
use std::sync::Arc;

use super::manipulation::{permute, reshape};
use crate::array::args::Shape;
use crate::array::chunks::limit::check_listed;
use crate::array::chunks::{AxisChunks, Chunks, cut_within};
use crate::array::dtype::{DType, Element, dispatch};
use crate::array::expr::{DimNames, Handle, Node, dim_names_of};
use crate::array::kernels::load::panel_bytes_max;
use crate::array::kernels::quantile::{QuantileKernel, QuantileMethod};
use crate::array::kernels::radix::{Keyed, RadixKernel, RadixStep, count_bytes};
use crate::array::meta::Meta;
use crate::array::op::{ArrayOp, Blockwise};
use crate::config::Config;
use crate::error::{Call, Error, Result};
use crate::graph::{AxisMap, BlockMap, Kernel};

use super::reductions::Over;
use super::selections::blockwise;

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
        check_at(call, &self.at, "quantiles from 0 to 1, or percentiles from 0 to 100")
    }
}

/// Refuses quantiles that are not from 0 to 1.
pub(super) fn check_at(call: Call, at: &[f64], expected: &'static str) -> Result<()> {
    if at.iter().all(|q| (0.0..=1.0).contains(q)) {
        return Ok(());
    }
    Err(Error::InvalidArgument { call, argument: "q", got: format!("{at:?}"), expected })
}

/// Quantiles over some axes; those of a list stand along a new first axis.
pub(crate) fn quantile(call: Call, x: &Handle, wanted: &Quantiles, how: &Over) -> Handle {
    x.then(|node| {
        wanted.check(call)?;
        let (mut axes, keepdims) = how.resolve(call, node)?;
        axes.sort_unstable();
        let lens =
            axes.iter().map(|&axis| node.axis_len(call, axis)).collect::<Result<Vec<_>>>()?;
        if lens.contains(&0) {
            return Err(Error::InvalidArgument {
                call,
                argument: "axis",
                got: "axes without elements".into(),
                expected: "axes with at least one element",
            });
        }
        let quantiles = if axes.len() == node.ndim() && is_for_radix(node, wanted)? {
            of_all(call, node, wanted)?
        } else {
            of_lanes(call, &lanes_last(call, node, &axes)?, wanted)?
        };
        let places = result_places(node.ndim(), &axes, keepdims, wanted.is_list);
        let names = result_names(node, &axes, keepdims, wanted.is_list);
        Ok(permute(&quantiles, places)?.with_note(names))
    })
}

/// The names of the axes of a result.
pub(super) fn result_names(
    node: &Node,
    axes: &[usize],
    keepdims: bool,
    is_list: bool,
) -> Option<DimNames> {
    let names = node.dim_names()?;
    let left = (0..node.ndim()).filter(|axis| keepdims || !axes.contains(axis));
    let of_list = is_list.then_some(None);
    dim_names_of(of_list.into_iter().chain(left.map(|axis| Some(Arc::clone(&names[axis])))))
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
    let loading_bytes = panel_bytes_max(lanes.meta.block_bytes_max().unwrap_or(0));
    let blockwise = Blockwise {
        name: call.op.into(),
        kernel,
        maps: vec![BlockMap::axes((0..lanes.ndim()).map(AxisMap::same))],
        out: Meta { dtype: out, chunks },
        out_bytes: None,
        scratch_bytes: lane_bytes.saturating_add(loading_bytes),
    };
    Node::of(ArrayOp::Blockwise(Arc::new(blockwise)), &[lanes])
}

/// Whether elements are too many to be brought together, and counts of their digits are few.
fn is_for_radix(node: &Node, wanted: &Quantiles) -> Result<bool> {
    let most = super::chunk_bytes()?;
    let is_large = node.meta.nbytes().is_none_or(|bytes| bytes > most);
    Ok(is_large && node.meta.chunks.n_blocks() > 1 && wanted.count_bytes(1) <= most)
}

impl Quantiles {
    /// Bytes of the counts of a digit, in any round but the first.
    fn count_bytes(&self, round: u32) -> u64 {
        count_bytes(if round == 0 { 1 } else { 2 * self.at.len() as u64 })
    }
}

/// Quantiles of all elements, by radix selection: a vector.
fn of_all(call: Call, node: &Arc<Node>, wanted: &Quantiles) -> Result<Arc<Node>> {
    check_listed(call.op, Some(call), node.meta.chunks.n_blocks())?;
    let dtype = node.meta.dtype;
    let (n_digits, out) = dispatch!(dtype, real T => {
        (T::N_DIGITS, <<T as Element>::Mean as Element>::DTYPE)
    }, else return Err(super::unsupported(call, dtype, "a real number")));
    let fan_in = (Config::current()?.split_every() as u64).max(2);
    let selection = Selection { call, node, wanted };
    let mut known: Option<Arc<Node>> = None;
    for round in 0..n_digits {
        let bytes = wanted.count_bytes(round);
        let after = |from| [Some(from), known.as_ref()].into_iter().flatten().collect::<Vec<_>>();
        let mut counts = selection.step(RadixStep::Count(round), &after(node), 1, bytes)?;
        while counts.meta.chunks.n_blocks() > 1 {
            counts = selection.step(RadixStep::Merge, &[&counts], fan_in, bytes)?;
        }
        let places_bytes = 64 * wanted.at.len() as u64;
        known = Some(selection.step(RadixStep::Learn(round), &after(&counts), 1, places_bytes)?);
    }
    let known = known.as_ref().unwrap_or(node);
    let out = Meta { dtype: out, chunks: Chunks::whole(&[wanted.at.len() as u64]) };
    let map = BlockMap::axes([AxisMap::At(0)]);
    blockwise(call, selection.kernel(RadixStep::Finish)?, &[(known, map)], out, None, 0)
}

/// A radix selection in the making.
struct Selection<'s> {
    call: Call,
    node: &'s Arc<Node>,
    wanted: &'s Quantiles,
}

impl Selection<'_> {
    /// A step whose block `i` reads `size` blocks of the first input, beside the only one of the second.
    fn step(
        &self,
        step: RadixStep,
        from: &[&Arc<Node>],
        size: u64,
        bytes: u64,
    ) -> Result<Arc<Node>> {
        let own = match step {
            RadixStep::Count(_) => BlockMap::Linear,
            _ => BlockMap::axes([AxisMap::Group { axis: 0, size }]),
        };
        let maps = [own, BlockMap::axes([AxisMap::At(0)])];
        let inputs: Vec<_> = from.iter().copied().zip(maps).collect();
        // What steps make are no chunks; only other steps read them.
        let n_blocks = from[0].meta.chunks.n_blocks().div_ceil(size);
        let chunks = Chunks::new(vec![AxisChunks::unknown(n_blocks, self.node.serial)]);
        let out = Meta { dtype: self.node.meta.dtype, chunks };
        let blockwise = Blockwise {
            name: match step {
                RadixStep::Count(_) => format!("{} (count)", self.call.op).into(),
                _ => self.call.op.into(),
            },
            kernel: self.kernel(step)?,
            maps: inputs.iter().map(|(_, map)| map.clone()).collect(),
            out,
            out_bytes: Some(bytes),
            // Where a beginning has its counts, and a copy of counts that others read.
            scratch_bytes: bytes.max(count_bytes(1)),
        };
        let nodes: Vec<_> = inputs.iter().map(|(node, _)| *node).collect();
        Node::of(ArrayOp::Blockwise(Arc::new(blockwise)), &nodes)
    }

    fn kernel(&self, step: RadixStep) -> Result<Arc<dyn Kernel>> {
        let dtype = self.node.meta.dtype;
        let Quantiles { at, method, skip_nan, .. } = self.wanted;
        let (quantiles, method, skip_nan) = (at.as_slice().into(), *method, *skip_nan);
        Ok(dispatch!(dtype, real T => {
            type U = <T as Element>::Mean;
            let types = PhantomData::<fn(T) -> U>;
            Arc::new(RadixKernel { step, quantiles, method, skip_nan, types })
        }, else return Err(super::unsupported(self.call, dtype, "a real number"))))
    }
}
