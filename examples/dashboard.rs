//! A page in the browser that shows the work of this program while it runs, and a report of it afterwards.
//!
//! `cargo run --release --features diagnostics --example dashboard -- [--seconds 60] [--port 8787] [--report report.html]`
//!
//! Computes one thing after another for the given time, by default two seconds, and prints what took how long.
#![allow(clippy::print_stdout, reason = "an example talks to its user")]

mod common;

use std::time::{Duration, Instant};

use common::{Failure, Options};
use dask_rs::diagnostics::{Dashboard, Profile};
use dask_rs::prelude::*;

const USAGE: &str = "usage: dashboard [--seconds NUMBER] [--port NUMBER] [--report FILE.html]";

fn main() -> Result<(), Failure> {
    let mut options = Options::from_args();
    let seconds = options.take_factor("--seconds", 2.0)?;
    let port: u16 = options.take("--port")?.map_or(Ok(0), |port| port.parse())?;
    let report = options.take("--report")?;
    if let Some(word) = options.finish(USAGE)? {
        return Err(format!("{word}?\n{USAGE}").into());
    }
    let dashboard = Dashboard::bind(("127.0.0.1", port))?;
    println!("{}", dashboard.url());
    let report = report.map(Profile::start).transpose()?;
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    // Little enough memory that some of the blocks have to wait on disk.
    Config::new().with_memory_limit(48 << 20).scope(|| {
        while Instant::now() < end {
            work()?;
        }
        Ok::<_, Error>(())
    })?;
    println!("{}", dashboard.profile());
    Ok(report.map_or(Ok(()), Profile::finish)?)
}

/// A bit of everything: reductions, a product, blocks that are held for long, and blocks that change their shape.
fn work() -> Result<()> {
    let n = 2400;
    let row: Array<f64> = array::arange(0.0, n as f64, 1.0, [300]);
    let waves = (row.expand_dims(1) * 0.01).sin() * (row.expand_dims(0) * 0.02).cos();
    let (mean, std) = compute((waves.mean(0), waves.std(0)))?;
    assert_eq!(mean.shape(), std.shape());
    (&waves - waves.mean(0)).abs().max(..).compute()?;
    waves.slice(s![..800, ..]).matmul(&waves.slice(s![.., ..800])).sum(..).compute()?;
    // Every column needs all rows, so all of it is there before the first result is.
    let cut = array::ones::<f64>([n, n], [n, 100]) * &waves.rechunk([n, 100]);
    (cut.rechunk([100, n]) + 1.0).sum(1).compute()?;
    Ok(())
}
