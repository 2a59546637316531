//! Data that is needed twice and can't be read again, 4 and 10 times larger than the limit: measured in
//! child processes, the peak stays near the limit, and the bits of results don't depend on it.

use dask_rs::prelude::*;
use ndarray::ArrayD;

use crate::child::{self, Case, Peaks, WHOLE};

/// The chunks are the same whatever the limit, from which follow the same bits.
const CHUNK: u64 = 128;
/// The cases, and the length of both axes of their data of `f64`.
const CASES: [(&str, u64); 6] = [
    ("anomaly", 4608),
    ("transposed means", 2048),
    ("persisted", 4608),
    ("two reductions", 3072),
    ("rows to columns", 4096),
    ("columns to rows", 4096),
];

fn data_bytes(n: u64) -> u64 {
    n * n * 8
}

#[test]
fn peaks_stay_near_the_limit_and_bits_do_not_depend_on_it() {
    let Some(mut peaks) = Peaks::of(module_path!()) else { return };
    for (case, n) in CASES {
        peaks.check(case, data_bytes(n), &[WHOLE, 4, 10], 3.0);
    }
    peaks.finish();
}

/// Runs one case, if this process is a child.
#[test]
fn child() {
    let Some(case) = Case::of_this_process() else { return };
    let config = Config::new().with_memory_limit(case.limit).with_threads(2);
    let config = config.with_chunk_bytes(CHUNK * CHUNK * 8).with_spill_directory(&case.dir);
    let (_, n) = CASES.into_iter().find(|(name, _)| *name == case.name).unwrap();
    let run = |n: u64| config.scope(|| run(&case.name, n).unwrap());
    child::measure(|| drop(run(2 * CHUNK)), || run(n));
}

/// Runs a case over `n` by `n` elements; a digest of its results.
fn run(case: &str, n: u64) -> Result<String> {
    // Sums of digits, with their means by columns.
    let value = |i: u64, j: u64| (i % 7) as f64 * 0.1 + (j % 5) as f64;
    let mean = |f: &dyn Fn(u64) -> f64| (0..n).map(f).sum::<f64>() / n as f64;
    let i = || array::arange(0.0, n as f64, 1.0, CHUNK);
    let x = (i() % 7.0).expand_dims(1) * 0.1 + (i() % 5.0).expand_dims(0);
    let results = match case {
        "anomaly" => {
            let deviation = (&x - x.mean(..)).square().mean(0);
            let spilled = deviation.explain()?.spilled_bytes();
            let is_tight = Config::current()?.memory_limit() <= data_bytes(n) / 4;
            assert!(!is_tight || spilled > Some(data_bytes(n) / 2), "{spilled:?}: made again?");
            let deviation = deviation.compute()?;
            let all = mean(&|i| value(i, 0)) + mean(&|j| value(0, j));
            check(deviation[[3]], mean(&|i| (value(i, 3) - all).powi(2)));
            vec![deviation]
        }
        "transposed means" => {
            let (u, v) = (&x, x.transpose());
            let means = (u.square().mean(0), v.square().mean(0), (u * &v).mean(0));
            let (uu, vv, uv) = compute(means)?;
            for j in [0, 3, n - 1] {
                check(uu[[j as usize]], mean(&|i| value(i, j) * value(i, j)));
                check(vv[[j as usize]], mean(&|i| value(j, i) * value(j, i)));
                check(uv[[j as usize]], mean(&|i| value(i, j) * value(j, i)));
            }
            vec![uu, vv, uv]
        }
        "persisted" => {
            let kept = (&x * 2.0).persist()?;
            let (sum, deviation) =
                (kept.sum(0).compute()?, (&kept - kept.mean(0)).std(1).compute()?);
            check(sum[[3]], 2.0 * n as f64 * mean(&|i| value(i, 3)));
            vec![sum, deviation]
        }
        "rows to columns" | "columns to rows" => {
            let (rows, columns) = ([n / 256, n], [n, n / 256]);
            let (from, to) =
                if case == "rows to columns" { (rows, columns) } else { (columns, rows) };
            let i = |chunk: u64| array::arange(0.0, n as f64, 1.0, chunk);
            let x = (i(from[0]) % 7.0).expand_dims(1) * 0.1 + (i(from[1]) % 5.0).expand_dims(0);
            // With the optimizer it would be made in other chunks at once.
            Config::new().with_optimize(false).scope(|| -> Result<_> {
                let moved = x.rechunk(to);
                Ok(vec![sums(&moved, &to, move |index| value(index[0], index[1])).compute()?])
            })?
        }
        // Each fine alone; together they had Dask hold everything (dask#5859).
        "two reductions" => {
            let (largest, std) = compute((x.max(1), x.std(0)))?;
            check(largest[[6]], 4.6);
            vec![largest, std]
        }
        other => panic!("no case {other}"),
    };
    Ok(child::digest(results.iter().flatten().map(|value| value.to_bits())))
}

fn check(got: f64, expected: f64) {
    assert!((got - expected).abs() <= 1e-9 * expected.abs(), "{got} is not {expected}");
}

/// The sum of each block, of this shape, of an array whose elements are these.
fn sums(
    x: &Array<f64>,
    shape: &[u64],
    expected: impl Fn(&[u64]) -> f64 + Send + Sync + 'static,
) -> Array<f64> {
    let ones: Vec<Vec<u64>> = x.grid().unwrap().into_iter().map(|n| vec![1; n as usize]).collect();
    let shape = shape.to_vec();
    x.map_blocks_with_chunks(&ones, move |block, info| {
        let start: Vec<u64> = info.block.iter().zip(&shape).map(|(i, len)| i * len).collect();
        let mut index = start.clone();
        for (place, &got) in block.indexed_iter() {
            for (axis, at) in index.iter_mut().enumerate() {
                *at = start[axis] + place[axis] as u64;
            }
            check(got, expected(&index));
        }
        ArrayD::from_elem(vec![1; start.len()], block.sum())
    })
}
