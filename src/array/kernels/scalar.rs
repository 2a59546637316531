//! One value of any dtype, and conversions between dtypes.
//!
//! Conversions follow NumPy's `astype`: integers wrap, floats truncate toward zero (and saturate,
//! where NumPy leaves the result undefined), everything but zero is true, complex numbers lose
//! their imaginary part.

use std::fmt;
use std::hash::{Hash, Hasher};

use num_complex::Complex;

use super::strip::Banked;
use crate::array::dtype::{DType, Element, dispatch};

/// An element type that programs compute with.
pub(crate) trait Lane: Element + Into<Scalar> + Banked {
    /// The type of the real part; the type itself if it is not complex.
    type Real: Lane;

    /// The value in `scalar`, converted if its dtype is another one.
    fn from_scalar(scalar: Scalar) -> Self;

    /// Whether loops over it are compiled for every SIMD level; others keep the build small.
    const HAS_SIMD: bool = matches!(Self::DTYPE, DType::I32 | DType::I64 | DType::F32 | DType::F64);

    /// A number that is different for different bit patterns.
    fn bits(self) -> u128;
}

/// The conversion of one element, as NumPy's `astype` does it.
pub(crate) trait CastTo<T> {
    fn cast_to(self) -> T;
}

macro_rules! scalars {
    ($($variant:ident $t:ty, $real:ty, |$x:ident| $bits:expr;)*) => {
        /// One value of any dtype. Equality compares bits, so that NaN equals itself.
        #[derive(Clone, Copy, Debug)]
        #[cfg_attr(feature = "dist", derive(serde::Serialize, serde::Deserialize))]
        pub(crate) enum Scalar {
            $($variant($t),)*
        }

        impl Scalar {
            /// The dtype of the value.
            pub(crate) fn dtype(self) -> DType {
                match self { $(Scalar::$variant(_) => DType::$variant,)* }
            }

            /// The value as another dtype.
            pub(crate) fn cast(self, to: DType) -> Scalar {
                match self {
                    $(Scalar::$variant(value) => {
                        dispatch!(to, T => CastTo::<T>::cast_to(value).into())
                    })*
                }
            }

            /// The value of an integer.
            pub(crate) fn integer(self) -> Option<i128> {
                match (self, self.cast(DType::I64)) {
                    (Scalar::U64(value), _) => Some(value.into()),
                    (_, Scalar::I64(value)) if self.dtype().is_integer() => Some(value.into()),
                    _ => None,
                }
            }

            fn bits(self) -> (DType, u128) {
                match self { $(Scalar::$variant(value) => (DType::$variant, value.bits()),)* }
            }
        }

        impl fmt::Display for Scalar {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self { $(Scalar::$variant(value) => fmt::Display::fmt(value, f),)* }
            }
        }

        $(
            impl From<$t> for Scalar {
                fn from(value: $t) -> Scalar {
                    Scalar::$variant(value)
                }
            }

            impl Lane for $t {
                type Real = $real;

                #[inline]
                fn from_scalar(scalar: Scalar) -> $t {
                    if let Scalar::$variant(value) = scalar {
                        return value;
                    }
                    match scalar.cast(DType::$variant) {
                        Scalar::$variant(value) => value,
                        other => unreachable!("cast to {} gave {other:?}", stringify!($t)),
                    }
                }

                fn bits(self) -> u128 {
                    let $x = self;
                    $bits
                }
            }
        )*
    };
}

scalars! {
    Bool bool, bool, |x| u128::from(x);
    I8 i8, i8, |x| x as u128;
    I16 i16, i16, |x| x as u128;
    I32 i32, i32, |x| x as u128;
    I64 i64, i64, |x| x as u128;
    U8 u8, u8, |x| x as u128;
    U16 u16, u16, |x| x as u128;
    U32 u32, u32, |x| x as u128;
    U64 u64, u64, |x| x as u128;
    F32 f32, f32, |x| u128::from(x.to_bits());
    F64 f64, f64, |x| u128::from(x.to_bits());
    C64 Complex<f32>, f32, |x| x.re.bits() << 64 | x.im.bits();
    C128 Complex<f64>, f64, |x| x.re.bits() << 64 | x.im.bits();
}

impl PartialEq for Scalar {
    fn eq(&self, other: &Scalar) -> bool {
        self.bits() == other.bits()
    }
}

impl Eq for Scalar {}

impl Hash for Scalar {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bits().hash(state);
    }
}

/// The conversions from one real number type to every type.
macro_rules! casts_from {
    ($($from:ty)*) => {$(
        casts_from! { @to $from: i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 }

        impl CastTo<bool> for $from {
            #[inline(always)]
            fn cast_to(self) -> bool {
                self != 0 as $from
            }
        }

        impl CastTo<$from> for bool {
            #[inline(always)]
            fn cast_to(self) -> $from {
                u8::from(self) as $from
            }
        }
    )*};
    (@to $from:ty: $($to:ty)*) => {
        $(impl CastTo<$to> for $from {
            #[inline(always)]
            fn cast_to(self) -> $to {
                self as $to
            }
        })*
        casts_from! { @complex $from: f32 f64 }
    };
    (@complex $from:ty: $($part:ty)*) => {$(
        impl CastTo<Complex<$part>> for $from {
            #[inline(always)]
            fn cast_to(self) -> Complex<$part> {
                Complex::new(self as $part, 0.0)
            }
        }

        impl CastTo<$from> for Complex<$part> {
            #[inline(always)]
            fn cast_to(self) -> $from {
                self.re as $from
            }
        }
    )*};
}

casts_from! { i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 }

impl CastTo<bool> for bool {
    #[inline(always)]
    fn cast_to(self) -> bool {
        self
    }
}

macro_rules! complex_casts {
    ($($from:ty)*) => {$(
        complex_casts! { @to $from: f32 f64 }

        impl CastTo<bool> for Complex<$from> {
            #[inline(always)]
            fn cast_to(self) -> bool {
                self.re != 0.0 || self.im != 0.0
            }
        }

        impl CastTo<Complex<$from>> for bool {
            #[inline(always)]
            fn cast_to(self) -> Complex<$from> {
                Complex::new(self.cast_to(), 0.0)
            }
        }
    )*};
    (@to $from:ty: $($to:ty)*) => {$(
        impl CastTo<Complex<$to>> for Complex<$from> {
            #[inline(always)]
            fn cast_to(self) -> Complex<$to> {
                Complex::new(self.re as $to, self.im as $to)
            }
        }
    )*};
}

complex_casts! { f32 f64 }

/// Whether `to` holds every value of `from` exactly.
pub(crate) fn is_lossless(from: DType, to: DType) -> bool {
    use DType::{Bool, C64, C128, F32, F64, I8, I16, I32, I64, U8, U16, U32, U64};
    let holds: &[DType] = match to {
        Bool => &[Bool],
        I8 => &[Bool, I8],
        I16 => &[Bool, I8, I16, U8],
        I32 => &[Bool, I8, I16, I32, U8, U16],
        I64 => &[Bool, I8, I16, I32, I64, U8, U16, U32],
        U8 => &[Bool, U8],
        U16 => &[Bool, U8, U16],
        U32 => &[Bool, U8, U16, U32],
        U64 => &[Bool, U8, U16, U32, U64],
        F32 => &[Bool, I8, I16, U8, U16, F32],
        F64 => &[Bool, I8, I16, I32, U8, U16, U32, F32, F64],
        C64 => &[Bool, I8, I16, U8, U16, F32, C64],
        C128 => &[Bool, I8, I16, I32, U8, U16, U32, F32, F64, C64, C128],
    };
    holds.contains(&from)
}
