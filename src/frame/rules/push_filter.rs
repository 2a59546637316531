//! Filters move towards the sources.

use std::sync::Arc;

use polars_core::prelude::{PlSmallStr, Schema};

use super::merge::{computed_as, is_column};
use crate::error::Result;
use crate::frame::expr::{Expr, all_of, col, conjuncts, to_condition};
use crate::frame::io::Condition;
use crate::frame::kernels::join::{JoinHow, JoinSpec};
use crate::frame::layout::Divided;
use crate::frame::op::{Aggregation, FrameOp, Join, Ranges, Scan, Select, Sort};
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
            (FrameOp::Select(select), Some(input)) => below_select(plan, select, input, &predicate),
            (FrameOp::Concat, _) => {
                let inputs = plan.inputs(below).to_vec();
                let filtered = inputs
                    .iter()
                    .map(|input| plan.push(FrameOp::Filter(predicate.clone()), &[*input]))
                    .collect::<Result<Vec<_>>>()?;
                Ok(Some(plan.push(FrameOp::Concat, &filtered)?))
            }
            (FrameOp::Sort(sort @ Sort { limit: None, .. }), Some(input)) => {
                let sort = within(sort, &predicate, &plan.meta(input).schema);
                let filtered = plan.push(FrameOp::Filter(predicate), &[input])?;
                Ok(Some(plan.push(FrameOp::Sort(sort), &[filtered])?))
            }
            (op @ FrameOp::Repartition(_), Some(input)) => {
                let filtered = plan.push(FrameOp::Filter(predicate), &[input])?;
                Ok(Some(plan.push(op, &[filtered])?))
            }
            (FrameOp::Join(join), _) => {
                let sides = [plan.inputs(below)[0], plan.inputs(below)[1]];
                below_join(plan, &join, sides, &predicate)
            }
            (FrameOp::Attach, Some(input)) => {
                let row = plan.inputs(below)[1];
                let schema = Arc::clone(&plan.meta(input).schema);
                let of_rows =
                    |part: &Expr| columns_of(part).iter().all(|name| schema.contains(name));
                let (Some(moved), kept) = split(&predicate, of_rows) else { return Ok(None) };
                let filtered = plan.push(FrameOp::Filter(moved), &[input])?;
                let attached = plan.push(FrameOp::Attach, &[filtered, row])?;
                Ok(Some(match kept {
                    Some(kept) => plan.push(FrameOp::Filter(kept), &[attached])?,
                    None => attached,
                }))
            }
            (FrameOp::Aggregate(aggregation), Some(input)) => {
                below_groups(plan, aggregation, input, &predicate)
            }
            _ => Ok(None),
        }
    }
}

/// A sort into given divisions, of which only those are left that the filter leaves rows for.
fn within(sort: Sort, predicate: &Expr, schema: &Schema) -> Sort {
    let Ranges::Given { divisions, call } = &sort.ranges else { return sort };
    let divided =
        Divided { by: sort.spec.by[0].clone(), divisions: divisions.clone(), may_be_null: true };
    let parts = divided.partitions_for(&conditions(predicate, schema));
    let Some(divisions) = divisions.of_partitions(&parts) else { return sort };
    Sort { ranges: Ranges::Given { divisions, call: *call }, ..sort }
}

/// The parts of a predicate that compare a column with values.
fn conditions(predicate: &Expr, schema: &Schema) -> Vec<Condition> {
    conjuncts(predicate).iter().filter_map(|part| to_condition(part, schema)).collect()
}

