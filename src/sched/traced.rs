//! Spans of the `tracing` crate around runs and tasks, with the feature of that name.

use crate::graph::{TaskGraph, TaskId};

/// The span of a run, at trace level, or nothing.
#[derive(Debug)]
pub(super) struct RunSpan(#[cfg(feature = "tracing")] tracing::Span);

#[cfg(feature = "tracing")]
impl RunSpan {
    pub(super) fn new(graph: &TaskGraph) -> Self {
        RunSpan(tracing::trace_span!("run", tasks = graph.n_tasks()))
    }

    /// Calls what a task does, in a span of its own below that of the run, whichever thread it is on.
    pub(super) fn in_task<R>(&self, graph: &TaskGraph, task: TaskId, f: impl FnOnce() -> R) -> R {
        // Fields are made only if somebody listens.
        let span = tracing::trace_span!(
            parent: &self.0,
            "task",
            op = &**graph.op_name(task),
            block = ?graph.block_index(task)
        );
        span.in_scope(f)
    }
}

#[cfg(not(feature = "tracing"))]
impl RunSpan {
    pub(super) fn new(_graph: &TaskGraph) -> Self {
        RunSpan()
    }

    pub(super) fn in_task<R>(&self, _graph: &TaskGraph, _task: TaskId, f: impl FnOnce() -> R) -> R {
        f()
    }
}
