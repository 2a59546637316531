//! Wrong steps: what the message says, which line it names, and that chains go on until they are asked.

use std::panic::Location;

use dask_rs::frame::polars_core::df;
use dask_rs::frame::polars_core::prelude::{DataFrame, DataType, Schema};
use dask_rs::frame::{DataFrame as Frame, JoinHow, col, len, lit};
use dask_rs::{Config, Error};

fn rows() -> DataFrame {
    df!["id" => [1_i64, 2, 3, 4], "x" => [0.5, 1.5, 2.5, 3.5], "s" => ["1", "2", "c", "4"]].unwrap()
}

fn frame() -> Frame {
    Frame::from_polars(&rows(), 2)
}

#[track_caller]
fn has_parts(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "no {part:?} in: {message}");
    }
    assert!(!message.ends_with('.'), "{message}");
}

/// The message has every part, and names the line on which this was called.
#[track_caller]
fn check(frame: &Frame, parts: &[&str]) {
    let here = Location::caller();
    let message = frame.check().expect_err("this must be refused").to_string();
    has_parts(&message, parts);
    let line = format!("{}:{}:", here.file(), here.line());
    assert!(message.contains(&line), "no {line} in: {message}");
}

#[test]
fn each_mistake_says_operation_got_expected_and_line() {
    let x = frame();
    let columns = "id\", \"x\", \"s";
    check(&x.select(["no"]), &["select:", "\"no\"", columns]);
    check(&x.select([col("id"), col("x").alias("id")]), &["select:", "\"id\"", "alias()"]);
    check(&x.select([col("s") + 1]), &["select:", "col(\"s\") + 1", "str"]);
    check(&x.with_columns([col("no") + 1]), &["with_columns:", "\"no\"", columns]);
    check(&x.with_columns([lit(1).alias("a"), lit(2).alias("a")]), &["with_columns:", "\"a\""]);
    check(&x.filter(col("no").gt(1)), &["filter:", "\"no\"", columns]);
    check(&x.filter(col("x") + 1), &["filter:", "f64", "bool"]);
    check(&x.filter(col("s").gt(1)), &["filter:", "col(\"s\") > 1", "str"]);
    check(&x.rename([("no", "a")]), &["rename:", "\"no\"", columns]);
    check(&x.rename([("id", "x")]), &["rename:", "\"x\""]);
    check(&x.drop_columns(["no"]), &["drop_columns:", "\"no\"", columns]);
    check(&x.group_by(["no"]).agg([len()]), &["agg:", "\"no\"", columns]);
    check(&x.group_by(["id"]).agg([col("x")]), &["agg:", "col(\"x\")", "an aggregate"]);
    check(&x.group_by(["id"]).agg([col("no").sum()]), &["agg:", "\"no\"", columns]);
    check(&x.group_by(["id"]).agg([col("id").sum()]), &["agg:", "\"id\"", "alias()"]);
    check(&x.group_by(["id"]).agg([col("s").sum()]), &["agg:", "str", "numbers"]);
    check(&x.agg([col("s").mean()]), &["agg:", "str", "numbers"]);
    check(&x.agg([col("x").sum() + col("s").first()]), &["agg:", "str"]);
    check(&x.unique_by(["no"]), &["unique_by:", "\"no\"", columns]);
    check(&x.sort("no", false), &["sort:", "\"no\"", columns]);
    check(&x.sort(["id", "x"], [true]), &["sort:", "2 columns", "1 directions"]);
    check(&x.sort_with(["id", "x"], false, [true]), &["sort", "2 columns", "1"]);
    check(&x.top_k(3, "no"), &["top_k:", "\"no\"", columns]);
    check(&x.bottom_k(3, "no"), &["bottom_k:", "\"no\"", columns]);
    check(&x.set_index("no"), &["set_index:", "\"no\"", columns]);
    let none: [&str; 0] = [];
    check(&x.sort(none, false), &["sort:", "0 columns"]);
    let other = Frame::from_polars(&df!["id" => ["1"], "y" => [1.0]].unwrap(), 1);
    check(&x.join(&other, "no", JoinHow::Inner), &["join:", "\"no\"", columns]);
    check(&x.join(&other, "x", JoinHow::Inner), &["join:", "\"x\"", "id\", \"y"]);
    check(&x.join(&other, "id", JoinHow::Inner), &["join:", "i64", "str", "cast()"]);
    check(&x.join_on(&other, ["id", "x"], ["id"], JoinHow::Left), &["join_on:", "2 and 1 columns"]);
    check(&x.join(&other, none, JoinHow::Full), &["join:", "0 and 0 columns"]);
    let taken = x.with_columns([lit(1).alias("x_right")]);
    check(&taken.join(&x, "id", JoinHow::Inner), &["join:", "x_right"]);
    check(&taken.cross_join(&x.select(["x"])), &["cross_join:", "x_right"]);
    check(&Frame::concat([&x, &other]), &["concat:", "id str", "id i64", "select()"]);
    check(&Frame::concat([&x, &x.select(["x", "id", "s"])]), &["concat:", "x f64, id i64"]);
    check(&Frame::concat([]), &["concat:", "none", "one frame at least"]);
    check(&Frame::read_parquet("/nowhere/x.parquet"), &["read_parquet:", "/nowhere/x.parquet"]);
}

