//! The bytes of a file, of which never more are read at once than a chunk can have.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hdf5_reader::error::{Error, Result};
use hdf5_reader::storage::DynStorage;
use hdf5_reader::{BlockCacheStorage, Storage, StorageBuffer};

use crate::storage::Readable;

/// Indices of chunks, heaps and object headers are shorter.
const METADATA_BYTES_MAX: u64 = 64 << 20;
/// What is kept of an object in a store, where each read is a request: metadata is in many small pieces.
const REMOTE_BLOCK_BYTES: usize = 256 << 10;
const REMOTE_BLOCKS: usize = 32;

/// A file or an object, with a bound on what a damaged length can ask for.
#[derive(Debug)]
pub(super) struct Bounded {
    readable: Readable,
    bytes_max: AtomicU64,
}

impl Bounded {
    pub(super) fn new(readable: Readable) -> Self {
        Bounded { readable, bytes_max: AtomicU64::new(METADATA_BYTES_MAX) }
    }

    /// What changes when the file at `path` does.
    pub(super) fn version(&self, path: &Path) -> Option<String> {
        self.readable.version(path)
    }

    /// How long a chunk may be when it is decoded.
    pub(super) fn chunk_bytes_max(&self) -> usize {
        usize::try_from(self.bytes_max.load(Ordering::Relaxed)).unwrap_or(usize::MAX)
    }

    /// Allows reads of chunks that have so many bytes when they are decoded. What does not compress gets a little longer.
    pub(super) fn allow_chunk(&self, decoded_bytes: u64) {
        let bytes = decoded_bytes.saturating_mul(2);
        self.bytes_max.fetch_max(bytes, Ordering::Relaxed);
    }
}

impl Storage for Bounded {
    fn len(&self) -> u64 {
        self.readable.len()
    }

    fn read_range(&self, offset: u64, len: usize) -> Result<StorageBuffer> {
        let needed = len as u64;
        let available = self.readable.len().saturating_sub(offset);
        if needed > available {
            return Err(Error::UnexpectedEof { offset, needed, available });
        }
        let bytes_max = self.bytes_max.load(Ordering::Relaxed);
        if needed > bytes_max {
            let problem = format!("{needed} bytes at byte {offset}, expected at most {bytes_max}");
            return Err(Error::InvalidData(problem));
        }
        let mut bytes = vec![0; len];
        self.readable.read_exact_at(&mut bytes, offset)?;
        Ok(StorageBuffer::from_vec(bytes))
    }
}

/// The storage as the crate takes it.
pub(super) fn shared(storage: Arc<Bounded>) -> DynStorage {
    if storage.readable.is_remote() {
        return Arc::new(BlockCacheStorage::new(storage, REMOTE_BLOCK_BYTES, REMOTE_BLOCKS));
    }
    storage
}
