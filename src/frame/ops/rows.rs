//! Functions that look at rows one by one, or take some of them.

use std::sync::Arc;

use polars_core::prelude::{Column, DataFrame, DataType, PlSmallStr, Schema, SchemaRef};

use super::across;
use crate::error::{Call, Error, Result};
use crate::frame::expr::{Expr, Shape, check_column, col, expand, expand_one, infer_field};
use crate::frame::io::Source;
use crate::frame::kernels::sort::SortSpec;
use crate::frame::op::{
    FrameOp, Handle, MapPartitions, Node, PartitionFunction, Ranges, Repartition, Scan, Select,
    Sort,
};
use crate::frame::show::schema_text;

/// All rows and columns of a source.
pub(crate) fn scan(source: Arc<dyn Source>) -> Result<Arc<Node>> {
    let columns = source.schema().iter_names().cloned().collect();
    let scan = Scan { source, columns, conditions: [].into(), n_rows_max: None };
    Node::of(FrameOp::Scan(scan), &[])
}

/// The rows of each partition, if they are known and stay so whatever the plan becomes.
pub(crate) fn known_rows(node: &Arc<Node>) -> Option<Vec<u64>> {
    let mut rows = Vec::new();
    let mut stack = vec![node];
    while let Some(node) = stack.pop() {
        match &node.op {
            FrameOp::Scan(scan) if scan.conditions.is_empty() && scan.n_rows_max.is_none() => {
                for part in 0..scan.source.n_parts() {
                    rows.push(scan.source.n_rows(part)?);
                }
            }
            FrameOp::Bridge(bridged) => rows.extend_from_slice(bridged.rows_of.as_ref()?),
            FrameOp::Select(_) | FrameOp::Concat => stack.extend(node.inputs.iter().rev()),
            // Sorted rows stay in their partitions.
            FrameOp::Sort(Sort { limit: None, ranges: Ranges::Kept { .. }, .. }) => {
                stack.extend(&node.inputs);
            }
            _ => return None,
        }
    }
    Some(rows)
}

/// As [`scan`], of rows that an earlier run has sorted by the index.
pub(crate) fn persisted(
    call: Call,
    source: Arc<dyn Source>,
    index: Option<PlSmallStr>,
) -> Result<Arc<Node>> {
    let scan = scan(source)?;
    let Some(index) = index else { return Ok(scan) };
    let (spec, ranges) = (Arc::new(SortSpec::new([index], false, true)), Ranges::Kept { call });
    Node::of(FrameOp::Sort(Sort { spec, limit: None, is_index: true, ranges }), &[&scan])
}

/// The columns that `exprs` compute.
pub(crate) fn select(call: Call, handle: &Handle, exprs: Vec<Expr>) -> Handle {
    handle.then(|node| {
        let exprs = expand(exprs, &node.meta.schema, call)?;
        let is_aggregate = |expr: &Expr| expr.crosses_rows() && expr.shape() == Shape::Scalar;
        let is_one_row = exprs.iter().any(is_aggregate)
            && exprs.iter().all(|expr| expr.shape() == Shape::Scalar);
        if is_one_row {
            return super::groups::aggregate(call, handle, &[], exprs).node().cloned();
        }
        select_node(call, node, exprs)
    })
}

/// The columns that `exprs` compute, as many rows as there are.
pub(super) fn select_node(call: Call, node: &Arc<Node>, exprs: Vec<Expr>) -> Result<Arc<Node>> {
    let (node, exprs) = flatten(call, node, exprs)?;
    let select = Select::new(exprs, &node.meta.schema, call)?;
    Node::of(FrameOp::Select(select), &[&node])
}

/// The frame itself, if `exprs` look at single rows, or one that has what they look at.
fn flatten(call: Call, node: &Arc<Node>, exprs: Vec<Expr>) -> Result<(Arc<Node>, Vec<Expr>)> {
    match exprs.iter().any(Expr::crosses_rows) {
        true => across::flatten(call, node, &exprs),
        false => Ok((Arc::clone(node), exprs)),
    }
}

/// All columns, and those that `exprs` compute behind them or in the place of those of the same name.
pub(crate) fn with_columns(call: Call, handle: &Handle, exprs: Vec<Expr>) -> Handle {
    handle.then(|node| {
        let mut all: Vec<Expr> = node.meta.schema.iter_names().map(|n| col(n.clone())).collect();
        for expr in expand(exprs, &node.meta.schema, call)? {
            let name = expr.output_name();
            match all.iter_mut().find(|other| other.output_name() == name) {
                // Two new columns of one name are a mistake, which `select` finds.
                Some(old) if *old == col(name.clone()) => *old = expr,
                _ => all.push(expr),
            }
        }
        select_node(call, node, all)
    })
}

/// The rows for which `predicate` is true.
pub(crate) fn filter(call: Call, handle: &Handle, predicate: Expr) -> Handle {
    handle.then(|node| filter_node(call, node, expand_one(predicate, &node.meta.schema, call)?))
}

