//! From plans to layers: each operation becomes one or a few layers of tasks.
//!
//! Nothing here looks at single blocks; a layer is described once, however many tasks it has.

use std::collections::HashMap;
use std::sync::Arc;

use super::chunks::limit::check_listed;
use super::chunks::{
    AxisChunks, Chunks, Overlap, Piece, RechunkLimits, SlicePieces, THRESHOLD, overlap,
    rechunk_steps, slice_axis, take_blocks, tree,
};
use super::dtype::{DType, dispatch};
use super::kernels::contract::{ContractKernel, Contraction};
use super::kernels::load::panel_bytes_max;
use super::kernels::read::ReadKernel;
use super::kernels::rearrange::{PermuteKernel, RechunkKernel, ReshapeKernel, SliceKernel};
use super::kernels::resident::{PersistedKernel, ResidentKernel};
use super::kernels::take::TakeKernel;
use super::kernels::{ElemwiseKernel, Program, chunk_kernel, combine_kernel, finish_kernel};
use super::meta::Meta;
use super::op::{ArrayOp, Blockwise, Read, ReadFrom, Reduction, Take};
use crate::error::{Error, Result};
use crate::graph::{
    AxisMap, BlockMap, Crossings, ExpressionId, ForwardKernel, Kernel, Layer, LayerGraph, LayerId,
    LayerInput, Lower, NodeId, Plan,
};

/// What lowering needs to know besides the plan.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LowerOptions {
    /// Bytes above which an intermediate chunking of a rechunk should not go.
    pub(crate) chunk_bytes: u64,
    /// Bytes that all tasks may hold together.
    pub(crate) memory_limit: u64,
}

/// One task of a rechunk may hold this part of the memory limit, so that the blocks of others have a place too.
const RECHUNK_PART: u64 = 2;

/// A plan, and which of its operations are layers already.
pub(crate) struct Planned {
    plan: Plan<ArrayOp>,
    /// The expressions that the roots of the plan are.
    roots: Vec<ExpressionId>,
    options: LowerOptions,
    done: HashMap<NodeId, LayerId>,
}

impl Planned {
    pub(crate) fn new(
        plan: Plan<ArrayOp>,
        roots: Vec<ExpressionId>,
        options: LowerOptions,
    ) -> Self {
        Planned { plan, roots, options, done: HashMap::new() }
    }
}

impl Lower for Planned {
    fn lower(&mut self, layers: &mut LayerGraph, crossings: &mut Crossings) -> Result<usize> {
        let (plan, options) = (&self.plan, self.options);
        let done = std::mem::take(&mut self.done);
        let n_before = done.len();
        let mut lowering = Lowering { plan, layers, crossings, options, done };
        for id in plan.topological() {
            let done = &lowering.done;
            let is_done = |id: &NodeId| done.contains_key(id);
            if !is_done(&id) && lowering.crossings.is_ready(plan, id, is_done) {
                lowering.layers.make_at(plan.line(id));
                let layer = lowering.node(id)?;
                lowering.done.insert(id, layer);
            }
        }
        self.done = lowering.done;
        for (root, expression) in self.plan.roots().iter().zip(&self.roots) {
            if let Some(layer) = self.done.get(root) {
                crossings.insert(*expression, *layer);
            }
        }
        Ok(self.done.len() - n_before)
    }

    fn outputs(&self) -> Option<Vec<LayerId>> {
        self.plan.roots().iter().map(|root| self.done.get(root).copied()).collect()
    }
}

struct Lowering<'a> {
    plan: &'a Plan<ArrayOp>,
    layers: &'a mut LayerGraph,
    crossings: &'a Crossings,
    options: LowerOptions,
    done: HashMap<NodeId, LayerId>,
}

