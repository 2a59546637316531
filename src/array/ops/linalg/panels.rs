//! Square matrices, one block of columns after another.
//!
//! A panel of columns is factored, and what it stands for is taken from all columns to its right. A panel has all
//! rows, so that rows can be exchanged wherever the largest pivot is; panels are as narrow as the chunk size asks
//! for. Nothing is computed of what only the other triangle would need.
//!
//! # Source
//! Golub, Van Loan, "Matrix Computations" (2013), the right-looking algorithms of 3.2.11, 3.4.4 and 4.2.8.

use std::sync::Arc;

use super::super::creation::{create_in_chunks, eye};
use super::super::elementwise::cast;
use super::super::grids::index_along;
use super::super::joins::side_by_side;
use super::super::manipulation::{drop_axes, expand_dims};
use super::super::selections::blockwise;
use super::{
    as_float, bytes_max, grid, matrix_lengths, no_fractions, of_both, results, with_whole,
};
use crate::array::args::Axes;
use crate::array::chunks::limit::check_listed;
use crate::array::chunks::{AxisChunks, ChunkSpec, Chunks};
use crate::array::dtype::{DType, dispatch};
use crate::array::expr::{Handle, Node};
use crate::array::kernels::BinaryOp;
use crate::array::kernels::linalg::eliminate::{EliminateKernel, Triangle};
use crate::array::kernels::linalg::panel::{
    CholeskyPanelKernel, CholeskyUpdateKernel, ComposeKernel, LuPanelKernel, LuTriangleKernel,
};
use crate::array::kernels::linalg::parts::PartKernel;
use crate::array::meta::Meta;
use crate::error::{Call, Error, Result};
use crate::graph::{AxisMap, BlockMap, Kernel};

/// A kernel for elements that have factorizations.
macro_rules! kernel_of {
    ($call:expr, $dtype:expr, $t:ident => $kernel:expr) => {{
        let kernel: Arc<dyn Kernel> = dispatch!($dtype, float $t => {
            Arc::new($kernel)
        }, else return Err(no_fractions($call, $dtype)));
        kernel
    }};
}

/// A permutation, a lower triangle with ones on its diagonal, and an upper triangle, of which a square matrix is
/// the product.
pub(crate) fn lu(call: Call, x: &Handle) -> [Handle; 3] {
    let x = as_float(call, x);
    results(x.node().and_then(|node| {
        let matrix = Columns::new(call, node)?;
        let panels = matrix.lu(call)?;
        let dtype = node.meta.dtype;
        let triangle = |panel: &Arc<Node>, start, order: Option<&Arc<Node>>| {
            let kernel = kernel_of!(call, dtype, T => {
                LuTriangleKernel::<T>::new(start, order.is_some())
            });
            let mut inputs = vec![(panel, fixed(0, 0))];
            inputs.extend(order.map(|order| (order, BlockMap::axes([AxisMap::At(0)]))));
            blockwise(call, kernel, &inputs, panel.meta.clone(), None, 0)
        };
        let n = matrix.n;
        let order_meta = Meta { dtype: DType::I64, chunks: Chunks::whole(&[n]) };
        // Rows that later panels exchange are exchanged in the lower triangle too.
        let mut order = create_in_chunks(call, index_along(0), Chunks::whole(&[n]))?;
        let (mut lower, mut upper) = (Vec::new(), Vec::new());
        for (panel, start) in panels.iter().zip(matrix.starts()).rev() {
            lower.push(triangle(panel, start, Some(&order))?);
            upper.push(triangle(panel, start, None)?);
            let part = Arc::new(PartKernel(1));
            let own = blockwise(call, part, &[(panel, fixed(0, 0))], order_meta.clone(), None, 0)?;
            let whole = BlockMap::axes([AxisMap::At(0)]);
            let both = [(&own, whole.clone()), (&order, whole)];
            order = blockwise(call, Arc::new(ComposeKernel), &both, order_meta.clone(), None, 0)?;
        }
        let joined = |mut parts: Vec<Arc<Node>>| {
            parts.reverse();
            let whole = side_by_side(call, &parts.iter().collect::<Vec<_>>(), 1)?;
            whole.in_chunks(node.meta.chunks.clone())
        };
        let permutation = permutation(call, &order, node)?;
        Ok([permutation, joined(lower)?, joined(upper)?])
    }))
}

