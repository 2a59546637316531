//! Values of expressions, against what was worked out by hand.

use polars_core::df;
use polars_core::prelude::{
    Categories, Column, DataFrame, DataType, IntoColumn, NamedFrom, Series, TimeUnit,
};

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
    // One by one and from a table.
    for more in [0, 20] {
        let texts = ["c", "nothing of this"].map(String::from).into_iter();
        let texts: Vec<String> = texts.chain((0..more).map(|i| format!("x{i}"))).collect();
        check(col("s").is_in(texts), &frame, values([false, false, true]));
        let numbers = [f64::NAN, 1.0].into_iter().chain((0..more).map(|i| f64::from(i) + 7.5));
        let numbers: Vec<f64> = numbers.collect();
        check(col("i").is_in(numbers.clone()), &frame, values([Some(true), None, Some(false)]));
        let nan = || lit(f64::NAN) + col("f");
        check(nan().is_in(numbers), &frame, values([true, true, true]));
    }
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
    check(coalesce([col("i"), col("k")]), &frame, values([1_i64, 2, -7]));
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

#[test]
fn numbers_have_their_functions() {
    let frame =
        df!["x" => [-2.5_f64, 0.0, 2.5], "i" => [-2_i64, 0, 3], "u" => [1_u8, 2, 3]].unwrap();
    check(col("i").abs(), &frame, values([2_i64, 0, 3]));
    check(col("i").sign(), &frame, values([-1_i64, 0, 1]));
    check(col("u").sign(), &frame, values([1_u8, 1, 1]));
    check(col("x").sign(), &frame, values([-1.0, 0.0, 1.0]));
    check(col("x").round(0), &frame, values([-2.0, 0.0, 2.0]));
    check(col("x").round_half_away(0), &frame, values([-3.0, 0.0, 3.0]));
    check(col("x").floor(), &frame, values([-3.0, 0.0, 2.0]));
    check(col("i").clip(-1, 1), &frame, values([-1_i64, 0, 1]));
    check(col("x").clip_max(1), &frame, values([-2.5, 0.0, 1.0]));
    check(col("u").pow(2), &frame, values([1_u8, 4, 9]));
    check(col("i").pow(0.5), &frame.slice(1, 2), values([0.0, 3_f64.sqrt()]));
    check(lit(2).pow(col("u")), &frame, values([2_i32, 4, 8]));
    check(col("u").sqrt(), &frame, values([1.0, 2_f64.sqrt(), 3_f64.sqrt()]));
    check(col("u").log(2).floor(), &frame, values([0.0, 1.0, 1.0]));
    check(col("x").arctan2(col("i")), &frame.slice(2, 1), values([2.5_f64.atan2(3.0)]));
    assert!(refused(col("i").pow(-1), &frame).contains("negative powers"));
    assert!(refused(lit("x").sqrt(), &frame).contains("not possible"));
}

