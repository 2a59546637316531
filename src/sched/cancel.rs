//! Stopping a run from outside.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A switch that stops the runs which hold a clone of it.
///
/// Tasks that already run are waited for, so a cancelled run ends after its longest task with
/// [`Error::Cancelled`](crate::Error::Cancelled), and everything that it held is freed.
#[derive(Clone, Debug, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// A token that is not cancelled yet.
    #[must_use]
    pub fn new() -> Self {
        CancelToken::default()
    }

    /// Stops all runs that hold a clone of this token, for good.
    pub fn cancel(&self) {
        // Nothing is published along with the flag; whoever sees it only stops.
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether [`cancel`](Self::cancel) was called on a clone of this token.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
