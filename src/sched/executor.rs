//! What every executor does: run all tasks of a graph, in any order that its edges allow.

use std::fmt;
use std::sync::Arc;

use super::EventSink;
use crate::config::CancelTokens;
use crate::error::Result;
use crate::graph::{Block, TaskGraph};
use crate::keep::SpillOptions;
use crate::memory::BufferPool;

/// Runs task graphs.
pub(crate) trait Executor: Send + Sync + fmt::Debug {
    /// Runs every task of `graph`, the lowest rank first where there is a choice.
    ///
    /// Returns when no task runs any more, be it after the last task or after the first error.
    fn run(&self, graph: &TaskGraph, ranks: &[u32], run: &Run<'_>, sink: &dyn Sink) -> Result<()>;
}

/// Takes outputs as soon as they are there, on the worker that made them.
pub(crate) trait Sink: Sync {
    /// Takes the block at position `output` of `graph.outputs()`.
    fn accept(&self, output: usize, block: Block) -> Result<()>;

    /// Bytes of the blocks that it keeps in memory, which the run can't use.
    fn held_bytes(&self) -> u64 {
        0
    }

    /// May ask how many bytes of blocks it can keep in memory, so that the largest task still fits.
    fn leave_room(&self, _most: &dyn Fn() -> u64) {}
}

/// What a run works with besides its graph.
#[derive(Clone)]
pub(crate) struct Run<'a> {
    pub(crate) budget_bytes: u64,
    pub(crate) pool: Arc<BufferPool>,
    pub(crate) events: &'a dyn EventSink,
    pub(crate) cancel: CancelTokens,
    pub(crate) spill: SpillOptions,
}
