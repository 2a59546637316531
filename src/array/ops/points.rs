//! Points that are picked by a position on each of several axes.

use std::marker::PhantomData;
use std::sync::Arc;

use super::indexing::positions;
use super::matrix_lengths;
use super::take::too_many;
use crate::array::args::{AxisRef, Shape};
use crate::array::chunks::limit::check_listed;
use crate::array::chunks::{AxisChunks, Chunks, by_block, even_chunks};
use crate::array::dtype::dispatch;
use crate::array::expr::{Handle, Node};
use crate::array::kernels::points::{MixKernel, PointsKernel};
use crate::array::meta::Meta;
use crate::array::op::{ArrayOp, Blockwise};
use crate::error::{Call, Error, Result};
use crate::graph::{AxisMap, BlockMap, Kernel};

/// Point `i` has position `i` of each list on the list's axis. Points stand along a new first axis, and
/// the other axes follow.
///
/// Points are gathered block by block, each task from one block, and then put into their order.
pub(crate) fn vindex(call: Call, x: &Handle, lists: &[(AxisRef, Shape)]) -> Handle {
    x.then(|node| {
        let mut axes: Vec<(usize, Vec<u64>)> = Vec::with_capacity(lists.len());
        for (axis, list) in lists {
            let axis = axis.resolve(call, node.ndim(), node.dim_names())?;
            let len = node.axis_len(call, axis)?;
            axes.push((axis, positions(call, &list.0, axis, len)?));
        }
        axes.sort_by_key(|(axis, _)| *axis);
        let n = axes.first().map_or(0, |(_, list)| list.len());
        let is_twice = axes.windows(2).any(|pair| pair[0].0 == pair[1].0);
        if axes.is_empty() || is_twice || axes.iter().any(|(_, list)| list.len() != n) {
            return Err(Error::InvalidArgument {
                call,
                argument: "positions",
                got: format!("{} lists", axes.len()),
                expected: "lists of one length for at least one axis, and for each at most one",
            });
        }
        gathered(call, node, &axes, n)
    })
}

fn gathered(
    call: Call,
    node: &Arc<Node>,
    axes: &[(usize, Vec<u64>)],
    n: usize,
) -> Result<Arc<Node>> {
    let chunks = &node.meta.chunks;
    let found = by_block(&block_numbers(call, chunks, axes, n)?);
    // As many points as a block has places on these axes, so that no block grows.
    let longest = axes.iter().map(|(axis, _)| chunks.axes()[*axis].max_len().unwrap_or(1));
    let most = longest.fold(1_u64, u64::saturating_mul).max(1);
    let mut sizes: Vec<u64> = Vec::new();
    // A point of each block of the result, whose blocks are those of the others.
    let mut samples: Vec<usize> = Vec::new();
    for part in found.iter().flat_map(|(_, places)| places.chunks(most as usize)) {
        sizes.push(part.len() as u64);
        samples.push(part[0]);
    }
    if n == 0 {
        sizes.push(0);
    }
    check_listed(call.op, Some(call), sizes.len() as u64)?;
    let points = AxisChunks::from_sizes(&sizes).unwrap_or_else(|| AxisChunks::whole(n as u64));
    let kept: Vec<usize> =
        (0..node.ndim()).filter(|i| axes.iter().all(|(axis, _)| axis != i)).collect();
    let map = |axis: usize| match axes.iter().position(|(other, _)| *other == axis) {
        None => AxisMap::same(1 + kept.iter().position(|other| *other == axis).unwrap_or(0)),
        Some(list) => {
            let of = samples.iter().map(|&i| chunks.axes()[axis].block_at(axes[list].1[i]));
            let of = of.map(|block| (block, block + 1));
            // Of no points, one block shows the lengths of the other axes.
            let none = (n == 0).then_some((0, 1));
            AxisMap::Ranges { axis: 0, ranges: of.chain(none).collect() }
        }
    };
    let map = BlockMap::axes((0..node.ndim()).map(map));
    let local = |(axis, list): &(usize, Vec<u64>)| {
        let of = &chunks.axes()[*axis];
        let mut local = Vec::with_capacity(n);
        for (_, places) in &found {
            let start = of.block_start(of.block_at(list[places[0]])).unwrap_or(0);
            local.extend(places.iter().map(|&i| list[i] - start));
        }
        (*axis, local.into())
    };
    let local: Vec<(usize, Arc<[u64]>)> = axes.iter().map(local).collect();
    let mut out = vec![points.clone()];
    out.extend(kept.iter().map(|&axis| chunks.axes()[axis].clone()));
    let dtype = node.meta.dtype;
    let kernel: Arc<dyn Kernel> = dispatch!(dtype, T => {
        Arc::new(PointsKernel::<T> { axes: local, points, element: PhantomData })
    });
    let blockwise = Blockwise {
        name: call.op.into(),
        kernel,
        maps: vec![map],
        out: Meta { dtype, chunks: Chunks::new(out) },
        out_bytes: None,
        scratch_bytes: 0,
    };
    let gathered = Node::of(ArrayOp::Blockwise(Arc::new(blockwise)), &[node])?;
    let mut parts = vec![0_u32; n];
    let of_parts = found.iter().flat_map(|(_, places)| places.chunks(most as usize));
    for (part, places) in (0..).zip(of_parts) {
        places.iter().for_each(|&i| parts[i] = part);
    }
    mixed(call, &gathered, parts)
}

