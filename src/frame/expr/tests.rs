//! Values of expressions, against what was worked out by hand.

use polars_core::df;
use polars_core::prelude::{AnyValue, Column, DataFrame, DataType, NamedFrom, Series};

use super::*;
use crate::frame::kernels::eval::evaluate;

fn eval(expr: impl Into<Expr>, frame: &DataFrame) -> Column {
    let expr = expr.into();
    evaluate(&expr, frame).unwrap_or_else(|error| panic!("{expr}: {error}"))
}

/// The values of `expr` are `expected`, with their dtype.
#[track_caller]
fn check(expr: impl Into<Expr>, frame: &DataFrame, expected: Series) {
    let expr = expr.into();
    let got = eval(&expr, frame);
    let (got, expected) = (got.as_materialized_series(), expected);
    assert!(
        got.dtype() == expected.dtype() && got.equals_missing(&expected),
        "{expr}\n got {got:?}\n expected {expected:?}"
    );
}

fn values<T, P: ?Sized>(values: T) -> Series
where
    Series: NamedFrom<T, P>,
{
    Series::new("".into(), values)
}

#[track_caller]
fn refused(expr: impl Into<Expr>, frame: &DataFrame) -> String {
    evaluate(&expr.into(), frame).expect_err("should be refused").to_string()
}

fn numbers() -> DataFrame {
    df![
        "small" => [1_u8, 2, 250],
        "i" => [Some(1_i64), None, Some(-7)],
        "f" => [1.5, f64::NAN, -2.5],
        "s" => ["a", "b", "c"],
        "b" => [Some(true), Some(false), None],
        "k" => [1_i32, 2, 1],
    ]
    .unwrap()
}

#[test]
fn literals_take_the_dtype_of_what_they_meet() {
    let frame = numbers();
    check(col("small") + 1, &frame, values([2_u8, 3, 251]));
    check(lit(1) + col("small"), &frame, values([2_u8, 3, 251]));
    check(col("small") + 300, &frame, values([301_u16, 302, 550]));
    check(col("small") - lit(-1), &frame, values([2_i16, 3, 251]));
    check(col("small") * 0.5, &frame, values([0.5, 1.0, 125.0]));
    check(col("k") + (lit(1) + lit(2)), &frame, values([4_i32, 5, 4]));
    check(col("i") / 2, &frame, values([Some(0_i64), None, Some(-4)]));
    check(col("i").floor_div(2), &frame, values([Some(0_i64), None, Some(-4)]));
    check(col("i").true_div(2), &frame, values([Some(0.5), None, Some(-3.5)]));
    check(col("i") % 4, &frame, values([Some(1_i64), None, Some(1)]));
    check(-col("i"), &frame, values([Some(-1_i64), None, Some(7)]));
    check(col("i") / 0, &frame, values([None::<i64>, None, None]));
    check(lit(3), &frame, values([3_i32]));
    check(lit(3_000_000_000_i64), &frame, values([3_000_000_000_i64]));
    check(col("s") + lit("!"), &frame, values(["a!", "b!", "c!"]));
    assert!(refused(col("s") + 1, &frame).contains("cast one of them"));
    assert!(refused(col("s").gt(1), &frame).contains("string"));
}

#[test]
fn comparisons_know_null_and_nan() {
    let frame = numbers();
    check(col("i").gt(0), &frame, values([Some(true), None, Some(false)]));
    check(col("f").gt(1e300), &frame, values([false, true, false]));
    check(col("f").eq(col("f")), &frame, values([true, true, true]));
    check(col("f").lt(f64::NAN), &frame, values([true, false, true]));
    check(col("i").eq_missing(null()), &frame, values([false, true, false]));
    check(col("i").neq_missing(1), &frame, values([false, true, true]));
    check(col("small").gt(col("i")), &frame, values([Some(false), None, Some(true)]));
    check(col("small").lt(1000), &frame, values([true, true, true]));
    check(col("small").eq(col("f")), &frame, values([false, false, false]));
    check(col("s").is_in(["a", "c"]), &frame, values([true, false, true]));
    check(col("small").is_in([1, 1000]), &frame, values([true, false, false]));
    check(col("i").is_in([1.0, 1.5]), &frame, values([Some(true), None, Some(false)]));
    check(col("i").is_in(Vec::<i32>::new()), &frame, values([Some(false), None, Some(false)]));
    let inside = |closed| col("f").is_between(-2.5, 1.5, closed);
    check(inside(ClosedInterval::Both), &frame, values([true, false, true]));
    check(inside(ClosedInterval::Left), &frame, values([false, false, true]));
    check(inside(ClosedInterval::None), &frame, values([false, false, false]));
}

#[test]
fn logic_is_kleenes() {
    let (t, f, n) = (Some(true), Some(false), None);
    let frame =
        df!["a" => [t, t, t, f, f, f, n, n, n], "b" => [t, f, n, t, f, n, t, f, n]].unwrap();
    check(col("a") & col("b"), &frame, values([t, f, n, f, f, f, n, f, n]));
    check(col("a") | col("b"), &frame, values([t, t, t, t, f, n, t, n, n]));
    check(col("a") ^ col("b"), &frame, values([f, t, n, t, f, n, n, n, n]));
    check(!col("a"), &frame, values([f, f, f, t, t, t, n, n, n]));
    check(col("a").and(true), &frame, values([t, t, t, f, f, f, n, n, n]));
    assert!(refused(col("a") & lit("x"), &frame).contains("logic needs"));
}

