//! Filters move towards the sources.

use std::sync::Arc;

use polars_core::prelude::PlSmallStr;

use super::merge::through;
use crate::error::Result;
use crate::frame::expr::{Expr, conjuncts, to_condition};
use crate::frame::io::Condition;
use crate::frame::op::{Aggregation, FrameOp, Scan};
use crate::graph::{NodeId, Plan, Rule};

/// Moves the parts of a filter below what does not change the rows that they look at.
pub(super) struct PushDownFilter;

impl Rule<FrameOp> for PushDownFilter {
    fn name(&self) -> &'static str {
        "PushDownFilter"
    }

    fn apply(&self, plan: &mut Plan<FrameOp>, id: NodeId) -> Result<Option<NodeId>> {
        let FrameOp::Filter(predicate) = plan.op(id) else { return Ok(None) };
        let predicate = predicate.clone();
        let below = plan.inputs(id)[0];
        if !plan.has_one_user(below) {
            return Ok(None);
        }
        let input = plan.inputs(below).first().copied();
        match (plan.op(below).clone(), input) {
            (FrameOp::Scan(scan), _) => into_scan(plan, below, &scan, predicate),
            (FrameOp::Select(select), Some(input)) => {
                // What is computed for the selection would be computed for the filter as well.
                let moved = through(&predicate, &select);
                let filtered = plan.push(FrameOp::Filter(moved), &[input])?;
                Ok(Some(plan.push(FrameOp::Select(select), &[filtered])?))
            }
            (FrameOp::Concat, _) => {
                let inputs = plan.inputs(below).to_vec();
                let filtered = inputs
                    .iter()
                    .map(|input| plan.push(FrameOp::Filter(predicate.clone()), &[*input]))
                    .collect::<Result<Vec<_>>>()?;
                Ok(Some(plan.push(FrameOp::Concat, &filtered)?))
            }
            (FrameOp::Aggregate(aggregation), Some(input)) => {
                below_groups(plan, aggregation, input, &predicate)
            }
            _ => Ok(None),
        }
    }
}

/// Whole groups can be dropped before they are made, by their keys.
fn below_groups(
    plan: &mut Plan<FrameOp>,
    aggregation: Aggregation,
    input: NodeId,
    predicate: &Expr,
) -> Result<Option<NodeId>> {
    let key_of = |name: &str| aggregation.keys().iter().find(|key| key.output_name() == name);
    let of_keys = |columns: &[PlSmallStr]| {
        !columns.is_empty() && columns.iter().all(|name| key_of(name).is_some())
    };
    let (Some(moved), kept) = split(predicate, of_keys) else { return Ok(None) };
    let moved = moved.substitute(&|name: &str| key_of(name).map(|key| key.without_alias().clone()));
    let filtered = plan.push(FrameOp::Filter(moved), &[input])?;
    let groups = plan.push(FrameOp::Aggregate(aggregation), &[filtered])?;
    Ok(Some(match kept {
        Some(kept) => plan.push(FrameOp::Filter(kept), &[groups])?,
        None => groups,
    }))
}

/// Tells the source which rows will be dropped; the filter stays, because the source may return them all the same.
fn into_scan(
    plan: &mut Plan<FrameOp>,
    below: NodeId,
    scan: &Scan,
    predicate: Expr,
) -> Result<Option<NodeId>> {
    if scan.n_rows_max.is_some() {
        return Ok(None);
    }
    let schema = Arc::clone(&plan.meta(below).schema);
    let found = conjuncts(&predicate).into_iter();
    let found: Vec<_> = found.filter_map(|part| to_condition(&part, &schema)).collect();
    let is_known = |condition: &Condition| scan.conditions.contains(condition);
    if found.iter().all(&is_known) {
        return Ok(None);
    }
    let mut conditions = scan.conditions.to_vec();
    conditions.extend(found.into_iter().filter(|condition| !is_known(condition)));
    let scan = Scan { conditions: conditions.into(), ..scan.clone() };
    let scan = plan.push(FrameOp::Scan(scan), &[])?;
    Ok(Some(plan.push(FrameOp::Filter(predicate), &[scan])?))
}

/// The parts of a predicate that read only these columns, and the others; each `None` if there are none.
pub(super) fn split(
    predicate: &Expr,
    may_move: impl Fn(&[PlSmallStr]) -> bool,
) -> (Option<Expr>, Option<Expr>) {
    let (moved, kept): (Vec<_>, Vec<_>) = conjuncts(predicate).into_iter().partition(|part| {
        let mut columns = Vec::new();
        part.add_columns(&mut columns);
        may_move(&columns)
    });
    let all = |parts: Vec<Expr>| parts.into_iter().reduce(|a, b| a.and(b));
    (all(moved), all(kept))
}