/// Points in the order in which `parts` names the block that the next one is in.
fn mixed(call: Call, gathered: &Arc<Node>, mut parts: Vec<u32>) -> Result<Arc<Node>> {
    if parts.is_sorted() {
        return Ok(Arc::clone(gathered));
    }
    let axis = &gathered.meta.chunks.axes()[0];
    let points = even_chunks(axis, parts.len() as u64);
    let points = points.ok_or_else(|| too_many(call))?;
    let n_parts = axis.n_blocks() as usize;
    // Of each part, how many points have been, and the last block that reads it, with its number there.
    let (mut done, mut read) = (vec![0_u64; n_parts], vec![(u64::MAX, 0_u32); n_parts]);
    let (mut lists, mut starts) = (Vec::new(), Vec::new());
    for block in 0..points.n_blocks() {
        let range = points.block_range(block).unwrap_or(0..0);
        let (mut list, mut from) = (Vec::new(), Vec::new());
        for part in &mut parts[range.start as usize..range.end as usize] {
            let at = *part as usize;
            if read[at].0 != block {
                read[at] = (block, list.len() as u32);
                list.push(at as u64);
                from.push(done[at]);
            }
            done[at] += 1;
            *part = read[at].1;
        }
        lists.push(list.into_boxed_slice());
        starts.push(from.into_boxed_slice());
    }
    let ndim = gathered.ndim();
    let lists = AxisMap::Lists { axis: 0, lists: lists.into() };
    let (sources, starts) = (parts.into(), starts.into());
    let out = Meta {
        dtype: gathered.meta.dtype,
        chunks: gathered.meta.chunks.with_axis(0, points.clone()),
    };
    let kernel: Arc<dyn Kernel> = dispatch!(out.dtype, T => {
        Arc::new(MixKernel::<T> { sources, starts, points, element: PhantomData })
    });
    let blockwise = Blockwise {
        name: format!("{} (in order)", call.op).into(),
        kernel,
        maps: vec![BlockMap::axes([lists].into_iter().chain((1..ndim).map(AxisMap::same)))],
        out,
        out_bytes: None,
        // Where it is in each block.
        scratch_bytes: 8 * n_parts as u64,
    };
    Node::of(ArrayOp::Blockwise(Arc::new(blockwise)), &[gathered])
}

/// The number of the block of each point, in row-major order of the axes that points have positions on.
fn block_numbers(
    call: Call,
    chunks: &Chunks,
    axes: &[(usize, Vec<u64>)],
    n: usize,
) -> Result<Vec<u64>> {
    let mut numbers = vec![0; n];
    let mut n_blocks = 1_u64;
    for (axis, list) in axes {
        let of = &chunks.axes()[*axis];
        let too_many =
            || Error::TooManyTasks { op: call.op.into(), call: Some(call), limit: u64::MAX };
        n_blocks = n_blocks.checked_mul(of.n_blocks()).ok_or_else(too_many)?;
        for (number, &position) in numbers.iter_mut().zip(list) {
            *number = *number * of.n_blocks() + of.block_at(position);
        }
    }
    Ok(numbers)
}

/// The elements on the `k`-th diagonal of a matrix.
pub(crate) fn diagonal(call: Call, x: &Handle, k: i64) -> Handle {
    let lists = || -> Result<[(AxisRef, Shape); 2]> {
        let node = x.node()?;
        let [n, m] = matrix_lengths(call, node)?;
        let [down, right] = if k < 0 { [k.unsigned_abs(), 0] } else { [0, k.unsigned_abs()] };
        let len = n.saturating_sub(down).min(m.saturating_sub(right));
        check_listed(call.op, Some(call), len)?;
        let list = |start: u64| Shape::from((start..start + len).collect::<Vec<_>>());
        Ok([(AxisRef::from(0), list(down)), (AxisRef::from(1), list(right))])
    };
    match lists() {
        Ok(lists) => vindex(call, x, &lists),
        Err(error) => Handle::from_result(Err(error)),
    }
}
