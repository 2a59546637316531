//! What those who watch runs are told, as data, and who watches.
//!
//! Public as `dask_rs::diagnostics`. Invariant: nothing here decides anything; a run with observers computes
//! what it computes without.

mod clock;
mod thread;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};

pub(crate) use clock::now_ns;
pub use thread::Thread;
pub(crate) use thread::{enter_task, leave_task};

use crate::error::Call;

/// Watches runs: each `compute`, `persist` or write of a file is one, and so is all that a [`Client`](crate::Client) does, which
/// tells those who watch when it is made.
///
/// Tasks are told in batches, at most a tenth of a second after they ended if other tasks end meanwhile; who needs
/// them sooner calls [`Feed::pull`]. No lock of the scheduler is held, but a thread that calls could run a task
/// instead, so be quick. One run calls an observer from one thread at a time; different runs call it at once.
///
/// An observer that panics is not called again in that run, and the run goes on. It must neither compute nor
/// call [`Feed::pull`] itself.
///
/// # Example
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use dask_rs::diagnostics::{Observer, RunId, Span, SpanKind};
/// use dask_rs::prelude::*;
///
/// #[derive(Default)]
/// struct BytesMade(AtomicU64);
///
/// impl Observer for BytesMade {
///     fn on_spans(&self, _run: RunId, spans: &[Span]) {
///         let tasks = spans.iter().filter(|span| span.kind == SpanKind::Task);
///         self.0.fetch_add(tasks.map(|task| task.bytes).sum(), Ordering::Relaxed);
///     }
/// }
///
/// let made = Arc::new(BytesMade::default());
/// let x: Array<f64> = array::ones([4, 100], [1, 100]);
/// Config::new().with_observer(made.clone()).scope(|| x.compute())?;
/// assert_eq!(made.0.load(Ordering::Relaxed), 4 * 800);
/// # Ok::<(), Error>(())
/// ```
pub trait Observer: Send + Sync {
    /// A run begins. Nothing of it was told before.
    fn on_run_started(&self, _run: &RunStarted<'_>) {}

    /// A client was given tasks. `layers` are all kinds of tasks of the run, in their order, with as many tasks as were known by
    /// now; those that the run had before stand first.
    fn on_tasks_added(&self, _run: RunId, _layers: &[LayerInfo]) {}

    /// Tasks have ended, or blocks were moved; by when they began. Of another thread, earlier ones may be told later.
    fn on_spans(&self, _run: RunId, _spans: &[Span]) {}

    /// A run has ended, and everything that it did was told.
    fn on_run_ended(&self, _run: &RunEnded) {}
}

/// The number of a run in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunId(pub(crate) u64);

impl RunId {
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        RunId(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A run that begins.
#[non_exhaustive]
pub struct RunStarted<'a> {
    /// Its number.
    pub run: RunId,
    /// When, in nanoseconds on the clock of all spans.
    pub at_ns: u64,
    /// What asked for it, with the user's line.
    pub call: Option<Call>,
    /// The kinds of tasks that run.
    pub layers: &'a [LayerInfo],
    /// Bytes that blocks and running tasks may use.
    pub memory_limit: u64,
    /// How to ask for more than what is told.
    pub feed: Feed,
    pub(crate) picture: &'a dyn Fn() -> Option<String>,
}

impl RunStarted<'_> {
    /// How many tasks there are.
    #[must_use]
    pub fn n_tasks(&self) -> u64 {
        self.layers.iter().map(|layer| layer.n_tasks).sum()
    }

    /// The layers and what they read of each other as an SVG document; `None` for more than 200 layers.
    #[must_use]
    pub fn picture(&self) -> Option<String> {
        (self.picture)()
    }
}

impl fmt::Debug for RunStarted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunStarted").field("run", &self.run).finish_non_exhaustive()
    }
}

/// Tasks of one kind.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LayerInfo {
    /// The operation, or the operations that one task does in one go.
    pub op: Arc<str>,
    /// What a block is, such as `(250, 250) float64`.
    pub block: Arc<str>,
    /// How many blocks there are along each axis.
    pub grid: Arc<[u64]>,
    /// How many of them are needed.
    pub n_tasks: u64,
    /// Bytes that a task declares for its block.
    pub out_bytes: u64,
    /// Bytes that a task declares besides its inputs and its block.
    pub scratch_bytes: u64,
}

impl LayerInfo {
    pub(crate) fn new(op: &Arc<str>, block: &Arc<str>, grid: &Arc<[u64]>) -> Self {
        let (op, block, grid) = (Arc::clone(op), Arc::clone(block), Arc::clone(grid));
        LayerInfo { op, block, grid, n_tasks: 0, out_bytes: 0, scratch_bytes: 0 }
    }

    /// The index of the block that a [`Span`] names by its number.
    #[must_use]
    pub fn block_index(&self, mut number: u64) -> Vec<u64> {
        let mut index = vec![0; self.grid.len()];
        for (i, &n) in index.iter_mut().zip(&*self.grid).rev() {
            (*i, number) = (number % n.max(1), number / n.max(1));
        }
        index
    }
}

