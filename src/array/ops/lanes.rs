//! Users' functions of whole lanes along an axis.

use std::sync::Arc;

use ndarray::{Array1, ArrayD, ArrayView1, Axis, IxDyn};

use super::map_blocks::mapped;
use crate::array::args::AxisRef;
use crate::array::chunks::{AxisChunks, cut_within};
use crate::array::dtype::Element;
use crate::array::expr::Handle;
use crate::error::Call;
use crate::graph::{AxisMap, BlockMap};

/// `function` of each lane along an axis, which makes `len` elements of it.
///
/// The axis becomes one block on the way, and the others are cut so that blocks do not outgrow those of the array
/// and the chunk size.
pub(crate) fn along_axis<T: Element, U: Element>(
    call: Call,
    x: &Handle,
    axis: &AxisRef,
    len: u64,
    function: impl Fn(ArrayView1<'_, T>) -> Array1<U> + Send + Sync + 'static,
) -> Handle {
    x.then(|node| {
        let axis = axis.resolve(call, node.ndim(), node.dim_names())?;
        let n = node.axis_len(call, axis)?;
        let itemsize =
            (size_of::<T>() as u64).max((size_of::<U>() as u64).saturating_mul(len) / n.max(1));
        let largest = node.meta.block_bytes_max().unwrap_or(0).max(super::chunk_bytes()?);
        let len_max = largest / itemsize.max(1);
        let whole = node.meta.chunks.with_axis(axis, AxisChunks::whole(n));
        // All other axes, of which there are two ranges.
        let cut = cut_within(cut_within(whole, 0..axis, len_max), axis + 1..node.ndim(), len_max);
        let lanes = node.in_chunks(cut.clone())?;
        let chunks = super::countable(call, cut.with_axis(axis, AxisChunks::whole(len)))?;
        let of_block = move |block: ndarray::ArrayViewD<'_, T>, _: &_| {
            let mut shape = block.shape().to_vec();
            shape[axis] = len as usize;
            let mut out = ArrayD::<U>::from_elem(IxDyn(&shape), U::default());
            let lanes = block.lanes(Axis(axis)).into_iter();
            for (lane, mut out) in lanes.zip(out.lanes_mut(Axis(axis))) {
                let made = function(lane);
                if made.len() as u64 != len {
                    // A shape that is not the declared one is refused where the block is checked.
                    shape[axis] = made.len();
                    return ArrayD::from_elem(IxDyn(&shape), U::default());
                }
                out.assign(&made);
            }
            out
        };
        let map = BlockMap::axes((0..node.ndim()).map(AxisMap::same));
        let mapped = mapped(call, &Arc::clone(&lanes), map, chunks, 0, of_block)?;
        Ok(mapped.with_note(node.note.clone()))
    })
}
