//! Transforms against sums over all elements, and against NumPy's conventions.

use std::f64::consts::TAU;

use ndarray::{ArrayD, Axis};
use num_complex::Complex;
use proptest::prelude::*;

use super::*;
use crate::Config;
use crate::prelude::*;

type Numbers = ArrayD<Complex<f64>>;

fn numbers(shape: &[usize]) -> Numbers {
    let mut next = 0.0_f64;
    ArrayD::from_shape_simple_fn(shape, || {
        next += 1.0;
        Complex::new((next * 1.7).sin(), (next * next * 0.3).cos())
    })
}

/// The sum of `x[j] exp(∓2πi jk / n)` over the `n` first elements, by its definition.
fn by_definition(x: &Numbers, n: usize, axis: usize, sign: f64, scale: f64) -> Numbers {
    let mut shape = x.shape().to_vec();
    shape[axis] = n;
    let mut out = Numbers::zeros(shape);
    for (lane, mut out) in x.lanes(Axis(axis)).into_iter().zip(out.lanes_mut(Axis(axis))) {
        for (k, out) in out.iter_mut().enumerate() {
            let term = |(j, x): (usize, &Complex<f64>)| {
                let turns = (j * k % n) as f64 / n as f64;
                x * Complex::from_polar(scale, sign * TAU * turns)
            };
            *out = lane.iter().take(n).enumerate().map(term).sum();
        }
    }
    out
}

fn near(got: &Numbers, expected: &Numbers) {
    assert_eq!(got.shape(), expected.shape());
    let distance = got.iter().zip(expected).fold(0.0_f64, |max, (a, b)| max.max((a - b).norm()));
    assert!(distance < 1e-9, "{distance} away");
}

