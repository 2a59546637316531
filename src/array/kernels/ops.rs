//! The table of elementwise operations: every one is declared here once.
//!
//! A row gives the name, the printed form, and for each class of dtypes the function of one
//! element. Everything else (result dtypes, constant folding, vectorized loops) reads this table
//! through a visitor. `fast` rows have no branches for floats and get a loop for each SIMD
//! level, after which the exceptions that a row names are set one by one; `call` rows spend their time in a library function, where that would only be bloat.

use num_complex::Complex;

use super::functions::{self as f, Float, Int};
use super::scalar::{Lane, Scalar};
use super::vector_math as v;
use crate::array::dtype::{DType, Element};

/// A function of one element of type `T`.
pub(crate) trait UnaryFn<T: Lane>: 'static {
    type Out: Lane;
    const IS_FAST: bool;
    /// Whether [`exception`](Self::exception) ever gives anything.
    const HAS_EXCEPTIONS: bool;

    /// The function, but for exceptions.
    fn call(x: T) -> Self::Out;

    /// The value where `call`, which has no branches, is wrong.
    fn exception(x: T) -> Option<Self::Out>;

    /// The function.
    fn at(x: T) -> Self::Out {
        Self::exception(x).unwrap_or_else(|| Self::call(x))
    }
}

/// A function of two elements of type `T`.
pub(crate) trait BinaryFn<T: Lane>: 'static {
    type Out: Lane;
    const IS_FAST: bool;
    /// Whether [`exception`](Self::exception) ever gives anything.
    const HAS_EXCEPTIONS: bool;

    /// The function, but for exceptions.
    fn call(x: T, y: T) -> Self::Out;

    /// The value where `call`, which has no branches, is wrong.
    fn exception(x: T, y: T) -> Option<Self::Out>;

    /// The function.
    fn at(x: T, y: T) -> Self::Out {
        Self::exception(x, y).unwrap_or_else(|| Self::call(x, y))
    }
}

/// What to do with the function that an operation and a dtype name.
pub(crate) trait UnaryVisitor {
    type Result;
    fn visit<T: Lane, F: UnaryFn<T>>(self) -> Self::Result;
}

/// What to do with the function that an operation and a dtype name.
pub(crate) trait BinaryVisitor {
    type Result;
    fn visit<T: Lane, F: BinaryFn<T>>(self) -> Self::Result;
}

/// Runs `$then! { $args, type, variant }` for each type of a class.
macro_rules! each_type {
    (bool, $then:ident, $args:tt) => {
        $then! { $args, bool, Bool }
    };
    (signed, $then:ident, $args:tt) => {
        $then! { $args, i8, I8 }
        $then! { $args, i16, I16 }
        $then! { $args, i32, I32 }
        $then! { $args, i64, I64 }
    };
    (unsigned, $then:ident, $args:tt) => {
        $then! { $args, u8, U8 }
        $then! { $args, u16, U16 }
        $then! { $args, u32, U32 }
        $then! { $args, u64, U64 }
    };
    (int, $then:ident, $args:tt) => {
        each_type! { signed, $then, $args }
        each_type! { unsigned, $then, $args }
    };
    (float, $then:ident, $args:tt) => {
        $then! { $args, f32, F32 }
        $then! { $args, f64, F64 }
    };
    (complex, $then:ident, $args:tt) => {
        $then! { $args, Complex<f32>, C64 }
        $then! { $args, Complex<f64>, C128 }
    };
    (number, $then:ident, $args:tt) => {
        each_type! { int, $then, $args }
        each_type! { float, $then, $args }
    };
    (real, $then:ident, $args:tt) => {
        each_type! { bool, $then, $args }
        each_type! { number, $then, $args }
    };
    (any, $then:ident, $args:tt) => {
        each_type! { real, $then, $args }
        each_type! { complex, $then, $args }
    };
}

macro_rules! is_fast {
    (fast) => {
        true
    };
    (call) => {
        false
    };
}

