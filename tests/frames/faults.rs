//! Whatever goes wrong, wherever it does: the error says what, old files stay whole, nothing temporary is left, and what
//! runs next succeeds.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use dask_rs::frame::polars_core::prelude::{
    Column, DataFrame, NamedFrom, PolarsError, Schema, SchemaRef, Series,
};
use dask_rs::frame::{
    CsvWriteOptions, DataFrame as Frame, IfExists, IpcWriteOptions, JoinHow, NdjsonWriteOptions,
    ParquetWriteOptions, col, len,
};
use dask_rs::{Config, ExecutorKind, Result};

use crate::child::{Case, output_of_child, wait_to_be_killed};
use crate::trouble::{Script, Trouble, check_error, names, threads_and_files};

const N_PARTS: usize = 8;
const PART_ROWS: usize = 1000;

/// What the error of a partition that fails says.
const REFUSED: [&str; 2] = ["refused on purpose", "faults.rs"];
const TROUBLES: [Trouble; 3] = [Trouble::Fails, Trouble::Panics, Trouble::Cancels];

/// Rows `part` of a frame whose keys are each there once.
fn rows(part: usize) -> DataFrame {
    let n = N_PARTS * PART_ROWS;
    let keys = (part * PART_ROWS..(part + 1) * PART_ROWS).map(|i| (i * 1237 % n) as i64);
    let keys: Vec<i64> = keys.collect();
    let texts = keys
        .iter()
        .map(|key| format!("{key} {:x}", (*key as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)));
    let texts: Vec<String> = texts.collect();
    let columns: Vec<Column> =
        vec![Series::new("key".into(), keys).into(), Series::new("text".into(), texts).into()];
    DataFrame::new(PART_ROWS, columns).unwrap()
}

/// All rows.
fn whole() -> DataFrame {
    (0..N_PARTS).map(rows).reduce(|all, rows| all.vstack(&rows).unwrap()).unwrap()
}

/// The same, in partitions that do what the script says.
fn scripted() -> (Arc<Script>, Frame) {
    let script = Arc::new(Script::default());
    let schema: SchemaRef = Arc::new(Schema::clone(rows(0).schema()));
    let of_parts = Arc::clone(&script);
    let frame = Frame::from_polars(&whole(), N_PARTS).map_partitions(schema, move |rows, _| {
        match of_parts.trouble(&of_parts.n_tasks) {
            Some(Trouble::Fails | Trouble::IsShort) => {
                return Err(PolarsError::ComputeError("refused on purpose".into()));
            }
            Some(Trouble::Panics) => panic!("on purpose"),
            Some(Trouble::IsKilled) => wait_to_be_killed(),
            Some(Trouble::Cancels) => of_parts.cancel(),
            None => {}
        }
        Ok(rows)
    });
    (script, frame)
}

/// So little that shuffles write files. The optimizer would see that sums need neither an order nor texts.
fn tight(dir: &Path, executor: ExecutorKind) -> Config {
    let config = Config::new().with_memory_limit(512 << 10).with_chunk_bytes(8 << 10);
    let config = config.with_threads(2).with_optimize(false);
    config.with_spill_directory(dir).with_executor(executor)
}

/// The operations that move rows, each of which leaves the number of rows and the sum of the keys.
fn operations(x: &Frame) -> Vec<(&'static str, Frame)> {
    let sums = || [len(), col("key").sum()];
    let groups = x.group_by(["key"]).agg([col("text").first()]);
    vec![
        ("sort", x.sort("text", false).agg(sums())),
        ("set_index", x.set_index("key").agg(sums())),
        ("join", x.join(x, "key", JoinHow::Inner).agg(sums())),
        ("group_by", groups.agg(sums())),
    ]
}

fn check_sums(sums: &DataFrame) {
    let n = (N_PARTS * PART_ROWS) as i64;
    let number = |i: usize| sums.columns()[i].get(0).unwrap().try_extract::<i64>().unwrap();
    assert_eq!([number(0), number(1)], [n, n * (n - 1) / 2]);
}

