//! Frames whose divisions are known: what need not move does not, and results are those of loops over all rows.

use std::sync::Arc;

use dask_rs::frame::polars_core::df;
use dask_rs::frame::polars_core::prelude::*;
use dask_rs::frame::{
    AsofOptions, AsofStrategy, DataFrame as Frame, IndexOptions, JoinHow, ParquetOptions,
    ParquetWriteOptions, col, len,
};
use dask_rs::{Config, Error, ExecutorKind};
use proptest::prelude::*;

/// Partitions of a few bytes, so that nothing is small enough to be copied.
fn tiny() -> Config {
    Config::new().with_chunk_bytes(64)
}

fn n_tasks(frame: &Frame) -> u64 {
    frame.explain().unwrap().n_tasks().unwrap()
}

fn plan(frame: &Frame) -> String {
    frame.explain().unwrap().to_string()
}

/// Whether rows go from all partitions to all others.
fn moves(frame: &Frame) -> bool {
    plan(frame).contains("barrier")
}

/// Eight row groups of a hundred rows, sorted by `id`, each a partition.
fn stored() -> (tempfile::TempDir, Frame) {
    let dir = tempfile::tempdir().unwrap();
    let id: Vec<i64> = (0..800).collect();
    let x: Vec<i64> = id.iter().map(|i| i * 7 % 50).collect();
    let rows = df!["id" => id, "x" => x].unwrap();
    let mut write = ParquetWriteOptions::default();
    write.row_group_rows = 100;
    let path = dir.path().join("rows");
    Frame::from_polars(&rows, 1).to_parquet_with(&path, &write).unwrap();
    let mut read = ParquetOptions::default();
    read.part_bytes = 1600;
    let frame = Frame::read_parquet_with(&[&path], &read);
    (dir, frame)
}

fn integers(frame: &DataFrame, name: &str) -> Vec<Option<i64>> {
    frame.column(name).unwrap().cast(&DataType::Int64).unwrap().i64().unwrap().iter().collect()
}

fn known(frame: &Frame) -> Option<Vec<i64>> {
    let divisions = frame.divisions().unwrap()?;
    let divisions = divisions.cast(&DataType::Int64).unwrap();
    Some(divisions.i64().unwrap().into_no_null_iter().collect())
}

#[test]
fn statistics_of_files_are_divisions() {
    let (_dir, frame) = stored();
    assert_eq!(known(&frame), None);
    tiny().scope(|| {
        let indexed = frame.set_index("id");
        assert_eq!(known(&indexed), Some(vec![0, 100, 200, 300, 400, 500, 600, 700, 799]));
        // One task a partition, which reads and sorts it.
        assert_eq!(n_tasks(&indexed), 8);
        let days = indexed.loc(150..=420);
        assert_eq!((n_tasks(&days), days.len().unwrap()), (4, 271));
        assert_eq!(known(&days.rename([("id", "n")]).with_columns([col("x") + 1])), None);
        // What is not sorted has no divisions before it is.
        assert!(moves(&frame.set_index("x")) && known(&frame.set_index("x")).is_none());
    });
}

#[test]
fn persisted_frames_know_their_divisions() {
    let rows = df!["k" => [5_i64, 3, 9, 1, 7, 3, 8, 2], "x" => 0..8_i64].unwrap();
    tiny().scope(|| {
        let frame = Frame::from_polars(&rows, 4).set_index("k");
        assert_eq!((moves(&frame), known(&frame)), (true, None));
        let frame = frame.persist().unwrap();
        let divisions = known(&frame).unwrap();
        assert_eq!((divisions[0], divisions[divisions.len() - 1]), (1, 9));
        let n = divisions.len() as u64 - 1;
        assert!(n > 1 && n_tasks(&frame) == n, "{divisions:?}");
        // Sorts of sorted rows are nothing, and so are further indexes.
        assert_eq!(n_tasks(&frame.sort("k", false)), n);
        assert_eq!(n_tasks(&frame.filter(col("x").gt(1)).set_index("k")), n);
        assert_eq!(n_tasks(&frame.sort(["k", "x"], false)), n);
        let top = frame.sort("k", false).head(1);
        assert_eq!((n_tasks(&top), integers(&top.compute().unwrap(), "k")), (1, vec![Some(1)]));
        assert!(moves(&frame.sort("x", false)) && moves(&frame.sort("k", true)));
        // Groups are whole where they are.
        let groups = frame.group_by(["k"]).agg([len()]);
        assert_eq!((n_tasks(&groups), moves(&groups)), (n, false));
        assert_eq!(n_tasks(&frame.loc(9..)), 1);
        assert!(plan(&groups).contains("divided by k") || known(&groups).is_none());
    });
}

