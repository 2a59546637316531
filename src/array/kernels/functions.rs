//! The scalar functions that need more than a line in the table of operations.
//!
//! The definitions are NumPy's (`npy_math`, `loops.c.src`): division by an integer zero gives 0,
//! remainders take the sign of the divisor, shifts past the width give 0 or the sign.

use num_complex::Complex;

use super::scalar::{CastTo, Lane};

/// The integer operations that differ between signed and unsigned types.
pub(crate) trait Int: Lane {
    fn magnitude(self) -> Self;
    fn sign(self) -> Self;
    fn floor_div(self, divisor: Self) -> Self;
    fn floor_rem(self, divisor: Self) -> Self;
    fn trunc_rem(self, divisor: Self) -> Self;
    fn power(self, exponent: Self) -> Self;
    fn shift_left(self, by: Self) -> Self;
    fn shift_right(self, by: Self) -> Self;
}

/// `base ** exponent` modulo the width, by squaring.
macro_rules! wrapping_power {
    ($base:expr, $exponent:expr) => {{
        let (mut base, mut exponent, mut power) = ($base, $exponent, 1);
        while exponent > 0 {
            if exponent & 1 == 1 {
                power = base.wrapping_mul(power);
            }
            base = base.wrapping_mul(base);
            exponent >>= 1;
        }
        power
    }};
}

macro_rules! signed {
    ($($t:ty)*) => {$(
        impl Int for $t {
            #[inline(always)]
            fn magnitude(self) -> $t {
                self.wrapping_abs()
            }

            #[inline(always)]
            fn sign(self) -> $t {
                self.signum()
            }

            #[inline(always)]
            fn floor_div(self, divisor: $t) -> $t {
                if divisor == 0 {
                    return 0;
                }
                let quotient = self.wrapping_div(divisor);
                let rest = self.wrapping_rem(divisor);
                quotient - <$t>::from(rest != 0 && (rest < 0) != (divisor < 0))
            }

            #[inline(always)]
            fn floor_rem(self, divisor: $t) -> $t {
                if divisor == 0 {
                    return 0;
                }
                let rest = self.wrapping_rem(divisor);
                if rest != 0 && (rest < 0) != (divisor < 0) { rest + divisor } else { rest }
            }

            #[inline(always)]
            fn trunc_rem(self, divisor: $t) -> $t {
                if divisor == 0 { 0 } else { self.wrapping_rem(divisor) }
            }

            /// A negative exponent gives the reciprocal without its fraction.
            fn power(self, exponent: $t) -> $t {
                if exponent >= 0 {
                    return wrapping_power!(self, exponent);
                }
                match self {
                    1 => 1,
                    -1 => if exponent % 2 == 0 { 1 } else { -1 },
                    _ => 0,
                }
            }

            #[inline(always)]
            fn shift_left(self, by: $t) -> $t {
                if by >= 0 && by < <$t>::BITS as $t { self << by } else { 0 }
            }

            #[inline(always)]
            fn shift_right(self, by: $t) -> $t {
                let width = <$t>::BITS as $t - 1;
                self >> (if by >= 0 && by < width { by } else { width })
            }
        }
    )*};
}

macro_rules! unsigned {
    ($($t:ty)*) => {$(
        impl Int for $t {
            #[inline(always)]
            fn magnitude(self) -> $t {
                self
            }

            #[inline(always)]
            fn sign(self) -> $t {
                <$t>::from(self != 0)
            }

            #[inline(always)]
            fn floor_div(self, divisor: $t) -> $t {
                self.checked_div(divisor).unwrap_or(0)
            }

            #[inline(always)]
            fn floor_rem(self, divisor: $t) -> $t {
                self.checked_rem(divisor).unwrap_or(0)
            }

            #[inline(always)]
            fn trunc_rem(self, divisor: $t) -> $t {
                self.checked_rem(divisor).unwrap_or(0)
            }

            fn power(self, exponent: $t) -> $t {
                wrapping_power!(self, exponent)
            }

            #[inline(always)]
            fn shift_left(self, by: $t) -> $t {
                if by < <$t>::BITS as $t { self << by } else { 0 }
            }

            #[inline(always)]
            fn shift_right(self, by: $t) -> $t {
                if by < <$t>::BITS as $t { self >> by } else { 0 }
            }
        }
    )*};
}

signed! { i8 i16 i32 i64 }
unsigned! { u8 u16 u32 u64 }

/// Floats, and what they need besides `num_traits::Float`.
pub(crate) trait Float: Lane<Real = Self> + num_traits::Float {
    const RADIANS_PER_DEGREE: Self;
    const DEGREES_PER_RADIAN: Self;
    const HALF: Self;
    const LN_2: Self;
}

impl Float for f32 {
    const RADIANS_PER_DEGREE: f32 = std::f32::consts::PI / 180.0;
    const DEGREES_PER_RADIAN: f32 = 180.0 / std::f32::consts::PI;
    const HALF: f32 = 0.5;
    const LN_2: f32 = std::f32::consts::LN_2;
}

