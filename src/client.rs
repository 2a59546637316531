//! Futures: functions that start at once, in the background, on the threads of computations.
//!
//! A [`Client`] takes functions one by one, while the program goes on; a [`Future`] stands for what one will return. Futures are
//! arguments of further functions, results of [`as_completed`] in the order in which they are done, and
//! [`std::future::Future`]s under any runtime. Where the whole graph is known first, [`delayed`](crate::delayed()) is simpler.

mod address;
mod completed;
mod core;
mod future;
mod monitor;
mod promise;
mod state;
mod sync;
mod task;
mod watched;

use std::fmt;
use std::sync::Arc;

use self::address::Place;
use self::core::Core;
use self::state::{Amount, Request, THREADS};
use self::watched::Watched;
use crate::bytes::parse_bytes;
use crate::compute::Collection;
use crate::config::{Ambient, Config};
use crate::error::{Call, Error, Result};
use crate::function::{Argument, Arguments, Function, Shared};

pub use completed::{AsCompleted, Waited, as_completed, wait, wait_any};
pub use future::Future;
pub use task::{Inputs, Task};

/// Runs functions in the background.
///
/// # Threads
/// Tasks run on the pool of threads that computations run on, at most as many at once as the client has threads. A thread that
/// waits for a future with [`Future::result`] or [`gather`](Self::gather) runs the task itself if it has not started and a
/// place among the threads is free. A task may submit others and wait for them: while it waits, its place and its
/// resources go to other tasks, and it goes on when it has them again. So tasks that wait for each other without a circle
/// end, also with one thread. A task may also [`compute`](crate::compute()), on the threads that are idle.
///
/// A task that waits keeps the thread of the operating system that it is on; another one takes its place. So as many
/// threads are needed as tasks wait at once; where the system gives no more, tasks run on the stacks of waiting ones, up to a
/// bound, and then when a thread is free.
///
/// Functions of computations, such as those given to `map_blocks`, must not wait for futures: the thread on which they run may
/// be inside of the very task that they wait for, which then never ends. Where this is seen, it is an
/// [`Error::InvalidArgument`]; it is not seen through a third task or with [`as_completed`].
///
/// # Order
/// Tasks of a higher priority first, then those that were submitted first. One that lacks a resource may be overtaken, but not without end.
///
/// # Lifetime
/// A client is a handle; clones are the same client, and so is what [`connect`](Self::connect) returns for its
/// [`address`](Self::address). A task whose futures are all dropped before it starts does not run, unless
/// another task needs it. What was submitted goes on after the client is dropped, as long as its future is held.
///
/// # Example
/// ```
/// use dask_rs::Client;
/// let client = Client::new()?;
/// let square = |x: &f64| x * x;
/// let squares = client.map(square, [1.0, 2.0, 3.0]);
/// let total = client.submit(|all: &Vec<f64>| all.iter().sum::<f64>(), (&squares,));
/// assert_eq!(total.result()?, 14.0);
/// assert_eq!(client.gather(&squares)?, [1.0, 4.0, 9.0]);
/// # Ok::<(), dask_rs::Error>(())
/// ```
///
/// # Source
/// Dask's `Client`, in one process.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    place: Place,
    core: Arc<Core>,
    /// The names of the resources; the first are the threads.
    resources: Vec<String>,
    /// What there is of each.
    capacity: Vec<Amount>,
    /// What a task needs that asks for nothing.
    one_thread: Request,
}

impl Client {
    /// A client with the threads and the memory that the configuration says.
    ///
    /// # Errors
    /// As [`Config::current`].
    pub fn new() -> Result<Self> {
        Client::builder().build()
    }

    /// A client with resources of your choice.
    ///
    /// # Example
    /// ```
    /// use dask_rs::Client;
    /// let client = Client::builder().threads(4).resource("gpu", 1).memory_limit("2 GB").build()?;
    /// let trained = client.task().resource("gpu", 1).resource("memory", "500 MB").submit(|| "done", ());
    /// assert_eq!(trained.result()?, "done");
    /// # Ok::<(), dask_rs::Error>(())
    /// ```
    #[must_use]
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// Calls `function` with references to the arguments, in the background.
    ///
    /// Arguments are a tuple of up to eight: values, futures, and lists of futures for a `&Vec`. The call is made when all of
    /// them are there; if one fails, the error of that is also that of this future.
    ///
    /// # Cost
    /// About a microsecond, and as much for the result of a task that this thread then runs itself.
    ///
    /// # Errors
    /// Of the future: [`Error::TaskPanicked`] if the function panics. [`try_submit`](Self::try_submit) is for functions that
    /// return errors.
    #[track_caller]
    pub fn submit<P, F, A>(&self, function: F, arguments: A) -> Future<F::Output>
    where
        F: Function<P>,
        F::Output: Send + Sync + 'static,
        A: Arguments<P, Inputs>,
    {
        self.task().submit(function, arguments)
    }

