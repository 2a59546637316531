//! Runs that have to hold more than fits, with disks that work and disks that don't.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::atomic::AtomicUsize;
use std::{fmt, fs};

use super::*;
use crate::config::{CancelToken, CancelTokens};
use crate::graph::test_graphs::{self, Builder, Random, at};
use crate::graph::{BlockMap, TaskGraph, order};
use crate::keep::{Files, LocalFiles};
use crate::sched::events::Counters;
use crate::sched::tests::{Digests, calling, executors, pool_of, run_of};
use crate::sched::{Executor, Run, Serial, Threaded};

/// Blocks of 4000 bytes that are held together, and what reads each of them.
fn anomaly() -> TaskGraph {
    let mut b = Builder::default();
    let x = b.array("x", &[40], 100, &[]);
    let sum = b.tree("sum", 10, 4, x);
    let y = b.array("y", &[40], 100, &[(x, BlockMap::Linear), (sum, at(0))]);
    b.expand(&[y])
}

const BUDGET: u64 = 1600;

/// What goes wrong with the `k`-th file, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Nothing,
    /// The disk has no room for it.
    Full,
    /// It takes some bytes and no more.
    ShortWrite,
    /// Another byte comes back.
    Damaged,
    /// Fewer bytes come back.
    Truncated,
    /// It can't be opened.
    Gone,
}

/// Files of which one is faulty; also tells somebody that one is written.
struct Faulty {
    fault: Fault,
    k: usize,
    n_created: AtomicUsize,
    n_opened: AtomicUsize,
    on_create: Box<dyn Fn(usize) + Send + Sync>,
}

impl fmt::Debug for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {}", self.fault, self.k)
    }
}

impl Faulty {
    fn new(fault: Fault, k: usize) -> Self {
        let on_create = Box::new(|_| ());
        Faulty { fault, k, n_created: 0.into(), n_opened: 0.into(), on_create }
    }
}

struct Stops<F> {
    file: F,
    after: usize,
}

