//! Results of frames that are kept in case that they are asked for again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dask_rs::frame::{DataFrame, JoinHow, col, len, lit};
use dask_rs::{Cache, Config, Result};
use polars_core::df;
use polars_core::prelude::{ChunkAgg, DataFrame as Rows};

/// Keys that repeat, numbers whose sums depend on the order in which they are added, and texts.
fn rows(from: i64, n: i64) -> Rows {
    let all = from..from + n;
    df![
        "i" => all.clone().collect::<Vec<_>>(),
        "k" => all.clone().map(|i| i * 7 % 13).collect::<Vec<_>>(),
        "x" => all.clone().map(|i| ((i * 7919) % 1009) as f64 / 7.0).collect::<Vec<_>>(),
        "s" => all.map(|i| (i % 3 > 0).then(|| format!("text number {i}"))).collect::<Vec<_>>(),
    ]
    .unwrap()
}

/// 800 rows in 8 partitions, which count how often they are made.
fn counted() -> (DataFrame, impl Fn() -> usize) {
    let n_made = Arc::new(AtomicUsize::new(0));
    let made = Arc::clone(&n_made);
    let make = move |part: &i64| {
        made.fetch_add(1, Ordering::Relaxed);
        Ok(rows(part * 100, 100))
    };
    // Nobody knows how large they are; they count as a chunk.
    let config = Config::new().with_chunk_bytes(1 << 14);
    let schema = Arc::clone(rows(0, 1).schema());
    let frame = config.scope(|| DataFrame::from_map(0..8, schema, make));
    (frame, move || n_made.swap(0, Ordering::Relaxed))
}

/// A scope with a cache of so many bytes. Each test has a memory limit of its own, under which nobody else keeps anything.
fn with_cache<R>(bytes: u64, memory_limit: u64, f: impl FnOnce(&Cache) -> R) -> R {
    let cache = Cache::new(bytes);
    let config = Config::new().with_cache(&cache).with_memory_limit(memory_limit);
    config.scope(|| f(&cache))
}

#[test]
fn what_was_computed_is_not_computed_again_and_neither_are_its_rows_and_columns() {
    let (frame, n_made) = counted();
    let expected = rows(0, 800);
    with_cache(1 << 20, 100_000_151, |cache| {
        let y = frame.with_columns([(col("x") * 2.0).alias("y")]);
        let all = y.compute().unwrap();
        assert!(all.drop("y").unwrap().equals_missing(&expected));
        assert_eq!((n_made(), cache.hits()), (8, 0));
        // Columns are counted as polars does.
        assert_eq!(cache.bytes(), all.estimated_size() as u64);
        // The same, made again.
        let again = frame.with_columns([(col("x") * 2.0).alias("y")]).compute().unwrap();
        assert!(again.equals_missing(&all));
        assert_eq!((n_made(), cache.hits()), (0, 8));
        // Rows, columns, and what is made of them.
        let explained = y.slice(150, 100).explain().unwrap();
        assert!(explained.to_string().contains("cached 8 partitions"), "{explained}");
        assert_eq!(explained.bytes_read(), 0);
        assert!(y.slice(150, 100).compute().unwrap().equals_missing(&all.slice(150, 100)));
        let few = y.select([col("s"), col("y")]).filter(col("y").lt(lit(10.0)));
        let right = frame.with_columns([(col("x") * 2.0).alias("y")]);
        let right = Config::new().with_cache(&Cache::new(0)).scope(|| {
            right.select([col("s"), col("y")]).filter(col("y").lt(lit(10.0))).compute().unwrap()
        });
        assert_eq!(n_made(), 8, "another scope has no cache");
        assert!(right.height() > 0 && few.compute().unwrap().equals_missing(&right));
        assert_eq!(y.sort("x", true).head(9).compute().unwrap().height(), 9);
        assert_eq!(n_made(), 0);
        // Sums are those of frames that are computed: how these are cut decides about their last bits.
        let sum = || y.agg([col("x").sum()]).compute().unwrap();
        assert!(sum().equals_missing(&sum()));
        assert_eq!(n_made(), 8, "and they are kept themselves");
        // Another frame of the same function is another one.
        let (other, n_other) = counted();
        other.with_columns([(col("x") * 2.0).alias("y")]).compute().unwrap();
        assert_eq!(n_other(), 8);
    });
    frame.compute().unwrap();
    assert_eq!(n_made(), 8, "outside of the scope nothing is kept");
}

