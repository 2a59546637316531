//! The code of the README and of the issue, as users write it.

use dask_rs::prelude::*;

#[test]
fn a_reshape_that_cuts_and_merges_axes() {
    let x: Array<f64> = array::ones([2, 3, 4, 5, 6], [2, 2, 2, 2, 2]).reshape([6, 2, 2, 30, 1]);
    assert_eq!(
        x.chunks().unwrap().to_string(),
        "((3, 3), (1, 1), (2,), (3, 3, 3, 3, 3, 3, 3, 3, 3, 3), (1,))"
    );
    let a: ndarray::ArrayD<f64> = x.compute().unwrap();
    assert_eq!(a, ndarray::ArrayD::<f64>::ones(ndarray::IxDyn(&[6, 2, 2, 30, 1])));
}

#[test]
fn an_operand_of_ndarray_is_chunked_to_match() {
    let z = &array::arange(0., 10., 1., [5]) + &ndarray::Array1::<f64>::ones(10);
    assert_eq!(z.grid().unwrap(), [2]);
    assert_eq!(z.sum(..).compute().unwrap()[[]], 55.0);
}

#[test]
fn results_computed_together_persisted_and_multiplied() {
    let x: Array<f64> = array::arange(0., 1000., 1., [100]).reshape([10, 100]);
    let (m, s) = compute((x.mean(0), x.std(0))).unwrap();
    assert_eq!(m[[7]], 457.0);
    assert!((s[[7]] - 8.25_f64.sqrt() * 100.0).abs() < 1e-9);
    let p = ((&x * 2.0 + 1.0).pow(2.0) - &x).persist().unwrap();
    let part = p.slice(s![1..3, ..;30]).compute().unwrap();
    assert_eq!(part[[1, 1]], (230.0_f64 * 2.0 + 1.0).powi(2) - 230.0);
    let gram = x.matmul(&x.transpose()).compute().unwrap();
    assert_eq!(gram[[0, 0]], (0..100).map(|v| f64::from(v * v)).sum::<f64>());
}
