//! Expressions that look at other rows, over random partitions of random columns.

use dask_rs::Config;
use dask_rs::frame::polars_core::df;
use dask_rs::frame::polars_core::prelude::*;
use dask_rs::frame::{
    ClosedInterval, DataFrame as Frame, Expr, Interpolation, RankTies, RollingByOptions,
    RollingOptions, col, len, lit,
};
use proptest::prelude::*;

/// Columns `x` (integers and nulls), `f` (floats that add up without rounding), `b`, `s` and `k` (few keys).
fn rows(rows_max: usize) -> impl Strategy<Value = DataFrame> {
    let maybe = || prop::option::weighted(0.6, -4..5_i64);
    prop::collection::vec((maybe(), maybe(), 0..4_i64), 0..rows_max).prop_map(|rows| {
        let float = |n: Option<i64>| n.map(|n| n as f64 / 2.0);
        df![
            "x" => rows.iter().map(|r| r.0).collect::<Vec<_>>(),
            "f" => rows.iter().map(|r| float(r.1)).collect::<Vec<_>>(),
            "b" => rows.iter().map(|r| r.1.map(|n| n > 0)).collect::<Vec<_>>(),
            "s" => rows.iter().map(|r| r.0.map(|n| format!("text number {n}"))).collect::<Vec<_>>(),
            "k" => rows.iter().map(|r| r.2).collect::<Vec<_>>(),
        ]
        .unwrap()
    })
}

/// The same rows, cut at these places, also into partitions without rows.
pub(crate) fn cut(frame: &DataFrame, at: &[prop::sample::Index]) -> Frame {
    let mut bounds: Vec<usize> = at.iter().map(|i| i.index(frame.height() + 1)).collect();
    bounds.extend([0, frame.height()]);
    bounds.sort_unstable();
    let parts = bounds.windows(2);
    let parts: Vec<Frame> =
        parts.map(|w| Frame::from_polars(&frame.slice(w[0] as i64, w[1] - w[0]), 1)).collect();
    Frame::concat(&parts)
}

pub(crate) fn cuts() -> impl Strategy<Value = Vec<prop::sample::Index>> {
    prop::collection::vec(any::<prop::sample::Index>(), 0..9)
}

/// A column of each kind of function.
fn exprs() -> Vec<Expr> {
    let (x, f) = (col("x"), col("f"));
    let window = |n| RollingOptions { min_samples: Some(1), ..RollingOptions::new(n) };
    let centered = RollingOptions { center: true, ..window(4) };
    vec![
        x.shift(1),
        col("s").shift(-3),
        x.shift_and_fill(7, lit(9)),
        x.diff(2),
        f.diff(-1),
        f.pct_change(1),
        x.cum_sum(false),
        f.cum_sum(true),
        x.cum_prod(false),
        f.cum_max(false),
        x.cum_min(true),
        col("b").cum_sum(false),
        col("s").cum_count(false),
        x.cum_count(true),
        col("s").forward_fill(None),
        x.backward_fill(None),
        f.forward_fill(Some(2)),
        x.backward_fill(Some(5)),
        f.rolling_sum(window(3)),
        f.rolling_max(centered),
        x.rolling_min(RollingOptions::new(2)),
        x.rolling_median(window(6)),
        x.clone() - x.mean(),
        x.clone() * len() + f.max(),
        // Sums of what is not exact depend on the partitions.
        (f.clone() - f.mean()).abs().max() + lit(1.0),
        (x.clone() + x.shift(1).fill_null(lit(0))).cum_sum(false).diff(1),
        x.rank(RankTies::Average, false),
        f.reverse(),
        f.interpolate(Interpolation::Linear),
        x.sum().over(["k"]),
        x.cum_sum(false).over([col("k") % 2]) - x.cum_sum(false),
        f.shift(1).over(["k", "b"]),
        lit(2).alias("literal"),
    ]
}

/// All of them, under names of their own.
fn named() -> Vec<Expr> {
    exprs().into_iter().enumerate().map(|(i, expr)| expr.alias(format!("e{i}"))).collect()
}