#[test]
fn given_divisions_need_no_sample() {
    let rows = df!["k" => [5_i64, 3, 9, 1, 7, 3, 8, 2], "x" => 0..8_i64].unwrap();
    let frame = Frame::from_polars(&rows, 4);
    let indexed = frame.set_index_with("k", IndexOptions::default().divisions([0, 4, 8, 12]));
    let text = plan(&indexed);
    assert!(text.contains("3 partitions of 0 to 12") && !text.contains("sample"), "{text}");
    assert!(text.contains("divided by k"), "{text}");
    assert_eq!(known(&indexed), Some(vec![0, 4, 8, 12]));
    assert_eq!(known(&indexed.loc(2..8)), Some(vec![0, 4, 8]));
    assert_eq!(known(&indexed.repartition(1)), Some(vec![0, 12]));
    assert_eq!(known(&indexed.repartition(6)), Some(vec![0, 2, 4, 6, 8, 10, 12]));
    let late = indexed.with_columns([col("x").cum_sum(false).alias("sum")]).loc(8..);
    assert_eq!(known(&late), Some(vec![8, 12]));
    assert_eq!(integers(&late.compute().unwrap(), "k"), [Some(8), Some(9)]);
    for divisions in [vec![0_i64, 4], vec![2, 9]] {
        let wrong = IndexOptions::default().divisions(divisions);
        let error = frame.set_index_with("k", wrong).compute().unwrap_err().to_string();
        assert!(
            error.contains("where k has the value") && error.contains("divisions.rs:"),
            "{error}"
        );
    }
    for wrong in [vec![4_i64, 0], vec![1], vec![]] {
        let wrong = IndexOptions::default().divisions(wrong);
        assert!(matches!(
            frame.set_index_with("k", wrong).check(),
            Err(Error::InvalidArgument { argument: "divisions", .. })
        ));
    }
    let text = IndexOptions::default().divisions(["a", "b"]);
    assert!(frame.set_index_with("k", text).check().is_err());
}

#[test]
fn rows_that_are_said_to_be_sorted_are_looked_at() {
    let sorted = df!["k" => [Some(1_i64), Some(2), Some(2), Some(5), None], "x" => 0..5].unwrap();
    let index = |rows: &DataFrame, n| {
        Frame::from_polars(rows, n).set_index_with("k", IndexOptions::default().sorted())
    };
    for n in [1, 2, 5] {
        let frame = index(&sorted, n);
        assert!(!moves(&frame) && frame.compute().unwrap().equals_missing(&sorted));
        assert_eq!(frame.index().unwrap().as_deref(), Some("k"));
    }
    // Also where only rows of two partitions are not in order, with empty ones in between.
    for keys in [vec![Some(2_i64), Some(1)], vec![Some(1), Some(3), Some(2)], vec![None, Some(1)]] {
        for n in 1..=keys.len() {
            let rows = df!["k" => keys.clone()].unwrap();
            let error = index(&rows, n).compute().unwrap_err().to_string();
            assert!(error.contains("not in the order of k"), "{error}");
            assert!(error.contains("divisions.rs:"), "{error}");
        }
    }
    let rows = df!["k" => [1_i64, 2, 3, 0]].unwrap();
    let gap = Frame::from_polars(&rows, 4).filter(col("k").is_in([1_i64, 0]));
    assert!(gap.set_index_with("k", IndexOptions::default().sorted()).compute().is_err());
}

