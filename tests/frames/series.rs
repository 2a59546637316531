//! One column as a handle, against polars' series of one frame.

use dask_rs::frame::polars_core::df;
use dask_rs::frame::polars_core::prelude::*;
use dask_rs::frame::{
    ClosedInterval, DataFrame as Frame, Interpolation, RankTies, RollingOptions, Series as Lazy,
    col, lit,
};
use dask_rs::{Config, Error};

fn rows() -> DataFrame {
    df![
        "x" => [Some(3.0), None, Some(-1.0), Some(f64::NAN), Some(2.5), Some(-1.0), Some(7.0)],
        "n" => [Some(5_i64), Some(2), None, Some(2), Some(-4), Some(0), Some(9)],
        "s" => [Some("pear"), Some("fig"), None, Some("pear"), Some("Äpfel"), Some(""), Some("fig")],
        "row" => [0_i64, 1, 2, 3, 4, 5, 6],
    ]
    .unwrap()
}

/// Whether a series is this one, however its frame is cut, and with the plan as it was written.
#[track_caller]
fn same(of: impl Fn(&Frame) -> Lazy, expected: &Series) {
    for n_parts in [1, 3, 7] {
        for optimize in [true, false] {
            let config = Config::new().with_optimize(optimize).with_chunk_bytes(64);
            let series = of(&Frame::from_polars(&rows(), n_parts));
            assert_eq!(series.name().unwrap(), expected.name().as_str());
            assert_eq!(&series.dtype().unwrap(), expected.dtype(), "{series}");
            let got = config.scope(|| series.compute()).unwrap();
            assert!(got.equals_missing(expected), "{n_parts} {optimize}: {got:?} {expected:?}");
        }
    }
}

/// A column of the rows, as polars has it.
fn of(name: &str) -> Series {
    rows().column(name).unwrap().as_materialized_series().clone()
}

fn mask(values: [Option<bool>; 7], name: &str) -> Series {
    Series::new(name.into(), values)
}

#[test]
fn operators_are_those_of_polars() {
    let (x, n) = (of("x"), of("n"));
    let floats = n.cast(&DataType::Float64).unwrap();
    same(|f| f.column("x") + f.column("n"), &(&x + &floats).unwrap());
    same(|f| &f.column("x") * &f.column("x"), &(&x * &x).unwrap());
    same(|f| f.column("n") - 2, &(&n - 2));
    same(
        |f| 2 - f.column("n"),
        &Series::new("n".into(), [-3, 0, 0, 0, 6, 2, -7_i64])
            .zip_with(&n.is_not_null(), &Series::full_null("n".into(), 7, &DataType::Int64))
            .unwrap(),
    );
    same(|f| 1.0 / &f.column("x"), &x.f64().unwrap().apply_values(|v| 1.0 / v).into_series());
    same(
        |f| f.column("x") - col("row"),
        &(&x - &of("row").cast(&DataType::Float64).unwrap()).unwrap(),
    );
    same(|f| -f.column("n"), &(&n * -1));
    same(|f| f.column("n") % 3, &(&n % 3));
    same(|f| f.column("n").floor_div(f.column("row") + 1), &{
        let floors = [Some(5), Some(1), None, Some(0), Some(-1), Some(0), Some(1_i64)];
        Series::new("n".into(), floors)
    });
}

#[test]
fn comparisons_are_those_of_polars() {
    const T: Option<bool> = Some(true);
    const F: Option<bool> = Some(false);
    same(|f| f.column("n").gt(f.column("row")), &mask([T, T, None, F, F, F, T], "n"));
    same(|f| f.column("n").eq(2), &mask([F, T, None, T, F, F, F], "n"));
    same(|f| f.column("s").neq(lit("fig")), &mask([T, F, None, T, T, T, F], "s"));
    same(
        |f| f.column("n").gt(0) & !f.column("s").eq(lit("fig")),
        &mask([T, F, None, T, F, F, F], "n"),
    );
    same(
        |f| f.column("n").is_between(-4, f.column("row"), ClosedInterval::Both),
        &mask([F, F, None, T, T, T, F], "n"),
    );
    same(|f| f.column("s").is_in(["fig", ""]), &mask([F, T, None, F, F, T, T], "s"));
    same(|f| f.column("x").is_null() | f.column("x").is_nan(), &mask([F, T, F, T, F, F, F], "x"));
}

