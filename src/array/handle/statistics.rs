//! Distributions and tests of them, and functions of lanes.

use ndarray::{Array1, ArrayView1};

use super::super::args::{Axes, AxisRef};
use super::super::dtype::Element;
use super::super::expr::Handle;
use super::super::kernels::count::Bins;
use super::super::ops::lanes::along_axis;
use super::super::ops::pick::pick;
use super::super::ops::ranks::argtopk;
use super::super::ops::selections::{check_edges, count, unique_index};
use super::super::ops::{histograms, manipulation, statistics, t_tests};
use super::Array;
use crate::error::Call;

/// What a t-test says: a statistic, and how likely one is that is as far from 0 if the means are equal.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TTest {
    /// The difference of the means, divided by its standard error.
    pub statistic: Array<f64>,
    /// The degrees of freedom.
    pub df: Array<f64>,
    /// The two-sided probability.
    pub pvalue: Array<f64>,
}

impl TTest {
    fn of([statistic, df, pvalue]: t_tests::TTest) -> Self {
        TTest { statistic: Array::of(statistic), df: Array::of(df), pvalue: Array::of(pvalue) }
    }
}

/// Whether the means of two samples along an axis are equal; without `has_equal_var` by Welch's test, for variances
/// that may differ.
///
/// # Cost
/// Means and variances, and a function of them.
///
/// # Errors
/// Carried: as of reductions and arithmetic.
///
/// # Example
/// ```
/// use dask_rs::prelude::*;
/// let a = array::from_ndarray(ndarray::arr1(&[3.0, 5.0, 5.0, 9.0, 2.0, 6.0]), [4]);
/// let b = array::from_ndarray(ndarray::arr1(&[2.0, 2.0, 2.0, 9.0]), [3]);
/// let test = array::ttest_ind(&a, &b, 0, true);
/// let (t, p) = compute((&test.statistic, &test.pvalue))?;
/// assert!((t[[]] - 0.67040152).abs() < 1e-8 && (p[[]] - 0.52148074).abs() < 1e-8);
/// # Ok::<(), Error>(())
/// ```
#[track_caller]
#[must_use]
pub fn ttest_ind<T: Element>(
    a: &Array<T>,
    b: &Array<T>,
    axis: impl Into<AxisRef>,
    has_equal_var: bool,
) -> TTest {
    let (call, axis) = (Call::new("ttest_ind"), axis.into());
    TTest::of(t_tests::independent(call, &a.handle, &b.handle, &axis, has_equal_var))
}

/// Whether the differences of pairs along an axis have a mean of 0.
#[track_caller]
#[must_use]
pub fn ttest_rel<T: Element>(a: &Array<T>, b: &Array<T>, axis: impl Into<AxisRef>) -> TTest {
    TTest::of(t_tests::related(Call::new("ttest_rel"), &a.handle, &b.handle, &axis.into()))
}

/// [`histogramdd`] of two dimensions, without weights.
#[track_caller]
#[must_use]
pub fn histogram2d<T: Element>(
    x: &Array<T>,
    y: &Array<T>,
    x_edges: &[f64],
    y_edges: &[f64],
) -> Array<f64> {
    let call = Call::new("histogram2d");
    let points = [&x.handle, &y.handle];
    Array::of(histograms::histogramdd(call, &points, &[x_edges, y_edges], None, false))
}