/// A frame of two columns with known divisions, a row of them a partition.
fn indexed(keys: &[Option<i64>], name: &str, divisions: &[i64], persisted: bool) -> Frame {
    let rows = rows(keys, name);
    let frame = Frame::from_polars(&rows, 3);
    let options = IndexOptions::default().divisions(divisions);
    let frame = frame.set_index_with("k", options);
    if persisted { frame.persist().unwrap() } else { frame }
}

fn rows(keys: &[Option<i64>], name: &str) -> DataFrame {
    let number: Vec<i64> = (0..keys.len() as i64).collect();
    df!["k" => keys, name => number].unwrap()
}

/// The numbers of the rows of both sides that a join pairs.
fn pairs(how: JoinHow, left: &[Option<i64>], right: &[Option<i64>]) -> Vec<[Option<i64>; 2]> {
    let equal = |l: &Option<i64>, r: &Option<i64>| l.is_some() && l == r;
    let of = |i: usize| Some(i as i64);
    let mut inner = Vec::new();
    for (i, l) in left.iter().enumerate() {
        for (j, _) in right.iter().enumerate().filter(|(_, r)| equal(l, r)) {
            inner.push([of(i), of(j)]);
        }
    }
    let lone_left = left.iter().enumerate().filter(|(_, l)| !right.iter().any(|r| equal(l, r)));
    let lone_left: Vec<_> = lone_left.map(|(i, _)| [of(i), None]).collect();
    let lone_right = right.iter().enumerate().filter(|(_, r)| !left.iter().any(|l| equal(l, r)));
    let lone_right: Vec<_> = lone_right.map(|(j, _)| [None, of(j)]).collect();
    let mut all = match how {
        JoinHow::Semi => {
            let mut found: Vec<_> = inner.iter().map(|pair| [pair[0], None]).collect();
            found.dedup();
            found
        }
        JoinHow::Anti => lone_left,
        JoinHow::Left => [inner, lone_left].concat(),
        JoinHow::Right => [inner, lone_right].concat(),
        JoinHow::Full => [inner, lone_left, lone_right].concat(),
        JoinHow::Inner | JoinHow::Cross => inner,
    };
    all.sort();
    all
}

fn pairs_of(joined: &DataFrame) -> Vec<[Option<i64>; 2]> {
    let x = integers(joined, "x");
    let y = match joined.column("y") {
        Ok(_) => integers(joined, "y"),
        Err(_) => vec![None; x.len()],
    };
    let mut all: Vec<_> = x.into_iter().zip(y).map(|(x, y)| [x, y]).collect();
    all.sort();
    all
}

const HOWS: [JoinHow; 6] =
    [JoinHow::Inner, JoinHow::Left, JoinHow::Right, JoinHow::Full, JoinHow::Semi, JoinHow::Anti];

#[test]
fn joins_by_the_index_move_no_rows() {
    let keys: Vec<Option<i64>> = (0..60).map(|i| Some(i * 7 % 40)).collect();
    tiny().scope(|| {
        let left = indexed(&keys, "x", &[0, 10, 20, 40], true);
        let right = indexed(&keys, "y", &[0, 15, 20, 30, 39], true);
        for how in HOWS {
            let joined = left.join(&right, "k", how);
            let text = plan(&joined);
            assert!(!text.contains("barrier") && text.contains("cut by k"), "{text}");
            assert_eq!(pairs_of(&joined.compute().unwrap()), pairs(how, &keys, &keys), "{how:?}");
            // Three and four partitions, cut into five, and joins.
            assert!(n_tasks(&joined) <= 3 + 4 + 3 * 5, "{text}");
        }
        // Joins of joins stay where they are, and equal divisions are not cut.
        let again = left.join(&right, "k", JoinHow::Inner).join(
            &left.rename([("x", "z")]),
            "k",
            JoinHow::Left,
        );
        assert!(!moves(&again));
        let same = left.join(&left.rename([("x", "y")]), "k", JoinHow::Inner);
        assert!(!plan(&same).contains("cut"));
        assert!(plan(&same).contains("divided by k"));
    });
}

