//! Reductions in three kernels: chunk, combine, finish.
//!
//! The chunk step runs at the end of a fused elementwise program, in the same pass. Its result is
//! a [`Partial`]; combining merges the partials of a group of blocks in their row-major order;
//! finishing does the same once more and turns accumulators into elements. Where a result is of one block,
//! finishing absorbs the chunk step. Nothing depends on threads or on what was fused.

use std::any::Any;
use std::fmt;
use std::io::{self, Write};
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};

use ndarray::{ArrayD, IxDyn};

use super::builder::Builder;
use super::compile::{Compiled, Target};
use super::elemwise::{Place, absorb, arch, set_inputs};
use super::fold::fold_block;
use super::ops::UnaryOp;
#[cfg(feature = "dist")]
use super::portable::{Parts, checked, head, n_items};
use super::program::{Program, Unsupported};
use super::reducers::{
    Accumulator, All, Any as AnyTrue, Arg, Finishing, Fold, Largest, Max, Merging, Min, Moments,
    NanLargest, NanMax, NanMean, NanMin, NanMoments, NanSmallest, Prod, Reducer, Smallest, Sum,
};
use super::scalar::{Lane, Scalar};
use super::strip::{Frame, STRIP};
use super::window_reduce::WindowReduceKernel;
use crate::array::chunk::Chunk;
use crate::array::chunks::Chunks;
use crate::array::dtype::{DType, Element, dispatch};
use crate::array::io::Strips;
#[cfg(feature = "dist")]
use crate::array::io::{ByteOrder, Stored, encode_slice};
use crate::error::{Error, Result};
use crate::graph::{Block, Inputs, Kernel, Load, Spill, TaskContext, Value, Wiring};
#[cfg(feature = "dist")]
use crate::graph::{KernelSpec, Unsendable, encoded};
use crate::memory::{BufferPool, Item, Lent};

/// What a reduction computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "dist", derive(serde::Serialize, serde::Deserialize))]
pub(crate) enum ReduceKind {
    Sum,
    Prod,
    Min,
    Max,
    Any,
    All,
    CountNonzero,
    Mean,
    Var,
    Std,
    /// The index along the one reduced axis, or in C order if all axes are reduced.
    ArgMin,
    ArgMax,
}

impl ReduceKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            ReduceKind::Sum => "sum",
            ReduceKind::Prod => "prod",
            ReduceKind::Min => "min",
            ReduceKind::Max => "max",
            ReduceKind::Any => "any",
            ReduceKind::All => "all",
            ReduceKind::CountNonzero => "count_nonzero",
            ReduceKind::Mean => "mean",
            ReduceKind::Var => "var",
            ReduceKind::Std => "std",
            ReduceKind::ArgMin => "argmin",
            ReduceKind::ArgMax => "argmax",
        }
    }
}

impl ReduceKind {
    /// Whether the result is the position of an element.
    pub(crate) fn is_position(self) -> bool {
        matches!(self, ReduceKind::ArgMin | ReduceKind::ArgMax)
    }

    /// Whether there is no result for no elements.
    pub(crate) fn needs_elements(self) -> bool {
        self.is_position() || matches!(self, ReduceKind::Min | ReduceKind::Max)
    }
}

/// A reduction as data.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "dist", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct ReduceSpec {
    pub(crate) kind: ReduceKind,
    /// The reduced axes, ascending.
    pub(crate) axes: Vec<usize>,
    /// What is subtracted from the count, for variances.
    pub(crate) ddof: f64,
    /// Whether NaN is left out instead of being the result.
    pub(crate) skip_nan: bool,
    /// The dtype of the reduced elements.
    pub(crate) in_dtype: DType,
}

/// What to do with the typed reducer of a [`ReduceSpec`].
pub(super) trait ReducerVisitor {
    type Result;
    fn visit<R: Reducer>(self, reducer: R) -> Self::Result;
}

impl ReduceSpec {
    /// The spec, if the reduction exists for its dtype.
    pub(crate) fn check(self) -> Result<Self, Unsupported> {
        let unsupported = Unsupported { op: self.kind.name(), got: self.in_dtype };
        self.visit(OutDType).map(|_| self).ok_or(unsupported)
    }

    /// The dtype of the result.
    pub(crate) fn out_dtype(&self) -> DType {
        self.visit(OutDType).expect("`check` refuses dtypes without this reduction")
    }

