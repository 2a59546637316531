//! Elementwise functions that are a few operations of the table.

use std::sync::Arc;

use super::elementwise::{Term, elemwise_of};
use crate::array::dtype::DType;
use crate::array::expr::Handle;
use crate::array::kernels::{BinaryOp, Builder, Reg, Scalar, UnaryOp, Unsupported};
use crate::error::{Call, Error, Result};

/// How near is near enough.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tolerance {
    pub(crate) relative: f64,
    pub(crate) absolute: f64,
    pub(crate) equal_nan: bool,
}

/// A program in which operations that do not exist for their elements are errors of `call`.
struct Steps {
    call: Call,
    b: Builder,
}

impl Steps {
    fn new(call: Call, n_inputs: usize) -> Self {
        Steps { call, b: Builder::new(n_inputs) }
    }

    fn unary(&mut self, op: UnaryOp, x: Reg) -> Result<Reg> {
        self.b.unary(op, x).map_err(|error| self.unsupported(&error))
    }

    fn binary(&mut self, op: BinaryOp, x: Reg, y: Reg) -> Result<Reg> {
        self.b.binary(op, x, y).map_err(|error| self.unsupported(&error))
    }

    fn number(&mut self, value: f64, dtype: DType) -> Reg {
        self.b.constant(Scalar::F64(value).cast(dtype))
    }

    fn unsupported(&self, error: &Unsupported) -> Error {
        super::unsupported(self.call, error.got, "a number")
    }
}

/// Floats of the same precision, of integers `f64`.
fn float_of(dtype: DType) -> DType {
    if dtype.is_float() || dtype.is_complex() { dtype } else { DType::F64 }
}

/// Whether two elements differ by no more than `absolute + relative * |other|`.
pub(crate) fn isclose(call: Call, x: &Handle, other: &Term, how: Tolerance) -> Handle {
    let mut handles = vec![x];
    if let Term::Array(other) = other {
        handles.push(other);
    }
    Handle::join(&handles, |nodes| {
        let mut s = Steps::new(call, nodes.len());
        let x = s.b.input(0, nodes[0].meta.dtype);
        let y = match other {
            Term::Array(_) => s.b.input(1, nodes[1].meta.dtype),
            Term::Scalar(value) => s.b.constant(*value),
        };
        let float = float_of(nodes[0].meta.dtype);
        let (x, y) = (s.b.cast(x, float), s.b.cast(y, float));
        let difference = s.binary(BinaryOp::Sub, x, y)?;
        let (distance, size) = (s.unary(UnaryOp::Abs, difference)?, s.unary(UnaryOp::Abs, y)?);
        let (distance, size) = (s.b.cast(distance, DType::F64), s.b.cast(size, DType::F64));
        let (relative, absolute) =
            (s.number(how.relative, DType::F64), s.number(how.absolute, DType::F64));
        let reach = s.binary(BinaryOp::Mul, relative, size)?;
        let reach = s.binary(BinaryOp::Add, absolute, reach)?;
        let is_near = s.binary(BinaryOp::Le, distance, reach)?;
        // Next to an infinity everything would be near.
        let is_finite = s.unary(UnaryOp::IsFinite, y)?;
        let is_near = s.binary(BinaryOp::LogicalAnd, is_near, is_finite)?;
        let is_equal = s.binary(BinaryOp::Eq, x, y)?;
        let mut result = s.binary(BinaryOp::LogicalOr, is_near, is_equal)?;
        if how.equal_nan {
            let (a, b) = (s.unary(UnaryOp::IsNan, x)?, s.unary(UnaryOp::IsNan, y)?);
            let both = s.binary(BinaryOp::LogicalAnd, a, b)?;
            result = s.binary(BinaryOp::LogicalOr, result, both)?;
        }
        elemwise_of(call, s.b.finish(result), nodes)
    })
}