#[test]
fn nulls_are_filled_and_chosen() {
    let frame = numbers();
    check(col("i").is_null(), &frame, values([false, true, false]));
    check(col("f").is_nan(), &frame, values([false, true, false]));
    check(col("i").fill_null(0), &frame, values([1_i64, 0, -7]));
    check(col("i").fill_null(0.5), &frame, values([1.0, 0.5, -7.0]));
    check(col("i").forward_fill(None), &frame, values([1_i64, 1, -7]));
    check(col("i").backward_fill(None), &frame, values([1_i64, -7, -7]));
    check(col("f").fill_nan(0), &frame, values([1.5, 0.0, -2.5]));
    check(col("f").fill_nan(null()), &frame, values([Some(1.5), None, Some(-2.5)]));
    check(coalesce([col("i"), col("k").into()]), &frame, values([1_i64, 2, -7]));
    let sign = when(col("i").gt(0)).then(1).when(col("i").lt(0)).then(-1).otherwise(0);
    check(sign, &frame, values([1_i32, 0, -1]));
    let only = Expr::from(when(col("b")).then(col("s")));
    check(only.clone(), &frame, values([Some("a"), None, None]));
    assert_eq!(only.output_name(), "s");
    check(when(lit(true)).then(col("k")).otherwise(0), &frame, values([1_i32, 2, 1]));
}

#[test]
fn aggregates_of_all_rows_are_one_value() {
    let frame = numbers();
    check(col("i").sum(), &frame, values([-6_i64]));
    check(col("small").sum(), &frame, values([253_i64]));
    check(col("i").mean(), &frame, values([-3.0]));
    check(col("i").count(), &frame, values([2_u32]));
    check(col("i").null_count(), &frame, values([1_u32]));
    check(col("f").max(), &frame, values([1.5]));
    check(col("i").first(), &frame, values([1_i64]));
    check(col("i").arg_min(), &frame, values([2_u32]));
    check(col("k").n_unique(), &frame, values([2_u32]));
    check(col("b").any(), &frame, values([true]));
    check(col("b").all(), &frame, values([false]));
    check(col("k").quantile(0.5, Interpolation::Linear), &frame, values([1.0]));
    check(col("k").var(1), &frame, values([1.0 / 3.0]));
    check(len(), &frame, values([3_u32]));
    check(col("k") - col("k").min(), &frame, values([0_i32, 1, 0]));
    assert!(refused(col("s").mean(), &frame).contains("mean of str"));
}

#[test]
fn over_gives_each_row_the_value_of_its_group() {
    let frame = numbers();
    check(col("small").sum().over(["k"]), &frame, values([251_i64, 2, 251]));
    check(len().over(["k"]), &frame, values([2_u32, 1, 2]));
    check((col("i") - col("i").max()).over(["k"]), &frame, values([Some(0_i64), None, Some(-8)]));
    check(col("i").forward_fill(None).over(["k"]), &frame, values([Some(1_i64), None, Some(-7)]));
    check((col("small").sum() + len()).over("k"), &frame, values([253_i64, 3, 253]));
    let empty = frame.clear();
    check(col("small").sum().over(["k"]), &empty, values(Vec::<i64>::new()));
}

#[test]
fn names_follow_the_leftmost_input() {
    assert_eq!((col("a") + col("b")).output_name(), "a");
    assert_eq!(col("a").alias("x").name().suffix("_y").output_name(), "x_y");
    assert_eq!(col("a").alias("x").name().keep().output_name(), "a");
    assert_eq!(when(col("c")).then(col("a")).otherwise(col("b")).output_name(), "a");
    assert_eq!(len().output_name(), "len");
}

#[test]
fn user_functions_keep_their_word() {
    let frame = numbers();
    let twice = col("k").map(|k| Ok(k * 2), DataType::Int32);
    check(twice.clone(), &frame, values([2_i32, 4, 2]));
    check(twice.clone(), &frame.clear(), values(Vec::<i32>::new()));
    assert_eq!(twice, twice.clone());
    assert_ne!(twice, col("k").map(|k| Ok(k * 2), DataType::Int32));
    let lies = col("k").map(|k| Ok(k.clone()), DataType::Int64);
    assert!(refused(lies, &frame).contains("declared to return i64"));
    let short = col("k").map(|k| Ok(k.head(Some(2))), DataType::Int32);
    assert!(refused(short, &frame).contains("2 values for 3 rows"));
}

#[test]
fn dates_and_texts_are_not_compared() {
    let day = |d| chrono::NaiveDate::from_ymd_opt(2015, 1, d).unwrap();
    let frame = DataFrame::new(2, vec![Column::new("d".into(), [day(1), day(2)])]).unwrap();
    check(col("d").gt(day(1)), &frame, values([false, true]));
    check(col("d").lt_eq(day(1).and_hms_opt(0, 0, 0).unwrap()), &frame, values([true, false]));
    assert!(refused(col("d").eq(lit("2015-01-01")), &frame).contains("can't be compared"));
}

#[test]
fn expressions_print_as_they_are_written() {
    let expr = ((col("a") + 1) * col("b")).sum().over(["k"]).alias("x");
    assert_eq!(expr.to_string(), r#"((col("a") + 1) * col("b")).sum().over(col("k")).alias("x")"#);
    let expr = when(col("a").is_in([1, 2])).then(lit("x")).otherwise(null());
    assert_eq!(expr.to_string(), r#"when(col("a").is_in([1, 2])).then("x").otherwise(null)"#);
}
