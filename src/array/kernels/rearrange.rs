//! Kernels that move elements without changing them: slices, permuted axes, rechunks, reshapes.

use std::marker::PhantomData;
use std::sync::Arc;

use ndarray::{Axis, Dimension, IxDyn};

use super::copy::{filled, slice_chunk, sliced};
use super::read::standard;
use super::resident::block_shape;
use crate::array::chunk::{Chunk, chunk};
use crate::array::chunks::{AxisSlice, Chunks, SlicePieces};
use crate::array::dtype::Element;
use crate::error::Result;
use crate::graph::{Block, Inputs, Kernel, KernelSpec, TaskContext};

/// Takes a part of one input block.
#[derive(Debug)]
pub(crate) struct SliceKernel<T> {
    /// What each output block takes; `None` for axes that are taken whole.
    pieces: Vec<Option<SlicePieces>>,
    element: PhantomData<fn() -> T>,
}

impl<T: Element> SliceKernel<T> {
    pub(crate) fn new(pieces: Vec<Option<SlicePieces>>) -> Self {
        SliceKernel { pieces, element: PhantomData }
    }
}

impl<T: Element> Kernel for SliceKernel<T> {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let input = chunk::<T>(inputs.take_one(0));
        let local = |(axis, pieces): (usize, &Option<SlicePieces>)| match pieces {
            Some(pieces) => {
                pieces.piece(task.block[axis]).expect("the grid has a block for each piece").local
            }
            None => AxisSlice::full(input.data().shape()[axis] as u64),
        };
        let slices: Vec<_> = self.pieces.iter().enumerate().map(local).collect();
        Ok(slice_chunk(input, &slices, task.pool))
    }

    fn spec(&self) -> Option<KernelSpec> {
        Some(KernelSpec::new("slice", T::DTYPE.name(), &self.pieces))
    }
}

/// Moves, adds and drops axes: a view.
#[derive(Debug)]
pub(crate) struct PermuteKernel<T> {
    axes: Arc<[Option<usize>]>,
    element: PhantomData<fn() -> T>,
}

impl<T: Element> PermuteKernel<T> {
    pub(crate) fn new(axes: Arc<[Option<usize>]>) -> Self {
        PermuteKernel { axes, element: PhantomData }
    }
}

impl<T: Element> Kernel for PermuteKernel<T> {
    fn run(&self, _task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let input = chunk::<T>(inputs.take_one(0));
        let permuted = input.map(|data| {
            let kept: Vec<usize> = self.axes.iter().flatten().copied().collect();
            let dropped = (0..data.ndim()).filter(|axis| !kept.contains(axis));
            let order: Vec<usize> = kept.iter().copied().chain(dropped).collect();
            let mut data = data.permuted_axes(IxDyn(&order));
            while data.ndim() > kept.len() {
                let last = Axis(data.ndim() - 1);
                data = data.index_axis_move(last, 0);
            }
            for (position, axis) in self.axes.iter().enumerate() {
                if axis.is_none() {
                    data = data.insert_axis(Axis(position));
                }
            }
            data
        });
        Ok(Block::new(permuted))
    }

    fn spec(&self) -> Option<KernelSpec> {
        Some(KernelSpec::new("permute", T::DTYPE.name(), &self.axes))
    }
}

/// Gives a block another shape; its elements in C order stay where they are.
#[derive(Debug)]
pub(crate) struct ReshapeKernel<T> {
    out: Chunks,
    element: PhantomData<fn() -> T>,
}

impl<T: Element> ReshapeKernel<T> {
    pub(crate) fn new(out: Chunks) -> Self {
        ReshapeKernel { out, element: PhantomData }
    }
}

impl<T: Element> Kernel for ReshapeKernel<T> {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let input = standard(chunk::<T>(inputs.take_one(0)), task.pool);
        let shape = block_shape(&self.out, task.block);
        let reshaped = input.map(|data| {
            data.into_shape_with_order(IxDyn(&shape))
                .expect("the planner pairs blocks of equal size, and this one is in C order")
        });
        Ok(Block::new(reshaped))
    }

    fn spec(&self) -> Option<KernelSpec> {
        Some(KernelSpec::new("reshape", T::DTYPE.name(), &self.out))
    }
}

