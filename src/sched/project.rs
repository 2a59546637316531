//! What a run would hold and write to disk, found without running it.

use std::io::{self, Write};

use super::job::blocks_limit;
use super::state::{Next, State};
use crate::graph::{Block, Load, Spill, TaskGraph, Value};

/// What one task after another would use inside of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Projection {
    /// The most bytes of blocks and of a running task at once.
    pub(crate) peak_bytes: u64,
    /// Bytes of blocks that go to disk.
    pub(crate) spilled_bytes: u64,
    /// Bytes of blocks that are dropped and read again from where they came.
    pub(crate) reread_bytes: u64,
}

/// Goes through the decisions of a run on one thread with a disk that takes no time.
pub(crate) fn project(graph: &TaskGraph, ranks: &[u32], budget_bytes: u64) -> Projection {
    let mut state = State::new(graph, ranks, blocks_limit(budget_bytes));
    let mut inputs = Vec::new();
    let mut dropped = Vec::new();
    loop {
        match state.next_task(&|| 0) {
            Next::Run(task) => {
                state.gather(task, &mut inputs);
                inputs.clear();
                let block = Block::new(Declared { nbytes: graph.out_bytes(task) });
                state.on_finished(task, Some(block), &mut dropped);
            }
            Next::Save(task) => state.on_saved(task, &mut dropped),
            Next::Forget(task) => state.forget(task, &mut dropped),
            Next::Load(task) | Next::Reread(task) => {
                state.on_loaded(task, Block::new(Declared { nbytes: graph.out_bytes(task) }));
            }
            Next::Trim(_) | Next::Recall(_) | Next::Discard(_) => {}
            Next::Wait | Next::Finished => break,
        }
        dropped.clear();
    }
    Projection {
        peak_bytes: state.peak_bytes(),
        spilled_bytes: state.spilled_bytes(),
        reread_bytes: state.reread_bytes(),
    }
}

/// The block of a task that was not run.
#[derive(Debug)]
struct Declared {
    nbytes: u64,
}

impl Value for Declared {
    fn nbytes(&self) -> u64 {
        self.nbytes
    }

    fn as_spill(&self) -> Option<&dyn Spill> {
        Some(self)
    }
}

impl Spill for Declared {
    fn save(&self, _to: &mut dyn Write) -> io::Result<Load> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::test_graphs::{Builder, at};
    use crate::graph::{BlockMap, order, peak_bytes};

    #[test]
    fn what_does_not_fit_is_counted_once_for_each_time_that_it_is_written() {
        let mut b = Builder::default();
        let x = b.array("x", &[40], 100, &[]);
        let sum = b.tree("sum", 1, 4, x);
        let y = b.array("y", &[40], 100, &[(x, BlockMap::Linear), (sum, at(0))]);
        let graph = b.expand(&[y]);
        let ranks = order(&graph);
        let peak = peak_bytes(&graph, &ranks);
        let all = project(&graph, &ranks, 2 * peak);
        assert_eq!(all, Projection { peak_bytes: peak, spilled_bytes: 0, reread_bytes: 0 });
        let half = project(&graph, &ranks, 2000);
        assert!(half.peak_bytes <= 2000, "{half:?}");
        // Blocks of 4000 bytes are held, 1875 fit, and an eighth of that leaves at a time.
        assert!((2100..2700).contains(&half.spilled_bytes), "{half:?}");
    }
}
