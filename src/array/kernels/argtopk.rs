//! Where the largest or smallest elements along an axis are.

use std::io::{self, Write};
use std::marker::PhantomData;

use ndarray::{ArrayD, Axis, IxDyn};

use super::copy::{filled, save_array};
use super::ordered::Ordered;
#[cfg(feature = "dist")]
use super::portable::{append, head, items, n_items};
use crate::array::chunk::{Chunk, chunk};
use crate::array::chunks::AxisChunks;
#[cfg(feature = "dist")]
use crate::array::dtype::{DType, dispatch};
use crate::array::io::Strips;
use crate::error::{Error, Result};
use crate::graph::{Block, Identity, Inputs, Kernel, Load, Spill, TaskContext, Value};
#[cfg(feature = "dist")]
use crate::graph::{KernelSpec, Unsendable, encoded};
#[cfg(feature = "dist")]
use crate::memory::BufferPool;
#[cfg(feature = "dist")]
use std::sync::Arc;

/// Elements with their positions along the axis.
#[derive(Debug)]
struct Ranked<T>(ArrayD<(T, i64)>);

impl<T: Ordered> Value for Ranked<T> {
    fn nbytes(&self) -> u64 {
        (self.0.len() * size_of::<(T, i64)>()) as u64
    }

    #[cfg(feature = "dist")]
    fn encode(&self, bytes: &mut Vec<u8>) -> Option<&'static str> {
        bytes.extend(encoded(&(T::DTYPE, self.0.shape())));
        append(&self.0.iter().copied().collect::<Vec<_>>(), bytes);
        Some("ranked")
    }

    fn as_spill(&self) -> Option<&dyn Spill> {
        Some(self)
    }
}

impl<T: Ordered> Spill for Ranked<T> {
    fn save(&self, to: &mut dyn Write) -> io::Result<Load> {
        let load = save_array(&self.0, &mut Strips::new(), to)?;
        Ok(Box::new(move |from, _| Ok(Block::new(Ranked(load(&mut Strips::new(), from)?)))))
    }
}

/// Decodes a [`Ranked`].
#[cfg(feature = "dist")]
pub(super) fn decode_ranked(bytes: &[u8], _pool: &Arc<BufferPool>) -> Result<Block> {
    let ((dtype, shape), data): ((DType, Vec<usize>), _) = head("ranked elements", bytes)?;
    Ok(dispatch!(dtype, T => {
        n_items(&shape, size_of::<(T, i64)>(), data.len())?;
        let items = items::<(T, i64)>("ranked elements", data)?;
        let ranked = ArrayD::from_shape_vec(IxDyn(&shape), items);
        Block::new(Ranked(ranked.expect("there are as many as the shape has")))
    }))
}

/// One step of finding the positions.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "dist", derive(serde::Serialize, serde::Deserialize))]
pub(crate) enum ArgTopStep {
    /// From a block, along an axis cut like this.
    Chunk(AxisChunks),
    /// From what some blocks have.
    Merge,
    /// From what all have to positions.
    Finish,
}

/// As [`TopKernel`](super::topk::TopKernel), for positions; of equal elements the first ones are kept.
#[derive(Debug)]
pub(crate) struct ArgTopKernel<T> {
    pub(crate) k: i64,
    pub(crate) axis: usize,
    pub(crate) step: ArgTopStep,
    pub(crate) element: PhantomData<fn() -> T>,
}

/// Bytes of one element with its position.
pub(crate) fn ranked_bytes<T: Ordered>() -> u64 {
    size_of::<(T, i64)>() as u64
}

impl<T: Ordered> ArgTopKernel<T> {
    fn select(&self, lane: &mut [(T, i64)], n: usize) {
        let by = |a: &(T, i64), b: &(T, i64)| {
            let values = if self.k < 0 { a.0.order(&b.0) } else { b.0.order(&a.0) };
            values.then(a.1.cmp(&b.1))
        };
        if 0 < n && n < lane.len() {
            lane.select_nth_unstable_by(n - 1, by);
        }
        lane[..n].sort_unstable_by(by);
    }

