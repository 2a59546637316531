//! Functions that NumPy's users know by name, each against std or a loop.

use std::f64::consts::{LN_2, PI};

use dask_rs::array::fft::{FftNorm, irfftn, rfftn};
use dask_rs::array::{self, Array, Element};
use dask_rs::prelude::*;
use ndarray::{Array1, ArrayD, Axis, IxDyn, arr1};
use num_complex::Complex;

/// Numbers around those where functions change, and far away.
fn points() -> Vec<f64> {
    let near =
        [0.0, 1e-300, 1e-9, 0.1, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, PI, 10.0, 123.456, 1e5, 1e300];
    let both = near.into_iter().flat_map(|x| [x, -x]);
    both.chain([f64::INFINITY, f64::NEG_INFINITY, f64::NAN]).collect()
}

/// Within a few units in the last place, or equal, or both NaN.
fn is_close(got: f64, expected: f64) -> bool {
    let is_near = (got - expected).abs() <= 1e-15 * expected.abs();
    got == expected || got.is_nan() && expected.is_nan() || is_near
}

#[test]
fn functions_of_one_number_are_those_of_std() {
    type Lazy = fn(&Array<f64>) -> Array<f64>;
    type Std = fn(f64) -> f64;
    // Toward zero, and of halves to the even number.
    let functions: [(&str, Lazy, Std); 33] = [
        ("abs", |x| x.abs(), f64::abs),
        ("negative", |x| -x, |x| -x),
        ("square", |x| x.square(), |x| x * x),
        ("reciprocal", |x| x.reciprocal(), f64::recip),
        ("sqrt", |x| x.sqrt(), f64::sqrt),
        ("cbrt", |x| x.cbrt(), f64::cbrt),
        ("exp", |x| x.exp(), f64::exp),
        ("exp2", |x| x.exp2(), f64::exp2),
        ("expm1", |x| x.expm1(), f64::exp_m1),
        ("ln", |x| x.ln(), f64::ln),
        ("log2", |x| x.log2(), f64::log2),
        ("log10", |x| x.log10(), f64::log10),
        ("log1p", |x| x.log1p(), f64::ln_1p),
        ("sin", |x| x.sin(), f64::sin),
        ("cos", |x| x.cos(), f64::cos),
        ("tan", |x| x.tan(), f64::tan),
        ("arcsin", |x| x.arcsin(), f64::asin),
        ("arccos", |x| x.arccos(), f64::acos),
        ("arctan", |x| x.arctan(), f64::atan),
        ("sinh", |x| x.sinh(), f64::sinh),
        ("cosh", |x| x.cosh(), f64::cosh),
        ("tanh", |x| x.tanh(), f64::tanh),
        ("arcsinh", |x| x.arcsinh(), f64::asinh),
        ("arccosh", |x| x.arccosh(), f64::acosh),
        ("arctanh", |x| x.arctanh(), f64::atanh),
        ("floor", |x| x.floor(), f64::floor),
        ("ceil", |x| x.ceil(), f64::ceil),
        ("trunc", |x| x.trunc(), f64::trunc),
        ("fix", |x| x.fix(), f64::trunc),
        ("rint", |x| x.rint(), f64::round_ties_even),
        ("deg2rad", |x| x.deg2rad(), |x| x * (PI / 180.0)),
        ("rad2deg", |x| x.rad2deg(), |x| x * (180.0 / PI)),
        ("sign", |x| x.sign(), |x| if x == 0.0 || x.is_nan() { x } else { x.signum() }),
    ];
    let points = points();
    let x = array::from_ndarray(arr1(&points), [7]);
    for (name, lazy, std) in functions {
        let got = lazy(&x).compute().unwrap();
        for (x, got) in points.iter().zip(&got) {
            assert!(is_close(*got, std(*x)), "{name}({x}) = {got}, expected {}", std(*x));
        }
    }
    type Is = fn(&Array<f64>) -> Array<bool>;
    type StdIs = fn(f64) -> bool;
    let what: [(&str, Is, StdIs); 5] = [
        ("isnan", |x| x.isnan(), f64::is_nan),
        ("isinf", |x| x.isinf(), f64::is_infinite),
        ("isfinite", |x| x.isfinite(), f64::is_finite),
        ("signbit", |x| x.signbit(), f64::is_sign_negative),
        ("logical_not", |x| x.logical_not(), |x| x == 0.0),
    ];
    for (name, lazy, std) in what {
        let expected: Vec<bool> = points.iter().map(|x| std(*x)).collect();
        assert_eq!(lazy(&x).compute().unwrap(), arr1(&expected).into_dyn(), "{name}");
    }
}

