//! Logistic regression four ways, on more samples than fit into memory.
//!
//! `cargo run --release --example glm -- [--memory-limit "64 MiB"] [--factor 4] [--picture FILE.png]`
//!
//! The samples are persisted: half of the limit holds what it can, the rest is on disk. Gradient descent, L-BFGS and Newton's method
//! need sums over all samples, a run for each point that they try; ADMM solves a regression of its own in each block and only
//! exchanges coefficients. Each has to find what plain loops over the samples find with Newton's method.
#![allow(clippy::print_stdout, reason = "an example talks to its user")]

mod common;
#[path = "common/picture.rs"]
mod picture;
#[path = "common/workload.rs"]
mod workload;

use std::sync::Arc;

use common::{Failure, Options};
use dask_rs::array::AxisSpec;
use dask_rs::array::linalg::solve;
use dask_rs::prelude::*;
use ndarray::{Array1, Array2, ArrayD, ArrayView1, ArrayViewD, Axis, Ix1, Ix2};
use workload::{OPTIONS, Workload};

/// The intercept and what was measured.
const N_FEATURES: usize = 5;
const TRUE: [f64; N_FEATURES] = [-0.4, 1.2, -0.8, 0.5, 0.0];
/// Where all four stop: the largest element of the gradient of the mean loss.
const GRADIENT: f64 = 1e-7;
const N_STEPS_MAX: usize = 60;

fn main() -> Result<(), Failure> {
    let mut options = Options::from_args();
    let workload = Workload::from_options(&mut options, 64 << 20)?;
    options.finish(&format!("usage: glm {OPTIONS}"))?;
    workload.run(run)
}

fn run(w: &mut Workload) -> Result<(), Failure> {
    let n = w.data_bytes() / 8 / (N_FEATURES as u64 + 1);
    let samples = w.persist(&samples(n))?;
    let direct = by_loops(n);

    let methods: [(&str, Method); 4] = [
        ("gradient descent", gradient_descent),
        ("L-BFGS", lbfgs),
        ("Newton", newton),
        ("ADMM", admm),
    ];
    let mut curves = Vec::new();
    for (name, method) in methods {
        let mut path = Vec::new();
        method(&mut Fit { w, samples: &samples, n: n as f64 }, &mut path)?;
        let found = path.last().expect("each begins somewhere");
        w.check_all(name, found.iter().copied().zip(direct.iter().copied()), 1e-6);
        w.note(&format!("after {} steps", path.len() - 1));
        let distance = |found: &Array1<f64>| (found - &direct).fold(0.0_f64, |a, b| a.max(b.abs()));
        let line = path.iter().map(|found| distance(found).max(1e-12).log10());
        curves.push((name, line.enumerate().map(|(i, y)| (i as f64, y)).collect()));
    }

    if let Some(path) = w.picture() {
        let title = "log10 of the distance from the solution, by steps";
        picture::save(path, (640, 360), |area| picture::curves(area, title, &curves))?;
    }
    Ok(())
}

/// Appends the coefficients after each step, and first those that it begins with.
type Method = fn(&mut Fit<'_>, &mut Vec<Array1<f64>>) -> Result<()>;

struct Fit<'a> {
    w: &'a mut Workload,
    /// By sample: the features, and last the outcome, 0 or 1.
    samples: &'a Array<f64>,
    n: f64,
}

/// The mean loss, and its derivatives by the coefficients.
struct Loss {
    value: f64,
    gradient: Array1<f64>,
}

impl Fit<'_> {
    fn features(&self) -> Array<f64> {
        self.samples.slice(s![.., ..-1])
    }

    fn outcome(&self) -> Array<f64> {
        self.samples.slice(s![.., -1])
    }

    /// Each sample's log-odds and probability of 1.
    fn odds(&self, at: &Array1<f64>) -> (Array<f64>, Array<f64>) {
        let odds = self.features().dot(&array::from_ndarray(at.clone(), -1));
        let probability = ((&odds * -1.0).exp() + 1.0).reciprocal();
        (odds, probability)
    }

    fn gradient(&self, probability: &Array<f64>) -> Array<f64> {
        self.features().transpose().dot(&(probability - self.outcome())) / self.n
    }

    fn loss(&mut self, at: &Array1<f64>) -> Result<Loss> {
        let (odds, probability) = self.odds(at);
        let value = (odds.logaddexp(0.0) - self.outcome() * &odds).mean(..);
        let (value, gradient) = self.w.compute((value, self.gradient(&probability)))?;
        Ok(Loss { value: value[[]], gradient: vector(gradient) })
    }

    /// How far Newton's method goes from here.
    fn newton_step(&mut self, at: &Array1<f64>) -> Result<Array1<f64>> {
        let (_, probability) = self.odds(at);
        let weight = &probability * (1.0 - &probability);
        let weighted = self.features() * weight.expand_dims(1);
        let hessian = weighted.transpose().matmul(&self.features()) / self.n;
        Ok(vector(self.w.compute(solve(&hessian, &self.gradient(&probability)))?))
    }

    /// A point along `direction` that is lower by enough, as Armijo demands, beginning with a step of `length`.
    fn descend(
        &mut self,
        at: &Array1<f64>,
        here: &Loss,
        direction: &Array1<f64>,
        mut length: f64,
    ) -> Result<(Array1<f64>, Loss, f64)> {
        let slope = here.gradient.dot(direction);
        loop {
            let next = at + &(direction * length);
            let there = self.loss(&next)?;
            // What is lower by less than rounding shows can't be told apart.
            let noise = 1e-14 * here.value;
            if there.value <= here.value + 1e-4 * length * slope + noise || length < 1e-8 {
                return Ok((next, there, length));
            }
            length /= 2.0;
        }
    }
}

