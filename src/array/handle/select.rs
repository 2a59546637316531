//! Elements that are picked, found and replaced.

use super::super::args::{AxisRef, Shape};
use super::super::dtype::Element;
use super::super::kernels::lookup::Lookup;
use super::super::operators::Operand;
use super::super::ops::indexing::IndexArg;
use super::super::ops::{assign, lookups, mask, points};
use super::Array;
use crate::error::Call;

/// Picking by position and by mask, and assignment as an expression.
impl<T: Element> Array<T> {
    /// The elements in C order for which a mask of the same shape holds.
    ///
    /// # Shape and chunks
    /// One axis of unknown length: only computing tells how many elements there are. Arrays that the same
    /// mask was put on fit each other; [`compute_chunk_sizes`](Self::compute_chunk_sizes) makes lengths known.
    ///
    /// # Cost
    /// One task a block. With several dimensions, the array is first rechunked as for [`ravel`](Self::ravel).
    ///
    /// # Errors
    /// Carried: [`Error::ShapeMismatch`](crate::Error::ShapeMismatch).
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// let x = array::arange(0, 6, 1, [2]);
    /// let odd = x.mask(&(&x % 2).eq(1));
    /// assert_eq!(odd.compute()?, ndarray::arr1(&[1, 3, 5]).into_dyn());
    /// assert_eq!(odd.compute_chunk_sizes()?.shape()?, [3]);
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn mask(&self, mask: &Array<bool>) -> Self {
        Array::of(mask::mask(Call::new("mask"), &self.handle, &mask.handle))
    }

    /// The positions of an axis for which a mask of its length holds; their number is unknown until computed.
    ///
    /// # Errors
    /// Carried: [`Error::ShapeMismatch`](crate::Error::ShapeMismatch).
    #[track_caller]
    #[must_use]
    pub fn compress(&self, mask: &Array<bool>, axis: impl Into<AxisRef>) -> Self {
        let call = Call::new("compress");
        Array::of(mask::compress(call, &self.handle, &mask.handle, &axis.into()))
    }

    /// For each axis, the index along it of each element that is not zero, in C order.
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// let x = array::from_ndarray(ndarray::arr2(&[[0, 7], [5, 0]]), [1, 1]);
    /// let [rows, columns] = &x.nonzero()[..] else { unreachable!() };
    /// assert_eq!(rows.compute()?, ndarray::arr1(&[0, 1]).into_dyn());
    /// assert_eq!(columns.compute()?, ndarray::arr1(&[1, 0]).into_dyn());
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn nonzero(&self) -> Vec<Array<i64>> {
        mask::nonzero(Call::new("nonzero"), &self.handle).into_iter().map(Array::of).collect()
    }

    /// The indices of the elements that are not zero: a row for each, of unknown number until computed.
    #[track_caller]
    #[must_use]
    pub fn argwhere(&self) -> Array<i64> {
        Array::of(mask::argwhere(Call::new("argwhere"), &self.handle))
    }