/// How many points are in each box between edges along each axis: bins include their lower edge, and the last one
/// its upper edge. Points are arrays of one shape, one for each dimension. With weights, what these add up to; with
/// `is_density`, divided so that the integral is 1.
///
/// # Cost
/// All bins for each block, which are added up in a tree.
///
/// # Errors
/// Carried: [`Error::InvalidArgument`](crate::Error::InvalidArgument) for edges that do not ascend,
/// [`Error::ShapeMismatch`](crate::Error::ShapeMismatch).
///
/// # Example
/// ```
/// use dask_rs::prelude::*;
/// let x = array::arange(0.0, 6.0, 1.0, [4]);
/// let counts = array::histogramdd(&[&x, &(&x * 2.0)], &[&[0.0, 3.0, 6.0], &[0.0, 5.0]], None, false);
/// assert_eq!(counts.compute()?, ndarray::arr2(&[[3.0], [0.0]]).into_dyn());
/// # Ok::<(), Error>(())
/// ```
#[track_caller]
#[must_use]
pub fn histogramdd<T: Element>(
    points: &[&Array<T>],
    edges: &[&[f64]],
    weights: Option<&Array<f64>>,
    is_density: bool,
) -> Array<f64> {
    let call = Call::new("histogramdd");
    let points: Vec<&Handle> = points.iter().map(|x| &x.handle).collect();
    let weights = weights.map(|weights| &weights.handle);
    Array::of(histograms::histogramdd(call, &points, edges, weights, is_density))
}

/// Statistics, and functions of lanes.
impl<T: Element> Array<T> {
    /// How skewed the distribution along some axes is. A biased one is that of the elements, another one an
    /// estimate for what they are a sample of.
    #[track_caller]
    #[must_use]
    pub fn skew(&self, axes: impl Into<Axes>, is_biased: bool) -> Array<T::Mean> {
        let (call, out) = (Call::new("skew"), T::Mean::DTYPE);
        Array::of(statistics::skew(call, &self.handle, &axes.into(), is_biased, out))
    }

    /// How long the tails of the distribution along some axes are, of which those of a normal one are 0.
    #[track_caller]
    #[must_use]
    pub fn kurtosis(&self, axes: impl Into<Axes>, is_biased: bool) -> Array<T::Mean> {
        let (call, out) = (Call::new("kurtosis"), T::Mean::DTYPE);
        Array::of(statistics::kurtosis(call, &self.handle, &axes.into(), is_biased, out))
    }

    /// Whether the mean along an axis is `mean`.
    #[track_caller]
    #[must_use]
    pub fn ttest_1samp(&self, mean: f64, axis: impl Into<AxisRef>) -> TTest {
        let call = Call::new("ttest_1samp");
        TTest::of(t_tests::one_sample(call, &self.handle, mean, &axis.into()))
    }

    /// [`average`](Self::average), and what the weights add up to for each element of the result.
    #[track_caller]
    #[must_use]
    pub fn average_returned(
        &self,
        weights: &Array<T>,
        axis: impl Into<AxisRef>,
    ) -> (Array<T::Mean>, Array<T::Mean>) {
        let (call, out) = (Call::new("average_returned"), T::Mean::DTYPE);
        let [average, sum] =
            statistics::average(call, &self.handle, &weights.handle, &axis.into(), out);
        let shape = average.node().and_then(|node| node.known_shape(call));
        let sum = match shape {
            Ok(shape) => manipulation::broadcast_to(call, &sum, &shape.into()),
            Err(error) => Handle::from_result(Err(error)),
        };
        (Array::of(average), Array::of(sum))
    }

    /// Where the `k` largest elements along an axis are, the largest first; for a negative `k` the smallest. Of equal
    /// elements, the first one comes first; otherwise as [`topk`](Self::topk).
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// let x = array::from_ndarray(ndarray::arr1(&[3, 9, 1, 9]), [2]);
    /// assert_eq!(x.argtopk(3, 0).compute()?, ndarray::arr1(&[1_i64, 3, 0]).into_dyn());
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn argtopk(&self, k: i64, axis: impl Into<AxisRef>) -> Array<i64> {
        Array::of(argtopk(Call::new("argtopk"), &self.handle, k, &axis.into()))
    }

    /// [`histogram`](Self::histogram), divided so that its integral is 1.
    #[track_caller]
    #[must_use]
    pub fn histogram_density(&self, edges: &[f64]) -> Array<f64> {
        let call = Call::new("histogram_density");
        Array::of(match check_edges(call, edges) {
            Ok(()) => {
                let counts = count(call, &self.handle, &Bins::Edges(edges.into()), None);
                histograms::density(call, &counts, &[edges])
            }
            Err(error) => Handle::from_result(Err(error)),
        })
    }

