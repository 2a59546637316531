//! Every operation on every dtype that has it: the loops against folding, folding against values
//! that were written down or computed another way.

use ndarray::Zip;

use super::*;
use crate::array::dtype::{DType, dispatch};
use crate::array::kernels::ops::{fold_binary, fold_unary};
use crate::array::kernels::{ElemwiseKernel, Lane, Scalar};

/// Interesting values of a dtype, more than a SIMD register of them.
fn samples<T: Lane>() -> Vec<T> {
    let values = [
        0.0,
        1.0,
        2.0,
        3.0,
        5.0,
        7.0,
        -1.0,
        -2.0,
        -3.0,
        100.0,
        0.5,
        -0.5,
        2.5,
        0.25,
        1e-3,
        -0.0,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
    ];
    let n = values.len();
    (0..3 * n + 5).map(|i| T::from_scalar(Scalar::F64(values[(i * 7) % n]))).collect()
}

fn bits<T: Lane>(values: impl IntoIterator<Item = T>) -> Vec<Option<u128>> {
    let is_nan = |x: T| fold_unary(UnaryOp::IsNan, x.into()) == Some(Scalar::Bool(true));
    // Which NaN it is depends on the order of operands, and nobody reads it.
    values.into_iter().map(|x| (!is_nan(x)).then(|| x.bits())).collect()
}

#[test]
fn angles_that_are_too_large_for_vectors_are_std() {
    for (op, std) in [(UnaryOp::Sin, f64::sin as fn(f64) -> f64), (UnaryOp::Cos, f64::cos)] {
        let kernel = ElemwiseKernel::new(Program::unary(op, DType::F64).unwrap(), whole(&[41]));
        let x =
            vector((0..41).map(|i| if i % 5 == 3 { 1e6 * f64::from(i) } else { 0.5 }).collect());
        let got = array::<f64>(run(&kernel, 1, vec![block(x.clone())]));
        for (got, x) in got.iter().zip(&x).filter(|(_, x)| **x > 1e6) {
            assert_eq!(got.to_bits(), std(*x).to_bits());
        }
        assert!((got[[0]] - std(0.5)).abs() < 1e-15);
    }
}

#[test]
fn unary_loops_do_what_folding_does() {
    for &op in UnaryOp::ALL {
        for dtype in DType::ALL {
            let Ok(program) = Program::unary(op, dtype) else { continue };
            dispatch!(dtype, T => dispatch!(program.dtype(), O => {
                let x = samples::<T>();
                let kernel = ElemwiseKernel::new(program, whole(&[x.len()]));
                let got = array::<O>(run(&kernel, 1, vec![block(vector(x.clone()))]));
                let want = x.iter().map(|&x| O::from_scalar(fold_unary(op, x.into()).unwrap()));
                assert_eq!(bits(got), bits(want), "{op:?} {dtype}");
            }));
        }
    }
}

#[test]
fn binary_loops_do_what_folding_does() {
    for &op in BinaryOp::ALL {
        for dtype in DType::ALL {
            let Ok(program) = Program::binary(op, dtype) else { continue };
            dispatch!(dtype, T => dispatch!(program.dtype(), O => {
                let x = samples::<T>();
                let y: Vec<T> = x.iter().rev().copied().collect();
                let fold = |&x: &T, &y: &T| {
                    O::from_scalar(fold_binary(op, x.into(), y.into()).unwrap())
                };
                let kernel = ElemwiseKernel::new(program, whole(&[x.len()]));
                let (a, b) = (vector(x.clone()), vector(y.clone()));
                let got = array::<O>(run(&kernel, 1, vec![block(a.clone()), block(b.clone())]));
                let want = Zip::from(&a).and(&b).map_collect(fold);
                assert_eq!(bits(got), bits(want), "{op:?} {dtype}");
                let one = vector(vec![x[3]]);
                let got = array::<O>(run(&kernel, 1, vec![block(a.clone()), block(one.clone())]));
                assert_eq!(bits(got), bits(a.map(|x| fold(x, &one[0]))), "{op:?} {dtype} scalar");
                let got = array::<O>(run(&kernel, 1, vec![block(one.clone()), block(b.clone())]));
                assert_eq!(bits(got), bits(b.map(|y| fold(&one[0], y))), "scalar {op:?} {dtype}");
            }));
        }
    }
}

#[test]
fn casts_do_what_folding_does() {
    for from in DType::ALL {
        for to in DType::ALL {
            dispatch!(from, S => dispatch!(to, T => {
                let x = samples::<S>();
                let kernel = ElemwiseKernel::new(Program::cast(from, to), whole(&[x.len()]));
                let got = array::<T>(run(&kernel, 1, vec![block(vector(x.clone()))]));
                let want = x.iter().map(|&x| T::from_scalar(Into::<Scalar>::into(x).cast(to)));
                assert_eq!(bits(got), bits(want), "{from} to {to}");
            }));
        }
    }
}

