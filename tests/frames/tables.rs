//! Functions of whole tables, over random partitions.

use std::sync::Arc;

use dask_rs::frame::polars_core::df;
use dask_rs::frame::polars_core::prelude::*;
use dask_rs::frame::{
    AsofOptions, AsofStrategy, DataFrame as Frame, Expr, Interpolation, col, corr, cov, len,
};
use dask_rs::{Config, Error};
use proptest::prelude::*;

use super::ordered::{cut, cuts};

fn rows(rows_max: usize) -> impl Strategy<Value = DataFrame> {
    let number = prop::option::weighted(0.7, -4..5_i64);
    let float =
        prop::option::weighted(0.8, prop_oneof![Just(f64::NAN), (-3..4).prop_map(f64::from)]);
    prop::collection::vec((number, float, 0..3_i64), 0..rows_max).prop_map(|rows| {
        df![
            "x" => rows.iter().map(|r| r.0).collect::<Vec<_>>(),
            "f" => rows.iter().map(|r| r.1).collect::<Vec<_>>(),
            "s" => rows.iter().map(|r| r.0.map(|n| format!("s{n}"))).collect::<Vec<_>>(),
            "k" => rows.iter().map(|r| r.2).collect::<Vec<_>>(),
        ]
        .unwrap()
    })
}

fn same(a: &DataFrame, b: &DataFrame) -> Result<(), TestCaseError> {
    prop_assert_eq!(a.schema(), b.schema());
    prop_assert!(a.equals_missing(b), "{a:?} {b:?}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn rows_are_dropped_filled_and_numbered(frame in rows(30), at in cuts(), n in 0..40_u64) {
        let parts = cut(&frame, &at);
        same(&parts.drop_nulls().compute().unwrap(), &frame.drop_nulls::<&str>(None).unwrap())?;
        let subset = frame.drop_nulls(Some(&["f"])).unwrap();
        same(&parts.drop_nulls_in("f").compute().unwrap(), &subset)?;
        let filled = parts.fill_null(7).compute().unwrap();
        prop_assert_eq!(filled.column("x").unwrap().null_count(), 0);
        prop_assert_eq!(filled.column("f").unwrap().null_count(), 0);
        prop_assert_eq!(
            filled.column("s").unwrap().null_count(),
            frame.column("s").unwrap().null_count()
        );
        let numbers = parts.with_row_index("row", 5).compute().unwrap();
        let expected: Vec<u64> = (5..5 + frame.height() as u64).collect();
        let found: Vec<u64> = numbers.column("row").unwrap().u64().unwrap().iter().flatten().collect();
        prop_assert_eq!(found, expected);
        prop_assert_eq!(numbers.columns()[0].name().as_str(), "row");
        same(&parts.tail(n).compute().unwrap(), &frame.tail(Some(n as usize)))?;
        let odd = frame.filter(frame.column("k").unwrap().i64().unwrap().not_equal(1).as_ref());
        let tail = parts.filter(col("k").neq(1)).tail(n).compute().unwrap();
        same(&tail, &odd.unwrap().tail(Some(n as usize)))?;
        let shifted = parts.shift(2).compute().unwrap();
        let columns = frame.columns().iter().map(|column| column.shift(2)).collect();
        same(&shifted, &DataFrame::new(frame.height(), columns).unwrap())?;
    }

    #[test]
    fn samples_do_not_depend_on_partitions(frame in rows(60), at in cuts(), seed in any::<u64>()) {
        let whole = Frame::from_polars(&frame, 1).sample(0.4, seed).compute().unwrap();
        same(&cut(&frame, &at).sample(0.4, seed).compute().unwrap(), &whole)?;
        prop_assert_eq!(cut(&frame, &at).sample(1.0, seed).compute().unwrap().height(), frame.height());
    }

    #[test]
    fn summaries_are_those_of_one_partition(frame in rows(40), at in cuts()) {
        let (whole, parts) = (Frame::from_polars(&frame, 1), cut(&frame, &at));
        let summaries: [fn(&Frame) -> Frame; 6] = [
            |f| f.value_counts("k"),
            |f| f.mode("s"),
            |f| f.null_count(),
            |f| f.quantile("x", 0.3, Interpolation::Linear),
            |f| f.n_unique_approx("s"),
            |f| f.pivot("k", [0, 1, 2], "x", len()).sort("x", false),
        ];
        for summary in summaries {
            same(&summary(&parts).compute().unwrap(), &summary(&whole).compute().unwrap())?;
        }
        let (a, b) = (parts.describe().compute().unwrap(), whole.describe().compute().unwrap());
        prop_assert_eq!(a.schema(), b.schema());
        prop_assert_eq!(a.column("s").unwrap(), b.column("s").unwrap());
    }

    #[test]
    fn functions_see_the_rows_around(frame in rows(30), at in cuts(), before in 0..9_u64, after in 0..9_u64) {
        let schema = Arc::clone(frame.schema());
        let spread = move |rows: DataFrame, _: usize| {
            let columns = rows.columns().iter();
            let columns = columns.map(|c| c.shift(before as i64).shift(-((before + after) as i64)));
            DataFrame::new(rows.height(), columns.collect())
        };
        let expected = Frame::from_polars(&frame, 1).map_partitions(Arc::clone(&schema), spread);
        let out = cut(&frame, &at).map_overlap(before, before + after, schema, spread);
        // What falls off an end falls off the end of all rows, too.
        let n = frame.height();
        prop_assert_eq!(out.compute().unwrap().height(), n);
        let (out, expected) = (out.compute().unwrap(), expected.compute().unwrap());
        let inner = |f: &DataFrame| f.slice(before as i64, n.saturating_sub(2 * (before + after) as usize));
        same(&inner(&out), &inner(&expected))?;
    }

    #[test]
    fn the_nearest_row_is_found(frame in rows(30), other in rows(30), at in cuts(), by in any::<bool>()) {
        let sorted = |frame: &DataFrame| frame.sort(["k"], Default::default()).unwrap();
        let (left, right) = (sorted(&frame), sorted(&other));
        for strategy in [AsofStrategy::Backward, AsofStrategy::Forward, AsofStrategy::Nearest] {
            let options = AsofOptions::default().strategy(strategy);
            let options = if by { options.by("x") } else { options };
            let joined = |left: Frame, right: Frame| {
                left.join_asof(&right, "k", options.clone()).compute().unwrap()
            };
            let whole = joined(Frame::from_polars(&left, 1), Frame::from_polars(&right, 1));
            same(&joined(cut(&left, &at), cut(&right, &at)), &whole)?;
        }
    }
}

