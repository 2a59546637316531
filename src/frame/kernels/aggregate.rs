//! The tasks of aggregations.

use std::sync::Arc;

use super::group_by::{
    combine, finish, partial, partial_distinct, project, whole, whole_of_distinct,
    whole_of_projected,
};
use super::pipeline::PipelineKernel;
use crate::error::Result;
use crate::frame::expr::AggregatePlan;
use crate::frame::partition::{block, frame};
use crate::graph::{Block, Inputs, Kernel, TaskContext, Wiring};

/// What a task of an aggregation makes of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AggregateStep {
    /// States of the groups of one partition's rows.
    Partial,
    /// States of the groups of several partitions' states.
    Combine,
    /// The result of the groups of several partitions' states.
    Finish,
    /// Keys and inputs of one partition's rows, for aggregates that need all rows of a group.
    Project,
    /// The result of all rows of groups, projected.
    Whole,
    /// States of the rows of one partition that are equal in keys and in inputs whose values are counted.
    PartialDistinct,
    /// The result of all states of groups, made so.
    WholeDistinct,
    /// The result of all rows of groups in one step.
    All,
}

/// A step of an aggregation.
#[derive(Debug)]
pub(crate) struct AggregateKernel {
    pub(crate) plan: Arc<AggregatePlan>,
    pub(crate) step: AggregateStep,
}

impl Kernel for AggregateKernel {
    fn run(&self, _task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let mut frames: Vec<_> = inputs.take_slot(0).map(frame).collect();
        let plan = &self.plan;
        let out = match self.step {
            AggregateStep::Combine => combine(frames, plan)?,
            AggregateStep::Finish => finish(&combine(frames, plan)?, plan)?,
            step => {
                let rows = frames.pop().expect("the map of this slot names one block");
                match step {
                    AggregateStep::Partial => partial(&rows, plan)?,
                    AggregateStep::Project => project(&rows, plan)?,
                    AggregateStep::Whole => whole_of_projected(&rows, plan)?,
                    AggregateStep::PartialDistinct => partial_distinct(&rows, plan)?,
                    AggregateStep::WholeDistinct => whole_of_distinct(&rows, plan)?,
                    _ => whole(&rows, plan)?,
                }
            }
        };
        Ok(block(out))
    }

    fn absorb(
        &self,
        _slot: usize,
        producer: &dyn Kernel,
        wiring: &Wiring,
    ) -> Option<Arc<dyn Kernel>> {
        let is_of_rows = matches!(self.step, AggregateStep::Partial | AggregateStep::All);
        is_of_rows.then(|| PipelineKernel::aggregating(producer, &self.plan, self.step, wiring))?
    }
}
