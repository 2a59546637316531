//! Elements that are picked by positions which are themselves computed.

use std::marker::PhantomData;
use std::sync::Arc;

use crate::array::args::AxisRef;
use crate::array::chunks::limit::check_listed;
use crate::array::chunks::{AxisChunks, Chunks};
use crate::array::dtype::{DType, dispatch};
use crate::array::expr::{Handle, Node};
use crate::array::kernels::pick::{FindKernel, GatherKernel};
use crate::array::meta::Meta;
use crate::array::op::{ArrayOp, Blockwise};
use crate::error::{Call, Error, Result};
use crate::graph::{AxisMap, BlockMap, Kernel};

/// The elements along an axis at the positions in a vector of `i64`.
///
/// Each block of the vector looks into each block of the array, and takes what is there; a second step puts
/// together what belongs to one block of the vector.
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
        let found = found(call, node, &index, axis, &out)?;
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
    let from = node.meta.chunks.axes()[axis].clone();
    let mut axes = out.chunks.axes().to_vec();
    axes.push(AxisChunks::uniform(from.n_blocks(), 1));
    let of_array = |i| AxisMap::same(if i == axis { ndim } else { i });
    let maps = vec![BlockMap::axes((0..ndim).map(of_array)), BlockMap::axes([AxisMap::same(axis)])];
    let n_places = index.meta.chunks.axes()[0].max_len();
    let places_bytes = n_places.map_or(super::chunk_bytes()?, |n| n.saturating_mul(8));
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