/// The matrix that puts row `i` where `order[i]` says.
fn permutation(call: Call, order: &Arc<Node>, like: &Arc<Node>) -> Result<Arc<Node>> {
    let rows = Chunks::new(vec![like.meta.chunks.axes()[0].clone(), AxisChunks::whole(1)]);
    let rows = Handle::from_result(create_in_chunks(call, index_along(0), rows));
    let order = expand_dims(call, &Handle::from_result(Ok(Arc::clone(order))), &Axes::from(0));
    let is_there = of_both(call, BinaryOp::Eq, &rows, &order);
    let ones = cast(call, &is_there, like.meta.dtype);
    ones.node()?.in_chunks(like.meta.chunks.clone())
}

/// The lower triangle of which a positive definite matrix is the product with its adjoint.
pub(crate) fn cholesky(call: Call, x: &Handle) -> Handle {
    as_float(call, x).then(|node| {
        let matrix = Columns::new(call, node)?;
        let dtype = node.meta.dtype;
        let mut rest = Arc::clone(&matrix.columns);
        let mut panels = Vec::new();
        for (j, start) in matrix.starts().enumerate() {
            let kernel = kernel_of!(call, dtype, T => CholeskyPanelKernel::<T>::new(call, start));
            let out = matrix.of_panel(j as u64, dtype);
            let scratch = out.block_bytes_max().unwrap_or(0);
            let panel = blockwise(call, kernel, &[(&rest, fixed(0, 0))], out, None, scratch)?;
            if let Some(chunks) = matrix.after(j as u64) {
                let (rows, first) = (matrix.widths.clone(), j as u64 + 1);
                let kernel = kernel_of!(call, dtype, T => {
                    CholeskyUpdateKernel::<T>::new(rows, first)
                });
                let inputs = [(&panel, fixed(0, 0)), (&rest, following(1))];
                let out = Meta { dtype, chunks };
                let scratch = out.block_bytes_max().unwrap_or(0);
                rest = blockwise(call, kernel, &inputs, out, None, scratch)?;
            }
            panels.push(panel);
        }
        let whole = side_by_side(call, &panels.iter().collect::<Vec<_>>(), 1)?;
        whole.in_chunks(node.meta.chunks.clone())
    })
}

/// The `x` for which `a·x` is `b`.
pub(crate) fn solve(call: Call, a: &Handle, b: &Handle) -> Handle {
    of_columns(call, a, b, |a, mut b| {
        let matrix = Columns::new(call, a)?;
        let panels = matrix.lu(call)?;
        let of_panels = || panels.iter().zip(matrix.starts());
        for (panel, start) in of_panels() {
            let lower = Triangle { is_lower: true, is_unit: true };
            b = eliminated(call, (panel, 0), start, lower, (&b, 0), b.meta.chunks.clone())?;
        }
        for (panel, start) in of_panels().rev() {
            let upper = Triangle { is_lower: false, is_unit: false };
            b = eliminated(call, (panel, 0), start, upper, (&b, 0), b.meta.chunks.clone())?;
        }
        Ok(b)
    })
}

/// The `x` for which one triangle of `a`, times `x`, is `b`.
pub(crate) fn solve_triangular(call: Call, a: &Handle, b: &Handle, triangle: Triangle) -> Handle {
    of_columns(call, a, b, |a, mut b| {
        let matrix = Columns::new(call, a)?;
        let mut steps: Vec<(u64, u64)> = (0..).zip(matrix.starts()).collect();
        if !triangle.is_lower {
            steps.reverse();
        }
        for (j, start) in steps {
            let panel = (&matrix.columns, j);
            b = eliminated(call, panel, start, triangle, (&b, 0), b.meta.chunks.clone())?;
        }
        Ok(b)
    })
}

/// The inverse of a square matrix.
pub(crate) fn inv(call: Call, x: &Handle) -> Handle {
    let x = as_float(call, x);
    let identity = x.then(|node| {
        let [n, _] = matrix_lengths(call, node)?;
        let spec = ChunkSpec::from(-1);
        eye(call, node.meta.dtype, n, n, 0, &spec).node()?.in_chunks(node.meta.chunks.clone())
    });
    solve(call, &x, &identity)
}

/// A solution for each column of the right-hand sides, or for the one that they are.
fn of_columns(
    call: Call,
    a: &Handle,
    b: &Handle,
    solve: impl FnOnce(&Arc<Node>, Arc<Node>) -> Result<Arc<Node>>,
) -> Handle {
    let is_vector = b.node().is_ok_and(|node| node.ndim() == 1);
    let (a, b) = (as_float(call, a), as_float(call, b));
    let b = if is_vector { expand_dims(call, &b, &Axes::from(1)) } else { b };
    Handle::join(&[&a, &b], |nodes| {
        let (a, b) = (nodes[0], nodes[1]);
        let (of_a, of_b) = (matrix_lengths(call, a)?, matrix_lengths(call, b)?);
        if of_a[0] != of_b[0] || a.meta.dtype != b.meta.dtype {
            return Err(Error::ShapeMismatch {
                call,
                left: of_a.into(),
                right: of_b.into(),
                remedy: "a right-hand side needs a row for each row of the matrix, and the same dtype",
            });
        }
        let x = solve(a, with_whole(call, b, 0)?)?;
        let rows = a.meta.chunks.axes()[1].clone();
        let x = x.in_chunks(grid(rows, b.meta.chunks.axes()[1].clone()))?;
        if is_vector { drop_axes(&x, &[1]) } else { Ok(x) }
    })
}

