//! One run as all executors see it: how to run one task, and what to say about it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crossbeam::queue::SegQueue;

use super::events::{Ops, RunSummary};
use super::spill::{Disk, Done, SpillDisk, Took};
use super::state::State;
use super::traced::RunSpan;
use super::{Run, Sink, check_budget, largest_task};
use crate::error::{Error, FailedTask, Result};
use crate::graph::{Block, Inputs, Invocation, Line, TaskContext, TaskGraph, TaskId, take_failed};
use crate::observe::{Span, SpanKind, Thread, enter_task, leave_task, now_ns};

/// The part of the limit that is left to what nobody counts: stacks, and memory that the allocator
/// keeps for itself when buffers are freed.
const ALLOCATOR_PART: u64 = 16;

/// The part of a budget that blocks and running tasks may use.
pub(super) fn blocks_limit(budget_bytes: u64) -> u64 {
    budget_bytes - budget_bytes / ALLOCATOR_PART
}

/// The budget of which tasks and blocks of so many bytes may use all that they may use.
pub(crate) fn budget_for(graph: &TaskGraph) -> u64 {
    let blocks = largest_task(graph);
    let budget = blocks.saturating_add(blocks / (ALLOCATOR_PART - 1) + 1);
    budget.saturating_add(graph.layers().reserved_bytes())
}

/// A graph with all that its tasks need to run.
pub(crate) struct Job<'a> {
    pub(crate) graph: &'a TaskGraph,
    pub(crate) run: &'a Run<'a>,
    sink: &'a dyn Sink,
    ops: Ops,
    pub(super) disk: Box<dyn Disk + 'a>,
    /// Whether somebody wants to know what takes how long.
    wants_spans: bool,
    /// What the disk did, to be told when the lock of the state is not held.
    moves: SegQueue<Span>,
    traced: RunSpan,
}

/// A task that was begun.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begun {
    /// Its operation.
    op: usize,
    /// What is known of its span, if anybody wants that.
    span: Option<Span>,
}

#[cfg(feature = "dist")]
impl Begun {
    /// Who runs it, if that matters to anybody.
    pub(crate) fn thread(&self) -> Option<Thread> {
        self.span.map(|span| span.thread)
    }
}