impl Lowering<'_> {
    fn node(&mut self, id: NodeId) -> Result<LayerId> {
        let out = self.plan.meta(id);
        let inputs: Vec<LayerId> =
            self.plan.inputs(id).iter().map(|input| self.done[input]).collect();
        let metas: Vec<&Meta> =
            self.plan.inputs(id).iter().map(|input| self.plan.meta(*input)).collect();
        let dtype = out.dtype;
        let chunks = &out.chunks;
        match self.plan.op(id) {
            ArrayOp::Read(read) => Ok(self.read(read, out)),
            ArrayOp::Bridge(bridged) => {
                let source = self.crossings.layer_behind(&bridged.bridge);
                let source = source.ok_or_else(|| unfit("bridge to nowhere", chunks))?;
                let (grid, text) = (chunks.grid(), out.block_text());
                let layer = bridged.bridge.layer(self.layers, source, &grid, text);
                Ok(self.layers.push(layer))
            }
            ArrayOp::Blocks(persisted) => {
                let blocks = Arc::clone(&persisted.blocks);
                let largest = blocks.largest_on_disk();
                let kernel = Arc::new(PersistedKernel { blocks, chunks: chunks.clone() });
                let id = self.push("persisted", out, 0, kernel, vec![]);
                // Blocks in memory are the array's memory and not the run's.
                self.layers.get_mut(id).out_bytes = largest;
                Ok(id)
            }
            ArrayOp::Create { program, .. } => {
                Ok(self.elemwise(&format!("create {program}"), program, out, &[], &[]))
            }
            ArrayOp::Elemwise(program) => {
                let layer = self.elemwise(&program.to_string(), program, out, &inputs, &metas);
                self.layers.get_mut(layer).scratch_bytes = self.loading_bytes(id);
                Ok(layer)
            }
            ArrayOp::Broadcast(_) => {
                let program = Arc::new(Program::input(dtype));
                let layer = self.elemwise("broadcast", &program, out, &inputs, &metas);
                self.layers.get_mut(layer).scratch_bytes = self.loading_bytes(id);
                Ok(layer)
            }
            ArrayOp::Slice(slices) => {
                let axes = metas[0].chunks.axes().iter().zip(slices.iter());
                let pieces: Option<Vec<Option<SlicePieces>>> = axes
                    .map(|(axis, slice)| match slice {
                        Some(slice) => slice_axis(axis, *slice).map(|(_, pieces)| Some(pieces)),
                        None => Some(None),
                    })
                    .collect();
                let pieces = pieces.ok_or_else(|| unfit("slice", &metas[0].chunks))?;
                let maps = pieces.iter().enumerate().map(|(axis, pieces)| match pieces {
                    Some(pieces) => slice_map(axis, pieces),
                    None => Ok(AxisMap::same(axis)),
                });
                let map = BlockMap::Axes(maps.collect::<Result<_>>()?);
                let kernel: Arc<dyn Kernel> =
                    dispatch!(dtype, T => Arc::new(SliceKernel::<T>::new(pieces)));
                Ok(self.push("slice", out, 0, kernel, vec![LayerInput { layer: inputs[0], map }]))
            }
            ArrayOp::Permute(axes) => {
                let maps = metas[0].chunks.axes().iter().enumerate().map(|(axis, chunks)| {
                    let place = axes.iter().position(|from| *from == Some(axis));
                    place.map_or_else(|| at_the_element(chunks), AxisMap::same)
                });
                let map = BlockMap::axes(maps);
                let axes = Arc::clone(axes);
                let kernel: Arc<dyn Kernel> =
                    dispatch!(dtype, T => Arc::new(PermuteKernel::<T>::new(axes)));
                Ok(self.push("permute", out, 0, kernel, vec![LayerInput { layer: inputs[0], map }]))
            }
            ArrayOp::Concat(axis) => Ok(self.concat(*axis, out, &inputs, &metas)),
            ArrayOp::Rechunk(_) => self.rechunk(&metas[0].chunks, out, inputs[0]),
            ArrayOp::Reshape(_) => Err(unfit("reshape that was not planned", chunks)),
            ArrayOp::ReshapeBlocks(chunks) => {
                let kernel: Arc<dyn Kernel> =
                    dispatch!(dtype, T => Arc::new(ReshapeKernel::<T>::new(chunks.clone())));
                let map = BlockMap::Linear;
                Ok(self.push("reshape", out, 0, kernel, vec![LayerInput { layer: inputs[0], map }]))
            }
            ArrayOp::Reduce(reduction) => {
                let scratch = self.loading_bytes(id);
                Ok(self.reduce(reduction, metas[0], out, inputs[0], scratch))
            }
            ArrayOp::Take(take) => self.take(take, &metas[0].chunks, out, inputs[0]),
            ArrayOp::Blockwise(blockwise) => Ok(self.blockwise(blockwise, &inputs)),
            ArrayOp::Contract(contraction) => {
                let scratch = self.plan.inputs(id).iter().map(|input| self.matrix_bytes(*input));
                let scratch = scratch.fold(0, u64::saturating_add);
                let inputs = [inputs[0], inputs[1]];
                self.contract(contraction, out, inputs, [metas[0], metas[1]], scratch)
            }
        }
    }

    fn push(
        &mut self,
        name: &str,
        out: &Meta,
        scratch_bytes: u64,
        kernel: Arc<dyn Kernel>,
        inputs: Vec<LayerInput>,
    ) -> LayerId {
        self.layers.push(Layer {
            name: name.into(),
            grid: out.chunks.grid().into(),
            kernel,
            inputs,
            block_text: out.block_text(),
            // Lengths that nobody knows yet are taken for chunks of the configured size.
            out_bytes: out.block_bytes_max().unwrap_or(self.options.chunk_bytes),
            scratch_bytes,
            is_estimate: false,
        })
    }

    fn read(&mut self, read: &Read, out: &Meta) -> LayerId {
        let (window, chunks) = (Arc::clone(&read.window), read.chunks.clone());
        match &read.from {
            ReadFrom::Memory(array) => {
                let kernel = Arc::new(ResidentKernel { array: Arc::clone(array), window, chunks });
                let layer = self.push("memory", out, 0, kernel, vec![]);
                self.layers.get_mut(layer).out_bytes = 0;
                layer
            }
            ReadFrom::Storage(source) => {
                let verb = if source.is_computed() { "" } else { "read " };
                let name = format!("{verb}{}", source.name());
                let source = Arc::clone(source);
                let (kernel, scratch): (Arc<dyn Kernel>, u64) = dispatch!(out.dtype, T => {
                    let kernel = ReadKernel::<T>::new(source, window, chunks);
                    let scratch = kernel.scratch_bytes();
                    (Arc::new(kernel), scratch)
                });
                self.push(&name, out, scratch, kernel, vec![])
            }
        }
    }

    /// Whether the blocks of a node are written in C order. Others are passed on as they came.
    fn is_in_c_order(&self, id: NodeId) -> bool {
        match self.plan.op(id) {
            ArrayOp::Read(read) => matches!(read.from, ReadFrom::Storage(_)),
            op => matches!(
                op,
                ArrayOp::Create { .. }
                    | ArrayOp::Bridge(_)
                    | ArrayOp::Elemwise(_)
                    | ArrayOp::Broadcast(_)
                    | ArrayOp::ReshapeBlocks(_)
                    | ArrayOp::Reduce(_)
                    | ArrayOp::Contract(_)
            ),
        }
    }

    /// Bytes of the matrices into which a product may have to copy the blocks of node `id`.
    fn matrix_bytes(&self, id: NodeId) -> u64 {
        let meta = self.plan.meta(id);
        let is_dense = match self.plan.op(id) {
            ArrayOp::Permute(_) => self.is_in_c_order(self.plan.inputs(id)[0]),
            _ => self.is_in_c_order(id),
        };
        // Only axes that have to be merged, or elements with gaps between them, are copied.
        let is_matrix = meta.chunks.ndim() <= 2 && is_dense;
        if is_matrix { 0 } else { meta.block_bytes_max().unwrap_or(0) }
    }

    /// Bytes that reading the inputs of node `id` in C order takes beside them.
    fn loading_bytes(&self, id: NodeId) -> u64 {
        let inputs = self.plan.inputs(id).iter().filter(|input| !self.is_in_c_order(**input));
        let bytes = inputs.map(|&input| self.plan.meta(input).block_bytes_max());
        bytes.fold(0, |sum, bytes| {
            sum.saturating_add(panel_bytes_max(bytes.unwrap_or(self.options.chunk_bytes)))
        })
    }

    fn elemwise(
        &mut self,
        name: &str,
        program: &Arc<Program>,
        out: &Meta,
        inputs: &[LayerId],
        metas: &[&Meta],
    ) -> LayerId {
        // An input that is read twice in the same way takes one slot.
        let mut slots: Vec<LayerInput> = Vec::with_capacity(inputs.len());
        let mut slot_of = Vec::with_capacity(inputs.len());
        for (&layer, meta) in inputs.iter().zip(metas) {
            let map = broadcast_map(&meta.chunks, &out.chunks);
            let input = LayerInput { layer, map };
            let slot = slots.iter().position(|other| *other == input);
            slot_of.push(slot.unwrap_or(slots.len()));
            if slot.is_none() {
                slots.push(input);
            }
        }
        let program = if slots.len() == inputs.len() {
            Program::clone(program)
        } else {
            program.remap_slots(&slot_of, slots.len())
        };
        let kernel = Arc::new(ElemwiseKernel::new(program, out.chunks.clone()));
        self.push(name, out, 0, kernel, slots)
    }

    fn concat(&mut self, axis: usize, out: &Meta, inputs: &[LayerId], metas: &[&Meta]) -> LayerId {
        let mut first = 0;
        let mut slots = Vec::with_capacity(inputs.len());
        for (&layer, meta) in inputs.iter().zip(metas) {
            let n_blocks = meta.chunks.axes()[axis].n_blocks();
            let maps = (0..out.chunks.ndim()).map(|i| {
                if i == axis {
                    AxisMap::Window { axis, first, len: n_blocks }
                } else {
                    AxisMap::same(i)
                }
            });
            slots.push(LayerInput { layer, map: BlockMap::axes(maps) });
            first += n_blocks;
        }
        self.push("concatenate", out, 0, Arc::new(ForwardKernel), slots)
    }

    fn rechunk(&mut self, old: &Chunks, out: &Meta, input: LayerId) -> Result<LayerId> {
        let itemsize = out.dtype.nbytes() as u64;
        let LowerOptions { chunk_bytes: block_bytes, memory_limit } = self.options;
        let task_bytes = memory_limit / RECHUNK_PART;
        // Pieces of blocks that are in memory anyway cost no more than edges.
        let from = self.layers.get_mut(input);
        let is_there = from.kernel.is_resident() && from.out_bytes == 0;
        let threshold = if is_there { RESIDENT_THRESHOLD } else { THRESHOLD };
        let limits = RechunkLimits { threshold, block_bytes, task_bytes };
        let stages = rechunk_steps(old, &out.chunks, itemsize, limits);
        let (mut old, mut layer) = (old.clone(), input);
        for new in stages {
            let axes = old.axes().iter().zip(new.axes());
            let axes: Option<Vec<_>> = axes.map(|(old, new)| overlap(old, new)).collect();
            let axes = axes.ok_or_else(|| unfit("rechunk", &old))?;
            let maps = axes.iter().zip(new.axes()).enumerate();
            let maps = maps.map(|(axis, (overlap, new))| rechunk_map(axis, overlap, new));
            let map = BlockMap::Axes(maps.collect::<Result<_>>()?);
            let kernel: Arc<dyn Kernel> = dispatch!(out.dtype, T => {
                Arc::new(RechunkKernel::<T>::new(axes))
            });
            let meta = Meta { dtype: out.dtype, chunks: new.clone() };
            layer = self.push("rechunk", &meta, 0, kernel, vec![LayerInput { layer, map }]);
            old = new;
        }
        Ok(layer)
    }

    /// A chunk step for every block, rounds that combine neighbours, and a last one that finishes.
    fn reduce(
        &mut self,
        reduction: &Reduction,
        meta: &Meta,
        out: &Meta,
        input: LayerId,
        scratch_bytes: u64,
    ) -> LayerId {
        let spec = &reduction.spec;
        let program = Program::input(meta.dtype);
        let kernel = chunk_kernel(spec, program, meta.chunks.clone());
        let kept = out.chunks.max_block_len().unwrap_or(self.options.chunk_bytes);
        let partial_bytes = spec.partial_bytes(kept);
        let out_bytes = out.block_bytes_max().unwrap_or(self.options.chunk_bytes);
        let partial_text: Arc<str> = format!("partial {}", spec.kind.name()).into();
        let grid = meta.chunks.grid();
        let map = BlockMap::axes((0..grid.len()).map(AxisMap::same));
        let mut layer = self.layers.push(Layer {
            name: spec.to_string().into(),
            grid: grid.as_slice().into(),
            kernel,
            inputs: vec![LayerInput { layer: input, map }],
            block_text: Arc::clone(&partial_text),
            out_bytes: partial_bytes,
            scratch_bytes,
            is_estimate: false,
        });
        let groups = |(axis, &size): (usize, &u64)| match size {
            1 => AxisMap::same(axis),
            size => AxisMap::Group { axis, size },
        };
        let map = BlockMap::axes(reduction.fan_in.iter().enumerate().map(groups));
        let fan_in: Vec<_> = spec.axes.iter().map(|&i| (i, reduction.fan_in[i])).collect();
        let rounds = tree::rounds(&grid, &fan_in);
        for (round, grid) in rounds.iter().enumerate().skip(1) {
            let is_last = round == rounds.len() - 1;
            let kernel = if is_last { finish_kernel(spec) } else { combine_kernel(spec) };
            layer = self.layers.push(Layer {
                name: format!("{spec} (combine)").into(),
                grid: grid.as_slice().into(),
                kernel,
                inputs: vec![LayerInput { layer, map: map.clone() }],
                block_text: if is_last { out.block_text() } else { Arc::clone(&partial_text) },
                out_bytes: if is_last { out_bytes } else { partial_bytes },
                scratch_bytes: 0,
                is_estimate: false,
            });
        }
        layer
    }

    fn take(&mut self, take: &Take, old: &Chunks, out: &Meta, input: LayerId) -> Result<LayerId> {
        let axis = take.axis;
        let (from, n_blocks) = (&old.axes()[axis], take.chunks.n_blocks());
        check_listed("take", None, n_blocks)?;
        let blocks = |i| {
            let range = take.chunks.block_range(i)?;
            take_blocks(from, &take.index[range.start as usize..range.end as usize])
        };
        let lists: Option<Arc<[_]>> = (0..n_blocks).map(blocks).collect();
        let lists = lists.ok_or_else(|| unfit("take", old))?;
        let maps = (0..old.ndim()).map(|i| match i == axis {
            true => AxisMap::Lists { axis, lists: Arc::clone(&lists) },
            false => AxisMap::same(i),
        });
        let map = BlockMap::axes(maps);
        let (index, chunks) = (Arc::clone(&take.index), take.chunks.clone());
        let kernel: Arc<dyn Kernel> = dispatch!(out.dtype, T => {
            Arc::new(TakeKernel::<T>::new(axis, from.clone(), index, chunks))
        });
        let scratch = take.chunks.max_len().unwrap_or(0).saturating_mul(PICK_BYTES);
        Ok(self.push("take", out, scratch, kernel, vec![LayerInput { layer: input, map }]))
    }

    fn blockwise(&mut self, blockwise: &Blockwise, inputs: &[LayerId]) -> LayerId {
        let slots = inputs.iter().zip(&blockwise.maps);
        let slots = slots.map(|(&layer, map)| LayerInput { layer, map: map.clone() }).collect();
        let Blockwise { name, out, kernel, scratch_bytes, .. } = blockwise;
        let layer = self.push(name, out, *scratch_bytes, Arc::clone(kernel), slots);
        if let Some(bytes) = blockwise.out_bytes {
            self.layers.get_mut(layer).out_bytes = bytes;
        }
        layer
    }

    fn contract(
        &mut self,
        contraction: &Arc<Contraction>,
        out: &Meta,
        inputs: [LayerId; 2],
        metas: [&Meta; 2],
        scratch_bytes: u64,
    ) -> Result<LayerId> {
        let places = contraction.places(metas.map(|meta| meta.chunks.ndim()));
        let slot = |(layer, places): (LayerId, Vec<usize>)| {
            let map = BlockMap::axes(places.into_iter().map(AxisMap::same));
            LayerInput { layer, map }
        };
        let slots = inputs.into_iter().zip(places).map(slot).collect();
        let contraction = Arc::clone(contraction);
        let kernel = contract_kernel(out.dtype, contraction)?;
        Ok(self.push("contract", out, scratch_bytes, kernel, slots))
    }
}

