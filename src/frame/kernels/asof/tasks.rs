//! The tasks of as-of joins: what right partitions leave for left rows that have no match next to them, and the joins.

use std::sync::Arc;

use polars_core::frame::DataFrame;
use polars_core::prelude::{IdxSize, PlHashMap};

use super::super::concat::concat;
use super::super::ordered::Side;
use super::super::rows::{Rows, gather};
use super::{AsofSpec, AsofStrategy, join_asof, on};
use crate::error::Result;
use crate::frame::partition::{block, frame};
use crate::graph::{Block, Inputs, Kernel, TaskContext};

/// Each row of the block in slot 0 with the nearest one of the blocks of the other slots, which are sorted one after
/// the other.
#[derive(Debug)]
pub(crate) struct JoinAsofKernel {
    pub(crate) spec: Arc<AsofSpec>,
    /// The slots of right rows, from the first to the last.
    pub(crate) right: Vec<usize>,
}

impl Kernel for JoinAsofKernel {
    fn run(&self, _task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let left = frame(inputs.take_one(0));
        let mut right = Vec::new();
        for slot in &self.right {
            right.extend(inputs.take_slot(*slot).map(frame));
        }
        Ok(block(join_asof(&left, &concat(right)?, &self.spec)?))
    }
}

/// Of all right rows of its inputs, one after the other, those that a left row before or after them may need.
#[derive(Clone, Debug)]
pub(crate) struct AsofEdgeKernel {
    pub(crate) spec: Arc<AsofSpec>,
    /// On which side of the left rows they are.
    pub(crate) side: Side,
    pub(crate) n_slots: usize,
}

impl Kernel for AsofEdgeKernel {
    fn run(&self, _task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let mut rows = Vec::new();
        for slot in 0..self.n_slots {
            rows.extend(inputs.take_slot(slot).map(frame));
        }
        Ok(block(edge(&concat(rows)?, &self.spec, self.side)?))
    }
}

/// The row nearest to the end on the other side, of each group: the last one, or the first.
fn edge(rows: &DataFrame, spec: &AsofSpec, side: Side) -> Result<DataFrame> {
    let keys = on(rows, &spec.right_on)?;
    let numbers = keys.is_not_null();
    // Nulls and NaN are no neighbours of anything.
    let numbers = match keys.is_not_nan() {
        Ok(is_number) if keys.dtype().is_float() => &numbers & &is_number,
        _ => numbers,
    };
    let groups = match spec.right_by.as_slice() {
        [] => None,
        by => Some(Rows::equal("join_asof", rows, by)?),
    };
    let equal = Rows::equal("join_asof", rows, std::slice::from_ref(&spec.right_on))?;
    let mut found: PlHashMap<&[u8], IdxSize> = PlHashMap::default();
    for (row, is_number) in numbers.iter().enumerate() {
        if is_number != Some(true) {
            continue;
        }
        let row = row as IdxSize;
        let nearest = found.entry(groups.as_ref().map_or(&[], |groups| groups.get(row)));
        let nearest = nearest.or_insert(row);
        // Of equal later keys the nearest is the last, as in a join of whole frames.
        let is_nearer = match (side, spec.strategy) {
            (Side::Before, _) => true,
            (Side::After, AsofStrategy::Nearest) => equal.get(*nearest) == equal.get(row),
            (Side::After, _) => false,
        };
        if is_nearer {
            *nearest = row;
        }
    }
    let mut rows_found: Vec<IdxSize> = found.into_values().collect();
    rows_found.sort_unstable();
    gather("join_asof", rows, rows_found)
}
