//! Submitting a task: its arguments and its options.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use super::core::{Core, Entry, Inside, Work};
use super::future::{Future, Held};
use super::promise::Promise;
use super::state::{Effects, Request, THREADS};
use super::{Client, Quantity};
use crate::error::{Call, Error, Result};
use crate::function::{
    Argument, ArgumentList, Arguments, Bound, Erased, Function, Shared, Slot, erased,
    erased_fallible, listed, name_of,
};

/// A task that is about to be submitted; made by [`Client::task`].
#[derive(Clone)]
pub struct Task<'c> {
    client: &'c Client,
    priority: i64,
    n_retries: u32,
    named: Option<Arc<str>>,
    resources: Vec<(String, Quantity)>,
}

impl<'c> Task<'c> {
    pub(super) fn new(client: &'c Client) -> Self {
        Task { client, priority: 0, n_retries: 0, named: None, resources: Vec::new() }
    }

    /// Tasks of a higher priority start first. By default it is 0.
    #[must_use]
    pub fn priority(self, priority: i64) -> Self {
        Task { priority, ..self }
    }

    /// How often the function is called again if it fails or panics, before the future does.
    #[must_use]
    pub fn retries(self, n: u32) -> Self {
        Task { n_retries: n, ..self }
    }

    /// Names the task, for messages. By default it has the name of its function in the source.
    #[must_use]
    pub fn name(self, name: &str) -> Self {
        Task { named: Some(name.into()), ..self }
    }

    /// What the task needs of a resource while it runs: it does not start before that is free.
    ///
    /// # Errors
    /// Of the future: [`Error::NotEnoughResources`] at once if the client has less in all, [`Error::InvalidArgument`] if it has
    /// no resource of this name.
    #[must_use]
    pub fn resource(mut self, name: &str, quantity: impl Into<Quantity>) -> Self {
        self.resources.push((name.to_string(), quantity.into()));
        self
    }

    /// [`Client::submit`] with these options.
    #[track_caller]
    pub fn submit<P, F, A>(&self, function: F, arguments: A) -> Future<F::Output>
    where
        F: Function<P>,
        F::Output: Any + Send + Sync,
        A: Arguments<P, Inputs>,
    {
        let mut inputs = Inputs::default();
        arguments.push_to(&mut inputs);
        self.submit_erased(Call::new("submit"), name_of::<F>, erased(function), inputs)
    }

    /// [`Client::try_submit`] with these options.
    #[track_caller]
    pub fn try_submit<P, F, A, T, E>(&self, function: F, arguments: A) -> Future<T>
    where
        F: Function<P, Output = Result<T, E>>,
        T: Any + Send + Sync,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
        A: Arguments<P, Inputs>,
    {
        let call = Call::new("try_submit");
        let mut inputs = Inputs::default();
        arguments.push_to(&mut inputs);
        self.submit_erased(call, name_of::<F>, erased_fallible(call, function), inputs)
    }

    /// [`Client::map`] with these options.
    #[track_caller]
    pub fn map<A, F, U, I>(&self, function: F, arguments: I) -> Vec<Future<U>>
    where
        A: Any,
        F: Fn(&A) -> U + Send + Sync + 'static,
        U: Any + Send + Sync,
        I: IntoIterator<Item: Argument<A, Inputs>>,
    {
        let (call, function) = (Call::new("map"), erased::<(A,), F>(function));
        let submit = |argument: I::Item| {
            let mut inputs = Inputs::default();
            argument.push_to(&mut inputs);
            self.submit_erased(call, name_of::<F>, Arc::clone(&function), inputs)
        };
        arguments.into_iter().map(submit).collect()
    }

    fn submit_erased<T>(
        &self,
        call: Call,
        name: fn() -> String,
        function: Erased,
        inputs: Inputs,
    ) -> Future<T> {
        let core = &self.client.inner.core;
        let request = match self.request(call).and_then(|r| inputs.check(call, core).map(|()| r)) {
            Ok(request) => request,
            Err(error) => return self.client.done(Err(error)),
        };
        let bound = Arc::new(Bound { function, slots: inputs.slots });
        let promises = inputs.futures.iter().map(|held| Arc::clone(&held.promise)).collect();
        let ids = inputs.futures.iter().filter_map(|held| held.task).collect();
        let named = self.named.clone();
        let mut work = Work { call, name, named, bound, inputs: promises, layer: 0 };
        if let Some(watched) = &core.watched {
            work.layer = watched.add_task(&work.name());
        }
        let promise = Arc::new(Promise::default());
        let entry = Entry {
            work: Some(Arc::new(work)),
            promise: Arc::clone(&promise),
            n_retries: self.n_retries,
            resumed: None,
            detached: None,
        };
        let submit = |inside: &mut Inside, effects: &mut Effects<Entry>| {
            inside.state.submit(entry, ids, self.priority, request, effects)
        };
        // The inputs are held until the state knows that they are wanted.
        let task = core.with(submit);
        drop(inputs.futures);
        Future::of(Arc::clone(core), Some(task), promise)
    }