#[test]
fn functions_of_two_numbers_are_those_of_std() {
    type Lazy = fn(&Array<f64>, &Array<f64>) -> Array<f64>;
    type Std = fn(f64, f64) -> f64;
    fn with_nan(a: f64, b: f64, of: Std) -> f64 {
        if a.is_nan() || b.is_nan() { f64::NAN } else { of(a, b) }
    }
    let functions: [(&str, Lazy, Std); 10] = [
        ("arctan2", |a, b| a.arctan2(b), f64::atan2),
        ("hypot", |a, b| a.hypot(b), f64::hypot),
        ("copysign", |a, b| a.copysign(b), f64::copysign),
        ("fmod", |a, b| a.fmod(b), |a, b| a % b),
        ("fmax", |a, b| a.fmax(b), f64::max),
        ("fmin", |a, b| a.fmin(b), f64::min),
        ("maximum", |a, b| a.maximum(b), |a, b| with_nan(a, b, f64::max)),
        ("minimum", |a, b| a.minimum(b), |a, b| with_nan(a, b, f64::min)),
        (
            "floor_div",
            |a, b| a.floor_div(b),
            |a, b| {
                let rest = a % b;
                let less = if rest != 0.0 && (rest < 0.0) != (b < 0.0) { 1.0 } else { 0.0 };
                match (a - rest) / b {
                    _ if b == 0.0 => a / b,
                    quotient if rest.is_nan() => rest + quotient,
                    quotient => quotient.round() - less,
                }
            },
        ),
        (
            "logaddexp",
            |a, b| a.logaddexp(b),
            |a, b| {
                let larger = with_nan(a, b, f64::max);
                if a == b { a + LN_2 } else { larger + (-(a - b).abs()).exp().ln_1p() }
            },
        ),
    ];
    // Quotients of these have few digits.
    let points: Vec<f64> =
        points().into_iter().filter(|x| !(1e-300..0.4).contains(&x.abs())).collect();
    let points: Vec<f64> =
        points.into_iter().filter(|x| !x.is_finite() || x.abs() <= 1e9).collect();
    let a = array::from_ndarray(arr1(&points), [5]).expand_dims(1);
    let b = array::from_ndarray(arr1(&points), [6]);
    for (name, lazy, std) in functions {
        let got = lazy(&a, &b).compute().unwrap();
        for (at, &got) in got.indexed_iter() {
            let (a, b) = (points[at[0]], points[at[1]]);
            let expected = std(a, b);
            // A sum of logarithms that is nearly 0 has lost digits on both sides.
            let is_near = name == "logaddexp" && (got - expected).abs() < 1e-15;
            assert!(
                is_near || is_close(got, expected),
                "{name}({a}, {b}) = {got}, expected {expected}"
            );
        }
    }
}

#[test]
fn parts_of_complex_numbers() {
    let z = [Complex::new(3.0, -4.0), Complex::new(-1.0, 0.0), Complex::new(0.0, 2.5)];
    let x = array::from_ndarray(arr1(&z), [2]);
    let of =
        |f: fn(Complex<f64>) -> f64| z.iter().map(|z| f(*z)).collect::<Array1<f64>>().into_dyn();
    assert_eq!(x.angle().compute().unwrap(), of(|z| z.im.atan2(z.re)));
    assert_eq!(x.abs().compute().unwrap(), of(|z| z.re.hypot(z.im)));
    assert_eq!(x.real().compute().unwrap(), of(|z| z.re));
    assert_eq!(x.imag().compute().unwrap(), of(|z| z.im));
    assert_eq!(x.conj().imag().compute().unwrap(), of(|z| -z.im));
    let real = array::from_ndarray(arr1(&[-2.0, 3.0]), [1]);
    assert_eq!(real.angle().compute().unwrap(), arr1(&[PI, 0.0]).into_dyn());
}

fn numbers(shape: &[usize]) -> ArrayD<i32> {
    let mut i = 0;
    ArrayD::from_shape_simple_fn(IxDyn(shape), || {
        i += 1;
        (i * 7) % 11 - 4
    })
}

#[track_caller]
fn check<T: Element>(lazy: &Array<T>, expected: &ArrayD<T>) {
    for optimize in [true, false] {
        let got = Config::new().with_optimize(optimize).scope(|| lazy.compute()).unwrap();
        assert_eq!(&got, expected);
    }
}

#[test]
fn rows_and_columns_turn_round() {
    let all = numbers(&[4, 3, 2]);
    let x = array::from_ndarray(all.clone(), [3, 2, 1]);
    check(&x.flipud(), &all.slice(s![..;-1, .., ..]).to_owned().into_dyn());
    check(&x.fliplr(), &all.slice(s![.., ..;-1, ..]).to_owned().into_dyn());
}

