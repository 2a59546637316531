//! How fast blocks go to disk and come back, beside what the disk does with plain files.
//!
//! `cargo bench --bench spill` holds 2 GiB in a budget of 256 MiB; under `cargo test`, much less. The plain
//! files are as many and as long, written and read by one thread in the same directory just before.

#![allow(clippy::print_stdout, missing_docs)]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::time::Instant;

use dask_rs::prelude::*;

fn main() -> Result<()> {
    let is_bench = std::env::args().any(|arg| arg == "--bench");
    let (blocks, block_bytes) = if is_bench { (512, 4 << 20) } else { (32, 64 << 10) };
    let dir = tempfile::tempdir().expect("a directory");
    println!("seconds and GB/s, both ways; best of the rounds");
    let (mut plain_best, mut spill_best) = (f64::INFINITY, f64::INFINITY);
    let mut spilled = 0;
    for _ in 0..if is_bench { 3 } else { 1 } {
        plain_best = plain_best.min(plain_files(dir.path(), blocks, block_bytes));
        let (seconds, bytes) = spill(dir.path(), blocks, block_bytes)?;
        spill_best = spill_best.min(seconds);
        spilled = bytes;
    }
    let plain = rate((blocks * block_bytes) as u64, plain_best);
    let ours = rate(spilled, spill_best);
    println!("plain files: {plain_best:.2} s, {plain:.2} GB/s");
    println!("spilling:    {spill_best:.2} s, {ours:.2} GB/s, {:.0} %", 100.0 * ours / plain);
    Ok(())
}

/// Bytes written and read, in 10⁹ a second.
fn rate(bytes: u64, seconds: f64) -> f64 {
    2.0 * bytes as f64 / seconds / 1e9
}

/// Seconds to write files and to read them back.
fn plain_files(dir: &Path, n: usize, bytes: usize) -> f64 {
    let mut buffer = vec![1_u8; bytes];
    let path = |i: usize| dir.join(format!("plain-{i}"));
    let start = Instant::now();
    for i in 0..n {
        File::create(path(i)).and_then(|mut file| file.write_all(&buffer)).expect("room on disk");
    }
    for i in 0..n {
        File::open(path(i)).and_then(|mut file| file.read_exact(&mut buffer)).expect("the file");
        fs::remove_file(path(i)).expect("the file");
    }
    start.elapsed().as_secs_f64()
}

/// Seconds for a sum of what has to wait for another sum over the same data, and the bytes that wait.
fn spill(dir: &Path, n: usize, bytes: usize) -> Result<(f64, u64)> {
    let len = (n * bytes / 8) as u64;
    let config = Config::new().with_memory_limit((n * bytes / 8) as u64).with_spill_directory(dir);
    config.scope(|| {
        // Cheap to make, and not made twice.
        let i = array::arange(0.0, len as f64, 1.0, (bytes / 8) as u64);
        let x = i.map_blocks(|block, _| block.to_owned());
        let y = (&x - x.max(..)).sum(..);
        let spilled = y.explain()?.spilled_bytes().unwrap_or(0);
        let start = Instant::now();
        let got = y.compute()?[[]];
        let seconds = start.elapsed().as_secs_f64();
        assert!(got < 0.0);
        Ok((seconds, spilled))
    })
}
