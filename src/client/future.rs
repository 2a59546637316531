//! What a submitted function will return.

use std::any::Any;
use std::fmt;
use std::future::Future as StdFuture;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::core::Core;
use super::monitor::deadline;
use super::promise::{Arrivals, Promise};
use super::state::TaskId;
use crate::error::{Call, Error, Result};
use crate::function::Shared;

/// The value that a submitted function returns, or will.
///
/// Clones stand for the same value, which is kept until all of them are dropped. When they are dropped before the task
/// has started, and no other task needs it, it does not run; [`detach`](Self::detach) lets it.
///
/// It is a [`std::future::Future`] with the [`result`](Self::result) as its output, and needs no particular runtime:
/// the task runs whether or not it is polled.
///
/// # Example
/// ```
/// use dask_rs::Client;
/// use std::task::{Context, Poll, Waker};
/// let client = Client::new()?;
/// let number = client.submit(|| 7, ());
/// number.wait();
/// let mut polled = Box::pin(async move { number.await });
/// // A runtime does this.
/// let Poll::Ready(value) = polled.as_mut().poll(&mut Context::from_waker(Waker::noop())) else { panic!() };
/// assert_eq!(value?, 7);
/// # use std::future::Future as _;
/// # Ok::<(), dask_rs::Error>(())
/// ```
#[must_use = "a task whose future is dropped before it starts does not run"]
pub struct Future<T> {
    pub(super) held: Arc<Held>,
    /// Where this handle waits when it is polled.
    watch: Option<Arc<Arrivals>>,
    value: PhantomData<fn() -> T>,
}

/// A task, or a value that never was one, as long as somebody holds its future.
pub(super) struct Held {
    pub(super) core: Arc<Core>,
    pub(super) task: Option<TaskId>,
    pub(super) promise: Arc<Promise>,
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(task) = self.task {
            self.core.with(|inside, effects| inside.state.release(task, effects));
        }
    }
}

impl<T> Future<T> {
    pub(super) fn of(core: Arc<Core>, task: Option<TaskId>, promise: Arc<Promise>) -> Self {
        let held = Arc::new(Held { core, task, promise });
        Future { held, watch: None, value: PhantomData }
    }

    /// One that is done.
    pub(super) fn done(core: Arc<Core>, outcome: Result<Shared>) -> Self {
        Future::of(core, None, Arc::new(Promise::kept(outcome)))
    }

    /// Whether there is a value or an error.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.held.promise.is_done()
    }

    /// Waits until there is a value or an error. If the task has not started, the waiting thread may run it.
    ///
    /// Returns at once on a thread that is inside of the task itself, where waiting would never end.
    #[track_caller]
    pub fn wait(&self) {
        let _outcome = self.held.core.wait(self.held.task, &self.held.promise, None);
    }

    /// Waits at most so long; whether there is a value or an error.
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        let Some(deadline) = deadline(timeout) else {
            self.wait();
            return true;
        };
        let held = &self.held;
        held.core.wait(held.task, &held.promise, Some(deadline)).is_some()
    }

    /// The error, if the task has failed or was cancelled.
    #[must_use]
    pub fn error(&self) -> Option<Error> {
        self.held.promise.outcome()?.err()
    }

    /// Cancels the task and all that wait for it: they end with [`Error::Cancelled`]. A function that runs already
    /// goes on, and what it returns is dropped; a value that is there stays.
    pub fn cancel(&self) {
        if let Some(task) = self.held.task {
            self.held.core.with(|inside, effects| inside.state.cancel(task, effects));
        }
    }

    /// Runs the task again if it failed or was cancelled, and those of its arguments that did. Clones of this future
    /// and tasks submitted from now on get the new result; tasks that failed because of this one stay as they are.
    pub fn retry(&self) {
        if let Some(task) = self.held.task {
            self.held.core.with(|inside, effects| inside.state.retry(task, effects));
        }
    }

    /// Drops the future without giving up the task, which will run for its effects.
    pub fn detach(self) {
        if let Some(task) = self.held.task {
            let held = Arc::clone(&self.held);
            self.held.core.with(|inside, _| {
                if !held.promise.is_done() {
                    inside.state.payload(task).detached = Some(held);
                }
            });
        }
    }
}

impl<T: Any + Send + Sync> Future<T> {
    /// The value, shared with all who hold this future. Waits as [`wait`](Self::wait) does.
    ///
    /// # Errors
    /// [`Error::TaskFailed`] and [`Error::TaskPanicked`] with the task itself to look at ([`Error::failed_task`]), be it of
    /// this task or of one that it reads; [`Error::Cancelled`]; [`Error::InvalidArgument`] on a thread that is inside of the
    /// task itself, where waiting would never end.
    #[track_caller]
    pub fn shared(&self) -> Result<Arc<T>> {
        let held = &self.held;
        typed(held.core.wait(held.task, &held.promise, None))
    }

    /// The value, or an error if it is not there in time.
    ///
    /// # Errors
    /// As [`shared`](Self::shared), and [`Error::TimedOut`].
    #[track_caller]
    pub fn result_timeout(&self, timeout: Duration) -> Result<T>
    where
        T: Clone,
    {
        let call = Call::new("result_timeout");
        if !self.wait_timeout(timeout) {
            return Err(Error::TimedOut { call, after: timeout });
        }
        self.result()
    }

    /// A clone of the value. Waits as [`wait`](Self::wait) does.
    ///
    /// # Errors
    /// As [`shared`](Self::shared).
    #[track_caller]
    pub fn result(&self) -> Result<T>
    where
        T: Clone,
    {
        self.shared().map(|value| T::clone(&value))
    }
}

fn typed<T: Any + Send + Sync>(outcome: Option<Result<Shared>>) -> Result<Arc<T>> {
    let problem =
        |problem: &str| Error::Internal { place: "future".into(), problem: problem.into() };
    let value = outcome.ok_or_else(|| problem("waiting ended too early"))??;
    value.downcast().map_err(|_| problem("the value is of another type"))
}

impl<T: Any + Clone + Send + Sync> StdFuture for Future<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        let Future { held, watch, .. } = &mut *self;
        match held.promise.poll(watch, context.waker()) {
            None => Poll::Pending,
            outcome => Poll::Ready(typed(outcome).map(|value: Arc<T>| T::clone(&value))),
        }
    }
}

impl<T> Clone for Future<T> {
    fn clone(&self) -> Self {
        Future { held: Arc::clone(&self.held), watch: None, value: PhantomData }
    }
}

impl<T> fmt::Debug for Future<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.held.promise.outcome() {
            None => f.write_str("Future(pending)"),
            Some(Ok(_)) => f.write_str("Future(done)"),
            Some(Err(error)) => write!(f, "Future(error: {error})"),
        }
    }
}
