//! Tests of Parquet files as a source of frames, written by the encoder itself.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array as aa;
use arrow::array::{ArrayRef, RecordBatch};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use polars_core::df;
use polars_core::prelude::{
    AnyValue, DataFrame, DataType, IntoColumn, IntoSeries, NamedFrom, PlSmallStr, Scalar, Series,
    TimeUnit,
};

use super::super::{Comparison, Condition, Request, Source};
use super::*;
use crate::error::{Call, Error, Result};
use crate::frame::interop::{arrow_schema, to_record_batches};

mod damage;
mod filter;
#[cfg(feature = "cloud")]
mod remote;
mod write;

fn call() -> Call {
    Call::new("read_parquet")
}

fn open(path: &Path, part_bytes: u64) -> Result<ParquetFiles> {
    let options = ParquetOptions { part_bytes, hive: true };
    ParquetFiles::open(call(), &[path], &options)
}

fn request(columns: &[&str]) -> Request {
    let columns: Vec<PlSmallStr> = columns.iter().map(|&name| name.into()).collect();
    Request { columns: columns.into(), ..Request::default() }
}

fn where_(columns: &[&str], column: &str, comparison: Comparison, values: &[Scalar]) -> Request {
    let values = values.to_vec();
    let condition = Condition { column: column.into(), comparison, values };
    Request { conditions: vec![condition].into(), ..request(columns) }
}

fn all_columns(source: &ParquetFiles) -> Request {
    let columns: Vec<PlSmallStr> = source.schema().iter_names().cloned().collect();
    Request { columns: columns.into(), ..Request::default() }
}

/// All parts under each other, each with the bytes and rows that were announced.
#[track_caller]
fn read_all(source: &ParquetFiles, request: &Request) -> DataFrame {
    let mut all: Option<DataFrame> = None;
    for part in 0..source.n_parts() {
        let frame = source.read(part, request).unwrap();
        let rows = source.n_rows(part);
        if request.conditions.is_empty() && request.n_rows_max.is_none() {
            assert!(rows.is_none_or(|rows| rows == frame.height() as u64), "part {part}");
            let bytes = source.nbytes(part, &request.columns);
            let got = frame.estimated_size() as u64;
            assert!(rows.is_none() || got <= bytes + 64, "part {part}: {got} > {bytes}");
        }
        match &mut all {
            Some(all) => drop(all.vstack_mut_owned(frame).unwrap()),
            None => all = Some(frame),
        }
    }
    all.unwrap()
}

fn write(path: &Path, frame: &DataFrame, properties: WriterPropertiesBuilder) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let schema = Arc::new(arrow_schema(frame.schema()).unwrap());
    let file = fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, schema, Some(properties.build())).unwrap();
    for batch in to_record_batches(frame).unwrap() {
        writer.write(&batch).unwrap();
    }
    writer.close().unwrap();
}

fn groups_of(rows: usize) -> WriterPropertiesBuilder {
    WriterProperties::builder().set_max_row_group_row_count(Some(rows))
}

/// `i` counts, `s` is its text with nulls, `f` a tenth of it.
fn counting(start: i64, n: usize) -> DataFrame {
    let range = start..start + n as i64;
    df![
        "i" => range.clone().collect::<Vec<_>>(),
        "s" => range.clone().map(|i| (i % 7 != 0).then(|| format!("text of {i:06}"))).collect::<Vec<_>>(),
        "f" => range.map(|i| i as f64 / 10.0).collect::<Vec<_>>(),
    ]
    .unwrap()
}

#[track_caller]
fn assert_same(got: &DataFrame, expected: &DataFrame) {
    assert_eq!(got.schema(), expected.schema());
    assert!(got.equals_missing(expected), "{got:?}\n{expected:?}");
}

/// Writes a frame as the only part of a data set.
fn write_one(path: &Path, frame: &DataFrame, options: ParquetWriteOptions) -> Result<()> {
    let writer = ParquetWriter::create(call(), path, frame.schema(), options)?;
    writer.write(0, frame)?;
    writer.finish()
}

