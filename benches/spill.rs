//! How fast blocks go to disk and come back, beside what the disk does with plain files.
//!
//! `cargo bench --bench spill` holds 2 GiB in a budget of 256 MiB, and moves as much from rows to columns; under `cargo test`,
//! much less. The plain files are as many and as long, written and read by one thread in the same directory just before.
//! What counts is the bytes of blocks that wait on disk, each written and read once, which are no more than the data.

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
    let mut plain_best = f64::INFINITY;
    let mut best = [(f64::INFINITY, 0); 2];
    for _ in 0..if is_bench { 3 } else { 1 } {
        plain_best = plain_best.min(plain_files(dir.path(), blocks, block_bytes));
        for (best, run) in best.iter_mut().zip([spill, rechunk]) {
            let (seconds, bytes) = run(dir.path(), blocks, block_bytes)?;
            *best = (best.0.min(seconds), bytes);
        }
    }
    let plain = rate((blocks * block_bytes) as u64, plain_best);
    println!("plain files: {plain_best:.2} s, {plain:.2} GB/s");
    for (name, (seconds, bytes)) in ["spilling:   ", "rechunking: "].into_iter().zip(best) {
        let ours = rate(bytes, seconds);
        let mib = bytes >> 20;
        println!("{name} {seconds:.2} s, {mib} MiB, {ours:.2} GB/s, {:.0} %", 100.0 * ours / plain);
    }
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

/// Seconds to make columns of rows, and the bytes that wait for that.
fn rechunk(dir: &Path, n: usize, bytes: usize) -> Result<(f64, u64)> {
    let side = ((n * bytes / 8) as u64).isqrt();
    let (long, short) = (side, side / n as u64);
    let config = Config::new().with_memory_limit((n * bytes / 8) as u64).with_spill_directory(dir);
    let config = config.with_chunk_bytes(bytes as u64);
    config.scope(|| {
        let i = |chunk: u64| array::arange(0.0, side as f64, 1.0, chunk);
        let rows = i(short).expand_dims(1) - i(long).expand_dims(0);
        let columns = rows.map_blocks(|block, _| block.to_owned()).rechunk([long, short]);
        let largest = columns.max(..);
        let spilled = largest.explain()?.spilled_bytes().unwrap_or(0);
        assert!(spilled <= (n * bytes) as u64, "no byte goes to disk twice");
        let start = Instant::now();
        let got = largest.compute()?[[]];
        let seconds = start.elapsed().as_secs_f64();
        assert!(got == (side - 1) as f64);
        Ok((seconds, spilled))
    })
}