    /// Bytes of a partial result that keeps `kept_elements` positions.
    pub(crate) fn partial_bytes(&self, kept_elements: u64) -> u64 {
        struct AccBytes;
        impl ReducerVisitor for AccBytes {
            type Result = u64;
            fn visit<R: Reducer>(self, _reducer: R) -> u64 {
                size_of::<R::Acc>() as u64
            }
        }
        kept_elements.saturating_mul(self.visit(AccBytes).unwrap_or(0))
    }

    /// What a minimum of nothing is.
    pub(super) fn nothing_left(&self) -> Error {
        Error::NothingToReduce { op: self.kind.name(), axes: self.axes.clone() }
    }

    fn is_float(&self) -> bool {
        self.in_dtype.is_float() || self.in_dtype.is_complex()
    }

    fn skips_nan(&self) -> bool {
        self.skip_nan && self.is_float()
    }

    /// What elements are cast to before they are accumulated.
    pub(super) fn lane_dtype(&self) -> DType {
        let unsigned = [DType::U8, DType::U16, DType::U32, DType::U64];
        match self.kind {
            ReduceKind::CountNonzero => DType::I64,
            ReduceKind::Any | ReduceKind::All => DType::Bool,
            _ if self.is_float() => self.in_dtype,
            ReduceKind::Mean | ReduceKind::Var | ReduceKind::Std => DType::F64,
            ReduceKind::Min | ReduceKind::Max => self.in_dtype,
            _ if unsigned.contains(&self.in_dtype) => DType::U64,
            _ => DType::I64,
        }
    }

    /// `program` followed by what turns an element into one that is accumulated.
    pub(crate) fn prepared(&self, program: &Program) -> Program {
        let mut b = Builder::new(1);
        let mut x = b.input(0, self.in_dtype);
        let neutral = match self.kind {
            ReduceKind::Sum => Some(Scalar::I8(0)),
            ReduceKind::Prod => Some(Scalar::I8(1)),
            _ => None,
        };
        if self.skips_nan()
            && let Some(neutral) = neutral
        {
            let is_nan = b.unary(UnaryOp::IsNan, x).expect("floats and complex have isnan");
            let neutral = b.constant(neutral.cast(self.in_dtype));
            x = b.select(is_nan, neutral, x);
        }
        if self.kind == ReduceKind::CountNonzero {
            x = b.cast(x, DType::Bool);
        }
        x = b.cast(x, self.lane_dtype());
        let slots: Vec<usize> = (0..program.n_inputs()).collect();
        let wiring = Wiring {
            consumer: vec![0],
            n_slots: slots.len(),
            producer: slots,
            ..Wiring::default()
        };
        b.finish(x).inline(0, program, &wiring)
    }

    /// The visitor's result for the typed reducer, or `None` if the dtype has none.
    pub(super) fn visit<V: ReducerVisitor>(&self, visitor: V) -> Option<V::Result> {
        match self.kind.is_position() {
            true => self.visit_position(visitor),
            false => self.visit_value(visitor),
        }
    }

    /// Like [`visit`](Self::visit) for all but positions, and `None` for these.
    pub(super) fn visit_value<V: ReducerVisitor>(&self, visitor: V) -> Option<V::Result> {
        let skips_nan = self.skips_nan();
        match self.kind {
            ReduceKind::Any => Some(visitor.visit(Fold(AnyTrue))),
            ReduceKind::All => Some(visitor.visit(Fold(All))),
            ReduceKind::Sum | ReduceKind::CountNonzero | ReduceKind::Prod | ReduceKind::Mean => {
                self.visit_sum(visitor)
            }
            ReduceKind::Var | ReduceKind::Std => self.visit_moments(visitor),
            ReduceKind::Min => match self.in_dtype {
                DType::F32 if skips_nan => Some(visitor.visit(Fold(NanMin::<f32>(PhantomData)))),
                DType::F64 if skips_nan => Some(visitor.visit(Fold(NanMin::<f64>(PhantomData)))),
                dtype => {
                    dispatch!(dtype, real T => Some(visitor.visit(Fold(Min::<T>(PhantomData)))), else None)
                }
            },
            ReduceKind::Max => match self.in_dtype {
                DType::F32 if skips_nan => Some(visitor.visit(Fold(NanMax::<f32>(PhantomData)))),
                DType::F64 if skips_nan => Some(visitor.visit(Fold(NanMax::<f64>(PhantomData)))),
                dtype => {
                    dispatch!(dtype, real T => Some(visitor.visit(Fold(Max::<T>(PhantomData)))), else None)
                }
            },
            ReduceKind::ArgMin | ReduceKind::ArgMax => None,
        }
    }