    /// Single points: point `i` has position `i` of each list on the axis that it is for. Points stand along
    /// a new first axis, and axes without a list follow.
    ///
    /// # Cost
    /// One task for each block that has points, and one for each block of the result.
    ///
    /// # Errors
    /// Carried: [`Error::IndexOutOfBounds`](crate::Error::IndexOutOfBounds),
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) for lists of different lengths.
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// let x = array::arange(0, 12, 1, [4]).reshape([3, 4]);
    /// let points = x.vindex([(0, [2, 0, 1]), (1, [3, 1, 0])]);
    /// assert_eq!(points.compute()?, ndarray::arr1(&[11, 1, 4]).into_dyn());
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn vindex<A: Into<AxisRef>, P: Into<Shape>>(
        &self,
        positions: impl IntoIterator<Item = (A, P)>,
    ) -> Self {
        let lists: Vec<_> = positions.into_iter().map(|(a, p)| (a.into(), p.into())).collect();
        Array::of(points::vindex(Call::new("vindex"), &self.handle, &lists))
    }

    /// The array with other values in the part that an index selects; they broadcast to that part.
    ///
    /// # Shape and chunks
    /// Those of the array.
    ///
    /// # Cost
    /// One pass over the array. Values are read where they go.
    ///
    /// # Errors
    /// As [`slice`](Self::slice), and carried [`Error::ShapeMismatch`](crate::Error::ShapeMismatch).
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// let x: Array<i32> = array::zeros([5], [2]);
    /// let y = x.assign(s![1..;2], 7).assign(s![..2], &ndarray::arr1(&[3, 4]));
    /// assert_eq!(y.compute()?, ndarray::arr1(&[3, 4, 0, 7, 0]).into_dyn());
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "an operand may be a number or a reference")]
    pub fn assign(&self, index: impl IndexArg, value: impl Operand<T>) -> Self {
        let call = Call::new("assign");
        Array::of(assign::assign(call, &self.handle, &index.entries(), &value.term(call).0))
    }

    /// The array with other values where a mask holds; mask and values broadcast to the array.
    #[track_caller]
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "an operand may be a number or a reference")]
    pub fn assign_where(&self, mask: &Array<bool>, value: impl Operand<T>) -> Self {
        let call = Call::new("assign_where");
        Array::of(assign::assign_where(call, &self.handle, &mask.handle, &value.term(call).0))
    }

    /// The array with other values at some positions of an axis, of which the last one wins where a position
    /// comes twice; values broadcast to the array with as many elements along the axis as positions.
    #[track_caller]
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "an operand may be a number or a reference")]
    pub fn assign_at(
        &self,
        positions: impl Into<Shape>,
        axis: impl Into<AxisRef>,
        value: impl Operand<T>,
    ) -> Self {
        let call = Call::new("assign_at");
        let term = value.term(call).0;
        Array::of(assign::assign_at(call, &self.handle, &positions.into(), &axis.into(), &term))
    }

    /// The elements on the `k`-th diagonal of a matrix.
    #[track_caller]
    #[must_use]
    pub fn diagonal(&self, k: i64) -> Self {
        Array::of(points::diagonal(Call::new("diagonal"), &self.handle, k))
    }

    /// Whether each element is one of those of a vector. NaN never is.
    ///
    /// # Cost
    /// Each block meets each block of the vector.
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// let x = array::arange(0, 4, 1, [2]);
    /// let y = x.isin(&array::from_ndarray(ndarray::arr1(&[3, 1, 9]), -1));
    /// assert_eq!(y.compute()?, ndarray::arr1(&[false, true, false, true]).into_dyn());
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn isin(&self, vector: &Array<T>) -> Array<bool> {
        let call = Call::new("isin");
        Array::of(lookups::lookup(call, &self.handle, &vector.handle, Lookup::IsIn))
    }

    /// How many elements of this sorted vector are less than each of `values` (or, with `side`
    /// [`Right`](Side::Right), less or equal): where they would have to be inserted to keep it sorted.
    ///
    /// # Cost
    /// Each block of the values meets each block of the vector.
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// use dask_rs::array::Side;
    /// let x = array::from_ndarray(ndarray::arr1(&[1, 3, 3, 5]), [3]);
    /// let values = array::from_ndarray(ndarray::arr1(&[3, 0]), -1);
    /// assert_eq!(x.searchsorted(&values, Side::Left).compute()?, ndarray::arr1(&[1, 0]).into_dyn());
    /// assert_eq!(x.searchsorted(&values, Side::Right).compute()?, ndarray::arr1(&[3, 0]).into_dyn());
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn searchsorted(&self, values: &Array<T>, side: Side) -> Array<i64> {
        let call = Call::new("searchsorted");
        Array::of(lookups::lookup(call, &values.handle, &self.handle, side.lookup()))
    }

    /// The bin of each element, of which the ascending `edges` separate one more than there are edges: how
    /// many edges are less or equal (or, with [`Right`](Side::Right), less), so that the named side is closed.
    #[track_caller]
    #[must_use]
    pub fn digitize(&self, edges: &Array<T>, closed: Side) -> Array<i64> {
        let call = Call::new("digitize");
        let lookup = if closed == Side::Left { Lookup::LessOrEqual } else { Lookup::Less };
        Array::of(lookups::lookup(call, &self.handle, &edges.handle, lookup))
    }
}

/// On which side of equal elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Before them.
    Left,
    /// After them.
    Right,
}

impl Side {
    fn lookup(self) -> Lookup {
        match self {
            Side::Left => Lookup::Less,
            Side::Right => Lookup::LessOrEqual,
        }
    }
}
