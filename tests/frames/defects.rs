//! Faults of Dask's dataframes (2026.8), each with a test that shows that it is not here.

use std::sync::Arc;

use dask_rs::Config;
use dask_rs::frame::polars_core::df;
use dask_rs::frame::polars_core::prelude::{DataFrame, DataType};
use dask_rs::frame::{
    CsvOptions, DataFrame as Frame, Interpolation, ParquetOptions, ParquetWriteOptions,
    RollingOptions, col,
};

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

/// Numbers or nulls, as floats.
fn floats(frame: &DataFrame, name: &str) -> Vec<Option<f64>> {
    let column = frame.column(name).unwrap().cast(&DataType::Float64).unwrap();
    column.f64().unwrap().iter().collect()
}

#[test]
fn defect_5_running_results_go_on_behind_partitions_without_values() {
    let x = [Some(1.0), Some(5.0), None, None, Some(2.0), Some(7.0)];
    let rows = df!["x" => x].unwrap();
    let some = |values: [Option<f64>; 6]| values.to_vec();
    for config in configs() {
        let x = || col("x");
        let exprs = [
            x().cum_sum(false).alias("sum"),
            x().cum_prod(false).alias("prod"),
            x().cum_max(false).alias("max"),
            x().cum_min(false).alias("min"),
        ];
        let out = config.scope(|| Frame::from_polars(&rows, 3).select(exprs).compute().unwrap());
        assert_eq!(
            floats(&out, "sum"),
            some([Some(1.), Some(6.), None, None, Some(8.), Some(15.)])
        );
        assert_eq!(
            floats(&out, "prod"),
            some([Some(1.), Some(5.), None, None, Some(10.), Some(70.)])
        );
        assert_eq!(floats(&out, "max"), some([Some(1.), Some(5.), None, None, Some(5.), Some(7.)]));
        assert_eq!(floats(&out, "min"), some([Some(1.), Some(1.), None, None, Some(1.), Some(1.)]));
        let grouped = df!["g" => [1, 0, 0], "b" => [Some(1.0), None, Some(2.0)]].unwrap();
        let sums = Frame::from_polars(&grouped, 2).select([col("b").cum_sum(false).over(["g"])]);
        let out = config.scope(|| sums.compute().unwrap());
        assert_eq!(floats(&out, "b"), [Some(1.0), None, Some(2.0)]);
    }
}

#[test]
fn defect_12_quantiles_are_exact() {
    let x: Vec<f64> = (0..997).map(|i| (f64::from(i * 7919 % 997) / 100.0).exp()).collect();
    let mut sorted = x.clone();
    sorted.sort_by(f64::total_cmp);
    let frame = Frame::from_polars(&df!["x" => x].unwrap(), 20);
    for config in configs() {
        for q in [0.0, 0.01, 0.5, 0.95, 0.999, 1.0] {
            let place: f64 = q * 996.0;
            let (low, high) = (sorted[place as usize], sorted[(place.ceil()) as usize]);
            let expected = low + (high - low) * place.fract();
            let got = frame.quantile("x", q, Interpolation::Linear);
            let got = floats(&config.scope(|| got.compute().unwrap()), "x")[0].unwrap();
            assert!((got / expected - 1.0).abs() < 1e-12, "{q}: {got} {expected}");
        }
    }
}

#[test]
fn defect_14_skewness_says_whether_it_is_of_a_sample() {
    let x = [1.0, 2.0, 3.0, 4.0, 5.0, 23.0];
    let rows = df!["g" => [1_i64; 12], "x" => [x, x].concat()].unwrap();
    for config in configs() {
        for n_parts in [1, 4, 12] {
            // Of values that come twice, what has a bias is the same.
            let aggs = [col("x").skew(true), col("x").kurtosis(true, true).alias("k")];
            let frame = Frame::from_polars(&rows, n_parts);
            let out = config.scope(|| frame.group_by(["g"]).agg(aggs).compute().unwrap());
            let near = |name: &str, b: f64| (floats(&out, name)[0].unwrap() - b).abs() < 1e-12;
            assert!(near("x", 1.6727687946848508) && near("k", 0.9945668771797536), "{out:?}");
            let six = frame
                .head(6)
                .agg([col("x").skew(false), col("x").kurtosis(true, false).alias("k")]);
            let out = config.scope(|| six.compute().unwrap());
            let near = |name: &str, b: f64| (floats(&out, name)[0].unwrap() - b).abs() < 1e-12;
            assert!(near("x", 2.2905330058490514) && near("k", 5.400820058440946), "{out:?}");
        }
    }
}

