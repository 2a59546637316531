//! The memory that a process really uses stays near its limit: measured in child processes, each of
//! which runs one computation over a file 4 or 10 times larger than the limit.
//!
//! What has to be held, because it can't be read again, is in `held_memory`.

use std::path::Path;

use dask_rs::prelude::*;

use crate::child::{self, Case, Peaks, WHOLE};

/// The file: `N` by `N` of `f64`, 200 MiB. Much smaller, and what threads and allocators keep for
/// themselves would be a good part of the limit.
const N: u64 = 5120;
/// So large as those of the smaller limit are by themselves.
const CHUNK_BYTES: u64 = 320 << 10;
/// Among them, in this order, the graphs for which Dask makes more blocks than it can hold: distributed#2602, dask#10384,
/// distributed#7274. The fourth, dask#5859, is in `held_memory`.
const CASES: [&str; 10] = [
    "write",
    "sum",
    "mean and std",
    "anomaly by month",
    "quadratic means",
    "far roots",
    "x + x.T",
    "anomaly",
    "to columns",
    "to tiles",
];

#[test]
fn peaks_stay_near_the_limit_and_bits_do_not_depend_on_it() {
    let Some(mut peaks) = Peaks::of(module_path!()) else { return };
    for case in CASES {
        // What comes from a file is read again from there. Tiles are made in two steps, each of which may write all and read it.
        let passes = if case == "to tiles" { 5.0 } else { 0.5 };
        peaks.check(case, N * N * 8, &[WHOLE, 4, 10], passes);
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
    let warm_up = || {
        computed(64).rechunk([8, 8]).to_npy(small.path().join("x.npy")).unwrap();
        run(&case.name, small.path(), 64).unwrap();
    };
    config.scope(|| child::measure(warm_up, || run(&case.name, &case.dir, N).unwrap()));
}

/// Runs a case over `n` by `n` elements; a digest of its results.
fn run(case: &str, dir: &Path, n: u64) -> Result<String> {
    let npy = dir.join("x.npy");
    let fresh = |name: &str| {
        let path = dir.join(name);
        // Left over from the case with another limit.
        let _ = std::fs::remove_dir_all(&path);
        path
    };
    let x: Array<f64> = if case == "write" { computed(n) } else { array::open_npy(&npy) };
    let mean = |f: &dyn Fn(u64) -> f64| (0..n).map(f).sum::<f64>() / n as f64;
    let results = match case {
        "write" => {
            x.to_npy(&npy)?;
            vec![]
        }
        "sum" => {
            let sum = x.sum(..).compute()?;
            check(sum[[]], (n * n) as f64 * (mean(&|i| value(i, 0)) + mean(&|j| value(0, j))));
            vec![sum]
        }
        "mean and std" => {
            let (means, stds) = compute((x.mean(0), x.std(1)))?;
            let column = |j: u64| mean(&|i| value(i, j));
            check(means[[3]], column(3));
            let centre = mean(&|j| value(6, j));
            check(stds[[6]], mean(&|j| (value(6, j) - centre).powi(2)).sqrt());
            vec![means, stds]
        }
        // Means of groups of rows go back to each of their rows.
        "anomaly by month" => {
            let months = x.group_by_axis(0, (0..n).map(|i| i % 12));
            let anomaly = &x - months.expand(&months.mean());
            let variance = anomaly.square().mean(0).compute()?;
            let of_month = |month: u64| {
                let rows = (0..n).filter(|i| i % 12 == month);
                rows.clone().map(|i| value(i, 3)).sum::<f64>() / rows.count() as f64
            };
            let means: Vec<f64> = (0..12).map(of_month).collect();
            check(variance[[3]], mean(&|i| (value(i, 3) - means[(i % 12) as usize]).powi(2)));
            vec![variance]
        }
        // Three means that share two inputs.
        "quadratic means" => {
            let (u, v) = (&x, &x.slice(s![..;-1, ..]));
            let (uu, vv, uv) = compute((u.square().mean(0), v.square().mean(0), (u * v).mean(0)))?;
            check(uu[[3]], mean(&|i| value(i, 3).powi(2)));
            check(vv[[3]], uu[[3]]);
            check(uv[[3]], mean(&|i| value(i, 3) * value(n - 1 - i, 3)));
            vec![uu, vv, uv]
        }
        // Roots that nothing is fused with, and a step for which those of a whole column have to come together.
        "far roots" => {
            let roots = x.map_blocks(|block, _| block.to_owned());
            let all = (&roots - roots.map_blocks(|block, _| block.mapv(|v| v / 2.0))).max(0);
            let largest = all.map_blocks(|block, _| block.to_owned()).compute()?;
            check(largest[[4]], (0.6 + 4.0) / 2.0);
            vec![largest]
        }
        "x + x.T" => {
            let twice = (&x + x.transpose()).mean(0).compute()?;
            check(twice[[3]], mean(&|i| value(i, 3) + value(3, i)));
            vec![twice]
        }
        "anomaly" => {
            let path = fresh("anomaly.zarr");
            (&x - x.mean(0)).to_zarr(&path)?;
            let centre = mean(&|i| value(i, 0));
            let deviations = array::open_zarr::<f64>(&path).abs().mean(0).compute()?;
            check(deviations[[3]], mean(&|i| (value(i, 0) - centre).abs()));
            vec![deviations]
        }
        "to columns" => {
            let path = fresh("columns.zarr");
            x.rechunk([n, 16]).to_zarr(&path)?;
            let columns: Array<f64> = array::open_zarr(&path);
            vec![compute_weighted(&columns)?]
        }
        // Through rows to tiles, which divide neither each other nor the array, and in stages that are
        // not pushed into the read.
        "to tiles" => Config::new().with_optimize(false).scope(|| {
            x.rechunk([n / 61 + 1, n]).rechunk([n / 13, n / 13]).to_npy(dir.join("tiles.npy"))?;
            Ok(vec![compute_weighted(&array::open_npy(dir.join("tiles.npy")))?])
        })?,
        other => panic!("no case {other}"),
    };
    Ok(child::digest(results.iter().flatten().map(|value| value.to_bits())))
}

/// A sum by columns in which each place has its own part, which is what it should be.
fn compute_weighted(x: &Array<f64>) -> Result<ndarray::ArrayD<f64>> {
    let n = x.shape()?[0];
    let weights = array::arange(0.0, n as f64, 1.0, "auto") % 13.0;
    let sums = (x * weights.expand_dims(1)).sum(0).compute()?;
    for j in [0, 3, n - 1] {
        check(sums[[j as usize]], (0..n).map(|i| value(i, j) * (i % 13) as f64).sum());
    }
    Ok(sums)
}

/// Sums of digits.
fn value(i: u64, j: u64) -> f64 {
    (i % 7) as f64 * 0.1 + (j % 5) as f64
}

/// The same, which have to be computed.
fn computed(n: u64) -> Array<f64> {
    let i = || array::arange(0.0, n as f64, 1.0, "auto");
    (i() % 7.0).expand_dims(1) * 0.1 + (i() % 5.0).expand_dims(0)
}

fn check(got: f64, expected: f64) {
    assert!((got - expected).abs() <= 1e-9 * expected.abs(), "{got} is not {expected}");
}