    /// What the task asks for, if the client has as much in all.
    fn request(&self, call: Call) -> Result<Request> {
        let client = &self.client.inner;
        if self.resources.is_empty() {
            return Ok(Arc::clone(&client.one_thread));
        }
        let mut request = client.one_thread.to_vec();
        for (name, quantity) in &self.resources {
            let known = client.resources.iter().position(|known| known == name);
            let known = known.filter(|known| *known != THREADS as usize);
            let resource = known.ok_or_else(|| Error::InvalidArgument {
                call,
                argument: "resource",
                got: format!("{name:?}"),
                expected: "a resource that the client was built with, or \"memory\"",
            })? as u32;
            let (amount, available) = (quantity.amount(call)?, client.capacity[resource as usize]);
            if amount > available {
                let number = |amount| amount as f64 / Quantity::UNIT;
                return Err(Error::NotEnoughResources {
                    call,
                    resource: name.clone(),
                    needed: number(amount),
                    available: number(available),
                });
            }
            request.retain(|(other, _)| *other != resource);
            request.push((resource, amount));
        }
        request.sort_unstable();
        Ok(request.into())
    }
}

impl fmt::Debug for Task<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("name", &self.named)
            .field("priority", &self.priority)
            .field("retries", &self.n_retries)
            .field("resources", &self.resources)
            .finish_non_exhaustive()
    }
}

/// The arguments of a submitted task.
#[doc(hidden)]
#[derive(Default)]
pub struct Inputs {
    slots: Vec<Slot>,
    futures: Vec<Arc<Held>>,
}

impl fmt::Debug for Inputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inputs").finish_non_exhaustive()
    }
}

impl ArgumentList for Inputs {
    fn push_value(&mut self, value: Shared) {
        self.slots.push(Slot::Value(value));
    }
}

impl Inputs {
    fn push_future<A>(&mut self, future: &Future<A>) {
        self.slots.push(Slot::Input);
        self.futures.push(Arc::clone(&future.held));
    }

    fn push_list<A: Any + Clone + Send + Sync>(&mut self, futures: &[Future<A>]) {
        self.slots.push(Slot::List(futures.len(), listed::<A>));
        self.futures.extend(futures.iter().map(|future| Arc::clone(&future.held)));
    }

    /// Refuses what another client has to run first.
    fn check(&self, call: Call, core: &Arc<Core>) -> Result<()> {
        let is_own = |held: &Arc<Held>| held.task.is_none() || Arc::ptr_eq(&held.core, core);
        match self.futures.iter().all(is_own) {
            true => Ok(()),
            false => Err(Error::InvalidArgument {
                call,
                argument: "arguments",
                got: "a future of another client".into(),
                expected: "futures of the same client, or values",
            }),
        }
    }
}

impl<A: Any> Argument<A, Inputs> for Future<A> {
    fn push_to(self, inputs: &mut Inputs) {
        inputs.push_future(&self);
    }
}

impl<A: Any> Argument<A, Inputs> for &Future<A> {
    fn push_to(self, inputs: &mut Inputs) {
        inputs.push_future(self);
    }
}

impl<A: Any + Clone + Send + Sync> Argument<Vec<A>, Inputs> for Vec<Future<A>> {
    fn push_to(self, inputs: &mut Inputs) {
        inputs.push_list(&self);
    }
}

impl<A: Any + Clone + Send + Sync> Argument<Vec<A>, Inputs> for &Vec<Future<A>> {
    fn push_to(self, inputs: &mut Inputs) {
        inputs.push_list(self);
    }
}

impl<A: Any + Clone + Send + Sync> Argument<Vec<A>, Inputs> for &[Future<A>] {
    fn push_to(self, inputs: &mut Inputs) {
        inputs.push_list(self);
    }
}
