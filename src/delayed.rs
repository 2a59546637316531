//! Delayed values: graphs of users' own functions, made call by call.

mod lower;
mod op;

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};

use crate::compute::{Collection, Collector, Session};
use crate::error::{Call, Error, Result};
use crate::function::{
    Argument, ArgumentList, Arguments, Bound, Erased, Function, Shared, Slot, erased,
    erased_fallible, listed, name_of,
};
use crate::graph::{self, Block};

pub(crate) use lower::plan_all;
pub(crate) use op::{Called, DelayedOp, Item, Node, Ready, Whole};

/// A value that a function will have made when it is needed.
///
/// [`delayed`] makes one of a function and its arguments, which may be delayed themselves: so a program writes down a graph
/// as it goes. [`compute`](Self::compute) runs what is needed, in parallel and inside the memory limit.
/// [`dask_rs::compute`](crate::compute()) computes several together, also with arrays and frames; what they share runs once.
///
/// Cloning a handle is cheap and shares the value.
pub struct Delayed<T> {
    handle: Handle,
    value: PhantomData<fn() -> T>,
}

/// An untyped delayed value: an expression or an error.
pub(crate) type Handle = graph::Handle<DelayedOp>;

/// A call of `function` that is made when its value is needed.
///
/// Arguments are a tuple of up to eight: values, delayed values, lists of delayed values for a `&Vec`, arrays for an
/// `&ArrayD` and frames for a polars frame, which are computed whole. The function gets references to them, so what several
/// functions read is never copied. It should have no effects, and may run in any thread.
///
/// # Cost
/// One task, which no other is fused with. Its value counts against the memory limit with the size of `T` itself; say
/// [`with_bytes`](Delayed::with_bytes) where it holds more than that, such as a long `Vec`.
///
/// # Errors
/// At compute: [`Error::TaskPanicked`] if the function panics. [`try_delayed`] is for functions that return errors.
///
/// # Example
/// ```
/// use dask_rs::{delayed, prelude::*};
/// let load = |day: &u32| vec![f64::from(*day); 3];
/// let sum = |values: &Vec<f64>| values.iter().sum::<f64>();
/// let sums: Vec<_> = (0..4).map(|day| delayed(sum, (delayed(load, (day,)),))).collect();
/// let total = delayed(sum, (sums,));
/// assert_eq!(total.compute()?, 18.0);
///
/// // One graph with an array, which is computed once.
/// let x = array::arange(0., 6., 1., [2]).sqrt();
/// let n = delayed(|x: &ndarray::ArrayD<f64>| x.len(), (&x,));
/// let (n, largest) = dask_rs::compute((n, x.max(..)))?;
/// assert_eq!((n, largest[[]]), (6, 5_f64.sqrt()));
/// # Ok::<(), Error>(())
/// ```
///
/// # Source
/// Dask's `delayed`.
#[track_caller]
pub fn delayed<P, F, A>(function: F, arguments: A) -> Delayed<F::Output>
where
    F: Function<P>,
    F::Output: Any + Send + Sync,
    A: Arguments<P, Inputs>,
{
    Delayed::calling(Call::new("delayed"), name_of::<F>, erased(function), arguments)
}

/// [`delayed`] for a function that returns a `Result`: the value is what stands in `Ok`.
///
/// # Errors
/// At compute: [`Error::TaskFailed`] around an [`Error::Function`] with the error that the function returned, or around the error
/// itself if it is one of this crate.
///
/// # Example
/// ```
/// use dask_rs::{Error, delayed, try_delayed};
/// let parsed = try_delayed(|text: &&str| text.parse::<i32>(), ("12 apples",));
/// let twice = delayed(|n: &i32| 2 * n, (parsed,));
/// let error = twice.compute().unwrap_err();
/// assert!(error.to_string().contains("invalid digit found in string"), "{error}");
/// ```
#[track_caller]
pub fn try_delayed<P, F, A, T, E>(function: F, arguments: A) -> Delayed<T>
where
    F: Function<P, Output = Result<T, E>>,
    T: Any + Send + Sync,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
    A: Arguments<P, Inputs>,
{
    let call = Call::new("try_delayed");
    Delayed::calling(call, name_of::<F>, erased_fallible(call, function), arguments)
}

