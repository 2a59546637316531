//! Joins, sorts and groups that move rows between partitions.

use std::sync::Arc;

use dask_rs::Config;
use dask_rs::frame::polars_core::df;
use dask_rs::frame::polars_core::prelude::*;
use dask_rs::frame::{ClosedInterval, DataFrame as Frame, JoinHow, col, len};

fn left() -> DataFrame {
    let n = 5000_i64;
    let key: Vec<Option<i64>> = (0..n).map(|i| (i % 11 > 0).then_some(i * 7919 % 700)).collect();
    let x: Vec<i64> = (0..n).collect();
    df!["key" => key, "x" => x].unwrap()
}

fn right() -> DataFrame {
    let key: Vec<Option<i64>> = (0..900).map(|i| (i % 13 > 0).then_some(i % 450 * 2)).collect();
    let y: Vec<String> = (0..900).map(|i| format!("y{i}")).collect();
    df!["key" => key, "y" => y, "x" => (0..900_i64).collect::<Vec<_>>()].unwrap()
}

/// Partitions of a few kilobytes, so that everything is spread, in `limit` bytes.
fn small(limit: u64) -> Config {
    Config::new().with_chunk_bytes(4 << 10).with_memory_limit(limit)
}

/// The rows in an order of their own.
fn sorted(frame: &DataFrame) -> DataFrame {
    let columns = frame.get_column_names_owned();
    frame.sort(columns, SortMultipleOptions::default().with_nulls_last(true)).unwrap()
}

/// Nested loops.
fn pairs(how: JoinHow) -> usize {
    let (left, right) = (left(), right());
    let keys = |frame: &DataFrame| -> Vec<Option<i64>> {
        frame.column("key").unwrap().i64().unwrap().iter().collect()
    };
    let (l, r) = (keys(&left), keys(&right));
    let matches = |key: &Option<i64>, of: &[Option<i64>]| {
        key.map_or(0, |key| of.iter().filter(|other| **other == Some(key)).count())
    };
    let inner: usize = l.iter().map(|key| matches(key, &r)).sum();
    let lonely = |keys: &[Option<i64>], of: &[Option<i64>]| {
        keys.iter().filter(|key| matches(key, of) == 0).count()
    };
    match how {
        JoinHow::Inner => inner,
        JoinHow::Left => inner + lonely(&l, &r),
        JoinHow::Right => inner + lonely(&r, &l),
        JoinHow::Full => inner + lonely(&l, &r) + lonely(&r, &l),
        JoinHow::Semi => l.len() - lonely(&l, &r),
        JoinHow::Anti => lonely(&l, &r),
        JoinHow::Cross => l.len() * r.len(),
    }
}

#[test]
fn joins_have_the_same_rows_whether_copied_or_spread() {
    for how in
        [JoinHow::Inner, JoinHow::Left, JoinHow::Right, JoinHow::Full, JoinHow::Semi, JoinHow::Anti]
    {
        let joined = |parts: [usize; 2]| {
            let left = Frame::from_polars(&left(), parts[0]);
            left.join(&Frame::from_polars(&right(), parts[1]), "key", how)
        };
        let whole = joined([1, 1]).compute().unwrap();
        assert_eq!(whole.height(), pairs(how), "{how:?}");
        let spread = small(1 << 30).scope(|| joined([7, 5]).compute().unwrap());
        assert!(sorted(&spread).equals_missing(&sorted(&whole)), "{how:?}");
        let copied = joined([7, 5]).compute().unwrap();
        assert!(sorted(&copied).equals_missing(&sorted(&whole)), "{how:?}");
    }
}

/// What a join of rows of a key and a number has, by nested loops: these numbers of the left and the right side.
fn loops(how: JoinHow, left: &Keyed, right: &Keyed) -> Vec<(Option<i64>, Option<i64>)> {
    let equal = |l: Option<i64>, r: Option<i64>| l.is_some() && l == r;
    let mut found = Vec::new();
    for (key, x) in left {
        let partners: Vec<i64> = right.iter().filter(|r| equal(*key, r.0)).map(|r| r.1).collect();
        match how {
            JoinHow::Semi if !partners.is_empty() => found.push((Some(*x), None)),
            JoinHow::Anti if partners.is_empty() => found.push((Some(*x), None)),
            JoinHow::Semi | JoinHow::Anti => {}
            JoinHow::Left | JoinHow::Full if partners.is_empty() => found.push((Some(*x), None)),
            _ => found.extend(partners.into_iter().map(|y| (Some(*x), Some(y)))),
        }
    }
    let is_lonely = |key: Option<i64>| !left.iter().any(|l| equal(l.0, key));
    if matches!(how, JoinHow::Right | JoinHow::Full) {
        found.extend(right.iter().filter(|r| is_lonely(r.0)).map(|r| (None, Some(r.1))));
    }
    found.sort_unstable();
    found
}

