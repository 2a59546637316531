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
#[cfg(feature = "dist")]
use crate::graph::{KernelSpec, Unsendable};
use crate::memory::BufferPool;

/// Up to this step it is cheaper to read what lies between than to read element by element.
const STEP_BRIDGED_MAX: u64 = 8;

/// Reads the box of each block.
#[derive(Debug)]
pub(crate) struct ReadKernel<T> {
    source: Arc<dyn Source>,
    window: Arc<[AxisSlice]>,
    chunks: Chunks,
    /// For each axis, positions in the same so many elements are read in one go.
    granules: Vec<u64>,
    element: PhantomData<fn() -> T>,
}

impl<T: Element> ReadKernel<T> {
    pub(crate) fn new(source: Arc<dyn Source>, window: Arc<[AxisSlice]>, chunks: Chunks) -> Self {
        let decoded = source.decoded_chunks();
        let granule = |(axis, slice): (usize, &AxisSlice)| match slice.step.unsigned_abs() {
            ..=STEP_BRIDGED_MAX => u64::MAX,
            // Decoding a chunk again for each of its positions would cost more than reading between.
            _ => {
                decoded.as_ref().and_then(|decoded| decoded.get(axis).copied()).unwrap_or(1).max(1)
            }
        };
        let granules = window.iter().enumerate().map(granule).collect();
        ReadKernel { source, window, chunks, granules, element: PhantomData }
    }

    /// Bytes that reading a block takes beside the block, at most.
    pub(crate) fn scratch_bytes(&self) -> u64 {
        let axes = self.window.iter().zip(self.chunks.axes()).zip(&self.granules);
        let reaches = axes.map(|((window, axis), granule)| {
            let len = axis.max_len().unwrap_or(window.len);
            let step = window.step.unsigned_abs();
            reach(&AxisSlice { len, ..*window }).min((granule - 1) / step * step + 1)
        });
        let mut in_place = self.window.iter().zip(reaches.clone());
        // Only what is read in its order is read into its place.
        let around = match in_place.all(|(slice, reach)| slice.step == 1 || reach <= 1) {
            true => 0,
            false => reaches.fold(size_of::<T>() as u64, u64::saturating_mul),
        };
        around.saturating_add(self.source.scratch_bytes())
    }
}

/// How many positions there are from the first to the last of a slice.
fn reach(slice: &AxisSlice) -> u64 {
    slice.len.saturating_sub(1).saturating_mul(slice.step.unsigned_abs()).saturating_add(1)
}

/// How many positions of a slice lie in the same granule as its first.
fn n_together(slice: &AxisSlice, granule: u64) -> u64 {
    let within = slice.start % granule;
    let room = if slice.step > 0 { granule - 1 - within } else { within };
    (room / slice.step.unsigned_abs() + 1).min(slice.len)
}

impl<T: Element> Kernel for ReadKernel<T> {
    fn run(&self, task: &TaskContext<'_>, _inputs: Inputs) -> Result<Block> {
        let slices = box_of(&self.window, &self.chunks, task.block);
        let shape: Vec<_> = to_usize(&slices.iter().map(|slice| slice.len).collect::<Vec<_>>());
        let mut array = pooled::<T>(&shape, task.pool);
        if !array.is_empty() {
            self.read_into(slices, array.view_mut(), task.pool)?;
        }
        Ok(Block::new(Chunk::new(array, task.pool)))
    }

    #[cfg(feature = "dist")]
    fn spec(&self) -> Result<KernelSpec, Unsendable> {
        let origin = self.source.origin().ok_or_else(|| Unsendable {
            call: None,
            holds: format!("{}, a source without an origin", self.source.name()),
        })?;
        let shape = self.source.shape();
        let parameters = (T::DTYPE, origin, shape, &self.window, &self.chunks);
        Ok(KernelSpec::new("read", &parameters))
    }

    fn is_read(&self) -> bool {
        let len = self.chunks.max_block_len().unwrap_or(u64::MAX);
        let decoded = self.source.decoded_chunks().map_or(0, |lens| lens.iter().product());
        // Neither much that lies between, nor much that is decoded besides.
        self.bytes_read().task_max <= 2 * len.saturating_mul(size_of::<T>() as u64)
            && decoded <= len.saturating_mul(2)
    }

    fn bytes_read(&self) -> BytesRead {
        if self.source.is_computed() {
            return BytesRead::default();
        }
        let axes = self.window.iter().zip(&self.granules);
        let bridged = axes.fold(size_of::<T>() as u64, |bytes, (slice, &granule)| {
            let step = slice.step.unsigned_abs();
            if step < granule { bytes.saturating_mul(step) } else { bytes }
        });
        let len = self.window.iter().fold(1_u64, |n, slice| n.saturating_mul(slice.len));
        BytesRead {
            all: len.saturating_mul(bridged),
            task_max: self.chunks.max_block_len().unwrap_or(len).saturating_mul(bridged),
        }
    }
}

