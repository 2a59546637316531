//! Elementwise kernels and reductions, on one thread and against one plain pass over the memory.
//!
//! `cargo bench --bench elemwise` measures 1e8 elements; under `cargo test` it only runs.
#![allow(clippy::print_stdout, reason = "figures are what a benchmark is for")]

use std::hint::black_box;
use std::time::Instant;

use dask_rs::array::DType;
use dask_rs::bench_support::elemwise::Runner;
use ndarray::{ArcArray, Array, ArrayD, Axis, IxDyn, Slice};
use pulp::{Arch, NullaryFnOnce};

/// A sum that does nothing but read: 32 lanes, compiled for the machine's widest vectors.
struct PlainSum<'s>(&'s [f64]);

impl NullaryFnOnce for PlainSum<'_> {
    type Output = f64;

    #[inline(always)]
    fn call(self) -> f64 {
        let mut lanes = [0.0; 32];
        for block in self.0.chunks_exact(32) {
            for (lane, x) in lanes.iter_mut().zip(block) {
                *lane += x;
            }
        }
        lanes.iter().sum()
    }
}

/// Seconds of the best of `n` runs.
fn best<R>(n: usize, mut f: impl FnMut() -> R) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..n {
        let start = Instant::now();
        black_box(f());
        best = best.min(start.elapsed().as_secs_f64());
    }
    best
}

fn show(name: &str, seconds: f64, n: usize, plain: f64) {
    let ns = seconds * 1e9 / n as f64;
    println!("{name:<34} {ns:>7.3} ns/element {:>6.2} x plain sum", ns / plain);
}

/// The functions that are more than a few instructions, over chunks in the cache.
fn functions(n: usize, n_runs: usize, plain: f64) {
    let chunk_len = 32_768.min(n);
    let n_times = n / chunk_len;
    let x = ArrayD::from_shape_fn(IxDyn(&[chunk_len]), |i| 0.001 + (i[0] % 4001) as f64 * 0.005);
    let x = x.into_shared();
    let one = std::slice::from_ref(&x);
    let measure = |name: &str, runner: &Runner, inputs: &[ArcArray<f64, IxDyn>]| {
        let repeat = || (0..n_times).map(|_| runner.run(inputs).first()).sum::<f64>();
        show(name, best(n_runs, repeat), n_times * chunk_len, plain);
    };
    for name in ["exp", "log", "sin", "cos", "tanh"] {
        for dtype in [DType::F64, DType::F32] {
            let runner = Runner::function(name, dtype, &[chunk_len]);
            measure(&format!("{name} of {dtype}"), &runner, one);
        }
    }
    measure("x ** x", &Runner::pow(&[chunk_len]), &[x.clone(), x.clone()]);
}

/// Random numbers, in chunks that stay in the cache.
fn random_numbers(n: usize, n_runs: usize, plain: f64) {
    let chunk_len = 65_536.min(n);
    let n_times = n / chunk_len;
    for name in ["random", "normal", "exponential", "poisson"] {
        let runner = Runner::random(name, chunk_len);
        let repeat = || (0..n_times).map(|_| runner.run(&[]).first()).sum::<f64>();
        show(name, best(n_runs, repeat), n_times * chunk_len, plain);
    }
}

