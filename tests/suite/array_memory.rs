//! Functions that see more than their own block, on data 4 times larger than the limit: measured in child processes, the peak
//! stays near the limit, and bits do not depend on it.

use std::path::Path;

use dask_rs::array::linalg::svd;
use dask_rs::array::{Boundary, QuantileMethod};
use dask_rs::prelude::*;
use ndarray::{ArrayViewD, Axis};

use crate::child::{self, Case, Peaks, WHOLE};

/// The file: rows and columns of `f64`, 32 MiB.
const ROWS: u64 = 4096;
const COLUMNS: u64 = 1024;
const CHUNK: u64 = 128;
const DATA_BYTES: u64 = ROWS * COLUMNS * 8;
const CASES: [&str; 10] = [
    "overlap",
    "labels",
    "own reduction",
    "quantile",
    "quantile of anomalies",
    "windows",
    "groups",
    "medians of groups",
    "zarr",
    "svd",
];

#[test]
fn peaks_stay_near_the_limit_and_bits_do_not_depend_on_it() {
    let Some(mut peaks) = Peaks::of(module_path!()) else { return };
    let chunks = [CHUNK as i64; 2];
    numbers(ROWS).to_npy(peaks.dir().join("x.npy")).unwrap();
    numbers(ROWS).rechunk(chunks).to_zarr(peaks.dir().join("x.zarr")).unwrap();
    for case in CASES {
        peaks.check(case, DATA_BYTES, &[WHOLE, 2, 4], 3.0);
    }
    peaks.finish();
}

/// Runs one case, if this process is a child.
#[test]
fn child() {
    let Some(case) = Case::of_this_process() else { return };
    let config = Config::new().with_memory_limit(case.limit).with_threads(2);
    let config = config.with_chunk_bytes(CHUNK * CHUNK * 8).with_spill_directory(&case.dir);
    // With fewer rows first.
    let small = tempfile::tempdir().unwrap();
    let warm_up = || {
        numbers(ROWS / 8).to_npy(small.path().join("x.npy")).unwrap();
        numbers(ROWS / 8).to_zarr(small.path().join("x.zarr")).unwrap();
        run(&case.name, small.path(), ROWS / 8).unwrap();
    };
    config.scope(|| child::measure(warm_up, || run(&case.name, &case.dir, ROWS).unwrap()));
}

/// Sums of digits, which differ along both axes.
fn numbers(rows: u64) -> Array<f64> {
    let i = |n: u64| array::arange(0.0, n as f64, 1.0, CHUNK);
    ((i(rows) * 7.0) % 101.0).expand_dims(1) * 0.1 + ((i(COLUMNS) * 5.0) % 37.0).expand_dims(0)
}

fn run(case: &str, dir: &Path, rows: u64) -> Result<String> {
    let x: Array<f64> = array::open_npy(dir.join("x.npy"));
    let x = x.rechunk([CHUNK as i64; 2]);
    let months = || (0..rows).map(|i| i % 12);
    let results = match case {
        "overlap" => {
            let smooth = |x: ArrayViewD<'_, f64>| {
                let mut y = x.to_owned();
                for i in 1..x.len_of(Axis(0)) - 1 {
                    let both = &x.index_axis(Axis(0), i - 1) + &x.index_axis(Axis(0), i + 1);
                    y.index_axis_mut(Axis(0), i).zip_mut_with(&both, |y, both| *y += both);
                }
                y
            };
            let y = x.map_overlap(1, Boundary::Reflect, move |x, _| smooth(x));
            vec![y.sum(0).compute()?]
        }
        "labels" => {
            let (labels, n) = x.gt(25.0).label(2);
            let (largest, per_row, n) = compute((labels.max(0), labels.gt(0).count_nonzero(1), n))?;
            assert_eq!(largest.iter().max(), n.first());
            vec![largest.mapv(|x| x as f64), per_row.mapv(|x| x as f64)]
        }
        "own reduction" => vec![
            x.reduction(
                0,
                |x, _| {
                    let largest = x.fold_axis(Axis(0), f64::MIN, |a, b| a.max(*b));
                    [x.sum_axis(Axis(0)), largest].map(|part| part.insert_axis(Axis(0)))
                },
                |[sum_a, max_a], [sum_b, max_b]| {
                    let max = ndarray::Zip::from(&max_a).and(&max_b);
                    [&sum_a + &sum_b, max.map_collect(|a, b| a.max(*b))]
                },
                |[sum, max]| &sum / &max,
            )
            .compute()?,
        ],
        "quantile" => vec![x.quantile([0.1, 0.9], QuantileMethod::Linear, 0).compute()?],
        "quantile of anomalies" => {
            let anomaly = (&x - x.mean(1).expand_dims(1)).abs();
            vec![anomaly.quantile(0.5, QuantileMethod::Linear, 0).compute()?]
        }
        "windows" => vec![x.sliding_window_view([(0, 5)]).mean(-1).max(0).compute()?],
        "groups" => {
            let groups = x.group_by_axis(0, months());
            let deviation = (&x - groups.expand(&groups.mean())).square().mean(0);
            let (mean, deviation) = compute((groups.mean(), deviation))?;
            vec![mean, deviation]
        }
        "medians of groups" => vec![x.group_by_axis(0, months()).median().compute()?],
        "zarr" => {
            let path = dir.join("y.zarr");
            let _ = std::fs::remove_dir_all(&path);
            let x: Array<f64> = array::open_zarr(dir.join("x.zarr"));
            (x * 2.0).rechunk([64, 256]).to_zarr(&path)?;
            vec![array::open_zarr::<f64>(&path).sum(1).compute()?]
        }
        "svd" => {
            let i = |n: u64, chunk: u64| array::arange(0.0, n as f64, 1.0, [chunk as i64]);
            let phase = (i(rows * 32, CHUNK * 4) * 7.0) % 101.0;
            let x = (phase.expand_dims(1) * 0.01 * (i(32, 32) + 1.0).expand_dims(0)).sin();
            let (u, s, v) = svd(&x);
            let (squares, s, v) = compute((u.square().sum(0), s, v.abs()))?;
            assert!(squares.iter().all(|square| (square - 1.0).abs() < 1e-9), "{squares}");
            vec![squares, s, v]
        }
        other => panic!("no case {other}"),
    };
    Ok(child::digest(results.iter().flatten().map(|value| value.to_bits())))
}
