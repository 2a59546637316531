//! A workload of the gallery: what it may use, how it is measured, and what it has to show.
//!
//! An example that has `mod common` and `mod workload` says `workload::main("name", &[("mean", run)], 256 << 20)`:
//!
//! ```text
//! fn run(w: &mut Workload) -> Result<(), Failure> {
//!     make(w.path("x.npy"), w.data_bytes())?;
//!     let mean = w.compute(array::open_npy::<f64>(w.path("x.npy")).mean(..))?;
//!     w.check("mean", mean[[]], 0.5, 1e-6);
//!     Ok(())
//! }
//! ```
#![allow(dead_code, reason = "each program uses a part")]
#![allow(unreachable_pub, reason = "the module is compiled into several programs")]
#![allow(clippy::print_stdout, reason = "an example talks to its user")]

use std::path::{Path, PathBuf};
use std::time::Instant;

use dask_rs::array::Element;
use dask_rs::prelude::*;
use dask_rs::{Collection, Explain, explain};

use crate::common::{Failure, Options, PeakMemory, mib};

/// A workload among others of an example.
pub type Work = fn(&mut Workload) -> Result<(), Failure>;

/// Runs the one of some workloads that the command line names, or all of them, each in a process of its own, so that its
/// peak memory is its own.
pub fn main(example: &str, workloads: &[(&str, Work)], limit: u64) -> Result<(), Failure> {
    let names: Vec<&str> = workloads.iter().map(|(name, _)| *name).collect();
    let usage = format!("usage: {example} all|{} {OPTIONS}", names.join("|"));
    let mut options = Options::from_args();
    let workload = Workload::from_options(&mut options, limit)?;
    let name = options.finish(&usage)?.unwrap_or_default();
    if name == "all" {
        return names.into_iter().try_for_each(run_alone);
    }
    let found = workloads.iter().find(|(other, _)| *other == name);
    let (_, work) = *found.ok_or(usage)?;
    println!("{name}");
    workload.run(work)
}

/// With the options of this process.
fn run_alone(name: &str) -> Result<(), Failure> {
    let words = std::env::args().skip(1);
    let words = words.map(|word| if word == "all" { name.to_owned() } else { word });
    let status = std::process::Command::new(std::env::current_exe()?).args(words).status()?;
    if status.success() { Ok(()) } else { Err(format!("{name} failed").into()) }
}

/// The options of every workload, for the text of a `USAGE`.
pub const OPTIONS: &str = "[--memory-limit BYTES] [--factor NUMBER] [--picture FILE.png]";

/// What a workload may use, and what has been found out about it so far.
pub struct Workload {
    limit: u64,
    factor: f64,
    picture: Option<PathBuf>,
    dir: tempfile::TempDir,
    memory: PeakMemory,
    peak: Option<u64>,
    n_tasks: u64,
    bytes_read: u64,
    seconds: f64,
    n_wrong: usize,
    is_rehearsal: bool,
}

impl Workload {
    /// Takes `--memory-limit`, `--factor` (how many times the limit the data are, by default 4) and `--picture`.
    pub fn from_options(options: &mut Options, limit: u64) -> Result<Self, Failure> {
        Ok(Workload {
            memory: PeakMemory::start(),
            limit: options.take_bytes("--memory-limit", limit)?,
            factor: options.take_factor("--factor", 4.0)?,
            picture: options.take("--picture")?.map(PathBuf::from),
            dir: tempfile::tempdir()?,
            peak: Some(0),
            n_tasks: 0,
            bytes_read: 0,
            seconds: 0.0,
            n_wrong: 0,
            is_rehearsal: false,
        })
    }

    /// Runs `work` inside the memory limit and prints what came out. The error of a value that is not the oracle's, or of
    /// more memory than the limit and 15 %.
    pub fn run(mut self, work: Work) -> Result<(), Failure> {
        Config::new().with_memory_limit(self.limit).scope(|| {
            self.rehearse(work)?;
            work(&mut self)
        })?;
        self.finish()
    }