/// The nearest numbers with so many decimals; halves go to the even digit.
pub(crate) fn round(call: Call, x: &Handle, decimals: i32) -> Handle {
    x.then(|node| {
        let dtype = node.meta.dtype;
        if !dtype.is_float() && !dtype.is_complex() && decimals >= 0 {
            return Ok(Arc::clone(node));
        }
        let mut s = Steps::new(call, 1);
        let float = float_of(dtype);
        let x = s.b.input(0, dtype);
        let x = s.b.cast(x, float);
        let is_narrow = matches!(float, DType::F32 | DType::C64);
        let largest = if is_narrow { f64::from(f32::MAX) } else { f64::MAX };
        let n = i32::try_from(decimals.unsigned_abs()).unwrap_or(i32::MAX);
        let power = s.number(10_f64.powi(n).min(largest), float);
        // Powers of ten are exact, and their inverses are not.
        let (before, after) = match decimals < 0 {
            true => (BinaryOp::Div, BinaryOp::Mul),
            false => (BinaryOp::Mul, BinaryOp::Div),
        };
        let scaled = s.binary(before, x, power)?;
        let rounded = s.unary(UnaryOp::Rint, scaled)?;
        let rounded = s.binary(after, rounded, power)?;
        let mut result = rounded;
        if !dtype.is_complex() {
            // Numbers that are so large have no such decimals, and may be too large for the way there and back.
            let size = s.unary(UnaryOp::Abs, scaled)?;
            let whole = if is_narrow { f32::MANTISSA_DIGITS } else { f64::MANTISSA_DIGITS };
            let whole = s.number(2_f64.powi(whole as i32 - 1), float);
            let is_whole = s.binary(BinaryOp::Ge, size, whole)?;
            result = s.b.select(is_whole, x, rounded);
        }
        let result = s.b.cast(result, dtype);
        elemwise_of(call, s.b.finish(result), &[node])
    })
}

/// The elements, with other numbers in place of NaN and of the infinities: 0 and the largest and smallest that there are,
/// unless said otherwise. Integers stay.
pub(crate) fn nan_to_num(call: Call, x: &Handle, instead: [Scalar; 3]) -> Handle {
    x.then(|node| {
        let dtype = node.meta.dtype;
        if dtype.is_complex() {
            return Err(super::unsupported(call, dtype, "a real number"));
        }
        if !dtype.is_float() {
            return Ok(Arc::clone(node));
        }
        let mut s = Steps::new(call, 1);
        let x = s.b.input(0, dtype);
        let is_nan = s.unary(UnaryOp::IsNan, x)?;
        let infinities = [f64::INFINITY, f64::NEG_INFINITY];
        let mut result = x;
        for (infinity, instead) in infinities.into_iter().zip(&instead[1..]) {
            let infinity = s.number(infinity, dtype);
            let is_it = s.binary(BinaryOp::Eq, x, infinity)?;
            let instead = s.b.constant(instead.cast(dtype));
            result = s.b.select(is_it, instead, result);
        }
        let zero = s.b.constant(instead[0].cast(dtype));
        let result = s.b.select(is_nan, zero, result);
        elemwise_of(call, s.b.finish(result), &[node])
    })
}

/// Whether elements are a float; integers are not infinite.
pub(crate) fn is_value(call: Call, x: &Handle, value: f64) -> Handle {
    x.then(|node| {
        let dtype = node.meta.dtype;
        if dtype.is_complex() {
            return Err(super::unsupported(call, dtype, "a real number"));
        }
        let mut s = Steps::new(call, 1);
        let x = s.b.input(0, dtype);
        let x = s.b.cast(x, float_of(dtype));
        let value = s.number(value, float_of(dtype));
        let is_it = s.binary(BinaryOp::Eq, x, value)?;
        elemwise_of(call, s.b.finish(is_it), &[node])
    })
}

/// How imaginary parts compare with 0.
pub(crate) fn is_imaginary(call: Call, x: &Handle, comparison: BinaryOp) -> Handle {
    x.then(|node| {
        let mut s = Steps::new(call, 1);
        let x = s.b.input(0, node.meta.dtype);
        let imaginary = s.unary(UnaryOp::Imag, x)?;
        let imaginary = s.b.cast(imaginary, DType::F64);
        let zero = s.number(0.0, DType::F64);
        let is_it = s.binary(comparison, imaginary, zero)?;
        elemwise_of(call, s.b.finish(is_it), &[node])
    })
}

/// `sin(πx) / (πx)`.
pub(crate) fn sinc(call: Call, x: &Handle) -> Handle {
    x.then(|node| {
        let float = float_of(node.meta.dtype);
        let mut s = Steps::new(call, 1);
        let x = s.b.input(0, node.meta.dtype);
        let x = s.b.cast(x, float);
        let (zero, one) = (s.number(0.0, float), s.number(1.0, float));
        let pi = s.number(std::f64::consts::PI, float);
        let angle = s.binary(BinaryOp::Mul, x, pi)?;
        let sine = s.unary(UnaryOp::Sin, angle)?;
        let ratio = s.binary(BinaryOp::Div, sine, angle)?;
        let is_zero = s.binary(BinaryOp::Eq, x, zero)?;
        let result = s.b.select(is_zero, one, ratio);
        elemwise_of(call, s.b.finish(result), &[node])
    })
}
