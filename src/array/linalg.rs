//! Linear algebra of matrices in chunks, with the names of NumPy's and Dask's `linalg`.
//!
//! Long or wide matrices are factored block by block ([`qr`], [`svd`], [`lstsq`]), large ones from their products with
//! few random vectors ([`svd_compressed`]), square ones by panels of columns ([`solve`], [`lu`], [`cholesky`]).
//! Memory follows the chunks. Integers are taken as `f64`.

use super::args::AxisRef;
use super::dtype::Element;
use super::handle::Array;
use super::kernels::linalg::eliminate::Triangle;
pub use super::ops::linalg::Norm;
use super::ops::linalg::{self as ops, Sketch};
use super::ops::reductions::Over;
use crate::error::Call;

/// A matrix as the product of one with orthonormal columns and an upper triangular one, which have as many columns
/// and rows as the shorter axis is long.
///
/// # Shape and chunks
/// `m` by `n` becomes `m` by `k` and `k` by `n`. A matrix that is not wider than long needs its columns in one chunk,
/// a wide one the rows; it is rechunked to that, and the other axis cut so that blocks do not grow. The triangle
/// is one block, or one row of blocks.
///
/// # Cost
/// Each block is factored once, and their triangles in a tree of as many levels as it takes for a block to hold them.
/// Where only the triangle is computed, nothing as long as the matrix is kept; otherwise the reflections
/// of each block wait, on disk if need be, until the tree is done.
///
/// # Errors
/// Carried: [`Error::InvalidArgument`](crate::Error::InvalidArgument) if it is no matrix. Of `compute`:
/// [`Error::InvalidMatrix`](crate::Error::InvalidMatrix) for elements that are not finite.
///
/// # Example
/// ```
/// use dask_rs::prelude::*;
/// use dask_rs::array::linalg;
/// let x = array::from_fn([100, 3], [20, 3], |i| 1.0 / (1 + i[0] + i[1]) as f64);
/// let (q, r) = linalg::qr(&x);
/// assert!((q.matmul(&r) - &x).abs().max(..).compute()?[[]] < 1e-12);
/// # Ok::<(), Error>(())
/// ```
///
/// # Source
/// Benson, Gleich, Demmel, "Direct QR factorizations for tall-and-skinny matrices in MapReduce architectures" (2013).
#[track_caller]
#[must_use]
pub fn qr<T: Element>(x: &Array<T>) -> (Array<T::Mean>, Array<T::Mean>) {
    let [q, r] = ops::qr(Call::new("qr"), &x.handle);
    (Array::of(q), Array::of(r))
}

/// Left singular vectors as columns, singular values, and right singular vectors as conjugate rows.
pub type Svd<T> =
    (Array<<T as Element>::Mean>, Array<<T as Element>::Spread>, Array<<T as Element>::Mean>);

/// A permutation, a lower and an upper triangle.
pub type Lu<T> =
    (Array<<T as Element>::Mean>, Array<<T as Element>::Mean>, Array<<T as Element>::Mean>);

/// The singular values of a matrix in descending order, between its left singular vectors as columns and the right ones
/// as conjugate rows, as many as the shorter axis is long.
///
/// The elements of no right vector add up to a negative number, so that signs do not depend on chunks; of a vector whose
/// elements add up to 0, the rounding of the sum decides.
///
/// # Shape and chunks
/// As [`qr`], of which it is made: a matrix that is long or wide, with the shorter axis in one chunk.
///
/// # Errors
/// As [`qr`].
///
/// # Example
/// ```
/// use dask_rs::prelude::*;
/// use dask_rs::array::linalg;
/// let x = array::from_fn([50, 2], [20, 2], |i| (i[0] + i[1]) as f64);
/// let (u, s, v) = linalg::svd(&x);
/// let again = (u * s).matmul(&v);
/// assert!((again - &x).abs().max(..).compute()?[[]] < 1e-10);
/// # Ok::<(), Error>(())
/// ```
#[track_caller]
#[must_use]
pub fn svd<T: Element>(x: &Array<T>) -> Svd<T> {
    let [u, s, v] = ops::svd(Call::new("svd"), &x.handle);
    (Array::of(u), Array::of(s), Array::of(v))
}

/// How [`svd_compressed`] looks for singular vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Compressed {
    n_power_iter: usize,
    n_oversamples: u64,
    seed: u64,
}

impl Default for Compressed {
    fn default() -> Self {
        Compressed { n_power_iter: 0, n_oversamples: 10, seed: 0 }
    }
}

