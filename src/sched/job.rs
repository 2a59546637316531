//! One run as all executors see it: how to run one task, and what to say about it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::events::{Ops, RunSummary};
use super::spill::{Disk, Done, SpillDisk};
use super::state::State;
use super::{Run, Sink, check_budget};
use crate::error::{Error, FailedTask, Result};
use crate::graph::{Block, Inputs, Invocation, TaskContext, TaskGraph, TaskId};

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
        let kept = self.kept_inputs(task, &inputs);
        let mut is_made = false;
        let finished = self.finish_task(task, || {
            let block = self.graph.run(task, &self.run.pool, inputs)?;
            is_made = true;
            Ok(block)
        });
        finished.map_err(|error| match kept {
            Some(inputs) if !is_made => error.with_task(self.failed_task(task, inputs)),
            _ => error,
        })
    }

    /// The inputs as they have to be to run the task again. Kernels of ours may write into theirs, and fail only
    /// with what they read.
    fn kept_inputs(&self, task: TaskId, inputs: &[Block]) -> Option<Vec<Block>> {
        let kernel = &self.graph.layers().get(self.graph.layer(task)).kernel;
        (inputs.is_empty() || kernel.runs_user_code()).then(|| inputs.to_vec())
    }

    /// The task with `inputs` and all else that its kernel was called with.
    fn failed_task(&self, task: TaskId, inputs: Vec<Block>) -> FailedTask {
        let layer = self.graph.layers().get(self.graph.layer(task));
        let (kernel, pool) = (Arc::clone(&layer.kernel), Arc::clone(&self.run.pool));
        let Invocation { block, first_slot, slot_ends } = self.graph.invocation(task);
        let op = layer.name.to_string();
        let shown = inputs.iter().map(Block::for_user).collect();
        let call = kernel.call();
        let (name, index) = (op.clone(), self.graph.block_index(task));
        let failed = FailedTask::new(op, index.clone(), shown, move || {
            let inputs = Inputs::from_slot(first_slot, inputs.clone(), slot_ends.clone());
            let context = TaskContext { block: &block, pool: &pool };
            named(|| (name.clone(), index.clone()), || kernel.run(&context, inputs)).map(drop)
        });
        if let Some(call) = call {
            failed.called_from(call);
        }
        failed
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
        let names = || (self.graph.op_name(task).to_string(), self.graph.block_index(task));
        named(names, f)
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
}

/// Calls `f`, a part of a task. Errors and panics get the names of its operation and its block; an inner run's
/// cancellation stays what it is.
pub(crate) fn named<R>(
    names: impl FnOnce() -> (String, Vec<u64>),
    f: impl FnOnce() -> Result<R>,
) -> Result<R> {
    // Nothing that was unwound is looked at again: who called drops all that the task had.
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(Error::Cancelled)) => Err(Error::Cancelled),
        Ok(Err(error)) => {
            let ((op, block), source) = (names(), Arc::new(error));
            Err(Error::TaskFailed { op, block, source, task: None })
        }
        Err(panic) => {
            let ((op, block), message) = (names(), panic_message(panic.as_ref()));
            Err(Error::TaskPanicked { op, block, message, task: None })
        }
    }
}

/// What a panic says.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a message").to_string()
}
