//! The handles that users hold.

mod composed;
mod groups;
mod orders;
mod rearrange;
mod select;
mod sketches;
mod statistics;

use std::fmt;
use std::marker::PhantomData;
use std::panic::Location;
use std::path::Path;
use std::sync::Arc;

use ndarray::{ArrayD, ArrayViewD};

pub use groups::AxisGroups;
pub use orders::{Fractions, bins};
pub use rearrange::{
    block, broadcast_arrays, diag, dstack, hstack, indices, meshgrid, unify_chunks, vstack,
};
pub use select::Side;
pub use statistics::{TTest, histogram2d, histogramdd, ttest_ind, ttest_rel};

use super::any::AnyArray;
use super::args::{Axes, AxisRef, Shape};
use super::chunks::{ChunkSpec, Chunks};
use super::collect::{Assemble, Keep, Measure};
use super::dtype::{DType, Element, dispatch};
use super::expr::{DimNames, Handle, dim_names_of};
use super::kernels::map_blocks::BlockInfo;
use super::kernels::{BinaryOp, ReduceKind, UnaryOp};
use super::operators::Operand;
use super::ops::elementwise::Term;
use super::ops::indexing::IndexArg;
use super::ops::reductions::Over;
use super::ops::{
    elementwise, indexing, linalg, manipulation, map_blocks, rechunk, reductions, scalar,
};
use crate::compute::{Collection, Collector, Session};
use crate::config::Config;
use crate::error::{Call, Error, Result};
use crate::explain::Explain;

/// A lazy chunked N-d array with elements of type `T`.
///
/// A handle on an expression, cheap to clone. Operations give new handles at once, whatever the number
/// of chunks; nothing is read or computed before [`compute`](Self::compute) or
/// [`persist`](Self::persist). A wrong step (shapes that do not fit, an axis that is not there)
/// gives a handle that carries the error with the line that made it; `compute`, `persist`,
/// [`check`](Self::check) and every accessor return it.
///
/// # Example
/// ```
/// use dask_rs::prelude::*;
/// let x: Array<f64> = array::ones([4, 6], [2, 3]);
/// let y = (&x + &x.transpose().reshape([4, 6])).sum(0);
/// assert_eq!(y.compute()?, ndarray::arr1(&[8.0; 6]).into_dyn());
/// # Ok::<(), Error>(())
/// ```
pub struct Array<T: Element> {
    pub(crate) handle: Handle,
    element: PhantomData<fn() -> T>,
}

impl<T: Element> Clone for Array<T> {
    fn clone(&self) -> Self {
        Array { handle: self.handle.clone(), element: PhantomData }
    }
}

/// A lazy chunked N-d array whose element type is known only at run time, as of a file.
///
/// [`cast_to`](Self::cast_to) makes a typed [`Array`] of it.
#[derive(Clone)]
pub struct DynArray {
    pub(crate) handle: Handle,
}

