//! The tasks of shuffles: rows leave their partitions for others.
//!
//! Pieces do not flow along edges, which would be one for each pair of partitions, but through an [`Exchange`]
//! that the kernels share. Edges only say that it is complete: each input is put by one task, one task waits for all
//! of them, and after it each output is taken by one task.

use std::sync::Arc;

use polars_core::prelude::PlSmallStr;

use super::exchange::Exchange;
use super::split::hash_split;
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

/// Puts the pieces of a partition into the exchange, by a hash of `keys`.
#[derive(Debug)]
pub(crate) struct HashSplitKernel {
    pub(crate) exchange: Arc<Exchange>,
    pub(crate) keys: Arc<[PlSmallStr]>,
    pub(crate) n_out: usize,
}

impl Kernel for HashSplitKernel {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let pieces = hash_split(&frame(inputs.take_one(0)), &self.keys, self.n_out)?;
        self.exchange.put(task.block[0] as usize, pieces)?;
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
