//! The executor that lets workers run the tasks.
//!
//! What runs next is decided by the state machine of `sched`; this decides where, and remembers who holds which
//! block. A block in the state machine is a [`Placed`], so that what is dropped there is freed on the workers.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam::channel::{self, Receiver, RecvTimeoutError, Sender};

use super::cluster::{Counters, Event, Link, Links};
use super::wire::{self, Failure, Order, RunTask};
use super::worker::{hang_up, lock};
use crate::error::{Error, Result};
use crate::graph::{Block, KernelSpec, TaskGraph, TaskId, Value};
use crate::sched::job::Job;
use crate::sched::state::{Next, State};
use crate::sched::{Executor, Run, Sink, check_budget};

/// Tasks that a worker gets beside those that its threads run, so that none waits for the next one to come.
const N_QUEUED: usize = 1;

/// Tasks for each thread of a worker that has all their inputs, before another worker gets the inputs.
const LOCAL_FACTOR: usize = 4;

/// How often a run looks up to see whether it was cancelled.
const LOOK_UP_EVERY: Duration = Duration::from_millis(50);

/// Runs graphs on the workers of a cluster.
#[derive(Debug)]
pub(super) struct ClusterExecutor {
    pub(super) links: Arc<Mutex<Links>>,
    pub(super) counters: Arc<Counters>,
}

impl Executor for ClusterExecutor {
    fn run(&self, graph: &TaskGraph, ranks: &[u32], run: &Run<'_>, sink: &dyn Sink) -> Result<()> {
        let specs = specs(graph)?;
        let mut links = lock(&self.links);
        if let Some(lost) = &links.lost {
            return Err(lost.clone());
        }
        // Each task has to fit on each worker, whichever will have room.
        let smallest = links.links.iter().map(|link| link.memory_limit).min().unwrap_or(0);
        check_budget(graph, smallest)?;
        let job = Job::start(graph, run, sink)?;
        let (frees, freed) = channel::unbounded();
        let mut driver = Driver {
            job: &job,
            state: job.state(ranks),
            specs,
            links: &links.links,
            counters: &self.counters,
            loads: links.links.iter().map(|_| Load::default()).collect(),
            running: HashMap::new(),
            held: HashMap::new(),
            last: 0,
            frees,
            freed,
        };
        let (error, lost) = match driver.drive(&links.events) {
            Ok(error) => (error, driver.end()),
            Err(lost) => (None, Some(lost)),
        };
        let result = job.end(&driver.state, error.or_else(|| lost.clone()));
        drop(driver);
        if lost.is_some() {
            // What they still run is for nobody.
            links.links.iter().for_each(|link| hang_up(&link.connection));
            links.lost = lost;
        }
        result
    }
}

/// The kernels of a graph as data, but for those whose blocks are memory of this process.
fn specs(graph: &TaskGraph) -> Result<Vec<Option<KernelSpec>>> {
    let spec = |(id, tasks): (crate::graph::LayerId, std::ops::Range<u32>)| {
        let layer = graph.layers().get(id);
        if tasks.is_empty() || layer.kernel.is_resident() {
            return Ok(None);
        }
        layer.kernel.spec().map(Some).map_err(|reason| reason.of_layer(&layer.name))
    };
    graph.layer_tasks().map(spec).collect()
}

/// Where a block is. Dropping the last one frees the block everywhere.
#[derive(Debug)]
struct Placed {
    task: TaskId,
    nbytes: u64,
    at: Home,
    frees: Sender<TaskId>,
}

/// Who made a block.
#[derive(Clone, Debug)]
enum Home {
    Worker(usize),
    Here(Block),
}

impl Value for Placed {
    fn nbytes(&self) -> u64 {
        self.nbytes
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        // At the end of a run nobody listens, and everything is forgotten at once.
        let _ = self.frees.send(self.task);
    }
}

/// What a worker has to do and to hold.
#[derive(Debug, Default)]
struct Load {
    n_running: usize,
    /// Bytes of blocks, and what running tasks declared.
    bytes: u64,
    /// Layers whose kernels it has.
    layers: Vec<u32>,
    /// Blocks that it may forget.
    freed: Vec<u32>,
}

/// The workers that hold a block, and the bytes that it takes on each.
#[derive(Debug)]
struct Held {
    nbytes: u64,
    /// The worker that made it, if that was not this process.
    home: Option<usize>,
    workers: Vec<usize>,
}

/// A task on a worker.
struct Running {
    worker: usize,
    declared_bytes: u64,
    /// Held until the task has run, and with them the blocks on the workers.
    inputs: Vec<Block>,
}

