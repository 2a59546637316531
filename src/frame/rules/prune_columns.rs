//! Columns that nobody needs are neither read nor computed.
//!
//! One walk from the results to the sources collects what is needed of each node by all of its users, so that what
//! is shared is still read once; a second one builds the plan anew. After the required-columns analysis of
//! relational optimizers (Dask's projection push-down, `dask_expr`).

use std::collections::HashMap;
use std::sync::Arc;

use polars_core::prelude::{PlSmallStr, Schema, SchemaExt};

use crate::error::{Call, Error, Result};
use crate::frame::expr::Expr;
use crate::frame::kernels::asof::asof_schema;
use crate::frame::kernels::join::{JoinHow, join_schema};
use crate::frame::op::{Aggregation, FrameOp, Join, JoinAsof, PerGroup, Scan, Select};
use crate::graph::{NodeId, Plan, Trace};

/// Names of columns, each once, in the order of the schema that they are of.
type Needed = Vec<PlSmallStr>;

/// The plan with the columns that its roots need.
pub(super) fn prune_columns(plan: &Plan<FrameOp>, trace: &mut Trace) -> Result<Plan<FrameOp>> {
    let order = plan.topological();
    let needed = needed_of(plan, &order);
    let mut pruned = Plan::default();
    let mut new_ids: HashMap<NodeId, NodeId> = HashMap::new();
    for &id in &order {
        let inputs: Vec<NodeId> = plan.inputs(id).iter().map(|input| new_ids[input]).collect();
        pruned.make_at(plan.line(id));
        let new = push_narrow(&mut pruned, plan.op(id), &inputs, &needed[&id])?;
        if pruned.meta(new).schema.len() < plan.meta(id).schema.len() {
            trace.count("PruneColumns");
        }
        new_ids.insert(id, new);
    }
    for root in plan.roots() {
        if pruned.meta(new_ids[root]) != plan.meta(*root) {
            return Err(Error::Internal {
                place: "rule PruneColumns".into(),
                problem: format!("{:?} lost columns", plan.op(*root)),
            });
        }
        pruned.add_root(new_ids[root]);
    }
    Ok(pruned)
}

/// The columns that are needed of each node.
fn needed_of(plan: &Plan<FrameOp>, order: &[NodeId]) -> HashMap<NodeId, Needed> {
    let mut needed: HashMap<NodeId, Needed> = HashMap::new();
    for &id in order.iter().rev() {
        let schema = &plan.meta(id).schema;
        let own = match plan.is_root(id) {
            true => schema.iter_names().cloned().collect(),
            false => in_order(&needed.remove(&id).unwrap_or_default(), schema),
        };
        let inputs = plan.inputs(id);
        let schemas: Vec<&Schema> = inputs.iter().map(|i| &*plan.meta(*i).schema).collect();
        for (i, input) in inputs.iter().enumerate() {
            let wanted = needed.entry(*input).or_default();
            add_inputs(plan.op(id), &own, i, &schemas, wanted);
        }
        needed.insert(id, own);
    }
    needed
}

