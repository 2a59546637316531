//! What plans cost: tasks and bytes as numbers, reads as counts, long chains on a small stack.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use dask_rs::frame::polars_core::df;
use dask_rs::frame::polars_core::prelude::{Column, DataFrame};
use dask_rs::frame::{DataFrame as Frame, JoinHow, ParquetOptions, ParquetWriteOptions, col, len};
use dask_rs::{Config, ExecutorKind, array};

const ROWS: i64 = 8000;

fn rows() -> DataFrame {
    let id: Vec<i64> = (0..ROWS).collect();
    let key: Vec<i64> = id.iter().map(|i| i * 7919 % 5000).collect();
    let x: Vec<f64> = id.iter().map(|i| *i as f64 / 4.0).collect();
    df!["id" => id, "key" => key, "x" => x].unwrap()
}

/// Eight partitions of a thousand rows in a file.
fn stored() -> (tempfile::TempDir, PathBuf, Frame) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rows");
    let mut write = ParquetWriteOptions::default();
    write.row_group_rows = 1000;
    Frame::from_polars(&rows(), 1).to_parquet_with(&path, &write).unwrap();
    let mut read = ParquetOptions::default();
    read.part_bytes = 24_000;
    let frame = Frame::read_parquet_with(&[&path], &read);
    (dir, path, frame)
}

fn bytes_read(frame: &Frame) -> u64 {
    frame.explain().unwrap().bytes_read()
}

fn n_tasks(frame: &Frame) -> u64 {
    frame.explain().unwrap().n_tasks().unwrap()
}

/// The frame, and how many partitions were asked of it.
fn counted(frame: &Frame) -> (Arc<AtomicUsize>, Frame) {
    let n = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&n);
    let counted = frame.map_partitions(frame.schema().unwrap(), move |rows, _| {
        counter.fetch_add(1, Ordering::Relaxed);
        Ok(rows)
    });
    (n, counted)
}

#[test]
fn the_first_rows_read_one_partition() {
    let (_dir, _, frame) = stored();
    let all = bytes_read(&frame);
    assert_eq!(n_tasks(&frame), 8);
    let head = frame.head(5);
    assert_eq!(bytes_read(&head), all / 8);
    assert!(n_tasks(&head) <= 2);
    assert!(head.compute().unwrap().equals(&rows().head(Some(5))));
    let part = frame.with_columns([(col("x") * 2.0).alias("y")]).slice(1500, 1000);
    assert_eq!(bytes_read(&part), all / 8 * 2);
    assert_eq!(part.compute().unwrap().height(), 1000);
    // What was filtered may be anywhere.
    assert_eq!(bytes_read(&frame.filter(col("x").gt(col("id"))).head(5)), all);
}

#[test]
fn only_used_columns_and_wanted_row_groups_are_read() {
    let (_dir, _, frame) = stored();
    let all = bytes_read(&frame);
    assert_eq!(bytes_read(&frame.select(["id"])), all / 3);
    assert_eq!(bytes_read(&frame.filter(col("id").gt(6500)).select(["x"])), all / 8 * 2 / 3 * 2);
    let joined = frame.select(["id", "x"]).join(&frame.select(["id", "key"]), "id", JoinHow::Inner);
    assert_eq!(bytes_read(&joined.select(["x"])), all / 3 * 2);
    let groups = frame.group_by(["key"]).agg([col("id").sum(), col("x").sum()]);
    assert_eq!(bytes_read(&groups.select(["key", "x"])), all / 3 * 2);
    let off = Config::new().with_optimize(false);
    assert_eq!(off.scope(|| bytes_read(&frame.select(["id"]))), all);
}

#[test]
fn the_number_of_rows_of_files_is_not_read() {
    let (_dir, path, frame) = stored();
    let count = frame.agg([len(), col("id").min().alias("min"), col("id").max().alias("max")]);
    assert_eq!((bytes_read(&count), n_tasks(&count)), (0, 1));
    assert!(count.explain().unwrap().to_string().contains("AnswerFromMetadata ×1"));
    for file in std::fs::read_dir(&path).unwrap() {
        std::fs::remove_file(file.unwrap().path()).unwrap();
    }
    assert_eq!(frame.len().unwrap(), ROWS as u64);
    let expected = df!["len" => [ROWS as u32], "min" => [0_i64], "max" => [ROWS - 1]].unwrap();
    assert!(count.compute().unwrap().equals(&expected));
    assert!(frame.filter(col("id").gt(3)).len().is_err());
}