/// Methods that need not know the element type.
macro_rules! untyped_methods {
    ($($generics:tt)*) => {
        /// The error that the handle carries, if a step of its chain was wrong.
        ///
        /// # Errors
        /// That error.
        pub fn check(&self) -> Result<()> {
            self.handle.node().map(|_| ())
        }

        /// The length of each axis.
        ///
        /// # Errors
        /// The error that the handle carries; [`Error::UnknownChunks`] if a length is not known.
        #[track_caller]
        pub fn shape(&self) -> Result<Vec<u64>> {
            self.handle.node()?.known_shape(Call::new("shape"))
        }

        /// The chunks of each axis.
        ///
        /// # Errors
        /// The error that the handle carries.
        pub fn chunks(&self) -> Result<Chunks> {
            Ok(self.handle.node()?.meta.chunks.clone())
        }

        /// Number of chunks along each axis.
        ///
        /// # Errors
        /// The error that the handle carries.
        pub fn grid(&self) -> Result<Vec<u64>> {
            Ok(self.handle.node()?.meta.chunks.grid())
        }

        /// Number of dimensions.
        ///
        /// # Errors
        /// The error that the handle carries.
        pub fn ndim(&self) -> Result<usize> {
            Ok(self.handle.node()?.ndim())
        }

        /// The element type.
        ///
        /// # Errors
        /// The error that the handle carries.
        pub fn dtype(&self) -> Result<DType> {
            Ok(self.handle.node()?.meta.dtype)
        }

        /// Bytes of all elements.
        ///
        /// # Errors
        /// The error that the handle carries; [`Error::UnknownChunks`] if a length is not known.
        #[track_caller]
        pub fn nbytes(&self) -> Result<u64> {
            let call = Call::new("nbytes");
            let node = self.handle.node()?;
            node.known_shape(call)?;
            Ok(node.meta.nbytes().unwrap_or(u64::MAX))
        }

        /// The number of elements.
        ///
        /// # Errors
        /// The error that the handle carries; [`Error::UnknownChunks`] if a length is not known.
        #[track_caller]
        pub fn size(&self) -> Result<u64> {
            let shape = self.handle.node()?.known_shape(Call::new("size"))?;
            Ok(shape.into_iter().fold(1, u64::saturating_mul))
        }

        /// One block, by its index in the [`grid`](Self::grid) of chunks: a part that costs a block and no more.
        ///
        /// # Errors
        /// Carried: [`Error::InvalidArgument`] unless there is an index for each axis,
        /// [`Error::IndexOutOfBounds`], and [`Error::UnknownChunks`].
        ///
        /// # Example
        /// ```
        /// use dask_rs::prelude::*;
        /// let x = array::arange(0, 10, 1, [4]);
        /// assert_eq!(x.block(1).compute()?, ndarray::arr1(&[4, 5, 6, 7]).into_dyn());
        /// assert_eq!(x.block(-1).shape()?, [2]);
        /// # Ok::<(), Error>(())
        /// ```
        ///
        /// # Source
        /// Dask's `Array.blocks`.
        #[track_caller]
        #[must_use]
        pub fn block(&self, index: impl Into<Shape>) -> Self {
            self.like(indexing::block(Call::new("block"), &self.handle, &index.into()))
        }

        /// The names of the dimensions, if they have names; of one without, beside others, an empty text.
        ///
        /// # Errors
        /// The error that the handle carries.
        pub fn dim_names(&self) -> Result<Option<Vec<String>>> {
            let names = self.handle.node()?.dim_names();
            Ok(names.map(|names| names.iter().map(|name| name.to_string()).collect()))
        }

        /// The same array with names for its dimensions, by which axes can be given from then on.
        ///
        /// # Errors
        /// Carried: [`Error::InvalidArgument`] if there is not one name for each dimension.
        #[track_caller]
        #[must_use]
        pub fn with_dim_names<N: AsRef<str>>(&self, names: impl IntoIterator<Item = N>) -> Self {
            let names: DimNames = names.into_iter().map(|name| name.as_ref().into()).collect();
            self.like(with_dim_names(Call::new("with_dim_names"), &self.handle, &names))
        }

        /// The selected part: what ndarray's `s![]` says, or a list of [`Index`](super::Index).
        ///
        /// With `s![]`, ranges have ndarray's meaning (a negative step walks the range from its end);
        /// with `Index`, NumPy's. Integers drop their axis, new axes have length 1.
        ///
        /// # Cost
        /// The slice moves towards the sources, so that only touched chunks are read and computed.
        ///
        /// # Errors
        /// Carried: [`Error::IndexOutOfBounds`], [`Error::UnknownChunks`] for a cut through an
        /// axis of unknown length, [`Error::InvalidArgument`] for too many entries.
        ///
        /// # Example
        /// ```
        /// use dask_rs::prelude::*;
        /// let x = array::arange(0_i64, 20, 1, [6]).reshape([4, 5]);
        /// assert_eq!(x.slice(s![1..3, -1]).compute()?, ndarray::arr1(&[9, 14]).into_dyn());
        /// # Ok::<(), Error>(())
        /// ```
        #[track_caller]
        #[must_use]
        pub fn slice(&self, index: impl IndexArg) -> Self {
            self.like(indexing::slice(Call::new("slice"), &self.handle, &index.entries()))
        }

        /// The same elements in C order under another shape, of which one length may be `-1`.
        ///
        /// # Shape and chunks
        /// Every legal shape is possible. Chunks are planned so that blocks do not outgrow the largest
        /// block of the input or the chunk size; where axes have to be merged and split, the
        /// array is rechunked on the way.
        ///
        /// # Errors
        /// Carried: [`Error::ShapeMismatch`], [`Error::InvalidArgument`], [`Error::UnknownChunks`].
        ///
        /// # Source
        /// Dask `reshape_rechunk`; shapes that Dask refuses go through their merged product.
        #[track_caller]
        #[must_use]
        pub fn reshape(&self, shape: impl Into<Shape>) -> Self {
            self.like(manipulation::reshape(Call::new("reshape"), &self.handle, &shape.into()))
        }

        /// All elements in C order along one axis: `reshape(-1)`.
        #[track_caller]
        #[must_use]
        pub fn ravel(&self) -> Self {
            self.like(manipulation::reshape(Call::new("ravel"), &self.handle, &Shape::from(-1)))
        }

        /// The axes in reverse order. A view: nothing is copied.
        #[track_caller]
        #[must_use]
        pub fn transpose(&self) -> Self {
            self.like(manipulation::transpose(Call::new("transpose"), &self.handle, None))
        }

        /// The axes in the given order.
        ///
        /// # Errors
        /// Carried: [`Error::InvalidAxis`], [`Error::InvalidArgument`] unless each axis is there once.
        #[track_caller]
        #[must_use]
        pub fn permute_axes(&self, axes: impl Into<Axes>) -> Self {
            let axes = axes.into();
            let call = Call::new("permute_axes");
            self.like(manipulation::transpose(call, &self.handle, Some(&axes)))
        }

        /// Two axes in each other's place.
        #[track_caller]
        #[must_use]
        pub fn swapaxes(&self, a: impl Into<AxisRef>, b: impl Into<AxisRef>) -> Self {
            let call = Call::new("swapaxes");
            self.like(manipulation::swapaxes(call, &self.handle, &a.into(), &b.into()))
        }

        /// Some axes at other places of the result; the others keep their order.
        #[track_caller]
        #[must_use]
        pub fn moveaxis(&self, from: impl Into<Axes>, to: impl Into<Axes>) -> Self {
            let call = Call::new("moveaxis");
            self.like(manipulation::moveaxis(call, &self.handle, &from.into(), &to.into()))
        }

        /// Without axes of length 1: those given, or all of them (`..`).
        #[track_caller]
        #[must_use]
        pub fn squeeze(&self, axes: impl Into<Axes>) -> Self {
            self.like(manipulation::squeeze(Call::new("squeeze"), &self.handle, &axes.into()))
        }

        /// With new axes of length 1 at the given places of the result.
        #[track_caller]
        #[must_use]
        pub fn expand_dims(&self, axes: impl Into<Axes>) -> Self {
            self.like(manipulation::expand_dims(
                Call::new("expand_dims"),
                &self.handle,
                &axes.into(),
            ))
        }

        /// The elements in reverse order along the given axes, or along all (`..`).
        #[track_caller]
        #[must_use]
        pub fn flip(&self, axes: impl Into<Axes>) -> Self {
            self.like(manipulation::flip(Call::new("flip"), &self.handle, &axes.into()))
        }

        /// The array repeated along new leading axes and axes of length 1, up to `shape`.
        ///
        /// # Errors
        /// Carried: [`Error::ShapeMismatch`] unless every axis has the wanted length or length 1.
        #[track_caller]
        #[must_use]
        pub fn broadcast_to(&self, shape: impl Into<Shape>) -> Self {
            let call = Call::new("broadcast_to");
            self.like(manipulation::broadcast_to(call, &self.handle, &shape.into()))
        }

        /// The same values in other chunks: lengths per axis, `-1` for a whole axis, `"auto"`, bytes such
        /// as `"64 MiB"`, lists of lengths; for some axes only, dimension names with these (`[("time", -1)]`), or
        /// [`ChunkSpec::axes`].
        ///
        /// # Cost
        /// Moves into creation and reads where it can. Otherwise each new block is assembled from
        /// the old ones that it overlaps, in stages if one would need too many pieces, or more than
        /// half of the memory limit for one block. What does not fit waits on disk between stages.
        ///
        /// # Errors
        /// Carried: [`Error::InvalidChunks`], [`Error::UnknownChunks`], [`Error::InvalidAxis`].
        ///
        /// # Example
        /// ```
        /// use dask_rs::prelude::*;
        /// let maps = array::zeros::<f32>([365, 180, 360], [1, 180, 360]).with_dim_names(["time", "lat", "lon"]);
        /// let series = maps.rechunk([("time", -1), ("lat", 20), ("lon", 20)]);
        /// assert_eq!(series.grid()?, [1, 9, 18]);
        /// # Ok::<(), Error>(())
        /// ```
        ///
        /// # Source
        /// Dask `plan_rechunk`; Rechunker `multistage_rechunking_plan` where memory is short.
        #[track_caller]
        #[must_use]
        pub fn rechunk(&self, chunks: impl Into<ChunkSpec>) -> Self {
            self.like(rechunk::rechunk(Call::new("rechunk"), &self.handle, &chunks.into()))
        }

        /// What would be done to compute the array, and with how much memory; see
        /// [`dask_rs::explain`](crate::explain()).
        ///
        /// # Errors
        /// The error that the handle carries.
        #[track_caller]
        pub fn explain(&self) -> Result<Explain> {
            crate::explain(self)
        }

        /// Draws the layers of tasks that would run into a file, `.svg` or `.dot`; see
        /// [`dask_rs::visualize`](crate::visualize()).
        ///
        /// # Errors
        /// The error that the handle carries; [`Error::InvalidArgument`] for another kind of file;
        /// [`Error::Io`].
        #[track_caller]
        pub fn visualize(&self, path: impl AsRef<Path>) -> Result<()> {
            crate::visualize(self, path)
        }

        /// Draws every task that would run into a file, `.svg` or `.dot`, in the colours of their order;
        /// see [`dask_rs::visualize_tasks`](crate::visualize_tasks()).
        ///
        /// # Errors
        /// As [`visualize`](Self::visualize), and [`Error::InvalidArgument`] for more than 500 tasks.
        #[track_caller]
        pub fn visualize_tasks(&self, path: impl AsRef<Path>) -> Result<()> {
            crate::visualize_tasks(self, path)
        }

        /// Computes the chunks and keeps them: an array that is like this one, but done.
        ///
        /// Half of the memory limit may be used for what is kept, by all persisted arrays and frames together; runs
        /// get the rest. Chunks that come when it is used up are written to the
        /// [spill directory](crate::Config::with_spill_directory), and read from there by each run that needs them. What is
        /// kept goes with the last array that is made of it.
        ///
        /// # Errors
        /// As `compute`; if a chunk can't be written, [`Error::TaskFailed`](crate::Error::TaskFailed), of which
        /// [`Error::Spill`](crate::Error::Spill) or [`Error::SpillLimit`](crate::Error::SpillLimit) is the source.
        #[track_caller]
        pub fn persist(&self) -> Result<Self> {
            let call = Call::new("persist");
            let node = self.handle.node()?;
            let keep = Arc::new(Keep::new(node, &Config::current()?));
            let mut session = Session::default();
            session.add_array(Arc::clone(node), Arc::clone(&keep) as Arc<dyn Collector>);
            session.run(call)?;
            Ok(self.like(Handle::from_result(keep.finish(node))))
        }

        /// Computes the chunks once to learn their lengths: the same array, with lengths that are known.
        ///
        /// # Cost
        /// Everything is computed, and nothing is kept but the lengths; [`persist`](Self::persist) first
        /// to keep the chunks as well. If all lengths are known, nothing is computed.
        ///
        /// # Errors
        /// As `compute`.
        #[track_caller]
        pub fn compute_chunk_sizes(&self) -> Result<Self> {
            let call = Call::new("compute_chunk_sizes");
            let node = self.handle.node()?;
            if node.meta.chunks.first_unknown().is_none() {
                return Ok(self.clone());
            }
            let measure = Arc::new(Measure::new(node));
            let mut session = Session::default();
            session.add_array(Arc::clone(node), Arc::clone(&measure) as Arc<dyn Collector>);
            session.run(call)?;
            Ok(self.like(Handle::from_result(measure.finish(node))))
        }
    };
}

