//! Distinct elements and how often they occur.

use std::io::{self, Write};
use std::marker::PhantomData;

use ndarray::Array1;

use super::copy::to_usize;
use super::ordered::Ordered;
#[cfg(feature = "dist")]
use super::portable::{append, head, items};
use crate::array::chunk::{Chunk, chunk};
use crate::array::chunks::Chunks;
#[cfg(feature = "dist")]
use crate::array::dtype::{DType, dispatch};
use crate::array::io::Strips;
use crate::error::Result;
use crate::graph::{Block, Identity, Inputs, Kernel, Load, Spill, TaskContext, Value};
#[cfg(feature = "dist")]
use crate::graph::{KernelSpec, Unsendable, encoded};
#[cfg(feature = "dist")]
use crate::memory::BufferPool;
#[cfg(feature = "dist")]
use std::sync::Arc;

/// A distinct element, and how often it occurs or where first.
type Entry<T> = (T, i64);

/// What is told of distinct elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "dist", derive(serde::Serialize, serde::Deserialize))]
pub(crate) enum Told {
    /// How often they occur.
    Counts,
    /// Where they are first.
    Places,
}

/// Distinct elements in ascending order.
#[derive(Debug)]
struct Tally<T> {
    counted: Vec<Entry<T>>,
}

impl<T: Ordered> Tally<T> {
    /// The tally of some elements, of which it is told how often they occur.
    fn of(mut elements: Vec<T>) -> Self {
        // A stable sort, so that of two zeros the first stays.
        elements.sort_by(Ordered::order);
        let runs = || elements.chunk_by(Ordered::is_same);
        let mut counted = Vec::with_capacity(runs().count());
        counted.extend(runs().map(|run| (run[0], run.len() as i64)));
        Tally { counted }
    }

    /// The tally of elements that may occur in several entries.
    fn new(mut counted: Vec<Entry<T>>, told: Told) -> Self {
        counted.sort_by(|a, b| a.0.order(&b.0));
        counted.dedup_by(|later, first| {
            let is_same = later.0.is_same(&first.0);
            if is_same {
                first.1 = match told {
                    Told::Counts => first.1 + later.1,
                    Told::Places => first.1.min(later.1),
                };
            }
            is_same
        });
        counted.shrink_to_fit();
        Tally { counted }
    }
}

impl<T: Ordered> Value for Tally<T> {
    fn nbytes(&self) -> u64 {
        (self.counted.capacity() * size_of::<Entry<T>>()) as u64
    }

    #[cfg(feature = "dist")]
    fn encode(&self, bytes: &mut Vec<u8>) -> Option<&'static str> {
        bytes.extend(encoded(&T::DTYPE));
        append(&self.counted, bytes);
        Some("tally")
    }

    fn as_spill(&self) -> Option<&dyn Spill> {
        Some(self)
    }
}

impl<T: Ordered> Spill for Tally<T> {
    fn save(&self, to: &mut dyn Write) -> io::Result<Load> {
        Strips::new().write(&self.counted, to)?;
        let len = self.counted.len();
        Ok(Box::new(move |from, _| {
            let counted = Strips::new().read::<Entry<T>>(from, len)?;
            Ok(Block::new(Tally { counted }))
        }))
    }
}

/// Decodes a [`Tally`].
#[cfg(feature = "dist")]
pub(super) fn decode_tally(bytes: &[u8], _pool: &Arc<BufferPool>) -> Result<Block> {
    let (dtype, data): (DType, _) = head("distinct elements", bytes)?;
    Ok(dispatch!(dtype, T => {
        Block::new(Tally { counted: items::<Entry<T>>("distinct elements", data)? })
    }))
}

/// One step of finding distinct elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "dist", derive(serde::Serialize, serde::Deserialize))]
pub(crate) enum UniqueStep {
    /// From the elements of a block to a tally of them.
    Tally(Told),
    /// From some tallies to one.
    Merge(Told),
    /// From a tally to its elements.
    Values,
    /// From a tally to what it tells of them.
    Numbers,
}

/// Bytes of one entry of a tally of `T`.
pub(crate) fn entry_bytes<T: Ordered>() -> u64 {
    size_of::<Entry<T>>() as u64
}

/// Bytes that a stable sort takes besides its input: half of that, and all of it up to 8 MB.
pub(crate) fn sort_bytes(bytes: u64) -> u64 {
    bytes.min(8_000_000).max(bytes.div_ceil(2))
}

#[derive(Debug)]
pub(crate) struct UniqueKernel<T> {
    step: UniqueStep,
    /// Those of the array, if it is wanted where elements first are.
    chunks: Option<Chunks>,
    element: PhantomData<fn() -> T>,
}

