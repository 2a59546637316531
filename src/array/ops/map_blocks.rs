//! Users' functions of whole blocks.

use std::sync::Arc;

use ndarray::{ArrayD, ArrayViewD};

use crate::array::chunks::Chunks;
use crate::array::dtype::Element;
use crate::array::expr::{Handle, Node};
use crate::array::kernels::map_blocks::{BlockInfo, OneInput, shape_of};
use crate::array::meta::Meta;
use crate::array::op::{ArrayOp, MapBlocks};
use crate::error::{Call, Error, Result};

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
        let map = MapBlocks {
            name: call.op.into(),
            call,
            function: Arc::new(OneInput::new(function)),
            out: Meta { dtype: U::DTYPE, chunks },
            shape_of: shape_of::<U>,
        };
        Node::of(ArrayOp::MapBlocks(Arc::new(map)), &[node])
    })
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
