//! Arrays in other arrangements, and put together.

use super::super::args::{Axes, AxisRef, Shape};
use super::super::dtype::Element;
use super::super::expr::Handle;
use super::super::kernels::BinaryOp;
use super::super::ops::pad::{PadMode, Widths, pad};
use super::super::ops::{
    differences, grids, joins, manipulation, repeats, scalar, statistics, take, triangles,
};
use super::{Array, Over};
use crate::error::Call;

/// Elements that move, come again, or come in from elsewhere.
impl<T: Element> Array<T> {
    /// Elements moved by `shift` along axes, where what leaves at one end comes in at the other; along `..`,
    /// the array in C order.
    ///
    /// # Shape and chunks
    /// The same shape. One more chunk along each axis, since the ends are cut anew.
    ///
    /// # Errors
    /// Carried: [`Error::InvalidArgument`](crate::Error::InvalidArgument) unless there is one shift, or one
    /// for each axis.
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// let x = array::arange(0, 5, 1, [2]);
    /// assert_eq!(x.roll(2, 0).compute()?, ndarray::arr1(&[3, 4, 0, 1, 2]).into_dyn());
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn roll(&self, shift: impl Into<Shape>, axes: impl Into<Axes>) -> Self {
        Array::of(repeats::roll(Call::new("roll"), &self.handle, &shift.into(), &axes.into()))
    }

    /// Each element of an axis `n` times, one after another; a list has a number for each element.
    ///
    /// # Cost
    /// With one number, elements are broadcast and reshaped; with a list, picked as in [`take`](Self::take).
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// let x = array::arange(1, 4, 1, [2]);
    /// assert_eq!(x.repeat(2, 0).compute()?, ndarray::arr1(&[1, 1, 2, 2, 3, 3]).into_dyn());
    /// assert_eq!(x.repeat([0, 1, 2], 0).compute()?, ndarray::arr1(&[2, 3, 3]).into_dyn());
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn repeat(&self, n: impl Into<Shape>, axis: impl Into<AxisRef>) -> Self {
        Array::of(repeats::repeat(Call::new("repeat"), &self.handle, &n.into(), &axis.into()))
    }

    /// The array several times along each axis; the last number is for the last axis, and more numbers
    /// than axes make new leading ones.
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// let x = array::arange(1, 3, 1, [2]);
    /// let y = x.tile([2, 2]).compute()?;
    /// assert_eq!(y, ndarray::arr2(&[[1, 2, 1, 2], [1, 2, 1, 2]]).into_dyn());
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn tile(&self, times: impl Into<Shape>) -> Self {
        Array::of(repeats::tile(Call::new("tile"), &self.handle, &times.into()))
    }

    /// More elements before and after each axis: as many as `width` says (a number, a pair, a list of a
    /// pair for each axis, or some axes with pairs, such as `[("longitude", (1, 1))]`), of what `mode` says. Mirror images go on beyond the array if it is shorter
    /// than they have to be.
    ///
    /// # Shape and chunks
    /// New chunks at the ends, none longer than those that there are.
    ///
    /// # Errors
    /// Carried: [`Error::InvalidArgument`](crate::Error::InvalidArgument) for negative widths, and for an
    /// axis without elements that are to be repeated.
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// use dask_rs::array::PadMode;
    /// let x = array::arange(1, 4, 1, [2]);
    /// let y = x.pad((1, 2), PadMode::Reflect).compute()?;
    /// assert_eq!(y, ndarray::arr1(&[2, 1, 2, 3, 2, 1]).into_dyn());
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn pad(&self, width: impl Into<Widths>, mode: PadMode<T>) -> Self {
        Array::of(pad(Call::new("pad"), &self.handle, &width.into(), mode.erased()))
    }

    /// Turned by `k` right angles in the plane of two axes, from the first towards the second.
    #[track_caller]
    #[must_use]
    pub fn rot90(&self, k: i64, axes: impl Into<Axes>) -> Self {
        Array::of(manipulation::rot90(Call::new("rot90"), &self.handle, k, &axes.into()))
    }

    /// The first axis in reverse order.
    #[track_caller]
    #[must_use]
    pub fn flipud(&self) -> Self {
        Array::of(manipulation::flip(Call::new("flipud"), &self.handle, &Axes::from(0)))
    }

    /// The second axis in reverse order.
    #[track_caller]
    #[must_use]
    pub fn fliplr(&self) -> Self {
        Array::of(manipulation::flip(Call::new("fliplr"), &self.handle, &Axes::from(1)))
    }

    /// With at least `n` dimensions, of which there are at most 3, by new axes of length 1, which stand where NumPy's `atleast_1d`,
    /// `atleast_2d` and `atleast_3d` put them.
    #[track_caller]
    #[must_use]
    pub fn at_least_nd(&self, n: usize) -> Self {
        Array::of(self.handle.then(|node| manipulation::at_least(node, n)))
    }