impl Compressed {
    /// How often the matrix is applied again, and its adjoint: each time the small singular values count for less, for
    /// two more passes over the matrix. 0 if not said.
    pub fn n_power_iter(mut self, n: usize) -> Self {
        self.n_power_iter = n;
        self
    }

    /// How many vectors are looked for beyond those that are wanted, 10 if not said.
    pub fn n_oversamples(mut self, n: u64) -> Self {
        self.n_oversamples = n;
        self
    }

    /// The seed of the random vectors, 0 if not said.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }
}

/// The `k` largest singular values of a matrix and their vectors, approximately.
///
/// They are exact if the matrix has no more than about `k` of them that are not zero; otherwise
/// [`n_power_iter`](Compressed::n_power_iter) makes them better.
///
/// # Shape and chunks
/// Any chunks along both axes. Results are `m` by `k`, `k`, and `k` by `n`.
///
/// # Cost
/// `2 + 2 · n_power_iter` passes over the matrix, of which no more is kept than blocks on their way. A matrix that is not
/// read from storage but computed is kept for the next pass, on disk if need be, or `persist` it.
///
/// # Errors
/// Carried: [`Error::InvalidArgument`](crate::Error::InvalidArgument) for a `k` beyond the shorter axis. Otherwise as [`qr`].
///
/// # Example
/// ```
/// use dask_rs::prelude::*;
/// use dask_rs::array::linalg::{Compressed, svd_compressed};
/// let x = array::from_fn([60, 40], [20, 20], |i| ((i[0] + 1) * (i[1] + 2)) as f64);
/// let (_, s, _) = svd_compressed(&x, 1, Compressed::default());
/// let all = x.square().sum(..).sqrt().compute()?[[]];
/// assert!((s.compute()?[[0]] - all).abs() < 1e-9 * all);
/// # Ok::<(), Error>(())
/// ```
///
/// # Source
/// Halko, Martinsson, Tropp, "Finding structure with randomness" (2011).
#[track_caller]
#[must_use]
pub fn svd_compressed<T: Element>(x: &Array<T>, k: u64, how: Compressed) -> Svd<T> {
    let Compressed { n_power_iter, n_oversamples, seed } = how;
    let how = Sketch { n_power_iter, n_oversamples, seed };
    let [u, s, v] = ops::svd_compressed(Call::new("svd_compressed"), &x.handle, k, how);
    (Array::of(u), Array::of(s), Array::of(v))
}

/// What [`lstsq`] finds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LeastSquares<T: Element> {
    /// The solution: a vector, or a column for each right-hand side.
    pub x: Array<T::Mean>,
    /// For each right-hand side, the sum of the squares of what is left.
    pub residuals: Array<T::Spread>,
    /// How many singular values of the matrix do not count as zero.
    pub rank: Array<i64>,
    /// The singular values of the matrix.
    pub singular_values: Array<T::Spread>,
}

/// The `x` for which `a·x` is nearest to `b`, and of these, if the rank is too low, the shortest.
///
/// Singular values below `rcond` times the largest count as zeros; machine precision times the longer axis if not said.
///
/// # Cost
/// One pass over `a` and `b`, in blocks of rows, whatever of the results is computed.
///
/// # Errors
/// Carried: [`Error::ShapeMismatch`](crate::Error::ShapeMismatch). Otherwise as [`qr`].
///
/// # Example
/// ```
/// use dask_rs::prelude::*;
/// use dask_rs::array::linalg::lstsq;
/// let t: Array<f64> = array::arange(0.0, 100.0, 1.0, 30);
/// let a = array::stack(&[t.clone(), array::ones_like(&t)], 1);
/// let line = lstsq(&a, &(t * 2.0 + 1.0), None).x.compute()?;
/// assert!((line[[0]] - 2.0).abs() < 1e-9 && (line[[1]] - 1.0).abs() < 1e-9);
/// # Ok::<(), Error>(())
/// ```
#[track_caller]
#[must_use]
pub fn lstsq<T: Element>(
    a: &Array<T>,
    b: &Array<T>,
    rcond: impl Into<Option<f64>>,
) -> LeastSquares<T> {
    let call = Call::new("lstsq");
    let [x, residuals, rank, s] = ops::lstsq(call, &a.handle, &b.handle, rcond.into());
    LeastSquares {
        x: Array::of(x),
        residuals: Array::of(residuals),
        rank: Array::of(rank),
        singular_values: Array::of(s),
    }
}

