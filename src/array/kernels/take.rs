//! Picks elements by position.

use std::marker::PhantomData;
use std::sync::Arc;

use ndarray::{ArrayViewD, ArrayViewMutD, Axis};

use super::copy::{filled, to_usize};
use crate::array::chunk::{Chunk, chunk};
use crate::array::chunks::{AxisChunks, take_sources};
use crate::array::dtype::Element;
use crate::error::{Error, Result};
use crate::graph::{Block, Identity, Inputs, Kernel, TaskContext};
#[cfg(feature = "dist")]
use crate::graph::{KernelSpec, Unsendable};

/// Picks the elements of an output block from the input blocks that have some of them.
#[derive(Debug)]
pub(crate) struct TakeKernel<T> {
    axis: usize,
    /// The axis of the input.
    from: AxisChunks,
    index: Arc<[u64]>,
    /// How the index is cut into blocks.
    chunks: AxisChunks,
    element: PhantomData<fn() -> T>,
}

impl<T: Element> TakeKernel<T> {
    pub(crate) fn new(
        axis: usize,
        from: AxisChunks,
        index: Arc<[u64]>,
        chunks: AxisChunks,
    ) -> Self {
        TakeKernel { axis, from, index, chunks, element: PhantomData }
    }
}

impl<T: Element> Kernel for TakeKernel<T> {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let range = self.chunks.block_range(task.block[self.axis]).unwrap_or(0..0);
        let index = &self.index[range.start as usize..range.end as usize];
        let sources = take_sources(&self.from, index).ok_or_else(|| Error::Internal {
            place: "take".into(),
            problem: "a position is past the end of the axis".into(),
        })?;
        let blocks: Vec<Chunk<T>> = inputs.take_slot(0).map(chunk::<T>).collect();
        let mut shape = blocks[0].view().shape().to_vec();
        shape[self.axis] = index.len();
        let out = filled::<T>(&shape, task.pool, |mut out| {
            for (source, block) in sources.iter().zip(&blocks) {
                let (from, to) = (to_usize(&source.from), to_usize(&source.to));
                gather(self.axis, &block.view(), &from, &mut out, &to);
            }
        });
        Ok(Block::new(Chunk::new(out, task.pool)))
    }

    fn identity(&self) -> Option<Identity> {
        Some(Identity::new(
            "take",
            T::DTYPE.name(),
            (self.axis, &self.from, &self.index, &self.chunks),
        ))
    }

    #[cfg(feature = "dist")]
    fn spec(&self) -> Result<KernelSpec, Unsendable> {
        Ok(KernelSpec::new("take", &(T::DTYPE, self.axis, &self.from, &self.index, &self.chunks)))
    }
}

/// The same where both are in C order, of which the axis has some lengths, and its elements are rows of `row_len`.
fn gather_rows<T: Copy>(
    all: &[T],
    out: &mut [T],
    [from_len, to_len]: [usize; 2],
    row_len: usize,
    from: &[usize],
    to: &[usize],
) {
    if all.is_empty() || out.is_empty() {
        return;
    }
    let parts = all.chunks_exact(from_len * row_len).zip(out.chunks_exact_mut(to_len * row_len));
    for (all, out) in parts {
        if row_len == 1 {
            from.iter().zip(to).for_each(|(&from, &to)| out[to] = all[from]);
            continue;
        }
        for (&from, &to) in from.iter().zip(to) {
            out[to * row_len..][..row_len].copy_from_slice(&all[from * row_len..][..row_len]);
        }
    }
}

/// Copies positions `from` of an axis of `block` to positions `to` of `out`.
fn gather<T: Element>(
    axis: usize,
    block: &ArrayViewD<'_, T>,
    from: &[usize],
    out: &mut ArrayViewMutD<'_, T>,
    to: &[usize],
) {
    let lens = [block.shape()[axis], out.shape()[axis]];
    let row_len = block.shape()[axis + 1..].iter().product();
    if let (Some(all), Some(out)) = (block.as_slice(), out.as_slice_mut()) {
        return gather_rows(all, out, lens, row_len, from, to);
    }
    let axis = Axis(axis);
    if axis.index() + 1 < block.ndim() {
        for (&from, &to) in from.iter().zip(to) {
            out.index_axis_mut(axis, to).assign(&block.index_axis(axis, from));
        }
        return;
    }
    // Along the last axis whole lanes are better than single elements of all of them.
    for (block, mut out) in block.lanes(axis).into_iter().zip(out.lanes_mut(axis)) {
        for (&from, &to) in from.iter().zip(to) {
            out[to] = block[from];
        }
    }
}
