//! Quantiles of groups whose elements stand side by side.

use std::sync::Arc;

use ndarray::{Axis, IxDyn, Slice};

use super::copy::filled;
use super::ordered::Ordered;
use super::quantile::{Between, QuantileKernel};
use crate::array::chunk::{Chunk, chunk};
use crate::array::chunks::AxisChunks;
use crate::error::Result;
use crate::graph::{Block, Identity, Inputs, Kernel, TaskContext};
#[cfg(feature = "dist")]
use crate::graph::{KernelSpec, Unsendable};

/// Computes the quantiles of each group along the last axis, of which a block has whole groups. They stand along a
/// new last axis.
#[derive(Debug)]
pub(crate) struct SegmentsKernel<T, U> {
    pub(crate) quantile: QuantileKernel<T, U>,
    /// How many elements each group has.
    pub(crate) lens: Arc<[u64]>,
    /// How many groups each block has.
    pub(crate) groups: AxisChunks,
}

impl<T: Ordered + PartialOrd, U: Between<T>> Kernel for SegmentsKernel<T, U> {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let block = chunk::<T>(inputs.take_one(0));
        let view = block.view();
        let last = Axis(view.ndim() - 1);
        let groups = self.groups.block_range(task.block[last.index()]).unwrap_or(0..0);
        let lens = &self.lens[groups.start as usize..groups.end as usize];
        let n = self.quantile.quantiles.len();
        let mut shape = view.shape().to_vec();
        shape[last.index()] = lens.len();
        shape.push(n);
        let longest = lens.iter().copied().max().unwrap_or(0) as usize;
        let mut buffer = Vec::with_capacity(longest);
        let out = filled::<U>(&shape, task.pool, |out| {
            // The quantiles of all groups of a lane, one after another.
            let n_lanes = shape[..last.index()].iter().product();
            let flat = out.into_shape_with_order(IxDyn(&[n_lanes, lens.len() * n]));
            let mut flat = flat.expect("a new block is in C order");
            for (lane, mut out) in view.lanes(last).into_iter().zip(flat.outer_iter_mut()) {
                let mut start = 0;
                for (i, &len) in lens.iter().enumerate() {
                    let group = lane.slice_axis(Axis(0), Slice::from(start..start + len as usize));
                    start += len as usize;
                    buffer.clear();
                    buffer.extend(group.iter().copied());
                    let mut out = out.slice_axis_mut(Axis(0), Slice::from(i * n..(i + 1) * n));
                    self.quantile.of_lane(&mut buffer, out.iter_mut());
                }
            }
        });
        Ok(Block::new(Chunk::new(out, task.pool)))
    }

    fn identity(&self) -> Option<Identity> {
        let QuantileKernel { quantiles, method, skip_nan, .. } = &self.quantile;
        let parameters = (quantiles, method, skip_nan, &self.lens, &self.groups);
        Some(Identity::new("group_quantile", T::DTYPE.name(), parameters))
    }

    #[cfg(feature = "dist")]
    fn spec(&self) -> Result<KernelSpec, Unsendable> {
        Ok(KernelSpec::new(
            "group_quantile",
            &(
                T::DTYPE,
                &self.quantile.quantiles,
                self.quantile.method,
                self.quantile.skip_nan,
                &self.lens,
                &self.groups,
            ),
        ))
    }
}
