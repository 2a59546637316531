//! What the index of a frame is good for before its divisions are known: joins keep it, and what comes after
//! `set_index` in one run does not move rows again.

use dask_rs::Config;
use dask_rs::frame::polars_core::df;
use dask_rs::frame::polars_core::prelude::*;
use dask_rs::frame::{
    AsofOptions, AsofStrategy, DataFrame as Frame, IndexOptions, JoinHow, col, len,
};
use proptest::prelude::*;

fn tiny() -> Config {
    Config::new().with_chunk_bytes(64)
}

fn rows(keys: &[Option<i64>], name: &str) -> DataFrame {
    let number: Vec<i64> = (0..keys.len() as i64).collect();
    df!["k" => keys, name => number].unwrap()
}

fn integers(frame: &DataFrame, name: &str) -> Vec<Option<i64>> {
    frame.column(name).unwrap().i64().unwrap().iter().collect()
}

fn n_shuffles(frame: &Frame) -> usize {
    frame.explain().unwrap().to_string().matches("barrier").count()
}

/// In the order of the key, nulls last.
fn is_sorted(frame: &DataFrame) -> bool {
    integers(frame, "k").windows(2).all(|w| w[1].is_none() || (w[0].is_some() && w[0] <= w[1]))
}

/// The rows of a join of whole frames by polars, sorted.
fn expected(how: JoinHow, left: &[Option<i64>], right: &[Option<i64>]) -> DataFrame {
    let [left, right] =
        [rows(left, "x"), rows(right, "y")].map(|rows| Frame::from_polars(&rows, 1));
    sorted(&left.join(&right, "k", how).compute().unwrap())
}

fn sorted(frame: &DataFrame) -> DataFrame {
    let names: Vec<PlSmallStr> = frame.get_column_names_owned();
    frame.sort(names, SortMultipleOptions::default().with_nulls_last(true)).unwrap()
}

const KEPT: [JoinHow; 5] =
    [JoinHow::Inner, JoinHow::Left, JoinHow::Semi, JoinHow::Anti, JoinHow::Right];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn joins_by_an_index_keep_it(
        left in prop::collection::vec(prop::option::weighted(0.9, 0..20_i64), 1..40),
        right in prop::collection::vec(prop::option::weighted(0.9, 0..20_i64), 1..40),
        how in 0..5_usize, kind in 0..3_usize, both in any::<bool>(), optimize in any::<bool>(), small in any::<bool>(),
    ) {
        let how = KEPT[how];
        let index = |frame: &Frame| match kind {
            0 => frame.set_index("k"),
            1 => frame.set_index("k").persist().unwrap(),
            _ => frame.sort_with("k", false, true).set_index_with("k", IndexOptions::default().sorted()),
        };
        let config = if small { tiny() } else { Config::new() };
        config.with_optimize(optimize).scope(|| -> Result<(), TestCaseError> {
            let l = Frame::from_polars(&rows(&left, "x"), 4);
            let r = Frame::from_polars(&rows(&right, "y"), 3);
            let of_left = how != JoinHow::Right;
            let (l, r) = match both {
                true => (index(&l), index(&r)),
                false if of_left => (index(&l), r),
                false => (l, index(&r)),
            };
            let joined = l.join(&r, "k", how);
            prop_assert_eq!(joined.index().unwrap(), Some("k".into()));
            let out = joined.compute().unwrap();
            prop_assert!(is_sorted(&out), "{how:?} {out:?}");
            prop_assert!(sorted(&out).equals_missing(&expected(how, &left, &right)), "{how:?} {out:?}");
            let kept = joined.persist().unwrap();
            prop_assert!(kept.loc(3..10).compute().unwrap().equals_missing(&joined.loc(3..10).compute().unwrap()));
            let again = kept.join(&l.select([col("k")]).unique(), "k", JoinHow::Inner);
            prop_assert!(is_sorted(&again.compute().unwrap()));
            let groups = joined.group_by(["k"]).agg([len()]).compute().unwrap();
            prop_assert_eq!(groups.column("len").unwrap().u32().unwrap().iter().flatten().sum::<u32>(), out.height() as u32);
            Ok(())
        })?;
    }
}

#[test]
fn what_has_no_order_has_no_index() {
    let keys: Vec<Option<i64>> = (0..40).map(Some).collect();
    let frame = |name| Frame::from_polars(&rows(&keys, name), 3);
    let (left, right) = (frame("x").set_index("k"), frame("y").set_index("k"));
    assert_eq!(left.join(&right, "k", JoinHow::Full).index().unwrap(), None);
    assert_eq!(left.cross_join(&right).index().unwrap(), None);
    assert_eq!(left.join_on(&right, "x", "y", JoinHow::Left).index().unwrap(), None);
    assert_eq!(frame("x").join(&right, "k", JoinHow::Left).index().unwrap(), None);
    assert_eq!(
        left.join_asof(&right, "k", AsofOptions::default()).index().unwrap(),
        Some("k".into())
    );
}