macro_rules! has_any {
    () => {
        false
    };
    ($any:expr) => {
        true
    };
}

macro_rules! unary_impl {
    ([$op:ident $speed:ident $x:ident ($body:expr) ($($except:expr)?) $out:ty], $t:ty, $variant:ident) => {
        const _: () = {
            #[allow(dead_code, reason = "not every row names its types")]
            type T = $t;
            #[allow(dead_code, reason = "not every row names its types")]
            type Real = <$t as Lane>::Real;
            impl UnaryFn<$t> for unary::$op {
                type Out = $out;
                const IS_FAST: bool = is_fast!($speed);
                const HAS_EXCEPTIONS: bool = has_any!($($except)?);
                #[inline(always)]
                fn call($x: $t) -> $out {
                    $body
                }
                #[inline(always)]
                fn exception(_x: $t) -> Option<$out> {
                    $({
                        let $x = _x;
                        return $except;
                    })?
                    #[allow(unreachable_code, reason = "most rows have no exceptions")]
                    None
                }
            }
        };
    };
}

macro_rules! binary_impl {
    ([$op:ident $speed:ident $x:ident $y:ident ($body:expr) ($($except:expr)?) $out:ty], $t:ty, $variant:ident) => {
        const _: () = {
            #[allow(dead_code, reason = "not every row names its types")]
            type T = $t;
            impl BinaryFn<$t> for binary::$op {
                type Out = $out;
                const IS_FAST: bool = is_fast!($speed);
                const HAS_EXCEPTIONS: bool = has_any!($($except)?);
                #[inline(always)]
                #[allow(clippy::bool_comparison, reason = "comparisons of booleans are vectors")]
                fn call($x: $t, $y: $t) -> $out {
                    $body
                }
                #[inline(always)]
                fn exception(_x: $t, _y: $t) -> Option<$out> {
                    $({
                        let ($x, $y) = (_x, _y);
                        return $except;
                    })?
                    #[allow(unreachable_code, reason = "most rows have no exceptions")]
                    None
                }
            }
        };
    };
}

macro_rules! visit_type {
    ([$kind:ident $op:ident $dtype:ident $visitor:ident], $t:ty, $variant:ident) => {
        if $dtype == DType::$variant {
            return Some($visitor.visit::<$t, $kind::$op>());
        }
    };
}

