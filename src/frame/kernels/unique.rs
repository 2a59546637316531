//! Different rows, and how often each value comes.

use polars_core::frame::{DataFrame, UniqueKeepStrategy};
use polars_core::prelude::{Column, DataType, IdxSize, PlHashMap, PlSmallStr};

use super::concat::vertical;
use super::rows::{Rows, gather, key_columns};
use super::{failed, refused};
use crate::error::Result;

/// One row of those that are equal in `subset`, or in all columns; in the order of the kept rows if
/// `maintain_order`.
///
/// `UniqueKeepStrategy::None` keeps only rows that have no equal one. All strategies but that can be run on
/// pieces first and then on what is left of them.
pub(crate) fn unique(
    frame: &DataFrame,
    subset: Option<&[PlSmallStr]>,
    keep: UniqueKeepStrategy,
    maintain_order: bool,
) -> Result<DataFrame> {
    if let Some(subset) = subset {
        key_columns("unique", frame, subset)?;
        if subset.is_empty() {
            return Err(refused("unique", "there are no columns to compare"));
        }
    }
    if frame.columns().iter().any(|column| contains_decimal(column.dtype())) {
        let all = frame.get_column_names_owned();
        return unique_rows(frame, subset.unwrap_or(&all), keep);
    }
    frame
        .unique_impl(maintain_order, subset.map(<[_]>::to_vec), keep, None)
        .map_err(failed("unique"))
}

/// Polars panics when it groups by decimals without its 128-bit integers, which are build time for everybody.
fn contains_decimal(dtype: &DataType) -> bool {
    match dtype {
        DataType::List(inner) => contains_decimal(inner),
        DataType::Struct(fields) => fields.iter().any(|field| contains_decimal(field.dtype())),
        dtype => dtype.is_decimal(),
    }
}

/// As [`unique`], by the encoded rows.
fn unique_rows(
    frame: &DataFrame,
    subset: &[PlSmallStr],
    keep: UniqueKeepStrategy,
) -> Result<DataFrame> {
    let keys = Rows::equal("unique", frame, subset)?;
    // The row that is kept of each key, or none once there is a second one.
    let mut kept: PlHashMap<&[u8], Option<IdxSize>> = PlHashMap::default();
    for row in 0..frame.height() as IdxSize {
        let first = kept.entry(keys.get(row)).or_insert(Some(row));
        match keep {
            UniqueKeepStrategy::Last => *first = Some(row),
            UniqueKeepStrategy::None if *first != Some(row) => *first = None,
            _ => {}
        }
    }
    let mut rows: Vec<IdxSize> = kept.into_values().flatten().collect();
    rows.sort_unstable();
    gather("unique", frame, rows)
}

/// The different values of a column, in the order in which they first come, and a column `name` of how often each does.
///
/// Counts are `u64`, as those of a whole collection may not fit into less.
pub(crate) fn value_counts(column: &Column, name: &PlSmallStr) -> Result<DataFrame> {
    if column.name() == name {
        return Err(refused(
            "value_counts",
            format!("the column of counts can't be called {name:?} too"),
        ));
    }
    let ones = Column::new_scalar(name.clone(), 1_u64.into(), column.len());
    let frame =
        DataFrame::new(column.len(), vec![column.clone(), ones]).map_err(failed("value_counts"))?;
    sum_counts(&frame)
}

/// Adds up the counts of pieces, as [`value_counts`] returned them, in order.
pub(crate) fn combine_counts(frames: Vec<DataFrame>) -> Result<DataFrame> {
    sum_counts(&vertical(frames)?)
}