    /// Another array after this one along an axis.
    #[track_caller]
    #[must_use]
    pub fn append(&self, other: &Array<T>, axis: impl Into<AxisRef>) -> Self {
        let call = Call::new("append");
        Array::of(joins::concatenate(call, &[&self.handle, &other.handle], &axis.into()))
    }

    /// `values` before position `index` of an axis. They keep the element type, and have the lengths of this
    /// array along the other axes.
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// let x = array::arange(0, 4, 1, [2]);
    /// let y = x.insert(1, &array::full([2], 9, -1), 0).compute()?;
    /// assert_eq!(y, ndarray::arr1(&[0, 9, 9, 1, 2, 3]).into_dyn());
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn insert(&self, index: i64, values: &Array<T>, axis: impl Into<AxisRef>) -> Self {
        let call = Call::new("insert");
        Array::of(joins::insert(call, &self.handle, index, &values.handle, &axis.into()))
    }

    /// Without the elements at some positions of an axis.
    #[track_caller]
    #[must_use]
    pub fn delete(&self, positions: impl Into<Shape>, axis: impl Into<AxisRef>) -> Self {
        let call = Call::new("delete");
        Array::of(joins::delete(call, &self.handle, &positions.into(), &axis.into()))
    }

    /// The elements at some positions of an axis, in any order and any number of times.
    ///
    /// # Shape and chunks
    /// As many elements along the axis as positions, in chunks of about the average length of the array's.
    /// The other axes keep their chunks.
    ///
    /// # Cost
    /// Each block reads the blocks that its positions are in, all of which have to fit into memory at once, and
    /// takes 48 bytes for each position. Slices of the result pick fewer positions.
    ///
    /// # Errors
    /// Carried: [`Error::IndexOutOfBounds`](crate::Error::IndexOutOfBounds).
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// let x = array::arange(10, 20, 1, [3]);
    /// assert_eq!(x.take([7, 0, -1, 0], 0).compute()?, ndarray::arr1(&[17, 10, 19, 10]).into_dyn());
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Source
    /// Chunks as in Dask's `take`.
    #[track_caller]
    #[must_use]
    pub fn take(&self, positions: impl Into<Shape>, axis: impl Into<AxisRef>) -> Self {
        Array::of(take::take(Call::new("take"), &self.handle, &positions.into(), &axis.into()))
    }

    /// The elements at positions of an axis that come in groups: a [`take`](Self::take) of all of them, one group after
    /// another, in which no block cuts a group. So a function of each block, as [`map_blocks`](Self::map_blocks), sees whole groups.
    ///
    /// # Shape and chunks
    /// Groups are packed into blocks of about the average length of the array's. If a group is longer than a block, the other
    /// axes are cut, so that blocks do not outgrow those of the array.
    ///
    /// # Cost
    /// As [`take`](Self::take).
    ///
    /// # Errors
    /// Carried: [`Error::IndexOutOfBounds`](crate::Error::IndexOutOfBounds).
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// let x = array::arange(0, 6, 1, [2]);
    /// let y = x.shuffle([[0, 3], [1, 4], [2, 5]], 0);
    /// assert_eq!(y.compute()?, ndarray::arr1(&[0, 3, 1, 4, 2, 5]).into_dyn());
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Source
    /// Chunks as in Dask's `shuffle`.
    #[track_caller]
    #[must_use]
    pub fn shuffle<G: IntoIterator<Item = i64>>(
        &self,
        groups: impl IntoIterator<Item = G>,
        axis: impl Into<AxisRef>,
    ) -> Self {
        let groups: Vec<Vec<i64>> =
            groups.into_iter().map(|group| group.into_iter().collect()).collect();
        Array::of(take::shuffle(Call::new("shuffle"), &self.handle, &groups, &axis.into()))
    }

    /// Zeros above the `k`-th diagonal of the last two axes.
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// let x: Array<i32> = array::ones([2, 3], [1, 2]);
    /// assert_eq!(x.tril(0).compute()?, ndarray::arr2(&[[1, 0, 0], [1, 1, 0]]).into_dyn());
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn tril(&self, k: i64) -> Self {
        Array::of(triangles::triangle(Call::new("tril"), &self.handle, k, BinaryOp::Le))
    }

    /// Zeros below the `k`-th diagonal of the last two axes.
    #[track_caller]
    #[must_use]
    pub fn triu(&self, k: i64) -> Self {
        Array::of(triangles::triangle(Call::new("triu"), &self.handle, k, BinaryOp::Ge))
    }

