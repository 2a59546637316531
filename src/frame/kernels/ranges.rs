//! The tasks of sorts that are too large for one task: sampling, divisions, spreading by ranges.
//!
//! Nothing is read twice: partitions wait in one [`Exchange`] until all of them have been sampled, and go through a
//! second one to the partition of their range. Both keep them in memory if there is room.

use std::sync::Arc;

use polars_core::frame::DataFrame;
use polars_core::prelude::{Column, DataType};

use super::exchange::Exchange;
use super::sample::{bounds, divisions, quantile_sketch};
use super::shuffle::Token;
use super::sort::SortSpec;
use super::split::range_split;
use super::values_error;
use crate::error::{Error, Result};
use crate::frame::partition::frame;
use crate::frame::partitions::quantiles::{self, Sketch};
use crate::frame::partitions::{Divisions, Key};
use crate::graph::{Block, Inputs, Kernel, TaskContext, Value};

/// What is learnt of the keys of a partition.
#[derive(Debug)]
struct Sample {
    sketch: Sketch<Key>,
    /// The smallest and the largest key; none if there are no rows.
    bounds: Option<(Key, Key)>,
    has_nulls: bool,
}

impl Value for Sample {
    fn nbytes(&self) -> u64 {
        (self.sketch.values.len() * size_of::<(Key, f64)>()) as u64
    }
}

/// Lays a partition aside and samples its first key.
#[derive(Debug)]
pub(crate) struct SampleKernel {
    pub(crate) held: Arc<Exchange>,
    pub(crate) spec: Arc<SortSpec>,
    pub(crate) n_in: usize,
    pub(crate) n_out: usize,
}

impl Kernel for SampleKernel {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let rows = frame(inputs.take_one(0));
        let part = task.block[0] as usize;
        let key = key_column(&rows, &self.spec)?;
        // Even percentiles: the same sample whoever takes it.
        let percentiles =
            quantiles::percentiles(self.n_in, self.n_out, key.len(), 1.0, even_draws(part));
        let sample = Sample {
            sketch: quantile_sketch(key, &percentiles)?,
            bounds: bounds(key)?,
            has_nulls: key.null_count() > 0,
        };
        self.held.put_whole(part, part, rows)?;
        Ok(Block::new(sample))
    }
}

fn key_column<'a>(rows: &'a DataFrame, spec: &SortSpec) -> Result<&'a Column> {
    rows.column(&spec.by[0]).map_err(values_error("sort"))
}

/// Draws from 0 to 1 that depend on the partition only: a Weyl sequence.
fn even_draws(part: usize) -> impl FnMut() -> f64 {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    let mut last = (part as f64 * GOLDEN).fract();
    move || {
        last = (last + GOLDEN).fract();
        last
    }
}

/// Where rows go.
#[derive(Debug)]
enum Ways {
    /// Each partition as a whole to this output.
    Whole(Vec<usize>),
    /// Rows to the output of their range.
    Ranges(Divisions),
    /// There are no keys but nulls.
    One,
}

impl Value for Ways {
    fn nbytes(&self) -> u64 {
        0
    }
}

/// From the samples of all partitions, decides where rows go; nowhere if the partitions are sorted already.
#[derive(Debug)]
pub(crate) struct DivideKernel {
    pub(crate) spec: Arc<SortSpec>,
    pub(crate) dtype: DataType,
    pub(crate) n_out: usize,
}

impl Kernel for DivideKernel {
    fn run(&self, _task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let blocks: Vec<Block> = inputs.take_slot(0).collect();
        let samples: Option<Vec<&Sample>> = blocks.iter().map(Block::downcast_ref).collect();
        let samples = samples.ok_or_else(|| Error::Internal {
            place: "divide".into(),
            problem: "a block is no sample".into(),
        })?;
        Ok(Block::new(self.ways(&samples)))
    }
}

impl DivideKernel {
    fn ways(&self, samples: &[&Sample]) -> Ways {
        let descending = self.spec.descending[0];
        let bounds: Vec<_> = samples.iter().map(|sample| sample.bounds.clone()).collect();
        let has_nulls = samples.iter().any(|sample| sample.has_nulls);
        if let (false, Some(sorted)) = (has_nulls, quantiles::presorted(&bounds, descending)) {
            let n = sorted.partitions.len();
            let mut outputs = vec![0; samples.len()];
            for (rank, part) in sorted.partitions.iter().enumerate() {
                let rank = if descending { n - 1 - rank } else { rank };
                outputs[*part] = rank * self.n_out.min(n) / n;
            }
            return Ways::Whole(outputs);
        }
        let sketch = quantiles::merge(samples.iter().map(|sample| sample.sketch.clone()));
        divisions(&sketch, &self.dtype, self.n_out).map_or(Ways::One, Ways::Ranges)
    }
}

/// Sends the rows of a partition to the outputs of their ranges.
#[derive(Debug)]
pub(crate) struct RangeSplitKernel {
    pub(crate) held: Arc<Exchange>,
    pub(crate) exchange: Arc<Exchange>,
    pub(crate) spec: Arc<SortSpec>,
}

impl Kernel for RangeSplitKernel {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let part = task.block[0] as usize;
        let rows = self.held.take(part)?;
        let ways = inputs.take_one(0);
        match ways.downcast_ref::<Ways>() {
            Some(Ways::Ranges(divisions)) => {
                let SortSpec { by, descending, nulls_last } = &*self.spec;
                let pieces = range_split(&rows, &by[0], divisions, descending[0], nulls_last[0])?;
                self.exchange.put(part, pieces)?;
            }
            Some(Ways::Whole(outputs)) => self.exchange.put_whole(part, outputs[part], rows)?,
            _ => self.exchange.put_whole(part, 0, rows)?,
        }
        Ok(Block::new(Token))
    }
}