fn vector(of: ArrayD<f64>) -> Array1<f64> {
    of.into_dimensionality::<Ix1>().expect("coefficients are a vector")
}

fn is_flat(gradient: &Array1<f64>) -> bool {
    gradient.iter().all(|slope| slope.abs() < GRADIENT)
}

/// Downhill, with steps that are tried twice as long as the last one.
fn gradient_descent(fit: &mut Fit<'_>, path: &mut Vec<Array1<f64>>) -> Result<()> {
    path.push(Array1::zeros(N_FEATURES));
    let (mut here, mut length) = (fit.loss(&path[0])?, 4.0);
    while !is_flat(&here.gradient) && path.len() <= N_STEPS_MAX {
        let at = &path[path.len() - 1];
        let down = here.gradient.mapv(|slope| -slope);
        let (next, there, used) = fit.descend(at, &here, &down, length)?;
        (here, length) = (there, used * 2.0);
        path.push(next);
    }
    Ok(())
}

/// Newton's method with what the last gradients say about the Hessian (Nocedal and Wright, algorithm 7.4).
fn lbfgs(fit: &mut Fit<'_>, path: &mut Vec<Array1<f64>>) -> Result<()> {
    path.push(Array1::zeros(N_FEATURES));
    let mut here = fit.loss(&path[0])?;
    let mut history: Vec<(Array1<f64>, Array1<f64>)> = Vec::new();
    while !is_flat(&here.gradient) && path.len() <= N_STEPS_MAX {
        let at = path[path.len() - 1].clone();
        let direction = -two_loops(&here.gradient, &history);
        let (next, there, _) = fit.descend(&at, &here, &direction, 1.0)?;
        history.push((&next - &at, &there.gradient - &here.gradient));
        here = there;
        path.push(next);
    }
    Ok(())
}

/// The inverse of the Hessian times the gradient, from steps and how the gradient has changed by them.
fn two_loops(gradient: &Array1<f64>, history: &[(Array1<f64>, Array1<f64>)]) -> Array1<f64> {
    let mut q = gradient.clone();
    let mut alphas = Vec::new();
    for (step, change) in history.iter().rev() {
        let alpha = step.dot(&q) / step.dot(change);
        q.scaled_add(-alpha, change);
        alphas.push(alpha);
    }
    // Before anything is known, the curvature of features between -1 and 1.
    q *= history.last().map_or(4.0, |(step, change)| step.dot(change) / change.dot(change));
    for ((step, change), alpha) in history.iter().zip(alphas.iter().rev()) {
        let beta = change.dot(&q) / step.dot(change);
        q.scaled_add(alpha - beta, step);
    }
    q
}

fn newton(fit: &mut Fit<'_>, path: &mut Vec<Array1<f64>>) -> Result<()> {
    path.push(Array1::zeros(N_FEATURES));
    loop {
        let at = &path[path.len() - 1];
        let step = fit.newton_step(at)?;
        let next = at - &step;
        path.push(next);
        if step.iter().all(|step| step.abs() < 10.0 * GRADIENT) || path.len() > N_STEPS_MAX {
            return Ok(());
        }
    }
}

/// The alternating direction method of multipliers, as consensus (Boyd et al. 2011, section 8.2): each block finds
/// coefficients for its own samples, at a price for being far from the mean of all.
fn admm(fit: &mut Fit<'_>, path: &mut Vec<Array1<f64>>) -> Result<()> {
    const PRICE: f64 = 0.15;
    let rows = fit.samples.chunks()?.sizes(0).unwrap_or_default();
    let shares: Array1<f64> = rows.iter().map(|&rows| rows as f64 / fit.n).collect();
    let one_each = [vec![1; rows.len()], vec![N_FEATURES as u64]];
    let mut prices = Array2::<f64>::zeros((rows.len(), N_FEATURES));
    path.push(Array1::zeros(N_FEATURES));
    while path.len() <= N_STEPS_MAX {
        let mean = path[path.len() - 1].clone();
        let wanted = Arc::new(&mean - &prices);
        let local = fit.samples.map_blocks_with_chunks(&one_each, move |block, info| {
            let wanted = wanted.row(info.block[0] as usize);
            near(&block, &wanted, PRICE).insert_axis(Axis(0)).into_dyn()
        });
        let local =
            fit.w.compute(local)?.into_dimensionality::<Ix2>().expect("a row for each block");
        // Blocks count as much as they have samples.
        let next = (&local + &prices).t().dot(&shares);
        prices = prices + &local - &next;
        let moved = &next - &mean;
        let apart = moved.iter().chain(&(&local - &next)).fold(0.0_f64, |a, b| a.max(b.abs()));
        path.push(next);
        if apart < GRADIENT {
            return Ok(());
        }
    }
    Ok(())
}

