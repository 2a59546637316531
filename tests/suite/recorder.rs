//! A source that remembers which boxes were read.

use std::sync::{Arc, Mutex};

use dask_rs::Result;
use dask_rs::array::{AnyElement, AnyViewMut, Array, DType, Source, from_source};

/// A box that was read: where it starts, and its shape.
pub(crate) type Box = (Vec<u64>, Vec<usize>);

#[derive(Debug)]
pub(crate) struct Recorder {
    shape: Vec<u64>,
    stored: Option<Vec<u64>>,
    boxes: Mutex<Vec<Box>>,
}

impl Recorder {
    /// An array of C-order positions, and what remembers its reads.
    pub(crate) fn array(shape: &[u64], chunks: &[u64]) -> (Arc<Recorder>, Array<f64>) {
        Self::stored(shape, chunks, None)
    }

    /// The same over storage chunks.
    pub(crate) fn stored(
        shape: &[u64],
        chunks: &[u64],
        stored: Option<&[u64]>,
    ) -> (Arc<Recorder>, Array<f64>) {
        let (shape, stored) = (shape.to_vec(), stored.map(<[u64]>::to_vec));
        let source = Arc::new(Recorder { shape, stored, boxes: Mutex::default() });
        let array = from_source(Arc::clone(&source) as Arc<dyn Source>, chunks.to_vec());
        (source, array.cast_to())
    }

    /// The boxes that were read since the last call, in order of their starts.
    pub(crate) fn take(&self) -> Vec<Box> {
        let mut boxes = std::mem::take(&mut *self.boxes.lock().unwrap());
        boxes.sort();
        boxes
    }
}

impl Source for Recorder {
    fn name(&self) -> String {
        "recorder".into()
    }

    fn dtype(&self) -> DType {
        DType::F64
    }

    fn shape(&self) -> &[u64] {
        &self.shape
    }

    fn storage_chunks(&self) -> Option<Vec<u64>> {
        self.stored.clone()
    }

    fn read(&self, start: &[u64], out: AnyViewMut<'_>) -> Result<()> {
        let mut out = f64::from_any_view(out).expect("the dtype is that of the source");
        self.boxes.lock().unwrap().push((start.to_vec(), out.shape().to_vec()));
        for (index, value) in out.indexed_iter_mut() {
            let position =
                self.shape.iter().enumerate().fold(0, |position, (axis, len)| {
                    position * len + start[axis] + index[axis] as u64
                });
            *value = position as f64;
        }
        Ok(())
    }
}
