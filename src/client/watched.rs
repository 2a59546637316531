//! What observers are told of the tasks of a client: one run, from its beginning to the end of its last task.
//!
//! A layer is the tasks of one name. They come while the client lives, so observers hear of them as they come.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Call, Result};
use crate::function::Shared;
use crate::observe::{
    LayerInfo, Observer, RunEnded, RunStarted, Source, Span, SpanKind, Thread, enter_task,
    leave_task, now_ns,
};
use crate::sched::tape::Tape;

/// Tasks of other names after these are counted together.
const NAMES_MAX: usize = 500;
const OTHERS: &str = "other tasks";

/// Tells the observers of one client.
pub(super) struct Watched {
    tape: Arc<Tape>,
    layers: Mutex<HashMap<Arc<str>, u32>>,
    n_finished: AtomicU64,
}

impl Watched {
    /// `None` if nobody watches.
    pub(super) fn new(
        call: Call,
        observers: Vec<Arc<dyn Observer>>,
        memory_limit: u64,
    ) -> Option<Self> {
        let tape = Tape::new(observers)?;
        let started = RunStarted {
            run: tape.run(),
            at_ns: now_ns(),
            call: Some(call),
            layers: &[],
            memory_limit,
            feed: tape.feed(),
            picture: &|| None,
        };
        tape.tell(|observer| observer.on_run_started(&started));
        Some(Watched { tape, layers: Mutex::default(), n_finished: AtomicU64::new(0) })
    }

    /// The layer of a task that was submitted.
    pub(super) fn add_task(&self, name: &str) -> u32 {
        let mut layers = self.layers.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = layers.contains_key(name);
        let is_full = layers.len() >= NAMES_MAX - 1;
        let name = if is_known || !is_full { name } else { OTHERS };
        let layer = layers.get(name).copied().unwrap_or_else(|| {
            let (name, layer): (Arc<str>, _) = (name.into(), layers.len() as u32);
            self.tape.add_layer(LayerInfo::new(&name, &"a value".into(), &[].into()));
            layers.insert(name, layer);
            layer
        });
        self.tape.add_task(layer);
        layer
    }

    /// Calls a task of `layer`.
    pub(super) fn task(&self, layer: u32, run: impl FnOnce() -> Result<Shared>) -> Result<Shared> {
        let start_ns = now_ns();
        let span = Span {
            kind: SpanKind::Task,
            is_ok: true,
            depth: enter_task(),
            thread: Thread::current(),
            layer,
            block: 0,
            start_ns,
            end_ns: start_ns,
            bytes: 0,
            memory_bytes: 0,
        };
        self.tape.begin(&span);
        let outcome = run();
        leave_task();
        let is_ok = outcome.is_ok();
        self.n_finished.fetch_add(u64::from(is_ok), Ordering::Relaxed);
        self.tape.leave(&span);
        self.tape.record(Span { is_ok, end_ns: now_ns(), ..span });
        outcome
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.tape.pull();
        let ended = RunEnded {
            run: self.tape.run(),
            at_ns: now_ns(),
            n_finished: self.n_finished.load(Ordering::Relaxed),
            peak_bytes: 0,
            spilled_bytes: 0,
            reread_bytes: 0,
            error: None,
        };
        self.tape.tell(|observer| observer.on_run_ended(&ended));
    }
}