    fn visit_position<V: ReducerVisitor>(&self, visitor: V) -> Option<V::Result> {
        macro_rules! of {
            ($smallest:ident, $largest:ident, $t:ty) => {
                match self.kind {
                    ReduceKind::ArgMin => visitor.visit(Arg::<$smallest<$t>>::new()),
                    _ => visitor.visit(Arg::<$largest<$t>>::new()),
                }
            };
        }
        Some(match (self.lane_dtype(), self.skips_nan()) {
            (DType::I64, _) => of!(Smallest, Largest, i64),
            (DType::U64, _) => of!(Smallest, Largest, u64),
            (DType::F32, false) => of!(Smallest, Largest, f32),
            (DType::F64, false) => of!(Smallest, Largest, f64),
            (DType::F32, true) => of!(NanSmallest, NanLargest, f32),
            (DType::F64, true) => of!(NanSmallest, NanLargest, f64),
            _ => return None,
        })
    }

    fn visit_sum<V: ReducerVisitor>(&self, visitor: V) -> Option<V::Result> {
        let is_mean = self.kind == ReduceKind::Mean;
        macro_rules! of {
            ($t:ty) => {
                match self.kind {
                    ReduceKind::Prod => visitor.visit(Fold(Prod::<$t>(PhantomData))),
                    _ => visitor.visit(Fold(Sum::<$t> { is_mean, of: PhantomData })),
                }
            };
        }
        Some(match self.lane_dtype() {
            DType::I64 => of!(i64),
            DType::U64 => of!(u64),
            dtype => dispatch!(dtype, float T => match self.skips_nan() && is_mean {
                true => visitor.visit(Fold(NanMean::<T>(PhantomData))),
                false => of!(T),
            }, else return None),
        })
    }

    fn visit_moments<V: ReducerVisitor>(&self, visitor: V) -> Option<V::Result> {
        let (ddof, is_std) = (self.ddof, self.kind == ReduceKind::Std);
        dispatch!(self.lane_dtype(), float T => {
            let moments = Moments::<T> { ddof, is_std, of: PhantomData };
            Some(if self.skips_nan() {
                visitor.visit(NanMoments(moments))
            } else {
                visitor.visit(moments)
            })
        }, else None)
    }
}

impl fmt::Display for ReduceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nan = if self.skip_nan { "nan" } else { "" };
        write!(f, "{nan}{}(axes: {:?}", self.kind.name(), self.axes)?;
        if matches!(self.kind, ReduceKind::Var | ReduceKind::Std) {
            write!(f, ", ddof: {}", self.ddof)?;
        }
        f.write_str(")")
    }
}

struct OutDType;

impl ReducerVisitor for OutDType {
    type Result = DType;
    fn visit<R: Reducer>(self, _reducer: R) -> DType {
        R::Out::DTYPE
    }
}

/// The chunk step: reduces each block of `program` over `in_chunks`.
pub(crate) fn chunk_kernel(
    spec: &ReduceSpec,
    program: Program,
    in_chunks: Chunks,
) -> Arc<dyn Kernel> {
    Arc::new(ReduceChunkKernel::new(spec.clone(), program, in_chunks, false))
}

/// The chunk step of results that are of one block each, which it finishes.
pub(crate) fn whole_kernel(
    spec: &ReduceSpec,
    program: Program,
    in_chunks: Chunks,
) -> Arc<dyn Kernel> {
    Arc::new(ReduceChunkKernel::new(spec.clone(), program, in_chunks, true))
}

/// Merges the partials of a group of blocks.
pub(crate) fn combine_kernel(spec: &ReduceSpec) -> Arc<dyn Kernel> {
    Arc::new(CombineKernel { spec: spec.clone() })
}

/// Merges the last group and computes the result, in which reduced axes stay with length 1.
pub(crate) fn finish_kernel(spec: &ReduceSpec) -> Arc<dyn Kernel> {
    Arc::new(FinishKernel { spec: spec.clone() })
}

/// Accumulators of a block, with reduced axes of length 1.
#[derive(Clone, Debug)]
pub(super) struct Partial<A: Item> {
    /// The reduction that this is a part of.
    pub(super) spec: ReduceSpec,
    pub(super) accs: Lent<A>,
    /// How many elements each accumulator holds.
    pub(super) n: u64,
    pub(super) shape: Vec<usize>,
}

impl<A: Accumulator> Value for Partial<A> {
    fn nbytes(&self) -> u64 {
        (self.accs.len() * size_of::<A>()) as u64
    }

