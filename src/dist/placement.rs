//! Which worker gets a task, and who holds which block.
//!
//! Pure bookkeeping: no connections, no blocks. Every byte that a worker was told to hold or to use counts against its
//! limit, copies of blocks of other workers as well.

use std::collections::{HashMap, HashSet};

use crate::graph::TaskId;

/// Tasks that a worker gets beside those that its threads run, so that none waits for the next one to come.
const N_QUEUED: usize = 1;

/// Tasks for each thread of a worker that has all their inputs, before another worker gets the inputs.
const LOCAL_FACTOR: usize = 4;

/// The workers of a run and what they have.
#[derive(Debug)]
pub(super) struct Placement {
    pub(super) workers: Vec<Load>,
    held: HashMap<TaskId, Held>,
    /// The worker that got the last task.
    last: usize,
}

/// Where a task may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    Worker(usize),
    /// Nowhere before a task ends.
    Busy,
    /// Nowhere before some worker has more room.
    Full,
}

/// What a worker has to do and to hold.
#[derive(Debug)]
pub(super) struct Load {
    n_threads: usize,
    memory_limit: u64,
    n_running: usize,
    /// Bytes of blocks, and what running tasks declared.
    pub(super) bytes: u64,
    /// Blocks that it may forget.
    pub(super) freed: Vec<u32>,
}

/// The workers that hold a block, and the bytes that it takes on each.
#[derive(Debug)]
struct Held {
    nbytes: u64,
    /// The worker that made it, if that was not this process.
    home: Option<usize>,
    workers: Vec<usize>,
}

impl Placement {
    /// Workers of so many threads and bytes each.
    pub(super) fn new(workers: impl Iterator<Item = (usize, u64)>) -> Self {
        let load = |(n_threads, memory_limit)| Load {
            n_threads,
            memory_limit,
            n_running: 0,
            bytes: 0,
            freed: Vec::new(),
        };
        Placement { workers: workers.map(load).collect(), held: HashMap::new(), last: 0 }
    }

    /// Whether some worker would take a task without inputs.
    pub(super) fn is_open(&self) -> bool {
        self.workers.iter().any(|load| load.n_running < load.n_threads + N_QUEUED)
    }

    /// The worker with room to which the fewest bytes have to be sent, then one with an idle thread, then the
    /// last one, so that neighbours stay together.
    pub(super) fn choose(&self, inputs: &[TaskId], own_bytes: u64) -> Choice {
        let mut best = None;
        let mut otherwise = Choice::Busy;
        for (worker, load) in self.workers.iter().enumerate() {
            let missing = self.missing_bytes(inputs, worker);
            // Waiting where the inputs are costs less than sending them, up to a point.
            let n_max = match missing {
                0 if inputs.is_empty() => load.n_threads + N_QUEUED,
                0 => load.n_threads * LOCAL_FACTOR,
                _ => load.n_threads,
            };
            if load.n_running >= n_max {
                continue;
            }
            if own_bytes.saturating_add(missing).saturating_add(load.bytes) > load.memory_limit {
                otherwise = Choice::Full;
                continue;
            }
            let is_busy = load.n_running >= load.n_threads;
            let key = (missing, is_busy, worker != self.last, load.n_running, worker);
            best = Some(best.map_or(key, |best: (u64, bool, bool, usize, usize)| best.min(key)));
        }
        best.map_or(otherwise, |(.., worker)| Choice::Worker(worker))
    }

    fn missing_bytes(&self, inputs: &[TaskId], worker: usize) -> u64 {
        let held = inputs.iter().filter_map(|input| self.held.get(input));
        let missing = held.filter(|held| !held.workers.contains(&worker));
        missing.fold(0, |sum, held| sum.saturating_add(held.nbytes))
    }

    /// The worker that would exceed its limit least.
    pub(super) fn roomiest(&self) -> Option<usize> {
        let room = |worker: &usize| {
            let load = &self.workers[*worker];
            load.memory_limit.saturating_sub(load.bytes)
        };
        (0..self.workers.len()).max_by_key(room)
    }

    /// Lets workers forget blocks that they have from elsewhere, but for those in `needed`.
    pub(super) fn forget_copies(&mut self, needed: &HashSet<(TaskId, usize)>) {
        let workers = &mut self.workers;
        for (task, held) in &mut self.held {
            let (home, nbytes) = (held.home, held.nbytes);
            held.workers.retain(|&worker| {
                let stays = home == Some(worker) || needed.contains(&(*task, worker));
                if !stays {
                    workers[worker].free(*task, nbytes);
                }
                stays
            });
        }
    }

    /// A task that declared so many bytes was given to a worker.
    pub(super) fn on_started(&mut self, worker: usize, declared_bytes: u64) {
        self.last = worker;
        self.workers[worker].n_running += 1;
        self.workers[worker].bytes += declared_bytes;
    }

    /// A task that declared so many bytes has ended.
    pub(super) fn on_ended(&mut self, worker: usize, declared_bytes: u64) {
        self.workers[worker].n_running -= 1;
        self.workers[worker].bytes -= declared_bytes;
    }

