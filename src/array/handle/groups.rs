//! Arrays whose positions along some axes have labels.

use std::cmp::Ordering;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use super::super::args::{Axes, AxisRef};
use super::super::chunks::{ChunkSpec, NO_GROUP};
use super::super::dtype::Element;
use super::super::expr::Handle;
use super::super::kernels::ReduceKind;
use super::super::kernels::quantile::QuantileMethod;
use super::super::ops::creation::from_shared;
use super::super::ops::groups::{Grouping, LABELLED_MAX, group, group_computed, too_many_labels};
use super::super::ops::quantiles::Quantiles;
use super::{Array, Fractions};
use crate::error::{Call, Error, Result};

/// Labels are known values, integers or text or whatever has an order.
impl<T: Element> Array<T> {
    /// The positions along an axis by their labels, of which there is one for each position: those with equal
    /// labels are a group. With several axes, labels are in C order of these.
    ///
    /// # Shape and chunks
    /// In results, the grouped axes become one, in the place of the first of them, that has the distinct labels in
    /// ascending order. It is cut so that no block outgrows the largest block of the array, or the chunk size.
    ///
    /// # Cost
    /// Each block becomes a partial result with the groups that it has; those that share groups are
    /// combined in a tree. Labels are kept as 4 bytes each.
    ///
    /// # Errors
    /// Carried by results: [`Error::InvalidArgument`] unless there is a label for each position;
    /// [`Error::InvalidAxis`], [`Error::UnknownChunks`].
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// let x = array::arange(0.0, 24.0, 1.0, [5]).reshape([12, 2]);
    /// let season = ["winter", "spring", "summer", "autumn"];
    /// let by_season = x.group_by_axis(0, (0..12).map(|month| season[month / 3]));
    /// assert_eq!(by_season.labels()?, ["autumn", "spring", "summer", "winter"]);
    /// let mean = by_season.mean();
    /// assert_eq!(mean.slice(s![.., 0]).compute()?, ndarray::arr1(&[20.0, 8.0, 14.0, 2.0]).into_dyn());
    /// let anomaly = &x - by_season.expand(&mean);
    /// assert_eq!(anomaly.abs().max(..).compute()?[[]], 2.0);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Source
    /// flox: `map-reduce` and `cohorts`.
    #[track_caller]
    #[must_use]
    pub fn group_by_axis<L: Ord + Clone>(
        &self,
        axes: impl Into<Axes>,
        labels: impl IntoIterator<Item = L>,
    ) -> AxisGroups<T, L> {
        let labels: Vec<L> = labels.into_iter().collect();
        let mut distinct = labels.clone();
        distinct.sort_unstable();
        distinct.dedup();
        let code = |label: &L| distinct.partition_point(|other| other < label) as u32;
        let codes = labels.iter().map(code).collect();
        AxisGroups::new(Call::new("group_by_axis"), self, &axes.into(), codes, distinct)
    }

    /// Every `n` neighbours along an axis as a group, of which the last may be shorter; labels are the positions
    /// at which they begin.
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// let hourly = array::arange(0.0, 72.0, 1.0, [30]).with_dim_names(["time"]);
    /// let daily = hourly.resample("time", 24).max();
    /// assert_eq!(daily.compute()?, ndarray::arr1(&[23.0, 47.0, 71.0]).into_dyn());
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn resample(&self, axis: impl Into<AxisRef>, n: u64) -> AxisGroups<T, u64> {
        let (call, axis) = (Call::new("resample"), axis.into());
        let len = self.handle.node().and_then(|node| {
            let axis = axis.resolve(call, node.ndim(), node.dim_names())?;
            node.axis_len(call, axis)
        });
        let len = match len {
            Ok(_) if n == 0 => Err(Error::InvalidArgument {
                call,
                argument: "n",
                got: "0".into(),
                expected: "at least one position in each group",
            }),
            Ok(len) if len > LABELLED_MAX => Err(too_many_labels(call)),
            len => len,
        };
        match len {
            Ok(len) => {
                let codes = (0..len).map(|i| (i / n) as u32).collect();
                let starts = (0..len).step_by(usize::try_from(n).unwrap_or(usize::MAX)).collect();
                AxisGroups::new(call, self, &Axes::List(vec![axis]), codes, starts)
            }
            Err(error) => AxisGroups { grouped: Err(Arc::new(error)), element: PhantomData },
        }
    }