#[test]
fn joins_of_an_index_with_a_column_move_one_side() {
    let keys: Vec<Option<i64>> = (0..60).map(|i| Some(i * 7 % 50 - 5)).collect();
    let within: Vec<Option<i64>> = (0..60).map(|i| Some(i * 7 % 40)).collect();
    let enough = Config::new().with_chunk_bytes(400);
    enough.scope(|| {
        let left = indexed(&within, "x", &[0, 10, 20, 40], true);
        let right = Frame::from_polars(&rows(&keys, "y"), 5);
        for how in HOWS {
            let joined = left.join(&right, "k", how);
            assert_eq!(plan(&joined).matches("barrier").count(), 1, "{}", plan(&joined));
            assert_eq!(pairs_of(&joined.compute().unwrap()), pairs(how, &within, &keys), "{how:?}");
            let swapped = right.rename([("y", "x")]).join(&left.rename([("x", "y")]), "k", how);
            assert_eq!(plan(&swapped).matches("barrier").count(), 1);
            assert_eq!(
                pairs_of(&swapped.compute().unwrap()),
                pairs(how, &keys, &within),
                "{how:?}"
            );
        }
        let inner = right.rename([("k", "n")]).join_on(&left, "n", "k", JoinHow::Inner);
        let groups = inner.group_by(["n"]).agg([len()]);
        assert_eq!(plan(&groups).matches("barrier").count(), 1, "{}", plan(&groups));
    });
}

#[test]
fn partitions_are_cut_at_divisions_and_periods() {
    let keys: Vec<Option<i64>> = (0..50).map(|i| Some(i * 7 % 40)).collect();
    let frame = indexed(&keys, "x", &[0, 10, 39], true);
    let cut = frame.repartition_divisions([-5, 0, 20, 50]);
    assert_eq!((moves(&cut), known(&cut)), (false, Some(vec![-5, 0, 20, 50])));
    assert!(cut.compute().unwrap().equals(&frame.compute().unwrap()));
    let error = frame.repartition_divisions([5, 39]).compute().unwrap_err().to_string();
    assert!(
        error.contains("begin after the first key") && error.contains("divisions.rs:"),
        "{error}"
    );
    assert!(frame.repartition_divisions([0, 38]).compute().is_err());
    // Divisions that are not known are made.
    let unknown = tiny().scope(|| {
        let unknown = Frame::from_polars(&rows(&keys, "x"), 4).set_index("k");
        let cut = unknown.repartition_divisions([0, 20, 39]);
        assert_eq!((known(&unknown), known(&cut)), (None, Some(vec![0, 20, 39])));
        let n = cut.map_partitions(cut.schema().unwrap(), |part, _| Ok(part.head(Some(1))));
        assert_eq!(integers(&n.compute().unwrap(), "k"), [Some(0), Some(20)]);
        unknown
    });
    assert!(frame.repartition_every("1d").check().is_err());
    assert!(
        Frame::from_polars(&rows(&keys, "x"), 4).repartition_divisions([1, 2]).check().is_err()
    );
    assert!(unknown.repartition_divisions([1, 2]).compute().is_err());
}