    #[cfg(feature = "dist")]
    fn encode(&self, bytes: &mut Vec<u8>) -> Option<&'static str> {
        bytes.extend(encoded(&(&self.spec, self.n, &self.shape)));
        let start = bytes.len();
        bytes.resize(start + self.accs.len() * size_of::<A>(), 0);
        encode_slice(&self.accs, ByteOrder::Little, &mut bytes[start..]);
        Some("partial")
    }

    fn as_spill(&self) -> Option<&dyn Spill> {
        Some(self)
    }
}

impl<A: Accumulator> Spill for Partial<A> {
    fn save(&self, to: &mut dyn Write) -> io::Result<Load> {
        Strips::new().write(&self.accs, to)?;
        let (spec, n, shape, len) =
            (self.spec.clone(), self.n, self.shape.clone(), self.accs.len());
        Ok(Box::new(move |from, pool| {
            let mut accs = Lent::new(pool, len, A::default());
            Strips::new().fill(from, &mut accs)?;
            Ok(Block::new(Partial { spec: spec.clone(), accs, n, shape: shape.clone() }))
        }))
    }
}

/// Decodes a [`Partial`] of any reduction.
#[cfg(feature = "dist")]
pub(super) fn decode_partial(bytes: &[u8], pool: &Arc<BufferPool>) -> Result<Block> {
    struct Decode<'a>(ReduceSpec, u64, Vec<usize>, &'a [u8], &'a Arc<BufferPool>);
    impl ReducerVisitor for Decode<'_> {
        type Result = Result<Block>;
        fn visit<R: Reducer>(self, _reducer: R) -> Result<Block> {
            let Decode(spec, n, shape, data, pool) = self;
            let item_bytes = size_of::<R::Acc>();
            let n_accs = n_items(&shape, item_bytes, data.len())?;
            let mut accs = Lent::new(pool, n_accs, R::Acc::default());
            for (acc, bytes) in accs.iter_mut().zip(data.chunks_exact(item_bytes)) {
                *acc = R::Acc::decode(bytes, ByteOrder::Little);
            }
            Ok(Block::new(Partial { spec, accs, n, shape }))
        }
    }
    let ((spec, n, shape), data): ((ReduceSpec, _, _), _) = head("a partial result", bytes)?;
    let spec = checked(spec)?;
    spec.visit(Decode(spec.clone(), n, shape, data, pool)).unwrap_or_else(|| no_reducer(&spec))
}

/// The first step of a reduction, with the elementwise program before it.
#[derive(Debug)]
pub(crate) struct ReduceChunkKernel {
    spec: ReduceSpec,
    /// The elements that are reduced, before they are cast to what is accumulated.
    program: Program,
    /// Made when the first block runs, since programs are fused before that.
    compiled: OnceLock<Compiled>,
    chunks: Chunks,
    /// Whether each result is of one block, so that accumulators become elements at once.
    is_whole: bool,
}

impl ReduceChunkKernel {
    fn new(spec: ReduceSpec, program: Program, chunks: Chunks, is_whole: bool) -> Self {
        debug_assert_eq!(program.dtype(), spec.in_dtype);
        ReduceChunkKernel { spec, program, compiled: OnceLock::new(), chunks, is_whole }
    }

    /// What is to be reduced, and nothing that depends on how: that would be compiled once for each reduction.
    fn prepare<'b>(&self, task: &TaskContext<'_>, blocks: &'b [Block]) -> Result<ToReduce<'b>> {
        let place = Place::new(&self.program, &self.chunks, task.block, blocks)?;
        let index_of = self.index_of(&place)?;
        let axes = &self.spec.axes;
        let n_reduced: usize = axes.iter().map(|&axis| place.shape[axis]).product();
        let strip_len = STRIP.min(place.shape.iter().product());
        let mut shape = place.shape.clone();
        axes.iter().for_each(|&axis| shape[axis] = 1);
        let mut frame = Frame::new(place.shape, place.start, arch());
        set_inputs(&mut frame, &self.program, blocks, strip_len);
        self.compiled().prepare(&mut frame, strip_len);
        Ok(ToReduce { frame, index_of, n: n_reduced as u64, shape })
    }

    fn compiled(&self) -> &Compiled {
        let compile = || Compiled::new(&self.spec.prepared(&self.program), Target::Strip);
        self.compiled.get_or_init(compile)
    }

