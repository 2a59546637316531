//! Aggregates that the user defines, that pick a row, and that are about right.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dask_rs::Config;
use dask_rs::frame::polars_core::df;
use dask_rs::frame::polars_core::prelude::*;
use dask_rs::frame::{Aggregation, DataFrame as Frame, col, len};
use proptest::prelude::*;

/// The largest difference of two values: a state of two numbers.
fn range() -> Aggregation {
    let list = |min: Option<i64>, max: Option<i64>| {
        Scalar::new_list(Series::new(PlSmallStr::EMPTY, [min, max]))
    };
    let chunk = move |x: &Column| {
        let x = x.i64()?;
        Ok(list(x.min(), x.max()))
    };
    let combine = move |states: &Column| {
        let ends =
            states.list()?.explode(ExplodeOptions { empty_as_null: true, keep_nulls: true })?;
        let ends = ends.i64()?;
        Ok(list(ends.min(), ends.max()))
    };
    let finish = |states: &Column| {
        let states = states.list()?;
        let difference = |i| {
            let ends = states.get_as_series(i)?;
            let ends = ends.i64().ok()?;
            Some(ends.get(1)? - ends.get(0)?)
        };
        Ok((0..states.len()).map(difference).collect::<Int64Chunked>().into_column())
    };
    let state = DataType::List(Box::new(DataType::Int64));
    Aggregation::new(state, chunk, combine, DataType::Int64, finish)
}

fn integers(frame: &DataFrame, name: &str) -> Vec<Option<i64>> {
    frame.column(name).unwrap().cast(&DataType::Int64).unwrap().i64().unwrap().iter().collect()
}

/// Whether rows move instead of states.
fn moves_rows(frame: &Frame) -> bool {
    !frame.explain().unwrap().to_string().contains("partial")
}

#[test]
fn functions_of_the_user_are_checked() {
    let frame = Frame::from_polars(&df!["k" => [1, 1, 2], "x" => [1_i64, 5, 3]].unwrap(), 3);
    let sum = |states: &Column| states.sum_reduce();
    let pass = |states: &Column| Ok(states.clone());
    let of = |state: DataType, result: DataType| {
        let wrong = Aggregation::new(state, |x: &Column| x.sum_reduce(), sum, result, pass);
        frame.group_by(["k"]).agg([col("x").aggregate_with(&wrong)])
    };
    let fine = of(DataType::Int64, DataType::Int64).compute().unwrap();
    assert_eq!(integers(&fine, "x"), [Some(6), Some(3)]);
    let error = of(DataType::Float64, DataType::Float64).compute().unwrap_err().to_string();
    assert!(error.contains("chunk returned i64, states were declared to be f64"), "{error}");
    let wrong = of(DataType::Int64, DataType::Float64);
    assert_eq!(wrong.schema().unwrap().get("x"), Some(&DataType::Float64));
    let error = wrong.compute().unwrap_err().to_string();
    assert!(error.contains("finish returned 2 values of i64"), "{error}");
    assert!(frame.agg([col("k").cast(DataType::String).approx_quantile(0.5)]).check().is_err());
}

#[test]
fn functions_of_the_user_see_no_empty_frames() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let chunk = move |x: &Column| {
        counter.fetch_add(1, Ordering::Relaxed);
        assert!(!x.is_empty());
        Ok(Scalar::from(x.len() as i64))
    };
    let (sum, pass) = (|s: &Column| s.sum_reduce(), |s: &Column| Ok(s.clone()));
    let rows = Aggregation::new(DataType::Int64, chunk, sum, DataType::Int64, pass);
    let frame = Frame::from_polars(&df!["x" => [1, 2, 3]].unwrap(), 3);
    let none = frame.filter(col("x").gt(5)).agg([col("x").aggregate_with(&rows)]);
    assert_eq!(
        (integers(&none.compute().unwrap(), "x"), calls.load(Ordering::Relaxed)),
        (vec![None], 0)
    );
    let one = frame.filter(col("x").gt(2)).select([col("x").aggregate_with(&rows) + 1]);
    assert_eq!(integers(&one.compute().unwrap(), "x"), [Some(2)]);
    let n = frame.filter(col("x").gt(5)).agg([col("x").approx_n_unique()]);
    assert_eq!(integers(&n.compute().unwrap(), "x"), [Some(0)]);
}

