//! What arrays are read from.

use std::fmt;

use super::Origin;
use crate::array::any::AnyViewMut;
use crate::array::dtype::DType;
use crate::error::Result;

/// An N-d array in storage, of which any box can be read.
///
/// Implement this to read your own format: `Array::from_source` makes a lazy array of it, and slices
/// of that array read only the boxes that they touch. `read` is called from several threads at once.
pub trait Source: Send + Sync + fmt::Debug {
    /// What plans and errors call it, such as a path.
    fn name(&self) -> String;

    /// The element type.
    fn dtype(&self) -> DType;

    /// The lengths of the axes.
    fn shape(&self) -> &[u64];

    /// The lengths of a storage chunk along each axis, if the storage is chunked.
    ///
    /// Chunks of arrays are chosen as multiples of them, so that none is read twice.
    fn storage_chunks(&self) -> Option<Vec<u64>> {
        None
    }

    /// The lengths of what is decoded as a whole, if any part of it costs as much as all: a compressed
    /// chunk. Selections with wide steps read each of them once.
    fn decoded_chunks(&self) -> Option<Vec<u64>> {
        self.storage_chunks()
    }

    /// The names of the dimensions, if the storage names them all.
    fn dim_names(&self) -> Option<Vec<String>> {
        None
    }

    /// Bytes that one call of [`read`](Self::read) uses beside `out`, at most. They count against
    /// the memory limit.
    fn scratch_bytes(&self) -> u64 {
        0
    }

    /// Whether elements are computed, so that nothing is gained by long runs of them and no bytes come from
    /// storage.
    fn is_computed(&self) -> bool {
        false
    }

    /// Where another process can open the same array; `None` if none can, and then only this one computes
    /// with it.
    fn origin(&self) -> Option<Origin> {
        None
    }

    /// What is there to be read right now, as text: two sources have the same version only if they read the same elements, and
    /// a source has another one once its elements have changed. Path, length and time of change of a file are a good one.
    ///
    /// `None` if it can't be told; then a [`Cache`](crate::Cache) keeps nothing that is made of it.
    fn version(&self) -> Option<String> {
        None
    }

    /// Reads the box that begins at `start` and has the shape of `out`, which has the source's dtype.
    ///
    /// # Errors
    /// Whatever keeps the box from being read whole; `out` is then discarded.
    fn read(&self, start: &[u64], out: AnyViewMut<'_>) -> Result<()>;
}