    /// A block was made, by a worker or by this process.
    pub(super) fn on_made(&mut self, task: TaskId, nbytes: u64, home: Option<usize>) {
        let workers: Vec<usize> = home.into_iter().collect();
        workers.iter().for_each(|worker| self.workers[*worker].bytes += nbytes);
        self.held.insert(task, Held { nbytes, home, workers });
    }

    /// A worker is to have a block; whether it does not have it yet.
    pub(super) fn bring(&mut self, task: TaskId, worker: usize) -> bool {
        let held = self.held.get_mut(&task).expect("a block is held until it is dropped");
        let is_new = !held.workers.contains(&worker);
        if is_new {
            held.workers.push(worker);
            self.workers[worker].bytes += held.nbytes;
        }
        is_new
    }

    /// Nobody reads a block any more.
    pub(super) fn on_freed(&mut self, task: TaskId) {
        let Some(held) = self.held.remove(&task) else { return };
        held.workers.iter().for_each(|worker| self.workers[*worker].free(task, held.nbytes));
    }
}

impl Load {
    fn free(&mut self, task: TaskId, nbytes: u64) {
        self.bytes -= nbytes;
        self.freed.push(task.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: TaskId = TaskId(1);
    const B: TaskId = TaskId(2);

    #[test]
    fn tasks_go_where_their_inputs_are_unless_too_many_wait_there() {
        let mut placement = Placement::new([(1, 100), (1, 100)].into_iter());
        placement.on_made(A, 30, Some(1));
        placement.on_made(B, 10, Some(0));
        assert_eq!(placement.choose(&[A, B], 5), Choice::Worker(1));
        assert!(placement.bring(B, 1) && !placement.bring(B, 1));
        for _ in 0..LOCAL_FACTOR {
            assert_eq!(placement.choose(&[A], 5), Choice::Worker(1));
            placement.on_started(1, 5);
        }
        assert_eq!(placement.choose(&[A], 5), Choice::Worker(0));
        placement.on_started(0, 5);
        // No thread is idle, so nothing is sent anywhere.
        assert_eq!(placement.choose(&[A], 5), Choice::Busy);
        assert_eq!(placement.choose(&[B], 5), Choice::Worker(0));
        assert_eq!(placement.choose(&[], 5), Choice::Worker(0));
    }

    #[test]
    fn neighbours_stay_together_while_threads_are_idle() {
        let mut placement = Placement::new([(2, 100), (2, 100)].into_iter());
        let order: Vec<_> = std::iter::from_fn(|| {
            let Choice::Worker(worker) = placement.choose(&[], 1) else { return None };
            placement.on_started(worker, 1);
            Some(worker)
        })
        .collect();
        assert_eq!(order, [0, 0, 1, 1, 1, 0]);
        assert!(!placement.is_open());
    }

    /// Dask gives a thousand blocks of three axes to two of ten workers.
    #[test]
    fn dask_defect_8_blocks_of_a_rechunk_of_three_axes_go_to_all_workers() {
        for of_all_slabs in [true, false] {
            let mut placement = Placement::new([(1, 1 << 40); 10].into_iter());
            let slabs: Vec<TaskId> = (0..10).map(TaskId).collect();
            for (worker, slab) in slabs.iter().enumerate() {
                placement.on_made(*slab, 1000, Some(worker));
            }
            let (mut n_blocks, mut running) = ([0; 10], Vec::new());
            for block in 0..1000 {
                let inputs = if of_all_slabs { &slabs[..] } else { &slabs[block / 100..][..1] };
                let worker = loop {
                    if let Choice::Worker(worker) = placement.choose(inputs, 10) {
                        break worker;
                    }
                    running.drain(..).for_each(|worker| placement.on_ended(worker, 10));
                };
                for slab in inputs {
                    placement.bring(*slab, worker);
                }
                placement.on_started(worker, 10);
                running.push(worker);
                n_blocks[worker] += 1;
            }
            assert!(n_blocks.iter().all(|n| (50..=200).contains(n)), "{n_blocks:?}");
        }
    }

    #[test]
    fn copies_make_room_and_all_bytes_come_back() {
        let mut placement = Placement::new([(1, 50), (1, 40)].into_iter());
        placement.on_made(A, 30, Some(0));
        placement.bring(A, 1);
        placement.on_made(B, 5, None);
        assert_eq!((placement.choose(&[], 25), placement.roomiest()), (Choice::Full, Some(0)));
        placement.forget_copies(&HashSet::from([(A, 1)]));
        assert_eq!(placement.choose(&[], 25), Choice::Full);
        placement.forget_copies(&HashSet::new());
        assert_eq!(placement.choose(&[], 25), Choice::Worker(1));
        placement.on_started(1, 25);
        placement.bring(B, 1);
        placement.on_ended(1, 25);
        placement.on_freed(A);
        placement.on_freed(B);
        let left: Vec<_> =
            placement.workers.iter().map(|load| (load.bytes, &load.freed[..])).collect();
        assert_eq!(left, [(0, &[1][..]), (0, &[1, 2][..])]);
    }
}
