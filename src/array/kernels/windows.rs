//! Windows that slide along axes.

use std::marker::PhantomData;

use ndarray::{Axis, Dimension, IxDyn, Slice};

use super::copy::filled;
use crate::array::chunk::{Chunk, chunk};
use crate::array::dtype::Element;
use crate::error::Result;
use crate::graph::{Block, Identity, Inputs, Kernel, TaskContext};
#[cfg(feature = "dist")]
use crate::graph::{KernelSpec, Unsendable};

/// The windows that begin at each element which has enough after it; their elements stand along new last
/// axes.
#[derive(Debug)]
pub(crate) struct WindowsKernel<T> {
    /// An axis and the length of the windows along it, for each new axis.
    windows: Vec<(usize, usize)>,
    element: PhantomData<fn() -> T>,
}

impl<T: Element> WindowsKernel<T> {
    pub(crate) fn new(windows: Vec<(usize, usize)>) -> Self {
        WindowsKernel { windows, element: PhantomData }
    }

    /// An axis and the length of the windows along it, for each new axis.
    pub(super) fn windows(&self) -> &[(usize, usize)] {
        &self.windows
    }
}

impl<T: Element> Kernel for WindowsKernel<T> {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let block = chunk::<T>(inputs.take_one(0));
        let ndim = block.view().ndim();
        let mut shape = block.view().shape().to_vec();
        for (axis, len) in &self.windows {
            shape[*axis] = (shape[*axis] + 1).saturating_sub(*len);
        }
        let lens: Vec<usize> = self.windows.iter().map(|(_, len)| *len).collect();
        let whole = [shape.clone(), lens.clone()].concat();
        let out = filled::<T>(&whole, task.pool, |mut out| {
            for place in ndarray::indices(IxDyn(&lens)) {
                let (mut from, mut to) = (block.view(), out.view_mut());
                let mut starts = vec![0; ndim];
                for (&(axis, _), &at) in self.windows.iter().zip(place.slice()).rev() {
                    starts[axis] += at;
                    let last = Axis(to.ndim() - 1);
                    to = to.index_axis_move(last, at);
                }
                for (axis, &start) in starts.iter().enumerate() {
                    let range = start as isize..(start + shape[axis]) as isize;
                    from.slice_axis_inplace(Axis(axis), Slice::from(range));
                }
                to.assign(&from);
            }
        });
        Ok(Block::new(Chunk::new(out, task.pool)))
    }

    fn identity(&self) -> Option<Identity> {
        Some(Identity::new("windows", T::DTYPE.name(), &self.windows))
    }

    #[cfg(feature = "dist")]
    fn spec(&self) -> Result<KernelSpec, Unsendable> {
        Ok(KernelSpec::new("windows", &(T::DTYPE, &self.windows)))
    }
}