impl<F: Write> Write for Stops<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(&bytes[..bytes.len().min(self.after)])?;
        self.after -= n;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Files for Faulty {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Write>> {
        let k = self.n_created.fetch_add(1, Ordering::Relaxed);
        (self.on_create)(k);
        let file = LocalFiles.create(path)?;
        match self.fault {
            Fault::Full if k == self.k => Err(io::ErrorKind::StorageFull.into()),
            Fault::ShortWrite if k == self.k => Ok(Box::new(Stops { file, after: 3 })),
            _ => Ok(file),
        }
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Read>> {
        if self.n_opened.fetch_add(1, Ordering::Relaxed) == self.k {
            match self.fault {
                Fault::Damaged => {
                    let mut bytes = fs::read(path)?;
                    bytes[3] ^= 1;
                    fs::write(path, bytes)?;
                }
                Fault::Truncated => fs::write(path, [0; 3])?,
                Fault::Gone => fs::remove_file(path)?,
                _ => {}
            }
        }
        LocalFiles.open(path)
    }
}

/// A directory for spilled blocks, and what happened in it.
struct Bench {
    parent: tempfile::TempDir,
    files: Arc<dyn Files>,
    limit: u64,
    cancel: CancelTokens,
}

impl Bench {
    fn new(files: Faulty) -> Self {
        let parent = tempfile::tempdir().unwrap();
        Bench { parent, files: Arc::new(files), limit: u64::MAX, cancel: CancelTokens::default() }
    }

    /// Runs `graph`; its outputs and the bytes that were spilled. Afterwards nothing is left of the run.
    fn run(
        &self,
        executor: &dyn Executor,
        graph: &TaskGraph,
        budget: u64,
    ) -> Result<(BTreeMap<usize, u64>, u64)> {
        let counters = Counters::default();
        let sink = Digests::default();
        let mut spill = SpillOptions::new(self.parent.path().to_path_buf(), self.limit);
        spill.files = Arc::clone(&self.files);
        let run = Run { spill, cancel: self.cancel.clone(), ..run_of(&counters, budget) };
        let result = executor.run(graph, &order(graph), &run, &sink);
        drop(run);
        assert_eq!(fs::read_dir(self.parent.path()).unwrap().count(), 0, "no files are left");
        assert_eq!(Arc::strong_count(&self.files), 1, "the thread has ended");
        let summary = counters.summary().unwrap();
        if result.is_ok() {
            assert!(summary.peak_bytes <= budget, "{executor:?}: {}", summary.peak_bytes);
        }
        result.map(|()| (sink.0.into_inner().unwrap(), summary.spilled_bytes))
    }
}

fn some_executors() -> [Box<dyn Executor>; 2] {
    [Box::new(Serial), Box::new(Threaded::new(pool_of(2)))]
}

#[test]
fn what_does_not_fit_waits_on_disk_and_results_are_the_same() {
    let graph = anomaly();
    let bench = Bench::new(Faulty::new(Fault::Nothing, 0));
    let (expected, n) = bench.run(&Serial, &graph, 100_000).unwrap();
    assert_eq!(n, 0);
    for executor in executors() {
        let (got, spilled) = bench.run(&*executor, &graph, BUDGET).unwrap();
        assert_eq!(got, expected, "{executor:?}");
        assert!((1000..=6000).contains(&spilled), "{executor:?}: {spilled}");
    }
}

#[test]
fn random_graphs_give_the_same_in_the_least_memory() {
    let mut n_spilled = 0;
    for seed in 0..10 {
        let graph = test_graphs::random(seed, 60);
        let bench = Bench::new(Faulty::new(Fault::Nothing, 0));
        let (expected, _) = bench.run(&Serial, &graph, 100_000).unwrap();
        let needs = (0..graph.n_tasks() as u32).map(TaskId).map(|task| {
            let inputs = graph.dependencies(task).iter().map(|dep| graph.out_bytes(*dep));
            graph.out_bytes(task) + inputs.sum::<u64>()
        });
        let budget = needs.max().unwrap_or(0) * 16 / 15 + 1 + Random(seed).below(50);
        for executor in executors() {
            let (got, spilled) = bench.run(&*executor, &graph, budget).unwrap();
            assert_eq!(got, expected, "seed {seed}, {executor:?}");
            n_spilled += u32::from(spilled > 0);
        }
    }
    assert!(n_spilled > 30, "only {n_spilled} runs had to spill");
}

#[test]
fn a_disk_that_fails_ends_the_run_and_the_next_one_works() {
    let graph = anomaly();
    for executor in some_executors() {
        for k in [0, 7] {
            let faults =
                [Fault::Full, Fault::ShortWrite, Fault::Damaged, Fault::Truncated, Fault::Gone];
            for fault in faults {
                let bench = Bench::new(Faulty::new(fault, k));
                let error = bench.run(&*executor, &graph, BUDGET).unwrap_err();
                let Error::Spill { action, path, source, .. } = &error else {
                    panic!("{fault:?}: {error:?}")
                };
                let is_write = matches!(fault, Fault::Full | Fault::ShortWrite);
                assert_eq!(*action, if is_write { "write" } else { "read back" });
                assert!(path.starts_with(bench.parent.path()), "{error}");
                let kind = match fault {
                    Fault::Full => io::ErrorKind::StorageFull,
                    Fault::ShortWrite => io::ErrorKind::WriteZero,
                    Fault::Damaged => io::ErrorKind::InvalidData,
                    Fault::Truncated => io::ErrorKind::UnexpectedEof,
                    _ => io::ErrorKind::NotFound,
                };
                assert_eq!(source.kind(), kind, "{error}");
                // The k-th time is over.
                bench.run(&*executor, &graph, BUDGET).unwrap();
            }
        }
    }
}

#[test]
fn a_directory_that_is_not_there_and_a_limit_are_errors() {
    let graph = anomaly();
    for executor in some_executors() {
        let mut bench = Bench::new(Faulty::new(Fault::Nothing, 0));
        for limit in [0, 500] {
            bench.limit = limit;
            let error = bench.run(&*executor, &graph, BUDGET).unwrap_err();
            let Error::SpillLimit { needed, limit: got, .. } = error else { panic!("{error}") };
            assert_eq!((got, needed), (limit, limit + 100));
            assert!(error.to_string().contains("DASK_RS_SPILL_LIMIT"), "{error}");
        }
        let mut run = run_of(&crate::sched::NoEvents, BUDGET);
        run.spill.directory = bench.parent.path().join("no");
        let error = executor.run(&graph, &order(&graph), &run, &Digests::default()).unwrap_err();
        assert!(error.to_string().contains("DASK_RS_SPILL_DIRECTORY"), "{error}");
    }
}

#[test]
fn copies_of_what_is_in_memory_make_room_on_a_full_disk() {
    let directory = tempfile::tempdir().unwrap();
    let options = SpillOptions::new(directory.path().into(), 250);
    let mut store = Store::new(options, Arc::new(BufferPool::plain()), Arc::default());
    let block = |task: u64| Block::new(test_graphs::Chunk { bytes: 100, digest: task });
    let mut save = |task: u64| store.obey(Command::Save(TaskId(task as u32), block(task)));
    assert!(matches!((save(0), save(1)), (Some(Done::Saved(..)), Some(Done::Saved(..)))));
    assert!(matches!(save(2), Some(Done::Failed(Error::SpillLimit { needed: 300, .. }))));
    let load = |store: &mut Store, task: u64| {
        let Some(Done::Loaded(_, loaded, _)) = store.obey(Command::Load(TaskId(task as u32)))
        else {
            panic!("{task} is on disk")
        };
        assert_eq!(loaded.downcast_ref(), Some(&test_graphs::Chunk { bytes: 100, digest: task }));
    };
    // Two copies, of which one leaves again; the other gives way.
    load(&mut store, 0);
    load(&mut store, 1);
    for task in [1, 2] {
        let saved = store.obey(Command::Save(TaskId(task as u32), block(task)));
        assert!(matches!(saved, Some(Done::Saved(..))), "{saved:?}");
    }
    load(&mut store, 2);
    load(&mut store, 1);
    // What gave way is written again when it leaves.
    store.obey(Command::Save(TaskId(0), block(0)));
    load(&mut store, 0);
}

#[test]
fn every_copy_gives_way_also_after_what_fitted_without() {
    let directory = tempfile::tempdir().unwrap();
    let options = SpillOptions::new(directory.path().into(), 300);
    let mut store = Store::new(options, Arc::new(BufferPool::plain()), Arc::default());
    let block = |task: u64| Block::new(test_graphs::Chunk { bytes: 100, digest: task });
    let save = |store: &mut Store, task: u32| {
        let saved = store.obey(Command::Save(TaskId(task), block(task.into())));
        assert!(matches!(saved, Some(Done::Saved(..))), "{task}: {saved:?}");
    };
    for task in [0, 1] {
        save(&mut store, task);
        assert!(matches!(store.obey(Command::Load(TaskId(task))), Some(Done::Loaded(..))));
    }
    // The first of these still fits, and the others take the places of the two copies.
    (2..5).for_each(|task| save(&mut store, task));
}

#[test]
fn what_was_recalled_takes_no_place_on_a_full_disk() {
    let directory = tempfile::tempdir().unwrap();
    let options = SpillOptions::new(directory.path().into(), 250);
    let (pool, recalled) = (Arc::new(BufferPool::plain()), Arc::<Recalled>::default());
    let mut store = Store::new(options, Arc::clone(&pool), Arc::clone(&recalled));
    let block = |task| Block::new(test_graphs::Chunk { bytes: 100, digest: task });
    let mut save = |task: u32| {
        let saved = store.obey(Command::Save(TaskId(task), block(task.into())));
        assert!(matches!(saved, Some(Done::Saved(..))), "{task}: {saved:?}");
    };
    // One before it was written, and one after.
    recalled.lock().insert(TaskId(0));
    save(0);
    save(1);
    recalled.lock().insert(TaskId(1));
    save(2);
    save(3);
    // Both leave, now for good.
    recalled.lock().clear();
    for gone in [2, 3] {
        store.discard(TaskId(gone));
    }
    for task in [0, 1] {
        let saved = store.obey(Command::Save(TaskId(task), block(task.into())));
        assert!(matches!(saved, Some(Done::Saved(..))), "{saved:?}");
    }
    for task in [0, 1] {
        let loaded = store.load(TaskId(task)).unwrap();
        let expected = test_graphs::Chunk { bytes: 100, digest: task.into() };
        assert_eq!(loaded.downcast_ref(), Some(&expected));
    }
}

#[test]
fn a_run_that_is_cancelled_while_it_spills_leaves_nothing() {
    let graph = anomaly();
    for executor in some_executors() {
        for k in [0, 7] {
            let cancel = CancelToken::new();
            let token = cancel.clone();
            let mut files = Faulty::new(Fault::Nothing, 0);
            files.on_create = Box::new(move |i| {
                if i == k {
                    token.cancel();
                }
            });
            let bench = Bench { cancel: (&cancel).into(), ..Bench::new(files) };
            let error = bench.run(&*executor, &graph, BUDGET).unwrap_err();
            assert!(matches!(error, Error::Cancelled), "{error}");
        }
    }
}

#[test]
fn a_task_that_panics_while_others_lie_on_disk_leaves_nothing() {
    for fails_at in [0, 39] {
        let mut b = Builder::default();
        let x = b.array("x", &[40], 100, &[]);
        let sum = b.tree("sum", 10, 4, x);
        let panics = calling(move |task| match task.block {
            [i] if *i == fails_at => panic!("at {i}"),
            _ => Ok(0),
        });
        let y = b.kernel("y", &[40], 1, panics, &[(x, BlockMap::Linear), (sum, at(0))]);
        let graph = b.expand(&[y]);
        for executor in some_executors() {
            let bench = Bench::new(Faulty::new(Fault::Nothing, 0));
            let error = bench.run(&*executor, &graph, BUDGET).unwrap_err();
            assert!(matches!(error, Error::TaskPanicked { .. }), "{error}");
        }
    }
}

#[test]
fn a_thread_that_panics_ends_the_run() {
    let graph = anomaly();
    for executor in some_executors() {
        let mut files = Faulty::new(Fault::Nothing, 0);
        files.on_create = Box::new(|i| assert!(i < 3, "the disk is on fire"));
        let error = Bench::new(files).run(&*executor, &graph, BUDGET).unwrap_err();
        assert!(matches!(error, Error::Internal { .. }), "{error}");
    }
}
