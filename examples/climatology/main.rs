//! A climatology inside a memory limit: mean, deviation, zonal mean and anomaly of one variable.
//!
//! ```text
//! cargo run --release --example climatology -- [PATH] [--variable NAME] [--memory-limit "128 MiB"]
//!                                              [--size-factor 4] [--out DIR]
//! ```
//!
//! PATH is a NetCDF file or the directory of a Zarr array. Without it, a Zarr array of
//! `--size-factor` times the memory limit is made up and used. Writes the anomaly and the mean as Zarr
//! arrays, and a map of the mean, into DIR.
#![allow(clippy::print_stdout, reason = "an example talks to its user")]

#[path = "../common/mod.rs"]
mod common;
mod field;
mod map;
#[path = "../common/picture.rs"]
mod picture;
mod sample;

use std::path::PathBuf;
use std::time::Instant;

use common::{Failure, Options, PeakMemory, mib, rate};
use dask_rs::array::{AxisSpec, ChunkSpec, ZarrWrite};
use dask_rs::prelude::*;
use field::Field;
use ndarray::ArrayD;

const USAGE: &str = "usage: climatology [PATH] [--variable NAME] [--memory-limit BYTES] \
                     [--size-factor NUMBER] [--out DIR]";

struct Settings {
    path: Option<PathBuf>,
    variable: Option<String>,
    limit: u64,
    factor: f64,
    out: PathBuf,
}

impl Settings {
    fn from_args() -> Result<Self, Failure> {
        let mut options = Options::from_args();
        let default_out = || std::env::temp_dir().join("dask-rs-climatology");
        Ok(Settings {
            variable: options.take("--variable")?,
            limit: options.take_bytes("--memory-limit", 128 << 20)?,
            factor: options.take_factor("--size-factor", 4.0)?,
            out: options.take("--out")?.map_or_else(default_out, PathBuf::from),
            path: options.finish(USAGE)?.map(PathBuf::from),
        })
    }
}

fn main() -> Result<(), Failure> {
    let settings = Settings::from_args()?;
    std::fs::create_dir_all(&settings.out)?;
    Config::new().with_memory_limit(settings.limit).scope(|| run(&settings))
}

fn run(settings: &Settings) -> Result<(), Failure> {
    // Threads and tables that every program has are not part of the computation.
    array::ones::<f32>([10, 10], [5, 5]).sum(..).compute()?;
    let memory = PeakMemory::start();
    let field = match &settings.path {
        Some(path) => Field::open(path, settings.variable.as_deref())?,
        None => make_sample(settings)?,
    };
    println!("{} from {}\n\n{}\n", field.name, field.path.display(), field.values);
    let results = climatology(&field, settings)?;
    describe(&field, &results);

    let picture = settings.out.join(format!("{}_mean.png", field.name));
    map::draw(&picture, &field, &results.mean)?;
    println!("\nwritten to {}:", settings.out.display());
    println!("  {0}_mean.zarr  {0}_anomaly.zarr  {0}_mean.png", field.name);
    if let Some(peak) = memory.bytes() {
        let percent = 100.0 * peak as f64 / settings.limit as f64;
        println!("peak memory {}, {percent:.0} % of {}", mib(peak), mib(settings.limit));
    }
    Ok(())
}

fn make_sample(settings: &Settings) -> Result<Field, Failure> {
    let start = Instant::now();
    let path = settings.out.join("sample.zarr");
    std::fs::create_dir_all(&path)?;
    let bytes = sample::write(&path, settings.limit, settings.factor)?;
    let seconds = start.elapsed().as_secs_f64();
    println!("made {} of data in {seconds:.1} s\n", mib(bytes));
    Field::open(&path.join(sample::NAME), None)
}

/// What is small enough to be looked at.
struct Results {
    mean: ArrayD<f32>,
    deviation: ArrayD<f32>,
    zonal_mean: ArrayD<f32>,
}

/// Computes everything in one go, so that each chunk is read once.
fn climatology(field: &Field, settings: &Settings) -> Result<Results, Failure> {
    // A block with all times knows its mean at once, and its anomaly with that.
    let x = field.values.rechunk(whole_along(field, &field.time)?);
    println!("in chunks of whole {} series:\n\n{x}\n", field.time);
    let kept = x.mean(over(field.time.as_str()).keepdims());
    let anomaly = &x - &kept;
    let mean = x.mean(field.time.as_str());
    let work = (
        mean.clone(),
        x.std(field.time.as_str()),
        x.mean([field.time.as_str(), field.longitude.as_str()]),
        mean.store_zarr(out(field, settings, "mean"), ZarrWrite::new().overwrite()),
        anomaly.store_zarr(out(field, settings, "anomaly"), ZarrWrite::new().overwrite()),
    );
    println!("{}\n", dask_rs::explain(&work)?);
    let start = Instant::now();
    let (mean, deviation, zonal_mean, (), ()) = compute(work)?;
    let (seconds, bytes) = (start.elapsed().as_secs_f64(), field.values.nbytes()?);
    println!("{} in {seconds:.2} s: {}\n", mib(bytes), rate(bytes, seconds));
    Ok(Results { mean, deviation, zonal_mean })
}

fn out(field: &Field, settings: &Settings, what: &str) -> PathBuf {
    settings.out.join(format!("{}_{what}.zarr", field.name))
}

/// Chunks that hold all of one axis, and as much of the others as the chunk size allows.
fn whole_along(field: &Field, name: &str) -> Result<ChunkSpec, Failure> {
    let spec = |other: &String| if other == name { AxisSpec::Whole } else { AxisSpec::Auto };
    let names = field.values.dim_names()?.unwrap_or_default();
    Ok(ChunkSpec::PerAxis(names.iter().map(spec).collect()))
}

fn describe(field: &Field, results: &Results) {
    let extremes = |values: &ArrayD<f32>| {
        let known = || values.iter().copied().filter(|value| !value.is_nan());
        (known().fold(f32::INFINITY, f32::min), known().fold(f32::NEG_INFINITY, f32::max))
    };
    let (low, high) = extremes(&results.mean);
    println!("mean over {}: from {low:.3} to {high:.3}", field.time);
    let (low, high) = extremes(&results.deviation);
    println!("standard deviation: from {low:.3} to {high:.3}");
    let zonal = field::first_profile(&results.zonal_mean);
    println!("zonal mean:");
    for i in (0..zonal.len()).step_by((zonal.len() / 8).max(1)) {
        println!("  {} {:>7.2}  {:>12.3}", field.latitude, field.latitudes[i], zonal[i]);
    }
}