/// NumPy's answers, written down.
#[test]
fn scalar_functions_follow_numpy() {
    use BinaryOp::*;
    let int = |op, x: i64, y: i64| fold_binary(op, Scalar::I64(x), Scalar::I64(y)).unwrap();
    for (x, y, quotient, rest) in [
        (7, 2, 3, 1),
        (-7, 2, -4, 1),
        (7, -2, -4, -1),
        (-7, -2, 3, -1),
        (5, 0, 0, 0),
        (i64::MIN, -1, i64::MIN, 0),
    ] {
        assert_eq!(int(FloorDiv, x, y), Scalar::I64(quotient), "{x} // {y}");
        assert_eq!(int(Rem, x, y), Scalar::I64(rest), "{x} % {y}");
    }
    assert_eq!(int(Fmod, -7, 2), Scalar::I64(-1));
    assert_eq!(int(Div, 1, 2), Scalar::F64(0.5));
    assert_eq!(int(Pow, -3, 3), Scalar::I64(-27));
    assert_eq!(int(Pow, 2, 64), Scalar::I64(0));
    assert_eq!(int(Shl, 1, 64), Scalar::I64(0));
    assert_eq!(int(Shr, -5, 70), Scalar::I64(-1));
    let float = |op, x: f64, y: f64| match fold_binary(op, Scalar::F64(x), Scalar::F64(y)) {
        Some(Scalar::F64(value)) => value,
        other => panic!("{other:?}"),
    };
    assert_eq!(float(FloorDiv, -7.0, 2.0), -4.0);
    assert_eq!(float(Rem, -7.0, 2.0), 1.0);
    assert_eq!(float(Rem, 7.0, -2.0), -1.0);
    assert_eq!(float(Fmod, -7.0, 2.0), -1.0);
    assert_eq!(float(FloorDiv, 1.0, 0.1), 9.0);
    assert_eq!(float(FloorDiv, 1.0, 0.0), f64::INFINITY);
    assert!(float(Maximum, 1.0, f64::NAN).is_nan() && float(Maximum, f64::NAN, 1.0).is_nan());
    assert_eq!((float(Fmax, 1.0, f64::NAN), float(Fmin, f64::NAN, 1.0)), (1.0, 1.0));
    assert_eq!(float(Logaddexp, f64::INFINITY, f64::INFINITY), f64::INFINITY);
    assert!((float(Logaddexp, 1000.0, 1000.0) - 1000.0 - 2_f64.ln()).abs() < 1e-12);
    let unary = |op, x: f64| fold_unary(op, Scalar::F64(x)).unwrap();
    assert_eq!(unary(UnaryOp::Rint, 2.5), Scalar::F64(2.0));
    assert_eq!(unary(UnaryOp::Sign, -3.0), Scalar::F64(-1.0));
    assert_eq!(unary(UnaryOp::Angle, -3.0), Scalar::F64(std::f64::consts::PI));
    assert_eq!(unary(UnaryOp::Rad2Deg, std::f64::consts::PI), Scalar::F64(180.0));
    assert_eq!(fold_unary(UnaryOp::Abs, Scalar::I8(-128)), Some(Scalar::I8(-128)));
    assert_eq!(fold_unary(UnaryOp::Neg, Scalar::U8(1)), Some(Scalar::U8(255)));
}

#[test]
fn complex_functions_follow_numpy() {
    use num_complex::Complex;
    let [x, y] = [Complex::new(1.0, 2.0), Complex::new(-3.0, 0.5)];
    let of = |op, x: Complex<f64>, y: Complex<f64>| match fold_binary(op, x.into(), y.into()) {
        Some(Scalar::C128(value)) => value,
        other => panic!("{other:?}"),
    };
    let is_close = |a: Complex<f64>, b: Complex<f64>| (a - b).norm() <= 1e-12 * b.norm();
    assert!(is_close(of(BinaryOp::Div, x, y) * y, x));
    assert!(is_close(of(BinaryOp::Pow, x, 3.0.into()), x * x * x));
    assert!(is_close(of(BinaryOp::Pow, x, y), (y * x.ln()).exp()));
    // Smith's division survives where the plain formula overflows.
    let huge = Complex::new(1e300, 1e300);
    assert!(is_close(of(BinaryOp::Div, huge, huge), Complex::new(1.0, 0.0)));
    assert_eq!(fold_unary(UnaryOp::Abs, Complex::new(3.0, 4.0).into()), Some(Scalar::F64(5.0)));
    assert_eq!(fold_unary(UnaryOp::Imag, x.into()), Some(Scalar::F64(2.0)));
    assert_eq!(fold_unary(UnaryOp::Conj, x.into()), Some(Scalar::C128(x.conj())));
}