fn sum_counts(frame: &DataFrame) -> Result<DataFrame> {
    let names = frame.get_column_names_owned();
    let [value, count] = names.as_slice() else {
        return Err(refused("value_counts", "got other columns than values and counts"));
    };
    if frame.height() == 0 {
        return Ok(frame.clone());
    }
    let values = &frame.columns()[0];
    if contains_decimal(values.dtype()) {
        let problem = format!("{} can't be counted; cast the column first", values.dtype());
        return Err(refused("value_counts", problem));
    }
    let summed = frame
        .group_by_stable([value.clone()])
        .and_then(|groups| {
            #[expect(deprecated, reason = "its successors in polars are unsafe functions")]
            groups.select([count.clone()]).sum()
        })
        .map_err(failed("value_counts"))?;
    let columns = summed
        .columns()
        .iter()
        .zip(&names)
        .map(|(column, name)| column.clone().with_name(name.clone()));
    let mut columns: Vec<Column> = columns.collect();
    columns[1] = columns[1].cast(&DataType::UInt64).map_err(failed("value_counts"))?;
    DataFrame::new(summed.height(), columns).map_err(failed("value_counts"))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{cut, frame, frames_equal};
    use super::*;
    use polars_core::df;
    use proptest::prelude::*;

    const ALL: [UniqueKeepStrategy; 4] = [
        UniqueKeepStrategy::First,
        UniqueKeepStrategy::Last,
        UniqueKeepStrategy::Any,
        UniqueKeepStrategy::None,
    ];

    #[test]
    fn any_frame_has_unique_rows() {
        let frame = df!["x" => [Some(1.0), None, Some(f64::NAN), Some(-0.0), Some(0.0), Some(f64::NAN), None]].unwrap();
        for keep in ALL {
            assert_eq!(unique(&frame.clear(), None, keep, true).unwrap().shape(), (0, 1));
            assert_eq!(unique(&frame.head(Some(1)), None, keep, true).unwrap().shape(), (1, 1));
            assert_eq!(
                unique(&DataFrame::empty_with_height(3), None, keep, true).unwrap().shape(),
                (1, 0)
            );
            assert!(unique(&frame, Some(&["y".into()]), keep, true).is_err());
            assert!(unique(&frame, Some(&[]), keep, true).is_err());
        }
        assert_eq!(unique(&frame, None, UniqueKeepStrategy::First, true).unwrap().height(), 4);
        assert_eq!(unique(&frame, None, UniqueKeepStrategy::None, true).unwrap().height(), 1);
    }

    #[test]
    fn counts_name_their_column() {
        let column = Column::new("s".into(), [Some("b"), None, Some("a"), Some("b"), None]);
        let counts = value_counts(&column, &"n".into()).unwrap();
        let expected = df!["s" => [Some("b"), None, Some("a")], "n" => [2_u64, 2, 1]].unwrap();
        assert!(counts.equals_missing(&expected), "{counts:?}");
        assert!(value_counts(&column, &"s".into()).is_err());
        let none = value_counts(&column.clear(), &"n".into()).unwrap();
        assert_eq!(none.schema(), expected.schema());
        assert!(frames_equal(
            &combine_counts(vec![none.clone(), expected.clone(), none]).unwrap(),
            &expected
        ));
    }

    proptest! {
        #[test]
        fn unique_rows_of_pieces_are_those_of_the_whole(
            frame in frame(40), at in prop::collection::vec(any::<prop::sample::Index>(), 0..5), keep in 0..3_usize,
        ) {
            let keep = [UniqueKeepStrategy::First, UniqueKeepStrategy::Last, UniqueKeepStrategy::Any][keep];
            let subset = ["k".into(), "s".into()];
            let pieces = cut(&frame, &at).iter().map(|p| unique(p, Some(&subset), keep, true).unwrap()).collect();
            let got = unique(&vertical(pieces).unwrap(), Some(&subset), keep, true).unwrap();
            let mut seen = std::collections::HashMap::new();
            let keys = frame.select(&subset).unwrap();
            for row in 0..frame.height() {
                let key = format!("{:?}", keys.get(row).unwrap());
                if keep == UniqueKeepStrategy::Last { seen.insert(key, row); } else { seen.entry(key).or_insert(row); }
            }
            let mut rows: Vec<u32> = seen.into_values().map(|r| r as u32).collect();
            rows.sort_unstable();
            let expected = gather("", &frame, rows).unwrap();
            prop_assert!(frames_equal(&got, &expected), "{got:?}\n{expected:?}");
        }

        #[test]
        fn counts_of_pieces_add_up(frame in frame(40), at in prop::collection::vec(any::<prop::sample::Index>(), 0..5)) {
            for name in ["k", "f", "s"] {
                let count = |f: &DataFrame| value_counts(f.column(name).unwrap(), &"n".into()).unwrap();
                let got = combine_counts(cut(&frame, &at).iter().map(count).collect()).unwrap();
                prop_assert!(frames_equal(&got, &count(&frame)));
                let total: u64 = got.column("n").unwrap().u64().unwrap().into_no_null_iter().sum();
                prop_assert_eq!(total as usize, frame.height());
            }
        }
    }
}
