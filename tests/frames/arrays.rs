//! Frames as arrays and back, in one graph; the oracle is a loop over the columns of polars.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dask_rs::array::{self, Array};
use dask_rs::frame::polars_core::df;
use dask_rs::frame::polars_core::prelude::DataFrame;
use dask_rs::frame::{
    ColumnElement, DataFrame as Frame, ParquetOptions, ParquetWriteOptions, col, lit,
};
use dask_rs::{Config, Error, ExecutorKind};
use ndarray::{Array2, ArrayD, Axis, s};

const ROWS: usize = 97;

fn rows() -> DataFrame {
    let id: Vec<i64> = (0..ROWS as i64).collect();
    let x: Vec<f64> = id.iter().map(|i| (i * 7919 % 101) as f64 / 4.0).collect();
    let even: Vec<bool> = id.iter().map(|i| i % 2 == 0).collect();
    df!["id" => id, "x" => x, "even" => even].unwrap()
}

/// All of a frame of numbers, cell by cell.
fn matrix(frame: &DataFrame) -> ArrayD<f64> {
    let cell = |(row, column): (usize, usize)| {
        frame.columns()[column].get(row).unwrap().try_extract().unwrap_or(f64::NAN)
    };
    Array2::from_shape_fn((frame.height(), frame.width()), cell).into_dyn()
}

fn for_all_settings(test: impl Fn(&str)) {
    for optimize in [true, false] {
        for executor in [ExecutorKind::Serial, ExecutorKind::Seeded(7), ExecutorKind::Threaded] {
            let name = format!("optimize {optimize}, {executor:?}");
            let config = Config::new().with_optimize(optimize).with_executor(executor);
            config.scope(|| test(&name));
        }
    }
}

#[test]
fn columns_become_an_array_and_back() {
    let expected = matrix(&rows());
    for n in [1, 2, 5, 97] {
        let frame = Frame::from_polars(&rows(), n);
        for_all_settings(|setting| {
            let array = frame.to_array::<f64>();
            assert_eq!(array.shape().unwrap(), [97, 3]);
            let back = Frame::from_array(&array, ["id", "x", "even"]);
            assert_eq!(back.len().unwrap(), 97);
            let (got, again) = dask_rs::compute((&array, &back)).unwrap();
            assert_eq!(got, expected, "{setting}");
            assert_eq!(matrix(&again), expected, "{setting}");
            let part = array.slice(s![10..40;3, 1]).compute().unwrap();
            assert_eq!(part, expected.slice(s![10..40;3, 1]).into_dyn());
            let x = frame.column_to_array::<f64>("x");
            let got = (&x * 2.0).compute().unwrap();
            assert_eq!(got, (&expected.index_axis(Axis(1), 1) * 2.0).into_dyn());
        });
    }
}

#[test]
fn what_both_need_is_made_once() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let make = move |&i: &usize| {
        counter.fetch_add(1, Ordering::Relaxed);
        Ok(rows().slice(i as i64 * 20, 20))
    };
    let frame = Frame::from_map([0_usize, 1, 2, 3], Arc::clone(rows().schema()), make);
    let array = frame.select(["id", "x"]).to_array::<f64>();
    let table = Frame::from_array(&(&array - array.mean(0)), ["id", "x"]);
    let computed = dask_rs::compute((array.sum(0), frame.agg([col("x").sum()]), &table, &frame));
    let (sums, sum, table, all) = computed.unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 4);
    let first = matrix(&rows().slice(0, 80).select(["id", "x"]).unwrap());
    assert_eq!(sums, first.sum_axis(Axis(0)));
    assert_eq!(sum.column("x").unwrap().f64().unwrap().get(0), Some(sums[[1]]));
    let centred = &first - &first.mean_axis(Axis(0)).unwrap();
    assert!((matrix(&table) - centred).iter().all(|difference| difference.abs() < 1e-9));
    assert!(all.equals(&rows().slice(0, 80)));
}

