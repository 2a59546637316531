//! Users' functions of whole blocks.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use ndarray::{ArrayD, ArrayViewD};

use super::copy::pooled;
use crate::array::chunk::{Chunk, chunk};
use crate::array::chunks::Chunks;
use crate::array::dtype::Element;
use crate::error::{Call, Error, Result};
use crate::graph::{Block, Inputs, Kernel, TaskContext};
#[cfg(feature = "dist")]
use crate::graph::{KernelSpec, Unsendable};
use crate::memory::BufferPool;

/// Where a block lies in its array: what a function of blocks may want to know.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BlockInfo {
    /// The index of the block in the grid of chunks.
    pub block: Vec<u64>,
    /// The index of the block's first element, where lengths are known.
    pub start: Option<Vec<u64>>,
    pool: Arc<BufferPool>,
}

impl BlockInfo {
    /// An array to write a result into, of elements that are anything: it has the memory of a block that is no longer needed,
    /// if there is one. The first touch of new memory costs more than the arithmetic of most functions.
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// let x = array::arange(0.0, 6.0, 1.0, [3]);
    /// let doubled = x.map_blocks(|x, info| {
    ///     let mut out = info.empty(x.shape());
    ///     ndarray::Zip::from(&mut out).and(&x).for_each(|out, x| *out = 2.0 * x);
    ///     out
    /// });
    /// assert_eq!(doubled.sum(..).compute()?[[]], 30.0);
    /// # Ok::<(), Error>(())
    /// ```
    #[must_use]
    pub fn empty<T: Element>(&self, shape: &[usize]) -> ArrayD<T> {
        pooled(shape, &self.pool)
    }
}

/// A function of one block of each input, with its element types erased.
pub(crate) trait BlockFunction: Send + Sync {
    fn call(&self, task: &TaskContext<'_>, info: &BlockInfo, inputs: Inputs) -> Result<Block>;
}

impl fmt::Debug for dyn BlockFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a user's function")
    }
}

/// A function of one block of each array, in the order of the slots.
struct OfBlocks<U, F> {
    function: F,
    out: PhantomData<fn() -> U>,
}

impl<U: Element, F> BlockFunction for OfBlocks<U, F>
where
    F: Fn(Vec<Block>, &BlockInfo) -> ArrayD<U> + Send + Sync,
{
    fn call(&self, task: &TaskContext<'_>, info: &BlockInfo, mut inputs: Inputs) -> Result<Block> {
        let out = (self.function)(inputs.take_all().collect(), info);
        Ok(Block::new(Chunk::new(out, task.pool)))
    }
}

/// A function of the blocks of several arrays.
pub(crate) fn of_blocks<U: Element>(
    function: impl Fn(Vec<Block>, &BlockInfo) -> ArrayD<U> + Send + Sync + 'static,
) -> Arc<dyn BlockFunction> {
    Arc::new(OfBlocks { function, out: PhantomData })
}

/// A function of the blocks of one array.
pub(crate) fn of_block<T: Element, U: Element>(
    function: impl Fn(ArrayViewD<'_, T>, &BlockInfo) -> ArrayD<U> + Send + Sync + 'static,
) -> Arc<dyn BlockFunction> {
    of_blocks(move |mut blocks, info| {
        let block = chunk::<T>(blocks.remove(0));
        function(block.view(), info)
    })
}

/// Calls the function of a `map_blocks` and checks what it gives back.
#[derive(Debug)]
pub(crate) struct MapBlocksKernel {
    pub(crate) call: Call,
    pub(crate) function: Arc<dyn BlockFunction>,
    pub(crate) out: Chunks,
    /// Tells the shape of a block of the declared element type.
    pub(crate) shape_of: fn(&Block) -> Option<Vec<u64>>,
}

/// The shape of a block, if it holds elements of type `U`.
pub(crate) fn shape_of<U: Element>(block: &Block) -> Option<Vec<u64>> {
    let chunk = block.downcast_ref::<Chunk<U>>()?;
    Some(chunk.data().shape().iter().map(|&len| len as u64).collect())
}

impl Kernel for MapBlocksKernel {
    fn run(&self, task: &TaskContext<'_>, inputs: Inputs) -> Result<Block> {
        let (block, start) = (task.block.to_vec(), self.out.block_start(task.block));
        let info = BlockInfo { block, start, pool: Arc::clone(task.pool) };
        let block = self.function.call(task, &info, inputs)?;
        let got = (self.shape_of)(&block).unwrap_or_default();
        let fits = match self.out.block_shape(task.block) {
            Some(declared) => got == declared,
            None => got.len() == task.block.len(),
        };
        if !fits {
            return Err(Error::ShapeMismatch {
                call: self.call,
                left: got,
                right: self.out.block_shape(task.block).unwrap_or_default(),
                remedy: "declare the chunks that the function returns",
            });
        }
        Ok(block)
    }

    fn runs_user_code(&self) -> bool {
        true
    }

    #[cfg(feature = "dist")]
    fn spec(&self) -> Result<KernelSpec, Unsendable> {
        Err(Unsendable { call: Some(self.call), holds: "a function of this process".into() })
    }
}