#[test]
fn row_groups_become_parts_of_about_equal_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.parquet");
    let frame = counting(0, 1000);
    write(&path, &frame, groups_of(100));
    let whole = open(&path, 1 << 30).unwrap();
    assert_eq!((whole.n_parts(), whole.n_rows(0)), (1, Some(1000)));
    let bytes = whole.nbytes(0, &all_columns(&whole).columns);
    for (part_bytes, n_parts) in [(bytes / 10 + 8, 10), (bytes / 5 + 16, 5), (bytes / 40, 40)] {
        let source = open(&path, part_bytes).unwrap();
        assert!(
            source.n_parts().abs_diff(n_parts) <= n_parts / 4,
            "{} {n_parts}",
            source.n_parts()
        );
        assert_same(&read_all(&source, &all_columns(&source)), &frame);
    }
    let frame = whole.read(0, &all_columns(&whole)).unwrap();
    assert_eq!(frame.max_n_chunks(), 1);
}

#[test]
fn columns_come_as_they_are_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.parquet");
    write(&path, &counting(0, 50), groups_of(20));
    let source = open(&path, 1).unwrap();
    let got = read_all(&source, &request(&["f", "i"]));
    assert_same(&got, &counting(0, 50).select(["f", "i"]).unwrap());
    assert_eq!(source.read(0, &request(&[])).unwrap().height() as u64, source.n_rows(0).unwrap());
    let heights: usize =
        (0..source.n_parts()).map(|p| source.read(p, &request(&[])).unwrap().height()).sum();
    assert_eq!(heights, 50);
    let limited = Request { n_rows_max: Some(3), ..request(&["i"]) };
    let one = open(&path, 1 << 30).unwrap();
    assert_same(&one.read(0, &limited).unwrap(), &counting(0, 3).select(["i"]).unwrap());
    let none = Request { n_rows_max: Some(0), ..request(&["i"]) };
    assert_eq!(one.read(0, &none).unwrap().shape(), (0, 1));
    let error = one.read(0, &request(&["nope"])).unwrap_err().to_string();
    assert!(error.contains("nope") && error.contains("x.parquet"), "{error}");
}

#[test]
fn all_dtypes_survive() {
    let ints = [Some(1_i64), None, Some(3)];
    let cast = |name: &str, dtype: DataType| {
        Series::new(name.into(), ints).cast(&dtype).unwrap().into_column()
    };
    let mut columns = vec![
        cast("bool", DataType::Boolean),
        cast("f32", DataType::Float32),
        cast("f64", DataType::Float64),
        cast("date", DataType::Date),
        cast("time", DataType::Time),
        cast("ms", DataType::Datetime(TimeUnit::Milliseconds, None)),
        cast("us", DataType::Datetime(TimeUnit::Microseconds, None)),
        cast("ns", DataType::Datetime(TimeUnit::Nanoseconds, None)),
        cast("duration", DataType::Duration(TimeUnit::Microseconds)),
        cast("decimal", DataType::Decimal(20, 2)),
        cast("string", DataType::String),
        Series::new("binary".into(), [Some(b"a".as_slice()), None, Some(b"")]).into_column(),
        Series::new_null("null".into(), 3).into_column(),
        Series::new("nan".into(), [f64::NAN, -0.0, f64::INFINITY]).into_column(),
    ];
    for (name, dtype) in [
        ("i8", DataType::Int8),
        ("i16", DataType::Int16),
        ("i32", DataType::Int32),
        ("i64", DataType::Int64),
        ("u8", DataType::UInt8),
        ("u16", DataType::UInt16),
        ("u32", DataType::UInt32),
        ("u64", DataType::UInt64),
    ] {
        columns.push(cast(name, dtype));
    }
    let list =
        df!["key" => [1, 1, 2], "list" => ["a", "a longer text than fits in a view", "b"]].unwrap();
    let list = list.column("list").unwrap().as_materialized_series().clone();
    let lists = [list.clone(), list.clear(), list.slice(1, 2)];
    columns.push(Series::new("list".into(), lists).into_column());
    let fields = df!["x" => ints, "y" => ["p", "q", "r"]].unwrap();
    columns.push(fields.into_struct("struct".into()).into_series().into_column());
    let frame = DataFrame::new(3, columns).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.parquet");
    write_one(&path, &frame, ParquetWriteOptions::default()).unwrap();
    let source = open(&path, 1 << 20).unwrap();
    assert_same(&source.read(0, &all_columns(&source)).unwrap(), &frame);
    for name in frame.get_column_names() {
        let one = source.read(0, &request(&[name])).unwrap();
        assert_same(&one, &frame.select([name]).unwrap());
        source.stats(0, name);
    }
}