#[test]
fn ranks_are_those_of_loops() {
    let float = [2.5, f64::NAN, -1.0, 2.5, f64::NAN, -0.0, 0.0, 7.0];
    let float: Vec<Option<f64>> = float.map(Some).into_iter().chain([None, None]).collect();
    let text = ["b", "a", "b", "ab", "a", "b", "longer than what a view holds", "b"];
    let text: Vec<Option<&str>> = [None].into_iter().chain(text.map(Some)).chain([None]).collect();
    let flag: Vec<Option<bool>> = (0..10).map(|i| (i != 3).then_some(i % 3 == 0)).collect();
    let frame = df!["float" => &float, "text" => &text, "flag" => flag.clone()].unwrap();
    // The place of each value among all others as numbers, the same for equal ones.
    let of_floats = |v: &f64| if v.is_nan() { 100 } else { (v * 2.0) as i64 };
    let float: Vec<Option<i64>> = float.iter().map(|v| v.as_ref().map(of_floats)).collect();
    let mut texts: Vec<&str> = text.iter().copied().flatten().collect();
    texts.sort_unstable();
    let of_texts = |v: &str| texts.iter().position(|t| *t == v).map(|at| at as i64);
    let text: Vec<Option<i64>> = text.iter().map(|v| of_texts((*v)?)).collect();
    let flag: Vec<Option<i64>> = flag.iter().map(|v| v.map(i64::from)).collect();
    for (name, keys) in [("float", float), ("text", text), ("flag", flag)] {
        for descending in [false, true] {
            let keys: Vec<Option<i64>> =
                keys.iter().map(|key| key.map(|key| if descending { -key } else { key })).collect();
            let rank = |ties: RankTies, row: usize| -> Option<f64> {
                let key = keys[row]?;
                let all = || keys.iter().enumerate().filter_map(|(at, key)| Some((at, (*key)?)));
                let n_less = all().filter(|(_, other)| *other < key).count();
                let equal: Vec<usize> =
                    all().filter(|(_, k)| *k == key).map(|(at, _)| at).collect();
                let is_first = |at: usize, key: i64| !keys[..at].contains(&Some(key));
                Some(match ties {
                    RankTies::Average => n_less as f64 + (equal.len() + 1) as f64 / 2.0,
                    RankTies::Min => (n_less + 1) as f64,
                    RankTies::Max => (n_less + equal.len()) as f64,
                    RankTies::Dense => {
                        all().filter(|(at, k)| *k <= key && is_first(*at, *k)).count() as f64
                    }
                    RankTies::Ordinal => {
                        (n_less + equal.iter().filter(|at| **at <= row).count()) as f64
                    }
                })
            };
            use RankTies as R;
            for ties in [R::Average, R::Min, R::Max, R::Dense, R::Ordinal] {
                let got = evaluate(&col(name).rank(ties, descending), &frame).unwrap();
                let is_float = got.dtype().is_float();
                assert_eq!(is_float, ties == R::Average);
                let got = got.cast(&DataType::Float64).unwrap();
                let got: Vec<Option<f64>> = got.f64().unwrap().iter().collect();
                let expected: Vec<Option<f64>> = (0..10).map(|row| rank(ties, row)).collect();
                assert_eq!(got, expected, "{name} {ties:?} {descending}");
            }
        }
    }
    let none = df!["x" => Vec::<i64>::new()].unwrap();
    assert!(evaluate(&col("x").rank(RankTies::Dense, false), &none).unwrap().is_empty());
}

#[test]
fn rows_see_other_rows() {
    let frame = df!["i" => [Some(1_i64), None, Some(3), Some(3)], "u" => [3_u8, 1, 2, 2]].unwrap();
    check(col("i").shift(1), &frame, values([None, Some(1_i64), None, Some(3)]));
    check(col("u").shift_and_fill(-2, 9), &frame, values([2_u8, 2, 9, 9]));
    check(col("u").shift_and_fill(5, 9), &frame, values([9_u8, 9, 9, 9]));
    check(col("u").diff(1), &frame, values([None, Some(-2_i16), Some(1), Some(0)]));
    check(col("u").pct_change(1), &frame.slice(2, 2), values([None, Some(0.0)]));
    check(col("i").cum_sum(false), &frame, values([Some(1_i64), None, Some(4), Some(7)]));
    check(col("i").cum_sum(true), &frame, values([Some(7_i64), None, Some(6), Some(3)]));
    check(col("i").cum_count(false), &frame, values([1_u32, 1, 2, 3]));
    check(col("u").rank(RankTies::Min, false), &frame, values([4_u32, 1, 2, 2]));
    check(col("u").rank(RankTies::Average, true), &frame, values([1.0, 4.0, 2.5, 2.5]));
    check(col("i").interpolate(Interpolation::Linear), &frame, values([1.0, 2.0, 3.0, 3.0]));
    check(col("i").reverse(), &frame, values([Some(3_i64), Some(3), None, Some(1)]));
    check(col("u").sort(true, false), &frame, values([3_u8, 2, 2, 1]));
    check(col("u").is_first_distinct(), &frame, values([true, true, true, false]));
    let two = RollingOptions::new(2);
    check(col("u").rolling_sum(two), &frame, values([None, Some(4_i64), Some(3), Some(4)]));
    let some = RollingOptions { min_samples: Some(1), ..two };
    check(col("u").rolling_max(some), &frame, values([3_u8, 3, 2, 2]));
    check(col("u").rolling_median(two), &frame, values([None, Some(2.0), Some(1.5), Some(2.0)]));
    check(col("u").rolling_var(two, 1), &frame, values([None, Some(2.0), Some(0.5), Some(0.0)]));
}

