//! What people compute of the weather, the oceans and the ground seen from above, from data larger than their memory limit.
//!
//! ```text
//! cargo run --release --example earth -- WORKLOAD [--memory-limit "256 MiB"] [--factor 4] [--picture FILE.png]
//! ```
//!
//! Each workload is a file of this folder: it makes its data (`--factor` times the memory limit), computes, and compares with
//! an oracle. `all` runs one after another.
#![allow(clippy::print_stdout, reason = "an example talks to its user")]

mod anomaly;
mod circulation;
#[path = "../common/mod.rs"]
mod common;
mod grid;
mod hourly;
mod ndvi;
#[path = "../common/picture.rs"]
mod picture;
mod quadratic;
mod regrid;
mod series;
mod vorticity;
#[path = "../common/workload.rs"]
mod workload;

use common::{Failure, Options};
use workload::{OPTIONS, Workload};

type Work = fn(&mut Workload) -> Result<(), Failure>;

const WORKLOADS: [(&str, Work); 8] = [
    ("anomaly", anomaly::run),
    ("quadratic", quadratic::run),
    ("vorticity", vorticity::run),
    ("circulation", circulation::run),
    ("series", series::run),
    ("hourly", hourly::run),
    ("regrid", regrid::run),
    ("ndvi", ndvi::run),
];

fn main() -> Result<(), Failure> {
    let names: Vec<&str> = WORKLOADS.iter().map(|(name, _)| *name).collect();
    let usage = format!("usage: earth all|{} {OPTIONS}", names.join("|"));
    let mut options = Options::from_args();
    let workload = Workload::from_options(&mut options, 256 << 20)?;
    let name = options.finish(&usage)?.unwrap_or_default();
    if name == "all" {
        return names.into_iter().try_for_each(in_a_process_of_its_own);
    }
    let found = WORKLOADS.iter().find(|(other, _)| *other == name);
    let (_, work) = found.ok_or(usage)?;
    println!("{name}");
    workload.run(work)
}

/// With the options of this one; so that its peak memory is its own.
fn in_a_process_of_its_own(name: &str) -> Result<(), Failure> {
    let options = std::env::args().skip(1).map(|word| match &*word {
        "all" => name.to_owned(),
        _ => word,
    });
    let status = std::process::Command::new(std::env::current_exe()?).args(options).status()?;
    if status.success() { Ok(()) } else { Err(format!("{name} failed").into()) }
}
