//! A climatology on worker processes, compared with the same computed here.
//!
//! `cargo run --release --features dist --example cluster -- [--workers 2] [--memory-limit "256 MiB"]`
//!
//! Starts itself again as workers, which find each other on the loopback device and end with this process. On
//! other machines a worker would be started as `cluster --worker`, by whatever starts programs there.
#![allow(clippy::print_stdout, reason = "an example talks to its user")]

mod common;

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use common::{Failure, Options, mib};
use dask_rs::dist::{Cluster, Worker};
use dask_rs::prelude::*;

const USAGE: &str = "usage: cluster [--workers NUMBER] [--memory-limit BYTES] | cluster --worker";

fn main() -> Result<(), Failure> {
    let mut options = Options::from_args();
    let is_worker = options.take_flag("--worker");
    let n_workers = options.take_factor("--workers", 2.0)? as usize;
    let limit = options.take_bytes("--memory-limit", 256 << 20)?;
    if let Some(word) = options.finish(USAGE)? {
        return Err(format!("{word}?\n{USAGE}").into());
    }
    if is_worker {
        return work();
    }
    let workers =
        (0..n_workers.max(1)).map(|_| WorkerProcess::start(limit / n_workers.max(1) as u64));
    let workers = workers.collect::<Result<Vec<_>, Failure>>()?;
    let cluster = Cluster::connect(workers.iter().map(|worker| &worker.address))?;
    let dir = tempfile::tempdir()?;
    Config::new()
        .with_memory_limit(limit)
        .scope(|| climatology(&cluster, &dir.path().join("t.npy")))
}

/// The mean, the spread and the zonal mean of anomalies of a field that is read from a file.
fn climatology(cluster: &Cluster, path: &Path) -> Result<(), Failure> {
    field(365, 73, 144).to_npy(path)?;
    let x: Array<f32> = array::open_npy(path).rechunk([73, 40, 72]);
    println!("{x}\n");
    let mean = x.mean(0);
    let anomaly = &x - &mean;
    let wanted = (&mean, anomaly.std(0), anomaly.mean(2));

    let start = Instant::now();
    let there = cluster.compute(wanted.clone())?;
    println!("{} workers: {:.2} s", cluster.n_workers(), start.elapsed().as_secs_f64());
    let start = Instant::now();
    let here = compute(wanted)?;
    println!("this process: {:.2} s", start.elapsed().as_secs_f64());

    let traffic = cluster.traffic();
    println!("{} of data, read by the workers", mib(x.nbytes()?));
    println!("{} sent to the workers, all of it tasks", mib(traffic.to_workers));
    println!("{} between workers", mib(traffic.between_workers));
    println!("{} came back, of which the rest is reports", mib(traffic.from_workers));
    if [&there.0, &there.1, &there.2] != [&here.0, &here.1, &here.2] {
        return Err("the workers and this process do not agree".into());
    }
    println!("every element is the same");
    Ok(())
}

/// Something like a temperature: days, latitudes, longitudes.
fn field(n_days: u64, n_lats: u64, n_lons: u64) -> Array<f32> {
    let axis = |n: u64, turns: f64| {
        array::arange(0.0, n as f64, 1.0, "auto") * (turns * std::f64::consts::TAU / n as f64)
    };
    let season = axis(n_days, 1.0).cos().expand_dims(1).expand_dims(2);
    let weather = axis(n_days, 40.0).sin().expand_dims(1).expand_dims(2);
    let lat = axis(n_lats, 0.5).sin().expand_dims(1);
    let lon = axis(n_lons, 3.0).cos();
    (285.0 + 30.0 * &lat - 12.0 * season * (1.0 - &lat) + weather * lon).cast()
}

/// What a worker process does: it says where it listens, and works until its parent is gone.
fn work() -> Result<(), Failure> {
    let worker = Worker::bind("127.0.0.1:0")?;
    println!("{}", worker.address());
    std::thread::spawn(|| {
        // Ends when the parent does, however that ended.
        drop(std::io::stdin().read_to_end(&mut Vec::new()));
        std::process::exit(0);
    });
    worker.serve();
    Ok(())
}

struct WorkerProcess {
    process: Child,
    address: String,
}

impl WorkerProcess {
    fn start(memory_limit: u64) -> Result<Self, Failure> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg("--worker")
            .env("DASK_RS_MEMORY_LIMIT", memory_limit.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut address = String::new();
        let stdout = process.stdout.take().ok_or("a worker has no output")?;
        BufReader::new(stdout).read_line(&mut address)?;
        Ok(WorkerProcess { process, address: address.trim().to_string() })
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        // It may have ended already; nobody waits for what it was doing.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