#[test]
fn texts_have_their_functions() {
    let frame = df!["s" => [Some("Héllo"), None, Some("b-b")], "p" => ["l", "x", "b"]].unwrap();
    let s = col("s").str();
    check(s.len_bytes(), &frame, values([Some(6_u32), None, Some(3)]));
    check(s.len_chars(), &frame, values([Some(5_u32), None, Some(3)]));
    check(s.to_uppercase(), &frame, values([Some("HÉLLO"), None, Some("B-B")]));
    check(s.contains("^H.l"), &frame, values([Some(true), None, Some(false)]));
    check(s.contains(col("p")), &frame, values([Some(true), None, Some(true)]));
    check(s.contains_literal("-"), &frame, values([Some(false), None, Some(true)]));
    check(s.starts_with("b"), &frame, values([Some(false), None, Some(true)]));
    check(s.ends_with(col("p")), &frame, values([Some(false), None, Some(true)]));
    check(s.find("l+"), &frame, values([Some(3_u32), None, None]));
    check(s.count_matches("[lb]", false), &frame, values([Some(2_u32), None, Some(2)]));
    check(s.extract("(.)-", 1), &frame, values([None, None, Some("b")]));
    check(s.replace("l", "L", false), &frame, values([Some("HéLlo"), None, Some("b-b")]));
    check(s.replace_all(".", "!", true), &frame, values([Some("Héllo"), None, Some("b-b")]));
    check(
        s.replace_all("(b)", "<$1>", false),
        &frame,
        values([Some("Héllo"), None, Some("<b>-<b>")]),
    );
    check(s.strip_chars("Hb"), &frame, values([Some("éllo"), None, Some("-")]));
    check(s.strip_prefix("Hé"), &frame, values([Some("llo"), None, Some("b-b")]));
    check(s.slice(1, Some(2)), &frame, values([Some("él"), None, Some("-b")]));
    check(s.slice(-2, None), &frame, values([Some("lo"), None, Some("-b")]));
    check(s.head(2), &frame, values([Some("Hé"), None, Some("b-")]));
    check(s.pad_start(6, '*'), &frame, values([Some("*Héllo"), None, Some("***b-b")]));
    check(lit("-7").str().zfill(4), &frame, values(["-007"]));
    check(s.split("-"), &frame, {
        let parts = [Some(values(["Héllo"])), None, Some(values(["b", "b"]))];
        values(parts)
    });
    check(
        concat_str([col("p"), col("s")], "/", false),
        &frame,
        values([Some("l/Héllo"), None, Some("b/b-b")]),
    );
    check(concat_str([col("p"), col("s")], "/", true), &frame, values(["l/Héllo", "x", "b/b-b"]));
    assert!(refused(s.contains("("), &frame).contains("regex"));
}