    fn reduce<R: Reducer>(
        &self,
        reducer: R,
        mut block: ToReduce<'_>,
        pool: &Arc<BufferPool>,
    ) -> Partial<R::Acc> {
        let mut accs = Lent::new(pool, block.shape.iter().product(), reducer.empty());
        fold_block(reducer, self.compiled(), &mut block.frame, &self.spec.axes, &mut accs);
        if let Some(index_of) = block.index_of {
            accs.iter_mut().for_each(|acc| *acc = reducer.relocate(*acc, &*index_of));
        }
        Partial { spec: self.spec.clone(), accs, n: block.n, shape: block.shape }
    }

    /// From flat positions in the block to the indices that argmin and argmax report.
    fn index_of(&self, place: &Place) -> Result<Option<Box<IndexOf>>> {
        if !matches!(self.spec.kind, ReduceKind::ArgMin | ReduceKind::ArgMax) {
            return Ok(None);
        }
        let unknown = || Error::Internal {
            place: self.spec.to_string(),
            problem: "chunks of unknown length have no indices".to_owned(),
        };
        // One axis that is reduced alone counts itself; all of them count in C order.
        let mut stride = 1;
        let mut strides = vec![0; place.shape.len()];
        for &axis in self.spec.axes.iter().rev() {
            strides[axis] = stride;
            if self.spec.axes.len() > 1 {
                stride *= self.chunks.axes()[axis].len().ok_or_else(unknown)?;
            }
        }
        let (shape, start) = (place.shape.clone(), place.start.clone());
        Ok(Some(Box::new(move |mut at: u64| {
            let mut index = 0;
            for axis in (0..shape.len()).rev() {
                let len = shape[axis] as u64;
                index += (start[axis] as u64 + at % len) * strides[axis];
                at /= len;
            }
            index
        })))
    }
}

/// From a flat position in a block to an index in the array.
type IndexOf = dyn Fn(u64) -> u64;

/// A block on its way into accumulators.
struct ToReduce<'b> {
    frame: Frame<'b>,
    /// Where positions are what is looked for.
    index_of: Option<Box<IndexOf>>,
    /// How many elements each accumulator gets.
    n: u64,
    /// Of the accumulators.
    shape: Vec<usize>,
}

impl Kernel for ReduceChunkKernel {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        struct Reduce<'k>(&'k ReduceChunkKernel, ToReduce<'k>, &'k Arc<BufferPool>);
        impl ReducerVisitor for Reduce<'_> {
            type Result = Result<Block>;
            fn visit<R: Reducer>(self, reducer: R) -> Result<Block> {
                let partial = self.0.reduce(reducer, self.1, self.2);
                if self.0.is_whole {
                    return finished(&reducer, partial, self.2);
                }
                Ok(Block::new(partial))
            }
        }
        let blocks: Vec<Block> =
            (0..self.program.n_inputs()).map(|slot| inputs.take_one(slot)).collect();
        let block = self.prepare(task, &blocks)?;
        let reduced = self.spec.visit(Reduce(self, block, task.pool));
        reduced.unwrap_or_else(|| no_reducer(&self.spec))
    }

    fn absorb(
        &self,
        slot: usize,
        producer: &dyn Kernel,
        wiring: &Wiring,
    ) -> Option<Arc<dyn Kernel>> {
        let ndim = self.chunks.ndim();
        let over_windows =
            WindowReduceKernel::over(&self.spec, &self.program, ndim, self.is_whole, producer);
        if let Some(over_windows) = over_windows {
            return Some(Arc::new(over_windows));
        }
        let program = absorb(&self.program, &self.chunks, slot, producer, wiring)?;
        let (spec, chunks) = (self.spec.clone(), self.chunks.clone());
        Some(Arc::new(ReduceChunkKernel::new(spec, program, chunks, self.is_whole)))
    }

    fn has_numbered_blocks(&self) -> bool {
        true
    }

    fn may_gather(&self) -> bool {
        // Accumulators, before they are elements.
        self.is_whole
    }

    fn n_steps(&self) -> usize {
        self.program.n_instrs() + 1 + usize::from(self.is_whole)
    }

    fn formula(&self) -> Option<String> {
        if self.program.is_identity() {
            return None;
        }
        Some(format!("{} of {}", self.spec, self.program))
    }

    #[cfg(feature = "dist")]
    fn spec(&self) -> Result<KernelSpec, Unsendable> {
        let parameters = (&self.spec, Parts::of(&self.program), &self.chunks, self.is_whole);
        Ok(KernelSpec::new("reduce_chunk", &parameters))
    }
}

