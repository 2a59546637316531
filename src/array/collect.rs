//! Where the blocks of a computed array go: into one array, or into a persisted one.

use std::sync::{Arc, Mutex, PoisonError};

use ndarray::{ArrayD, ArrayViewD, Axis, IxDyn};

use super::chunk::{Chunk, chunk};
use super::chunks::{AxisChunks, Chunks};
use super::dtype::{DType, Element, dispatch};
use super::expr::Node;
use super::kernels::map_blocks::shape_of;
use super::kernels::measured::MeasuredKernel;
use super::kernels::to_usize;
use super::meta::Meta;
use super::op::{ArrayOp, Blockwise, PersistedBlocks};
use crate::compute::Collector;
use crate::config::Config;
use crate::error::{Call, Error, Result};
use crate::graph::{AxisMap, Block, BlockMap};
use crate::keep::{Keeper, Kept, KeptBlocks, Room};
use crate::sched::spill_options;

/// Assembles an array, block by block as they are ready, so that no block is kept beside the result.
pub(crate) struct Assemble<T> {
    call: Call,
    chunks: Chunks,
    state: Mutex<State<T>>,
}

enum State<T> {
    /// The only block is the result.
    Single(Option<ArrayD<T>>),
    /// Blocks are copied to their places.
    Places(ArrayD<T>),
    /// Places are known when all lengths are.
    Blocks(Vec<Option<Block>>),
}

impl<T: Element> Assemble<T> {
    /// A result of these chunks, which takes no memory before it is started.
    pub(crate) fn new(call: Call, chunks: Chunks) -> Self {
        Assemble { call, chunks, state: Mutex::new(State::Single(None)) }
    }

    fn too_large(&self) -> Error {
        Error::InvalidArgument {
            call: self.call,
            argument: "array",
            got: self.chunks.to_string(),
            expected: "a result that fits into memory; reduce it, slice it or write it to a file",
        }
    }

    /// A place for the whole array, if there is memory for it.
    fn places(&self, shape: &[u64]) -> Option<ArrayD<T>> {
        let shape = to_usize(shape);
        let n = shape.iter().try_fold(1_usize, |n, &len| n.checked_mul(len))?;
        let mut buffer: Vec<T> = Vec::new();
        buffer.try_reserve_exact(n).ok()?;
        drop(buffer);
        ArrayD::from_shape_vec(IxDyn(&shape), vec![T::default(); n]).ok()
    }

    /// The assembled array.
    pub(crate) fn finish(this: Arc<Self>) -> Result<ArrayD<T>> {
        let missing = |what: &str| Error::Internal {
            place: "assembling a result".into(),
            problem: what.into(),
        };
        let this = Arc::into_inner(this).ok_or_else(|| missing("the run has not ended"))?;
        match this.state.into_inner().unwrap_or_else(PoisonError::into_inner) {
            State::Single(array) => array.ok_or_else(|| missing("its only block did not come")),
            State::Places(array) => Ok(array),
            State::Blocks(blocks) => {
                let blocks: Option<Vec<Block>> = blocks.into_iter().collect();
                let blocks = blocks.ok_or_else(|| missing("not all blocks came"))?;
                let arrays: Vec<_> = blocks.into_iter().map(chunk::<T>).collect();
                let views = arrays.iter().map(Chunk::view).collect();
                join_blocks(views, &this.chunks.grid())
                    .ok_or_else(|| missing("blocks do not fit beside each other"))
            }
        }
    }
}

impl<T: Element> Collector for Assemble<T> {
    fn start(&self, n_blocks: u64) -> Result<()> {
        let state = match self.chunks.known_shape() {
            _ if n_blocks == 1 => State::Single(None),
            Some(shape) => State::Places(self.places(&shape).ok_or_else(|| self.too_large())?),
            None => State::Blocks(vec![None; n_blocks as usize]),
        };
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
        Ok(())
    }

    fn accept(&self, block: usize, value: Block) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *state {
            State::Single(place) => {
                let array = match chunk::<T>(value).try_into_owned() {
                    Ok(array) if array.is_standard_layout() => array,
                    Ok(array) => array.as_standard_layout().into_owned(),
                    Err(shared) => shared.view().as_standard_layout().into_owned(),
                };
                *place = Some(array);
            }
            State::Places(array) => {
                let index = self.chunks.unravel_block(block as u64).unwrap_or_default();
                let mut place = array.view_mut();
                for (axis, &i) in index.iter().enumerate() {
                    let range = self.chunks.axes()[axis].block_range(i).unwrap_or(0..0);
                    let range = range.start as isize..range.end as isize;
                    place.slice_axis_inplace(Axis(axis), range.into());
                }
                place.assign(&chunk::<T>(value).view());
            }
            State::Blocks(blocks) => blocks[block] = Some(value),
        }
        Ok(())
    }
}

/// Blocks of a grid, in row-major order, as one array.
fn join_blocks<T: Element>(mut blocks: Vec<ArrayViewD<'_, T>>, grid: &[u64]) -> Option<ArrayD<T>> {
    // The last axis is joined first, so that each step joins neighbours.
    let mut joined: Vec<ArrayD<T>> = Vec::new();
    for (axis, &n) in grid.iter().enumerate().rev() {
        let step: Option<Vec<_>> = blocks
            .chunks(n as usize)
            .map(|row| ndarray::concatenate(Axis(axis), row).ok())
            .collect();
        joined = step?;
        blocks = Vec::new();
        if axis > 0 {
            return join_owned(&joined, &grid[..axis]);
        }
    }
    joined.pop().or_else(|| blocks.pop().map(|block| block.to_owned()))
}

