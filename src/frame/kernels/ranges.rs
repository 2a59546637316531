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
#[derive(Clone, Debug)]
struct Sample {
    sketch: Sketch<Key>,
    /// The smallest and the largest key; none if there are no rows.
    bounds: Option<(Key, Key)>,
    has_nulls: bool,
}

impl Value for Sample {
    fn nbytes(&self) -> u64 {
        (self.sketch.values.len() * KEY_BYTES) as u64
    }
}

/// Bytes of a key in a sketch, with its weight.
const KEY_BYTES: usize = size_of::<(Key, f64)>();

/// Bytes of the samples of one of `n_in` partitions, for `n_out` others, if it has more rows than are taken.
pub(crate) fn sample_bytes(n_in: usize, n_out: usize) -> u64 {
    (quantiles::n_percentiles(n_in, n_out) * KEY_BYTES) as u64
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
struct Ways {
    /// Between which keys the outputs are; `None` if there are no keys but nulls, all of which go to the first output.
    divisions: Option<Divisions>,
    /// The output of each partition, if these are sorted already and go as they are.
    whole: Option<Vec<usize>>,
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
        let samples: Result<Vec<Sample>> = inputs.take_slot(0).map(sample_of).collect();
        Ok(Block::new(self.ways(samples?)))
    }
}

fn sample_of(block: Block) -> Result<Sample> {
    let shared = match block.try_unwrap() {
        Ok(sample) => return Ok(sample),
        Err(shared) => shared,
    };
    shared.downcast_ref().cloned().ok_or_else(|| Error::Internal {
        place: "divide".into(),
        problem: "a block is no sample".into(),
    })
}

impl DivideKernel {
    fn ways(&self, samples: Vec<Sample>) -> Ways {
        let descending = self.spec.descending[0];
        let bounds: Vec<_> = samples.iter().map(|sample| sample.bounds.clone()).collect();
        let has_nulls = samples.iter().any(|sample| sample.has_nulls);
        if let (false, Some(sorted)) = (has_nulls, quantiles::presorted(&bounds, descending)) {
            let n = sorted.partitions.len();
            let n_out = self.n_out.min(n);
            let mut outputs = vec![0; samples.len()];
            let mut firsts = Vec::with_capacity(n_out + 1);
            for (rank, part) in sorted.partitions.iter().enumerate() {
                let from_start = if descending { n - 1 - rank } else { rank };
                outputs[*part] = from_start * n_out / n;
                let range = if descending { n_out - 1 - outputs[*part] } else { outputs[*part] };
                if range == firsts.len() {
                    firsts.push(rank);
                }
            }
            firsts.push(n);
            let keys = firsts.iter().map(|rank| sorted.divisions[*rank].clone()).collect();
            let divisions = Divisions::from_keys(self.dtype.clone(), keys);
            return Ways { whole: Some(outputs).filter(|_| divisions.is_some()), divisions };
        }
        let sketch = quantiles::merge(samples.into_iter().map(|sample| sample.sketch));
        Ways { divisions: divisions(&sketch, &self.dtype, self.n_out), whole: None }
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
        let ways = ways_of(&ways)?;
        match &ways.whole {
            Some(outputs) => self.exchange.put_whole(part, outputs[part], rows)?,
            None => put_in_ranges(&self.exchange, part, rows, ways, &self.spec)?,
        }
        Ok(Block::new(Token))
    }
}

/// Sends the rows of a partition, in slot 0, to where the rows of another frame went that have such keys, by the ways
/// of these in slot 1.
#[derive(Debug)]
pub(crate) struct FollowKernel {
    pub(crate) exchange: Arc<Exchange>,
    pub(crate) spec: Arc<SortSpec>,
}

impl Kernel for FollowKernel {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let (rows, ways) = (frame(inputs.take_one(0)), inputs.take_one(1));
        let part = task.block[0] as usize;
        put_in_ranges(&self.exchange, part, rows, ways_of(&ways)?, &self.spec)?;
        Ok(Block::new(Token))
    }
}

fn ways_of(block: &Block) -> Result<&Ways> {
    block.downcast_ref().ok_or_else(|| Error::Internal {
        place: "split".into(),
        problem: "a block does not say where rows go".into(),
    })
}

fn put_in_ranges(
    exchange: &Exchange,
    part: usize,
    rows: DataFrame,
    ways: &Ways,
    spec: &SortSpec,
) -> Result<()> {
    let Some(divisions) = &ways.divisions else { return exchange.put_whole(part, 0, rows) };
    let SortSpec { by, descending, nulls_last } = spec;
    exchange.put(part, range_split(&rows, &by[0], divisions, descending[0], nulls_last[0])?)
}
