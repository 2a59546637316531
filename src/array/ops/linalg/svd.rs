//! Singular values and vectors.

use std::sync::Arc;

use super::super::elementwise::{Term, cast, select, unary};
use super::super::indexing::slice_along;
use super::super::manipulation::expand_dims;
use super::super::not_grown;
use super::super::random::Wanted;
use super::super::reductions::{over, reduce};
use super::super::selections::blockwise;
use super::products::matmul;
use super::qr::Factors;
use super::{
    adjoint, as_float, corner, grid, matrix_lengths, no_fractions, of_both, real_of, results,
    with_whole,
};
use crate::array::args::{Axes, Shape};
use crate::array::chunks::{AxisChunks, AxisSlice, ChunkSpec, Chunks};
use crate::array::dtype::dispatch;
use crate::array::expr::{Handle, Node};
use crate::array::kernels::linalg::parts::PartKernel;
use crate::array::kernels::linalg::svd::{LEFT, RIGHT, SvdKernel, VALUES};
use crate::array::kernels::random::{Family, Stream};
use crate::array::kernels::{BinaryOp, ReduceKind, Scalar, UnaryOp};
use crate::array::meta::Meta;
use crate::error::{Call, Error, Result};
use crate::graph::{AxisMap, BlockMap, Kernel};

/// Left vectors as columns, values in descending order, and right vectors as conjugate rows, as many as the
/// shorter axis is long.
pub(crate) fn svd(call: Call, x: &Handle) -> [Handle; 3] {
    let [u, s, v] = unsigned(call, &as_float(call, x));
    let [u, v] = flipped(call, &u, &v);
    [u, s, v]
}

/// The same with whatever signs come out.
fn unsigned(call: Call, x: &Handle) -> [Handle; 3] {
    let is_tall = x.node().and_then(|node| matrix_lengths(call, node)).map(|[m, n]| m >= n);
    if let Ok(false) = is_tall {
        let [v, s, u] = tall(call, &adjoint(call, x));
        return [adjoint(call, &u), s, adjoint(call, &v)];
    }
    tall(call, x)
}

fn tall(call: Call, x: &Handle) -> [Handle; 3] {
    results(x.node().and_then(|node| {
        let factors = Factors::new(call, &with_whole(call, node, 1)?)?;
        let [u, s, v] = of_block(call, &factors.triangle)?;
        Ok([factors.times(call, Some(u))?, s, v])
    }))
}

/// The singular values and vectors of a matrix that is one block.
pub(super) fn of_block(call: Call, node: &Arc<Node>) -> Result<[Arc<Node>; 3]> {
    let dtype = node.meta.dtype;
    let [m, n] = matrix_lengths(call, node)?;
    let k = m.min(n);
    let (kernel, scratch): (Arc<dyn Kernel>, u64) = dispatch!(dtype, float T => {
        (Arc::new(SvdKernel::<T>::new(call)), SvdKernel::<T>::scratch_bytes(m, n))
    }, else return Err(no_fractions(call, dtype)));
    let whole = |axes: &[u64]| Chunks::whole(axes);
    let of = Meta { dtype, chunks: whole(&[m, n]) };
    let bytes = dtype.nbytes() as u64 * (m + n + 1).saturating_mul(k);
    let same = BlockMap::axes([AxisMap::same(0), AxisMap::same(1)]);
    let parts = blockwise(call, kernel, &[(node, same)], of, Some(bytes), scratch)?;
    let part = |part, dtype, lengths: &[u64]| {
        let map = BlockMap::axes([AxisMap::At(0), AxisMap::At(0)]);
        let out = Meta { dtype, chunks: whole(lengths) };
        blockwise(call, Arc::new(PartKernel(part)), &[(&parts, map)], out, None, 0)
    };
    Ok([
        part(LEFT, dtype, &[m, k])?,
        part(VALUES, real_of(dtype), &[k])?,
        part(RIGHT, dtype, &[k, n])?,
    ])
}

