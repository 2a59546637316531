//! The code of the README and of the issue, as users write it.
use dask_rs::prelude::*;

#[test]
fn the_first_example() {
    let a: ndarray::ArrayD<f64> =
        array::ones([2, 3, 4, 5, 6], [2, 2, 2, 2, 2]).reshape([6, 2, 2, 30, 1]).compute().unwrap();
    assert_eq!(a, ndarray::ArrayD::ones(ndarray::IxDyn(&[6, 2, 2, 30, 1])));
    let x: Array<f64> = array::ones([2, 3, 4, 5, 6], [2, 2, 2, 2, 2]).reshape([6, 2, 2, 30, 1]);
    let chunks = x.chunks().unwrap().to_string();
    assert_eq!(chunks, "x");
}

#[test]
fn sums() {
    let z = &array::arange(0., 10., 1., [5]) + &ndarray::Array1::<f64>::ones(10);
    assert_eq!(z.sum(..).compute().unwrap()[[]], 55.0);
    let x = array::arange(0., 1000., 1., [100]).reshape([10, 100]);
    let (m, s) = dask_rs::compute((x.mean(0), x.std(0))).unwrap();
    println!("{m} {s} {x}");
    let y = (&x * 2.0 + 1.0).pow(2.0) - &x;
    let p = y.persist().unwrap();
    println!("{}", p.slice(s![1..3, ..;30]).compute().unwrap());
    println!("{}", x.matmul(&x.transpose()).compute().unwrap());
}
