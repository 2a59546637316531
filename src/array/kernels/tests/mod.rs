//! Kernels against loops written for the tests alone.

mod layouts;
mod ops;
mod programs;
mod reductions;

use std::sync::Arc;

use ndarray::{ArrayD, IxDyn};

use super::{BinaryOp, Builder, Program, UnaryOp};
use crate::array::chunk::{Chunk, chunk};
use crate::array::chunks::Chunks;
use crate::array::dtype::Element;
use crate::graph::{Block, Inputs, Kernel, TaskContext};
use crate::memory::BufferPool;

fn pool() -> Arc<BufferPool> {
    Arc::new(BufferPool::new(0))
}

fn whole(shape: &[usize]) -> Chunks {
    Chunks::whole(&shape.iter().map(|&len| len as u64).collect::<Vec<_>>())
}

/// Runs a kernel for block 0 with one block per slot.
fn run(kernel: &dyn Kernel, ndim: usize, blocks: Vec<Block>) -> Block {
    let pool = pool();
    let task = TaskContext { block: &vec![0; ndim], pool: &pool };
    let ends = (1..=blocks.len()).collect();
    kernel.run(&task, Inputs::new(blocks, ends)).unwrap()
}

fn block<T: Element>(array: ArrayD<T>) -> Block {
    Block::new(Chunk::borrowed(array.into_shared()))
}

fn owned<T: Element>(array: ArrayD<T>) -> Block {
    Block::new(Chunk::new(array, &pool()))
}

fn array<T: Element>(block: Block) -> ArrayD<T> {
    chunk::<T>(block).view().to_owned()
}

fn vector<T: Element>(values: Vec<T>) -> ArrayD<T> {
    ArrayD::from_shape_vec(IxDyn(&[values.len()]), values).unwrap()
}

/// `(x * 2 + 1) ** 2 - x`
fn example() -> Program {
    let mut b = Builder::new(1);
    let x = b.input(0, f64::DTYPE);
    let [one, two] = [1.0, 2.0].map(|value: f64| b.constant(value.into()));
    let doubled = b.binary(BinaryOp::Mul, x, two).unwrap();
    let plus = b.binary(BinaryOp::Add, doubled, one).unwrap();
    let square = b.binary(BinaryOp::Pow, plus, two).unwrap();
    let result = b.binary(BinaryOp::Sub, square, x).unwrap();
    b.finish(result)
}
