//! Linear algebra: products, factorizations of long or wide matrices block by block, and of square ones.

mod einsum;
mod lstsq;
mod norms;
mod panels;
mod products;
mod qr;
mod svd;

pub(crate) use einsum::einsum;
pub(crate) use lstsq::lstsq;
pub use norms::Norm;
pub(crate) use norms::{kron, multi_dot, norm, outer, trace, vdot};
pub(crate) use panels::{cholesky, inv, lu, solve, solve_triangular};
pub(crate) use products::{dot, matmul, tensordot};
pub(crate) use qr::qr;
pub(crate) use svd::{Sketch, svd, svd_compressed};

use std::sync::Arc;

use super::elementwise::{Term, binary, cast, unary};
use super::indexing::slice_along;
use super::manipulation::transpose;
use super::{matrix_lengths, unsupported};
use crate::array::chunks::{AxisChunks, AxisSlice, Chunks, cut_within};
use crate::array::dtype::DType;
use crate::array::expr::{Handle, Node};
use crate::array::kernels::{BinaryOp, Scalar, UnaryOp};
use crate::error::{Call, Error, Result};

/// The array with elements that have factorizations: integers and booleans are taken as `f64`.
fn as_float(call: Call, x: &Handle) -> Handle {
    x.then(|node| {
        let dtype = node.meta.dtype;
        let has_fractions = dtype.is_float() || dtype.is_complex();
        let to = if has_fractions { dtype } else { DType::F64 };
        cast(call, x, to).node().cloned()
    })
}

/// The dtype of magnitudes.
pub(super) fn real_of(dtype: DType) -> DType {
    match dtype {
        DType::C64 => DType::F32,
        DType::C128 => DType::F64,
        other => other,
    }
}

/// Bytes that a block may have: as many as the largest of an array, or as the chunk size.
fn bytes_max(node: &Node) -> Result<u64> {
    Ok(node.meta.block_bytes_max().unwrap_or(0).max(super::chunk_bytes()?))
}

/// The matrix with one axis in one block, and the other cut so that blocks do not outgrow what they may have.
fn with_whole(call: Call, node: &Arc<Node>, axis: usize) -> Result<Arc<Node>> {
    let len = node.axis_len(call, axis)?;
    let len_max = bytes_max(node)? / node.meta.dtype.nbytes() as u64;
    let chunks = node.meta.chunks.with_axis(axis, AxisChunks::whole(len));
    let other = 1 - axis;
    node.in_chunks(cut_within(chunks, other..other + 1, len_max))
}

/// The transpose of a matrix, with conjugate elements.
fn adjoint(call: Call, x: &Handle) -> Handle {
    let is_complex = x.node().is_ok_and(|node| node.meta.dtype.is_complex());
    let x = transpose(call, x, None);
    if is_complex { unary(call, UnaryOp::Conj, &x) } else { x }
}

fn of_both(call: Call, op: BinaryOp, a: &Handle, b: &Handle) -> Handle {
    binary(call, op, &Term::Array(a.clone()), &Term::Array(b.clone()))
}

fn of_number(call: Call, op: BinaryOp, a: &Handle, b: f64) -> Handle {
    a.then(|node| {
        let b = Scalar::F64(b).cast(node.meta.dtype);
        binary(call, op, &Term::Array(a.clone()), &Term::Scalar(b)).node().cloned()
    })
}

/// Several results of one step, or its error in all of them.
fn results<const N: usize>(made: Result<[Arc<Node>; N]>) -> [Handle; N] {
    match made {
        Ok(nodes) => nodes.map(|node| Handle::from_result(Ok(node))),
        Err(error) => std::array::from_fn(|_| Handle::from_result(Err(error.clone()))),
    }
}

/// The first lengths of the axes of a matrix.
fn corner(call: Call, x: &Handle, rows: Option<u64>, columns: Option<u64>) -> Handle {
    x.then(|node| {
        let mut node = Arc::clone(node);
        for (axis, len) in [rows, columns].into_iter().enumerate() {
            if let Some(len) = len {
                node = slice_along(call, &node, axis, AxisSlice::new(0, len, 1))?;
            }
        }
        Ok(node)
    })
}

fn no_fractions(call: Call, dtype: DType) -> Error {
    unsupported(call, dtype, "a float or a complex number")
}

/// A matrix of one block for each pair of blocks of these axes.
fn grid(rows: AxisChunks, columns: AxisChunks) -> Chunks {
    Chunks::new(vec![rows, columns])
}
