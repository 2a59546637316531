//! `exp`, `log`, `pow`, `sin`, `cos` and `tanh` as straight lines of additions, multiplications and choices, which
//! the compiler turns into vector loops.
//!
//! Errors are below 1 ulp (`tanh`: 2) of the exact value, for `f32` hardly above half of one, since it is
//! computed in `f64`. Nothing is contracted to a fused multiply-add and there are no branches, so every SIMD
//! level gives the same bits. Powers of `f64` ask for fused multiply-adds, which are the same everywhere too, if
//! slow on processors without them. Polynomials are Taylor series, cut where what follows is below 2^-57.
//!
//! # Source
//! Cody and Waite, "Software Manual for the Elementary Functions" (1980): reduction by constants in parts.
//! Dekker, "A floating-point technique for extending the available precision" (1971): numbers in two parts, for powers.
//! The parts of π/2 and the form of the last steps of `log` are those of FDLIBM (Sun, 1993).

/// A float that is computed as `f64`.
pub(crate) trait ViaF64: Copy {
    /// Whether it has so few digits that errors of functions of `f64` are never seen.
    const IS_NARROW: bool;
    fn widen(self) -> f64;
    fn narrow(value: f64) -> Self;
}

impl ViaF64 for f64 {
    const IS_NARROW: bool = false;

    #[inline(always)]
    fn widen(self) -> f64 {
        self
    }

    #[inline(always)]
    fn narrow(value: f64) -> f64 {
        value
    }
}

impl ViaF64 for f32 {
    const IS_NARROW: bool = true;

    #[inline(always)]
    fn widen(self) -> f64 {
        self.into()
    }

    #[inline(always)]
    fn narrow(value: f64) -> f32 {
        value as f32
    }
}

/// Added to a number below 2^51, it leaves the nearest integer in the last bits.
const ROUND: f64 = 1.5 * (1_u64 << 52) as f64;

const LN_2_HIGH: f64 = f64::from_bits(0x3fe6_2e42_fef0_0000);
const LN_2_LOW: f64 = 7.440_617_110_012_397e-11;

/// 1 / (i + 2)!
const EXP: [f64; 13] = inverse_factorials(2, 1);
/// 1 / (2 i + 3)!, and 1 / (2 i + 4)!
const SIN: [f64; 8] = inverse_factorials(3, 2);
const COS: [f64; 8] = inverse_factorials(4, 2);
/// 2 / (2 i + 3)
const LOG: [f64; 11] = {
    let mut coefficients = [0.0; 11];
    let mut i = 0;
    while i < 11 {
        coefficients[i] = 2.0 / (2 * i + 3) as f64;
        i += 1;
    }
    coefficients
};

/// What follows the first of these, and what rounding took away from the first.
const LOG_REST: [f64; 10] = {
    let mut rest = [0.0; 10];
    let mut i = 0;
    while i < 10 {
        rest[i] = LOG[i + 1];
        i += 1;
    }
    rest
};
const TWO_THIRDS_LOW: f64 = 3.700_743_415_417_188e-17;

/// One over the factorial of `first`, of `first + step`, and so on. All factorials are exact.
const fn inverse_factorials<const N: usize>(first: u64, step: u64) -> [f64; N] {
    let mut coefficients = [0.0; N];
    let (mut i, mut n, mut factorial) = (0, 1, 1_u128);
    while i < N {
        while n < first + i as u64 * step {
            n += 1;
            factorial *= n as u128;
        }
        coefficients[i] = 1.0 / factorial as f64;
        i += 1;
    }
    coefficients
}

/// The loop is unrolled whole; one over an inclusive range would not be, and no vectors come of it.
#[inline(always)]
fn polynomial<const N: usize>(x: f64, coefficients: &[f64; N]) -> f64 {
    let mut sum = coefficients[N - 1];
    for &coefficient in coefficients[..N - 1].iter().rev() {
        sum = sum * x + coefficient;
    }
    sum
}

