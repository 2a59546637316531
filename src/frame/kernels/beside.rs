//! Columns of several frames side by side, whose partitions may have other numbers of rows.

use std::sync::Arc;

use polars_core::frame::DataFrame;

use super::exchange::Exchange;
use super::shuffle::done;
use super::split::Pieces;
use super::{failed, refused};
use crate::error::{Error, Result};
use crate::frame::partition::{block, frame};
use crate::graph::{Block, Inputs, Kernel, TaskContext, Value};

/// What a number of rows takes.
pub(crate) const CUT_BYTES: u64 = 8;

/// Numbers of rows.
#[derive(Debug)]
struct Count(u64);

impl Value for Count {
    fn nbytes(&self) -> u64 {
        CUT_BYTES
    }
}

/// How many rows the partition has.
#[derive(Debug)]
pub(crate) struct CountKernel;

impl Kernel for CountKernel {
    fn run(&self, _task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        Ok(Block::new(Count(frame(inputs.take_one(0)).height() as u64)))
    }
}

/// Where partitions of two frames begin among their rows, and where the last ones end.
#[derive(Debug)]
struct Cuts([Vec<u64>; 2]);

impl Value for Cuts {
    fn nbytes(&self) -> u64 {
        CUT_BYTES * (self.0[0].len() + self.0[1].len()) as u64
    }
}

/// Adds up the counts of the frames in slots 0 and 1, which have as many rows.
#[derive(Debug)]
pub(crate) struct CutsKernel;

impl Kernel for CutsKernel {
    fn run(&self, _task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let cuts = [0, 1].map(|slot| {
            let mut ends = vec![0];
            for block in inputs.take_slot(slot) {
                let Count(n) = block.downcast_ref().expect("the layers of these slots count");
                ends.push(ends[ends.len() - 1] + n);
            }
            ends
        });
        let [n, other] = [0, 1].map(|side| cuts[side][cuts[side].len() - 1]);
        if n != other {
            return Err(unequal(n, other));
        }
        Ok(Block::new(Cuts(cuts)))
    }
}

fn unequal(n: u64, other: u64) -> Error {
    let problem = format!(
        "got frames of {n} and of {other} rows, expected as many; slice() cuts them to one length"
    );
    refused("concat_horizontal", problem)
}

/// Puts the rows of a partition of the second frame into the exchange, where the cuts in slot 1 say that the rows of the first
/// frame are.
#[derive(Debug)]
pub(crate) struct SplitRowsKernel {
    pub(crate) exchange: Arc<Exchange>,
}

impl Kernel for SplitRowsKernel {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let rows = frame(inputs.take_one(0));
        let cuts = inputs.take_one(1);
        let Cuts([first, own]) = cuts.downcast_ref().expect("the layer of this slot cuts");
        let part = task.block[0] as usize;
        let (begin, end) = (own[part], own[part] + rows.height() as u64);
        let starts = first.iter().map(|&cut| (cut.clamp(begin, end) - begin) as usize).collect();
        self.exchange.put(part, Pieces { rows, starts })?;
        Ok(done())
    }
}

/// The columns of the blocks in all slots, which have as many rows.
#[derive(Debug)]
pub(crate) struct BesideKernel;

impl Kernel for BesideKernel {
    fn run(&self, _task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let first = frame(inputs.take_one(0));
        let height = first.height();
        let mut columns = first.into_columns();
        for rows in inputs.take_all().map(frame) {
            if rows.height() != height {
                return Err(unequal(height as u64, rows.height() as u64));
            }
            columns.extend(rows.into_columns());
        }
        Ok(block(DataFrame::new(height, columns).map_err(failed("concat_horizontal"))?))
    }
}
