//! An adaptive search: as soon as a trial is done, the next one is chosen from all results so far.
//!
//! `cargo run --release --example futures -- [--trials 400] [--threads N]`
//!
//! Minimizes a function with many valleys. Trials start at random places; each that ends is followed by one
//! near the best place known by then, so that no thread ever waits for the slowest trial of a round. Ends with
//! an error if the lowest valley is not found.
#![allow(clippy::print_stdout, reason = "an example talks to its user")]

mod common;

use std::time::Instant;

use common::{Failure, Options};
use dask_rs::{Client, as_completed};

const USAGE: &str = "usage: futures [--trials NUMBER] [--threads NUMBER]";

/// Where a trial was, and what it found.
#[derive(Clone, Copy, Debug)]
struct Trial {
    at: [f64; 2],
    loss: f64,
}

/// Rastrigin's function, which is 0 at the origin and has a valley near every pair of integers.
fn loss([x, y]: [f64; 2]) -> f64 {
    let term = |x: f64| x * x - 10.0 * (std::f64::consts::TAU * x).cos() + 10.0;
    term(x) + term(y)
}

/// One trial: goes downhill from `start` in steps that shrink.
fn descend(start: &[f64; 2]) -> Trial {
    let mut best = Trial { at: *start, loss: loss(*start) };
    let mut step = 0.5;
    while step > 1e-6 {
        let [x, y] = best.at;
        let around = [[x + step, y], [x - step, y], [x, y + step], [x, y - step]];
        let lowest = around.into_iter().min_by(|a, b| loss(*a).total_cmp(&loss(*b)));
        let lowest = lowest.unwrap_or(best.at);
        if loss(lowest) < best.loss {
            best = Trial { at: lowest, loss: loss(lowest) };
        } else {
            step /= 2.0;
        }
    }
    best
}

/// Numbers from 0 to 1 that look random: a splitmix64 generator.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A place at most `reach` from `centre` along each axis.
    fn near(&mut self, centre: [f64; 2], reach: f64) -> [f64; 2] {
        centre.map(|x| x + reach * (2.0 * self.next() - 1.0))
    }
}

fn main() -> Result<(), Failure> {
    let mut options = Options::from_args();
    let n_trials = options.take_factor("--trials", 400.0)? as usize;
    let n_threads = options.take("--threads")?.map(|text| text.parse()).transpose()?;
    if let Some(word) = options.finish(USAGE)? {
        return Err(format!("{word}?\n{USAGE}").into());
    }
    let mut builder = Client::builder();
    if let Some(n) = n_threads {
        builder = builder.threads(n);
    }
    let client = builder.build()?;
    println!("{n_trials} trials on {} threads\n", client.n_threads());

    let started = Instant::now();
    let mut random = Random(7);
    // A few more than there are threads, so that there is always one to start; most are chosen from results.
    let n_first = n_trials.div_ceil(4).min(3 * client.n_threads());
    let starts: Vec<_> = (0..n_first).map(|_| random.near([0.0, 0.0], 20.0)).collect();
    let mut trials = as_completed(client.map(descend, starts));
    let mut best: Option<Trial> = None;
    let mut n_submitted = n_first;
    while let Some(trial) = trials.next() {
        let trial = trial.result()?;
        if best.is_none_or(|best| trial.loss < best.loss) {
            let [x, y] = trial.at;
            println!("after {n_submitted:4} trials: {:10.6} at ({x:9.5}, {y:9.5})", trial.loss);
            best = Some(trial);
        }
        if n_submitted < n_trials {
            let centre = best.map_or([0.0, 0.0], |best| best.at);
            // Mostly next to the best place, sometimes far away.
            let reach = if random.next() < 0.9 { 2.0 } else { 20.0 };
            trials.add(client.submit(descend, (random.near(centre, reach),)));
            n_submitted += 1;
        }
    }
    let best = best.ok_or("there was no trial")?;
    println!("\nlowest {:.2e} in {:.2} s", best.loss, started.elapsed().as_secs_f64());
    if n_trials >= 400 && best.loss > 1e-6 {
        return Err(format!("{best:?} is not the lowest valley").into());
    }
    Ok(())
}
