//! Every dtype that a column can have goes through the kernels: none may panic.

use polars_core::frame::DataFrame;
use polars_core::prelude::{
    CategoricalPhysical, Categories, Column, DataType, FrozenCategories, IntoColumn, NamedFrom,
    Series, StructChunked, TimeUnit, TimeZone,
};

use super::exchange::Exchange;
use super::join::{JoinHow, JoinSpec, join};
use super::sample::{bounds, divisions, quantile_sketch};
use super::sketches::distinct_state;
use super::sort::{Limit, SortSpec, sort, sort_end};
use super::split::{hash_split, range_split};
use super::testing::frames_equal;
use crate::frame::partitions::Divisions;

/// A column of four rows of each dtype, the second one null, the first and the last equal.
fn columns() -> Vec<Column> {
    let ints = Column::new("k".into(), [Some(3_i64), None, Some(1), Some(3)]);
    let text = Column::new("k".into(), [Some("b"), None, Some("a longer text"), Some("b")]);
    let categories = Categories::new("tests".into(), "kernels".into(), CategoricalPhysical::U8);
    let frozen = FrozenCategories::new(["b", "a longer text"]).unwrap();
    let utc = Some(TimeZone::UTC);
    let numbers = [
        DataType::Int8,
        DataType::Int16,
        DataType::Int32,
        DataType::Int64,
        DataType::UInt8,
        DataType::UInt16,
        DataType::UInt32,
        DataType::UInt64,
        DataType::Float32,
        DataType::Float64,
        DataType::Boolean,
        DataType::Time,
        DataType::Datetime(TimeUnit::Microseconds, utc),
        DataType::Datetime(TimeUnit::Milliseconds, None),
        DataType::Duration(TimeUnit::Nanoseconds),
        DataType::Decimal(10, 2),
    ];
    let texts = [
        DataType::String,
        DataType::Binary,
        DataType::from_categories(categories),
        DataType::from_frozen_categories(frozen),
    ];
    let mut all: Vec<Column> = numbers.iter().map(|d| ints.cast(d).unwrap()).collect();
    all.push(ints.cast(&DataType::Int32).unwrap().cast(&DataType::Date).unwrap());
    all.extend(texts.iter().map(|d| text.strict_cast(d).unwrap()));
    all.push(Column::full_null("k".into(), 4, &DataType::Null));
    let lists = Series::new("k".into(), [1_i64, 2]);
    all.push(Column::new(
        "k".into(),
        [Some(lists.clone()), None, Some(lists.slice(0, 1)), Some(lists)],
    ));
    let fields = [
        ints.as_materialized_series(),
        &text.as_materialized_series().clone().with_name("s".into()),
    ];
    let fields = fields.into_iter();
    all.push(StructChunked::from_series("k".into(), 4, fields).unwrap().into_column());
    all
}

fn spec() -> SortSpec {
    SortSpec::new(["k".into()], false, true)
}

#[test]
fn every_dtype_is_split_and_comes_back_from_files() {
    for column in columns() {
        let row = Column::new("row".into(), [0_u32, 1, 2, 3]);
        let frame = DataFrame::new(4, vec![column.clone(), row]).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let exchange = Exchange::new(1, 0, dir.path());
        let pieces = hash_split(&frame, &["k".into()], 3, |_| true).unwrap();
        let home = pieces.frames().filter(|p| p.height() > 0).count();
        assert!(home >= 1, "{column:?}");
        exchange.put_whole(0, 0, frame.clone()).unwrap();
        assert!(frames_equal(&exchange.take(0).unwrap(), &frame), "{column:?}");
        assert!(distinct_state(&column).is_ok());
    }
}

#[test]
fn every_dtype_has_divisions_or_an_error() {
    for column in columns() {
        let frame = DataFrame::new(4, vec![column.clone()]).unwrap();
        let nested = column.dtype().is_nested() || column.dtype().is_null();
        let ends = bounds(&column);
        assert_eq!(ends.is_err(), nested, "{column:?}");
        let sketch = quantile_sketch(&column, &[0.0, 50.0, 100.0]);
        assert_eq!(sketch.is_err(), nested);
        let Ok(sketch) = sketch else { continue };
        let found = divisions(&sketch, column.dtype(), 2).unwrap();
        let again = Divisions::new(&found.series("k".into()));
        assert_eq!(again.as_ref(), Some(&found));
        assert_eq!(found.merge(&found).unwrap().dtype(), column.dtype());
        found.interpolate(5);
        let pieces = range_split(&frame, "k", &found, false, true).unwrap();
        assert_eq!(pieces.rows.height(), 4);
        assert!(pieces.frames().last().unwrap().column("k").unwrap().null_count() == 1);
    }
}

#[test]
fn every_dtype_is_sorted_and_joined_or_an_error() {
    for column in columns() {
        let frame = DataFrame::new(4, vec![column.clone()]).unwrap();
        let sorted = sort(&frame, &spec()).unwrap();
        assert!(
            frames_equal(
                &sort_end(&frame, &spec(), Limit::First(2)).unwrap(),
                &sorted.head(Some(2))
            ),
            "{column:?}"
        );
        for how in [JoinHow::Inner, JoinHow::Left, JoinHow::Full, JoinHow::Semi] {
            // Polars refuses some dtypes as keys.
            let _ = join(&frame, &frame, &JoinSpec::new(how, ["k".into()], ["k".into()]));
        }
    }
}
