//! Counts elements by the bin that they fall into.

use std::marker::PhantomData;
use std::sync::Arc;

use super::copy::filled;
use super::quantile::AsFloat;
use crate::array::chunk::{Chunk, chunk};
use crate::array::dtype::Element;
use crate::error::Result;
use crate::graph::{Block, Identity, Inputs, Kernel, TaskContext};
#[cfg(feature = "dist")]
use crate::graph::{KernelSpec, Unsendable};

/// Where elements are counted.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "dist", derive(serde::Serialize, serde::Deserialize))]
pub(crate) enum Bins {
    /// From each edge, inclusive, to the next, which only the last bin includes.
    Edges(Arc<[f64]>),
    /// In the bin of their own number, of which there are so many.
    Numbers(u64),
}

impl Bins {
    pub(crate) fn n_bins(&self) -> u64 {
        match self {
            Bins::Edges(edges) => edges.len().saturating_sub(1) as u64,
            Bins::Numbers(n) => *n,
        }
    }

    pub(super) fn bin(&self, x: f64) -> Option<usize> {
        match self {
            Bins::Edges(edges) => {
                let (first, last) = (*edges.first()?, *edges.last()?);
                if !(first..=last).contains(&x) {
                    return None;
                }
                if x == last {
                    return edges.len().checked_sub(2);
                }
                edges.partition_point(|edge| *edge <= x).checked_sub(1)
            }
            Bins::Numbers(n) => {
                (0.0 <= x && x < *n as f64 && x.fract() == 0.0).then_some(x as usize)
            }
        }
    }
}

/// The counts in a block, or the sums of the weights in slot 1, as a row.
#[derive(Debug)]
pub(crate) struct CountKernel<T> {
    bins: Bins,
    has_weights: bool,
    element: PhantomData<fn() -> T>,
}

impl<T: Element + AsFloat> CountKernel<T> {
    pub(crate) fn new(bins: Bins, has_weights: bool) -> Self {
        CountKernel { bins, has_weights, element: PhantomData }
    }

    fn row<W: Element + std::ops::AddAssign>(
        &self,
        task: &TaskContext<'_>,
        elements: impl Iterator<Item = (T, W)>,
    ) -> Block {
        let shape = [1, self.bins.n_bins() as usize];
        let out = filled::<W>(&shape, task.pool, |mut out| {
            out.fill(W::default());
            for (x, weight) in elements {
                if let Some(bin) = self.bins.bin(x.to_f64()) {
                    out[[0, bin]] += weight;
                }
            }
        });
        Block::new(Chunk::new(out, task.pool))
    }
}

impl<T: Element + AsFloat> Kernel for CountKernel<T> {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let block = chunk::<T>(inputs.take_one(0));
        let view = block.view();
        let elements = view.iter().copied();
        if !self.has_weights {
            return Ok(self.row(task, elements.map(|x| (x, 1_i64))));
        }
        let weights = chunk::<f64>(inputs.take_one(1));
        let weights = weights.view();
        Ok(self.row(task, elements.zip(weights.iter().copied())))
    }

    fn identity(&self) -> Option<Identity> {
        Some(Identity::new("count", T::DTYPE.name(), (&self.bins, self.has_weights)))
    }

    #[cfg(feature = "dist")]
    fn spec(&self) -> Result<KernelSpec, Unsendable> {
        Ok(KernelSpec::new("count", &(T::DTYPE, &self.bins, self.has_weights)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_bin_has_both_of_its_edges() {
        let bins = Bins::Edges([0.0, 1.0, 1.0, 3.0].into());
        let found = [-0.1, 0.0, 0.9, 1.0, 2.9, 3.0, 3.1, f64::NAN].map(|x| bins.bin(x));
        let expected = [None, Some(0), Some(0), Some(2), Some(2), Some(2), None, None];
        assert_eq!(found, expected);
        let twice = Bins::Edges([0.0, 1.0, 1.0].into());
        assert_eq!([0.9, 1.0].map(|x| twice.bin(x)), [Some(0), Some(1)]);
        assert_eq!(Bins::Edges([1.0].into()).bin(1.0), None);
    }

    #[test]
    fn only_whole_numbers_are_counted() {
        let bins = Bins::Numbers(3);
        let found = [-1.0, -0.5, 0.0, 2.0, 2.7, 3.0, f64::NAN].map(|x| bins.bin(x));
        assert_eq!(found, [None, None, Some(0), Some(2), None, None, None]);
    }
}
