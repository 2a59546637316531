//! What `benches/elemwise.rs` measures: kernels without a plan and without a scheduler.

use std::fmt;
use std::sync::Arc;

use ndarray::{ArcArray, IxDyn};

use super::random::{Draws, Family, RandomSource, Stream};
use super::read::ReadKernel;
use super::{
    BinaryOp, Builder, ElemwiseKernel, Program, ReduceKind, ReduceSpec, UnaryOp, chunk_kernel,
    finish_kernel,
};
use crate::array::chunk::{Chunk, chunk};
use crate::array::chunks::{AxisSlice, Chunks};
use crate::array::dtype::DType;
use crate::graph::{Block, Inputs, Kernel, TaskContext};
use crate::memory::BufferPool;

/// A kernel, and the pool that its chunks come from.
#[derive(Debug)]
pub struct Runner {
    kernel: Arc<dyn Kernel>,
    finish: Option<Arc<dyn Kernel>>,
    pool: Arc<BufferPool>,
    block: Vec<u64>,
}

/// A chunk that a kernel made.
pub struct Made(Block);

impl fmt::Debug for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// `(x * 2 + 1) ** 2 - x`
fn example() -> Program {
    let mut b = Builder::new(1);
    let x = b.input(0, DType::F64);
    let [one, two] = [1.0, 2.0].map(|value: f64| b.constant(value.into()));
    let known = "floats have arithmetic";
    let doubled = b.binary(BinaryOp::Mul, x, two).expect(known);
    let plus = b.binary(BinaryOp::Add, doubled, one).expect(known);
    let square = b.binary(BinaryOp::Pow, plus, two).expect(known);
    let result = b.binary(BinaryOp::Sub, square, x).expect(known);
    b.finish(result)
}

fn constant(op: BinaryOp, value: f64) -> Program {
    let mut b = Builder::new(1);
    let x = b.input(0, DType::F64);
    let value = b.constant(value.into());
    let result = b.binary(op, x, value).expect("floats have arithmetic");
    b.finish(result)
}

fn of_shape(shape: &[usize]) -> Chunks {
    Chunks::whole(&shape.iter().map(|&len| len as u64).collect::<Vec<_>>())
}

impl Runner {
    fn new(shape: &[usize], kernel: Arc<dyn Kernel>, finish: Option<Arc<dyn Kernel>>) -> Runner {
        let block = vec![0; shape.len()];
        Runner { kernel, finish, pool: Arc::new(BufferPool::new(4 << 30)), block }
    }

    fn reducing(kind: ReduceKind, program: Program, shape: &[usize], axes: &[usize]) -> Runner {
        let spec = ReduceSpec {
            kind,
            axes: axes.to_vec(),
            ddof: 0.0,
            skip_nan: false,
            in_dtype: program.dtype(),
        };
        let kernel = chunk_kernel(&spec, program, of_shape(shape));
        Runner::new(shape, kernel, Some(finish_kernel(&spec)))
    }

    /// A chunk of random numbers: `random`, `normal`, `exponential` or `poisson(10)`.
    pub fn random(name: &str, len: usize) -> Runner {
        let family = |family, parameters: &[f64]| Draws::Family(family, parameters.into());
        let draws = match name {
            "random" => Draws::Unit,
            "normal" => family(Family::Normal, &[0.0, 1.0]),
            "exponential" => family(Family::Exponential, &[1.0]),
            _ => family(Family::Poisson, &[10.0]),
        };
        let shape = vec![len as u64];
        let window = Arc::from([AxisSlice::full(len as u64)]);
        let source = RandomSource::new(Stream::new(1, 1), draws, DType::F64, shape);
        let kernel = ReadKernel::<f64>::new(Arc::new(source), window, of_shape(&[len]));
        Runner::new(&[len], Arc::new(kernel), None)
    }

    /// `((x * 2 + 1) ** 2 - x).sum()` of one chunk.
    pub fn fused_sum(shape: &[usize]) -> Runner {
        Self::reducing(ReduceKind::Sum, example(), shape, &axes(shape))
    }

