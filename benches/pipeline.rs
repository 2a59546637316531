//! The whole path from expressions to results, against targets of the project.
//!
//! `cargo bench --bench pipeline` measures at full size; under `cargo test` it only runs.
#![allow(clippy::print_stdout, reason = "figures are what a benchmark is for")]

use std::hint::black_box;
use std::time::Instant;

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
    let start = Instant::now();
    let y: Array<f64> = (array::ones::<f64>(n_chunks, [1]) + 1.0) * 2.0 - 3.0;
    let sum = y.sum(..);
    println!("construct: {:?}", start.elapsed());
    let start = Instant::now();
    let result = sum.compute().expect("ones can be summed");
    println!("sum of {n_chunks} chunks = {result}: {:?}", start.elapsed());
    let start = Instant::now();
    black_box(y.slice(s![0..1]).compute().expect("ones can be sliced"));
    println!("first element: {:?}", start.elapsed());
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
