//! What people compute of microscope images and genomes, from data larger than their memory limit.
//!
//! ```text
//! cargo run --release --example life -- WORKLOAD [--memory-limit "64 MiB"] [--factor 4] [--picture FILE.png]
//! ```
//!
//! Each workload is a file of this folder: it makes its data (`--factor` times the memory limit), computes, and compares with
//! an oracle. `all` runs one after another.
#![allow(clippy::print_stdout, reason = "an example talks to its user")]

#[path = "../common/mod.rs"]
mod common;
mod deconvolution;
mod genome;
mod nuclei;
#[path = "../common/picture.rs"]
mod picture;
mod viewer;
#[path = "../common/workload.rs"]
mod workload;

use common::Failure;

const WORKLOADS: [(&str, workload::Work); 4] = [
    ("deconvolution", deconvolution::run),
    ("nuclei", nuclei::run),
    ("viewer", viewer::run),
    ("genome", genome::run),
];

fn main() -> Result<(), Failure> {
    workload::main("life", &WORKLOADS, 64 << 20)
}