#[test]
fn arrays_are_stacked_along_the_third_axis() {
    let (a, b) = (numbers(&[3, 4]), numbers(&[3, 4]) * 10);
    let [x, y] = [&a, &b].map(|all| array::from_ndarray(all.clone(), [2, 3]));
    check(&array::dstack(&[x, y]), &ndarray::stack(Axis(2), &[a.view(), b.view()]).unwrap());
    let v = array::arange(0, 3, 1, [2]);
    let expected = ArrayD::from_shape_vec(vec![1, 3, 2], vec![0, 0, 1, 1, 2, 2]).unwrap();
    check(&array::dstack(&[v.clone(), v]), &expected);
}

#[test]
fn chunks_that_fit_each_other_have_the_cuts_of_both() {
    let all = numbers(&[5, 6]);
    let x = array::from_ndarray(all.clone(), [2, 6]);
    let row = all.index_axis(Axis(0), 0).to_owned();
    let y = array::from_ndarray(row.clone(), [4]);
    let both = array::unify_chunks(&[x, y]);
    assert_eq!(both[0].chunks().unwrap().sizes(0).unwrap(), [2, 2, 1]);
    assert_eq!(both[0].chunks().unwrap().sizes(1).unwrap(), [4, 2]);
    assert_eq!(both[1].chunks().unwrap().sizes(0).unwrap(), [4, 2]);
    check(&both[0], &all);
    check(&both[1], &row.into_dyn());
}

#[test]
fn an_inverse_puts_distinct_elements_back() {
    let all = numbers(&[5, 7]);
    let x = array::from_ndarray(all.clone(), [2, 3]);
    let (values, inverse) = compute(x.unique_inverse()).unwrap();
    let mut distinct: Vec<i32> = all.iter().copied().collect();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(values.as_slice().unwrap(), distinct);
    assert_eq!(inverse.mapv(|i| values[[i as usize]]), all);
}

#[test]
fn places_of_what_is_not_zero() {
    let all = numbers(&[4, 6]).mapv(|x| x.max(0));
    let x = array::from_ndarray(all.clone(), [3, 4]);
    let places: Vec<[i64; 2]> = all
        .indexed_iter()
        .filter(|(_, x)| **x != 0)
        .map(|(at, _)| [at[0] as i64, at[1] as i64])
        .collect();
    let axes = compute(x.nonzero()).unwrap();
    for (axis, found) in axes.iter().enumerate() {
        let expected: Vec<i64> = places.iter().map(|place| place[axis]).collect();
        assert_eq!(found, &arr1(&expected).into_dyn());
    }
    let expected = ArrayD::from_shape_fn(IxDyn(&[places.len(), 2]), |at| places[at[0]][at[1]]);
    check(&x.argwhere(), &expected);
}

#[test]
fn products_up_to_each_element_skip_nan() {
    let values = [2.0, f64::NAN, -3.0, 0.5, f64::NAN, 4.0];
    let x = array::from_ndarray(arr1(&values), [2]);
    check(&x.nancumprod(0), &arr1(&[2.0, 2.0, -6.0, -3.0, -3.0, -12.0]).into_dyn());
}

#[test]
fn arrays_like_others() {
    let x = array::from_ndarray(numbers(&[3, 4]), [2, 3]);
    check(&array::full_like(&x, 7), &ArrayD::from_elem(IxDyn(&[3, 4]), 7));
    assert_eq!(array::full_like(&x, 7).chunks().unwrap(), x.chunks().unwrap());
    let empty: Array<f32> = array::empty([3, 4], [2, 2]);
    assert_eq!((empty.shape().unwrap(), empty.compute().unwrap().len()), (vec![3, 4], 12));
}

#[test]
fn planes_come_back_from_their_transforms() {
    let all = numbers(&[2, 6, 8]).mapv(f64::from);
    let x = array::from_ndarray(all.clone(), [1, 6, 8]);
    let transform = rfftn(&x, None, [1, 2], FftNorm::Backward);
    // Of real numbers one half is enough.
    assert_eq!(transform.shape().unwrap(), [2, 6, 5]);
    let back = irfftn(&transform, None, [1, 2], FftNorm::Backward).compute().unwrap();
    assert!(back.iter().zip(&all).all(|(a, b)| (a - b).abs() < 1e-12), "{back}");
    let zero = transform.slice(s![.., 0, 0]).compute().unwrap();
    let sums = all.sum_axis(Axis(2)).sum_axis(Axis(1));
    assert!(zero.iter().zip(&sums).all(|(a, b)| (a.re - b).abs() < 1e-12 && a.im.abs() < 1e-12));
}
