//! Discrete Fourier transforms along whole axes, with the names of NumPy's and Dask's `fft`.
//!
//! `n` is how many elements of an axis are transformed: if it is shorter, the rest is left out, if it is longer, zeros
//! follow. Axes are given by number or name. Integers and booleans are taken as `f64`.
//!
//! An axis that is transformed is put into one chunk, and the others are cut so that blocks grow neither beyond the
//! largest one nor the chunk size. Along several axes it is one after the other.

use super::args::{Axes, AxisRef, Shape};
use super::chunks::ChunkSpec;
use super::dtype::Element;
use super::handle::Array;
use super::kernels::fft::Transform;
use super::ops::fft as ops;
pub use super::ops::fft::FftNorm;
use crate::error::Call;

/// Transforms along one axis.
macro_rules! one_axis {
    ($($(#[$doc:meta])* $name:ident $transform:ident $out:ident;)*) => {$(
        $(#[$doc])*
        #[track_caller]
        #[must_use]
        pub fn $name<T: Element>(
            x: &Array<T>,
            n: impl Into<Option<u64>>,
            axis: impl Into<AxisRef>,
            norm: FftNorm,
        ) -> Array<T::$out> {
            let call = Call::new(stringify!($name));
            let (n, axis) = (n.into(), axis.into());
            Array::of(ops::fft(call, &x.handle, Transform::$transform, n, &axis, norm))
        }
    )*};
}

one_axis! {
    /// The transform of complex numbers.
    ///
    /// # Cost
    /// A task for each block of lanes; plans are kept by each thread.
    ///
    /// # Errors
    /// Carried: [`Error::InvalidAxis`](crate::Error::InvalidAxis), [`Error::InvalidArgument`](crate::Error::InvalidArgument)
    /// for a transform of no elements, [`Error::UnknownChunks`](crate::Error::UnknownChunks).
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// use dask_rs::array::fft::{FftNorm, fft};
    /// let x: Array<f64> = array::from_ndarray(ndarray::arr1(&[1.0, 0.0, 0.0, 0.0]), [2]);
    /// let y = fft(&x, None, 0, FftNorm::Backward).compute()?;
    /// assert!(y.iter().all(|y| (y.re - 1.0).abs() < 1e-12 && y.im.abs() < 1e-12));
    /// # Ok::<(), Error>(())
    /// ```
    fft Forward Complex;
    /// The inverse of [`fft`].
    ifft Inverse Complex;
    /// The first half, `n / 2 + 1` elements, of the transform of real numbers; the other half mirrors it.
    ///
    /// # Errors
    /// As [`fft`], and [`Error::DTypeMismatch`](crate::Error::DTypeMismatch) for complex numbers.
    rfft RealForward Complex;
    /// The inverse of [`rfft`]: `n` real numbers, twice as many as intervals if not said.
    irfft RealInverse Spread;
}

/// Transforms along several axes.
macro_rules! several_axes {
    ($($(#[$doc:meta])* $name:ident $transform:ident $out:ident;)*) => {$(
        $(#[$doc])*
        #[track_caller]
        #[must_use]
        pub fn $name<T: Element>(
            x: &Array<T>,
            shape: impl Into<Option<Shape>>,
            axes: impl Into<Axes>,
            norm: FftNorm,
        ) -> Array<T::$out> {
            let call = Call::new(stringify!($name));
            let (shape, axes) = (shape.into(), axes.into());
            Array::of(ops::fftn(call, &x.handle, Transform::$transform, shape.as_ref(), &axes, norm))
        }
    )*};
}

several_axes! {
    /// The transform along several axes, or all of them (`..`), with as many elements along each as `shape` says.
    ///
    /// # Cost
    /// A rechunk before each axis that is not one chunk. Make axes one chunk that fit together.
    ///
    /// # Errors
    /// As [`fft`].
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// use dask_rs::array::fft::{FftNorm, fftn, ifftn};
    /// let x = array::arange(0.0, 24.0, 1.0, [10]).reshape([4, 6]);
    /// let back = ifftn(&fftn(&x, None, .., FftNorm::Ortho), None, .., FftNorm::Ortho);
    /// assert!((back.real() - x).abs().max(..).compute()?[[]] < 1e-12);
    /// # Ok::<(), Error>(())
    /// ```
    fftn Forward Complex;
    /// The inverse of [`fftn`].
    ifftn Inverse Complex;
    /// As [`fftn`] of real numbers: along the last of the axes only the first half, as in [`rfft`].
    rfftn RealForward Complex;
    /// The inverse of [`rfftn`].
    irfftn RealInverse Spread;
}

/// [`fftn`] along the last two axes.
#[track_caller]
#[must_use]
pub fn fft2<T: Element>(x: &Array<T>, norm: FftNorm) -> Array<T::Complex> {
    let axes = Axes::from([-2, -1]);
    Array::of(ops::fftn(Call::new("fft2"), &x.handle, Transform::Forward, None, &axes, norm))
}

/// [`ifftn`] along the last two axes.
#[track_caller]
#[must_use]
pub fn ifft2<T: Element>(x: &Array<T>, norm: FftNorm) -> Array<T::Complex> {
    let axes = Axes::from([-2, -1]);
    Array::of(ops::fftn(Call::new("ifft2"), &x.handle, Transform::Inverse, None, &axes, norm))
}

/// The `n` real numbers that numbers with a symmetric transform have, from one half of these.
#[track_caller]
#[must_use]
pub fn hfft<T: Element>(
    x: &Array<T>,
    n: impl Into<Option<u64>>,
    axis: impl Into<AxisRef>,
    norm: FftNorm,
) -> Array<T::Spread> {
    Array::of(ops::hfft(Call::new("hfft"), &x.handle, n.into(), &axis.into(), norm))
}

/// The inverse of [`hfft`].
#[track_caller]
#[must_use]
pub fn ihfft<T: Element>(
    x: &Array<T>,
    n: impl Into<Option<u64>>,
    axis: impl Into<AxisRef>,
    norm: FftNorm,
) -> Array<T::Complex> {
    Array::of(ops::ihfft(Call::new("ihfft"), &x.handle, n.into(), &axis.into(), norm))
}

/// The frequencies of the elements of [`fft`], of `n` samples that are `spacing` apart.
///
/// # Example
/// ```
/// use dask_rs::prelude::*;
/// let f = array::fft::fftfreq(4, 0.5, "auto").compute()?;
/// assert_eq!(f, ndarray::arr1(&[0.0, 0.5, -1.0, -0.5]).into_dyn());
/// # Ok::<(), Error>(())
/// ```
#[track_caller]
#[must_use]
pub fn fftfreq(n: u64, spacing: f64, chunks: impl Into<ChunkSpec>) -> Array<f64> {
    Array::of(ops::frequencies(Call::new("fftfreq"), n, spacing, false, &chunks.into()))
}

/// The frequencies of the elements of [`rfft`], of `n` samples that are `spacing` apart.
#[track_caller]
#[must_use]
pub fn rfftfreq(n: u64, spacing: f64, chunks: impl Into<ChunkSpec>) -> Array<f64> {
    Array::of(ops::frequencies(Call::new("rfftfreq"), n, spacing, true, &chunks.into()))
}

/// The frequency 0 moved to the middle of some axes, or of all of them (`..`).
#[track_caller]
#[must_use]
pub fn fftshift<T: Element>(x: &Array<T>, axes: impl Into<Axes>) -> Array<T> {
    Array::of(ops::shift(Call::new("fftshift"), &x.handle, &axes.into(), false))
}

/// The inverse of [`fftshift`].
#[track_caller]
#[must_use]
pub fn ifftshift<T: Element>(x: &Array<T>, axes: impl Into<Axes>) -> Array<T> {
    Array::of(ops::shift(Call::new("ifftshift"), &x.handle, &axes.into(), true))
}

#[cfg(test)]
mod tests;
