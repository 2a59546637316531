//! Functions that fill, drop, number and pick rows.

use std::sync::Arc;

use polars_core::prelude::{Column, DataType, Float64Chunked, IntoColumn, PlSmallStr, SchemaExt};

use super::rows::{concat_nodes, filter_node, joined, select_node};
use crate::error::{Call, Error, Result};
use crate::frame::expr::{Expr, ExprKind, check_column, col, lit, map_many, null, ones};
use crate::frame::kernels::sort::SortSpec;
use crate::frame::op::{Added, FrameOp, Handle, Node};

/// The rows in which no column of `subset`, or none at all, is missing, by what `is_there` says of a column.
pub(crate) fn drop_rows(
    call: Call,
    handle: &Handle,
    subset: Option<Vec<PlSmallStr>>,
    is_there: impl Fn(Expr, &DataType) -> Option<Expr>,
) -> Handle {
    handle.then(|node| {
        let schema = &node.meta.schema;
        let names = subset.unwrap_or_else(|| schema.iter_names().cloned().collect());
        names.iter().try_for_each(|name| check_column(name, schema, call))?;
        let there = names.iter().filter_map(|name| is_there(col(name.clone()), schema.get(name)?));
        match there.reduce(|a, b| a.and(b)) {
            Some(predicate) => filter_node(call, node, predicate),
            None => Ok(Arc::clone(node)),
        }
    })
}

/// `change` of the columns for which it is something, in their places.
pub(crate) fn map_columns(
    call: Call,
    handle: &Handle,
    change: impl Fn(Expr, &DataType) -> Option<Expr>,
) -> Handle {
    handle.then(|node| {
        let columns = node.meta.schema.iter_fields().map(|field| {
            let column = col(field.name().clone());
            change(column.clone(), field.dtype()).unwrap_or(column)
        });
        let columns = columns.collect();
        select_node(call, node, columns)
    })
}

/// `value` where there is none, in the columns that can hold it.
pub(crate) fn fill_null(call: Call, handle: &Handle, value: &Expr) -> Handle {
    let fits = |dtype: &DataType| match value.kind() {
        ExprKind::Literal(literal) => {
            let own = literal.value.dtype();
            own == dtype
                || (own.is_primitive_numeric() && dtype.is_primitive_numeric())
                || (own.is_string() && (dtype.is_categorical() || dtype.is_enum()))
        }
        _ => true,
    };
    map_columns(call, handle, |column, dtype| fits(dtype).then(|| column.fill_null(value.clone())))
}

/// The columns as these dtypes.
pub(crate) fn cast(call: Call, handle: &Handle, dtypes: &[(PlSmallStr, DataType)]) -> Handle {
    let known = handle.then(|node| {
        let schema = &node.meta.schema;
        dtypes.iter().try_for_each(|(name, _)| check_column(name, schema, call))?;
        Ok(Arc::clone(node))
    });
    map_columns(call, &known, |column, _| {
        let (_, dtype) = dtypes.iter().find(|(name, _)| *name == column.output_name())?;
        Some(column.strict_cast(dtype.clone()))
    })
}

/// The number of each row in a column `name` before the others.
pub(crate) fn with_row_index(call: Call, handle: &Handle, name: PlSmallStr, offset: u64) -> Handle {
    handle.then(|node| {
        let schema = &node.meta.schema;
        if schema.contains(&name) {
            return Err(Error::DuplicateColumn { call, name: name.to_string() });
        }
        // How many rows there are before a partition is a running sum of ones.
        let count = ones().cum_sum(false).alias(name.clone());
        let counted = FrameOp::Ordered(Added::new(vec![count], schema, call)?);
        let counted = Node::of(counted, &[node])?;
        let first = lit(1_u64).cast(DataType::UInt64);
        let offset = lit(offset).cast(DataType::UInt64);
        let number = (col(name.clone()) - first + offset).alias(name);
        let others = schema.iter_names().map(|name| col(name.clone()));
        select_node(call, &counted, std::iter::once(number).chain(others).collect())
    })
}

