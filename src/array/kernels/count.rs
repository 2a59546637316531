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

/// Bins as wide as each other, whose number follows from a division; what rounding does to that is put right by the edges.
#[derive(Clone, Copy, Debug)]
struct Even<'b> {
    edges: &'b [f64],
    bins_per_unit: f64,
}

impl<'b> Even<'b> {
    /// `None` unless the division is at most one bin off everywhere.
    fn new(edges: &'b [f64]) -> Option<Self> {
        let n = edges.len().checked_sub(1).filter(|n| *n > 0)?;
        let even = Even { edges, bins_per_unit: n as f64 / (edges[n] - edges[0]) };
        // Guesses never descend, so that those at the edges bound all of a bin.
        let is_near = |(i, &edge)| {
            let guess = even.guess(edge);
            guess <= i && i <= guess + 1
        };
        (even.bins_per_unit.is_finite() && edges.iter().enumerate().all(is_near)).then_some(even)
    }

    #[inline(always)]
    fn guess(&self, x: f64) -> usize {
        ((x - self.edges[0]) * self.bins_per_unit) as usize
    }

    #[inline(always)]
    fn bin(&self, x: f64) -> Option<usize> {
        let last = self.edges.len() - 2;
        let guess = self.guess(x).min(last);
        let lower = guess.saturating_sub(usize::from(x < self.edges[guess]));
        let bin = lower + usize::from(x >= self.edges[lower + 1]);
        (self.edges[0] <= x && x <= self.edges[last + 1]).then_some(bin.min(last))
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
            let Some(counts) = out.as_slice_mut() else { return };
            match &self.bins {
                Bins::Edges(edges) if let Some(even) = Even::new(edges) => {
                    add_up(counts, elements, |x| even.bin(x));
                }
                bins => add_up(counts, elements, |x| bins.bin(x)),
            }
        });
        Block::new(Chunk::new(out, task.pool))
    }
}

/// Adds each weight to the count of the bin of its element, if that has one.
fn add_up<T: AsFloat, W: std::ops::AddAssign>(
    counts: &mut [W],
    elements: impl Iterator<Item = (T, W)>,
    bin: impl Fn(f64) -> Option<usize>,
) {
    // Iterators of two kinds in one are fast only if they drive the loop.
    elements.for_each(|(x, weight)| {
        if let Some(bin) = bin(x.to_f64()) {
            counts[bin] += weight;
        }
    });
}

impl<T: Element + AsFloat> Kernel for CountKernel<T> {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let block = chunk::<T>(inputs.take_one(0));
        let view = block.view();
        if !self.has_weights {
            return Ok(match view.as_slice_memory_order() {
                Some(all) => self.row(task, all.iter().map(|&x| (x, 1_i64))),
                None => self.row(task, view.iter().map(|&x| (x, 1_i64))),
            });
        }
        let elements = view.iter().copied();
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
    fn even_bins_are_those_of_their_edges() {
        for (n, low, high) in
            [(1, 0.0, 1.0), (3, -0.1, 0.2), (100, 0.0, 1.0), (7, 1e15, 1e15 + 9.0)]
        {
            let step = (high - low) / f64::from(n);
            let edges: Vec<f64> = (0..n).map(|i| low + f64::from(i) * step).chain([high]).collect();
            let even = Even::new(&edges).unwrap();
            let bins = Bins::Edges(edges.clone().into());
            let near = |x: f64| [x.next_down(), x, x.next_up(), x + 0.5 * step];
            for x in edges.iter().flat_map(|&edge| near(edge)).chain([f64::NAN, f64::INFINITY]) {
                assert_eq!(even.bin(x), bins.bin(x), "{x:e} in {edges:?}");
            }
        }
        for edges in [&[0.0, 1.0, 1.0][..], &[0.0, 0.01, 0.02, 1.0], &[1.0, 1.0], &[1.0]] {
            assert!(Even::new(edges).is_none(), "{edges:?}");
        }
    }

    #[test]
    fn only_whole_numbers_are_counted() {
        let bins = Bins::Numbers(3);
        let found = [-1.0, -0.5, 0.0, 2.0, 2.7, 3.0, f64::NAN].map(|x| bins.bin(x));
        assert_eq!(found, [None, None, Some(0), Some(2), None, None, None]);
    }
}
