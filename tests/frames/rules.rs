//! What the optimizer does, as `explain` shows it: the nine rewrites of Dask's dataframes, each in a test of its number.
//!
//! That they keep values is what `oracle.rs` tests, with and without them; which plans they make, and which they leave
//! alone, is tested beside the rules.

use dask_rs::Config;
use dask_rs::frame::polars_core::df;
use dask_rs::frame::{
    ClosedInterval, DataFrame as Frame, JoinHow, ParquetOptions, ParquetWriteOptions, col, len, lit,
};

const ROWS: i64 = 8000;

/// Eight partitions of a thousand rows in a file, whose bytes are in the row number and two columns.
fn stored() -> (tempfile::TempDir, Frame) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rows");
    let id: Vec<i64> = (0..ROWS).collect();
    let key: Vec<i64> = id.iter().map(|i| i * 7919 % 5000).collect();
    let x: Vec<f64> = id.iter().map(|i| *i as f64 / 4.0).collect();
    let mut write = ParquetWriteOptions::default();
    write.row_group_rows = 1000;
    let rows = df!["id" => id, "key" => key, "x" => x].unwrap();
    Frame::from_polars(&rows, 1).to_parquet_with(&path, &write).unwrap();
    let mut read = ParquetOptions::default();
    read.part_bytes = 24_000;
    (dir, Frame::read_parquet_with(&[&path], &read))
}

fn explained(frame: &Frame) -> String {
    frame.explain().unwrap().to_string()
}

/// The plan that is left.
fn optimized(frame: &Frame) -> String {
    let text = explained(frame);
    let plan = text.split("optimized plan").nth(1).expect("there is one");
    plan.split("layers:").next().expect("it ends").to_owned()
}

fn bytes_read(frame: &Frame) -> u64 {
    frame.explain().unwrap().bytes_read()
}

fn n_tasks(frame: &Frame) -> u64 {
    frame.explain().unwrap().n_tasks().unwrap()
}

/// Groups and sorts of these rows are spread over partitions.
fn small() -> Config {
    Config::new().with_chunk_bytes(4 << 10)
}

fn n_shuffles(frame: &Frame) -> usize {
    explained(frame).matches("barrier").count()
}

#[test]
fn rule_1_columns_are_read_if_somebody_needs_them() {
    let (_dir, frame) = stored();
    let right = frame.select([col("key"), col("x").alias("y")]).repartition_by(["key"]);
    let joined = frame.join(&right, "key", JoinHow::Inner).group_by(["id"]).agg([col("key").max()]);
    assert!(explained(&joined).contains("PruneColumns"));
    let (one, all) = (bytes_read(&frame.select(["id"])), bytes_read(&frame));
    assert_eq!(all, 3 * one);
    assert_eq!(bytes_read(&joined), 2 * one);
}

#[test]
fn rule_2_filters_move_to_the_sources() {
    let (_dir, frame) = stored();
    let late = col("id").gt(7000);
    for (above, name) in [
        (frame.repartition_by(["key"]).filter(late.clone()), "a shuffle"),
        (frame.set_index("key").filter(late.clone()), "an index"),
        (frame.sort("x", true).filter(late.clone()), "a sort"),
        (frame.rename([("x", "y")]).filter(late.clone()), "other names"),
        (
            frame.join(&frame.select(["key"]).unique(), "key", JoinHow::Left).filter(late.clone()),
            "the left side of a join",
        ),
    ] {
        let text = explained(&above);
        assert!(text.contains("PushDownFilter"), "{name}: {text}");
        let plan = optimized(&above);
        let filter = plan.find("filter").unwrap_or_else(|| panic!("{name}: {plan}"));
        let others = ["repartition", "sort", "select", "join"];
        let first = others.iter().filter_map(|op| plan.find(op)).min();
        // The side of a join that has no such column comes first in the plan.
        let is_below = first.is_none_or(|first| filter < first) || name.contains("join");
        assert!(is_below, "{name}: {plan}");
        assert!(plan.contains("col(\"id\") > 7000"), "{name}: {plan}");
    }
    // What both branches want holds for all rows.
    let either = col("x").lt(10).and(late.clone()).or(col("x").gt(1900).and(late));
    let joined = frame.join(&frame.select(["key"]).unique(), "key", JoinHow::Inner).filter(either);
    let plan = optimized(&joined);
    let both = plan.find("(col(\"id\") > 7000) & (").unwrap_or_else(|| panic!("{plan}"));
    assert!(both < plan.find("join").unwrap(), "{plan}");
}

