//! Singular values and vectors of a block.

use std::marker::PhantomData;

use faer::Par;
use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::svd::{ComputeSvdVectors, svd, svd_scratch};
use faer::traits::math_utils::real;

use super::super::copy::filled;
use super::Field;
use super::matrix::Matrix;
use super::parts::Parts;
use crate::array::chunk::{Chunk, chunk};
use crate::array::dtype::Element;
use crate::error::{Call, Error, Result};
use crate::graph::{Block, Identity, Inputs, Kernel, TaskContext};

/// The parts of a [`SvdKernel`]: left vectors as columns, values in descending order, right vectors as
/// rows, conjugated.
pub(crate) const LEFT: usize = 0;
pub(crate) const VALUES: usize = 1;
pub(crate) const RIGHT: usize = 2;

/// Factors a block into its singular values and vectors, as many as its shorter axis is long.
#[derive(Debug)]
pub(crate) struct SvdKernel<T> {
    call: Call,
    element: PhantomData<fn() -> T>,
}

impl<T: Field> SvdKernel<T> {
    pub(crate) fn new(call: Call) -> Self {
        SvdKernel { call, element: PhantomData }
    }

    /// Bytes that the factorization of an `m` by `n` block uses besides the parts.
    pub(crate) fn scratch_bytes(m: u64, n: u64) -> u64 {
        let thin = ComputeSvdVectors::Thin;
        let (m, n) = (m as usize, n as usize);
        let scratch = svd_scratch::<T>(m, n, thin, thin, Par::Seq, Default::default());
        scratch.unaligned_bytes_required() as u64 + (m * n * size_of::<T>()) as u64
    }
}

impl<T: Field> Kernel for SvdKernel<T> {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let matrix = Matrix::of(chunk::<T>(inputs.take_one(0)), task.pool).finite(self.call)?;
        let (m, n) = matrix.dim();
        let k = m.min(n);
        let (mut left, mut right) =
            (Matrix::<T>::any((m, k), task.pool), Matrix::<T>::any((n, k), task.pool));
        let mut values = Diag::<T>::zeros(k);
        let thin = ComputeSvdVectors::Thin;
        let scratch = svd_scratch::<T>(m, n, thin, thin, Par::Seq, Default::default());
        let mut buffer = MemBuffer::new(scratch);
        let done = svd(
            matrix.faer(),
            values.as_mut(),
            Some(left.faer_mut()),
            Some(right.faer_mut()),
            Par::Seq,
            MemStack::new(&mut buffer),
            Default::default(),
        );
        done.map_err(|_| Error::InvalidMatrix {
            call: self.call,
            problem: "has singular values that did not converge",
            column: 0,
            remedy: "scale it before",
        })?;
        drop((matrix, buffer));
        type Real<T> = <T as Element>::Spread;
        let values = filled::<Real<T>>(&[k], task.pool, |mut out| {
            let values = values.column_vector().iter();
            out.iter_mut().zip(values).for_each(|(out, value)| *out = real(value));
        });
        right.view_mut().mapv_inplace(Field::conj);
        let right = right.into_chunk().map(ndarray::ArrayBase::reversed_axes);
        Ok(Block::new(Parts::new([
            Block::new(left.into_chunk()),
            Block::new(Chunk::new(values, task.pool)),
            Block::new(right),
        ])))
    }

    fn identity(&self) -> Option<Identity> {
        Some(Identity::new("svd", T::DTYPE.name(), ()))
    }
}
