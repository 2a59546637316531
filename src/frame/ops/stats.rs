//! Functions that summarize columns.

use std::sync::Arc;

use polars_core::prelude::{Column, DataFrame, DataType, PlSmallStr, Schema};

use super::clean::free_name;
use super::reshape::partitions;
use super::{groups, rows, sorts};
use crate::error::{Call, Error, Result};
use crate::frame::expr::{self, Expr, Interpolation, col, len};
use crate::frame::kernels::sort::SortSpec;
use crate::frame::kernels::values_error;
use crate::frame::op::Handle;

/// Each value of a column with the number of its rows, the most frequent first.
pub(crate) fn value_counts(call: Call, handle: &Handle, column: &PlSmallStr) -> Handle {
    counted(call, handle, column, "count".into())
}

fn counted(call: Call, handle: &Handle, column: &PlSmallStr, count: PlSmallStr) -> Handle {
    let counted =
        groups::aggregate(call, handle, &[col(column.clone())], vec![len().alias(count.clone())]);
    sorts::sort(call, &counted, SortSpec::new([count], true, false), None)
}

/// The most frequent values of a column.
pub(crate) fn mode(call: Call, handle: &Handle, column: &PlSmallStr) -> Handle {
    handle.then(|node| {
        let count = free_name("count", node);
        let counted = counted(call, handle, column, count.clone());
        let is_most = col(count.clone()).eq(col(count).max());
        let most = rows::filter(call, &counted, is_most);
        rows::select(call, &most, vec![col(column.clone())]).node().cloned()
    })
}

/// The covariance of two columns over the rows in which both have a value.
pub(crate) fn cov(call: Call, handle: &Handle, [x, y]: [&PlSmallStr; 2], ddof: u8) -> Handle {
    let cov = expr::cov(col(x.clone()), col(y.clone()), ddof).alias("cov");
    groups::aggregate(call, handle, &[], vec![cov])
}

/// Pearson's correlation of two columns over the rows in which both have a value.
pub(crate) fn corr(call: Call, handle: &Handle, [x, y]: [&PlSmallStr; 2]) -> Handle {
    let corr = expr::corr(col(x.clone()), col(y.clone())).alias("corr");
    groups::aggregate(call, handle, &[], vec![corr])
}

/// What [`describe`] says of each column, in the order of its rows.
const STATISTICS: [&str; 9] =
    ["count", "null_count", "mean", "std", "min", "25%", "50%", "75%", "max"];

/// Counts, means, extremes and quartiles of all columns.
pub(crate) fn describe(call: Call, handle: &Handle) -> Handle {
    handle.then(|node| {
        let schema = &node.meta.schema;
        if schema.is_empty() {
            return Err(Error::InvalidArgument {
                call,
                argument: "the frame",
                got: "no columns".into(),
                expected: "one column at least",
            });
        }
        let mut exprs: Vec<Expr> = vec![];
        for (name, dtype) in schema.iter() {
            for (i, statistic) in statistics(&col(name.clone()), dtype).into_iter().enumerate() {
                exprs.extend(statistic.map(|expr| expr.alias(format!("{i}:{name}"))));
            }
        }
        let row = groups::aggregate(call, handle, &[], exprs);
        let out: Schema = std::iter::once(("statistic".into(), DataType::String))
            .chain(schema.iter().map(|(name, dtype)| (name.clone(), described(dtype))))
            .collect();
        let (input, row) = (Arc::clone(schema), Arc::clone(row.node()?));
        partitions(call, &row, "describe", Arc::new(out), move |row| turned(row, &input))
    })
}

/// The dtype of what is said of a column: a number if it can be one, otherwise text.
fn described(dtype: &DataType) -> DataType {
    match dtype.is_primitive_numeric() || dtype.is_bool() || dtype.is_decimal() {
        true => DataType::Float64,
        false => DataType::String,
    }
}

fn statistics(x: &Expr, dtype: &DataType) -> [Option<Expr>; 9] {
    let is_number = dtype.is_primitive_numeric() || dtype.is_decimal();
    let has_order = !dtype.is_nested() && !dtype.is_null() && !dtype.is_categorical();
    let mean = (is_number || dtype.is_bool() || dtype.is_temporal()).then(|| x.mean());
    let quantile = |q| {
        let wanted = is_number || dtype.is_temporal();
        wanted.then(|| x.quantile(q, Interpolation::Nearest))
    };
    let ordered = |expr: Expr| has_order.then_some(expr);
    [
        Some(x.count()),
        Some(x.null_count()),
        mean,
        is_number.then(|| x.std(1)),
        ordered(x.min()),
        quantile(0.25),
        quantile(0.5),
        quantile(0.75),
        ordered(x.max()),
    ]
}

/// One row of all statistics as a row for each.
fn turned(row: &DataFrame, schema: &Schema) -> Result<DataFrame> {
    let failed = || values_error("describe");
    let mut columns = vec![Column::new("statistic".into(), STATISTICS)];
    for (name, dtype) in schema.iter() {
        let dtype = described(dtype);
        let mut all = Column::new_empty(name.clone(), &dtype);
        for i in 0..STATISTICS.len() {
            let value = match row.column(&format!("{i}:{name}")) {
                Ok(value) => value.cast(&dtype).map_err(failed())?,
                Err(_) => Column::full_null(name.clone(), 1, &dtype),
            };
            all.append(&value).map_err(failed())?;
        }
        columns.push(all);
    }
    DataFrame::new(STATISTICS.len(), columns).map_err(failed())
}