/// The `x` for which `a·x` is `b`: a vector, or a column for each of several right-hand sides.
///
/// # Shape and chunks
/// `a` is square. It is factored in panels of whole columns, as wide as the largest of its blocks has elements for, or
/// the chunk size; the result has the chunks of `a`'s columns.
///
/// # Cost
/// A task for each pair of panels; rows are exchanged as in a matrix of one block.
///
/// # Errors
/// Carried: [`Error::ShapeMismatch`](crate::Error::ShapeMismatch). Of `compute`:
/// [`Error::InvalidMatrix`](crate::Error::InvalidMatrix) if it is singular, with the column.
///
/// # Example
/// ```
/// use dask_rs::prelude::*;
/// use dask_rs::array::linalg::solve;
/// let a = array::from_fn([6, 6], [2, 2], |i| if i[0] == i[1] { 4.0 } else { 1.0 });
/// let x = solve(&a, &array::full([6], 9.0, [2])).compute()?;
/// assert!(x.iter().all(|x: &f64| (x - 1.0).abs() < 1e-12));
/// # Ok::<(), Error>(())
/// ```
#[track_caller]
#[must_use]
pub fn solve<T: Element>(a: &Array<T>, b: &Array<T>) -> Array<T::Mean> {
    Array::of(ops::solve(Call::new("solve"), &a.handle, &b.handle))
}

/// As [`solve`], of one triangle of `a`: the lower one, or the upper one. What stands in the other is not read.
#[track_caller]
#[must_use]
pub fn solve_triangular<T: Element>(a: &Array<T>, b: &Array<T>, is_lower: bool) -> Array<T::Mean> {
    let triangle = Triangle { is_lower, is_unit: false };
    let call = Call::new("solve_triangular");
    Array::of(ops::solve_triangular(call, &a.handle, &b.handle, triangle))
}

/// The inverse of a square matrix. To apply it, [`solve`] is quicker and more exact.
///
/// # Errors
/// As [`solve`].
#[track_caller]
#[must_use]
pub fn inv<T: Element>(x: &Array<T>) -> Array<T::Mean> {
    Array::of(ops::inv(Call::new("inv"), &x.handle))
}

/// A permutation, a lower triangle with ones on its diagonal and an upper triangle, of which a square matrix is the
/// product.
///
/// # Shape and chunks
/// As the matrix; it is factored as in [`solve`].
///
/// # Errors
/// As [`solve`].
#[track_caller]
#[must_use]
pub fn lu<T: Element>(x: &Array<T>) -> Lu<T> {
    let [p, l, u] = ops::lu(Call::new("lu"), &x.handle);
    (Array::of(p), Array::of(l), Array::of(u))
}

/// The lower triangle of which a positive definite matrix is the product with its own adjoint. Only the lower triangle of
/// the matrix is read.
///
/// # Shape and chunks
/// As the matrix; it is factored as in [`solve`].
///
/// # Errors
/// Of `compute`: [`Error::InvalidMatrix`](crate::Error::InvalidMatrix) if it is not positive definite, with the column.
///
/// # Example
/// ```
/// use dask_rs::prelude::*;
/// use dask_rs::array::linalg::cholesky;
/// let x = array::from_fn([4, 4], [2, 2], |i| (i[0].min(i[1]) + 1) as f64);
/// assert!((cholesky(&x) - array::ones([4, 4], [2, 2]).tril(0)).abs().max(..).compute()?[[]] < 1e-12);
/// # Ok::<(), Error>(())
/// ```
#[track_caller]
#[must_use]
pub fn cholesky<T: Element>(x: &Array<T>) -> Array<T::Mean> {
    Array::of(ops::cholesky(Call::new("cholesky"), &x.handle))
}

/// The norm of the vectors along one axis, of the matrices along two, or the Frobenius norm over any.
///
/// # Errors
/// Carried: [`Error::InvalidArgument`](crate::Error::InvalidArgument) for a norm that there is not for so many axes.
///
/// # Example
/// ```
/// use dask_rs::prelude::*;
/// use dask_rs::array::linalg::{Norm, norm};
/// let x = array::arange(-4.0, 5.0, 1.0, [4]).reshape([3, 3]);
/// assert_eq!(norm(&x, Norm::P(1.0), [0, 1]).compute()?[[]], 7.0);
/// assert_eq!(norm(&x, Norm::Inf, 1).compute()?, ndarray::arr1(&[4.0, 1.0, 4.0]).into_dyn());
/// # Ok::<(), Error>(())
/// ```
#[track_caller]
#[must_use]
pub fn norm<T: Element>(
    x: &Array<T>,
    kind: impl Into<Norm>,
    over: impl Into<Over>,
) -> Array<T::Spread> {
    Array::of(ops::norm(Call::new("norm"), &x.handle, kind.into(), &over.into()))
}