    /// The best of what stands side by side along the axis.
    fn best(&self, parts: &[ArrayD<(T, i64)>]) -> ArrayD<(T, i64)> {
        let axis = Axis(self.axis);
        let len: usize = parts.iter().map(|part| part.len_of(axis)).sum();
        let n = len.min(usize::try_from(self.k.unsigned_abs()).unwrap_or(usize::MAX));
        let mut shape = parts[0].shape().to_vec();
        shape[self.axis] = n;
        let mut out = ArrayD::from_elem(IxDyn(&shape), (T::default(), 0));
        let mut lanes: Vec<_> = parts.iter().map(|part| part.lanes(axis).into_iter()).collect();
        let mut lane = Vec::with_capacity(len);
        for mut out in out.lanes_mut(axis) {
            lane.clear();
            for part in lanes.iter_mut().filter_map(Iterator::next) {
                lane.extend(part.iter().copied());
            }
            self.select(&mut lane, n);
            out.iter_mut().zip(&lane).for_each(|(out, &x)| *out = x);
        }
        out
    }

    /// The best of a block, lane by lane, so that no more than a lane has positions beside it.
    fn best_of_block(&self, block: &Chunk<T>, start: u64) -> ArrayD<(T, i64)> {
        let axis = Axis(self.axis);
        let view = block.view();
        let n = view.len_of(axis).min(usize::try_from(self.k.unsigned_abs()).unwrap_or(usize::MAX));
        let mut shape = view.shape().to_vec();
        shape[self.axis] = n;
        let mut out = ArrayD::from_elem(IxDyn(&shape), (T::default(), 0));
        let mut lane = Vec::with_capacity(view.len_of(axis));
        for (values, mut out) in view.lanes(axis).into_iter().zip(out.lanes_mut(axis)) {
            lane.clear();
            lane.extend(values.iter().copied().zip(start as i64..));
            self.select(&mut lane, n);
            out.iter_mut().zip(&lane).for_each(|(out, &x)| *out = x);
        }
        out
    }
}

impl<T: Ordered> Kernel for ArgTopKernel<T> {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let broken =
            || Error::Internal { place: "argtopk".into(), problem: "another block".into() };
        if let ArgTopStep::Chunk(axis) = &self.step {
            let start = axis.block_start(task.block[self.axis]).ok_or_else(broken)?;
            let block = chunk::<T>(inputs.take_one(0));
            return Ok(Block::new(Ranked(self.best_of_block(&block, start))));
        }
        let parts = inputs.take_slot(0).map(|block| match block.try_unwrap::<Ranked<T>>() {
            Ok(ranked) => Some(ranked.0),
            Err(shared) => shared.downcast_ref::<Ranked<T>>().map(|ranked| ranked.0.clone()),
        });
        let parts: Vec<_> = parts.collect::<Option<Vec<_>>>().ok_or_else(broken)?;
        if self.step == ArgTopStep::Merge {
            return Ok(Block::new(Ranked(self.best(&parts))));
        }
        let ranked = &parts[0];
        let out = filled::<i64>(ranked.shape(), task.pool, |mut out| {
            out.zip_mut_with(ranked, |out, (_, position)| *out = *position);
        });
        Ok(Block::new(Chunk::new(out, task.pool)))
    }

    fn identity(&self) -> Option<Identity> {
        Some(Identity::new("argtopk", T::DTYPE.name(), (self.k, self.axis, &self.step)))
    }

    #[cfg(feature = "dist")]
    fn spec(&self) -> Result<KernelSpec, Unsendable> {
        Ok(KernelSpec::new("argtopk", &(T::DTYPE, self.k, self.axis, &self.step)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranked_elements_come_back_from_disk_in_their_places() {
        let ranked = ArrayD::from_shape_fn(IxDyn(&[2, 3]), |at| (at[0] as f32 / 3.0, at[1] as i64));
        for ranked in [ranked.clone(), ranked.reversed_axes()] {
            let back = Block::new(Ranked(ranked.clone())).through_disk();
            assert_eq!(back.downcast_ref::<Ranked<f32>>().expect("the same type").0, ranked);
        }
    }
}
