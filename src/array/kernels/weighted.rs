//! Quantiles of elements that count more or less.

use std::marker::PhantomData;
use std::sync::Arc;

use ndarray::Axis;

use super::copy::filled;
use super::ordered::Ordered;
use crate::array::chunk::{Chunk, chunk};
use crate::error::{Call, Error, Result};
use crate::graph::{Block, Identity, Inputs, Kernel, TaskContext};

/// Quantiles along the last axis, which is one block, of the elements of slot 0 with the weights of slot 1: the first element
/// up to which the weights add up to the wanted part of all of them.
#[derive(Debug)]
pub(crate) struct WeightedQuantileKernel<T> {
    pub(crate) call: Call,
    /// From 0 to 1.
    pub(crate) quantiles: Arc<[f64]>,
    pub(crate) element: PhantomData<fn() -> T>,
}

impl<T: Ordered> WeightedQuantileKernel<T> {
    fn of_lane(
        &self,
        lane: &mut Vec<(T, f64)>,
        mut out: ndarray::ArrayViewMut1<'_, T>,
    ) -> Result<()> {
        if let Some((_, weight)) =
            lane.iter().find(|(_, weight)| !(*weight >= 0.0 && weight.is_finite()))
        {
            return Err(self.wrong(format!("the weight {weight}")));
        }
        lane.retain(|(_, weight)| *weight > 0.0);
        lane.sort_unstable_by(|(a, _), (b, _)| a.order(b));
        let Some((last, _)) = lane.last().copied() else {
            return Err(self.wrong("weights that are all 0".into()));
        };
        let mut sum = 0.0;
        for (_, weight) in lane.iter_mut() {
            sum += *weight;
            *weight = sum;
        }
        for (&q, out) in self.quantiles.iter().zip(&mut out) {
            let place = lane.partition_point(|(_, up_to)| *up_to < q * sum);
            // NaN is last in the order, and all that there is to say of a lane that has one.
            *out = if last.is_nan() { last } else { lane[place.min(lane.len() - 1)].0 };
        }
        Ok(())
    }

    fn wrong(&self, got: String) -> Error {
        let expected = "finite weights of 0 or more, not all of them 0";
        Error::InvalidArgument { call: self.call, argument: "weights", got, expected }
    }
}

impl<T: Ordered> Kernel for WeightedQuantileKernel<T> {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let block = chunk::<T>(inputs.take_one(0));
        let weights = chunk::<f64>(inputs.take_one(1));
        let (view, weights) = (block.view(), weights.view());
        let last = Axis(view.ndim() - 1);
        let mut shape = view.shape().to_vec();
        shape[last.index()] = self.quantiles.len();
        let mut buffer = Vec::with_capacity(view.len_of(last));
        let mut status = Ok(());
        let out = filled::<T>(&shape, task.pool, |mut out| {
            let lanes = view.lanes(last).into_iter().zip(weights.lanes(last));
            for ((lane, weights), out) in lanes.zip(out.lanes_mut(last)) {
                buffer.clear();
                buffer.extend(lane.iter().copied().zip(weights.iter().copied()));
                if status.is_ok() {
                    status = self.of_lane(&mut buffer, out);
                }
            }
        });
        status?;
        Ok(Block::new(Chunk::new(out, task.pool)))
    }

    fn identity(&self) -> Option<Identity> {
        Some(Identity::new("weighted_quantile", T::DTYPE.name(), &self.quantiles))
    }
}
