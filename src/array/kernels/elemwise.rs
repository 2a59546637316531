//! Fused elementwise kernels.

use std::any::Any;
use std::sync::{Arc, OnceLock};

use ndarray::{ArrayD, IxDyn};
use pulp::Arch;

use super::compile::{Compiled, Target};
use super::load;
#[cfg(feature = "dist")]
use super::portable::Parts;
use super::program::{Instr, Program};
use super::scalar::{Lane, Scalar};
use super::strip::{Frame, Input, STRIP};
use crate::array::chunk::Chunk;
use crate::array::chunks::{AxisChunks, Chunks};
use crate::array::dtype::dispatch;
use crate::error::{Error, Result};
use crate::graph::{Block, Inputs, Kernel, TaskContext, Wiring};
#[cfg(feature = "dist")]
use crate::graph::{KernelSpec, Unsendable};

/// Computes each element of a block by a [`Program`], in one pass.
///
/// Invariant: the blocks of every slot broadcast against the output block, aligned at the last
/// axis.
#[derive(Debug)]
pub(crate) struct ElemwiseKernel {
    program: Program,
    chunks: Chunks,
    /// Made when the first block runs, since most kernels of a plan are fused before that.
    compiled: OnceLock<Compiled>,
}

impl ElemwiseKernel {
    /// `program` over an output of `chunks`.
    pub(crate) fn new(program: Program, chunks: Chunks) -> Self {
        ElemwiseKernel { program, chunks, compiled: OnceLock::new() }
    }

    fn evaluate<T: Lane>(&self, task: &TaskContext<'_>, mut blocks: Vec<Block>) -> Result<Block> {
        let place = Place::new(&self.program, &self.chunks, task.block, &blocks)?;
        let n: usize = place.shape.iter().product();
        let reused = take_reusable::<T>(&self.program, &mut blocks, &place.shape, n);
        let (mut out, in_place) = match reused {
            Some((slot, buffer)) => (buffer, Some(slot)),
            None => (task.pool.take::<T>(n), None),
        };
        let strip_len = STRIP.min(n);
        let mut frame = Frame::new(place.shape.clone(), place.start, arch());
        set_inputs(&mut frame, &self.program, &blocks, strip_len);
        if let Some(slot) = in_place {
            frame.set_input::<T>(slot, Input::InPlace(vec![T::default(); strip_len]));
        }
        frame.bank_mut::<T>().out = &mut out;
        let compiled = self.compiled.get_or_init(|| Compiled::new(&self.program, Target::Out));
        compiled.prepare(&mut frame, strip_len);
        for start in (0..n).step_by(STRIP) {
            frame.range = start..n.min(start + STRIP);
            compiled.run(&mut frame);
        }
        drop(frame);
        let array = ArrayD::from_shape_vec(IxDyn(&place.shape), out)
            .expect("the buffer has the elements of the shape");
        Ok(Block::new(Chunk::new(array, task.pool)))
    }
}

impl Kernel for ElemwiseKernel {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let blocks = (0..self.program.n_inputs()).map(|slot| inputs.take_one(slot)).collect();
        dispatch!(self.program.dtype(), T => self.evaluate::<T>(task, blocks))
    }

    fn absorb(
        &self,
        slot: usize,
        producer: &dyn Kernel,
        wiring: &Wiring,
    ) -> Option<Arc<dyn Kernel>> {
        let program = absorb(&self.program, &self.chunks, slot, producer, wiring)?;
        Some(Arc::new(ElemwiseKernel::new(program, self.chunks.clone())))
    }

    fn is_free(&self) -> bool {
        self.program.is_free()
    }

    fn n_steps(&self) -> usize {
        self.program.n_instrs()
    }

    fn formula(&self) -> Option<String> {
        let create = if self.program.is_creation() { "create " } else { "" };
        Some(format!("{create}{}", self.program))
    }

    #[cfg(feature = "dist")]
    fn spec(&self) -> Result<KernelSpec, Unsendable> {
        Ok(KernelSpec::new("elemwise", &(Parts::of(&self.program), &self.chunks)))
    }
}

/// `consumer`, whose output has `chunks`, with the elementwise `producer` in place of `slot`.
///
/// `None` if the producer is something else, or if it would be computed again for each element
/// that it is broadcast to.
pub(crate) fn absorb(
    consumer: &Program,
    chunks: &Chunks,
    slot: usize,
    producer: &dyn Kernel,
    wiring: &Wiring,
) -> Option<Program> {
    let producer_any: &dyn Any = producer;
    let made = producer_any.downcast_ref::<ElemwiseKernel>()?;
    let n_new = chunks.ndim().checked_sub(made.chunks.ndim())?;
    let (lens, made_lens) = (chunks.shape(), made.chunks.shape());
    let is_repeated = |axis: usize| {
        let made_len = axis.checked_sub(n_new).map_or(Some(1), |axis| made_lens[axis]);
        made_len == Some(1) && lens[axis] != Some(1)
    };
    if !made.is_free() && (0..chunks.ndim()).any(is_repeated) {
        return None;
    }
    let aligned = made.program.map_index(|axis, start, step| {
        if is_repeated(axis + n_new) {
            Instr::Const(Scalar::I64(start))
        } else {
            Instr::Index { axis: axis + n_new, start, step }
        }
    });
    Some(consumer.inline(slot, &aligned, wiring))
}

