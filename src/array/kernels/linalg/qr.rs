//! A product of an orthonormal and an upper triangular matrix.
//!
//! The orthonormal one stays as the Householder reflections that it is made of, in the place of the input,
//! until it is known what they are applied to: it is never made, and each block is factored once.

use std::any::Any;
use std::marker::PhantomData;
use std::sync::Arc;

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::householder::{
    apply_block_householder_sequence_on_the_left_in_place_scratch as apply_scratch,
    apply_block_householder_sequence_on_the_left_in_place_with_conj as apply,
};
use faer::linalg::qr::no_pivoting::factor::{
    qr_in_place, qr_in_place_scratch, recommended_block_size,
};
use faer::{Conj, Par};
use ndarray::s;

use super::super::contract::Dense;
use super::super::copy::filled;
use super::Field;
use super::matrix::{Matrix, two};
use super::parts::Parts;
use crate::array::chunk::{Chunk, chunk};
use crate::error::{Call, Result};
use crate::graph::{Block, Identity, Inputs, Kernel, TaskContext, Wiring};

/// Factors blocks that stand one below another into reflections, their coefficients and the triangle.
#[derive(Debug)]
pub(crate) struct QrKernel<T> {
    call: Call,
    /// Whether only the triangle is wanted.
    is_triangle: bool,
    element: PhantomData<fn() -> T>,
}

impl<T: Field> QrKernel<T> {
    pub(crate) fn new(call: Call) -> Self {
        QrKernel { call, is_triangle: false, element: PhantomData }
    }
}

impl<T: Field> Kernel for QrKernel<T> {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let blocks: Vec<Chunk<T>> = inputs.take_slot(0).map(chunk).collect();
        let mut matrix = Matrix::stacked(&blocks, task.pool).finite(self.call)?;
        drop(blocks);
        let (m, n) = matrix.dim();
        let k = m.min(n);
        let n_together = recommended_block_size::<T>(m, n);
        let mut coefficients = Matrix::zeros((n_together, k), task.pool);
        if k > 0 {
            let scratch = qr_in_place_scratch::<T>(m, n, n_together, Par::Seq, Default::default());
            let mut buffer = MemBuffer::new(scratch);
            let stack = MemStack::new(&mut buffer);
            let (a, c) = (matrix.faer_mut(), coefficients.faer_mut());
            qr_in_place(a, c, Par::Seq, stack, Default::default());
        }
        let triangle = filled::<T>(&[k, n], task.pool, |mut out| {
            let rows = matrix.view();
            for ((i, j), &x) in rows.slice(s![..k, ..]).indexed_iter() {
                out[[i, j]] = if i <= j { x } else { T::default() };
            }
        });
        let triangle = Block::new(Chunk::new(triangle, task.pool));
        if self.is_triangle {
            return Ok(triangle);
        }
        let factors = [matrix, coefficients].map(|factor| Block::new(factor.into_chunk()));
        Ok(Block::new(Parts::new(factors.into_iter().chain([triangle]))))
    }

    fn identity(&self) -> Option<Identity> {
        Some(Identity::new("qr", T::DTYPE.name(), self.is_triangle))
    }
}

/// Bytes of the factorization of an `m` by `n` block.
pub(crate) fn parts_bytes<T: Field>(m: u64, n: u64) -> u64 {
    let n_together = recommended_block_size::<T>(m as usize, n as usize) as u64;
    let elements = m.saturating_mul(n).saturating_add((n_together + n).saturating_mul(m.min(n)));
    elements.saturating_mul(size_of::<T>() as u64)
}

/// The triangle of a factorization.
#[derive(Debug)]
pub(crate) struct TriangleKernel<T> {
    element: PhantomData<fn() -> T>,
}

impl<T: Field> TriangleKernel<T> {
    pub(crate) fn new() -> Self {
        TriangleKernel { element: PhantomData }
    }
}

impl<T: Field> Kernel for TriangleKernel<T> {
    fn run(&self, _task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        Ok(Parts::of(&inputs.take_one(0)).0[2].clone())
    }

    /// Where nobody else reads the factorization, the reflections need not be kept.
    fn absorb(
        &self,
        _slot: usize,
        producer: &dyn Kernel,
        _wiring: &Wiring,
    ) -> Option<Arc<dyn Kernel>> {
        let producer: &dyn Any = producer;
        let factor = producer.downcast_ref::<QrKernel<T>>()?;
        Some(Arc::new(QrKernel::<T> { is_triangle: true, ..QrKernel::new(factor.call) }))
    }

    fn identity(&self) -> Option<Identity> {
        Some(Identity::new("triangle", T::DTYPE.name(), ()))
    }
}

/// The orthonormal matrix of a factorization, times the block in slot 1 if there is one.
#[derive(Debug)]
pub(crate) struct ReflectKernel<T> {
    element: PhantomData<fn() -> T>,
}

impl<T: Field> ReflectKernel<T> {
    pub(crate) fn new() -> Self {
        ReflectKernel { element: PhantomData }
    }
}

impl<T: Field> Kernel for ReflectKernel<T> {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let block = inputs.take_one(0);
        let parts = Parts::of(&block);
        let (factors, coefficients) = (parts.chunk::<T>(0), parts.chunk::<T>(1));
        let right: Option<Chunk<T>> = inputs.take_slot(1).next().map(chunk);
        let (factors, coefficients) = (two(&factors), two(&coefficients));
        let (m, k) = (factors.nrows(), coefficients.ncols());
        let n = right.as_ref().map_or(k, |right| two(right).ncols());
        let mut out = Matrix::zeros((m, n), task.pool);
        match &right {
            Some(right) => out.view_mut().slice_mut(s![..k, ..]).assign(&two(right)),
            None => {
                out.view_mut().diag_mut().slice_mut(s![..k]).fill(faer::traits::math_utils::one())
            }
        }
        if k > 0 && n > 0 {
            let scratch = apply_scratch::<T>(m, coefficients.nrows(), n);
            let mut buffer = MemBuffer::new(scratch);
            let (factors, coefficients) = (Dense::new(&factors), Dense::new(&coefficients));
            apply(
                factors.as_faer(),
                coefficients.as_faer(),
                Conj::No,
                out.faer_mut(),
                Par::Seq,
                MemStack::new(&mut buffer),
            );
        }
        Ok(Block::new(out.into_chunk()))
    }

    fn identity(&self) -> Option<Identity> {
        Some(Identity::new("reflect", T::DTYPE.name(), ()))
    }
}
