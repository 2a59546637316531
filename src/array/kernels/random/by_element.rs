//! Random numbers whose parameters are arrays: each element has bits of its own.

use std::marker::PhantomData;

use ndarray::IxDyn;

use super::family::{Draw, Family, Invalid, Number};
use super::stream::{Bits, Stream};
use super::{number, strides};
use crate::array::chunk::{Chunk, chunk};
use crate::array::chunks::Chunks;
use crate::array::kernels::copy::{filled, to_usize};
use crate::error::{Call, Error, Result};
use crate::graph::{Block, Identity, Inputs, Kernel, TaskContext};

/// Draws each element with the parameters that stand at its place in the inputs, which broadcast.
#[derive(Debug)]
pub(crate) struct ByElementKernel<T> {
    call: Call,
    family: Family,
    stream: Stream,
    /// A parameter that is the same for all elements has no input.
    fixed: Vec<Option<f64>>,
    chunks: Chunks,
    element: PhantomData<fn() -> T>,
}

impl<T: Number> ByElementKernel<T> {
    pub(crate) fn new(
        call: Call,
        family: Family,
        stream: Stream,
        fixed: Vec<Option<f64>>,
        chunks: Chunks,
    ) -> Self {
        ByElementKernel { call, family, stream, fixed, chunks, element: PhantomData }
    }

    fn draw(&self, number: u64, parameters: &[f64]) -> Result<T> {
        struct One(Bits);
        impl Draw for One {
            type Out = f64;
            fn with(mut self, draw: impl Fn(&mut Bits) -> f64) -> f64 {
                draw(&mut self.0)
            }
        }
        let drawn = self.family.draw(parameters, One(self.stream.tile(number)));
        drawn.map(T::of).map_err(|Invalid| Error::InvalidArgument {
            call: self.call,
            argument: "parameters",
            got: format!("{parameters:?} for {:?}", self.family.parameters()),
            expected: "parameters for which there is such a distribution",
        })
    }
}

impl<T: Number> Kernel for ByElementKernel<T> {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let unknown = || Error::Internal {
            place: self.family.name().into(),
            problem: "a block has no place in the array".into(),
        };
        let shape = self.chunks.block_shape(task.block).ok_or_else(unknown)?;
        let start = self.chunks.block_start(task.block).ok_or_else(unknown)?;
        let strides = strides(&self.chunks.known_shape().ok_or_else(unknown)?);
        let shape = to_usize(&shape);
        let blocks: Vec<Chunk<f64>> = inputs.take_all().map(chunk::<f64>).collect();
        let views: Option<Vec<_>> =
            blocks.iter().map(|block| block.data().broadcast(IxDyn(&shape))).collect();
        let mut values: Vec<_> = views.iter().flatten().map(|view| view.iter()).collect();
        let mut parameters: Vec<f64> = self.fixed.iter().map(|x| x.unwrap_or(f64::NAN)).collect();
        let varying = self.fixed.iter().enumerate().filter(|(_, fixed)| fixed.is_none());
        let varying: Vec<usize> = varying.map(|(i, _)| i).collect();
        let mut status = Ok(());
        let out = filled::<T>(&shape, task.pool, |mut out| {
            let mut index = start.clone();
            for (place, out) in out.indexed_iter_mut() {
                for (axis, index) in index.iter_mut().enumerate() {
                    *index = start[axis] + place[axis] as u64;
                }
                for (&i, values) in varying.iter().zip(&mut values) {
                    parameters[i] = values.next().copied().unwrap_or(f64::NAN);
                }
                match self.draw(number(&strides, &index), &parameters) {
                    Ok(x) => *out = x,
                    Err(error) => {
                        status = Err(error);
                        return;
                    }
                }
            }
        });
        status?;
        Ok(Block::new(Chunk::new(out, task.pool)))
    }

    fn identity(&self) -> Option<Identity> {
        let parameters = (self.family, self.stream, &self.fixed, &self.chunks);
        Some(Identity::new("random", T::DTYPE.name(), parameters))
    }
}
