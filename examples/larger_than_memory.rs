//! Reductions over an array many times larger than the memory that they may use.
//!
//! `cargo run --release --example larger_than_memory -- [--memory-limit "64 MiB"] [--factor 4]`
//!
//! Writes a file of `factor` times the limit, piece by piece, then reduces it in several ways, and an
//! array of the same size that is only computed. Ends with an error if the process ever used
//! more than the limit plus 15 %.
#![allow(clippy::print_stdout, reason = "an example talks to its user")]

mod common;

use std::path::Path;
use std::time::Instant;

use common::{Failure, Options, PeakMemory, mib, rate};
use dask_rs::prelude::*;

const USAGE: &str = "usage: larger_than_memory [--memory-limit BYTES] [--factor NUMBER]";

fn main() -> Result<(), Failure> {
    let mut options = Options::from_args();
    let limit = options.take_bytes("--memory-limit", 64 << 20)?;
    let factor = options.take_factor("--factor", 4.0)?;
    if let Some(word) = options.finish(USAGE)? {
        return Err(format!("{word}?\n{USAGE}").into());
    }
    let dir = tempfile::tempdir()?;
    Config::new().with_memory_limit(limit).scope(|| {
        let n = (limit as f64 * factor / 8.0).sqrt().ceil() as u64;
        let mut report = Report::start(limit)?;
        report.run_all(n, &dir.path().join("x.npy"))?;
        report.finish()
    })
}

/// An array that costs nothing but arithmetic, `n` by `n`.
fn computed(n: u64) -> Array<f64> {
    let position = || array::arange(0.0, n as f64, 1.0, "auto");
    let rows = (position() * 0.001).sin().expand_dims(1);
    let columns = (position() * 0.002).cos().expand_dims(0);
    (rows * columns + 1.0).rechunk("auto")
}

struct Report {
    limit: u64,
    peak: PeakMemory,
    highest: u64,
}

impl Report {
    fn start(limit: u64) -> Result<Self> {
        // Threads and tables that every program has are not part of the computation.
        computed(10).sum(..).compute()?;
        Ok(Report { limit, peak: PeakMemory::start(), highest: 0 })
    }

    fn run_all(&mut self, n: u64, path: &Path) -> Result<()> {
        let made = computed(n);
        let bytes = made.nbytes()?;
        println!("{made}\n\n{} of data, {} to use\n", mib(bytes), mib(self.limit));
        println!("{:<34} {:>8} {:>12} {:>12}", "", "seconds", "throughput", "peak");
        self.time("write a file", bytes, || made.to_npy(path))?;
        let x: Array<f64> = array::open_npy(path);
        self.time("sum", bytes, || x.sum(..).compute())?;
        self.time("mean and deviation of columns", bytes, || compute((x.mean(0), x.std(0))))?;
        self.time("extremes of rows", bytes, || compute((x.min(1), x.max(1))))?;
        self.time("sum of x + its transpose", bytes, || (&x + x.transpose()).sum(..).compute())?;
        self.time("variance around column means", bytes, || {
            (&x - x.mean(0)).square().mean(..).compute()
        })?;
        self.time("norm of the computed array", bytes, || made.square().sum(..).sqrt().compute())
    }

    fn time<T>(&mut self, what: &str, bytes: u64, work: impl FnOnce() -> Result<T>) -> Result<()> {
        self.peak.forget();
        let start = Instant::now();
        work()?;
        let seconds = start.elapsed().as_secs_f64();
        let peak = self.peak.bytes();
        self.highest = self.highest.max(peak.unwrap_or(0));
        let peak = peak.map_or("unknown".to_owned(), mib);
        println!("{what:<34} {seconds:>8.2} {:>12} {peak:>12}", rate(bytes, seconds));
        Ok(())
    }

    fn finish(&self) -> Result<(), Failure> {
        let allowed = self.limit + self.limit * 15 / 100;
        let (highest, allowed) = (self.highest, allowed);
        println!("\nhighest peak {}, allowed {}", mib(highest), mib(allowed));
        if highest > allowed {
            return Err("the limit was exceeded by more than 15 %".into());
        }
        Ok(())
    }
}
