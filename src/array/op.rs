//! The narrow waist: the dozen structural operations that every array function is made of.
//!
//! A new function is a new file in `ops/`, not a new variant here. Each operation is data: compared,
//! hashed and printed, so that plans can be rewritten by looking at them.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::chunks::limit::{MAX_LISTED, check_listed};
use super::chunks::{
    AxisChunks, AxisSlice, Chunks, ReshapePlan, Unsupported, plan_reshape_within, slice_axis,
    unify_broadcast,
};
use super::dtype::DType;
use super::io::Source;
use super::kernels::contract::Contraction;
use super::kernels::resident::Resident;
use super::kernels::{Program, ReduceSpec};
use super::meta::Meta;
use crate::error::{Call, Error, Result};
use crate::graph::{BlockMap, Bridge, Kernel, Operation};
use crate::keep::KeptBlocks;

/// One structural operation of a plan.
#[derive(Clone, Debug)]
pub(crate) enum ArrayOp {
    /// A box of stored data, cut into chunks.
    Read(Read),
    /// Blocks that an earlier run left.
    Blocks(Arc<PersistedBlocks>),
    /// Blocks made of those of an expression of another kind.
    Bridge(Arc<Bridged>),
    /// A function of the element's index.
    Create { program: Arc<Program>, chunks: Chunks },
    /// A function of one element of each input, which broadcast together.
    Elemwise(Arc<Program>),
    /// A regular selection along each axis; `None` takes the axis whole.
    Slice(Arc<[Option<AxisSlice>]>),
    /// Output axis `i` is input axis `self[i]`, or a new one of length 1. Input axes that
    /// are not named have length 1 and go away.
    Permute(Arc<[Option<usize>]>),
    /// Axes of length 1 repeated, and new leading axes, up to these chunks.
    Broadcast(Chunks),
    /// Inputs one after another along an axis.
    Concat(usize),
    /// The same values in other chunks.
    Rechunk(Chunks),
    /// The same elements in C order under another shape.
    Reshape(Arc<ReshapeTarget>),
    /// Each block under another shape, block by block in row-major order: a planned `Reshape`.
    ReshapeBlocks(Chunks),
    /// A tree reduction; reduced axes stay with length 1.
    Reduce(Arc<Reduction>),
    /// Elements that are picked by position along an axis.
    Take(Arc<Take>),
    /// A kernel of whole blocks.
    Blockwise(Arc<Blockwise>),
    /// Products of blocks, one for each block of the contracted axes, which become trailing axes.
    Contract(Arc<Contraction>),
}

/// What is read: from where, which box, in which chunks.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub(crate) from: ReadFrom,
    /// The part of each axis of the source that is wanted.
    pub(crate) window: Arc<[AxisSlice]>,
    pub(crate) chunks: Chunks,
}

/// Where data is read from.
#[derive(Clone, Debug)]
pub(crate) enum ReadFrom {
    /// Storage, from which boxes are copied.
    Storage(Arc<dyn Source>),
    /// An array in the user's memory, of which blocks are views.
    Memory(Arc<dyn Resident>),
}

impl ReadFrom {
    pub(crate) fn dtype(&self) -> DType {
        match self {
            ReadFrom::Storage(source) => source.dtype(),
            ReadFrom::Memory(resident) => resident.dtype(),
        }
    }

    fn address(&self) -> *const () {
        match self {
            ReadFrom::Storage(source) => Arc::as_ptr(source).cast(),
            ReadFrom::Memory(resident) => Arc::as_ptr(resident).cast(),
        }
    }
}

impl PartialEq for Read {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.from.address(), other.from.address())
            && self.window == other.window
            && self.chunks == other.chunks
    }
}

/// Blocks that are kept, in row-major order of their grid.
#[derive(Debug)]
pub(crate) struct PersistedBlocks {
    pub(crate) blocks: Arc<KeptBlocks>,
    pub(crate) meta: Meta,
}