fn join_owned<T: Element>(blocks: &[ArrayD<T>], grid: &[u64]) -> Option<ArrayD<T>> {
    join_blocks(blocks.iter().map(|block| block.view()).collect(), grid)
}

/// Keeps the blocks as they are, in memory or in files.
pub(crate) struct Keep {
    dtype: DType,
    keeper: Arc<Keeper>,
    blocks: Mutex<Vec<Option<Kept>>>,
}

impl Keep {
    pub(crate) fn new(node: &Node, config: &Config) -> Self {
        let keeper = Arc::new(Keeper::new(config.memory_limit(), spill_options(config)));
        Keep { dtype: node.meta.dtype, keeper, blocks: Mutex::default() }
    }

    /// An expression over the kept blocks that stands for `node`.
    pub(crate) fn finish(&self, node: &Node) -> Result<Arc<Node>> {
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        let blocks: Option<Vec<Kept>> = std::mem::take(&mut *blocks).into_iter().collect();
        let blocks = blocks.ok_or_else(|| Error::Internal {
            place: "persist".into(),
            problem: "not all blocks came".into(),
        })?;
        let blocks = Arc::new(KeptBlocks::new(blocks, Arc::clone(&self.keeper)));
        let persisted = PersistedBlocks { blocks, meta: node.meta.clone() };
        let kept = Node::of(ArrayOp::Blocks(Arc::new(persisted)), &[])?;
        Ok(kept.with_note(node.note.clone()))
    }
}

impl Collector for Keep {
    fn start(&self, n_blocks: u64) -> Result<()> {
        // The task graph exists by now, so there are fewer blocks than it can have tasks.
        let places = (0..n_blocks).map(|_| None).collect();
        *self.blocks.lock().unwrap_or_else(PoisonError::into_inner) = places;
        Ok(())
    }

    fn accept(&self, block: usize, value: Block) -> Result<()> {
        // From now on the memory is the array's and no longer the run's.
        let lend =
            |value, hold| dispatch!(self.dtype, T => Block::new(chunk::<T>(value).kept(hold)));
        let kept = self.keeper.keep(value, lend)?;
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)[block] = Some(kept);
        Ok(())
    }

    fn room(&self) -> Option<&Arc<Room>> {
        Some(self.keeper.room())
    }
}

/// Looks at the lengths of blocks, and keeps no block.
pub(crate) struct Measure {
    dtype: DType,
    shapes: Mutex<Vec<Vec<u64>>>,
}

impl Measure {
    pub(crate) fn new(node: &Node) -> Self {
        Measure { dtype: node.meta.dtype, shapes: Mutex::default() }
    }

    /// An expression that is `node` with the lengths that its blocks had.
    pub(crate) fn finish(&self, node: &Arc<Node>) -> Result<Arc<Node>> {
        let shapes = self.shapes.lock().unwrap_or_else(PoisonError::into_inner);
        let grid = node.meta.chunks.grid();
        let measured = |axis: usize| {
            // The blocks along an axis are as long as those at its edge.
            let stride: u64 = grid[axis + 1..].iter().product();
            let sizes = (0..grid[axis]).map(|i| shapes[(i * stride) as usize][axis]);
            AxisChunks::from_size_iter(sizes)
        };
        let axes = node.meta.chunks.axes().iter().enumerate().map(|(axis, chunks)| {
            if chunks.is_known() { Some(chunks.clone()) } else { measured(axis) }
        });
        let chunks: Option<Chunks> = axes.collect();
        let chunks = chunks.ok_or_else(|| Error::Internal {
            place: "compute_chunk_sizes".into(),
            problem: "not all blocks came".into(),
        })?;
        let shape_of = dispatch!(self.dtype, T => shape_of::<T> as fn(&Block) -> _);
        let blockwise = Blockwise {
            name: "measured".into(),
            kernel: Arc::new(MeasuredKernel { chunks: chunks.clone(), shape_of }),
            maps: vec![BlockMap::axes((0..grid.len()).map(AxisMap::same))],
            out: Meta { dtype: self.dtype, chunks },
            out_bytes: None,
            scratch_bytes: 0,
        };
        let known = Node::of(ArrayOp::Blockwise(Arc::new(blockwise)), &[node])?;
        Ok(known.with_note(node.note.clone()))
    }
}

impl Collector for Measure {
    fn start(&self, n_blocks: u64) -> Result<()> {
        let places = vec![Vec::new(); n_blocks as usize];
        *self.shapes.lock().unwrap_or_else(PoisonError::into_inner) = places;
        Ok(())
    }

    fn accept(&self, block: usize, value: Block) -> Result<()> {
        let shape = dispatch!(self.dtype, T => shape_of::<T>(&value)).unwrap_or_default();
        self.shapes.lock().unwrap_or_else(PoisonError::into_inner)[block] = shape;
        Ok(())
    }
}
