//! Errors that are found when a task runs name the line of the user that made the operation.

use dask_rs::array::{self, Array};
use dask_rs::frame::polars_core::df;
use dask_rs::frame::polars_core::prelude::DataType;
use dask_rs::frame::{DataFrame as Frame, JoinHow, col, len};
use dask_rs::{Config, Error};

fn configs() -> [Config; 4] {
    let small = Config::new().with_chunk_bytes(64);
    [Config::new(), Config::new().with_optimize(false), small.clone(), small.with_threads(4)]
}

fn frame() -> Frame {
    let rows = df!["id" => [1_i64, 2, 3, 4], "s" => ["1", "2", "c", "4"]].unwrap();
    Frame::from_polars(&rows, 2)
}

/// The error of each configuration says that the operation was made in this line.
#[track_caller]
fn names_line(frame: &Frame, line: u32) {
    for config in configs() {
        let error = config.scope(|| frame.compute().unwrap_err());
        let (Error::TaskFailed { at, .. } | Error::TaskPanicked { at, .. }) = &error else {
            panic!("{error}")
        };
        assert_eq!(at.map(|at| at.line()), Some(line), "{error}");
        assert!(error.to_string().contains(&format!("lines.rs:{line}:")), "{error}");
    }
}

fn number() -> dask_rs::frame::Expr {
    col("s").strict_cast(DataType::Int64).alias("n")
}

fn panics() -> dask_rs::frame::Expr {
    col("id").map(|_| panic!("not these"), DataType::Int64).alias("p")
}

#[test]
fn values_that_do_not_fit_name_the_line_of_their_operation() {
    let x = frame().filter(col("id").gt(0));
    let line = line!() + 1;
    let cast = x.with_columns([number()]);
    names_line(&cast, line);
    names_line(&cast.select(["n"]).rename([("n", "m")]), line);
    names_line(&cast.filter(col("id").gt(1)).head(3), line);
    names_line(&cast.group_by(["n"]).agg([len()]), line);
    names_line(&cast.join(&frame(), "id", JoinHow::Inner).sort("n", true), line);
    let line = line!() + 1;
    let filtered = x.filter(number().gt(1));
    names_line(&filtered, line);
    names_line(&filtered.filter(col("id").lt(9)).select(["id"]), line);
    let line = line!() + 1;
    let sums = x.group_by(["id"]).agg([number().sum()]);
    names_line(&sums.with_columns([(col("n") + 1).alias("m")]), line);
}

#[test]
fn panics_name_the_line_of_their_operation() {
    let line = line!() + 1;
    let panicking = frame().with_columns([panics()]);
    names_line(&panicking, line);
    names_line(&panicking.filter(col("id").gt(1)).select(["p"]).sort("p", false), line);
    let schema = frame().schema().unwrap();
    let line = line!() + 1;
    let mapped = frame().map_partitions(schema, |_, _| panic!("no"));
    names_line(&mapped.with_columns([col("id").cum_sum(false)]), line);
    // What fails later is another operation.
    let fine = frame().with_columns([col("id").map(|c| Ok(c.clone()), DataType::Int64).alias("p")]);
    let line = line!() + 1;
    names_line(&fine.select([panics()]), line);
}

#[test]
fn equal_operations_of_two_lines_are_one() {
    let source = frame().with_columns([col("id").cum_sum(false).alias("c")]);
    let one = source.filter(col("c").gt(1));
    let two = source.filter(col("c").gt(1));
    let both = dask_rs::explain(vec![one.clone(), two]).unwrap().n_tasks();
    assert_eq!(both, dask_rs::explain(vec![one.clone(), one]).unwrap().n_tasks());
}

#[test]
fn mismatches_in_files_name_the_line_that_opened_them() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.csv");
    std::fs::write(&path, "a,b\n1,2\n3,x\n").unwrap();
    let mut options = dask_rs::frame::CsvOptions::default();
    options.dtypes = vec![("b".into(), DataType::Int64)];
    let line = line!() + 1;
    let read = Frame::read_csv_with(&[&path], &options);
    names_line(&read.select([col("a") + 1, col("b")]), line);
}

#[test]
fn steps_of_a_scan_name_their_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.csv");
    std::fs::write(&path, "id,s\n1,1\n2,2\n3,c\n").unwrap();
    let read = Frame::read_csv_with(&[&path], &dask_rs::frame::CsvOptions::default());
    let line = line!() + 1;
    let filtered = read.filter(number().gt(1));
    names_line(&filtered, line);
    names_line(&filtered.select([(col("id") + 1).alias("m")]), line);
    names_line(&filtered.agg([col("id").sum()]), line);
    let line = line!() + 1;
    let panicking = read.filter(col("id").gt(1)).with_columns([panics()]);
    names_line(&panicking.filter(col("p").gt(1)), line);
    names_line(&panicking.agg([col("p").sum()]), line);
}

#[test]
fn functions_of_blocks_name_their_line() {
    let x: Array<f64> = array::ones([4, 6], [2, 2]);
    let line = line!() + 1;
    let y = x.map_blocks(|_, _| -> ndarray::ArrayD<f64> { panic!("no") });
    for config in configs() {
        let error = config.scope(|| ((&y + 1.0) * 2.0).sum(0).compute().unwrap_err());
        assert!(error.to_string().contains(&format!("lines.rs:{line}:")), "{error}");
    }
}
