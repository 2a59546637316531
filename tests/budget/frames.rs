//! Of kernels of frames, and of what writes them.

use std::path::Path;
use std::sync::Arc;

use dask_rs::bench_support::{TaskBytes, measure_tasks, measure_write};
use dask_rs::frame::polars_core::df;
use dask_rs::frame::polars_core::prelude::DataFrame;
use dask_rs::frame::{
    AsofOptions, DataFrame as Frame, IndexOptions, Interpolation, JoinHow, JoinOptions,
    ParquetWriteOptions, RankTies, RollingOptions, as_struct, col, len, lit, when,
};
use dask_rs::{Config, ExecutorKind, Result};

use super::{around, check, meter};

/// Rows of a partition, about 50 bytes each.
const PART_ROWS: i64 = 1 << 14;
const N_PARTS: usize = 6;

/// What is wrong with the declaration of a layer. That it declares more is none: how many rows a filter leaves, and how
/// many groups there are, nobody knows before.
fn problem(layer: &TaskBytes) -> Option<&'static str> {
    let declared = layer.declared_output + layer.declared_scratch;
    if layer.allocated > around(declared) {
        Some("allocates more than it declares")
    } else if layer.declared_output > 0 && layer.output > around(layer.declared_output) {
        Some("puts out a larger block than it declares")
    } else {
        None
    }
}

/// Keys in no order, few and many groups, numbers, and a text that is short enough to lie in its view.
fn rows(n: i64) -> DataFrame {
    let id: Vec<i64> = (0..n).collect();
    let key: Vec<i64> = id.iter().map(|i| i * 7919 % n).collect();
    let few: Vec<i32> = id.iter().map(|i| (i % 7) as i32).collect();
    let x: Vec<f64> = key.iter().map(|i| *i as f64 / 3.0).collect();
    let text: Vec<String> = key.iter().map(|i| format!("t{i}")).collect();
    df!["id" => id, "key" => key, "few" => few, "x" => x, "s" => text].unwrap()
}