#[test]
fn sketches_are_near_and_move_no_rows() {
    let n = 60_000_i64;
    let x: Vec<i64> = (0..n).map(|i| i * 7919 % 50_021).collect();
    let k: Vec<i64> = (0..n).map(|i| i % 3).collect();
    let frame = Frame::from_polars(&df!["k" => k, "x" => x].unwrap(), 5);
    let aggs = || {
        [
            col("x").approx_n_unique(),
            col("x").approx_quantile(0.9).alias("p90"),
            col("x").n_unique().alias("n"),
        ]
    };
    let near = |got: f64, expected: f64, share: f64| {
        assert!((got - expected).abs() <= share * expected, "{got} is not near {expected}");
    };
    let whole = frame.agg(aggs()).compute().unwrap();
    let number = |frame: &DataFrame, name: &str, row: usize| {
        frame.column(name).unwrap().get(row).unwrap().extract::<f64>().unwrap()
    };
    near(number(&whole, "x", 0), 50_021.0, 0.02);
    near(number(&whole, "p90", 0), 45_019.0, 0.01);
    let groups = frame.group_by(["k"]).agg(aggs()).compute().unwrap();
    for row in 0..3 {
        near(number(&groups, "x", row), number(&groups, "n", row), 0.02);
        near(number(&groups, "p90", row), 45_019.0, 0.01);
    }
    let sketches = frame.group_by(["k"]).agg(aggs()[..2].to_vec());
    assert!(!moves_rows(&sketches) && moves_rows(&frame.group_by(["k"]).agg(aggs())));
    // Few values are counted exactly, nulls as one.
    let few = df!["x" => [Some("a"), None, Some("b"), Some("a"), None]].unwrap();
    let few = Frame::from_polars(&few, 2).n_unique_approx("x").compute().unwrap();
    assert_eq!(integers(&few, "x"), [Some(3)]);
}

#[test]
fn functions_of_groups_see_them_whole() {
    let k: Vec<i64> = (0..60).map(|i| i * 7 % 5).collect();
    let rows = df!["k" => k.clone(), "x" => (0..60_i64).collect::<Vec<_>>()].unwrap();
    let frame = Frame::from_polars(&rows, 7);
    let schema =
        Arc::clone(df!["k" => [0_i64], "n" => [0_u32], "last" => [0_i64]].unwrap().schema());
    let summary = |group: DataFrame| {
        let (k, x) = (group.column("k")?.head(Some(1)), group.column("x")?);
        let last = x.tail(Some(1)).with_name("last".into());
        DataFrame::new(1, vec![k, Column::new("n".into(), [x.len() as u32]), last])
    };
    for config in [Config::new(), Config::new().with_chunk_bytes(128)] {
        config.scope(|| {
            let groups = frame.group_by(["k"]).apply(Arc::clone(&schema), summary);
            let groups = groups.sort("k", false).compute().unwrap();
            assert_eq!(integers(&groups, "k"), [0, 1, 2, 3, 4].map(Some));
            assert_eq!(integers(&groups, "n"), [Some(12); 5]);
            let last = |key: i64| (0..60).rev().find(|i| k[*i as usize] == key);
            assert_eq!(integers(&groups, "last"), [0, 1, 2, 3, 4].map(last));
            // Of rows that are together nothing moves again.
            let text = |frame: &Frame| frame.explain().unwrap().to_string();
            let together = frame.repartition_by("k");
            assert!(together.index().unwrap().is_none());
            let n = text(&together).matches("barrier").count();
            let grouped = together.group_by(["k"]).apply(Arc::clone(&schema), summary);
            assert_eq!(text(&grouped).matches("barrier").count(), n);
            let reversed = col("x").map_batches(|x| Ok(x.reverse()), DataType::Int64);
            let both = [reversed.alias("all"), reversed.over(["k"]).alias("of group")];
            let out = frame.select(both).compute().unwrap();
            assert_eq!(integers(&out, "all"), (0..60).rev().map(Some).collect::<Vec<_>>());
            let of_group = integers(&out, "of group");
            assert!((0..60).all(|i| k[of_group[i].unwrap() as usize] == k[i]));
            assert_eq!(of_group[0], last(k[0]));
        });
    }
    let none = frame.filter(col("x").lt(0)).group_by(["k"]).apply(Arc::clone(&schema), summary);
    assert_eq!(none.compute().unwrap().shape(), (0, 3));
    let wrong = frame.group_by(["k"]).apply(Arc::clone(&schema), Ok);
    let error = wrong.compute().unwrap_err().to_string();
    assert!(error.contains("apply") && error.contains("aggregations.rs:"), "{error}");
    assert!(frame.group_by([col("k") + 1]).apply(Arc::clone(&schema), summary).check().is_err());
    assert!(frame.group_by(["no"]).apply(schema, summary).check().is_err());
    assert!(frame.repartition_by(Vec::<String>::new()).check().is_err());
}

