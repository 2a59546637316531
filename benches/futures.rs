//! What a future and a delayed value cost: latency of `submit().result()`, and time a task in bulk.
//!
//! `cargo bench --bench futures --no-default-features --features array` makes 100 000 round trips; under `cargo test` a few.

#![allow(clippy::print_stdout, missing_docs)]

use std::time::Instant;

use dask_rs::{Client, Delayed, Result, as_completed, delayed};

fn main() -> Result<()> {
    let is_bench = std::env::args().any(|arg| arg == "--bench");
    let n = if is_bench { 100_000 } else { 100 };
    let client = Client::new()?;
    println!("{n} tasks, {} threads", client.n_threads());
    latency("submit().result()", n, |i| client.submit(|x: &u64| x + 1, (i,)).result().map(drop))?;
    latency("the same, on a worker", n, |i| {
        let future = client.submit(|x: &u64| x + 1, (i,));
        // A wait that may end early leaves the task to the workers.
        future.wait_timeout(std::time::Duration::from_secs(60));
        future.result().map(drop)
    })?;
    bulk("map + gather", n, || {
        let futures = client.map(|x: &u64| x + 1, 0..n);
        client.gather(&futures).map(drop)
    })?;
    bulk("map + as_completed", n, || {
        as_completed(client.map(|x: &u64| x + 1, 0..n))
            .try_for_each(|future| future.result().map(drop))
    })?;
    bulk("chain of futures", n, || {
        let mut last = client.scatter(0_u64);
        for _ in 0..n {
            last = client.submit(|x: &u64| x + 1, (last,));
        }
        last.result().map(drop)
    })?;
    let mut made = None;
    bulk("delayed: build", n, || {
        let leaves: Vec<_> = (0..n).map(|i| delayed(|x: &u64| x + 1, (i,))).collect();
        made = Some(delayed(|all: &Vec<u64>| all.iter().sum::<u64>(), (leaves,)));
        Ok(())
    })?;
    bulk("delayed: compute", n, || made.as_ref().map_or(Ok(0), Delayed::compute).map(drop))?;
    Ok(())
}

fn latency(name: &str, n: u64, round_trip: impl Fn(u64) -> Result<()>) -> Result<()> {
    let mut nanoseconds = Vec::with_capacity(n as usize);
    for i in 0..n {
        let start = Instant::now();
        round_trip(i)?;
        nanoseconds.push(start.elapsed().as_nanos() as f64);
    }
    nanoseconds.sort_by(f64::total_cmp);
    let at = |part: f64| nanoseconds[(part * (n - 1) as f64) as usize] / 1000.0;
    println!(
        "{name:>24}: median {:6.2} µs, p99 {:7.2} µs, most {:9.2} µs",
        at(0.5),
        at(0.99),
        at(1.0)
    );
    Ok(())
}

fn bulk(name: &str, n: u64, run: impl FnOnce() -> Result<()>) -> Result<()> {
    let start = Instant::now();
    run()?;
    println!("{name:>24}: {:6.2} µs a task", start.elapsed().as_secs_f64() * 1e6 / n as f64);
    Ok(())
}