impl<T: Any + Send + Sync> Delayed<T> {
    /// A value that is there, to be shared by functions without a copy for each.
    ///
    /// # Example
    /// ```
    /// use dask_rs::{Delayed, delayed};
    /// let table = Delayed::ready(vec![1, 2, 3]);
    /// let at = |table: &Vec<i32>, i: &usize| table[*i];
    /// let found = dask_rs::compute((delayed(at, (&table, 0)), delayed(at, (&table, 2))))?;
    /// assert_eq!(found, (1, 3));
    /// # Ok::<(), dask_rs::Error>(())
    /// ```
    #[must_use]
    pub fn ready(value: T) -> Self {
        Delayed::of_shared(Arc::new(value))
    }

    fn calling<P>(
        call: Call,
        name: fn() -> String,
        function: Erased,
        arguments: impl Arguments<P, Inputs>,
    ) -> Self {
        let mut inputs = Inputs::default();
        arguments.push_to(&mut inputs);
        if let Some(error) = inputs.error {
            return Delayed::of(Handle::from_result(Err(error)));
        }
        let bound = Arc::new(Bound { function, slots: inputs.slots });
        let called = Called { call, name, named: None, bound, bytes: size_of::<T>() as u64 };
        let nodes: Vec<_> = inputs.nodes.iter().collect();
        let node = Node::of(DelayedOp::Called(Arc::new(called)), &nodes);
        Delayed::of(Handle::from_result(node).made_at(call.at))
    }

    fn of(handle: Handle) -> Self {
        Delayed { handle, value: PhantomData }
    }

    fn of_shared(value: Shared) -> Self {
        let op = DelayedOp::Ready(Arc::new(Ready(value)));
        Delayed::of(Handle::from_result(Node::of(op, &[])))
    }

    /// Declares the bytes of memory that the value takes, with all that it points to, and that its function takes besides
    /// its arguments. A task waits until they fit into the memory limit; a graph in which they never can is refused.
    #[must_use]
    pub fn with_bytes(self, bytes: u64) -> Self {
        self.changed(|called| called.bytes = bytes)
    }

    /// Names the function, for messages, progress and pictures. By default it has its name in the source.
    #[must_use]
    pub fn with_name(self, name: &str) -> Self {
        self.changed(|called| called.named = Some(name.into()))
    }

    fn changed(self, change: impl FnOnce(&mut Called)) -> Self {
        let Ok(node) = self.handle.node() else { return self };
        let DelayedOp::Called(called) = &node.op else { return self };
        let mut called = Called::clone(called);
        change(&mut called);
        let (at, inputs) = (called.call.at, node.inputs.iter().collect::<Vec<_>>());
        let node = Node::of(DelayedOp::Called(Arc::new(called)), &inputs);
        Delayed::of(Handle::from_result(node).made_at(at))
    }

    /// `function` of this value. The closure needs no types here.
    ///
    /// # Example
    /// ```
    /// use dask_rs::Delayed;
    /// let parts = Delayed::ready((1, "one")).map(|(number, _)| number + 1);
    /// assert_eq!(parts.compute()?, 2);
    /// # Ok::<(), dask_rs::Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn map<U: Any + Send + Sync>(
        &self,
        function: impl Fn(&T) -> U + Send + Sync + 'static,
    ) -> Delayed<U> {
        let name = || "map".to_string();
        Delayed::calling::<(T,)>(Call::new("map"), name, erased::<(T,), _>(function), (self,))
    }

    /// The error that the handle carries, from an argument that could not be made.
    ///
    /// # Errors
    /// That error.
    pub fn check(&self) -> Result<()> {
        self.handle.node().map(drop)
    }

    /// Computes the value and keeps it: a handle like this one, but done.
    ///
    /// # Errors
    /// As [`compute`](Self::compute).
    #[track_caller]
    pub fn persist(&self) -> Result<Self> {
        let call = Call::new("persist");
        let mut session = Session::default();
        let kept = self.enlisted(&mut session)?;
        session.run(call)?;
        kept.take().map(Delayed::of_shared)
    }

    /// The expression, or the error that the handle carries.
    pub(crate) fn node(&self) -> Result<&Arc<Node>> {
        self.handle.node()
    }

    fn enlisted(&self, session: &mut Session) -> Result<Arc<Kept>> {
        let kept = Arc::new(Kept::default());
        let node = Arc::clone(self.handle.node()?);
        session.add_delayed(node, Arc::clone(&kept) as Arc<dyn Collector>);
        Ok(kept)
    }
}