#[test]
fn times_have_their_functions() {
    let frame =
        df!["s" => [Some("2016-02-29 23:30:01.25"), None, Some("1969-12-31 00:00:00.00")]].unwrap();
    let t = col("s").str().to_datetime("%Y-%m-%d %H:%M:%S%.f");
    let frame = df!["t" => eval(t, &frame).as_materialized_series().clone()].unwrap();
    let t = col("t").dt();
    check(t.year(), &frame, values([Some(2016), None, Some(1969)]));
    check(t.month(), &frame, values([Some(2_i8), None, Some(12)]));
    check(t.weekday(), &frame, values([Some(1_i8), None, Some(3)]));
    check(t.ordinal_day(), &frame, values([Some(60_i16), None, Some(365)]));
    check(t.hour(), &frame, values([Some(23_i8), None, Some(0)]));
    check(t.millisecond(), &frame, values([Some(250), None, Some(0)]));
    check(t.is_leap_year(), &frame, values([Some(true), None, Some(false)]));
    check(
        t.date().dt().to_string("%d.%m."),
        &frame,
        values([Some("29.02."), None, Some("31.12.")]),
    );
    check(t.time().dt().minute(), &frame, values([Some(30_i8), None, Some(0)]));
    check(t.epoch_seconds(), &frame, values([Some(1_456_788_601_i64), None, Some(-86_400)]));
    let text = |expr: Expr| expr.dt().to_string("%Y-%m-%d %H:%M:%S");
    let all = |a, b| values([Some(a), None, Some(b)]);
    check(text(t.truncate("1mo")), &frame, all("2016-02-01 00:00:00", "1969-12-01 00:00:00"));
    check(text(t.truncate("6h")), &frame, all("2016-02-29 18:00:00", "1969-12-31 00:00:00"));
    check(text(t.round("1d")), &frame, all("2016-03-01 00:00:00", "1969-12-31 00:00:00"));
    check(text(t.offset_by("1y")), &frame, all("2017-02-28 23:30:01", "1970-12-31 00:00:00"));
    check(text(t.month_end()), &frame, all("2016-02-29 23:30:01", "1969-12-31 00:00:00"));
    let berlin = t.replace_time_zone(Some("UTC")).dt().convert_time_zone("Europe/Berlin");
    check(text(berlin.clone()), &frame, all("2016-03-01 00:30:01", "1969-12-31 01:00:00"));
    check(berlin.dt().day(), &frame, all_i8(1, 31));
    check(
        (col("t") - col("t").min()).dt().total_days(),
        &frame,
        values([Some(16_861_i64), None, Some(0)]),
    );
    assert!(refused(t.truncate("-1d"), &frame).contains("positive duration"));
    assert!(refused(t.convert_time_zone("Nowhere"), &frame).contains("Nowhere"));
    let wrong = lit("2016-13-01").str();
    assert!(refused(wrong.to_date("%Y-%m-%d"), &frame).contains("2016-13-01"));
    check(wrong.strptime(DataType::Date, "%Y-%m-%d", false).is_null(), &frame, values([true]));
}

fn all_i8(a: i8, b: i8) -> Series {
    values([Some(a), None, Some(b)])
}

/// Columns of all dtypes that a frame is likely to hold.
fn zoo() -> DataFrame {
    let frame = df![
        "u8" => [Some(1_u8), None, Some(250)],
        "i16" => [Some(-1_i16), None, Some(7)],
        "i64" => [Some(1_i64), None, Some(-7)],
        "u64" => [Some(1_u64), None, Some(1 << 63)],
        "f32" => [Some(0.5_f32), None, Some(f32::NAN)],
        "f64" => [Some(0.5), None, Some(f64::NAN)],
        "str" => [Some("2015-01-02"), None, Some("b")],
        "bool" => [Some(true), None, Some(false)],
        "null" => [None::<bool>, None, None],
    ]
    .unwrap();
    let mut columns = frame.columns().to_vec();
    let add = |columns: &mut Vec<Column>, of: usize, name: &str, dtype: DataType| {
        let column = columns[of].cast(&dtype).unwrap();
        columns.push(column.with_name(name.into()));
    };
    add(&mut columns, 1, "date", DataType::Date);
    add(&mut columns, 2, "datetime", DataType::Datetime(TimeUnit::Microseconds, None));
    let utc = Some(polars_core::prelude::TimeZone::UTC);
    add(&mut columns, 2, "utc", DataType::Datetime(TimeUnit::Nanoseconds, utc));
    add(&mut columns, 2, "duration", DataType::Duration(TimeUnit::Milliseconds));
    add(&mut columns, 0, "time", DataType::Time);
    add(&mut columns, 1, "decimal", DataType::Decimal(10, 2));
    add(&mut columns, 6, "categorical", DataType::from_categories(Categories::global()));
    add(&mut columns, 2, "list", DataType::List(Box::new(DataType::Int64)));
    add(&mut columns, 6, "binary", DataType::Binary);
    add(&mut columns, 8, "all_null", DataType::Null);
    let fields = frame.select(["i64", "str"]).unwrap().into_struct("struct".into());
    columns.push(fields.into_column());
    DataFrame::new(3, columns).unwrap()
}

