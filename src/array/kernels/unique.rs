//! Distinct elements and how often they occur.

use std::marker::PhantomData;

use ndarray::Array1;

use super::ordered::Ordered;
use crate::array::chunk::{Chunk, chunk};
use crate::error::Result;
use crate::graph::{Block, Identity, Inputs, Kernel, TaskContext, Value};

/// Distinct elements in ascending order, with the number of each.
#[derive(Debug)]
struct Tally<T> {
    counted: Vec<(T, i64)>,
}

impl<T: Ordered> Tally<T> {
    fn new(mut counted: Vec<(T, i64)>) -> Self {
        // A stable sort, so that of two zeros the first stays.
        counted.sort_by(|a, b| a.0.order(&b.0));
        counted.dedup_by(|later, first| {
            let is_same = later.0.is_same(&first.0);
            first.1 += if is_same { later.1 } else { 0 };
            is_same
        });
        counted.shrink_to_fit();
        Tally { counted }
    }
}

impl<T: Ordered> Value for Tally<T> {
    fn nbytes(&self) -> u64 {
        (self.counted.capacity() * size_of::<(T, i64)>()) as u64
    }
}

/// One step of finding distinct elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UniqueStep {
    /// From the elements of a block to a tally of them.
    Count,
    /// From some tallies to one.
    Merge,
    /// From a tally to its elements.
    Values,
    /// From a tally to its numbers.
    Counts,
}

/// Bytes of one entry of a tally of `T`.
pub(crate) fn entry_bytes<T: Ordered>() -> u64 {
    size_of::<(T, i64)>() as u64
}

/// Bytes that a stable sort takes besides its input: half of that, and all of it up to 8 MB.
pub(crate) fn sort_bytes(bytes: u64) -> u64 {
    bytes.min(8_000_000).max(bytes.div_ceil(2))
}

#[derive(Debug)]
pub(crate) struct UniqueKernel<T> {
    step: UniqueStep,
    element: PhantomData<fn() -> T>,
}

impl<T: Ordered> UniqueKernel<T> {
    pub(crate) fn new(step: UniqueStep) -> Self {
        UniqueKernel { step, element: PhantomData }
    }
}

fn tally<T: Ordered>(block: &Block) -> &Tally<T> {
    block.downcast_ref().expect("the steps before this one make tallies")
}

impl<T: Ordered> Kernel for UniqueKernel<T> {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        Ok(match self.step {
            UniqueStep::Count => {
                let block = chunk::<T>(inputs.take_one(0));
                Block::new(Tally::new(block.view().iter().map(|&x| (x, 1)).collect()))
            }
            UniqueStep::Merge => {
                let tallies: Vec<Block> = inputs.take_slot(0).collect();
                let all =
                    tallies.iter().flat_map(|block| tally::<T>(block).counted.iter().copied());
                Block::new(Tally::new(all.collect()))
            }
            UniqueStep::Values => {
                let block = inputs.take_one(0);
                let values: Array1<T> = tally::<T>(&block).counted.iter().map(|x| x.0).collect();
                Block::new(Chunk::new(values.into_dyn(), task.pool))
            }
            UniqueStep::Counts => {
                let block = inputs.take_one(0);
                let counts: Array1<i64> = tally::<T>(&block).counted.iter().map(|x| x.1).collect();
                Block::new(Chunk::new(counts.into_dyn(), task.pool))
            }
        })
    }

    fn identity(&self) -> Option<Identity> {
        Some(Identity::new("unique", T::DTYPE.name(), self.step))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_takes_the_memory_of_distinct_elements() {
        let tally = Tally::new((0..1000).map(|i| (i % 3, 1)).collect());
        assert_eq!(tally.counted, [(0, 334), (1, 333), (2, 333)]);
        assert_eq!(tally.nbytes(), 3 * entry_bytes::<i32>());
    }
}
