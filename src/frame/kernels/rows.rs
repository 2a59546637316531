//! Rows of key columns as bytes that compare as the rows do.

use polars_arrow::array::BinaryArray;
use polars_core::frame::DataFrame;
use polars_core::prelude::{Column, IdxCa, IdxSize, NewChunkedArray, PlSmallStr, PolarsResult};

use super::{failed, refused};
use crate::error::Result;
use crate::frame::expr::row_keys;

/// Encoded keys of the rows of a frame.
pub(super) struct Rows(BinaryArray<i64>);

impl Rows {
    /// Keys whose bytes are in the order of a sort by these columns.
    pub(super) fn ordered(
        operation: &str,
        frame: &DataFrame,
        by: &[PlSmallStr],
        descending: &[bool],
        nulls_last: &[bool],
    ) -> Result<Self> {
        let columns = key_columns(operation, frame, by)?;
        let keys = row_keys(&columns, descending, nulls_last);
        Ok(Self(keys.map_err(failed(operation))?))
    }

    /// Keys that are equal where the rows are, nulls equal to each other.
    pub(super) fn equal(operation: &str, frame: &DataFrame, by: &[PlSmallStr]) -> Result<Self> {
        let no = vec![false; by.len()];
        Self::ordered(operation, frame, by, &no, &no)
    }

    pub(super) fn get(&self, row: IdxSize) -> &[u8] {
        self.0.value(row as usize)
    }
}

/// The columns of a key, which must be of types that polars can encode.
pub(super) fn key_columns(
    operation: &str,
    frame: &DataFrame,
    by: &[PlSmallStr],
) -> Result<Vec<Column>> {
    let columns = frame.select_to_vec(by).map_err(failed(operation))?;
    match columns.iter().find(|c| c.dtype().is_object() || c.dtype().is_unknown()) {
        Some(column) => Err(refused(
            operation,
            format!("column {} of dtype {} can't be a key", column.name(), column.dtype()),
        )),
        None => Ok(columns),
    }
}

/// The rows of these numbers, in this order.
///
/// Column by column: polars would hand them to threads of its own, where those of the run are busy with other partitions.
pub(super) fn gather(operation: &str, frame: &DataFrame, rows: Vec<IdxSize>) -> Result<DataFrame> {
    taken(operation, frame, &IdxCa::from_vec(PlSmallStr::EMPTY, rows))
}

/// As [`gather`], with a row of nulls for each `none`.
pub(super) fn gather_known(
    operation: &str,
    frame: &DataFrame,
    rows: Vec<IdxSize>,
    none: IdxSize,
) -> Result<DataFrame> {
    if !rows.contains(&none) {
        return gather(operation, frame, rows);
    }
    let known = rows.into_iter().map(|row| (row != none).then_some(row));
    taken(operation, frame, &IdxCa::from_iter_options(PlSmallStr::EMPTY, known))
}

fn taken(operation: &str, frame: &DataFrame, rows: &IdxCa) -> Result<DataFrame> {
    let columns = frame.columns().iter().map(|column| column.take(rows));
    let columns = columns.collect::<PolarsResult<Vec<_>>>().map_err(failed(operation))?;
    DataFrame::new(rows.len(), columns).map_err(failed(operation))
}