#[test]
fn days_are_partitions() {
    const HOUR: i64 = 3_600_000_000;
    let hours = (0..100).map(|i| (i * 37 % 100 + 5) * HOUR).collect::<Vec<_>>();
    let times = Column::new("t".into(), hours)
        .cast(&DataType::Datetime(TimeUnit::Microseconds, None))
        .unwrap();
    let frame = Frame::from_polars(&DataFrame::new(100, vec![times]).unwrap(), 3).set_index("t");
    let error = tiny().scope(|| frame.repartition_every("1d").compute().unwrap_err().to_string());
    assert!(error.contains("divisions by t are not known"), "{error}");
    let frame = frame.persist().unwrap();
    let heights = |frame: &Frame| -> Vec<Option<i64>> {
        let schema = Arc::clone(df!["n" => [0_u32]].unwrap().schema());
        let n = frame.map_partitions(schema, |part, _| df!["n" => [part.height() as u32]]);
        integers(&n.compute().unwrap(), "n")
    };
    let days = frame.repartition_every("1d");
    assert_eq!(heights(&days), [19, 24, 24, 24, 9].map(Some));
    assert_eq!(heights(&frame.repartition_every("2d")), [43, 48, 9].map(Some));
    let given = frame.repartition_divisions(["1970-01-01", "1970-01-03 00:00:00", "1970-02-01"]);
    assert_eq!(heights(&given), [43, 57].map(Some));
    assert!(days.compute().unwrap().equals(&frame.compute().unwrap()));
    for wrong in ["0d", "-1d", "soon", "1us"] {
        assert!(frame.repartition_every(wrong).compute().is_err(), "{wrong}");
    }
}

/// For each left row the number of the right one that it gets.
fn nearest(
    left: &[i64],
    right: &[i64],
    strategy: AsofStrategy,
    same: impl Fn(usize, usize) -> bool,
) -> Vec<Option<i64>> {
    let nearest = |(i, l): (usize, &i64)| {
        let found = right.iter().enumerate().filter(|(j, _)| same(i, *j));
        let best = match strategy {
            AsofStrategy::Backward => found.filter(|(_, r)| *r <= l).max_by_key(|(j, r)| (**r, *j)),
            AsofStrategy::Forward => found.filter(|(_, r)| *r >= l).min_by_key(|(j, r)| (**r, *j)),
            AsofStrategy::Nearest => {
                found.min_by_key(|(j, r)| (r.abs_diff(*l), -**r, -(*j as i64)))
            }
        };
        best.map(|(j, _)| j as i64)
    };
    left.iter().enumerate().map(nearest).collect()
}

#[test]
fn as_of_joins_pair_partitions() {
    let left: Vec<i64> = (0..200).map(|i| i * 3).collect();
    let right: Vec<i64> = (0..300).map(|i| 100 + i).collect();
    let some = |keys: &[i64]| keys.iter().copied().map(Some).collect::<Vec<_>>();
    let every: Vec<i64> = (0..=10).map(|i| i * 60).collect();
    let frames = || {
        let left = indexed(&some(&left), "x", &every, true);
        (left, indexed(&some(&right), "y", &[100, 130, 200, 330, 399], true))
    };
    let (l, r) = frames();
    for strategy in [AsofStrategy::Backward, AsofStrategy::Forward, AsofStrategy::Nearest] {
        let joined = l.join_asof(&r, "k", AsofOptions::default().strategy(strategy));
        let text = plan(&joined);
        assert!(text.contains("edge") && !text.contains("concat"), "{text}");
        let expected = nearest(&left, &right, strategy, |_, _| true);
        assert_eq!(integers(&joined.compute().unwrap(), "y"), expected);
        // Only what a few keys need is asked for.
        let few = l.loc(140..160).join_asof(&r, "k", AsofOptions::default().strategy(strategy));
        assert!(n_tasks(&few) <= 6, "{}", few.explain().unwrap());
    }
    // Without divisions all of the right frame goes everywhere.
    let plain = Frame::from_polars(&rows(&some(&right), "y"), 3);
    assert!(plan(&l.join_asof(&plain, "k", AsofOptions::default())).contains("concat"));
}

fn keys(max: usize) -> impl Strategy<Value = Vec<Option<i64>>> {
    prop::collection::vec(prop::option::weighted(0.9, 0..20_i64), 1..max)
}

