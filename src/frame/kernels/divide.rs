//! The tasks of frames whose divisions are known before anything runs: rows go to given divisions, divisions are cut,
//! and rows that are said to be sorted are looked at.

use std::sync::Arc;

use polars_core::frame::DataFrame;
use polars_core::prelude::{BooleanChunked, Column, IdxSize, PlSmallStr, SortOptions};
use polars_ops::prelude::SeriesMethods;

use super::concat::concat;
use super::exchange::Exchange;
use super::ordered::edge_rows;
use super::sample::bounds;
use super::shuffle::done;
use super::split::{range_outputs, range_split};
use super::{failed, refused};
use crate::error::{Call, Error, Result};
use crate::frame::partition::{block, frame};
use crate::frame::partitions::{Divisions, Key};
use crate::graph::{Block, Inputs, Kernel, TaskContext};

/// Puts the rows of a partition into the exchange, each for the partition of its key.
#[derive(Debug)]
pub(crate) struct SplitAtKernel {
    pub(crate) exchange: Arc<Exchange>,
    pub(crate) key: PlSmallStr,
    pub(crate) divisions: Divisions,
    /// Who gave divisions that have to be around all keys; otherwise keys outside of them go to the ends.
    pub(crate) given_by: Option<Call>,
}

impl Kernel for SplitAtKernel {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let rows = frame(inputs.take_one(0));
        if let Some(call) = self.given_by {
            check_within(key_column(&rows, &self.key)?, &self.divisions, call)?;
        }
        let pieces = range_split(&rows, &self.key, &self.divisions, false, true)?;
        self.exchange.put(task.block[0] as usize, pieces)?;
        Ok(done())
    }
}

/// All keys are between the first division and the last; nulls and NaN have their place behind them.
fn check_within(keys: &Column, divisions: &Divisions, call: Call) -> Result<()> {
    let failed = || failed("divide");
    let numbers = match keys.dtype().is_float() {
        true => keys.filter(&keys.is_not_nan().map_err(failed())?).map_err(failed())?,
        false => keys.clone(),
    };
    let Some((min, max)) = bounds(&numbers)? else { return Ok(()) };
    let all = divisions.keys();
    let outside = [min, max].into_iter().find(|key| *key < all[0] || *key > all[all.len() - 1]);
    match outside {
        None => Ok(()),
        Some(key) => Err(Error::InvalidArgument {
            call,
            argument: "divisions",
            got: format!("{divisions}, where {} has the value {}", keys.name(), key.value()),
            expected: "divisions from the smallest to the largest value of the index, or beyond",
        }),
    }
}

fn key_column<'a>(rows: &'a DataFrame, key: &str) -> Result<&'a Column> {
    rows.column(key).map_err(failed("divide"))
}

/// The keys of a partition that belong to a new one: not below `low`, and below `high`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct KeyRange {
    pub(crate) low: Option<Key>,
    pub(crate) high: Option<Key>,
}

/// Of the partitions in slot 0, the rows in one range each.
#[derive(Debug)]
pub(crate) struct CutAtKernel {
    pub(crate) key: PlSmallStr,
    /// For each block the ranges in the partitions that it reads; of some it reads nothing but their columns.
    pub(crate) ranges: Vec<Vec<Option<KeyRange>>>,
}

impl Kernel for CutAtKernel {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let ranges = &self.ranges[task.block[0] as usize];
        let parts = inputs.take_slot(0).map(frame).zip(ranges);
        let pieces = parts.map(|(rows, range)| match range {
            Some(range) => rows_in(rows, &self.key, range),
            None => Ok(rows.clear()),
        });
        Ok(block(concat(pieces.collect::<Result<Vec<_>>>()?)?))
    }
}

/// The rows whose keys are in a range; nulls and NaN are above all keys.
fn rows_in(rows: DataFrame, key: &str, range: &KeyRange) -> Result<DataFrame> {
    let keys = key_column(&rows, key)?;
    let inner: Vec<Key> = range.low.iter().chain(&range.high).cloned().collect();
    let (Some(first), Some(last)) = (inner.first(), inner.last()) else { return Ok(rows) };
    // A range between its own ends: what is below, what is wanted, what is above.
    let around = [first.clone()].into_iter().chain(inner.clone()).chain([last.clone()]);
    let divisions = Divisions::from_keys(keys.dtype().clone(), around.collect())
        .ok_or_else(|| refused("divide", "the ends of a range are not in order"))?;
    let wanted = IdxSize::from(range.low.is_some());
    let outputs = range_outputs(&rows, key, &divisions, false, true)?;
    let mask: BooleanChunked = outputs.into_iter().map(|output| output == wanted).collect();
    rows.filter_seq(&mask).map_err(failed("divide"))
}

/// Gives the rows of slot 0 on if they are sorted by a column, also behind those of slot 1.
#[derive(Debug)]
pub(crate) struct CheckSortedKernel {
    pub(crate) key: PlSmallStr,
    pub(crate) call: Call,
}

impl Kernel for CheckSortedKernel {
    fn run(&self, _task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let rows = frame(inputs.take_one(0));
        let mut keys = key_column(&rows, &self.key)?.clone();
        if let Some(before) = inputs.take_slot(1).next() {
            let mut all = key_column(&edge_rows(before), &self.key)?.clone();
            all.append(&keys).map_err(failed("check order"))?;
            keys = all;
        }
        let order = SortOptions::default().with_nulls_last(true);
        let keys = keys.as_materialized_series();
        if keys.is_sorted(order).map_err(failed("check order"))? {
            return Ok(block(rows));
        }
        Err(Error::InvalidArgument {
            call: self.call,
            argument: "sorted",
            got: format!("true, where the rows are not in the order of {}", self.key),
            expected: "rows in ascending order, nulls last; leave it out and they will be sorted",
        })
    }
}