/// A square matrix in blocks of columns.
struct Columns {
    n: u64,
    columns: Arc<Node>,
    widths: AxisChunks,
}

impl Columns {
    fn new(call: Call, node: &Arc<Node>) -> Result<Columns> {
        let [n, m] = matrix_lengths(call, node)?;
        if n != m {
            return Err(Error::ShapeMismatch {
                call,
                left: vec![n, m],
                right: vec![n, n],
                remedy: "the matrix has to be square",
            });
        }
        let len_max = bytes_max(node)? / node.meta.dtype.nbytes() as u64;
        let widths = AxisChunks::uniform(n, len_max.checked_div(n).unwrap_or(1));
        check_listed(call.op, Some(call), widths.n_blocks())?;
        let columns = node.in_chunks(grid(AxisChunks::whole(n), widths.clone()))?;
        Ok(Columns { n, columns, widths })
    }

    /// The rows in which the diagonals of the panels begin.
    fn starts(&self) -> impl DoubleEndedIterator<Item = u64> + ExactSizeIterator + '_ {
        let n_blocks = self.widths.n_blocks() as usize;
        (0..n_blocks).map(|j| self.widths.block_start(j as u64).unwrap_or(0))
    }

    fn of_panel(&self, j: u64, dtype: DType) -> Meta {
        let width = AxisChunks::whole(self.widths.block_len(j).unwrap_or(0));
        Meta { dtype, chunks: grid(AxisChunks::whole(self.n), width) }
    }

    /// The chunks of the columns to the right of a panel, if there are some.
    fn after(&self, j: u64) -> Option<Chunks> {
        let start = self.widths.block_start(j + 1)?;
        let left = AxisChunks::uniform(self.n - start, self.widths.max_len().unwrap_or(1));
        Some(grid(AxisChunks::whole(self.n), left))
    }

    /// The panels of a factorization with row exchanges.
    fn lu(&self, call: Call) -> Result<Vec<Arc<Node>>> {
        let dtype = self.columns.meta.dtype;
        let mut rest = Arc::clone(&self.columns);
        let mut panels = Vec::with_capacity(self.widths.n_blocks() as usize);
        for (j, start) in self.starts().enumerate() {
            let kernel = kernel_of!(call, dtype, T => LuPanelKernel::<T>::new(call, start));
            let out = self.of_panel(j as u64, dtype);
            let bytes = out.block_bytes_max().unwrap_or(0);
            let (out_bytes, scratch) = (Some(bytes + 8 * self.n), bytes + 24 * self.n);
            let panel = blockwise(call, kernel, &[(&rest, fixed(0, 0))], out, out_bytes, scratch)?;
            if let Some(chunks) = self.after(j as u64) {
                let lower = Triangle { is_lower: true, is_unit: true };
                rest = eliminated(call, (&panel, 0), start, lower, (&rest, 1), chunks)?;
            }
            panels.push(panel);
        }
        Ok(panels)
    }
}

/// The right-hand sides from a block on, after the unknowns of one panel have been taken from them.
fn eliminated(
    call: Call,
    (panel, block): (&Arc<Node>, u64),
    start: u64,
    triangle: Triangle,
    (columns, first): (&Arc<Node>, u64),
    chunks: Chunks,
) -> Result<Arc<Node>> {
    let dtype = columns.meta.dtype;
    let kernel = kernel_of!(call, dtype, T => EliminateKernel::<T>::new(call, start, triangle));
    let out = Meta { dtype, chunks };
    let scratch = out.block_bytes_max().unwrap_or(0);
    let inputs = [(panel, fixed(0, block)), (columns, following(first))];
    blockwise(call, kernel, &inputs, out, None, scratch)
}

/// One block, whatever block is computed.
fn fixed(row: u64, column: u64) -> BlockMap {
    BlockMap::axes([AxisMap::At(row), AxisMap::At(column)])
}

/// The blocks of columns from one on.
fn following(first: u64) -> BlockMap {
    BlockMap::axes([AxisMap::At(0), AxisMap::Axis { axis: 1, first, step: 1 }])
}
