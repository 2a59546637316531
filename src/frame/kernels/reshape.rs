//! Rows that become several: lists taken apart, columns turned into rows.

use polars_core::frame::DataFrame;
use polars_core::prelude::{Column, DataType, ExplodeOptions, IdxSize, PlSmallStr};
use polars_core::prelude::{ListChunked, UnpivotArgsIR};
use polars_ops::prelude::UnpivotDF;

use super::rows::gather;
use super::{failed, refused};
use crate::error::Result;

/// A row for each element of the lists in `names`; an empty list, or none, is one null.
///
/// Polars has this too, but on threads of its own.
pub(crate) fn explode(frame: &DataFrame, names: &[PlSmallStr]) -> Result<DataFrame> {
    let operation = "explode";
    let mut lengths: Option<Vec<usize>> = None;
    let mut exploded: Vec<Column> = Vec::with_capacity(names.len());
    for name in names {
        let column = frame.column(name).map_err(failed(operation))?;
        let lists = column.list().map_err(failed(operation))?;
        let own = row_counts(lists);
        if lengths.as_ref().is_some_and(|lengths| *lengths != own) {
            return Err(refused(operation, format!("the lists of {name} have other lengths")));
        }
        lengths = Some(own);
        let options = ExplodeOptions { empty_as_null: true, keep_nulls: true };
        let values = column.as_materialized_series().explode(options).map_err(failed(operation))?;
        exploded.push(values.with_name(name.clone()).into());
    }
    let counts = lengths.unwrap_or_else(|| vec![1; frame.height()]);
    let rows: Vec<IdxSize> = counts
        .iter()
        .enumerate()
        .flat_map(|(row, &n)| std::iter::repeat_n(row as IdxSize, n))
        .collect();
    let height = rows.len();
    let others = gather(operation, &frame.drop_many(names.iter().cloned()), rows)?;
    let columns = frame.columns().iter().map(|column| {
        let found = exploded.iter().find(|other| other.name() == column.name());
        match found {
            Some(found) => Ok(found.clone()),
            None => others.column(column.name()).cloned().map_err(failed(operation)),
        }
    });
    DataFrame::new(height, columns.collect::<Result<_>>()?).map_err(failed(operation))
}

/// How many rows each list becomes.
fn row_counts(lists: &ListChunked) -> Vec<usize> {
    let mut counts = Vec::with_capacity(lists.len());
    for chunk in lists.downcast_iter() {
        let offsets = chunk.offsets();
        for row in 0..chunk.len() {
            let is_null = chunk.validity().is_some_and(|valid| !valid.get_bit(row));
            let n = if is_null { 0 } else { offsets[row + 1] - offsets[row] };
            counts.push(n.max(1) as usize);
        }
    }
    counts
}

/// The columns `on` as rows: the columns `index`, then the name of the column, and its value.
pub(crate) fn unpivot(
    frame: &DataFrame,
    on: &[PlSmallStr],
    index: &[PlSmallStr],
    dtype: &DataType,
) -> Result<DataFrame> {
    let operation = "unpivot";
    let args = UnpivotArgsIR::new(vec![], Some(on.to_vec()), index.to_vec(), None, None);
    let mut frame = frame.clone();
    for name in on {
        let cast = frame.column(name).and_then(|column| column.cast(dtype));
        frame.with_column(cast.map_err(failed(operation))?).map_err(failed(operation))?;
    }
    // What is not in one piece polars puts together on threads of its own.
    frame.rechunk_mut();
    frame.unpivot2(args).map_err(failed(operation))
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars_core::df;
    use polars_core::prelude::{NamedFrom, Series};

    #[test]
    fn lists_become_rows() {
        let lists = Series::new(
            "l".into(),
            [
                Some(Series::new("".into(), [1_i64, 2])),
                None,
                Some(Series::new("".into(), Vec::<i64>::new())),
                Some(Series::new("".into(), [3_i64])),
            ],
        );
        let mut frame = df!["a" => ["w", "x", "y", "z"]].unwrap();
        frame.with_column(lists.into()).unwrap();
        let out = explode(&frame, &["l".into()]).unwrap();
        let expected = df![
            "a" => ["w", "w", "x", "y", "z"],
            "l" => [Some(1_i64), Some(2), None, None, Some(3)],
        ];
        assert!(out.equals_missing(&expected.unwrap()), "{out:?}");
        let sliced = explode(&frame.slice(1, 3), &["l".into()]).unwrap();
        assert!(sliced.equals_missing(&out.slice(2, 3)));
    }
}
