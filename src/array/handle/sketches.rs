//! Quantiles with weights, and quantiles that are nearly right.

use super::super::dtype::Element;
use super::super::ops::sketches::{Wanted, approximate_quantile, weighted_quantile};
use super::{Array, Fractions, Over};
use crate::error::Call;

impl<T: Element> Array<T> {
    /// Quantiles from 0 to 1 of elements that count more or less: the smallest element such that it and those that are smaller
    /// have at least that part of all weights. NaN if an element with a weight is NaN.
    ///
    /// `weights` broadcast to the array.
    ///
    /// # Shape and chunks
    /// As [`quantile`](Self::quantile).
    ///
    /// # Errors
    /// Carried: [`Error::InvalidArgument`](crate::Error::InvalidArgument), and for weights that are negative, not finite, or
    /// all 0, when it is computed.
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// let x = array::arange(0, 4, 1, [2]);
    /// let weights = array::from_ndarray(ndarray::arr1(&[1.0, 1.0, 1.0, 7.0]), [2]);
    /// let y = x.quantile_weighted([0.1, 0.5], &weights, 0);
    /// assert_eq!(y.compute()?, ndarray::arr1(&[0, 3]).into_dyn());
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Source
    /// NumPy's `quantile` with weights, `method="inverted_cdf"`.
    #[track_caller]
    #[must_use]
    pub fn quantile_weighted(
        &self,
        q: impl Into<Fractions>,
        weights: &Array<f64>,
        over: impl Into<Over>,
    ) -> Self {
        let (call, Fractions { at, is_list }) = (Call::new("quantile_weighted"), q.into());
        let wanted = Wanted { at, is_list };
        Array::of(weighted_quantile(call, &self.handle, &weights.handle, &wanted, &over.into()))
    }

    /// Quantiles from 0 to 1 that are elements of nearly that rank: at most `error` times the number of elements away from
    /// the right one, however the data lies in chunks. NaN if there is one.
    ///
    /// # Shape and chunks
    /// As [`quantile`](Self::quantile).
    ///
    /// # Cost
    /// One pass, in which nothing is rechunked: each block is sorted by itself and gives `1 / (2 error)` elements. These of all
    /// blocks along the reduced axes, with a weight each, have to fit into one task.
    ///
    /// # Errors
    /// Carried: [`Error::InvalidArgument`](crate::Error::InvalidArgument), also for an `error` that is not between 0 and 0.5.
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// let x = array::arange(0, 100_000, 1, [7_000]);
    /// let median = x.quantile_approximate(0.5, 0.01, 0).compute()?[[]];
    /// assert!((49_000..=51_000).contains(&median));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Source
    /// Munro, Paterson, "Selection and sorting with limited storage" (1980).
    #[track_caller]
    #[must_use]
    pub fn quantile_approximate(
        &self,
        q: impl Into<Fractions>,
        error: f64,
        over: impl Into<Over>,
    ) -> Self {
        let (call, Fractions { at, is_list }) = (Call::new("quantile_approximate"), q.into());
        let wanted = Wanted { at, is_list };
        Array::of(approximate_quantile(call, &self.handle, error, &wanted, &over.into()))
    }
}