fn norms(n: usize) -> [(FftNorm, f64, f64); 3] {
    let n = n as f64;
    [
        (FftNorm::Backward, 1.0, 1.0 / n),
        (FftNorm::Ortho, n.sqrt().recip(), n.sqrt().recip()),
        (FftNorm::Forward, 1.0 / n, 1.0),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn transforms_are_their_sums(
        shape in prop::collection::vec(1..9_usize, 1..4), chunks in prop::collection::vec(1..9_u64, 3),
        axis in 0..3_usize, n in prop::option::of(1..14_usize), norm in 0..3_usize, bytes in 8..3000_u64,
        optimize in any::<bool>(),
    ) {
        let axis = axis % shape.len();
        let x = numbers(&shape);
        let real = x.mapv(|x| x.re);
        let as_complex = real.mapv(|x| Complex::new(x, 0.0));
        let len = n.unwrap_or(shape[axis]);
        let (norm, forward, inverse) = norms(len)[norm];
        let n = n.map(|n| n as u64);
        Config::new().with_chunk_bytes(bytes).with_optimize(optimize).scope(|| {
            let lazy = array::from_ndarray(x.clone(), &chunks[..shape.len()]);
            let of_real = array::from_ndarray(real.clone(), &chunks[..shape.len()]);
            near(&fft(&lazy, n, axis, norm).compute().unwrap(), &by_definition(&x, len, axis, -1.0, forward));
            near(&ifft(&lazy, n, axis, norm).compute().unwrap(), &by_definition(&x, len, axis, 1.0, inverse));
            let whole = by_definition(&as_complex, len, axis, -1.0, forward);
            near(&fft(&of_real, n, axis, norm).compute().unwrap(), &whole);
            let half = rfft(&of_real, n, axis, norm);
            let half_expected = whole.slice_axis(Axis(axis), ndarray::Slice::from(..len / 2 + 1));
            near(&half.compute().unwrap(), &half_expected.to_owned());
            // Back to the real numbers, cut off or with zeros after them.
            let back = irfft(&half, len as u64, axis, norm).compute().unwrap();
            for (lane, back) in real.lanes(Axis(axis)).into_iter().zip(back.lanes(Axis(axis))) {
                for (j, x) in back.iter().enumerate() {
                    assert!((x - lane.get(j).copied().unwrap_or(0.0)).abs() < 1e-12);
                }
            }
            let symmetric = ihfft(&of_real, n, axis, norm);
            let again = hfft(&symmetric, len as u64, axis, norm).compute().unwrap();
            assert!(again.iter().zip(&back).all(|(a, b)| (a - b).abs() < 1e-12));
        });
    }

    #[test]
    fn several_axes_are_one_after_the_other(
        chunks in prop::collection::vec(1..7_u64, 3), bytes in 8..3000_u64, optimize in any::<bool>(),
    ) {
        let shape = [3, 5, 4];
        let x = numbers(&shape);
        let real = x.mapv(|x| x.re);
        Config::new().with_chunk_bytes(bytes).with_optimize(optimize).scope(|| {
            let lazy = array::from_ndarray(x.clone(), &chunks[..]);
            let of_real = array::from_ndarray(real.clone(), &chunks[..]);
            let [a, b, c] = [0, 1, 2].map(|axis| {
                move |x: &Numbers| by_definition(x, x.shape()[axis], axis, -1.0, 1.0)
            });
            let expected = c(&b(&a(&x)));
            let norm = FftNorm::Backward;
            near(&fftn(&lazy, None, .., norm).compute().unwrap(), &expected);
            near(&fft2(&lazy, norm).compute().unwrap(), &c(&b(&x)));
            near(&ifft2(&fft2(&lazy, norm), norm).compute().unwrap(), &x);
            let back = ifftn(&fftn(&lazy, None, [0, 2], FftNorm::Ortho), None, [0, 2], FftNorm::Ortho);
            near(&back.compute().unwrap(), &x);
            let whole = c(&b(&a(&real.mapv(|x| Complex::new(x, 0.0)))));
            let half = rfftn(&of_real, None, .., norm);
            near(&half.compute().unwrap(), &whole.slice(s![.., .., ..3]).to_owned().into_dyn());
            let back = irfftn(&half, Shape::from([3, 5, 4]), .., norm).compute().unwrap();
            assert!(back.iter().zip(&real).all(|(a, b)| (a - b).abs() < 1e-12));
            // A shape without axes is that of the last ones.
            let shorter = fftn(&lazy, Shape::from([6, 2]), .., norm).compute().unwrap();
            near(&shorter, &by_definition(&by_definition(&x, 2, 2, -1.0, 1.0), 6, 1, -1.0, 1.0));
        });
    }
}

#[test]
fn blocks_are_cut_where_an_axis_becomes_whole() {
    Config::new().with_chunk_bytes(16 * 64).scope(|| {
        let x: Array<Complex<f64>> = array::zeros([64, 64], [8, 8]);
        let y = fft(&x, None, 0, FftNorm::Backward);
        assert_eq!(y.grid().unwrap(), [1, 64]);
        let y = fft(&x.rechunk([64, 16]), None, 1, FftNorm::Backward);
        assert_eq!(y.chunks().unwrap().sizes(0), Some(vec![16; 4]));
        let long = fft(&x, 256, 1, FftNorm::Backward);
        assert_eq!(long.chunks().unwrap().sizes(0), Some(vec![1; 64]));
    });
}

#[test]
fn dtypes_and_names_follow() {
    let x: Array<f32> = array::ones([4, 6], [2, 3]).with_dim_names(["time", "x"]);
    let y: Array<Complex<f32>> = rfft(&x, None, "x", FftNorm::Backward);
    assert_eq!((y.shape().unwrap(), y.compute().unwrap()[[0, 0]].re), (vec![4, 4], 6.0));
    assert_eq!(y.dim_names().unwrap().unwrap(), ["time", "x"]);
    let back: Array<f32> = irfft(&y, None, "x", FftNorm::Backward);
    assert!(back.compute().unwrap().iter().all(|x| (x - 1.0).abs() < 1e-6));
    let integers = array::arange(0, 4, 1, [2]);
    let whole: Array<Complex<f64>> = fft(&integers, None, 0, FftNorm::Backward);
    assert_eq!(whole.compute().unwrap()[[0]].re, 6.0);
}

#[test]
fn frequencies_and_shifts_are_those_of_numpy() {
    // numpy.fft.fftfreq(5, 0.1), rfftfreq(5, 0.1), fftshift(fftfreq(5, 0.1)).
    let f = fftfreq(5, 0.1, [2]).compute().unwrap();
    let expected = [0.0, 2.0, 4.0, -4.0, -2.0];
    assert!(f.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-14), "{f}");
    assert_eq!(fftfreq(6, 1.0, [4]).compute().unwrap()[[3]], -0.5);
    let half = rfftfreq(5, 0.1, [2]).compute().unwrap();
    assert!(
        half.iter().zip([0.0, 2.0, 4.0]).all(|(a, b)| (a - b).abs() < 1e-14) && half.len() == 3
    );
    let x = array::arange(0_i64, 15, 1, [4]).reshape([3, 5]);
    let shifted = fftshift(&x, ..);
    assert_eq!(shifted.compute().unwrap()[[1, 2]], 0);
    assert_eq!(
        shifted.slice(s![0, ..]).compute().unwrap(),
        ndarray::arr1(&[13_i64, 14, 10, 11, 12]).into_dyn()
    );
    assert_eq!(ifftshift(&shifted, ..).compute().unwrap(), x.compute().unwrap());
    assert_eq!(fftshift(&x, 1).compute().unwrap()[[0, 0]], 3);
}