    /// [`submit`](Self::submit) for a function that returns a `Result`: the value is what stands in `Ok`.
    ///
    /// # Errors
    /// Of the future: [`Error::TaskFailed`] around an [`Error::Function`] with the error that the function returned.
    #[track_caller]
    pub fn try_submit<P, F, A, T, E>(&self, function: F, arguments: A) -> Future<T>
    where
        F: Function<P, Output = Result<T, E>>,
        T: Send + Sync + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
        A: Arguments<P, Inputs>,
    {
        self.task().try_submit(function, arguments)
    }

    /// `function` of each argument, which may be values or futures, as one task each.
    #[track_caller]
    pub fn map<A, F, U, I>(&self, function: F, arguments: I) -> Vec<Future<U>>
    where
        A: 'static,
        F: Fn(&A) -> U + Send + Sync + 'static,
        U: Send + Sync + 'static,
        I: IntoIterator<Item: Argument<A, Inputs>>,
    {
        self.task().map(function, arguments)
    }

    /// A task with other than the usual priority, resources, retries or name.
    ///
    /// # Example
    /// ```
    /// use std::sync::atomic::{AtomicU32, Ordering};
    /// use dask_rs::Client;
    /// let n_calls = AtomicU32::new(0);
    /// let flaky = move || match n_calls.fetch_add(1, Ordering::Relaxed) {
    ///     0 => Err("the connection was lost"),
    ///     n => Ok(n),
    /// };
    /// let client = Client::new()?;
    /// let future = client.task().priority(10).retries(2).name("fetch").try_submit(flaky, ());
    /// assert_eq!(future.result()?, 1);
    /// # Ok::<(), dask_rs::Error>(())
    /// ```
    #[must_use]
    pub fn task(&self) -> Task<'_> {
        Task::new(self)
    }

    /// Computes collections in the background. They are computed as by [`compute`](crate::compute()) inside of a task.
    #[track_caller]
    pub fn compute<C>(&self, collections: C) -> Future<C::Output>
    where
        C: Collection + Send + Sync + 'static,
        C::Output: Send + Sync + 'static,
    {
        self.task().name("compute").try_submit(move || crate::compute(&collections), ())
    }

    /// A future of a value that is there, to be shared by tasks without a copy for each.
    pub fn scatter<T: Send + Sync + 'static>(&self, value: T) -> Future<T> {
        self.done(Ok(Arc::new(value)))
    }

    /// The values of all futures, in their order.
    ///
    /// # Errors
    /// That of the first future, in their order, that failed.
    pub fn gather<'a, T>(&self, futures: impl IntoIterator<Item = &'a Future<T>>) -> Result<Vec<T>>
    where
        T: Clone + Send + Sync + 'static,
    {
        futures.into_iter().map(Future::result).collect()
    }

    /// Where the client is: `inproc://`, the number of the process, and that of the client in it.
    ///
    /// # Example
    /// ```
    /// use dask_rs::Client;
    /// let client = Client::new()?;
    /// let same = Client::connect(&client.address())?;
    /// assert_eq!(same.submit(|x: &f64| x + 1.0, (1.0,)).result()?, 2.0);
    /// # Ok::<(), dask_rs::Error>(())
    /// ```
    ///
    /// # Source
    /// The address of the scheduler of Dask's `Client(processes=False)`.
    #[must_use]
    pub fn address(&self) -> String {
        self.inner.place.address()
    }

    /// The client of this process that has this [`address`](Self::address), as long as there is a handle on it.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for another address: that of a client that is gone, of another process or another kind.
    #[track_caller]
    pub fn connect(address: &str) -> Result<Self> {
        let found = address::find(address).map(|inner| Client { inner });
        found.ok_or_else(|| Error::InvalidArgument {
            call: Call::new("Client::connect"),
            argument: "address",
            got: format!("{address:?}"),
            expected: "the address of a client that this process has, as Client::address says it",
        })
    }

    /// The number of tasks that run at once, at most.
    #[must_use]
    pub fn n_threads(&self) -> usize {
        self.inner.core.n_threads()
    }

    /// A future that is done.
    fn done<T>(&self, outcome: Result<Shared>) -> Future<T> {
        Future::done(Arc::clone(&self.inner.core), outcome)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("address", &self.address())
            .field("n_threads", &self.n_threads())
            .field("resources", &self.inner.resources)
            .finish_non_exhaustive()
    }
}