#[test]
fn a_chain_keeps_its_first_error() {
    let line = line!() + 1;
    let wrong = frame().filter(col("no").gt(1));
    let chain = wrong.select(["gone"]).group_by(["s"]).agg([len()]).sort("no", true).head(3);
    let here = format!("errors.rs:{line}:");
    let is_here = |error: Error| {
        assert!(matches!(error, Error::UnknownColumn { .. }), "{error}");
        assert!(error.to_string().starts_with("filter:"), "{error}");
        assert!(error.to_string().contains(&here), "{error}");
    };
    let dir = tempfile::tempdir().unwrap();
    is_here(chain.check().unwrap_err());
    is_here(chain.compute().unwrap_err());
    is_here(chain.persist().unwrap_err());
    is_here(chain.schema().unwrap_err());
    is_here(chain.columns().unwrap_err());
    is_here(chain.len().unwrap_err());
    is_here(chain.is_empty().unwrap_err());
    is_here(chain.explain().unwrap_err());
    is_here(chain.to_parquet(dir.path().join("x")).unwrap_err());
    is_here(chain.visualize(dir.path().join("x.svg")).unwrap_err());
    is_here(dask_rs::compute((frame(), &chain)).unwrap_err());
    is_here(dask_rs::compute(vec![chain.clone()]).unwrap_err());
    is_here(Frame::concat([&frame(), &chain]).check().unwrap_err());
    is_here(frame().join(&chain, "no", JoinHow::Inner).check().unwrap_err());
    assert!(chain.to_string().contains(&here), "{chain}");
    assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none());
    // The first of two errors, from the left.
    is_here(wrong.join(&frame().select(["gone"]), "no", JoinHow::Inner).check().unwrap_err());
}

fn configs() -> [Config; 4] {
    let small = Config::new().with_chunk_bytes(64);
    [Config::new(), Config::new().with_optimize(false), small.clone(), small.with_threads(4)]
}

#[test]
fn a_partition_function_that_returns_something_else_is_named() {
    let line = line!() + 2;
    let schema = frame().schema().unwrap();
    let wrong = frame().map_partitions(schema, |rows, _| rows.select(["x", "id"]));
    for config in configs() {
        let error = config.scope(|| wrong.compute().unwrap_err());
        assert!(matches!(error, Error::TaskFailed { .. }), "{error}");
        let line = format!("errors.rs:{line}:");
        has_parts(&error.to_string(), &["map_partitions", "x f64, id i64", "id i64, x f64", &line]);
    }
}