#[test]
fn arrays_of_filtered_rows_fit_together() {
    let frame = Frame::from_polars(&rows(), 6);
    let ids: Vec<i64> = (0..97).filter(|i| i * 7919 % 101 > 60).collect();
    for_all_settings(|setting| {
        let some = frame.filter(col("x").gt(lit(15.0)));
        let (a, b) = (some.column_to_array::<f64>("id"), some.column_to_array::<f64>("x"));
        assert!(matches!(a.shape(), Err(Error::UnknownChunks { .. })));
        let sum = (&a + &b).compute().unwrap();
        let expected: Vec<f64> =
            ids.iter().map(|&i| i as f64 + (i * 7919 % 101) as f64 / 4.0).collect();
        assert_eq!(sum.as_slice(), Some(&expected[..]), "{setting}");
        // Out, over an array, and in again.
        let twice = Frame::from_array(&(&a * 2.0), "twice").filter(col("twice").gt(100.0));
        let count = ids.iter().filter(|&&i| i > 50).count() as u64;
        assert_eq!(twice.len().unwrap(), count, "{setting}");
        assert_eq!(twice.to_array::<f64>().sum(..).compute().unwrap()[[]], {
            ids.iter().filter(|&&i| i > 50).map(|&i| 2.0 * i as f64).sum::<f64>()
        });
    });
    let one = frame.filter(col("x").gt(lit(15.0))).column_to_array::<f64>("x");
    let other = frame.filter(col("x").gt(lit(16.0))).column_to_array::<f64>("x");
    assert!((&one + &other).check().is_err(), "rows of other filters are other rows");
    let persisted = frame.filter(col("x").gt(lit(15.0))).persist().unwrap();
    assert_eq!(persisted.to_array::<f64>().shape().unwrap(), [ids.len() as u64, 3]);
}

#[test]
fn partitions_that_are_left_out_later_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rows");
    let mut write = ParquetWriteOptions::default();
    write.row_group_rows = 10;
    Frame::from_polars(&rows(), 1).to_parquet_with(&path, &write).unwrap();
    let mut read = ParquetOptions::default();
    read.part_bytes = 100;
    let frame = Frame::read_parquet_with(&[&path], &read);
    let all = frame.explain().unwrap().bytes_read();
    let id = frame.column_to_array::<i64>("id");
    assert_eq!(id.shape().unwrap(), [97]);
    assert!(dask_rs::explain(&id).unwrap().bytes_read() < all * 2 / 3);
    // Built where the optimizer leaves partitions out and run where it does not, and the other way round.
    for build in [true, false] {
        let last = Config::new()
            .with_optimize(build)
            .scope(|| frame.filter(col("id").gt_eq(lit(75_i64))).column_to_array::<i64>("id"));
        for run in [true, false] {
            let got = Config::new().with_optimize(run).scope(|| last.compute().unwrap());
            assert_eq!(
                got.into_iter().collect::<Vec<_>>(),
                (75..97).collect::<Vec<i64>>(),
                "{build} {run}"
            );
        }
    }
}

#[test]
fn chunks_of_columns_come_together() {
    let x: Array<f64> = array::arange(0.0, 42.0, 1.0, [5]).reshape([7, 6]).rechunk([3, 4]);
    let names = ["a", "b", "c", "d", "e", "f"];
    for_all_settings(|setting| {
        let frame = Frame::from_array(&x, names);
        let (got, c) = dask_rs::compute((&frame, frame.select([col("c") + 1.0]))).unwrap();
        assert_eq!(matrix(&got), x.compute().unwrap(), "{setting}");
        assert_eq!(c.column("c").unwrap().f64().unwrap().get(6), Some(39.0));
    });
    let empty: Array<f64> = array::zeros([0, 2], [1, 2]);
    let frame = Frame::from_array(&empty, ["a", "b"]);
    assert_eq!(frame.compute().unwrap().shape(), (0, 2));
    assert_eq!(frame.to_array::<f64>().compute().unwrap().shape(), [0, 2]);
}

#[test]
fn every_element_type_survives() {
    fn check<T: ColumnElement>(values: &[T]) {
        let x = array::from_ndarray(ndarray::arr1(values), [2]);
        let frame = Frame::from_array(&x, "x");
        assert_eq!(frame.column_to_array::<T>("x").compute().unwrap().as_slice(), Some(values));
    }
    check(&[true, false, true]);
    check(&[i8::MIN, 0, i8::MAX]);
    check(&[i16::MIN, 0, i16::MAX]);
    check(&[i32::MIN, 0, i32::MAX]);
    check(&[i64::MIN, 0, i64::MAX]);
    check(&[u8::MIN, 1, u8::MAX]);
    check(&[u16::MIN, 1, u16::MAX]);
    check(&[u32::MIN, 1, u32::MAX]);
    check(&[u64::MIN, 1, u64::MAX]);
    check(&[f32::MIN, -0.0, f32::INFINITY]);
    check(&[f64::MIN, -0.0, f64::INFINITY]);
}

