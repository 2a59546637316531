//! Takes down what tasks take, and tells it to observers in batches.
//!
//! Each thread writes into a list of its own, and tells what is in it when it is full: threads meet only there. Whoever sees
//! that nothing of the others was told for a while tells all lists.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};

use crossbeam::utils::CachePadded;

use crate::observe::{Feed, LayerInfo, Observer, RunId, Running, Source, Span, Thread, now_ns};

/// Spans after which a thread tells them.
const SPANS_TOLD: usize = 256;
/// Spans after which it waits for others who tell.
const SPANS_MAX: usize = 4 * SPANS_TOLD;
const LISTS_MAX: usize = 32;
/// How long what was taken down may wait for the next task to end.
const TELL_EVERY_NS: u64 = 100_000_000;

/// What the threads of a run share. It lives as long as the run.
pub(crate) struct Tape {
    run: RunId,
    observers: Vec<Watched>,
    lists: Box<[CachePadded<Mutex<Vec<Span>>>]>,
    running: Box<[CachePadded<Seat>]>,
    /// Layers that the run has, if it is one that gets them while it runs.
    growing: Mutex<Growing>,
    /// When all lists were told last.
    told_ns: AtomicU64,
    /// Held by whoever tells, with what it tells.
    turn: Mutex<Vec<Span>>,
}

/// The layers of a run whose tasks come one by one.
#[derive(Default)]
struct Growing {
    layers: Vec<LayerInfo>,
    is_news: bool,
}

struct Watched {
    observer: Arc<dyn Observer>,
    /// Whether it has not panicked.
    is_well: AtomicBool,
}

impl Tape {
    /// Tells `observers` of a run; `None` if there are none.
    pub(crate) fn new(observers: Vec<Arc<dyn Observer>>) -> Option<Arc<Self>> {
        if observers.is_empty() {
            return None;
        }
        let n_threads = std::thread::available_parallelism().map_or(1, usize::from);
        let n_lists = n_threads.next_power_of_two().min(LISTS_MAX);
        let watched = |observer| Watched { observer, is_well: AtomicBool::new(true) };
        Some(Arc::new(Tape {
            run: RunId::next(),
            observers: observers.into_iter().map(watched).collect(),
            lists: (0..n_lists).map(|_| CachePadded::default()).collect(),
            running: (0..2 * n_lists).map(|_| CachePadded::default()).collect(),
            growing: Mutex::default(),
            told_ns: AtomicU64::new(now_ns()),
            turn: Mutex::default(),
        }))
    }

    pub(crate) fn run(&self) -> RunId {
        self.run
    }

    pub(crate) fn feed(self: &Arc<Self>) -> Feed {
        let source: Weak<dyn Source> = Arc::downgrade(&(Arc::clone(self) as Arc<dyn Source>));
        Feed(source)
    }

    /// Adds a kind of tasks, of which there are none yet.
    pub(crate) fn add_layer(&self, layer: LayerInfo) {
        lock(&self.growing).layers.push(layer);
    }

    /// Takes note of a task that is to run in a layer that was added.
    pub(crate) fn add_task(&self, layer: u32) {
        let mut growing = lock(&self.growing);
        growing.layers[layer as usize].n_tasks += 1;
        growing.is_news = true;
    }

    pub(crate) fn begin(&self, span: &Span) {
        self.seat(span.thread).take(span);
    }

    pub(crate) fn leave(&self, span: &Span) {
        self.seat(span.thread).leave();
    }

    /// As with lists, the number of a thread says which. Two that share one hide each other, no more.
    fn seat(&self, thread: Thread) -> &Seat {
        &self.running[place_of(thread, self.running.len())]
    }

