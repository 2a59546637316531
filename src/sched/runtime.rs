//! What outlives a run: thread pools, and the buffers that one run leaves to the next.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::events::All;
use super::recorder::Recorder;
use super::{EventSink, Executor, NoEvents, Progress, Run, Seeded, Serial, Sink, Threaded};
use crate::config::{CancelTokens, Config, ExecutorKind};
use crate::error::{Call, Error, Result};
use crate::graph::{TaskGraph, order};
use crate::keep::{SpillOptions, free_of};
use crate::memory::BufferPool;
use crate::observe::Observers;

/// Idle buffers may use this part of the memory limit.
const IDLE_PART: u64 = 4;

/// The bytes that a run may use.
#[derive(Clone, Copy, Debug)]
enum Budget {
    /// What is free of a memory limit when the run begins.
    FreeOf(u64),
    #[cfg(feature = "dist")]
    Fixed(u64),
}

/// What the runs of one configuration share.
#[derive(Debug)]
pub(crate) struct Runtime {
    pub(crate) executor: Box<dyn Executor>,
    pub(crate) pool: Arc<BufferPool>,
    budget: Budget,
    spill: SpillOptions,
    shows_progress: bool,
    observers: Observers,
    cancel: CancelTokens,
}

impl Runtime {
    pub(crate) fn of(config: &Config) -> Result<Self> {
        let executor: Box<dyn Executor> = match config.executor() {
            ExecutorKind::Serial => Box::new(Serial),
            ExecutorKind::Seeded(seed) => Box::new(Seeded(seed)),
            ExecutorKind::Threaded => Box::new(Threaded::new(thread_pool(config.threads())?)),
        };
        let budget = Budget::FreeOf(config.memory_limit());
        let pool = buffer_pool(config.memory_limit() / IDLE_PART);
        let spill = spill_options(config);
        let observers = config.observers().clone();
        let shows_progress = config.progress();
        let cancel = config.cancel().clone();
        Ok(Runtime { executor, pool, budget, spill, shows_progress, observers, cancel })
    }

    /// Runs that `executor` does elsewhere, on `budget_bytes` of memory.
    #[cfg(feature = "dist")]
    pub(crate) fn on(executor: Box<dyn Executor>, budget_bytes: u64, config: &Config) -> Self {
        let pool = buffer_pool(config.memory_limit() / IDLE_PART);
        let spill = spill_options(config);
        let observers = config.observers().clone();
        let shows_progress = config.progress();
        let cancel = config.cancel().clone();
        let budget = Budget::Fixed(budget_bytes);
        Runtime { executor, pool, budget, spill, shows_progress, observers, cancel }
    }

    /// Orders and runs `graph`, while those watch whom the configuration names.
    pub(crate) fn execute(&self, graph: &TaskGraph, sink: &dyn Sink) -> Result<()> {
        self.execute_for(None, graph, sink)
    }

    /// [`execute`](Self::execute), for `call`.
    pub(crate) fn execute_for(
        &self,
        call: Option<Call>,
        graph: &TaskGraph,
        sink: &dyn Sink,
    ) -> Result<()> {
        let progress = self.shows_progress.then(Progress::new);
        let recorder = Recorder::new(self.observers.with_global(), call);
        let progress = progress.as_ref().map(|progress| progress as &dyn EventSink);
        let recorder = recorder.as_ref().map(|recorder| recorder as &dyn EventSink);
        let events: Vec<_> = progress.into_iter().chain(recorder).collect();
        match events[..] {
            [] => self.execute_watched(graph, &NoEvents, sink),
            [one] => self.execute_watched(graph, one, sink),
            _ => self.execute_watched(graph, &All(events), sink),
        }
    }

    fn budget_bytes(&self) -> u64 {
        match self.budget {
            Budget::FreeOf(limit) => free_of(limit),
            #[cfg(feature = "dist")]
            Budget::Fixed(bytes) => bytes,
        }
    }

    /// Orders and runs `graph` while `events` watches.
    pub(crate) fn execute_watched(
        &self,
        graph: &TaskGraph,
        events: &dyn EventSink,
        sink: &dyn Sink,
    ) -> Result<()> {
        let run = Run {
            budget_bytes: self.budget_bytes().saturating_sub(graph.layers().reserved_bytes()),
            pool: Arc::clone(&self.pool),
            events,
            cancel: self.cancel.clone(),
            spill: self.spill.clone(),
        };
        self.executor.run(graph, &order(graph), &run, sink)
    }
}

/// Where blocks go while memory is full.
pub(crate) fn spill_options(config: &Config) -> SpillOptions {
    let options = SpillOptions::new(config.spill_directory(), config.spill_limit());
    SpillOptions { compresses: config.spill_compression(), ..options }
}

/// The pool of `n` threads, the same one for every run.
pub(crate) fn thread_pool(n: usize) -> Result<Arc<ThreadPool>> {
    static POOLS: Mutex<Option<HashMap<usize, Arc<ThreadPool>>>> = Mutex::new(None);
    let mut pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
    let pools = pools.get_or_insert_default();
    if let Some(pool) = pools.get(&n) {
        return Ok(Arc::clone(pool));
    }
    let builder = ThreadPoolBuilder::new().num_threads(n).thread_name(|i| format!("dask-rs-{i}"));
    let pool = builder.build().map_err(|error| Error::Internal {
        place: format!("a pool of {n} threads"),
        problem: error.to_string(),
    })?;
    let pool = Arc::new(pool);
    pools.insert(n, Arc::clone(&pool));
    Ok(pool)
}

/// The pool of buffers, the same one for every run with the same limit.
fn buffer_pool(idle_bytes_max: u64) -> Arc<BufferPool> {
    static POOL: Mutex<Option<Arc<BufferPool>>> = Mutex::new(None);
    let mut current = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    match &*current {
        Some(pool) if pool.idle_bytes_max() == idle_bytes_max => Arc::clone(pool),
        // Runs that still use the old pool keep it alive as long as they need it.
        _ => {
            let pool = Arc::new(BufferPool::new(idle_bytes_max));
            *current = Some(Arc::clone(&pool));
            pool
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pools_are_kept() {
        let one = thread_pool(2).unwrap();
        assert!(Arc::ptr_eq(&one, &thread_pool(2).unwrap()));
        assert_eq!(one.current_num_threads(), 2);
    }
}
