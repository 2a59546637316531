//! The executor that lets workers run the tasks.
//!
//! What runs next is decided by the state machine of `sched`, and where by [`Placement`]. A block in the state machine
//! is a [`Placed`], so that what is dropped there is freed on the workers.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam::channel::{self, Receiver, RecvTimeoutError, Sender};

use super::cluster::{Counters, Event, Link, Links};
use super::placement::{Choice, Placement};
use super::wire::{self, Failure, Order, RunTask};
use super::worker::{hang_up, lock};
use crate::error::{Error, Result};
use crate::graph::{Block, KernelSpec, TaskGraph, TaskId, Value};
use crate::observe::Thread;
use crate::sched::job::{Begun, Job};
use crate::sched::state::{Next, State};
use crate::sched::{Executor, Run, Sink, check_budget};

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
        let workers = links.links.iter().map(|link| (link.n_threads, link.memory_limit));
        let mut driver = Driver {
            job: &job,
            state: job.state(ranks).without_rereads(),
            specs,
            links: &links.links,
            counters: &self.counters,
            placement: Placement::new(workers),
            layers: links.links.iter().map(|_| HashSet::new()).collect(),
            running: HashMap::new(),
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

/// A task on a worker.
struct Running {
    worker: usize,
    declared_bytes: u64,
    /// Held until the task has run, and with them the blocks on the workers.
    inputs: Vec<Block>,
    begun: Begun,
}

/// One run.
struct Driver<'a> {
    job: &'a Job<'a>,
    state: State<'a>,
    specs: Vec<Option<KernelSpec>>,
    links: &'a [Link],
    counters: &'a Counters,
    placement: Placement,
    /// The layers whose kernels each worker has.
    layers: Vec<HashSet<u32>>,
    running: HashMap<TaskId, Running>,
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
            self.freed.try_iter().for_each(|task| self.placement.on_freed(task));
            if !self.placement.is_open() {
                return Ok(Ok(()));
            }
            let task = match waiting.take() {
                Some(task) => task,
                None => match self.state.next_task(&|| 0) {
                    Next::Run(task) => task,
                    Next::Wait | Next::Finished => return Ok(Ok(())),
                    // Here are no buffers, and no blocks that could lie on disk.
                    _ => continue,
                },
            };
            let layer = self.job.graph.layer(task);
            if self.specs[layer.idx()].is_none() {
                if let Err(error) = self.run_here(task) {
                    return Ok(Err(error));
                }
                continue;
            }
            match self.worker_for(task) {
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
        match self.job.run_task(task, Vec::new(), self.state.used_bytes()) {
            Ok(block) => {
                let block = block.map(|block| {
                    let nbytes = block.nbytes_elsewhere();
                    self.placement.on_made(task, nbytes, None);
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

    /// Bytes of output and scratch of a task.
    fn own_bytes(&self, task: TaskId) -> u64 {
        self.job.graph.out_bytes(task).saturating_add(self.job.graph.scratch_bytes(task))
    }

    /// The worker that runs a task; `None` if some task has to end first.
    fn worker_for(&mut self, task: TaskId) -> Option<usize> {
        let mut inputs = self.job.graph.dependencies(task).to_vec();
        inputs.sort_unstable();
        inputs.dedup();
        let own_bytes = self.own_bytes(task);
        match self.placement.choose(&inputs, own_bytes) {
            Choice::Worker(worker) => return Some(worker),
            Choice::Busy => return None,
            Choice::Full => {}
        }
        let mut needed: HashSet<(TaskId, usize)> = HashSet::new();
        for running in self.running.values() {
            let placed = running.inputs.iter().filter_map(Block::downcast_ref::<Placed>);
            needed.extend(placed.map(|placed| (placed.task, running.worker)));
        }
        for worker in 0..self.links.len() {
            needed.extend(inputs.iter().map(|input| (*input, worker)));
        }
        self.placement.forget_copies(&needed);
        match self.placement.choose(&inputs, own_bytes) {
            Choice::Worker(worker) => Some(worker),
            // As long as there are tasks, one runs.
            _ => self.placement.roomiest().filter(|_| self.running.is_empty()),
        }
    }

    /// Sends a task, and before it what the worker lacks.
    fn start(&mut self, task: TaskId, worker: usize) -> Result<()> {
        let graph = self.job.graph;
        let begun = self.job.begin(task, || self.lane(worker), 0, self.state.used_bytes());
        let layer = graph.layer(task);
        if self.layers[worker].insert(layer.0) {
            let kernel =
                self.specs[layer.idx()].clone().expect("only kernels with a spec are sent");
            self.send(worker, &Order::Layer { layer: layer.0, kernel }, &[])?;
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
        self.placement.on_started(worker, declared_bytes);
        let bytes = self.placement.workers[worker].bytes;
        self.counters.peaks[worker].fetch_max(bytes, Ordering::Relaxed);
        self.running.insert(task, Running { worker, declared_bytes, inputs: blocks, begun });
        Ok(())
    }

    /// The first name for one of the tasks that `worker` has at once that no task of this run has now.
    fn lane(&self, worker: usize) -> Thread {
        let of_worker = self.running.values().filter(|running| running.worker == worker);
        let taken: Vec<_> = of_worker.filter_map(|running| running.begun.thread()).collect();
        let address = self.links[worker].address;
        let mut lanes = (0..).map(|slot| Thread::named(&format!("{address} #{slot}")));
        lanes.find(|lane| !taken.contains(lane)).expect("there are more numbers than tasks")
    }

    /// Sees to it that `worker` can read a block; where it gets the block from, if from another worker.
    fn bring(&mut self, placed: &Placed, worker: usize) -> Result<Option<SocketAddr>> {
        let is_new = self.placement.bring(placed.task, worker);
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
        let Running { declared_bytes, inputs, begun, .. } = running;
        self.placement.on_ended(worker, declared_bytes);
        let finished = match event {
            Event::Finished { nbytes, block, .. } => {
                self.on_finished(task, worker, begun, nbytes, block)
            }
            Event::Failed { failure: Failure::Unreachable { peer, problem }, .. } => {
                let lost = self.links.iter().position(|link| link.address == peer);
                return Err(self.lost(lost.unwrap_or(worker), &problem));
            }
            Event::Failed { failure: Failure::Panic(message), .. } => {
                self.job.fail(begun);
                let graph = self.job.graph;
                let (op, block) = (graph.op_name(task).to_string(), graph.block_index(task));
                let at = graph.line(task);
                Err(Error::TaskPanicked { op, block, at, message, task: None })
            }
            Event::Failed { failure: Failure::Error(problem), .. } => {
                let address = self.links[worker].address.to_string();
                let error = Error::Worker { call: None, address, problem };
                self.job.finish_task(task, begun, || Err(error)).map(drop)
            }
            Event::Lost(_) => Ok(()),
        };
        if finished.is_err() {
            self.state.on_failed(task);
        }
        drop(inputs);
        Ok(finished)
    }

    fn on_finished(
        &mut self,
        task: TaskId,
        worker: usize,
        begun: Begun,
        nbytes: u64,
        result: Option<Block>,
    ) -> Result<()> {
        let is_result = self.job.graph.output_positions(task).next().is_some();
        let is_read = !self.job.graph.dependents(task).is_empty();
        let placed = self.placed(task, nbytes, Home::Worker(worker));
        let block = match (is_result, result) {
            (true, Some(block)) => block,
            (true, None) => {
                self.job.fail(begun);
                let address = self.links[worker].address.to_string();
                let problem = "it did not send a result".into();
                return Err(Error::Worker { call: None, address, problem });
            }
            (false, _) => placed.clone(),
        };
        // The user gets the block itself; other tasks read the one on the worker.
        self.job.finish_task(task, begun, || Ok(block))?;
        if is_read {
            self.placement.on_made(task, nbytes, Some(worker));
        }
        self.state.on_finished(task, is_read.then_some(placed), &mut Vec::new());
        Ok(())
    }

    /// Sends a message to a worker, and what it may forget before.
    fn send(&mut self, worker: usize, order: &Order, block: &[u8]) -> Result<()> {
        let mut to = &self.links[worker].connection;
        let freed = std::mem::take(&mut self.placement.workers[worker].freed);
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
