//! What every executor has to do, and what only threads can get wrong.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::events::Counters;
use super::*;
use crate::config::{CancelToken, CancelTokens, Config};
use crate::error::{Error, Result};
use crate::graph::test_graphs::{self, Builder, Chunk, Digest, at};
use crate::graph::{
    Block, BlockMap, Inputs, Kernel, TaskContext, TaskGraph, TaskId, order, peak_bytes,
};
use crate::keep::SpillOptions;
use crate::memory::BufferPool;

/// Keeps the digest of each output.
#[derive(Default)]
pub(super) struct Digests(pub(super) Mutex<BTreeMap<usize, u64>>);

impl Sink for Digests {
    fn accept(&self, output: usize, block: Block) -> Result<()> {
        let digest = block.downcast_ref::<Chunk>().unwrap().digest;
        let old = self.0.lock().unwrap().insert(output, digest);
        assert!(old.is_none(), "each output comes once");
        Ok(())
    }
}

pub(super) fn pool_of(n: usize) -> Arc<ThreadPool> {
    Arc::new(ThreadPoolBuilder::new().num_threads(n).build().unwrap())
}

pub(super) fn executors() -> Vec<Box<dyn Executor>> {
    let mut all: Vec<Box<dyn Executor>> = vec![Box::new(Serial)];
    all.extend((0..5).map(|seed| Box::new(Seeded(seed)) as Box<dyn Executor>));
    for n in [1, 2, 4] {
        all.push(Box::new(Threaded::new(pool_of(n))));
    }
    all
}

pub(super) fn run_of(events: &dyn EventSink, budget_bytes: u64) -> Run<'_> {
    let pool = Arc::new(BufferPool::new(0));
    let spill = SpillOptions::new(std::env::temp_dir(), u64::MAX);
    Run { budget_bytes, pool, events, cancel: CancelTokens::default(), spill }
}

fn run(executor: &dyn Executor, graph: &TaskGraph, budget: u64) -> Result<BTreeMap<usize, u64>> {
    let sink = Digests::default();
    executor.run(graph, &order(graph), &run_of(&NoEvents, budget), &sink)?;
    Ok(sink.0.into_inner().unwrap())
}

/// Calls a function instead of a kernel.
struct Call<F>(F);

impl<F> std::fmt::Debug for Call<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Call")
    }
}