#[test]
fn categoricals_stay_and_other_dictionaries_are_strings() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.parquet");
    let texts = Series::new("c".into(), [Some("b"), None, Some("a"), Some("b")]);
    let categories = polars_core::prelude::Categories::global();
    let dtype = DataType::from_categories(categories);
    let frame = DataFrame::new(4, vec![texts.cast(&dtype).unwrap().into_column()]).unwrap();
    write_one(&path, &frame, ParquetWriteOptions::default()).unwrap();
    let source = open(&path, 1 << 20).unwrap();
    assert_eq!(*source.schema().get("c").unwrap(), dtype);
    assert_same(&source.read(0, &request(&["c"])).unwrap(), &frame);

    let keys = aa::Int32Array::from(vec![Some(1), None, Some(0), Some(1)]);
    let values: ArrayRef = Arc::new(aa::StringArray::from(vec!["a", "b"]));
    let array: ArrayRef = Arc::new(aa::DictionaryArray::new(keys, values));
    let path = dir.path().join("y.parquet");
    write_arrays(&path, vec![("c", array)]);
    let source = open(&path, 1 << 20).unwrap();
    let strings = DataFrame::new(4, vec![texts.into_column()]).unwrap();
    assert_same(&source.read(0, &request(&["c"])).unwrap(), &strings);
}

fn write_arrays(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let file = fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[test]
fn a_column_that_polars_cannot_hold_does_no_harm_to_others() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.parquet");
    let wide = aa::Decimal256Array::from(vec![arrow::datatypes::i256::from(7); 3]);
    let wide = wide.with_precision_and_scale(50, 2).unwrap();
    let texts = [b"ab", b"cd", b"ef"].into_iter();
    let fixed = aa::FixedSizeBinaryArray::try_from_iter(texts).unwrap();
    write_arrays(
        &path,
        vec![
            ("wide", Arc::new(wide)),
            ("i", Arc::new(aa::Int64Array::from(vec![1, 2, 3]))),
            ("fixed", Arc::new(fixed)),
        ],
    );
    let source = open(&path, 1 << 20).unwrap();
    assert!(matches!(source.schema().get("wide").unwrap(), DataType::Unknown(_)));
    assert_eq!(source.read(0, &request(&["i"])).unwrap(), df!["i" => [1_i64, 2, 3]].unwrap());
    let fixed = source.read(0, &request(&["fixed"])).unwrap();
    assert_eq!(fixed.column("fixed").unwrap().get(1).unwrap(), AnyValue::Binary(b"cd"));
    let error = source.read(0, &all_columns(&source)).unwrap_err();
    assert!(matches!(error, Error::UnsupportedFile { .. }));
    let text = error.to_string();
    assert!(text.contains("wide") && text.contains("Decimal256"), "{text}");
}

/// The row groups and the number of rows that are decoded for a request.
fn chosen(source: &ParquetFiles, request: &Request) -> (Vec<usize>, usize) {
    let mut groups = Vec::new();
    let mut rows = 0;
    for part in 0..source.n_parts() {
        for piece in source.pieces(part) {
            if let Some(choice) = source.choose(piece, request).unwrap() {
                groups.extend(choice.groups.iter().copied());
                rows += choice.rows() as usize;
            }
        }
    }
    (groups, rows)
}

#[test]
fn statistics_leave_out_row_groups_and_pages() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.parquet");
    let properties = groups_of(1000).set_data_page_row_count_limit(100).set_write_batch_size(50);
    write(&path, &counting(0, 5000), properties);
    let source = open(&path, 1 << 30).unwrap();
    let some = |low: i64| where_(&["i", "s"], "i", Comparison::GtEq, &[low.into()]);
    assert_eq!(chosen(&source, &some(3950)), (vec![3, 4], 1100));
    let got = source.read(0, &some(3950)).unwrap();
    assert_same(&got, &counting(3900, 1100).select(["i", "s"]).unwrap());
    assert_eq!(chosen(&source, &some(5000)).0, [0; 0]);
    assert_eq!(source.read(0, &some(5000)).unwrap().shape(), (0, 2));
    // The column of a condition need not be wanted.
    let other =
        where_(&["f"], "s", Comparison::Eq, &[Scalar::from(PlSmallStr::from("text of 002345"))]);
    assert_eq!(chosen(&source, &other), (vec![2], 100));
    assert_eq!(source.read(0, &other).unwrap().height(), 100);
    let no_columns = where_(&[], "i", Comparison::Lt, &[150_i64.into()]);
    assert_eq!(source.read(0, &no_columns).unwrap().height(), 200);
    // Bounds of floats do not know of NaN.
    let high = where_(&["f"], "f", Comparison::Gt, &[Scalar::from(450.0_f64)]);
    assert_eq!(chosen(&source, &high).0.last(), Some(&4));
    let low = where_(&["f"], "f", Comparison::Lt, &[Scalar::from(50.0_f64)]);
    assert_eq!(chosen(&source, &low).0, [0]);
    let null = where_(&["s"], "i", Comparison::IsNull, &[]);
    assert_eq!(chosen(&source, &null).0, [0; 0]);
    // A row group in parts: every part looks at its own rows only.
    let cut = open(&path, 8_000).unwrap();
    assert!(cut.n_parts() > 10);
    assert_eq!(read_all(&cut, &some(3950)).height(), 1100);
}

