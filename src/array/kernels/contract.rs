//! Products of two blocks over common axes.

use std::marker::PhantomData;
use std::sync::Arc;

use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2, Axis, IxDyn};
use num_traits::{One, Zero};

use super::copy::pooled;
use super::read::standard;
use crate::array::chunk::{Chunk, chunk};
use crate::array::chunks::{AxisChunks, Chunks};
use crate::array::dtype::Element;
use crate::error::Result;
use crate::graph::{Block, Inputs, Kernel, TaskContext};
use crate::memory::BufferPool;

/// Which axes of two arrays are multiplied and summed away, pair by pair.
///
/// The result has the common axes, the free axes of the left, those of the right, and then one axis
/// for each pair, with one element for each block along it. Summing these last axes with an ordinary
/// tree gives the product, so memory follows the chunk and not the contracted length.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Contraction {
    /// How many leading axes both arrays have in common, with a product for each of their places.
    pub(crate) n_common: usize,
    pub(crate) left: Vec<usize>,
    pub(crate) right: Vec<usize>,
}

impl Contraction {
    /// The axes of an array that stay and are not common.
    pub(crate) fn free(&self, contracted: &[usize], ndim: usize) -> Vec<usize> {
        (self.n_common..ndim).filter(|axis| !contracted.contains(axis)).collect()
    }

    /// The chunks of the partial products.
    pub(crate) fn out_chunks(&self, left: &Chunks, right: &Chunks) -> Chunks {
        let free = |contracted: &[usize], chunks: &Chunks| -> Vec<AxisChunks> {
            self.free(contracted, chunks.ndim())
                .into_iter()
                .map(|axis| chunks.axes()[axis].clone())
                .collect()
        };
        let blocks = self.left.iter().map(|&axis| {
            let n_blocks = left.axes()[axis].n_blocks();
            AxisChunks::uniform(n_blocks, 1)
        });
        let mut axes = left.axes()[..self.n_common].to_vec();
        axes.extend(free(&self.left, left));
        axes.extend(free(&self.right, right));
        axes.extend(blocks);
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

macro_rules! matmul_by_ndarray {
    ($($t:ty),*) => {$(
        impl MatMul for $t {
            fn matmul(
                left: ArrayView2<'_, Self>,
                right: ArrayView2<'_, Self>,
                mut out: ArrayViewMut2<'_, Self>,
            ) {
                general_mat_mul(Self::one(), &left, &right, Self::zero(), &mut out);
            }
        }
    )*};
}

matmul_by_ndarray!(f32, f64, num_complex::Complex<f32>, num_complex::Complex<f64>);

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
        let Contraction { n_common, left: left_axes, right: right_axes } = &*self.contraction;
        let left_free = self.contraction.free(left_axes, left.data().ndim());
        let right_free = self.contraction.free(right_axes, right.data().ndim());
        let lengths = |chunk: &Chunk<T>, axes: &[usize]| -> Vec<usize> {
            axes.iter().map(|&axis| chunk.data().shape()[axis]).collect()
        };
        let common: Vec<usize> = (0..*n_common).collect();
        let mut shape = lengths(&left, &common);
        let n_matrices: usize = shape.iter().product();
        let n_inner: usize = lengths(&left, left_axes).iter().product();
        let n_rows: usize = lengths(&left, &left_free).iter().product();
        let n_cols: usize = lengths(&right, &right_free).iter().product();
        shape.extend(lengths(&left, &left_free));
        shape.extend(lengths(&right, &right_free));
        shape.extend(left_axes.iter().map(|_| 1));
        let order = [&common[..], &left_free, left_axes].concat();
        let left = as_matrices(left, &order, [n_matrices, n_rows, n_inner], task.pool);
        let order = [&common[..], right_axes, &right_free].concat();
        let right = as_matrices(right, &order, [n_matrices, n_inner, n_cols], task.pool);
        let mut out = pooled::<T>(&[n_matrices, n_rows, n_cols], task.pool);
        let matrix = "the axes were just merged into three, one of which is gone";
        for (i, mut out) in out.outer_iter_mut().enumerate() {
            T::matmul(
                left.view().index_axis(Axis(0), i).into_dimensionality().expect(matrix),
                right.view().index_axis(Axis(0), i).into_dimensionality().expect(matrix),
                out.view_mut().into_dimensionality().expect(matrix),
            );
        }
        let out = out.into_shape_with_order(IxDyn(&shape)).expect("the product is in C order");
        Ok(Block::new(Chunk::new(out, task.pool)))
    }
}

/// A block with its axes in `order` as matrices one after another; copied only if its strides do
/// not allow that.
fn as_matrices<T: Element>(
    chunk: Chunk<T>,
    order: &[usize],
    shape: [usize; 3],
    pool: &Arc<BufferPool>,
) -> Chunk<T> {
    let permuted = chunk.map(|data| data.permuted_axes(IxDyn(order)));
    if shape[0] == 1 && permuted.data().shape() == &shape[1..] {
        return permuted.map(|data| data.insert_axis(Axis(0)));
    }
    if permuted.data().shape() == shape {
        return permuted;
    }
    standard(permuted, pool).map(|data| {
        data.into_shape_with_order(IxDyn(&shape)).expect("standard layout was ensured")
    })
}