/// The same with fused multiply-adds, even and odd powers side by side.
#[inline(always)]
fn fused_polynomial<const N: usize>(x: f64, coefficients: &[f64; N]) -> f64 {
    let square = x * x;
    let mut sums = [0.0; 2];
    (0..2).for_each(|i| sums[(N + i) % 2] = coefficients[N - 2 + i]);
    for (i, &coefficient) in coefficients[..N - 2].iter().enumerate().rev() {
        sums[i % 2] = sums[i % 2].mul_add(square, coefficient);
    }
    sums[1].mul_add(x, sums[0])
}

#[inline(always)]
fn choose(condition: bool, then: f64, other: f64) -> f64 {
    if condition { then } else { other }
}

/// `n`, and `exp(x - n ln 2) - 1` in two parts.
#[inline(always)]
fn reduced_exp(x: f64) -> (i64, f64, f64) {
    let shifted = x * std::f64::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let (high, low) = (x - n * LN_2_HIGH, n * LN_2_LOW);
    let rest = high - low;
    let tail = (high - rest) - low;
    let (part, part_low) = sum(rest, rest * rest * polynomial(rest, &EXP) + tail);
    (shifted.to_bits().wrapping_sub(ROUND.to_bits()) as i64, part, part_low)
}

/// The sum of two numbers, the first of which is the larger one or 0, and what rounding took away.
#[inline(always)]
fn sum(large: f64, small: f64) -> (f64, f64) {
    let sum = large + small;
    (sum, (large - sum) + small)
}

/// 2^n for exponents of normal numbers.
#[inline(always)]
fn power_of_two(n: i64) -> f64 {
    f64::from_bits((n.wrapping_add(1023) as u64) << 52)
}

#[inline(always)]
pub(crate) fn exp<T: ViaF64>(x: T) -> T {
    T::narrow(exp_of(x.widen()))
}

#[inline(always)]
fn exp_of(x: f64) -> f64 {
    let (n, part, _) = reduced_exp(clamped(x));
    // In two steps, of which only the last one may overflow or leave the normal numbers.
    let half = n >> 1;
    (1.0 + part) * power_of_two(half) * power_of_two(n.wrapping_sub(half))
}

/// An exponent, or one nearer to zero whose power is 0 or infinite too. NaN stays.
#[inline(always)]
fn clamped(x: f64) -> f64 {
    choose(x > 710.0, 710.0, choose(x < -746.0, -746.0, x))
}

