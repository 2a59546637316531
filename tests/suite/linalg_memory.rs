//! Factorizations of data 4 times larger than the limit: measured in child processes, the peak stays near the limit,
//! and bits do not depend on it.

use dask_rs::array::linalg::{Compressed, qr, svd_compressed};
use dask_rs::prelude::*;
use ndarray::ArrayD;

use crate::child::{Case, Report, report, run_child};
use crate::common::{PeakMemory, mib};

/// The cases, and the shapes of their data of `f64`, 32 MiB each.
const CASES: [(&str, [u64; 2]); 2] = [("qr", [1 << 19, 8]), ("svd_compressed", [2048, 2048])];
const DATA_BYTES: u64 = 32 << 20;
const CHUNK_BYTES: u64 = 128 << 10;

#[test]
fn peaks_stay_near_the_limit_and_bits_do_not_depend_on_it() {
    let dir = tempfile::tempdir().unwrap();
    if PeakMemory::start().bytes().is_none() {
        eprintln!("skipped: this system does not tell the peak of a process");
        return;
    }
    let mut failures = Vec::new();
    for (case, _) in CASES {
        let digests = [2, 4].map(|factor| {
            let limit = DATA_BYTES / factor;
            let allowed = limit + limit * 15 / 100;
            let Report { peak, digest } = run_child(module_path!(), case, limit, dir.path());
            eprintln!("{case}, limit {}: {}", mib(limit), mib(peak));
            if peak > allowed {
                failures.push(format!("{case}: {} of {}", mib(peak), mib(allowed)));
            }
            digest.expect("a child tells its bits")
        });
        assert_eq!(digests[0], digests[1], "{case}: the limit changes bits");
    }
    assert!(failures.is_empty(), "{failures:#?}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left on disk");
}

/// Runs one case, if this process is a child.
#[test]
fn child() {
    let Some(case) = Case::of_this_process() else { return };
    let config = Config::new().with_memory_limit(case.limit).with_threads(2);
    let config = config.with_chunk_bytes(CHUNK_BYTES).with_spill_directory(&case.dir);
    config.scope(|| {
        let (_, [m, n]) = CASES.into_iter().find(|(name, _)| *name == case.name).unwrap();
        // The same with fewer rows first: threads, what they keep for products of matrices, and the pages of the
        // program itself are no data.
        run(&case.name, [m / 4, n]).unwrap();
        let memory = PeakMemory::start();
        let digest = run(&case.name, [m, n]).unwrap();
        report(memory.bytes().unwrap(), &digest);
    });
}

/// Runs a case over a matrix of this shape; a digest of its results.
fn run(case: &str, [m, n]: [u64; 2]) -> Result<String> {
    let i = |n: u64, chunks: u64| array::arange(0.0, n as f64, 1.0, chunks);
    let results = match case {
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
    Ok(digest(&results))
}

/// All bits of some results, mixed.
fn digest(results: &[ArrayD<f64>]) -> String {
    let bits = results.iter().flatten().map(|value| value.to_bits());
    let mixed = bits.fold(0, |mixed: u64, bits| (mixed ^ bits).wrapping_mul(0x100_0000_01b3));
    format!("{mixed:016x}")
}