/// Which part of the output a task computes.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) shape: Vec<usize>,
    pub(crate) start: Vec<i64>,
}

impl Place {
    /// The place of block `idx`; along axes of unknown lengths it is as long as its inputs.
    pub(crate) fn new(
        program: &Program,
        chunks: &Chunks,
        idx: &[u64],
        blocks: &[Block],
    ) -> Result<Place> {
        let internal = |problem: &str| Error::Internal {
            place: format!("elemwise {program} of block {idx:?}"),
            problem: problem.to_owned(),
        };
        let shape = match chunks.block_shape(idx) {
            Some(shape) => shape.iter().map(|&len| len as usize).collect(),
            None => broadcast_shape(program, chunks, idx, blocks)
                .ok_or_else(|| internal("the shapes of the inputs do not fit together"))?,
        };
        let start = |(axis, (chunks, &i)): (usize, (&AxisChunks, &u64))| match chunks.block_start(i)
        {
            Some(start) => Ok(start as i64),
            None if program.has_index(axis) => Err(internal("its place is not known")),
            None => Ok(0),
        };
        let start = chunks.axes().iter().zip(idx).enumerate().map(start).collect::<Result<_>>()?;
        Ok(Place { shape, start })
    }
}

/// The shape of block `idx`: what is known of it, broadcast together with the blocks that it reads.
fn broadcast_shape(
    program: &Program,
    chunks: &Chunks,
    idx: &[u64],
    blocks: &[Block],
) -> Option<Vec<usize>> {
    let lengths = chunks.axes().iter().zip(idx).map(|(axis, &i)| axis.block_len(i));
    let mut shape: Vec<usize> = lengths.map(|len| len.unwrap_or(1) as usize).collect();
    for (slot, block) in blocks.iter().enumerate() {
        let Some(dtype) = program.input_dtype(slot) else { continue };
        let lens = dispatch!(dtype, T => block.downcast_ref::<Chunk<T>>()?.view().shape().to_vec());
        let n_new = shape.len().checked_sub(lens.len())?;
        for (out, len) in shape[n_new..].iter_mut().zip(lens) {
            if *out == 1 {
                *out = len;
            } else if len != 1 && len != *out {
                return None;
            }
        }
    }
    Some(shape)
}

/// Makes the blocks the inputs of `frame`.
pub(crate) fn set_inputs<'a>(
    frame: &mut Frame<'a>,
    program: &Program,
    blocks: &'a [Block],
    strip_len: usize,
) {
    let shape = frame.shape.clone();
    for (slot, block) in blocks.iter().enumerate() {
        let Some(dtype) = program.input_dtype(slot) else { continue };
        dispatch!(dtype, T => {
            // The block that is overwritten in place has left its slot.
            if let Some(chunk) = block.downcast_ref::<Chunk<T>>() {
                frame.set_input::<T>(slot, load::input(chunk.data(), &shape, strip_len));
            }
        });
    }
}

/// Takes the buffer of an input that nobody else needs and that the output fits exactly.
fn take_reusable<T: Lane>(
    program: &Program,
    blocks: &mut [Block],
    shape: &[usize],
    n: usize,
) -> Option<(usize, Vec<T>)> {
    for (slot, block) in blocks.iter_mut().enumerate() {
        let fits = program.input_dtype(slot) == Some(T::DTYPE)
            && block.downcast_ref::<Chunk<T>>().is_some_and(|chunk| {
                chunk.view().shape() == shape && chunk.view().is_standard_layout()
            });
        if !fits {
            continue;
        }
        match std::mem::replace(block, Block::new(Taken)).try_unwrap::<Chunk<T>>() {
            Ok(chunk) => match chunk.try_into_owned() {
                Ok(array) => {
                    let (mut buffer, offset) = array.into_raw_vec_and_offset();
                    buffer.drain(..offset.unwrap_or(0));
                    buffer.truncate(n);
                    return Some((slot, buffer));
                }
                Err(chunk) => *block = Block::new(chunk),
            },
            Err(shared) => *block = shared,
        }
    }
    None
}

/// Stands where a block was taken out.
#[derive(Debug)]
struct Taken;

impl crate::graph::Value for Taken {
    fn nbytes(&self) -> u64 {
        0
    }
}

/// The instructions of this machine, looked up once.
pub(crate) fn arch() -> Arch {
    static ARCH: OnceLock<Arch> = OnceLock::new();
    *ARCH.get_or_init(Arch::new)
}