#[test]
fn pivots_and_categories_are_known_after_a_first_pass() {
    let kind = ["b", "a", "c", "b", "a", "d"];
    let rows = df!["kind" => kind.map(|k| (k != "d").then_some(k)), "n" => 0..6_i64].unwrap();
    let frame = Frame::from_polars(&rows, 6);
    let kinds = frame.unique_values("kind").unwrap();
    assert_eq!(kinds.str().unwrap().iter().collect::<Vec<_>>(), ["a", "b", "c"].map(Some));
    let wide = frame.with_columns([(col("n") % 2).alias("odd")]);
    let wide = wide.pivot("kind", kinds, "odd", col("n").sum()).sort("odd", false);
    assert_eq!(wide.columns().unwrap(), ["odd", "a", "b", "c"]);
    let wide = wide.compute().unwrap();
    assert_eq!(integers(&wide, "a"), [Some(4), Some(1)]);
    assert_eq!(integers(&wide, "b"), [Some(0), Some(3)]);
    // Partitions have other categories each, and so has the other frame.
    let dtype = DataType::from_categories(Categories::global());
    let categories = frame.cast([("kind", dtype)]);
    for frame in [frame, categories] {
        let known = frame.as_known("kind").unwrap();
        let dtype = known.schema().unwrap().get("kind").unwrap().clone();
        assert!(dtype.is_enum());
        let out = known.sort("kind", false).compute().unwrap();
        assert_eq!(out.schema().get("kind"), Some(&dtype));
        let texts = out.column("kind").unwrap().cast(&DataType::String).unwrap();
        let expected = [None, Some("a"), Some("a"), Some("b"), Some("b"), Some("c")];
        assert_eq!(texts.str().unwrap().iter().collect::<Vec<_>>(), expected);
    }
    assert!(Frame::from_polars(&rows, 2).as_known("n").is_err());
    assert!(Frame::from_polars(&rows, 2).unique_values("no").is_err());
}

type Rows = Vec<(i64, Option<i64>, Option<i64>)>;

fn rows() -> impl Strategy<Value = Rows> {
    let value = || prop::option::weighted(0.8, -5..5_i64);
    prop::collection::vec((0..4_i64, value(), value()), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn aggregates_are_those_of_loops(
        rows in rows(), parts in 1..6_usize, spread in any::<bool>(), optimize in any::<bool>(),
    ) {
        let k: Vec<i64> = rows.iter().map(|row| row.0).collect();
        let x: Vec<Option<i64>> = rows.iter().map(|row| row.1).collect();
        let y: Vec<Option<i64>> = rows.iter().map(|row| row.2).collect();
        let frame = Frame::from_polars(&df!["k" => k, "x" => x, "y" => y].unwrap(), parts);
        let aggs = || [
            col("x").aggregate_with(&range()),
            col("y").min_by(col("x")).alias("min"),
            col("y").max_by(col("x")).alias("max"),
            (col("x").max_by(col("y") * -1) + len()).alias("sum"),
            col("x").approx_n_unique().alias("n"),
        ];
        let config = Config::new().with_optimize(optimize).with_chunk_bytes(if spread { 64 } else { 1 << 20 });
        let (groups, whole, over) = config.scope(|| {
            let groups = frame.group_by(["k"]).agg(aggs()).sort("k", false).compute().unwrap();
            let over = [col("k"), col("y").min_by(col("x")).over(["k"]), col("x").aggregate_with(&range()).over(["k"])];
            (groups, frame.agg(aggs()).compute().unwrap(), frame.select(over).compute().unwrap())
        });
        let expected = |of: &dyn Fn(i64) -> bool| {
            let group: Vec<_> = rows.iter().filter(|row| of(row.0)).collect();
            let xs = || group.iter().filter_map(|row| row.1);
            let pick = |best: Option<i64>| best.and_then(|best| group.iter().find(|row| row.1 == Some(best))?.2);
            let least = group.iter().filter_map(|row| row.2).min();
            let at_least = least.and_then(|least| group.iter().find(|row| row.2 == Some(least))?.1);
            let mut different: Vec<_> = group.iter().map(|row| row.1).collect();
            different.sort();
            different.dedup();
            [
                xs().max().zip(xs().min()).map(|(max, min)| max - min),
                pick(xs().min()),
                pick(xs().max()),
                at_least.map(|x| x + group.len() as i64),
                Some(different.len() as i64),
            ]
        };
        let names = ["x", "min", "max", "sum", "n"];
        let row = |frame: &DataFrame, i: usize| names.map(|name| integers(frame, name)[i]);
        prop_assert_eq!(row(&whole, 0), expected(&|_| true));
        for (i, k) in integers(&groups, "k").into_iter().enumerate() {
            prop_assert_eq!(row(&groups, i), expected(&|key| Some(key) == k));
        }
        for (i, k) in integers(&over, "k").into_iter().enumerate() {
            let expected = expected(&|key| Some(key) == k);
            prop_assert_eq!(integers(&over, "y")[i], expected[1]);
            prop_assert_eq!(integers(&over, "x")[i], expected[0]);
        }
    }
}

#[test]
fn groups_do_not_depend_on_each_other() {
    let max = |x: &Column| x.max_reduce();
    let zero = |states: &Column| states.fill_null(FillNullStrategy::Zero);
    let max = Aggregation::new(DataType::Int64, max, max, DataType::Int64, zero);
    for (keys, values) in [(vec![1], vec![None]), (vec![1, 2], vec![None, Some(3_i64)])] {
        let frame = Frame::from_polars(&df!["k" => keys, "x" => values.clone()].unwrap(), 2);
        let out = frame.group_by(["k"]).agg([col("x").aggregate_with(&max)]).compute().unwrap();
        assert_eq!(integers(&out, "x"), values);
    }
}
