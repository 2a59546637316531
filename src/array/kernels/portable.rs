//! How kernels and blocks of arrays become what they were in another process.
//!
//! A kernel says what it is in its own `spec`; the table here reads that back. Decoders check what
//! constructors take for granted, so that bytes which mean nothing are errors.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::contract::ContractKernel;
use super::elemwise::ElemwiseKernel;
use super::program::{Instr, Program, Reg};
use super::read::ReadKernel;
use super::rearrange::{PermuteKernel, RechunkKernel, ReshapeKernel, SliceKernel};
use super::reduce::{ReduceSpec, chunk_kernel, combine_kernel, decode_partial, finish_kernel};
use crate::array::chunk::decode_chunk;
use crate::array::chunks::{AxisSlice, Chunks};
use crate::array::dtype::{DType, dispatch};
use crate::array::io::Origin;
use crate::error::{Call, Error, Result};
use crate::graph::{Codecs, Kernel, KernelSpec, undecodable};

/// The kernels and values of arrays. A new kernel has a row here and a `spec`, or says that it has none.
pub(crate) static CODECS: Codecs = Codecs {
    kernels: &[
        ("contract", |spec, _| {
            let (dtype, contraction) = spec.parameters()?;
            Ok(dispatch!(dtype, number T => Arc::new(ContractKernel::<T>::new(contraction)), else {
                return Err(undecodable("contract", "the elements have no product"));
            }))
        }),
        ("elemwise", |spec, _| {
            let (program, chunks): (Parts, Chunks) = spec.parameters()?;
            Ok(Arc::new(ElemwiseKernel::new(program.build()?, chunks)))
        }),
        ("permute", |spec, _| {
            let (dtype, axes) = spec.parameters()?;
            Ok(dispatch!(dtype, T => Arc::new(PermuteKernel::<T>::new(axes))))
        }),
        ("read", read),
        ("rechunk", |spec, _| {
            let (dtype, axes) = spec.parameters()?;
            Ok(dispatch!(dtype, T => Arc::new(RechunkKernel::<T>::new(axes))))
        }),
        ("reduce_chunk", |spec, _| {
            let (of, program, chunks): (ReduceSpec, Parts, Chunks) = spec.parameters()?;
            let (of, program) = (checked(of)?, program.build()?);
            if program.dtype() != of.in_dtype {
                return Err(undecodable("reduce_chunk", "the program makes other elements"));
            }
            Ok(chunk_kernel(&of, program, chunks))
        }),
        ("reduce_combine", |spec, _| Ok(combine_kernel(&checked(spec.parameters()?)?))),
        ("reduce_finish", |spec, _| Ok(finish_kernel(&checked(spec.parameters()?)?))),
        ("reshape", |spec, _| {
            let (dtype, out) = spec.parameters()?;
            Ok(dispatch!(dtype, T => Arc::new(ReshapeKernel::<T>::new(out))))
        }),
        ("slice", |spec, _| {
            let (dtype, pieces) = spec.parameters()?;
            Ok(dispatch!(dtype, T => Arc::new(SliceKernel::<T>::new(pieces))))
        }),
    ],
    values: &[("chunk", decode_chunk), ("partial", decode_partial)],
};

/// Opens the file again, as it is found where this runs.
fn read(spec: &KernelSpec, _: &crate::graph::Decoder<'_>) -> Result<Arc<dyn Kernel>> {
    let (dtype, origin, shape, window, chunks): (
        DType,
        Origin,
        Vec<u64>,
        Arc<[AxisSlice]>,
        Chunks,
    ) = spec.parameters()?;
    let source = origin.open(Call::new("read"))?;
    if source.dtype() != dtype || source.shape() != shape {
        let got = format!("{} of {:?}", source.dtype(), source.shape());
        let problem =
            format!("is {got} here, expected {dtype} of {shape:?} as in the other process");
        return Err(undecodable(&source.name(), &problem));
    }
    Ok(dispatch!(dtype, T => Arc::new(ReadKernel::<T>::new(source, window, chunks))))
}

pub(super) fn checked(spec: ReduceSpec) -> Result<ReduceSpec> {
    let missing = |spec: super::Unsupported| Error::BrokenMessage {
        what: spec.op.into(),
        problem: format!("there is none of {}", spec.got),
    };
    spec.check().map_err(missing)
}

/// The parts of a program that the others follow from.
#[derive(serde::Serialize, serde::Deserialize)]
pub(super) struct Parts {
    n_inputs: usize,
    instrs: Vec<Instr>,
    output: Reg,
}

/// Slots of a program, at most.
const INPUTS_MAX: usize = 1 << 16;

impl Parts {
    pub(super) fn of(program: &Program) -> Parts {
        let (n_inputs, output) = (program.n_inputs(), program.output());
        Parts { n_inputs, instrs: program.instrs().to_vec(), output }
    }

    /// The program, if each instruction reads what stands before it and exists for its dtypes.
    fn build(self) -> Result<Program> {
        let wrong = |problem: &str| undecodable("a program", problem);
        if self.n_inputs > INPUTS_MAX {
            return Err(wrong("it has too many inputs"));
        }
        let mut inputs = vec![None; self.n_inputs];
        let mut dtypes: Vec<DType> = Vec::with_capacity(self.instrs.len());
        for instr in &self.instrs {
            let at = |reg: Reg| {
                dtypes.get(reg as usize).copied().ok_or_else(|| wrong("a register is not set yet"))
            };
            let dtype = match *instr {
                Instr::Input { slot, dtype } => match inputs.get_mut(slot) {
                    Some(known @ None) => Some(*known.insert(dtype)),
                    _ => return Err(wrong("a slot does not exist, or is read twice")),
                },
                Instr::Const(value) => Some(value.dtype()),
                Instr::Index { .. } => Some(DType::I64),
                Instr::Unary { op, arg } => op.result(at(arg)?),
                Instr::Binary { op, left, right } => {
                    let dtype = at(left)?;
                    op.result(dtype).filter(|_| at(right).is_ok_and(|right| right == dtype))
                }
                Instr::Select { cond, then, other } => {
                    let (cond, dtype) = (at(cond)?, at(then)?);
                    let is_right = cond == DType::Bool && at(other)? == dtype;
                    is_right.then_some(dtype)
                }
                Instr::Cast { arg, to } => at(arg).map(|_| Some(to))?,
            };
            dtypes.push(dtype.ok_or_else(|| wrong("an operation does not exist for its dtypes"))?);
        }
        if self.output as usize >= dtypes.len() {
            return Err(wrong("it has no result"));
        }
        Ok(Program { instrs: self.instrs, dtypes, inputs, output: self.output })
    }
}

/// Plain data at the start of `bytes`, and what follows it.
pub(crate) fn head<'a, H: DeserializeOwned>(what: &str, bytes: &'a [u8]) -> Result<(H, &'a [u8])> {
    postcard::take_from_bytes(bytes).map_err(|error| undecodable(what, &error.to_string()))
}

/// How many elements a shape has, if `n_bytes` are that many of `item_bytes`.
pub(crate) fn n_items(shape: &[usize], item_bytes: usize, n_bytes: usize) -> Result<usize> {
    let n = shape.iter().try_fold(1_usize, |n, &len| n.checked_mul(len));
    n.filter(|n| n.checked_mul(item_bytes) == Some(n_bytes)).ok_or_else(|| {
        undecodable("a block", &format!("{n_bytes} bytes are not the elements of shape {shape:?}"))
    })
}
