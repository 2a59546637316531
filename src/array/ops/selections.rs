//! Elements by their size: the largest, the distinct, and how many fall into which bin.

use std::sync::Arc;

use super::reductions::{over, reduce};
use crate::array::args::AxisRef;
use crate::array::chunks::limit::check_listed;
use crate::array::chunks::{AxisChunks, Chunks};
use crate::array::dtype::{DType, dispatch};
use crate::array::expr::{Handle, Node};
use crate::array::kernels::ReduceKind;
use crate::array::kernels::count::{Bins, CountKernel};
use crate::array::kernels::topk::TopKernel;
use crate::array::kernels::unique::{Told, UniqueKernel, UniqueStep, entry_bytes, sort_bytes};
use crate::array::meta::Meta;
use crate::array::op::{ArrayOp, Blockwise};
use crate::config::Config;
use crate::error::{Call, Error, Result};
use crate::graph::{AxisMap, BlockMap, Kernel};

/// A node of a kernel that reads blocks of some arrays.
pub(super) fn blockwise(
    call: Call,
    kernel: Arc<dyn Kernel>,
    inputs: &[(&Arc<Node>, BlockMap)],
    out: Meta,
    out_bytes: Option<u64>,
    scratch_bytes: u64,
) -> Result<Arc<Node>> {
    let maps = inputs.iter().map(|(_, map)| map.clone()).collect();
    let name = call.op.into();
    let op = Blockwise { name, kernel, maps, out, out_bytes, scratch_bytes };
    let nodes: Vec<_> = inputs.iter().map(|(node, _)| *node).collect();
    Node::of(ArrayOp::Blockwise(Arc::new(op)), &nodes)
}

/// The `k` largest elements along an axis, or for a negative `k` the smallest.
pub(crate) fn topk(call: Call, x: &Handle, k: i64, axis: &AxisRef) -> Handle {
    x.then(|node| {
        let axis = axis.resolve(call, node.ndim(), node.dim_names())?;
        node.axis_len(call, axis)?;
        let dtype = node.meta.dtype;
        let kernel: Arc<dyn Kernel> = dispatch!(dtype, T => Arc::new(TopKernel::<T>::new(k, axis)));
        let fan_in = (Config::current()?.split_every() as u64).max(2);
        let mut current = Arc::clone(node);
        let mut size = 1;
        loop {
            let old = &current.meta.chunks.axes()[axis];
            check_listed(call.op, Some(call), old.n_blocks())?;
            let sizes: Vec<u64> = old.sizes().collect();
            let kept = sizes.chunks(size as usize);
            let kept = kept.map(|group| group.iter().sum::<u64>().min(k.unsigned_abs()));
            let kept =
                AxisChunks::from_size_iter(kept).ok_or(Error::UnknownChunks { call, axis })?;
            let map = |i| match i == axis {
                true => AxisMap::Group { axis, size },
                false => AxisMap::same(i),
            };
            let map = BlockMap::axes((0..node.ndim()).map(map));
            let out = Meta { dtype, chunks: current.meta.chunks.with_axis(axis, kept) };
            let lane_bytes = sizes.iter().max().map_or(0, |n| n * size * dtype.nbytes() as u64);
            current =
                blockwise(call, Arc::clone(&kernel), &[(&current, map)], out, None, lane_bytes)?
                    .with_note(node.note.clone());
            if current.meta.chunks.axes()[axis].is_whole() {
                return Ok(current);
            }
            size = fan_in;
        }
    })
}

/// How many elements fall into each bin, or what their weights add up to.
pub(crate) fn count(call: Call, x: &Handle, bins: &Bins, weights: Option<&Handle>) -> Handle {
    let handles: Vec<&Handle> = [x].into_iter().chain(weights).collect();
    let rows = Handle::join(&handles, |nodes| {
        let x = nodes[0];
        let chunks = &x.meta.chunks;
        let mut inputs = vec![(x, BlockMap::Linear)];
        let fit = nodes.get(1).map(|weights| {
            if weights.meta.chunks.shape() == chunks.shape() {
                return weights.in_chunks(chunks.clone());
            }
            let shape = |node: &Node| node.meta.chunks.shape().into_iter().flatten().collect();
            Err(Error::ShapeMismatch {
                call,
                left: shape(weights),
                right: shape(x),
                remedy: "there has to be a weight for each element",
            })
        });
        let fit = fit.transpose()?;
        inputs.extend(fit.as_ref().map(|weights| (weights, BlockMap::Linear)));
        let dtype = x.meta.dtype;
        let has_weights = fit.is_some();
        let kernel: Arc<dyn Kernel> = dispatch!(dtype, real T => {
            Arc::new(CountKernel::<T>::new(bins.clone(), has_weights))
        }, else return Err(super::unsupported(call, dtype, "a real number")));
        let out = Meta {
            dtype: if has_weights { DType::F64 } else { DType::I64 },
            chunks: super::countable(
                call,
                Chunks::new(vec![
                    AxisChunks::uniform(chunks.n_blocks(), 1),
                    AxisChunks::whole(bins.n_bins()),
                ]),
            )?,
        };
        blockwise(call, kernel, &inputs, out, None, 0)
    });
    reduce(call, &rows, ReduceKind::Sum, false, &over(0))
}

