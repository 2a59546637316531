//! Functions that make arrays.

use std::sync::Arc;

use ndarray::IxDyn;

use super::args::{AxisRef, Shape};
use super::chunks::ChunkSpec;
use super::dtype::Element;
use super::handle::{Array, DynArray};
use super::io::Source;
use super::kernels::Scalar;
use super::operators::Operand;
use super::ops::elementwise::select;
use super::ops::{creation, joins, map_blocks, scalar};
use crate::error::Call;

/// The number 1 as an element.
fn one<T: Element>() -> Scalar {
    Scalar::from(1_i64).cast(T::DTYPE)
}

/// Zeros.
///
/// # Cost
/// None: constants are part of whatever is computed from them.
///
/// # Errors
/// Carried, of this and the other functions that create: [`Error::InvalidChunks`](crate::Error::InvalidChunks),
/// [`Error::InvalidArgument`](crate::Error::InvalidArgument) for a negative or too large shape.
#[track_caller]
pub fn zeros<T: Element>(shape: impl Into<Shape>, chunks: impl Into<ChunkSpec>) -> Array<T> {
    let value = scalar(T::default());
    Array::of(creation::full(Call::new("zeros"), value, &shape.into(), &chunks.into()))
}

/// Ones. `chunks` are lengths per axis, `-1` for a whole axis, `"auto"`, or bytes such as `"64 MiB"`.
///
/// # Example
/// ```
/// use dask_rs::prelude::*;
/// let a: ndarray::ArrayD<f64> =
///     array::ones([2, 3, 4, 5, 6], [2, 2, 2, 2, 2]).reshape([6, 2, 2, 30, 1]).compute()?;
/// assert_eq!(a.sum(), 720.0);
/// # Ok::<(), Error>(())
/// ```
#[track_caller]
pub fn ones<T: Element>(shape: impl Into<Shape>, chunks: impl Into<ChunkSpec>) -> Array<T> {
    Array::of(creation::full(Call::new("ones"), one::<T>(), &shape.into(), &chunks.into()))
}

/// The same value everywhere.
#[track_caller]
pub fn full<T: Element>(
    shape: impl Into<Shape>,
    value: T,
    chunks: impl Into<ChunkSpec>,
) -> Array<T> {
    Array::of(creation::full(Call::new("full"), scalar(value), &shape.into(), &chunks.into()))
}

/// An array whose values do not matter, for code that comes from NumPy; they are zeros.
#[track_caller]
pub fn empty<T: Element>(shape: impl Into<Shape>, chunks: impl Into<ChunkSpec>) -> Array<T> {
    let value = scalar(T::default());
    Array::of(creation::full(Call::new("empty"), value, &shape.into(), &chunks.into()))
}

/// Zeros in the shape and chunks of another array.
#[track_caller]
pub fn zeros_like<T: Element>(like: &Array<T>) -> Array<T> {
    Array::of(creation::full_like(Call::new("zeros_like"), scalar(T::default()), &like.handle))
}

/// Ones in the shape and chunks of another array.
#[track_caller]
pub fn ones_like<T: Element>(like: &Array<T>) -> Array<T> {
    Array::of(creation::full_like(Call::new("ones_like"), one::<T>(), &like.handle))
}

/// The same value everywhere, in the shape and chunks of another array, which is computed only if its
/// lengths are unknown.
#[track_caller]
pub fn full_like<T: Element>(like: &Array<T>, value: T) -> Array<T> {
    Array::of(creation::full_like(Call::new("full_like"), scalar(value), &like.handle))
}

/// `start + i * step` for as many `i` as stay before `stop`.
#[track_caller]
pub fn arange<T: Element>(start: T, stop: T, step: T, chunks: impl Into<ChunkSpec>) -> Array<T> {
    let range = [start, stop, step].map(scalar);
    Array::of(creation::arange(Call::new("arange"), range, &chunks.into()))
}

/// `n` numbers at equal distances from `start` to `stop`, both included.
#[track_caller]
pub fn linspace<T: Element>(start: T, stop: T, n: u64, chunks: impl Into<ChunkSpec>) -> Array<T> {
    let ends = [start, stop].map(scalar);
    Array::of(creation::linspace(Call::new("linspace"), ends, n, &chunks.into()))
}

/// Ones on the `k`-th diagonal of an `n` × `m` matrix, zeros elsewhere.
#[track_caller]
pub fn eye<T: Element>(n: u64, m: u64, k: i64, chunks: impl Into<ChunkSpec>) -> Array<T> {
    Array::of(creation::eye(Call::new("eye"), T::DTYPE, n, m, k, &chunks.into()))
}