#[test]
fn covariances_are_those_of_the_definition() {
    let x: Vec<Option<f64>> =
        (0..100).map(|i| (i % 7 > 0).then_some(1e9 + (i * 37 % 11) as f64)).collect();
    let y: Vec<Option<f64>> =
        (0..100).map(|i| (i % 5 > 0).then_some((i * 13 % 17) as f64)).collect();
    let pairs: Vec<(f64, f64)> =
        x.iter().zip(&y).filter_map(|(x, y)| Some(((*x)? - 1e9, (*y)?))).collect();
    let n = pairs.len() as f64;
    let (mx, my) =
        (pairs.iter().map(|p| p.0).sum::<f64>() / n, pairs.iter().map(|p| p.1).sum::<f64>() / n);
    let spread = |f: fn(f64, f64) -> f64| pairs.iter().map(|p| f(p.0 - mx, p.1 - my)).sum::<f64>();
    let (xy, xx, yy) = (spread(|x, y| x * y), spread(|x, _| x * x), spread(|_, y| y * y));
    let frame = Frame::from_polars(&df!["x" => x, "y" => y].unwrap(), 9);
    let value = |frame: Frame| frame.compute().unwrap().columns()[0].f64().unwrap().get(0).unwrap();
    assert!((value(frame.cov("x", "y", 1)) - xy / (n - 1.0)).abs() < 1e-6);
    assert!((value(frame.corr("x", "y")) - xy / (xx * yy).sqrt()).abs() < 1e-9);
}