    /// Groups of neighbours along some axes, each reduced to one element by `reduce`, which gets an array
    /// and the axes that hold the elements of a group.
    ///
    /// # Errors
    /// Carried: [`Error::InvalidArgument`](crate::Error::InvalidArgument) unless the size of a group divides
    /// the length of its axis.
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// let x = array::arange(0.0, 6.0, 1.0, [4]);
    /// let y = x.coarsen([(0, 2)], |x, axes| x.mean(axes));
    /// assert_eq!(y.compute()?, ndarray::arr1(&[0.5, 2.5, 4.5]).into_dyn());
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn coarsen<A: Into<AxisRef>, U: Element>(
        &self,
        groups: impl IntoIterator<Item = (A, u64)>,
        reduce: impl FnOnce(&Array<T>, Axes) -> Array<U>,
    ) -> Array<U> {
        let groups: Vec<_> = groups.into_iter().map(|(axis, n)| (axis.into(), n)).collect();
        let (grouped, axes) = grids::grouped(Call::new("coarsen"), &self.handle, &groups);
        reduce(&Array::of(grouped), Axes::from(axes))
    }

    /// The `n`-th differences of neighbours along an axis; of booleans, whether they differ.
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// let x = array::from_ndarray(ndarray::arr1(&[1, 4, 9, 16]), [2]);
    /// assert_eq!(x.diff(1, 0).compute()?, ndarray::arr1(&[3, 5, 7]).into_dyn());
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn diff(&self, n: u64, axis: impl Into<AxisRef>) -> Self {
        Array::of(differences::diff(Call::new("diff"), &self.handle, n, &axis.into()))
    }

    /// The slope along an axis whose elements are `distance` apart: central differences, one-sided at
    /// the ends. The shape and chunks stay.
    ///
    /// # Errors
    /// Carried: [`Error::InvalidArgument`](crate::Error::InvalidArgument) for an axis of less than two elements.
    #[track_caller]
    #[must_use]
    pub fn gradient(&self, distance: T::Mean, axis: impl Into<AxisRef>) -> Array<T::Mean> {
        let (call, out) = (Call::new("gradient"), T::Mean::DTYPE);
        Array::of(differences::gradient(call, &self.handle, out, scalar(distance), &axis.into()))
    }

    /// The largest element minus the smallest.
    #[track_caller]
    #[must_use]
    pub fn ptp(&self, over: impl Into<Over>) -> Self {
        Array::of(statistics::ptp(Call::new("ptp"), &self.handle, &over.into()))
    }

    /// The mean along an axis of elements that count as often as their weights say. There is a weight for
    /// each element of the array, or for each of the axis.
    ///
    /// # Errors
    /// Carried: [`Error::ShapeMismatch`](crate::Error::ShapeMismatch) for weights of another shape.
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// let x = array::from_ndarray(ndarray::arr1(&[1.0, 4.0]), [1]);
    /// let weights = array::from_ndarray(ndarray::arr1(&[2.0, 1.0]), -1);
    /// assert_eq!(x.average(&weights, 0).compute()?[[]], 2.0);
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn average(&self, weights: &Array<T>, axis: impl Into<AxisRef>) -> Array<T::Mean> {
        let (call, out) = (Call::new("average"), T::Mean::DTYPE);
        let [average, _] =
            statistics::average(call, &self.handle, &weights.handle, &axis.into(), out);
        Array::of(average)
    }

    /// The covariances of the rows of a matrix, whose columns are observations; `ddof` is subtracted from
    /// their number.
    #[track_caller]
    #[must_use]
    pub fn cov(&self, ddof: f64) -> Array<T::Mean> {
        Array::of(statistics::cov(Call::new("cov"), &self.handle, ddof, T::Mean::DTYPE))
    }

    /// The correlations of the rows of a matrix of real numbers, whose columns are observations.
    #[track_caller]
    #[must_use]
    pub fn corrcoef(&self) -> Array<T::Mean> {
        Array::of(statistics::corrcoef(Call::new("corrcoef"), &self.handle, T::Mean::DTYPE))
    }

    /// The mean of the `order`-th powers of the distances from the mean.
    ///
    /// # Cost
    /// The array is needed twice, for the mean and for the distances from it.
    #[track_caller]
    #[must_use]
    pub fn moment(&self, order: u32, axes: impl Into<Axes>) -> Array<T::Mean> {
        let (call, out) = (Call::new("moment"), T::Mean::DTYPE);
        Array::of(statistics::moment(call, &self.handle, order, &axes.into(), out))
    }
}

/// Arrays one above the other, along the first of at least two axes.
#[track_caller]
pub fn vstack<T: Element>(arrays: &[Array<T>]) -> Array<T> {
    Array::of(joins::stack_along(Call::new("vstack"), &handles(arrays), 2, 0))
}