impl<T: Element> Array<T> {
    /// The array of a step that the caller of the caller has made.
    #[track_caller]
    pub(crate) fn of(handle: Handle) -> Self {
        Array { handle: handle.made_at(Location::caller()), element: PhantomData }
    }

    #[track_caller]
    fn like(&self, handle: Handle) -> Self {
        Array::of(handle)
    }

    untyped_methods!();

    /// Computes all elements, in parallel and inside the memory limit.
    ///
    /// To compute several arrays that share work, use [`dask_rs::compute`](crate::compute()).
    ///
    /// # Cost
    /// The result is memory of the caller and not counted against the limit; blocks are copied into it
    /// as soon as they are done.
    ///
    /// # Errors
    /// The error that the handle carries; [`Error::OverBudget`] if one task does not fit into the
    /// memory limit; [`Error::TaskFailed`] and [`Error::TaskPanicked`].
    #[track_caller]
    pub fn compute(&self) -> Result<ArrayD<T>> {
        crate::compute(self)
    }

    /// The array with its element type known only at run time.
    #[must_use]
    pub fn to_dyn(&self) -> DynArray {
        DynArray { handle: self.handle.clone() }
    }

    /// The same values as another element type, converted as NumPy's `astype` does.
    #[track_caller]
    #[must_use]
    pub fn cast<U: Element>(&self) -> Array<U> {
        Array::of(elementwise::cast(Call::new("cast"), &self.handle, U::DTYPE))
    }

