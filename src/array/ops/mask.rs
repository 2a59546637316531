//! Elements that are picked by a mask, of which nobody knows before computing how many there are.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::grids::index_along;
use super::manipulation::reshape;
use crate::array::args::{AxisRef, Shape};
use crate::array::chunks::{AxisChunks, Chunks, unify};
use crate::array::dtype::{DType, dispatch};
use crate::array::expr::{Handle, Node};
use crate::array::kernels::filter::FilterKernel;
use crate::array::meta::Meta;
use crate::array::op::{ArrayOp, Blockwise};
use crate::error::{Call, Error, Result};
use crate::graph::{AxisMap, BlockMap, Kernel};

/// The positions of an axis for which a mask of its length holds.
pub(crate) fn compress(call: Call, x: &Handle, mask: &Handle, axis: &AxisRef) -> Handle {
    Handle::join(&[x, mask], |nodes| {
        let axis = axis.resolve(call, nodes[0].ndim(), nodes[0].dim_names())?;
        filtered(call, nodes[0], nodes[1], axis)
    })
}

/// The elements in C order for which a mask of the same shape holds.
pub(crate) fn mask(call: Call, x: &Handle, mask: &Handle) -> Handle {
    Handle::join(&[x, mask], |nodes| {
        let (shape, of_mask) = (nodes[0].meta.chunks.shape(), nodes[1].meta.chunks.shape());
        if shape != of_mask {
            return Err(mismatch(call, &shape, &of_mask));
        }
        if nodes[0].ndim() == 1 {
            return filtered(call, nodes[0], nodes[1], 0);
        }
        let flat = |x: &Handle| reshape(call, x, &Shape::from(-1));
        let (flat_x, flat_mask) = (flat(x), flat(mask));
        filtered_by(call, flat_x.node()?, flat_mask.node()?, 0, nodes[1])
    })
}

fn mismatch(call: Call, array: &[Option<u64>], mask: &[Option<u64>]) -> Error {
    let shape = |lengths: &[Option<u64>]| lengths.iter().map(|len| len.unwrap_or(0)).collect();
    Error::ShapeMismatch {
        call,
        left: shape(mask),
        right: shape(array),
        remedy: "a mask needs the shape of the array, or of the axis that it is for",
    }
}

fn filtered(call: Call, x: &Arc<Node>, mask: &Arc<Node>, axis: usize) -> Result<Arc<Node>> {
    let (axis_shape, of_mask) = (x.meta.chunks.axes()[axis].len(), mask.meta.chunks.shape());
    if of_mask != [axis_shape] {
        return Err(mismatch(call, &[axis_shape], &of_mask));
    }
    filtered_by(call, x, mask, axis, mask)
}

/// `x` along `axis` where `mask` holds, which has the same elements as `source`.
fn filtered_by(
    call: Call,
    x: &Arc<Node>,
    mask: &Arc<Node>,
    axis: usize,
    source: &Node,
) -> Result<Arc<Node>> {
    let common = unify(call, &[&x.meta.chunks.axes()[axis], &mask.meta.chunks.axes()[0]])?;
    let x = x.in_chunks(x.meta.chunks.with_axis(axis, common.clone()))?;
    let mask = mask.in_chunks(Chunks::new(vec![common.clone()]))?;
    // The same mask in the same chunks leaves blocks of the same lengths, whatever it is put on.
    let mut hasher = DefaultHasher::new();
    (source.serial, &common).hash(&mut hasher);
    let left = AxisChunks::unknown(common.n_blocks(), hasher.finish());
    let dtype = x.meta.dtype;
    let kernel: Arc<dyn Kernel> = dispatch!(dtype, T => Arc::new(FilterKernel::<T>::new(axis)));
    let blockwise = Blockwise {
        name: call.op.into(),
        kernel,
        maps: vec![
            BlockMap::axes((0..x.ndim()).map(AxisMap::same)),
            BlockMap::axes([AxisMap::same(axis)]),
        ],
        out: Meta { dtype, chunks: x.meta.chunks.with_axis(axis, left) },
        out_bytes: x.meta.block_bytes_max(),
        scratch_bytes: 0,
    };
    Ok(Node::of(ArrayOp::Blockwise(Arc::new(blockwise)), &[&x, &mask])?.with_note(x.note.clone()))
}

/// The indices along each axis of the elements that are not zero, in C order.
pub(crate) fn nonzero(call: Call, x: &Handle) -> Vec<Handle> {
    let ndim = x.node().map_or(1, |node| node.ndim());
    let is_set = super::elementwise::cast(call, x, DType::Bool);
    let along = |axis| {
        let index = x.then(|node| {
            super::creation::create_in_chunks(call, index_along(axis), node.meta.chunks.clone())
        });
        mask(call, &index, &is_set)
    };
    (0..ndim).map(along).collect()
}

/// The indices of the elements that are not zero, a row for each.
pub(crate) fn argwhere(call: Call, x: &Handle) -> Handle {
    let indices = nonzero(call, x);
    super::joins::stack(call, &indices.iter().collect::<Vec<_>>(), &AxisRef::from(1))
}
