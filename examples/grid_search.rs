//! A search over a grid of parameters, with many cheap trials.
//!
//! `cargo run --release --example grid_search -- [--trials 100000]`
//!
//! Each trial scores one setting of a ridge regression against data that all trials share, and is a task of its own. `delayed` writes the
//! same search down as one graph, with a tree of comparisons at its end. Both find the same setting.
#![allow(clippy::print_stdout, reason = "an example talks to its user")]

mod common;

use std::time::Instant;

use common::{Failure, Options};
use dask_rs::{Client, Delayed, delayed};

const USAGE: &str = "usage: grid_search [--trials NUMBER]";

/// Points along a line, with some noise.
struct Points {
    x: Vec<f64>,
    y: Vec<f64>,
}

impl Points {
    fn new(n: usize) -> Self {
        let x: Vec<f64> = (0..n).map(|i| i as f64 / n as f64).collect();
        let y = x.iter().map(|x| 1.5 * x + 0.25 + 0.01 * (1000.0 * x).sin()).collect();
        Points { x, y }
    }
}

/// A slope and an intercept, by their positions in the grid, and how bad they are.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Score {
    setting: (usize, usize),
    loss: f64,
}

/// The mean squared error of one setting.
fn score(points: &Points, n_side: usize, setting: (usize, usize)) -> Score {
    let at = |i: usize| 2.0 * i as f64 / n_side as f64;
    let (slope, intercept) = (at(setting.0), at(setting.1));
    let errors = points.x.iter().zip(&points.y).map(|(x, y)| slope * x + intercept - y);
    let loss = errors.map(|error| error * error).sum::<f64>() / points.x.len() as f64;
    Score { setting, loss }
}

fn better(a: Score, b: Score) -> Score {
    if b.loss < a.loss { b } else { a }
}

/// The trials as futures: each starts at once.
fn search_with_futures(n_side: usize) -> dask_rs::Result<Score> {
    let client = Client::new()?;
    let points = client.scatter(Points::new(50));
    let trials: Vec<_> = settings(n_side)
        .map(|setting| {
            client.submit(move |points: &Points| score(points, n_side, setting), (&points,))
        })
        .collect();
    let best = |scores: &Vec<Score>| scores.iter().copied().reduce(better);
    client.submit(best, (trials,)).result().map(|best| best.expect("there is a trial"))
}

/// The trials as one graph: nothing runs before `compute`.
fn search_with_delayed(n_side: usize) -> dask_rs::Result<Score> {
    let points = Delayed::ready(Points::new(50));
    let mut level: Vec<Delayed<Score>> = settings(n_side)
        .map(|setting| delayed(move |points: &Points| score(points, n_side, setting), (&points,)))
        .collect();
    let best =
        |scores: &Vec<Score>| scores.iter().copied().reduce(better).expect("a group has a score");
    while level.len() > 1 {
        level = level.chunks(32).map(|scores| delayed(best, (scores,))).collect();
    }
    level[0].compute()
}

fn settings(n_side: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..n_side).flat_map(move |i| (0..n_side).map(move |j| (i, j)))
}

fn main() -> Result<(), Failure> {
    let mut options = Options::from_args();
    let n_trials = options.take_factor("--trials", 100_000.0)?;
    if let Some(word) = options.finish(USAGE)? {
        return Err(format!("{word}?\n{USAGE}").into());
    }
    let n_side = (n_trials.sqrt().round() as usize).max(1);
    let points = Points::new(50);
    let time =
        |name: &str, search: &dyn Fn() -> dask_rs::Result<Score>| -> Result<Score, Failure> {
            let started = Instant::now();
            let best = search()?;
            let seconds = started.elapsed().as_secs_f64();
            let each = seconds / (n_side * n_side) as f64 * 1e6;
            println!("{name:12} {seconds:7.3} s, {each:6.2} µs a trial");
            Ok(best)
        };
    println!("{} trials", n_side * n_side);
    let expected = time("a loop", &|| {
        let scores = settings(n_side).map(|setting| score(&points, n_side, setting));
        Ok(scores.reduce(better).expect("there is a trial"))
    })?;
    let by_futures = time("futures", &|| search_with_futures(n_side))?;
    let by_delayed = time("delayed", &|| search_with_delayed(n_side))?;
    let at = |i: usize| 2.0 * i as f64 / n_side as f64;
    let (i, j) = expected.setting;
    println!("best: slope {:.3}, intercept {:.3}, loss {:.2e}", at(i), at(j), expected.loss);
    match by_futures == expected && by_delayed == expected {
        true => Ok(()),
        false => Err(format!("{by_futures:?} and {by_delayed:?}, expected {expected:?}").into()),
    }
}