#[test]
fn statistics_of_parts_are_exact_or_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.parquet");
    write(&path, &counting(0, 5000), groups_of(1000));
    let source = open(&path, 1 << 30).unwrap();
    let stats = source.stats(0, "i").unwrap();
    assert_eq!((stats.min, stats.max, stats.n_nulls), (0_i64.into(), 4999_i64.into(), Some(0)));
    let stats = source.stats(0, "s").unwrap();
    assert_eq!(stats.min.value().get_str(), Some("text of 000001"));
    assert_eq!(stats.n_nulls, Some(715));
    assert!(source.stats(0, "nope").is_none());
    let long = df!["s" => [format!("{}1", "a".repeat(100)), "b".to_string()]].unwrap();
    write(&path, &long, groups_of(10));
    let source = open(&path, 1 << 30).unwrap();
    assert!(source.stats(0, "s").is_none(), "the bounds in the file are cut short");
    let longer = where_(&["s"], "s", Comparison::Gt, &[Scalar::from(PlSmallStr::from("c"))]);
    assert_eq!(chosen(&source, &longer).0, [0; 0]);
}

#[test]
fn bloom_filters_leave_out_row_groups() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.parquet");
    let n = 1000_u64;
    let shuffled = df![
        "u" => (0..n).map(|i| i * 7919 % n * 2).collect::<Vec<_>>(),
        "s" => (0..n).map(|i| format!("{}", i * 7919 % n * 2)).collect::<Vec<_>>(),
        "small" => (0..n).map(|i| (i * 7919 % n * 2) as u16).collect::<Vec<_>>(),
    ]
    .unwrap();
    let properties = groups_of(100).set_bloom_filter_enabled(true).set_bloom_filter_fpp(0.001);
    write(&path, &shuffled, properties);
    let source = open(&path, 1 << 30).unwrap();
    let text = |text: &str| Scalar::from(PlSmallStr::from(text));
    for (column, present, absent) in [
        ("u", Scalar::from(500_u64), Scalar::from(501_u64)),
        ("s", text("500"), text("501")),
        ("small", Scalar::from(500_i64), Scalar::from(501_i64)),
    ] {
        let n_groups = |values: &[Scalar]| {
            chosen(&source, &where_(&["u"], column, Comparison::In, values)).0.len()
        };
        assert_eq!(n_groups(std::slice::from_ref(&present)), 1, "{column}");
        assert_eq!(n_groups(std::slice::from_ref(&absent)), 0, "{column}");
        assert_eq!(n_groups(&[absent, present]), 1, "{column}");
    }
}

#[test]
fn directories_are_columns() {
    let dir = tempfile::tempdir().unwrap();
    for (year, city) in [(2019, "x"), (2020, "y"), (2020, "__HIVE_DEFAULT_PARTITION__")] {
        let path = dir.path().join(format!("year={year}/city={city}/0.parquet"));
        write(&path, &counting(i64::from(year), 10), groups_of(10));
    }
    let source = open(dir.path(), 1 << 30).unwrap();
    assert_eq!(source.schema().get("year"), Some(&DataType::Int64));
    let got = read_all(&source, &request(&["city", "i", "year"]));
    assert_eq!(got.height(), 30);
    assert_eq!(got.column("city").unwrap().null_count(), 10);
    let only_hive = read_all(&source, &request(&["year"]));
    assert_eq!(only_hive.column("year").unwrap().get(29).unwrap(), AnyValue::Int64(2020));
    let one = where_(&["i"], "year", Comparison::Lt, &[2020_i64.into()]);
    assert_eq!(read_all(&source, &one).height(), 10);
    let stats = source.stats(0, "year").unwrap();
    assert_eq!((stats.min, stats.max, stats.n_nulls), (2019_i64.into(), 2020_i64.into(), Some(0)));
    assert_eq!(source.stats(0, "city").unwrap().n_nulls, Some(10));
    let without = ParquetOptions { hive: false, ..ParquetOptions::default() };
    let source = ParquetFiles::open(call(), &[dir.path()], &without).unwrap();
    assert!(source.schema().get("year").is_none());
}