#[test]
fn a_partition_function_that_fails_is_named() {
    let schema = frame().schema().unwrap();
    let wrong = frame().map_partitions(schema, |rows, _| rows.select(["nothing", "id"]));
    for config in configs() {
        let error = config.scope(|| wrong.compute().unwrap_err());
        has_parts(&error.to_string(), &["map_partitions", "block", "nothing"]);
    }
}

#[test]
fn a_panic_of_the_user_is_an_error() {
    let schema = frame().schema().unwrap();
    let of_rows = frame().map_partitions(schema, |_, part| panic!("not part {part}"));
    let of_values = frame().select([col("id").map(|_| panic!("not these"), DataType::Int64)]);
    let grouped =
        frame().group_by([col("id").map(|_| panic!("not these"), DataType::Int64).alias("g")]);
    for config in configs() {
        for wrong in [&of_rows, &of_values, &grouped.clone().agg([len()])] {
            let error = config.scope(|| wrong.compute().unwrap_err());
            assert!(matches!(&error, Error::TaskPanicked { .. }), "{error}");
            has_parts(&error.to_string(), &["panicked", "not "]);
        }
        // What ran before it is not lost.
        assert_eq!(config.scope(|| frame().compute().unwrap()).height(), 4);
    }
}

#[test]
fn a_user_function_of_another_dtype_or_length_is_an_error() {
    let dtype = frame().select([col("id").map(|c| Ok(c.clone()), DataType::Float64)]);
    let length = frame().select([col("id").map(|c| Ok(c.new_from_index(0, 17)), DataType::Int64)]);
    for config in configs() {
        let error = config.scope(|| dtype.compute().unwrap_err());
        has_parts(&error.to_string(), &["i64", "f64"]);
        let error = config.scope(|| length.compute().unwrap_err());
        has_parts(&error.to_string(), &["17 values"]);
    }
}

#[test]
fn a_value_that_cannot_be_converted_is_an_error_where_it_is_wanted() {
    let wrong = frame().select([col("s").strict_cast(DataType::Int64).alias("n")]);
    let fine = frame().filter(col("id").neq(3));
    let guarded = fine.filter(col("s").strict_cast(DataType::Int64).gt(1));
    for config in configs() {
        let error = config.scope(|| wrong.compute().unwrap_err());
        has_parts(&error.to_string(), &["strict_cast", "str"]);
        // Rows that an earlier filter dropped are not looked at.
        assert_eq!(config.scope(|| guarded.compute().unwrap()).height(), 2);
        let joined = fine.join(&fine.select(["id"]), "id", JoinHow::Inner);
        let late = joined.filter(col("s").strict_cast(DataType::Int64).gt(1));
        assert_eq!(config.scope(|| late.compute().unwrap()).height(), 2);
    }
}

#[test]
fn a_file_that_is_damaged_or_gone_when_it_is_read_is_named_with_the_line_that_opened_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rows");
    let many: Vec<i64> = (0..10_000).map(|i| i * 7919 % 10_007).collect();
    Frame::from_polars(&df!["id" => many].unwrap(), 1).to_parquet(&path).unwrap();
    let file = std::fs::read_dir(&path).unwrap().next().unwrap().unwrap().path();
    let line = line!() + 1;
    let frame = Frame::read_parquet(&path);
    let whole = std::fs::read(&file).unwrap();
    let mut damaged = whole.clone();
    damaged[100..2000].fill(0xA5);
    let line = format!("errors.rs:{line}:");
    for config in configs() {
        std::fs::write(&file, &damaged).unwrap();
        let error = config.scope(|| frame.agg([col("id").sum()]).compute().unwrap_err());
        has_parts(&error.to_string(), &["read_parquet:", file.to_str().unwrap(), &line]);
        std::fs::write(&file, &whole[..1000]).unwrap();
        let error = config.scope(|| frame.agg([col("id").sum()]).compute().unwrap_err());
        has_parts(&error.to_string(), &["read_parquet:", file.to_str().unwrap(), &line]);
        std::fs::remove_file(&file).unwrap();
        let error = config.scope(|| frame.agg([col("id").sum()]).compute().unwrap_err());
        has_parts(&error.to_string(), &["read_parquet:", file.to_str().unwrap(), &line]);
    }
}