/// Arrays side by side: along the second axis, or along the first if there is only one.
#[track_caller]
pub fn hstack<T: Element>(arrays: &[Array<T>]) -> Array<T> {
    Array::of(joins::stack_along(Call::new("hstack"), &handles(arrays), 1, 1))
}

/// Arrays one behind the other, along the third of at least three axes.
#[track_caller]
pub fn dstack<T: Element>(arrays: &[Array<T>]) -> Array<T> {
    Array::of(joins::stack_along(Call::new("dstack"), &handles(arrays), 3, 2))
}

/// Rows of arrays put together like the blocks of a matrix: each row along the last axis, the rows along
/// the one before.
///
/// # Example
/// ```
/// use dask_rs::prelude::*;
/// let (a, b): (Array<i32>, Array<i32>) = (array::ones([2, 2], -1), array::zeros([2, 1], -1));
/// let x = array::block(&[vec![a.clone(), b.clone()], vec![b, a]]);
/// assert_eq!(x.shape()?, [4, 3]);
/// # Ok::<(), Error>(())
/// ```
#[track_caller]
pub fn block<T: Element>(rows: &[Vec<Array<T>>]) -> Array<T> {
    let rows: Vec<_> = rows.iter().map(|row| handles(row)).collect();
    Array::of(joins::block(Call::new("block"), &rows))
}

/// A matrix with the elements of a vector on its `k`-th diagonal and zeros elsewhere.
///
/// # Example
/// ```
/// use dask_rs::prelude::*;
/// let x = array::diag(&array::arange(1, 3, 1, [1]), 1);
/// assert_eq!(x.compute()?, ndarray::arr2(&[[0, 1, 0], [0, 0, 2], [0, 0, 0]]).into_dyn());
/// # Ok::<(), Error>(())
/// ```
#[track_caller]
pub fn diag<T: Element>(vector: &Array<T>, k: i64) -> Array<T> {
    Array::of(triangles::diagonal_matrix(Call::new("diag"), &vector.handle, k))
}

/// For each of some vectors, an array over the product of all of them that varies along one axis.
///
/// # Example
/// ```
/// use dask_rs::prelude::*;
/// use dask_rs::array::Indexing;
/// let x = [array::arange(0, 2, 1, -1), array::arange(0, 3, 1, -1)];
/// let grid = array::meshgrid(&x, Indexing::Ij);
/// assert_eq!(grid[1].compute()?, ndarray::arr2(&[[0, 1, 2], [0, 1, 2]]).into_dyn());
/// # Ok::<(), Error>(())
/// ```
#[track_caller]
pub fn meshgrid<T: Element>(vectors: &[Array<T>], indexing: grids::Indexing) -> Vec<Array<T>> {
    let grids = grids::meshgrid(Call::new("meshgrid"), &handles(vectors), indexing);
    grids.into_iter().map(Array::of).collect()
}

/// The index of each element of an array of `shape` along each axis, one axis after another along a new
/// first axis.
#[track_caller]
pub fn indices(
    shape: impl Into<Shape>,
    chunks: impl Into<super::super::chunks::ChunkSpec>,
) -> Array<i64> {
    Array::of(grids::indices(Call::new("indices"), &shape.into(), &chunks.into()))
}

/// The arrays in chunks that fit each other, as elementwise operations on them would make them.
#[track_caller]
pub fn unify_chunks<T: Element>(arrays: &[Array<T>]) -> Vec<Array<T>> {
    let unified = grids::unify_chunks(Call::new("unify_chunks"), &handles(arrays));
    unified.into_iter().map(Array::of).collect()
}

/// The arrays repeated along axes of length 1 and new leading ones, so that all have one shape, as in arithmetic.
///
/// # Errors
/// Carried: [`Error::ShapeMismatch`](crate::Error::ShapeMismatch), [`Error::UnknownChunks`](crate::Error::UnknownChunks).
///
/// # Example
/// ```
/// use dask_rs::prelude::*;
/// let column = array::arange(0, 2, 1, [2]).expand_dims(1);
/// let both = array::broadcast_arrays(&[column, array::arange(0, 3, 1, [2])]);
/// assert_eq!(both[0].compute()?, ndarray::arr2(&[[0, 0, 0], [1, 1, 1]]).into_dyn());
/// assert_eq!(both[1].shape()?, [2, 3]);
/// # Ok::<(), Error>(())
/// ```
#[track_caller]
pub fn broadcast_arrays<T: Element>(arrays: &[Array<T>]) -> Vec<Array<T>> {
    let arrays = grids::broadcast_arrays(Call::new("broadcast_arrays"), &handles(arrays));
    arrays.into_iter().map(Array::of).collect()
}

fn handles<T: Element>(arrays: &[Array<T>]) -> Vec<&Handle> {
    arrays.iter().map(|array| &array.handle).collect()
}
