//! Which line of the user made what has failed.
//!
//! Expressions, nodes of plans and layers each know the line that made them; it is no part of what they are, so equal
//! operations of two lines are still one, that of the first. Layers that are fused run as steps of one task: the step
//! that fails leaves its line for the task, be it with an error or with a panic.

use std::cell::Cell;
use std::panic::Location;
use std::thread;

use crate::error::Result;

/// A line of the user.
pub(crate) type Line = &'static Location<'static>;

thread_local! {
    /// The line of the step that has failed in the task of this thread.
    static FAILED: Cell<Option<Line>> = const { Cell::new(None) };
}

/// Runs a step that comes from `line`.
pub(crate) fn at<R>(line: Option<Line>, step: impl FnOnce() -> Result<R>) -> Result<R> {
    let _on_panic = OnPanic(line);
    let result = step();
    if result.is_err() {
        note(line);
    }
    result
}

/// The line of the step of this thread's task that has failed, for the first who asks.
pub(crate) fn take_failed() -> Option<Line> {
    FAILED.take()
}

/// The innermost step is the one that failed.
fn note(line: Option<Line>) {
    FAILED.set(FAILED.get().or(line));
}

struct OnPanic(Option<Line>);

impl Drop for OnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            note(self.0);
        }
    }
}
