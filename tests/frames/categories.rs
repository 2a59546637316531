//! Categories that differ from partition to partition, through all operations: results are those of the texts.

use std::sync::Arc;

use dask_rs::Config;
use dask_rs::frame::polars_core::df;
use dask_rs::frame::polars_core::prelude::*;
use dask_rs::frame::{
    DataFrame as Frame, JoinHow, ParquetWriteOptions, UniqueKeep, col, len, lit, when,
};

/// How many rows a function makes is not known, so exchanges spread them over several partitions; and the plan as it was written.
fn configs() -> [Config; 2] {
    let small = Config::new().with_chunk_bytes(1 << 22);
    [small.clone(), small.with_threads(3).with_optimize(false)]
}

const WORDS: [Option<&str>; 12] = [
    Some("pear"),
    Some("fig"),
    None,
    Some("apple"),
    Some("pear"),
    Some("plum"),
    Some("a longer fruit than the others"),
    Some("apple"),
    None,
    Some("fig"),
    Some("quince"),
    Some("pear"),
];

/// The rows with the words as texts.
fn texts() -> DataFrame {
    df!["word" => WORDS, "n" => (0..12_i64).collect::<Vec<_>>()].unwrap()
}

fn category(name: &str) -> DataType {
    let categories = Categories::new(name.into(), "tests".into(), CategoricalPhysical::U32);
    DataType::from_categories(categories)
}

/// The rows in partitions whose words have categories in the order in which they come there, so that the same word has another
/// number in each.
fn parts(dtype: &DataType, n_parts: usize) -> Vec<DataFrame> {
    let texts = texts();
    let per_part = 12 / n_parts;
    let part = |i: usize| {
        let mut part = texts.slice((i * per_part) as i64, per_part);
        let words = part.column("word").unwrap().cast(dtype).unwrap();
        part.with_column(words).unwrap();
        part
    };
    // The last partition is made first, and so names its categories first.
    let mut parts: Vec<DataFrame> = (0..n_parts).rev().map(part).collect();
    parts.reverse();
    parts
}

fn frame(name: &str, n_parts: usize) -> Frame {
    let dtype = category(name);
    let parts = Arc::new(parts(&dtype, n_parts));
    let schema = Arc::clone(parts[0].schema());
    Frame::from_map(0..n_parts, schema, move |i: &usize| Ok(parts[*i].clone()))
}

/// The frame with words as texts again.
fn plain(frame: &DataFrame) -> DataFrame {
    let mut frame = frame.clone();
    let names: Vec<PlSmallStr> = frame
        .schema()
        .iter()
        .filter(|(_, dtype)| dtype.is_categorical() || dtype.is_enum())
        .map(|(name, _)| name.clone())
        .collect();
    for name in names {
        let words = frame.column(&name).unwrap().cast(&DataType::String).unwrap();
        frame.with_column(words).unwrap();
    }
    frame
}

/// Whether `of` gives the same of categories as of texts, in any order of the rows unless `ordered`.
#[track_caller]
fn same(ordered: bool, of: impl Fn(&Frame) -> Frame) {
    let expected = of(&Frame::from_polars(&texts(), 1)).compute().unwrap();
    let sorted = |frame: DataFrame| match ordered {
        true => frame,
        false => {
            frame.sort(frame.get_column_names_owned(), SortMultipleOptions::default()).unwrap()
        }
    };
    let expected = sorted(expected);
    for (i, config) in configs().into_iter().enumerate() {
        let frame = frame("one", 4);
        let got = config.scope(|| of(&frame).compute()).unwrap();
        let got = sorted(plain(&got));
        assert!(got.equals_missing(&expected), "{i}: {got:?} {expected:?}");
    }
}

#[test]
fn rows_are_chosen_and_computed() {
    same(true, |f| f.clone());
    same(true, |f| f.filter(col("word").eq(lit("pear"))));
    same(true, |f| f.filter(col("word").is_in(["fig", "no such word"])));
    same(true, |f| f.with_columns([col("word").fill_null(lit("none"))]));
    same(true, |f| f.with_columns([col("word").cast(DataType::String).str().to_uppercase()]));
    same(true, |f| {
        f.select([when(col("n").gt(5)).then(col("word")).otherwise(lit("fig")).alias("w")])
    });
    same(true, |f| f.select([col("word").replace(["fig"], ["pear"])]));
    same(true, |f| f.head(5));
    same(true, |f| f.tail(5));
    same(true, |f| f.slice(2, 7));
    same(true, |f| f.drop_nulls());
    same(true, |f| f.select([col("word").shift(2), col("n")]));
    same(true, |f| f.select([col("word").forward_fill(None), col("n")]));
    same(true, |f| f.select([col("word").backward_fill(Some(1)), col("n")]));
    same(true, |f| f.repartition(5));
}

