//! The memory that a process really uses stays near its limit: measured in child processes, each of
//! which runs one computation over a file 4 or 10 times larger than the limit.
//!
//! Not here: rechunks in which every new block needs every old one. One task of these does not fit.
//! What has to be held, because it can't be read again, is in `held_memory`.

use std::path::Path;

use dask_rs::prelude::*;

use crate::child::{Case, report, run_child};
use crate::common::{PeakMemory, mib};

/// The file: `N` by `N` of `f64`, 288 MiB. Much smaller, and what threads and allocators keep for
/// themselves would be a good part of the limit.
const N: u64 = 6144;
const DATA_BYTES: u64 = N * N * 8;
const CASES: [&str; 7] =
    ["write", "sum", "mean and std", "x + x.T", "anomaly", "to columns", "to tiles"];

#[test]
fn peaks_stay_near_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    if PeakMemory::start().bytes().is_none() {
        eprintln!("skipped: this system does not tell the peak of a process");
        return;
    }
    let mut failures = Vec::new();
    for factor in [4, 10] {
        let limit = DATA_BYTES / factor;
        let allowed = limit + limit * 15 / 100;
        for case in CASES {
            if case.starts_with("to") && factor == 10 {
                // Refused: one task of its plan would need more than the limit.
                continue;
            }
            let peak = run_child(module_path!(), case, limit, dir.path()).peak;
            eprintln!("{case}, limit {}: {}", mib(limit), mib(peak));
            if peak > allowed {
                failures.push(format!("{case}: {} of {}", mib(peak), mib(allowed)));
            }
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
        computed(64).rechunk([8, 8]).to_npy(small.path().join("x.npy")).unwrap();
        run(&case.name, small.path(), 64).unwrap();
        let memory = PeakMemory::start();
        run(&case.name, &case.dir, N).unwrap();
        report(memory.bytes().unwrap(), "");
    });
}

fn run(case: &str, dir: &Path, n: u64) -> Result<()> {
    let npy = dir.join("x.npy");
    let fresh = |name: &str| {
        let path = dir.join(name);
        // Left over from the case with another limit.
        let _ = std::fs::remove_dir_all(&path);
        path
    };
    let x: Array<f64> = if case == "write" { computed(n) } else { array::open_npy(&npy) };
    match case {
        "write" => x.to_npy(&npy),
        "sum" => check(x.sum(..).compute()?[[]], computed(n).sum(..).compute()?[[]]),
        "mean and std" => compute((x.mean(0), x.std(1))).map(drop),
        "x + x.T" => {
            let twice = (&x + x.transpose()).sum(..).compute()?[[]];
            check(twice, 2.0 * x.sum(..).compute()?[[]])
        }
        "anomaly" => {
            let path = fresh("anomaly.zarr");
            (&x - x.mean(0)).to_zarr(&path)?;
            let column: ndarray::Array1<f64> = (0..n).map(|i| (i % 7) as f64 * 0.1).collect();
            let mean = column.mean().unwrap();
            let expected = column.mapv(|value| (value - mean).abs()).mean().unwrap();
            check(array::open_zarr::<f64>(&path).abs().mean(..).compute()?[[]], expected)
        }
        "to columns" => x.rechunk([n, 16]).to_zarr(fresh("columns.zarr")),
        // Through rows to tiles, which divide neither each other nor the array, and in stages that are
        // not pushed into the read.
        "to tiles" => Config::new().with_optimize(false).scope(|| {
            x.rechunk([n / 61 + 1, n]).rechunk([n / 13, n / 13]).to_npy(dir.join("tiles.npy"))?;
            let back: Array<f64> = array::open_npy(dir.join("tiles.npy"));
            check((&back - &x).abs().sum(..).compute()?[[]] + 1.0, 1.0)
        }),
        other => panic!("no case {other}"),
    }
}

/// Something that has to be computed: sums of digits.
fn computed(n: u64) -> Array<f64> {
    let i = || array::arange(0.0, n as f64, 1.0, "auto");
    (i() % 7.0).expand_dims(1) * 0.1 + (i() % 5.0).expand_dims(0)
}

fn check(got: f64, expected: f64) -> Result<()> {
    assert!((got - expected).abs() <= 1e-9 * expected.abs(), "{got} is not {expected}");
    Ok(())
}