/// What reads only columns that the selection passes on; others would be computed for the filter as well.
fn below_select(
    plan: &mut Plan<FrameOp>,
    select: Select,
    input: NodeId,
    predicate: &Expr,
) -> Result<Option<NodeId>> {
    let is_passed_on =
        |name: &PlSmallStr| computed_as(name, &select).is_some_and(|expr| is_column(&expr));
    let of_input = |part: &Expr| columns_of(part).iter().all(is_passed_on);
    let (Some(moved), kept) = split(predicate, of_input) else { return Ok(None) };
    let moved = moved.substitute(&|name: &str| computed_as(name, &select));
    let filtered = plan.push(FrameOp::Filter(moved), &[input])?;
    let selected = plan.push(FrameOp::Select(select), &[filtered])?;
    Ok(Some(match kept {
        Some(kept) => plan.push(FrameOp::Filter(kept), &[selected])?,
        None => selected,
    }))
}

/// What one side alone decides is decided there, if the join keeps no unpaired rows of the other side.
fn below_join(
    plan: &mut Plan<FrameOp>,
    join: &Join,
    sides: [NodeId; 2],
    predicate: &Expr,
) -> Result<Option<NodeId>> {
    use JoinHow as J;
    let how = join.spec.how;
    let may_filter =
        [!matches!(how, J::Right | J::Full), matches!(how, J::Inner | J::Right | J::Cross)];
    let schemas = sides.map(|side| Arc::clone(&plan.meta(side).schema));
    let mut inputs = sides;
    let mut rest = Some(predicate.clone());
    for side in [0, 1] {
        let Some(predicate) = rest.clone().filter(|_| may_filter[side]) else { continue };
        let origin = |name: &str| match side {
            0 => schemas[0].contains(name).then(|| PlSmallStr::from_str(name)),
            _ => right_origin(name, &schemas, &join.spec),
        };
        // Below the join stand rows that the join drops.
        let of_side = |part: &Expr| {
            let names = columns_of(part);
            !names.is_empty() && names.iter().all(|name| origin(name).is_some()) && !part.may_fail()
        };
        let (Some(moved), kept) = split(&predicate, of_side) else { continue };
        let moved = moved.substitute(&|name: &str| origin(name).map(col));
        inputs[side] = plan.push(FrameOp::Filter(moved), &[inputs[side]])?;
        rest = kept;
    }
    if inputs == sides {
        return Ok(None);
    }
    let joined = plan.push(FrameOp::Join(join.clone()), &inputs)?;
    Ok(Some(match rest {
        Some(rest) => plan.push(FrameOp::Filter(rest), &[joined])?,
        None => joined,
    }))
}

/// The column of the right frame that column `name` of the joined one is.
fn right_origin(name: &str, schemas: &[Arc<Schema>; 2], spec: &JoinSpec) -> Option<PlSmallStr> {
    if schemas[0].contains(name) {
        return None;
    }
    if schemas[1].contains(name) {
        return Some(name.into());
    }
    let own = name.strip_suffix(spec.suffix.as_str())?;
    (schemas[0].contains(own) && schemas[1].contains(own)).then(|| own.into())
}

/// Whole groups can be dropped before they are made, by their keys.
fn below_groups(
    plan: &mut Plan<FrameOp>,
    aggregation: Aggregation,
    input: NodeId,
    predicate: &Expr,
) -> Result<Option<NodeId>> {
    // A literal would lose the dtype that it has as a column.
    let key_of = |name: &str| {
        let named = |key: &&Expr| key.output_name() == name && !columns_of(key).is_empty();
        aggregation.keys().iter().find(named)
    };
    let of_keys = |part: &Expr| {
        let names = columns_of(part);
        !names.is_empty() && names.iter().all(|name| key_of(name).is_some())
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
    let found = conditions(&predicate, &schema);
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

/// The parts of a predicate that may move, and the others; each `None` if there are none.
fn split(predicate: &Expr, may_move: impl Fn(&Expr) -> bool) -> (Option<Expr>, Option<Expr>) {
    let (moved, kept): (Vec<_>, Vec<_>) = conjuncts(predicate).into_iter().partition(may_move);
    (all_of(moved), all_of(kept))
}

fn columns_of(expr: &Expr) -> Vec<PlSmallStr> {
    let mut columns = Vec::new();
    expr.add_columns(&mut columns);
    columns
}