    /// `x.sum()` of one chunk.
    pub fn sum(shape: &[usize]) -> Runner {
        Self::reducing(ReduceKind::Sum, Program::input(DType::F64), shape, &axes(shape))
    }

    /// `ones().sum()` of one chunk.
    pub fn ones_sum(shape: &[usize]) -> Runner {
        Self::reducing(ReduceKind::Sum, Program::constant(1.0), shape, &axes(shape))
    }

    /// `x.mean(axis)` of one chunk.
    pub fn mean(shape: &[usize], axis: usize) -> Runner {
        Self::reducing(ReduceKind::Mean, Program::input(DType::F64), shape, &[axis])
    }

    /// `x.var(axis)` of one chunk.
    pub fn var(shape: &[usize], axis: usize) -> Runner {
        Self::reducing(ReduceKind::Var, Program::input(DType::F64), shape, &[axis])
    }

    /// `x + 1` of one chunk.
    pub fn add_one(shape: &[usize]) -> Runner {
        let kernel = ElemwiseKernel::new(constant(BinaryOp::Add, 1.0), of_shape(shape));
        Runner::new(shape, Arc::new(kernel), None)
    }

    /// `x + y` of two chunks.
    #[expect(clippy::missing_panics_doc, reason = "floats have sums")]
    pub fn add(shape: &[usize]) -> Runner {
        let program = Program::binary(BinaryOp::Add, DType::F64).expect("floats have sums");
        Runner::new(shape, Arc::new(ElemwiseKernel::new(program, of_shape(shape))), None)
    }

    /// The function of that name of one chunk, such as `exp`.
    ///
    /// # Panics
    /// If there is no such function of floats.
    pub fn function(name: &str, dtype: DType, shape: &[usize]) -> Runner {
        let mut b = Builder::new(1);
        let x = b.input(0, DType::F64);
        let x = b.cast(x, dtype);
        let op =
            UnaryOp::ALL.iter().find(|op| op.name() == name).expect("the bench knows the names");
        let y = b.unary(*op, x).expect("floats have it");
        let y = b.cast(y, DType::F64);
        Runner::new(shape, Arc::new(ElemwiseKernel::new(b.finish(y), of_shape(shape))), None)
    }

    /// `x ** y` of two chunks.
    #[expect(clippy::missing_panics_doc, reason = "floats have powers")]
    pub fn pow(shape: &[usize]) -> Runner {
        let program = Program::binary(BinaryOp::Pow, DType::F64).expect("floats have powers");
        Runner::new(shape, Arc::new(ElemwiseKernel::new(program, of_shape(shape))), None)
    }

    /// The kernel's chunk for inputs that belong to somebody else.
    ///
    /// # Panics
    /// If the kernel fails.
    pub fn run(&self, inputs: &[ArcArray<f64, IxDyn>]) -> Made {
        let blocks = inputs.iter().map(|x| Block::new(Chunk::borrowed(x.clone()))).collect();
        self.run_blocks(blocks)
    }

    /// The kernel's chunk for an input that it may overwrite.
    ///
    /// # Panics
    /// If the kernel fails.
    pub fn run_again(&self, input: Made) -> Made {
        self.run_blocks(vec![input.0])
    }

    fn run_blocks(&self, blocks: Vec<Block>) -> Made {
        let task = TaskContext { block: &self.block, pool: &self.pool };
        let ends = (1..=blocks.len()).collect();
        let kernel_says = "benchmarked kernels get valid inputs";
        let block = self.kernel.run(&task, Inputs::new(blocks, ends)).expect(kernel_says);
        match &self.finish {
            None => Made(block),
            Some(finish) => {
                let inputs = Inputs::new(vec![block], vec![1]);
                Made(finish.run(&task, inputs).expect(kernel_says))
            }
        }
    }
}

impl Made {
    /// The first element.
    ///
    /// # Panics
    /// If there is none.
    pub fn first(self) -> f64 {
        let chunk = chunk::<f64>(self.0);
        *chunk.view().first().expect("benchmarked chunks have elements")
    }
}

fn axes(shape: &[usize]) -> Vec<usize> {
    (0..shape.len()).collect()
}
