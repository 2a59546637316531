//! Columns that nobody needs are neither read nor computed.
//!
//! One walk from the results to the sources collects what is needed of each node by all of its users, so that what
//! is shared is still read once; a second one builds the plan anew. After the required-columns analysis of
//! relational optimizers (Dask's projection push-down, `dask_expr`).

use std::collections::HashMap;
use std::sync::Arc;

use polars_core::prelude::{PlSmallStr, Schema, SchemaExt};

use crate::error::{Error, Result};
use crate::frame::expr::Expr;
use crate::frame::kernels::join::join_schema;
use crate::frame::op::{FrameOp, Join, Scan, Select};
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
            false => in_order(needed.remove(&id).unwrap_or_default(), schema),
        };
        for (i, input) in plan.inputs(id).iter().enumerate() {
            let of_input = &plan.meta(*input).schema;
            let wanted = needed.entry(*input).or_default();
            add_inputs(plan.op(id), &own, i, of_input, wanted);
        }
        needed.insert(id, own);
    }
    needed
}

/// Adds to `wanted` what `op` needs of its input number `i` to make the columns `own`.
fn add_inputs(op: &FrameOp, own: &Needed, i: usize, input: &Schema, wanted: &mut Needed) {
    let add_exprs = |exprs: &[Expr], wanted: &mut Needed| {
        exprs.iter().for_each(|expr| expr.add_columns(wanted));
    };
    match op {
        FrameOp::Scan(_) => {}
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
        FrameOp::Slice { .. } | FrameOp::Concat | FrameOp::Repartition(_) => {
            wanted.extend(own.iter().cloned());
        }
        FrameOp::MapPartitions(_) => wanted.extend(input.iter_names().cloned()),
        FrameOp::Sort(sort) => {
            wanted.extend(own.iter().cloned());
            wanted.extend(sort.spec.by.iter().cloned());
        }
        FrameOp::Join(join) => {
            let spec = &join.spec;
            wanted.extend(if i == 0 { &spec.left_on } else { &spec.right_on }.iter().cloned());
            // A column of both sides keeps the other one's, because its name depends on it.
            let is_needed = |name: &&PlSmallStr| {
                own.contains(name) || own.contains(&format!("{name}{}", spec.suffix).into())
            };
            wanted.extend(input.iter_names().filter(is_needed).cloned());
        }
        FrameOp::Aggregate(aggregation) => {
            add_exprs(aggregation.keys(), wanted);
            add_exprs(&aggregation.aggs, wanted);
        }
    }
}

/// The names in the order of the schema.
fn in_order(names: Needed, schema: &Schema) -> Needed {
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
            let join = Join { spec: Arc::clone(&join.spec), schema };
            let joined = plan.push(FrameOp::Join(join), inputs)?;
            // Keys need not go on, nor the filter's own columns.
            select_columns(plan, joined, needed)
        }
        FrameOp::Filter(_) => {
            let filtered = plan.push(op.clone(), inputs)?;
            select_columns(plan, filtered, needed)
        }
        FrameOp::Slice { .. }
        | FrameOp::MapPartitions(_)
        | FrameOp::Aggregate(_)
        | FrameOp::Sort(_)
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
