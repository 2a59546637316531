//! Faults of Dask's dataframes (2026.8), each with a test that shows that it is not here.

use std::sync::Arc;

use dask_rs::Config;
use dask_rs::frame::polars_core::df;
use dask_rs::frame::polars_core::prelude::{DataFrame, DataType};
use dask_rs::frame::{DataFrame as Frame, ParquetOptions, ParquetWriteOptions, col};

/// Partitions so small that groups are spread over many, beside the usual ones.
fn configs() -> [Config; 3] {
    let small = Config::new().with_chunk_bytes(64);
    [Config::new(), small.clone(), small.with_threads(4).with_memory_limit(64 << 10)]
}

fn ints(frame: &DataFrame, name: &str) -> Vec<i64> {
    let column = frame.column(name).unwrap().cast(&DataType::Int64).unwrap();
    column.i64().unwrap().into_no_null_iter().collect()
}

#[test]
fn defect_2_first_and_last_of_groups_do_not_depend_on_partitions() {
    let row: Vec<i64> = (0..64).collect();
    let (a, b): (Vec<i64>, Vec<i64>) =
        (row.iter().map(|i| i % 4).collect(), row.iter().map(|i| i % 8 / 4).collect());
    let rows = df!["a" => a, "b" => b, "row" => row].unwrap();
    for n_parts in [1, 2, 11, 15, 16, 30, 64] {
        let frame = Frame::from_polars(&rows, n_parts);
        let aggs = || [col("row").first().alias("first"), col("row").last().alias("last")];
        for config in configs() {
            config.scope(|| {
                let one = frame.group_by(["a"]).agg(aggs()).sort("a", false).compute().unwrap();
                assert_eq!(ints(&one, "first"), [0, 1, 2, 3], "{n_parts}");
                assert_eq!(ints(&one, "last"), [60, 61, 62, 63], "{n_parts}");
                let two = frame.group_by(["a", "b"]).agg(aggs());
                let two = two.sort("first", false).compute().unwrap();
                assert_eq!(ints(&two, "first"), [0, 1, 2, 3, 4, 5, 6, 7], "{n_parts}");
                assert_eq!(ints(&two, "last"), [56, 57, 58, 59, 60, 61, 62, 63], "{n_parts}");
            });
        }
    }
}

#[test]
fn defect_3_the_place_of_the_smallest_value_is_looked_for_in_all_partitions() {
    let rows = df!["g" => [1_i64; 6], "x" => [5.0, 3.0, 4.0, 9.0, 8.0, 1.0]].unwrap();
    for n_parts in [1, 2, 3, 6] {
        let frame = Frame::from_polars(&rows, n_parts);
        for config in configs() {
            let places = [col("x").arg_min().alias("min"), col("x").arg_max().alias("max")];
            let out = config.scope(|| frame.group_by(["g"]).agg(places.clone()).compute().unwrap());
            assert_eq!((ints(&out, "min"), ints(&out, "max")), (vec![5], vec![3]));
            let out = config.scope(|| frame.agg(places).compute().unwrap());
            assert_eq!((ints(&out, "min"), ints(&out, "max")), (vec![5], vec![3]));
        }
    }
}

#[test]
fn defect_4_variances_of_large_values_do_not_cancel() {
    let mut state = 1_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        f64::from(state) / f64::from(u32::MAX)
    };
    let small: Vec<f64> = (0..1000).map(|_| next()).collect();
    let mean = small.iter().sum::<f64>() / 1000.0;
    let expected = small.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 999.0;
    let large: Vec<f64> = small.iter().map(|v| v + 1e9).collect();
    let rows = df!["g" => [1_i64; 1000], "x" => large].unwrap();
    for n_parts in [1, 7, 100] {
        let frame = Frame::from_polars(&rows, n_parts);
        for config in configs() {
            let aggs = || [col("x").var(1), col("x").std(1).alias("std")];
            let grouped = frame.group_by(["g"]).agg(aggs());
            let alone = frame.agg(aggs());
            let (grouped, alone) = config.scope(|| dask_rs::compute((&grouped, &alone)).unwrap());
            for out in [grouped, alone] {
                let value = |name: &str| out.column(name).unwrap().f64().unwrap().get(0).unwrap();
                assert!((value("x") / expected - 1.0).abs() < 1e-6, "{} {expected}", value("x"));
                assert!((value("std").powi(2) / expected - 1.0).abs() < 1e-6);
            }
        }
    }
}

