//! Matrices as faer wants them: column after column.

use std::sync::Arc;

use faer::{MatMut, MatRef};
use ndarray::{ArrayView2, ArrayViewMut2, Axis, Ix2, IxDyn, ShapeBuilder};

use super::Field;
use crate::array::chunk::Chunk;
use crate::error::{Call, Error, Result};
use crate::memory::BufferPool;

/// A matrix in a buffer of the pool, which goes back to it.
pub(super) struct Matrix<T: Field> {
    data: Vec<T>,
    dim: (usize, usize),
    pool: Arc<BufferPool>,
}

impl<T: Field> Matrix<T> {
    /// A matrix with whatever its buffer held last.
    pub(super) fn any(dim: (usize, usize), pool: &Arc<BufferPool>) -> Self {
        Matrix { data: pool.take(dim.0 * dim.1), dim, pool: Arc::clone(pool) }
    }

    pub(super) fn zeros(dim: (usize, usize), pool: &Arc<BufferPool>) -> Self {
        let mut zeros = Matrix::any(dim, pool);
        zeros.data.fill(T::default());
        zeros
    }

    /// Blocks of the same width one below another.
    pub(super) fn stacked(blocks: &[Chunk<T>], pool: &Arc<BufferPool>) -> Self {
        let views: Vec<ArrayView2<'_, T>> = blocks.iter().map(two).collect();
        let n_rows = views.iter().map(|view| view.nrows()).sum();
        let mut matrix = Matrix::any((n_rows, views.first().map_or(0, |view| view.ncols())), pool);
        let mut rest = matrix.view_mut();
        for view in &views {
            let (mut rows, after) = rest.split_at(Axis(0), view.nrows());
            rows.assign(view);
            rest = after;
        }
        matrix
    }

    /// The matrix in a block: in its own memory if nobody else has it and it lies there column after column.
    pub(super) fn of(block: Chunk<T>, pool: &Arc<BufferPool>) -> Self {
        let (dim, is_by_columns) = (two(&block).dim(), two(&block).t().is_standard_layout());
        if !is_by_columns {
            return Matrix::stacked(&[block], pool);
        }
        match block.try_into_owned() {
            Ok(owned) => match owned.into_raw_vec_and_offset() {
                (data, Some(0) | None) if data.len() == dim.0 * dim.1 => {
                    Matrix { data, dim, pool: Arc::clone(pool) }
                }
                (data, offset) => {
                    let start = offset.unwrap_or(0);
                    let mut matrix = Matrix::any(dim, pool);
                    matrix.data.copy_from_slice(&data[start..start + dim.0 * dim.1]);
                    matrix
                }
            },
            Err(shared) => Matrix::stacked(&[shared], pool),
        }
    }

    /// An error if an element is NaN or infinite: factorizations would not end, or be nonsense.
    pub(super) fn finite(self, call: Call) -> Result<Self> {
        match self.data.iter().position(|x| !Field::is_finite(x)) {
            None => Ok(self),
            Some(i) => Err(Error::InvalidMatrix {
                call,
                problem: "has an element that is not finite",
                column: (i / self.dim.0.max(1)) as u64,
                remedy: "replace it before",
            }),
        }
    }

    pub(super) fn dim(&self) -> (usize, usize) {
        self.dim
    }

    pub(super) fn faer(&self) -> MatRef<'_, T> {
        MatRef::from_column_major_slice(&self.data, self.dim.0, self.dim.1)
    }

    pub(super) fn faer_mut(&mut self) -> MatMut<'_, T> {
        MatMut::from_column_major_slice_mut(&mut self.data, self.dim.0, self.dim.1)
    }

    pub(super) fn view(&self) -> ArrayView2<'_, T> {
        ArrayView2::from_shape(self.dim.f(), &self.data).expect(FITS)
    }

    pub(super) fn view_mut(&mut self) -> ArrayViewMut2<'_, T> {
        ArrayViewMut2::from_shape(self.dim.f(), &mut self.data).expect(FITS)
    }

    /// The matrix as a block, without a copy.
    pub(super) fn into_chunk(mut self) -> Chunk<T> {
        let shape = IxDyn(&[self.dim.0, self.dim.1]).f();
        let data = std::mem::take(&mut self.data);
        Chunk::new(ndarray::ArrayD::from_shape_vec(shape, data).expect(FITS), &self.pool)
    }
}

const FITS: &str = "the buffer was taken for these dimensions";

impl<T: Field> Drop for Matrix<T> {
    fn drop(&mut self) {
        self.pool.give(std::mem::take(&mut self.data));
    }
}

/// A block as a matrix.
pub(super) fn two<T: Field>(block: &Chunk<T>) -> ArrayView2<'_, T> {
    block.view().into_dimensionality::<Ix2>().expect("the plan gave matrices two axes")
}
