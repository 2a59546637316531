//! Expressions of arrays.

use std::sync::Arc;

use super::chunks::Chunks;
use super::meta::Meta;
use super::op::ArrayOp;
use crate::error::{Call, Error, Result};
use crate::graph::{self, Step};

/// The names of the dimensions of an array, some of which may have none: theirs is empty.
pub(crate) type DimNames = Arc<[Arc<str>]>;

/// The names of axes, if one has a name.
pub(crate) fn dim_names_of(names: impl IntoIterator<Item = Option<Arc<str>>>) -> Option<DimNames> {
    let names: DimNames = names.into_iter().map(Option::unwrap_or_default).collect();
    names.iter().any(|name| !name.is_empty()).then_some(names)
}

/// Some names, and those of `others` where an axis has none.
fn joined(names: DimNames, others: &DimNames) -> DimNames {
    if names.iter().all(|name| !name.is_empty()) {
        return names;
    }
    let pairs = names.iter().zip(others.iter());
    pairs.map(|(name, other)| Arc::clone(if name.is_empty() { other } else { name })).collect()
}

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
                dim_names_of(axes.iter().map(|axis| axis.map(|axis| Arc::clone(&names[axis]))))
            }
            ArrayOp::Broadcast(chunks) => {
                let names = inputs[0].dim_names()?;
                let new = std::iter::repeat_n(None, chunks.ndim() - names.len());
                dim_names_of(new.chain(names.iter().cloned().map(Some)))
            }
            ArrayOp::Contract(contraction) => {
                let [left, right] = contraction.roles([inputs[0].ndim(), inputs[1].ndim()]);
                let free = [&left.free[..], &right.free[..]];
                names_of_product(&contraction.batch, free, inputs, meta)
            }
            ArrayOp::Reshape(_) | ArrayOp::Blockwise(_) => None,
            _ => {
                let inputs = inputs.iter().filter(|node| node.ndim() == meta.chunks.ndim());
                let mut named = inputs.filter_map(|node| node.dim_names());
                let first = Arc::clone(named.next()?);
                Some(named.fold(first, joined))
            }
        }
    }
}

/// The names of the axes of a product that pairs of axes, and the free ones of both sides, become, each once.
fn names_of_product(
    batch: &[(usize, usize)],
    free: [&[usize]; 2],
    inputs: &[&Arc<Node>],
    meta: &Meta,
) -> Option<DimNames> {
    let name = |side: usize, axis: usize| {
        let name = inputs[side].dim_names().map(|names| Arc::clone(&names[axis]));
        name.filter(|name| !name.is_empty())
    };
    let batch = batch.iter().map(|&(left, right)| name(0, left).or(name(1, right)));
    let free = (0..2).flat_map(|side| free[side].iter().map(move |axis| (side, *axis)));
    let mut names: Vec<_> = batch.chain(free.map(|(side, axis)| name(side, axis))).collect();
    for axis in 1..names.len() {
        if names[..axis].contains(&names[axis]) {
            names[axis] = None;
        }
    }
    names.resize(meta.chunks.ndim(), None);
    dim_names_of(names)
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