#[test]
fn nulls_are_nan_or_an_error() {
    let frame = df!["a" => [Some(1_i64), None, Some(3)], "b" => [Some(0.5), Some(1.0), None]];
    let frame = Frame::from_polars(&frame.unwrap(), 2);
    let floats = frame.to_array::<f32>().compute().unwrap();
    let nan: Vec<bool> = floats.iter().map(|x| x.is_nan()).collect();
    assert_eq!(nan, [false, false, true, false, false, true]);
    let message = frame.column_to_array::<i64>("a").compute().unwrap_err().to_string();
    assert!(message.contains("\"a\"") && message.contains("fill_null"), "{message}");
    let filled = frame.select([col("a").fill_null(0)]).to_array::<u8>().compute().unwrap();
    assert_eq!(filled.as_slice(), Some(&[1, 0, 3][..]));
    let wide = Frame::from_polars(&df!["w" => [300_i64]].unwrap(), 1);
    let message = wide.to_array::<u8>().compute().unwrap_err().to_string();
    assert!(message.contains("\"w\""), "{message}");
}

#[test]
fn mistakes_name_the_call() {
    let after = |line: u32| format!("arrays.rs:{}:", line + 1);
    let frame = Frame::from_polars(&df!["a" => [1], "s" => ["x"]].unwrap(), 1);
    let line = after(line!());
    let text = frame.to_array::<f64>().check().unwrap_err().to_string();
    for part in ["to_array", "str", "\"s\"", "numbers", &line] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    let unknown = frame.column_to_array::<f64>("no").check().unwrap_err();
    assert!(matches!(unknown, Error::UnknownColumn { .. }));
    let x: Array<f64> = array::ones([4, 2], [2, 2]);
    let refused = |error: Error| matches!(error, Error::InvalidArgument { .. });
    assert!(refused(Frame::from_array(&x, "a").check().unwrap_err()));
    assert!(refused(Frame::from_array(&x.reshape([2, 2, 2]), ["a", "b"]).check().unwrap_err()));
    let twice = Frame::from_array(&x, ["a", "a"]).check().unwrap_err();
    assert!(matches!(twice, Error::DuplicateColumn { .. }));
    // Errors of chains go over, with the line where they began.
    let line = after(line!());
    let wrong = Frame::from_array(&x.reshape([3, 3]), ["a", "b", "c"]).to_array::<f64>().sum(0);
    let text = wrong.check().unwrap_err().to_string();
    assert!(text.contains("reshape") && text.contains(&line), "{text}");
}

#[test]
fn a_plan_with_bridges_can_be_explained_and_stays_in_the_budget() {
    let frame = Frame::from_polars(&rows(), 4);
    let table = Frame::from_array(&frame.to_array::<f64>(), ["a", "b", "c"]);
    let explained = table.explain().unwrap();
    let text = explained.to_string();
    assert!(text.contains("from_array") && text.contains("to_array"), "{text}");
    assert!(explained.n_tasks().unwrap() <= 8, "{text}");
    assert!(explained.peak_bytes().unwrap() >= 25 * 3 * 8, "{text}");
    let small = Config::new().with_memory_limit(64 << 10);
    assert_eq!(small.scope(|| table.compute().unwrap().height()), 97);
}

#[test]
fn numbers_that_an_element_type_lacks_are_refused() {
    let frame = Frame::from_polars(&df!["a" => [0.5, 1.0], "n" => [1_i64, 2]].unwrap(), 1);
    for error in [
        frame.column_to_array::<i64>("a").compute().unwrap_err(),
        frame.column_to_array::<bool>("n").compute().unwrap_err(),
    ] {
        assert!(error.to_string().contains("does not have all of its values"), "{error}");
    }
    let whole = frame.select([col("a").floor()]).column_to_array::<i64>("a").compute().unwrap();
    assert_eq!(whole.into_raw_vec_and_offset().0, [0, 1]);
}
