//! The task that an error came from, with what is needed to run it again.

use std::any::Any;
use std::fmt;
use std::panic::Location;
use std::sync::{Arc, OnceLock};

use super::Result;

/// A task that failed, as it was when it was called: what it is, and its inputs.
///
/// [`Error::failed_task`](super::Error::failed_task) gives it. The inputs of this one task are in memory for as long as the error,
/// or a clone of this, is; nothing else of the computation is.
///
/// # Example
/// ```
/// use dask_rs::prelude::*;
/// let x = array::arange(0., 6., 1., [2]);
/// let y: Array<f64> = x.map_blocks(|block, _| {
///     assert!(block[[0]] < 4., "too large");
///     block.to_owned()
/// });
/// // Unfused: a task that makes its numbers itself reads no block.
/// let error = Config::new().with_optimize(false).scope(|| y.compute()).unwrap_err();
/// let task = error.failed_task().unwrap();
/// assert_eq!(task.block(), [2]);
/// assert_eq!(task.input_array::<f64>(0).unwrap().as_slice(), Some(&[4., 5.][..]));
/// // Set a breakpoint in the function, or put `dbg!` into it: only this task runs again, on this thread.
/// assert!(task.replay().is_err());
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone)]
pub struct FailedTask(Arc<Inner>);

type Rerun = Box<dyn Fn() -> Result<()> + Send + Sync>;

struct Inner {
    op: String,
    block: Vec<u64>,
    at: OnceLock<&'static Location<'static>>,
    inputs: Vec<Arc<dyn Any + Send + Sync>>,
    rerun: Rerun,
}

impl FailedTask {
    /// `rerun` does what the task did, with the same inputs.
    pub(crate) fn new(
        op: String,
        block: Vec<u64>,
        inputs: Vec<Arc<dyn Any + Send + Sync>>,
        rerun: impl Fn() -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        let rerun = Box::new(rerun);
        FailedTask(Arc::new(Inner { op, block, at: OnceLock::new(), inputs, rerun }))
    }

    /// The operation, or the name of the function.
    #[must_use]
    pub fn op(&self) -> &str {
        &self.0.op
    }

    /// The block that the task was to make; empty for a function that makes one value.
    #[must_use]
    pub fn block(&self) -> &[u64] {
        &self.0.block
    }

    /// The line that made the task, such as the call of `map_blocks`, `delayed` or `submit`.
    #[must_use]
    pub fn at(&self) -> Option<&'static Location<'static>> {
        self.0.at.get().copied()
    }

    /// How many blocks or values the task read.
    #[must_use]
    pub fn n_inputs(&self) -> usize {
        self.0.inputs.len()
    }

    /// Input `i` of a delayed function or of a submitted one, if it is a `T`. Blocks of arrays are given by
    /// `input_array`, partitions of frames by `input_frame`.
    #[must_use]
    pub fn input<T: Any>(&self, i: usize) -> Option<&T> {
        self.0.inputs.get(i)?.downcast_ref()
    }

    /// Runs the task again with the same inputs, here and now, on the calling thread. Its value is dropped.
    ///
    /// # Errors
    /// As the task itself: [`TaskFailed`](super::Error::TaskFailed) and [`TaskPanicked`](super::Error::TaskPanicked). A task
    /// that fails only sometimes may succeed.
    pub fn replay(&self) -> Result<()> {
        (self.0.rerun)()
    }

    /// Says where the task comes from, unless that is known already.
    pub(crate) fn made_at(&self, line: &'static Location<'static>) {
        let _known = self.0.at.set(line);
    }
}

impl fmt::Debug for FailedTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FailedTask")
            .field("op", &self.0.op)
            .field("block", &self.0.block)
            .field("at", &self.at())
            .field("n_inputs", &self.n_inputs())
            .finish_non_exhaustive()
    }
}
