//! What scheduling costs on top of the tasks themselves: nanoseconds and bytes a task.
//!
//! `cargo bench --bench sched` measures a million tasks; under `cargo test` a few run once. The last lines say what it costs
//! if a profile watches, in time of processors, which others on the machine disturb less: for tasks that do nothing, and
//! for sums over chunks of some sizes (with the feature `array`).

#![allow(clippy::print_stdout, missing_docs)]

use std::time::Instant;

use dask_rs::bench_support::{Graph, Shape};
use dask_rs::diagnostics::Profile;

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
    println!("CPU ns/task without and with a profile, median of {}", 2 * rounds + 1);
    for (shape, threads) in [Shape::FanOut, Shape::Anomaly].into_iter().zip([1, 2]) {
        measure_profile(shape, threads, n, 2 * rounds + 1)?;
    }
    #[cfg(feature = "array")]
    for chunk_bytes in [16 << 10, 128 << 10, 1 << 20] {
        let n_bytes = if is_bench { 1 << 30 } else { 1 << 22 };
        measure_profile_of_sums(n_bytes, chunk_bytes, 2 * rounds + 1)?;
    }
    Ok(())
}

/// Medians of what `run` takes of the processors, without and with a profile, in turn.
fn without_and_with(
    rounds: usize,
    run: &dyn Fn(Option<&Profile>) -> dask_rs::Result<()>,
) -> dask_rs::Result<[f64; 2]> {
    let (mut off, mut on) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let profile = Profile::new();
        for (times, profile) in [(&mut off, None), (&mut on, Some(&profile))] {
            let start = cpu_ns();
            run(profile)?;
            times.push(cpu_ns() - start);
        }
    }
    Ok([off, on].map(|mut times: Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    }))
}

#[cfg(feature = "array")]
fn measure_profile_of_sums(n_bytes: u64, chunk_bytes: u64, rounds: usize) -> dask_rs::Result<()> {
    use dask_rs::array;
    let x = array::arange(0.0, (n_bytes / 8) as f64, 1.0, chunk_bytes / 8);
    let sum = (x.sqrt() * 2.0).sum(..);
    let n_tasks = dask_rs::explain(&sum)?.n_tasks().unwrap_or(1);
    let [off, on] = without_and_with(rounds, &|profile| match profile {
        Some(profile) => profile.scope(|| sum.compute()).map(drop),
        None => sum.compute().map(drop),
    })?;
    println!(
        "sums of {:4} KiB: {n_tasks:>8} tasks of {:5.1} µs: {:+.2} %",
        chunk_bytes >> 10,
        off / n_tasks as f64 / 1000.0,
        (on / off - 1.0) * 100.0
    );
    Ok(())
}

fn measure_profile(shape: Shape, threads: usize, n: u64, rounds: usize) -> dask_rs::Result<()> {
    let graph = Graph::expand(shape, n)?;
    let all = without_and_with(rounds, &|profile| match profile {
        Some(profile) => graph.run_watched(threads, profile.observer()),
        None => graph.run(threads),
    })?;
    let [off, on] = all.map(|ns| ns / graph.n_tasks() as f64);
    let cost = on - off;
    println!(
        "{shape:>15} {:>8} tasks, {threads} threads: {off:4.0} without, {on:4.0} with: {cost:4.0} a task, \
         2 % of tasks of {:.1} µs",
        graph.n_tasks(),
        cost * 50.0 / 1000.0
    );
    Ok(())
}

/// What all threads of this process have used of the processors; elsewhere than on Linux, the time on the wall.
fn cpu_ns() -> f64 {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let wall = START.get_or_init(Instant::now).elapsed().as_nanos() as f64;
    let of_thread = |dir: std::fs::DirEntry| -> Option<f64> {
        let times = std::fs::read_to_string(dir.path().join("schedstat")).ok()?;
        times.split(' ').next()?.parse().ok()
    };
    // Threads of pools stay, so that no time gets lost with one that ends.
    let all = std::fs::read_dir("/proc/self/task").ok();
    let all = all.map(|threads| threads.flatten().filter_map(of_thread).sum());
    all.unwrap_or(wall)
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