/// Pieces for each block of old and new chunks that one step of a rechunk may have, if the old blocks are in memory.
const RESIDENT_THRESHOLD: u64 = 500;

/// Bytes that a take uses for each position while it sorts them by the block that they are in: the position
/// and its place, and both again in lists that double as they grow.
const PICK_BYTES: u64 = 48;

fn contract_kernel(dtype: DType, contraction: Arc<Contraction>) -> Result<Arc<dyn Kernel>> {
    Ok(dispatch!(dtype, number T => Arc::new(ContractKernel::<T>::new(contraction)), else {
        return Err(Error::Internal {
            place: "contract".into(),
            problem: format!("no product of {dtype}"),
        })
    }))
}

fn unfit(what: &str, chunks: &Chunks) -> Error {
    Error::Internal { place: "lower".into(), problem: format!("{what} over chunks {chunks}") }
}

/// Which block of an input each block of an elementwise result reads.
fn broadcast_map(input: &Chunks, out: &Chunks) -> BlockMap {
    let skip = out.ndim() - input.ndim();
    let axes = input.axes().iter().zip(&out.axes()[skip..]).enumerate();
    BlockMap::axes(axes.map(|(i, (axis, out))| {
        if axis.len() == out.len() { AxisMap::same(skip + i) } else { at_the_element(axis) }
    }))
}

/// The block of an axis of length 1 that is not empty.
fn at_the_element(axis: &AxisChunks) -> AxisMap {
    AxisMap::At(axis.block_at(0))
}

/// Which input block each piece of a slice reads, as a formula where there is one.
fn slice_map(axis: usize, pieces: &SlicePieces) -> Result<AxisMap> {
    let block = |i| pieces.block(i).unwrap_or(0);
    if let Some(step) = pieces.run_step() {
        return Ok(AxisMap::Axis { axis, first: block(0), step });
    }
    check_listed("slice", None, pieces.n_blocks())?;
    let range = |piece: Piece| (piece.block, piece.block + 1);
    Ok(AxisMap::Ranges { axis, ranges: pieces.iter().map(range).collect() })
}

/// Which old blocks each new block along an axis is made of.
fn rechunk_map(axis: usize, overlap: &Overlap, new: &AxisChunks) -> Result<AxisMap> {
    if overlap.is_identity() {
        return Ok(AxisMap::same(axis));
    }
    check_listed("rechunk", None, new.n_blocks())?;
    let ranges = (0..new.n_blocks()).map_while(|i| overlap.blocks(i));
    Ok(AxisMap::Ranges { axis, ranges: ranges.map(|range| (range.start, range.end)).collect() })
}
