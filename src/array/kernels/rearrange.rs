//! Kernels that move elements without changing them: slices, permuted axes, rechunks, reshapes.

use std::iter;
use std::marker::PhantomData;
use std::sync::Arc;

use ndarray::{Axis, Dimension, IxDyn};

use super::copy::{copy_to, filled, slice_chunk, sliced, to_usize};
use super::read::standard;
use super::resident::block_shape;
use crate::array::chunk::{Chunk, chunk};
use crate::array::chunks::{AxisSlice, Chunks, Overlap, SlicePieces};
use crate::array::dtype::Element;
use crate::error::Result;
use crate::graph::{Block, Inputs, Kernel, TaskContext};
#[cfg(feature = "dist")]
use crate::graph::{KernelSpec, Unsendable};

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

    #[cfg(feature = "dist")]
    fn spec(&self) -> Result<KernelSpec, Unsendable> {
        Ok(KernelSpec::new("slice", &(T::DTYPE, &self.pieces)))
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

    #[cfg(feature = "dist")]
    fn spec(&self) -> Result<KernelSpec, Unsendable> {
        Ok(KernelSpec::new("permute", &(T::DTYPE, &self.axes)))
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

    #[cfg(feature = "dist")]
    fn spec(&self) -> Result<KernelSpec, Unsendable> {
        Ok(KernelSpec::new("reshape", &(T::DTYPE, &self.out)))
    }
}

/// Assembles each new block from the old blocks that it overlaps.
#[derive(Debug)]
pub(crate) struct RechunkKernel<T> {
    axes: Vec<Overlap>,
    element: PhantomData<fn() -> T>,
}

impl<T: Element> RechunkKernel<T> {
    /// `axes` lay the new chunks over those of the input.
    pub(crate) fn new(axes: Vec<Overlap>) -> Self {
        RechunkKernel { axes, element: PhantomData }
    }
}

impl<T: Element> Kernel for RechunkKernel<T> {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let mut blocks = inputs.take_slot(0).map(chunk::<T>);
        let first = blocks.next().expect("the map names one block for each overlap");
        // What each old block along an axis gives, one for each that the map names, and where to.
        let pieces = |((axis, &i), &len): ((&Overlap, &u64), &usize)| -> Vec<(AxisSlice, u64)> {
            // Nobody may know the lengths of blocks that stay as they are.
            if axis.is_identity() {
                return vec![(AxisSlice::full(len as u64), 0)];
            }
            let mut to = 0;
            let blocks = axis.blocks(i).into_iter().flatten();
            let pieces = blocks.map(|block| {
                let piece = axis.piece(i, block).expect("only known lengths are rechunked").local;
                to += piece.len;
                (piece, to - piece.len)
            });
            pieces.collect()
        };
        let overlaps: Vec<_> =
            self.axes.iter().zip(task.block).zip(first.data().shape()).map(pieces).collect();
        let part = |index: &[usize]| -> Vec<AxisSlice> {
            overlaps.iter().zip(index).map(|(axis, &k)| axis[k].0).collect()
        };
        let grid: Vec<usize> = overlaps.iter().map(Vec::len).collect();
        if grid.iter().all(|&n| n == 1) {
            return Ok(slice_chunk(first, &part(&vec![0; grid.len()]), task.pool));
        }
        let blocks = iter::once(first).chain(blocks);
        let end =
            |axis: &Vec<(AxisSlice, u64)>| axis.last().map_or(0, |(piece, to)| to + piece.len);
        let shape = to_usize(&overlaps.iter().map(end).collect::<Vec<_>>());
        let array = filled::<T>(&shape, task.pool, |mut out| {
            for (index, block) in ndarray::indices(IxDyn(&grid)).into_iter().zip(blocks) {
                let index: Vec<usize> = index.slice().to_vec();
                let piece = block.map(|data| sliced(data, &part(&index)));
                let mut place = out.view_mut();
                for (axis, &k) in index.iter().enumerate() {
                    let (piece, to) = overlaps[axis][k];
                    let range = to as isize..(to + piece.len) as isize;
                    place.slice_axis_inplace(Axis(axis), range.into());
                }
                copy_to(place, &piece.view());
            }
        });
        Ok(Block::new(Chunk::new(array, task.pool)))
    }

    #[cfg(feature = "dist")]
    fn spec(&self) -> Result<KernelSpec, Unsendable> {
        Ok(KernelSpec::new("rechunk", &(T::DTYPE, &self.axes)))
    }
}