/// Each function of one column, and each operator on two, on each column.
fn samples(column: &Expr, other: &Expr) -> Vec<Expr> {
    let x = || column.clone();
    let y = || other.clone();
    let two = RollingOptions::new(2);
    let mut out = vec![
        x() + y(),
        x() - y(),
        x() * y(),
        x() / y(),
        x() % y(),
        x().true_div(y()),
        x().floor_div(y()),
        x() + 1,
        x() - 1.5,
        x() * lit("a"),
        x().eq(y()),
        x().neq(y()),
        x().lt(y()),
        x().lt_eq(y()),
        x().gt(y()),
        x().gt_eq(y()),
        x().eq_missing(y()),
        x().neq_missing(y()),
        x().eq(1),
        x().lt(0.5),
        x().eq(lit("a")),
        x() & y(),
        x() | y(),
        x() ^ y(),
        x().fill_null(y()),
        x().fill_null(1),
        when(x().is_null()).then(x()).otherwise(y()),
        x().pow(y()),
        x().log(y()),
        x().arctan2(y()),
        x().shift_and_fill(1, y().first()),
        x().clip(y(), y()),
        x().clip_min(y()),
        x().clip_max(y()),
    ];
    out.extend([
        -x(),
        !x(),
        x().is_null(),
        x().is_not_null(),
        x().is_nan(),
        x().is_not_nan(),
        x().is_finite(),
        x().is_infinite(),
        x().fill_nan(0.0),
        x().forward_fill(None),
        x().backward_fill(Some(1)),
        x().is_in([1, 2]),
        x().is_in(["a"]),
        x().is_in([0.5]),
        x().abs(),
        x().sign(),
        x().floor(),
        x().ceil(),
        x().round(1),
        x().round_half_away(1),
        x().truncate(1),
        x().clip(0, 1),
        x().clip_min(0),
        x().clip_max(0.5),
        x().pow(2),
        x().pow(0.5),
        x().sqrt(),
        x().cbrt(),
        x().exp(),
        x().ln(),
        x().log1p(),
        x().sin(),
        x().cos(),
        x().tan(),
        x().arcsin(),
        x().arccos(),
        x().arctan(),
        x().sinh(),
        x().cosh(),
        x().tanh(),
        x().degrees(),
        x().radians(),
        x().shift(1),
        x().shift(-5),
        x().diff(1),
        x().pct_change(1),
        x().cum_sum(false),
        x().cum_prod(false),
        x().cum_min(false),
        x().cum_max(true),
        x().cum_count(false),
        x().rank(RankTies::Dense, false),
        x().rank(RankTies::Average, false),
        x().interpolate(Interpolation::Linear),
        x().interpolate(Interpolation::Nearest),
        x().reverse(),
        x().sort(false, false),
        x().sort_by([y()], true, false),
        x().is_unique(),
        x().is_duplicated(),
        x().is_first_distinct(),
        x().rolling_sum(two),
        x().rolling_mean(two),
        x().rolling_min(two),
        x().rolling_max(two),
        x().rolling_var(two, 1),
        x().rolling_std(two, 1),
        x().rolling_median(two),
        x().rolling_sum_by(&y().output_name(), "2i"),
        x().rolling_mean_by(&y().output_name(), "1h"),
        x().rolling_min_by(&y().output_name(), "2i"),
        x().rolling_max_by(&y().output_name(), "2d"),
        x().rolling_std_by(&y().output_name(), "1mo", 1),
        x().rolling_var_by(&y().output_name(), "2i", 0),
        x().rolling_median_by(&y().output_name(), "2i"),
        x().cast(DataType::String),
        x().cast(DataType::Int32),
        x().sum(),
        x().product(),
        x().mean(),
        x().min(),
        x().max(),
        x().count(),
        x().null_count(),
        x().median(),
        x().n_unique(),
        x().approx_n_unique(),
        x().first(),
        x().last(),
        x().any(),
        x().all(),
        x().arg_min(),
        x().arg_max(),
        x().implode(),
        x().var(1),
        x().std(0),
        x().quantile(0.5, Interpolation::Nearest),
        x().quantile(0.5, Interpolation::Linear),
        x().sum().over([y()]),
        x().cum_count(false).over([y()]),
    ]);
    let s = x().str();
    out.extend([
        s.len_bytes(),
        s.len_chars(),
        s.to_lowercase(),
        s.to_uppercase(),
        s.contains("a"),
        s.contains(y()),
        s.contains_literal("a"),
        s.starts_with("a"),
        s.starts_with(y()),
        s.ends_with("a"),
        s.ends_with(y()),
        s.find("a"),
        s.find_literal("a"),
        s.count_matches("a", false),
        s.count_matches(y(), true),
        s.extract("(a)", 1),
        s.extract(y(), 0),
        s.extract_all("a"),
        s.extract_all(y()),
        s.replace("a", "b", true),
        s.replace_all("a", "b", false),
        s.strip_chars(null()),
        s.strip_chars("a"),
        s.strip_chars_start("a"),
        s.strip_chars_end(y()),
        s.to_titlecase(),
        s.escape_regex(),
        s.contains_any(["a", "."]),
        s.split_inclusive("a"),
        s.split_exact("a", 1),
        s.splitn("a", 2),
        s.extract_groups("(a)(?<b>.)?"),
        s.join("-"),
        s.to_integer(16, false),
        s.strip_prefix("a"),
        s.strip_suffix(y()),
        s.slice(1, Some(2)),
        s.slice(-1, None),
        s.head(1),
        s.tail(1),
        s.split("a"),
        s.split(y()),
        s.pad_start(5, ' '),
        s.pad_end(5, ' '),
        s.zfill(5),
        concat_str([x(), y()], "-", false),
        concat_str([x()], "-", true),
        s.to_date("%Y"),
        s.to_time("%H"),
        s.strptime(DataType::Date, "%Y-%m-%d", false),
        s.strptime(DataType::Datetime(TimeUnit::Milliseconds, None), "%Y-%m-%d %z", false),
        s.strptime(DataType::Datetime(TimeUnit::Microseconds, None), "%Y-%m-%d", false),
        s.strptime(DataType::Datetime(TimeUnit::Nanoseconds, None), "%+", false),
        s.strptime(DataType::Time, "%H:%M", false),
    ]);
    let t = x().dt();
    out.extend([
        t.year(),
        t.iso_year(),
        t.quarter(),
        t.month(),
        t.week(),
        t.weekday(),
        t.day(),
        t.ordinal_day(),
        t.days_in_month(),
        t.is_leap_year(),
        t.hour(),
        t.minute(),
        t.second(),
        t.millisecond(),
        t.microsecond(),
        t.nanosecond(),
        t.date(),
        t.time(),
        t.total_days(),
        t.total_hours(),
        t.total_minutes(),
        t.total_seconds(),
        t.total_milliseconds(),
        t.total_microseconds(),
        t.total_nanoseconds(),
        t.month_start(),
        t.month_end(),
        t.to_string("%Y"),
        t.to_string("%H"),
        t.timestamp(TimeUnit::Nanoseconds),
        t.epoch_seconds(),
        t.cast_time_unit(TimeUnit::Milliseconds),
        t.convert_time_zone("Europe/Berlin"),
        t.replace_time_zone(Some("Europe/Berlin")),
        t.replace_time_zone(None),
        t.truncate("1mo"),
        t.truncate("6h"),
        t.truncate(y()),
        t.round("1d"),
        t.round("1w"),
        t.offset_by("1mo"),
        t.offset_by("-3h"),
        t.offset_by(y()),
    ]);
    out.extend([
        sum_horizontal([x(), y()]),
        mean_horizontal([x(), y()]),
        min_horizontal([x(), y()]),
        max_horizontal([x(), y()]),
    ]);
    out.extend([
        x().filter(y()),
        x().filter(y()).sum(),
        x().filter(y()).n_unique(),
        x().filter(y()).first(),
        x().filter(y()).last(),
        x().filter(y()).len(),
        x().len(),
        x().cut([0.5], None, false, false),
        x().cut([0, 1], Some(&["a", "b", "c"]), true, true),
        x().qcut(&[0.5], None, false, false),
        x().qcut(&[0.25, 0.5], Some(&["a", "b", "c"]), true, true),
        x().replace([1], [2]),
        x().replace(["b", "c"], ["c", "d"]),
        x().replace_strict([1, -7, 250], ["a", "b", "c"]),
        x().replace_strict_or([1], [1.5], y()),
        x().replace_strict_or(["b"], ["c"], null()),
        as_struct([x(), y()]),
        as_struct([x(), y().alias("other")]).struct_().field("other"),
        x().struct_().field("i64"),
        x().struct_().rename_fields(["a", "b"]),
        Expr::call(&functions::horizontal::ANY, vec![x(), y()]),
        Expr::call(&functions::horizontal::ALL_OF, vec![x(), y()]),
    ]);
    let l = x().list();
    out.extend([l.len(), l.sum(), l.mean(), l.median(), l.min(), l.max(), l.get(1), l.first()]);
    out.extend([l.slice(1, Some(2)), l.sort(true), l.join("-"), l.contains(3), l.contains("a")]);
    out
}

