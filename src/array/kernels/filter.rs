//! Keeps the elements for which a mask holds.

use std::marker::PhantomData;

use ndarray::Axis;

use super::copy::filled;
use crate::array::chunk::{Chunk, chunk};
use crate::array::dtype::Element;
use crate::error::{Error, Result};
use crate::graph::{Block, Identity, Inputs, Kernel, TaskContext};
#[cfg(feature = "dist")]
use crate::graph::{KernelSpec, Unsendable};

/// Keeps the positions of an axis for which a block of a mask, slot 1, holds.
#[derive(Debug)]
pub(crate) struct FilterKernel<T> {
    axis: usize,
    element: PhantomData<fn() -> T>,
}

impl<T: Element> FilterKernel<T> {
    pub(crate) fn new(axis: usize) -> Self {
        FilterKernel { axis, element: PhantomData }
    }
}

impl<T: Element> Kernel for FilterKernel<T> {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let block = chunk::<T>(inputs.take_one(0));
        let mask = chunk::<bool>(inputs.take_one(1));
        let axis = Axis(self.axis);
        if block.view().len_of(axis) != mask.view().len() {
            return Err(Error::Internal {
                place: "mask".into(),
                problem: "a block of the mask has another length than that of the array".into(),
            });
        }
        let kept: Vec<usize> =
            mask.view().iter().enumerate().filter(|m| *m.1).map(|m| m.0).collect();
        let mut shape = block.view().shape().to_vec();
        if kept.len() == shape[self.axis] {
            return Ok(Block::new(block));
        }
        shape[self.axis] = kept.len();
        let out = filled::<T>(&shape, task.pool, |mut out| {
            let view = block.view();
            if out.ndim() == 1 {
                for (out, &from) in out.iter_mut().zip(&kept) {
                    *out = view[from];
                }
                return;
            }
            for (mut out, &from) in out.axis_iter_mut(axis).zip(&kept) {
                out.assign(&view.index_axis(axis, from));
            }
        });
        Ok(Block::new(Chunk::new(out, task.pool)))
    }

    fn identity(&self) -> Option<Identity> {
        Some(Identity::new("filter", T::DTYPE.name(), self.axis))
    }

    #[cfg(feature = "dist")]
    fn spec(&self) -> Result<KernelSpec, Unsendable> {
        Ok(KernelSpec::new("filter", &(T::DTYPE, self.axis)))
    }
}
