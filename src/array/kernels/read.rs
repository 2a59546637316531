//! Reading blocks from storage.

use std::marker::PhantomData;
use std::sync::Arc;

use ndarray::{ArrayViewMutD, Axis};

use super::copy::{copied, filled, pooled, slice_elem, to_usize};
use super::resident::box_of;
use crate::array::chunk::Chunk;
use crate::array::chunks::{AxisSlice, Chunks};
use crate::array::dtype::Element;
use crate::array::io::Source;
use crate::error::Result;
use crate::graph::{Block, BytesRead, Inputs, Kernel, TaskContext};
use crate::memory::BufferPool;

/// Up to this step it is cheaper to read what lies between than to read element by element.
const STEP_BRIDGED_MAX: u64 = 8;

/// Reads the box of each block.
#[derive(Debug)]
pub(crate) struct ReadKernel<T> {
    source: Arc<dyn Source>,
    window: Arc<[AxisSlice]>,
    chunks: Chunks,
    element: PhantomData<fn() -> T>,
}

impl<T: Element> ReadKernel<T> {
    pub(crate) fn new(source: Arc<dyn Source>, window: Arc<[AxisSlice]>, chunks: Chunks) -> Self {
        ReadKernel { source, window, chunks, element: PhantomData }
    }
}

/// How many times more elements than wanted are in memory at once while a block is read.
pub(crate) fn read_amplification(window: &[AxisSlice]) -> u64 {
    let bridged = |slice: &AxisSlice| match slice.step.unsigned_abs() {
        step if step <= STEP_BRIDGED_MAX => step,
        _ => 1,
    };
    window.iter().map(bridged).product()
}

impl<T: Element> Kernel for ReadKernel<T> {
    fn run(&self, task: &TaskContext<'_>, _inputs: Inputs) -> Result<Block> {
        let slices = box_of(&self.window, &self.chunks, task.block);
        let shape: Vec<_> = to_usize(&slices.iter().map(|slice| slice.len).collect::<Vec<_>>());
        let mut array = pooled::<T>(&shape, task.pool);
        if !array.is_empty() {
            read_into(&*self.source, slices, array.view_mut(), task.pool)?;
        }
        Ok(Block::new(Chunk::new(array, task.pool)))
    }

    fn bytes_read(&self) -> BytesRead {
        let itemsize = size_of::<T>() as u64;
        let bridged = read_amplification(&self.window).saturating_mul(itemsize);
        let len = self.window.iter().fold(1_u64, |n, slice| n.saturating_mul(slice.len));
        BytesRead {
            all: len.saturating_mul(bridged),
            task_max: self.chunks.max_block_len().unwrap_or(len).saturating_mul(bridged),
        }
    }
}

/// Reads a strided selection, one index at a time along axes whose step is too wide to bridge.
fn read_into<T: Element>(
    source: &dyn Source,
    mut slices: Vec<AxisSlice>,
    mut out: ArrayViewMutD<'_, T>,
    pool: &BufferPool,
) -> Result<()> {
    let wide = |slice: &AxisSlice| slice.len > 1 && slice.step.unsigned_abs() > STEP_BRIDGED_MAX;
    if let Some(axis) = slices.iter().position(wide) {
        let along = slices[axis];
        for (i, row) in out.axis_chunks_iter_mut(Axis(axis), 1).enumerate() {
            slices[axis] = along.compose(&AxisSlice::new(i as u64, 1, 1));
            read_into(source, slices.clone(), row, pool)?;
        }
        return Ok(());
    }
    if slices.iter().all(|slice| slice.step == 1 || slice.len == 1) {
        let start: Vec<_> = slices.iter().map(|slice| slice.start).collect();
        return source.read(&start, T::to_any_view(out));
    }
    read_bridged(source, &slices, &mut out, pool)
}

/// Reads the box around a strided selection and keeps what is wanted.
fn read_bridged<T: Element>(
    source: &dyn Source,
    slices: &[AxisSlice],
    out: &mut ArrayViewMutD<'_, T>,
    pool: &BufferPool,
) -> Result<()> {
    let reach = |slice: &AxisSlice| (slice.len - 1) * slice.step.unsigned_abs();
    let low =
        |slice: &AxisSlice| if slice.step > 0 { slice.start } else { slice.start - reach(slice) };
    let start: Vec<_> = slices.iter().map(low).collect();
    let lengths: Vec<_> = slices.iter().map(|slice| reach(slice) + 1).collect();
    let mut status = Ok(());
    let around = filled::<T>(&to_usize(&lengths), pool, |view| {
        status = source.read(&start, T::to_any_view(view));
    });
    status?;
    let local = slices.iter().zip(&start).map(|(slice, low)| {
        slice_elem(AxisSlice { start: slice.start - low, len: slice.len, step: slice.step })
    });
    out.assign(&around.slice(local.collect::<Vec<_>>().as_slice()));
    pool.give(around.into_raw_vec_and_offset().0);
    Ok(())
}

/// Copies a view into C order unless it is that already.
pub(crate) fn standard<T: Element>(chunk: Chunk<T>, pool: &Arc<BufferPool>) -> Chunk<T> {
    if chunk.data().is_standard_layout() {
        return chunk;
    }
    Chunk::new(copied(&chunk.view(), pool), pool)
}