/// An amount of a resource: a number, or bytes such as `"5 GB"`.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantity(Result<f64, String>);

impl From<f64> for Quantity {
    fn from(number: f64) -> Self {
        Quantity(Ok(number))
    }
}

impl From<u64> for Quantity {
    fn from(number: u64) -> Self {
        Quantity(Ok(number as f64))
    }
}

impl From<i32> for Quantity {
    fn from(number: i32) -> Self {
        Quantity(Ok(number.into()))
    }
}

impl From<&str> for Quantity {
    fn from(text: &str) -> Self {
        Quantity(parse_bytes(text).map(|bytes| bytes as f64).ok_or_else(|| text.to_string()))
    }
}

/// The resource of bytes.
const MEMORY: &str = "memory";

impl Quantity {
    /// What is counted with, so that fractions add up.
    const UNIT: f64 = 1e6;

    fn amount(&self, call: Call) -> Result<Amount> {
        match &self.0 {
            Ok(number) if (0.0..1e30).contains(number) => {
                Ok((number * Self::UNIT).round() as Amount)
            }
            other => Err(Error::InvalidArgument {
                call,
                argument: "resource",
                got: other.as_ref().map_or_else(|text| format!("{text:?}"), f64::to_string),
                expected: "a number that is not negative, or bytes such as \"5 GB\"",
            }),
        }
    }
}

/// What a [`Client`] is made with.
#[derive(Clone, Debug, Default)]
pub struct ClientBuilder {
    threads: Option<usize>,
    resources: Vec<(String, Quantity)>,
}

impl ClientBuilder {
    /// The number of tasks that run at once, at most; 0 counts as 1. By default what [`Config::threads`] says.
    #[must_use]
    pub fn threads(self, n: usize) -> Self {
        ClientBuilder { threads: Some(n.max(1)), ..self }
    }

    /// How much there is of a resource that tasks ask for by this name, such as `"gpu"`. It is a number and no more: the
    /// client sees to it that tasks which run at once ask for no more than there is.
    #[must_use]
    pub fn resource(mut self, name: &str, quantity: impl Into<Quantity>) -> Self {
        self.resources.retain(|(known, _)| known != name);
        self.resources.push((name.to_string(), quantity.into()));
        self
    }

    /// How much there is of the resource `"memory"`. By default what [`Config::memory_limit`] says. Only what tasks ask
    /// for counts; it is a budget of its own beside that of computations.
    #[must_use]
    pub fn memory_limit(self, bytes: impl Into<Quantity>) -> Self {
        self.resource(MEMORY, bytes)
    }

    /// The client. Settings that hold here hold in its tasks.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a quantity that is no number, and for a resource `"threads"`; as [`Config::current`].
    #[track_caller]
    pub fn build(self) -> Result<Client> {
        let call = Call::new("Client");
        let config = Config::current()?;
        let n_threads = self.threads.unwrap_or_else(|| config.threads());
        let mut resources = vec!["threads".to_string(), MEMORY.to_string()];
        let unit = Quantity::UNIT as Amount;
        let memory = Quantity::from(config.memory_limit()).amount(call)?;
        let mut capacity: Vec<Amount> = vec![n_threads as Amount * unit, memory];
        for (name, quantity) in self.resources {
            if name == resources[THREADS as usize] {
                return Err(Error::InvalidArgument {
                    call,
                    argument: "resource",
                    got: format!("{name:?}"),
                    expected: "another name; ClientBuilder::threads sets the number of threads",
                });
            }
            let amount = quantity.amount(call)?;
            match resources.iter().position(|known| *known == name) {
                Some(known) => capacity[known] = amount,
                None => {
                    resources.push(name);
                    capacity.push(amount);
                }
            }
        }
        let ambient = match self.threads {
            Some(n) => Config::new().with_threads(n).scope(Ambient::capture),
            None => Ambient::capture(),
        };
        let limit = (capacity[1] / unit).try_into().unwrap_or(u64::MAX);
        let watched = Watched::new(call, config.observers().with_global(), limit);
        let pool = sync::pool(n_threads)?;
        let core = Arc::new(Core::new(capacity.clone(), pool, ambient, watched));
        let one_thread = [(THREADS, unit)].into();
        let inner = |place| Inner { place, core, resources, capacity, one_thread };
        Ok(Client { inner: address::settle(inner) })
    }
}

#[cfg(test)]
mod tests;