#[test]
fn rows_that_an_index_has_spread_need_not_move_again() {
    let keys: Vec<Option<i64>> = (0..400).map(|i| Some(i * 7919 % 401)).collect();
    let frame = |name| Frame::from_polars(&rows(&keys, name), 8);
    Config::new().with_chunk_bytes(1000).scope(|| {
        let left = frame("x").set_index("k");
        assert_eq!(left.divisions().unwrap(), None);
        assert_eq!(n_shuffles(&left), 1);
        let groups = left.group_by(["k"]).agg([col("x").sum()]);
        assert_eq!(n_shuffles(&groups), 1, "{}", groups.explain().unwrap());
        assert_eq!(groups.len().unwrap(), 400);
        assert_eq!(n_shuffles(&left.unique_by(["k"])), 1);
        assert_eq!(n_shuffles(&left.sort_with(["k", "x"], false, true)), 1);
        // The other side moves once: to the ranges of the first.
        let joined = left.join(&frame("y"), "k", JoinHow::Inner);
        assert_eq!(n_shuffles(&joined), 2, "{}", joined.explain().unwrap());
        assert_eq!(n_shuffles(&joined.group_by(["k"]).agg([len()])), 2);
        let twice = joined.join(&frame("z"), "k", JoinHow::Left);
        assert_eq!(n_shuffles(&twice), 3);
        assert_eq!(twice.len().unwrap(), 400);
        let itself = left.join(&left.rename([("x", "z")]), "k", JoinHow::Inner);
        assert_eq!(n_shuffles(&itself), 1, "{}", itself.explain().unwrap());
        assert_eq!(itself.len().unwrap(), 400);
    });
}

#[test]
fn as_of_joins_follow_the_ranges_of_an_index() {
    let keys: Vec<i64> = (0..300).map(|i| i * 7919 % 1009).collect();
    let left = df!["t" => &keys, "x" => (0..300_i64).collect::<Vec<_>>()].unwrap();
    let times: Vec<i64> = (0..250).map(|i| i * 4 + 1).collect();
    let group: Vec<i64> = times.iter().map(|t| t % 3).collect();
    let right = df!["t" => &times, "g" => &group, "y" => &times].unwrap();
    Config::new().with_chunk_bytes(1000).scope(|| {
        for strategy in [AsofStrategy::Backward, AsofStrategy::Forward, AsofStrategy::Nearest] {
            let options = AsofOptions::default().strategy(strategy);
            let l = Frame::from_polars(&left, 6).set_index("t");
            let joined = l.join_asof(&Frame::from_polars(&right, 5), "t", options.clone());
            assert_eq!(n_shuffles(&joined), 2, "{}", joined.explain().unwrap());
            let whole = Frame::from_polars(&left, 1).sort("t", false);
            let whole = whole.join_asof(&Frame::from_polars(&right, 1), "t", options);
            let whole = Config::new().scope(|| whole.compute().unwrap());
            assert!(joined.compute().unwrap().equals_missing(&whole), "{strategy:?}");
        }
    });
}

/// Two large frames of which the right one is in ranges that are not those of an ascending frame.
#[test]
fn rows_that_follow_ranges_do_not_keep_an_order_that_these_do_not_have() {
    let keys: Vec<Option<i64>> = (0..200).map(|i| (i % 10 > 0).then_some(i * 37 % 200)).collect();
    let valid: Vec<Option<i64>> = (0..200).map(|i| Some(i * 37 % 200)).collect();
    Config::new().with_chunk_bytes(400).scope(|| {
        for (keys, how, descending) in
            [(&valid, JoinHow::Inner, true), (&keys, JoinHow::Left, false)]
        {
            let left = Frame::from_polars(&rows(keys, "x"), 8);
            let left = left.sort_with("k", false, true).repartition(5);
            let twice: Vec<_> = valid.iter().chain(&valid).copied().collect();
            let right = Frame::from_polars(&rows(&twice, "y"), 8).sort("k", descending);
            let both = left.join(&right, "k", how).sort_with("k", false, true);
            let got = both.compute().unwrap();
            assert!(is_sorted(&got), "{how:?}");
            assert_eq!(sorted(&got), expected(how, keys, &twice));
        }
    });
}

#[test]
fn a_join_by_an_index_of_categories_stays_in_partitions() {
    let keys: Vec<String> = (0..200).map(|i| format!("key {}", i % 50)).collect();
    let rows = df!["k" => keys, "x" => (0..200_i64).collect::<Vec<_>>()].unwrap();
    let dtype = DataType::from_categories(Categories::global());
    let frame = || Frame::from_polars(&rows, 8).with_columns([col("k").cast(dtype.clone())]);
    Config::new().with_chunk_bytes(400).scope(|| {
        let joined = frame().set_index("k").join(&frame(), "k", JoinHow::Inner);
        assert!(joined.n_partitions().unwrap() > 1);
        assert_eq!(joined.compute().unwrap().height(), 800);
    });
}