    /// All of it with little data, so that code, threads and tables are there before memory is measured: they are not
    /// what the limit is for.
    fn rehearse(&mut self, work: Work) -> Result<(), Failure> {
        let mut rehearsal = Workload {
            limit: self.limit,
            factor: 1.0 / 32.0,
            picture: None,
            dir: tempfile::tempdir()?,
            memory: PeakMemory::start(),
            peak: None,
            is_rehearsal: true,
            ..*self
        };
        work(&mut rehearsal)?;
        self.memory = PeakMemory::start();
        Ok(())
    }

    /// How many bytes of data there should be.
    pub fn data_bytes(&self) -> u64 {
        (self.limit as f64 * self.factor) as u64
    }

    /// A file in a folder that goes away with the workload.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Where a picture is wanted, if one is.
    pub fn picture(&self) -> Option<&Path> {
        self.picture.as_deref()
    }

    /// Computes what the workload is about: tasks, time and peak memory are those of these calls.
    pub fn compute<C: Collection>(&mut self, what: C) -> Result<C::Output> {
        let plan = explain(&what)?;
        self.measure(&plan, || compute(what))
    }

    /// The same for an array that is kept.
    pub fn persist<T: Element>(&mut self, x: &Array<T>) -> Result<Array<T>> {
        self.measure(&explain(x)?, || x.persist())
    }

    fn measure<R>(&mut self, plan: &Explain, step: impl FnOnce() -> Result<R>) -> Result<R> {
        self.n_tasks += plan.n_tasks().unwrap_or(0);
        self.bytes_read += plan.bytes_read();
        self.memory.forget();
        let start = Instant::now();
        let computed = step()?;
        self.seconds += start.elapsed().as_secs_f64();
        let peak = self.memory.bytes();
        self.peak = self.peak.and_then(|before| Some(before.max(peak?)));
        Ok(computed)
    }

    /// Prints what is worth to be known besides.
    pub fn note(&self, text: &str) {
        if !self.is_rehearsal {
            println!("  {text}");
        }
    }

    /// Prints a value beside what it should be, and remembers if they differ by more than `tolerance`.
    pub fn check(&mut self, what: &str, value: f64, oracle: f64, tolerance: f64) {
        self.check_all(what, [(value, oracle)], tolerance);
    }

    /// [`check`](Self::check) of all pairs of a value and its oracle, of which that with the largest difference is printed.
    pub fn check_all(
        &mut self,
        what: &str,
        pairs: impl IntoIterator<Item = (f64, f64)>,
        tolerance: f64,
    ) {
        let (mut n, mut worst, mut distance) = (0_u64, (f64::NAN, f64::NAN), -1.0);
        for (value, oracle) in pairs {
            n += 1;
            // What is NaN on one side only is infinitely far away.
            let apart = match (value - oracle).abs() {
                apart if apart.is_nan() && value.is_nan() && oracle.is_nan() => 0.0,
                apart if apart.is_nan() => f64::INFINITY,
                apart => apart,
            };
            if apart > distance {
                (worst, distance) = ((value, oracle), apart);
            }
        }
        if self.is_rehearsal {
            return;
        }
        let is_right = n > 0 && distance <= tolerance;
        self.n_wrong += usize::from(!is_right);
        let mark = if is_right { "" } else { "   WRONG" };
        let (value, oracle) = worst;
        println!(
            "  {what:<40} {value:>14.6}  oracle {oracle:>14.6}  ± {tolerance:.0e} of {n}{mark}"
        );
    }

    fn finish(self) -> Result<(), Failure> {
        let peak = self.peak.map_or("unknown".to_owned(), mib);
        let (limit, tasks) = (mib(self.limit), self.n_tasks);
        let (read, seconds) = (mib(self.bytes_read), self.seconds);
        println!("peak {peak} of {limit}, {read} read, {tasks} tasks, {seconds:.2} s\n");
        if self.n_wrong > 0 {
            return Err(format!("{} values are not those of the oracle", self.n_wrong).into());
        }
        if self.peak.is_some_and(|peak| peak > self.limit + self.limit * 15 / 100) {
            return Err("the limit was exceeded by more than 15 %".into());
        }
        Ok(())
    }
}
