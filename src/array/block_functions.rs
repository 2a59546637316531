//! Functions of blocks that users bring along: of several arrays at once, and reductions of their own.

use std::sync::Arc;

use ndarray::{ArcArray, ArrayD, ArrayViewD, IxDyn};

use super::chunk::Chunk;
use super::dtype::Element;
use super::expr::Handle;
use super::handle::Array;
use super::kernels::map_blocks::{BlockInfo, of_blocks};
use super::kernels::own_reduction::Functions;
use super::ops::map_blocks::map_blocks_of;
use super::ops::reductions::{Over, own_reduction};
use crate::error::Call;
use crate::graph::Block;

/// Two to six arrays, of any element types, whose blocks a function gets together: a tuple of references.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no tuple of references to arrays",
    note = "write `(&x, &y)`; a single array has a method `map_blocks`"
)]
pub trait Arrays {
    /// The element types.
    type Elements: Elements;

    #[doc(hidden)]
    fn list(&self) -> ArrayList;
}

/// The element types of two to six arrays, as a tuple.
pub trait Elements: 'static {
    /// A view of a block of each array.
    type Blocks<'b>;

    #[doc(hidden)]
    fn views(blocks: &BlockList) -> Self::Blocks<'_>;
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
        }
    )*};
}

tuples! {
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
    (A 0, B 1, C 2, D 3, E 4)
    (A 0, B 1, C 2, D 3, E 4, F 5)
}

/// `function` of the blocks that several arrays have at one place. Arrays broadcast as in arithmetic, and so do their blocks:
/// the function gets views of one shape, and returns a block of that shape.
///
/// For functions that need whole axes, or make others, there is [`apply_gufunc`](super::apply_gufunc); of a single array,
/// [`Array::map_blocks`].
///
/// # Shape and chunks
/// Those of a sum of the arrays.
///
/// # Cost
/// One task a block. What the function allocates beside its result is not counted.
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
    /// One pass, and partial results for a few blocks at a time. They count to the memory limit and wait on disk if need be; what
    /// the functions allocate beside them is not counted. Results have the same bits for the same chunks.
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
}
