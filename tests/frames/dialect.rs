//! What users of Polars write, against loops over rows: filtered aggregates, windows in an order, selectors, values in the
//! place of others, intervals, structs, distinct and sampled rows, windows of time.

use dask_rs::frame::polars_core::df;
use dask_rs::frame::polars_core::prelude::*;
use dask_rs::frame::{
    ClosedInterval, DataFrame as Frame, Expr, UniqueKeep, WindowLabel, all_horizontal,
    any_horizontal, as_struct, col, len, lit, selectors as cs, sum_horizontal,
};
use dask_rs::{Config, Error};
use proptest::prelude::*;

use super::ordered::{cut, cuts};

type Row = (i64, Option<i64>, Option<bool>);

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let value = prop::option::weighted(0.8, -4..5_i64);
    let flag = prop::option::weighted(0.8, any::<bool>());
    prop::collection::vec((0..4_i64, value, flag), 0..40)
}

fn frame_of(rows: &[Row]) -> DataFrame {
    df![
        "k" => rows.iter().map(|r| r.0).collect::<Vec<_>>(),
        "x" => rows.iter().map(|r| r.1).collect::<Vec<_>>(),
        "p" => rows.iter().map(|r| r.2).collect::<Vec<_>>(),
        "row" => (0..rows.len() as i64).collect::<Vec<_>>(),
    ]
    .unwrap()
}

/// Partitions so small that groups are spread over many, beside the usual ones, and the plan as it was written.
pub(crate) fn configs() -> [Config; 3] {
    let small = Config::new().with_chunk_bytes(64);
    [Config::new(), small, Config::new().with_optimize(false)]
}

pub(crate) fn ints(frame: &DataFrame, name: &str) -> Vec<Option<i64>> {
    let column = frame.column(name).unwrap().cast(&DataType::Int64).unwrap();
    column.i64().unwrap().iter().collect()
}

fn names_of(frame: &DataFrame) -> Vec<&str> {
    frame.columns().iter().map(|column| column.name().as_str()).collect()
}

fn texts(frame: &DataFrame, name: &str) -> Vec<Option<String>> {
    let column = frame.column(name).unwrap().cast(&DataType::String).unwrap();
    column.str().unwrap().iter().map(|text| text.map(str::to_owned)).collect()
}

