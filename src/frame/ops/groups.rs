//! Functions of groups of rows.

use std::sync::Arc;

use polars_core::prelude::{DataFrame, PlSmallStr, PolarsResult, SchemaRef};

use super::across;
use crate::error::{Call, Error, Result};
use crate::frame::expr::{Expr, ExprKind, check_column, col};
use crate::frame::kernels::group_by::apply_to_groups;
use crate::frame::op::{Aggregation, FrameOp, Handle, MapPartitions, Node, Repartition};

/// One row for each group of equal `keys`, with the keys and the `aggs`; without keys, one row.
pub(crate) fn aggregate(call: Call, handle: &Handle, keys: &[Expr], aggs: Vec<Expr>) -> Handle {
    handle.then(|node| {
        // Within groups, running sums and the like would be something else.
        let (node, aggs) = match keys.is_empty() && aggs.iter().any(Expr::crosses_rows) {
            true => across::flatten_aggregates(call, node, &aggs)?,
            false => (Arc::clone(node), aggs),
        };
        let aggregation = Aggregation::new(keys, aggs, &node.meta.schema, call)?;
        Node::of(FrameOp::Aggregate(aggregation), &[&node])
    })
}

/// What `function` makes of the rows of each group, one group after another, in frames of `schema`.
pub(crate) fn apply(
    call: Call,
    handle: &Handle,
    keys: &[Expr],
    schema: SchemaRef,
    function: impl Fn(DataFrame) -> PolarsResult<DataFrame> + Send + Sync + 'static,
) -> Handle {
    handle.then(|node| {
        let name = |key: &Expr| match key.kind() {
            ExprKind::Column(name) => Ok(name.clone()),
            _ => Err(Error::InvalidArgument {
                call,
                argument: "keys",
                got: key.to_string(),
                expected: "columns, of which there is one at least; with_columns() makes others",
            }),
        };
        let names: Vec<PlSmallStr> = keys.iter().map(name).collect::<Result<_>>()?;
        let together = together_node(call, node, names.clone())?;
        let of_none = DataFrame::empty_with_schema(&schema);
        let of_groups = Box::new(move |rows: DataFrame, _| match rows.height() {
            0 => Ok(of_none.clone()),
            _ => apply_to_groups(&rows, &names, &function),
        });
        let map = MapPartitions { name: "apply".into(), function: of_groups, schema, call };
        Node::of(FrameOp::MapPartitions(Arc::new(map)), &[&together])
    })
}

/// The same rows in partitions that have all rows of their keys.
pub(crate) fn together(call: Call, handle: &Handle, keys: Vec<PlSmallStr>) -> Handle {
    handle.then(|node| together_node(call, node, keys))
}

fn together_node(call: Call, node: &Arc<Node>, keys: Vec<PlSmallStr>) -> Result<Arc<Node>> {
    keys.iter().try_for_each(|name| check_column(name, &node.meta.schema, call))?;
    if keys.is_empty() {
        return Err(Error::InvalidArgument {
            call,
            argument: "keys",
            got: "none".into(),
            expected: "one column at least",
        });
    }
    Node::of(FrameOp::Repartition(Repartition::Keys(keys)), &[node])
}

/// The first row of each group of rows that are equal in the columns `subset`, or in all.
pub(crate) fn unique(call: Call, handle: &Handle, subset: Option<Vec<Expr>>) -> Handle {
    handle.then(|node| {
        let schema = &node.meta.schema;
        let all: Vec<Expr> = schema.iter_names().map(|name| col(name.clone())).collect();
        let keys = subset.unwrap_or_else(|| all.clone());
        let others = all.iter().filter(|column| !keys.contains(column)).map(Expr::first);
        let aggregation = Aggregation::new(&keys, others.collect(), schema, call)?;
        let unique = Node::of(FrameOp::Aggregate(aggregation), &[node])?;
        super::rows::select_node(call, &unique, all)
    })
}
