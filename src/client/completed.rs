//! Futures in the order in which they are done.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;

use super::core::suspended;
use super::future::Future;
use super::monitor::deadline;
use super::promise::Arrivals;

/// Gives out futures as they are done, be it with a value or with an error.
///
/// # Example
/// ```
/// use dask_rs::{Client, as_completed};
/// let client = Client::new()?;
/// let halve = |n: &u32| n / 2;
/// let mut halves = as_completed(client.map(halve, [5, 12]));
/// let mut found = Vec::new();
/// while let Some(half) = halves.next() {
///     let n = half.result()?;
///     found.push(n);
///     if n > 1 {
///         halves.add(client.submit(halve, (half,)));
///     }
/// }
/// found.sort();
/// assert_eq!(found, [1, 1, 2, 3, 6]);
/// # Ok::<(), dask_rs::Error>(())
/// ```
pub fn as_completed<T>(futures: impl IntoIterator<Item = Future<T>>) -> AsCompleted<T> {
    let mut completed =
        AsCompleted { arrivals: Arc::default(), futures: HashMap::new(), next_number: 0 };
    futures.into_iter().for_each(|future| completed.add(future));
    completed
}

/// What [`as_completed`] returns: an iterator that waits for the next future to be done, and an asynchronous stream. It
/// ends when no future is left; [`add`](Self::add) may be called meanwhile, and after.
pub struct AsCompleted<T> {
    arrivals: Arc<Arrivals>,
    futures: HashMap<u64, Future<T>>,
    next_number: u64,
}

impl<T> AsCompleted<T> {
    /// One more future to wait for.
    pub fn add(&mut self, future: Future<T>) {
        let number = self.next_number;
        self.next_number += 1;
        future.held.promise.watch(&self.arrivals, number);
        self.futures.insert(number, future);
    }

    /// How many futures were not given out yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.futures.len()
    }

    /// Whether all futures were given out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.futures.is_empty()
    }

    /// The next future that is done already, without waiting.
    pub fn try_next(&mut self) -> Option<Future<T>> {
        let number = self.arrivals.try_next()?;
        self.futures.remove(&number)
    }

    /// The next future that is done within this time.
    pub fn next_timeout(&mut self, timeout: Duration) -> Option<Future<T>> {
        if self.is_empty() {
            return None;
        }
        let arrivals = &self.arrivals;
        let number = arrivals.try_next();
        let number = number.or_else(|| suspended(|| arrivals.wait(deadline(timeout))))?;
        self.futures.remove(&number)
    }
}

impl<T> Iterator for AsCompleted<T> {
    type Item = Future<T>;

    fn next(&mut self) -> Option<Future<T>> {
        if self.is_empty() {
            return None;
        }
        let number = self.arrivals.try_next();
        let number = number.or_else(|| suspended(|| self.arrivals.wait(None)))?;
        self.futures.remove(&number)
    }
}

impl<T> Stream for AsCompleted<T> {
    type Item = Future<T>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Future<T>>> {
        if self.is_empty() {
            return Poll::Ready(None);
        }
        match self.arrivals.poll(context.waker()) {
            Some(number) => Poll::Ready(self.futures.remove(&number)),
            None => Poll::Pending,
        }
    }
}

impl<T> fmt::Debug for AsCompleted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsCompleted").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// Which futures are done, by their positions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waited {
    /// Those with a value or an error.
    pub done: Vec<usize>,
    /// The others.
    pub pending: Vec<usize>,
}

/// Waits until all futures are done, or until the time is over.
///
/// # Example
/// ```
/// use std::time::Duration;
/// use dask_rs::{Client, client};
/// let futures = Client::new()?.map(|n: &i32| n + 1, 0..10);
/// let waited = client::wait(&futures, Duration::from_secs(60));
/// assert_eq!((waited.done.len(), waited.pending.len()), (10, 0));
/// # Ok::<(), dask_rs::Error>(())
/// ```
pub fn wait<T>(
    futures: impl IntoIterator<Item: Borrow<Future<T>>>,
    timeout: impl Into<Option<Duration>>,
) -> Waited {
    let deadline = timeout.into().and_then(deadline);
    let futures: Vec<_> = futures.into_iter().collect();
    for future in &futures {
        let held = &future.borrow().held;
        let _outcome = held.core.wait(held.task, &held.promise, deadline);
    }
    sorted(&futures)
}

/// Waits until one of the futures is done, or until the time is over.
pub fn wait_any<T>(
    futures: impl IntoIterator<Item: Borrow<Future<T>>>,
    timeout: impl Into<Option<Duration>>,
) -> Waited {
    let deadline = timeout.into().and_then(deadline);
    let futures: Vec<_> = futures.into_iter().collect();
    let arrivals = Arc::<Arrivals>::default();
    for future in &futures {
        future.borrow().held.promise.watch(&arrivals, 0);
    }
    if !futures.is_empty() && arrivals.try_next().is_none() {
        let _first = suspended(|| arrivals.wait(deadline));
    }
    sorted(&futures)
}

fn sorted<T>(futures: &[impl Borrow<Future<T>>]) -> Waited {
    let (done, pending) = (0..futures.len()).partition(|i| futures[*i].borrow().is_done());
    Waited { done, pending }
}