/// What is known of the blocks that come over a bridge.
#[derive(Debug)]
pub(crate) struct Bridged {
    pub(crate) bridge: Arc<Bridge>,
    pub(crate) meta: Meta,
}

/// What a reshape leads to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ReshapeTarget {
    pub(crate) shape: Vec<u64>,
    /// Elements that a block of the plan may have even if no block of the input does.
    pub(crate) block_len_max: u64,
}

/// A reduction and how many partial results one combining task takes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reduction {
    pub(crate) spec: ReduceSpec,
    /// Blocks per combining task along each axis; 1 for axes that are kept.
    pub(crate) fan_in: Vec<u64>,
}

/// Which positions of an axis are picked, in which order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Take {
    pub(crate) axis: usize,
    pub(crate) index: Arc<[u64]>,
    /// How what is picked is cut into blocks.
    pub(crate) chunks: AxisChunks,
}

/// A kernel of whole blocks. Its inputs are in the chunks that it wants: no rule aligns them.
#[derive(Clone, Debug)]
pub(crate) struct Blockwise {
    pub(crate) name: Arc<str>,
    pub(crate) kernel: Arc<dyn Kernel>,
    /// Which blocks of each input a block of the result reads.
    pub(crate) maps: Vec<BlockMap>,
    pub(crate) out: Meta,
    /// Bytes of the largest block of the result, where its chunks do not say.
    pub(crate) out_bytes: Option<u64>,
    /// Bytes that the kernel uses besides its inputs and its output, at most.
    pub(crate) scratch_bytes: u64,
}

impl PartialEq for Blockwise {
    fn eq(&self, other: &Self) -> bool {
        // Kernels that hold closures describe nothing and are equal to no other.
        let same_kernel = || match (self.kernel.identity(), other.kernel.identity()) {
            (Some(a), Some(b)) => a == b,
            _ => Arc::ptr_eq(&self.kernel, &other.kernel),
        };
        self.name == other.name
            && self.out == other.out
            && self.maps == other.maps
            && self.scratch_bytes == other.scratch_bytes
            && same_kernel()
    }
}

impl PartialEq for ArrayOp {
    fn eq(&self, other: &Self) -> bool {
        use ArrayOp as O;
        match (self, other) {
            (O::Read(a), O::Read(b)) => a == b,
            (O::Blocks(a), O::Blocks(b)) => Arc::ptr_eq(a, b),
            (O::Bridge(a), O::Bridge(b)) => Arc::ptr_eq(a, b),
            (
                O::Create { program: a, chunks: a_chunks },
                O::Create { program: b, chunks: b_chunks },
            ) => a == b && a_chunks == b_chunks,
            (O::Elemwise(a), O::Elemwise(b)) => a == b,
            (O::Slice(a), O::Slice(b)) => a == b,
            (O::Permute(a), O::Permute(b)) => a == b,
            (O::Broadcast(a), O::Broadcast(b))
            | (O::Rechunk(a), O::Rechunk(b))
            | (O::ReshapeBlocks(a), O::ReshapeBlocks(b)) => a == b,
            (O::Concat(a), O::Concat(b)) => a == b,
            (O::Reshape(a), O::Reshape(b)) => a == b,
            (O::Reduce(a), O::Reduce(b)) => a == b,
            (O::Take(a), O::Take(b)) => a == b,
            (O::Blockwise(a), O::Blockwise(b)) => Arc::ptr_eq(a, b) || a == b,
            (O::Contract(a), O::Contract(b)) => a == b,
            _ => false,
        }
    }
}

impl Operation for ArrayOp {
    type Meta = Meta;

