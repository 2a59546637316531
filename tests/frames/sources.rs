//! Frames from functions and from arrow's record batches.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dask_rs::frame::arrow::array as aa;
use dask_rs::frame::arrow::datatypes::i256;
use dask_rs::frame::polars_core::df;
use dask_rs::frame::polars_core::prelude::{DataFrame, PolarsError, SchemaRef};
use dask_rs::frame::{DataFrame as Frame, col, len, lit};
use dask_rs::{Config, Error};

/// Ten rows of one day.
fn day(day: i64) -> DataFrame {
    let hours: Vec<i64> = (0..10).collect();
    let names: Vec<String> = hours.iter().map(|hour| format!("{day}-{hour}")).collect();
    df!["day" => vec![day; 10], "hour" => hours, "name" => names].unwrap()
}

fn schema() -> SchemaRef {
    Arc::clone(day(0).schema())
}

#[test]
fn a_function_makes_a_partition_of_each_input_when_it_is_needed() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let frame = Frame::from_map([3_i64, 1, 2], schema(), move |&input| {
        counter.fetch_add(1, Ordering::Relaxed);
        Ok(day(input))
    });
    assert_eq!(calls.load(Ordering::Relaxed), 0);
    let all = [3, 1, 2].map(day).into_iter().reduce(|a, b| a.vstack(&b).unwrap()).unwrap();
    for optimize in [true, false] {
        let sum = frame.filter(col("hour").gt(4)).group_by(["day"]).agg([col("hour").sum(), len()]);
        let sum = sum.sort("day", false);
        let (rows, sum, n) = Config::new()
            .with_optimize(optimize)
            .scope(|| (frame.compute().unwrap(), sum.compute().unwrap(), frame.len().unwrap()));
        assert!(rows.equals(&all) && n == 30);
        let expected = df!["day" => [1_i64, 2, 3], "hour" => [35_i64; 3], "len" => [5_u32; 3]];
        assert!(sum.equals(&expected.unwrap()), "{sum:?}");
    }
    calls.store(0, Ordering::Relaxed);
    let (a, b) = dask_rs::compute((frame.select(["name"]), frame.select(["day"]))).unwrap();
    assert_eq!((a.width(), b.height()), (1, 30));
    assert_eq!(calls.load(Ordering::Relaxed), 3);
}

#[test]
fn mistakes_of_functions_name_the_call() {
    let line = line!() + 1;
    let frame = Frame::from_map([1_i64], schema(), |&i| Ok(day(i).drop("name").unwrap()));
    let message = frame.compute().unwrap_err().to_string();
    for part in ["from_map", "name", &format!("sources.rs:{line}:"), "declare"] {
        assert!(message.contains(part), "no {part:?} in {message}");
    }
    let failing = Frame::from_map([1_i64], schema(), |_| {
        Err::<DataFrame, _>(PolarsError::ComputeError("no such day".into()))
    });
    assert!(failing.compute().unwrap_err().to_string().contains("no such day"));
    let panicking = Frame::from_map([1_i64], schema(), |_| panic!("of all things"));
    assert!(panicking.compute().unwrap_err().to_string().contains("of all things"));
    let none = Frame::from_map(Vec::<i64>::new(), schema(), |_| Ok(day(0)));
    assert!(matches!(none.check().unwrap_err(), Error::InvalidArgument { .. }));
}

fn batch(day: i64, hours: &[i64]) -> aa::RecordBatch {
    let names: aa::StringArray = hours.iter().map(|hour| Some(format!("hour {hour}"))).collect();
    let days: aa::ArrayRef = Arc::new(aa::Int64Array::from(vec![day; hours.len()]));
    let hours: aa::ArrayRef = Arc::new(aa::Int64Array::from(hours.to_vec()));
    let names: aa::ArrayRef = Arc::new(names);
    aa::RecordBatch::try_from_iter([("day", days), ("hour", hours), ("name", names)]).unwrap()
}

#[test]
fn record_batches_are_partitions() {
    let frame = Frame::from_record_batches([batch(1, &[3, 4, 5]), batch(2, &[6]).slice(0, 1)]);
    let names = ["hour 3", "hour 4", "hour 5", "hour 6"];
    let expected = df!["day" => [1_i64, 1, 1, 2], "hour" => [3_i64, 4, 5, 6], "name" => names];
    let expected = expected.unwrap();
    assert!(frame.compute().unwrap().equals(&expected));
    assert_eq!(frame.len().unwrap(), 4);
    let some = frame.filter(col("name").eq(lit("hour 4"))).select(["hour"]).compute().unwrap();
    assert!(some.equals(&df!["hour" => [4_i64]].unwrap()));
    let two = frame.slice(2, 2).compute().unwrap();
    assert!(two.equals(&expected.slice(2, 2)));

    let other = batch(1, &[1]).project(&[0, 1]).unwrap();
    let mixed = Frame::from_record_batches([batch(1, &[1]), other]);
    assert!(matches!(mixed.check().unwrap_err(), Error::SchemaMismatch { .. }));
    let none = Frame::from_record_batches([]);
    assert!(matches!(none.check().unwrap_err(), Error::InvalidArgument { .. }));
    let wide: aa::ArrayRef = Arc::new(aa::Decimal256Array::from(vec![i256::ONE]));
    let wide = aa::RecordBatch::try_from_iter([("wide", wide)]).unwrap();
    let message = Frame::from_record_batches([wide]).check().unwrap_err().to_string();
    assert!(message.contains("Decimal256") && message.contains("\"wide\""), "{message}");
}