#[test]
fn groups_and_joins_are_kept() {
    let (frame, n_made) = counted();
    with_cache(1 << 20, 100_000_153, |cache| {
        let groups = frame.group_by(["k"]).agg([col("x").sum(), len()]);
        let first = groups.compute().unwrap();
        assert_eq!((first.height(), n_made()), (13, 8));
        assert!(cache.bytes() == first.estimated_size() as u64);
        assert!(groups.tail(3).compute().unwrap().equals_missing(&first.tail(Some(3))));
        assert_eq!(n_made(), 0);
        let joined = frame.join(&groups, "k", JoinHow::Inner);
        let joined = (joined.compute().unwrap(), joined.head(5).compute().unwrap());
        assert!(joined.0.head(Some(5)).equals_missing(&joined.1));
        assert_eq!(n_made(), 8, "then all is there");
        // What has no rows is a result too.
        let none = frame.filter(col("i").lt(lit(0)));
        assert_eq!((none.compute().unwrap().height(), n_made()), (0, 8));
        assert_eq!((none.compute().unwrap().height(), n_made()), (0, 0));
    });
}

type Write = fn(&DataFrame, &str) -> Result<()>;
type Read = fn(&str) -> DataFrame;

#[test]
fn a_file_that_changed_is_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let formats: [(&str, Write, Read); 4] = [
        ("parquet", |f, p| f.to_parquet(p), |p| DataFrame::read_parquet(p)),
        ("arrow", |f, p| f.to_ipc(p), |p| DataFrame::read_ipc(p)),
        ("csv", |f, p| f.to_csv(p), |p| DataFrame::read_csv(p)),
        ("json", |f, p| f.to_ndjson(p), |p| DataFrame::read_ndjson(p)),
    ];
    for (i, (name, write, read)) in (0..).zip(formats) {
        let path = dir.path().join(name);
        let path = path.to_str().unwrap();
        with_cache(1 << 20, 100_000_157 + i, |cache| {
            let put = |from: i64| {
                let _ = std::fs::remove_dir_all(path);
                write(&DataFrame::from_polars(&rows(from, 100), 2), path).unwrap();
            };
            let sum = || {
                let frame = read(path);
                let bytes_read = frame.explain().unwrap().bytes_read();
                (frame.compute().unwrap().column("i").unwrap().i64().unwrap().sum(), bytes_read > 0)
            };
            put(0);
            assert_eq!((sum(), sum()), ((Some(4950), true), (Some(4950), false)), "{name}");
            let n_hits = cache.hits();
            assert!(n_hits > 0);
            let held = read(path);
            put(100);
            assert_eq!((sum(), sum()), ((Some(14_950), true), (Some(14_950), false)), "{name}");
            // What is opened is not what is there now: nothing is taken, and nothing kept.
            assert!(held.explain().unwrap().bytes_read() > 0, "{name}");
            let _ = held.compute();
            assert_eq!(sum(), (Some(14_950), false), "{name}");
        });
    }
}

#[test]
fn what_is_kept_stays_below_the_cap() {
    with_cache(10_000, 100_000_169, |cache| {
        for i in 0..30 {
            let frame = DataFrame::from_polars(&rows(i * 50, 50), 2);
            frame.with_columns([(col("x") + 1.0).alias("x")]).compute().unwrap();
            frame.with_columns([(col("x") + 2.0).alias("x")]).select(["x", "i"]).compute().unwrap();
            assert!(cache.bytes() <= 10_000);
        }
        let (frame, n_made) = counted();
        let small = frame.select([col("x") + 1.0]);
        let sizes: u64 = small.compute().unwrap().estimated_size() as u64;
        assert!((small.compute().is_ok(), n_made()) == (true, 8) && cache.bytes() >= sizes);
        // More than fits is not kept, and drives nothing out.
        frame.compute().unwrap();
        frame.compute().unwrap();
        assert_eq!(n_made(), 16);
        small.compute().unwrap();
        assert_eq!(n_made(), 0);
        cache.clear();
        small.compute().unwrap();
        assert_eq!((n_made(), cache.bytes()), (8, sizes));
        // What costs as much drives out what was used last before.
        let other = frame.select([(col("x") + 2.0).alias("x")]);
        for _ in 0..2 {
            other.compute().unwrap();
        }
        small.compute().unwrap();
        assert_eq!(n_made(), 16);
    });
}

