//! Users' functions of whole axes of several arrays.

use std::fmt;
use std::sync::Arc;

use ndarray::{ArrayD, ArrayViewD, IxDyn};

use super::copy::to_usize;
use super::linalg::parts::Parts;
use crate::array::chunk::{Chunk, chunk};
use crate::array::chunks::Chunks;
use crate::array::dtype::Element;
use crate::error::{Call, Error, Result};
use crate::graph::{Block, Inputs, Kernel, TaskContext};
#[cfg(feature = "dist")]
use crate::graph::{KernelSpec, Unsendable};

/// A function of blocks that all have the same loop axes, which are the first, and core axes of their own.
pub(crate) type CoreFunction<T, U> = dyn Fn(&[ArrayViewD<'_, T>]) -> Vec<ArrayD<U>> + Send + Sync;

/// Calls the function of a generalized ufunc, and checks what it gives back.
pub(crate) struct GufuncKernel<T, U> {
    pub(crate) call: Call,
    pub(crate) function: Arc<CoreFunction<T, U>>,
    /// How many core axes each input has.
    pub(crate) n_cores: Vec<usize>,
    pub(crate) loops: Chunks,
    /// The lengths of the core axes of each result.
    pub(crate) cores: Vec<Vec<u64>>,
}

impl<T, U> fmt::Debug for GufuncKernel<T, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a user's function")
    }
}

impl<T: Element, U: Element> Kernel for GufuncKernel<T, U> {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let n_loops = self.loops.ndim();
        let loops = self.loops.block_shape(&task.block[..n_loops]).ok_or(Error::Internal {
            place: self.call.op.into(),
            problem: "loops of unknown lengths".into(),
        })?;
        let blocks: Vec<Chunk<T>> =
            (0..self.n_cores.len()).map(|slot| chunk(inputs.take_one(slot))).collect();
        let views = blocks.iter().zip(&self.n_cores).map(|(block, n_core)| {
            let core = &block.data().shape()[block.data().ndim() - n_core..];
            let shape = [&to_usize(&loops), core].concat();
            block.data().broadcast(IxDyn(&shape)).expect("the plan unified the loops")
        });
        let views: Vec<ArrayViewD<'_, T>> = views.collect();
        let results = (self.function)(&views);
        let shapes: Vec<Vec<u64>> =
            self.cores.iter().map(|core| [&loops[..], core].concat()).collect();
        let lengths = |x: &ArrayD<U>| x.shape().iter().map(|&n| n as u64).collect::<Vec<_>>();
        for (i, shape) in shapes.iter().enumerate() {
            let got = results.get(i).map(lengths);
            if got.as_ref() != Some(shape) || results.len() != shapes.len() {
                return Err(Error::ShapeMismatch {
                    call: self.call,
                    left: got.unwrap_or_default(),
                    right: shape.clone(),
                    remedy: "the function has to return an array for each term after the arrow, with the loop axes first",
                });
            }
        }
        let mut blocks = results.into_iter().map(|out| Block::new(Chunk::new(out, task.pool)));
        match self.cores.len() {
            1 => Ok(blocks.next().expect("its shape was compared")),
            _ => Ok(Block::new(Parts::new(blocks))),
        }
    }

    fn runs_user_code(&self) -> bool {
        true
    }

    #[cfg(feature = "dist")]
    fn spec(&self) -> Result<KernelSpec, Unsendable> {
        Err(Unsendable { call: Some(self.call), holds: "a function of this process".into() })
    }
}