impl<T: Any + Clone + Send + Sync> Delayed<T> {
    /// Computes the value.
    ///
    /// It is cloned only if somebody else holds it too, such as a persisted handle. Values that can't be cloned are
    /// computed as an [`Arc`].
    ///
    /// # Errors
    /// The error that the handle carries; [`Error::TaskFailed`] and [`Error::TaskPanicked`], with the task itself to look at
    /// ([`Error::failed_task`]); [`Error::OverBudget`] if a function declares more than the memory limit.
    #[track_caller]
    pub fn compute(&self) -> Result<T> {
        crate::compute(self)
    }
}

impl<T> Clone for Delayed<T> {
    fn clone(&self) -> Self {
        Delayed { handle: self.handle.clone(), value: PhantomData }
    }
}

impl<T> fmt::Debug for Delayed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.handle.node() {
            Ok(node) => write!(f, "Delayed({})", node.op),
            Err(error) => write!(f, "Delayed(error: {error})"),
        }
    }
}

/// The arguments of a delayed call.
#[doc(hidden)]
#[derive(Default)]
pub struct Inputs {
    slots: Vec<Slot>,
    nodes: Vec<Arc<Node>>,
    error: Option<Error>,
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
    /// Adds a value that is computed, unless it can't be.
    pub(crate) fn push_node(&mut self, node: Result<Arc<Node>>) {
        self.slots.push(Slot::Input);
        self.push_input(node);
    }

    fn push_input(&mut self, node: Result<Arc<Node>>) {
        match node {
            Ok(node) => self.nodes.push(node),
            Err(error) => drop(self.error.get_or_insert(error)),
        }
    }

    fn push_list<A: Any + Clone + Send + Sync>(&mut self, values: &[Delayed<A>]) {
        self.slots.push(Slot::List(values.len(), listed::<A>));
        values.iter().for_each(|value| self.push_input(value.handle.node().cloned()));
    }
}

impl<A: Any> Argument<A, Inputs> for Delayed<A> {
    fn push_to(self, inputs: &mut Inputs) {
        inputs.push_node(self.handle.node().cloned());
    }
}

impl<A: Any> Argument<A, Inputs> for &Delayed<A> {
    fn push_to(self, inputs: &mut Inputs) {
        inputs.push_node(self.handle.node().cloned());
    }
}

impl<A: Any + Clone + Send + Sync> Argument<Vec<A>, Inputs> for Vec<Delayed<A>> {
    fn push_to(self, inputs: &mut Inputs) {
        inputs.push_list(&self);
    }
}

impl<A: Any + Clone + Send + Sync> Argument<Vec<A>, Inputs> for &Vec<Delayed<A>> {
    fn push_to(self, inputs: &mut Inputs) {
        inputs.push_list(self);
    }
}

impl<A: Any + Clone + Send + Sync> Argument<Vec<A>, Inputs> for &[Delayed<A>] {
    fn push_to(self, inputs: &mut Inputs) {
        inputs.push_list(self);
    }
}

/// The value of a delayed result that is being computed.
#[derive(Debug, Default)]
struct Kept(Mutex<Option<Block>>);

impl Kept {
    fn take(&self) -> Result<Shared> {
        let block = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let block = block.ok_or_else(|| Error::Internal {
            place: "collecting a delayed value".into(),
            problem: "it did not come".into(),
        })?;
        // The last owner of the block gives the value away.
        Ok(block.try_unwrap::<Item>().map_or_else(|shared| shared.for_user(), |item| item.value))
    }
}

impl Collector for Kept {
    fn accept(&self, _block: usize, value: Block) -> Result<()> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
        Ok(())
    }
}

/// What [`compute`](crate::compute()) was promised of a delayed value.
#[doc(hidden)]
#[derive(Debug)]
pub struct PendingValue<T>(Arc<Kept>, PhantomData<fn() -> T>);

impl<T: Any + Clone + Send + Sync> Collection for Delayed<T> {
    type Output = T;
    type Pending = PendingValue<T>;

    fn enlist(&self, session: &mut Session) -> Result<Self::Pending> {
        Ok(PendingValue(self.enlisted(session)?, PhantomData))
    }

    fn collect(pending: Self::Pending) -> Result<T> {
        let value = pending.0.take()?.downcast::<T>().map_err(|_| Error::Internal {
            place: "collecting a delayed value".into(),
            problem: "it is of another type".into(),
        })?;
        Ok(Arc::try_unwrap(value).unwrap_or_else(|shared| T::clone(&shared)))
    }
}

#[cfg(test)]
mod tests;
