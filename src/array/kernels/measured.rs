//! Blocks whose lengths were measured by an earlier run.

use crate::array::chunks::Chunks;
use crate::error::{Error, Result};
use crate::graph::{Block, Inputs, Kernel, TaskContext};

/// Passes on blocks that have the lengths that were measured.
#[derive(Debug)]
pub(crate) struct MeasuredKernel {
    pub(crate) chunks: Chunks,
    /// Tells the shape of a block of the array's element type.
    pub(crate) shape_of: fn(&Block) -> Option<Vec<u64>>,
}

impl Kernel for MeasuredKernel {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let block = inputs.take_one(0);
        let (got, measured) = ((self.shape_of)(&block), self.chunks.block_shape(task.block));
        if got != measured {
            return Err(Error::Internal {
                place: "compute_chunk_sizes".into(),
                problem: format!("a block of {got:?} was measured as {measured:?}"),
            });
        }
        Ok(block)
    }
}