/// One run.
struct Driver<'a> {
    job: &'a Job<'a>,
    state: State<'a>,
    specs: Vec<Option<KernelSpec>>,
    links: &'a [Link],
    counters: &'a Counters,
    loads: Vec<Load>,
    running: HashMap<TaskId, Running>,
    held: HashMap<TaskId, Held>,
    /// The worker that got the last task.
    last: usize,
    frees: Sender<TaskId>,
    freed: Receiver<TaskId>,
}

impl<'a> Driver<'a> {
    /// Runs everything; the first error of a task, after which what runs was waited for.
    ///
    /// # Errors
    /// The loss of a worker, after which nothing is waited for.
    fn drive(&mut self, events: &Receiver<(usize, Event)>) -> Result<Option<Error>> {
        let mut error = None;
        // A task that no worker has room for yet.
        let mut waiting = None;
        loop {
            if self.job.run.cancel.is_cancelled() && !self.state.is_complete() {
                self.state.stop();
                error.get_or_insert(Error::Cancelled);
            }
            if error.is_some() {
                // It was started as far as the state knows.
                waiting.take().into_iter().for_each(|task| self.state.on_failed(task));
            }
            if let Err(failure) = self.start_tasks(&mut waiting)? {
                error.get_or_insert(failure);
                continue;
            }
            if self.running.is_empty() {
                return Ok(error);
            }
            match events.recv_timeout(LOOK_UP_EVERY) {
                Ok((worker, event)) => {
                    if let Err(failure) = self.on_event(worker, event)? {
                        error.get_or_insert(failure);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(self.lost(0, "all connections are closed"));
                }
            }
        }
    }

    /// Tells the workers to forget what the run has left; the loss of one.
    fn end(&mut self) -> Option<Error> {
        let mut ends = 0..self.links.len();
        ends.find_map(|worker| self.send(worker, &Order::End, &[]).err())
    }

    /// Starts tasks as long as there are some and workers for them. The inner error is that of a task that ran here.
    fn start_tasks(&mut self, waiting: &mut Option<TaskId>) -> Result<Result<()>> {
        loop {
            self.note_freed();
            if !(0..self.links.len()).any(|worker| self.is_open(worker)) {
                return Ok(Ok(()));
            }
            let task = match waiting.take() {
                Some(task) => task,
                None => match self.state.next_task(&|| 0) {
                    Next::Run(task) => task,
                    Next::Trim(_) => continue,
                    Next::Wait | Next::Finished => return Ok(Ok(())),
                },
            };
            let layer = self.job.graph.layer(task);
            if self.specs[layer.idx()].is_none() {
                if let Err(error) = self.run_here(task) {
                    return Ok(Err(error));
                }
                continue;
            }
            let inputs = self.inputs(task);
            let mut worker = self.worker_for(task, &inputs);
            if worker.is_none() {
                self.forget_copies(&inputs);
                worker = self.worker_for(task, &inputs).or_else(|| self.roomiest());
            }
            match worker {
                Some(worker) => self.start(task, worker)?,
                None => {
                    *waiting = Some(task);
                    return Ok(Ok(()));
                }
            }
        }
    }

    /// Gives out a block of this process.
    fn run_here(&mut self, task: TaskId) -> Result<()> {
        match self.job.run_task(task, Vec::new()) {
            Ok(block) => {
                let block = block.map(|block| {
                    let nbytes = block.nbytes_elsewhere();
                    self.held.insert(task, Held { nbytes, home: None, workers: Vec::new() });
                    self.placed(task, 0, Home::Here(block))
                });
                self.state.on_finished(task, block, &mut Vec::new());
                Ok(())
            }
            Err(error) => {
                self.state.on_failed(task);
                Err(error)
            }
        }
    }

    fn placed(&self, task: TaskId, nbytes: u64, at: Home) -> Block {
        Block::new(Placed { task, nbytes, at, frees: self.frees.clone() })
    }

    fn is_open(&self, worker: usize) -> bool {
        self.loads[worker].n_running < self.links[worker].n_threads + N_QUEUED
    }

    /// The blocks that a task reads, each once.
    fn inputs(&self, task: TaskId) -> Vec<TaskId> {
        let mut inputs = self.job.graph.dependencies(task).to_vec();
        inputs.sort_unstable();
        inputs.dedup();
        inputs
    }

    /// Bytes of output and scratch of a task.
    fn own_bytes(&self, task: TaskId) -> u64 {
        self.job.graph.out_bytes(task).saturating_add(self.job.graph.scratch_bytes(task))
    }

    /// The worker with room to which the fewest bytes have to be sent, then one with an idle thread, then the
    /// last one, so that neighbours stay together. `None` if some task has to end first.
    fn worker_for(&self, task: TaskId, inputs: &[TaskId]) -> Option<usize> {
        let missing = |worker: usize| {
            let bytes = inputs.iter().map(|input| match self.held.get(input) {
                Some(held) if !held.workers.contains(&worker) => held.nbytes,
                _ => 0,
            });
            bytes.fold(0, u64::saturating_add)
        };
        let own_bytes = self.own_bytes(task);
        let fits = |worker: usize, missing: u64| {
            let needed = own_bytes.saturating_add(missing).saturating_add(self.loads[worker].bytes);
            needed <= self.links[worker].memory_limit
        };
        // Waiting where the inputs are costs less than sending them, up to a point.
        let may_have = |worker: usize, missing: u64| {
            let n_threads = self.links[worker].n_threads;
            let n_max = match missing {
                0 if inputs.is_empty() => n_threads + N_QUEUED,
                0 => n_threads * LOCAL_FACTOR,
                _ => n_threads,
            };
            self.loads[worker].n_running < n_max
        };
        let workers = (0..self.links.len()).map(|worker| (worker, missing(worker)));
        let workers =
            workers.filter(|&(worker, missing)| may_have(worker, missing) && fits(worker, missing));
        let best = workers.min_by_key(|&(worker, missing)| {
            let n_running = self.loads[worker].n_running;
            let is_busy = n_running >= self.links[worker].n_threads;
            (missing, is_busy, worker != self.last, n_running)
        });
        best.map(|(worker, _)| worker)
    }

    /// The worker that exceeds its limit least, if nothing runs: as long as there are tasks, one does.
    fn roomiest(&self) -> Option<usize> {
        let room = |worker: &usize| {
            self.links[*worker].memory_limit.saturating_sub(self.loads[*worker].bytes)
        };
        (0..self.links.len()).max_by_key(room).filter(|_| self.running.is_empty())
    }

    /// Lets workers forget blocks that they have from elsewhere and that no task needs there right now.
    fn forget_copies(&mut self, but: &[TaskId]) {
        let mut needed: HashSet<(TaskId, usize)> = HashSet::new();
        for running in self.running.values() {
            let tasks = running.inputs.iter().filter_map(Block::downcast_ref::<Placed>);
            needed.extend(tasks.map(|placed| (placed.task, running.worker)));
        }
        for (task, held) in &mut self.held {
            let (home, nbytes) = (held.home, held.nbytes);
            held.workers.retain(|&worker| {
                let stays =
                    home == Some(worker) || needed.contains(&(*task, worker)) || but.contains(task);
                if !stays {
                    self.loads[worker].bytes -= nbytes;
                    self.loads[worker].freed.push(task.0);
                }
                stays
            });
        }
    }

    /// Sends a task, and before it what the worker lacks.
    fn start(&mut self, task: TaskId, worker: usize) -> Result<()> {
        let graph = self.job.graph;
        self.job.on_started(task);
        self.last = worker;
        let layer = graph.layer(task);
        if !self.loads[worker].layers.contains(&layer.0) {
            let kernel =
                self.specs[layer.idx()].clone().expect("only kernels with a spec are sent");
            self.send(worker, &Order::Layer { layer: layer.0, kernel }, &[])?;
            self.loads[worker].layers.push(layer.0);
        }
        let mut blocks = Vec::with_capacity(graph.dependencies(task).len());
        self.state.gather(task, &mut blocks);
        let mut inputs = Vec::with_capacity(blocks.len());
        for block in &blocks {
            let placed: &Placed = block.downcast_ref().expect("all blocks of this run are placed");
            inputs.push((placed.task.0, self.bring(placed, worker)?));
        }
        let declared_bytes = self.own_bytes(task);
        let order = Order::Run(RunTask {
            key: task.0,
            layer: layer.0,
            invocation: graph.invocation(task),
            inputs,
            declared_bytes,
            is_read: !graph.dependents(task).is_empty(),
            is_result: graph.output_positions(task).next().is_some(),
        });
        self.send(worker, &order, &[])?;
        self.loads[worker].n_running += 1;
        self.loads[worker].bytes += declared_bytes;
        self.counters.peaks[worker].fetch_max(self.loads[worker].bytes, Ordering::Relaxed);
        self.running.insert(task, Running { worker, declared_bytes, inputs: blocks });
        Ok(())
    }

    /// Sees to it that `worker` can read a block; where it gets the block from, if from another worker.
    fn bring(&mut self, placed: &Placed, worker: usize) -> Result<Option<std::net::SocketAddr>> {
        let held = self.held.get_mut(&placed.task).expect("a block is held until it is dropped");
        let is_new = !held.workers.contains(&worker);
        if is_new {
            held.workers.push(worker);
            self.loads[worker].bytes += held.nbytes;
        }
        match &placed.at {
            Home::Worker(home) if *home == worker => Ok(None),
            // The worker asks only if it was not told to get the same block before.
            Home::Worker(home) => Ok(Some(self.links[*home].address)),
            Home::Here(block) if is_new => {
                let (kind, bytes) = block.encode().ok_or_else(|| Error::Internal {
                    place: "cluster".into(),
                    problem: "a block in memory has no form in bytes".into(),
                })?;
                let order = Order::Keep { key: placed.task.0, kind: kind.to_string() };
                self.send(worker, &order, &bytes).map(|()| None)
            }
            Home::Here(_) => Ok(None),
        }
    }

    /// Takes note of what a worker did. The inner error is that of a task.
    fn on_event(&mut self, worker: usize, event: Event) -> Result<Result<()>> {
        let (Event::Finished { key, .. } | Event::Failed { key, .. }) = &event else {
            let Event::Lost(problem) = event else { return Ok(Ok(())) };
            return Err(self.lost(worker, &problem));
        };
        let task = TaskId(*key);
        let known = self.running.remove(&task).filter(|running| running.worker == worker);
        let Some(running) = known else {
            return Err(self.lost(worker, "it reported a task that it was not given"));
        };
        self.loads[worker].n_running -= 1;
        self.loads[worker].bytes -= running.declared_bytes;
        let finished = match event {
            Event::Finished { nbytes, block, .. } => self.on_finished(task, worker, nbytes, block),
            Event::Failed { failure: Failure::Unreachable { peer, problem }, .. } => {
                let lost = self.links.iter().position(|link| link.address == peer);
                return Err(self.lost(lost.unwrap_or(worker), &problem));
            }
            Event::Failed { failure: Failure::Panic(message), .. } => {
                let op = self.job.graph.op_name(task).to_string();
                Err(Error::TaskPanicked { op, block: self.job.graph.block_index(task), message })
            }
            Event::Failed { failure: Failure::Error(problem), .. } => {
                let address = self.links[worker].address.to_string();
                let error = Error::Worker { call: None, address, problem };
                self.job.finish_task(task, || Err(error)).map(drop)
            }
            Event::Lost(_) => Ok(()),
        };
        if finished.is_err() {
            self.state.on_failed(task);
        }
        drop(running);
        Ok(finished)
    }

    fn on_finished(
        &mut self,
        task: TaskId,
        worker: usize,
        nbytes: u64,
        result: Option<Block>,
    ) -> Result<()> {
        let is_result = self.job.graph.output_positions(task).next().is_some();
        let is_read = !self.job.graph.dependents(task).is_empty();
        let placed = self.placed(task, nbytes, Home::Worker(worker));
        let block = match (is_result, result) {
            (true, Some(block)) => block,
            (true, None) => {
                let address = self.links[worker].address.to_string();
                let problem = "it did not send a result".into();
                return Err(Error::Worker { call: None, address, problem });
            }
            (false, _) => placed.clone(),
        };
        // The user gets the block itself; other tasks read the one on the worker.
        self.job.finish_task(task, || Ok(block))?;
        if is_read {
            self.held.insert(task, Held { nbytes, home: Some(worker), workers: vec![worker] });
            self.loads[worker].bytes += nbytes;
        }
        self.state.on_finished(task, is_read.then_some(placed), &mut Vec::new());
        Ok(())
    }

    /// Takes note of blocks that nobody reads any more.
    fn note_freed(&mut self) {
        while let Ok(task) = self.freed.try_recv() {
            let Some(held) = self.held.remove(&task) else { continue };
            for worker in held.workers {
                self.loads[worker].bytes -= held.nbytes;
                self.loads[worker].freed.push(task.0);
            }
        }
    }

    /// Sends a message to a worker, and what it may forget before.
    fn send(&mut self, worker: usize, order: &Order, block: &[u8]) -> Result<()> {
        let mut to = &self.links[worker].connection;
        let freed = std::mem::take(&mut self.loads[worker].freed);
        let send = || {
            let first = match freed.is_empty() {
                true => 0,
                false => wire::send(&mut to, &Order::Free(freed), &[])?,
            };
            Ok(first + wire::send(&mut to, order, block)?)
        };
        let sent: std::io::Result<u64> = send();
        let n_bytes = sent.map_err(|error| self.lost(worker, &error.to_string()))?;
        self.counters.to_workers.fetch_add(n_bytes, Ordering::Relaxed);
        Ok(())
    }

    fn lost(&self, worker: usize, problem: &str) -> Error {
        Error::Worker {
            call: None,
            address: self.links[worker].address.to_string(),
            problem: format!("was lost: {problem}; start it again and connect a new Cluster"),
        }
    }
}