/// Partitions of a few rows, so that groups are spread.
fn tiny() -> Config {
    Config::new().with_chunk_bytes(64).with_memory_limit(1 << 30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn functions_see_through_partitions(frame in rows(40), at in cuts(), optimize in any::<bool>()) {
        let whole = Frame::from_polars(&frame, 1).with_columns(named()).compute().unwrap();
        let parts = cut(&frame, &at).with_columns(named());
        let config = tiny().with_optimize(optimize);
        let out = config.scope(|| parts.compute()).unwrap();
        prop_assert_eq!(out.schema(), whole.schema());
        for (a, b) in out.columns().iter().zip(whole.columns()) {
            prop_assert!(a.equals_missing(b), "{}: {a:?} {b:?}", a.name());
        }
    }

    #[test]
    fn each_function_alone_is_the_same(frame in rows(30), at in cuts(), n in 0..33_usize) {
        let expr = named().swap_remove(n);
        let whole = Frame::from_polars(&frame, 1).select([expr.clone()]).compute().unwrap();
        let out = cut(&frame, &at).select([expr.clone()]).compute().unwrap();
        prop_assert!(out.equals_missing(&whole), "{expr}: {out:?} {whole:?}");
    }
}

#[test]
fn results_are_those_of_polars() {
    let x: Vec<Option<i64>> = vec![Some(1), Some(5), None, None, None, Some(2), Some(7)];
    let frame = cut_every(&df!["x" => &x].unwrap(), 2);
    let ordered = frame.select([
        col("x").cum_max(false).alias("max"),
        col("x").cum_sum(false).alias("sum"),
        col("x").forward_fill(None).alias("fill"),
        (col("x") - col("x").mean()).alias("centred"),
    ]);
    let expected = df![
        "max" => [Some(1_i64), Some(5), None, None, None, Some(5), Some(7)],
        "sum" => [Some(1_i64), Some(6), None, None, None, Some(8), Some(15)],
        "fill" => [1_i64, 5, 5, 5, 5, 2, 7],
        "centred" => x.iter().map(|x| x.map(|x| x as f64 - 3.75)).collect::<Vec<_>>(),
    ];
    assert!(ordered.compute().unwrap().equals_missing(&expected.unwrap()));
}

/// `dask.md`, defect 5: running results became NaN behind a partition of missing values.
#[test]
fn running_results_survive_partitions_without_values() {
    let frame = df!["x" => [Some(1.0), Some(5.0), None, None, Some(2.0), Some(7.0)]].unwrap();
    let out = Frame::from_polars(&frame, 3).select([col("x").cum_max(false)]).compute().unwrap();
    let expected = df!["x" => [Some(1.0), Some(5.0), None, None, Some(5.0), Some(7.0)]].unwrap();
    assert!(out.equals_missing(&expected));
}

/// `dask.md`, defect 15: windows longer than the partition before, and fills over one without values, were errors.
#[test]
fn windows_reach_over_many_partitions() {
    let n = 50_i64;
    let frame = df!["x" => (0..n).collect::<Vec<_>>()].unwrap();
    let options = RollingOptions::new(20);
    let out = cut_every(&frame, 3).select([col("x").rolling_sum(options)]).compute().unwrap();
    let sums = out.column("x").unwrap().i64().unwrap();
    for i in 0..n {
        let expected = (i >= 19).then(|| (i - 19..=i).sum::<i64>());
        assert_eq!(sums.get(i as usize), expected);
    }
}

#[test]
fn a_selection_of_aggregates_is_one_row() {
    let frame = Frame::from_polars(&df!["x" => [1_i64, 2, 3, 4]].unwrap(), 3);
    let out = frame.select([col("x").sum(), (col("x").max() - 1).alias("m")]).compute().unwrap();
    assert!(out.equals(&df!["x" => [10_i64], "m" => [3_i64]].unwrap()));
    let kept = frame.filter(col("x").gt(col("x").mean())).compute().unwrap();
    assert!(kept.equals(&df!["x" => [3_i64, 4]].unwrap()));
}

/// Neighbours of which the rows are known are looked at one step far.
#[test]
fn known_rows_save_rounds() {
    let frame = df!["x" => (0..1000_i64).collect::<Vec<_>>()].unwrap();
    let shifted = Frame::from_polars(&frame, 10).select([col("x").shift(1)]);
    let text = shifted.explain().unwrap().to_string();
    assert!(text.contains("edge") && !text.contains("edges"), "{text}");
}

fn cut_every(frame: &DataFrame, n_rows: usize) -> Frame {
    Frame::from_polars(frame, frame.height().div_ceil(n_rows))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// Rows of equal times may stand on both sides of a cut, and windows may reach over many partitions.
    #[test]
    fn windows_of_time_see_through_partitions(
        steps in prop::collection::vec((0..4_i64, prop::option::weighted(0.8, -4..5_i64)), 0..40),
        at in cuts(),
        zone in 0..3_usize,
    ) {
        let mut now = 0;
        let times: Vec<i64> = steps.iter().map(|(step, _)| { now += step; now }).collect();
        let values: Vec<Option<i64>> = steps.iter().map(|(_, value)| *value).collect();
        let frame = df!["t" => times, "x" => values].unwrap();
        let (dtype, window) = [
            (DataType::Int64, "5i"),
            (DataType::Date, "1w"),
            (DataType::Datetime(TimeUnit::Milliseconds, None), "7ms"),
        ][zone].clone();
        let x = col("x");
        let closed = |closed| RollingByOptions { closed, ..window.into() };
        let exprs = [
            x.rolling_sum_by("t", window).alias("sum"),
            x.rolling_max_by("t", window).alias("max"),
            x.rolling_mean_by("t", window).alias("mean"),
            x.rolling_median_by("t", window).alias("median"),
            x.rolling_var_by("t", window, 0).alias("var"),
            x.rolling_sum_by("t", closed(ClosedInterval::Both)).alias("both"),
            x.rolling_sum_by("t", closed(ClosedInterval::Left)).alias("left"),
            x.rolling_min_by("t", RollingByOptions { min_samples: 2, ..window.into() }).alias("two"),
        ];
        let of = |frame: Frame| frame.cast([("t", dtype.clone())]).with_columns(exprs.to_vec());
        let whole = of(Frame::from_polars(&frame, 1)).compute().unwrap();
        let out = of(cut(&frame, &at)).compute().unwrap();
        // Moments move with the window, so that their last bits depend on where it began.
        let vars = [&out, &whole].map(|frame| frame.column("var").unwrap().f64().unwrap().clone());
        for (a, b) in vars[0].iter().zip(vars[1].iter()) {
            prop_assert!(a == b || (a.unwrap() - b.unwrap()).abs() < 1e-12, "{:?} {:?}", a, b);
        }
        let (out, whole) = (out.drop("var").unwrap(), whole.drop("var").unwrap());
        prop_assert!(out.equals_missing(&whole), "{out:?} {whole:?}");
    }
}

#[test]
fn windows_of_time_want_rows_in_order() {
    let frame = df!["t" => [1_i64, 5, 3, 4], "x" => [1_i64, 2, 3, 4]].unwrap();
    let sums = Frame::from_polars(&frame, 4).select([col("x").rolling_sum_by("t", "2i")]);
    let error = sums.compute().unwrap_err().to_string();
    assert!(error.contains("sort"), "{error}");
}
