//! Operations with options, aggregates of all columns, and what else users of Polars and Dask look for.

use dask_rs::Config;
use dask_rs::frame::polars_core::df;
use dask_rs::frame::polars_core::prelude::*;
use dask_rs::frame::{
    AsofOptions, ClosedInterval, DataFrame as Frame, IfExists, JoinHow, JoinOptions,
    NdjsonWriteOptions, col, len, lit,
};

fn configs() -> [Config; 3] {
    let small = Config::new().with_chunk_bytes(64);
    [Config::new(), Config::new().with_optimize(false), small]
}

fn left() -> DataFrame {
    df!["k" => [Some(1), Some(2), None, Some(2)], "x" => ["a", "b", "c", "d"]].unwrap()
}

fn right() -> DataFrame {
    df!["k" => [Some(2), None, Some(5)], "x" => ["p", "q", "r"]].unwrap()
}

/// The rows in the order of all columns.
fn sorted(frame: &DataFrame) -> DataFrame {
    frame.sort(frame.get_column_names_owned(), SortMultipleOptions::default()).unwrap()
}

#[test]
fn the_largest_unsigned_numbers_are_larger_than_negative_ones() {
    let rows = df!["u" => [Some(0), Some(u64::MAX), None], "i" => [1_i64, 2, 3]].unwrap();
    let frame = Frame::from_polars(&rows, 2);
    let below = [
        col("u").gt(-1),
        !col("u").eq(-1),
        lit(-1).lt_eq(col("u")),
        col("u").is_between(-1, u64::MAX, ClosedInterval::Both),
    ];
    for config in configs() {
        for larger in &below {
            let out = config.scope(|| frame.filter(larger).select(["i"]).compute().unwrap());
            assert!(out.equals(&df!["i" => [1_i64, 2]].unwrap()), "{larger}");
        }
        // As polars: the dtype of both has no place for the largest.
        let filled = frame.select([col("u").fill_null(-1)]);
        let error = config.scope(|| filled.compute().unwrap_err().to_string());
        assert!(error.contains("conversion from `u64` to `i64` failed"), "{error}");
        let filled = config.scope(|| filled_without_largest(&frame).compute().unwrap());
        assert!(filled.equals(&df!["u" => [0_i64, -1]].unwrap()), "{filled}");
    }
}

fn filled_without_largest(frame: &Frame) -> Frame {
    frame.filter(col("i").neq(2)).select([col("u").fill_null(-1)])
}

#[test]
fn bits_of_integers_of_two_dtypes_meet_in_the_larger_one() {
    let rows = df!["a" => [6_i32, -1], "b" => [3_i64, 1 << 40]].unwrap();
    let frame = Frame::from_polars(&rows, 2);
    let out = frame.select([col("a") & col("b"), (col("b") | col("a")).alias("or")]);
    let expected = df!["a" => [2_i64, 1 << 40], "or" => [7_i64, -1]].unwrap();
    assert!(out.compute().unwrap().equals(&expected));
}

#[test]
fn the_most_frequent_value_may_be_in_a_column_of_counts() {
    let frame = Frame::from_polars(&df!["count" => [1, 2, 2]].unwrap(), 2);
    assert!(frame.mode("count").compute().unwrap().equals(&df!["count" => [2]].unwrap()));
}

/// A key that both frames have is in the result once, and leaves the name that it could have had to the left frame.
#[test]
fn filters_of_a_left_column_with_the_suffix_stay_with_it() {
    let left = df!["k" => [1, 2, 3], "k_right" => [10, 1, 10]].unwrap();
    let right = df!["k" => [1, 2, 3], "y" => [5, 5, 5]].unwrap();
    let [l, r] = [left, right].map(|rows| Frame::from_polars(&rows, 2));
    let inner = l.join(&r, "k", JoinHow::Inner).filter(col("k_right").gt(col("y")));
    let outer = l.join(&r, "k", JoinHow::Right).filter(col("k_right").gt(5));
    let expected = df!["k" => [1, 3], "k_right" => [10, 10], "y" => [5, 5]].unwrap();
    for config in configs() {
        for joined in [&inner, &outer] {
            let sorted = joined.select(["k", "k_right", "y"]).sort("k", false);
            let out = config.scope(|| sorted.compute().unwrap());
            assert!(out.equals(&expected), "{out:?}");
        }
    }
}

