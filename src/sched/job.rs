//! One run as all executors see it: how to run one task, and what to say about it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::events::{Ops, RunSummary};
use super::spill::{Disk, Done, SpillDisk};
use super::state::State;
use super::{Run, Sink, check_budget};
use crate::error::{Error, Result};
use crate::graph::{Block, TaskGraph, TaskId};

/// The part of the limit that is left to what nobody counts: stacks, and memory that the allocator
/// keeps for itself when buffers are freed.
const ALLOCATOR_PART: u64 = 16;

/// The part of a budget that blocks and running tasks may use.
pub(super) fn blocks_limit(budget_bytes: u64) -> u64 {
    budget_bytes - budget_bytes / ALLOCATOR_PART
}

/// A graph with all that its tasks need to run.
pub(crate) struct Job<'a> {
    pub(crate) graph: &'a TaskGraph,
    pub(crate) run: &'a Run<'a>,
    sink: &'a dyn Sink,
    ops: Ops,
    pub(super) disk: Box<dyn Disk + 'a>,
}

impl<'a> Job<'a> {
    /// Refuses a graph that can't fit the budget; otherwise the run counts as started.
    pub(crate) fn start(
        graph: &'a TaskGraph,
        run: &'a Run<'a>,
        sink: &'a dyn Sink,
    ) -> Result<Self> {
        check_budget(graph, run.budget_bytes)?;
        let ops = Ops::of(graph);
        run.events.on_run_started(&ops.tasks);
        Ok(Job { graph, run, sink, ops, disk: Box::new(SpillDisk::new(&run.spill)) })
    }

    pub(crate) fn state(&self, ranks: &'a [u32]) -> State<'a> {
        State::new(self.graph, ranks, blocks_limit(self.run.budget_bytes))
    }

    /// Tells the state what the disk did.
    pub(crate) fn report(
        &self,
        done: Done,
        state: &mut State<'_>,
        dropped: &mut Vec<Block>,
    ) -> Result<()> {
        match done {
            Done::Saved(task) => state.on_saved(task, dropped),
            Done::Loaded(task, block) => state.on_loaded(task, block),
            Done::Failed(error) => {
                state.stop();
                return Err(error);
            }
        }
        Ok(())
    }

    /// Runs one task and hands its block to the sink; the block, if other tasks read it.
    pub(crate) fn run_task(&self, task: TaskId, inputs: Vec<Block>) -> Result<Option<Block>> {
        self.on_started(task);
        self.finish_task(task, || self.graph.run(task, &self.run.pool, inputs))
    }

    /// Tells that a task starts, wherever it does.
    pub(crate) fn on_started(&self, task: TaskId) {
        self.run.events.on_task_started(self.ops.position(self.graph, task), task);
    }

    /// Gets the block of a task that was started and hands it to the sink; the block, if other tasks read it.
    pub(crate) fn finish_task(
        &self,
        task: TaskId,
        block: impl FnOnce() -> Result<Block>,
    ) -> Result<Option<Block>> {
        let (block, bytes) = self.guarded(task, || {
            let block = block()?;
            let bytes = block.nbytes();
            Ok((self.deliver(task, block)?, bytes))
        })?;
        self.run.events.on_task_finished(self.ops.position(self.graph, task), task, bytes);
        Ok(block)
    }

    /// The block of a task without inputs that ran before.
    pub(crate) fn reread(&self, task: TaskId) -> Result<Block> {
        self.guarded(task, || self.graph.run(task, &self.run.pool, Vec::new()))
    }

    /// Calls a part of a task, whose name errors and panics get.
    fn guarded<R>(&self, task: TaskId, f: impl FnOnce() -> Result<R>) -> Result<R> {
        // Nothing that was unwound is looked at again: the run stops and drops all blocks.
        match catch_unwind(AssertUnwindSafe(f)) {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(error)) => Err(self.failure(task, error)),
            Err(panic) => Err(Error::TaskPanicked {
                op: self.graph.op_name(task).to_string(),
                block: self.graph.block_index(task),
                message: panic_message(panic.as_ref()),
            }),
        }
    }

    /// Tells that no task runs any more.
    pub(crate) fn end(&self, state: &State<'_>, error: Option<Error>) -> Result<()> {
        self.run.pool.settle();
        let result = match error {
            Some(error) => Err(error),
            None if state.is_complete() => Ok(()),
            None => Err(Error::Internal {
                place: "scheduler".into(),
                problem: "the run ended before all tasks had run".into(),
            }),
        };
        self.run.events.on_run_ended(&RunSummary {
            n_finished: state.n_finished().into(),
            peak_bytes: state.peak_bytes(),
            spilled_bytes: state.spilled_bytes(),
            reread_bytes: state.reread_bytes(),
            is_ok: result.is_ok(),
        });
        result
    }

    /// Bytes of the results so far that stay in memory.
    pub(crate) fn held_bytes(&self) -> u64 {
        self.sink.held_bytes()
    }

    /// Gives `block` to each output position of `task`, the last owner without a clone.
    fn deliver(&self, task: TaskId, block: Block) -> Result<Option<Block>> {
        let mut positions = self.graph.output_positions(task).peekable();
        let is_read = !self.graph.dependents(task).is_empty();
        while let Some(position) = positions.next() {
            if positions.peek().is_none() && !is_read {
                self.sink.accept(position, block)?;
                return Ok(None);
            }
            self.sink.accept(position, block.clone())?;
        }
        Ok(Some(block))
    }

    /// `error` with the name of its task; an inner run's cancellation stays what it is.
    fn failure(&self, task: TaskId, error: Error) -> Error {
        match error {
            Error::Cancelled => Error::Cancelled,
            error => Error::TaskFailed {
                op: self.graph.op_name(task).to_string(),
                block: self.graph.block_index(task),
                source: Arc::new(error),
            },
        }
    }
}

/// What a panic says.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a message").to_string()
}