#[test]
fn rule_3_partitions_that_nobody_needs_are_not_made() {
    let (_dir, frame) = stored();
    let all = bytes_read(&frame);
    assert_eq!(
        bytes_read(&frame.filter(col("id").is_between(2500, 2600, ClosedInterval::Both))),
        all / 8
    );
    assert_eq!(bytes_read(&frame.slice(4500, 200)), all / 8);
    // Also of a frame whose divisions are known: by its index, and by any column that files are sorted by.
    let indexed = frame.set_index("id");
    assert_eq!(bytes_read(&indexed.loc(2500..=2600)), all / 8);
    let kept = frame.set_index("key").persist().unwrap();
    assert!(n_tasks(&kept.loc(10..=20)) < n_tasks(&kept).max(2));
}

#[test]
fn rule_4_lengths_come_from_metadata_and_no_rows_move_for_what_does_not_see_it() {
    let (_dir, frame) = stored();
    let n = frame.agg([len(), col("id").max().alias("max")]);
    assert_eq!((bytes_read(&n), n_tasks(&n)), (0, 1));
    assert!(explained(&n).contains("AnswerFromMetadata"));
    small().scope(|| {
        let shuffled = frame.repartition_by(["key"]);
        assert_eq!(n_shuffles(&shuffled), 1);
        let n = shuffled.agg([col("key").n_unique(), col("id").sum().alias("sum")]);
        assert!(explained(&n).contains("DropSort"));
        let sorted = frame.sort("key", false).agg([col("id").sum()]);
        assert!(explained(&sorted).contains("DropSort"));
        assert_eq!(n_shuffles(&sorted), 0);
    });
}

#[test]
fn rule_5_the_first_rows_of_an_order_need_no_sort() {
    let (_dir, frame) = stored();
    small().scope(|| {
        for (first, name) in [
            (frame.sort("key", false).head(3), "sort"),
            (frame.sort("key", true).head(3), "descending"),
            (frame.set_index("key").head(3), "index"),
        ] {
            assert!(optimized(&first).contains("first 3"), "{name}: {}", optimized(&first));
            assert_eq!(n_shuffles(&first), 0, "{name}");
        }
        let last = frame.sort("key", false).tail(3);
        assert!(optimized(&last).contains("last 3"));
        assert_eq!(n_shuffles(&last), 0);
        let twice = frame.repartition(3).repartition(5);
        assert!(explained(&twice).contains("MergeRepartition"));
        assert_eq!(optimized(&twice).matches("repartition").count(), 1);
    });
}

#[test]
fn rule_6_rows_that_are_together_do_not_move_again() {
    let (_dir, frame) = stored();
    small().scope(|| {
        let together = frame.repartition_by(["key"]);
        let groups = together.group_by(["key", "id"]).agg([col("x").sum()]);
        assert_eq!(n_shuffles(&together), 1);
        assert_eq!(n_shuffles(&groups), 1);
        let joined = together.join(&together, "key", JoinHow::Inner);
        assert_eq!(n_shuffles(&joined), 1);
        // Of files that are sorted by it, groups are together from the start.
        assert_eq!(n_shuffles(&frame.group_by(["id"]).agg([col("x").median()])), 0);
    });
}

#[test]
fn rule_7_small_pieces_of_files_are_read_as_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rows");
    let mut write = ParquetWriteOptions::default();
    write.row_group_rows = 100;
    let rows = df!["x" => (0..ROWS).collect::<Vec<_>>()].unwrap();
    Frame::from_polars(&rows, 4).to_parquet_with(&path, &write).unwrap();
    let with = |part_bytes| {
        let mut read = ParquetOptions::default();
        read.part_bytes = part_bytes;
        Frame::read_parquet_with(&[&path], &read)
    };
    assert!(n_tasks(&with(1)) > 80);
    assert!(n_tasks(&with(4000)) <= 20);
    assert!(n_tasks(&with(1 << 20)) <= 4);
}

#[test]
fn rule_8_groups_are_spread_by_their_bytes() {
    let (_dir, frame) = stored();
    let groups = |key: &str| frame.group_by([key]).agg([col("x").sum()]);
    small().scope(|| assert!(n_shuffles(&groups("key")) >= 1));
    assert_eq!(n_shuffles(&groups("key")), 0);
    let few = frame.group_by([(col("key") % 3).alias("three")]).agg([col("x").sum()]);
    assert_eq!(n_shuffles(&few), 0);
}

#[test]
fn rule_9_steps_of_rows_run_in_the_task_that_reads_them() {
    let (_dir, frame) = stored();
    let steps = frame
        .filter(col("x").gt(lit(1.0)))
        .with_columns([(col("x") * 2.0).alias("y")])
        .filter(col("y").lt(1000.0))
        .select([col("id"), (col("y") + col("x")).alias("z")]);
    assert_eq!(n_tasks(&steps), 8);
    let text = explained(&steps);
    let layers = text.split("layers: 1,").count();
    assert_eq!(layers, 2, "{text}");
}
