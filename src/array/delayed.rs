//! Arrays as arguments of delayed functions, their values as arrays, and what is to be seen of a task that failed.

use std::marker::PhantomData;
use std::sync::Arc;

use ndarray::{ArrayD, ArrayViewD};

use super::args::Shape;
use super::chunk::Chunk;
use super::chunks::{AxisChunks, Chunks};
use super::collect::Assemble;
use super::dtype::Element;
use super::expr::{Handle, Node};
use super::handle::Array;
use super::meta::Meta;
use super::op::{ArrayOp, Bridged};
use crate::compute::Collector;
use crate::config::Config;
use crate::delayed::{Delayed, DelayedOp, Inputs as Arguments, Item, Node as DelayedNode, Whole};
use crate::error::{Call, Error, FailedTask, Result};
use crate::function::Argument;
use crate::graph::{Block, Bridge, ExpressionId, Inputs, Kernel, TaskContext};

impl<T: Element> Argument<ArrayD<T>, Arguments> for &Array<T> {
    fn push_to(self, list: &mut Arguments) {
        list.push_node(whole(self));
    }
}

impl<T: Element> Argument<ArrayD<T>, Arguments> for Array<T> {
    fn push_to(self, list: &mut Arguments) {
        list.push_node(whole(&self));
    }
}

/// The array as one delayed value.
fn whole<T: Element>(array: &Array<T>) -> Result<Arc<DelayedNode>> {
    let node = array.handle.node()?;
    let chunks = node.meta.chunks.clone();
    let unknown = || Config::current().map(|config| config.chunk_bytes() * chunks.n_blocks());
    let out_bytes = node.meta.nbytes().map_or_else(unknown, Ok)?;
    // Blocks of unknown lengths are joined axis by axis.
    let is_known = chunks.known_shape().is_some();
    let scratch_bytes = if is_known { 0 } else { out_bytes };
    let kernel = Arc::new(WholeKernel::<T> { chunks, element: PhantomData });
    let (name, from, expression) = ("whole array".into(), Arc::clone(node), ExpressionId::of(node));
    let bridge = Bridge { name, from, expression, kernel, out_bytes, scratch_bytes };
    DelayedNode::of(DelayedOp::Whole(Arc::new(Whole(Arc::new(bridge)))), &[])
}

/// Puts all blocks of an array together.
#[derive(Debug)]
struct WholeKernel<T> {
    chunks: Chunks,
    element: PhantomData<fn() -> T>,
}

impl<T: Element> Kernel for WholeKernel<T> {
    fn run(&self, _task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let blocks: Vec<Block> = inputs.take_all().collect();
        let assemble = Arc::new(Assemble::<T>::new(Call::new("delayed"), self.chunks.clone()));
        assemble.start(blocks.len() as u64)?;
        for (i, block) in blocks.into_iter().enumerate() {
            assemble.accept(i, block)?;
        }
        let array = Assemble::finish(assemble)?;
        let bytes = (array.len() * size_of::<T>()) as u64;
        Ok(Block::new(Item { value: Arc::new(array), bytes }))
    }
}

/// The value of a delayed function as an array of one chunk, of a shape that is declared.
///
/// [`concatenate`](super::concatenate) or [`stack`](super::stack) many of them to an array of many chunks, such as one for each
/// file of a format that only your own function reads.
///
/// # Cost
/// One task, which takes the value if nobody else reads it and copies it otherwise.
///
/// # Errors
/// Carried: [`Error::InvalidArgument`] for a negative or too large shape. At compute: [`Error::ShapeMismatch`] if the value
/// has another shape.
///
/// # Example
/// ```
/// use dask_rs::{delayed, prelude::*};
/// let load = |day: &i32| ndarray::arr1(&[f64::from(*day), 1.0]).into_dyn();
/// let days: Vec<_> = (0..3).map(|day| array::from_delayed(&delayed(load, (day,)), [2])).collect();
/// let all = array::stack(&days, 0);
/// assert_eq!(all.sum(0).compute()?.as_slice(), Some(&[3.0, 3.0][..]));
/// # Ok::<(), Error>(())
/// ```
///
/// # Source
/// Dask's `from_delayed`.
#[track_caller]
pub fn from_delayed<T: Element>(value: &Delayed<ArrayD<T>>, shape: impl Into<Shape>) -> Array<T> {
    let call = Call::new("from_delayed");
    Array::of(Handle::from_result(array_of(call, value, &shape.into())))
}

fn array_of<T: Element>(
    call: Call,
    value: &Delayed<ArrayD<T>>,
    shape: &Shape,
) -> Result<Arc<Node>> {
    let chunks =
        Chunks::new(shape.lengths(call)?.into_iter().map(AxisChunks::whole).collect::<Vec<_>>());
    let meta = Meta { dtype: T::DTYPE, chunks };
    let out_bytes = meta.nbytes().unwrap_or(0);
    let shape = meta.chunks.known_shape().unwrap_or_default();
    let kernel = Arc::new(DelayedBlock::<T> { call, shape, element: PhantomData });
    let from = value.node()?;
    let (name, from, expression) = (call.op.into(), Arc::clone(from), ExpressionId::of(from));
    let bridge = Bridge { name, from, expression, kernel, out_bytes, scratch_bytes: 0 };
    let bridged = Bridged { bridge: Arc::new(bridge), meta };
    Node::of(ArrayOp::Bridge(Arc::new(bridged)), &[])
}

/// Makes a chunk of a value.
#[derive(Debug)]
struct DelayedBlock<T> {
    call: Call,
    shape: Vec<u64>,
    element: PhantomData<fn() -> T>,
}

impl<T: Element> Kernel for DelayedBlock<T> {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let block = inputs.take_one(0);
        let value = block.try_unwrap::<Item>().map_or_else(|b| b.for_user(), |item| item.value);
        let value = value.downcast::<ArrayD<T>>().map_err(|_| Error::Internal {
            place: "from_delayed".into(),
            problem: "the value is of another type".into(),
        })?;
        let got: Vec<u64> = value.shape().iter().map(|&len| len as u64).collect();
        if got != self.shape {
            return Err(Error::ShapeMismatch {
                call: self.call,
                left: got,
                right: self.shape.clone(),
                remedy: "declare the shape that the function returns",
            });
        }
        let array = Arc::try_unwrap(value).unwrap_or_else(|shared| ArrayD::clone(&shared));
        Ok(Block::new(Chunk::new(array, task.pool)))
    }
}

impl FailedTask {
    /// Input `i`, if it is a block of an array of `T`, or a whole array of a delayed function.
    #[must_use]
    pub fn input_array<T: Element>(&self, i: usize) -> Option<ArrayViewD<'_, T>> {
        if let Some(array) = self.input::<ArrayD<T>>(i) {
            return Some(array.view());
        }
        Some(self.input::<Block>(i)?.downcast_ref::<Chunk<T>>()?.view())
    }
}