#[test]
fn groups_are_those_of_the_words() {
    let aggs = || [len(), col("n").sum(), col("n").first().alias("first")];
    same(false, |f| f.group_by(["word"]).agg(aggs()));
    same(false, |f| f.group_by(["word", "n"]).agg([len()]));
    same(false, |f| {
        f.group_by([(col("n") % 2).alias("odd")]).agg([
            col("word").n_unique(),
            col("word").first().alias("first"),
            col("word").last().alias("last"),
            col("word").min().alias("min"),
            col("word").max().alias("max"),
            col("word").count().alias("count"),
        ])
    });
    same(true, |f| f.agg([col("word").n_unique(), col("word").min().alias("min")]));
    same(false, |f| f.select(["word"]).unique());
    same(false, |f| f.unique_keep(["word"], UniqueKeep::Last));
    same(false, |f| f.select(["word"]).value_counts("word"));
    same(true, |f| f.with_columns([col("n").sum().over(["word"]).alias("sum")]));
    same(true, |f| f.with_columns([col("n").cum_sum(false).over(["word"]).alias("sum")]));
    let odd = || (col("n") % 2).alias("odd");
    let wide =
        |f: &Frame| f.with_columns([odd()]).pivot("word", ["fig", "pear"], "odd", col("n").sum());
    same(false, wide);
}

#[test]
fn orders_are_those_of_the_words() {
    same(true, |f| f.sort_with(["word", "n"], [false, true], true));
    same(true, |f| f.sort(["word", "n"], [true, false]));
    same(true, |f| f.sort_with("word", false, true).head(4));
    same(true, |f| f.top_k(3, ["word", "n"]));
    same(true, |f| f.set_index("word"));
}

/// Joined with the words of the same categories, of other ones, and of an order of them.
#[test]
fn frames_of_other_categories_come_together() {
    const HOWS: [JoinHow; 6] = [
        JoinHow::Inner,
        JoinHow::Left,
        JoinHow::Right,
        JoinHow::Full,
        JoinHow::Semi,
        JoinHow::Anti,
    ];
    let sorted = |frame: &Frame| {
        let frame = plain(&frame.compute().unwrap());
        frame.sort(frame.get_column_names_owned(), SortMultipleOptions::default()).unwrap()
    };
    let later = |frame: &Frame| frame.filter(col("n").gt(3)).rename([("n", "m")]);
    for (i, config) in configs().into_iter().enumerate() {
        config.scope(|| {
            let texts = Frame::from_polars(&texts(), 1);
            for (a, b) in [
                (frame("both", 3), frame("both", 4)),
                (frame("left", 3), frame("right", 4)),
                (frame("left", 3).sort("word", false), frame("right", 4)),
                (frame("left", 3), frame("right", 4).set_index("word")),
            ] {
                for how in HOWS {
                    let joined = a.join(&later(&b), "word", how);
                    assert_eq!(
                        joined.schema().unwrap().get("word"),
                        a.schema().unwrap().get("word")
                    );
                    let (got, expected) =
                        (sorted(&joined), sorted(&texts.join(&later(&texts), "word", how)));
                    assert!(got.equals_missing(&expected), "{i} {how:?}: {got:?} {expected:?}");
                }
            }
        });
    }
}

/// Directories have no dtype, but each word has its own, and null the one of Hive.
#[test]
fn directories_have_the_words() {
    let dir = tempfile::tempdir().unwrap();
    let mut all: Vec<&str> = WORDS.into_iter().flatten().collect();
    all.sort_unstable();
    all.dedup();
    let frozen = DataType::from_frozen_categories(FrozenCategories::new(all).unwrap());
    for (i, dtype) in [category("hive"), frozen, DataType::String].into_iter().enumerate() {
        let path = dir.path().join(i.to_string());
        let words = col("word").cast(dtype);
        let odd = when(col("n").eq(4)).then(lit("a/b=\"c\" %41")).otherwise(col("word"));
        let frame = Frame::from_polars(&texts(), 3);
        let frame = if i == 2 {
            frame.with_columns([odd.alias("word")])
        } else {
            frame.with_columns([words])
        };
        let mut options = ParquetWriteOptions::default();
        options.partition_on = vec!["word".into()];
        frame.to_parquet_with(&path, &options).unwrap();
        let expected = plain(&frame.compute().unwrap());
        let read = Frame::read_parquet(&path);
        let got = read.select(["word", "n"]).sort("n", false).compute().unwrap();
        assert!(got.equals_missing(&expected), "{got:?} {expected:?}");
        for (predicate, n) in
            [(col("word").eq(lit("pear")), 3 - i64::from(i == 2)), (col("word").is_null(), 2)]
        {
            let rows = read.filter(predicate).len().unwrap();
            assert_eq!(rows as i64, n);
        }
    }
}

#[test]
fn files_have_the_words() {
    let dir = tempfile::tempdir().unwrap();
    let expected = texts();
    for (i, config) in configs().into_iter().enumerate() {
        config.scope(|| {
            let path = dir.path().join(i.to_string());
            std::fs::create_dir(&path).unwrap();
            let frame = frame("files", 4);
            frame.to_parquet(path.join("parquet")).unwrap();
            frame.to_ipc(path.join("ipc")).unwrap();
            frame.to_csv_with(path.join("x.csv"), &Default::default(), true).unwrap();
            frame.to_ndjson_with(path.join("x.ndjson"), &Default::default(), true).unwrap();
            for read in [
                Frame::read_parquet(path.join("parquet")),
                Frame::read_ipc(path.join("ipc")),
                Frame::read_csv(path.join("x.csv")),
                Frame::read_ndjson(path.join("x.ndjson")),
            ] {
                let got = plain(&read.compute().unwrap());
                assert!(got.equals_missing(&expected), "{got:?}");
            }
        });
    }
}
