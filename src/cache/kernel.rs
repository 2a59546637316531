//! What gives out kept blocks, and keeps the others as they pass.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Slot;
use crate::error::Result;
use crate::graph::{Block, Inputs, Kernel, TaskContext};
use crate::keep::Hold;

/// How blocks change hands between runs and caches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ownership {
    /// The block as one whose memory is no run's, with what counts it.
    pub(crate) lend: fn(Block, Hold) -> Block,
    /// A block that was lent, if nobody else has its memory; else the block as it was.
    pub(crate) recall: fn(Block) -> Result<Block, Block>,
}

/// Gives out the blocks that are there; the others come as inputs and are kept on their way.
#[derive(Debug)]
pub(crate) struct CachedKernel {
    pub(crate) slot: Slot,
    /// Blocks that are there, by number.
    pub(crate) blocks: BTreeMap<u64, Block>,
    pub(crate) grid: Arc<[u64]>,
    /// Whether no other blocks are asked for.
    pub(crate) is_complete: bool,
}

impl Kernel for CachedKernel {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let axes = task.block.iter().zip(&*self.grid);
        let number = axes.fold(0, |number, (&i, &n)| number * n + i);
        if let Some(block) = self.blocks.get(&number) {
            self.slot.touch(number);
            return Ok(block.clone());
        }
        Ok(self.slot.keep(number, inputs.take_one(0)))
    }

    fn is_free(&self) -> bool {
        self.is_complete
    }

    fn is_resident(&self) -> bool {
        self.is_complete
    }
}