#[test]
fn covariances_of_groups_are_those_of_the_definition() {
    let row = |i: i64| {
        let x = (i % 7 > 0).then_some(1e9 + (i * 37 % 11) as f64);
        (i % 3, x, (i % 5 > 0).then_some(i * 13 % 17))
    };
    let rows: Vec<(i64, Option<f64>, Option<i64>)> =
        (0..200).map(row).chain([(9, None, Some(1))]).collect();
    let frame = df![
        "g" => rows.iter().map(|row| row.0).collect::<Vec<_>>(),
        "x" => rows.iter().map(|row| row.1).collect::<Vec<_>>(),
        "y" => rows.iter().map(|row| row.2).collect::<Vec<_>>(),
    ];
    let frame = frame.unwrap();
    let expected = |g: i64| {
        let pairs = rows.iter().filter(|row| row.0 == g);
        let pairs: Vec<(f64, f64)> =
            pairs.filter_map(|row| Some((row.1? - 1e9, row.2? as f64))).collect();
        let n = pairs.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>() / n;
        let (mx, my) = (mean(|p| p.0), mean(|p| p.1));
        let spread =
            |f: fn(f64, f64) -> f64| pairs.iter().map(|p| f(p.0 - mx, p.1 - my)).sum::<f64>();
        let (xy, xx, yy) = (spread(|x, y| x * y), spread(|x, _| x * x), spread(|_, y| y * y));
        (xy / (n - 1.0), xy / (xx * yy).sqrt())
    };
    let small = Config::new().with_chunk_bytes(64);
    for config in [Config::new(), small.clone(), small.with_optimize(false)] {
        for n_parts in [1, 4, 60] {
            let groups = Frame::from_polars(&frame, n_parts).group_by(["g"]);
            let out = groups.agg([cov("x", "y", 1), corr(col("x"), col("y")).alias("r")]);
            let out = config.scope(|| out.sort("g", false).compute().unwrap());
            let value = |name: &str, row: usize| out.column(name).unwrap().f64().unwrap().get(row);
            for g in 0..3 {
                let (of_cov, of_corr) = expected(g);
                let got = (value("x", g as usize).unwrap(), value("r", g as usize).unwrap());
                assert!((got.0 - of_cov).abs() < 1e-6 && (got.1 - of_corr).abs() < 1e-8, "{out:?}");
            }
            assert_eq!((out.height(), value("x", 3)), (4, None));
        }
    }
    let over = Frame::from_polars(&frame, 4).select([col("g"), cov("x", "y", 1).over(["g"])]);
    let first = over.head(1).compute().unwrap();
    let first = first.column("x").unwrap().f64().unwrap().get(0).unwrap();
    assert!((first - expected(0).0).abs() < 1e-6);
    let texts = Frame::from_polars(&df!["s" => ["a"], "x" => [1.0]].unwrap(), 1);
    assert!(matches!(texts.agg([cov("x", "s", 1)]).check(), Err(Error::DTypeMismatch { .. })));
}

#[test]
fn lists_and_columns_become_rows() {
    let frame = Frame::from_polars(&df!["k" => [1_i64, 1, 2], "x" => [1_i64, 2, 3]].unwrap(), 3);
    let lists = frame.group_by(["k"]).agg([col("x").implode()]);
    let out = lists.explode("x").sort("x", false).compute().unwrap();
    assert!(out.equals(&df!["k" => [1_i64, 1, 2], "x" => [1_i64, 2, 3]].unwrap()), "{out:?}");
    let long = frame.unpivot(["x"], ["k"]).compute().unwrap();
    let expected =
        df!["k" => [1_i64, 1, 2], "variable" => ["x", "x", "x"], "value" => [1_i64, 2, 3]];
    assert!(long.equals(&expected.unwrap()), "{long:?}");
    let wrong = frame.explode("x").compute().unwrap_err();
    assert!(matches!(&wrong, Error::DTypeMismatch { .. }), "{wrong}");
    assert!(wrong.to_string().contains("tables.rs"), "{wrong}");
}

#[test]
fn many_values_are_counted_approximately() {
    let values: Vec<i64> = (0..20_000).map(|i| i * 7919 % 9973).collect();
    let frame = Frame::from_polars(&df!["x" => values].unwrap(), 13);
    let n = frame.n_unique_approx("x").compute().unwrap();
    let n = f64::from(n.columns()[0].u32().unwrap().get(0).unwrap());
    assert!((n / 9973.0 - 1.0).abs() < 0.03, "{n}");
}

#[test]
fn rows_by_time() {
    let minutes: Vec<i64> = (0..300).map(|i| i * 60_000).collect();
    let frame = Frame::from_polars(&df!["t" => minutes, "x" => vec![1_i64; 300]].unwrap(), 7);
    let time = frame.cast([("t", DataType::Datetime(TimeUnit::Milliseconds, None))]);
    let hours = time.group_by_dynamic("t", "1h").agg([col("x").sum()]).compute().unwrap();
    assert_eq!(
        hours.column("x").unwrap().as_materialized_series(),
        &Series::new("x".into(), [60_i64; 5])
    );
    let aggs: [Expr; 1] = [len()];
    let kinds = time.group_by_dynamic("t", "1h").group_by(["x"]).agg(aggs).compute().unwrap();
    assert_eq!(kinds.shape(), (5, 3));
}