#[test]
fn aggregates_are_one_value() {
    let one = |name: &str, value: Option<f64>| Series::new(name.into(), [value]);
    let n = [5.0, 2.0, 2.0, -4.0, 0.0, 9.0];
    let mean = n.iter().sum::<f64>() / 6.0;
    same(|f| f.column("n").mean(), &one("n", Some(mean)));
    same(|f| f.column("n").sum(), &Series::new("n".into(), [14_i64]));
    same(|f| f.column("n").quantile(0.5, Interpolation::Linear), &one("n", Some(2.0)));
    same(|f| f.column("x").filter(f.column("x").is_nan()).min(), &one("x", Some(f64::NAN)));
    same(|f| f.column("n").n_unique(), &Series::new("n".into(), [6_u32]));
    same(|f| f.column("s").max(), &Series::new("s".into(), ["Äpfel"]));
    // An aggregate beside the values it is of.
    let distance = of("n").cast(&DataType::Float64).unwrap();
    same(|f| f.column("n") - f.column("n").mean(), &(&distance - mean));
    let frame = Frame::from_polars(&rows(), 3);
    assert_eq!(frame.column("n").max().item().unwrap(), AnyValue::Int64(9));
    assert_eq!(frame.column("n").len().unwrap(), 7);
    assert_eq!(frame.column("n").sum().len().unwrap(), 1);
    assert!(frame.column("n").filter(lit(false)).is_empty().unwrap());
    assert!(matches!(frame.column("n").item(), Err(Error::InvalidArgument { .. })));
    let (low, all) = dask_rs::compute((frame.column("n").min(), &frame)).unwrap();
    assert_eq!((low.get(0).unwrap(), all.height()), (AnyValue::Int64(-4), 7));
}

#[test]
fn neighbours_are_seen_across_partitions() {
    let ints = |v: [Option<i64>; 7]| Series::new("n".into(), v);
    same(|f| f.column("n").shift(2), &of("n").shift(2));
    let sums = [Some(5), Some(7), None, Some(9), Some(5), Some(5), Some(14)];
    same(|f| f.column("n").cum_sum(false), &ints(sums));
    same(
        |f| f.column("n").fill_null(0).diff(1),
        &ints([None, Some(-3), Some(-2), Some(2), Some(-6), Some(4), Some(9)]),
    );
    same(
        |f| f.column("row").rolling_sum(RollingOptions::new(3)),
        &Series::new("row".into(), [None, None, Some(3_i64), Some(6), Some(9), Some(12), Some(15)]),
    );
    same(
        |f| f.column("n").forward_fill(None),
        &ints([Some(5), Some(2), Some(2), Some(2), Some(-4), Some(0), Some(9)]),
    );
    same(
        |f| f.column("row").rank(RankTies::Min, true).cast(DataType::Int64),
        &Series::new("row".into(), [7_i64, 6, 5, 4, 3, 2, 1]),
    );
    // What is before a row is found before others are left out.
    same(
        |f| f.column("row").cum_sum(false).filter(f.column("n").gt(1)),
        &Series::new("row".into(), [0_i64, 1, 6, 21]),
    );
}

