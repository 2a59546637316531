//! The memory that a process really uses stays near its limit: measured in child processes, each of
//! which runs one operation on a frame that is 4 and 10 times larger than the limit.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dask_rs::frame::polars_core::df;
use dask_rs::frame::polars_core::prelude::{DataFrame, DataType, Schema, SchemaRef};
use dask_rs::frame::{DataFrame as Frame, IfExists, JoinHow, ParquetWriteOptions, col, len};
use dask_rs::{Config, Result};

use crate::child::{self, Case, Peaks};

/// Partitions as they are made, their rows, and the bytes of all of them: three columns of 8 bytes.
const N_PARTS: u64 = 160;
const PART_ROWS: u64 = 20_000;
const DATA_BYTES: u64 = N_PARTS * PART_ROWS * 24;
/// The same partitions under each limit, from which follow the same bits: what the smallest one would have by itself.
const CHUNK_BYTES: u64 = DATA_BYTES / 10 / 64;
const CASES: [&str; 6] = ["write", "few groups", "many groups", "sort", "join", "set_index"];

#[test]
fn peaks_stay_near_the_limit_and_bits_do_not_depend_on_it() {
    let Some(mut peaks) = Peaks::of(module_path!()) else { return };
    for case in CASES {
        // What a shuffle writes does not grow as the limit becomes smaller.
        peaks.check(case, DATA_BYTES, &[4, 10], 1.5);
    }
    peaks.finish();
}

/// Runs one case, if this process is a child.
#[test]
fn child() {
    let Some(case) = Case::of_this_process() else { return };
    let config = Config::new().with_memory_limit(case.limit).with_threads(2);
    let config = config.with_chunk_bytes(CHUNK_BYTES).with_spill_directory(&case.dir);
    let small = tempfile::tempdir().unwrap();
    // It has to go the same ways, through several partitions and files of shuffles, and so has a limit as small.
    let warm_up = || {
        Config::new().with_memory_limit(2 << 20).with_chunk_bytes(16 << 10).scope(|| {
            made(8, 2000).to_parquet(small.path().join("x")).unwrap();
            run(&case.name, small.path(), 8, 2000).unwrap();
        });
    };
    let run = || run(&case.name, &case.dir, N_PARTS, PART_ROWS).unwrap();
    config.scope(|| child::measure(warm_up, run));
}

/// Runs a case; a digest of its rows, in their order.
fn run(case: &str, dir: &Path, n_parts: u64, part_rows: u64) -> Result<String> {
    let n = n_parts * part_rows;
    let mut options = ParquetWriteOptions::default();
    options.if_exists = IfExists::Overwrite;
    let x = || Frame::read_parquet(dir.join("x"));
    let out = dir.join("out");
    // How many rows, the sum of their keys, and how wrong other columns are.
    let of_all = [n as f64, (n * (n - 1) / 2) as f64, 0.0];
    match case {
        "write" => made(n_parts, part_rows).to_parquet_with(dir.join("x"), &options)?,
        "few groups" => {
            let tenths = (col("v") * 0.1).sum().alias("tenths");
            let aggs = [col("v").sum(), len(), tenths];
            let groups = x().group_by([col("key") % 10]).agg(aggs).compute()?;
            assert_eq!(groups.height(), 10);
            for row in 0..10 {
                let number = |column: usize| {
                    groups.columns()[column].get(row).unwrap().try_extract::<f64>().unwrap()
                };
                let keys = || (0..n).filter(|key| key % 10 == number(0) as u64);
                assert_eq!(number(1), keys().sum::<u64>() as f64 * 0.5);
                assert_eq!(number(2), keys().count() as f64);
                // Its last bits depend on what is added to what.
                assert!((number(3) - number(1) * 0.1).abs() < 1e-9 * number(1));
            }
            return Ok(format!("{:016x}", digest(0, &groups)));
        }
        "many groups" => {
            x().group_by(["key"]).agg([col("v").mean(), len()]).to_parquet_with(&out, &options)?;
            let groups = Frame::read_parquet(&out);
            let wrong = (col("v") - col("key") * 0.5).abs() + (col("len") - 1);
            assert_eq!(numbers(&groups.agg([len(), col("key").sum(), wrong.sum()]))?, of_all);
        }
        "sort" | "set_index" => {
            let sorted = if case == "sort" { x().sort("key", true) } else { x().set_index("key") };
            sorted.to_parquet_with(&out, &options)?;
            check_order(&out, n, case == "sort")?;
        }
        "join" => {
            let joined = x().join(&x().select([col("key"), col("w")]), "key", JoinHow::Inner);
            joined.to_parquet_with(&out, &options)?;
            let wrong = (col("w") - col("w_right")).abs() + (col("v") - col("key") * 0.5).abs();
            let rows = Frame::read_parquet(&out);
            assert_eq!(numbers(&rows.agg([len(), col("key").sum(), wrong.sum()]))?, of_all);
        }
        other => panic!("no case {other}"),
    }
    let mut mixed = 0;
    for file in files(&if case == "write" { dir.join("x") } else { out }) {
        mixed = digest(mixed, &Frame::read_parquet(file).compute()?);
    }
    Ok(format!("{mixed:016x}"))
}

/// The one row of a frame of numbers.
fn numbers(frame: &Frame) -> Result<[f64; 3]> {
    let row = frame.compute()?;
    Ok([0, 1, 2].map(|i| row.columns()[i].get(0).unwrap().try_extract().unwrap()))
}

/// The files in a directory, in their order.
fn files(dir: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(dir).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

/// The bits of all rows and columns, in their order, mixed with those before.
fn digest(before: u64, rows: &DataFrame) -> u64 {
    let mut mixed = before;
    for column in rows.columns() {
        let column = column.cast(&DataType::Float64).unwrap();
        let bits = column.f64().unwrap().iter().map(|v| v.map_or(1, f64::to_bits));
        mixed = bits.fold(mixed, |mixed, bits| (mixed ^ bits).wrapping_mul(0x100_0000_01b3));
    }
    mixed
}

/// Checks that the files in a directory have all rows in the order of their keys.
fn check_order(dir: &Path, n: u64, is_descending: bool) -> Result<()> {
    let mut next = 0;
    for file in files(dir) {
        let rows = Frame::read_parquet(file).compute()?;
        let (v, w) =
            (rows.column("v").unwrap().f64().unwrap(), rows.column("w").unwrap().f64().unwrap());
        for (i, key) in rows.column("key").unwrap().i64().unwrap().iter().enumerate() {
            let expected = if is_descending { n - 1 - next } else { next };
            assert_eq!(key, Some(expected as i64));
            assert_eq!(v.get(i), Some(expected as f64 * 0.5));
            assert_eq!(w.get(i), Some((expected % 1000) as f64));
            next += 1;
        }
    }
    assert_eq!(next, n);
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
