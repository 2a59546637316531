//! Elements looked up in a vector: where they would stand in it, and whether they are in it.

use std::sync::Arc;

use super::reductions::{over, reduce};
use super::selections::blockwise;
use crate::array::chunks::{AxisChunks, Chunks};
use crate::array::dtype::{DType, dispatch};
use crate::array::expr::{Handle, Node};
use crate::array::kernels::ReduceKind;
use crate::array::kernels::lookup::{Lookup, LookupKernel};
use crate::array::meta::Meta;
use crate::array::op::{ArrayOp, Blockwise};
use crate::error::{Call, Error, Result};
use crate::graph::{AxisMap, BlockMap, Kernel};

/// What `lookup` finds out about each element of `x` in a vector.
///
/// Each block meets each block of the vector; what it finds there is added up, since a vector that is sorted
/// has as many smaller elements as its blocks have together.
pub(crate) fn lookup(call: Call, x: &Handle, vector: &Handle, lookup: Lookup) -> Handle {
    let partial = Handle::join(&[x, vector], |nodes| partial(call, nodes[0], nodes[1], lookup));
    let kind = if lookup == Lookup::IsIn { ReduceKind::Any } else { ReduceKind::Sum };
    reduce(call, &partial, kind, false, &over(-1))
}

fn partial(call: Call, x: &Arc<Node>, vector: &Arc<Node>, lookup: Lookup) -> Result<Arc<Node>> {
    let dtype = x.meta.dtype;
    if vector.ndim() != 1 {
        return Err(Error::InvalidArgument {
            call,
            argument: "vector",
            got: format!("{} dimensions", vector.ndim()),
            expected: "a vector",
        });
    }
    let kernel: Arc<dyn Kernel> = dispatch!(dtype, T => Arc::new(LookupKernel::<T>::new(lookup)));
    let ndim = x.ndim();
    let others = &vector.meta.chunks.axes()[0];
    let mut axes = x.meta.chunks.axes().to_vec();
    axes.push(AxisChunks::uniform(others.n_blocks(), 1));
    let out = Meta {
        dtype: if lookup == Lookup::IsIn { DType::Bool } else { DType::I64 },
        chunks: Chunks::new(axes),
    };
    // Positions may be wider than what is looked up.
    let out = super::not_grown(out, 0..ndim, &[x])?;
    let x = x.in_chunks(Chunks::new(out.chunks.axes()[..ndim].to_vec()))?;
    let blockwise = Blockwise {
        name: call.op.into(),
        kernel,
        maps: vec![
            BlockMap::axes((0..ndim).map(AxisMap::same)),
            BlockMap::axes([AxisMap::same(ndim)]),
        ],
        out,
        out_bytes: None,
        scratch_bytes: vector.meta.block_bytes_max().unwrap_or(super::chunk_bytes()?),
    };
    Node::of(ArrayOp::Blockwise(Arc::new(blockwise)), &[&x, vector])
}

/// Where each element of `x` stands in a vector that ascends and is one block, as codes of groups.
pub(crate) fn places(call: Call, x: &Arc<Node>, vector: &Arc<Node>) -> Result<Arc<Node>> {
    let kernel: Arc<dyn Kernel> =
        dispatch!(x.meta.dtype, T => Arc::new(LookupKernel::<T>::new(Lookup::Place)));
    let inputs = [
        (x, BlockMap::axes((0..x.ndim()).map(AxisMap::same))),
        (vector, BlockMap::axes([AxisMap::At(0)])),
    ];
    let out = Meta { dtype: DType::U32, chunks: x.meta.chunks.clone() };
    blockwise(call, kernel, &inputs, out, None, vector.meta.block_bytes_max().unwrap_or(0))
}
