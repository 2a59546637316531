//! Functions of blocks that users bring along: of several arrays at once, and reductions of their own.

use std::sync::Arc;

use ndarray::{ArcArray, ArrayD, ArrayViewD, IxDyn};

use super::args::AxisRef;
use super::chunk::Chunk;
use super::dtype::Element;
use super::expr::Handle;
use super::handle::Array;
use super::kernels::map_blocks::BlockFunction;
use super::kernels::map_blocks::{BlockInfo, of_blocks};
use super::kernels::own_reduction::Functions;
use super::ops::map_blocks::{blockwise_of, map_blocks_of, with_scratch_bytes};
use super::ops::reductions::{Over, own_reduction};
use super::ops::scans::own_scan;
use crate::error::Call;
use crate::graph::Block;

/// One to six arrays, of any element types, whose blocks a function gets together: a tuple of references.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no tuple of references to arrays",
    note = "write `(&x, &y)`, or `(&x,)` for a single array"
)]
pub trait Arrays {
    /// The element types.
    type Elements: Elements;

    #[doc(hidden)]
    fn list(&self) -> ArrayList;
}

/// The element types of one to six arrays, as a tuple.
pub trait Elements: 'static {
    /// A view of a block of each array.
    type Blocks<'b>;

    /// Which all have the shape to which they broadcast.
    #[doc(hidden)]
    fn views(blocks: &BlockList) -> Self::Blocks<'_>;

    /// Which have their own shapes.
    #[doc(hidden)]
    fn own_views(blocks: &BlockList) -> Self::Blocks<'_>;
}

/// Arrays of any element types.
#[doc(hidden)]
#[derive(Debug)]
pub struct ArrayList(Vec<Handle>);

/// A block of each array.
#[doc(hidden)]
#[derive(Debug)]
pub struct BlockList(Vec<Block>);

impl BlockList {
    fn data<T: Element>(&self, i: usize) -> &ArcArray<T, IxDyn> {
        let chunk = self.0[i].downcast_ref::<Chunk<T>>();
        chunk.expect("the plan gave this input the dtype of its array").data()
    }

    fn view<T: Element>(&self, i: usize, shape: &[usize]) -> ArrayViewD<'_, T> {
        self.data(i).broadcast(IxDyn(shape)).expect("the plan made the chunks fit")
    }
}

/// The shape to which those of some blocks broadcast.
fn together(shapes: &[&[usize]]) -> Vec<usize> {
    let ndim = shapes.iter().map(|shape| shape.len()).max().unwrap_or(0);
    let mut out = vec![1; ndim];
    for shape in shapes {
        let last = out[ndim - shape.len()..].iter_mut();
        last.zip(*shape).filter(|(_, len)| **len != 1).for_each(|(out, len)| *out = *len);
    }
    out
}

macro_rules! tuples {
    ($(($($t:ident $i:tt),*))*) => {$(
        impl<$($t: Element),*> Arrays for ($(&Array<$t>,)*) {
            type Elements = ($($t,)*);

            fn list(&self) -> ArrayList {
                ArrayList(vec![$(self.$i.handle.clone()),*])
            }
        }

        impl<$($t: Element),*> Elements for ($($t,)*) {
            type Blocks<'b> = ($(ArrayViewD<'b, $t>,)*);

            fn views(blocks: &BlockList) -> Self::Blocks<'_> {
                let shape = together(&[$(blocks.data::<$t>($i).shape()),*]);
                ($(blocks.view::<$t>($i, &shape),)*)
            }

            fn own_views(blocks: &BlockList) -> Self::Blocks<'_> {
                ($(blocks.data::<$t>($i).view(),)*)
            }
        }
    )*};
}

tuples! {
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
    (A 0, B 1, C 2, D 3, E 4)
    (A 0, B 1, C 2, D 3, E 4, F 5)
}