/// What took time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SpanKind {
    /// A task ran, and its block was handed over if it is a result.
    Task,
    /// A block was written to disk, because memory was full.
    Spill,
    /// It was read back.
    Load,
    /// A block that had been dropped to make room was made again.
    Reread,
}

/// Something that one thread did for a run.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Span {
    /// What it was.
    pub kind: SpanKind,
    /// Whether it succeeded.
    pub is_ok: bool,
    /// How many other tasks it interrupted on its thread: a task may compute something itself.
    pub depth: u16,
    /// Who did it.
    pub thread: Thread,
    /// The position of its layer in [`RunStarted::layers`].
    pub layer: u32,
    /// The row-major number of its block; see [`LayerInfo::block_index`].
    pub block: u64,
    /// When it began, in nanoseconds on a clock that all runs of the process share.
    pub start_ns: u64,
    /// When it ended.
    pub end_ns: u64,
    /// The bytes of the block.
    pub bytes: u64,
    /// The bytes that blocks held and running tasks had declared when it began.
    pub memory_bytes: u64,
}

impl Span {
    /// How long it took.
    #[must_use]
    pub fn duration_ns(&self) -> u64 {
        self.end_ns.saturating_sub(self.start_ns)
    }
}

/// How a run went.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RunEnded {
    /// Its number.
    pub run: RunId,
    /// When, in nanoseconds on the clock of all spans.
    pub at_ns: u64,
    /// How many tasks have run.
    pub n_finished: u64,
    /// The most bytes that blocks and running tasks used at once.
    pub peak_bytes: u64,
    /// Bytes of blocks that were written to disk.
    pub spilled_bytes: u64,
    /// Bytes of blocks that were dropped and read again.
    pub reread_bytes: u64,
    /// What went wrong.
    pub error: Option<String>,
}

/// A task that runs right now.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Running {
    /// Who runs it.
    pub thread: Thread,
    /// How many other tasks it interrupted there.
    pub depth: u16,
    /// The position of its layer.
    pub layer: u32,
    /// The number of its block.
    pub block: u64,
    /// When it began.
    pub since_ns: u64,
    /// The bytes that blocks held and running tasks had declared when it began.
    pub memory_bytes: u64,
}

/// Asks a run for what it has not told yet. Once the run is over there is nothing more.
#[derive(Clone)]
pub struct Feed(pub(crate) Weak<dyn Source>);

/// What a feed asks.
pub(crate) trait Source: Send + Sync {
    fn pull(&self);

    fn running(&self) -> Vec<Running>;
}

impl Feed {
    /// Has all observers of the run told what they were not told yet, on this thread, before it returns.
    pub fn pull(&self) {
        if let Some(source) = self.0.upgrade() {
            source.pull();
        }
    }

    /// The tasks that run right now.
    #[must_use]
    pub fn running(&self) -> Vec<Running> {
        self.0.upgrade().map_or_else(Vec::new, |source| source.running())
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").finish_non_exhaustive()
    }
}

/// Observers in a configuration, outer scopes first. The same if they are the very same observers.
#[derive(Clone, Default)]
pub(crate) struct Observers(Vec<Arc<dyn Observer>>);

impl Observers {
    pub(crate) fn of(observer: Arc<dyn Observer>) -> Self {
        Observers(vec![observer])
    }

    /// Adds those that are not there yet.
    pub(crate) fn extend(&mut self, others: &Observers) {
        for other in &others.0 {
            if !self.0.iter().any(|observer| Arc::ptr_eq(observer, other)) {
                self.0.push(Arc::clone(other));
            }
        }
    }

    /// These and those that watch all runs.
    pub(crate) fn with_global(&self) -> Vec<Arc<dyn Observer>> {
        let mut all = self.clone();
        for watch in GLOBAL.read().unwrap_or_else(PoisonError::into_inner).iter() {
            all.extend(&watch.1);
        }
        all.0
    }
}

impl PartialEq for Observers {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(|(a, b)| Arc::ptr_eq(a, b))
    }
}

impl Eq for Observers {}

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} observers", self.0.len())
    }
}

static GLOBAL: RwLock<Vec<(u64, Observers)>> = RwLock::new(Vec::new());

/// Lets `observer` watch all runs of this process that start from now on, until what is returned is dropped.
///
/// To watch only what some code computes, use [`Config::with_observer`](crate::Config::with_observer).
pub fn watch_all(observer: Arc<dyn Observer>) -> Watch {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let watch = (number, Observers::of(observer));
    GLOBAL.write().unwrap_or_else(PoisonError::into_inner).push(watch);
    Watch(number)
}

/// An observer watches all runs that start before this is dropped.
#[derive(Debug)]
#[must_use = "dropping it ends the watch"]
pub struct Watch(u64);

impl Drop for Watch {
    fn drop(&mut self) {
        let mut all = GLOBAL.write().unwrap_or_else(PoisonError::into_inner);
        let position = all.iter().position(|(number, _)| *number == self.0);
        let ended = position.map(|i| all.remove(i));
        drop(all);
        // The observer may watch something itself, or compute, when it is dropped.
        drop(ended);
    }
}