    /// The distinct elements in ascending order, and where, in C order, each of them occurs first.
    ///
    /// # Errors
    /// Carried: [`Error::UnknownChunks`](crate::Error::UnknownChunks).
    #[track_caller]
    #[must_use]
    pub fn unique_index(&self) -> (Self, Array<i64>) {
        let [values, places] = unique_index(Call::new("unique_index"), &self.handle);
        (Array::of(values), Array::of(places))
    }

    /// The elements along an axis at positions that are computed: those of a vector, of which negative ones count
    /// from the end.
    ///
    /// # Shape and chunks
    /// The axis gets the chunks of the vector, which are cut where blocks would outgrow those of the array
    /// and the chunk size.
    ///
    /// # Cost
    /// Each block of the vector looks into each block along the axis.
    ///
    /// # Errors
    /// [`Error::IndexOutOfBounds`](crate::Error::IndexOutOfBounds), when it is computed.
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// let x = array::arange(0, 60, 10, [4]);
    /// let order = x.argtopk(2, 0);
    /// assert_eq!(x.take_array(&order, 0).compute()?, ndarray::arr1(&[50, 40]).into_dyn());
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn take_array(&self, positions: &Array<i64>, axis: impl Into<AxisRef>) -> Self {
        let call = Call::new("take_array");
        Array::of(pick(call, &self.handle, &positions.handle, &axis.into()))
    }

    /// `function` of each lane along an axis, which makes `len` elements of it.
    ///
    /// # Shape and chunks
    /// The axis becomes one block. The others are cut so that blocks do not outgrow the largest block of the array,
    /// or the chunk size.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`](crate::Error::ShapeMismatch) when it is computed, if the function makes more or fewer.
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// let x = array::arange(0, 6, 1, [4]).reshape([2, 3]);
    /// let ends = x.apply_along_axis(1, 2, |lane| ndarray::arr1(&[lane[0], lane[lane.len() - 1]]));
    /// assert_eq!(ends.compute()?, ndarray::arr2(&[[0, 2], [3, 5]]).into_dyn());
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn apply_along_axis<U: Element>(
        &self,
        axis: impl Into<AxisRef>,
        len: u64,
        function: impl Fn(ArrayView1<'_, T>) -> Array1<U> + Send + Sync + 'static,
    ) -> Array<U> {
        let call = Call::new("apply_along_axis");
        Array::of(along_axis(call, &self.handle, &axis.into(), len, function))
    }

    /// `function` of the array and one axis after the other, whose results keep the axis or lose it.
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// let x: Array<f64> = array::ones([2, 3, 4], [1, 2, 2]);
    /// let sums = x.apply_over_axes([0, 2], |x, axis| x.sum(axis));
    /// assert_eq!(sums.shape()?, [1, 3, 1]);
    /// assert_eq!(sums.slice(s![0, 0, 0]).compute()?[[]], 8.0);
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn apply_over_axes(
        &self,
        axes: impl Into<Axes>,
        function: impl Fn(&Array<T>, usize) -> Array<T>,
    ) -> Array<T> {
        let call = Call::new("apply_over_axes");
        let axes = self
            .handle
            .node()
            .and_then(|node| axes.into().resolve(call, node.ndim(), node.dim_names()));
        let axes = match axes {
            Ok(axes) => axes,
            Err(error) => return Array::of(Handle::from_result(Err(error))),
        };
        axes.into_iter().fold(self.clone(), |x, axis| {
            let made = function(&x, axis);
            match (x.ndim(), made.ndim()) {
                (Ok(before), Ok(after)) if after + 1 == before => made.expand_dims(axis),
                _ => made,
            }
        })
    }
}

#[cfg(test)]
mod tests;
