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
mod counties;
mod grid;
mod hourly;
mod ndvi;
#[path = "../common/picture.rs"]
mod picture;
mod quadratic;
mod quantiles;
mod regrid;
mod series;
mod vorticity;
#[path = "../common/workload.rs"]
mod workload;

use common::Failure;

const WORKLOADS: [(&str, workload::Work); 10] = [
    ("anomaly", anomaly::run),
    ("quadratic", quadratic::run),
    ("vorticity", vorticity::run),
    ("circulation", circulation::run),
    ("series", series::run),
    ("hourly", hourly::run),
    ("regrid", regrid::run),
    ("ndvi", ndvi::run),
    ("counties", counties::run),
    ("quantiles", quantiles::run),
];

fn main() -> Result<(), Failure> {
    workload::main("earth", &WORKLOADS, 256 << 20)
}
