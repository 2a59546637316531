//! What scheduling costs on top of the tasks themselves: nanoseconds and bytes a task.
//!
//! `cargo bench --bench sched` measures a million tasks; under `cargo test` a few run once.

#![allow(clippy::print_stdout, missing_docs)]

use std::time::Instant;

use dask_rs::bench_support::{Graph, Shape};

const SHAPES: [Shape; 8] = [
    Shape::FanOut,
    Shape::Chain,
    Shape::Tree,
    Shape::QuadraticMeans,
    Shape::Anomaly,
    Shape::Broadcast,
    Shape::Rechunk,
    Shape::Overlap,
];

fn main() -> dask_rs::Result<()> {
    let is_bench = std::env::args().any(|arg| arg == "--bench");
    let n = if is_bench { 1_000_000 } else { 1000 };
    let rounds = if is_bench { 3 } else { 1 };
    println!("ns/task, best of {rounds}; run includes order; bytes of state/task; peak blocks");
    for shape in SHAPES {
        measure(shape, n, rounds)?;
    }
    Ok(())
}

fn measure(shape: Shape, n: u64, rounds: usize) -> dask_rs::Result<()> {
    let graph = Graph::expand(shape, n)?;
    let n_tasks = graph.n_tasks();
    let ns = |f: &dyn Fn() -> dask_rs::Result<()>| -> dask_rs::Result<f64> {
        let mut best = f64::INFINITY;
        for _ in 0..rounds {
            let start = Instant::now();
            f()?;
            best = best.min(start.elapsed().as_nanos() as f64 / n_tasks as f64);
        }
        Ok(best)
    };
    let expand = ns(&|| Graph::expand(shape, n).map(drop))?;
    let order = ns(&|| {
        let _ = graph.order();
        Ok(())
    })?;
    let serial = ns(&|| graph.run(0))?;
    let one = ns(&|| graph.run(1))?;
    let two = ns(&|| graph.run(2))?;
    let ranks = graph.order();
    let bytes = graph.state_bytes(&ranks) as f64 / n_tasks as f64;
    println!(
        "{shape:>15} {n_tasks:>8} tasks: expand {expand:4.0}, order {order:4.0}, serial {serial:4.0}, \
         1 thread {one:4.0}, 2 threads {two:4.0}; {bytes:3.0} bytes; {} blocks",
        graph.peak_blocks(&ranks)
    );
    Ok(())
}