    /// The values, but none below `min` or above `max`; NaN stays NaN.
    #[track_caller]
    #[must_use]
    pub fn clip(&self, min: impl Into<Option<T>>, max: impl Into<Option<T>>) -> Self {
        let bound = |bound: Option<T>| bound.map(scalar);
        let (min, max) = (bound(min.into()), bound(max.into()));
        Array::of(elementwise::clip(Call::new("clip"), &self.handle, min, max))
    }

    /// `function` of each block, with the same shape and chunks as this array.
    ///
    /// # Cost
    /// One task a block. The block that the function gets is counted, and the one that it returns; what
    /// it allocates beside them as far as [`with_scratch_bytes`](Self::with_scratch_bytes) says it.
    ///
    /// # Errors
    /// Of `compute`: [`Error::TaskPanicked`] if the function panics, [`Error::TaskFailed`] if it
    /// returns another shape.
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// let x = array::arange(0., 6., 1., [2]);
    /// let y: Array<f64> = x.map_blocks(|block, _| block.mapv(|v| v * v));
    /// assert_eq!(y.sum(..).compute()?[[]], 55.0);
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn map_blocks<U: Element>(
        &self,
        function: impl Fn(ArrayViewD<'_, T>, &BlockInfo) -> ArrayD<U> + Send + Sync + 'static,
    ) -> Array<U> {
        let call = Call::new("map_blocks");
        Array::of(map_blocks::map_blocks(call, &self.handle, None, function))
    }

    /// `function` of each block, of which the results have other lengths, declared as the `chunks` of the
    /// result: one block for each block of this array, in lists of lengths. Axes of one block may come and go.
    ///
    /// # Errors
    /// Carried: [`Error::InvalidChunks`] for another number of blocks along an axis that has several. Of `compute`: as
    /// [`map_blocks`](Self::map_blocks).
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// let x = array::arange(0.0, 12.0, 1.0, [12]).reshape([4, 3]).rechunk([2, 3]);
    /// let ends = x.map_blocks_with_chunks(&[vec![2, 2]], |block, _| {
    ///     (&block.slice(s![.., 0]) + &block.slice(s![.., 2])).into_dyn()
    /// });
    /// assert_eq!(ends.compute()?, ndarray::arr1(&[2.0, 8.0, 14.0, 20.0]).into_dyn());
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn map_blocks_with_chunks<U: Element>(
        &self,
        chunks: &[Vec<u64>],
        function: impl Fn(ArrayViewD<'_, T>, &BlockInfo) -> ArrayD<U> + Send + Sync + 'static,
    ) -> Array<U> {
        let call = Call::new("map_blocks_with_chunks");
        let declared: Option<Chunks> =
            chunks.iter().map(|sizes| super::chunks::AxisChunks::from_sizes(sizes)).collect();
        let handle = match declared {
            Some(declared) => map_blocks::map_blocks(call, &self.handle, Some(declared), function),
            None => Handle::from_result(Err(Error::InvalidChunks {
                call,
                got: format!("{chunks:?}"),
                shape: Vec::new(),
                problem: "each axis needs at least one block",
            })),
        };
        Array::of(handle)
    }

    /// The product of arrays as in NumPy's `dot`: the last axis of this with the last but one of `other`.
    #[track_caller]
    #[must_use]
    pub fn dot(&self, other: &Array<T>) -> Self {
        Array::of(linalg::dot(Call::new("dot"), &self.handle, &other.handle))
    }

    /// The product of matrices or vectors; of stacks of matrices if there are more dimensions, whose
    /// leading axes broadcast.
    ///
    /// # Cost
    /// One task for each pair of blocks and a tree of sums; memory follows the chunks and not the
    /// contracted length.
    #[track_caller]
    #[must_use]
    pub fn matmul(&self, other: &Array<T>) -> Self {
        Array::of(linalg::matmul(Call::new("matmul"), &self.handle, &other.handle))
    }

    /// The sum of products over pairs of axes; free axes of this array come first.
    #[track_caller]
    #[must_use]
    pub fn tensordot(
        &self,
        other: &Array<T>,
        axes: impl Into<Axes>,
        other_axes: impl Into<Axes>,
    ) -> Self {
        let call = Call::new("tensordot");
        let (axes, other_axes) = (axes.into(), other_axes.into());
        Array::of(linalg::tensordot(call, &self.handle, &other.handle, &axes, &other_axes))
    }
}

/// Reductions: `name, kind, result, documentation`.
macro_rules! reductions {
    ($($(#[$doc:meta])* $name:ident $nan_name:ident $kind:ident $out:ty;)*) => {
        /// Reductions, over axes given as numbers, names, lists, `..` for all, or [`over`](super::over)
        /// with options. Computed as a tree that the chunks alone determine, so that results have the
        /// same bits however many threads run it. The `nan` versions skip NaN.
        impl<T: Element> Array<T> {
            $(
                $(#[$doc])*
                #[track_caller]
                #[must_use]
                pub fn $name(&self, over: impl Into<Over>) -> Array<$out> {
                    let call = Call::new(stringify!($name));
                    let kind = ReduceKind::$kind;
                    Array::of(reductions::reduce(call, &self.handle, kind, false, &over.into()))
                }

                $(#[$doc])*
                ///
                /// NaN is skipped.
                #[track_caller]
                #[must_use]
                pub fn $nan_name(&self, over: impl Into<Over>) -> Array<$out> {
                    let call = Call::new(stringify!($nan_name));
                    let kind = ReduceKind::$kind;
                    Array::of(reductions::reduce(call, &self.handle, kind, true, &over.into()))
                }
            )*
        }
    };
}

reductions! {
    /// The sum; integers are summed as 64 bits and wrap.
    sum nansum Sum T::Sum;
    /// The product; integers are multiplied as 64 bits and wrap.
    prod nanprod Prod T::Sum;
    /// The mean; of no elements it is NaN.
    mean nanmean Mean T::Mean;
    /// The variance, from means and sums of squared distances that are merged pairwise (Chan et al.).
    var nanvar Var T::Spread;
    /// The standard deviation, the root of the variance.
    std nanstd Std T::Spread;
    /// The smallest element; NaN if there is one. An axis without elements is an error.
    min nanmin Min T;
    /// The largest element; NaN if there is one. An axis without elements is an error.
    max nanmax Max T;
    /// The position of the first smallest element, over one axis or all in C order.
    argmin nanargmin ArgMin i64;
    /// The position of the first largest element, over one axis or all in C order.
    argmax nanargmax ArgMax i64;
}

/// Reductions that know no NaN.
impl<T: Element> Array<T> {
    /// Whether any element is not zero.
    #[track_caller]
    #[must_use]
    pub fn any(&self, over: impl Into<Over>) -> Array<bool> {
        let call = Call::new("any");
        Array::of(reductions::reduce(call, &self.handle, ReduceKind::Any, false, &over.into()))
    }

    /// Whether no element is zero.
    #[track_caller]
    #[must_use]
    pub fn all(&self, over: impl Into<Over>) -> Array<bool> {
        let call = Call::new("all");
        Array::of(reductions::reduce(call, &self.handle, ReduceKind::All, false, &over.into()))
    }

    /// How many elements are not zero.
    #[track_caller]
    #[must_use]
    pub fn count_nonzero(&self, over: impl Into<Over>) -> Array<i64> {
        let call = Call::new("count_nonzero");
        let kind = ReduceKind::CountNonzero;
        Array::of(reductions::reduce(call, &self.handle, kind, false, &over.into()))
    }
}

/// Functions of one element: `name operation`, grouped by what they give.
macro_rules! unary_methods {
    ($($(#[$doc:meta])* $name:ident $op:ident $how:ident $out:ty;)*) => {
        /// Elementwise functions with the meaning of NumPy's functions of the same name. Functions that
        /// exist for floats take integers as `f64`.
        impl<T: Element> Array<T> {
            $(
                $(#[$doc])*
                #[track_caller]
                #[must_use]
                pub fn $name(&self) -> Array<$out> {
                    Array::of(elementwise::$how(
                        Call::new(stringify!($name)),
                        UnaryOp::$op,
                        &self.handle,
                    ))
                }
            )*
        }
    };
}

unary_methods! {
    /// The magnitude; of a complex number it is real.
    abs Abs unary T::Real;
    /// -1, 0 or 1; a complex number divided by its magnitude.
    sign Sign unary T;
    /// The value times itself.
    square Square unary T;
    /// One divided by the value.
    reciprocal Reciprocal unary_float T::Mean;
    /// The square root.
    sqrt Sqrt unary_float T::Mean;
    /// The cube root.
    cbrt Cbrt unary_float T::Mean;
    /// The exponential function.
    exp Exp unary_float T::Mean;
    /// Two to the power of the value.
    exp2 Exp2 unary_float T::Mean;
    /// `exp(x) - 1`, exact near 0.
    expm1 Expm1 unary_float T::Mean;
    /// The natural logarithm.
    ln Log unary_float T::Mean;
    /// The logarithm of base 2.
    log2 Log2 unary_float T::Mean;
    /// The logarithm of base 10.
    log10 Log10 unary_float T::Mean;
    /// `ln(1 + x)`, exact near 0.
    log1p Log1p unary_float T::Mean;
    /// The sine of an angle in radians.
    sin Sin unary_float T::Mean;
    /// The cosine of an angle in radians.
    cos Cos unary_float T::Mean;
    /// The tangent of an angle in radians.
    tan Tan unary_float T::Mean;
    /// The angle of a sine.
    arcsin Arcsin unary_float T::Mean;
    /// The angle of a cosine.
    arccos Arccos unary_float T::Mean;
    /// The angle of a tangent.
    arctan Arctan unary_float T::Mean;
    /// The hyperbolic sine.
    sinh Sinh unary_float T::Mean;
    /// The hyperbolic cosine.
    cosh Cosh unary_float T::Mean;
    /// The hyperbolic tangent.
    tanh Tanh unary_float T::Mean;
    /// The inverse of the hyperbolic sine.
    arcsinh Arcsinh unary_float T::Mean;
    /// The inverse of the hyperbolic cosine.
    arccosh Arccosh unary_float T::Mean;
    /// The inverse of the hyperbolic tangent.
    arctanh Arctanh unary_float T::Mean;
    /// The largest integer that is not larger.
    floor Floor unary T;
    /// The smallest integer that is not smaller.
    ceil Ceil unary T;
    /// The integer part.
    trunc Trunc unary T;
    /// The integer nearest in the direction of zero.
    fix Fix unary T;
    /// The nearest integer; halves go to the even one.
    rint Rint unary_float T::Mean;
    /// Whether the value is NaN.
    isnan IsNan unary bool;
    /// Whether the value is infinite.
    isinf IsInf unary bool;
    /// Whether the value is neither NaN nor infinite.
    isfinite IsFinite unary bool;
    /// Whether the sign bit is set.
    signbit SignBit unary_float bool;
    /// The complex conjugate.
    conj Conj unary T;
    /// The real part.
    real Real unary T::Real;
    /// The imaginary part.
    imag Imag unary T::Real;
    /// The angle of a complex number in radians.
    angle Angle unary_float T::Spread;
    /// Degrees as radians.
    deg2rad Deg2Rad unary_float T::Mean;
    /// Radians as degrees.
    rad2deg Rad2Deg unary_float T::Mean;
    /// Whether the value is zero.
    logical_not LogicalNot unary bool;
}

/// Functions of two elements.
macro_rules! binary_methods {
    ($($(#[$doc:meta])* $name:ident $op:ident $out:ty;)*) => {
        /// Elementwise functions of this array and another: an [`Array`], an ndarray, or a number.
        /// Shapes broadcast as in NumPy, and chunks are made to fit.
        impl<T: Element> Array<T> {
            $(
                $(#[$doc])*
                #[track_caller]
                #[must_use]
                pub fn $name(&self, other: impl Operand<T>) -> Array<$out> {
                    let call = Call::new(stringify!($name));
                    let this = Term::Array(self.handle.clone());
                    Array::of(elementwise::binary(call, BinaryOp::$op, &this, &other.term(call).0))
                }
            )*
        }
    };
}

binary_methods! {
    /// Whether the elements are equal.
    eq Eq bool;
    /// Whether the elements differ.
    ne Ne bool;
    /// Whether this is less than the other.
    lt Lt bool;
    /// Whether this is at most the other.
    le Le bool;
    /// Whether this is greater than the other.
    gt Gt bool;
    /// Whether this is at least the other.
    ge Ge bool;
    /// The larger of the two; NaN if one of them is.
    maximum Maximum T;
    /// The smaller of the two; NaN if one of them is.
    minimum Minimum T;
    /// The larger of the two, where NaN loses.
    fmax Fmax T;
    /// The smaller of the two, where NaN loses.
    fmin Fmin T;
    /// This to the power of the other.
    pow Pow T;
    /// The quotient rounded toward minus infinity; 0 for integers divided by 0.
    floor_div FloorDiv T;
    /// What C's remainder gives: the sign of this array.
    fmod Fmod T;
    /// The angle of the point (other, this).
    arctan2 Arctan2 T;
    /// The length of the hypotenuse.
    hypot Hypot T;
    /// This magnitude with the other's sign.
    copysign Copysign T;
    /// `ln(exp(this) + exp(other))`.
    logaddexp Logaddexp T;
    /// Whether both are not zero.
    logical_and LogicalAnd bool;
    /// Whether one is not zero.
    logical_or LogicalOr bool;
    /// Whether exactly one is not zero.
    logical_xor LogicalXor bool;
}

impl DynArray {
    /// The array of a step that the caller of the caller has made.
    #[track_caller]
    pub(crate) fn of(handle: Handle) -> Self {
        DynArray { handle: handle.made_at(Location::caller()) }
    }

    #[track_caller]
    fn like(&self, handle: Handle) -> Self {
        DynArray::of(handle)
    }

    untyped_methods!();

    /// Computes all elements; see [`Array::compute`].
    ///
    /// # Errors
    /// As [`Array::compute`].
    #[track_caller]
    pub fn compute(&self) -> Result<AnyArray> {
        crate::compute(self)
    }

    /// The array with elements of type `T`, which must be what it holds.
    ///
    /// # Errors
    /// Carried: [`Error::DTypeMismatch`] if it holds other elements.
    #[track_caller]
    #[must_use]
    pub fn cast_to<T: Element>(&self) -> Array<T> {
        let call = Call::new("cast_to");
        Array::of(self.handle.then(|node| {
            if node.meta.dtype == T::DTYPE {
                return Ok(Arc::clone(node));
            }
            Err(super::ops::unsupported(call, node.meta.dtype, T::DTYPE.name()))
        }))
    }

    /// The same values converted to elements of type `T`, as NumPy's `astype` does.
    #[track_caller]
    #[must_use]
    pub fn cast<T: Element>(&self) -> Array<T> {
        Array::of(elementwise::cast(Call::new("cast"), &self.handle, T::DTYPE))
    }
}

fn with_dim_names(call: Call, handle: &Handle, names: &DimNames) -> Handle {
    handle.then(|node| {
        if names.len() != node.ndim() {
            return Err(Error::InvalidArgument {
                call,
                argument: "names",
                got: format!("{} names for {} dimensions", names.len(), node.ndim()),
                expected: "one name for each dimension",
            });
        }
        Ok(node.with_note(dim_names_of(names.iter().cloned().map(Some))))
    })
}

/// The result of an [`Array`] that is being computed.
#[doc(hidden)]
pub struct PendingArray<T: Element>(Arc<Assemble<T>>);

impl<T: Element> fmt::Debug for PendingArray<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PendingArray")
    }
}

impl<T: Element> Collection for Array<T> {
    type Output = ArrayD<T>;
    type Pending = PendingArray<T>;

    #[track_caller]
    fn enlist(&self, session: &mut Session) -> Result<Self::Pending> {
        let node = self.handle.node()?;
        let assemble = Arc::new(Assemble::new(Call::new("compute"), node.meta.chunks.clone()));
        session.add_array(Arc::clone(node), Arc::clone(&assemble) as Arc<dyn Collector>);
        Ok(PendingArray(assemble))
    }

    fn collect(pending: Self::Pending) -> Result<Self::Output> {
        Assemble::finish(pending.0)
    }
}

/// Takes a result whose element type was erased.
type TakeAny = Box<dyn FnOnce() -> Result<AnyArray>>;

/// The result of a [`DynArray`] that is being computed.
#[doc(hidden)]
pub struct PendingAny(TakeAny);

impl fmt::Debug for PendingAny {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PendingAny")
    }
}

impl Collection for DynArray {
    type Output = AnyArray;
    type Pending = PendingAny;

    #[track_caller]
    fn enlist(&self, session: &mut Session) -> Result<Self::Pending> {
        dispatch!(self.handle.node()?.meta.dtype, T => {
            let pending = Array::<T>::of(self.handle.clone()).enlist(session)?;
            Ok(PendingAny(Box::new(move || Assemble::finish(pending.0).map(AnyArray::from))))
        })
    }

    fn collect(pending: Self::Pending) -> Result<Self::Output> {
        (pending.0)()
    }
}

impl<T: Element> fmt::Display for Array<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.handle, f)
    }
}

impl<T: Element> fmt::Debug for Array<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.handle, f)
    }
}

impl fmt::Display for DynArray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.handle, f)
    }
}

impl fmt::Debug for DynArray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.handle, f)
    }
}
