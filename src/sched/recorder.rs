//! Takes down what tasks take, and tells it to observers in batches.
//!
//! A span is written into one of a few queues without a lock, chosen by its thread, so that threads rarely meet.
//! Whoever finds its queue full, or sees that nothing was told for a while, empties all of them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crossbeam::queue::ArrayQueue;
use crossbeam::utils::CachePadded;

use super::events::{EventSink, OpTasks, RunSummary};
use crate::bytes::format_bytes;
use crate::error::{Call, Error};
use crate::graph::{Picture, TaskGraph};
use crate::observe::{
    Feed, LayerInfo, Observer, RunEnded, RunId, RunStarted, Running, Source, Span, SpanKind,
    Thread, now_ns,
};

/// Spans that a queue holds.
const QUEUE_LEN: u64 = 256;
const QUEUES_MAX: usize = 32;
/// How long what was taken down may wait for the next task to end.
const TELL_EVERY_NS: u64 = 100_000_000;
/// Pictures of more layers are not drawn.
const LAYERS_DRAWN_MAX: usize = 200;

/// Tells the observers of one run.
pub(crate) struct Recorder {
    tape: Arc<Tape>,
    call: Option<Call>,
}

impl Recorder {
    /// Tells `observers`; `None` if there are none.
    pub(crate) fn new(
        observers: Vec<Arc<dyn Observer>>,
        call: Option<Call>,
        graph: &TaskGraph,
    ) -> Option<Self> {
        if observers.is_empty() {
            return None;
        }
        let n_threads = std::thread::available_parallelism().map_or(1, usize::from);
        let n_queues = n_threads.next_power_of_two().min(QUEUES_MAX);
        let len = (graph.n_tasks() as u64).clamp(1, QUEUE_LEN) as usize;
        let watched = |observer| Watched { observer, is_well: AtomicBool::new(true) };
        let tape = Tape {
            run: RunId::next(),
            observers: observers.into_iter().map(watched).collect(),
            queues: (0..n_queues).map(|_| CachePadded::new(ArrayQueue::new(len))).collect(),
            running: (0..2 * n_queues).map(|_| CachePadded::default()).collect(),
            told_ns: AtomicU64::new(now_ns()),
            turn: Mutex::default(),
        };
        Some(Recorder { tape: Arc::new(tape), call })
    }
}

impl EventSink for Recorder {
    fn wants_spans(&self) -> bool {
        true
    }

    fn on_run_started(&self, graph: &TaskGraph, _ops: &[OpTasks], budget_bytes: u64) {
        let layers = graph.layer_tasks().map(|(id, tasks)| {
            let layer = graph.layers().get(id);
            LayerInfo {
                n_tasks: tasks.len() as u64,
                out_bytes: layer.out_bytes,
                scratch_bytes: layer.scratch_bytes,
                ..LayerInfo::new(&layer.name, &layer.block_text, &layer.grid)
            }
        });
        let layers: Vec<_> = layers.collect();
        let source: Weak<dyn Source> = Arc::downgrade(&(Arc::clone(&self.tape) as Arc<dyn Source>));
        let started = RunStarted {
            run: self.tape.run,
            at_ns: now_ns(),
            call: self.call,
            layers: &layers,
            memory_limit: budget_bytes,
            feed: Feed(source),
            picture: &|| picture(graph),
        };
        self.tape.tell(|observer| observer.on_run_started(&started));
    }

    fn on_span_started(&self, span: &Span) {
        self.tape.seat(span.thread).take(span);
    }

    fn on_span(&self, span: &Span) {
        if span.kind == SpanKind::Task {
            self.tape.seat(span.thread).leave();
        }
        self.tape.record(*span);
    }

    fn on_run_ended(&self, summary: &RunSummary, error: Option<&Error>) {
        self.tape.pull();
        let ended = RunEnded {
            run: self.tape.run,
            at_ns: now_ns(),
            n_finished: summary.n_finished,
            peak_bytes: summary.peak_bytes,
            spilled_bytes: summary.spilled_bytes,
            reread_bytes: summary.reread_bytes,
            error: error.map(ToString::to_string),
        };
        self.tape.tell(|observer| observer.on_run_ended(&ended));
    }
}

fn picture(graph: &TaskGraph) -> Option<String> {
    let layers = graph.layers();
    if layers.layers().len() > LAYERS_DRAWN_MAX {
        return None;
    }
    let n_tasks: Vec<u64> = graph.layer_tasks().map(|(_, tasks)| tasks.len() as u64).collect();
    let outputs: Vec<_> = graph.output_layers().collect();
    Some(Picture::of_layers(layers, &outputs, Some(&n_tasks), format_bytes).to_svg())
}

/// What the threads of a run share. It lives as long as the run.
struct Tape {
    run: RunId,
    observers: Vec<Watched>,
    queues: Box<[CachePadded<ArrayQueue<Span>>]>,
    running: Box<[CachePadded<Seat>]>,
    /// When the queues were emptied last.
    told_ns: AtomicU64,
    /// Held by whoever tells, with what it tells.
    turn: Mutex<Vec<Span>>,
}

struct Watched {
    observer: Arc<dyn Observer>,
    /// Whether it has not panicked.
    is_well: AtomicBool,
}

impl Tape {
    /// As with queues, the number of a thread says which. Two that share one hide each other, no more.
    fn seat(&self, thread: Thread) -> &Seat {
        &self.running[thread.0 as usize % self.running.len()]
    }

    fn record(&self, mut span: Span) {
        let queue = &self.queues[span.thread.0 as usize % self.queues.len()];
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
        if !turn.is_empty() {
            turn.sort_by_key(|span| span.start_ns);
            self.tell(|observer| observer.on_spans(self.run, &turn));
            turn.clear();
        }
    }

    fn tell(&self, call: impl Fn(&dyn Observer)) {
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