#[test]
fn other_rows_are_another_frame() {
    let sorted =
        of("n").sort(SortOptions::default().with_order_descending(true).with_nulls_last(true));
    same(|f| f.column("n").sort(true, true), &sorted.unwrap());
    same(|f| f.column("s").head(2), &of("s").head(Some(2)));
    same(|f| f.column("s").tail(3), &of("s").tail(Some(3)));
    same(|f| f.column("n").drop_nulls(), &of("n").drop_nulls());
    same(|f| f.column("n").top_k(2), &Series::new("n".into(), [9_i64, 5]));
    same(
        |f| f.column("n").unique().sort(false, false),
        &of("n").unique().unwrap().sort(SortOptions::default()).unwrap(),
    );
    same(|f| f.column("n").mode(), &Series::new("n".into(), [2_i64]));
    same(
        |f| f.column("x").filter(col("n").gt(1)),
        &of("x").filter(of("n").gt(1).as_ref().unwrap()).unwrap(),
    );
    let frame = Frame::from_polars(&rows(), 3);
    let counts = frame.column("s").value_counts().sort(["count", "s"], [true, false]).head(2);
    let expected = df!["s" => ["fig", "pear"], "count" => [2_u32, 2]].unwrap();
    assert!(counts.compute().unwrap().equals(&expected));
    assert_eq!(frame.column("n").describe().compute().unwrap().shape(), (9, 2));
    // Both are filtered alike, so they have the same rows.
    let positive = |name: &str| frame.column(name).filter(frame.column("n").gt(0));
    let sum = (positive("n") + positive("row")).compute().unwrap();
    assert!(sum.equals(&Series::new("n".into(), [5_i64, 3, 5, 15])), "{sum:?}");
    let kept = frame.column("n").persist().unwrap();
    assert!(kept.compute().unwrap().equals_missing(&of("n")));
}

#[test]
fn name_spaces_and_names() {
    let lengths = [Some(4_u32), Some(3), None, Some(4), Some(5), Some(0), Some(3)];
    same(|f| f.column("s").str().len_chars(), &Series::new("s".into(), lengths));
    same(|f| f.column("s").str().to_uppercase().rename("S"), &{
        let upper =
            [Some("PEAR"), Some("FIG"), None, Some("PEAR"), Some("ÄPFEL"), Some(""), Some("FIG")];
        Series::new("S".into(), upper)
    });
    same(
        |f| {
            (f.column("row") * 40)
                .cast(DataType::Int32)
                .cast(DataType::Date)
                .dt()
                .month()
                .cast(DataType::Int64)
                .rename("m")
        },
        &Series::new("m".into(), [1_i64, 2, 3, 5, 6, 7, 8]),
    );
    same(|f| f.column("s").str().split("e").list().len().cast(DataType::Int64), &{
        Series::new("s".into(), [Some(2_i64), Some(1), None, Some(2), Some(2), Some(1), Some(1)])
    });
    let frame = Frame::from_polars(&rows(), 2);
    let doubled = frame.with_columns([(frame.column("n") * 2).as_expr().alias("twice")]);
    assert_eq!(doubled.columns().unwrap(), ["x", "n", "s", "row", "twice"]);
    assert_eq!(frame.column("n").to_string(), "Series(n: i64)");
    assert_eq!(frame.column("n").to_frame().columns().unwrap(), ["n"]);
}

#[test]
fn mistakes_are_carried_with_their_line() {
    let frame = Frame::from_polars(&rows(), 2);
    let other = frame.head(3);
    for (series, part) in [
        (frame.column("no"), "no"),
        (frame.column("s").sum() + 1, "sum"),
        (frame.column("n").str().to_uppercase(), "str.to_uppercase"),
        (frame.column("n") + other.column("n"), "another frame"),
        (frame.column("n").filter(other.column("n").gt(1)), "another frame"),
        (frame.column("n") + frame.column("no"), "no"),
    ] {
        let error = series.shift(1).compute().unwrap_err().to_string();
        assert!(error.contains(part) && error.contains("tests/frames/series.rs"), "{error}");
        assert!(series.check().is_err() && series.name().is_err());
    }
    // What goes wrong later names the line of the step, too.
    let late =
        frame.column("s").drop_nulls().strict_cast(DataType::Int64).sort(false, false).head(1);
    let error = late.compute().unwrap_err().to_string();
    assert!(error.contains("tests/frames/series.rs"), "{error}");
}

#[test]
fn series_become_arrays() {
    let frame = Frame::from_polars(&rows(), 3);
    let array = (frame.column("row") + 1).to_array::<f64>();
    assert_eq!(array.sum(..).compute().unwrap().iter().copied().next(), Some(28.0));
}
