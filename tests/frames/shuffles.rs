//! Joins, sorts and groups that move rows between partitions.

use dask_rs::Config;
use dask_rs::frame::polars_core::df;
use dask_rs::frame::polars_core::prelude::*;
use dask_rs::frame::{DataFrame as Frame, JoinHow, col, len};

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
