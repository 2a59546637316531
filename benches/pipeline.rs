//! The whole path from expressions to results, against targets of the project.
//!
//! `cargo bench --bench pipeline` measures at full size; under `cargo test` it only runs.
#![allow(clippy::print_stdout, reason = "figures are what a benchmark is for")]

use std::hint::black_box;
use std::time::Instant;

use dask_rs::bench_support::Planned;
use dask_rs::prelude::*;

fn main() {
    let full = std::env::args().any(|arg| arg == "--bench");
    let n_chunks: u64 = if full { 1_000_000 } else { 1_000 };
    million_chunks(n_chunks);
    deep_chain(if full { 200_000 } else { 2_000 });
    chain_over_memory(if full { 100_000_000 } else { 1_000_000 });
}

/// `((ones + 1) * 2 - 3).sum()` and a slice of it.
fn million_chunks(n_chunks: u64) {
    let expression = || (array::ones::<f64>(n_chunks, [1]) + 1.0) * 2.0 - 3.0;
    let start = Instant::now();
    let planned = Planned::new(&expression().sum(..)).expect("ones can be summed");
    println!("construct, optimize, lower to layers: {:?}", start.elapsed());
    let (start, before) = (Instant::now(), peak_kib());
    let n_tasks = planned.expand().expect("a million tasks are few");
    let grown = peak_kib() - before;
    println!("expand and order {n_tasks} tasks: {:?}, {} MiB", start.elapsed(), grown >> 10);
    let start = Instant::now();
    let sum = expression().sum(..).compute().expect("ones can be summed");
    println!("compute the sum, {sum}: {:?}", start.elapsed());
    let first = expression().slice(s![0..1]);
    let n_tasks = Planned::new(&first).and_then(Planned::expand).expect("ones can be sliced");
    let start = Instant::now();
    black_box(first.compute().expect("ones can be sliced"));
    println!("compute the first element, {n_tasks} tasks: {:?}", start.elapsed());
}

/// The most memory that the process has had, in KiB; 0 where the system does not tell.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse().ok()).unwrap_or(0)
}

/// A loop that adds to an array again and again.
fn deep_chain(n_steps: u64) {
    let start = Instant::now();
    let mut x = array::from_ndarray(ndarray::Array1::<f64>::zeros(10), [5]);
    for _ in 0..n_steps {
        x = &x + 1.0;
    }
    println!("built {n_steps} steps: {:?}", start.elapsed());
    let start = Instant::now();
    println!("{:?}", x.slice(s![0]).compute().expect("numbers can be added"));
    println!("computed: {:?}", start.elapsed());
    let start = Instant::now();
    drop(x);
    println!("dropped: {:?}", start.elapsed());
}

/// A fused chain over an array in memory against a plain sum of the same array.
fn chain_over_memory(n: usize) {
    let data = ndarray::Array1::from_shape_fn(n, |i| (i % 1000) as f64 * 0.5);
    let x = array::from_ndarray(data, [n.div_ceil(100)]);
    let plain = x.sum(..);
    let chain = ((&x * 2.0 + 1.0).pow(2.0) - &x).sum(..);
    for _ in 0..5 {
        let start = Instant::now();
        black_box(plain.compute().expect("numbers can be summed"));
        let of_plain = start.elapsed();
        let start = Instant::now();
        black_box(chain.compute().expect("numbers can be summed"));
        let of_chain = start.elapsed();
        let ratio = of_chain.as_secs_f64() / of_plain.as_secs_f64();
        println!("plain sum {of_plain:?}, fused chain {of_chain:?}, ratio {ratio:.2}");
    }
}