impl<F: Fn(&TaskContext<'_>) -> Result<u64> + Send + Sync + 'static> Kernel for Call<F> {
    fn run(&self, task: &TaskContext<'_>, _inputs: Inputs) -> Result<Block> {
        Ok(Block::new(Chunk { bytes: 1, digest: (self.0)(task)? }))
    }
}

pub(super) fn calling(
    f: impl Fn(&TaskContext<'_>) -> Result<u64> + Send + Sync + 'static,
) -> Arc<dyn Kernel> {
    Arc::new(Call(f))
}

#[test]
fn all_executors_give_the_same_outputs_under_any_budget() {
    for seed in 0..30 {
        let graph = test_graphs::random(seed, 80);
        let expected = run(&Serial, &graph, u64::MAX).unwrap();
        assert_eq!(expected.len(), graph.outputs().len());
        for executor in executors() {
            for budget in [u64::MAX, 500] {
                assert_eq!(run(&*executor, &graph, budget).unwrap(), expected, "{executor:?}");
            }
        }
    }
}

#[test]
fn a_block_that_is_several_outputs_and_an_input_comes_to_all_of_them() {
    let mut b = Builder::default();
    let x = b.array("x", &[3], 8, &[]);
    let y = b.elemwise("y", 8, &[x]);
    let graph = b.expand(&[x, y, x, y]);
    for executor in executors() {
        let outputs = run(&*executor, &graph, 1000).unwrap();
        assert_eq!(outputs.len(), 12);
        for i in 0..6 {
            assert_eq!(outputs[&i], outputs[&(i + 6)]);
        }
    }
}

#[test]
fn serial_runs_hold_what_the_simulator_says() {
    let mut b = Builder::default();
    let x = b.array("x", &[100], 1000, &[]);
    let trees = [b.tree("sum", 10, 4, x), b.tree("max", 10, 4, x)];
    let graph = b.expand(&trees);
    let counters = Counters::default();
    let ranks = order(&graph);
    Serial.run(&graph, &ranks, &run_of(&counters, u64::MAX), &Digests::default()).unwrap();
    let summary = counters.summary().unwrap();
    assert!(summary.is_ok);
    assert_eq!(summary.n_finished as usize, graph.n_tasks());
    // The simulator hands an output over at once; a run counts it until its task ends.
    assert_eq!(summary.peak_bytes, peak_bytes(&graph, &ranks));
}

#[test]
fn every_executor_stays_inside_a_budget_that_the_order_needs() {
    let mut b = Builder::default();
    let x = b.array("x", &[400], 1000, &[]);
    let y = b.elemwise("y", 1000, &[x]);
    let sum = b.tree("sum", 1, 4, y);
    let graph = b.expand(&[sum]);
    for executor in executors() {
        let counters = Counters::default();
        let run = run_of(&counters, 10_000);
        executor.run(&graph, &order(&graph), &run, &Digests::default()).unwrap();
        let summary = counters.summary().unwrap();
        // What frees memory never waits: each thread may add one output that it is about to trade.
        assert!(summary.peak_bytes <= 15_000, "{executor:?} used {}", summary.peak_bytes);
        assert_eq!(counters.tasks_run()["x"], 400);
        assert_eq!(counters.tasks_run()["sum"], 400 + 100 + 25 + 7 + 2 + 1);
    }
}

#[test]
fn a_sixteenth_of_the_limit_is_left_to_the_allocator() {
    let mut b = Builder::default();
    let x = b.array("x", &[4], 10, &[]);
    let graph = b.expand(&[x]);
    let ranks = order(&graph);
    let sink = Digests::default();
    let run = run_of(&NoEvents, 1600);
    let job = job::Job::start(&graph, &run, &sink).unwrap();
    let state = job.state(&ranks);
    assert_eq!(state.room(&state::Next::Wait), 1500);
}

#[test]
fn a_task_that_can_never_fit_is_refused_before_anything_runs() {
    let mut b = Builder::default();
    let ran = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&ran);
    let count = calling(move |_| Ok(counted.fetch_add(1, Ordering::Relaxed) as u64));
    let x = b.kernel("x", &[4], 10, count, &[]);
    let y = b.array("y", &[1], 61, &[(x, test_graphs::all())]);
    let graph = b.expand(&[y]);
    for executor in executors() {
        let error = run(&*executor, &graph, 100).unwrap_err();
        assert!(matches!(error, Error::OverBudget { needed: 101, limit: 100, .. }), "{error}");
    }
    assert_eq!(ran.load(Ordering::Relaxed), 0);
}

#[test]
fn the_first_error_ends_the_run_and_names_its_task() {
    let mut b = Builder::default();
    let fail = calling(|task| match task.block {
        [17] => Err(Error::Cancelled),
        [5] => Err(Error::Internal { place: "test".into(), problem: "five".into() }),
        _ => Ok(0),
    });
    let x = b.kernel("x", &[16], 1, fail, &[]);
    let sum = b.tree("sum", 1, 4, x);
    let graph = b.expand(&[sum]);
    for executor in executors() {
        let error = run(&*executor, &graph, 1000).unwrap_err();
        let Error::TaskFailed { op, block, source, .. } = error else { panic!("{error}") };
        assert_eq!((op.as_str(), block.as_slice()), ("x", [5].as_slice()));
        assert!(source.to_string().contains("five"));
    }
}

#[test]
fn a_panic_becomes_an_error_with_its_message() {
    let mut b = Builder::default();
    let panic = calling(|task| match task.block {
        // As a panic, but without a report on stderr.
        [3] => std::panic::resume_unwind(Box::new("three".to_string())),
        _ => Ok(0),
    });
    let x = b.kernel("x", &[8], 1, panic, &[]);
    let y = b.elemwise("y", 1, &[x]);
    let graph = b.expand(&[y]);
    for executor in executors() {
        let error = run(&*executor, &graph, 1000).unwrap_err();
        let Error::TaskPanicked { op, block, message, .. } = error else { panic!("{error}") };
        assert_eq!((op.as_str(), block.as_slice(), message.as_str()), ("x", &[3][..], "three"));
    }
}

#[test]
fn an_error_of_the_sink_ends_the_run() {
    struct Full;
    impl Sink for Full {
        fn accept(&self, _output: usize, _block: Block) -> Result<()> {
            Err(Error::Internal { place: "sink".into(), problem: "full".into() })
        }
    }
    let mut b = Builder::default();
    let x = b.array("x", &[8], 1, &[]);
    let graph = b.expand(&[x]);
    for executor in executors() {
        let run = run_of(&NoEvents, 1000);
        let error = executor.run(&graph, &order(&graph), &run, &Full).unwrap_err();
        assert!(matches!(error, Error::TaskFailed { .. }), "{error}");
    }
}

#[test]
fn a_cancelled_run_starts_nothing_more() {
    for executor in executors() {
        let token = CancelToken::new();
        let from_task = token.clone();
        let ran = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&ran);
        let cancel = calling(move |_| {
            from_task.cancel();
            Ok(counted.fetch_add(1, Ordering::Relaxed))
        });
        let mut b = Builder::default();
        let x = b.kernel("x", &[1000], 1, cancel, &[]);
        let graph = b.expand(&[x]);
        let run = Run { cancel: (&token).into(), ..run_of(&NoEvents, 1000) };
        let error = executor.run(&graph, &order(&graph), &run, &Digests::default()).unwrap_err();
        assert!(matches!(error, Error::Cancelled), "{error}");
        assert!(ran.load(Ordering::Relaxed) <= 4, "at most one task a thread");
    }
}

