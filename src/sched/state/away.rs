//! Blocks on disk: the part of the state machine that decides what leaves memory, and when it returns.
//!
//! Blocks leave only while nothing runs and nothing else can start, those first whose next reader has the
//! highest rank: the static order says what is needed last. A task whose inputs are on disk is admitted
//! like any other, with the bytes of what has to return, and runs once that is there.
//!
//! A block that was only read is not written: it is dropped, and read again from where it came.

use std::collections::{BinaryHeap, HashMap, VecDeque};

use super::{FREED, Fit, LayerBytes, Next, State};
use crate::graph::{Block, TaskId};

/// This part of the limit leaves at once beyond what is needed, so that the disk is busy while tasks run.
const BATCH_PART: u64 = 8;
/// Smaller parts of the limit stay where they are: a file takes more than it gives.
const WORTH_PART: u64 = 1 << 12;
/// So many tasks at most wait for their inputs at a time.
pub(super) const FETCHES_MAX: usize = 4;
/// So many ranks are looked at for a task that the disk could read for while others run.
const LOOK_AHEAD: usize = 128;
/// With more readers, a block is not looked at again after each of them.
const READERS_MAX: usize = 64;

/// Where a block is that is not simply in its slot, with its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In its slot until all of it is written.
    Leaving(u64),
    /// In its slot to stay: a task came to need it while it was written. Once it was read for the last
    /// time, held by the disk alone until all of it is written.
    Recalled(u64),
    /// On disk, or where it was read from.
    OnDisk(u64),
    /// With what reading it takes.
    Returning(u64),
    /// In its slot, and on disk as well, so that leaving again takes no writing.
    Copied,
}

/// What has to come back before a task can run.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OnDisk {
    pub(super) blocks: u64,
    /// What reading them from where they came takes besides.
    pub(super) scratch: u64,
}

impl OnDisk {
    pub(super) fn bytes(self) -> u64 {
        self.blocks.saturating_add(self.scratch)
    }
}

/// Which blocks are on disk or on their way, and which could go.
#[derive(Debug, Default)]
pub(super) struct Away {
    pub(super) places: HashMap<TaskId, Place>,
    /// What has been decided and not been told yet.
    pub(super) moves: VecDeque<Next>,
    /// Bytes that are free once they are written.
    pub(super) leaving: u64,
    /// Bytes set aside for what is read back.
    pub(super) returning: u64,
    /// Bytes of all blocks that were told to leave, each time that they are written.
    written: u64,
    /// Bytes of all blocks that were dropped to be read again.
    forgotten: u64,
    /// What was asked of the disk and has not been reported.
    n_under_way: usize,
    /// Blocks by their next use; kept since the first one had to leave. May hold stale entries.
    candidates: Option<BinaryHeap<(u32, TaskId)>>,
}