    fn infer(&self, inputs: &[&Meta]) -> Result<Meta> {
        let same_dtype = |chunks| Meta { dtype: inputs[0].dtype, chunks };
        Ok(match self {
            ArrayOp::Read(read) => Meta { dtype: read.from.dtype(), chunks: read.chunks.clone() },
            ArrayOp::Blocks(persisted) => persisted.meta.clone(),
            ArrayOp::Bridge(bridged) => bridged.meta.clone(),
            ArrayOp::Create { program, chunks } => {
                Meta { dtype: program.dtype(), chunks: chunks.clone() }
            }
            ArrayOp::Elemwise(program) => {
                let chunks: Vec<_> = inputs.iter().map(|meta| &meta.chunks).collect();
                let chunks = unify_broadcast(Call::new("elementwise"), &chunks)?;
                Meta { dtype: program.dtype(), chunks }
            }
            ArrayOp::Slice(slices) => same_dtype(sliced_chunks(&inputs[0].chunks, slices)?),
            ArrayOp::Permute(axes) => same_dtype(permuted_chunks(&inputs[0].chunks, axes)),
            ArrayOp::Broadcast(chunks)
            | ArrayOp::Rechunk(chunks)
            | ArrayOp::ReshapeBlocks(chunks) => same_dtype(chunks.clone()),
            ArrayOp::Concat(axis) => {
                same_dtype(concatenated_chunks(Call::new("concatenate"), inputs, *axis)?)
            }
            ArrayOp::Reshape(target) => {
                same_dtype(plan_reshaped(&inputs[0].chunks, target)?.output)
            }
            ArrayOp::Reduce(reduction) => Meta {
                dtype: reduction.spec.out_dtype(),
                chunks: reduced_chunks(&inputs[0].chunks, &reduction.spec.axes),
            },
            ArrayOp::Take(take) => {
                same_dtype(inputs[0].chunks.with_axis(take.axis, take.chunks.clone()))
            }
            ArrayOp::Blockwise(blockwise) => blockwise.out.clone(),
            ArrayOp::Contract(contraction) => {
                same_dtype(contraction.out_chunks(&inputs[0].chunks, &inputs[1].chunks))
            }
        })
    }

    fn bridge(&self) -> Option<&Arc<Bridge>> {
        match self {
            ArrayOp::Bridge(bridged) => Some(&bridged.bridge),
            _ => None,
        }
    }

    fn fingerprint(&self, hasher: &mut impl Hasher) {
        std::mem::discriminant(self).hash(hasher);
        match self {
            ArrayOp::Read(read) => read.window.hash(hasher),
            ArrayOp::Create { program, chunks } => {
                program.hash(hasher);
                chunks.hash(hasher);
            }
            ArrayOp::Elemwise(program) => program.hash(hasher),
            ArrayOp::Slice(slices) => slices.hash(hasher),
            ArrayOp::Permute(axes) => axes.hash(hasher),
            ArrayOp::Broadcast(chunks)
            | ArrayOp::Rechunk(chunks)
            | ArrayOp::ReshapeBlocks(chunks) => chunks.hash(hasher),
            ArrayOp::Concat(axis) => axis.hash(hasher),
            ArrayOp::Reshape(target) => target.hash(hasher),
            ArrayOp::Reduce(reduction) => reduction.spec.axes.hash(hasher),
            ArrayOp::Take(take) => take.hash(hasher),
            ArrayOp::Blockwise(blockwise) => blockwise.name.hash(hasher),
            ArrayOp::Bridge(bridged) => Arc::as_ptr(bridged).hash(hasher),
            ArrayOp::Blocks(_) | ArrayOp::Contract(_) => {}
        }
    }
}

