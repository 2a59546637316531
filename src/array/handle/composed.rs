//! Elementwise functions that are a few operations.

use super::super::dtype::{DType, Element};
use super::super::kernels::BinaryOp;
use super::super::operators::Operand;
use super::super::ops::composed::{
    Tolerance, is_imaginary, is_value, isclose, nan_to_num, round, sinc,
};
use super::super::ops::scalar;
use super::Array;
use crate::error::Call;

impl<T: Element> Array<T> {
    /// Whether elements differ by no more than `absolute + relative * |other|`; equal infinities do not differ, and NaN is
    /// near nothing. NumPy takes `1e-5` and `1e-8` if not told otherwise.
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// let x = array::arange(0.0, 3.0, 1.0, [2]);
    /// let near = (&x + 1e-9).isclose(&x, 1e-5, 1e-8);
    /// assert!(near.all(..).compute()?[[]]);
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "an operand may be a number or a reference")]
    pub fn isclose(&self, other: impl Operand<T>, relative: f64, absolute: f64) -> Array<bool> {
        let call = Call::new("isclose");
        let how = Tolerance { relative, absolute, equal_nan: false };
        Array::of(isclose(call, &self.handle, &other.term(call).0, how))
    }

    /// [`isclose`](Self::isclose), where NaN is near NaN.
    #[track_caller]
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "an operand may be a number or a reference")]
    pub fn isclose_or_nan(
        &self,
        other: impl Operand<T>,
        relative: f64,
        absolute: f64,
    ) -> Array<bool> {
        let call = Call::new("isclose_or_nan");
        let how = Tolerance { relative, absolute, equal_nan: true };
        Array::of(isclose(call, &self.handle, &other.term(call).0, how))
    }

    /// Whether all elements are near those of another array; see [`isclose`](Self::isclose).
    #[track_caller]
    #[must_use]
    pub fn allclose(&self, other: impl Operand<T>, relative: f64, absolute: f64) -> Array<bool> {
        self.isclose(other, relative, absolute).all(..)
    }

    /// The nearest numbers with so many decimals, which may be negative; halves go to the even digit.
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// let x = array::from_ndarray(ndarray::arr1(&[1.25, -0.456]), [2]);
    /// assert_eq!(x.round(1).compute()?, ndarray::arr1(&[1.2, -0.5]).into_dyn());
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn round(&self, decimals: i32) -> Self {
        Array::of(round(Call::new("round"), &self.handle, decimals))
    }

    /// The elements, with 0 in place of NaN, and the largest and the smallest finite number in place of the infinities.
    ///
    /// # Errors
    /// Carried: [`Error::DTypeMismatch`](crate::Error::DTypeMismatch) for complex numbers.
    #[track_caller]
    #[must_use]
    pub fn nan_to_num(&self) -> Self {
        let largest = if T::DTYPE == DType::F32 { f64::from(f32::MAX) } else { f64::MAX };
        let instead = [0.0, largest, -largest].map(scalar);
        Array::of(nan_to_num(Call::new("nan_to_num"), &self.handle, instead))
    }

    /// Whether the value is infinity.
    #[track_caller]
    #[must_use]
    pub fn isposinf(&self) -> Array<bool> {
        Array::of(is_value(Call::new("isposinf"), &self.handle, f64::INFINITY))
    }

    /// Whether the value is minus infinity.
    #[track_caller]
    #[must_use]
    pub fn isneginf(&self) -> Array<bool> {
        Array::of(is_value(Call::new("isneginf"), &self.handle, f64::NEG_INFINITY))
    }

    /// Whether the imaginary part is 0, as it is of all real numbers.
    #[track_caller]
    #[must_use]
    pub fn isreal(&self) -> Array<bool> {
        Array::of(is_imaginary(Call::new("isreal"), &self.handle, BinaryOp::Eq))
    }

    /// Whether there is an imaginary part other than 0.
    #[track_caller]
    #[must_use]
    pub fn iscomplex(&self) -> Array<bool> {
        Array::of(is_imaginary(Call::new("iscomplex"), &self.handle, BinaryOp::Ne))
    }

    /// `sin(πx) / (πx)`, which is 1 at 0.
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// let y = array::arange(0.0_f64, 1.0, 0.5, [2]).sinc().compute()?;
    /// assert_eq!(y[[0]], 1.0);
    /// assert!((y[[1]] - std::f64::consts::FRAC_2_PI).abs() < 1e-15);
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn sinc(&self) -> Array<T::Mean> {
        Array::of(sinc(Call::new("sinc"), &self.handle))
    }
}