impl State<'_> {
    /// The block that [`Next::Save`] names.
    pub(crate) fn block_to_save(&self, task: TaskId) -> Block {
        self.slots[task.idx()].clone().expect("a block leaves out of its slot")
    }

    /// Takes note that a block was written, which may go to `dropped` now.
    pub(crate) fn on_saved(&mut self, task: TaskId, dropped: &mut Vec<Block>) {
        self.away.n_under_way -= 1;
        match self.away.places.get(&task) {
            Some(&Place::Leaving(bytes)) => self.leave(task, bytes, dropped),
            Some(&Place::Recalled(bytes)) if self.count[task.idx()] == FREED => {
                self.resident -= bytes;
                self.away.places.remove(&task);
                self.away.moves.push_back(Next::Discard(task));
            }
            _ => {
                self.away.places.insert(task, Place::Copied);
                self.note_candidate(task);
            }
        }
    }

    /// Takes a block that was read back.
    pub(crate) fn on_loaded(&mut self, task: TaskId, block: Block) {
        if let Some(Place::Returning(bytes)) = self.away.places.remove(&task) {
            self.away.returning -= bytes;
        }
        if !self.bytes_of(task).rereads {
            self.away.n_under_way -= 1;
            self.away.places.insert(task, Place::Copied);
        }
        self.resident += block.nbytes();
        self.slots[task.idx()] = Some(block);
        self.peak = self.peak.max(self.used());
        for running in &mut self.running {
            if running.n_missing > 0 && self.graph.dependencies(running.task).contains(&task) {
                running.n_missing -= 1;
                if running.n_missing == 0 {
                    self.fetched.push(running.task);
                }
            }
        }
        self.note_candidate(task);
    }

    /// Gives up the block that [`Next::Forget`] names.
    pub(crate) fn forget(&mut self, task: TaskId, dropped: &mut Vec<Block>) {
        if let Some(Place::Leaving(bytes)) = self.away.places.get(&task).copied() {
            self.away.forgotten += bytes;
            self.leave(task, bytes, dropped);
        }
    }

    fn leave(&mut self, task: TaskId, bytes: u64, dropped: &mut Vec<Block>) {
        self.away.places.insert(task, Place::OnDisk(bytes));
        self.away.leaving -= bytes;
        self.resident -= bytes;
        dropped.extend(self.slots[task.idx()].take());
    }

    /// Whether something was asked of the disk that has not been reported.
    pub(crate) fn is_disk_busy(&self) -> bool {
        self.away.n_under_way > 0
    }

    /// Whether tasks may be able to start once the disk is done with something.
    pub(crate) fn waits_for_disk(&self) -> bool {
        self.is_disk_busy() && !self.is_stopped && !self.is_complete()
    }

    /// The bytes that had to be written to disk.
    pub(crate) fn spilled_bytes(&self) -> u64 {
        self.away.written
    }

    /// The bytes that had to be dropped and read again.
    pub(crate) fn reread_bytes(&self) -> u64 {
        self.away.forgotten
    }

    /// Orders blocks that `task` does not read to disk until it fits, the one that is needed last first.
    ///
    /// Whether there will be more room. Called while nothing runs, so that nobody holds a block besides
    /// its slot.
    pub(super) fn make_room(&mut self, task: TaskId) -> bool {
        if self.away.leaving > 0 {
            return true;
        }
        let needed = self.used().saturating_add(self.bytes_to_start(task));
        let excess = needed.saturating_sub(self.limit_for(task));
        let target = excess.saturating_add(self.limit / BATCH_PART);
        let mut candidates = self.take_candidates();
        let mut pinned = Vec::new();
        while let Some((next_use, block)) = candidates.pop() {
            let Some(bytes) = self.bytes_if_movable(block) else { continue };
            let now = self.next_use(block);
            if now != next_use {
                candidates.push((now, block));
            } else if self.graph.dependencies(task).contains(&block) {
                pinned.push((now, block));
            } else if self.away.leaving >= excess && self.away.leaving + bytes > target {
                pinned.push((now, block));
                break;
            } else {
                self.send_away(block, bytes);
            }
        }
        candidates.extend(pinned);
        self.away.candidates = Some(candidates);
        // What is written for nothing can leave once that has ended.
        self.away.leaving > 0 || self.is_disk_busy()
    }

    fn send_away(&mut self, task: TaskId, bytes: u64) {
        let before = self.away.places.insert(task, Place::Leaving(bytes));
        self.away.leaving += bytes;
        if self.bytes_of(task).rereads {
            self.away.moves.push_back(Next::Forget(task));
            return;
        }
        self.away.written += if before.is_none() { bytes } else { 0 };
        self.away.n_under_way += 1;
        self.away.moves.push_back(Next::Save(task));
    }

    /// Sees to it that all inputs of a task that is admitted come to, or stay in, their slots. How many are
    /// still to come.
    pub(super) fn recall_inputs(&mut self, task: TaskId) -> usize {
        if self.away.places.is_empty() {
            return 0;
        }
        let mut n_missing = 0;
        for dep in self.distinct_inputs(task) {
            let Some(place) = self.away.places.get_mut(&dep) else { continue };
            match *place {
                Place::Recalled(_) | Place::Copied => {}
                Place::Leaving(bytes) => {
                    self.away.leaving -= bytes;
                    *place = Place::Recalled(bytes);
                    self.away.moves.push_back(Next::Recall(dep));
                }
                Place::Returning(_) => n_missing += 1,
                Place::OnDisk(bytes) => {
                    let LayerBytes { out, out_and_scratch, rereads } =
                        self.layers[self.graph.layer(dep).idx()];
                    let bytes = if rereads { bytes + out_and_scratch - out } else { bytes };
                    *place = Place::Returning(bytes);
                    self.away.returning += bytes;
                    self.away.n_under_way += usize::from(!rereads);
                    let next = if rereads { Next::Reread(dep) } else { Next::Load(dep) };
                    self.away.moves.push_back(next);
                    n_missing += 1;
                }
            }
        }
        n_missing
    }

    /// Whether `task` has to wait for the disk.
    pub(super) fn needs_disk(&self, task: TaskId) -> bool {
        if self.away.places.is_empty() {
            return false;
        }
        self.graph.dependencies(task).iter().any(|dep| {
            let place = self.away.places.get(dep);
            let is_away = matches!(place, Some(Place::OnDisk(_) | Place::Returning(_)));
            is_away && !self.bytes_of(*dep).rereads
        })
    }

    /// What has to be read back before `task` can run, and is not set aside yet.
    pub(super) fn on_disk(&self, task: TaskId) -> OnDisk {
        let mut on_disk = OnDisk::default();
        if self.away.places.is_empty() {
            return on_disk;
        }
        for dep in self.distinct_inputs(task) {
            let Some(Place::OnDisk(bytes)) = self.away.places.get(&dep) else { continue };
            let LayerBytes { out, out_and_scratch, rereads } = self.bytes_of(dep);
            let scratch = if rereads { out_and_scratch - out } else { 0 };
            on_disk.blocks = on_disk.blocks.saturating_add(*bytes);
            on_disk.scratch = on_disk.scratch.saturating_add(scratch);
        }
        on_disk
    }

    /// A task whose inputs the idle disk could read while others run: one that comes soon, and leaves room for those.
    pub(super) fn next_to_fetch(&mut self, idle: &dyn Fn() -> u64) -> Option<TaskId> {
        if self.away.places.is_empty() || self.running.is_empty() || self.is_disk_busy() {
            return None;
        }
        let ready = self.ready.peek().map(|rank| rank.0);
        let first = ready.into_iter().chain(self.waiting()).min()? as usize;
        let mut soon = self.by_rank.iter().skip(first).take(LOOK_AHEAD).copied();
        let task = soon.find(|&task| self.count[task.idx()] == 0 && self.needs_disk(task))?;
        let needed = self.used().saturating_add(self.bytes_to_start(task));
        let fits = needed.saturating_add(2 * self.headroom) <= self.limit;
        (fits && matches!(self.fit(task, idle), Fit::Yes)).then_some(task)
    }

    /// Takes note of a block whose next use is another one than before.
    pub(super) fn note_candidate(&mut self, task: TaskId) {
        if self.away.candidates.is_some() && self.bytes_if_movable(task).is_some() {
            let next_use = self.next_use(task);
            self.away.candidates.get_or_insert_default().push((next_use, task));
        }
    }

    /// [`note_candidate`](Self::note_candidate) after one of several readers, if they are few.
    pub(super) fn note_reader_left(&mut self, task: TaskId) {
        if self.away.candidates.is_some() && self.graph.dependents(task).len() <= READERS_MAX {
            self.note_candidate(task);
        }
    }

    /// Takes note that a block was read for the last time.
    pub(super) fn forget_copy(&mut self, task: TaskId) {
        match self.away.places.get(&task) {
            Some(Place::Copied) => {
                self.away.places.remove(&task);
                self.away.moves.push_back(Next::Discard(task));
            }
            // Its readers give it up, but the disk still holds it.
            Some(&Place::Recalled(bytes)) => self.resident += bytes,
            _ => {}
        }
    }

    fn distinct_inputs(&self, task: TaskId) -> Vec<TaskId> {
        let mut inputs = self.graph.dependencies(task).to_vec();
        inputs.sort_unstable();
        inputs.dedup();
        inputs
    }

    fn take_candidates(&mut self) -> BinaryHeap<(u32, TaskId)> {
        let tasks = (0..self.slots.len() as u32).map(TaskId);
        self.away.candidates.take().unwrap_or_else(|| {
            let movable = tasks.filter(|task| self.bytes_if_movable(*task).is_some());
            movable.map(|task| (self.next_use(task), task)).collect()
        })
    }

    /// The bytes of a block in its slot that can lie on disk, and is not on its way there.
    fn bytes_if_movable(&self, task: TaskId) -> Option<u64> {
        let block = self.slots[task.idx()].as_ref()?;
        let is_still = matches!(self.away.places.get(&task), None | Some(Place::Copied));
        let is_worth_it = block.nbytes() >= self.limit / WORTH_PART;
        let can_leave = || match self.bytes_of(task).rereads {
            true => block.nbytes() > 0,
            false => block.as_spill().is_some(),
        };
        (is_still && is_worth_it && can_leave()).then(|| block.nbytes())
    }

    /// The lowest rank among the readers of a block that have not run.
    fn next_use(&self, task: TaskId) -> u32 {
        let readers = self.graph.dependents(task).iter();
        let unread = readers.filter(|reader| !self.has_run(**reader));
        unread.map(|reader| self.ranks[reader.idx()]).min().unwrap_or(u32::MAX)
    }

    /// Whether `task` has run; while others run, not always known of one whose block they took.
    fn has_run(&self, task: TaskId) -> bool {
        self.count[task.idx()] == FREED
            || self.slots[task.idx()].is_some()
            || self.away.places.contains_key(&task)
    }
}

