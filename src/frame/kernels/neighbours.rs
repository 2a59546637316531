//! Tasks on a partition and what lies next to it: rows of its neighbours, the last rows.

use std::sync::Arc;

use super::concat::concat;
use super::ordered::edge_rows;
use super::tasks::checked;
use super::{refused, values_error};
use crate::error::Result;
use crate::frame::op::MapPartitions;
use crate::frame::partition::{block, frame};
use crate::graph::{Block, Inputs, Kernel, TaskContext};

/// Calls a user's function on a partition with rows of others around it, and cuts these off what it returns.
#[derive(Debug)]
pub(crate) struct MapOverlapKernel {
    pub(crate) map: Arc<MapPartitions>,
    /// The slots of the edges before and after.
    pub(crate) slots: [Option<usize>; 2],
}

impl Kernel for MapOverlapKernel {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let map = &self.map;
        let rows = frame(inputs.take_one(0));
        let n_rows = rows.height();
        let [before, after] = self
            .slots
            .map(|slot| slot.and_then(|slot| inputs.take_slot(slot).next()).map(edge_rows));
        let offset = before.as_ref().map_or(0, |rows| rows.height());
        let all = concat(before.into_iter().chain([rows]).chain(after))?;
        let n_all = all.height();
        let out = (map.function)(all, task.block[0] as usize).map_err(values_error(&*map.name))?;
        if out.height() != n_all {
            let problem = format!("the function returned {} rows for {n_all}", out.height());
            return Err(refused(&map.name, problem));
        }
        checked(map, out.slice(offset as i64, n_rows)).map(block)
    }

    fn runs_user_code(&self) -> bool {
        true
    }
}

/// The last rows of all blocks of slot 0 together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TailKernel {
    pub(crate) n: u64,
}

impl Kernel for TailKernel {
    fn run(&self, _task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let n = usize::try_from(self.n).unwrap_or(usize::MAX);
        // The rows before would be kept in memory by a slice; they are gone with the next copy.
        Ok(block(concat(inputs.take_slot(0).map(frame))?.tail(Some(n))))
    }
}
