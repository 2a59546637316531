//! Functions of groups of rows.

use std::sync::Arc;

use polars_core::prelude::{DataFrame, PlSmallStr, PolarsResult, Schema, SchemaRef};

use super::across;
use crate::error::{Call, Error, Result};
use crate::frame::expr::{Expr, ExprKind, check_column, col, expand, len, lit};
use crate::frame::kernels::group_by::{apply_to_groups, ends_of_groups};
use crate::frame::kernels::sort::{Limit, SortSpec};
use crate::frame::op::{Aggregation, FrameOp, Handle, MapPartitions, Node, Repartition};

/// One row for each group of equal `keys`, with the keys and the `aggs`; without keys, one row.
pub(crate) fn aggregate(call: Call, handle: &Handle, keys: &[Expr], aggs: Vec<Expr>) -> Handle {
    handle.then(|node| {
        let (keys, aggs) = expanded(call, node, keys, aggs)?;
        // Within groups, running sums and the like would be something else.
        let (node, aggs) = match keys.is_empty() && aggs.iter().any(Expr::crosses_rows) {
            true => across::flatten_aggregates(call, node, &aggs)?,
            false => (Arc::clone(node), aggs),
        };
        let aggregation = Aggregation::new(&keys, aggs, &node.meta.schema, call)?;
        Node::of(FrameOp::Aggregate(aggregation), &[&node])
    })
}

/// As [`aggregate`], with the groups in the order in which their first rows stand.
pub(crate) fn aggregate_in_order(
    call: Call,
    handle: &Handle,
    keys: &[Expr],
    aggs: Vec<Expr>,
) -> Handle {
    handle.then(|node| {
        let (keys, mut aggs) = expanded(call, node, keys, aggs)?;
        let names: Vec<PlSmallStr> = keys.iter().chain(&aggs).map(Expr::output_name).collect();
        let mut row = super::clean::free_name("row", node);
        while names.contains(&row) {
            row = format!("{row}_").into();
        }
        let numbered = super::clean::with_row_index(call, handle, row.clone(), 0);
        aggs.push(col(row.clone()).min());
        let groups = aggregate(call, &numbered, &keys, aggs);
        let sorted = super::sorts::sort(call, &groups, SortSpec::new([row], false, true), None);
        super::rows::select(call, &sorted, names.into_iter().map(col).collect()).node().cloned()
    })
}

/// Keys and aggregates with each selector as the columns that it chooses.
fn expanded(
    call: Call,
    node: &Node,
    keys: &[Expr],
    aggs: Vec<Expr>,
) -> Result<(Vec<Expr>, Vec<Expr>)> {
    let schema = &node.meta.schema;
    let keys = expand(keys.to_vec(), schema, call)?;
    // A key is no column to be aggregated, unless it is asked for by name.
    let aggs = expand(aggs, &others(schema, &keys), call)?;
    Ok((keys, aggs))
}

/// The columns of `schema` that are no keys.
fn others(schema: &Schema, keys: &[Expr]) -> Schema {
    let is_other = |name: &PlSmallStr| !keys.iter().any(|key| key.output_name() == *name);
    let fields = schema.iter().filter(|(name, _)| is_other(name));
    fields.map(|(name, dtype)| (name.clone(), dtype.clone())).collect()
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
        let names = key_columns(call, keys)?;
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

/// The first rows of each group, or the last: of each partition first, and of what is left of a group together.
pub(crate) fn ends(call: Call, handle: &Handle, keys: &[Expr], end: Limit) -> Handle {
    handle.then(|node| {
        let names = key_columns(call, keys)?;
        let schema = &node.meta.schema;
        let of_partitions = |node: &Arc<Node>| {
            let (names, schema) = (names.clone(), Arc::clone(schema));
            let ends = move |rows: &DataFrame| ends_of_groups(rows, &names, end);
            super::reshape::partitions(call, node, call.op, schema, ends)
        };
        names.iter().try_for_each(|name| check_column(name, schema, call))?;
        of_partitions(&together_node(call, &of_partitions(node)?, names.clone())?)
    })
}

/// The names of keys that are columns.
fn key_columns(call: Call, keys: &[Expr]) -> Result<Vec<PlSmallStr>> {
    let name = |key: &Expr| match key.kind() {
        ExprKind::Column(name) => Ok(name.clone()),
        _ => Err(Error::InvalidArgument {
            call,
            argument: "keys",
            got: key.to_string(),
            expected: "columns, of which there is one at least; with_columns() makes others",
        }),
    };
    keys.iter().map(name).collect()
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

/// Which row of several equal ones [`DataFrame::unique_keep`](crate::frame::DataFrame::unique_keep) keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UniqueKeep {
    /// The first one.
    #[default]
    First,
    /// The last one.
    Last,
    /// Whichever is the cheapest, which is the first one today.
    Any,
    /// None of them: only rows that no other is equal to.
    None,
}

/// One row, or none, of each group of rows that are equal in the columns `subset`, or in all.
pub(crate) fn unique(
    call: Call,
    handle: &Handle,
    subset: Option<Vec<Expr>>,
    keep: UniqueKeep,
) -> Handle {
    handle.then(|node| {
        let schema = &node.meta.schema;
        let all: Vec<Expr> = schema.iter_names().map(|name| col(name.clone())).collect();
        let keys = match subset {
            Some(subset) => expand(subset, schema, call)?,
            None => all.clone(),
        };
        let others = all.iter().filter(|column| !keys.contains(column));
        let mut aggs: Vec<Expr> = match keep {
            UniqueKeep::Last => others.map(Expr::last).collect(),
            _ => others.map(Expr::first).collect(),
        };
        let n = super::clean::free_name("n", node);
        if keep == UniqueKeep::None {
            aggs.push(len().alias(n.clone()));
        }
        let aggregation = Aggregation::new(&keys, aggs, schema, call)?;
        let mut unique = Node::of(FrameOp::Aggregate(aggregation), &[node])?;
        if keep == UniqueKeep::None {
            unique = super::rows::filter_node(call, &unique, col(n).eq(lit(1)))?;
        }
        super::rows::select_node(call, &unique, all)
    })
}
