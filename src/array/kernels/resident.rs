//! Arrays in the user's memory: blocks are views of them.

use std::fmt;
use std::sync::Arc;

use ndarray::{ArcArray, IxDyn};

use super::copy::{sliced, to_usize};
use crate::array::chunk::Chunk;
use crate::array::chunks::{AxisSlice, Chunks};
use crate::array::dtype::{DType, Element};
use crate::error::Result;
use crate::graph::{Block, BytesRead, Inputs, Kernel, TaskContext};
use crate::keep::KeptBlocks;

/// An array that is in memory as a whole, with its element type erased.
pub(crate) trait Resident: Send + Sync + fmt::Debug {
    fn dtype(&self) -> DType;

    /// The selected part, sharing the memory of the whole.
    fn view(&self, slices: &[AxisSlice]) -> Block;
}

impl<T: Element> Resident for ArcArray<T, IxDyn> {
    fn dtype(&self) -> DType {
        T::DTYPE
    }

    fn view(&self, slices: &[AxisSlice]) -> Block {
        Block::new(Chunk::borrowed(sliced(self.clone(), slices)))
    }
}

/// Gives out views of a resident array.
#[derive(Debug)]
pub(crate) struct ResidentKernel {
    pub(crate) array: Arc<dyn Resident>,
    pub(crate) window: Arc<[AxisSlice]>,
    pub(crate) chunks: Chunks,
}

impl Kernel for ResidentKernel {
    fn run(&self, task: &TaskContext<'_>, _inputs: Inputs) -> Result<Block> {
        Ok(self.array.view(&box_of(&self.window, &self.chunks, task.block)))
    }

    fn is_free(&self) -> bool {
        true
    }

    fn is_resident(&self) -> bool {
        true
    }
}

/// What block `block` covers of the source, through a window on it.
pub(crate) fn box_of(window: &[AxisSlice], chunks: &Chunks, block: &[u64]) -> Vec<AxisSlice> {
    let axes = chunks.axes().iter().zip(window).zip(block);
    axes.map(|((axis, window), &i)| {
        let range = axis.block_range(i).expect("what is read has known lengths");
        let part = AxisSlice { start: range.start, len: range.end - range.start, step: 1 };
        window.compose(&part)
    })
    .collect()
}

/// Gives out the blocks that an earlier run left in memory, or in files.
#[derive(Debug)]
pub(crate) struct PersistedKernel {
    /// In row-major order of the grid of `chunks`.
    pub(crate) blocks: Arc<KeptBlocks>,
    pub(crate) chunks: Chunks,
}

impl Kernel for PersistedKernel {
    fn run(&self, task: &TaskContext<'_>, _inputs: Inputs) -> Result<Block> {
        let number = self.chunks.ravel_block(task.block).expect("tasks are blocks of the grid");
        self.blocks.get(number as usize, task.pool)
    }

    fn is_free(&self) -> bool {
        self.blocks.bytes_on_disk() == 0
    }

    fn is_read(&self) -> bool {
        !self.is_free()
    }

    fn bytes_read(&self) -> BytesRead {
        BytesRead { all: self.blocks.bytes_on_disk(), task_max: self.blocks.largest_on_disk() }
    }

    /// Files are of this process, too.
    fn is_resident(&self) -> bool {
        true
    }
}

/// Shape of a block next to ndarray.
pub(crate) fn block_shape(chunks: &Chunks, block: &[u64]) -> Vec<usize> {
    to_usize(&chunks.block_shape(block).expect("a kernel that asks has known lengths"))
}