/// Aggregates of the values that are filtered, and what they are of a list of these values.
type Aggregate = (&'static str, fn(&Expr) -> Expr, fn(&[Option<i64>]) -> Option<i64>);

const AGGREGATES: [Aggregate; 9] = [
    ("sum", |x| x.sum(), |v| Some(v.iter().flatten().sum())),
    ("min", |x| x.min(), |v| v.iter().flatten().min().copied()),
    ("max", |x| x.max(), |v| v.iter().flatten().max().copied()),
    ("count", |x| x.count(), |v| Some(v.iter().flatten().count() as i64)),
    ("null_count", |x| x.null_count(), |v| Some(v.iter().filter(|x| x.is_none()).count() as i64)),
    ("len", |x| x.len(), |v| Some(v.len() as i64)),
    ("first", |x| x.first(), |v| v.first().copied().flatten()),
    ("last", |x| x.last(), |v| v.last().copied().flatten()),
    (
        "n_unique",
        |x| x.n_unique(),
        |v| Some(v.iter().collect::<std::collections::BTreeSet<_>>().len() as i64),
    ),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn filtered_aggregates_are_those_of_the_filtered_rows(rows in rows(), at in cuts()) {
        let parts = cut(&frame_of(&rows), &at);
        let doubled = || (col("x") * 2).filter(col("p"));
        let aggs: Vec<Expr> = AGGREGATES.iter().map(|(name, of, _)| of(&doubled()).alias(*name)).collect();
        let kept = |k: Option<i64>| -> Vec<Option<i64>> {
            let kept = rows.iter().filter(|r| r.2 == Some(true) && k.is_none_or(|k| r.0 == k));
            kept.map(|r| r.1.map(|x| 2 * x)).collect()
        };
        for config in configs() {
            let groups = parts.group_by(["k"]).agg(aggs.clone()).sort("k", false);
            let groups = config.scope(|| groups.compute().unwrap());
            let whole = config.scope(|| parts.select(aggs.clone()).compute().unwrap());
            for (name, _, of) in AGGREGATES {
                let keys = ints(&groups, "k");
                let expected: Vec<_> = keys.iter().map(|k| of(&kept(*k))).collect();
                prop_assert_eq!(ints(&groups, name), expected, "{} of groups", name);
                prop_assert_eq!(ints(&whole, name), [of(&kept(None))], "{}", name);
            }
        }
    }

    #[test]
    fn windows_in_an_order_see_groups_sorted(rows in rows(), at in cuts(), descending in any::<bool>()) {
        let parts = cut(&frame_of(&rows), &at);
        // Nulls come first, and rows that are equal keep their order.
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by_key(|&i| {
            let x = rows[i].1.map(|x| if descending { -x } else { x });
            (rows[i].0, x)
        });
        let mut expected = vec![(None, None, 0); rows.len()];
        for (n, &i) in order.iter().enumerate() {
            let group = order[..n].iter().rev().take_while(|&&j| rows[j].0 == rows[i].0);
            let before: Vec<usize> = group.copied().collect();
            let first = before.last().copied().unwrap_or(i);
            expected[i] = (
                before.first().map(|&j| j as i64),
                Some(first as i64),
                before.len() as i64 + 1,
            );
        }
        let over = |expr: Expr| expr.over_ordered(["k"], ["x"], descending);
        let exprs = [
            over(col("row").shift(1)).alias("before"),
            over(col("row").first()).alias("first"),
            over(col("row").is_not_null().cast(DataType::Int64).cum_sum(false)).alias("n"),
        ];
        for config in configs() {
            let out = config.scope(|| parts.select(exprs.clone()).compute().unwrap());
            prop_assert_eq!(ints(&out, "before"), expected.iter().map(|e| e.0).collect::<Vec<_>>());
            prop_assert_eq!(ints(&out, "first"), expected.iter().map(|e| e.1).collect::<Vec<_>>());
            prop_assert_eq!(ints(&out, "n"), expected.iter().map(|e| Some(e.2)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn of_equal_rows_the_one_that_is_asked_for_is_kept(rows in rows(), at in cuts()) {
        let parts = cut(&frame_of(&rows), &at);
        let rows = &rows;
        let equal = |i: usize| (0..rows.len()).filter(move |&j| (rows[j].0, rows[j].1) == (rows[i].0, rows[i].1));
        let all = 0..rows.len();
        for (keep, expected) in [
            (UniqueKeep::First, all.clone().filter(|&i| equal(i).min() == Some(i)).collect::<Vec<_>>()),
            (UniqueKeep::Last, all.clone().filter(|&i| equal(i).max() == Some(i)).collect()),
            (UniqueKeep::None, all.clone().filter(|&i| equal(i).count() == 1).collect()),
        ] {
            let expected: Vec<_> = expected.into_iter().map(|i| Some(i as i64)).collect();
            for config in configs() {
                let unique = parts.unique_keep(["k", "x"], keep).sort("row", false);
                let out = config.scope(|| unique.compute().unwrap());
                prop_assert_eq!(ints(&out, "row"), expected.clone(), "{:?}", keep);
            }
        }
    }

    #[test]
    fn a_sample_of_n_rows_has_n_rows_in_order(rows in rows(), at in cuts(), n in 0..50_u64, seed in any::<u64>()) {
        let frame = frame_of(&rows);
        let whole = Frame::from_polars(&frame, 1).sample_n(n, seed).compute().unwrap();
        let out = cut(&frame, &at).sample_n(n, seed).compute().unwrap();
        prop_assert!(out.equals_missing(&whole));
        let chosen: Vec<i64> = ints(&out, "row").into_iter().flatten().collect();
        prop_assert_eq!(chosen.len(), rows.len().min(n as usize));
        prop_assert!(chosen.windows(2).all(|pair| pair[0] < pair[1]));
    }

    /// All windows that there can be, one by one.
    #[test]
    fn windows_of_time_have_their_rows(
        steps in prop::collection::vec((0..9_i64, 0..2_i64), 0..25),
        at in cuts(),
        every in 2..7_i64,
        period in prop::option::of(1..15_i64),
        offset in prop::option::of(-5..6_i64),
        how in 0..4_usize,
        label in 0..3_usize,
    ) {
        let closed = [ClosedInterval::Left, ClosedInterval::Right, ClosedInterval::Both, ClosedInterval::None][how];
        let label = [WindowLabel::Left, WindowLabel::Right, WindowLabel::DataPoint][label];
        let mut now = -20;
        let times: Vec<i64> = steps.iter().map(|(step, _)| { now += step; now }).collect();
        let keys: Vec<i64> = steps.iter().map(|(_, k)| *k).collect();
        let frame = df!["t" => &times, "k" => &keys, "row" => (0..times.len() as i64).collect::<Vec<_>>()].unwrap();
        let time = DataType::Datetime(TimeUnit::Milliseconds, None);
        let frame = cut(&frame, &at).cast([("t", time)]);
        let length = period.unwrap_or(every);
        let mut expected = Vec::new();
        for start in (-60..260).filter(|t| (t - offset.unwrap_or(0)).rem_euclid(every) == 0) {
            let is_in = |t: i64| {
                let after = if matches!(closed, ClosedInterval::Left | ClosedInterval::Both) { t >= start } else { t > start };
                let end = start + length;
                let before = if matches!(closed, ClosedInterval::Right | ClosedInterval::Both) { t <= end } else { t < end };
                after && before
            };
            for k in 0..2 {
                let rows: Vec<usize> = (0..times.len()).filter(|&i| is_in(times[i]) && keys[i] == k).collect();
                let Some(&first) = rows.first() else { continue };
                let told = match label {
                    WindowLabel::Left => start,
                    WindowLabel::Right => start + length,
                    WindowLabel::DataPoint => times[first],
                };
                let sum = rows.iter().sum::<usize>() as i64;
                expected.push([start, start + length, told, k, sum, rows.len() as i64]);
            }
        }
        let windows = || {
            let windows = frame.group_by_dynamic("t", &format!("{every}ms")).closed(closed).label(label);
            let windows = match period { Some(period) => windows.period(&format!("{period}ms")), None => windows };
            match offset { Some(offset) => windows.offset(&format!("{offset}ms")), None => windows }
        };
        let sums = windows().group_by(["k"]).include_boundaries().agg([col("row").sum(), len()]);
        let sums = sums.sort(["_lower_boundary", "k"], false);
        let out = sums.compute().unwrap();
        let names = ["_lower_boundary", "_upper_boundary", "t", "k", "row", "len"];
        prop_assert_eq!(names_of(&out), names);
        for (i, name) in names.into_iter().enumerate() {
            let column: Vec<_> = expected.iter().map(|row| Some(row[i])).collect();
            prop_assert_eq!(ints(&out, name), column, "{} {:?} {:?}", name, closed, label);
        }
        let plain = windows().agg([col("row").first()]).compute().unwrap();
        prop_assert_eq!(names_of(&plain), ["t", "row"]);
    }
}

#[test]
fn months_are_windows_too() {
    let day = |month: u32, day: u32| chrono_day(2023, month, day);
    let days = [day(1, 31), day(2, 1), day(2, 28), day(3, 31), day(4, 1)];
    let rows = df!["d" => days, "n" => [1_i64, 2, 3, 4, 5]].unwrap();
    let frame = Frame::from_polars(&rows, 3).cast([("d", DataType::Date)]);
    let months = frame.group_by_dynamic("d", "1mo").agg([col("n").sum()]).compute().unwrap();
    assert_eq!(ints(&months, "n"), [1, 5, 4, 5].map(Some));
    let two = frame.group_by_dynamic("d", "1mo").period("2mo").agg([col("n").sum()]);
    let two = two.compute().unwrap();
    let starts = [(2022, 12), (2023, 1), (2023, 2), (2023, 3), (2023, 4)];
    let starts = starts.map(|(year, month)| Some(i64::from(chrono_day(year, month, 1))));
    assert_eq!(ints(&two, "d"), starts);
    assert_eq!(ints(&two, "n"), [1, 6, 9, 9, 5].map(Some));
    let later = frame.group_by_dynamic("d", "1mo").offset("1d").agg([col("n").sum()]);
    assert_eq!(ints(&later.compute().unwrap(), "n"), [3, 3, 9].map(Some));
}

/// A window before the last one is the one that rows before are in, also where an offset in days is no month.
#[test]
fn windows_that_overlap_are_the_same_for_all_rows() {
    let day = |month: u32, day: u32| chrono_day(2023, month, day);
    // Windows begin on Jan 31, Mar 3, Mar 31, each 30 days after a first of a month.
    let rows = df!["d" => [day(2, 10), day(3, 5)], "n" => [1_i64, 2]].unwrap();
    let frame = Frame::from_polars(&rows, 2).cast([("d", DataType::Date)]);
    let windows = frame.group_by_dynamic("d", "1mo").offset("30d").period("40d");
    let windows = windows.agg([col("n").sum()]).compute().unwrap();
    assert_eq!(ints(&windows, "d"), [day(1, 31), day(3, 3)].map(|day| Some(i64::from(day))));
    assert_eq!(ints(&windows, "n"), [3, 2].map(Some));
}

/// Days since 1970.
fn chrono_day(year: i32, month: u32, day: u32) -> i32 {
    // From March on, so that the leap day is the last one (Howard Hinnant, `days_from_civil`).
    let (y, m) = (if month > 2 { year } else { year - 1 }, (month + 9) % 12);
    let of_year = (153 * m + 2) / 5 + day - 1;
    y * 365 + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400) + of_year as i32 - 719_468
}

#[test]
fn windows_of_time_refuse_what_is_no_time() {
    let frame = Frame::from_polars(&df!["t" => [1_i64], "x" => [1_i64]].unwrap(), 1);
    let error = frame.group_by_dynamic("t", "1d").agg([len()]).check().unwrap_err();
    assert!(matches!(error, Error::DTypeMismatch { .. }), "{error}");
    let days = frame.cast([("t", DataType::Date)]);
    for (every, period) in [("1d", "0d"), ("1d", "x"), ("1d", "9999d"), ("", "1d"), ("-1d", "1d")] {
        let windows = days.group_by_dynamic("t", every).period(period).agg([len()]);
        let error = windows.compute().unwrap_err().to_string();
        assert!(error.contains("dialect.rs:"), "{every} {period}: {error}");
    }
    assert!(days.group_by_dynamic("no", "1d").agg([len()]).check().is_err());
}

fn trips() -> DataFrame {
    df![
        "id" => [1_i64, 2, 3, 4],
        "fare" => [Some(10.0), Some(20.0), None, Some(40.0)],
        "tip" => [1.0, 2.0, 3.0, 4.0],
        "city" => ["a", "b", "a", "b"],
        "paid" => [true, false, true, true],
        "late" => [false, false, true, false],
    ]
    .unwrap()
}

#[test]
fn selected_columns_are_filtered_too() {
    let frame = Frame::from_polars(&trips(), 3);
    let paid = cs::float().as_expr().filter(col("paid"));
    let sums = frame.agg([paid.sum(), paid.len().name().suffix("_len")]).compute().unwrap();
    let expected =
        df!["fare" => [50.0], "tip" => [8.0], "fare_len" => [3_u32], "tip_len" => [3_u32]];
    assert!(sums.equals(&expected.unwrap()), "{sums:?}");
    let last = frame.group_by(["city"]).agg([paid.last().name().suffix("!")]).sort("city", false);
    let expected = df!["city" => ["a", "b"], "fare!" => [None, Some(40.0)], "tip!" => [3.0, 4.0]];
    assert!(last.compute().unwrap().equals_missing(&expected.unwrap()));
}

/// As if the others were not there: what is no number is no mistake of rows that are left out.
#[test]
fn filtered_values_are_those_that_may_fail() {
    let rows = df!["text" => ["1", "x", "3"], "is_number" => [true, false, true]].unwrap();
    for config in configs() {
        config.scope(|| {
            let frame = Frame::from_polars(&rows, 2);
            let numbers = col("text").filter(col("is_number")).strict_cast(DataType::Int64);
            let out = frame.agg([numbers.sum(), numbers.first().alias("first")]).compute().unwrap();
            assert!(out.equals(&df!["text" => [4_i64], "first" => [1_i64]].unwrap()), "{out:?}");
            let all = col("text").strict_cast(DataType::Int64).filter(col("is_number"));
            assert!(frame.agg([all.sum()]).compute().is_err());
        });
    }
}

#[test]
fn windows_in_an_order_need_no_keys() {
    let rows = df!["day" => [3, 1, 2], "x" => [10_i64, 20, 30]].unwrap();
    for config in configs() {
        config.scope(|| {
            let none: [&str; 0] = [];
            let running = col("x").cum_sum(false).over_ordered(none, ["day"], false);
            let out = Frame::from_polars(&rows, 2).select([running]).compute().unwrap();
            assert_eq!(ints(&out, "x"), [60, 20, 50].map(Some));
            let empty = Frame::from_polars(&rows.clear(), 1).select([col("x").sum().over(none)]);
            assert_eq!(empty.compute().unwrap().height(), 0);
        });
    }
}

#[test]
fn selectors_are_the_columns_that_they_choose() {
    let frame = Frame::from_polars(&trips(), 3);
    for config in configs() {
        config.scope(|| {
            let same = |got: Frame, expected: PolarsResult<DataFrame>| {
                let got = got.compute().unwrap();
                assert!(got.equals_missing(&expected.unwrap()), "{got:?}");
            };
            let halves = cs::float().as_expr() / 2.0;
            let expected = df!["fare" => [Some(5.0), Some(10.0), None, Some(20.0)], "tip" => [0.5, 1.0, 1.5, 2.0]];
            same(frame.select([halves]), expected);
            let filled = frame.with_columns([cs::numeric().as_expr().fill_null(0)]);
            assert_eq!(filled.columns().unwrap(), frame.columns().unwrap());
            assert_eq!(ints(&filled.null_count().compute().unwrap(), "fare"), [Some(0)]);
            let named = cs::matches("^(fare|tip)$").as_expr().sum().name().map(|name| format!("{name}!"));
            same(frame.agg([named]), df!["fare!" => [70.0], "tip!" => [10.0]]);
            let groups = frame.group_by(cs::string()).agg([(!cs::boolean()).as_expr().max()]);
            let expected = df!["city" => ["a", "b"], "id" => [3_i64, 4], "fare" => [10.0, 40.0], "tip" => [3.0, 4.0]];
            same(groups.sort("city", false), expected);
            // Several selectors go side by side.
            let both = cs::by_name(["fare"]).as_expr() + cs::by_name(["tip"]).as_expr();
            same(frame.select([both]), df!["fare" => [Some(11.0), Some(22.0), None, Some(44.0)]]);
            // Functions of many columns take all of them.
            let sums = sum_horizontal([cs::float()]).alias("sum");
            same(frame.select([sums]), df!["sum" => [11.0, 22.0, 3.0, 44.0]]);
            let any = any_horizontal([cs::boolean()]);
            same(frame.filter(any).select(["id"]), df!["id" => [1_i64, 3, 4]]);
            let all = all_horizontal([cs::boolean()]);
            same(frame.filter(all).select(["id"]), df!["id" => [3_i64]]);
            // Keys of windows are a list.
            let n = len().over([cs::string() | cs::by_name(["paid"])]).alias("n");
            same(frame.select([n]), df!["n" => [2_u32, 1, 2, 1]]);
            assert!(frame.select(cs::temporal()).columns().unwrap().is_empty());
        });
    }
    let read = frame.select([cs::string()]).explain().unwrap().to_string();
    assert!(read.contains("PruneColumns"), "{read}");
}

#[test]
fn selectors_that_choose_what_can_not_be_are_refused() {
    let frame = Frame::from_polars(&trips(), 1);
    let refused = |frame: Frame, parts: &[&str]| {
        let error = frame.check().unwrap_err().to_string();
        assert!(error.contains("dialect.rs:"), "{error}");
        parts.iter().for_each(|part| assert!(error.contains(part), "{error}"));
    };
    refused(frame.select(cs::by_name(["no"])), &["no", "fare"]);
    refused(frame.select(cs::matches("(")), &["matches"]);
    refused(frame.filter(cs::boolean()), &["2 columns", "boolean()"]);
    refused(frame.filter(cs::temporal()), &["0 columns"]);
    let sides = cs::float().as_expr() + cs::numeric().as_expr();
    refused(frame.select([sides]), &["[2, 3]"]);
    refused(frame.select([cs::float().as_expr().alias("x")]), &["\"x\""]);
}

#[test]
fn filtered_columns_that_are_not_aggregated_are_refused() {
    let frame = Frame::from_polars(&trips(), 2);
    let some = || col("fare").filter(col("paid"));
    let both = some() + col("tip").filter(col("late"));
    for wrong in [some(), some() + col("tip"), some().implode(), both.sum(), some().arg_min()] {
        let error = frame.select([wrong.alias("x")]).check().unwrap_err().to_string();
        assert!(error.contains("dialect.rs:"), "{error}");
    }
    // Both sides are filtered alike.
    let same = (some() * col("tip").filter(col("paid"))).sum().alias("x");
    let out = frame.agg([same]).compute().unwrap();
    assert_eq!(out.column("x").unwrap().f64().unwrap().get(0), Some(170.0));
    let per_group = some().sum().over(["city"]).alias("x");
    let out = frame.select([per_group]).compute().unwrap();
    assert_eq!(ints(&out, "x"), [10, 40, 10, 40].map(Some));
    let twice = some().filter(col("id").gt(1)).count().alias("x");
    assert_eq!(ints(&frame.agg([twice]).compute().unwrap(), "x"), [Some(1)]);
}

#[test]
fn replaced_values_do_not_depend_on_partitions() {
    let frame = Frame::from_polars(&trips(), 4);
    for config in configs() {
        config.scope(|| {
            let exprs = [
                col("city").replace(["a"], ["A"]),
                col("id").replace_strict_or([1, 2], ["one", "two"], lit("more")).alias("name"),
            ];
            let out = frame.select(exprs).compute().unwrap();
            let expected =
                df!["city" => ["A", "b", "A", "b"], "name" => ["one", "two", "more", "more"]];
            assert!(out.equals(&expected.unwrap()), "{out:?}");
            let error = frame.select([col("id").replace_strict([1, 2], [0, 0])]).compute();
            let error = error.unwrap_err().to_string();
            assert!(error.contains("is not among") && error.contains("dialect.rs:"), "{error}");
        });
    }
}

#[test]
fn numbers_are_cut_into_intervals() {
    let x: Vec<Option<f64>> =
        (0..40).map(|i| (i % 7 > 0).then_some(f64::from(i * 37 % 40))).collect();
    let k: Vec<i64> = (0..40).map(|i| i % 3).collect();
    let frame = df!["x" => &x, "k" => &k].unwrap();
    let label = |x: f64, ends: &[f64]| {
        let low = ends.iter().rev().find(|end| x > **end).copied().unwrap_or(f64::NEG_INFINITY);
        let high = ends.iter().find(|end| x <= **end).copied().unwrap_or(f64::INFINITY);
        format!("({low}, {high}]")
    };
    // Linear interpolation between the nearest values.
    let quantile = |values: &[f64], q: f64| {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let place = q * (sorted.len() - 1) as f64;
        let (low, high) = (sorted[place as usize], sorted[place.ceil() as usize]);
        low + (high - low) * place.fract()
    };
    let known: Vec<f64> = x.iter().flatten().copied().collect();
    let ends = [0.25, 0.5].map(|q| quantile(&known, q));
    let of_group = |k: i64| -> Vec<f64> {
        x.iter().enumerate().filter(|(i, _)| *i as i64 % 3 == k).filter_map(|(_, x)| *x).collect()
    };
    for (n_parts, config) in [1, 4, 40].into_iter().zip(configs()) {
        let exprs = [
            col("x").cut([10, 25], None, false, false).alias("cut"),
            col("x").qcut(&[0.25, 0.5], None, false, false).alias("qcut"),
            col("x").qcut(&[0.5], Some(&["low", "high"]), false, false).over(["k"]).alias("half"),
            col("x").cut([20.0], None, true, true).alias("both"),
        ];
        let out = Frame::from_polars(&frame, n_parts).select(exprs);
        let out = config.scope(|| out.unnest("both").compute().unwrap());
        let expected =
            |ends: &[f64]| x.iter().map(|x| x.map(|x| label(x, ends))).collect::<Vec<_>>();
        assert_eq!(texts(&out, "cut"), expected(&[10.0, 25.0]));
        assert!(out.schema().get("cut").unwrap().is_enum());
        assert_eq!(texts(&out, "qcut"), expected(&ends));
        let half = x.iter().zip(&k).map(|(x, k)| {
            let is_high = (*x)? > quantile(&of_group(*k), 0.5);
            Some(if is_high { "high" } else { "low" }.to_owned())
        });
        assert_eq!(texts(&out, "half"), half.collect::<Vec<_>>());
        let sides = x
            .iter()
            .map(|x| x.map(|x| if x >= 20.0 { "[20, inf)" } else { "[-inf, 20)" }.to_owned()));
        assert_eq!(texts(&out, "category"), sides.collect::<Vec<_>>());
        let ends = x.iter().map(|x| x.map(|x| if x >= 20.0 { f64::INFINITY } else { 20.0 }));
        let got: Vec<_> = out.column("breakpoint").unwrap().f64().unwrap().iter().collect();
        assert_eq!(got, ends.collect::<Vec<_>>());
    }
    let frame = Frame::from_polars(&frame, 2);
    for wrong in [
        col("x").cut([1, 1], None, false, false),
        col("x").cut([f64::INFINITY], None, false, false),
        col("x").cut([1], Some(&["one"]), false, false),
        lit("a").cut([1], None, false, false),
    ] {
        let error = frame.select([wrong]).check().unwrap_err().to_string();
        assert!(error.contains("dialect.rs:"), "{error}");
    }
    let nothing = frame.filter(col("k").gt(9)).select([col("x").qcut(&[0.5], None, false, false)]);
    assert_eq!(nothing.len().unwrap(), 0);
}

#[test]
fn structs_are_made_taken_apart_and_stored() {
    let dir = tempfile::tempdir().unwrap();
    let frame = Frame::from_polars(&trips(), 3);
    let nested = frame.select([as_struct([cs::float()]).alias("money"), col("id")]);
    for (i, config) in configs().into_iter().enumerate() {
        config.scope(|| {
            let flat = nested.unnest("money").compute().unwrap();
            assert!(flat.equals_missing(&trips().select(["fare", "tip", "id"]).unwrap()));
            let renamed = col("money").struct_().rename_fields(["a", "b"]).struct_().field("b");
            let sums = nested.agg([renamed.sum()]).compute().unwrap();
            assert!(sums.equals(&df!["b" => [10.0]].unwrap()), "{sums:?}");
            let path = dir.path().join(i.to_string());
            std::fs::create_dir(&path).unwrap();
            nested.to_parquet(path.join("p")).unwrap();
            nested.to_ipc(path.join("i")).unwrap();
            for read in [Frame::read_parquet(path.join("p")), Frame::read_ipc(path.join("i"))] {
                let high = read.filter(col("money").struct_().field("tip").gt(2)).unnest("money");
                assert_eq!(ints(&high.compute().unwrap(), "id"), [Some(3), Some(4)]);
            }
        });
    }
    let error = nested.unnest("id").check().unwrap_err();
    assert!(matches!(error, Error::DTypeMismatch { .. }), "{error}");
    assert!(nested.select([col("money").struct_().field("no")]).check().is_err());
    assert!(nested.with_columns([col("id").alias("tip")]).unnest("money").check().is_err());
}