/// About a `fraction` of the rows, each chosen by a hash of its number and `seed`.
pub(crate) fn sample(call: Call, handle: &Handle, fraction: f64, seed: u64) -> Handle {
    handle.then(|node| {
        if !(0.0..=1.0).contains(&fraction) {
            return Err(Error::InvalidArgument {
                call,
                argument: "fraction",
                got: fraction.to_string(),
                expected: "a number between 0 and 1",
            });
        }
        let index = free_name("row", node);
        let numbered = with_row_index(call, handle, index.clone(), 0);
        let is_chosen = lot(index, seed).lt(fraction);
        let chosen = filter_node(call, numbered.node()?, is_chosen)?;
        let columns = node.meta.schema.iter_names().map(|name| col(name.clone())).collect();
        select_node(call, &chosen, columns)
    })
}

/// `n` rows, those with the smallest hashes of their numbers and `seed`, in their order.
pub(crate) fn sample_n(call: Call, handle: &Handle, n: u64, seed: u64) -> Handle {
    handle.then(|node| {
        let (index, drawn) = (free_name("row", node), free_name("lot", node));
        let numbered = with_row_index(call, handle, index.clone(), 0);
        let lots = lot(index.clone(), seed).alias(drawn.clone());
        let lots = super::rows::with_columns(call, &numbered, vec![lots]);
        // Equal lots are drawn by number.
        let by_lot = SortSpec::new([drawn, index.clone()], false, true);
        let chosen = super::sorts::sort(call, &lots, by_lot, Some(n));
        let in_order = SortSpec::new([index], false, true);
        let chosen = super::sorts::sort(call, &chosen, in_order, None);
        let columns = node.meta.schema.iter_names().map(|name| col(name.clone())).collect();
        select_node(call, chosen.node()?, columns)
    })
}

/// For each row a number in `0..1` of its number in the column `index`.
fn lot(index: PlSmallStr, seed: u64) -> Expr {
    let draw = move |columns: &[Column]| {
        let numbers = columns[0].u64()?.iter();
        let lots: Float64Chunked = numbers.map(|n| n.map(|n| unit(n, seed))).collect();
        Ok(lots.into_column())
    };
    map_many([col(index)], draw, DataType::Float64)
}

/// A number in `0..1`, as if by chance, by two rounds of SplitMix64.
fn unit(n: u64, seed: u64) -> f64 {
    let mix = |n: u64| {
        let n = n.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        n ^ (n >> 31)
    };
    (mix(mix(seed) ^ n) >> 11) as f64 / (1_u64 << 53) as f64
}

/// A name that is no column yet.
pub(super) fn free_name(stem: &str, node: &Node) -> PlSmallStr {
    let mut name = format!("__{stem}");
    while node.meta.schema.contains(&name) {
        name.push('_');
    }
    name.into()
}

/// The last `n` rows.
pub(crate) fn tail(handle: &Handle, n: u64) -> Handle {
    handle.then(|node| Node::of(FrameOp::Tail(n), &[node]))
}

/// The columns of all frames, one frame after another, null where a frame lacks one.
pub(crate) fn concat_diagonal(call: Call, handles: &[&Handle]) -> Handle {
    joined(call, handles, |nodes| {
        let schemas = nodes.iter().map(|node| node.meta.schema.as_ref());
        let schema = crate::frame::kernels::concat::diagonal_schema(schemas);
        let widened = nodes.iter().map(|node| {
            let columns = schema.iter().map(|(name, dtype)| match node.meta.schema.get(name) {
                Some(own) if own == dtype || !own.is_null() => col(name.clone()),
                _ => null().cast(dtype.clone()).alias(name.clone()),
            });
            select_node(call, node, columns.collect())
        });
        let widened = widened.collect::<Result<Vec<_>>>()?;
        concat_nodes(call, &widened.iter().collect::<Vec<_>>())
    })
}