/// Edges of bins must ascend.
pub(crate) fn check_edges(call: Call, edges: &[f64]) -> Result<()> {
    if edges.len() > 1 && edges.is_sorted() && !edges.iter().any(|edge| edge.is_nan()) {
        return Ok(());
    }
    Err(Error::InvalidArgument {
        call,
        argument: "bins",
        got: format!("{} edges", edges.len()),
        expected: "two or more edges in ascending order, or a finite range",
    })
}

/// The distinct elements of an array in ascending order, and how often each occurs.
pub(crate) fn unique(call: Call, x: &Handle) -> [Handle; 2] {
    let tally = x.then(|node| tallied(call, node, Told::Counts));
    [UniqueStep::Values, UniqueStep::Numbers].map(|step| untallied(call, &tally, step))
}

/// The distinct elements of an array in ascending order, and where in C order each occurs first.
pub(crate) fn unique_index(call: Call, x: &Handle) -> [Handle; 2] {
    let tally = x.then(|node| {
        node.known_shape(call)?;
        tallied(call, node, Told::Places)
    });
    [UniqueStep::Values, UniqueStep::Numbers].map(|step| untallied(call, &tally, step))
}

/// What one of the last steps makes of a tally.
fn untallied(call: Call, tally: &Handle, step: UniqueStep) -> Handle {
    tally.then(|tally| {
        let dtype = tally.meta.dtype;
        let (kernel, entry) = unique_kernel(dtype, step, None);
        let out = if step == UniqueStep::Values { dtype } else { DType::I64 };
        let bytes = tally_bytes(tally).map(|bytes| bytes / entry * out.nbytes() as u64);
        let out = Meta { dtype: out, chunks: tally.meta.chunks.clone() };
        let map = BlockMap::axes([AxisMap::same(0)]);
        blockwise(call, kernel, &[(tally, map)], out, bytes, 0)
    })
}

/// Bytes of the tally that a node makes, at most, as it was declared.
fn tally_bytes(node: &Node) -> Option<u64> {
    let ArrayOp::Blockwise(op) = &node.op else { return None };
    op.out_bytes
}

fn unique_kernel(dtype: DType, step: UniqueStep, chunks: Option<Chunks>) -> (Arc<dyn Kernel>, u64) {
    dispatch!(dtype, T => {
        let kernel = UniqueKernel::<T>::new(step, chunks);
        (Arc::new(kernel) as Arc<dyn Kernel>, entry_bytes::<T>())
    })
}

/// All distinct elements with their numbers in one block, which is no chunk: only [`unique`] reads it.
fn tallied(call: Call, node: &Arc<Node>, told: Told) -> Result<Arc<Node>> {
    let dtype = node.meta.dtype;
    let fan_in = (Config::current()?.split_every() as u64).max(2);
    let chunks = (told == Told::Places).then(|| node.meta.chunks.clone());
    let (kernel, entry) = unique_kernel(dtype, UniqueStep::Tally(told), chunks);
    let entries = |bytes: u64| (bytes / dtype.nbytes() as u64).saturating_mul(entry);
    // Of short elements there are only so many.
    let most = match dtype.nbytes() {
        nbytes @ (1 | 2) => entry << (8 * nbytes),
        _ => u64::MAX,
    };
    let all = node.meta.nbytes().map_or(u64::MAX, entries);
    let block_bytes = node.meta.block_bytes_max().map_or_else(super::chunk_bytes, Ok)?;
    let mut bytes = entries(block_bytes).min(most);
    // What is sorted is a copy of the elements, or what becomes the tally.
    let (sorted_bytes, scratch_bytes) = match told {
        Told::Counts => (block_bytes, block_bytes),
        Told::Places => (entries(block_bytes), entries(block_bytes) - bytes),
    };
    let token = |level: u64| (node.serial << 8) | level;
    let meta =
        |n, level| Meta { dtype, chunks: Chunks::new(vec![AxisChunks::unknown(n, token(level))]) };
    let mut n_blocks = node.meta.chunks.n_blocks();
    let first = [(node, BlockMap::Linear)];
    let of_first = meta(n_blocks, 0);
    let scratch_bytes = scratch_bytes.saturating_add(sort_bytes(sorted_bytes));
    let mut tally = blockwise(call, kernel, &first, of_first, Some(bytes), scratch_bytes)?;
    let (merge, _) = unique_kernel(dtype, UniqueStep::Merge(told), None);
    for level in 1.. {
        if n_blocks == 1 {
            break;
        }
        n_blocks = n_blocks.div_ceil(fan_in);
        // There may be as many distinct elements as elements, but no more. How many there are nobody
        // knows, and unknown lengths count as chunks of the configured size.
        let together = bytes.saturating_mul(fan_in).min(all).min(super::chunk_bytes()?.max(bytes));
        bytes = together.min(most);
        let map = BlockMap::axes([AxisMap::Group { axis: 0, size: fan_in }]);
        tally = blockwise(
            call,
            Arc::clone(&merge),
            &[(&tally, map)],
            meta(n_blocks, level),
            Some(bytes),
            (together - bytes).saturating_add(sort_bytes(together)),
        )?;
    }
    Ok(tally)
}
