//! The scheduler as a state machine: events in, decisions out, no threads, no clock, no I/O.
//!
//! See the README of this folder for the states of a task and why admission can't deadlock.
//! Invariant: `resident + in_flight` is what all blocks and running tasks may use; every counter
//! can be derived again from the graph and the slots, and [`State::sanity_check`] does so.

mod away;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use self::away::{Away, FETCHES_MAX};
use crate::graph::{Block, Layer, TaskGraph, TaskId, by_rank};

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Run this task now. It counts as running until it is reported.
    Run(TaskId),
    /// Free idle buffers down to so many bytes, then ask again.
    Trim(u64),
    /// Write the block of this task to disk, then report it, and ask again at once.
    Save(TaskId),
    /// Say that the block of this task, which is or was to be written, stays in memory, and ask again at once.
    Recall(TaskId),
    /// Read the block of this task back, then report it, and ask again at once.
    Load(TaskId),
    /// Give up the file of this task, and ask again at once.
    Discard(TaskId),
    /// Give up the block of this task by [`State::forget`], and ask again at once. It can be read again.
    Forget(TaskId),
    /// Run this task, which ran before, once more, and report its block as one that was loaded.
    Reread(TaskId),
    /// Nothing can start before a running task, or the disk, reports.
    Wait,
    /// Nothing runs and nothing will.
    Finished,
}

/// The headroom is at most this part of the limit.
const HEADROOM_PART: u64 = 4;

/// `count` of a task that runs.
const RUNNING: u32 = u32::MAX;
/// `count` of a task whose block nobody needs any more.
const FREED: u32 = u32::MAX - 1;

/// One run of a graph inside a byte budget.
#[derive(Debug)]
pub(crate) struct State<'a> {
    graph: &'a TaskGraph,
    ranks: &'a [u32],
    by_rank: Vec<TaskId>,
    /// Before a task runs: its unfinished inputs; while its block is held: unfinished readers. Both
    /// as often as they read.
    count: Vec<u32>,
    slots: Vec<Option<Block>>,
    /// Ranks of tasks that have all their inputs and were not refused yet.
    ready: BinaryHeap<Reverse<u32>>,
    /// Ranks of tasks that were refused because they grow memory. May hold stale ones.
    held_back: BinaryHeap<Reverse<u32>>,
    /// Tasks without inputs need no heap: the next one stands at or after this rank.
    next_source: u32,
    /// Tasks that were admitted and not reported, be it that their inputs are still to be read back.
    running: Vec<Running>,
    /// Admitted tasks whose inputs have all come back.
    fetched: Vec<TaskId>,
    away: Away,
    layers: Vec<LayerBytes>,
    limit: u64,
    /// What tasks that fill the memory leave free, so that one that empties it fits.
    headroom: u64,
    resident: u64,
    /// Bytes of results that stay in memory.
    held: u64,
    in_flight: u64,
    peak: u64,
    n_finished: u32,
    is_stopped: bool,
    is_trimmed: bool,
}

/// What one task of a layer says it needs.
#[derive(Clone, Copy, Debug)]
struct LayerBytes {
    out: u64,
    out_and_scratch: u64,
    /// Whether blocks are rather read again than written to disk.
    rereads: bool,
}

#[derive(Debug)]
struct Running {
    task: TaskId,
    declared: u64,
    /// Bytes of the blocks that the task took out of their slots.
    taken: u64,
    /// Inputs that are being read back.
    n_missing: usize,
}

/// Whether a task may start, as far as the budget goes.
enum Fit {
    Yes,
    AfterTrim(u64),
    No,
}

impl<'a> State<'a> {
    pub(crate) fn new(graph: &'a TaskGraph, ranks: &'a [u32], limit: u64) -> Self {
        let n = graph.n_tasks();
        let layers = graph.layers().layers();
        let own_bytes = |layer: &Layer| layer.out_bytes.saturating_add(layer.scratch_bytes);
        let readers = layers.iter().filter(|layer| !layer.inputs.is_empty());
        let headroom = readers.map(own_bytes).max().unwrap_or(0).min(limit / HEADROOM_PART);
        let layers = layers.iter().map(|layer| LayerBytes {
            out: layer.out_bytes,
            out_and_scratch: own_bytes(layer),
            rereads: layer.inputs.is_empty() && layer.kernel.is_read(),
        });
        State {
            graph,
            ranks,
            by_rank: by_rank(ranks),
            count: (0..n).map(|i| graph.dependencies(TaskId(i as u32)).len() as u32).collect(),
            slots: vec![None; n],
            ready: BinaryHeap::new(),
            held_back: BinaryHeap::new(),
            next_source: 0,
            running: Vec::new(),
            fetched: Vec::new(),
            away: Away::default(),
            layers: layers.collect(),
            limit,
            headroom,
            resident: 0,
            held: 0,
            in_flight: 0,
            peak: 0,
            n_finished: 0,
            is_stopped: false,
            is_trimmed: false,
        }
    }

