//! Products of two blocks over common axes.

use std::borrow::Cow;
use std::marker::PhantomData;
use std::sync::Arc;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use ndarray::{ArrayView2, ArrayViewMut2, Axis, IxDyn};
use num_traits::One;

use super::copy::pooled;
use super::read::standard;
use crate::array::chunk::{Chunk, chunk};
use crate::array::chunks::{AxisChunks, Chunks};
use crate::array::dtype::Element;
use crate::error::Result;
use crate::graph::{Block, Inputs, Kernel, TaskContext};
#[cfg(feature = "dist")]
use crate::graph::{KernelSpec, Unsendable};
use crate::memory::BufferPool;

/// Which axes of two arrays are multiplied index by index, and which are summed away, pair by pair.
///
/// The result has the batch axes, the free axes of the left, those of the right, and then one axis for
/// each summed pair, with one element for each block along it. Summing these last axes with an
/// ordinary tree gives the product, so memory follows the chunk and not the contracted length.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "dist", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Contraction {
    /// Pairs of a left and a right axis that stay as one.
    pub(crate) batch: Vec<(usize, usize)>,
    /// Pairs of a left and a right axis that are summed away.
    pub(crate) summed: Vec<(usize, usize)>,
}

/// The axes of one of the two arrays by what becomes of them.
#[derive(Clone, Debug)]
pub(crate) struct Roles {
    pub(crate) batch: Vec<usize>,
    pub(crate) free: Vec<usize>,
    pub(crate) summed: Vec<usize>,
}

impl Contraction {
    /// The roles of the axes of the left and of the right.
    pub(crate) fn roles(&self, ndims: [usize; 2]) -> [Roles; 2] {
        let side = |ndim: usize, of: fn(&(usize, usize)) -> usize| {
            let batch: Vec<_> = self.batch.iter().map(of).collect();
            let summed: Vec<_> = self.summed.iter().map(of).collect();
            let is_free = |axis: &usize| !batch.contains(axis) && !summed.contains(axis);
            Roles { free: (0..ndim).filter(is_free).collect(), batch, summed }
        };
        [side(ndims[0], |pair| pair.0), side(ndims[1], |pair| pair.1)]
    }

    /// The output axis of each axis of the left and of the right.
    pub(crate) fn places(&self, ndims: [usize; 2]) -> [Vec<usize>; 2] {
        let [left, right] = self.roles(ndims);
        let first_free = [self.batch.len(), self.batch.len() + left.free.len()];
        let first_summed = first_free[1] + right.free.len();
        let place = |roles: Roles, first_free: usize| {
            let mut places = vec![0; roles.batch.len() + roles.free.len() + roles.summed.len()];
            for (axes, first) in
                [(roles.batch, 0), (roles.free, first_free), (roles.summed, first_summed)]
            {
                for (i, axis) in axes.into_iter().enumerate() {
                    places[axis] = first + i;
                }
            }
            places
        };
        [place(left, first_free[0]), place(right, first_free[1])]
    }

    /// The chunks of the partial products.
    pub(crate) fn out_chunks(&self, left: &Chunks, right: &Chunks) -> Chunks {
        let [of_left, of_right] = self.roles([left.ndim(), right.ndim()]);
        let kept = |chunks: &Chunks, axes: &[usize]| -> Vec<AxisChunks> {
            axes.iter().map(|&axis| chunks.axes()[axis].clone()).collect()
        };
        let mut axes = kept(left, &of_left.batch);
        axes.extend(kept(left, &of_left.free));
        axes.extend(kept(right, &of_right.free));
        axes.extend(of_left.summed.iter().map(|&axis| {
            let n_blocks = left.axes()[axis].n_blocks();
            AxisChunks::uniform(n_blocks, 1)
        }));
        Chunks::new(axes)
    }
}

/// Elements that have a product of matrices.
pub(crate) trait MatMul: Element {
    /// `out = left · right`, all row-major or strided.
    fn matmul(
        left: ArrayView2<'_, Self>,
        right: ArrayView2<'_, Self>,
        out: ArrayViewMut2<'_, Self>,
    );
}

macro_rules! matmul_by_faer {
    ($($t:ty),*) => {$(
        impl MatMul for $t {
            fn matmul(
                left: ArrayView2<'_, Self>,
                right: ArrayView2<'_, Self>,
                mut out: ArrayViewMut2<'_, Self>,
            ) {
                let (n_rows, n_cols) = out.dim();
                let out = out.as_slice_mut().expect("products are written in C order");
                let out = MatMut::from_row_major_slice_mut(out, n_rows, n_cols);
                let (left, right) = (Dense::new(&left), Dense::new(&right));
                // The tasks around this are the parallelism.
                let one = Self::one();
                matmul(out, Accum::Replace, left.as_faer(), right.as_faer(), one, Par::Seq);
            }
        }
    )*};
}

matmul_by_faer!(f32, f64, num_complex::Complex<f32>, num_complex::Complex<f64>);

/// A matrix whose elements lie densely in memory, row after row or column after column.
pub(crate) struct Dense<'a, T: Element> {
    elements: Cow<'a, [T]>,
    dim: (usize, usize),
    by_columns: bool,
}

