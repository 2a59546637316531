//! Counts points of several dimensions by the box that they fall into.

use std::sync::Arc;

use ndarray::IxDyn;

use super::copy::filled;
use super::count::Bins;
use crate::array::chunk::{Chunk, chunk};
use crate::error::Result;
use crate::graph::{Block, Identity, Inputs, Kernel, TaskContext};
#[cfg(feature = "dist")]
use crate::graph::{KernelSpec, Unsendable};

/// The sums of the weights of the points in each box, or their number, with a first axis of length 1.
///
/// There is an input for each dimension of the points, and one more for weights.
#[derive(Debug)]
pub(crate) struct HistogramKernel {
    pub(crate) bins: Arc<[Bins]>,
}

impl Kernel for HistogramKernel {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let blocks: Vec<Chunk<f64>> = inputs.take_all().map(chunk::<f64>).collect();
        let (points, weights) = blocks.split_at(self.bins.len());
        let mut shape = vec![1];
        shape.extend(self.bins.iter().map(|bins| bins.n_bins() as usize));
        let views: Vec<_> = points.iter().map(Chunk::view).collect();
        let mut axes: Vec<_> = views.iter().map(|view| view.iter()).collect();
        let n_points = views.first().map_or(0, |view| view.len());
        let weights = weights.first().map(Chunk::view);
        let mut weights = weights.as_ref().map(|weights| weights.iter());
        let out = filled::<f64>(&shape, task.pool, |mut out| {
            out.fill(0.0);
            let mut out = out.into_shape_with_order(IxDyn(&[shape.iter().product()]));
            let out = out.as_mut().expect("a new block is in C order");
            for _ in 0..n_points {
                let mut place = Some(0);
                for (axis, bins) in axes.iter_mut().zip(self.bins.iter()) {
                    let bin = axis.next().and_then(|&x| bins.bin(x));
                    place = place.zip(bin).map(|(at, bin)| at * bins.n_bins() as usize + bin);
                }
                let weight = weights.as_mut().map_or(Some(&1.0), Iterator::next);
                if let (Some(place), Some(weight)) = (place, weight) {
                    out[place] += weight;
                }
            }
        });
        Ok(Block::new(Chunk::new(out, task.pool)))
    }

    fn identity(&self) -> Option<Identity> {
        Some(Identity::new("histogramdd", "float64", &self.bins))
    }

    #[cfg(feature = "dist")]
    fn spec(&self) -> Result<KernelSpec, Unsendable> {
        Ok(KernelSpec::new("histogramdd", &self.bins))
    }
}
