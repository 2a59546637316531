//! The principal components of a file several times larger than the memory that may be used: the workload "large PCA,
//! randomized SVD" of Dask's users.
//!
//! `cargo run --release --example pca -- [--memory-limit "32 MiB"] [--factor 4]`
//!
//! Writes samples of a few hidden signals in noise, scales each feature, and finds the components by
//! `svd_compressed`. The oracle are the eigenvalues of the correlation matrix, which is small. Ends with an error if the two
//! differ, or if the process used more than the limit plus 15 %.
#![allow(clippy::print_stdout, reason = "an example talks to its user")]

mod common;

use std::time::Instant;

use common::{Failure, Options, PeakMemory, mib};
use dask_rs::array::linalg::{Compressed, svd, svd_compressed};
use dask_rs::prelude::*;

const USAGE: &str = "usage: pca [--memory-limit BYTES] [--factor NUMBER]";
const N_FEATURES: u64 = 96;
const N_COMPONENTS: u64 = 4;

fn main() -> Result<(), Failure> {
    let mut options = Options::from_args();
    let limit = options.take_bytes("--memory-limit", 32 << 20)?;
    let factor = options.take_factor("--factor", 4.0)?;
    if let Some(word) = options.finish(USAGE)? {
        return Err(format!("{word}?\n{USAGE}").into());
    }
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("samples.npy");
    let config = Config::new().with_memory_limit(limit).with_chunk_bytes((limit / 64).max(1 << 16));
    config.scope(|| {
        let n_samples = (limit as f64 * factor / 8.0 / N_FEATURES as f64) as u64;
        samples(n_samples).to_npy(&path)?;
        components(&array::open_npy(&path).slice(s![..1000, ..]))?;
        let peak = PeakMemory::start();
        let start = Instant::now();
        let x: Array<f64> = array::open_npy(&path);
        let found = components(&x)?;
        let seconds = start.elapsed().as_secs_f64();
        let used = peak.bytes();

        println!("{} samples of {N_FEATURES} features, {}", n_samples, mib(x.nbytes()?));
        println!("{} tasks, {seconds:.2} s", found.n_tasks);
        println!("\ncomponent   variance   by the correlations");
        let exact = by_correlations(&x)?;
        for (i, (value, exact)) in found.variances.iter().zip(&exact).enumerate() {
            println!("{:>9} {value:>10.6} {exact:>21.6}", i + 1);
            if (value - exact).abs() > 1e-6 * exact {
                return Err("the two differ".into());
            }
        }
        let Some(used) = used else { return Ok(()) };
        println!("\npeak {} of {}", mib(used), mib(limit));
        if used > limit + limit * 15 / 100 {
            return Err("the limit was exceeded by more than 15 %".into());
        }
        Ok(())
    })
}

/// A few signals, of which every feature has a different share, and noise.
fn samples(n: u64) -> Array<f64> {
    array::from_fn([n, N_FEATURES], "auto", |i| {
        let (t, feature) = (i[0] as f64, i[1] as f64);
        let signal =
            |k: u64| (t * (0.1 + 0.37 * k as f64)).sin() * (feature * (k + 1) as f64 * 0.7).cos();
        let noise = (i[0] * N_FEATURES + i[1]).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let noise = (noise ^ (noise >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40;
        let signals: f64 = (0..N_COMPONENTS).map(|k| signal(k) / (1 + k) as f64).sum();
        5.0 + feature + signals + 0.2 * (noise as f64 / f64::from(1 << 24) - 0.5)
    })
}

/// Features with mean 0 and deviation 1.
fn scaled(x: &Array<f64>) -> Array<f64> {
    (x - x.mean(0)) / x.std(0)
}

struct Components {
    /// The variance along each, of as many in all as there are features.
    variances: Vec<f64>,
    n_tasks: u64,
}

fn components(x: &Array<f64>) -> Result<Components> {
    let n = x.shape()?[0] as f64;
    let how = Compressed::default().n_power_iter(2);
    let (_, s, directions) = svd_compressed(&scaled(x), N_COMPONENTS, how);
    let n_tasks = dask_rs::explain((&s, &directions))?.n_tasks().unwrap_or(0);
    let (s, _) = compute((s, directions))?;
    Ok(Components { variances: s.iter().map(|s| s * s / n).collect(), n_tasks })
}

/// The same from the correlations of the features.
fn by_correlations(x: &Array<f64>) -> Result<Vec<f64>> {
    let z = scaled(x);
    let correlations = z.transpose().matmul(&z) / x.shape()?[0] as f64;
    Ok(svd(&correlations).1.slice(s![..N_COMPONENTS as isize]).compute()?.into_iter().collect())
}