#[test]
fn two_results_share_one_scan() {
    let (_dir, _, frame) = stored();
    let (sum, max) = (frame.agg([col("id").sum()]), frame.agg([col("x").max()]));
    let both = dask_rs::explain((&sum, &max)).unwrap();
    assert_eq!(both.bytes_read(), bytes_read(&frame) / 3 * 2);
    let (n, frame) = counted(&frame);
    let groups = frame.group_by(["key"]).agg([len()]);
    let (sum, groups, all) =
        dask_rs::compute((frame.agg([col("id").sum()]), &groups, &frame)).unwrap();
    assert_eq!(n.load(Ordering::Relaxed), 8);
    assert_eq!((sum.height(), groups.height()), (1, 5000));
    assert!(all.equals(&rows()));
}

#[test]
fn steps_of_rows_and_partial_aggregates_are_one_task_a_partition() {
    let (_dir, _, frame) = stored();
    let steps = frame
        .filter(col("x").gt(3.0))
        .with_columns([(col("x") * 2.0).alias("y")])
        .filter(col("y").lt(1e9))
        .rename([("id", "n")])
        .drop_columns(["x"]);
    let explained = steps.explain().unwrap();
    assert_eq!((explained.n_layers(), explained.n_tasks()), (1, Some(8)), "{explained}");
    // A task for each partition, and one that merges eight states.
    assert_eq!(n_tasks(&steps.agg([col("y").sum()])), 9);
    // A small frame goes to each partition of a large one in one task more.
    let other = Frame::from_polars(&df!["n" => [5_i64, 7], "z" => [1_i64, 2]].unwrap(), 1);
    assert_eq!(n_tasks(&steps.join(&other, "n", JoinHow::Inner)), 9);
    // The largest of each partition, then of those.
    assert_eq!(n_tasks(&steps.top_k(3, "y")), 9);
}

#[test]
fn a_frame_joined_with_itself_is_computed_once() {
    let (n, frame) = counted(&Frame::from_polars(&rows(), 8));
    let means = frame.group_by(["key"]).agg([col("x").mean().alias("mean")]);
    for config in [Config::new(), Config::new().with_chunk_bytes(4 << 10)] {
        n.store(0, Ordering::Relaxed);
        let joined = config.scope(|| frame.join(&means, "key", JoinHow::Inner).compute().unwrap());
        assert_eq!(joined.height(), ROWS as usize);
        assert_eq!(n.load(Ordering::Relaxed), 8);
    }
}

#[test]
fn arrays_and_frames_run_together() {
    let frame = Frame::from_polars(&rows(), 8);
    let x: array::Array<f64> = array::arange(0.0, 100.0, 1.0, [10]);
    let work = || (x.sum(0), frame.agg([col("id").sum()]), &x * 2.0, frame.head(3));
    let (sum, ids, twice, head) = dask_rs::compute(work()).unwrap();
    assert_eq!((sum[[]], twice[[99]], head.height()), (4950.0, 198.0, 3));
    let expected = df!["id" => [ROWS * (ROWS - 1) / 2]].unwrap();
    assert!(ids.equals(&expected));
    let text = dask_rs::explain(work()).unwrap().to_string();
    assert!(text.contains("aggregate") && text.contains("sum"), "{text}");
    // The error of one is the error of all.
    assert!(dask_rs::compute((x.sum(0), frame.select(["no"]))).is_err());
}

#[test]
fn tasks_grow_with_the_partitions_and_not_with_their_square() {
    let table = rows();
    let frame = |n: usize| Frame::from_polars(&table, n);
    let small = Config::new().with_chunk_bytes(600);
    type Make = fn(&Frame) -> Frame;
    let makes: [(&str, Make); 5] = [
        ("group", |x| x.group_by(["key"]).agg([col("x").sum(), len()])),
        ("median", |x| x.group_by(["key"]).agg([col("x").median()])),
        ("aggregate", |x| x.agg([col("x").sum()])),
        ("join", |x| x.join(&x.select(["key", "id"]), "key", JoinHow::Inner)),
        ("sort", |x| x.sort("key", false)),
    ];
    for (name, make) in makes {
        for config in [&small, &Config::new()] {
            let of = |n: usize| config.scope(|| n_tasks(&make(&frame(n))));
            let (some, many) = (of(500), of(1000));
            assert!(many <= 2 * some + 8, "{name}: {some} and {many} tasks");
            // The pieces of a shuffle may be as many as bytes ask for.
            assert!(many <= 6000, "{name}: {many} tasks");
        }
    }
}

/// Calls `f` on a thread whose stack a recursion would soon overflow, without other threads.
fn on_a_small_stack(f: impl FnOnce() + Send + 'static) {
    let serial = || Config::new().with_executor(ExecutorKind::Serial).scope(f);
    let small = thread::Builder::new().stack_size(1 << 20);
    small.spawn(serial).expect("a thread starts").join().expect("nothing panicked");
}

fn few() -> Frame {
    Frame::from_polars(&df!["id" => [1_i64, 2, 3], "x" => [0_i64, 0, 0]].unwrap(), 2)
}

