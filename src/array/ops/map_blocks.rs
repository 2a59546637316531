//! Users' functions of whole blocks.

use std::sync::Arc;

use ndarray::{ArrayD, ArrayViewD};

use crate::array::chunks::Chunks;
use crate::array::dtype::Element;
use crate::array::expr::{Handle, Node};
use crate::array::kernels::map_blocks::{BlockInfo, MapBlocksKernel, OneInput, shape_of};
use crate::array::meta::Meta;
use crate::array::op::{ArrayOp, Blockwise};
use crate::error::{Call, Error, Result};
use crate::graph::{AxisMap, BlockMap};

/// `function` of each block. `chunks` are those of the result if they differ from the input's;
/// they have one block for each block of the input.
pub(crate) fn map_blocks<T: Element, U: Element>(
    call: Call,
    x: &Handle,
    chunks: Option<Chunks>,
    function: impl Fn(ArrayViewD<'_, T>, &BlockInfo) -> ArrayD<U> + Send + Sync + 'static,
) -> Handle {
    x.then(|node| {
        let chunks = declared(call, node, chunks)?;
        let axes = node.meta.chunks.axes().iter().enumerate();
        let maps = axes.map(|(axis, chunks)| match chunks.n_blocks() {
            1 => AxisMap::At(0),
            _ => AxisMap::same(axis),
        });
        let mapped = mapped(call, node, BlockMap::axes(maps), chunks, 0, function)?;
        Ok(mapped.with_note(node.note.clone()))
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
    let kernel = MapBlocksKernel {
        call,
        function: Arc::new(OneInput::new(function)),
        out: chunks.clone(),
        shape_of: shape_of::<U>,
    };
    let blockwise = Blockwise {
        name: call.op.into(),
        kernel: Arc::new(kernel),
        maps: vec![map],
        out: Meta { dtype: U::DTYPE, chunks },
        out_bytes: None,
        scratch_bytes,
    };
    Node::of(ArrayOp::Blockwise(Arc::new(blockwise)), &[node])
}

fn declared(call: Call, node: &Node, chunks: Option<Chunks>) -> Result<Chunks> {
    let Some(chunks) = chunks else { return Ok(node.meta.chunks.clone()) };
    if chunks.grid() == node.meta.chunks.grid() {
        return super::countable(call, chunks);
    }
    Err(Error::InvalidChunks {
        call,
        got: chunks.to_string(),
        shape: chunks.known_shape().unwrap_or_default(),
        problem: "the result needs one block for each block of the input",
    })
}