    /// Positions along an axis by the bin that their coordinates fall into: from each edge, inclusive, to before the
    /// next. Others are in no group. Labels are the lower edges; bins may be empty.
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// let x = array::arange(0, 6, 1, [4]);
    /// let day = [3, 3, 4, 7, 7, 30];
    /// let weeks = x.group_by_bins(0, &day, &[0, 7, 14, 21]);
    /// assert_eq!(weeks.sum().compute()?, ndarray::arr1(&[3_i64, 7, 0]).into_dyn());
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn group_by_bins<C: PartialOrd + Clone>(
        &self,
        axis: impl Into<AxisRef>,
        coordinates: &[C],
        edges: &[C],
    ) -> AxisGroups<T, C> {
        let call = Call::new("group_by_bins");
        if edges.len() < 2 || !edges.is_sorted() {
            let error = Error::InvalidArgument {
                call,
                argument: "edges",
                got: format!("{} edges", edges.len()),
                expected: "two or more edges in ascending order",
            };
            return AxisGroups { grouped: Err(Arc::new(error)), element: PhantomData };
        }
        let n_bins = edges.len() - 1;
        let code = |x: &C| match edges.partition_point(|edge| edge <= x) {
            bin if (1..=n_bins).contains(&bin) => (bin - 1) as u32,
            _ => NO_GROUP,
        };
        let codes = coordinates.iter().map(code).collect();
        let lower = edges[..n_bins].to_vec();
        AxisGroups::new(call, self, &Axes::List(vec![axis.into()]), codes, lower)
    }
}

/// Labels that are an array themselves.
impl<T: Element> Array<T> {
    /// The positions along some axes by labels that are computed, such as a map of zones, of which these are the `groups`
    /// that are wanted: positions with other labels are in none. Results have the groups in ascending order.
    ///
    /// Which groups a block has is not known before, so that each may have any: results are those of
    /// [`group_by_axis`](Self::group_by_axis), but quantiles, [`first`](AxisGroups::first) and [`last`](AxisGroups::last) need
    /// labels that are known.
    ///
    /// # Cost
    /// As `group_by_axis` of groups that are everywhere; labels are brought into the chunks of the array, and 4 bytes each
    /// while a block of them is used.
    ///
    /// # Errors
    /// Carried by results: [`Error::ShapeMismatch`] unless there is a label for each position along the axes, in their
    /// order; [`Error::InvalidArgument`] for a group that is NaN; [`Error::InvalidAxis`], [`Error::UnknownChunks`].
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// let rain = array::arange(0.0, 24.0, 1.0, [7]).reshape([2, 3, 4]).with_dim_names(["year", "lat", "lon"]);
    /// let height = array::arange(0.0, 12.0, 1.0, [5]).reshape([3, 4]);
    /// let zone = (&height / 5.0).floor();
    /// let by_zone = rain.group_by_array(["lat", "lon"], &zone, [0.0, 1.0, 2.0]);
    /// let mean = by_zone.mean();
    /// assert_eq!(mean.compute()?, ndarray::arr2(&[[2.0, 7.0, 10.5], [14.0, 19.0, 22.5]]).into_dyn());
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Source
    /// flox, `groupby_reduce` with `expected_groups`.
    #[track_caller]
    #[must_use]
    pub fn group_by_array<L: Element + PartialOrd>(
        &self,
        axes: impl Into<Axes>,
        labels: &Array<L>,
        groups: impl IntoIterator<Item = L>,
    ) -> AxisGroups<T, L> {
        let call = Call::new("group_by_array");
        let mut groups: Vec<L> = groups.into_iter().collect();
        groups.sort_unstable_by(|a, b| a.partial_cmp(b).unwrap_or(Ordering::Equal));
        groups.dedup();
        let is_nan = |group: &L| group.partial_cmp(group).is_none();
        let grouped = if groups.iter().any(is_nan) {
            Err(Error::InvalidArgument {
                call,
                argument: "groups",
                got: "NaN, which is equal to no label".into(),
                expected: "labels that positions can have",
            })
        } else {
            let vector = ndarray::Array1::from(groups.clone()).into_dyn().into_shared();
            let vector = from_shared(call, vector, &ChunkSpec::from(-1));
            group_computed(call, &self.handle, &axes.into(), &labels.handle, &vector)
        };
        let grouped = grouped.map(|grouping| (grouping, groups.into())).map_err(Arc::new);
        AxisGroups { grouped, element: PhantomData }
    }
}