/// Assembles each new block from the old blocks that it overlaps.
#[derive(Debug)]
pub(crate) struct RechunkKernel<T> {
    old: Chunks,
    new: Chunks,
    element: PhantomData<fn() -> T>,
}

impl<T: Element> RechunkKernel<T> {
    pub(crate) fn new(old: Chunks, new: Chunks) -> Self {
        RechunkKernel { old, new, element: PhantomData }
    }
}

/// What one old block gives to a new one along one axis.
#[derive(Clone, Copy)]
struct Overlap {
    /// From where, in positions of the old block.
    from: u64,
    /// To where, in positions of the new block.
    to: u64,
    len: u64,
}

impl<T: Element> RechunkKernel<T> {
    /// The overlaps of new block `i` along an axis, one for each old block that it reads.
    fn overlaps(&self, axis: usize, i: u64) -> Vec<Overlap> {
        let known = "only known lengths are rechunked";
        let old = &self.old.axes()[axis];
        let new = self.new.axes()[axis].block_range(i).expect(known);
        let (first, end) = blocks_read(&self.old, &self.new, axis, i);
        let overlap = |block| {
            let old = old.block_range(block).expect(known);
            let (start, end) = (old.start.max(new.start), old.end.min(new.end));
            Overlap {
                from: start.saturating_sub(old.start),
                to: start.saturating_sub(new.start),
                len: end.saturating_sub(start),
            }
        };
        (first..end).map(overlap).collect()
    }
}

/// The old blocks that new block `i` reads along an axis, from inclusive to exclusive.
///
/// An empty block reads its neighbour, of which it takes nothing.
pub(crate) fn blocks_read(old: &Chunks, new: &Chunks, axis: usize, i: u64) -> (u64, u64) {
    let (old, new) = (&old.axes()[axis], &new.axes()[axis]);
    let range = new.block_range(i).expect("only known lengths are rechunked");
    let last = old.n_blocks() - 1;
    let first = old.block_at(range.start).min(last);
    if range.is_empty() {
        return (first, first + 1);
    }
    (first, old.block_at(range.end - 1).min(last) + 1)
}

impl<T: Element> Kernel for RechunkKernel<T> {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let overlaps: Vec<_> =
            task.block.iter().enumerate().map(|(axis, &i)| self.overlaps(axis, i)).collect();
        let part = |index: &[usize]| -> Vec<AxisSlice> {
            let along = overlaps.iter().zip(index);
            along.map(|(axis, &k)| AxisSlice::new(axis[k].from, axis[k].len, 1)).collect()
        };
        let mut blocks = inputs.take_slot(0);
        if overlaps.iter().all(|axis| axis.len() == 1) {
            let block = blocks.next().expect("the map names one block for each overlap");
            return Ok(slice_chunk(chunk::<T>(block), &part(&vec![0; overlaps.len()]), task.pool));
        }
        let grid: Vec<usize> = overlaps.iter().map(Vec::len).collect();
        let shape = block_shape(&self.new, task.block);
        let array = filled::<T>(&shape, task.pool, |mut out| {
            for (index, block) in ndarray::indices(IxDyn(&grid)).into_iter().zip(blocks) {
                let index: Vec<usize> = index.slice().to_vec();
                let piece = chunk::<T>(block).map(|data| sliced(data, &part(&index)));
                let mut place = out.view_mut();
                for (axis, &k) in index.iter().enumerate() {
                    let Overlap { to, len, .. } = overlaps[axis][k];
                    place.slice_axis_inplace(Axis(axis), (to as isize..(to + len) as isize).into());
                }
                place.assign(&piece.view());
            }
        });
        Ok(Block::new(Chunk::new(array, task.pool)))
    }

    fn spec(&self) -> Option<KernelSpec> {
        Some(KernelSpec::new("rechunk", T::DTYPE.name(), (&self.old, &self.new)))
    }
}