#[test]
fn all_blocks_are_dropped_after_an_error() {
    let held = Arc::new(());
    #[derive(Debug)]
    struct Holding(Arc<()>);
    impl Kernel for Holding {
        fn run(&self, _task: &TaskContext<'_>, _inputs: Inputs) -> Result<Block> {
            #[derive(Debug)]
            struct Held(#[allow(dead_code)] Arc<()>);
            impl crate::graph::Value for Held {
                fn nbytes(&self) -> u64 {
                    1
                }
            }
            Ok(Block::new(Held(Arc::clone(&self.0))))
        }
    }
    for executor in executors() {
        let mut b = Builder::default();
        let holding = Arc::new(Holding(Arc::clone(&held)));
        let x = b.kernel("x", &[20], 1, holding, &[]);
        let fail = calling(|_| Err(Error::Internal { place: "test".into(), problem: "y".into() }));
        let y = b.kernel("y", &[1], 1, fail, &[(x, test_graphs::all())]);
        let graph = b.expand(&[y]);
        assert!(run(&*executor, &graph, 1000).is_err());
        drop(graph);
        assert_eq!(Arc::strong_count(&held), 1);
    }
}

/// A graph whose tasks run graphs on the same pool, `depth` deep.
fn nested(pool: &Arc<ThreadPool>, depth: u32) -> u64 {
    let mut b = Builder::default();
    let kernel: Arc<dyn Kernel> = if depth == 0 {
        Arc::new(Digest { bytes: 1, seed: 1, is_read: false })
    } else {
        let pool = Arc::clone(pool);
        calling(move |_| Ok(nested(&pool, depth - 1)))
    };
    let x = b.kernel("x", &[6], 1, kernel, &[]);
    let sum = b.tree("sum", 1, 2, x);
    let executor = Threaded::new(Arc::clone(pool));
    run(&executor, &b.expand(&[sum]), 1000).unwrap()[&0]
}

#[test]
fn a_task_may_run_a_graph_on_the_same_pool() {
    let expected = nested(&pool_of(1), 3);
    assert_eq!(nested(&pool_of(2), 3), expected);
    assert_eq!(nested(&pool_of(3), 3), expected);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a user's own pool may join what it likes")]
fn a_graph_may_be_run_from_a_foreign_pool() {
    let (foreign, own) = (pool_of(2), pool_of(2));
    let expected = nested(&own, 1);
    assert_eq!(foreign.install(|| nested(&own, 1)), expected);
    let both = foreign.install(|| rayon::join(|| nested(&own, 1), || nested(&own, 2)));
    assert_eq!(both.0, expected);
    // And from a task of one pool on the other one, which calls back.
    let (a, b, c) = (Arc::clone(&own), Arc::clone(&foreign), Arc::clone(&foreign));
    let digest = foreign.install(move || a.install(move || b.install(|| nested(&c, 1))));
    assert_eq!(digest, expected);
}

#[test]
fn settings_of_a_scope_hold_inside_of_tasks() {
    let mut b = Builder::default();
    let kernel = calling(|_| Ok(Config::current()?.split_every() as u64));
    let x = b.kernel("x", &[10], 1, kernel, &[]);
    let graph = b.expand(&[x]);
    for executor in executors() {
        let outputs = Config::new().with_split_every(13).scope(|| run(&*executor, &graph, 1000));
        assert!(outputs.unwrap().values().all(|n| *n == 13), "{executor:?}");
    }
}

#[test]
fn nothing_is_still_a_run() {
    let graph = Builder::default().expand(&[]);
    for executor in executors() {
        assert!(run(&*executor, &graph, 0).unwrap().is_empty());
    }
}

#[test]
fn as_many_tasks_run_at_once_as_there_are_threads() {
    for n in [2, 3] {
        // Each task waits for the others, so fewer at once would never end.
        let barrier = Arc::new(std::sync::Barrier::new(n));
        let meet = calling(move |_| {
            barrier.wait();
            Ok(0)
        });
        let mut b = Builder::default();
        let x = b.task("x", 1, &[]);
        let y = b.kernel("y", &[n as u64 * 5], 1, meet, &[(x, at(0))]);
        let graph = b.expand(&[y]);
        run(&Threaded::new(pool_of(n)), &graph, 1000).unwrap();
    }
}

#[test]
fn a_runtime_runs_and_keeps_its_pools() {
    let mut b = Builder::default();
    let x = b.array("x", &[10], 1, &[]);
    let y = b.array("y", &[10], 1, &[(x, BlockMap::Linear), (x, at(0))]);
    let graph = b.expand(&[y]);
    let config = Config::new().with_threads(2).with_progress(true).with_memory_limit(1 << 20);
    let sink = Digests::default();
    let runtime = Runtime::of(&config).unwrap();
    runtime.execute(&graph, &sink).unwrap();
    assert_eq!(sink.0.into_inner().unwrap().len(), 10);
    assert_eq!(graph.output_positions(TaskId(10)).collect::<Vec<_>>(), [0]);
}

/// The worker loops under a model checker, which tries many schedules.
mod model {
    use super::super::job::Job;
    use super::super::shell::{Shared, Shell};
    use super::super::spill::{Disk, Done, Took};
    use super::super::sync::Lock;
    use super::*;

    impl<T: Send> Lock<T> for shuttle::sync::Mutex<T> {
        fn new(value: T) -> Self {
            shuttle::sync::Mutex::new(value)
        }

        fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
            f(&mut self.lock().unwrap())
        }
    }

    /// A disk that does at once what it is told, and wakes up who waits.
    struct ModelDisk {
        blocks: shuttle::sync::Mutex<BTreeMap<TaskId, Block>>,
        done: shuttle::sync::Mutex<Vec<Done>>,
        reported: shuttle::sync::Condvar,
    }

    impl ModelDisk {
        fn new() -> Self {
            ModelDisk {
                blocks: shuttle::sync::Mutex::new(BTreeMap::new()),
                done: shuttle::sync::Mutex::new(Vec::new()),
                reported: shuttle::sync::Condvar::new(),
            }
        }

        fn report(&self, done: Done) {
            shuttle::thread::yield_now();
            self.done.lock().unwrap().push(done);
            self.reported.notify_one();
        }
    }

    impl Disk for ModelDisk {
        fn save(&self, task: TaskId, block: Block) {
            self.blocks.lock().unwrap().insert(task, block);
            self.report(Done::Saved(task, Took::since(0, 0)));
        }

        fn leave(&self, _task: TaskId) {}

        fn recall(&self, _task: TaskId) {}

        fn load(&self, task: TaskId) {
            let block = self.blocks.lock().unwrap()[&task].clone();
            self.report(Done::Loaded(task, block, Took::since(0, 0)));
        }

        fn discard(&self, task: TaskId) {
            self.blocks.lock().unwrap().remove(&task).unwrap();
        }

        fn poll(&self) -> Option<Done> {
            self.done.lock().unwrap().pop()
        }

        fn wait(&self) -> Done {
            let mut done = self.done.lock().unwrap();
            loop {
                match done.pop() {
                    Some(report) => return report,
                    None => done = self.reported.wait(done).unwrap(),
                }
            }
        }
    }

    type ModelShell<'a> = Shell<'a, shuttle::sync::Mutex<Shared<'a>>>;

    fn drive<'s, 'e>(shell: &'e ModelShell<'e>, scope: &'s shuttle::thread::Scope<'s, 'e>) {
        shell.work(|| drop(scope.spawn(move || drive(shell, scope))));
    }

    fn run_model(graph: &TaskGraph, budget: u64, n_loops: usize) -> Result<usize> {
        let sink = Digests::default();
        let run = run_of(&NoEvents, budget);
        let ranks = order(graph);
        let mut job = Job::start(graph, &run, &sink)?;
        job.disk = Box::new(ModelDisk::new());
        let shell: ModelShell<'_> = Shell::new(&job, &ranks, n_loops);
        shuttle::thread::scope(|scope| drive(&shell, scope));
        shell.end()?;
        Ok(sink.0.lock().unwrap().len())
    }

    /// A kernel that lets the others go first, now and then.
    fn yielding(fails_at: Option<u64>) -> Arc<dyn Kernel> {
        calling(move |task| {
            shuttle::thread::yield_now();
            match task.block {
                [i] if Some(*i) == fails_at => Err(Error::Cancelled),
                _ => Ok(0),
            }
        })
    }

    fn tree(fails_at: Option<u64>) -> TaskGraph {
        let mut b = Builder::default();
        let x = b.kernel("x", &[6], 1, yielding(fails_at), &[]);
        let sum = b.tree("sum", 1, 2, x);
        let y = b.array("y", &[6], 1, &[(x, BlockMap::Linear), (sum, at(0))]);
        b.expand(&[sum, y])
    }

    #[test]
    fn every_schedule_runs_all_tasks() {
        shuttle::check_random(|| assert_eq!(run_model(&tree(None), 1000, 3).unwrap(), 7), 300);
    }

    #[test]
    fn every_schedule_ends_under_a_tight_budget() {
        shuttle::check_pct(|| assert_eq!(run_model(&tree(None), 4, 3).unwrap(), 7), 300, 3);
    }

    #[test]
    fn every_schedule_ends_while_blocks_go_to_disk_and_come_back() {
        // All of x is held until its sum is there, and four blocks fit.
        let spilling = || {
            let mut b = Builder::default();
            let x = b.array("x", &[7], 100, &[]);
            let sum = b.tree("sum", 1, 2, x);
            let y = b.array("y", &[7], 1, &[(x, BlockMap::Linear), (sum, at(0))]);
            assert_eq!(run_model(&b.expand(&[y]), 440, 3).unwrap(), 7);
        };
        shuttle::check_random(spilling, 100);
        shuttle::check_pct(spilling, 100, 3);
    }

    #[test]
    fn every_schedule_ends_after_an_error() {
        shuttle::check_random(
            || assert!(matches!(run_model(&tree(Some(3)), 1000, 3), Err(Error::Cancelled))),
            300,
        );
    }
}
