//! Elements that are picked by positions which are themselves computed.

use std::marker::PhantomData;
use std::sync::Arc;

use crate::array::args::AxisRef;
use crate::array::chunks::limit::check_listed;
use crate::array::chunks::{AxisChunks, Chunks};
use crate::array::dtype::{DType, dispatch};
use crate::array::expr::{Handle, Node};
use crate::array::kernels::pick::{FindKernel, GatherKernel, MergeFoundKernel};
use crate::array::meta::Meta;
use crate::array::op::{ArrayOp, Blockwise};
use crate::config::Config;
use crate::error::{Call, Error, Result};
use crate::graph::{AxisMap, BlockMap, Kernel};

/// The elements along an axis at the positions in a vector of `i64`.
///
/// Each block of the vector looks into each block of the array, and takes what is there; a tree of further steps puts
/// together what belongs to one block of the vector, which is one block of the result at each level.
pub(crate) fn pick(call: Call, x: &Handle, index: &Handle, axis: &AxisRef) -> Handle {
    Handle::join(&[x, index], |nodes| {
        let (node, index) = (nodes[0], nodes[1]);
        let axis = axis.resolve(call, node.ndim(), node.dim_names())?;
        let len = node.axis_len(call, axis)?;
        if index.ndim() != 1 || index.meta.dtype != DType::I64 {
            return Err(Error::InvalidArgument {
                call,
                argument: "index",
                got: format!("{} dimensions of {}", index.ndim(), index.meta.dtype),
                expected: "a vector of int64",
            });
        }
        let chunks = node.meta.chunks.with_axis(axis, index.meta.chunks.axes()[0].clone());
        let out = Meta { dtype: node.meta.dtype, chunks: super::countable(call, chunks)? };
        let out = super::not_grown(out, axis..axis + 1, &[node])?;
        let index = index.in_chunks(Chunks::new([out.chunks.axes()[axis].clone()]))?;
        let from = &node.meta.chunks.axes()[axis];
        check_listed(call.op, Some(call), from.n_blocks())?;
        let mut found = found(call, node, &index, axis, &out)?;
        let size = (Config::current()?.split_every() as u64).max(2);
        while found.meta.chunks.axes()[node.ndim()].n_blocks() > size {
            found = merged(call, &found, axis, size)?;
        }
        let of_index = out.chunks.axes()[axis].clone();
        let kernel: Arc<dyn Kernel> = dispatch!(out.dtype, T => {
            Arc::new(GatherKernel::<T> { call, axis, len, index: of_index, element: PhantomData })
        });
        let maps = (0..node.ndim()).map(AxisMap::same).chain([AxisMap::All]);
        let blockwise = Blockwise {
            name: call.op.into(),
            kernel,
            maps: vec![BlockMap::axes(maps)],
            out,
            out_bytes: None,
            scratch_bytes: 0,
        };
        let picked = Node::of(ArrayOp::Blockwise(Arc::new(blockwise)), &[&found])?;
        Ok(picked.with_note(node.note.clone()))
    })
}

/// What each block of the array has for each block of the index; the blocks of the array stand along a new last axis.
fn found(
    call: Call,
    node: &Arc<Node>,
    index: &Arc<Node>,
    axis: usize,
    out: &Meta,
) -> Result<Arc<Node>> {
    let ndim = node.ndim();
    let places_bytes = places_bytes(&out.chunks.axes()[axis])?;
    let from = node.meta.chunks.axes()[axis].clone();
    let mut axes = out.chunks.axes().to_vec();
    axes.push(AxisChunks::uniform(from.n_blocks(), 1));
    let of_array = |i| AxisMap::same(if i == axis { ndim } else { i });
    let maps = vec![BlockMap::axes((0..ndim).map(of_array)), BlockMap::axes([AxisMap::same(axis)])];
    let block_bytes = out.block_bytes_max().unwrap_or(super::chunk_bytes()?);
    let kernel: Arc<dyn Kernel> = dispatch!(out.dtype, T => {
        Arc::new(FindKernel::<T> { axis, from, element: PhantomData })
    });
    let blockwise = Blockwise {
        name: format!("{} (find)", call.op).into(),
        kernel,
        maps,
        out: Meta { dtype: out.dtype, chunks: Chunks::new(axes) },
        // All positions may be in one block.
        out_bytes: Some(block_bytes.saturating_add(places_bytes)),
        scratch_bytes: places_bytes,
    };
    Node::of(ArrayOp::Blockwise(Arc::new(blockwise)), &[node, index])
}

/// What `size` blocks of the array each have together.
fn merged(call: Call, found: &Arc<Node>, axis: usize, size: u64) -> Result<Arc<Node>> {
    let last = found.ndim() - 1;
    let mut axes = found.meta.chunks.axes().to_vec();
    axes[last] = AxisChunks::uniform(axes[last].n_blocks().div_ceil(size), 1);
    // The last axis has a length of one in each block.
    let block_bytes = found.meta.block_bytes_max().unwrap_or(super::chunk_bytes()?);
    let bytes = block_bytes.saturating_add(places_bytes(&axes[axis])?);
    let dtype = found.meta.dtype;
    let kernel: Arc<dyn Kernel> = dispatch!(dtype, T => {
        Arc::new(MergeFoundKernel::<T> { call, axis, element: PhantomData })
    });
    let group = AxisMap::Group { axis: last, size };
    let maps = vec![BlockMap::axes((0..last).map(AxisMap::same).chain([group]))];
    let out = Meta { dtype, chunks: Chunks::new(axes) };
    let name = format!("{} (merge)", call.op).into();
    let blockwise = Blockwise { name, kernel, maps, out, out_bytes: Some(bytes), scratch_bytes: 0 };
    Node::of(ArrayOp::Blockwise(Arc::new(blockwise)), &[found])
}

/// Bytes of the places in a block of the index.
fn places_bytes(index: &AxisChunks) -> Result<u64> {
    Ok(index.max_len().map_or(super::chunk_bytes()?, |n| n.saturating_mul(8)))
}