#[test]
fn what_reads_memory_that_is_gone_is_forgotten() {
    with_cache(1 << 20, 100_000_183, |cache| {
        let frame = DataFrame::from_polars(&rows(0, 500), 4);
        let y = frame.with_columns([(col("x") + 1.0).alias("x")]);
        let (all, again) = (y.compute().unwrap(), y.compute().unwrap());
        assert!(all.equals_missing(&again) && cache.hits() == 4);
        // The user's own memory is not kept.
        frame.select(["s"]).compute().unwrap();
        assert_eq!(cache.bytes(), all.estimated_size() as u64);
        drop((frame, y));
        let (other, _) = counted();
        let small = other.agg([col("i").sum()]).compute().unwrap();
        assert_eq!(cache.bytes(), small.estimated_size() as u64);
    });
}

#[test]
fn results_have_the_same_bits() {
    let (frame, n_made) = counted();
    let queries = || {
        let y = frame.with_columns([(col("x") * 3.0).alias("y")]);
        let few = y.filter(col("k").gt(lit(4)));
        let sorted = y.sort(["k", "x"], false);
        let groups = few.group_by(["k"]).agg([col("x").sum(), col("y").mean(), len()]);
        let joined = few.join(&groups, "k", JoinHow::Left);
        [
            y.clone(),
            few.clone(),
            few.agg([col("x").sum(), col("y").std(1)]),
            groups.clone(),
            groups.filter(col("k").neq(lit(7))),
            sorted.clone(),
            sorted.agg([col("x").sum()]),
            sorted.group_by(["s"]).agg([col("y").sum()]),
            sorted.tail(33),
            joined.clone(),
            joined.group_by(["k"]).agg([col("x").sum(), col("s").n_unique()]),
            joined.repartition(3).with_columns([col("x").cum_sum(false).alias("c")]),
            few.select([col("x"), col("k")]).sort("x", true).head(17),
            DataFrame::concat([&few, &y.head(40)]).agg([col("x").mean()]),
            y.set_index("i").loc(100..=250).agg([col("x").sum()]),
        ]
    };
    for chunk_bytes in [1 << 12, 1 << 20] {
        for optimize in [true, false] {
            let config = Config::new().with_chunk_bytes(chunk_bytes).with_optimize(optimize);
            let run = || queries().map(|query| query.compute().unwrap());
            let plain = config.scope(run);
            n_made();
            with_cache(1 << 22, 100_000_187, |cache| {
                config.scope(|| {
                    for round in 0..2 {
                        for (i, (got, plain)) in run().iter().zip(&plain).enumerate() {
                            assert!(
                                got.equals_missing(plain),
                                "query {i}, round {round}: {got} {plain}"
                            );
                        }
                    }
                });
                assert!(cache.hits() > 50 && n_made() < 8 * 20, "{}", cache.hits());
                // All at once.
                let all = config.scope(|| dask_rs::compute(Vec::from(queries())).unwrap());
                for (i, (got, plain)) in all.iter().zip(&plain).enumerate() {
                    assert!(got.equals_missing(plain), "query {i} of all: {got} {plain}");
                }
            });
        }
    }
}

#[test]
fn kept_frames_may_be_persisted_and_become_arrays() {
    with_cache(1 << 20, 100_000_193, |cache| {
        let (frame, n_made) = counted();
        let y = frame.filter(col("k").eq(lit(3)));
        let all = y.compute().unwrap();
        let kept = y.persist().unwrap();
        assert_eq!(n_made(), 8);
        cache.clear();
        assert!(kept.compute().unwrap().equals_missing(&all));
        y.compute().unwrap();
        n_made();
        let array = y.column_to_array::<f64>("x").compute().unwrap();
        let column = all.column("x").unwrap().f64().unwrap();
        assert!(array.iter().copied().eq(column.into_no_null_iter()));
        assert_eq!(n_made(), 8, "what an array reads is not taken from the cache");
    });
}