#[test]
fn joins_take_options() {
    let on = || JoinOptions::on("k");
    let cases = [
        (
            on().nulls_equal(true),
            df!["k" => [None, Some(2), Some(2)], "x" => ["c", "b", "d"], "x_right" => ["q", "p", "p"]],
        ),
        (
            on().how(JoinHow::Left).suffix("_r").coalesce(false),
            df!["k" => [None, Some(1), Some(2), Some(2)], "x" => ["c", "a", "b", "d"],
                "k_r" => [None, None, Some(2), Some(2)], "x_r" => [None, None, Some("p"), Some("p")]],
        ),
        (
            on().how(JoinHow::Full).coalesce(true),
            df!["k" => [None, None, Some(1), Some(2), Some(2), Some(5)],
                "x" => [None, Some("c"), Some("a"), Some("b"), Some("d"), None],
                "x_right" => [Some("q"), None, None, Some("p"), Some("p"), Some("r")]],
        ),
    ];
    for config in configs() {
        for (options, expected) in &cases {
            let [l, r] = [left(), right()].map(|rows| Frame::from_polars(&rows, 2));
            let joined = l.join_with(&r, options.clone());
            let out = config.scope(|| joined.compute().unwrap());
            assert!(sorted(&out).equals_missing(expected.as_ref().unwrap()), "{options:?} {out:?}");
            let narrow = joined.select(["x"]);
            assert_eq!(config.scope(|| narrow.compute().unwrap()).height(), out.height());
        }
        let renamed = Frame::from_polars(&right(), 2).rename([("k", "j")]);
        let both =
            Frame::from_polars(&left(), 2).join_with(&renamed, JoinOptions::on_both("k", "j"));
        assert_eq!(both.columns().unwrap(), ["k", "x", "x_right"]);
        assert_eq!(config.scope(|| both.len().unwrap()), 2);
    }
}

#[test]
fn all_columns_are_aggregated_at_once() {
    let rows =
        df!["k" => [1, 2, 1, 2, 1], "x" => [Some(1.5), None, Some(2.5), Some(8.0), Some(5.0)],
        "s" => ["a", "b", "c", "d", "e"], "n" => [1_i64, 2, 3, 4, 5]]
        .unwrap();
    let frame = Frame::from_polars(&rows, 3);
    let no_text = [None::<&str>];
    for config in configs() {
        config.scope(|| {
            let same = |got: Frame, expected: PolarsResult<DataFrame>| {
                let got = got.compute().unwrap();
                assert!(got.equals_missing(&expected.unwrap()), "{got:?}");
            };
            let of = frame.select(["x", "s", "n"]);
            same(of.sum(), df!["x" => [17.0], "s" => no_text, "n" => [15_i64]]);
            same(of.mean(), df!["x" => [4.25], "s" => no_text, "n" => [3.0]]);
            same(of.median(), df!["x" => [3.75], "s" => no_text, "n" => [3.0]]);
            same(of.min(), df!["x" => [1.5], "s" => ["a"], "n" => [1_i64]]);
            same(of.max(), df!["x" => [8.0], "s" => ["e"], "n" => [5_i64]]);
            same(of.count(), df!["x" => [4_u32], "s" => [5_u32], "n" => [5_u32]]);
            same(of.first(), df!["x" => [1.5], "s" => ["a"], "n" => [1_i64]]);
            same(of.select(["n"]).var(), df!["n" => [2.5]]);
            let groups = || frame.select(["k", "x", "n"]).group_by(["k"]);
            let sums = df!["k" => [1, 2], "x" => [9.0, 8.0], "n" => [9_i64, 6]];
            same(groups().sum().sort("k", false), sums);
            let last = df!["k" => [1, 2], "x" => [5.0, 8.0], "n" => [5_i64, 4]];
            same(groups().last().sort("k", false), last);
            let distinct = df!["k" => [1, 2], "x" => [3_u32, 2], "n" => [3_u32, 2]];
            same(groups().n_unique().sort("k", false), distinct);
            same(groups().len().sort("k", false), df!["k" => [1, 2], "len" => [3_u32, 2]]);
        });
    }
    let error = frame.select(["s"]).mean().check().unwrap_err().to_string();
    assert!(error.contains("mean:") && error.contains("more.rs:"), "{error}");
}

#[test]
fn as_of_joins_take_other_names() {
    let trades = df!["t" => [1, 5, 9], "sym" => ["a", "b", "a"], "n" => [10, 20, 30]].unwrap();
    let quotes = df!["u" => [0, 4, 8], "ticker" => ["a", "a", "b"], "n" => [1, 2, 3]].unwrap();
    let options = AsofOptions::default().by("sym").right_by("ticker").right_on("u").suffix("_q");
    let expected = df!["t" => [1, 5, 9], "sym" => ["a", "b", "a"], "n" => [10, 20, 30],
        "u" => [Some(0), None, Some(4)], "n_q" => [Some(1), None, Some(2)]]
    .unwrap();
    for config in configs() {
        let [trades, quotes] = [&trades, &quotes].map(|rows| Frame::from_polars(rows, 2));
        let joined = trades.join_asof(&quotes, "t", options.clone());
        let out = config.scope(|| joined.compute().unwrap());
        assert!(out.equals_missing(&expected), "{out:?}");
    }
}