type Keyed = Vec<(Option<i64>, i64)>;

#[test]
fn rows_without_partners_do_not_move() {
    let keyed = |frame: DataFrame, is_kept: &dyn Fn(i64) -> bool| -> Keyed {
        let numbers = |name: &str| -> Vec<Option<i64>> {
            frame.column(name).unwrap().i64().unwrap().iter().collect()
        };
        let rows = numbers("key").into_iter().zip(numbers("x").into_iter().flatten());
        rows.filter(|row| is_kept(row.1)).collect()
    };
    let few_left = col("x").lt(60).and(col("x").gt(3)).and(col("x").neq(17));
    let few_right = col("x").is_in([4, 40, 300, 898]);
    let (all, of_left, of_right) = (
        |_: i64| true,
        |x: i64| x < 60 && x > 3 && x != 17,
        |x: i64| [4, 40, 300, 898].contains(&x),
    );
    use JoinHow as J;
    for how in [J::Inner, J::Left, J::Right, J::Full, J::Semi, J::Anti] {
        for is_left in [true, false] {
            let sides = (Frame::from_polars(&left(), 7), Frame::from_polars(&right(), 5));
            let (joined, expected, asks) = match is_left {
                true => (
                    sides.0.filter(few_left.clone()).join(&sides.1, "key", how),
                    loops(how, &keyed(left(), &of_left), &keyed(right(), &all)),
                    !matches!(how, J::Right | J::Full),
                ),
                false => (
                    sides.0.join(&sides.1.filter(few_right.clone()), "key", how),
                    loops(how, &keyed(left(), &all), &keyed(right(), &of_right)),
                    matches!(how, J::Inner | J::Right | J::Semi),
                ),
            };
            for limit in [1 << 30, 1 << 20] {
                let out = small(limit).scope(|| {
                    let text = joined.explain().unwrap().to_string();
                    assert_eq!(text.contains("those with a partner"), asks, "{how:?}: {text}");
                    joined.compute().unwrap()
                });
                let numbers = |name: &str| match out.column(name) {
                    Ok(column) => column.i64().unwrap().iter().collect(),
                    Err(_) => vec![None; out.height()],
                };
                let found = numbers("x").into_iter().zip(numbers("x_right"));
                let mut found: Vec<(Option<i64>, Option<i64>)> = found.collect();
                found.sort_unstable();
                assert!(found == expected, "{how:?} {is_left} {limit}: {found:?} {expected:?}");
            }
        }
    }
}

#[test]
fn groups_are_spread_when_there_are_many() {
    let frame = Frame::from_polars(&left(), 9);
    let groups = frame.group_by(["key"]).agg([col("x").sum(), col("x").median().alias("m"), len()]);
    let whole = groups.compute().unwrap();
    let spread = small(1 << 30).scope(|| {
        let text = groups.explain().unwrap().to_string();
        assert!(text.contains("barrier"), "{text}");
        groups.compute().unwrap()
    });
    assert_eq!(whole.height(), 701);
    assert!(sorted(&spread).equals_missing(&sorted(&whole)));
}

#[test]
fn sorts_are_stable_and_total() {
    let frame = Frame::from_polars(&left(), 9);
    let expected =
        left().sort(["key"], SortMultipleOptions::default().with_maintain_order(true)).unwrap();
    for config in [Config::new(), small(1 << 30), small(1 << 20)] {
        let out = config.scope(|| frame.sort("key", false).compute().unwrap());
        assert!(out.equals_missing(&expected));
        let top = config.scope(|| frame.sort("key", false).head(600).compute().unwrap());
        assert!(top.equals_missing(&expected.head(Some(600))));
    }
}

#[test]
fn sorts_of_several_keys_are_spread_by_the_first() {
    let frame = Frame::from_polars(&left(), 9);
    for (descending, nulls_last) in
        [([false, true], true), ([true, false], false), ([true, true], true)]
    {
        let options = SortMultipleOptions::default()
            .with_order_descending_multi(descending)
            .with_nulls_last(nulls_last)
            .with_maintain_order(true);
        let expected = left().sort(["key", "x"], options).unwrap();
        let sorted = frame.sort_with(["key", "x"], descending, nulls_last);
        for limit in [1 << 30, 1 << 20] {
            let out = small(limit).scope(|| {
                let text = sorted.explain().unwrap().to_string();
                assert!(text.contains("divide"), "{text}");
                sorted.compute().unwrap()
            });
            assert!(out.equals_missing(&expected), "{descending:?} {nulls_last} {limit}");
        }
    }
}

