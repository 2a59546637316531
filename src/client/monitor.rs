//! Waiting for something that another thread does, also on the threads of a pool.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::sync::{AtomicUsize, Condvar, Mutex, N_LOOKS, is_in_pool, yield_now};

/// A value under a lock, whose changes can be waited for.
#[derive(Debug, Default)]
pub(super) struct Monitor<S> {
    state: Mutex<S>,
    changed: Condvar,
    n_waiting: AtomicUsize,
}

/// How long a thread of a pool sleeps at a time. In between it does what others need a thread of the pool for, so that
/// the pool never stands still, however many of its threads wait.
const NAP: Duration = Duration::from_millis(1);

impl<S> Monitor<S> {
    /// Changes the state. Who waits is told by [`notify`](Self::notify), which has to follow, but not under another lock.
    pub(super) fn change<R>(&self, f: impl FnOnce(&mut S) -> R) -> R {
        f(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn notify(&self) {
        // Who counted itself after the change has looked at the state after it too.
        if self.n_waiting.load(Ordering::Relaxed) > 0 {
            self.changed.notify_all();
        }
    }

    /// What `look` finds, as soon as it finds something; `None` if it has not by `deadline`.
    pub(super) fn wait<R>(
        &self,
        deadline: Option<Instant>,
        mut look: impl FnMut(&mut S) -> Option<R>,
    ) -> Option<R> {
        for _ in 0..N_LOOKS {
            if let Some(found) = self.change(&mut look) {
                return Some(found);
            }
            std::hint::spin_loop();
        }
        let is_in_pool = is_in_pool();
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(now()));
            let nap = if is_in_pool { Some(left.map_or(NAP, |left| left.min(NAP))) } else { left };
            if let Some(found) = self.sleep(nap, &mut look) {
                return Some(found);
            }
            if left.is_some_and(|left| left.is_zero()) {
                return None;
            }
            if is_in_pool {
                yield_now();
            }
        }
    }

    /// Sleeps once, unless there is something to find.
    fn sleep<R>(
        &self,
        nap: Option<Duration>,
        look: &mut impl FnMut(&mut S) -> Option<R>,
    ) -> Option<R> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.n_waiting.fetch_add(1, Ordering::Relaxed);
        let mut found = look(&mut state);
        if found.is_none() {
            state = match nap {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(nap) => {
                    let woken = self.changed.wait_timeout(state, nap);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
            };
            found = look(&mut state);
        }
        self.n_waiting.fetch_sub(1, Ordering::Relaxed);
        found
    }
}

/// When waiting for `timeout` ends.
pub(super) fn deadline(timeout: Duration) -> Option<Instant> {
    now().checked_add(timeout)
}

fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "users say how long they want to wait")]
    Instant::now()
}
