//! Questions that sources answer without being read.

use std::sync::Arc;

use polars_core::frame::DataFrame;
use polars_core::prelude::{Column, DataType, PlSmallStr, Scalar};

use crate::error::Result;
use crate::frame::expr::aggregate_plan::{AggregatePlan, State, Step, state_column};
use crate::frame::expr::{Expr, ExprKind};
use crate::frame::io::MemoryFrames;
use crate::frame::kernels::group_by::finish;
use crate::frame::op::{FrameOp, Scan};
use crate::graph::{NodeId, Plan, Rule};

/// More operations, or parts of sources, are not asked for their rows.
const ASKED_MAX: usize = 1 << 16;

/// The number of rows, and smallest and largest values, as files and partitions say what they are.
pub(super) struct AnswerFromMetadata;

impl Rule<FrameOp> for AnswerFromMetadata {
    fn name(&self) -> &'static str {
        "AnswerFromMetadata"
    }

    fn apply(&self, plan: &mut Plan<FrameOp>, id: NodeId) -> Result<Option<NodeId>> {
        let FrameOp::Aggregate(aggregation) = plan.op(id) else { return Ok(None) };
        let asked = &aggregation.plan;
        if !asked.keys.is_empty() || asked.is_holistic() {
            return Ok(None);
        }
        let Some(states) = states(plan, plan.inputs(id)[0], asked) else { return Ok(None) };
        // What can't be finished is an error that the run finds.
        let Ok(answer) = finish(&states, asked) else { return Ok(None) };
        let schema = Arc::clone(&aggregation.schema);
        let columns: Arc<[PlSmallStr]> = schema.iter_names().cloned().collect();
        let source = Arc::new(MemoryFrames::new("metadata", schema, vec![answer]));
        let scan = Scan { source, columns, conditions: [].into(), n_rows_max: None };
        Ok(Some(plan.push(FrameOp::Scan(scan), &[])?))
    }
}

/// The states that the aggregates of `input` have, as one row; `None` if metadata does not say.
fn states(plan: &Plan<FrameOp>, input: NodeId, asked: &AggregatePlan) -> Option<DataFrame> {
    let n_rows = known_rows(plan, input)?;
    let steps = asked.steps.iter().enumerate();
    let columns: Option<Vec<Column>> = steps
        .map(|(i, step)| {
            let value = match step.state {
                State::Rows => Scalar::from(n_rows),
                _ => known_state(plan, input, asked, step, n_rows)?,
            };
            Some(value.into_column(state_column(i)))
        })
        .collect();
    // Without rows there are no states.
    if n_rows == 0 && asked.steps.iter().any(|step| step.state != State::Rows) {
        return None;
    }
    DataFrame::new(1, columns?).ok()
}

/// The rows that a node has, if all of its sources know theirs.
fn known_rows(plan: &Plan<FrameOp>, id: NodeId) -> Option<u64> {
    let mut stack = vec![id];
    let (mut rows, mut n_asked) = (0_u64, 0);
    while let Some(id) = stack.pop() {
        n_asked += 1;
        match plan.op(id) {
            FrameOp::Scan(scan) if is_whole(scan) => {
                n_asked += scan.source.n_parts();
                if n_asked > ASKED_MAX {
                    return None;
                }
                for part in 0..scan.source.n_parts() {
                    rows += scan.source.n_rows(part)?;
                }
            }
            FrameOp::Select(_) | FrameOp::Concat | FrameOp::Repartition(_) => {
                stack.extend(plan.inputs(id));
            }
            FrameOp::Sort(sort) if sort.limit.is_none() => stack.extend(plan.inputs(id)),
            _ => return None,
        }
        if n_asked > ASKED_MAX {
            return None;
        }
    }
    Some(rows)
}

/// Whether all rows are read.
fn is_whole(scan: &Scan) -> bool {
    scan.conditions.is_empty() && scan.n_rows_max.is_none()
}

/// What statistics of parts say of a column, if they say it exactly.
fn known_state(
    plan: &Plan<FrameOp>,
    input: NodeId,
    asked: &AggregatePlan,
    step: &Step,
    n_rows: u64,
) -> Option<Scalar> {
    let FrameOp::Scan(scan) = plan.op(input) else { return None };
    let ExprKind::Column(name) = Expr::without_alias(&asked.inputs[step.input]).kind() else {
        return None;
    };
    let source = &*scan.source;
    let dtype = source.schema().get(name)?;
    let parts = (0..source.n_parts()).filter(|part| source.n_rows(*part) != Some(0));
    let mut stats = parts.map(|part| source.stats(part, name));
    match step.state {
        State::Count => {
            let n_nulls = stats.try_fold(0, |n, stats| Some(n + stats?.n_nulls?))?;
            Some(Scalar::from(n_rows.checked_sub(n_nulls)?))
        }
        State::Min | State::Max if has_plain_order(dtype) => {
            let is_min = step.state == State::Min;
            let mut best: Option<Scalar> = None;
            for stats in stats {
                let stats = stats?;
                let value = if is_min { stats.min } else { stats.max };
                let order = match &best {
                    None => None,
                    Some(best) => Some(value.value().partial_cmp(best.value())?),
                };
                if order.is_none_or(|order| if is_min { order.is_lt() } else { order.is_gt() }) {
                    best = Some(value);
                }
            }
            best.filter(|best| best.dtype() == dtype)
        }
        _ => None,
    }
}

/// Whether bounds of such values mean the same in every format.
fn has_plain_order(dtype: &DataType) -> bool {
    dtype.is_integer() || dtype.is_temporal() || dtype.is_bool()
}
