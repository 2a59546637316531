//! How kernels and blocks of arrays become what they were in another process.
//!
//! A kernel says what it is in its own `spec`; the table here reads that back. Decoders check what
//! constructors take for granted, so that bytes which mean nothing are errors.

use std::marker::PhantomData;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::argtopk::{ArgTopKernel, decode_ranked};
use super::contract::ContractKernel;
use super::count::CountKernel;
use super::elemwise::ElemwiseKernel;
use super::fft::FftKernel;
use super::filter::FilterKernel;
use super::grouped::{GroupChunkKernel, GroupCombineKernel, GroupWholeKernel, decode_groups};
use super::histogramdd::HistogramKernel;
use super::label::{LabelKernel, decode_outline};
use super::lookup::LookupKernel;
use super::p_value::StudentKernel;
use super::points::{MixKernel, PointsKernel};
use super::program::{Instr, Program, Reg};
use super::quantile::QuantileKernel;
use super::random::RandomSource;
use super::read::ReadKernel;
use super::rearrange::{PermuteKernel, RechunkKernel, ReshapeKernel, SliceKernel};
use super::reduce::{
    ReduceSpec, chunk_kernel, combine_kernel, decode_partial, finish_kernel, whole_kernel,
};
use super::scan::ScanKernel;
use super::segments::SegmentsKernel;
use super::take::TakeKernel;
use super::topk::TopKernel;
use super::unique::{UniqueKernel, decode_tally};
use super::window_reduce::WindowReduceKernel;
use super::windows::WindowsKernel;
use crate::array::chunk::decode_chunk;
use crate::array::chunks::{AxisSlice, Chunks};
use crate::array::dtype::{DType, Element, dispatch};
use crate::array::io::{ByteOrder, Origin, Source, Stored, encode_slice};
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
        ("argtopk", |spec, _| {
            let (dtype, k, axis, step) = spec.parameters()?;
            Ok(
                dispatch!(dtype, T => Arc::new(ArgTopKernel::<T> { k, axis, step, element: PhantomData })),
            )
        }),
        ("count", |spec, _| {
            let (dtype, bins, has_weights) = spec.parameters()?;
            Ok(
                dispatch!(dtype, real T => Arc::new(CountKernel::<T>::new(bins, has_weights)), else {
                    return Err(undecodable("count", "the elements are in no bins"));
                }),
            )
        }),
        ("fft", |spec, _| {
            let (dtype, transform, n, scale) = spec.parameters()?;
            Ok(match dtype {
                DType::C64 => Arc::new(FftKernel::<f32>::new(transform, n, scale)),
                DType::C128 => Arc::new(FftKernel::<f64>::new(transform, n, scale)),
                _ => return Err(undecodable("fft", "the elements have no transform")),
            })
        }),
        ("filter", |spec, _| {
            let (dtype, axis) = spec.parameters()?;
            Ok(dispatch!(dtype, T => Arc::new(FilterKernel::<T>::new(axis))))
        }),
        ("group", |spec, _| {
            let (of, codes, n_groups, chunks, n_kept) = spec.parameters()?;
            Ok(Arc::new(GroupChunkKernel { spec: checked(of)?, codes, n_groups, chunks, n_kept }))
        }),
        ("group_combine", |spec, _| {
            let (of, groups, out) = spec.parameters()?;
            Ok(Arc::new(GroupCombineKernel { spec: checked(of)?, groups, out }))
        }),
        ("group_quantile", |spec, _| {
            let (dtype, quantiles, method, skip_nan, lens, groups) = spec.parameters()?;
            Ok(dispatch!(dtype, real T => {
                let types = PhantomData::<fn(T) -> <T as Element>::Mean>;
                let quantile = QuantileKernel { quantiles, method, skip_nan, types };
                Arc::new(SegmentsKernel { quantile, lens, groups })
            }, else return Err(undecodable("group_quantile", "the elements have no order"))))
        }),
        ("group_whole", |spec, _| {
            let ((of, codes, n_groups, axis), reads, groups, out) = spec.parameters()?;
            let spec = checked(of)?;
            Ok(Arc::new(GroupWholeKernel { spec, codes, n_groups, axis, reads, groups, out }))
        }),
        ("histogramdd", |spec, _| Ok(Arc::new(HistogramKernel { bins: spec.parameters()? }))),
        ("label", |spec, _| {
            let (step, connectivity, chunks): (_, usize, Chunks) = spec.parameters()?;
            match (1..=chunks.ndim()).contains(&connectivity) {
                true => Ok(Arc::new(LabelKernel { step, connectivity, chunks })),
                false => Err(undecodable("label", "there are no such neighbours")),
            }
        }),
        ("lookup", |spec, _| {
            let (dtype, lookup) = spec.parameters()?;
            Ok(dispatch!(dtype, T => Arc::new(LookupKernel::<T>::new(lookup))))
        }),
        ("mix_points", |spec, _| {
            let (dtype, sources, starts, points) = spec.parameters()?;
            Ok(dispatch!(dtype, T => {
                Arc::new(MixKernel::<T> { sources, starts, points, element: PhantomData })
            }))
        }),
        ("permute", |spec, _| {
            let (dtype, axes) = spec.parameters()?;
            Ok(dispatch!(dtype, T => Arc::new(PermuteKernel::<T>::new(axes))))
        }),
        ("points", |spec, _| {
            let (dtype, axes, points) = spec.parameters()?;
            Ok(dispatch!(dtype, T => {
                Arc::new(PointsKernel::<T> { axes, points, element: PhantomData })
            }))
        }),
        ("quantile", |spec, _| {
            let (dtype, quantiles, method, skip_nan) = spec.parameters()?;
            Ok(dispatch!(dtype, real T => {
                let types = PhantomData::<fn(T) -> <T as Element>::Mean>;
                Arc::new(QuantileKernel { quantiles, method, skip_nan, types })
            }, else return Err(undecodable("quantile", "the elements have no order"))))
        }),
        ("read", read),
        ("rechunk", |spec, _| {
            let (dtype, axes) = spec.parameters()?;
            Ok(dispatch!(dtype, T => Arc::new(RechunkKernel::<T>::new(axes))))
        }),
        ("reduce_chunk", |spec, _| {
            let (of, program, chunks, is_whole): (ReduceSpec, Parts, Chunks, bool) =
                spec.parameters()?;
            let (of, program) = (checked(of)?, program.build()?);
            if program.dtype() != of.in_dtype {
                return Err(undecodable("reduce_chunk", "the program makes other elements"));
            }
            Ok(match is_whole {
                true => whole_kernel(&of, program, chunks),
                false => chunk_kernel(&of, program, chunks),
            })
        }),
        ("reduce_combine", |spec, _| Ok(combine_kernel(&checked(spec.parameters()?)?))),
        ("reduce_finish", |spec, _| Ok(finish_kernel(&checked(spec.parameters()?)?))),
        ("reshape", |spec, _| {
            let (dtype, out) = spec.parameters()?;
            Ok(dispatch!(dtype, T => Arc::new(ReshapeKernel::<T>::new(out))))
        }),
        ("scan", |spec, _| {
            let (dtype, kind, step, axis) = spec.parameters()?;
            Ok(
                dispatch!(dtype, number T => Arc::new(ScanKernel::<T>::new(kind, step, axis)), else {
                    return Err(undecodable("scan", "the elements do not add up"));
                }),
            )
        }),
        ("slice", |spec, _| {
            let (dtype, pieces) = spec.parameters()?;
            Ok(dispatch!(dtype, T => Arc::new(SliceKernel::<T>::new(pieces))))
        }),
        ("student", |spec, _| spec.parameters::<()>().map(|()| Arc::new(StudentKernel) as _)),
        ("take", |spec, _| {
            let (dtype, axis, from, index, chunks) = spec.parameters()?;
            Ok(dispatch!(dtype, T => Arc::new(TakeKernel::<T>::new(axis, from, index, chunks))))
        }),
        ("topk", |spec, _| {
            let (dtype, k, axis) = spec.parameters()?;
            Ok(dispatch!(dtype, T => Arc::new(TopKernel::<T>::new(k, axis))))
        }),
        ("unique", |spec, _| {
            let (dtype, step, chunks) = spec.parameters()?;
            Ok(dispatch!(dtype, T => Arc::new(UniqueKernel::<T>::new(step, chunks))))
        }),
        ("window_reduce", |spec, _| {
            let (of, windows, is_whole) = spec.parameters()?;
            let kernel = WindowReduceKernel::new(checked(of)?, windows, is_whole);
            let wrong = || undecodable("window_reduce", "the windows are not what is reduced");
            Ok(Arc::new(kernel.ok_or_else(wrong)?))
        }),
        ("windows", |spec, _| {
            let (dtype, windows) = spec.parameters()?;
            Ok(dispatch!(dtype, T => Arc::new(WindowsKernel::<T>::new(windows))))
        }),
    ],
    values: &[
        ("chunk", decode_chunk),
        ("group_partial", decode_groups),
        ("outline", decode_outline),
        ("partial", decode_partial),
        ("ranked", decode_ranked),
        ("tally", decode_tally),
    ],
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
    let source = match &origin {
        Origin::Random(bytes) => Arc::new(RandomSource::decode(bytes)?) as Arc<dyn Source>,
        origin => origin.open(Call::new("read"))?,
    };
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

/// Appends elements, one after another.
pub(super) fn append<T: Stored>(items: &[T], bytes: &mut Vec<u8>) {
    let start = bytes.len();
    bytes.resize(start + size_of_val(items), 0);
    encode_slice(items, ByteOrder::Little, &mut bytes[start..]);
}

/// The elements that [`append`] has written, and nothing else.
pub(super) fn items<T: Stored>(what: &str, bytes: &[u8]) -> Result<Vec<T>> {
    if !bytes.len().is_multiple_of(size_of::<T>()) {
        return Err(undecodable(what, "the last element is cut"));
    }
    let items = bytes.chunks_exact(size_of::<T>());
    Ok(items.map(|item| T::decode(item, ByteOrder::Little)).collect())
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
