//! Lazy arrays of any element type, for tests that learn their types at run time.

use dask_rs::array::{AnyArray, Array, DType, Element};
use num_complex::Complex;

macro_rules! dynamic {
    ($($variant:ident $t:ty;)*) => {
        /// A lazy array of any element type.
        #[derive(Clone, Debug)]
        pub(crate) enum Dynamic {
            $($variant(Array<$t>),)*
        }

        $(
            impl From<Array<$t>> for Dynamic {
                fn from(array: Array<$t>) -> Self {
                    Dynamic::$variant(array)
                }
            }

            impl Typed for $t {
                fn of(array: &Dynamic) -> Option<&Array<$t>> {
                    match array {
                        Dynamic::$variant(array) => Some(array),
                        _ => None,
                    }
                }
            }
        )*

        impl Dynamic {
            /// The array as what the library itself has for types known at run time.
            pub(crate) fn to_dyn(&self) -> dask_rs::array::DynArray {
                match self { $(Dynamic::$variant(array) => array.to_dyn(),)* }
            }

            pub(crate) fn compute(&self) -> dask_rs::Result<AnyArray> {
                self.to_dyn().compute()
            }

            /// The array with all of its lengths known, which takes a run if they are not.
            pub(crate) fn with_known_lengths(&self) -> dask_rs::Result<Dynamic> {
                match self {
                    $(Dynamic::$variant(array) => Ok(array.compute_chunk_sizes()?.into()),)*
                }
            }

            pub(crate) fn dtype(&self) -> DType {
                match self { $(Dynamic::$variant(_) => DType::$variant,)* }
            }
        }
    };
}

dynamic! {
    Bool bool; I8 i8; I16 i16; I32 i32; I64 i64; U8 u8; U16 u16; U32 u32; U64 u64;
    F32 f32; F64 f64; C64 Complex<f32>; C128 Complex<f64>;
}

/// An element type that a [`Dynamic`] can hold, and from which operations stay inside [`Dynamic`].
pub(crate) trait Typed: Element {
    fn of(array: &Dynamic) -> Option<&Array<Self>>;
}

/// Evaluates an expression for the typed array that a [`Dynamic`] holds.
macro_rules! each {
    ($array:expr, $x:ident => $body:expr) => {{
        use $crate::suite::values::Dynamic as D;
        match $array {
            D::Bool($x) => $body,
            D::I8($x) => $body,
            D::I16($x) => $body,
            D::I32($x) => $body,
            D::I64($x) => $body,
            D::U8($x) => $body,
            D::U16($x) => $body,
            D::U32($x) => $body,
            D::U64($x) => $body,
            D::F32($x) => $body,
            D::F64($x) => $body,
            D::C64($x) => $body,
            D::C128($x) => $body,
        }
    }};
}
pub(crate) use each;

/// Evaluates an expression with `$t` standing for an element type.
macro_rules! with_type {
    ($dtype:expr, $t:ident => $body:expr) => {{
        use dask_rs::array::DType as D;
        match $dtype {
            D::Bool => {
                type $t = bool;
                $body
            }
            D::I16 => {
                type $t = i16;
                $body
            }
            D::I32 => {
                type $t = i32;
                $body
            }
            D::I64 => {
                type $t = i64;
                $body
            }
            D::U8 => {
                type $t = u8;
                $body
            }
            D::U32 => {
                type $t = u32;
                $body
            }
            D::U64 => {
                type $t = u64;
                $body
            }
            D::F32 => {
                type $t = f32;
                $body
            }
            D::F64 => {
                type $t = f64;
                $body
            }
            D::C64 => {
                type $t = num_complex::Complex<f32>;
                $body
            }
            D::C128 => {
                type $t = num_complex::Complex<f64>;
                $body
            }
            other => panic!("no test uses {other:?}"),
        }
    }};
}
pub(crate) use with_type;

/// The bits of all elements, so that results can be compared exactly, NaN and signs of zero too.
pub(crate) fn bits(array: &AnyArray) -> Vec<u128> {
    macro_rules! of {
        ($($variant:ident $x:ident $bits:expr;)*) => {
            match array {
                $(AnyArray::$variant(array) => array.iter().map(|&$x| $bits).collect(),)*
                other => panic!("no bits of {:?}", other.dtype()),
            }
        };
    }
    of! {
        Bool x u128::from(x); I8 x x as u128; I16 x x as u128; I32 x x as u128; I64 x x as u128;
        U8 x u128::from(x); U16 x u128::from(x); U32 x u128::from(x); U64 x u128::from(x);
        F32 x u128::from(x.to_bits()); F64 x u128::from(x.to_bits());
        C64 x u128::from(x.re.to_bits()) << 64 | u128::from(x.im.to_bits());
        C128 x u128::from(x.re.to_bits()) << 64 | u128::from(x.im.to_bits());
    }
}