/// Groups of positions along axes of an [`Array`], with labels of type `L`. Its methods reduce each group; those
/// with `nan` in their names skip NaN.
#[derive(Clone)]
pub struct AxisGroups<T: Element, L> {
    grouped: Result<(Grouping, Arc<[L]>), Arc<Error>>,
    element: PhantomData<fn() -> T>,
}

impl<T: Element, L> fmt::Debug for AxisGroups<T, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.grouped {
            Ok((_, labels)) => write!(f, "{} groups", labels.len()),
            Err(error) => write!(f, "groups with an error: {error}"),
        }
    }
}

impl<T: Element, L> AxisGroups<T, L> {
    fn new(call: Call, x: &Array<T>, axes: &Axes, codes: Vec<u32>, labels: Vec<L>) -> Self {
        let grouped = group(call, &x.handle, axes, codes, labels.len());
        let grouped = grouped.map(|grouping| (grouping, labels.into())).map_err(Arc::new);
        AxisGroups { grouped, element: PhantomData }
    }

    /// The labels along the axis of the groups in results.
    ///
    /// # Errors
    /// The error that results would carry.
    pub fn labels(&self) -> Result<&[L]> {
        match &self.grouped {
            Ok((_, labels)) => Ok(labels),
            Err(error) => Err(Error::clone(error)),
        }
    }

    fn then<U: Element>(&self, step: impl FnOnce(&Grouping) -> Handle) -> Array<U> {
        Array::of(match &self.grouped {
            Ok((grouping, _)) => step(grouping),
            Err(error) => Handle::from_result(Err(Error::clone(error))),
        })
    }

    fn reduce<U: Element>(
        &self,
        call: Call,
        kind: ReduceKind,
        skip_nan: bool,
        ddof: f64,
    ) -> Array<U> {
        self.then(|grouping| grouping.reduce(call, kind, skip_nan, ddof))
    }

    /// How many elements of each group are not NaN.
    #[track_caller]
    #[must_use]
    pub fn count(&self) -> Array<i64> {
        let call = Call::new("count");
        self.then(|grouping| grouping.count(call))
    }

    /// The variance of each group; `ddof` is subtracted from the number of elements.
    #[track_caller]
    #[must_use]
    pub fn var(&self, ddof: f64) -> Array<T::Spread> {
        self.reduce(Call::new("var"), ReduceKind::Var, false, ddof)
    }

    /// The variance of each group; `ddof` is subtracted from the number of elements.
    #[track_caller]
    #[must_use]
    pub fn nanvar(&self, ddof: f64) -> Array<T::Spread> {
        self.reduce(Call::new("nanvar"), ReduceKind::Var, true, ddof)
    }

    /// The standard deviation of each group; `ddof` is subtracted from the number of elements.
    #[track_caller]
    #[must_use]
    pub fn std(&self, ddof: f64) -> Array<T::Spread> {
        self.reduce(Call::new("std"), ReduceKind::Std, false, ddof)
    }

    /// The standard deviation of each group; `ddof` is subtracted from the number of elements.
    #[track_caller]
    #[must_use]
    pub fn nanstd(&self, ddof: f64) -> Array<T::Spread> {
        self.reduce(Call::new("nanstd"), ReduceKind::Std, true, ddof)
    }

    /// The first element of each group, NaN or not.
    ///
    /// # Errors
    /// Carried: [`Error::InvalidArgument`] for an empty bin.
    #[track_caller]
    #[must_use]
    pub fn first(&self) -> Array<T> {
        let call = Call::new("first");
        self.then(|grouping| grouping.pick(call, true))
    }

    /// The last element of each group, NaN or not.
    ///
    /// # Errors
    /// Carried: [`Error::InvalidArgument`] for an empty bin.
    #[track_caller]
    #[must_use]
    pub fn last(&self) -> Array<T> {
        let call = Call::new("last");
        self.then(|grouping| grouping.pick(call, false))
    }

    /// The first element of each group that is not NaN; NaN if there is none.
    ///
    /// # Cost
    /// Two passes: one finds the positions, the other the elements.
    ///
    /// # Errors
    /// Carried: [`Error::DTypeMismatch`] unless elements are real numbers.
    #[track_caller]
    #[must_use]
    pub fn nanfirst(&self) -> Array<T> {
        let call = Call::new("nanfirst");
        self.then(|grouping| grouping.pick_valid(call, true))
    }