macro_rules! unary_ops {
    ($($op:ident $text:literal $speed:ident {
        $($class:ident |$x:ident| $body:expr $(, $except:expr)? => $out:ty;)*
    })*) => {
        /// A function of one value.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[cfg_attr(feature = "dist", derive(serde::Serialize, serde::Deserialize))]
        pub(crate) enum UnaryOp { $($op,)* }

        mod unary { $(#[derive(Debug)] pub(crate) struct $op;)* }

        $($(each_type! { $class, unary_impl, [$op $speed $x ($body) ($($except)?) $out] })*)*

        impl UnaryOp {
            pub(crate) const ALL: &[UnaryOp] = &[$(UnaryOp::$op,)*];

            /// The operation as it is printed.
            pub(crate) fn name(self) -> &'static str {
                match self { $(UnaryOp::$op => $text,)* }
            }

            /// The visitor's result for the function of `dtype`, or `None` if there is none.
            pub(crate) fn visit<V: UnaryVisitor>(self, dtype: DType, visitor: V) -> Option<V::Result> {
                match self {
                    $(UnaryOp::$op => {
                        $(each_type! { $class, visit_type, [unary $op dtype visitor] })*
                    })*
                }
                None
            }
        }
    };
}

macro_rules! binary_ops {
    ($($op:ident $text:literal $speed:ident {
        $($class:ident |$x:ident, $y:ident| $body:expr $(, $except:expr)? => $out:ty;)*
    })*) => {
        /// A function of two values of the same dtype.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[cfg_attr(feature = "dist", derive(serde::Serialize, serde::Deserialize))]
        pub(crate) enum BinaryOp { $($op,)* }

        mod binary { $(#[derive(Debug)] pub(crate) struct $op;)* }

        $($(each_type! { $class, binary_impl, [$op $speed $x $y ($body) ($($except)?) $out] })*)*

        impl BinaryOp {
            #[cfg(test)]
            pub(crate) const ALL: &[BinaryOp] = &[$(BinaryOp::$op,)*];

            /// The operation as it is printed.
            pub(crate) fn name(self) -> &'static str {
                match self { $(BinaryOp::$op => $text,)* }
            }

            /// The visitor's result for the function of `dtype`, or `None` if there is none.
            pub(crate) fn visit<V: BinaryVisitor>(self, dtype: DType, visitor: V) -> Option<V::Result> {
                match self {
                    $(BinaryOp::$op => {
                        $(each_type! { $class, visit_type, [binary $op dtype visitor] })*
                    })*
                }
                None
            }
        }
    };
}

unary_ops! {
    Neg "-" fast {
        int |x| x.wrapping_neg() => T;
        float |x| -x => T;
        complex |x| -x => T;
    }
    Abs "abs" fast {
        bool |x| x => T;
        int |x| x.magnitude() => T;
        float |x| x.abs() => T;
        complex |x| x.norm() => Real;
    }
    Sign "sign" fast {
        int |x| x.sign() => T;
        float |x| f::sign(x) => T;
        complex |x| f::complex_sign(x) => T;
    }
    Square "square" fast {
        int |x| x.wrapping_mul(x) => T;
        float |x| x * x => T;
        complex |x| x * x => T;
    }
    Reciprocal "reciprocal" fast {
        float |x| x.recip() => T;
        complex |x| f::complex_div(Complex::new(1.0, 0.0), x) => T;
    }
    Not "~" fast {
        bool |x| !x => T;
        int |x| !x => T;
    }
    LogicalNot "logical_not" fast {
        any |x| !f::truth(x) => bool;
    }
    Sqrt "sqrt" fast {
        float |x| x.sqrt() => T;
        complex |x| x.sqrt() => T;
    }
    Cbrt "cbrt" call { float |x| x.cbrt() => T; }
    Exp "exp" fast { float |x| v::exp(x) => T; complex |x| x.exp() => T; }
    Exp2 "exp2" call { float |x| x.exp2() => T; complex |x| x.exp2() => T; }
    Expm1 "expm1" call { float |x| x.exp_m1() => T; }
    Log "log" fast { float |x| v::log(x) => T; complex |x| x.ln() => T; }
    Log2 "log2" call { float |x| x.log2() => T; complex |x| x.log2() => T; }
    Log10 "log10" call { float |x| x.log10() => T; complex |x| x.log10() => T; }
    Log1p "log1p" call { float |x| x.ln_1p() => T; }
    Sin "sin" fast {
        float |x| v::sin(x), v::is_far(x).then(|| x.sin()) => T;
        complex |x| x.sin() => T;
    }
    Cos "cos" fast {
        float |x| v::cos(x), v::is_far(x).then(|| x.cos()) => T;
        complex |x| x.cos() => T;
    }
    Tan "tan" call { float |x| x.tan() => T; complex |x| x.tan() => T; }
    Arcsin "arcsin" call { float |x| x.asin() => T; complex |x| x.asin() => T; }
    Arccos "arccos" call { float |x| x.acos() => T; complex |x| x.acos() => T; }
    Arctan "arctan" call { float |x| x.atan() => T; complex |x| x.atan() => T; }
    Sinh "sinh" call { float |x| x.sinh() => T; complex |x| x.sinh() => T; }
    Cosh "cosh" call { float |x| x.cosh() => T; complex |x| x.cosh() => T; }
    Tanh "tanh" fast { float |x| v::tanh(x) => T; complex |x| x.tanh() => T; }
    Arcsinh "arcsinh" call { float |x| x.asinh() => T; complex |x| x.asinh() => T; }
    Arccosh "arccosh" call { float |x| x.acosh() => T; complex |x| x.acosh() => T; }
    Arctanh "arctanh" call { float |x| x.atanh() => T; complex |x| x.atanh() => T; }
    Floor "floor" fast { bool |x| x => T; int |x| x => T; float |x| x.floor() => T; }
    Ceil "ceil" fast { bool |x| x => T; int |x| x => T; float |x| x.ceil() => T; }
    Trunc "trunc" fast { bool |x| x => T; int |x| x => T; float |x| x.trunc() => T; }
    Fix "fix" fast { bool |x| x => T; int |x| x => T; float |x| x.trunc() => T; }
    Rint "rint" fast { float |x| x.round_ties_even() => T; }
    IsNan "isnan" fast {
        bool |_x| false => bool;
        int |_x| false => bool;
        float |x| x.is_nan() => bool;
        complex |x| x.re.is_nan() || x.im.is_nan() => bool;
    }
    IsInf "isinf" fast {
        bool |_x| false => bool;
        int |_x| false => bool;
        float |x| x.is_infinite() => bool;
        complex |x| x.re.is_infinite() || x.im.is_infinite() => bool;
    }
    IsFinite "isfinite" fast {
        bool |_x| true => bool;
        int |_x| true => bool;
        float |x| x.is_finite() => bool;
        complex |x| x.re.is_finite() && x.im.is_finite() => bool;
    }
    SignBit "signbit" fast { float |x| x.is_sign_negative() => bool; }
    Conj "conj" fast { real |x| x => T; complex |x| x.conj() => T; }
    Real "real" fast { real |x| x => T; complex |x| x.re => Real; }
    Imag "imag" fast { real |_x| T::default() => T; complex |x| x.im => Real; }
    Angle "angle" call {
        float |x| T::atan2(0.0, x) => T;
        complex |x| x.im.atan2(x.re) => Real;
    }
    Deg2Rad "deg2rad" fast { float |x| x * T::RADIANS_PER_DEGREE => T; }
    Rad2Deg "rad2deg" fast { float |x| x * T::DEGREES_PER_RADIAN => T; }
}

binary_ops! {
    Add "+" fast {
        bool |x, y| x | y => T;
        int |x, y| x.wrapping_add(y) => T;
        float |x, y| x + y => T;
        complex |x, y| x + y => T;
    }
    Sub "-" fast {
        int |x, y| x.wrapping_sub(y) => T;
        float |x, y| x - y => T;
        complex |x, y| x - y => T;
    }
    Mul "*" fast {
        bool |x, y| x & y => T;
        int |x, y| x.wrapping_mul(y) => T;
        float |x, y| x * y => T;
        complex |x, y| x * y => T;
    }
    Div "/" fast {
        bool |x, y| f::to_f64(x) / f::to_f64(y) => f64;
        int |x, y| f::to_f64(x) / f::to_f64(y) => f64;
        float |x, y| x / y => T;
        complex |x, y| f::complex_div(x, y) => T;
    }
    FloorDiv "//" call {
        int |x, y| x.floor_div(y) => T;
        float |x, y| f::floor_div(x, y) => T;
    }
    Rem "%" call {
        int |x, y| x.floor_rem(y) => T;
        float |x, y| f::floor_rem(x, y) => T;
    }
    Fmod "fmod" call {
        int |x, y| x.trunc_rem(y) => T;
        float |x, y| x % y => T;
    }
    Pow "**" fast {
        int |x, y| x.power(y) => T;
        float |x, y| v::pow(x, y), v::is_odd(x, y).then(|| x.powf(y)) => T;
        complex |x, y| f::complex_pow(x, y) => T;
    }
    Eq "==" fast { any |x, y| x == y => bool; }
    Ne "!=" fast { any |x, y| x != y => bool; }
    Lt "<" fast { bool |x, y| !x & y => bool; number |x, y| x < y => bool; }
    Le "<=" fast { real |x, y| x <= y => bool; }
    Gt ">" fast { bool |x, y| x & !y => bool; number |x, y| x > y => bool; }
    Ge ">=" fast { real |x, y| x >= y => bool; }
    BitAnd "&" fast { bool |x, y| x & y => T; int |x, y| x & y => T; }
    BitOr "|" fast { bool |x, y| x | y => T; int |x, y| x | y => T; }
    BitXor "^" fast { bool |x, y| x ^ y => T; int |x, y| x ^ y => T; }
    Shl "<<" fast { int |x, y| x.shift_left(y) => T; }
    Shr ">>" fast { int |x, y| x.shift_right(y) => T; }
    LogicalAnd "logical_and" fast { any |x, y| f::truth(x) & f::truth(y) => bool; }
    LogicalOr "logical_or" fast { any |x, y| f::truth(x) | f::truth(y) => bool; }
    LogicalXor "logical_xor" fast { any |x, y| f::truth(x) ^ f::truth(y) => bool; }
    Maximum "maximum" fast {
        bool |x, y| x | y => T;
        int |x, y| x.max(y) => T;
        float |x, y| if x >= y || x.is_nan() { x } else { y } => T;
    }
    Minimum "minimum" fast {
        bool |x, y| x & y => T;
        int |x, y| x.min(y) => T;
        float |x, y| if x <= y || x.is_nan() { x } else { y } => T;
    }
    Fmax "fmax" fast {
        bool |x, y| x | y => T;
        int |x, y| x.max(y) => T;
        float |x, y| if x >= y || y.is_nan() { x } else { y } => T;
    }
    Fmin "fmin" fast {
        bool |x, y| x & y => T;
        int |x, y| x.min(y) => T;
        float |x, y| if x <= y || y.is_nan() { x } else { y } => T;
    }
    Arctan2 "arctan2" call { float |x, y| x.atan2(y) => T; }
    Hypot "hypot" call { float |x, y| x.hypot(y) => T; }
    Copysign "copysign" fast { float |x, y| x.copysign(y) => T; }
    Logaddexp "logaddexp" call { float |x, y| f::logaddexp(x, y) => T; }
}

impl UnaryOp {
    /// The dtype of the result, or `None` if the operation does not exist for `dtype`.
    pub(crate) fn result(self, dtype: DType) -> Option<DType> {
        struct Result;
        impl UnaryVisitor for Result {
            type Result = DType;
            fn visit<T: Lane, F: UnaryFn<T>>(self) -> DType {
                F::Out::DTYPE
            }
        }
        self.visit(dtype, Result)
    }
}

impl BinaryOp {
    /// The dtype of the result, or `None` if the operation does not exist for `dtype`.
    pub(crate) fn result(self, dtype: DType) -> Option<DType> {
        struct Result;
        impl BinaryVisitor for Result {
            type Result = DType;
            fn visit<T: Lane, F: BinaryFn<T>>(self) -> DType {
                F::Out::DTYPE
            }
        }
        self.visit(dtype, Result)
    }
}

/// The operation on one value.
pub(crate) fn fold_unary(op: UnaryOp, x: Scalar) -> Option<Scalar> {
    struct Fold(Scalar);
    impl UnaryVisitor for Fold {
        type Result = Scalar;
        fn visit<T: Lane, F: UnaryFn<T>>(self) -> Scalar {
            F::at(T::from_scalar(self.0)).into()
        }
    }
    op.visit(x.dtype(), Fold(x))
}

/// The operation on two values.
pub(crate) fn fold_binary(op: BinaryOp, x: Scalar, y: Scalar) -> Option<Scalar> {
    struct Fold(Scalar, Scalar);
    impl BinaryVisitor for Fold {
        type Result = Scalar;
        fn visit<T: Lane, F: BinaryFn<T>>(self) -> Scalar {
            F::at(T::from_scalar(self.0), T::from_scalar(self.1)).into()
        }
    }
    op.visit(x.dtype(), Fold(x, y))
}
