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

/// Copies the elements for which the mask holds, and which `out` has room for.
fn compress<T: Copy>(all: &[T], mask: &[bool], out: &mut [T]) {
    let mut n = 0;
    for (&x, &keep) in all.iter().zip(mask) {
        // What is not kept is overwritten by the next one: a branch would be guessed wrong too often.
        let Some(place) = out.get_mut(n) else { return };
        *place = x;
        n += usize::from(keep);
    }
}

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
        let n_kept = mask.view().iter().map(|&keep| usize::from(keep)).sum();
        let mut shape = block.view().shape().to_vec();
        if n_kept == shape[self.axis] {
            return Ok(Block::new(block));
        }
        shape[self.axis] = n_kept;
        let out = filled::<T>(&shape, task.pool, |mut out| {
            let (view, mask) = (block.view(), mask.view());
            if let (Some(all), Some(mask), Some(out), 1) =
                (view.as_slice(), mask.as_slice(), out.as_slice_mut(), view.ndim())
            {
                return compress(all, mask, out);
            }
            let kept = view.axis_iter(axis).zip(&mask).filter(|(_, keep)| **keep);
            for (mut out, (row, _)) in out.axis_iter_mut(axis).zip(kept) {
                out.assign(&row);
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