#[test]
fn many_small_files_become_few_parts() {
    let dir = tempfile::tempdir().unwrap();
    for n_files in [20, 100] {
        let dir = dir.path().join(n_files.to_string());
        for i in 0..n_files {
            write(&dir.join(format!("{i}.parquet")), &counting(i * 10, 10), groups_of(4));
        }
        let whole = open(&dir, 1 << 30).unwrap();
        assert_eq!(whole.n_parts(), 1);
        // Without their footers, rows are not known.
        assert_eq!(whole.n_rows(0), (n_files <= 64).then_some(n_files as u64 * 10));
        let all = all_columns(&whole);
        let expected = counting(0, n_files as usize * 10);
        let bytes = whole.nbytes(0, &all.columns);
        assert!(bytes as usize >= expected.estimated_size() / 2, "{bytes}");
        let source = open(&dir, bytes / 5 + 100).unwrap();
        assert!((4..=8).contains(&source.n_parts()), "{}", source.n_parts());
        assert_same(&read_all(&source, &all), &expected);
    }
}

#[test]
fn large_files_without_footers_are_shared_by_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let n = 20_000;
    for i in 0..66 {
        let n = if i == 7 { n as usize } else { 10 };
        write(&dir.path().join(format!("{i}.parquet")), &counting(0, n), groups_of(1000));
    }
    let source = open(dir.path(), 100_000).unwrap();
    let shares = (0..source.n_parts()).flat_map(|part| source.pieces(part));
    assert!(shares.filter(|piece| piece.file == 7).count() > 2);
    let got = read_all(&source, &request(&["i"]));
    assert_eq!(got.height(), n as usize + 650);
    assert_same(&got.slice(70, n as usize), &counting(0, n as usize).select(["i"]).unwrap());
}

#[test]
fn files_may_differ_where_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let path = |i: i32| dir.path().join(format!("{i}.parquet"));
    write(&path(0), &df!["a" => [1_i64], "b" => [0.5_f64]].unwrap(), groups_of(9));
    write(&path(1), &df!["b" => [1.5_f32], "z" => [0], "a" => [2_i32]].unwrap(), groups_of(9));
    let source = open(dir.path(), 1 << 20).unwrap();
    let expected = df!["a" => [1_i64, 2], "b" => [0.5, 1.5]].unwrap();
    assert_same(&read_all(&source, &all_columns(&source)), &expected);
    let big = where_(&["b"], "a", Comparison::Gt, &[1_i64.into()]);
    assert_same(&source.read(0, &big).unwrap(), &df!["b" => [1.5]].unwrap());
    assert_eq!(source.stats(0, "a").unwrap().max, 2_i64.into());

    for (frame, words) in [
        (df!["a" => ["x"], "b" => [1.0]].unwrap(), ["\"a\"", "i64"]),
        (df!["a" => [1_i64]].unwrap(), ["\"b\"", "without"]),
    ] {
        write(&path(2), &frame, groups_of(9));
        let source = open(dir.path(), 1 << 20).unwrap();
        let error = source.read(0, &all_columns(&source)).unwrap_err().to_string();
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
        assert!(error.contains("2.parquet"), "{error}");
    }
}

#[test]
fn files_without_rows_have_columns() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("0.parquet"), &counting(0, 0), groups_of(9));
    let source = open(dir.path(), 1 << 20).unwrap();
    assert_same(&read_all(&source, &all_columns(&source)), &counting(0, 0));
    write(&dir.path().join("1.parquet"), &counting(0, 5), groups_of(9));
    let source = open(dir.path(), 1 << 20).unwrap();
    assert_same(&read_all(&source, &all_columns(&source)), &counting(0, 5));
}
