//! Factorizations of square matrices, one block of columns after another.
//!
//! A panel is a block of columns in which all columns to the left have been eliminated. It is factored from the
//! row on in which its diagonal begins; what is above is done.

use std::marker::PhantomData;

use faer::Par;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::{LltError, cholesky_in_place, cholesky_in_place_scratch};
use faer::linalg::lu::partial_pivoting::factor::{lu_in_place, lu_in_place_scratch};
use faer::linalg::triangular_solve::solve_lower_triangular_in_place_with_conj;
use faer::{Accum, Conj};
use ndarray::{Axis, s};

use super::super::contract::Dense;
use super::super::copy::filled;
use super::Field;
use super::matrix::{Matrix, two};
use super::parts::Parts;
use crate::array::chunk::{Chunk, chunk};
use crate::array::chunks::AxisChunks;
use crate::error::{Call, Error, Result};
use crate::graph::{Block, Identity, Inputs, Kernel, TaskContext};

/// Factors a panel with row exchanges: both triangles in its place, and from which of its rows each came.
#[derive(Debug)]
pub(crate) struct LuPanelKernel<T> {
    call: Call,
    /// The row in which the diagonal of the panel begins.
    start: usize,
    element: PhantomData<fn() -> T>,
}

impl<T: Field> LuPanelKernel<T> {
    pub(crate) fn new(call: Call, start: u64) -> Self {
        LuPanelKernel { call, start: start as usize, element: PhantomData }
    }
}

impl<T: Field> Kernel for LuPanelKernel<T> {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let mut panel = Matrix::of(chunk::<T>(inputs.take_one(0)), task.pool).finite(self.call)?;
        let (n_rows, n_cols) = panel.dim();
        let n_below = n_rows - self.start;
        let (mut rows, mut inverse) = (vec![0_usize; n_below], vec![0_usize; n_below]);
        let scratch =
            lu_in_place_scratch::<usize, T>(n_below, n_cols, Par::Seq, Default::default());
        let mut buffer = MemBuffer::new(scratch);
        lu_in_place(
            panel.faer_mut().subrows_mut(self.start, n_below),
            &mut rows,
            &mut inverse,
            Par::Seq,
            MemStack::new(&mut buffer),
            Default::default(),
        );
        let diagonal = panel.view();
        let pivots = diagonal.slice(s![self.start.., ..]);
        // What comes after a pivot of 0 has been divided by it.
        let zero = pivots.diag().iter().position(|pivot| *pivot == T::default());
        if let Some(column) = zero.filter(|_| n_cols > 0) {
            return Err(Error::InvalidMatrix {
                call: self.call,
                problem: "is singular: nothing but zeros is left to divide by",
                column: (self.start + column) as u64,
                remedy: "use lstsq() if a nearest solution is what is wanted",
            });
        }
        let came_from = filled::<i64>(&[n_rows], task.pool, |mut out| {
            for (i, from) in out.iter_mut().enumerate() {
                let below = i.checked_sub(self.start).map(|i| self.start + rows[i]);
                *from = below.unwrap_or(i) as i64;
            }
        });
        let came_from = Block::new(Chunk::new(came_from, task.pool));
        Ok(Block::new(Parts::new([Block::new(panel.into_chunk()), came_from])))
    }

    fn identity(&self) -> Option<Identity> {
        Some(Identity::new("lu_panel", T::DTYPE.name(), self.start))
    }
}

/// Factors a panel of a symmetric or Hermitian matrix, of which the lower triangle is read. Zeros are above.
#[derive(Debug)]
pub(crate) struct CholeskyPanelKernel<T> {
    call: Call,
    start: usize,
    element: PhantomData<fn() -> T>,
}

impl<T: Field> CholeskyPanelKernel<T> {
    pub(crate) fn new(call: Call, start: u64) -> Self {
        CholeskyPanelKernel { call, start: start as usize, element: PhantomData }
    }

    fn clear_above(&self, panel: &mut Matrix<T>) {
        for (j, mut column) in panel.view_mut().axis_iter_mut(Axis(1)).enumerate() {
            column.slice_mut(s![..self.start + j]).fill(T::default());
        }
    }
}

impl<T: Field> Kernel for CholeskyPanelKernel<T> {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let mut panel = Matrix::of(chunk::<T>(inputs.take_one(0)), task.pool);
        let n_cols = panel.dim().1;
        self.clear_above(&mut panel);
        let mut panel = panel.finite(self.call)?;
        let scratch = cholesky_in_place_scratch::<T>(n_cols, Par::Seq, Default::default());
        let mut buffer = MemBuffer::new(scratch);
        let (_, below) = panel.faer_mut().split_at_row_mut(self.start);
        let (mut diagonal, rest) = below.split_at_row_mut(n_cols);
        let done = cholesky_in_place(
            diagonal.as_mut(),
            Default::default(),
            Par::Seq,
            MemStack::new(&mut buffer),
            Default::default(),
        );
        done.map_err(|LltError::NonPositivePivot { index }| Error::InvalidMatrix {
            call: self.call,
            problem: "is not positive definite",
            column: (self.start + index) as u64,
            remedy: "use lu() or solve() for other matrices",
        })?;
        // rest = rest · (diagonalᴴ)⁻¹
        solve_lower_triangular_in_place_with_conj(
            diagonal.as_ref(),
            Conj::Yes,
            rest.transpose_mut(),
            Par::Seq,
        );
        // Where faer has left something.
        self.clear_above(&mut panel);
        Ok(Block::new(panel.into_chunk()))
    }

    fn identity(&self) -> Option<Identity> {
        Some(Identity::new("cholesky_panel", T::DTYPE.name(), self.start))
    }
}