fn column(frame: &DataFrame, name: &str) -> Vec<i64> {
    frame.column(name).unwrap().i64().unwrap().into_no_null_iter().collect()
}

#[test]
fn a_chain_of_10_000_new_columns() {
    on_a_small_stack(|| {
        let mut frame = few();
        for _ in 0..10_000 {
            frame = frame.with_columns([(col("x") + 1).alias("x")]);
        }
        assert_eq!(column(&frame.compute().unwrap(), "x"), [10_000; 3]);
        let kept = frame.filter(col("id").gt(1)).select(["x"]);
        assert_eq!(column(&kept.compute().unwrap(), "x"), [10_000; 2]);
        assert_eq!(frame.len().unwrap(), 3);
        let names = frame.select(["id"]).explain().unwrap();
        assert!(names.n_layers() <= 2, "{names}");
    });
}

#[test]
fn a_chain_of_10_000_steps_that_is_not_optimized() {
    on_a_small_stack(|| {
        Config::new().with_optimize(false).scope(|| {
            let mut frame = few();
            for _ in 0..5000 {
                frame = frame.with_columns([(col("x") + 1).alias("x")]).filter(col("id").gt(1));
            }
            assert_eq!(column(&frame.compute().unwrap(), "x"), [5000; 2]);
        });
    });
}

#[test]
fn a_chain_of_10_000_filters() {
    on_a_small_stack(|| {
        let mut frame = few();
        for i in 0..10_000 {
            frame = frame.filter(col("id").lt(3 + i));
        }
        assert_eq!(column(&frame.compute().unwrap(), "id"), [1, 2]);
    });
}

#[test]
fn a_chain_of_mixed_steps() {
    on_a_small_stack(|| {
        let mut frame = few();
        for i in 0..2000 {
            frame = match i % 5 {
                0 => frame.rename([("x", "y")]),
                1 => frame.filter(col("id").gt(i % 2)),
                2 => frame.select([col("id"), (col("y") + 1).alias("x")]),
                3 => frame.head(3),
                _ => frame.sort("id", false),
            };
        }
        assert_eq!(column(&frame.compute().unwrap(), "x"), [400; 2]);
    });
}

#[test]
fn a_column_that_doubles_its_paths() {
    on_a_small_stack(|| {
        let mut frame = few().with_columns([(col("x") + 1).alias("x")]);
        for _ in 0..60 {
            frame = frame.with_columns([(col("x") + col("x")).alias("x")]);
        }
        let kept = frame.filter(col("x").gt(1)).select(["x"]);
        assert_eq!(column(&kept.compute().unwrap(), "x"), [1 << 60; 3]);
    });
}

#[test]
fn a_frame_that_doubles_itself() {
    on_a_small_stack(|| {
        let mut frame = few();
        for _ in 0..10 {
            frame = Frame::concat([&frame, &frame]);
        }
        assert_eq!(frame.len().unwrap(), 3 << 10);
        assert_eq!(frame.filter(col("id").gt(1)).compute().unwrap().height(), 2 << 10);
        let (n, counted) = counted(&few());
        Frame::concat([&counted, &counted, &counted]).compute().unwrap();
        assert_eq!(n.load(Ordering::Relaxed), 2);
    });
}

#[test]
fn frames_of_a_thousand_columns() {
    let columns: Vec<_> = (0..1000).map(|i| Column::new(format!("c{i}").into(), [i])).collect();
    let wide = DataFrame::new(1, columns).unwrap();
    let frame = Frame::from_polars(&wide, 1);
    let more = frame.with_columns([(col("c999") + 1).alias("c0")]).filter(col("c1").eq(1));
    let out = more.sort("c500", false).compute().unwrap();
    assert_eq!(out.shape(), (1, 1000));
    let one = more.select(["c0"]).compute().unwrap();
    assert_eq!(one.shape(), (1, 1));
}

#[test]
fn frames_without_columns_have_rows() {
    let frame = Frame::from_polars(&rows(), 8);
    for config in [Config::new(), Config::new().with_optimize(false)] {
        config.scope(|| {
            let kept = frame.filter(col("id").gt(6500));
            assert_eq!(kept.len().unwrap(), 1499);
            assert_eq!(kept.head(1200).len().unwrap(), 1200);
            assert_eq!(frame.slice(500, 3000).len().unwrap(), 3000);
            assert_eq!(Frame::concat([&kept, &frame]).slice(5, 5000).len().unwrap(), 5000);
            assert_eq!(
                kept.head(10).cross_join(&frame.head(20).rename([("id", "i")])).len().unwrap(),
                200
            );
            assert_eq!(kept.sort("x", true).len().unwrap(), 1499);
            assert_eq!(kept.sort("x", true).head(7).len().unwrap(), 7);
        });
    }
}
