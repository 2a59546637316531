//! The whole path, from expressions to results.

use dask_rs::frame::polars_core::df;
use dask_rs::frame::polars_core::prelude::*;
use dask_rs::frame::{DataFrame as Frame, col, len, lit};
use dask_rs::{Config, Error};

fn trips() -> DataFrame {
    let n = 1000;
    let vendor: Vec<&str> = (0..n).map(|i| ["a", "b", "c"][i % 3]).collect();
    let fare: Vec<f64> = (0..n).map(|i| (i * 7 % 40) as f64).collect();
    let day: Vec<i32> = (0..n as i32).map(|i| i / 100).collect();
    df!["vendor" => vendor, "fare" => fare, "day" => day].unwrap()
}

#[test]
fn rows_are_filtered_and_columns_computed() {
    let trips = trips();
    let frame = Frame::from_polars(&trips, 7);
    let costly = frame
        .filter(col("fare").gt(30.0))
        .with_columns([(col("fare") * lit(2)).alias("twice")])
        .select(["vendor", "twice"]);
    let mask = trips.column("fare").unwrap().f64().unwrap().gt(30.0);
    let kept = trips.filter(&mask).unwrap();
    let out = costly.compute().unwrap();
    assert_eq!(out.height(), kept.height());
    let sum =
        |frame: &DataFrame, name: &str| frame.column(name).unwrap().f64().unwrap().sum().unwrap();
    assert_eq!(sum(&out, "twice"), 2.0 * sum(&kept, "fare"));
    assert_eq!(out.get_column_names(), ["vendor", "twice"]);
}

#[test]
fn groups_are_those_of_one_frame() {
    let trips = trips();
    for n_parts in [1, 2, 7, 100] {
        let frame = Frame::from_polars(&trips, n_parts);
        let aggs = [
            col("fare").sum(),
            col("fare").mean().alias("mean"),
            col("fare").median().alias("median"),
            len(),
        ];
        let out = frame.group_by(["vendor"]).agg(aggs).compute().unwrap();
        let vendors: Vec<_> =
            out.column("vendor").unwrap().str().unwrap().iter().flatten().collect();
        assert_eq!(vendors, ["a", "b", "c"]);
        let sums: Vec<f64> =
            out.column("fare").unwrap().f64().unwrap().into_no_null_iter().collect();
        let expected: Vec<f64> = (0..3)
            .map(|k| (0..1000).filter(|i| i % 3 == k).map(|i| (i * 7 % 40) as f64).sum())
            .collect();
        assert_eq!(sums, expected);
    }
}

#[test]
fn the_optimizer_changes_no_row() {
    let frame = Frame::from_polars(&trips(), 7);
    let chain = frame
        .with_columns([(col("fare") + 1.0).alias("more"), col("day").alias("d")])
        .filter(col("more").gt(12.0).and(col("d").lt(7)))
        .select([col("more"), col("vendor")])
        .slice(10, 50);
    let optimized = chain.compute().unwrap();
    let plain = Config::new().with_optimize(false).scope(|| chain.compute()).unwrap();
    assert!(optimized.equals(&plain));
    assert_eq!(optimized.height(), 50);
}

#[test]
fn an_unknown_column_names_the_line_of_the_user() {
    let frame = Frame::from_polars(&trips(), 2);
    let wrong = frame.filter(col("fair").gt(1.0)).select(["vendor"]);
    let error = wrong.compute().unwrap_err();
    assert!(matches!(&error, Error::UnknownColumn { got, .. } if got == "fair"), "{error}");
    assert!(error.to_string().contains("first.rs"), "{error}");
}

#[test]
fn parquet_survives_and_is_read_by_column() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trips");
    let trips = trips();
    Frame::from_polars(&trips, 5).to_parquet(&path).unwrap();
    let read = Frame::read_parquet(&path);
    assert!(read.compute().unwrap().equals(&trips));
    assert_eq!(read.len().unwrap(), 1000);
    let some = read.filter(col("day").eq(3)).select(["fare"]);
    assert_eq!(some.compute().unwrap().height(), 100);
}

#[test]
fn files_are_read_in_partitions_of_the_configured_size() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trips");
    Frame::from_polars(&trips(), 5).to_parquet(&path).unwrap();
    let n_parts = |chunk_bytes: u64| {
        let config = Config::new().with_chunk_bytes(chunk_bytes);
        config.scope(|| Frame::read_parquet(&path).explain().unwrap().n_tasks())
    };
    assert_ne!(n_parts(1 << 20), n_parts(1 << 10));
}

#[test]
fn the_first_rows_need_the_first_partition_only() {
    let frame = Frame::from_polars(&trips(), 100);
    for head in [frame.head(5), frame.select(["day"]).head(5)] {
        assert!(head.explain().unwrap().n_tasks().unwrap() <= 2, "{}", head.explain().unwrap());
        assert_eq!(head.compute().unwrap().height(), 5);
    }
    let filtered = frame.filter(col("fare").gt(30.0)).slice(3, 20);
    assert_eq!(filtered.compute().unwrap().height(), 20);
}

#[test]
fn a_selection_of_nothing_but_aggregates_has_one_row() {
    let frame = Frame::from_polars(&trips(), 7);
    let sum = frame.select([col("day").sum(), len()]).compute().unwrap();
    assert!(sum.equals(&df!["day" => [4500_i32], "len" => [1000_u32]].unwrap()), "{sum}");
    let centred = frame.select([col("fare") - col("fare").mean()]).compute().unwrap();
    assert_eq!(centred.height(), 1000);
}

#[test]
fn text_files_survive() {
    let dir = tempfile::tempdir().unwrap();
    let texts = ["plain", "a, comma", "a \"quote\"", "two\nlines"].repeat(50);
    let n: Vec<i64> = (0..200).collect();
    let frame = df!["text" => texts, "n" => n].unwrap();
    let lazy = Frame::from_polars(&frame, 3);
    lazy.to_csv(dir.path().join("csv")).unwrap();
    lazy.to_ndjson(dir.path().join("ndjson")).unwrap();
    for chunk_bytes in [64 << 20, 1 << 10] {
        Config::new().with_chunk_bytes(chunk_bytes).scope(|| {
            let csv = Frame::read_csv(dir.path().join("csv")).compute().unwrap();
            assert!(csv.equals(&frame), "{csv}");
            let ndjson = Frame::read_ndjson(dir.path().join("ndjson")).select(["text", "n"]);
            assert!(ndjson.compute().unwrap().equals(&frame));
        });
    }
}
