//! Data that is needed twice and can't be read again, 4 and 10 times larger than the limit: measured in
//! child processes, the peak stays near the limit, and the bits of results don't depend on it.

use dask_rs::prelude::*;
use ndarray::ArrayD;

use crate::child::{Case, Report, report, run_child};
use crate::common::{PeakMemory, mib};

/// The chunks are the same whatever the limit, from which follow the same bits.
const CHUNK: u64 = 128;
/// The cases, and the length of both axes of their data of `f64`.
const CASES: [(&str, u64); 4] =
    [("anomaly", 4608), ("quadratic means", 2048), ("persisted", 4608), ("two reductions", 3072)];

fn data_bytes(n: u64) -> u64 {
    n * n * 8
}

#[test]
fn peaks_stay_near_the_limit_and_bits_do_not_depend_on_it() {
    let dir = tempfile::tempdir().unwrap();
    if PeakMemory::start().bytes().is_none() {
        eprintln!("skipped: this system does not tell the peak of a process");
        return;
    }
    let mut failures = Vec::new();
    for (case, n) in CASES {
        let digests = [4, 10].map(|factor| {
            let limit = data_bytes(n) / factor;
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
    let config = config.with_chunk_bytes(CHUNK * CHUNK * 8).with_spill_directory(&case.dir);
    config.scope(|| {
        // The same in small first: threads and the pages of the program itself are no data.
        run(&case.name, 2 * CHUNK).unwrap();
        let memory = PeakMemory::start();
        let (_, n) = CASES.into_iter().find(|(name, _)| *name == case.name).unwrap();
        let digest = run(&case.name, n).unwrap();
        report(memory.bytes().unwrap(), &digest);
    });
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
            let is_small = n == 2 * CHUNK;
            assert!(is_small || spilled > Some(data_bytes(n) / 2), "{spilled:?}: made again?");
            let deviation = deviation.compute()?;
            let all = mean(&|i| value(i, 0)) + mean(&|j| value(0, j));
            check(deviation[[3]], mean(&|i| (value(i, 3) - all).powi(2)));
            vec![deviation]
        }
        "quadratic means" => {
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
        "two reductions" => {
            let (largest, std) = compute((x.max(1), x.std(0)))?;
            check(largest[[6]], 4.6);
            vec![largest, std]
        }
        other => panic!("no case {other}"),
    };
    Ok(digest(&results))
}

fn check(got: f64, expected: f64) {
    assert!((got - expected).abs() <= 1e-9 * expected.abs(), "{got} is not {expected}");
}

/// All bits of some results, mixed.
fn digest(results: &[ArrayD<f64>]) -> String {
    let bits = results.iter().flatten().map(|value| value.to_bits());
    let mixed = bits.fold(0, |mixed: u64, bits| (mixed ^ bits).wrapping_mul(0x100_0000_01b3));
    format!("{mixed:016x}")
}
