//! Principal components of more samples than fit into memory.
//!
//! `cargo run --release --example pca -- [--memory-limit "64 MiB"] [--factor 4]`
//!
//! The samples are in a file of `--factor` times the limit. Their features are centred and scaled, and the directions of largest
//! variance found by a randomized singular value decomposition, which reads the file six times and keeps no more of it than blocks on
//! their way. What varies are cosines of different frequencies, each shared by the features with a pattern of signs of its own (Walsh's);
//! both are orthogonal, so the variances are known.
#![allow(clippy::print_stdout, reason = "an example talks to its user")]

mod common;
#[path = "common/workload.rs"]
mod workload;

use common::{Failure, Options};
use dask_rs::array::AxisSpec;
use dask_rs::array::linalg::{Compressed, svd_compressed};
use dask_rs::prelude::*;
use workload::{OPTIONS, Workload};

const N_FEATURES: u64 = 128;
/// How many components are looked for.
const N_COMPONENTS: usize = 5;
/// How many there are; all but those that are looked for are faint.
const N_PATTERNS: usize = 24;

fn main() -> Result<(), Failure> {
    let mut options = Options::from_args();
    let workload = Workload::from_options(&mut options, 64 << 20)?;
    options.finish(&format!("usage: pca {OPTIONS}"))?;
    workload.run(run)
}

fn run(w: &mut Workload) -> Result<(), Failure> {
    let n = w.data_bytes() / 8 / N_FEATURES;
    samples(n).to_npy(w.path("samples.npy"))?;

    let x: Array<f64> = array::open_npy(w.path("samples.npy"));
    let scaled = (&x - x.mean(0)) / x.std(0);
    let how = Compressed::default().n_power_iter(2);
    let (_, s, directions) = svd_compressed(&scaled, N_COMPONENTS as u64, how);
    let (s, directions) = w.compute((s, directions))?;

    let total: f64 = (0..N_PATTERNS).map(|k| amplitude(k).powi(2)).sum();
    for (k, &s) in s.iter().enumerate() {
        let expected = N_FEATURES as f64 * amplitude(k).powi(2) / total;
        w.check(&format!("variance along component {}", k + 1), s * s / n as f64, expected, 1e-6);
    }
    // A direction has the signs of its pattern, or all others.
    let pairs = directions.indexed_iter().map(|(at, &x)| {
        let sign = sign(at[0], at[1]) * sign(at[0], 0) * directions[[at[0], 0]].signum();
        (x, sign / (N_FEATURES as f64).sqrt())
    });
    w.check_all("directions", pairs, 1e-6);
    Ok(())
}

/// Patterns by sample and feature, each feature with a mean and a scale of its own.
fn samples(n: u64) -> Array<f64> {
    let zeros: Array<f64> = array::zeros([n, N_FEATURES], ["auto".into(), AxisSpec::Whole]);
    zeros.map_blocks(move |block, info| {
        let first = info.start.as_ref().map_or(0, |start| start[0]);
        let mut samples = block.to_owned();
        for (i, mut sample) in (first..).zip(samples.rows_mut()) {
            let waves: [f64; N_PATTERNS] = std::array::from_fn(|k| amplitude(k) * wave(k, i, n));
            for (feature, value) in sample.iter_mut().enumerate() {
                let sum: f64 = (0..N_PATTERNS).map(|k| waves[k] * sign(k, feature)).sum();
                *value = feature as f64 + (1.0 + (feature % 7) as f64) * sum;
            }
        }
        samples
    })
}

fn amplitude(k: usize) -> f64 {
    if k < N_COMPONENTS { 1.0 / (k + 1) as f64 } else { 0.02 }
}

/// A cosine of the variance 1 and the mean 0.
fn wave(k: usize, i: u64, n: u64) -> f64 {
    let angle = std::f64::consts::PI * (3 * k + 1) as f64 * (i as f64 + 0.5) / n as f64;
    angle.cos() * 2_f64.sqrt()
}

/// Walsh's function: 1 or -1, of the bits that both numbers have.
fn sign(k: usize, feature: usize) -> f64 {
    if ((k + 1) & feature).count_ones().is_multiple_of(2) { 1.0 } else { -1.0 }
}