/// Takes from a block of columns what a panel of a Cholesky factorization stands for in it.
#[derive(Debug)]
pub(crate) struct CholeskyUpdateKernel<T> {
    /// The rows of the matrix in the blocks of columns that are updated.
    rows: AxisChunks,
    first: u64,
    element: PhantomData<fn() -> T>,
}

impl<T: Field> CholeskyUpdateKernel<T> {
    /// `rows` are the diagonal blocks of the whole matrix, of which `first` belongs to the first block of columns.
    pub(crate) fn new(rows: AxisChunks, first: u64) -> Self {
        CholeskyUpdateKernel { rows, first, element: PhantomData }
    }
}

impl<T: Field> Kernel for CholeskyUpdateKernel<T> {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let panel = chunk::<T>(inputs.take_one(0));
        let mut columns = Matrix::of(chunk::<T>(inputs.take_one(1)), task.pool);
        let own = self.rows.block_range(self.first + task.block[1]).unwrap_or_default();
        let (start, width) = (own.start as usize, (own.end - own.start) as usize);
        let panel = two(&panel);
        let panel = Dense::new(&panel);
        let below = panel.as_faer().split_at_row(start).1;
        let own = below.split_at_row(width).0.adjoint();
        let (_, out) = columns.faer_mut().split_at_row_mut(start);
        let minus = -faer::traits::math_utils::one::<T>();
        faer::linalg::matmul::matmul(out, Accum::Add, below, own, minus, Par::Seq);
        Ok(Block::new(columns.into_chunk()))
    }

    fn identity(&self) -> Option<Identity> {
        let parameters = (&self.rows, self.first);
        Some(Identity::new("cholesky_update", T::DTYPE.name(), parameters))
    }
}

/// One triangle of a panel that was factored with row exchanges.
#[derive(Debug)]
pub(crate) struct LuTriangleKernel<T> {
    start: usize,
    /// The lower one, with ones on its diagonal, and with its rows in the order that slot 1 says.
    is_lower: bool,
    element: PhantomData<fn() -> T>,
}

impl<T: Field> LuTriangleKernel<T> {
    pub(crate) fn new(start: u64, is_lower: bool) -> Self {
        LuTriangleKernel { start: start as usize, is_lower, element: PhantomData }
    }

    fn element(&self, row: usize, column: usize, x: T) -> T {
        let column = self.start + column;
        match row.cmp(&column) {
            std::cmp::Ordering::Equal if self.is_lower => faer::traits::math_utils::one(),
            std::cmp::Ordering::Greater if self.is_lower => x,
            std::cmp::Ordering::Less | std::cmp::Ordering::Equal if !self.is_lower => x,
            _ => T::default(),
        }
    }
}

impl<T: Field> Kernel for LuTriangleKernel<T> {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let block = inputs.take_one(0);
        let panel = Parts::of(&block).chunk::<T>(0);
        let came_from = inputs.take_slot(1).next().map(chunk::<i64>);
        let panel = two(&panel);
        let mut out = Matrix::<T>::any(panel.dim(), task.pool);
        for (row, mut out) in out.view_mut().rows_mut().into_iter().enumerate() {
            let from = came_from.as_ref().map_or(row, |from| from.data()[[row]] as usize);
            for (column, (out, &x)) in out.iter_mut().zip(panel.row(from)).enumerate() {
                *out = self.element(from, column, x);
            }
        }
        Ok(Block::new(out.into_chunk()))
    }

    fn identity(&self) -> Option<Identity> {
        Some(Identity::new("lu_triangle", T::DTYPE.name(), (self.start, self.is_lower)))
    }
}

/// From which row each came after two exchanges, the first in slot 0.
#[derive(Debug)]
pub(crate) struct ComposeKernel;

impl Kernel for ComposeKernel {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let (first, then) = (chunk::<i64>(inputs.take_one(0)), chunk::<i64>(inputs.take_one(1)));
        let out = filled::<i64>(first.data().shape(), task.pool, |mut out| {
            out.zip_mut_with(&then.view(), |out, &from| *out = first.data()[[from as usize]]);
        });
        Ok(Block::new(Chunk::new(out, task.pool)))
    }

    fn identity(&self) -> Option<Identity> {
        Some(Identity::new("compose", "int64", ()))
    }
}