/// Merges partials into one.
#[derive(Debug)]
pub(crate) struct CombineKernel {
    spec: ReduceSpec,
}

impl Kernel for CombineKernel {
    fn run(&self, _task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        struct Combine<'k>(&'k ReduceSpec, Vec<Block>);
        impl ReducerVisitor for Combine<'_> {
            type Result = Result<Block>;
            fn visit<R: Reducer>(self, reducer: R) -> Result<Block> {
                merge_partials(&reducer, self.0, self.1).map(Block::new)
            }
        }
        let blocks = inputs.take_slot(0).collect();
        self.spec.visit(Combine(&self.spec, blocks)).unwrap_or_else(|| no_reducer(&self.spec))
    }

    #[cfg(feature = "dist")]
    fn spec(&self) -> Result<KernelSpec, Unsendable> {
        Ok(KernelSpec::new("reduce_combine", &self.spec))
    }
}

/// Merges the last partials and computes the result from them.
#[derive(Debug)]
pub(crate) struct FinishKernel {
    spec: ReduceSpec,
}

/// The elements that accumulators become.
fn finished<A: Accumulator, O: Lane>(
    reducer: &dyn Finishing<A, O>,
    partial: Partial<A>,
    pool: &Arc<BufferPool>,
) -> Result<Block> {
    let Partial { spec, accs, n, shape } = partial;
    let mut out = pool.take::<O>(accs.len());
    reducer.finish_all(&accs, n, None, &mut out).ok_or_else(|| spec.nothing_left())?;
    let array = ArrayD::from_shape_vec(IxDyn(&shape), out)
        .expect("a partial has one accumulator per position of its shape");
    Ok(Block::new(Chunk::new(array, pool)))
}

impl Kernel for FinishKernel {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        struct Finish<'k>(&'k FinishKernel, &'k TaskContext<'k>, Vec<Block>);
        impl ReducerVisitor for Finish<'_> {
            type Result = Result<Block>;
            fn visit<R: Reducer>(self, reducer: R) -> Result<Block> {
                let merged = merge_partials(&reducer, &self.0.spec, self.2)?;
                finished(&reducer, merged, self.1.pool)
            }
        }
        let blocks = inputs.take_slot(0).collect();
        self.spec.visit(Finish(self, task, blocks)).unwrap_or_else(|| no_reducer(&self.spec))
    }

    fn absorb(
        &self,
        _slot: usize,
        producer: &dyn Kernel,
        wiring: &Wiring,
    ) -> Option<Arc<dyn Kernel>> {
        let producer: &dyn Any = producer;
        let made = producer.downcast_ref::<ReduceChunkKernel>()?;
        let program = made.program.remap_slots(&wiring.producer, wiring.n_slots);
        Some(whole_kernel(&self.spec, program, made.chunks.clone()))
    }

    #[cfg(feature = "dist")]
    fn spec(&self) -> Result<KernelSpec, Unsendable> {
        Ok(KernelSpec::new("reduce_finish", &self.spec))
    }
}

/// The partials of a group, merged in the order in which they come.
fn merge_partials<A: Accumulator>(
    reducer: &dyn Merging<A>,
    spec: &ReduceSpec,
    blocks: Vec<Block>,
) -> Result<Partial<A>> {
    let problem =
        |problem: &str| Error::Internal { place: spec.to_string(), problem: problem.to_owned() };
    let mut partials = blocks.into_iter().map(|block| match block.try_unwrap() {
        Ok(partial) => Some(partial),
        Err(shared) => shared.downcast_ref::<Partial<A>>().cloned(),
    });
    let first = partials.next().ok_or_else(|| problem("a group has no blocks"))?;
    let mut merged = first.ok_or_else(|| problem("a block is not a partial result"))?;
    for partial in partials {
        let partial = partial.ok_or_else(|| problem("a block is not a partial result"))?;
        if partial.spec != merged.spec {
            return Err(problem("the blocks of a group are parts of different reductions"));
        }
        if partial.shape != merged.shape {
            return Err(problem("the blocks of a group differ in shape"));
        }
        reducer.merge_all(&mut merged.accs, merged.n, &partial.accs, partial.n);
        merged.n += partial.n;
    }
    Ok(merged)
}

pub(super) fn no_reducer<T>(spec: &ReduceSpec) -> Result<T> {
    let problem = format!("{} does not exist", spec.in_dtype);
    Err(Error::Internal { place: spec.to_string(), problem })
}
