//! Shapes, chunks and what a collection prints, without reading anything.
//!
//! `cargo run --example reshape`
#![allow(clippy::print_stdout, reason = "an example talks to its user")]

use dask_rs::prelude::*;

fn main() -> Result<()> {
    let ones: Array<f64> = array::ones([2, 3, 4, 5, 6], [2, 2, 2, 2, 2]);
    let reshaped = ones.reshape([6, 2, 2, 30, 1]);
    println!("before:\n{ones}\n  chunks {}\n", ones.chunks()?);
    println!("after reshape([6, 2, 2, 30, 1]):\n{reshaped}\n  chunks {}\n", reshaped.chunks()?);

    let values: ndarray::ArrayD<f64> = reshaped.compute()?;
    println!("computed: shape {:?}, sum {}\n", values.shape(), values.sum());

    // An array of ndarray on either side is chunked to match.
    let z = &array::arange(0., 10., 1., [5]) + &ndarray::Array1::<f64>::ones(10);
    println!("arange + ndarray: {}\n", z.compute()?);

    // What both results share is computed once.
    let x = array::arange(0., 1000., 1., [100]).reshape([10, 100]);
    let (mean, std) = compute((x.mean(0), x.std(0)))?;
    println!("first means {:?}, first deviations {:?}\n", &first(&mean), &first(&std));

    // Nothing runs until `compute`; this is what would.
    println!("{}", ((&x * 2.0 + 1.0).pow(2.0) - &x).sum(..).explain()?);

    // A wrong step is reported by whoever asks for the result, and names the line of the step.
    let wrong = ones.reshape([7, -1]).sum(..);
    if let Err(error) = wrong.compute() {
        println!("{error}");
    }
    Ok(())
}

fn first(values: &ndarray::ArrayD<f64>) -> Vec<f64> {
    values.iter().take(3).copied().collect()
}