impl<'a> Job<'a> {
    /// Refuses a graph that can't fit the budget; otherwise the run counts as started.
    pub(crate) fn start(
        graph: &'a TaskGraph,
        run: &'a Run<'a>,
        sink: &'a dyn Sink,
    ) -> Result<Self> {
        check_budget(graph, run.budget_bytes)?;
        sink.leave_room(&|| blocks_limit(run.budget_bytes).saturating_sub(largest_task(graph)));
        let ops = Ops::of(graph);
        run.events.on_run_started(graph, &ops.tasks, run.budget_bytes);
        Ok(Job {
            graph,
            run,
            sink,
            ops,
            disk: Box::new(SpillDisk::new(&run.spill, &run.pool)),
            wants_spans: run.events.wants_spans(),
            moves: SegQueue::new(),
            traced: RunSpan::new(graph),
        })
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
            Done::Saved(task, took) => {
                self.note_move(SpanKind::Spill, task, took, state);
                state.on_saved(task, dropped);
            }
            Done::Loaded(task, block, took) => {
                self.note_move(SpanKind::Load, task, took, state);
                state.on_loaded(task, block);
            }
            Done::Failed(error) => {
                state.stop();
                return Err(error);
            }
        }
        Ok(())
    }

    fn note_move(&self, kind: SpanKind, task: TaskId, took: Took, state: &State<'_>) {
        if self.wants_spans {
            let span = self.span(kind, task, took.thread, 0, state.used_bytes());
            let Took { start_ns, end_ns, bytes, .. } = took;
            self.moves.push(Span { start_ns, end_ns, bytes, ..span });
        }
    }

    fn tell_moves(&self) {
        // To look is cheap; to take out of what is empty costs as much as a look at the clock.
        if self.moves.is_empty() {
            return;
        }
        while let Some(span) = self.moves.pop() {
            self.run.events.on_span(&span);
        }
    }

    /// Runs one task and hands its block to the sink; the block, if other tasks read it. `used_bytes` is what
    /// blocks and running tasks take.
    pub(crate) fn run_task(
        &self,
        task: TaskId,
        inputs: Vec<Block>,
        used_bytes: u64,
    ) -> Result<Option<Block>> {
        let depth = if self.wants_spans { enter_task() } else { 0 };
        let begun = self.begin(task, Thread::current, depth, used_bytes);
        let kept = self.kept_inputs(task, &inputs);
        let mut is_made = false;
        let run = || {
            let block = self.graph.run(task, &self.run.pool, inputs)?;
            is_made = true;
            Ok(block)
        };
        let result = self.finish_task(task, begun, || self.traced.in_task(self.graph, task, run));
        if self.wants_spans {
            leave_task();
        }
        result.map_err(|error| match kept {
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
        let kernel = Arc::clone(&self.graph.layers().get(self.graph.layer(task)).kernel);
        let pool = Arc::clone(&self.run.pool);
        let Invocation { block, first_slot, slot_ends } = self.graph.invocation(task);
        let shown = inputs.iter().map(Block::for_user).collect();
        let names = self.names(task);
        FailedTask::new(names.op.clone(), names.block.clone(), shown, move || {
            let inputs = Inputs::from_slot(first_slot, inputs.clone(), slot_ends.clone());
            let context = TaskContext { block: &block, pool: &pool };
            named(|| names.clone(), || kernel.run(&context, inputs)).map(drop)
        })
    }

    fn names(&self, task: TaskId) -> Names {
        let (op, block) = (self.graph.op_name(task).to_string(), self.graph.block_index(task));
        Names { op, block, at: self.graph.line(task) }
    }

    /// Tells that a task starts, wherever it does.
    pub(crate) fn begin(
        &self,
        task: TaskId,
        thread: impl FnOnce() -> Thread,
        depth: u16,
        used_bytes: u64,
    ) -> Begun {
        let op = self.ops.position(self.graph.layer(task));
        self.run.events.on_task_started(op, task);
        let span = self.wants_spans.then(|| {
            self.tell_moves();
            let span = self.span(SpanKind::Task, task, thread(), depth, used_bytes);
            self.run.events.on_span_started(&span);
            span
        });
        Begun { op, span }
    }

    /// A span that begins now.
    fn span(
        &self,
        kind: SpanKind,
        task: TaskId,
        thread: Thread,
        depth: u16,
        memory_bytes: u64,
    ) -> Span {
        let layer = self.graph.layer(task);
        let block = self.graph.block_number(layer, task);
        let start_ns = now_ns();
        let (layer, bytes, end_ns) = (layer.0, 0, start_ns);
        let is_ok = true;
        Span { kind, is_ok, depth, thread, layer, block, start_ns, end_ns, bytes, memory_bytes }
    }

    /// Tells that a task has failed elsewhere.
    #[cfg(feature = "dist")]
    pub(crate) fn fail(&self, begun: Begun) {
        self.end_span(begun.span, None);
    }

    fn end_span(&self, span: Option<Span>, bytes: Option<u64>) {
        if let Some(span) = span {
            let end_ns = now_ns();
            let (is_ok, bytes) = (bytes.is_some(), bytes.unwrap_or(0));
            self.run.events.on_span(&Span { end_ns, is_ok, bytes, ..span });
        }
    }

    /// Gets the block of a task that was started and hands it to the sink; the block, if other tasks read it.
    pub(crate) fn finish_task(
        &self,
        task: TaskId,
        begun: Begun,
        block: impl FnOnce() -> Result<Block>,
    ) -> Result<Option<Block>> {
        let done = self.guarded(task, || {
            let block = block()?;
            let bytes = block.nbytes();
            Ok((self.deliver(task, block)?, bytes))
        });
        self.end_span(begun.span, done.as_ref().ok().map(|(_, bytes)| *bytes));
        let (block, bytes) = done?;
        self.run.events.on_task_finished(begun.op, task, bytes);
        Ok(block)
    }

    /// The block of a task without inputs that ran before.
    pub(crate) fn reread(&self, task: TaskId) -> Result<Block> {
        let span = self.wants_spans.then(|| {
            let depth = enter_task();
            self.span(SpanKind::Reread, task, Thread::current(), depth, 0)
        });
        let block = self.guarded(task, || self.graph.run(task, &self.run.pool, Vec::new()));
        if span.is_some() {
            leave_task();
        }
        self.end_span(span, block.as_ref().ok().map(Block::nbytes));
        block
    }

    /// Calls a part of a task, whose names errors and panics get.
    fn guarded<R>(&self, task: TaskId, f: impl FnOnce() -> Result<R>) -> Result<R> {
        named(|| self.names(task), f)
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
        self.tell_moves();
        let summary = RunSummary {
            n_finished: state.n_finished().into(),
            peak_bytes: state.peak_bytes(),
            spilled_bytes: state.spilled_bytes(),
            reread_bytes: state.reread_bytes(),
            is_ok: result.is_ok(),
        };
        self.run.events.on_run_ended(&summary, result.as_ref().err());
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
}

/// What errors say of a task.
#[derive(Clone)]
pub(crate) struct Names {
    pub(crate) op: String,
    pub(crate) block: Vec<u64>,
    pub(crate) at: Option<Line>,
}

/// Calls `f`, a part of a task. Errors and panics get the names of the task; an inner run's cancellation stays what it is.
pub(crate) fn named<R>(names: impl FnOnce() -> Names, f: impl FnOnce() -> Result<R>) -> Result<R> {
    // Nothing that was unwound is looked at again: who called drops all that the task had.
    let failed = match catch_unwind(AssertUnwindSafe(f)) {
        Ok(Ok(result)) => return Ok(result),
        Ok(Err(error)) => Ok(error),
        Err(panic) => Err(panic_message(panic.as_ref())),
    };
    let inner = take_failed();
    let Names { op, block, at } = names();
    let at = inner.or(at);
    Err(match failed {
        Ok(Error::Cancelled) => Error::Cancelled,
        Ok(error) => Error::TaskFailed { op, block, at, source: Arc::new(error), task: None },
        Err(message) => Error::TaskPanicked { op, block, at, message, task: None },
    })
}

/// What a panic says.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a message").to_string()
}
