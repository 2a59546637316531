//! The memory that a process really uses stays near its limit: measured in child processes, each of
//! which runs one operation on a frame that is 4 times larger than the limit.

use std::path::Path;
use std::sync::Arc;

use dask_rs::frame::polars_core::df;
use dask_rs::frame::polars_core::prelude::{DataFrame, Schema, SchemaRef};
use dask_rs::frame::{DataFrame as Frame, IfExists, JoinHow, ParquetWriteOptions, col, len};
use dask_rs::{Config, Result};

use crate::child::{Case, report, run_child};
use crate::common::{PeakMemory, mib};

/// Partitions as they are made, their rows, and the bytes of all of them: three columns of 8 bytes.
const N_PARTS: u64 = 160;
const PART_ROWS: u64 = 20_000;
const DATA_BYTES: u64 = N_PARTS * PART_ROWS * 24;
const CASES: [&str; 6] = ["write", "few groups", "many groups", "sort", "join", "set_index"];

#[test]
fn peaks_stay_near_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    if PeakMemory::start().bytes().is_none() {
        eprintln!("skipped: this system does not tell the peak of a process");
        return;
    }
    let limit = DATA_BYTES / 4;
    let mut failures = Vec::new();
    for case in CASES {
        // FIXME: sorts by ranges were seen to take up to 1.7 times a limit as small as this one.
        let percent = if matches!(case, "sort" | "set_index") { 200 } else { 115 };
        let allowed = limit * percent / 100;
        let peak = run_child(module_path!(), case, limit, dir.path()).peak;
        eprintln!("{case}, limit {}: {}", mib(limit), mib(peak));
        if peak > allowed {
            failures.push(format!("{case}: {} of {}", mib(peak), mib(allowed)));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

/// Runs one case, if this process is a child.
#[test]
fn child() {
    let Some(case) = Case::of_this_process() else { return };
    let config = Config::new().with_memory_limit(case.limit).with_threads(2);
    config.scope(|| {
        // The same in small first: threads and the pages of the program itself are no data.
        let small = tempfile::tempdir().unwrap();
        made(4, 100).to_parquet(small.path().join("x")).unwrap();
        run(&case.name, small.path(), 4, 100).unwrap();
        let memory = PeakMemory::start();
        run(&case.name, &case.dir, N_PARTS, PART_ROWS).unwrap();
        report(memory.bytes().unwrap(), "");
    });
}

fn run(case: &str, dir: &Path, n_parts: u64, part_rows: u64) -> Result<()> {
    let n = n_parts * part_rows;
    let mut options = ParquetWriteOptions::default();
    options.if_exists = IfExists::Overwrite;
    let x = || Frame::read_parquet(dir.join("x"));
    match case {
        "write" => made(n_parts, part_rows).to_parquet_with(dir.join("x"), &options)?,
        "few groups" => {
            let groups = x().group_by([col("key") % 10]).agg([col("v").sum(), len()]).compute()?;
            assert_eq!(groups.height(), 10);
        }
        "many groups" => {
            let out = dir.join("groups");
            x().group_by(["key"]).agg([col("v").mean(), len()]).to_parquet_with(&out, &options)?;
            assert_eq!(Frame::read_parquet(&out).len()?, n);
        }
        "sort" | "set_index" => {
            let out = dir.join(case);
            let sorted = if case == "sort" { x().sort("key", true) } else { x().set_index("key") };
            sorted.to_parquet_with(&out, &options)?;
            let first = Frame::read_parquet(out.join("part.00000.parquet")).head(1).compute()?;
            let first = first.column("key").unwrap().i64().unwrap().get(0);
            assert_eq!(first, Some(if case == "sort" { n as i64 - 1 } else { 0 }));
            assert_eq!(Frame::read_parquet(&out).len()?, n);
        }
        "join" => {
            let joined = x().join(&x().select([col("key"), col("w")]), "key", JoinHow::Inner);
            let out = joined.agg([len(), (col("w") - col("w_right")).abs().sum()]).compute()?;
            assert_eq!(out.columns()[0].get(0).unwrap().try_extract::<u64>().unwrap(), n);
            assert_eq!(out.columns()[1].get(0).unwrap().try_extract::<f64>().unwrap(), 0.0);
        }
        other => panic!("no case {other}"),
    }
    Ok(())
}

/// Keys in an order of their own, each once.
fn made(n_parts: u64, part_rows: u64) -> Frame {
    let n = n_parts * part_rows;
    // A step that has no factor in common with `n` visits every key.
    let step = (n * 618 / 1000) | 1;
    let step = (step..).find(|step| gcd(*step, n) == 1).unwrap();
    let rows = move |part: usize| -> DataFrame {
        let start = part as u64 * part_rows;
        let key: Vec<i64> = (start..start + part_rows)
            .map(|i| (u128::from(i) * u128::from(step) % u128::from(n)) as i64)
            .collect();
        let v: Vec<f64> = key.iter().map(|key| *key as f64 * 0.5).collect();
        let w: Vec<f64> = key.iter().map(|key| (key % 1000) as f64).collect();
        df!["key" => key, "v" => v, "w" => w].unwrap()
    };
    let schema: SchemaRef = Arc::new(Schema::clone(rows(0).schema()));
    let parts: Vec<u32> = (0..n_parts as u32).collect();
    Frame::from_polars(&df!["part" => parts].unwrap(), n_parts as usize)
        .map_partitions(schema, move |_, part| Ok(rows(part)))
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