/// The product of several matrices, of which the first and the last may be vectors, in the order that takes the fewest
/// multiplications.
///
/// # Errors
/// Carried: [`Error::InvalidArgument`](crate::Error::InvalidArgument), [`Error::ShapeMismatch`](crate::Error::ShapeMismatch).
#[track_caller]
#[must_use]
pub fn multi_dot<T: Element>(arrays: &[&Array<T>]) -> Array<T> {
    let handles: Vec<_> = arrays.iter().map(|array| &array.handle).collect();
    Array::of(ops::multi_dot(Call::new("multi_dot"), &handles))
}

/// Einstein's convention, as NumPy's `einsum` has it: a letter for each axis of each array, `...` for those that are not
/// named, and letters that are not after the arrow are summed over. Without an arrow, the result has those that
/// occur once.
///
/// # Cost
/// Arrays are multiplied two by two, those first whose product adds the least to memory. A sum over blocks is a tree, and
/// memory follows the chunks and not the lengths that are summed over.
///
/// # Errors
/// Carried: [`Error::InvalidArgument`](crate::Error::InvalidArgument) for subscripts that do not fit,
/// [`Error::ShapeMismatch`](crate::Error::ShapeMismatch) for letters with two lengths.
///
/// # Example
/// ```
/// use dask_rs::prelude::*;
/// use dask_rs::array::linalg::einsum;
/// let x = array::arange(0.0, 6.0, 1.0, [4]).reshape([2, 3]);
/// assert_eq!(einsum("ij,kj->ik", &[&x, &x]).compute()?[[0, 1]], 14.0);
/// assert_eq!(einsum("ij->", &[&x]).compute()?[[]], 15.0);
/// # Ok::<(), Error>(())
/// ```
#[track_caller]
#[must_use]
pub fn einsum<T: Element>(subscripts: &str, arrays: &[&Array<T>]) -> Array<T> {
    let handles: Vec<_> = arrays.iter().map(|array| &array.handle).collect();
    let call = Call::new("einsum");
    if handles.is_empty() {
        return Array::of(super::expr::Handle::from_result(Err(
            crate::error::Error::InvalidArgument {
                call,
                argument: "arrays",
                got: "none".into(),
                expected: "at least one array",
            },
        )));
    }
    Array::of(ops::einsum(call, subscripts, &handles))
}

/// The sum of the conjugate elements of one array times those of another, both in C order.
#[track_caller]
#[must_use]
pub fn vdot<T: Element>(a: &Array<T>, b: &Array<T>) -> Array<T> {
    Array::of(ops::vdot(Call::new("vdot"), &a.handle, &b.handle))
}

/// The product of each element of one array with each of another, both in C order.
#[track_caller]
#[must_use]
pub fn outer<T: Element>(a: &Array<T>, b: &Array<T>) -> Array<T> {
    Array::of(ops::outer(Call::new("outer"), &a.handle, &b.handle))
}

/// Copies of `b`, each times an element of `a`, where that element stands.
///
/// # Example
/// ```
/// use dask_rs::prelude::*;
/// use dask_rs::array::linalg::kron;
/// let (a, b) = (array::arange(1, 3, 1, 2), array::arange(1, 4, 1, 2));
/// assert_eq!(kron(&a, &b).compute()?, ndarray::arr1(&[1, 2, 3, 2, 4, 6]).into_dyn());
/// # Ok::<(), Error>(())
/// ```
#[track_caller]
#[must_use]
pub fn kron<T: Element>(a: &Array<T>, b: &Array<T>) -> Array<T> {
    Array::of(ops::kron(Call::new("kron"), &a.handle, &b.handle))
}

/// The sum of the `k`-th diagonal of the matrix along two axes, for each place on the other axes.
#[track_caller]
#[must_use]
pub fn trace<T: Element>(
    x: &Array<T>,
    k: i64,
    row: impl Into<AxisRef>,
    column: impl Into<AxisRef>,
) -> Array<T::Sum> {
    let (row, column) = (row.into(), column.into());
    let sum = <T::Sum as Element>::DTYPE;
    Array::of(ops::trace(Call::new("trace"), &x.handle, k, [&row, &column], sum))
}

#[cfg(test)]
mod tests;