/// Adds to `wanted` what `op` needs of its input number `i` to make the columns `own`.
fn add_inputs(op: &FrameOp, own: &Needed, i: usize, inputs: &[&Schema], wanted: &mut Needed) {
    let add_exprs = |exprs: &[Expr], wanted: &mut Needed| {
        exprs.iter().for_each(|expr| expr.add_columns(wanted));
    };
    let input = inputs[i];
    match op {
        FrameOp::Scan(_) | FrameOp::Bridge(_) | FrameOp::Given(_) => {}
        FrameOp::Select(select) => {
            select
                .exprs
                .iter()
                .filter(|expr| own.contains(&expr.output_name()))
                .for_each(|expr| expr.add_columns(wanted));
        }
        FrameOp::Filter(predicate) => {
            wanted.extend(own.iter().cloned());
            add_exprs(std::slice::from_ref(predicate), wanted);
        }
        FrameOp::Slice { .. } | FrameOp::Tail(_) | FrameOp::Concat => {
            wanted.extend(own.iter().cloned());
        }
        FrameOp::Repartition(to) => {
            wanted.extend(own.iter().cloned());
            wanted.extend(to.by().iter().cloned());
        }
        FrameOp::MapPartitions(_) | FrameOp::MapOverlap(_) => {
            wanted.extend(input.iter_names().cloned());
        }
        FrameOp::Sort(sort) => {
            wanted.extend(own.iter().cloned());
            wanted.extend(sort.spec.by.iter().cloned());
        }
        FrameOp::Join(join) => {
            let spec = &join.spec;
            wanted.extend(if i == 0 { &spec.left_on } else { &spec.right_on }.iter().cloned());
            // A column of the right frame keeps the left one's of its name, because its own name depends on it.
            let is_needed = |name: &&PlSmallStr| {
                let suffixed = || own.contains(&format!("{name}{}", spec.suffix).into());
                match (i, spec.how) {
                    (1, JoinHow::Semi | JoinHow::Anti) => false,
                    (1, JoinHow::Inner | JoinHow::Left | JoinHow::Full | JoinHow::Cross)
                        if inputs[0].contains(name) =>
                    {
                        suffixed()
                    }
                    _ => own.contains(name) || suffixed(),
                }
            };
            wanted.extend(input.iter_names().filter(is_needed).cloned());
        }
        FrameOp::JoinAsof(join) => {
            let spec = &join.spec;
            let (on, by) = match i {
                0 => (&spec.left_on, &spec.left_by),
                _ => (&spec.right_on, &spec.right_by),
            };
            wanted.push(on.clone());
            wanted.extend(by.iter().cloned());
            // As for other joins.
            let is_needed = |name: &&PlSmallStr| {
                own.contains(name) || own.contains(&format!("{name}{}", spec.suffix).into())
            };
            wanted.extend(input.iter_names().filter(is_needed).cloned());
        }
        FrameOp::Attach | FrameOp::ConcatHorizontal => {
            wanted.extend(input.iter_names().filter(|n| own.contains(n)).cloned());
        }
        FrameOp::Ordered(added) | FrameOp::PerGroup(PerGroup { added, .. }) => {
            wanted.extend(input.iter_names().filter(|n| own.contains(n)).cloned());
            add_exprs(&added.keep(|name| own.iter().any(|n| n == name)).exprs, wanted);
            if let FrameOp::PerGroup(per_group) = op {
                add_exprs(&per_group.keys, wanted);
            }
        }
        FrameOp::Aggregate(aggregation) => {
            add_exprs(aggregation.keys(), wanted);
            add_exprs(&kept_aggs(aggregation, own), wanted);
        }
    }
}

/// The aggregates that are needed; without keys, one at least, because there is a row.
fn kept_aggs(aggregation: &Aggregation, own: &Needed) -> Vec<Expr> {
    let is_needed = |agg: &&Expr| own.contains(&agg.output_name());
    let kept: Vec<Expr> = aggregation.aggs.iter().filter(is_needed).cloned().collect();
    match aggregation.aggs.first() {
        Some(first) if kept.is_empty() && aggregation.keys().is_empty() => vec![first.clone()],
        _ => kept,
    }
}

/// The names in the order of the schema.
fn in_order(names: &[PlSmallStr], schema: &Schema) -> Needed {
    schema.iter_names().filter(|name| names.contains(name)).cloned().collect()
}

