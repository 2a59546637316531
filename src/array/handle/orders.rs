//! Functions that need the order of elements, along an axis or by size.

use ndarray::{ArrayD, ArrayViewD};

use super::super::args::{Axes, AxisRef};
use super::super::dtype::Element;
use super::super::expr::Handle;
use super::super::kernels::count::Bins;
use super::super::kernels::lookup::Lookup;
use super::super::kernels::map_blocks::BlockInfo;
use super::super::kernels::quantile::QuantileMethod;
use super::super::kernels::scan::ScanKind;
use super::super::ops::label::label;
use super::super::ops::lookups::lookup;
use super::super::ops::overlap::{Boundaries, map_overlap, sliding_window_view};
use super::super::ops::pad::Widths;
use super::super::ops::quantiles::{Quantiles, quantile};
use super::super::ops::selections::{check_edges, count, topk, unique};
use super::super::ops::{elementwise, scans};
use super::{Array, Over};
use crate::error::Call;

/// Scans: `name, kind, whether NaN is skipped, result, documentation`.
macro_rules! scans {
    ($($(#[$doc:meta])* $name:ident $kind:ident $skip_nan:literal $out:ty;)*) => {
        /// Cumulative functions along an axis, or along the array in C order (`..`). The shape stays, and chunks
        /// but for those without elements. A block waits for those before it; what they add up to
        /// comes from a tree that the chunks alone determine.
        impl<T: Element> Array<T> {
            $(
                $(#[$doc])*
                #[track_caller]
                #[must_use]
                pub fn $name(&self, axis: impl Into<Axes>) -> Array<$out> {
                    let (call, out) = (Call::new(stringify!($name)), <$out>::DTYPE);
                    let kind = ScanKind::$kind;
                    Array::of(scans::scan(call, &self.handle, kind, $skip_nan, &axis.into(), out))
                }
            )*
        }
    };
}

scans! {
    /// The sum of all elements up to each; integers are summed as 64 bits and wrap.
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// let x = array::arange(1, 5, 1, [2]);
    /// assert_eq!(x.cumsum(0).compute()?, ndarray::arr1(&[1_i64, 3, 6, 10]).into_dyn());
    /// # Ok::<(), Error>(())
    /// ```
    cumsum Sum false T::Sum;
    /// The sum of all elements up to each that are not NaN.
    nancumsum Sum true T::Sum;
    /// The product of all elements up to each; integers are multiplied as 64 bits and wrap.
    cumprod Prod false T::Sum;
    /// The product of all elements up to each that are not NaN.
    nancumprod Prod true T::Sum;
    /// The largest element up to each; NaN from the first one on.
    cummax Max false T;
    /// The smallest element up to each; NaN from the first one on.
    cummin Min false T;
    /// Each element, or the last one before it that is not NaN.
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// let x = array::from_ndarray(ndarray::arr1(&[1.0, f64::NAN, f64::NAN, 4.0]), [2]);
    /// assert_eq!(x.ffill(0).compute()?, ndarray::arr1(&[1.0, 1.0, 1.0, 4.0]).into_dyn());
    /// # Ok::<(), Error>(())
    /// ```
    ffill Fill false T;
}

/// Functions that see more than one block.
impl<T: Element> Array<T> {
    /// `function` of each block with `depth` elements around it (a number, a pair, a list of a pair for
    /// each axis, or some axes with pairs, such as `[("x", (1, 0))]`), beyond the ends of the array with what `boundary` says (one for all axes, a list, or some axes with one each). The function returns a
    /// block of the shape that it gets, from which what was around is cut away. Its second argument says
    /// where the block without its surroundings lies.
    ///
    /// # Shape and chunks
    /// The same shape. Chunks that are shorter than the depth are joined with their neighbours.
    ///
    /// # Cost
    /// A task assembles a block and what is around it, from the blocks of its neighbours too. What the function allocates besides
    /// its result is counted as far as [`with_scratch_bytes`](Self::with_scratch_bytes) says it.
    ///
    /// # Errors
    /// Carried: [`Error::InvalidArgument`](crate::Error::InvalidArgument) for a depth longer than its axis.
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// use dask_rs::array::Boundary;
    /// let x = array::arange(0.0, 6.0, 1.0, [2]);
    /// let before = |x: ndarray::ArrayViewD<'_, f64>| {
    ///     let mut y = x.to_owned();
    ///     y.slice_mut(s![1..]).assign(&x.slice(s![..-1]));
    ///     y.into_dyn()
    /// };
    /// let y = x.map_overlap((1, 0), Boundary::Constant(-1.0), move |x, _| before(x));
    /// assert_eq!(y.compute()?, ndarray::arr1(&[-1.0, 0.0, 1.0, 2.0, 3.0, 4.0]).into_dyn());
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn map_overlap<U: Element>(
        &self,
        depth: impl Into<Widths>,
        boundary: impl Into<Boundaries<T>>,
        function: impl Fn(ArrayViewD<'_, T>, &BlockInfo) -> ArrayD<U> + Send + Sync + 'static,
    ) -> Array<U> {
        let call = Call::new("map_overlap");
        Array::of(map_overlap(call, &self.handle, &depth.into(), &boundary.into(), function))
    }

    /// The windows of `len` neighbours that begin at each element which has enough after it, for some axes
    /// and lengths; the elements of a window stand along new last axes. Reduce over these for rolling
    /// statistics.
    ///
    /// # Shape and chunks
    /// An axis of length `n` keeps `n - len + 1` elements. The other axes are cut as much as windows are long,
    /// and all of them if blocks would still outgrow the largest block of the array, or the chunk size.
    ///
    /// # Cost
    /// Windows are copied, block by block, unless they are only reduced: sums, means, extremes and other reductions over the
    /// axes of all windows read the elements where they are.
    ///
    /// # Errors
    /// Carried: [`Error::InvalidArgument`](crate::Error::InvalidArgument) for windows longer than their axis.
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// let x = array::arange(0.0, 5.0, 1.0, [2]);
    /// let rolling = x.sliding_window_view([(0, 3)]).mean(-1);
    /// assert_eq!(rolling.compute()?, ndarray::arr1(&[1.0, 2.0, 3.0]).into_dyn());
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Source
    /// Chunks as in Dask's `sliding_window_view`.
    #[track_caller]
    #[must_use]
    pub fn sliding_window_view<A: Into<AxisRef>>(
        &self,
        windows: impl IntoIterator<Item = (A, u64)>,
    ) -> Self {
        let call = Call::new("sliding_window_view");
        let windows: Vec<_> = windows.into_iter().map(|(axis, len)| (axis.into(), len)).collect();
        Array::of(sliding_window_view(call, &self.handle, &windows))
    }

    /// The connected components of elements that are not zero: an array in which those of each have the same number, from 1 in
    /// the order of their first elements, and 0 where there is nothing; and how many there are. Neighbours differ in at
    /// most `connectivity` of their indices, by one: with 1 they share a side, with [`ndim`](Self::ndim) a corner is enough.
    ///
    /// # Shape and chunks
    /// The same shape. Chunks are cut where labels, which have 64 bits, would outgrow the largest block of the array
    /// and the chunk size. Chunks do not change the numbers.
    ///
    /// # Cost
    /// The array is needed twice: each block is labelled by itself, what touches at the sides of blocks is joined in a tree, and
    /// then each block is labelled again. A few bytes for each component of a block have to fit into memory. Measure
    /// components by [`bincount`](Self::bincount) and [`bincount_weighted`](Self::bincount_weighted).
    ///
    /// # Errors
    /// Carried: [`Error::InvalidArgument`](crate::Error::InvalidArgument) for another connectivity,
    /// [`Error::UnknownChunks`](crate::Error::UnknownChunks).
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// let x = ndarray::arr2(&[[1, 1, 0, 0], [0, 0, 7, 0], [5, 0, 7, 7]]);
    /// let x = array::from_ndarray(x, [2, 3]);
    /// let (labels, n) = compute(x.label(1))?;
    /// assert_eq!(n[[]], 3);
    /// assert_eq!(labels, ndarray::arr2(&[[1, 1, 0, 0], [0, 0, 2, 0], [3, 0, 2, 2]]).into_dyn());
    /// assert_eq!(x.label(2).1.compute()?[[]], 2);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Source
    /// SciPy's `ndimage.label`, whose numbers these are.
    #[track_caller]
    #[must_use]
    pub fn label(&self, connectivity: usize) -> (Array<i64>, Array<i64>) {
        let [labels, count] = label(Call::new("label"), &self.handle, connectivity);
        (Array::of(labels), Array::of(count))
    }

    /// The middle element, or the mean of the two in the middle; NaN if there is one.
    ///
    /// # Cost
    /// As [`quantile`](Self::quantile).
    #[track_caller]
    #[must_use]
    pub fn median(&self, over: impl Into<Over>) -> Array<T::Mean> {
        self.quantiles_of(
            Call::new("median"),
            vec![0.5],
            QuantileMethod::Midpoint,
            false,
            false,
            &over.into(),
        )
    }

    /// The middle element of those that are not NaN, or the mean of the two in the middle.
    #[track_caller]
    #[must_use]
    pub fn nanmedian(&self, over: impl Into<Over>) -> Array<T::Mean> {
        self.quantiles_of(
            Call::new("nanmedian"),
            vec![0.5],
            QuantileMethod::Midpoint,
            true,
            false,
            &over.into(),
        )
    }

    /// Exact quantiles, from 0 to 1: one, or a list of them along a new first axis. NaN if there is one.
    ///
    /// # Shape and chunks
    /// The reduced axes are one block each on the way; the others are cut so that blocks do not outgrow the
    /// largest block of the array, or the chunk size.
    ///
    /// # Errors
    /// Carried: [`Error::InvalidArgument`](crate::Error::InvalidArgument).
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// use dask_rs::array::QuantileMethod;
    /// let x = array::arange(0.0, 11.0, 1.0, [4]);
    /// let y = x.quantile([0.25, 0.5], QuantileMethod::Linear, 0);
    /// assert_eq!(y.compute()?, ndarray::arr1(&[2.5, 5.0]).into_dyn());
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn quantile(
        &self,
        q: impl Into<Fractions>,
        method: QuantileMethod,
        over: impl Into<Over>,
    ) -> Array<T::Mean> {
        let Fractions { at, is_list } = q.into();
        self.quantiles_of(Call::new("quantile"), at, method, false, is_list, &over.into())
    }

    /// Exact quantiles of the elements that are not NaN; see [`quantile`](Self::quantile).
    #[track_caller]
    #[must_use]
    pub fn nanquantile(
        &self,
        q: impl Into<Fractions>,
        method: QuantileMethod,
        over: impl Into<Over>,
    ) -> Array<T::Mean> {
        let Fractions { at, is_list } = q.into();
        self.quantiles_of(Call::new("nanquantile"), at, method, true, is_list, &over.into())
    }

    /// Exact percentiles, from 0 to 100; see [`quantile`](Self::quantile).
    #[track_caller]
    #[must_use]
    pub fn percentile(
        &self,
        q: impl Into<Fractions>,
        method: QuantileMethod,
        over: impl Into<Over>,
    ) -> Array<T::Mean> {
        let Fractions { at, is_list } = q.into();
        let at = at.into_iter().map(|q| q / 100.0).collect();
        self.quantiles_of(Call::new("percentile"), at, method, false, is_list, &over.into())
    }

    /// Exact percentiles of the elements that are not NaN; see [`quantile`](Self::quantile).
    #[track_caller]
    #[must_use]
    pub fn nanpercentile(
        &self,
        q: impl Into<Fractions>,
        method: QuantileMethod,
        over: impl Into<Over>,
    ) -> Array<T::Mean> {
        let Fractions { at, is_list } = q.into();
        let at = at.into_iter().map(|q| q / 100.0).collect();
        self.quantiles_of(Call::new("nanpercentile"), at, method, true, is_list, &over.into())
    }

    #[track_caller]
    fn quantiles_of(
        &self,
        call: Call,
        at: Vec<f64>,
        method: QuantileMethod,
        skip_nan: bool,
        is_list: bool,
        over: &Over,
    ) -> Array<T::Mean> {
        let wanted = Quantiles { at, is_list, method, skip_nan };
        Array::of(quantile(call, &self.handle, &wanted, over))
    }

    /// The `k` largest elements along an axis, the largest first; for a negative `k` the smallest, the smallest
    /// first. At most as many as the axis has; NaN counts as larger than everything.
    ///
    /// # Shape and chunks
    /// The axis becomes one block of `k` elements.
    ///
    /// # Cost
    /// The `k` of each block, merged in a tree.
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// let x = array::from_ndarray(ndarray::arr1(&[3, 9, 1, 7]), [2]);
    /// assert_eq!(x.topk(2, 0).compute()?, ndarray::arr1(&[9, 7]).into_dyn());
    /// assert_eq!(x.topk(-1, 0).compute()?, ndarray::arr1(&[1]).into_dyn());
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn topk(&self, k: i64, axis: impl Into<AxisRef>) -> Self {
        Array::of(topk(Call::new("topk"), &self.handle, k, &axis.into()))
    }

    /// How many elements fall between consecutive edges; the last bin includes both of its edges, and what is
    /// outside is not counted.
    ///
    /// # Errors
    /// Carried: [`Error::InvalidArgument`](crate::Error::InvalidArgument) for edges that do not ascend.
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// let x = array::arange(0.0, 10.0, 1.0, [3]);
    /// assert_eq!(x.histogram(&[0.0, 2.0, 9.0]).compute()?, ndarray::arr1(&[2_i64, 8]).into_dyn());
    /// assert_eq!(x.histogram(&array::bins(2, 0.0, 10.0)).sum(..).compute()?[[]], 10);
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn histogram(&self, edges: &[f64]) -> Array<i64> {
        let call = Call::new("histogram");
        Array::of(match check_edges(call, edges) {
            Ok(()) => count(call, &self.handle, &Bins::Edges(edges.into()), None),
            Err(error) => Handle::from_result(Err(error)),
        })
    }

    /// What the weights of the elements between consecutive edges add up to, a weight for each element.
    #[track_caller]
    #[must_use]
    pub fn histogram_weighted<W: Element>(&self, edges: &[f64], weights: &Array<W>) -> Array<f64> {
        let call = Call::new("histogram_weighted");
        let weights = elementwise::cast(call, &weights.handle, f64::DTYPE);
        Array::of(match check_edges(call, edges) {
            Ok(()) => count(call, &self.handle, &Bins::Edges(edges.into()), Some(&weights)),
            Err(error) => Handle::from_result(Err(error)),
        })
    }

    /// How often each of the numbers from 0 to `n` - 1 occurs; others are not counted.
    #[track_caller]
    #[must_use]
    pub fn bincount(&self, n: u64) -> Array<i64> {
        Array::of(count(Call::new("bincount"), &self.handle, &Bins::Numbers(n), None))
    }

    /// What the weights of the elements that are each of the numbers from 0 to `n` - 1 add up to, a weight for each element.
    ///
    /// # Errors
    /// Carried: [`Error::ShapeMismatch`](crate::Error::ShapeMismatch).
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// let places = array::from_ndarray(ndarray::arr1(&[0, 2, 0]), [2]);
    /// let weights = array::from_ndarray(ndarray::arr1(&[0.5, 4.0, 1.0]), [3]);
    /// let sums = places.bincount_weighted(3, &weights).compute()?;
    /// assert_eq!(sums, ndarray::arr1(&[1.5, 0.0, 4.0]).into_dyn());
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn bincount_weighted<W: Element>(&self, n: u64, weights: &Array<W>) -> Array<f64> {
        let call = Call::new("bincount_weighted");
        let weights = elementwise::cast(call, &weights.handle, f64::DTYPE);
        Array::of(count(call, &self.handle, &Bins::Numbers(n), Some(&weights)))
    }

    /// The distinct elements in ascending order; NaN comes last, once.
    ///
    /// # Shape and chunks
    /// One axis of unknown length in one block, which has to fit into memory.
    ///
    /// # Cost
    /// The distinct elements of each block, merged in a tree.
    #[track_caller]
    #[must_use]
    pub fn unique(&self) -> Self {
        let [values, _] = unique(Call::new("unique"), &self.handle);
        Array::of(values)
    }

    /// The distinct elements in ascending order, and how often each of them occurs.
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// let x = array::from_ndarray(ndarray::arr1(&[3, 1, 3, 2]), [2]);
    /// let (values, counts) = compute(x.unique_counts())?;
    /// assert_eq!((values, counts), (ndarray::arr1(&[1, 2, 3]).into_dyn(), ndarray::arr1(&[1, 1, 2]).into_dyn()));
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn unique_counts(&self) -> (Self, Array<i64>) {
        let [values, counts] = unique(Call::new("unique_counts"), &self.handle);
        (Array::of(values), Array::of(counts))
    }

    /// The distinct elements in ascending order, and for each element of the array which of them it is.
    ///
    /// # Cost
    /// The array is needed twice: its distinct elements must be known before the first is looked up.
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// let x = array::from_ndarray(ndarray::arr1(&[30, 10, 30, 20]), [2]);
    /// let (_, inverse) = x.unique_inverse();
    /// assert_eq!(inverse.compute()?, ndarray::arr1(&[2, 0, 2, 1]).into_dyn());
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn unique_inverse(&self) -> (Self, Array<i64>) {
        let call = Call::new("unique_inverse");
        let [values, _] = unique(call, &self.handle);
        let inverse = lookup(call, &self.handle, &values, Lookup::Less);
        (Array::of(values), Array::of(inverse))
    }
}

/// Edges of `n` bins of equal widths from `low` to `high`.
#[must_use]
pub fn bins(n: usize, low: f64, high: f64) -> Vec<f64> {
    let step = (high - low) / n.max(1) as f64;
    let inner = (0..n).map(|i| low + i as f64 * step);
    inner.chain([high]).collect()
}

/// Quantiles as a user writes them: one number, or a list, of which results stand along a new first axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Fractions {
    pub(super) at: Vec<f64>,
    pub(super) is_list: bool,
}

impl From<f64> for Fractions {
    fn from(q: f64) -> Self {
        Fractions { at: vec![q], is_list: false }
    }
}

impl From<Vec<f64>> for Fractions {
    fn from(at: Vec<f64>) -> Self {
        Fractions { at, is_list: true }
    }
}

impl<const N: usize> From<[f64; N]> for Fractions {
    fn from(at: [f64; N]) -> Self {
        Fractions::from(at.to_vec())
    }
}

impl From<&[f64]> for Fractions {
    fn from(at: &[f64]) -> Self {
        Fractions::from(at.to_vec())
    }
}
