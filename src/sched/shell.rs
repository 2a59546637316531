//! The worker loop around the state machine, for any kind of worker.
//!
//! A loop that finds nothing to do ends instead of waiting, and whoever takes a task while more
//! could start asks for another loop. Invariant: when the lock is released, either all loops are
//! active, or one was just asked for, or nothing can start.

use std::marker::PhantomData;
use std::sync::Mutex;

use super::job::Job;
use super::spill::Done;
use super::state::{Next, State};
use super::sync::Lock;
use crate::error::{Error, Result};
use crate::graph::{Block, TaskId};

/// What the worker loops of one run share.
pub(crate) struct Shell<'a, L = Mutex<Shared<'a>>> {
    job: &'a Job<'a>,
    shared: L,
    n_loops_max: usize,
    marker: PhantomData<Shared<'a>>,
}

pub(crate) struct Shared<'a> {
    state: State<'a>,
    /// Loops that run, or were asked for.
    n_loops: usize,
    /// Whether one of them waits for the disk.
    has_waiter: bool,
    error: Option<Error>,
}

/// What a loop does after it let go of the lock.
enum Step {
    Run {
        task: TaskId,
        inputs: Vec<Block>,
        used_bytes: u64,
        needs_help: bool,
    },
    Trim(u64),
    Save(TaskId, Block),
    Load(TaskId),
    Discard(TaskId),
    /// Blocks were given up, and can be freed, or there was nothing to do.
    Again,
    Reread {
        task: TaskId,
        needs_help: bool,
    },
    WaitForDisk,
    End,
}

/// What a loop reports when it takes the lock again.
enum Report {
    Nothing,
    Task(TaskId, Result<Option<Block>>),
    Reread(TaskId, Result<Block>),
    Disk(Done),
}

impl<'a, L: Lock<Shared<'a>>> Shell<'a, L> {
    /// Counts one loop as asked for: the caller's own [`work`](Self::work).
    pub(crate) fn new(job: &'a Job<'a>, ranks: &'a [u32], n_loops_max: usize) -> Self {
        let shared = Shared { state: job.state(ranks), n_loops: 1, has_waiter: false, error: None };
        Shell { job, shared: L::new(shared), n_loops_max, marker: PhantomData }
    }

    /// Runs tasks until there is nothing to start. `spawn` has to see to one more call of `work`.
    pub(crate) fn work(&self, mut spawn: impl FnMut()) {
        let mut report = Report::Nothing;
        let mut dropped = Vec::new();
        loop {
            let step = self.shared.with(|shared| self.step(shared, report, &mut dropped));
            dropped.clear();
            report = Report::Nothing;
            match step {
                Step::Run { task, inputs, used_bytes, needs_help } => {
                    if needs_help {
                        spawn();
                    }
                    report = Report::Task(task, self.job.run_task(task, inputs, used_bytes));
                }
                Step::Trim(bytes) => self.job.run.pool.trim(bytes),
                Step::Save(task, block) => self.job.disk.save(task, block),
                Step::Load(task) => self.job.disk.load(task),
                Step::Discard(task) => self.job.disk.discard(task),
                Step::Again => {}
                Step::Reread { task, needs_help } => {
                    if needs_help {
                        spawn();
                    }
                    report = Report::Reread(task, self.job.reread(task));
                }
                // As in a kernel that reads: what is waited for needs no other task to run.
                Step::WaitForDisk => report = Report::Disk(self.job.disk.wait()),
                Step::End => return,
            }
        }
    }

    /// Tells how the run went, after all loops have ended.
    pub(crate) fn end(&self) -> Result<()> {
        self.shared.with(|shared| {
            debug_assert_eq!(shared.n_loops, 0);
            self.job.end(&shared.state, shared.error.take())
        })
    }

    fn step(&self, shared: &mut Shared<'a>, report: Report, dropped: &mut Vec<Block>) -> Step {
        let state = &mut shared.state;
        let mut done = None;
        match report {
            Report::Task(task, Ok(block)) => state.on_finished(task, block, dropped),
            Report::Task(task, Err(error)) => {
                state.on_failed(task);
                shared.error.get_or_insert(error);
            }
            Report::Reread(task, Ok(block)) => state.on_loaded(task, block),
            Report::Reread(_, Err(error)) => {
                state.stop();
                shared.error.get_or_insert(error);
            }
            Report::Disk(report) => {
                shared.has_waiter = false;
                done = Some(report);
            }
            Report::Nothing => {}
        }
        // What another loop waits for is left to it, so that it does not wait in vain.
        while !shared.has_waiter
            && let Some(report) = done.take().or_else(|| self.poll(state))
        {
            if let Err(error) = self.job.report(report, state, dropped) {
                shared.error.get_or_insert(error);
            }
        }
        if self.job.run.cancel.is_cancelled() && !state.is_complete() {
            state.stop();
            shared.error.get_or_insert(Error::Cancelled);
        }
        state.set_held(self.job.held_bytes());
        let next = state.next_task(&|| self.job.run.pool.idle_bytes());
        self.job.run.pool.set_room(state.room(&next));
        match next {
            Next::Run(task) => {
                let mut inputs = Vec::with_capacity(self.job.graph.dependencies(task).len());
                state.gather(task, &mut inputs);
                let used_bytes = state.used_bytes();
                Step::Run { task, inputs, used_bytes, needs_help: self.asks_for_help(shared) }
            }
            Next::Trim(bytes) => Step::Trim(bytes),
            Next::Save(task) => {
                self.job.disk.leave(task);
                Step::Save(task, state.block_to_save(task))
            }
            Next::Recall(task) => {
                self.job.disk.recall(task);
                Step::Again
            }
            Next::Load(task) => Step::Load(task),
            Next::Discard(task) => Step::Discard(task),
            Next::Forget(task) => {
                state.forget(task, dropped);
                Step::Again
            }
            Next::Reread(task) => Step::Reread { task, needs_help: self.asks_for_help(shared) },
            Next::Wait if !shared.has_waiter && state.waits_for_disk() => {
                shared.has_waiter = true;
                Step::WaitForDisk
            }
            Next::Wait | Next::Finished => {
                shared.n_loops -= 1;
                Step::End
            }
        }
    }

    /// Counts one more loop as asked for, if another task could start.
    fn asks_for_help(&self, shared: &mut Shared<'a>) -> bool {
        let needs_help = shared.n_loops < self.n_loops_max && shared.state.has_more();
        shared.n_loops += usize::from(needs_help);
        needs_help
    }

    fn poll(&self, state: &State<'_>) -> Option<Done> {
        if state.is_disk_busy() { self.job.disk.poll() } else { None }
    }
}
