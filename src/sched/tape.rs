//! Takes down what tasks take, and tells it to observers in batches.
//!
//! A span is written into one of a few queues without a lock, chosen by its thread, so that threads rarely meet.
//! Whoever finds its queue full, or sees that nothing was told for a while, empties all of them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crossbeam::queue::ArrayQueue;
use crossbeam::utils::CachePadded;

use crate::observe::{Feed, LayerInfo, Observer, RunId, Running, Source, Span, Thread, now_ns};

/// Spans that a queue holds.
const QUEUE_LEN: u64 = 256;
const QUEUES_MAX: usize = 32;
/// How long what was taken down may wait for the next task to end.
const TELL_EVERY_NS: u64 = 100_000_000;

/// What the threads of a run share. It lives as long as the run.
pub(crate) struct Tape {
    run: RunId,
    observers: Vec<Watched>,
    queues: Box<[CachePadded<ArrayQueue<Span>>]>,
    running: Box<[CachePadded<Seat>]>,
    /// Layers that the run has, if it is one that gets them while it runs.
    growing: Mutex<Growing>,
    /// When the queues were emptied last.
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
    /// Tells `observers` of a run of `n_tasks`, more or less; `None` if there are none.
    pub(crate) fn new(observers: Vec<Arc<dyn Observer>>, n_tasks: u64) -> Option<Arc<Self>> {
        if observers.is_empty() {
            return None;
        }
        let n_threads = std::thread::available_parallelism().map_or(1, usize::from);
        let n_queues = n_threads.next_power_of_two().min(QUEUES_MAX);
        let len = n_tasks.clamp(1, QUEUE_LEN) as usize;
        let watched = |observer| Watched { observer, is_well: AtomicBool::new(true) };
        Some(Arc::new(Tape {
            run: RunId::next(),
            observers: observers.into_iter().map(watched).collect(),
            queues: (0..n_queues).map(|_| CachePadded::new(ArrayQueue::new(len))).collect(),
            running: (0..2 * n_queues).map(|_| CachePadded::default()).collect(),
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
        self.growing().layers.push(layer);
    }

    /// Takes note of a task that is to run in a layer that was added.
    pub(crate) fn add_task(&self, layer: u32) {
        let mut growing = self.growing();
        growing.layers[layer as usize].n_tasks += 1;
        growing.is_news = true;
    }

    fn growing(&self) -> MutexGuard<'_, Growing> {
        self.growing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn begin(&self, span: &Span) {
        self.seat(span.thread).take(span);
    }

    pub(crate) fn leave(&self, span: &Span) {
        self.seat(span.thread).leave();
    }

    /// As with queues, the number of a thread says which. Two that share one hide each other, no more.
    fn seat(&self, thread: Thread) -> &Seat {
        &self.running[place_of(thread, self.running.len())]
    }

    pub(crate) fn record(&self, mut span: Span) {
        let queue = &self.queues[place_of(span.thread, self.queues.len())];
        while let Err(refused) = queue.push(span) {
            self.pull();
            span = refused;
        }
        let told = self.told_ns.load(Ordering::Relaxed);
        if span.end_ns.saturating_sub(told) > TELL_EVERY_NS
            && let Ok(turn) = self.turn.try_lock()
        {
            self.tell_spans(turn);
        }
    }

    fn tell_spans(&self, mut turn: MutexGuard<'_, Vec<Span>>) {
        self.told_ns.store(now_ns(), Ordering::Relaxed);
        for queue in &self.queues {
            // No more than there were: others may fill it as fast as it gets empty.
            turn.extend((0..queue.len()).map_while(|_| queue.pop()));
        }
        self.tell_layers();
        if !turn.is_empty() {
            turn.sort_by_key(|span| span.start_ns);
            self.tell(|observer| observer.on_spans(self.run, &turn));
            turn.clear();
        }
    }

    /// What stands in the queues has its layers here already.
    fn tell_layers(&self) {
        let mut growing = self.growing();
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
        self.tell_spans(self.turn.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn running(&self) -> Vec<Running> {
        self.running.iter().filter_map(|seat| seat.look()).collect()
    }
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
