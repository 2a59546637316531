//! The tasks of shuffles: rows leave their partitions for others.
//!
//! Pieces do not flow along edges, which would be one for each pair of partitions, but through an [`Exchange`]
//! that the kernels share. Edges only say that it is complete: each input is put by one task, one task waits for all
//! of them, and after it each output is taken by one task.

use std::sync::Arc;

use polars_core::prelude::PlSmallStr;

use super::exchange::Exchange;
use super::key_filter::KeyFilter;
use super::split::{hash_split, row_hashes};
use crate::error::Result;
use crate::frame::partition::{block, frame};
use crate::graph::{Block, Inputs, Kernel, TaskContext, Value};

/// Says that something is done.
#[derive(Debug)]
pub(super) struct Token;

impl Value for Token {
    fn nbytes(&self) -> u64 {
        0
    }
}

/// The block of a task that only had to happen.
pub(super) fn done() -> Block {
    Block::new(Token)
}

/// What a split of one side of a join has to do with the keys of the other side.
#[derive(Debug)]
pub(crate) enum Partners {
    /// The filter is told the keys of all rows.
    Told(Arc<KeyFilter>),
    /// Rows whose keys the filter does not have stay behind.
    Asked(Arc<KeyFilter>),
}

/// Puts the pieces of a partition into the exchange, by a hash of `keys`.
#[derive(Debug)]
pub(crate) struct HashSplitKernel {
    pub(crate) exchange: Arc<Exchange>,
    pub(crate) keys: Arc<[PlSmallStr]>,
    pub(crate) n_out: usize,
    pub(crate) partners: Option<Partners>,
}

impl Kernel for HashSplitKernel {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let rows = frame(inputs.take_one(0));
        let is_wanted = |hash| match &self.partners {
            Some(Partners::Asked(filter)) => filter.may_have(hash),
            Some(Partners::Told(filter)) => {
                filter.add(&[hash]);
                true
            }
            None => true,
        };
        let pieces = hash_split(&rows, &self.keys, self.n_out, is_wanted)?;
        drop(rows);
        self.exchange.put(task.block[0] as usize, pieces)?;
        Ok(done())
    }
}

/// Tells the filter the keys of a partition whose rows stay where they are.
#[derive(Debug)]
pub(crate) struct TellKernel {
    pub(crate) filter: Arc<KeyFilter>,
    pub(crate) keys: Arc<[PlSmallStr]>,
}

impl Kernel for TellKernel {
    fn run(&self, _task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        self.filter.add(&row_hashes(&frame(inputs.take_one(0)), &self.keys)?);
        Ok(done())
    }
}

/// Is done when all of its inputs are.
#[derive(Debug)]
pub(crate) struct BarrierKernel;

impl Kernel for BarrierKernel {
    fn run(&self, _task: &TaskContext<'_>, _inputs: Inputs) -> Result<Block> {
        Ok(done())
    }
}

/// Takes the rows of an output from the exchange, those of the first input first.
#[derive(Debug)]
pub(crate) struct TakeKernel {
    pub(crate) exchange: Arc<Exchange>,
}

impl Kernel for TakeKernel {
    fn run(&self, task: &TaskContext<'_>, _inputs: Inputs) -> Result<Block> {
        Ok(block(self.exchange.take(task.block[0] as usize)?))
    }
}

#[cfg(test)]
mod tests {
    use polars_core::df;
    use polars_core::prelude::DataFrame;

    use super::*;
    use crate::memory::BufferPool;

    #[test]
    fn rows_whose_keys_nobody_told_stay_behind() {
        let rows = |keys: std::ops::Range<i64>| df!["k" => keys.collect::<Vec<_>>()].unwrap();
        let filter = Arc::new(KeyFilter::new(1 << 10));
        let moved = |inputs: Vec<DataFrame>, partners: Option<Partners>| -> Vec<i64> {
            let exchange = Arc::new(Exchange::new(3, u64::MAX, ""));
            let put_in = Arc::clone(&exchange);
            let keys = ["k".into()].into();
            let kernel = HashSplitKernel { exchange: put_in, keys, n_out: 3, partners };
            let pool = Arc::new(BufferPool::new(0));
            for (part, rows) in inputs.into_iter().enumerate() {
                let task = TaskContext { block: &[part as u64], pool: &pool };
                kernel.run(&task, Inputs::from_slots(vec![vec![block(rows)]])).unwrap();
            }
            let outputs = (0..3).map(|output| exchange.take(output).unwrap());
            let keys = outputs.flat_map(|rows| {
                rows.column("k").unwrap().i64().unwrap().into_no_null_iter().collect::<Vec<_>>()
            });
            let mut keys: Vec<i64> = keys.collect();
            keys.sort_unstable();
            keys
        };
        let all: Vec<i64> = (0..1000).collect();
        let in_parts = || vec![rows(0..400), rows(400..400), rows(400..1000)];
        assert_eq!(moved(in_parts(), None), all);
        let told = vec![rows(10..20), rows(990..1000), rows(5000..5010)];
        assert_eq!(moved(told, Some(Partners::Told(Arc::clone(&filter)))).len(), 30);
        let asked = moved(in_parts(), Some(Partners::Asked(filter)));
        assert!((10..20).chain(990..1000).all(|key| asked.contains(&key)), "{asked:?}");
        assert!(asked.len() < 60, "{asked:?}");
    }
}