#[test]
fn an_index_selects_and_survives_what_keeps_it() {
    let indexed = Frame::from_polars(&left(), 9).set_index("key");
    assert_eq!(indexed.index().unwrap().as_deref(), Some("key"));
    let kept = indexed.filter(col("x").gt(10)).select(["x", "key"]);
    assert_eq!(kept.index().unwrap().as_deref(), Some("key"));
    assert_eq!(indexed.select(["x"]).index().unwrap(), None);
    let expected = left()
        .sort(
            ["key"],
            SortMultipleOptions::default().with_nulls_last(true).with_maintain_order(true),
        )
        .unwrap();
    let mask = expected.column("key").unwrap().i64().unwrap();
    let mask = mask.gt_eq(100) & mask.lt(200);
    let expected = expected.filter(&mask).unwrap();
    for config in [Config::new(), small(1 << 30)] {
        let out = config.scope(|| indexed.loc(100..200).compute().unwrap());
        assert!(out.equals_missing(&expected));
        let persisted = config.scope(|| indexed.persist().unwrap());
        let out = config.scope(|| {
            persisted
                .filter(col("key").is_between(100, 199, ClosedInterval::Both))
                .compute()
                .unwrap()
        });
        assert!(out.equals_missing(&expected));
    }
    let error = Frame::from_polars(&left(), 2).loc(1..3).compute().unwrap_err();
    assert!(error.to_string().contains("set_index"), "{error}");
}

#[test]
fn days_written_as_text_are_whole() {
    let hours: Vec<i64> = (0..24 * 20).map(|hour| hour * 3_600_000_000).collect();
    let times = Column::from(Series::new("t".into(), &hours))
        .cast(&DataType::Datetime(TimeUnit::Microseconds, None))
        .unwrap();
    let frame = DataFrame::new(hours.len(), vec![times]).unwrap();
    let indexed = Frame::from_polars(&frame, 3).set_index("t");
    assert_eq!(indexed.loc("1970-01-02"..="1970-01-03").len().unwrap(), 48);
    assert_eq!(indexed.loc("1970-01-02"..).len().unwrap(), 24 * 19);
    assert_eq!(indexed.loc("1970-01-02".."1970-01-02 05:00:00").len().unwrap(), 5);
}

#[test]
fn rows_keep_their_order_in_other_partitions() {
    let frame = Frame::from_polars(&left(), 9);
    for n in [1, 4, 9, 20] {
        let out = frame.repartition(n);
        assert!(out.compute().unwrap().equals_missing(&left()));
        let sizes = out.map_partitions(out.schema().unwrap(), |part, _| Ok(part.head(Some(1))));
        assert_eq!(sizes.compute().unwrap().height(), n);
    }
    assert!(frame.repartition_bytes(1000).compute().unwrap().equals_missing(&left()));
}

#[test]
fn sorted_partitions_have_about_the_same_size() {
    let frame = Frame::from_polars(&left(), 40);
    let heights = df!["n" => [0_u32]].unwrap();
    let schema = Arc::clone(heights.schema());
    for descending in [false, true] {
        let sizes = small(1 << 30).scope(|| {
            let sorted = frame.sort("x", descending).with_columns([col("x") * 1]);
            let counted = frame
                .sort("key", descending)
                .map_partitions(Arc::clone(&schema), |part, _| df!["n" => [part.height() as u32]]);
            assert_eq!(sorted.len().unwrap(), 5000);
            counted.compute().unwrap()
        });
        let sizes: Vec<u32> =
            sizes.column("n").unwrap().u32().unwrap().into_no_null_iter().collect();
        assert!(sizes.len() > 10, "{sizes:?}");
        assert!(*sizes.iter().max().unwrap() as usize * sizes.len() < 4 * 5000, "{sizes:?}");
    }
}

#[test]
fn keys_that_nobody_needs_end_with_their_join() {
    let (left, right) = (Frame::from_polars(&left(), 2), Frame::from_polars(&right(), 2));
    let sum = left.join(&right, "key", JoinHow::Semi).agg([col("x").sum()]);
    let text = sum.explain().unwrap().to_string();
    let optimized = text.split("optimized plan").nth(1).unwrap();
    assert!(optimized.contains(r#"select [col("x")]"#), "{text}");
    let whole = left.join(&right, "key", JoinHow::Semi).compute().unwrap();
    let expected = whole.column("x").unwrap().i64().unwrap().sum();
    let got = sum.compute().unwrap();
    assert_eq!(got.column("x").unwrap().i64().unwrap().get(0), expected);
}