pub(super) fn filter_node(call: Call, node: &Arc<Node>, predicate: Expr) -> Result<Arc<Node>> {
    let field = infer_field(&predicate, &node.meta.schema, call)?;
    if *field.dtype() != DataType::Boolean {
        return Err(Error::DTypeMismatch {
            call,
            got: field.dtype().to_string(),
            expected: "bool".into(),
        });
    }
    let (wide, mut flat) = flatten(call, node, vec![predicate])?;
    let kept = Node::of(FrameOp::Filter(flat.swap_remove(0)), &[&wide])?;
    if wide.meta.schema == node.meta.schema {
        return Ok(kept);
    }
    let columns: Vec<PlSmallStr> = node.meta.schema.iter_names().cloned().collect();
    Node::of(FrameOp::Select(Select::columns(&columns, &wide.meta.schema)), &[&kept])
}

/// The same rows in other partitions.
pub(crate) fn repartition(handle: &Handle, to: Repartition) -> Handle {
    handle.then(|node| Node::of(FrameOp::Repartition(to), &[node]))
}

/// Columns under other names.
pub(crate) fn rename(call: Call, handle: &Handle, names: &[(PlSmallStr, PlSmallStr)]) -> Handle {
    handle.then(|node| {
        let schema = &node.meta.schema;
        names.iter().try_for_each(|(old, _)| check_column(old, schema, call))?;
        let exprs = schema.iter_names().map(|name| {
            let new = names.iter().find(|(old, _)| old == name);
            new.map_or_else(|| col(name.clone()), |(old, new)| col(old.clone()).alias(new.clone()))
        });
        let exprs = exprs.collect();
        select_node(call, node, exprs)
    })
}

/// All columns but these.
pub(crate) fn drop_columns(call: Call, handle: &Handle, names: &[PlSmallStr]) -> Handle {
    handle.then(|node| {
        let schema = &node.meta.schema;
        names.iter().try_for_each(|name| check_column(name, schema, call))?;
        let kept = schema.iter_names().filter(|name| !names.contains(name));
        let kept: Vec<PlSmallStr> = kept.cloned().collect();
        Node::of(FrameOp::Select(Select::columns(&kept, schema)), &[node])
    })
}

/// Rows `offset..offset + len`.
pub(crate) fn slice(handle: &Handle, offset: u64, len: u64) -> Handle {
    handle.then(|node| Node::of(FrameOp::Slice { offset, len }, &[node]))
}

/// The rows of frames of the same columns, one frame after another.
pub(crate) fn concat(call: Call, handles: &[&Handle]) -> Handle {
    joined(call, handles, |nodes| concat_nodes(call, nodes))
}

pub(super) fn concat_nodes(call: Call, nodes: &[&Arc<Node>]) -> Result<Arc<Node>> {
    let schema = &nodes[0].meta.schema;
    if let Some(other) = nodes.iter().find(|node| node.meta.schema != *schema) {
        return Err(Error::SchemaMismatch {
            call,
            got: schema_text(&other.meta.schema),
            expected: schema_text(schema),
            remedy: "give all frames the same columns with select() and cast()",
        });
    }
    Node::of(FrameOp::Concat, nodes)
}

/// The columns of frames of as many rows side by side.
pub(crate) fn concat_horizontal(call: Call, handles: &[&Handle]) -> Handle {
    joined(call, handles, |nodes| {
        let mut names = Vec::new();
        for name in nodes.iter().flat_map(|node| node.meta.schema.iter_names()) {
            if names.contains(&name) {
                return Err(Error::DuplicateColumn { call, name: name.to_string() });
            }
            names.push(name);
        }
        match nodes {
            [node] => Ok(Arc::clone(node)),
            nodes => Node::of(FrameOp::ConcatHorizontal, nodes),
        }
    })
}

/// What `join` makes of frames, of which there is one at least.
pub(super) fn joined(
    call: Call,
    handles: &[&Handle],
    join: impl FnOnce(&[&Arc<Node>]) -> Result<Arc<Node>>,
) -> Handle {
    if handles.is_empty() {
        return Handle::from_result(Err(Error::InvalidArgument {
            call,
            argument: "frames",
            got: "none".into(),
            expected: "one frame at least",
        }));
    }
    Handle::join(handles, join)
}

/// A user's function of whole partitions, which returns frames of `schema`.
pub(crate) fn map_partitions(
    call: Call,
    handle: &Handle,
    schema: SchemaRef,
    function: Box<PartitionFunction>,
) -> Handle {
    handle.then(|node| {
        let map = MapPartitions { name: "map_partitions".into(), function, schema, call };
        Node::of(FrameOp::MapPartitions(Arc::new(map)), &[node])
    })
}

/// The number of rows of each partition, one row each.
pub(crate) fn partition_lengths(call: Call, handle: &Handle) -> Handle {
    let name = PlSmallStr::from_static("len");
    let schema = Arc::new(Schema::from_iter([(name.clone(), DataType::UInt64)]));
    let count = move |rows: DataFrame, _| {
        DataFrame::new(1, vec![Column::new(name.clone(), [rows.height() as u64])])
    };
    map_partitions(call, handle, schema, Box::new(count))
}