/// The coefficients of least mean loss for some samples, and of least squared distance from what is wanted.
fn near(block: &ArrayViewD<'_, f64>, wanted: &ArrayView1<'_, f64>, price: f64) -> Array1<f64> {
    let block = block.view().into_dimensionality::<Ix2>().expect("samples are rows");
    let rows = block.rows().into_iter().map(|row| std::array::from_fn(|i| row[i]));
    let mut at = wanted.to_owned();
    // A block of few samples is far from its own solution, so a fixed number of steps would not do.
    for _ in 0..N_STEPS_MAX {
        let (mut hessian, mut gradient) = derivatives(rows.clone(), &at);
        hessian.diag_mut().mapv_inplace(|curvature| curvature + price);
        gradient.scaled_add(price, &(&at - wanted));
        let step = solved(hessian, gradient);
        at -= &step;
        if step.iter().all(|step| step.abs() < GRADIENT) {
            break;
        }
    }
    at
}

/// What plain loops over all samples find, from what those over a part do.
fn by_loops(n: u64) -> Array1<f64> {
    let mut at = Array1::zeros(N_FEATURES);
    for part in [n / 16, n / 16, n / 16, n / 16, n, n, n] {
        let (hessian, gradient) = derivatives((0..part).map(sample), &at);
        at -= &solved(hessian, gradient);
    }
    at
}

/// Of the mean loss, by the coefficients.
fn derivatives(
    samples: impl Iterator<Item = Sample>,
    at: &Array1<f64>,
) -> (Array2<f64>, Array1<f64>) {
    let at: [f64; N_FEATURES] = std::array::from_fn(|i| at[i]);
    let (mut hessian, mut gradient, mut n) =
        ([[0.0; N_FEATURES]; N_FEATURES], [0.0; N_FEATURES], 0.0);
    for sample in samples {
        let odds: f64 = (0..N_FEATURES).map(|i| sample[i] * at[i]).sum();
        let probability = 1.0 / (1.0 + (-odds).exp());
        let (apart, weight) = (probability - sample[N_FEATURES], probability * (1.0 - probability));
        for i in 0..N_FEATURES {
            gradient[i] += apart * sample[i];
            for j in 0..N_FEATURES {
                hessian[i][j] += weight * sample[i] * sample[j];
            }
        }
        n += 1.0;
    }
    (ndarray::arr2(&hessian) / n, ndarray::arr1(&gradient) / n)
}

/// A small system of equations, by Gauss and Jordan; the matrix is positive definite, so that no rows need to change places.
fn solved(mut matrix: Array2<f64>, mut right: Array1<f64>) -> Array1<f64> {
    for i in 0..right.len() {
        let (pivot, row) = (matrix[[i, i]], &matrix.row(i) / matrix[[i, i]]);
        right[i] /= pivot;
        matrix.row_mut(i).assign(&row);
        for other in (0..right.len()).filter(|other| *other != i) {
            let factor = matrix[[other, i]];
            matrix.row_mut(other).scaled_add(-factor, &row);
            right[other] -= factor * right[i];
        }
    }
    right
}

/// Features, of which the first is 1, and the outcome.
type Sample = [f64; N_FEATURES + 1];

fn samples(n: u64) -> Array<f64> {
    let width = N_FEATURES as u64 + 1;
    array::zeros([n, width], ["auto".into(), AxisSpec::Whole]).map_blocks(|block, info| {
        let first = info.start.as_ref().map_or(0, |start| start[0]);
        let mut rows = block.to_owned();
        for (i, mut row) in (first..).zip(rows.rows_mut()) {
            row.assign(&ArrayView1::from(&sample(i)));
        }
        rows
    })
}

/// Features of deviation 1, and an outcome that is as likely as the true coefficients say.
fn sample(i: u64) -> Sample {
    let mut bits = i.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut uniform = || {
        bits = (bits ^ (bits >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (bits >> 11) as f64 / (1_u64 << 53) as f64
    };
    let mut sample = [1.0; N_FEATURES + 1];
    sample[1..N_FEATURES].fill_with(|| (uniform() - 0.5) * 12_f64.sqrt());
    let odds: f64 = TRUE.iter().zip(&sample).map(|(coefficient, x)| coefficient * x).sum();
    sample[N_FEATURES] = f64::from(uniform() < 1.0 / (1.0 + (-odds).exp()));
    sample
}
