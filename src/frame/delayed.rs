//! Frames as arguments of delayed functions, and what is to be seen of a task that failed.

use std::sync::Arc;

use polars_core::frame::DataFrame as Rows;

use super::handle::DataFrame;
use super::kernels::concat::concat;
use super::partition::{frame, rows};
use crate::delayed::{DelayedOp, Inputs as Arguments, Item, Node, Whole};
use crate::error::{FailedTask, Result};
use crate::function::Argument;
use crate::graph::{Block, Bridge, ExpressionId, Inputs, Kernel, TaskContext};

impl Argument<Rows, Arguments> for &DataFrame {
    fn push_to(self, list: &mut Arguments) {
        list.push_node(whole(self));
    }
}

impl Argument<Rows, Arguments> for DataFrame {
    fn push_to(self, list: &mut Arguments) {
        list.push_node(whole(&self));
    }
}

/// The frame as one delayed value.
fn whole(frame: &DataFrame) -> Result<Arc<Node>> {
    let from = Arc::clone(frame.handle().node()?);
    let bridge = Bridge {
        name: "whole frame".into(),
        expression: ExpressionId::of(&from),
        from,
        kernel: Arc::new(WholeKernel),
        // As many as its partitions, which are known when they are lowered.
        out_bytes: u64::MAX,
        scratch_bytes: u64::MAX,
    };
    Node::of(DelayedOp::Whole(Arc::new(Whole(Arc::new(bridge)))), &[])
}

/// Puts all partitions of a frame together.
#[derive(Debug)]
struct WholeKernel;

impl Kernel for WholeKernel {
    fn run(&self, _task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let all = concat(inputs.take_all().map(frame))?;
        let bytes = all.estimated_size() as u64;
        Ok(Block::new(Item { value: Arc::new(all), bytes }))
    }
}

impl FailedTask {
    /// Input `i`, if it is a partition of a frame, or a whole frame of a delayed function.
    #[must_use]
    pub fn input_frame(&self, i: usize) -> Option<&Rows> {
        self.input::<Rows>(i).or_else(|| self.input::<Block>(i).and_then(rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::frame::col;
    use polars_core::df;

    #[test]
    fn frames_are_arguments_and_failed_partitions_can_be_looked_at() {
        let data = df!["x" => [1_i64, 2, 3, 4, 5]].unwrap();
        let frame = DataFrame::from_polars(&data, 3);
        let large = frame.filter(col("x").gt(crate::frame::lit(1)));
        let rows = crate::delayed(|rows: &Rows, n: &usize| rows.height() + n, (&large, 10_usize));
        let (n, all) = crate::compute((rows, &frame)).unwrap();
        assert_eq!((n, all.height()), (14, 5));

        let fails = frame.map_partitions(Arc::clone(data.schema()), |rows, _| {
            assert!(rows.height() < 1, "not me");
            Ok(rows)
        });
        // Unfused: a task that reads its rows itself has no inputs to look at.
        let unfused = crate::Config::new().with_optimize(false);
        let error = unfused.scope(|| fails.compute()).unwrap_err();
        assert!(matches!(error, Error::TaskPanicked { .. }), "{error}");
        let task = error.failed_task().unwrap();
        assert!(task.input_frame(0).unwrap().height() > 0);
        assert!(task.replay().is_err());
    }
}
