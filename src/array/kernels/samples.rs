//! A few elements of a block that stand for all of it.

use std::marker::PhantomData;

use ndarray::{Axis, IxDyn};

use super::copy::filled;
use super::ordered::Ordered;
use crate::array::chunk::{Chunk, chunk};
use crate::error::Result;
use crate::graph::{Block, Identity, Inputs, Kernel, TaskContext};

/// Elements at evenly spaced ranks among those of a block along some axes, of which the last gets them and the others get
/// length 1.
///
/// Of `n` elements, sample `j` of `m` is that of rank `(j + 1/2) n / m`, and stands for `n / m` of them. So how many elements are at
/// most some value is told to within `n / 2m`.
#[derive(Debug)]
pub(crate) struct SamplesKernel<T> {
    /// Ascending, at least one.
    pub(crate) axes: Vec<usize>,
    pub(crate) n: usize,
    pub(crate) element: PhantomData<fn() -> T>,
}

impl<T: Ordered> SamplesKernel<T> {
    fn sample(&self, lane: &mut [T], mut out: ndarray::ArrayViewMut1<'_, T>) {
        lane.sort_unstable_by(Ordered::order);
        let len = lane.len();
        for (j, out) in out.iter_mut().enumerate() {
            // NaN is last in the order, and has to be seen whatever its rank.
            let rank = (2 * j + 1) * len / (2 * self.n);
            *out = if lane[len - 1].is_nan() { lane[len - 1] } else { lane[rank] };
        }
    }
}

impl<T: Ordered> Kernel for SamplesKernel<T> {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let block = chunk::<T>(inputs.take_one(0));
        let view = block.view();
        let last = self.axes[self.axes.len() - 1];
        let mut shape = view.shape().to_vec();
        self.axes.iter().for_each(|&axis| shape[axis] = 1);
        shape[last] = self.n;
        // The sampled axes last, and the kept ones in their order.
        let kept = (0..view.ndim()).filter(|axis| !self.axes.contains(axis));
        let order: Vec<usize> = kept.chain(self.axes.iter().copied()).collect();
        let n_kept = view.ndim() - self.axes.len();
        let lanes = view.permuted_axes(IxDyn(&order));
        let kept: Vec<usize> = lanes.shape()[..n_kept].to_vec();
        let mut lane = Vec::with_capacity(lanes.shape()[n_kept..].iter().product());
        let out = filled::<T>(&shape, task.pool, |mut out| {
            for (index, out) in
                ndarray::indices(&kept[..]).into_iter().zip(out.lanes_mut(Axis(last)))
            {
                let mut elements = lanes.view();
                for i in 0..n_kept {
                    elements = elements.index_axis_move(Axis(0), index[i]);
                }
                lane.clear();
                lane.extend(elements.iter().copied());
                self.sample(&mut lane, out);
            }
        });
        Ok(Block::new(Chunk::new(out, task.pool)))
    }

    fn identity(&self) -> Option<Identity> {
        Some(Identity::new("samples", T::DTYPE.name(), (&self.axes, self.n)))
    }
}