fn columns_of(frame: &DataFrame) -> Vec<Expr> {
    frame.columns().iter().map(|column| col(column.name().clone())).collect()
}

/// The names of the functions that an expression calls.
fn called(expr: &Expr, names: &mut Vec<&'static str>) {
    if let ExprKind::Call { function, .. } = expr.kind() {
        names.push(function.name);
    }
    expr.inputs().into_iter().for_each(|input| called(input, names));
}

#[test]
fn each_function_is_sampled() {
    let mut names = Vec::new();
    samples(&col("a"), &col("b")).iter().for_each(|expr| called(expr, &mut names));
    for function in functions::registry() {
        assert!(names.contains(&function.name), "{function:?} is in no sample");
    }
    let mut all: Vec<_> = functions::registry().iter().map(|function| function.name).collect();
    all.sort_unstable();
    let n = all.len();
    all.dedup();
    assert_eq!(n, all.len(), "two functions have one name");
}

/// Expected is what polars 2.1 gives in Python.
#[test]
fn texts_are_taken_apart_and_put_together() {
    let frame = df![
        "s" => [Some("a_b_c"), Some("x"), None, Some(""), Some("_")],
        "t" => [Some("hello WORLD"), Some("it's 3rd"), Some("o-k \u{e9}a \u{df}x"), None, Some("A1b")],
        "g" => [Some("a1-b2"), Some("zz"), None, Some("b7"), Some("")],
        "n" => [Some("ff"), Some("-1"), Some(" 1"), Some("+7"), None],
    ]
    .unwrap();
    let parts = |expr: Expr| {
        let structs = eval(expr, &frame);
        let fields = structs.struct_().unwrap().fields_as_series();
        let texts = |field: &Series| {
            let texts = field.str().unwrap().iter().map(|text| text.map(str::to_owned));
            (field.name().to_string(), texts.collect::<Vec<_>>())
        };
        fields.iter().map(texts).collect::<Vec<_>>()
    };
    let field = |name: &str, texts: [Option<&str>; 5]| {
        (name.to_owned(), texts.map(|text| text.map(str::to_owned)).to_vec())
    };
    let s = col("s").str();
    let first = field("field_0", [Some("a"), Some("x"), None, Some(""), Some("")]);
    let second = field("field_1", [Some("b"), None, None, None, Some("")]);
    assert_eq!(parts(s.split_exact("_", 1)), [first.clone(), second]);
    let rest = field("field_1", [Some("b_c"), None, None, None, Some("")]);
    assert_eq!(parts(s.splitn("_", 2)), [first, rest]);
    let groups = [
        field("l", [Some("a"), None, None, Some("b"), None]),
        field("2", [Some("1"), None, None, Some("7"), None]),
    ];
    assert_eq!(parts(col("g").str().extract_groups(r"(?<l>[a-z])(\d)")), groups);
    assert!(refused(col("g").str().extract_groups("a"), &frame).contains("no groups"));
    assert!(refused(col("g").str().extract_groups("("), &frame).contains("unclosed"));
    assert!(refused(s.splitn("_", 0), &frame).contains("fields"));
    let inclusive = eval(s.split_inclusive("_").list().join("|"), &frame);
    let expected = values([Some("a_|b_|c"), Some("x"), None, Some(""), Some("_")]);
    assert!(inclusive.as_materialized_series().equals_missing(&expected), "{inclusive:?}");
    let titles =
        [Some("Hello World"), Some("It'S 3Rd"), Some("O-K \u{c9}a Ssx"), None, Some("A1B")];
    check(col("t").str().to_titlecase(), &frame, values(titles));
    let numbers = [Some(255_i64), Some(-1), None, Some(7), None];
    check(col("n").str().to_integer(16, false), &frame, values(numbers));
    assert!(refused(col("n").str().to_integer(16, true), &frame).contains("\" 1\""));
    assert!(refused(col("n").str().to_integer(99, false), &frame).contains("base"));
    check(s.join("-"), &frame, values(["a_b_c-x--_"]));
    check(lit("a.b(c)").str().escape_regex(), &frame, values(["a\\.b\\(c\\)"]));
    let any = |parts: &[&str]| s.contains_any(parts.iter().copied());
    check(
        any(&["_b", "x"]),
        &frame,
        values([Some(true), Some(true), None, Some(false), Some(false)]),
    );
    check(any(&["."]), &frame, values([Some(false), Some(false), None, Some(false), Some(false)]));
    check(any(&[]), &frame, values([Some(false), Some(false), None, Some(false), Some(false)]));
}