/// Runs a case in a process of its own, where nobody else opens files.
#[track_caller]
fn run_alone(case: &str) {
    let dir = tempfile::tempdir().unwrap();
    let output = output_of_child(module_path!(), case, 0, dir.path());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn trouble_at_any_partition_leaves_nothing_behind() {
    run_alone("troubles");
}

fn troubles(dir: &Path) {
    let (script, x) = scripted();
    for executor in [ExecutorKind::Serial, ExecutorKind::Threaded] {
        for (name, frame) in operations(&x) {
            let run = |trouble| {
                let cancel = script.set(trouble);
                tight(dir, executor).scope(|| dask_rs::compute_with(&frame, &cancel))
            };
            check_sums(&run(None).unwrap());
            let before = threads_and_files();
            for trouble in TROUBLES {
                for k in [0, N_PARTS / 2, N_PARTS - 1] {
                    check_error(trouble, &run(Some((trouble, k))).unwrap_err(), &REFUSED);
                    assert!(names(dir).is_empty(), "{name}, {executor:?}, {trouble:?} at {k}");
                    check_sums(&run(None).unwrap());
                }
            }
            assert_eq!(threads_and_files(), before, "{name}, {executor:?}");
        }
    }
}

/// How a frame is written.
const FORMATS: [&str; 5] = ["parquet", "csv", "one csv", "ndjson", "ipc"];

fn write(format: &str, frame: &Frame, dir: &Path) -> Result<()> {
    let path = dir.join(format);
    match format {
        "parquet" => {
            let mut options = ParquetWriteOptions::default();
            options.if_exists = IfExists::Overwrite;
            frame.to_parquet_with(path, &options)
        }
        "csv" | "one csv" => {
            let mut options = CsvWriteOptions::default();
            options.if_exists = IfExists::Overwrite;
            frame.to_csv_with(path, &options, format == "one csv")
        }
        "ndjson" => {
            let mut options = NdjsonWriteOptions::default();
            options.if_exists = IfExists::Overwrite;
            frame.to_ndjson_with(path, &options, false)
        }
        _ => {
            let mut options = IpcWriteOptions::default();
            options.if_exists = IfExists::Overwrite;
            frame.to_ipc_with(path, &options)
        }
    }
}

/// How many bytes of rows there are in a file, or in the files of a directory.
fn bytes_of(path: &Path) -> u64 {
    match path.is_dir() {
        true => names(path).iter().map(|name| bytes_of(&path.join(name))).sum(),
        false => fs::metadata(path).unwrap().len(),
    }
}

/// Puts the first rows there; what they take.
fn write_old(format: &str, dir: &Path) -> u64 {
    write(format, &Frame::from_polars(&rows(0), 2), dir).unwrap();
    bytes_of(&dir.join(format))
}

#[test]
fn a_write_with_trouble_at_any_partition_leaves_what_was_there() {
    run_alone("writes");
}

fn writes() {
    for format in FORMATS {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let old = write_old(format, dir);
        let (script, x) = scripted();
        let before = threads_and_files();
        for trouble in TROUBLES {
            // A write that is cancelled when all partitions are made may be complete.
            for k in 0..N_PARTS - usize::from(trouble == Trouble::Cancels) {
                let cancel = script.set(Some((trouble, k)));
                let error = cancel.scope(|| write(format, &x, dir)).unwrap_err();
                check_error(trouble, &error, &REFUSED);
                assert_eq!(names(dir), [format], "{format}, {trouble:?} at {k}");
                assert_eq!(bytes_of(&dir.join(format)), old);
            }
        }
        assert_eq!(threads_and_files(), before, "{format}");
        script.set(None);
        write(format, &x, dir).unwrap();
        assert!(bytes_of(&dir.join(format)) > 7 * old, "all partitions");
        assert_eq!(names(dir), [format]);
    }
}

#[cfg(unix)]
#[test]
fn a_process_that_is_killed_while_it_writes_leaves_what_was_there() {
    for format in FORMATS {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let old = write_old(format, dir);
        crate::child::kill_child(module_path!(), &format!("kill {format}"), 0, dir);
        assert_eq!(names(dir).len(), 2, "{format}: it had no time to clean up");
        assert_eq!(bytes_of(&dir.join(format)), old);
        let (_, x) = scripted();
        write(format, &x, dir).unwrap();
        assert_eq!(names(dir), [format], "the next one who writes there does");
    }
}

#[cfg(unix)]
#[test]
fn what_a_process_that_is_killed_has_spilled_goes_with_the_next_run() {
    let dir = tempfile::tempdir().unwrap();
    crate::child::kill_child(module_path!(), "kill spill", 0, dir.path());
    assert!(!names(dir.path()).is_empty(), "it had no time to clean up");
    let (_, x) = scripted();
    tight(dir.path(), ExecutorKind::Serial).scope(|| {
        for (_, frame) in operations(&x) {
            check_sums(&frame.compute().unwrap());
        }
    });
    assert!(names(dir.path()).is_empty(), "{:?}", names(dir.path()));
}

#[cfg(unix)]
#[test]
fn a_full_disk_is_said_and_leaves_what_was_there() {
    for format in FORMATS {
        let dir = tempfile::tempdir().unwrap();
        let old = write_old(format, dir.path());
        let case = format!("full {format}");
        let max = 64 << 10;
        let output = crate::child::output_with_full_disk(module_path!(), &case, max, dir.path());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(names(dir.path()), [format]);
        assert_eq!(bytes_of(&dir.path().join(format)), old);
    }
    let dir = tempfile::tempdir().unwrap();
    let case = "full shuffles";
    let output = crate::child::output_with_full_disk(module_path!(), case, 16 << 10, dir.path());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Moves rows while files can't become large, in a process of which that is true.
fn shuffle_on_full_disk(dir: &Path) {
    let (_, x) = scripted();
    for executor in [ExecutorKind::Serial, ExecutorKind::Threaded] {
        let mut before = None;
        for (name, frame) in operations(&x) {
            let got = tight(dir, executor).scope(|| frame.compute());
            let text = got.map(|_| format!("{name} wrote nothing")).unwrap_err().to_string();
            assert!(text.contains("too large") && text.contains("faults.rs"), "{name}: {text}");
            assert!(text.contains(dir.to_str().unwrap()), "{name}: {text}");
            assert!(names(dir).is_empty(), "{name}");
            // What fits does as before.
            let roomy = tight(dir, executor).with_memory_limit(64 << 20);
            check_sums(&roomy.scope(|| frame.compute()).unwrap());
            let now = threads_and_files();
            assert_eq!(*before.get_or_insert(now), now, "{name}, {executor:?}");
        }
    }
}

/// Writes one partition that is larger than files may be.
fn write_to_full_disk(format: &str, dir: &Path) {
    let error = write(format, &Frame::from_polars(&whole(), 1), dir).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(dir.join(format).to_str().unwrap()), "{text}");
    assert!(text.contains("too large"), "{text}");
}

/// Does one case, if this process is a child.
#[test]
fn child() {
    let Some(case) = Case::of_this_process() else { return };
    let dir = case.dir.as_path();
    match case.name.split_once(' ') {
        None if case.name == "writes" => writes(),
        None => troubles(dir),
        Some(("full", "shuffles")) => shuffle_on_full_disk(dir),
        Some(("full", format)) => write_to_full_disk(format, dir),
        Some((_, what)) => {
            let (script, x) = scripted();
            script.set(Some((Trouble::IsKilled, N_PARTS - 1)));
            match what {
                "spill" => tight(dir, ExecutorKind::Serial)
                    .scope(|| x.sort("key", false).compute())
                    .map(drop),
                // One task after the other, each of which writes what it has made.
                format => {
                    let serial = Config::new().with_executor(ExecutorKind::Serial);
                    serial.scope(|| write(format, &x, dir))
                }
            }
            .unwrap();
        }
    }
}
