//! Expressions of arrays.

use std::sync::Arc;

use super::chunks::Chunks;
use super::meta::Meta;
use super::op::ArrayOp;
use crate::error::{Call, Error, Result};
use crate::graph::{self, Step};

/// The names of the dimensions of an array.
pub(crate) type DimNames = Arc<[Arc<str>]>;

/// One step of an expression of arrays; its note is the names of the dimensions.
pub(crate) type Node = graph::Node<ArrayOp>;

/// An untyped array: an expression or an error.
pub(crate) type Handle = graph::Handle<ArrayOp>;

impl Step for ArrayOp {
    type Note = Option<DimNames>;

    fn note(&self, inputs: &[&Arc<Node>], meta: &Meta) -> Option<DimNames> {
        match self {
            ArrayOp::Permute(axes) => {
                let names = inputs[0].dim_names()?;
                axes.iter().map(|axis| axis.map(|axis| Arc::clone(&names[axis]))).collect()
            }
            ArrayOp::Reshape(_) | ArrayOp::Contract(_) | ArrayOp::Blockwise(_) => None,
            _ => inputs
                .iter()
                .filter(|node| node.ndim() == meta.chunks.ndim())
                .find_map(|node| node.dim_names().cloned()),
        }
    }
}

impl Node {
    pub(crate) fn ndim(&self) -> usize {
        self.meta.chunks.ndim()
    }

    pub(crate) fn dim_names(&self) -> Option<&DimNames> {
        self.note.as_ref()
    }

    /// The lengths of all axes, which `call` needs.
    pub(crate) fn known_shape(&self, call: Call) -> Result<Vec<u64>> {
        self.meta.chunks.known_shape().ok_or_else(|| Error::UnknownChunks {
            call,
            axis: self.meta.chunks.first_unknown().unwrap_or(0),
        })
    }

    /// The length of an axis, which `call` needs.
    pub(crate) fn axis_len(&self, call: Call, axis: usize) -> Result<u64> {
        self.meta.chunks.axes()[axis].len().ok_or(Error::UnknownChunks { call, axis })
    }

    /// The same values in other chunks; the expression itself if it has these already.
    pub(crate) fn in_chunks(self: &Arc<Node>, chunks: Chunks) -> Result<Arc<Node>> {
        if chunks == self.meta.chunks {
            return Ok(Arc::clone(self));
        }
        Node::of(ArrayOp::Rechunk(chunks), &[self])
    }
}