impl<T: Ordered> UniqueKernel<T> {
    pub(crate) fn new(step: UniqueStep, chunks: Option<Chunks>) -> Self {
        UniqueKernel { step, chunks, element: PhantomData }
    }

    /// The positions in the array, in C order, of the elements of a block.
    fn places(&self, block: &[u64]) -> Option<impl Iterator<Item = i64> + use<T>> {
        let chunks = self.chunks.as_ref()?;
        // Tallies stand in a row, in row-major order of the blocks.
        let block = chunks.unravel_block(*block.first()?)?;
        let (shape, start) = (chunks.known_shape()?, chunks.block_start(&block)?);
        let lens = to_usize(&chunks.block_shape(&block)?);
        Some(ndarray::indices(lens).into_iter().map(move |index| {
            let axes = shape.iter().zip(&start).enumerate();
            let place = axes.fold(0, |n, (i, (len, start))| n * len + start + index[i] as u64);
            place as i64
        }))
    }
}

fn tally<T: Ordered>(block: &Block) -> &Tally<T> {
    block.downcast_ref().expect("the steps before this one make tallies")
}

impl<T: Ordered> Kernel for UniqueKernel<T> {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        Ok(match self.step {
            UniqueStep::Tally(told) => {
                let block = chunk::<T>(inputs.take_one(0));
                let view = block.view();
                let elements = view.iter().copied();
                let mut all = Vec::new();
                Block::new(match self.places(task.block) {
                    Some(places) => {
                        all.reserve_exact(view.len());
                        all.extend(elements.zip(places));
                        Tally::new(all, told)
                    }
                    None => Tally::of(elements.collect()),
                })
            }
            UniqueStep::Merge(told) => {
                let blocks: Vec<Block> = inputs.take_slot(0).collect();
                let tallies = || blocks.iter().map(|block| &tally::<T>(block).counted);
                let mut all = Vec::with_capacity(tallies().map(Vec::len).sum());
                tallies().for_each(|counted| all.extend_from_slice(counted));
                Block::new(Tally::new(all, told))
            }
            UniqueStep::Values => {
                let block = inputs.take_one(0);
                let values: Array1<T> = tally::<T>(&block).counted.iter().map(|x| x.0).collect();
                Block::new(Chunk::new(values.into_dyn(), task.pool))
            }
            UniqueStep::Numbers => {
                let block = inputs.take_one(0);
                let numbers: Array1<i64> = tally::<T>(&block).counted.iter().map(|x| x.1).collect();
                Block::new(Chunk::new(numbers.into_dyn(), task.pool))
            }
        })
    }

    fn identity(&self) -> Option<Identity> {
        Some(Identity::new("unique", T::DTYPE.name(), (self.step, &self.chunks)))
    }

    #[cfg(feature = "dist")]
    fn spec(&self) -> Result<KernelSpec, Unsendable> {
        Ok(KernelSpec::new("unique", &(T::DTYPE, self.step, &self.chunks)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_comes_back_from_disk() {
        let counted = vec![(-0.0, 3), (1.5, 1), (f64::NAN, 1 << 40)];
        let back = Block::new(Tally { counted: counted.clone() }).through_disk();
        let bits = |entry: &Entry<f64>| (entry.0.to_bits(), entry.1);
        let back: Vec<_> = tally::<f64>(&back).counted.iter().map(bits).collect();
        assert_eq!(back, counted.iter().map(bits).collect::<Vec<_>>());
    }

    #[test]
    fn a_tally_takes_the_memory_of_distinct_elements() {
        let elements = || (0..1000).rev().map(|i| i % 3);
        let counts = Tally::of(elements().collect());
        assert_eq!(counts.counted, [(0, 334), (1, 333), (2, 333)]);
        let places = Tally::new(elements().zip((0..1000).rev()).collect(), Told::Places);
        assert_eq!(places.counted, [(0, 0), (1, 1), (2, 2)]);
        for tally in [counts, places] {
            assert_eq!(tally.nbytes(), 3 * entry_bytes::<i32>());
        }
    }

    #[test]
    fn of_two_zeros_the_first_stays() {
        let tally = Tally::of(vec![1.0, -0.0, f64::NAN, 0.0, f64::NAN]);
        assert_eq!(tally.counted.iter().map(|x| x.1).collect::<Vec<_>>(), [2, 1, 2]);
        assert!(tally.counted[0].0.is_sign_negative() && tally.counted[2].0.is_nan());
    }
}