    pub(crate) fn record(&self, span: Span) {
        let own = place_of(span.thread, self.lists.len());
        let n = {
            let mut list = lock(&self.lists[own]);
            list.push(span);
            list.len()
        };
        let told = self.told_ns.load(Ordering::Relaxed);
        let is_late = span.end_ns.saturating_sub(told) > TELL_EVERY_NS;
        if n < SPANS_TOLD && !is_late {
            return;
        }
        let turn = match self.turn.try_lock() {
            Ok(turn) => turn,
            Err(TryLockError::WouldBlock) if n < SPANS_MAX => return,
            Err(TryLockError::WouldBlock) => lock(&self.turn),
            Err(TryLockError::Poisoned(turn)) => turn.into_inner(),
        };
        match is_late {
            true => self.tell_all(turn),
            false => self.tell_spans(&self.lists[own..=own], turn),
        }
    }

    fn tell_all(&self, turn: MutexGuard<'_, Vec<Span>>) {
        self.told_ns.store(now_ns(), Ordering::Relaxed);
        self.tell_spans(&self.lists, turn);
    }

    fn tell_spans(
        &self,
        lists: &[CachePadded<Mutex<Vec<Span>>>],
        mut turn: MutexGuard<'_, Vec<Span>>,
    ) {
        for list in lists {
            turn.append(&mut lock(list));
        }
        self.tell_layers();
        if !turn.is_empty() {
            turn.sort_by_key(|span| span.start_ns);
            self.tell(|observer| observer.on_spans(self.run, &turn));
            turn.clear();
        }
    }

    /// What stands in the lists has its layers here already.
    fn tell_layers(&self) {
        let mut growing = lock(&self.growing);
        if std::mem::take(&mut growing.is_news) {
            let layers = growing.layers.clone();
            drop(growing);
            self.tell(|observer| observer.on_tasks_added(self.run, &layers));
        }
    }

    pub(crate) fn tell(&self, call: impl Fn(&dyn Observer)) {
        for watched in &self.observers {
            if watched.is_well.load(Ordering::Relaxed) {
                // What it has left half-done is its own, and it is not called again.
                let result = catch_unwind(AssertUnwindSafe(|| call(&*watched.observer)));
                watched.is_well.store(result.is_ok(), Ordering::Relaxed);
            }
        }
    }
}

impl Source for Tape {
    fn pull(&self) {
        self.tell_all(lock(&self.turn));
    }

    fn running(&self) -> Vec<Running> {
        self.running.iter().filter_map(|seat| seat.look()).collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change is one call; what observers leave half-done is theirs.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The one of `n` places that is for a thread; `n` is a power of two, because a division takes as long as what is done there.
fn place_of(thread: Thread, n: usize) -> usize {
    thread.0 as usize & (n - 1)
}

/// The task that a thread runs. Its parts are written one by one; who looks in between sees a mixture.
#[derive(Default)]
struct Seat {
    is_taken: AtomicBool,
    thread: AtomicU32,
    depth: AtomicU32,
    layer: AtomicU32,
    block: AtomicU64,
    since_ns: AtomicU64,
    memory_bytes: AtomicU64,
}

impl Seat {
    fn take(&self, span: &Span) {
        self.thread.store(span.thread.0, Ordering::Relaxed);
        self.depth.store(span.depth.into(), Ordering::Relaxed);
        self.layer.store(span.layer, Ordering::Relaxed);
        self.block.store(span.block, Ordering::Relaxed);
        self.since_ns.store(span.start_ns, Ordering::Relaxed);
        self.memory_bytes.store(span.memory_bytes, Ordering::Relaxed);
        self.is_taken.store(true, Ordering::Release);
    }

    fn leave(&self) {
        self.is_taken.store(false, Ordering::Relaxed);
    }

    fn look(&self) -> Option<Running> {
        self.is_taken.load(Ordering::Acquire).then(|| Running {
            thread: Thread(self.thread.load(Ordering::Relaxed)),
            depth: self.depth.load(Ordering::Relaxed) as u16,
            layer: self.layer.load(Ordering::Relaxed),
            block: self.block.load(Ordering::Relaxed),
            since_ns: self.since_ns.load(Ordering::Relaxed),
            memory_bytes: self.memory_bytes.load(Ordering::Relaxed),
        })
    }
}
