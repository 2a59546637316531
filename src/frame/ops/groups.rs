//! Functions of groups of rows.

use std::sync::Arc;

use super::across;
use crate::error::Call;
use crate::frame::expr::{Expr, col};
use crate::frame::op::{Aggregation, FrameOp, Handle, Node};

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