fn cuts() -> impl Strategy<Value = Vec<i64>> {
    prop::collection::btree_set(1..19_i64, 0..5)
        .prop_map(|inner| [vec![0], inner.into_iter().collect(), vec![20]].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn joins_by_divisions_are_joins(
        left in keys(30), right in keys(30), left_cuts in cuts(), right_cuts in cuts(),
        persisted in any::<[bool; 2]>(), optimize in any::<bool>(), serial in any::<bool>(), how in 0..6_usize,
    ) {
        let kind = if serial { ExecutorKind::Serial } else { ExecutorKind::Threaded };
        let config = tiny().with_optimize(optimize).with_executor(kind);
        config.scope(|| -> Result<(), TestCaseError> {
            let l = indexed(&left, "x", &left_cuts, persisted[0]);
            let r = indexed(&right, "y", &right_cuts, persisted[1]);
            let joined = l.join(&r, "k", HOWS[how]);
            let expected = pairs(HOWS[how], &left, &right);
            prop_assert_eq!(pairs_of(&joined.compute().unwrap()), expected.clone());
            let plain = Frame::from_polars(&rows(&right, "y"), 2);
            prop_assert_eq!(pairs_of(&l.join(&plain, "k", HOWS[how]).compute().unwrap()), expected);
            Ok(())
        })?;
    }

    #[test]
    fn indexed_frames_are_sorted_cut_and_grouped_right(
        keys in keys(40), cuts in cuts(), others in cuts(), persisted in any::<bool>(), optimize in any::<bool>(),
        range in (0..21_i64, 0..21_i64), n in 1..9_usize,
    ) {
        tiny().with_optimize(optimize).scope(|| -> Result<(), TestCaseError> {
            let frame = indexed(&keys, "x", &cuts, persisted);
            let options = SortMultipleOptions::default().with_nulls_last(true).with_maintain_order(true);
            let expected = rows(&keys, "x").sort(["k"], options).unwrap();
            for same in [
                frame.clone(), frame.repartition(n), frame.repartition_divisions(others), frame.set_index("k"),
                frame.sort_with("k", false, true), frame.repartition(n).sort_with(["k", "x"], false, true),
            ] {
                prop_assert!(same.compute().unwrap().equals_missing(&expected));
            }
            let nulls_first = frame.sort("k", false).compute().unwrap();
            let first = rows(&keys, "x").sort(["k"], SortMultipleOptions::default().with_maintain_order(true));
            prop_assert!(nulls_first.equals_missing(&first.unwrap()));
            let within = |key: &Option<i64>| key.is_some_and(|k| range.0 <= k && k < range.1);
            let n_within = keys.iter().filter(|key| within(key)).count();
            prop_assert_eq!(frame.loc(range.0..range.1).compute().unwrap().height(), n_within);
            let late = frame.with_columns([col("x").cum_sum(false).alias("s")]).loc(range.0..range.1);
            prop_assert_eq!(late.compute().unwrap().height(), n_within);
            let groups = frame.group_by(["k"]).agg([len()]).compute().unwrap();
            // A hash, where divisions are not known, puts groups in its own order.
            let mut counted: Vec<_> =
                integers(&groups, "k").into_iter().zip(integers(&groups, "len")).collect();
            counted.sort_by_key(|(key, _)| (key.is_none(), *key));
            let mut distinct: Vec<Option<i64>> = integers(&expected, "k");
            distinct.dedup();
            let count = |key: Option<i64>| keys.iter().filter(|k| **k == key).count() as i64;
            let expected: Vec<_> = distinct.into_iter().map(|key| (key, Some(count(key)))).collect();
            prop_assert_eq!(counted, expected);
            Ok(())
        })?;
    }

    #[test]
    fn as_of_joins_by_divisions_find_the_nearest_row(
        mut left in prop::collection::vec((0..20_i64, 0..3_i64), 1..30),
        mut right in prop::collection::vec((0..20_i64, 0..3_i64), 1..30),
        left_cuts in cuts(), right_cuts in cuts(), strategy in 0..3_usize, by in any::<bool>(),
    ) {
        left.sort_by_key(|row| row.0);
        right.sort_by_key(|row| row.0);
        let strategy = [AsofStrategy::Backward, AsofStrategy::Forward, AsofStrategy::Nearest][strategy];
        let make = |rows: &[(i64, i64)], name: &str, cuts: &[i64]| {
            let (k, g): (Vec<i64>, Vec<i64>) = rows.iter().copied().unzip();
            let number: Vec<i64> = (0..k.len() as i64).collect();
            let rows = df!["k" => k, "g" => g, name => number].unwrap();
            Frame::from_polars(&rows, 3).set_index_with("k", IndexOptions::default().divisions(cuts))
        };
        let (l, r) = (make(&left, "x", &left_cuts), make(&right, "y", &right_cuts));
        let options = AsofOptions::default().strategy(strategy);
        let joined = match by {
            true => l.join_asof(&r, "k", options.by("g")),
            false => l.join_asof(&r, "k", options),
        };
        let of = |rows: &[(i64, i64)]| rows.iter().map(|row| row.0).collect::<Vec<_>>();
        let expected = nearest(&of(&left), &of(&right), strategy, |i, j| !by || left[i].1 == right[j].1);
        prop_assert_eq!(integers(&joined.compute().unwrap(), "y"), expected);
    }
}

/// A column that says that it is sorted.
fn flagged(name: &str, values: [i64; 4]) -> Column {
    let mut series = Series::new(name.into(), values);
    series.set_sorted_flag(polars_core::series::IsSorted::Ascending);
    series.into_column()
}

#[test]
fn what_a_source_is_sorted_by_is_forgotten_by_a_sort() {
    let picked = Column::new("p".into(), [1_i64, 2, 3, 4]);
    let columns = vec![flagged("day", [1, 1, 2, 2]), flagged("t", [1, 2, 3, 4]), picked];
    let frame = Frame::from_polars(&DataFrame::new(4, columns).unwrap(), 2);
    assert_eq!(n_tasks(&frame.sort("t", false)), 2);
    let again = frame.sort(["day", "p"], [false, true]).sort("t", false).compute().unwrap();
    assert_eq!(integers(&again, "t"), [1, 2, 3, 4].map(Some));
}

#[test]
fn nulls_that_moved_to_the_end_are_not_first() {
    let within: Vec<_> = (0..60).map(|i| Some(i * 7 % 40)).collect();
    let keys: Vec<_> = (0..60).map(|i| (i % 10 != 0).then_some(i * 7 % 50 - 5)).collect();
    Config::new().with_chunk_bytes(400).scope(|| {
        let right = indexed(&within, "y", &[0, 10, 20, 40], true);
        let left = Frame::from_polars(&rows(&keys, "x"), 5).sort("k", false);
        let sorted = left.join(&right, "k", JoinHow::Left).sort("k", false).compute().unwrap();
        let found = integers(&sorted, "k");
        assert_eq!(found.iter().position(Option::is_some), Some(6), "{found:?}");
        assert!(found.is_sorted());
    });
}

#[test]
fn nan_is_in_the_last_of_new_partitions() {
    let frame = |name: &str, divisions: &[f64]| {
        let keys: Vec<f64> = (0..30).map(|i| f64::from(i % 20)).chain([f64::NAN]).collect();
        let rows = df!["k" => keys, name => (0..31_i64).collect::<Vec<_>>()].unwrap();
        let options = IndexOptions::default().divisions(divisions.to_vec());
        Frame::from_polars(&rows, 3).set_index_with("k", options)
    };
    let (short, long) = ([0.0, 10.0, 20.0], [0.0, 10.0, 20.0, 30.0, 40.0]);
    tiny().scope(|| {
        let joined = frame("x", &short).join(&frame("y", &long), "k", JoinHow::Inner);
        let text = plan(&joined);
        let joined = joined.compute().unwrap();
        // Ten keys are twice on both sides, ten once, and NaN is equal to NaN.
        assert_eq!(joined.height(), 10 * 4 + 10 + 1, "{text}");
        let late = frame("x", &short).repartition_divisions(long);
        let late = late.with_columns([col("x").cum_sum(false).alias("sum")]).loc(35.0..);
        assert_eq!(late.len().unwrap(), 1);
    });
}