#[test]
fn partitions_of_any_size_are_cut_and_joined_to_bytes() {
    let frame = |n: i64| Frame::from_polars(&df!["x" => (0..n).collect::<Vec<i64>>()].unwrap(), 1);
    let skewed = Frame::concat([&frame(100), &frame(3), &frame(2), &frame(1), &frame(50)]);
    let cut = skewed.repartition_bytes(160);
    let lengths = cut.partition_lengths().unwrap();
    assert!(lengths.iter().all(|n| (1..=20).contains(n)), "{lengths:?}");
    assert_eq!(lengths.iter().sum::<u64>(), 156);
    assert_eq!(cut.n_partitions().unwrap(), lengths.len());
    assert!(cut.compute().unwrap().equals(&skewed.compute().unwrap()));
    let indexed = Frame::from_polars_indexed(&skewed.compute().unwrap(), "x", 40);
    let joined = indexed.repartition_bytes(800);
    let n = joined.n_partitions().unwrap();
    assert!(n <= 3, "{n} of {:?}", indexed.partition_lengths());
    let divisions = joined.divisions().unwrap().unwrap();
    assert_eq!(divisions.len(), n + 1);
    // Those of the first 100 rows, and of the last 50.
    assert_eq!(joined.loc(40..=60).compute().unwrap().height(), 21 + 10);
    assert!(joined.compute().unwrap().equals(&indexed.compute().unwrap()));
}

#[test]
fn frames_in_memory_get_an_index_at_once() {
    let t = [Some(3), None, Some(1), Some(3), Some(2), Some(3), None, Some(1)];
    let rows = df!["t" => t, "i" => (0..8).collect::<Vec<i32>>()].unwrap();
    for n in [1, 2, 3, 10] {
        let frame = Frame::from_polars_indexed(&rows, "t", n);
        let whole = Frame::from_polars(&rows, 1).sort_with("t", false, true).compute().unwrap();
        assert!(frame.compute().unwrap().equals_missing(&whole));
        assert_eq!(frame.index().unwrap(), Some("t".into()));
        let n_parts = frame.n_partitions().unwrap();
        assert_eq!(frame.divisions().unwrap().unwrap().len(), n_parts + 1);
        assert!(n_parts <= 3 && n_parts >= n.min(3), "{n} {n_parts}");
        assert_eq!(frame.loc(3..=3).len().unwrap(), 3);
        let groups = frame.group_by(["t"]).agg([len()]);
        assert!(!groups.explain().unwrap().to_string().contains("barrier"));
    }
    assert!(Frame::from_polars_indexed(&rows, "no", 2).check().is_err());
    let nulls = rows.head(Some(0));
    assert_eq!(Frame::from_polars_indexed(&nulls, "t", 2).len().unwrap(), 0);
}

#[test]
fn lines_of_json_are_written_with_options() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.ndjson");
    let frame = Frame::from_polars(&left(), 3);
    let mut options = NdjsonWriteOptions::default();
    frame.to_ndjson_with(&path, &options, true).unwrap();
    assert!(frame.to_ndjson_with(&path, &options, true).is_err());
    options.if_exists = IfExists::Overwrite;
    frame.filter(col("k").is_not_null()).to_ndjson_with(&path, &options, true).unwrap();
    let read = Frame::read_ndjson(&path).cast([("k", DataType::Int32)]).compute().unwrap();
    assert!(read.equals(&left().drop_nulls::<&str>(None).unwrap()));
}

#[cfg(feature = "array")]
mod with_arrays {
    use super::*;
    use dask_rs::Error;

    /// A call for each crossing would overflow the stack of a thread.
    #[test]
    fn expressions_cross_between_frames_and_arrays_any_number_of_times() {
        let rows = df!["x" => [1.0, 2.0, 3.0]].unwrap();
        let crossed = |n: usize| {
            let mut frame = Frame::from_polars(&rows, 2);
            for _ in 0..n {
                frame = Frame::from_array(&frame.to_array::<f64>(), ["x"]);
            }
            frame
        };
        let small = std::thread::Builder::new().stack_size(256 << 10);
        let rows = &rows;
        std::thread::scope(|scope| {
            let many = small.spawn_scoped(scope, || drop(crossed(10_000)));
            many.unwrap().join().unwrap();
        });
        assert!(crossed(100).compute().unwrap().equals(rows));
    }

    #[test]
    fn lengths_that_are_given_are_those_of_the_chunks() {
        let rows = df!["x" => (0..20).collect::<Vec<i64>>()].unwrap();
        let frame = Frame::from_polars(&rows, 4).filter(col("x").gt(3).and(col("x").lt(12)));
        let lengths = frame.partition_lengths().unwrap();
        assert_eq!(lengths, [1, 5, 2, 0]);
        let array = frame.to_array_with_lengths::<i64>(lengths);
        assert_eq!(array.shape().unwrap(), [8, 1]);
        let halves = array.rechunk([4, 1]).sum(1).compute().unwrap();
        assert_eq!(halves.as_slice().unwrap(), [4, 5, 6, 7, 8, 9, 10, 11]);
        let wrong = frame.to_array_with_lengths::<i64>([1, 5, 1, 1]);
        let error = wrong.compute().unwrap_err().to_string();
        assert!(error.contains("to_array_with_lengths") && error.contains("more.rs:"), "{error}");
        let wrong = frame.to_array_with_lengths::<i64>([8]);
        assert!(matches!(wrong.check(), Err(Error::InvalidArgument { argument: "lengths", .. })));
    }
}