/// `function` of the blocks that several arrays have at one place. Arrays broadcast as in arithmetic, and so do their blocks:
/// the function gets views of one shape, and returns a block of that shape.
///
/// For functions that need whole axes, or make others, there are [`apply_gufunc`](super::apply_gufunc) and [`blockwise`]; of a
/// single array, [`Array::map_blocks`].
///
/// # Shape and chunks
/// Those of a sum of the arrays.
///
/// # Cost
/// One task a block. What the function allocates beside its result is counted as far as
/// [`with_scratch_bytes`](Array::with_scratch_bytes) says it.
///
/// # Errors
/// Carried: as of arithmetic. Of `compute`: as [`Array::map_blocks`].
///
/// # Example
/// ```
/// use dask_rs::prelude::*;
/// let x = array::arange(0.0, 6.0, 1.0, [4]);
/// let is_wanted = x.gt(3.0);
/// let y = array::map_blocks((&x, &is_wanted), |(x, is_wanted), _| {
///     let mut y = x.to_owned();
///     y.zip_mut_with(&is_wanted, |y, &is_wanted| *y = if is_wanted { *y } else { -1.0 });
///     y
/// });
/// assert_eq!(y.compute()?, ndarray::arr1(&[-1.0, -1.0, -1.0, -1.0, 4.0, 5.0]).into_dyn());
/// # Ok::<(), Error>(())
/// ```
///
/// # Source
/// Dask's `map_blocks` of several arrays.
#[track_caller]
#[must_use]
#[expect(
    clippy::needless_pass_by_value,
    reason = "a tuple of references is written where it is used"
)]
pub fn map_blocks<A: Arrays, U: Element>(
    arrays: A,
    function: impl for<'b> Fn(<A::Elements as Elements>::Blocks<'b>, &BlockInfo) -> ArrayD<U>
    + Send
    + Sync
    + 'static,
) -> Array<U> {
    let call = Call::new("map_blocks");
    Array::of(of_elements::<A::Elements, U>(call, &arrays.list(), function))
}

/// `function` of the blocks of some arrays whose axes have letters: `"ij,j->i"` is a function of a matrix and a vector that
/// makes a vector. Axes of one letter are cut alike, and the function gets the blocks that have the same place along each, in
/// their own shapes. An axis of length 1 goes with one of any length.
///
/// # Shape and chunks
/// Along letters of the arrays, theirs; those that are not in the result are put into one chunk, so the function gets them
/// whole. `chunks` has the lengths of blocks along letters that no array has, or where the function returns other lengths
/// than it gets: then one for each block.
///
/// # Cost
/// One task for each block of the result. What the function allocates beside its result is counted as far as
/// [`with_scratch_bytes`](Array::with_scratch_bytes) says it.
///
/// # Errors
/// Carried: [`Error::InvalidArgument`](crate::Error::InvalidArgument) for subscripts or chunks that do not fit the arrays,
/// [`Error::ShapeMismatch`](crate::Error::ShapeMismatch) for axes of one letter and two lengths, [`Error::UnknownChunks`](crate::Error::UnknownChunks). Of `compute`: as
/// [`Array::map_blocks`].
///
/// # Example
/// Which of some points is the nearest one, for each place:
/// ```
/// use dask_rs::prelude::*;
/// use ndarray::{ArrayView1, Axis};
/// let places = array::arange(0.0, 8.0, 1.0, [4]).reshape([4, 2]);
/// let points = array::from_ndarray(ndarray::arr2(&[[6.0, 6.0], [0.0, 0.0]]), [1, 2]);
/// let nearest = array::blockwise("ix,px->i", (&places, &points), &[], |(places, points), _| {
///     places.map_axis(Axis(1), |place: ArrayView1<'_, f64>| {
///         let distances = points.outer_iter().map(|point| (&point - &place).mapv(|x| x * x).sum());
///         distances.enumerate().fold((0, f64::MAX), |a, b| if b.1 < a.1 { b } else { a }).0 as i64
///     })
/// });
/// assert_eq!(nearest.compute()?, ndarray::arr1(&[1_i64, 1, 0, 0]).into_dyn());
/// # Ok::<(), Error>(())
/// ```
///
/// # Source
/// Dask's `blockwise`, with `concatenate=True`.
#[track_caller]
#[must_use]
#[expect(
    clippy::needless_pass_by_value,
    reason = "a tuple of references is written where it is used"
)]
pub fn blockwise<A: Arrays, U: Element>(
    subscripts: &str,
    arrays: A,
    chunks: &[(char, Vec<u64>)],
    function: impl for<'b> Fn(<A::Elements as Elements>::Blocks<'b>, &BlockInfo) -> ArrayD<U>
    + Send
    + Sync
    + 'static,
) -> Array<U> {
    let call = Call::new("blockwise");
    let arrays = arrays.list();
    let arrays: Vec<&Handle> = arrays.0.iter().collect();
    let function = of_own_shapes::<A::Elements, U>(function);
    Array::of(blockwise_of::<U>(call, subscripts, &arrays, chunks, function))
}

