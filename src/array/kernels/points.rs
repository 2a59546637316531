//! Picks single points of blocks, and puts points of several blocks into an order.

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;

use ndarray::{ArrayViewD, Axis};

use super::copy::filled;
use super::read::standard;
use crate::array::chunk::{Chunk, chunk};
use crate::array::chunks::AxisChunks;
use crate::array::dtype::Element;
use crate::error::Result;
use crate::graph::{Block, Identity, Inputs, Kernel, TaskContext};
#[cfg(feature = "dist")]
use crate::graph::{KernelSpec, Unsendable};

/// Picks the points that an output block has, all of which are in one input block. They stand along a
/// new first axis; the other axes stay.
#[derive(Debug)]
pub(crate) struct PointsKernel<T> {
    /// The axes that points have positions on, ascending, and these positions in their blocks.
    pub(crate) axes: Vec<(usize, Arc<[u64]>)>,
    /// How the points are cut into blocks.
    pub(crate) points: AxisChunks,
    pub(crate) element: PhantomData<fn() -> T>,
}

impl<T: Element> PointsKernel<T> {
    /// Picks single elements of a block in C order.
    fn pick(&self, all: &[T], strides: &[isize], range: Range<usize>, out: &mut [T]) {
        for (i, out) in range.zip(out) {
            let axes = self.axes.iter().zip(strides);
            let at = axes.map(|((_, positions), stride)| positions[i] as usize * *stride as usize);
            *out = all[at.sum::<usize>()];
        }
    }
}

impl<T: Element> Kernel for PointsKernel<T> {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let block = chunk::<T>(inputs.take_one(0));
        let range = self.points.block_range(task.block[0]).unwrap_or(0..0);
        let range = range.start as usize..range.end as usize;
        let kept = (0..block.view().ndim()).filter(|axis| self.axes.iter().all(|(a, _)| a != axis));
        let mut shape = vec![range.len()];
        shape.extend(kept.map(|axis| block.view().shape()[axis]));
        let out = filled::<T>(&shape, task.pool, |mut out| {
            if let (Some(all), Some(out), true) =
                (block.data().as_slice(), out.as_slice_mut(), shape.len() == 1)
            {
                return self.pick(all, block.data().strides(), range, out);
            }
            for (i, mut out) in range.zip(out.axis_iter_mut(Axis(0))) {
                let mut part: ArrayViewD<'_, T> = block.view();
                // From the last axis on, so that the numbers of the others stay.
                for (axis, positions) in self.axes.iter().rev() {
                    part = part.index_axis_move(Axis(*axis), positions[i] as usize);
                }
                out.assign(&part);
            }
        });
        Ok(Block::new(Chunk::new(out, task.pool)))
    }

    fn identity(&self) -> Option<Identity> {
        Some(Identity::new("points", T::DTYPE.name(), &self.axes))
    }

    #[cfg(feature = "dist")]
    fn spec(&self) -> Result<KernelSpec, Unsendable> {
        Ok(KernelSpec::new("points", &(T::DTYPE, &self.axes, &self.points)))
    }
}

/// Puts points, which stand along the first axis of several blocks and come from each in turn, one after another.
#[derive(Debug)]
pub(crate) struct MixKernel<T> {
    /// Which of the blocks that an output block reads each point is from.
    pub(crate) sources: Arc<[u32]>,
    /// Where the points of each output block begin in each of its blocks.
    pub(crate) starts: Arc<[Box<[u64]>]>,
    /// How the points are cut into output blocks.
    pub(crate) points: AxisChunks,
    pub(crate) element: PhantomData<fn() -> T>,
}

impl<T: Element> Kernel for MixKernel<T> {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let block = task.block[0];
        let range = self.points.block_range(block).unwrap_or(0..0);
        let sources = &self.sources[range.start as usize..range.end as usize];
        let blocks = inputs.take_slot(0).map(|block| standard(chunk::<T>(block), task.pool));
        let blocks: Vec<Chunk<T>> = blocks.collect();
        let all: Vec<&[T]> = blocks.iter().filter_map(|block| block.data().as_slice()).collect();
        let mut next = self.starts[block as usize].to_vec();
        let mut shape = blocks[0].view().shape().to_vec();
        shape[0] = sources.len();
        let row_len: usize = shape[1..].iter().product();
        let out = filled::<T>(&shape, task.pool, |mut out| {
            let out = out.as_slice_mut().expect("a new block is in C order");
            if row_len == 1 {
                for (out, &source) in out.iter_mut().zip(sources) {
                    let next = &mut next[source as usize];
                    *out = all[source as usize][*next as usize];
                    *next += 1;
                }
                return;
            }
            for (out, &source) in out.chunks_exact_mut(row_len.max(1)).zip(sources) {
                let next = &mut next[source as usize];
                let row = &all[source as usize][*next as usize * row_len..][..row_len];
                out.copy_from_slice(row);
                *next += 1;
            }
        });
        Ok(Block::new(Chunk::new(out, task.pool)))
    }

    fn identity(&self) -> Option<Identity> {
        let parameters = (&self.sources, &self.starts, &self.points);
        Some(Identity::new("mix_points", T::DTYPE.name(), parameters))
    }

    #[cfg(feature = "dist")]
    fn spec(&self) -> Result<KernelSpec, Unsendable> {
        let parameters = (T::DTYPE, &self.sources, &self.starts, &self.points);
        Ok(KernelSpec::new("mix_points", &parameters))
    }
}
