//! Persisted frames that are larger than their share of the memory limit lie partly on disk.

use dask_rs::frame::{DataFrame, col, len};
use dask_rs::{Config, explain};
use polars_core::df;
use polars_core::prelude::{IntoColumn, NamedFrom, Series};

const N: i64 = 40_000;

#[test]
fn a_persisted_frame_may_be_larger_than_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    let names: Vec<Option<String>> =
        (0..N).map(|i| (i % 7 > 0).then(|| format!("name number {}", i % 100))).collect();
    let mut rows = df!["k" => (0..N).collect::<Vec<_>>(), "x" => (0..N).map(|i| i as f64 / 8.0).collect::<Vec<_>>()].unwrap();
    rows.with_column(Series::new("name".into(), names).into_column()).unwrap();
    // About 1.3 MB, and the half of one MB for what is kept.
    let config = Config::new().with_memory_limit(1_000_009).with_chunk_bytes(60_000);
    config.with_spill_directory(dir.path()).scope(|| {
        let n_files = || std::fs::read_dir(dir.path()).unwrap().count();
        let frame = DataFrame::from_polars(&rows, 20).with_columns([(col("x") * 2.0).alias("y")]);
        let kept = frame.set_index("k").persist().unwrap();
        assert!(n_files() > 0);
        assert!(explain(&kept).unwrap().bytes_read() > 500_000);
        let expected = frame.compute().unwrap();
        assert!(kept.compute().unwrap().equals_missing(&expected));
        // What is known of partitions stays known of those on disk.
        assert_eq!(kept.len().unwrap(), N as u64);
        let explained = explain(kept.loc(100..=150)).unwrap();
        assert_eq!(explained.n_tasks(), Some(1), "{explained}");
        let part = kept.loc(100..=150).compute().unwrap();
        assert!(part.equals_missing(&expected.slice(100, 51)));
        let groups = kept.group_by(["name"]).agg([len(), col("y").sum()]).sort("name", false);
        let right = frame.group_by(["name"]).agg([len(), col("y").sum()]).sort("name", false);
        assert!(groups.compute().unwrap().equals_missing(&right.compute().unwrap()));
        drop((kept, groups));
        assert_eq!(n_files(), 0, "nothing is left");
        let refused = Config::new().with_spill_limit(1000).scope(|| frame.persist().map(|_| ()));
        let error = refused.unwrap_err().to_string();
        assert!(error.contains("DASK_RS_SPILL_LIMIT"), "{error}");
        assert_eq!(n_files(), 0);
    });
}