#[test]
fn kernels_of_frames_allocate_what_they_declare() {
    let _turn = super::turn();
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let all_rows = rows(PART_ROWS * N_PARTS as i64);
    let small_rows = rows(PART_ROWS);
    let x = || Frame::from_polars(&all_rows, N_PARTS);
    let small = || Frame::from_polars(&small_rows, 3);
    let cuts: Vec<i64> = (0..=N_PARTS as i64).map(|i| i * PART_ROWS).collect();
    let indexed = || x().set_index_with("id", IndexOptions::default().divisions(cuts.clone()));
    let mut options = ParquetWriteOptions::default();
    options.row_group_rows = PART_ROWS as usize;
    Frame::from_polars(&all_rows, 1).to_parquet_with(path("parquet"), &options).unwrap();
    x().to_csv(path("csv")).unwrap();
    x().to_ndjson(path("ndjson")).unwrap();
    x().to_ipc(path("ipc")).unwrap();

    let mut all: Vec<(String, TaskBytes)> = Vec::new();
    // Partitions that come together in one task, and those that are spread. What shuffles lay on disk counts to their own part
    // of the memory, whichever task writes it.
    let whole = Config::new().with_chunk_bytes(64 << 20);
    let configs = [("whole", whole), ("spread", Config::new().with_chunk_bytes(580 << 10))];
    let configs = configs.map(|(name, config)| (name, config.with_executor(ExecutorKind::Serial)));
    let mut add = |name: &str, frame: &dyn Fn() -> Result<Vec<TaskBytes>>| {
        for (way, config) in &configs {
            for optimize in [true, false] {
                let config = config.clone().with_optimize(optimize);
                let layers = config.scope(frame).unwrap_or_else(|e| panic!("{name}, {way}: {e}"));
                let named = |layer| (format!("{name}, {way}, optimized {optimize}"), layer);
                all.extend(layers.into_iter().map(named));
            }
        }
    };
    macro_rules! cases {
        ($($name:literal: $x:expr;)*) => {
            // Once before, for what polars makes once.
            $(measure_tasks(&$x, &meter).unwrap(); add($name, &|| measure_tasks(&$x, &meter));)*
        };
    }
    let number = || col("x");
    cases! {
        "arithmetic": x().select([col("id"), (number() * 2.0 + col("key")).sqrt().alias("y")]);
        "a filter": x().filter(number().gt(100.0).and(col("few").neq(3)));
        "texts": x().with_columns([col("s").str().to_uppercase()]);
        "parts of texts": x().select([col("s").str().slice(1, Some(3)), col("s").str().len_bytes().alias("n")]);
        "choices": x().select([when(col("few").gt(2)).then(number()).otherwise(lit(0.0))]);
        "structs": x().select([as_struct([col("id"), number()]).alias("both")]);
        "the first rows": x().filter(number().gt(7.0)).head(1000);
        "the last rows": x().filter(number().gt(7.0)).tail(1000);
        "a slice": x().slice(20_000, 30_000);
        "a sample": x().sample(0.5, 1);
        "a sample of n": x().sample_n(5000, 1);
        "one after another": Frame::concat([&x(), &x()]).repartition(5);
        "fewer partitions": x().repartition(2);
        "more partitions": x().repartition(17);
        "partitions by keys": x().repartition_by(["key"]);
        "partitions by bytes": x().repartition_bytes(400_000);
        "partitions between keys": x().set_index("key").repartition_divisions([0_i64, 24_576, 49_152, 73_728, 98_303]);
        "a sort by a number": x().sort("key", false);
        "a sort by a text": x().sort("s", true);
        "a sort by two columns": x().sort(["key", "few"], [true, false]);
        "a sort of what is together": x().repartition(1).sort(["few", "s"], false);
        "a sort of parts": indexed().sort(["id", "s"], false);
        "the largest": x().top_k(50, "x");
        "an index": x().set_index("key");
        "an index of texts": x().set_index("s");
        "few groups": x().group_by(["few"]).agg([number().sum(), number().std(1).alias("d"), len()]);
        "many groups": x().group_by(["key"]).agg([number().mean(), col("id").max(), len()]);
        "groups of texts": x().group_by(["s"]).agg([number().min()]);
        "medians": x().group_by(["few"]).agg([number().median(), number().quantile(0.3, Interpolation::Linear).alias("q")]);
        "different values": x().group_by(["few"]).agg([col("s").n_unique()]);
        "lists": x().group_by(["key"]).agg([col("id").implode()]);
        "sketches": x().group_by(["few"]).agg([number().approx_quantile(0.5), col("id").approx_n_unique()]);
        "skewness": x().group_by(["few"]).agg([number().skew(true)]);
        "aggregates": x().agg([number().sum(), number().median().alias("m"), col("s").n_unique()]);
        "unique rows": x().unique();
        "values with counts": x().value_counts("few");
        "a summary": x().describe();
        "functions of groups": x().group_by(["key"]).apply(Arc::clone(all_rows.schema()), |group| Ok(group.head(Some(3))));
        "sums over groups": x().with_columns([number().sum().over([col("key") % 500]).alias("y")]);
        "ranks over groups": x().with_columns([number().rank(RankTies::Dense, false).over([col("key") % 500]).alias("y")]);
        "ranks": x().select([number().rank(RankTies::Average, false)]);
        "running sums": x().select([number().cum_sum(false), col("id").shift(3)]);
        "windows": x().select([number().rolling_mean(RollingOptions::new(9))]);
        "numbers of rows": x().with_row_index("n", 0);
        "shares": x().select([number() / number().sum()]);
        "columns as rows": x().unpivot(["id", "key"], ["few"]);
        "lists as rows": x().group_by(["few", "key"]).agg([col("id").implode()]).explode("id");
        "a pivot": x().pivot("few", [0, 1, 2], "key", number().sum());
        "an inner join": x().join(&x(), "key", JoinHow::Inner);
        "an inner join with few": x().join(&small(), "key", JoinHow::Inner);
        "a join of texts": x().join(&small(), "s", JoinHow::Left);
        "a join of two columns": x().join(&x(), ["key", "few"], JoinHow::Inner);
        "a right join": small().join(&x(), "key", JoinHow::Right);
        "a full join": x().join(&small(), "key", JoinHow::Full);
        "a semi join": x().join(&small(), "key", JoinHow::Semi);
        "an anti join": x().join(&small(), "key", JoinHow::Anti);
        "a join with nulls": x().join_with(&small(), JoinOptions::on("key").nulls_equal(true));
        "pairs": x().cross_join(&small().head(3));
        "a join by the index": indexed().join(&x(), "id", JoinHow::Inner);
        "the nearest rows": indexed().join_asof(&indexed(), "id", AsofOptions::default());
        "the nearest rows of groups": indexed().join_asof(&indexed(), "id", AsofOptions::default().by("few"));
        "Parquet": Frame::read_parquet(path("parquet"));
        "some of Parquet": Frame::read_parquet(path("parquet")).filter(number().lt(9.0)).select(["id", "s"]);
        "groups of Parquet": Frame::read_parquet(path("parquet")).group_by(["key"]).agg([number().sum()]);
        "a join of Parquet": Frame::read_parquet(path("parquet")).join(&small(), "key", JoinHow::Inner);
        "CSV": Frame::read_csv(path("csv"));
        "sums of CSV": Frame::read_csv(path("csv")).agg([number().sum()]);
        "NDJSON": Frame::read_ndjson(path("ndjson"));
        "IPC": Frame::read_ipc(path("ipc"));
        "some of IPC": Frame::read_ipc(path("ipc")).filter(number().lt(9.0)).select(["id", "s"]);
    }
    let in_pieces = || x().repartition(1);
    let ways: [(&str, &dyn Fn() -> Frame); 3] = [
        ("", &|| x().with_columns([number() + 1.0])),
        (" in pieces", &in_pieces),
        (" of files", &|| Frame::read_parquet(path("parquet"))),
    ];
    for format in ["csv", "ndjson", "ipc", "parquet"] {
        for (of, frame) in ways {
            let target = path("written");
            let write =
                |on: &[&str]| measure_write(&frame(), Path::new(&target), format, on, &meter);
            add(&format!("{format}{of}"), &|| write(&[]));
            if format == "parquet" {
                add(&format!("directories{of}"), &|| write(&["few"]));
            }
        }
    }
    check(&all, problem);
}
