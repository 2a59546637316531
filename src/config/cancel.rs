//! Stopping runs from outside.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Config;

/// A switch that stops whatever runs in its [`scope`](Self::scope), or was started with it by [`compute_with`](crate::compute_with).
///
/// Clones are the same switch, so that one of them can be cancelled by another thread. Tasks that already run are waited for: a
/// cancelled run ends after its longest task with [`Error::Cancelled`](crate::Error::Cancelled), and everything that it held is
/// freed. Futures of a [`Client`](crate::Client) are cancelled one by one, by [`Future::cancel`](crate::Future::cancel).
#[derive(Clone, Debug, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// A token that is not cancelled yet.
    #[must_use]
    pub fn new() -> Self {
        CancelToken::default()
    }

    /// Stops all runs that hold a clone of this token, for good: those that start later end at once.
    pub fn cancel(&self) {
        // Nothing is published along with the flag; whoever sees it only stops.
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether [`cancel`](Self::cancel) was called on a clone of this token.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Calls `f`, in which everything that is computed, persisted or written stops once this token, or that of a scope around it,
    /// is cancelled.
    ///
    /// As with [`Config::scope`], that holds for what the calling thread starts, and for what the tasks of that start. What was being
    /// written on this machine is then as it was; what is replaced in object stores may be gone, as each write says. A write that
    /// had all of its data may be complete.
    ///
    /// # Example
    /// ```
    /// use dask_rs::{CancelToken, prelude::*};
    /// let path = std::env::temp_dir().join(format!("stopped-{}.npy", std::process::id()));
    /// let cancel = CancelToken::new();
    /// // A button, a signal, a deadline: here somebody presses it while the third block is made.
    /// let button = cancel.clone();
    /// let x: Array<f64> = array::ones([1000], [10]);
    /// let x = x.map_blocks(move |block, info| {
    ///     if info.block == [2] {
    ///         button.cancel();
    ///     }
    ///     block.to_owned()
    /// });
    /// let written = cancel.scope(|| x.to_npy(&path));
    /// assert!(matches!(written, Err(Error::Cancelled)) && !path.exists());
    /// ```
    pub fn scope<R>(&self, f: impl FnOnce() -> R) -> R {
        Config::new().with_cancel(self).scope(f)
    }
}

/// The tokens of all scopes around one place, each of which stops what was started there.
#[derive(Clone, Default)]
pub(crate) struct CancelTokens(Vec<CancelToken>);

impl CancelTokens {
    pub(crate) fn is_cancelled(&self) -> bool {
        self.0.iter().any(CancelToken::is_cancelled)
    }

    /// Adds those that are not there yet.
    pub(super) fn extend(&mut self, others: &CancelTokens) {
        for other in &others.0 {
            if !self.0.iter().any(|token| Arc::ptr_eq(&token.0, &other.0)) {
                self.0.push(other.clone());
            }
        }
    }
}

impl From<&CancelToken> for CancelTokens {
    fn from(token: &CancelToken) -> Self {
        CancelTokens(vec![token.clone()])
    }
}

impl PartialEq for CancelTokens {
    fn eq(&self, other: &Self) -> bool {
        let is_same = |(a, b): (&CancelToken, &CancelToken)| Arc::ptr_eq(&a.0, &b.0);
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(is_same)
    }
}

impl Eq for CancelTokens {}

impl fmt::Debug for CancelTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tokens", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_cancelled() -> bool {
        Config::current().unwrap().cancel().is_cancelled()
    }

    #[test]
    fn tokens_of_outer_scopes_count_and_those_of_others_do_not() {
        let (outer, inner, other) = (CancelToken::new(), CancelToken::new(), CancelToken::new());
        outer.scope(|| {
            inner.scope(|| {
                other.cancel();
                assert!(!is_cancelled());
                inner.cancel();
                assert!(is_cancelled());
            });
            assert!(!is_cancelled());
            CancelToken::new().scope(|| {
                outer.clone().cancel();
                assert!(is_cancelled());
            });
        });
        assert!(!is_cancelled());
    }
}