/// Chunks after a selection along each axis.
pub(crate) fn sliced_chunks(chunks: &Chunks, slices: &[Option<AxisSlice>]) -> Result<Chunks> {
    let sliced = |(axis, slice): (&AxisChunks, &Option<AxisSlice>)| match slice {
        Some(slice) => slice_axis(axis, *slice).map(|(axis, _)| axis),
        None => Some(axis.clone()),
    };
    let sliced: Option<Chunks> = chunks.axes().iter().zip(slices).map(sliced).collect();
    sliced.ok_or_else(|| {
        let fits = |(axis, slice): (&AxisChunks, &Option<AxisSlice>)| {
            slice.is_none_or(|slice| axis.len().is_some_and(|len| slice.fits(len)))
        };
        match chunks.axes().iter().zip(slices).all(fits) {
            true => Error::TooManyTasks { op: "slice".into(), call: None, limit: MAX_LISTED },
            false => Error::Internal {
                place: "slice".into(),
                problem: format!("{slices:?} of {chunks}"),
            },
        }
    })
}

/// Chunks after moving, adding and dropping axes.
pub(crate) fn permuted_chunks(chunks: &Chunks, axes: &[Option<usize>]) -> Chunks {
    axes.iter()
        .map(|axis| match axis {
            Some(axis) => chunks.axes()[*axis].clone(),
            None => AxisChunks::whole(1),
        })
        .collect()
}

/// Chunks with the reduced axes as one block of length 1.
pub(crate) fn reduced_chunks(chunks: &Chunks, axes: &[usize]) -> Chunks {
    let reduced = |i| axes.contains(&i);
    chunks
        .axes()
        .iter()
        .enumerate()
        .map(|(i, axis)| if reduced(i) { AxisChunks::whole(1) } else { axis.clone() })
        .collect()
}

/// The chunks before and after a reshape in one step.
pub(crate) fn plan_reshaped(chunks: &Chunks, target: &ReshapeTarget) -> Result<ReshapePlan> {
    let shape = &target.shape;
    let in_shape = chunks.known_shape().unwrap_or_default();
    let planned = plan_reshape_within(&in_shape, shape, chunks, target.block_len_max);
    planned.map_err(|why| match why {
        Unsupported::TooManyBlocks => {
            Error::TooManyTasks { op: "reshape".into(), call: None, limit: MAX_LISTED }
        }
        why => Error::Internal {
            place: "reshape".into(),
            problem: format!("{in_shape:?} to {shape:?} in one step: {why:?}"),
        },
    })
}

/// Chunks of arrays one after another along `axis`, with the other axes' chunks unified.
pub(crate) fn concatenated_chunks(call: Call, inputs: &[&Meta], axis: usize) -> Result<Chunks> {
    let n_blocks = inputs.iter().map(|meta| meta.chunks.axes()[axis].n_blocks());
    check_listed(call.op, Some(call), n_blocks.fold(0, u64::saturating_add))?;
    let along: Option<Vec<u64>> = inputs
        .iter()
        .map(|meta| {
            let axis = &meta.chunks.axes()[axis];
            axis.is_known().then(|| axis.sizes().collect::<Vec<_>>())
        })
        .collect::<Option<Vec<_>>>()
        .map(|sizes| sizes.concat());
    let along = match along {
        // An input without rows keeps its empty block, unless there is something beside it.
        Some(sizes) if sizes.iter().any(|&n| n > 0) => AxisChunks::from_sizes(&sizes),
        Some(_) => Some(AxisChunks::whole(0)),
        None => {
            let blocks = inputs.iter().map(|meta| meta.chunks.axes()[axis].n_blocks()).sum();
            let tokens: Vec<_> = inputs.iter().map(|meta| &meta.chunks.axes()[axis]).collect();
            Some(AxisChunks::unknown(blocks, token_of(&tokens)))
        }
    };
    let along = along.ok_or(Error::UnknownChunks { call, axis })?;
    let mut others = Vec::with_capacity(inputs.len());
    for meta in inputs {
        others.push(meta.chunks.with_axis(axis, AxisChunks::whole(1)));
    }
    let unified = unify_broadcast(call, &others.iter().collect::<Vec<_>>())?;
    Ok(unified.with_axis(axis, along))
}

/// A provenance token for unknown lengths that follow from those of `axes`.
fn token_of(axes: &[&AxisChunks]) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    axes.hash(&mut hasher);
    hasher.finish()
}