/// Vectors with signs that do not depend on how they came about: the elements of no right vector add up to a
/// negative number. Where they add up to 0, rounding decides.
///
/// # Source
/// Dask's `svd_flip`.
fn flipped(call: Call, u: &Handle, v: &Handle) -> [Handle; 2] {
    let Ok(dtype) = v.node().map(|node| node.meta.dtype) else { return [u.clone(), v.clone()] };
    let mut sum = reduce(call, v, ReduceKind::Sum, false, &over(1));
    if dtype.is_complex() {
        sum = unary(call, UnaryOp::Real, &sum);
    }
    let number = |x: f64, dtype| Term::Scalar(Scalar::F64(x).cast(dtype));
    let zero = number(0.0, real_of(dtype));
    let is_up = super::super::elementwise::binary(call, BinaryOp::Ge, &Term::Array(sum), &zero);
    // A choice between two numbers takes its shape from the condition.
    let sign = select(call, &is_up, &number(1.0, dtype), &number(-1.0, dtype));
    let of_rows = expand_dims(call, &sign, &Axes::from(1));
    [of_both(call, BinaryOp::Mul, u, &sign), of_both(call, BinaryOp::Mul, v, &of_rows)]
}

/// How a compressed factorization looks for the vectors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sketch {
    pub(crate) n_power_iter: usize,
    pub(crate) n_oversamples: u64,
    pub(crate) seed: u64,
}

/// The fewest vectors that are looked for.
const N_VECTORS_MIN: u64 = 20;

/// The `k` largest singular values and their vectors, from the range of the matrix on random vectors.
///
/// # Source
/// Halko, Martinsson, Tropp, "Finding structure with randomness" (2011), algorithms 4.4 and 5.1; how many vectors
/// are looked for as in Dask.
pub(crate) fn svd_compressed(call: Call, x: &Handle, k: u64, how: Sketch) -> [Handle; 3] {
    let x = as_float(call, x);
    let sketched = x.node().and_then(|node| {
        let [m, n] = matrix_lengths(call, node)?;
        let shorter = m.min(n);
        if k == 0 || k > shorter {
            return Err(Error::InvalidArgument {
                call,
                argument: "k",
                got: k.to_string(),
                expected: "from 1 to the length of the shorter axis",
            });
        }
        let width = k.saturating_add(how.n_oversamples).max(N_VECTORS_MIN).min(shorter);
        let random = random_vectors(call, node, width, how.seed)?;
        let back = adjoint(call, &x);
        let mut range = orthonormal(call, &matmul(call, &x, &random))?;
        for _ in 0..how.n_power_iter {
            let other = orthonormal(call, &matmul(call, &back, &range))?;
            range = orthonormal(call, &matmul(call, &x, &other))?;
        }
        let small = matmul(call, &adjoint(call, &range), &x);
        let [u, s, v] = unsigned(call, &small);
        let u = matmul(call, &range, &corner(call, &u, None, Some(k)));
        let s = slice_along(call, s.node()?, 0, AxisSlice::new(0, k, 1))?;
        Ok([Arc::clone(u.node()?), s, Arc::clone(corner(call, &v, Some(k), None).node()?)])
    });
    let [u, s, v] = results(sketched);
    let [u, v] = flipped(call, &u, &v);
    [u, s, v]
}

/// Orthonormal columns with the range of a matrix that has few.
fn orthonormal(call: Call, x: &Handle) -> Result<Handle> {
    let factors = Factors::new(call, &with_whole(call, x.node()?, 1)?)?;
    Ok(Handle::from_result(factors.orthonormal(call)))
}

/// Normal numbers in `width` columns, with a row for each column of a matrix.
fn random_vectors(call: Call, like: &Arc<Node>, width: u64, seed: u64) -> Result<Handle> {
    let dtype = like.meta.dtype;
    let n = like.axis_len(call, 1)?;
    let chunks = grid(like.meta.chunks.axes()[1].clone(), AxisChunks::whole(width));
    let real = real_of(dtype);
    let chunks = not_grown(Meta { dtype: real, chunks }, 0..2, &[like])?.chunks;
    let number = |x: f64| Term::Scalar(Scalar::F64(x));
    let wanted = Wanted {
        call,
        // None of those that a user of the seed gets.
        stream: Stream::new(seed, u64::MAX),
        dtype: real,
        shape: Shape::from([n, width]),
        chunks: ChunkSpec::from("auto"),
    };
    let numbers = wanted.family(Family::Normal, &[number(0.0), number(1.0)]);
    let numbers = numbers.then(|node| node.in_chunks(chunks));
    Ok(cast(call, &numbers, dtype))
}
