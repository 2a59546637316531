//! What a task will end with, and who waits for that.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::task::Waker;
use std::time::Instant;

use super::monitor::Monitor;
use crate::error::Result;
use crate::function::Shared;

/// A value or an error that may be there already.
#[derive(Debug, Default)]
pub(super) struct Promise(Monitor<State>);

#[derive(Default)]
struct State {
    outcome: Option<Result<Shared>>,
    watchers: Vec<Watcher>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("is_done", &self.outcome.is_some()).finish_non_exhaustive()
    }
}

/// Where an arrival is to be told, if somebody still waits there, and by which number.
struct Watcher {
    arrivals: Weak<Arrivals>,
    number: u64,
}

impl Promise {
    /// One that is kept already.
    pub(super) fn kept(outcome: Result<Shared>) -> Self {
        let promise = Promise::default();
        promise.0.change(|state| state.outcome = Some(outcome));
        promise
    }

    pub(super) fn outcome(&self) -> Option<Result<Shared>> {
        self.0.change(|state| state.outcome.clone())
    }

    pub(super) fn is_done(&self) -> bool {
        self.0.change(|state| state.outcome.is_some())
    }

    /// Keeps the promise. Those who wait are told when what is returned is [rung](Bell::ring).
    pub(super) fn keep(self: &Arc<Self>, outcome: Result<Shared>) -> Bell {
        let watchers = self.0.change(|state| {
            state.outcome = Some(outcome);
            std::mem::take(&mut state.watchers)
        });
        Bell { promise: Arc::clone(self), watchers }
    }

    /// Takes back what was promised, to be tried again.
    pub(super) fn reset(&self) -> Option<Result<Shared>> {
        self.0.change(|state| state.outcome.take())
    }

    /// Waits on this thread.
    pub(super) fn wait(&self, deadline: Option<Instant>) -> Option<Result<Shared>> {
        self.0.wait(deadline, |state| state.outcome.clone())
    }

    /// The outcome, or `waker` is called when it is there. `watch` belongs to the one who asks.
    pub(super) fn poll(
        &self,
        watch: &mut Option<Arc<Arrivals>>,
        waker: &Waker,
    ) -> Option<Result<Shared>> {
        loop {
            if let Some(outcome) = self.outcome() {
                return Some(outcome);
            }
            let arrivals = watch.get_or_insert_with(|| {
                let arrivals = Arc::default();
                self.watch(&arrivals, 0);
                arrivals
            });
            arrivals.poll(waker)?;
            // It was kept, and perhaps taken back since.
            *watch = None;
        }
    }

    /// Tells `arrivals` about `number` once the promise is kept, if they are still there.
    pub(super) fn watch(&self, arrivals: &Arc<Arrivals>, number: u64) {
        let is_done = self.0.change(|state| {
            let is_done = state.outcome.is_some();
            if !is_done {
                let watchers = &mut state.watchers;
                // Those who gave up are forgotten before the list grows.
                if watchers.len() == watchers.capacity() {
                    watchers.retain(|watcher| watcher.arrivals.strong_count() > 0);
                    watchers.reserve(watchers.len() + 1);
                }
                watchers.push(Watcher { arrivals: Arc::downgrade(arrivals), number });
            }
            is_done
        });
        if is_done {
            arrivals.arrive(number);
        }
    }
}

#[cfg(test)]
impl Promise {
    pub(super) fn n_watchers(&self) -> usize {
        self.0.change(|state| state.watchers.len())
    }
}

/// Those who wait for a promise that was kept.
#[must_use = "nobody is told before it is rung"]
pub(super) struct Bell {
    promise: Arc<Promise>,
    watchers: Vec<Watcher>,
}

impl Bell {
    pub(super) fn ring(self) {
        self.promise.0.notify();
        for Watcher { arrivals, number } in self.watchers {
            if let Some(arrivals) = arrivals.upgrade() {
                contained(|| arrivals.arrive(number));
                contained(|| drop(arrivals));
            }
        }
        contained(|| drop(self.promise));
    }
}

/// Calls what is the user's: a waker, or what happens when a value is dropped. A panic there was reported by the panic hook,
/// and must neither end the thread of a client nor keep others from being told.
pub(super) fn contained(f: impl FnOnce()) {
    let _panicked = catch_unwind(AssertUnwindSafe(f));
}

/// Numbers in the order in which their promises were kept.
#[derive(Debug, Default)]
pub(super) struct Arrivals(Monitor<Queue>);

#[derive(Debug, Default)]
struct Queue {
    numbers: VecDeque<u64>,
    waker: Option<Waker>,
}

impl Arrivals {
    fn arrive(&self, number: u64) {
        let waker = self.0.change(|queue| {
            queue.numbers.push_back(number);
            queue.waker.take()
        });
        self.0.notify();
        waker.into_iter().for_each(Waker::wake);
    }

    pub(super) fn try_next(&self) -> Option<u64> {
        self.0.change(|queue| queue.numbers.pop_front())
    }

    /// Waits on this thread.
    pub(super) fn wait(&self, deadline: Option<Instant>) -> Option<u64> {
        self.0.wait(deadline, |queue| queue.numbers.pop_front())
    }

    /// The next number, or `waker` is called when there is one.
    pub(super) fn poll(&self, waker: &Waker) -> Option<u64> {
        self.0.change(|queue| {
            let next = queue.numbers.pop_front();
            if next.is_none() {
                queue.waker = Some(waker.clone());
            }
            next
        })
    }
}