    /// The same, but blocks stay where they are: none is read a second time. What can't lie on disk does not anyway.
    #[cfg(feature = "dist")]
    pub(crate) fn without_rereads(mut self) -> Self {
        self.layers.iter_mut().for_each(|layer| layer.rereads = false);
        self
    }

    /// Takes note of the bytes of results that stay in memory.
    pub(crate) fn set_held(&mut self, bytes: u64) {
        self.held = bytes;
    }

    /// Decides what to do next. `idle` tells the bytes of idle buffers.
    pub(crate) fn next_task(&mut self, idle: &dyn Fn() -> u64) -> Next {
        while !self.is_stopped {
            if let Some(next) = self.away.moves.pop_front() {
                return next;
            }
            if let Some(task) = self.next_to_fetch(idle) {
                match self.start(task) {
                    true => return Next::Run(task),
                    false => continue,
                }
            }
            if let Some(task) = self.fetched.pop() {
                return Next::Run(task);
            }
            match self.choose(idle) {
                Some(Next::Run(task)) if !self.start(task) => {}
                Some(next) => return next,
                None => break,
            }
        }
        let is_over = self.running.is_empty() && !self.waits_for_disk();
        if is_over { Next::Finished } else { Next::Wait }
    }

    /// Moves the inputs of a task that was just started into `inputs`, in their order.
    ///
    /// A block with no other unfinished reader leaves its slot, so that the kernel can be its only
    /// owner and work in place.
    pub(crate) fn gather(&mut self, task: TaskId, inputs: &mut Vec<Block>) {
        let mut taken = 0;
        for dep in self.graph.dependencies(task) {
            let slot = &mut self.slots[dep.idx()];
            let block = if self.count[dep.idx()] == 1 { slot.take() } else { slot.clone() };
            let block = block.expect("a block is held until its last reader takes it");
            if slot.is_none() {
                taken += block.nbytes();
            }
            inputs.push(block);
        }
        let running = self.running.iter_mut().rev().find(|running| running.task == task);
        running.expect("only running tasks gather").taken = taken;
    }

    /// Takes the block of a task that ran. Blocks that nobody needs any more go to `dropped`, so
    /// that the caller can free them outside of its lock.
    ///
    /// `block` may be `None` if no task reads it.
    pub(crate) fn on_finished(
        &mut self,
        task: TaskId,
        block: Option<Block>,
        dropped: &mut Vec<Block>,
    ) {
        self.end(task);
        self.n_finished += 1;
        self.release_inputs(task, dropped);
        let readers = self.graph.dependents(task);
        if readers.is_empty() {
            self.count[task.idx()] = FREED;
            dropped.extend(block);
            return;
        }
        let block = block.expect("a block that is read was kept");
        self.count[task.idx()] = readers.len() as u32;
        self.resident += block.nbytes();
        self.peak = self.peak.max(self.used());
        self.slots[task.idx()] = Some(block);
        self.note_candidate(task);
        for reader in readers {
            let pending = &mut self.count[reader.idx()];
            *pending -= 1;
            if *pending == 0 {
                self.ready.push(Reverse(self.ranks[reader.idx()]));
            }
        }
    }

    /// Takes note that a task failed: nothing starts any more.
    pub(crate) fn on_failed(&mut self, task: TaskId) {
        self.end(task);
        self.is_stopped = true;
    }

    /// Starts nothing any more.
    pub(crate) fn stop(&mut self) {
        self.is_stopped = true;
    }