#[test]
fn defect_6_partitions_of_an_index_have_the_size_that_is_asked_for() {
    let id: Vec<i64> = (0..4000).map(|i| i * 7919 % 4001).collect();
    let frame = Frame::from_polars(&df!["id" => id].unwrap(), 3).set_index("id");
    let sizes = |frame: &Frame| -> Vec<i64> {
        let schema = Arc::clone(df!["n" => [0_i64]].unwrap().schema());
        let counts = frame.map_partitions(schema, |rows, _| df!["n" => [rows.height() as i64]]);
        ints(&counts.compute().unwrap(), "n")
    };
    let small = Config::new().with_chunk_bytes(8000);
    let by_bytes = small.scope(|| sizes(&frame));
    assert!(by_bytes.len() >= 4 && by_bytes.iter().all(|n| *n <= 2000), "{by_bytes:?}");
    assert_eq!(by_bytes.iter().sum::<i64>(), 4000);
    assert_eq!(sizes(&frame.repartition(5)).len(), 5);
    let by_bytes = sizes(&frame.repartition_bytes(8000));
    assert!(by_bytes.len() >= 4 && by_bytes.iter().all(|n| *n <= 2000), "{by_bytes:?}");
}

#[test]
fn defect_7_filters_in_files_drop_the_rows_that_the_filter_drops() {
    let x =
        [Some(1.0), None, Some(f64::NAN), Some(2.0), Some(1.0), Some(1.0), None, Some(f64::NAN)];
    let i = [Some(1_i64), None, Some(3), Some(1), Some(1), Some(1), None, None];
    let row: Vec<i64> = (0..8).collect();
    let rows = df!["x" => x, "i" => i, "row" => row].unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rows");
    let mut write = ParquetWriteOptions::default();
    write.row_group_rows = 2;
    Frame::from_polars(&rows, 1).to_parquet_with(&path, &write).unwrap();
    let mut read = ParquetOptions::default();
    read.part_bytes = 1;
    let stored = Frame::read_parquet_with(&[&path], &read);
    let memory = Frame::from_polars(&rows, 3);
    let [x, i] = ["x", "i"].map(col);
    let filters = [
        (x.neq(1.0), vec![2, 3, 7]),
        (!x.eq(1.0), vec![2, 3, 7]),
        (x.neq_missing(1.0), vec![1, 2, 3, 6, 7]),
        (x.gt(1.0), vec![2, 3, 7]),
        (x.lt(2.0), vec![0, 4, 5]),
        (!x.gt(1.0), vec![0, 4, 5]),
        (x.is_nan(), vec![2, 7]),
        (x.eq(f64::NAN), vec![2, 7]),
        (x.neq(f64::NAN), vec![0, 3, 4, 5]),
        (x.is_null(), vec![1, 6]),
        (i.neq(1), vec![2]),
        (i.eq_missing(1), vec![0, 3, 4, 5]),
        (i.is_in([1, 3]), vec![0, 2, 3, 4, 5]),
        (!i.is_in([1]), vec![2]),
        (i.is_null().or(x.eq(2.0)), vec![1, 3, 6, 7]),
    ];
    for (filter, expected) in filters {
        for optimize in [true, false] {
            for frame in [&stored, &memory] {
                let out = Config::new()
                    .with_optimize(optimize)
                    .scope(|| frame.filter(filter.clone()).compute().unwrap());
                assert_eq!(ints(&out, "row"), expected, "{filter} {optimize}");
            }
        }
    }
}
