//! The largest or smallest elements along an axis.

use std::marker::PhantomData;

use ndarray::{ArrayViewD, Axis};

use super::copy::filled;
use super::ordered::Ordered;
use crate::array::chunk::{Chunk, chunk};
use crate::error::Result;
use crate::graph::{Block, Identity, Inputs, Kernel, TaskContext};
#[cfg(feature = "dist")]
use crate::graph::{KernelSpec, Unsendable};

/// Keeps the `k` largest elements along an axis of blocks side by side, the largest first; or, for a
/// negative `k`, the smallest, the smallest first. NaN counts as larger than everything.
#[derive(Debug)]
pub(crate) struct TopKernel<T> {
    k: i64,
    axis: usize,
    element: PhantomData<fn() -> T>,
}

impl<T: Ordered> TopKernel<T> {
    pub(crate) fn new(k: i64, axis: usize) -> Self {
        TopKernel { k, axis, element: PhantomData }
    }

    /// Puts the wanted elements first, in order.
    fn select(&self, lane: &mut [T], n: usize) {
        let by = |a: &T, b: &T| if self.k < 0 { a.order(b) } else { b.order(a) };
        if 0 < n && n < lane.len() {
            lane.select_nth_unstable_by(n - 1, by);
        }
        lane[..n].sort_unstable_by(by);
    }
}

impl<T: Ordered> Kernel for TopKernel<T> {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let blocks: Vec<Chunk<T>> = inputs.take_slot(0).map(chunk::<T>).collect();
        let views: Vec<ArrayViewD<'_, T>> = blocks.iter().map(Chunk::view).collect();
        let axis = Axis(self.axis);
        let len: usize = views.iter().map(|view| view.len_of(axis)).sum();
        let n = len.min(usize::try_from(self.k.unsigned_abs()).unwrap_or(usize::MAX));
        let mut shape = views[0].shape().to_vec();
        shape[self.axis] = n;
        let mut lane = Vec::with_capacity(len);
        let out = filled::<T>(&shape, task.pool, |mut out| {
            let mut lanes: Vec<_> = views.iter().map(|view| view.lanes(axis).into_iter()).collect();
            for mut out in out.lanes_mut(axis) {
                lane.clear();
                for part in lanes.iter_mut().filter_map(Iterator::next) {
                    lane.extend(part.iter().copied());
                }
                self.select(&mut lane, n);
                out.iter_mut().zip(&lane).for_each(|(out, &x)| *out = x);
            }
        });
        Ok(Block::new(Chunk::new(out, task.pool)))
    }

    fn identity(&self) -> Option<Identity> {
        Some(Identity::new("topk", T::DTYPE.name(), (self.k, self.axis)))
    }

    #[cfg(feature = "dist")]
    fn spec(&self) -> Result<KernelSpec, Unsendable> {
        Ok(KernelSpec::new("topk", &(T::DTYPE, self.k, self.axis)))
    }
}