    /// Whether another task could probably start now.
    pub(crate) fn has_more(&mut self) -> bool {
        if self.is_stopped {
            return false;
        }
        !self.ready.is_empty()
            || !self.fetched.is_empty()
            || !self.away.moves.is_empty()
            || self.waiting().is_some_and(|rank| {
                let declared = self.bytes_of(self.by_rank[rank as usize]).out_and_scratch;
                self.used().saturating_add(declared) <= self.limit - self.headroom
            })
    }

    /// Whether every task has run.
    pub(crate) fn is_complete(&self) -> bool {
        self.n_finished as usize == self.graph.n_tasks()
    }

    pub(crate) fn n_finished(&self) -> u32 {
        self.n_finished
    }

    /// The most bytes that were resident and in flight at once.
    pub(crate) fn peak_bytes(&self) -> u64 {
        self.peak
    }

    /// Bytes that this state takes for its tasks, without their blocks.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.by_rank.capacity() * size_of::<TaskId>()
            + self.count.capacity() * size_of::<u32>()
            + self.slots.capacity() * size_of::<Option<Block>>()
            + (self.ready.capacity() + self.held_back.capacity()) * size_of::<u32>()
            + self.running.capacity() * size_of::<Running>()
            + self.layers.capacity() * size_of::<LayerBytes>()
    }

    /// Bytes that idle buffers may take beside all blocks and running tasks, when `next` was decided
    /// on last: the output of a task that starts now is still to be made from them.
    pub(crate) fn room(&self, next: &Next) -> u64 {
        let out = match next {
            Next::Run(task) => self.bytes_of(*task).out,
            _ => 0,
        };
        self.limit.saturating_sub(self.used()).saturating_add(out)
    }

    /// The bytes that blocks and running tasks take, with those that were declared for them.
    pub(crate) fn used_bytes(&self) -> u64 {
        self.used()
    }

    fn used(&self) -> u64 {
        let blocks = self.resident.saturating_add(self.away.returning);
        blocks.saturating_add(self.in_flight).saturating_add(self.held)
    }

    /// What admitting `task` takes: what it declares, and what has to come back from disk for it.
    fn bytes_to_start(&self, task: TaskId) -> u64 {
        self.bytes_of(task).out_and_scratch.saturating_add(self.on_disk(task).bytes())
    }

    fn bytes_of(&self, task: TaskId) -> LayerBytes {
        self.layers[self.graph.layer(task).idx()]
    }

    /// The best task that may start, taken out of its queue.
    fn choose(&mut self, idle: &dyn Fn() -> u64) -> Option<Next> {
        loop {
            // A task refused in the last round may be the best one that waits now.
            let waiting = self.waiting();
            let fits = waiting.map(|rank| self.fit(self.by_rank[rank as usize], idle));
            let ready = self.ready.peek().map(|rank| rank.0);
            match (waiting, &fits) {
                (Some(rank), Some(Fit::Yes)) if ready.is_none_or(|ready| rank < ready) => {
                    return Some(Next::Run(self.take_waiting(rank)));
                }
                (Some(rank), Some(Fit::AfterTrim(bytes))) if ready.is_none_or(|r| rank < r) => {
                    return Some(Next::Trim(*bytes));
                }
                _ => {}
            }
            let Some(rank) = ready else { break };
            let task = self.by_rank[rank as usize];
            let fit = match self.count[task.idx()] {
                0 => self.fit(task, idle),
                _ => {
                    // It was queued twice, and ran.
                    self.ready.pop();
                    continue;
                }
            };
            match fit {
                Fit::AfterTrim(bytes) => return Some(Next::Trim(bytes)),
                Fit::Yes => {
                    self.ready.pop();
                    return Some(Next::Run(task));
                }
                Fit::No if self.frees_memory(task) => {
                    return self.choose_over_limit(task, idle, |state| {
                        state.ready.pop();
                    });
                }
                Fit::No => {
                    self.ready.pop();
                    self.held_back.push(Reverse(rank));
                }
            }
        }
        let rank = self.waiting()?;
        let task = self.by_rank[rank as usize];
        self.choose_over_limit(task, idle, |state| {
            state.take_waiting(rank);
        })
    }

    /// Runs `task`, which does not fit, unless something that runs or goes to disk may make room for it.
    /// `take` takes it out of its queue.
    fn choose_over_limit(
        &mut self,
        task: TaskId,
        idle: &dyn Fn() -> u64,
        take: impl FnOnce(&mut Self),
    ) -> Option<Next> {
        if !self.running.is_empty() {
            return None;
        }
        self.is_trimmed = !self.is_trimmed && idle() > 0;
        if self.is_trimmed {
            return Some(Next::Trim(0));
        }
        if self.make_room(task) {
            return self.away.moves.pop_front();
        }
        take(self);
        Some(Next::Run(task))
    }

    /// The best rank among tasks that may have to wait: those without inputs and those refused.
    fn waiting(&mut self) -> Option<u32> {
        while let Some(Reverse(rank)) = self.held_back.peek() {
            if self.count[self.by_rank[*rank as usize].idx()] == 0 {
                break;
            }
            self.held_back.pop();
        }
        while let Some(task) = self.by_rank.get(self.next_source as usize) {
            if self.graph.dependencies(*task).is_empty() {
                break;
            }
            self.next_source += 1;
        }
        let source = ((self.next_source as usize) < self.by_rank.len()).then_some(self.next_source);
        let held_back = self.held_back.peek().map(|rank| rank.0);
        source.into_iter().chain(held_back).min()
    }

    fn take_waiting(&mut self, rank: u32) -> TaskId {
        if rank == self.next_source {
            self.next_source += 1;
        } else {
            self.held_back.pop();
        }
        self.by_rank[rank as usize]
    }

    fn fit(&self, task: TaskId, idle: &dyn Fn() -> u64) -> Fit {
        if self.needs_disk(task) && self.n_fetching() >= FETCHES_MAX {
            return Fit::No;
        }
        let LayerBytes { out, out_and_scratch, .. } = self.bytes_of(task);
        let on_disk = self.on_disk(task);
        let buffers = out.saturating_add(on_disk.blocks);
        let besides = self.used().saturating_add(out_and_scratch - out);
        let besides = besides.saturating_add(on_disk.scratch);
        // An idle buffer may become the output, or a block that comes back; one that does not fit is freed by the pool then.
        let (needed, idle) = (besides.saturating_add(buffers), idle());
        let needed_with_idle = besides.saturating_add(idle.max(buffers));
        if needed_with_idle <= self.limit - self.headroom {
            return Fit::Yes;
        }
        let limit = self.limit_for(task);
        if needed > limit {
            Fit::No
        } else if needed_with_idle <= limit {
            Fit::Yes
        } else {
            Fit::AfterTrim(limit - besides)
        }
    }

    /// How full memory may be once `task` has started.
    fn limit_for(&self, task: TaskId) -> u64 {
        if self.frees_memory(task) { self.limit } else { self.limit - self.headroom }
    }

    fn n_fetching(&self) -> usize {
        self.running.iter().filter(|running| running.n_missing > 0).count()
    }

    /// Whether running `task` releases at least the bytes that it leaves behind.
    ///
    /// Only asked when the budget is tight, so it may take a moment.
    fn frees_memory(&self, task: TaskId) -> bool {
        if self.graph.dependencies(task).is_empty() {
            return false;
        }
        let mut inputs = self.graph.dependencies(task).to_vec();
        inputs.sort_unstable();
        let mut released = 0_u64;
        for same in inputs.chunk_by(|a, b| a == b) {
            let dep = same[0].idx();
            if self.count[dep] as usize == same.len() {
                released += self.slots[dep].as_ref().map_or(0, Block::nbytes);
            }
        }
        let is_kept = !self.graph.dependents(task).is_empty();
        released >= if is_kept { self.bytes_of(task).out } else { 0 }
    }

    /// Admits `task`; whether it can run at once.
    fn start(&mut self, task: TaskId) -> bool {
        let declared = self.bytes_of(task).out_and_scratch;
        self.count[task.idx()] = RUNNING;
        self.in_flight += declared;
        let n_missing = self.recall_inputs(task);
        self.peak = self.peak.max(self.used());
        self.running.push(Running { task, declared, taken: 0, n_missing });
        n_missing == 0
    }

    fn end(&mut self, task: TaskId) {
        let i = self.running.iter().position(|running| running.task == task);
        let running = self.running.swap_remove(i.expect("only running tasks end"));
        self.in_flight -= running.declared;
        self.resident -= running.taken;
    }

    fn release_inputs(&mut self, task: TaskId, dropped: &mut Vec<Block>) {
        for &dep in self.graph.dependencies(task) {
            let unread = &mut self.count[dep.idx()];
            *unread -= 1;
            if *unread == 0 {
                *unread = FREED;
                self.forget_copy(dep);
                if let Some(block) = self.slots[dep.idx()].take() {
                    self.resident -= block.nbytes();
                    dropped.push(block);
                }
            } else {
                self.note_reader_left(dep);
                if !self.held_back.is_empty() {
                    self.reconsider_readers(dep);
                }
            }
        }
    }

    /// A refused task may now be the last reader of `dep`, and must not wait any longer if it is.
    fn reconsider_readers(&mut self, dep: TaskId) {
        let unread = self.count[dep.idx()] as usize;
        let readers = self.graph.dependents(dep);
        // Each block is looked through once, when all that is left to read it is one task; a task
        // that reads it more than once is found too, as the readers come in ascending order.
        if unread > READS_PER_TASK_MAX {
            return;
        }
        let is_ready = |reader: &&TaskId| self.count[reader.idx()] == 0;
        if let Some(&reader) = readers.iter().find(is_ready) {
            let n_reads = readers.iter().filter(|other| **other == reader).count();
            if n_reads == unread {
                self.ready.push(Reverse(self.ranks[reader.idx()]));
            }
        }
    }
}