fn main() {
    let is_measuring = std::env::args().any(|arg| arg == "--bench");
    let (n, n_runs) = if is_measuring { (100_000_000, 7) } else { (100_000, 1) };
    let data = Array::from_iter((0..n).map(|i| (i % 1000) as f64)).into_shared();
    let arch = Arch::new();
    println!("{n} f64, best of {n_runs}, one thread, {arch:?}");
    let all = data.as_slice().expect("the array is contiguous");
    let plain = best(n_runs, || arch.dispatch(PlainSum(all))) * 1e9 / n as f64;
    println!("{:<34} {plain:>7.3} ns/element", "plain sum");

    for chunk_len in [4096, 65536, 1 << 20] {
        let mut x = data.clone();
        x.slice_axis_inplace(Axis(0), Slice::from(..chunk_len.min(n)));
        let x = [x.into_dyn()];
        let n_times = (n / chunk_len).max(1);
        let n_elements = n_times * x[0].len();
        for (name, runner) in
            [("fused", Runner::fused_sum(&[x[0].len()])), ("sum", Runner::sum(&[x[0].len()]))]
        {
            let repeat = || (0..n_times).map(|_| runner.run(&x).first()).sum::<f64>();
            show(&format!("{name}, {chunk_len} in cache"), best(n_runs, repeat), n_elements, plain);
        }
    }

    for chunk_len in [n / 100, n / 10, n] {
        let chunks: Vec<ArcArray<f64, IxDyn>> = (0..n / chunk_len)
            .map(|i| {
                let range = i * chunk_len..(i + 1) * chunk_len;
                let mut chunk = data.clone();
                chunk.slice_axis_inplace(Axis(0), Slice::from(range));
                chunk.into_dyn()
            })
            .collect();
        let sum = |runner: &Runner| -> f64 {
            chunks.iter().map(|chunk| runner.run(std::slice::from_ref(chunk)).first()).sum()
        };
        let fused = Runner::fused_sum(&[chunk_len]);
        let name = format!("((x*2+1)**2 - x).sum(), {chunk_len}");
        // In turns, so that a busy neighbour on the machine slows both.
        let (mut fused_best, mut plain_best) = (f64::INFINITY, f64::INFINITY);
        for _ in 0..n_runs {
            plain_best = plain_best.min(best(1, || arch.dispatch(PlainSum(all))));
            fused_best = fused_best.min(best(1, || sum(&fused)));
        }
        show(&name, fused_best, n, plain_best * 1e9 / n as f64);
        let runner = Runner::sum(&[chunk_len]);
        show(&format!("x.sum(), {chunk_len}"), best(n_runs, || sum(&runner)), n, plain);
        let ones = Runner::ones_sum(&[chunk_len]);
        let repeat = || (0..n / chunk_len).map(|_| ones.run(&[]).first()).sum::<f64>();
        assert_eq!(repeat(), n as f64);
        show(&format!("ones().sum(), {chunk_len}"), best(n_runs, repeat), n, plain);
    }

    let side = n.isqrt() / 10 * 4;
    let matrix = ArrayD::from_shape_fn(IxDyn(&[side, side]), |i| (i[0] + i[1]) as f64);
    let matrix = matrix.into_shared();
    let transposed = matrix.clone().reversed_axes();
    let (shape, size) = ([side, side], side * side);
    let measure = |name: &str, runner: &Runner, inputs: &[ArcArray<f64, IxDyn>]| {
        show(name, best(n_runs, || runner.run(inputs)), size, plain);
    };
    let x = std::slice::from_ref(&matrix);
    measure(&format!("x + 1, {side}^2"), &Runner::add_one(&shape), x);
    measure("x.mean(0)", &Runner::mean(&shape, 0), x);
    measure("x.mean(1)", &Runner::mean(&shape, 1), x);
    measure("x.var(0)", &Runner::var(&shape, 0), x);
    measure("x.var(1)", &Runner::var(&shape, 1), x);
    measure("x.T.mean(0)", &Runner::mean(&shape, 0), std::slice::from_ref(&transposed));
    let pair = [matrix.clone(), matrix.clone()];
    measure("x + x (two inputs)", &Runner::add(&shape), &pair);
    let pair = [matrix.clone(), transposed];
    measure("x + x.T", &Runner::add(&shape), &pair);

    functions(n / 10, n_runs, plain);
    random_numbers(n / 10, n_runs, plain);

    let runner = Runner::add_one(&shape);
    let mut made = Some(runner.run(x));
    let again = best(n_runs, || made = made.take().map(|made| runner.run_again(made)));
    show("x + 1 in place", again, size, plain);
}