fn of_own_shapes<E: Elements, U: Element>(
    function: impl for<'b> Fn(E::Blocks<'b>, &BlockInfo) -> ArrayD<U> + Send + Sync + 'static,
) -> Arc<dyn BlockFunction> {
    of_blocks(move |blocks, info| function(E::own_views(&BlockList(blocks)), info))
}

/// Without the types of the references, which do not live as long as a plan.
fn of_elements<E: Elements, U: Element>(
    call: Call,
    arrays: &ArrayList,
    function: impl for<'b> Fn(E::Blocks<'b>, &BlockInfo) -> ArrayD<U> + Send + Sync + 'static,
) -> Handle {
    let arrays: Vec<&Handle> = arrays.0.iter().collect();
    let function = of_blocks(move |blocks, info| function(E::views(&BlockList(blocks)), info));
    map_blocks_of::<U>(call, &arrays, function)
}

impl<T: Element> Array<T> {
    /// A reduction of your own, in a tree: `chunk` makes partial results of a block, `combine` one of two neighbouring ones, in
    /// the order of their blocks, and `finish` the result. A partial result is a list of arrays, each with the shape of the
    /// block but for a length of 1 along the reduced axes, whose numbers `chunk` gets too.
    ///
    /// # Shape and chunks
    /// As of [`sum`](Self::sum); with `keepdims`, and as many blocks for each combining task as `split_every` says.
    ///
    /// # Cost
    /// One pass, and partial results for a few blocks at a time. They count to the memory limit and wait on disk if need be;
    /// what the functions allocate beside them is not counted. Results have the same bits for the same chunks.
    ///
    /// # Errors
    /// Carried: as of [`sum`](Self::sum). Of `compute`: [`Error::TaskPanicked`](crate::Error::TaskPanicked) if a function
    /// panics, [`Error::TaskFailed`](crate::Error::TaskFailed) if it returns other shapes.
    ///
    /// # Example
    /// The logarithm of a sum of exponentials, which would overflow:
    /// ```
    /// use dask_rs::prelude::*;
    /// use ndarray::{ArrayD, ArrayViewD};
    /// let x = array::from_ndarray(ndarray::arr1(&[1000.0, 999.0, 1001.0, -5.0]), [2]);
    /// let largest = |x: &ArrayViewD<'_, f64>| x.fold(f64::MIN, |a, &b| a.max(b));
    /// let y = x.reduction(
    ///     0,
    ///     move |x: ArrayViewD<'_, f64>, _: &[usize]| {
    ///         let largest = largest(&x);
    ///         let sum = x.mapv(|x| (x - largest).exp()).sum();
    ///         [largest, sum].map(|value| ArrayD::from_elem(vec![1], value))
    ///     },
    ///     |[max_a, sum_a], [max_b, sum_b]| {
    ///         let max = max_a[[0]].max(max_b[[0]]);
    ///         let sum = sum_a[[0]] * (max_a[[0]] - max).exp() + sum_b[[0]] * (max_b[[0]] - max).exp();
    ///         [max, sum].map(|value| ArrayD::from_elem(vec![1], value))
    ///     },
    ///     |[max, sum]| sum.mapv(f64::ln) + max,
    /// );
    /// assert!((y.compute()?[[]] - 1001.4076).abs() < 1e-4);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Source
    /// Dask's `reduction`.
    #[track_caller]
    #[must_use]
    pub fn reduction<P: Element, U: Element, const N: usize>(
        &self,
        over: impl Into<Over>,
        chunk: impl Fn(ArrayViewD<'_, T>, &[usize]) -> [ArrayD<P>; N] + Send + Sync + 'static,
        combine: impl Fn([ArrayViewD<'_, P>; N], [ArrayViewD<'_, P>; N]) -> [ArrayD<P>; N]
        + Send
        + Sync
        + 'static,
        finish: impl Fn([ArrayViewD<'_, P>; N]) -> ArrayD<U> + Send + Sync + 'static,
    ) -> Array<U> {
        let functions = Functions {
            chunk: Box::new(chunk),
            combine: Box::new(combine),
            finish: Box::new(finish),
        };
        let call = Call::new("reduction");
        Array::of(own_reduction(call, &self.handle, &over.into(), &Arc::new(functions)))
    }

    /// Says that each task of the function that made this array allocates up to so many bytes besides the blocks that it
    /// gets and the one that it returns, such as for copies and transforms. Tasks wait until their bytes fit into the memory
    /// limit; a graph with a task that never can is refused.
    ///
    /// It is for the result of `map_blocks`, [`map_overlap`](Self::map_overlap), [`apply_gufunc`](super::apply_gufunc) or
    /// [`blockwise`] itself. Of several results of one function, say the same of each. A function that computes arrays
    /// gives that computation the same limit: [`Config::with_memory_limit`](crate::Config::with_memory_limit).
    ///
    /// # Errors
    /// Carried: [`Error::InvalidArgument`](crate::Error::InvalidArgument) for the result of something else. Of `compute`:
    /// [`Error::OverBudget`](crate::Error::OverBudget).
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// let x: Array<f64> = array::ones([1000, 1000], [500, 500]);
    /// let sorted = x.map_blocks(|x, _| {
    ///     let mut all: Vec<f64> = x.iter().copied().collect();
    ///     all.sort_by(f64::total_cmp);
    ///     ndarray::ArrayD::from_shape_vec(x.raw_dim(), all).unwrap()
    /// });
    /// // Sorting takes a buffer of half the length.
    /// let sorted = sorted.with_scratch_bytes(500 * 500 * 8 / 2);
    /// assert_eq!(sorted.sum(..).compute()?[[]], 1e6);
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn with_scratch_bytes(&self, bytes: u64) -> Self {
        Array::of(with_scratch_bytes(Call::new("with_scratch_bytes"), &self.handle, bytes))
    }

    /// A cumulative function of your own along an axis: `scan` makes a block cumulative along the axis whose number it gets,
    /// and `combine` puts what stands before, of length 1 along the axis, into all elements of what it has made.
    ///
    /// Combining has to be associative: what stands before blocks is found in a tree, as for [`cumsum`](Self::cumsum).
    ///
    /// # Shape and chunks
    /// As the array's.
    ///
    /// # Cost
    /// `scan` is called twice for each block but those of an axis that is not cut. What functions allocate beside their
    /// results is not counted.
    ///
    /// # Errors
    /// Carried: [`Error::InvalidAxis`](crate::Error::InvalidAxis), [`Error::UnknownChunks`](crate::Error::UnknownChunks). Of
    /// `compute`: [`Error::TaskPanicked`](crate::Error::TaskPanicked) if a function
    /// panics, [`Error::TaskFailed`](crate::Error::TaskFailed) if it returns other shapes.
    ///
    /// # Example
    /// Sums of logarithms that would overflow without them:
    /// ```
    /// use dask_rs::prelude::*;
    /// use ndarray::{ArrayViewD, Axis, Zip};
    /// let add = |a: f64, b: f64| a.max(b) + (-(a - b).abs()).exp().ln_1p();
    /// let x = array::from_ndarray(ndarray::arr1(&[1000.0, 999.0, 1001.0, -5.0]), [2]);
    /// let sums = x.cumreduction(
    ///     0,
    ///     move |x: ArrayViewD<'_, f64>, axis| {
    ///         let mut sums = x.to_owned();
    ///         sums.accumulate_axis_inplace(Axis(axis), |&before, x| *x = add(before, *x));
    ///         sums
    ///     },
    ///     move |before, sums| Zip::from(&sums).and_broadcast(&before).map_collect(|x, b| add(*b, *x)),
    /// );
    /// assert!((sums.compute()?[[3]] - 1001.4076).abs() < 1e-4);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Source
    /// Dask's `cumreduction`; the tree is Blelloch's.
    #[track_caller]
    #[must_use]
    pub fn cumreduction<U: Element>(
        &self,
        axis: impl Into<AxisRef>,
        scan: impl Fn(ArrayViewD<'_, T>, usize) -> ArrayD<U> + Send + Sync + 'static,
        combine: impl Fn(ArrayViewD<'_, U>, ArrayViewD<'_, U>) -> ArrayD<U> + Send + Sync + 'static,
    ) -> Array<U> {
        let call = Call::new("cumreduction");
        Array::of(own_scan(call, &self.handle, &axis.into(), scan, combine))
    }
}
