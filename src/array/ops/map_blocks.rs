//! Users' functions of whole blocks.

use std::sync::Arc;

use ndarray::{ArrayD, ArrayViewD};

use super::gufunc::{in_loops, map_of};
use super::selections::blockwise;
use crate::array::chunks::{Chunks, unify_broadcast};
use crate::array::dtype::Element;
use crate::array::expr::{Handle, Node};
use crate::array::kernels::map_blocks::{
    BlockFunction, BlockInfo, MapBlocksKernel, of_block, shape_of,
};
use crate::array::meta::Meta;
use crate::error::{Call, Error, Result};
use crate::graph::{AxisMap, BlockMap};

/// `function` of each block. `chunks` are those of the result if they differ from the input's; they have one block for
/// each block of the input, and axes of one block may come and go.
pub(crate) fn map_blocks<T: Element, U: Element>(
    call: Call,
    x: &Handle,
    chunks: Option<Chunks>,
    function: impl Fn(ArrayViewD<'_, T>, &BlockInfo) -> ArrayD<U> + Send + Sync + 'static,
) -> Handle {
    x.then(|node| {
        let chunks = declared(call, node, chunks)?;
        let is_same = chunks.grid() == node.meta.chunks.grid();
        let names = node.note.clone().filter(|_| chunks.ndim() == node.ndim());
        let map = match is_same {
            true => BlockMap::axes((0..chunks.ndim()).map(AxisMap::same)),
            false => BlockMap::Linear,
        };
        Ok(mapped(call, node, map, chunks, 0, function)?.with_note(names))
    })
}

/// `function` of the block that `map` names for each block of `chunks`.
pub(crate) fn mapped<T: Element, U: Element>(
    call: Call,
    node: &Arc<Node>,
    map: BlockMap,
    chunks: Chunks,
    scratch_bytes: u64,
    function: impl Fn(ArrayViewD<'_, T>, &BlockInfo) -> ArrayD<U> + Send + Sync + 'static,
) -> Result<Arc<Node>> {
    node_of::<U>(call, &[(node, map)], chunks, scratch_bytes, of_block(function))
}

/// `function` of the blocks that several arrays, which broadcast, have at one place.
pub(crate) fn map_blocks_of<U: Element>(
    call: Call,
    arrays: &[&Handle],
    function: Arc<dyn BlockFunction>,
) -> Handle {
    Handle::join(arrays, |nodes| {
        let own: Vec<&Chunks> = nodes.iter().map(|node| &node.meta.chunks).collect();
        let chunks = super::countable(call, unify_broadcast(call, &own)?)?;
        let fit = |node: &&Arc<Node>| in_loops(node, node.ndim(), &chunks);
        let fit: Vec<Arc<Node>> = nodes.iter().map(fit).collect::<Result<_>>()?;
        let slots: Vec<_> =
            fit.iter().map(|node| (node, map_of(node, node.ndim(), &chunks))).collect();
        let mut names = nodes.iter().filter(|node| node.ndim() == chunks.ndim());
        let names = names.find_map(|node| node.note.clone());
        Ok(node_of::<U>(call, &slots, chunks.clone(), 0, function)?.with_note(names))
    })
}

fn node_of<U: Element>(
    call: Call,
    inputs: &[(&Arc<Node>, BlockMap)],
    chunks: Chunks,
    scratch_bytes: u64,
    function: Arc<dyn BlockFunction>,
) -> Result<Arc<Node>> {
    let kernel = MapBlocksKernel { call, function, out: chunks.clone(), shape_of: shape_of::<U> };
    let out = Meta { dtype: U::DTYPE, chunks };
    blockwise(call, Arc::new(kernel), inputs, out, None, scratch_bytes)
}

fn declared(call: Call, node: &Node, chunks: Option<Chunks>) -> Result<Chunks> {
    let Some(chunks) = chunks else { return Ok(node.meta.chunks.clone()) };
    let cut = |chunks: &Chunks| -> Vec<u64> {
        chunks.grid().into_iter().filter(|n_blocks| *n_blocks != 1).collect()
    };
    if cut(&chunks) == cut(&node.meta.chunks) {
        return super::countable(call, chunks);
    }
    Err(Error::InvalidChunks {
        call,
        got: chunks.to_string(),
        shape: chunks.known_shape().unwrap_or_default(),
        problem: "the result needs one block for each block of the input, apart from axes of one block",
    })
}