#[cfg(test)]
impl State<'_> {
    pub(super) fn is_on_disk(&self, task: TaskId) -> bool {
        matches!(self.away.places.get(&task), Some(Place::OnDisk(_) | Place::Returning(_)))
    }

    /// Bytes of blocks that nobody but the disk holds.
    pub(super) fn held_by_disk(&self) -> u64 {
        let places = self.away.places.iter();
        let held = places.map(|(task, place)| match place {
            Place::Recalled(bytes) if self.count[task.idx()] == FREED => *bytes,
            _ => 0,
        });
        held.sum()
    }

    /// Derives what is counted here again. Slow.
    pub(super) fn check_away(&self) {
        let away = &self.away;
        let (mut leaving, mut returning, mut n_under_way) = (0, 0, 0);
        for (&task, &place) in &away.places {
            let held = self.slots[task.idx()].as_ref().map(Block::nbytes);
            match place {
                Place::Leaving(bytes) => {
                    assert_eq!(held, Some(bytes), "what leaves is in its slot");
                    leaving += bytes;
                }
                Place::Recalled(_) | Place::Copied => {}
                Place::OnDisk(_) => assert_eq!(held, None, "what is on disk is not in its slot"),
                Place::Returning(bytes) => {
                    assert_eq!(held, None);
                    returning += bytes;
                }
            }
            let is_done = matches!(place, Place::OnDisk(_) | Place::Copied);
            n_under_way += usize::from(!is_done && !self.bytes_of(task).rereads);
        }
        assert_eq!((away.leaving, away.returning), (leaving, returning));
        assert_eq!(away.n_under_way, n_under_way);
        for running in &self.running {
            let inputs = self.distinct_inputs(running.task);
            let returning = inputs
                .iter()
                .filter(|dep| matches!(away.places.get(dep), Some(Place::Returning(_))));
            assert_eq!(running.n_missing, returning.count(), "a task knows what it waits for");
        }
    }
}