    /// The last element of each group that is not NaN; see [`nanfirst`](Self::nanfirst).
    ///
    /// # Errors
    /// As [`nanfirst`](Self::nanfirst).
    #[track_caller]
    #[must_use]
    pub fn nanlast(&self) -> Array<T> {
        let call = Call::new("nanlast");
        self.then(|grouping| grouping.pick_valid(call, false))
    }

    /// Exact quantiles of each group; see [`Array::quantile`].
    ///
    /// # Cost
    /// The array is brought into the order of the groups, of which none is cut, so that the longest group times
    /// the block of the other axes has to fit into memory; these are cut if they need to be.
    #[track_caller]
    #[must_use]
    pub fn quantile(&self, q: impl Into<Fractions>, method: QuantileMethod) -> Array<T::Mean> {
        self.quantiles(Call::new("quantile"), q.into(), method, false)
    }

    /// Exact quantiles of the elements of each group that are not NaN; see [`quantile`](Self::quantile).
    #[track_caller]
    #[must_use]
    pub fn nanquantile(&self, q: impl Into<Fractions>, method: QuantileMethod) -> Array<T::Mean> {
        self.quantiles(Call::new("nanquantile"), q.into(), method, true)
    }

    /// The middle element of each group, or the mean of the two in the middle; NaN if there is one.
    #[track_caller]
    #[must_use]
    pub fn median(&self) -> Array<T::Mean> {
        self.quantiles(Call::new("median"), Fractions::from(0.5), QuantileMethod::Midpoint, false)
    }

    /// The middle of the elements of each group that are not NaN.
    #[track_caller]
    #[must_use]
    pub fn nanmedian(&self) -> Array<T::Mean> {
        self.quantiles(Call::new("nanmedian"), Fractions::from(0.5), QuantileMethod::Midpoint, true)
    }

    fn quantiles(
        &self,
        call: Call,
        q: Fractions,
        method: QuantileMethod,
        skip_nan: bool,
    ) -> Array<T::Mean> {
        let Fractions { at, is_list } = q;
        let wanted = Quantiles { at, is_list, method, skip_nan };
        self.then(|grouping| grouping.quantile(call, &wanted))
    }

    /// What a result of these groups says about the group of each position: an array that fits the grouped one,
    /// such as a climatology to be subtracted.
    ///
    /// # Errors
    /// Carried: [`Error::InvalidArgument`] for an array without the axis of the groups, or if a position is in no
    /// group; of [computed](Array::group_by_array) labels, that is [`Error::IndexOutOfBounds`] when it is computed.
    #[track_caller]
    #[must_use]
    pub fn expand<U: Element>(&self, result: &Array<U>) -> Array<U> {
        let call = Call::new("expand");
        self.then(|grouping| grouping.expand(call, &result.handle))
    }
}

/// Reductions of groups: `name, nan_name, kind, result, documentation`.
macro_rules! group_reductions {
    ($($(#[$doc:meta])* $name:ident $nan_name:ident $kind:ident $out:ty;)*) => {
        /// Reductions with the meaning of those of [`Array`]. Of a group without elements, sums are 0, and means and
        /// extremes of floats are NaN; there are no extremes of integers.
        impl<T: Element, L> AxisGroups<T, L> {
            $(
                $(#[$doc])*
                #[track_caller]
                #[must_use]
                pub fn $name(&self) -> Array<$out> {
                    self.reduce(Call::new(stringify!($name)), ReduceKind::$kind, false, 0.0)
                }

                $(#[$doc])*
                ///
                /// NaN is skipped.
                #[track_caller]
                #[must_use]
                pub fn $nan_name(&self) -> Array<$out> {
                    self.reduce(Call::new(stringify!($nan_name)), ReduceKind::$kind, true, 0.0)
                }
            )*
        }
    };
}

group_reductions! {
    /// The sum of each group.
    sum nansum Sum T::Sum;
    /// The product of each group.
    prod nanprod Prod T::Sum;
    /// The mean of each group.
    mean nanmean Mean T::Mean;
    /// The smallest element of each group.
    min nanmin Min T;
    /// The largest element of each group.
    max nanmax Max T;
}

#[cfg(test)]
mod tests;