#[test]
fn transforms_that_there_are_not_are_errors() {
    let x: Array<f64> = array::ones([4, 0], [4, 1]);
    let norm = FftNorm::Backward;
    assert!(matches!(fft(&x, None, 1, norm).check(), Err(Error::InvalidArgument { .. })));
    assert!(matches!(fft(&x, 0, 0, norm).check(), Err(Error::InvalidArgument { .. })));
    assert!(matches!(fft(&x, u64::MAX, 0, norm).check(), Err(Error::InvalidArgument { .. })));
    assert!(matches!(fft(&x, None, 2, norm).check(), Err(Error::InvalidAxis { .. })));
    assert!(matches!(fftfreq(0, 1.0, [1]).check(), Err(Error::InvalidArgument { .. })));
    let complex = x.cast::<Complex<f64>>();
    assert!(matches!(rfft(&complex, None, 0, norm).check(), Err(Error::DTypeMismatch { .. })));
    assert!(matches!(
        fftn(&x, Shape::from([1, 2]), [0], norm).check(),
        Err(Error::InvalidArgument { .. })
    ));
    // Along no axes there is nothing to do but to have complex elements.
    let scalar: Array<f64> = array::ones((), -1);
    for same in [fftn(&scalar, None, .., norm), ifftn(&scalar, None, .., norm)] {
        assert_eq!(same.compute().unwrap()[[]], Complex::new(1.0, 0.0));
    }
    let ones: Array<f32> = array::ones([2, 3], [1, 3]);
    let same = fftn(&ones, None, [0_i64; 0], norm).compute().unwrap();
    assert!(same.iter().all(|x| *x == Complex::new(1.0_f32, 0.0)));
    assert!(matches!(rfftn(&scalar, None, .., norm).check(), Err(Error::InvalidArgument { .. })));
    assert!(matches!(irfftn(&scalar, None, .., norm).check(), Err(Error::InvalidArgument { .. })));
    // Nothing to transform, but of a length.
    assert_eq!(fft(&x, 3, 1, norm).compute().unwrap().shape(), [4, 3]);
    assert_eq!(fft(&x, None, 0, norm).compute().unwrap().shape(), [4, 0]);
}