impl Float for f64 {
    const RADIANS_PER_DEGREE: f64 = std::f64::consts::PI / 180.0;
    const DEGREES_PER_RADIAN: f64 = 180.0 / std::f64::consts::PI;
    const HALF: f64 = 0.5;
    const LN_2: f64 = std::f64::consts::LN_2;
}

/// Whether the element is not zero.
#[inline(always)]
pub(crate) fn truth<T: CastTo<bool>>(x: T) -> bool {
    x.cast_to()
}

#[inline(always)]
pub(crate) fn to_f64<T: CastTo<f64>>(x: T) -> f64 {
    x.cast_to()
}

/// -1, 0 or 1, or NaN for NaN.
#[inline(always)]
pub(crate) fn sign<F: Float>(x: F) -> F {
    if x > F::zero() {
        F::one()
    } else if x < F::zero() {
        -F::one()
    } else if x == F::zero() {
        F::zero()
    } else {
        x
    }
}

/// The direction of a complex number (NumPy 2), or 0 for 0.
#[inline(always)]
pub(crate) fn complex_sign<F: Float>(x: Complex<F>) -> Complex<F> {
    let length = x.re.hypot(x.im);
    if length == F::zero() { x } else { Complex::new(x.re / length, x.im / length) }
}

/// The remainder with the divisor's sign, and the quotient before it is rounded.
#[inline(always)]
fn div_mod<F: Float>(x: F, y: F) -> (F, F) {
    let mut rest = x % y;
    if y == F::zero() {
        return (x / y, rest);
    }
    let mut quotient = (x - rest) / y;
    if rest == F::zero() {
        rest = F::zero().copysign(y);
    } else if (y < F::zero()) != (rest < F::zero()) {
        rest = rest + y;
        quotient = quotient - F::one();
    }
    (quotient, rest)
}

/// `(x - x % y) / y`, rounded to the nearest integer.
#[inline(always)]
pub(crate) fn floor_div<F: Float>(x: F, y: F) -> F {
    let (quotient, _) = div_mod(x, y);
    if y == F::zero() {
        return quotient;
    }
    if quotient == F::zero() {
        return F::zero().copysign(x / y);
    }
    let floor = quotient.floor();
    if quotient - floor > F::HALF { floor + F::one() } else { floor }
}

/// The remainder with the sign of `y`.
#[inline(always)]
pub(crate) fn floor_rem<F: Float>(x: F, y: F) -> F {
    div_mod(x, y).1
}

/// `ln(exp(x) + exp(y))` without overflow.
pub(crate) fn logaddexp<F: Float>(x: F, y: F) -> F {
    if x == y {
        // Infinities of one sign have no difference.
        return x + F::LN_2;
    }
    let difference = x - y;
    if difference > F::zero() {
        x + (-difference).exp().ln_1p()
    } else if difference <= F::zero() {
        y + difference.exp().ln_1p()
    } else {
        difference
    }
}

/// Complex division that does not overflow on the way.
///
/// # Source
/// R. L. Smith, "Algorithm 116: Complex division", CACM 5(8), 1962; NumPy does the same.
#[inline(always)]
pub(crate) fn complex_div<F: Float>(x: Complex<F>, y: Complex<F>) -> Complex<F> {
    if y.re.abs() >= y.im.abs() {
        if y.re == F::zero() && y.im == F::zero() {
            return Complex::new(x.re / y.re.abs(), x.im / y.re.abs());
        }
        let ratio = y.im / y.re;
        let scale = F::one() / (y.re + y.im * ratio);
        Complex::new((x.re + x.im * ratio) * scale, (x.im - x.re * ratio) * scale)
    } else {
        let ratio = y.re / y.im;
        let scale = F::one() / (y.im + y.re * ratio);
        Complex::new((x.re * ratio + x.im) * scale, (x.im * ratio - x.re) * scale)
    }
}

/// `x ** y`, by multiplication where `y` is a small integer, as NumPy does.
pub(crate) fn complex_pow<F: Float>(x: Complex<F>, y: Complex<F>) -> Complex<F> {
    let (zero, one) = (Complex::new(F::zero(), F::zero()), Complex::new(F::one(), F::zero()));
    if y == zero {
        return one;
    }
    if x == zero {
        let nan = F::nan();
        return if y.re > F::zero() { zero } else { Complex::new(nan, nan) };
    }
    if y.im == F::zero()
        && y.re == y.re.floor()
        && let Some(exponent) = y.re.to_i32().filter(|n| n.abs() < 100)
    {
        let mut power = one;
        let mut factor = x;
        let mut rest = exponent.unsigned_abs();
        while rest > 0 {
            if rest & 1 == 1 {
                power = power * factor;
            }
            factor = factor * factor;
            rest >>= 1;
        }
        return if exponent < 0 { complex_div(one, power) } else { power };
    }
    x.powc(y)
}
