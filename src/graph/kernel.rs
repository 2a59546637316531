//! What one task does.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use super::{Block, Line};
#[cfg(feature = "dist")]
use super::{KernelSpec, Unsendable};
use crate::error::Result;
use crate::memory::BufferPool;

/// The per-block function of a layer.
pub(crate) trait Kernel: Any + Send + Sync + fmt::Debug {
    /// Computes the output block `task.block` from the input blocks.
    ///
    /// Inputs are owned: a kernel that is the last user of a block may write into it.
    fn run(&self, task: &TaskContext<'_>, inputs: Inputs) -> Result<Block>;

    /// This kernel with `producer`, which made input `slot`, computed inside it in the same pass.
    ///
    /// `None` if the two can't be one pass; they may still share a task.
    fn absorb(
        &self,
        _slot: usize,
        _producer: &dyn Kernel,
        _wiring: &Wiring,
    ) -> Option<Arc<dyn Kernel>> {
        None
    }

    /// Whether the kernel looks up what its block is by the number of the block, so that a consumer can absorb it only if its
    /// own blocks have the same numbers.
    fn has_numbered_blocks(&self) -> bool {
        false
    }

    /// Whether all of the block that an absorbed producer would have made may be in memory at once, for all the one pass.
    fn may_gather(&self) -> bool {
        false
    }

    /// Whether computing a block again costs no more than reading it from memory.
    fn is_free(&self) -> bool {
        false
    }

    /// Whether a block without inputs is had again by reading no more from storage than it holds, so that
    /// this is cheaper than to write it to disk and to read that.
    fn is_read(&self) -> bool {
        false
    }

    /// Whether it calls users' functions. These fail; their inputs are kept until a task has ended, so that it can be
    /// run again, and are not written to.
    fn runs_user_code(&self) -> bool {
        false
    }

    /// How many elementary steps the kernel has; fusion bounds the sum.
    fn n_steps(&self) -> usize {
        1
    }

    /// What the kernel computes, where that says more than the names of the fused operations.
    fn formula(&self) -> Option<String> {
        None
    }

    /// What the kernel gets from storage.
    fn bytes_read(&self) -> BytesRead {
        BytesRead::default()
    }

    /// Whether the blocks are memory of this process, which the kernel only gives out.
    ///
    /// Such a kernel stays where it is, and its blocks are what is sent.
    fn is_resident(&self) -> bool {
        false
    }

    /// Bytes of the largest block, if blocks are memory that is only lent and no layer counts.
    fn lent_bytes(&self) -> u64 {
        0
    }

    /// The kernel as text; kernels of the same text compute the same. `None` if it holds a closure, or if plans
    /// have no need to compare it.
    fn identity(&self) -> Option<Identity> {
        None
    }

    /// The kernel as data, to be run in another process.
    ///
    /// # Errors
    /// What the kernel holds that can't be sent, such as a closure.
    #[cfg(feature = "dist")]
    fn spec(&self) -> Result<KernelSpec, Unsendable> {
        Err(Unsendable { call: None, holds: "an operation that has no form in bytes yet".into() })
    }
}

/// The bytes that the tasks of a layer get from storage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BytesRead {
    /// Of all tasks together.
    pub(crate) all: u64,
    /// Of one task, at most.
    pub(crate) task_max: u64,
}

/// What a kernel computes, to be compared: a name and parameters.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Identity {
    pub(crate) name: &'static str,
    pub(crate) parameters: String,
}

impl Identity {
    /// Of a kernel for elements of one type, whose parameters are plain data.
    pub(crate) fn new(name: &'static str, element: &str, parameters: impl fmt::Debug) -> Self {
        Identity { name, parameters: format!("{element} {parameters:?}") }
    }
}

/// What a task may know besides its inputs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TaskContext<'a> {
    /// The output block, one index per axis of the layer's grid.
    pub(crate) block: &'a [u64],
    /// Where chunk buffers come from.
    pub(crate) pool: &'a Arc<BufferPool>,
}

/// The input blocks of one task, slot by slot.
///
/// A slot has one block for each block that its map names, in row-major order.
#[derive(Debug)]
pub(crate) struct Inputs {
    blocks: Vec<Option<Block>>,
    /// Slots before this one have no blocks, and neither have those without an end.
    first: usize,
    ends: Vec<usize>,
}

impl Inputs {
    /// Blocks of all slots one after another; slot `i` ends before `ends[i]`.
    pub(crate) fn new(blocks: Vec<Block>, ends: Vec<usize>) -> Self {
        Inputs::from_slot(0, blocks, ends)
    }

    /// As [`new`](Self::new), but the blocks begin with those of slot `first`.
    pub(crate) fn from_slot(first: usize, blocks: Vec<Block>, ends: Vec<usize>) -> Self {
        debug_assert_eq!(ends.last().copied().unwrap_or(0), blocks.len());
        Inputs { blocks: blocks.into_iter().map(Some).collect(), first, ends }
    }

    /// The blocks of each slot.
    pub(crate) fn from_slots(slots: Vec<Vec<Block>>) -> Self {
        let mut end = 0;
        let ends = slots.iter().map(|blocks| {
            end += blocks.len();
            end
        });
        let ends = ends.collect();
        Inputs::new(slots.into_iter().flatten().collect(), ends)
    }

    /// Takes all blocks of `slot`.
    pub(crate) fn take_slot(&mut self, slot: usize) -> impl Iterator<Item = Block> + '_ {
        let end = |i: usize| self.ends.get(i).copied().unwrap_or(0);
        let blocks = match slot.checked_sub(self.first) {
            Some(0) => 0..end(0),
            Some(i) if i < self.ends.len() => end(i - 1)..end(i),
            _ => 0..0,
        };
        self.blocks[blocks].iter_mut().filter_map(Option::take)
    }

    /// Takes the blocks of all slots, one after another.
    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = Block> + '_ {
        self.blocks.iter_mut().filter_map(Option::take)
    }

    /// Takes the block of a slot that has exactly one.
    pub(crate) fn take_one(&mut self, slot: usize) -> Block {
        self.take_slot(slot).next().expect("the map of this slot names one block")
    }
}

/// How the slots of a consumer and of a producer become the slots of the two fused.
///
/// Inputs that both share appear once.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "dist", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Wiring {
    /// The new slot of each consumer slot; unused for the slot that the producer filled.
    pub(crate) consumer: Vec<usize>,
    /// The new slot of each producer slot.
    pub(crate) producer: Vec<usize>,
    /// How many slots the fused kernel has.
    pub(crate) n_slots: usize,
    /// The lines of the user that the producer and the consumer come from.
    #[cfg_attr(feature = "dist", serde(skip))]
    pub(crate) lines: [Option<Line>; 2],
}