#[test]
fn defect_14_pivots_have_no_rows_of_which_nothing_is_known() {
    let long =
        df!["day" => [1, 1, 2, 3], "kind" => ["a", "b", "a", "b"], "n" => [1, 2, 3, 4]].unwrap();
    let kept = Frame::from_polars(&long, 4).filter(col("day").neq(2));
    let wide = kept.pivot("kind", ["a", "b"], "day", col("n").sum()).sort("day", false);
    assert!(
        wide.compute()
            .unwrap()
            .equals_missing(&df!["day" => [1, 3], "a" => [Some(1), None], "b" => [2, 4]].unwrap())
    );
}

#[test]
fn defect_15_windows_and_fills_reach_over_any_number_of_partitions() {
    let x: Vec<Option<i64>> = (0..12).map(|i| (i == 2 || i > 9).then_some(i)).collect();
    let n: Vec<i64> = (0..12).collect();
    let frame = Frame::from_polars(&df!["x" => &x, "n" => &n].unwrap(), 12);
    for config in configs() {
        let exprs = [
            col("x").forward_fill(None).alias("forward"),
            col("x").backward_fill(None).alias("backward"),
            col("n").rolling_sum(RollingOptions::new(5)).alias("window"),
            col("n").shift(7).alias("shifted"),
        ];
        let out = config.scope(|| frame.select(exprs).compute().unwrap());
        let last = |i: usize| x[..=i].iter().rev().flatten().next().map(|v| *v as f64);
        assert_eq!(floats(&out, "forward"), (0..12).map(last).collect::<Vec<_>>());
        let next = |i: usize| x[i..].iter().flatten().next().map(|v| *v as f64);
        assert_eq!(floats(&out, "backward"), (0..12).map(next).collect::<Vec<_>>());
        let window = |i: usize| (i >= 4).then(|| n[i - 4..=i].iter().sum::<i64>() as f64);
        assert_eq!(floats(&out, "window"), (0..12).map(window).collect::<Vec<_>>());
        let shifted = |i: usize| (i >= 7).then(|| n[i - 7] as f64);
        assert_eq!(floats(&out, "shifted"), (0..12).map(shifted).collect::<Vec<_>>());
    }
}

#[test]
fn defect_15_shifts_within_groups_keep_the_order_of_rows() {
    let (k, x): (Vec<i64>, Vec<i64>) = ((0..90).map(|i| i * 7 % 3).collect(), (0..90).collect());
    let frame = Frame::from_polars(&df!["k" => &k, "x" => &x].unwrap(), 9);
    let before =
        |i: usize| x[..i].iter().rev().find(|j| k[**j as usize] == k[i]).map(|v| *v as f64);
    let expected: Vec<_> = (0..90).map(before).collect();
    for config in configs() {
        let shifted = frame.select([col("x").shift(1).over(["k"])]);
        assert_eq!(floats(&config.scope(|| shifted.compute().unwrap()), "x"), expected);
    }
}

#[test]
fn defect_15_new_lines_in_quotes_are_no_ends_of_records() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.csv");
    let text: String = (0..50).map(|i| format!("{i},\"a\n{i},\"\"\n\"\n")).collect();
    std::fs::write(&path, format!("n,s\n{text}")).unwrap();
    let mut options = CsvOptions::default();
    options.part_bytes = 20;
    let out = Frame::read_csv_with(&[&path], &options).compute().unwrap();
    assert_eq!(ints(&out, "n"), (0..50).collect::<Vec<_>>());
    let last = out.column("s").unwrap().str().unwrap().get(49).unwrap().to_owned();
    assert_eq!(last, "a\n49,\"\n");
}