impl<T: Element> ReadKernel<T> {
    /// Reads a selection, one granule at a time along each axis.
    fn read_into(
        &self,
        mut slices: Vec<AxisSlice>,
        mut out: ArrayViewMutD<'_, T>,
        pool: &BufferPool,
    ) -> Result<()> {
        let mut axes = slices.iter().zip(&self.granules);
        if let Some(axis) = axes.position(|(slice, &g)| n_together(slice, g) < slice.len) {
            let mut rest = slices[axis];
            while rest.len > 0 {
                let n = n_together(&rest, self.granules[axis]);
                slices[axis] = rest.compose(&AxisSlice::new(0, n, 1));
                let (part, later) = out.split_at(Axis(axis), n as usize);
                self.read_into(slices.clone(), part, pool)?;
                out = later;
                rest = AxisSlice { start: rest.position(n), len: rest.len - n, step: rest.step };
            }
            return Ok(());
        }
        if slices.iter().all(|slice| slice.step == 1) {
            let start: Vec<_> = slices.iter().map(|slice| slice.start).collect();
            return self.source.read(&start, T::to_any_view(out));
        }
        read_bridged(&*self.source, &slices, &mut out, pool)
    }
}

/// Reads the box around a strided selection and keeps what is wanted.
fn read_bridged<T: Element>(
    source: &dyn Source,
    slices: &[AxisSlice],
    out: &mut ArrayViewMutD<'_, T>,
    pool: &BufferPool,
) -> Result<()> {
    let low = |slice: &AxisSlice| slice.start.min(slice.position(slice.len - 1));
    let start: Vec<_> = slices.iter().map(low).collect();
    let lengths: Vec<_> = slices.iter().map(reach).collect();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::any::AnyViewMut;
    use crate::array::chunks::AxisChunks;
    use crate::array::dtype::DType;

    #[derive(Debug)]
    struct Zeros {
        shape: Vec<u64>,
        decoded: Option<Vec<u64>>,
    }

    impl Source for Zeros {
        fn name(&self) -> String {
            "zeros".into()
        }

        fn dtype(&self) -> DType {
            DType::F64
        }

        fn shape(&self) -> &[u64] {
            &self.shape
        }

        fn decoded_chunks(&self) -> Option<Vec<u64>> {
            self.decoded.clone()
        }

        fn scratch_bytes(&self) -> u64 {
            7
        }

        fn read(&self, _start: &[u64], _out: AnyViewMut<'_>) -> Result<()> {
            Ok(())
        }
    }

    /// The elements that reading a block of a window of a 1000 × 1000 array takes besides it.
    fn scratch(window: [(u64, u64, i64); 2], decoded: Option<[u64; 2]>, chunk: u64) -> u64 {
        let decoded = decoded.map(Vec::from);
        let source = Arc::new(Zeros { shape: vec![1000, 1000], decoded });
        let window: Arc<[_]> =
            window.into_iter().map(|(start, len, step)| AxisSlice::new(start, len, step)).collect();
        let axes = window.iter().map(|slice| AxisChunks::uniform(slice.len, chunk));
        let kernel = ReadKernel::<f64>::new(source, Arc::clone(&window), axes.collect());
        let bytes = kernel.scratch_bytes() - 7;
        assert_eq!(bytes % 8, 0);
        bytes / 8
    }

    #[test]
    fn what_is_read_in_order_needs_no_scratch() {
        assert_eq!(scratch([(0, 1000, 1), (10, 900, 1)], None, 100), 0);
        assert_eq!(scratch([(0, 10, 100), (0, 1000, 1)], None, 100), 0);
        assert_eq!(scratch([(0, 10, 100), (0, 1000, 1)], Some([100, 100]), 100), 0);
    }

    #[test]
    fn what_is_read_backwards_is_held_twice() {
        assert_eq!(scratch([(999, 1000, -1), (0, 1000, 1)], None, 100), 100 * 100);
        assert_eq!(scratch([(999, 1000, -1), (0, 1000, 1)], Some([100, 100]), 500), 500 * 500);
    }

    #[test]
    fn steps_hold_what_lies_between_of_one_granule() {
        assert_eq!(scratch([(0, 250, 4), (0, 1000, 1)], None, 100), (99 * 4 + 1) * 100);
        assert_eq!(scratch([(0, 50, 20), (0, 1000, 1)], Some([200, 100]), 50), 181 * 50);
        assert_eq!(scratch([(0, 50, 20), (0, 1000, 1)], Some([200, 100]), 5), (4 * 20 + 1) * 5);
        assert_eq!(scratch([(0, 50, 20), (0, 50, 20)], Some([200, 10]), 50), 181);
    }

    #[test]
    fn granules_are_counted_from_either_end() {
        assert_eq!(n_together(&AxisSlice::new(7, 10, 3), 10), 1);
        assert_eq!(n_together(&AxisSlice::new(6, 10, 3), 10), 2);
        assert_eq!(n_together(&AxisSlice::new(26, 9, -3), 10), 3);
        assert_eq!(n_together(&AxisSlice::new(26, 2, -3), u64::MAX), 2);
        assert_eq!(n_together(&AxisSlice::new(u64::MAX - 1, 2, -9), u64::MAX), 2);
    }
}