/// Groups whose rows alternate have labels once each, and not once for each change.
#[test]
fn quantiles_of_groups_have_their_labels_once() {
    let n = 2000_i64;
    let frame =
        df!["k" => (0..n).map(|i| i % 2).collect::<Vec<_>>(), "x" => (0..n).collect::<Vec<_>>()];
    let frame = frame.unwrap();
    let out = eval(col("x").qcut(&[0.5], None, false, false).over([col("k")]), &frame);
    let labels = out.cast(&DataType::String).unwrap();
    let label = |i: i64| {
        let middle = 999 + i % 2;
        if i <= middle { format!("(-inf, {middle}]") } else { format!("({middle}, inf]") }
    };
    let expected: Vec<String> = (0..n).map(label).collect();
    assert!(labels.as_materialized_series().equals(&values(expected)), "{labels:?}");
}

/// No combination of dtypes panics, and what is inferred on no rows is what rows give.
#[test]
fn dtypes_are_the_same_with_and_without_rows() {
    let frame = zoo();
    let empty = frame.clear();
    let columns = columns_of(&frame);
    let mut wrong = std::collections::BTreeSet::new();
    std::panic::set_hook(Box::new(|_| {}));
    for x in &columns {
        for y in &columns {
            for expr in samples(x, y) {
                let on = |frame: &DataFrame| {
                    let value = std::panic::AssertUnwindSafe(|| evaluate(&expr, frame));
                    let value = std::panic::catch_unwind(value).map_err(|panic| {
                        let text = panic.downcast_ref::<String>().cloned();
                        let text =
                            text.or_else(|| panic.downcast_ref::<&str>().map(|s| s.to_string()));
                        format!(
                            "panics: {}",
                            text.unwrap_or_default().lines().next().unwrap_or_default()
                        )
                    })?;
                    Ok::<_, String>(value.map(|column| (column.dtype().clone(), column.len())))
                };
                match (on(&frame), on(&empty)) {
                    (Err(panic), _) => drop(wrong.insert(format!("{expr}: {panic}"))),
                    (_, Err(panic)) => drop(wrong.insert(format!("{expr} on no rows: {panic}"))),
                    (Ok(Ok((rows, n))), Ok(Ok((none, n_none)))) => {
                        if rows != none {
                            wrong.insert(format!("{expr}: {rows}, on no rows {none}"));
                        }
                        if n != 3 && n != 1 || n_none > 1 {
                            wrong.insert(format!("{expr}: {n} rows of 3, {n_none} of none"));
                        }
                    }
                    (Ok(Ok((rows, _))), Ok(Err(error))) => {
                        wrong.insert(format!("{expr}: {rows}, refused on no rows: {error}"));
                    }
                    // Values can be wrong where dtypes are not.
                    (Ok(Err(_)), _) => {}
                }
            }
        }
    }
    let _ = std::panic::take_hook();
    let wrong: Vec<_> = wrong.into_iter().collect();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
