//! Products and factorizations of data larger than the limit: measured in child processes, the peak stays near the limit,
//! and bits do not depend on it.

use dask_rs::array::linalg::{Compressed, qr, svd_compressed};
use dask_rs::prelude::*;
use ndarray::Ix2;

use crate::child::{self, Case, Peaks, WHOLE};

/// The cases, the shapes of their data of `f64`, 32 or 64 MiB each, and by which factors that is larger than the limits.
const CASES: [(&str, [u64; 2], [u64; 2]); 4] = [
    ("inner products", [1 << 18, 32], [4, 10]),
    ("outer products", [4096, 2048], [4, 10]),
    ("qr", [1 << 19, 8], [2, 4]),
    ("svd_compressed", [2048, 2048], [2, 4]),
];
const CHUNK_BYTES: u64 = 128 << 10;

#[test]
fn peaks_stay_near_the_limit_and_bits_do_not_depend_on_it() {
    let Some(mut peaks) = Peaks::of(module_path!()) else { return };
    for (case, [m, n], factors) in CASES {
        peaks.check(case, m * n * 8, &[WHOLE, factors[0], factors[1]], 5.0);
    }
    peaks.finish();
}

/// Runs one case, if this process is a child.
#[test]
fn child() {
    let Some(case) = Case::of_this_process() else { return };
    let config = Config::new().with_memory_limit(case.limit).with_threads(2);
    let config = config.with_chunk_bytes(CHUNK_BYTES).with_spill_directory(&case.dir);
    let (_, [m, n], _) = CASES.into_iter().find(|(name, ..)| *name == case.name).unwrap();
    let run = |m| config.scope(|| run(&case.name, [m, n]).unwrap());
    // With fewer rows first, for what threads keep for products of matrices.
    child::measure(|| drop(run(m / 4)), || run(m));
}

/// Runs a case over a matrix of this shape; a digest of its results.
fn run(case: &str, [m, n]: [u64; 2]) -> Result<String> {
    let i = |n: u64, chunks: u64| array::arange(0.0, n as f64, 1.0, chunks);
    let results = match case {
        "inner products" => {
            // Both factors are the data, and each block is read for all blocks of the product.
            let (u, v) = (i(m, 4096) % 7.0, i(n, 16) + 1.0);
            let made = u.expand_dims(1) * v.expand_dims(0);
            let x = made.map_blocks(|block, _| block.to_owned());
            let product = x.transpose().matmul(&x).compute()?;
            let squares: f64 = (0..m).map(|i| ((i % 7) * (i % 7)) as f64).sum();
            for ((j, k), got) in product.view().into_dimensionality::<Ix2>().unwrap().indexed_iter()
            {
                assert_eq!(*got, squares * ((j + 1) * (k + 1)) as f64);
            }
            vec![product]
        }
        "outer products" => {
            // The product is the data. It is held, because what is computed of it first is needed for the rest.
            let left = (i(m, 128) % 7.0).expand_dims(1) + (i(8, 4) % 3.0).expand_dims(0);
            let right = (i(8, 4) % 2.0).expand_dims(1) + (i(n, 128) % 5.0).expand_dims(0);
            let product = left.matmul(&right);
            let far = (&product - product.mean(0)).abs().max(0).compute()?;
            let value = |i: u64, j: u64| {
                let term = |k: u64| ((i % 7 + k % 3) * (k % 2 + j % 5)) as f64;
                (0..8).map(term).sum::<f64>()
            };
            for j in [0, 3, n - 1] {
                let mean = (0..m).map(|i| value(i, j)).sum::<f64>() / m as f64;
                let expected = (0..7).map(|i| (value(i, j) - mean).abs()).fold(0.0, f64::max);
                assert!(
                    (far[[j as usize]] - expected).abs() < 1e-9,
                    "{}: {expected}",
                    far[[j as usize]]
                );
            }
            vec![far]
        }
        "qr" => {
            let rows = CHUNK_BYTES / 8 / n;
            let phase = i(m, rows).expand_dims(1) * 0.01 * (i(n, n) + 1.0).expand_dims(0);
            let x = phase.sin() + i(n, n).expand_dims(0) * 0.1;
            let (q, r) = qr(&x);
            let left = (q.matmul(&r) - &x).abs().max(..);
            let (squares, r, left) = compute((q.square().sum(0), r, left))?;
            assert!(squares.iter().all(|square| (square - 1.0).abs() < 1e-10), "{squares}");
            assert!(left[[]] < 1e-10, "{left}");
            vec![squares, r]
        }
        "svd_compressed" => {
            // Of rank 2, so that the values are exact: their squares add up to those of all elements.
            let (a, b) = ((i(m, 128) % 7.0) * 0.1, i(n, 128) % 5.0);
            let x = a.expand_dims(1) + b.expand_dims(0);
            let how = Compressed::default().n_power_iter(1);
            let (u, s, v) = svd_compressed(&x, 2, how);
            let (u, s, v, all) = compute((u, s, v, x.square().sum(..)))?;
            let squares: f64 = s.iter().map(|s| s * s).sum();
            assert!((squares - all[[]]).abs() < 1e-9 * all[[]], "{squares} is not {all}");
            vec![u, s, v]
        }
        other => panic!("no case {other}"),
    };
    Ok(child::digest(results.iter().flatten().map(|value| value.to_bits())))
}