impl<'a, T: Element> Dense<'a, T> {
    /// Copied only if the strides are neither of the two.
    ///
    /// Products round differently by rows and by columns. Which of them it is depends on the order of the axes in
    /// memory alone, which a copy of the block keeps, and not on gaps between the elements, which it does not.
    pub(crate) fn new(view: &ArrayView2<'a, T>) -> Self {
        let (dim, strides) = (view.dim(), view.strides());
        let is_line = dim.0 <= 1 || dim.1 <= 1;
        let by_columns = !is_line && strides[0].unsigned_abs() < strides[1].unsigned_abs();
        let view = if by_columns { (*view).reversed_axes() } else { *view };
        let elements = match view.to_slice() {
            Some(slice) => Cow::Borrowed(slice),
            None => Cow::Owned(view.iter().copied().collect()),
        };
        Dense { elements, dim, by_columns }
    }

    pub(crate) fn as_faer(&self) -> MatRef<'_, T> {
        let (n_rows, n_cols) = self.dim;
        if self.by_columns {
            MatRef::from_column_major_slice(&self.elements, n_rows, n_cols)
        } else {
            MatRef::from_row_major_slice(&self.elements, n_rows, n_cols)
        }
    }
}

macro_rules! matmul_wrapping {
    ($($t:ty),*) => {$(
        impl MatMul for $t {
            fn matmul(
                left: ArrayView2<'_, Self>,
                right: ArrayView2<'_, Self>,
                mut out: ArrayViewMut2<'_, Self>,
            ) {
                out.fill(0);
                for (left, mut out) in left.rows().into_iter().zip(out.rows_mut()) {
                    for (&factor, right) in left.iter().zip(right.rows()) {
                        out.zip_mut_with(&right, |sum, &value| {
                            *sum = sum.wrapping_add(factor.wrapping_mul(value));
                        });
                    }
                }
            }
        }
    )*};
}

matmul_wrapping!(i8, i16, i32, i64, u8, u16, u32, u64);

/// Multiplies a block of the left by a block of the right.
#[derive(Debug)]
pub(crate) struct ContractKernel<T> {
    contraction: Arc<Contraction>,
    element: PhantomData<fn() -> T>,
}

impl<T: MatMul> ContractKernel<T> {
    pub(crate) fn new(contraction: Arc<Contraction>) -> Self {
        ContractKernel { contraction, element: PhantomData }
    }
}

impl<T: MatMul> Kernel for ContractKernel<T> {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let left = chunk::<T>(inputs.take_one(0));
        let right = chunk::<T>(inputs.take_one(1));
        let [of_left, of_right] = self.contraction.roles([left.data().ndim(), right.data().ndim()]);
        let lengths = |chunk: &Chunk<T>, axes: &[usize]| -> Vec<usize> {
            axes.iter().map(|&axis| chunk.data().shape()[axis]).collect()
        };
        let count = |chunk: &Chunk<T>, axes: &[usize]| -> usize {
            axes.iter().map(|&axis| chunk.data().shape()[axis]).product()
        };
        let n_batch = count(&left, &of_left.batch);
        let n_inner = count(&left, &of_left.summed);
        let n_rows = count(&left, &of_left.free);
        let n_cols = count(&right, &of_right.free);
        let mut shape = lengths(&left, &of_left.batch);
        shape.extend(lengths(&left, &of_left.free));
        shape.extend(lengths(&right, &of_right.free));
        shape.extend(of_left.summed.iter().map(|_| 1));

        let order = [&of_left.batch[..], &of_left.free, &of_left.summed].concat();
        let left = as_matrices(left, &order, [n_batch, n_rows, n_inner], task.pool);
        let order = [&of_right.batch[..], &of_right.summed, &of_right.free].concat();
        let right = as_matrices(right, &order, [n_batch, n_inner, n_cols], task.pool);
        let mut out = pooled::<T>(&[n_batch, n_rows, n_cols], task.pool);
        let matrix = "an index leaves two of three axes";
        for i in 0..n_batch {
            T::matmul(
                left.view().index_axis_move(Axis(0), i).into_dimensionality().expect(matrix),
                right.view().index_axis_move(Axis(0), i).into_dimensionality().expect(matrix),
                out.index_axis_mut(Axis(0), i).into_dimensionality().expect(matrix),
            );
        }
        let out = out.into_shape_with_order(IxDyn(&shape)).expect("the product is in C order");
        Ok(Block::new(Chunk::new(out, task.pool)))
    }

    #[cfg(feature = "dist")]
    fn spec(&self) -> Result<KernelSpec, Unsendable> {
        Ok(KernelSpec::new("contract", &(T::DTYPE, &self.contraction)))
    }
}

/// A block with its axes in `order`, merged into a list of matrices.
///
/// Copied only if its strides do not allow that; a plain matrix, transposed or not, is never copied.
fn as_matrices<T: Element>(
    chunk: Chunk<T>,
    order: &[usize],
    shape: [usize; 3],
    pool: &Arc<BufferPool>,
) -> Chunk<T> {
    let permuted = chunk.map(|data| data.permuted_axes(IxDyn(order)));
    if permuted.data().ndim() == 2 && permuted.data().shape() == &shape[1..] && shape[0] == 1 {
        return permuted.map(|data| data.insert_axis(Axis(0)));
    }
    standard(permuted, pool)
        .map(|data| data.into_shape_with_order(IxDyn(&shape)).expect("standard layout was ensured"))
}