/// `exp(x + low)`, where `low` is small beside `x`. Wrong for NaN.
#[inline(always)]
fn exp_of_parts(x: f64, low: f64) -> f64 {
    let near = clamped(x);
    let low = choose(near == x, low, 0.0);
    let shifted = near.mul_add(std::f64::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let high = (-n).mul_add(LN_2_HIGH, near);
    let (rest, tail) = sum(high, (-n).mul_add(LN_2_LOW, low));
    let (one, one_low) = sum(1.0, rest);
    let tail = tail.mul_add(rest, tail);
    let power = one + (one_low + (rest * rest).mul_add(fused_polynomial(rest, &EXP), tail));
    // In two steps too. Of the bits of `shifted`, the last twelve are those of `n`, and the only ones that stay.
    let n = shifted.to_bits();
    let half = n >> 1;
    let scaled = f64::from_bits(power.to_bits().wrapping_add(half << 52));
    scaled * power_of_two(n.wrapping_sub(half) as i64)
}

/// The product, and what rounding took away from it.
#[inline(always)]
fn product(a: f64, b: f64) -> (f64, f64) {
    let product = a * b;
    (product, a.mul_add(b, -product))
}

/// `x` to the power of `y`, wrong where [`is_odd`].
#[inline(always)]
pub(crate) fn pow<T: ViaF64>(x: T, y: T) -> T {
    let (x, y) = (x.widen(), y.widen());
    if T::IS_NARROW {
        return T::narrow(exp_of(y * log_of(x)));
    }
    let (log, low) = log_in_parts(x);
    let (power, power_low) = product(y, log);
    T::narrow(exp_of_parts(power, y.mul_add(low, power_low)))
}

/// Whether a power is none of positive normal numbers.
#[expect(clippy::manual_range_contains, reason = "a range asks one after the other")]
#[inline(always)]
pub(crate) fn is_odd<T: ViaF64>(x: T, y: T) -> bool {
    let (x, y) = (x.widen(), y.widen());
    let is_ordinary = (x >= f64::MIN_POSITIVE) & (x < f64::INFINITY) & y.is_finite();
    !is_ordinary
}

/// The logarithm of a positive normal number, and what is small beside it and missing.
#[inline(always)]
fn log_in_parts(x: f64) -> (f64, f64) {
    let (n, fraction) = exponent_and_fraction(x);
    // 2 artanh(s) = s (2 + z (2/3 + z (2/5 + …))), where all but the last sum is of two parts.
    let f = fraction - 1.0;
    let (below, below_low) = sum(2.0, f);
    let inverse = 1.0 / below;
    let s = f * inverse;
    let s_low = (-s).mul_add(below_low, (-s).mul_add(below, f)) * inverse;
    let (z, z_low) = product(s, s);
    let z_low = (2.0 * s).mul_add(s_low, z_low);
    let (inner, inner_low) = sum(LOG[0], z * fused_polynomial(z, &LOG_REST));
    let inner_low = inner_low + TWO_THIRDS_LOW;
    let (outer, outer_low) = product(z, inner);
    let outer_low = z_low.mul_add(inner, z.mul_add(inner_low, outer_low));
    let (factor, factor_low) = sum(2.0, outer);
    let factor_low = factor_low + outer_low;
    let (log, low) = product(s, factor);
    let low = s_low.mul_add(factor, s.mul_add(factor_low, low));
    let (high, high_low) = sum(n * LN_2_HIGH, log);
    (high, high_low + n.mul_add(LN_2_LOW, low))
}

#[inline(always)]
pub(crate) fn tanh<T: ViaF64>(x: T) -> T {
    let x = x.widen();
    let twice = 2.0 * x.abs();
    let (n, part, part_low) = reduced_exp(choose(twice > 44.0, 44.0, twice));
    let scale = power_of_two(n);
    let (expm1, low) = sum(scale - 1.0, scale * part);
    let low = low + scale * part_low;
    // expm1 / (expm1 + 2), and what the roundings of both change.
    let below = expm1 + 2.0;
    let below_low = (expm1 - (below - 2.0)) + low;
    let quotient = expm1 / below;
    let quotient = quotient + (low - quotient * below_low) / below;
    T::narrow(quotient.copysign(x))
}

#[inline(always)]
pub(crate) fn log<T: ViaF64>(x: T) -> T {
    let x = x.widen();
    let log = choose(x < f64::INFINITY, log_of(x), x);
    T::narrow(choose(x > 0.0, log, choose(x == 0.0, f64::NEG_INFINITY, f64::NAN)))
}

/// The power of two and the factor from √½ to √2 that a positive normal number is made of.
#[inline(always)]
fn exponent_and_fraction(x: f64) -> (f64, f64) {
    /// The bits of √½, from which on fractions are counted.
    const FRACTION: u64 = std::f64::consts::FRAC_1_SQRT_2.to_bits();
    const BIAS: u64 = 1023;
    let shifted = x.to_bits().wrapping_add((BIAS << 52) - FRACTION);
    let n = f64::from_bits(ROUND.to_bits().wrapping_add(shifted >> 52)) - (ROUND + BIAS as f64);
    (n, f64::from_bits((shifted & ((1 << 52) - 1)) + FRACTION))
}

/// The logarithm of a positive finite number.
#[inline(always)]
fn log_of(x: f64) -> f64 {
    let is_small = x < f64::MIN_POSITIVE;
    let scaled = choose(is_small, x * (1_u64 << 54) as f64, x);
    let (n, fraction) = exponent_and_fraction(scaled);
    let n = n - choose(is_small, 54.0, 0.0);
    let f = fraction - 1.0;
    let s = f / (2.0 + f);
    let z = s * s;
    let rest = z * polynomial(z, &LOG);
    let half_square = 0.5 * f * f;
    n * LN_2_HIGH - ((half_square - (s * (half_square + rest) + n * LN_2_LOW)) - f)
}

/// Up to here the parts of π/2 times the number of quarter turns are exact.
const ANGLE_MAX: f64 = 1e6;

/// Whether the reduction of the angle is not exact enough.
#[inline(always)]
pub(crate) fn is_far<T: ViaF64>(x: T) -> bool {
    x.widen().abs() > ANGLE_MAX
}

/// `sin(x + quarters π/2)`, wrong for angles that are [`is_far`].
#[inline(always)]
fn sin_from(x: f64, quarters: u64) -> f64 {
    const PARTS: [f64; 4] = [
        f64::from_bits(0x3ff9_21fb_5440_0000),
        f64::from_bits(0x3dd0_b461_1a60_0000),
        f64::from_bits(0x3ba3_198a_2e00_0000),
        f64::from_bits(0x397b_839a_2520_49c1),
    ];
    let shifted = x * std::f64::consts::FRAC_2_PI + ROUND;
    let n = shifted - ROUND;
    // What each subtraction rounds away goes into the tail.
    let high = x - n * PARTS[0];
    let (second, third) = (n * PARTS[1], n * PARTS[2]);
    let middle = high - second;
    let tail = (high - middle) - second;
    let low = middle - third;
    let tail = tail + ((middle - low) - third) - n * PARTS[3];
    let angle = low + tail;
    let tail = (low - angle) + tail;
    let quarter = shifted.to_bits().wrapping_add(quarters);
    let z = angle * angle;
    let sin = angle + (z * angle * alternating(z, &SIN) + tail);
    let half = 0.5 * z;
    let near = 1.0 - half;
    let cos = near + (((1.0 - near) - half) + (z * z * -alternating(z, &COS) - angle * tail));
    let value = choose(quarter & 1 == 0, sin, cos);
    f64::from_bits(value.to_bits() ^ ((quarter & 2) << 62))
}

/// The polynomial with signs that alternate, the first of which is negative.
#[inline(always)]
fn alternating<const N: usize>(z: f64, coefficients: &[f64; N]) -> f64 {
    -polynomial(-z, coefficients)
}

/// The sine of an angle that is not [`is_far`].
#[inline(always)]
pub(crate) fn sin<T: ViaF64>(x: T) -> T {
    let x = x.widen();
    // Adding to a zero would lose its sign.
    T::narrow(choose(x == 0.0, x, sin_from(x, 0)))
}

/// The cosine of an angle that is not [`is_far`].
#[inline(always)]
pub(crate) fn cos<T: ViaF64>(x: T) -> T {
    T::narrow(sin_from(x.widen(), 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type F = fn(f64) -> f64;
    type F32 = fn(f32) -> f32;

    const FUNCTIONS: [(&str, F, F, F32); 5] = [
        ("exp", exp, f64::exp, exp),
        ("log", log, f64::ln, log),
        ("sin", sin, f64::sin, sin),
        ("cos", cos, f64::cos, cos),
        ("tanh", tanh, f64::tanh, tanh),
    ];

    /// A number for each float, such that neighbours are neighbours.
    fn place(x: f64) -> i64 {
        let bits = x.to_bits() as i64;
        if bits < 0 { i64::MIN - bits } else { bits }
    }

    fn place_f32(x: f32) -> i32 {
        let bits = x.to_bits() as i32;
        if bits < 0 { i32::MIN - bits } else { bits }
    }

    /// std is within 1 ulp of the exact value itself.
    #[track_caller]
    fn check(x: f64) {
        for (name, ours, std, narrow) in FUNCTIONS {
            if name.len() == 3 && name != "exp" && name != "log" && is_far(x) {
                continue;
            }
            let (got, want) = (ours(x), std(x));
            if want.is_nan() {
                assert!(got.is_nan(), "{name}({x:e}) is {got}");
                continue;
            }
            let ulps = place(got).abs_diff(place(want));
            let allowed = if name == "tanh" { 2 } else { 1 };
            assert!(ulps <= allowed, "{name}({x:e}) is {got:e}, not {want:e}: {ulps} ulp");
            assert_eq!(got.is_sign_negative(), want.is_sign_negative(), "{name}({x:e})");
            let (x, want) = (x as f32, std((x as f32).into()) as f32);
            if !is_far(x) && !want.is_nan() {
                assert!(
                    place_f32(narrow(x)).abs_diff(place_f32(want)) <= 1,
                    "{name}({x:e}) of f32"
                );
            }
        }
    }

    #[test]
    fn special_values() {
        let tiny = f64::from_bits(1);
        for x in [0.0, tiny, f64::MIN_POSITIVE, 1.0, 1.0 + f64::EPSILON, f64::MAX, f64::INFINITY] {
            check(x);
            check(-x);
        }
        check(f64::NAN);
        for x in [709.782712893384, 709.7827128933841, 708.5, -708.4, -740.0, -745.1332191019411] {
            check(x);
            check(x - 1e-9);
        }
        check(-745.2);
        for i in -200..200 {
            check(f64::from(i) * std::f64::consts::FRAC_PI_4);
            check(f64::from(i) * std::f64::consts::LN_2 * 0.5);
            check((f64::from(i) * std::f64::consts::LN_2 * 0.5).exp());
        }
        // The double that comes nearest to a multiple of π/2 below the limit of large angles.
        check(6381956970095103.0 * 2_f64.powi(-40));
        check(ANGLE_MAX);
        assert_eq!((exp(0.0_f64), log(1.0_f64), cos(0.0_f64)), (1.0, 0.0, 1.0));
        assert!(is_far(f64::INFINITY) && is_far(1.1e6_f32) && !is_far(f64::NAN));
    }

    /// `pow` of `f64` is within 1 ulp of std, and that of `f32` too.
    #[track_caller]
    fn check_pow(x: f64, y: f64) {
        if !is_odd(x, y) {
            let (got, want) = (pow(x, y), x.powf(y));
            let ulps = place(got).abs_diff(place(want));
            assert!(ulps <= 1, "{x:e} ** {y:e} is {got:e}, not {want:e}: {ulps} ulp");
        }
        let (x, y) = (x as f32, y as f32);
        if !is_odd(x, y) {
            let (got, want) = (pow(x, y), x.powf(y));
            assert!(place_f32(got).abs_diff(place_f32(want)) <= 1, "{x:e} ** {y:e} of f32");
        }
    }

    #[test]
    fn powers_of_special_values() {
        let tiny = f64::from_bits(1);
        let bases = [
            tiny,
            f64::MIN_POSITIVE,
            0.5,
            1.0_f64.next_down(),
            1.0,
            1.0_f64.next_up(),
            10.0,
            f64::MAX,
        ];
        let exponents =
            [0.0, tiny, 0.5, 1.0, 3.0, 52.0, 308.0, 1023.0, 1074.0, 1e9, 1e18, 1e300, f64::MAX];
        for (x, y) in bases.iter().flat_map(|x| exponents.iter().map(move |y| (*x, *y))) {
            check_pow(x, y);
            check_pow(x, -y);
        }
        assert_eq!([pow(10.0, 15.0), pow(3.0, 4.0), pow(4.0, 0.5)], [1e15, 81.0, 2.0]);
        for (x, y) in [(0.0, 2.0), (-1.0, 2.0), (f64::INFINITY, 1.0), (2.0, f64::INFINITY)] {
            assert!(is_odd(x, y) && is_odd(-x, f64::NAN) && is_odd(f64::NAN, y));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn powers(bits: u64, power in -1.0..1.0_f64, x in 0.0..10.0_f64, y in -20.0..20.0_f64) {
            // Of any size whose power is a number.
            let base = f64::from_bits(bits >> 1);
            check_pow(base, 740.0 * power / base.ln());
            check_pow(x, y);
            check_pow(1.0 + 1e-4 * power, 1e6 * y);
        }

        #[test]
        fn any_bits(bits: u64) {
            check(f64::from_bits(bits));
        }

        #[test]
        fn common_values(x in -1.0..1.0_f64, scale in 0..8) {
            check(x * 10_f64.powi(scale - 1));
        }

        #[test]
        fn near_one(x in 0.5..2.0_f64) {
            check(x);
        }
    }
}