/// How often one task may read one block and still be found as its last reader.
const READS_PER_TASK_MAX: usize = 2;

#[cfg(test)]
impl State<'_> {
    pub(crate) fn resident_bytes(&self) -> u64 {
        self.resident
    }

    /// Derives every counter again. Slow.
    pub(crate) fn sanity_check(&self) {
        let is_running = |task: TaskId| self.running.iter().any(|running| running.task == task);
        let mut n_finished = 0;
        for task in (0..self.graph.n_tasks() as u32).map(TaskId) {
            let count = self.count[task.idx()];
            let readers = self.graph.dependents(task);
            let unread = readers.iter().filter(|reader| !self.is_finished(**reader)).count();
            let inputs = self.graph.dependencies(task);
            let pending = inputs.iter().filter(|dep| !self.is_finished(**dep)).count();
            assert!(self.is_stopped || (count == RUNNING) == is_running(task));
            if self.is_finished(task) {
                n_finished += 1;
                assert_eq!(pending, 0, "a task ran after its inputs");
                assert_eq!(count, if unread == 0 { FREED } else { unread as u32 });
                let is_taken =
                    unread == 1 && readers.iter().any(|t| self.count[t.idx()] == RUNNING);
                let is_there = self.slots[task.idx()].is_some() || self.is_on_disk(task);
                assert!(is_there == (unread > 0) || is_taken);
            } else {
                assert!(self.slots[task.idx()].is_none());
                assert!(count == RUNNING || count as usize == pending);
                assert!(count != 0 || self.is_queued(task), "a ready task is queued");
            }
        }
        assert_eq!(n_finished, self.n_finished);
        let held: u64 = self.slots.iter().flatten().map(Block::nbytes).sum();
        let taken: u64 = self.running.iter().map(|running| running.taken).sum();
        assert_eq!(self.resident, held + taken + self.held_by_disk());
        let declared = self.running.iter().map(|running| running.declared);
        assert_eq!(self.in_flight, declared.sum::<u64>());
        assert!(self.peak >= self.used());
        self.check_away();
    }

    fn is_finished(&self, task: TaskId) -> bool {
        match self.count[task.idx()] {
            FREED => true,
            RUNNING => false,
            _ if self.slots[task.idx()].is_some() || self.is_on_disk(task) => true,
            // Its block was taken by a running task, or it waits for its inputs.
            count => {
                let readers = self.graph.dependents(task);
                let is_read = readers.iter().any(|reader| self.count[reader.idx()] == RUNNING);
                count > 0 && is_read
            }
        }
    }

    fn is_queued(&self, task: TaskId) -> bool {
        let rank = self.ranks[task.idx()];
        let is_in = |heap: &BinaryHeap<Reverse<u32>>| heap.iter().any(|other| other.0 == rank);
        let is_source = self.graph.dependencies(task).is_empty();
        (is_source && rank >= self.next_source) || is_in(&self.ready) || is_in(&self.held_back)
    }
}

#[cfg(test)]
mod tests;
