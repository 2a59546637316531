//! Reductions by functions that users bring along.

use std::array::from_fn;
use std::fmt;
use std::sync::Arc;

use ndarray::{ArrayD, ArrayViewD};

use super::linalg::parts::Parts;
use crate::array::chunk::{Chunk, chunk};
use crate::array::chunks::{AxisChunks, Chunks};
use crate::array::dtype::Element;
use crate::error::{Call, Error, Result};
use crate::graph::{Block, Inputs, Kernel, TaskContext};
#[cfg(feature = "dist")]
use crate::graph::{KernelSpec, Unsendable};

/// From a block, and the axes that are reduced, to a partial result.
type ChunkFunction<T, P, const N: usize> =
    dyn Fn(ArrayViewD<'_, T>, &[usize]) -> [ArrayD<P>; N] + Send + Sync;

/// From two neighbouring partial results to one.
type CombineFunction<P, const N: usize> =
    dyn Fn([ArrayViewD<'_, P>; N], [ArrayViewD<'_, P>; N]) -> [ArrayD<P>; N] + Send + Sync;

/// From a partial result to the result.
type FinishFunction<P, U, const N: usize> =
    dyn Fn([ArrayViewD<'_, P>; N]) -> ArrayD<U> + Send + Sync;

/// A user's functions.
pub(crate) struct Functions<T, P, U, const N: usize> {
    pub(crate) chunk: Box<ChunkFunction<T, P, N>>,
    pub(crate) combine: Box<CombineFunction<P, N>>,
    pub(crate) finish: Box<FinishFunction<P, U, N>>,
}

/// What a task does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReductionStep {
    /// From a block to a partial result.
    Chunk,
    /// From some partial results to one.
    Combine,
    /// From the last partial results to the result.
    Finish,
}

pub(crate) struct OwnReductionKernel<T, P, U, const N: usize> {
    pub(crate) call: Call,
    pub(crate) step: ReductionStep,
    pub(crate) functions: Arc<Functions<T, P, U, N>>,
    pub(crate) axes: Arc<[usize]>,
    /// Those of what the step makes.
    pub(crate) out: Chunks,
}

impl<T, P, U, const N: usize> fmt::Debug for OwnReductionKernel<T, P, U, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a user's functions ({:?})", self.step)
    }
}

/// A partial result: some arrays.
type Partial<P> = Vec<Chunk<P>>;

fn views<P: Element, const N: usize>(partial: &Partial<P>) -> [ArrayViewD<'_, P>; N] {
    from_fn(|i| partial[i].view())
}

impl<T: Element, P: Element, U: Element, const N: usize> OwnReductionKernel<T, P, U, N> {
    /// What a function has returned, if it has the shape of the task's block.
    fn checked<E: Element>(&self, task: &TaskContext<'_>, made: ArrayD<E>) -> Result<Chunk<E>> {
        let mut axes = made.shape().iter().zip(self.out.axes()).zip(task.block);
        let fits = |((&len, axis), &i): ((&usize, &AxisChunks), &u64)| {
            axis.block_len(i).is_none_or(|declared| declared == len as u64)
        };
        if made.ndim() == self.out.ndim() && axes.all(fits) {
            return Ok(Chunk::new(made, task.pool));
        }
        Err(Error::ShapeMismatch {
            call: self.call,
            left: made.shape().iter().map(|&len| len as u64).collect(),
            right: self.out.block_shape(task.block).unwrap_or_default(),
            remedy: "keep the axes, and make those that are reduced 1 long",
        })
    }

    fn partial(&self, task: &TaskContext<'_>, made: [ArrayD<P>; N]) -> Result<Partial<P>> {
        made.into_iter().map(|made| self.checked(task, made)).collect()
    }

    /// All partial results as one.
    fn combined(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Partial<P>> {
        let partials = inputs.take_slot(0).map(|block| -> Partial<P> {
            Parts::of(&block).0.iter().map(|part| chunk(part.clone())).collect()
        });
        let combined = partials.map(Ok).reduce(|all, next| {
            let made = (self.functions.combine)(views(&all?), views(&next?));
            self.partial(task, made)
        });
        combined.unwrap_or_else(|| {
            Err(Error::Internal { place: "reduction".into(), problem: "nothing to combine".into() })
        })
    }
}

impl<T: Element, P: Element, U: Element, const N: usize> Kernel for OwnReductionKernel<T, P, U, N> {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let partial = match self.step {
            ReductionStep::Chunk => {
                let block = chunk::<T>(inputs.take_one(0));
                self.partial(task, (self.functions.chunk)(block.view(), &self.axes))?
            }
            ReductionStep::Combine => self.combined(task, inputs)?,
            ReductionStep::Finish => {
                let last = self.combined(task, inputs)?;
                let made = (self.functions.finish)(views(&last));
                return Ok(Block::new(self.checked(task, made)?));
            }
        };
        Ok(Block::new(Parts::new(partial.into_iter().map(Block::new))))
    }

    fn runs_user_code(&self) -> bool {
        true
    }

    #[cfg(feature = "dist")]
    fn spec(&self) -> Result<KernelSpec, Unsendable> {
        Err(Unsendable { call: Some(self.call), holds: "functions of this process".into() })
    }
}
