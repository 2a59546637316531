//! Factorizations of matrices that are one block, by faer, on the thread of the task.
//!
//! A factorization has several results, which a task makes together: [`parts::Parts`] holds them, and cheap
//! projections give them out one by one.

pub(crate) mod eliminate;
mod matrix;
pub(crate) mod panel;
pub(crate) mod parts;
pub(crate) mod qr;
pub(crate) mod svd;

use faer::traits::{ComplexField, RealField};
use num_complex::Complex;

use super::contract::MatMul;
use crate::array::dtype::Element;

/// Elements of matrices that have factorizations.
pub(crate) trait Field:
    MatMul + Element<Spread: RealField> + ComplexField<Real = <Self as Element>::Spread>
{
    fn is_finite(&self) -> bool;

    fn conj(self) -> Self;
}

macro_rules! fields {
    ($($t:ty)*) => {$(
        impl Field for $t {
            fn is_finite(&self) -> bool {
                <$t>::is_finite(*self)
            }

            fn conj(self) -> Self {
                self
            }
        }

        impl Field for Complex<$t> {
            fn is_finite(&self) -> bool {
                Complex::is_finite(*self)
            }

            fn conj(self) -> Self {
                Complex::conj(&self)
            }
        }
    )*};
}

fields!(f32 f64);