/// Adds `op` with the columns `needed`, or more, if its inputs have no fewer.
fn push_narrow(
    plan: &mut Plan<FrameOp>,
    op: &FrameOp,
    inputs: &[NodeId],
    needed: &Needed,
) -> Result<NodeId> {
    match op {
        FrameOp::Scan(scan) => {
            let scan = Scan { columns: needed.as_slice().into(), ..scan.clone() };
            plan.push(FrameOp::Scan(scan), &[])
        }
        FrameOp::Select(select) => {
            let is_needed = |expr: &&Expr| needed.contains(&expr.output_name());
            let exprs = select.exprs.iter().filter(is_needed).cloned().collect();
            let fields = select.schema.iter_fields().filter(|f| needed.contains(f.name()));
            let select = Select { exprs, schema: Arc::new(fields.collect()) };
            plan.push(FrameOp::Select(select), inputs)
        }
        // Inputs that need more columns for somebody else would give frames of different columns.
        FrameOp::Concat => {
            let inputs = inputs.iter().map(|input| select_columns(plan, *input, needed));
            let inputs = inputs.collect::<Result<Vec<_>>>()?;
            plan.push(FrameOp::Concat, &inputs)
        }
        FrameOp::Join(join) => {
            let schemas: Vec<_> = inputs.iter().map(|id| &plan.meta(*id).schema).collect();
            let schema = Arc::new(join_schema(schemas[0], schemas[1], &join.spec)?);
            let join = Join { spec: Arc::clone(&join.spec), schema, index: join.index };
            let joined = plan.push(FrameOp::Join(join), inputs)?;
            // Keys need not go on, nor the filter's own columns.
            select_columns(plan, joined, needed)
        }
        FrameOp::JoinAsof(join) => {
            let schemas: Vec<_> = inputs.iter().map(|id| &plan.meta(*id).schema).collect();
            let schema = Arc::new(asof_schema(schemas[0], schemas[1], &join.spec)?);
            let join = JoinAsof { spec: Arc::clone(&join.spec), schema };
            plan.push(FrameOp::JoinAsof(join), inputs)
        }
        FrameOp::Filter(_) => {
            let filtered = plan.push(op.clone(), inputs)?;
            select_columns(plan, filtered, needed)
        }
        // Nor need the keys, and what is there has all columns.
        FrameOp::Sort(_) | FrameOp::Given(_) => {
            let all = plan.push(op.clone(), inputs)?;
            select_columns(plan, all, needed)
        }
        FrameOp::Aggregate(aggregation) => {
            let aggs = kept_aggs(aggregation, needed);
            if aggs.len() == aggregation.aggs.len() {
                return plan.push(op.clone(), inputs);
            }
            // It was accepted with more of them, so that there is no error to tell a line of.
            let call = Call::new("agg");
            let schema = Arc::clone(&plan.meta(inputs[0]).schema);
            let fewer = Aggregation::new(aggregation.keys(), aggs, &schema, call)?;
            plan.push(FrameOp::Aggregate(fewer), inputs)
        }
        FrameOp::Ordered(added) | FrameOp::PerGroup(PerGroup { added, .. }) => {
            let added = added.keep(|name| needed.iter().any(|n| n == name));
            if added.exprs.is_empty() {
                return Ok(inputs[0]);
            }
            let op = match op {
                FrameOp::PerGroup(PerGroup { keys, .. }) => {
                    FrameOp::PerGroup(PerGroup { keys: Arc::clone(keys), added })
                }
                _ => FrameOp::Ordered(added),
            };
            plan.push(op, inputs)
        }
        FrameOp::Attach
        | FrameOp::ConcatHorizontal
        | FrameOp::Bridge(_)
        | FrameOp::Tail(_)
        | FrameOp::MapOverlap(_)
        | FrameOp::Slice { .. }
        | FrameOp::MapPartitions(_)
        | FrameOp::Repartition(_) => plan.push(op.clone(), inputs),
    }
}

/// `id` with just these columns.
pub(super) fn select_columns(
    plan: &mut Plan<FrameOp>,
    id: NodeId,
    columns: &[PlSmallStr],
) -> Result<NodeId> {
    let schema = &plan.meta(id).schema;
    if schema.iter_names().eq(columns.iter()) {
        return Ok(id);
    }
    let select = Select::columns(columns, schema);
    plan.push(FrameOp::Select(select), &[id])
}
