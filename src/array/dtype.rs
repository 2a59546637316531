//! Element types, and the one place where a run-time dtype becomes a compile-time type.

use std::fmt;

use num_complex::Complex;

use super::any::AnyElement;
use super::io::Stored;

/// The element type of an array, known at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "dist", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum DType {
    /// `bool`
    Bool,
    /// `i8`
    I8,
    /// `i16`
    I16,
    /// `i32`
    I32,
    /// `i64`
    I64,
    /// `u8`
    U8,
    /// `u16`
    U16,
    /// `u32`
    U32,
    /// `u64`
    U64,
    /// `f32`
    F32,
    /// `f64`
    F64,
    /// `Complex<f32>`
    C64,
    /// `Complex<f64>`
    C128,
}

impl DType {
    /// Every dtype, in ascending order.
    pub const ALL: [DType; 13] = [
        DType::Bool,
        DType::I8,
        DType::I16,
        DType::I32,
        DType::I64,
        DType::U8,
        DType::U16,
        DType::U32,
        DType::U64,
        DType::F32,
        DType::F64,
        DType::C64,
        DType::C128,
    ];

    /// Bytes of one element.
    pub fn nbytes(self) -> usize {
        dispatch!(self, T => size_of::<T>())
    }

    /// The name that NumPy gives it, such as `"float64"`.
    pub fn name(self) -> &'static str {
        match self {
            DType::Bool => "bool",
            DType::I8 => "int8",
            DType::I16 => "int16",
            DType::I32 => "int32",
            DType::I64 => "int64",
            DType::U8 => "uint8",
            DType::U16 => "uint16",
            DType::U32 => "uint32",
            DType::U64 => "uint64",
            DType::F32 => "float32",
            DType::F64 => "float64",
            DType::C64 => "complex64",
            DType::C128 => "complex128",
        }
    }

    /// Whether it is `f32` or `f64`.
    pub fn is_float(self) -> bool {
        matches!(self, DType::F32 | DType::F64)
    }

    /// Whether it is complex.
    pub fn is_complex(self) -> bool {
        matches!(self, DType::C64 | DType::C128)
    }

    /// Whether it is an integer, signed or not.
    pub fn is_integer(self) -> bool {
        !matches!(self, DType::Bool) && !self.is_float() && !self.is_complex()
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

mod sealed {
    pub trait Sealed {}
}

/// A type that arrays can hold: `bool`, the integers, the floats and their complex numbers.
pub trait Element:
    Copy
    + Default
    + PartialEq
    + fmt::Debug
    + Send
    + Sync
    + AnyElement
    + Stored
    + 'static
    + sealed::Sealed
{
    /// The same type, as a value.
    const DTYPE: DType;

    /// What a sum or product of many elements is: integers widen to 64 bits.
    type Sum: Element;

    /// What a mean or quotient is: integers become `f64`.
    type Mean: Element;

    /// What a magnitude or a part of a complex number is.
    type Real: Element;

    /// What a variance or standard deviation is: a real float.
    type Spread: Element;

    /// What a Fourier transform is: a complex number of such floats.
    type Complex: Element;
}

macro_rules! elements {
    ($($t:ty => $dtype:ident, $sum:ty, $mean:ty, $real:ty, $spread:ty, $complex:ty;)*) => {$(
        impl sealed::Sealed for $t {}
        impl Element for $t {
            const DTYPE: DType = DType::$dtype;
            type Sum = $sum;
            type Mean = $mean;
            type Real = $real;
            type Spread = $spread;
            type Complex = $complex;
        }
    )*};
}

elements! {
    bool => Bool, i64, f64, bool, f64, Complex<f64>;
    i8 => I8, i64, f64, i8, f64, Complex<f64>;
    i16 => I16, i64, f64, i16, f64, Complex<f64>;
    i32 => I32, i64, f64, i32, f64, Complex<f64>;
    i64 => I64, i64, f64, i64, f64, Complex<f64>;
    u8 => U8, u64, f64, u8, f64, Complex<f64>;
    u16 => U16, u64, f64, u16, f64, Complex<f64>;
    u32 => U32, u64, f64, u32, f64, Complex<f64>;
    u64 => U64, u64, f64, u64, f64, Complex<f64>;
    f32 => F32, f32, f32, f32, f32, Complex<f32>;
    f64 => F64, f64, f64, f64, f64, Complex<f64>;
    Complex<f32> => C64, Complex<f32>, Complex<f32>, f32, f32, Complex<f32>;
    Complex<f64> => C128, Complex<f64>, Complex<f64>, f64, f64, Complex<f64>;
}

/// Evaluates an expression with `$t` standing for the element type that a [`DType`] names.
///
/// With a class after the dtype (`real`: everything ordered, that is all but complex; `number`:
/// all but bool; `float`: floats and complex) other dtypes evaluate `else`.
macro_rules! dispatch {
    // The one match; `[..]` pairs the dtypes of a class with their types.
    (@match $dtype:expr, $t:ident => $body:expr, [$($variant:ident $ty:ty),*] $(, $other:expr)?) => {
        match $dtype {
            $($crate::array::dtype::DType::$variant => {
                type $t = $ty;
                $body
            })*
            $(_ => $other,)?
        }
    };
    ($dtype:expr, $t:ident => $body:expr) => {
        dispatch!(@match $dtype, $t => $body, [
            Bool bool, I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64,
            F32 f32, F64 f64, C64 num_complex::Complex<f32>, C128 num_complex::Complex<f64>
        ])
    };
    ($dtype:expr, real $t:ident => $body:expr, else $other:expr) => {
        dispatch!(@match $dtype, $t => $body, [
            Bool bool, I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64,
            F32 f32, F64 f64
        ], $other)
    };
    ($dtype:expr, number $t:ident => $body:expr, else $other:expr) => {
        dispatch!(@match $dtype, $t => $body, [
            I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64,
            F32 f32, F64 f64, C64 num_complex::Complex<f32>, C128 num_complex::Complex<f64>
        ], $other)
    };
    ($dtype:expr, float $t:ident => $body:expr, else $other:expr) => {
        dispatch!(@match $dtype, $t => $body, [
            F32 f32, F64 f64, C64 num_complex::Complex<f32>, C128 num_complex::Complex<f64>
        ], $other)
    };
}
pub(crate) use dispatch;
