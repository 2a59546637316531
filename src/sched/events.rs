//! What a run tells those who watch it.
//!
//! Events are called on workers, outside of the scheduler's lock. A sink only watches: nothing
//! that it does changes the run.

use std::collections::HashMap;
use std::sync::Arc;

use crate::error::Error;
use crate::graph::{LayerId, TaskGraph, TaskId};
use crate::observe::Span;

/// How many tasks an operation has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OpTasks {
    pub(crate) name: Arc<str>,
    pub(crate) n_tasks: u64,
}

/// How a run went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunSummary {
    pub(crate) n_finished: u64,
    /// The most bytes that blocks and running tasks used at once.
    pub(crate) peak_bytes: u64,
    /// The bytes of blocks that were written to disk.
    pub(crate) spilled_bytes: u64,
    /// The bytes of blocks that were dropped and read again.
    pub(crate) reread_bytes: u64,
    pub(crate) is_ok: bool,
}

/// Watches a run. `op` is a position in the list that `on_run_started` was given.
pub(crate) trait EventSink: Sync {
    /// Whether it wants `on_span_started` and `on_span`. Otherwise nobody looks at a clock.
    fn wants_spans(&self) -> bool {
        false
    }

    fn on_run_started(&self, _graph: &TaskGraph, _ops: &[OpTasks], _budget_bytes: u64) {}

    fn on_task_started(&self, _op: usize, _task: TaskId) {}

    fn on_task_finished(&self, _op: usize, _task: TaskId, _bytes: u64) {}

    /// A task begins; what is not known yet is zero.
    fn on_span_started(&self, _span: &Span) {}

    fn on_span(&self, _span: &Span) {}

    fn on_run_ended(&self, _summary: &RunSummary, _error: Option<&Error>) {}
}

/// Watches nothing.
#[derive(Debug)]
pub(crate) struct NoEvents;

impl EventSink for NoEvents {}

/// Several that watch.
pub(crate) struct All<'a>(pub(crate) Vec<&'a dyn EventSink>);

impl EventSink for All<'_> {
    fn wants_spans(&self) -> bool {
        self.0.iter().any(|sink| sink.wants_spans())
    }

    fn on_run_started(&self, graph: &TaskGraph, ops: &[OpTasks], budget_bytes: u64) {
        self.0.iter().for_each(|sink| sink.on_run_started(graph, ops, budget_bytes));
    }

    fn on_task_started(&self, op: usize, task: TaskId) {
        self.0.iter().for_each(|sink| sink.on_task_started(op, task));
    }

    fn on_task_finished(&self, op: usize, task: TaskId, bytes: u64) {
        self.0.iter().for_each(|sink| sink.on_task_finished(op, task, bytes));
    }

    fn on_span_started(&self, span: &Span) {
        self.0.iter().for_each(|sink| sink.on_span_started(span));
    }

    fn on_span(&self, span: &Span) {
        self.0.iter().for_each(|sink| sink.on_span(span));
    }

    fn on_run_ended(&self, summary: &RunSummary, error: Option<&Error>) {
        self.0.iter().for_each(|sink| sink.on_run_ended(summary, error));
    }
}

/// The operations of a graph: layers by name, in the order in which the names appear.
#[derive(Debug)]
pub(crate) struct Ops {
    pub(crate) tasks: Vec<OpTasks>,
    by_layer: Vec<u32>,
}

impl Ops {
    pub(crate) fn of(graph: &TaskGraph) -> Self {
        let mut positions: HashMap<&str, u32> = HashMap::new();
        let mut ops = Ops { tasks: Vec::new(), by_layer: Vec::new() };
        for (id, tasks) in graph.layer_tasks() {
            let name = &graph.layers().get(id).name;
            let op = *positions.entry(name).or_insert(ops.tasks.len() as u32);
            if op as usize == ops.tasks.len() {
                ops.tasks.push(OpTasks { name: Arc::clone(name), n_tasks: 0 });
            }
            ops.tasks[op as usize].n_tasks += tasks.len() as u64;
            ops.by_layer.push(op);
        }
        ops
    }

    pub(crate) fn position(&self, layer: LayerId) -> usize {
        self.by_layer[layer.idx()] as usize
    }
}

#[cfg(test)]
pub(crate) use counters::Counters;

#[cfg(test)]
mod counters {
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use super::*;

    /// Counts what ran, for tests.
    #[derive(Debug, Default)]
    pub(crate) struct Counters(Mutex<Counts>);

    #[derive(Debug, Default)]
    struct Counts {
        ops: Vec<OpTasks>,
        started: Vec<u64>,
        finished: Vec<u64>,
        summary: Option<RunSummary>,
    }

    impl Counters {
        /// How many tasks of each operation ran.
        pub(crate) fn tasks_run(&self) -> BTreeMap<String, u64> {
            let counts = self.0.lock().unwrap();
            let names = counts.ops.iter().map(|op| op.name.to_string());
            names.zip(counts.finished.iter().copied()).collect()
        }

        pub(crate) fn summary(&self) -> Option<RunSummary> {
            self.0.lock().unwrap().summary
        }
    }

    impl EventSink for Counters {
        fn on_run_started(&self, _graph: &TaskGraph, ops: &[OpTasks], _budget_bytes: u64) {
            let mut counts = self.0.lock().unwrap();
            counts.ops = ops.to_vec();
            counts.started = vec![0; ops.len()];
            counts.finished = vec![0; ops.len()];
        }

        fn on_task_started(&self, op: usize, _task: TaskId) {
            self.0.lock().unwrap().started[op] += 1;
        }

        fn on_task_finished(&self, op: usize, _task: TaskId, _bytes: u64) {
            let mut counts = self.0.lock().unwrap();
            counts.finished[op] += 1;
            assert!(counts.finished[op] <= counts.started[op]);
            assert!(counts.finished[op] <= counts.ops[op].n_tasks);
        }

        fn on_run_ended(&self, summary: &RunSummary, _error: Option<&Error>) {
            self.0.lock().unwrap().summary = Some(*summary);
        }
    }
}
