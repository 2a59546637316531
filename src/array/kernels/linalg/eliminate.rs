//! Solutions of triangular systems, one block of unknowns after another.

use std::marker::PhantomData;

use faer::linalg::matmul::matmul;
use faer::linalg::triangular_solve::{
    solve_lower_triangular_in_place, solve_unit_lower_triangular_in_place,
    solve_unit_upper_triangular_in_place, solve_upper_triangular_in_place,
};
use faer::{Accum, Par};
use ndarray::Axis;

use super::super::contract::Dense;
use super::Field;
use super::matrix::{Matrix, two};
use super::parts::Parts;
use crate::array::chunk::{Chunk, chunk};
use crate::error::{Call, Error, Result};
use crate::graph::{Block, Identity, Inputs, Kernel, TaskContext};

/// A triangle of a matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Triangle {
    pub(crate) is_lower: bool,
    /// Its diagonal counts as ones, whatever stands there.
    pub(crate) is_unit: bool,
}

/// Solves for the unknowns of one panel of a triangular matrix, slot 0, and takes them from the other rows of
/// the right-hand sides, slot 1. If the panel is a factorization with row exchanges, a lower triangle exchanges
/// the rows first.
#[derive(Debug)]
pub(crate) struct EliminateKernel<T> {
    call: Call,
    /// The row in which the diagonal of the panel begins.
    start: usize,
    triangle: Triangle,
    element: PhantomData<fn() -> T>,
}

impl<T: Field> EliminateKernel<T> {
    pub(crate) fn new(call: Call, start: u64, triangle: Triangle) -> Self {
        EliminateKernel { call, start: start as usize, triangle, element: PhantomData }
    }

    fn check(&self, panel: &ndarray::ArrayView2<'_, T>) -> Result<()> {
        let pivots = panel.slice(ndarray::s![self.start.., ..]);
        let zero = pivots.diag().iter().position(|pivot| *pivot == T::default());
        match zero {
            Some(column) if !self.triangle.is_unit => Err(Error::InvalidMatrix {
                call: self.call,
                problem: "is singular: there is a zero on its diagonal",
                column: (self.start + column) as u64,
                remedy: "use lstsq() if a nearest solution is what is wanted",
            }),
            _ => Ok(()),
        }
    }
}

impl<T: Field> Kernel for EliminateKernel<T> {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let block = inputs.take_one(0);
        let parts = block.downcast_ref::<Parts>().cloned();
        let panel = match &parts {
            Some(parts) => parts.chunk::<T>(0),
            None => chunk::<T>(block),
        };
        let mut columns = Matrix::of(chunk::<T>(inputs.take_one(1)), task.pool);
        if let Some(parts) = parts.filter(|_| self.triangle.is_lower) {
            columns = exchanged(&columns, &parts.chunk::<i64>(1), task);
        }
        let panel = two(&panel);
        self.check(&panel)?;
        let width = panel.ncols();
        let panel = Dense::new(&panel);
        let (above, panel) = panel.as_faer().split_at_row(self.start);
        let (diagonal, below) = panel.split_at_row(width);
        let (mut out_above, out) = columns.faer_mut().split_at_row_mut(self.start);
        let (mut x, mut out_below) = out.split_at_row_mut(width);
        let Triangle { is_lower, is_unit } = self.triangle;
        match (is_lower, is_unit) {
            (true, true) => solve_unit_lower_triangular_in_place(diagonal, x.as_mut(), Par::Seq),
            (true, false) => solve_lower_triangular_in_place(diagonal, x.as_mut(), Par::Seq),
            (false, true) => solve_unit_upper_triangular_in_place(diagonal, x.as_mut(), Par::Seq),
            (false, false) => solve_upper_triangular_in_place(diagonal, x.as_mut(), Par::Seq),
        }
        let (rest, out) =
            if is_lower { (below, out_below.as_mut()) } else { (above, out_above.as_mut()) };
        let minus = -faer::traits::math_utils::one::<T>();
        matmul(out, Accum::Add, rest, x.as_ref(), minus, Par::Seq);
        Ok(Block::new(columns.into_chunk()))
    }

    fn identity(&self) -> Option<Identity> {
        Some(Identity::new("eliminate", T::DTYPE.name(), (self.start, self.triangle)))
    }
}

/// The rows in another order: where each comes from.
fn exchanged<T: Field>(
    columns: &Matrix<T>,
    came_from: &Chunk<i64>,
    task: &TaskContext<'_>,
) -> Matrix<T> {
    let mut out = Matrix::any(columns.dim(), task.pool);
    let old = columns.view();
    for (old, mut new) in old.axis_iter(Axis(1)).zip(out.view_mut().axis_iter_mut(Axis(1))) {
        for (new, &from) in new.iter_mut().zip(came_from.data()) {
            *new = old[from as usize];
        }
    }
    out
}