/// An array of ndarray, cut into chunks. An owned standard array is not copied, and no chunk is ever.
///
/// # Example
/// ```
/// use dask_rs::prelude::*;
/// let x = array::from_ndarray(ndarray::arr2(&[[1, 2, 3], [4, 5, 6]]), [1, 2]);
/// assert_eq!(x.sum(1).compute()?, ndarray::arr1(&[6_i64, 15]).into_dyn());
/// # Ok::<(), Error>(())
/// ```
#[track_caller]
pub fn from_ndarray<T: Element, D: ndarray::Dimension>(
    data: ndarray::Array<T, D>,
    chunks: impl Into<ChunkSpec>,
) -> Array<T> {
    let shared = data.into_dyn().into_shared();
    Array::of(creation::from_shared(Call::new("from_ndarray"), shared, &chunks.into()))
}

/// An array whose elements are `function` of their index.
///
/// # Cost
/// A call of the function for each element.
///
/// # Example
/// ```
/// use dask_rs::prelude::*;
/// let x = array::from_fn([3, 4], [2, 2], |index| (10 * index[0] + index[1]) as i64);
/// assert_eq!(x.slice(s![2, 3]).compute()?[[]], 23);
/// # Ok::<(), Error>(())
/// ```
#[track_caller]
pub fn from_fn<T: Element>(
    shape: impl Into<Shape>,
    chunks: impl Into<ChunkSpec>,
    function: impl Fn(&[u64]) -> T + Send + Sync + 'static,
) -> Array<T> {
    let call = Call::new("from_fn");
    // The blocks of a constant say where each block lies and how large it is.
    let frame = creation::full(call, Scalar::from(false), &shape.into(), &chunks.into());
    let of_block = move |frame: ndarray::ArrayViewD<'_, bool>, info: &super::BlockInfo| {
        let start = info.start.clone().unwrap_or_default();
        let mut index = start.clone();
        ndarray::ArrayD::from_shape_fn(IxDyn(frame.shape()), |local| {
            for (axis, index) in index.iter_mut().enumerate() {
                *index = start[axis] + local[axis] as u64;
            }
            function(&index)
        })
    };
    Array::of(map_blocks::map_blocks::<bool, T>(call, &frame, None, of_block))
}

/// An array in storage of any kind; `chunks` of `"auto"` are multiples of the storage's own.
#[track_caller]
pub fn from_source(source: Arc<dyn Source>, chunks: impl Into<ChunkSpec>) -> DynArray {
    let (call, dtype) = (Call::new("from_source"), source.dtype());
    DynArray::of(creation::from_source(call, source, dtype, &chunks.into()))
}

/// Arrays one after another along an axis that they have.
///
/// # Errors
/// Carried: [`Error::ShapeMismatch`](crate::Error::ShapeMismatch) unless all other axes have the same lengths.
#[track_caller]
pub fn concatenate<T: Element>(arrays: &[Array<T>], axis: impl Into<AxisRef>) -> Array<T> {
    let handles: Vec<_> = arrays.iter().map(|array| &array.handle).collect();
    Array::of(joins::concatenate(Call::new("concatenate"), &handles, &axis.into()))
}

/// Arrays of one shape one after another along a new axis.
#[track_caller]
pub fn stack<T: Element>(arrays: &[Array<T>], axis: impl Into<AxisRef>) -> Array<T> {
    let handles: Vec<_> = arrays.iter().map(|array| &array.handle).collect();
    Array::of(joins::stack(Call::new("stack"), &handles, &axis.into()))
}

/// `then` where `cond` holds and `other` elsewhere, element by element.
///
/// # Example
/// ```
/// use dask_rs::prelude::*;
/// let x = array::arange(-2., 3., 1., [2]);
/// let relu = array::where_(&x.gt(0.0), &x, 0.0);
/// assert_eq!(relu.compute()?, ndarray::arr1(&[0., 0., 0., 1., 2.]).into_dyn());
/// # Ok::<(), Error>(())
/// ```
#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "an operand may be a number or a reference")]
pub fn where_<T: Element>(
    cond: &Array<bool>,
    then: impl Operand<T>,
    other: impl Operand<T>,
) -> Array<T> {
    let call = Call::new("where_");
    Array::of(select(call, &cond.handle, &then.term(call).0, &other.term(call).0))
}
