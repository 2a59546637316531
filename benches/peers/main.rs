//! One workload of the comparison with other engines, timed in a process of its own.
//!
//! `run.py` beside this file starts it in turn with the same work in Python's engines; by itself it is
//! `cargo bench --features frame --bench peers -- --data DIR --workload g1_q01 [--runs 3]` or `-- --list`. Without the
//! feature it has the arrays only, and is built in a fraction of the time.
//! The last line that it prints is JSON: seconds of each run, peak of memory in MiB, and what the engines
//! have to agree on.
#![allow(clippy::print_stdout, reason = "figures are what a benchmark is for")]

#[path = "arrays.rs"]
mod arrays;
#[path = "../../examples/common/mod.rs"]
mod common;
#[cfg(feature = "frame")]
#[path = "../../examples/tpch/data.rs"]
mod data;
#[cfg(feature = "frame")]
#[path = "frames.rs"]
mod frames;
#[cfg(feature = "frame")]
#[path = "../../examples/tpch/queries.rs"]
#[allow(dead_code, reason = "the example shows their names")]
mod queries;

use std::path::{Path, PathBuf};
use std::time::Instant;

use common::{Failure, Options, PeakMemory};

/// Columns are allocated and freed all the time; with glibc's own allocator each of them is new pages.
#[cfg(feature = "frame")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What an engine found, in numbers that don't depend on the order of rows.
type Check = Vec<f64>;
/// The timed part of a workload, whose set-up is done.
type Run = Box<dyn FnMut() -> Result<Check, Failure>>;
/// The same for what is looked at after the clock has stopped.
type LaterRun = Box<dyn FnMut() -> Result<Outcome, Failure>>;
type Outcome = Box<dyn FnOnce() -> Result<Check, Failure>>;
/// The part before, from the directory of the data.
type Prepare = Box<dyn Fn(&Path) -> Result<LaterRun, Failure>>;

struct Workload {
    name: String,
    prepare: Prepare,
}

impl Workload {
    fn new(
        name: impl Into<String>,
        prepare: impl Fn(&Path) -> Result<Run, Failure> + 'static,
    ) -> Self {
        Workload::later(name, move |data| {
            let mut run = prepare(data)?;
            Ok(Box::new(move || {
                let check = run()?;
                Ok(Box::new(move || Ok(check)))
            }))
        })
    }

    /// A workload whose result is checked after the clock has stopped.
    fn later(
        name: impl Into<String>,
        prepare: impl Fn(&Path) -> Result<LaterRun, Failure> + 'static,
    ) -> Self {
        Workload { name: name.into(), prepare: Box::new(prepare) }
    }
}

fn main() -> Result<(), Failure> {
    let mut options = Options::from_args();
    let mut workloads = arrays::workloads();
    #[cfg(feature = "frame")]
    workloads.extend(frames::workloads());
    // What `cargo bench` adds.
    options.take_flag("--bench");
    if options.take_flag("--list") {
        workloads.iter().for_each(|workload| println!("{}", workload.name));
        return Ok(());
    }
    let data = options.take("--data")?.map(PathBuf::from).unwrap_or_default();
    let n_runs = options.take_factor("--runs", 3.0)? as usize;
    let Some(name) = options.take("--workload")? else { return Ok(()) };
    let workload = workloads.iter().find(|workload| workload.name == name);
    let workload = workload.ok_or_else(|| format!("--workload {name}: see --list"))?;
    let mut run = (workload.prepare)(&data)?;
    let memory = PeakMemory::start();
    let mut peak = 0.0_f64;
    let mut seconds = Vec::new();
    let mut check = Vec::new();
    for _ in 0..n_runs {
        memory.forget();
        let start = Instant::now();
        let outcome = run()?;
        seconds.push(start.elapsed().as_secs_f64());
        peak = peak.max(memory.bytes().unwrap_or(0) as f64 / f64::from(1 << 20));
        check = outcome()?;
    }
    println!("{{\"seconds\": {seconds:?}, \"peak_mib\": {peak:.0}, \"check\": {check:?}}}");
    Ok(())
}
