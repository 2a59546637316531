//! Programs as data.

use num_complex::Complex;

use super::*;
use crate::array::dtype::DType;
use crate::array::kernels::{Instr, Scalar};
use crate::graph::Wiring;

#[test]
fn programs_print_as_one_line() {
    assert_eq!(example().to_string(), "(x0 * 2 + 1) ** 2 - x0");
    assert_eq!(example().to_string(), "(x0 * 2 + 1) ** 2 - x0");
    let mut b = Builder::new(2);
    let [x, y] = [0, 1].map(|slot| b.input(slot, DType::I32));
    let sum = b.binary(BinaryOp::Add, x, y).unwrap();
    let difference = b.binary(BinaryOp::Sub, x, sum).unwrap();
    let cast = b.cast(difference, DType::F64);
    let sine = b.unary(UnaryOp::Sin, cast).unwrap();
    assert_eq!(b.finish(sine).to_string(), "sin(float64(x0 - (x0 + x1)))");
}

#[test]
fn equal_instructions_merge_and_constants_fold() {
    let square = Program::binary(BinaryOp::Mul, DType::F64).unwrap();
    let wiring =
        Wiring { consumer: vec![0, 0], producer: vec![0], n_slots: 1, ..Wiring::default() };
    let fused = square.inline(0, &example(), &wiring).inline(
        0,
        &example(),
        &Wiring { consumer: vec![0], producer: vec![0], n_slots: 1, ..Wiring::default() },
    );
    assert_eq!(fused.n_inputs(), 1);
    let folded = Program::unary(UnaryOp::Sqrt, DType::F64).unwrap().inline(
        0,
        &Program::constant(4.0),
        &Wiring { consumer: vec![0], producer: vec![], n_slots: 0, ..Wiring::default() },
    );
    assert_eq!(folded.as_constant(), Some(Scalar::F64(2.0)));
}

#[test]
fn shared_values_are_named_once() {
    let mut b = Builder::new(1);
    let x = b.input(0, DType::F64);
    let [first, second] = [0, 1].map(|_| b.unary(UnaryOp::Exp, x).unwrap());
    assert_eq!(first, second);
    let product = b.binary(BinaryOp::Mul, first, second).unwrap();
    let program = b.finish(product);
    assert_eq!(program.to_string(), "t1 = exp(x0); t1 * t1");
    assert_eq!(program.n_instrs(), 2);
}

#[test]
fn rewrites_keep_every_bit() {
    let with_constant = |op, value: f64| {
        let mut b = Builder::new(1);
        let x = b.input(0, DType::F64);
        let value = b.constant(value.into());
        let result = b.binary(op, x, value).unwrap();
        b.finish(result)
    };
    assert!(with_constant(BinaryOp::Mul, 1.0).is_identity());
    assert!(with_constant(BinaryOp::Sub, 0.0).is_identity());
    // -0.0 + 0.0 is 0.0, and -0.0 - -0.0 is 0.0.
    assert!(!with_constant(BinaryOp::Add, 0.0).is_identity());
    assert!(!with_constant(BinaryOp::Sub, -0.0).is_identity());
    assert!(with_constant(BinaryOp::Add, -0.0).is_identity());
}

#[test]
fn casts_compose_only_where_values_stay() {
    let through = |from, middle, to| {
        let mut b = Builder::new(1);
        let x = b.input(0, from);
        let middle = b.cast(x, middle);
        let result = b.cast(middle, to);
        b.finish(result).n_instrs()
    };
    assert_eq!(through(DType::I8, DType::I64, DType::F32), 1);
    assert_eq!(through(DType::I32, DType::F64, DType::I32), 0);
    assert_eq!(through(DType::F64, DType::F32, DType::F64), 2);
    // -1 wraps to 255 directly, but saturates to 0 from a float.
    assert_eq!(through(DType::I8, DType::F64, DType::U8), 2);
}

#[test]
fn casts_follow_numpy() {
    let cases = [
        (Scalar::F64(-2.7), Scalar::I32(-2)),
        (Scalar::F64(f64::NAN), Scalar::Bool(true)),
        (Scalar::I64(300), Scalar::U8(44)),
        (Scalar::Bool(true), Scalar::F32(1.0)),
        (Scalar::C128(Complex::new(1.5, 2.0)), Scalar::F64(1.5)),
        (Scalar::C64(Complex::new(0.0, 2.0)), Scalar::Bool(true)),
        (Scalar::U64(u64::MAX), Scalar::I64(-1)),
    ];
    for (from, to) in cases {
        assert_eq!(from.cast(to.dtype()), to, "{from:?}");
    }
}

#[test]
fn indices_become_others_and_unsupported_operations_are_refused() {
    let index = Program::index(1, 0, 1);
    let sliced = index.map_index(|axis, start, step| Instr::Index {
        axis: axis - 1,
        start: start + 10,
        step: step * -2,
    });
    assert_eq!(sliced.to_string(), "10 + -2 * i0");
    let fixed = index.map_index(|_, start, _| Instr::Const(Scalar::I64(start + 3)));
    assert_eq!(fixed.as_constant(), Some(Scalar::I64(3)));
    let refused = Program::binary(BinaryOp::Lt, DType::C128).unwrap_err();
    assert_eq!((refused.op, refused.got), ("<", DType::C128));
}
