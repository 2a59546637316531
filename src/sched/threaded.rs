//! The executor on a rayon pool: at most one worker loop per thread, never a job per task.

use std::sync::Arc;

use rayon::{Scope, ThreadPool};

use super::job::Job;
use super::shell::Shell;
use super::{Executor, Run, Sink};
use crate::config::Ambient;
use crate::error::Result;
use crate::graph::TaskGraph;

/// Runs tasks on all threads of a pool.
#[derive(Debug)]
pub(crate) struct Threaded {
    pool: Arc<ThreadPool>,
}

impl Threaded {
    pub(crate) fn new(pool: Arc<ThreadPool>) -> Self {
        Threaded { pool }
    }
}

impl Executor for Threaded {
    fn run(&self, graph: &TaskGraph, ranks: &[u32], run: &Run<'_>, sink: &dyn Sink) -> Result<()> {
        let job = Job::start(graph, run, sink)?;
        let shell = Shell::new(&job, ranks, self.pool.current_num_threads());
        let ambient = Ambient::capture();
        // On a thread of this pool, that is inside of a task, the first loop runs right here.
        self.pool.scope(|scope| drive(&shell, &ambient, scope));
        shell.end()
    }
}

fn drive<'s>(shell: &'s Shell<'s>, ambient: &'s Ambient, scope: &Scope<'s>) {
    ambient.enter(|| {
        shell.work(|| scope.spawn(move |scope| drive(shell, ambient, scope)));
    });
}
