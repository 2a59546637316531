//! `+ - * / % & | ^ ! -` on arrays, arrays of ndarray, and numbers.

use std::ops::{Add, BitAnd, BitOr, BitXor, Div, Mul, Neg, Not, Rem, Shl, Shr, Sub};

use super::chunks::ChunkSpec;
use super::dtype::Element;
use super::handle::Array;
use super::kernels::{BinaryOp, UnaryOp};
use super::ops::elementwise::{Term as InnerTerm, binary, unary};
use super::ops::{creation, scalar};
use crate::error::Call;

/// The other side of an elementwise operation: an [`Array`], a reference to an array of ndarray
/// (which is copied and chunked to match), or a number.
pub trait Operand<T: Element> {
    /// The operand without its type.
    #[doc(hidden)]
    fn term(&self, call: Call) -> Term;
}

/// An operand without its type.
#[doc(hidden)]
#[derive(Debug)]
pub struct Term(pub(super) InnerTerm);

impl<T: Element> Operand<T> for T {
    fn term(&self, _call: Call) -> Term {
        Term(InnerTerm::Scalar(scalar(*self)))
    }
}

impl<T: Element> Operand<T> for Array<T> {
    fn term(&self, _call: Call) -> Term {
        Term(InnerTerm::Array(self.handle.clone()))
    }
}

impl<T: Element> Operand<T> for &Array<T> {
    fn term(&self, _call: Call) -> Term {
        Term(InnerTerm::Array(self.handle.clone()))
    }
}

impl<T, S, D> Operand<T> for &ndarray::ArrayBase<S, D>
where
    T: Element,
    S: ndarray::Data<Elem = T>,
    D: ndarray::Dimension,
{
    fn term(&self, call: Call) -> Term {
        let shared = self.view().into_dyn().to_owned().into_shared();
        // One block, which alignment then views in the chunks of the other side.
        Term(InnerTerm::Array(creation::from_shared(call, shared, &ChunkSpec::from(-1))))
    }
}

macro_rules! binary_operators {
    ($($trait:ident $method:ident $op:ident $name:literal $out:ty;)*) => {$(
        impl<T: Element, R: Operand<T>> $trait<R> for &Array<T> {
            type Output = Array<$out>;

            #[track_caller]
            fn $method(self, other: R) -> Self::Output {
                let call = Call::new($name);
                let this = InnerTerm::Array(self.handle.clone());
                Array::of(binary(call, BinaryOp::$op, &this, &other.term(call).0))
            }
        }

        impl<T: Element, R: Operand<T>> $trait<R> for Array<T> {
            type Output = Array<$out>;

            #[track_caller]
            fn $method(self, other: R) -> Self::Output {
                let call = Call::new($name);
                let this = InnerTerm::Array(self.handle);
                Array::of(binary(call, BinaryOp::$op, &this, &other.term(call).0))
            }
        }
    )*};
}

binary_operators! {
    Add add Add "+" T;
    Sub sub Sub "-" T;
    Mul mul Mul "*" T;
    Div div Div "/" T::Mean;
    Rem rem Rem "%" T;
    BitAnd bitand BitAnd "&" T;
    BitOr bitor BitOr "|" T;
    BitXor bitxor BitXor "^" T;
    Shl shl Shl "<<" T;
    Shr shr Shr ">>" T;
}

/// A number on the left.
macro_rules! scalar_operators {
    ($($t:ty)*) => {$(
        scalar_operators!(@$t, Add add Add "+" $t);
        scalar_operators!(@$t, Sub sub Sub "-" $t);
        scalar_operators!(@$t, Mul mul Mul "*" $t);
        scalar_operators!(@$t, Div div Div "/" <$t as Element>::Mean);
        scalar_operators!(@$t, Rem rem Rem "%" $t);
    )*};
    (@$t:ty, $trait:ident $method:ident $op:ident $name:literal $out:ty) => {
        impl $trait<&Array<$t>> for $t {
            type Output = Array<$out>;

            #[track_caller]
            fn $method(self, other: &Array<$t>) -> Self::Output {
                let other = InnerTerm::Array(other.handle.clone());
                let this = InnerTerm::Scalar(self.into());
                Array::of(binary(Call::new($name), BinaryOp::$op, &this, &other))
            }
        }

        impl $trait<Array<$t>> for $t {
            type Output = Array<$out>;

            #[track_caller]
            fn $method(self, other: Array<$t>) -> Self::Output {
                let other = InnerTerm::Array(other.handle);
                let this = InnerTerm::Scalar(self.into());
                Array::of(binary(Call::new($name), BinaryOp::$op, &this, &other))
            }
        }
    };
}

scalar_operators!(i8 i16 i32 i64 u8 u16 u32 u64 f32 f64);
scalar_operators!(num_complex::Complex<f32> num_complex::Complex<f64>);

macro_rules! unary_operators {
    ($($trait:ident $method:ident $op:ident $name:literal;)*) => {$(
        impl<T: Element> $trait for &Array<T> {
            type Output = Array<T>;

            #[track_caller]
            fn $method(self) -> Array<T> {
                Array::of(unary(Call::new($name), UnaryOp::$op, &self.handle))
            }
        }

        impl<T: Element> $trait for Array<T> {
            type Output = Array<T>;

            #[track_caller]
            fn $method(self) -> Array<T> {
                Array::of(unary(Call::new($name), UnaryOp::$op, &self.handle))
            }
        }
    )*};
}

unary_operators! {
    Neg neg Neg "-";
    Not not Not "!";
}
