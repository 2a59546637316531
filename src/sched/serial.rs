//! Executors without threads.

use super::job::Job;
use super::state::{Next, State};
use super::{Executor, Run, Sink};
use crate::error::{Error, Result};
use crate::graph::{Block, TaskGraph, Value};

/// Runs one task after another on the calling thread, in the static order.
#[derive(Debug)]
pub(crate) struct Serial;

impl Executor for Serial {
    fn run(&self, graph: &TaskGraph, ranks: &[u32], run: &Run<'_>, sink: &dyn Sink) -> Result<()> {
        let job = Job::start(graph, run, sink)?;
        let mut state = job.state(ranks);
        let mut error = None;
        let mut dropped = Vec::new();
        let mut is_waiting = false;
        loop {
            if run.cancel.is_cancelled() && !state.is_complete() {
                state.stop();
                error.get_or_insert(Error::Cancelled);
            }
            let done = if is_waiting { Some(job.disk.wait()) } else { job.disk.poll() };
            is_waiting = false;
            if let Some(done) = done
                && let Err(failure) = job.report(done, &mut state, &mut dropped)
            {
                error.get_or_insert(failure);
            }
            dropped.clear();
            state.set_held(job.held_bytes());
            let next = state.next_task(&|| run.pool.idle_bytes());
            run.pool.set_room(state.room(&next));
            match next {
                Next::Run(task) => {
                    let mut inputs = Vec::with_capacity(graph.dependencies(task).len());
                    state.gather(task, &mut inputs);
                    match job.run_task(task, inputs, state.used_bytes()) {
                        Ok(block) => state.on_finished(task, block, &mut dropped),
                        Err(failure) => {
                            state.on_failed(task);
                            error.get_or_insert(failure);
                        }
                    }
                    dropped.clear();
                }
                Next::Trim(bytes) => run.pool.trim(bytes),
                Next::Save(task) => {
                    job.disk.leave(task);
                    job.disk.save(task, state.block_to_save(task));
                }
                Next::Recall(task) => job.disk.recall(task),
                Next::Load(task) => job.disk.load(task),
                Next::Discard(task) => job.disk.discard(task),
                Next::Forget(task) => state.forget(task, &mut dropped),
                Next::Reread(task) => match job.reread(task) {
                    Ok(block) => state.on_loaded(task, block),
                    Err(failure) => {
                        state.stop();
                        error.get_or_insert(failure);
                    }
                },
                Next::Wait if state.waits_for_disk() => is_waiting = true,
                Next::Wait | Next::Finished => return job.end(&state, error),
            }
        }
    }
}

/// Bytes that the state of a run takes at its end, when its queues have been at their longest.
pub(crate) fn state_bytes(graph: &TaskGraph, ranks: &[u32]) -> usize {
    let mut state = State::new(graph, ranks, u64::MAX);
    let mut inputs = Vec::new();
    let mut dropped = Vec::new();
    while let Next::Run(task) = state.next_task(&|| 0) {
        state.gather(task, &mut inputs);
        inputs.clear();
        state.on_finished(task, Some(Block::new(Nothing)), &mut dropped);
        dropped.clear();
    }
    state.heap_bytes()
}

/// The block of a task that was not run.
#[derive(Debug)]
struct Nothing;

impl Value for Nothing {
    fn nbytes(&self) -> u64 {
        0
    }
}

/// Runs ready tasks one after another in a pseudo-random order, to find what relies on one order.
#[derive(Debug)]
pub(crate) struct Seeded(pub(crate) u64);

impl Executor for Seeded {
    fn run(&self, graph: &TaskGraph, ranks: &[u32], run: &Run<'_>, sink: &dyn Sink) -> Result<()> {
        // Ranks are wishes and edges are law, so shuffled ranks are a random legal order.
        let mut shuffled = ranks.to_vec();
        let mut random = self.0;
        for i in (1..shuffled.len()).rev() {
            shuffled.swap(i, (next_random(&mut random) % (i as u64 + 1)) as usize);
        }
        Serial.run(graph, &shuffled, run, sink)
    }
}

/// The next number of a splitmix64 generator.
fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
