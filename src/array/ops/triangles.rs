//! Matrices by where an element stands: triangles and diagonals.

use super::creation::create_in_chunks;
use super::elementwise::{Term, select};
use super::manipulation::permute;
use super::pad::{PadMode, pad_axis};
use crate::array::chunks::Chunks;
use crate::array::expr::{Handle, Node};
use crate::array::kernels::{BinaryOp, Builder, Program, Scalar};
use crate::array::meta::Meta;
use crate::error::{Call, Error};

/// The elements on the `k`-th diagonal and below (`Le`) or above it (`Ge`), and zeros elsewhere.
pub(crate) fn triangle(call: Call, x: &Handle, k: i64, side: BinaryOp) -> Handle {
    x.then(|node| {
        if node.ndim() < 2 {
            return Err(too_flat(call, node));
        }
        let is_kept =
            create_in_chunks(call, column_beside(node.ndim(), side, k), node.meta.chunks.clone());
        let zero = Term::Scalar(Scalar::I8(0).cast(node.meta.dtype));
        let kept = select(call, &Handle::from_result(is_kept), &Term::Array(x.clone()), &zero);
        kept.node().cloned()
    })
}

/// Whether the index along the last axis minus that along the one before compares so with `k`.
fn column_beside(ndim: usize, compare: BinaryOp, k: i64) -> Program {
    let mut b = Builder::new(0);
    // Beyond any length there is nothing to tell apart, and sums do not wrap.
    let row = b.index(ndim - 2, k.clamp(-(1 << 62), 1 << 62), 1);
    let column = b.index(ndim - 1, 0, 1);
    let is_so = b.binary(compare, column, row).expect("integers compare");
    b.finish(is_so)
}

/// A matrix with the elements of a vector on its `k`-th diagonal and zeros elsewhere.
pub(crate) fn diagonal_matrix(call: Call, x: &Handle, k: i64) -> Handle {
    x.then(|node| {
        if node.ndim() != 1 {
            return Err(Error::InvalidArgument {
                call,
                argument: "array",
                got: format!("{} dimensions", node.ndim()),
                expected: "a vector; diagonal() takes one from a matrix",
            });
        }
        let zero = Scalar::I8(0).cast(node.meta.dtype);
        let longer = pad_axis(call, node, 0, [0, k.unsigned_abs()], PadMode::Constant(zero))?;
        let axis = &longer.meta.chunks.axes()[0];
        let chunks = Chunks::new(vec![axis.clone(), axis.clone()]);
        let square = Meta { dtype: node.meta.dtype, chunks: super::countable(call, chunks)? };
        let square = super::not_grown(square, 0..2, &[node])?;
        let is_on = create_in_chunks(call, column_beside(2, BinaryOp::Eq, k), square.chunks)?;
        // Above the main diagonal an element stands in its row, below it in its column.
        let axes = if k < 0 { vec![None, Some(0)] } else { vec![Some(0), None] };
        let spread = Term::Array(Handle::from_result(permute(&longer, axes)));
        let is_on = Handle::from_result(Ok(is_on));
        select(call, &is_on, &spread, &Term::Scalar(zero)).node().cloned()
    })
}

fn too_flat(call: Call, node: &Node) -> Error {
    Error::InvalidArgument {
        call,
        argument: "array",
        got: format!("{} dimensions", node.ndim()),
        expected: "a matrix, or a stack of them",
    }
}