#[test]
fn a_write_that_fails_names_the_path_and_leaves_what_was_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rows");
    frame().to_parquet(&path).unwrap();
    let error = frame().to_parquet(&path).unwrap_err();
    has_parts(&error.to_string(), &["to_parquet:", path.to_str().unwrap(), "errors.rs"]);
    let schema = frame().schema().unwrap();
    let wrong = frame().map_partitions(schema, |_, _| panic!("no"));
    let other = dir.path().join("other");
    assert!(matches!(wrong.to_parquet(&other), Err(Error::TaskPanicked { .. })));
    assert!(!other.exists());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    assert!(Frame::read_parquet(&path).compute().unwrap().equals(&rows()));
}

#[test]
fn a_task_that_cannot_fit_is_refused_before_anything_runs() {
    let big = Frame::from_polars(&df!["id" => vec![1_i64; 100_000]].unwrap(), 1);
    let ran = col("id").map(|_| panic!("it ran"), DataType::Int64).alias("x");
    let ran = big.with_columns([ran]);
    let small = Config::new().with_memory_limit(100_000);
    let error = small.scope(|| ran.compute().unwrap_err());
    assert!(matches!(error, Error::OverBudget { needed, limit, .. } if needed > limit), "{error}");
    // Nobody knows how many rows filters and joins leave, so these are no reason.
    let few = big.filter(col("id").gt(1)).join(&big.filter(col("id").lt(0)), "id", JoinHow::Inner);
    assert_eq!(small.scope(|| few.compute().unwrap().height()), 0);
}

#[test]
fn what_is_odd_and_right_is_no_error() {
    let none = Frame::from_polars(&rows().head(Some(0)), 3);
    for config in configs() {
        config.scope(|| {
            assert_eq!(none.compute().unwrap().shape(), (0, 3));
            assert_eq!(none.sort("s", true).head(3).compute().unwrap().height(), 0);
            assert_eq!(none.group_by(["s"]).agg([col("x").sum()]).compute().unwrap().height(), 0);
            assert_eq!(none.agg([col("x").sum(), len()]).compute().unwrap().height(), 1);
            assert_eq!(none.join(&frame(), "id", JoinHow::Full).compute().unwrap().height(), 4);
            assert_eq!(frame().join(&none, "id", JoinHow::Anti).compute().unwrap().height(), 4);
            assert_eq!(none.unique().len().unwrap(), 0);
            assert_eq!(frame().slice(u64::MAX, u64::MAX).len().unwrap(), 0);
            assert_eq!(frame().slice(1, u64::MAX).len().unwrap(), 3);
            assert_eq!(frame().top_k(u64::MAX, "x").len().unwrap(), 4);
            assert_eq!(frame().head(0).compute().unwrap().shape(), (0, 3));
            assert_eq!(frame().filter(lit(false)).compute().unwrap().height(), 0);
            assert_eq!(frame().filter(lit(true)).compute().unwrap().height(), 4);
            let nothing: [&str; 0] = [];
            assert_eq!(frame().select(nothing).compute().unwrap().shape(), (4, 0));
            assert_eq!(frame().select([lit(7).alias("seven")]).compute().unwrap().shape(), (4, 1));
            let empty = Schema::default().into();
            let emptied = frame().map_partitions(empty, |rows, _| rows.select(["id"; 0]));
            assert_eq!(emptied.compute().unwrap().width(), 0);
        });
    }
}
