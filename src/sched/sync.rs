//! The one way in which workers share state, so that a model checker can put its own in place.

use std::sync::{Mutex, PoisonError};

/// A value that one worker at a time may change.
pub(crate) trait Lock<T>: Sync {
    fn new(value: T) -> Self;

    /// Short, and never around a kernel or a sink.
    fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R;
}

impl<T: Send> Lock<T> for Mutex<T> {
    fn new(value: T) -> Self {
        Mutex::new(value)
    }

    fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        // What panics inside is a bug of ours; other workers only have to end.
        f(&mut self.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
