//! A directory as a `zarrs` store.
//!
//! `zarrs` has one of its own, which trusts the byte ranges of a shard's index enough to allocate
//! them, syncs every chunk, and remembers a lock for every key. This one checks ranges against the
//! file, and what compressed bytes promise against the size of a chunk, before anything is
//! allocated; and a chunk appears whole or not at all.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zarrs::storage::byte_range::{ByteRange, ByteRangeIterator};
use zarrs::storage::{
    Bytes, MaybeBytesIterator, OffsetBytesIterator, ReadableStorageTraits, StorageError, StoreKey,
    StorePrefix, WritableStorageTraits,
};

use super::super::region::read_exact_at;
use crate::atomic::write_file;

/// zstd's best case, a block of 128 KiB of equal bytes in 4 bytes; blosc's is less.
const COMPRESSION_RATIO_MAX: u64 = (128 << 10) / 4;

/// A directory that holds the keys of one array.
#[derive(Debug)]
pub(super) struct DirStore {
    base: PathBuf,
    /// The most bytes that one compressed value may promise to hold.
    decoded_bytes_max: u64,
}

impl DirStore {
    pub(super) fn new(base: &Path, decoded_bytes_max: u64) -> Self {
        DirStore { base: base.to_path_buf(), decoded_bytes_max }
    }

    /// The file of a key.
    pub(super) fn path(&self, key: &StoreKey) -> PathBuf {
        self.base.join(key.as_str())
    }

    fn open(&self, key: &StoreKey) -> io::Result<Option<(File, u64)>> {
        let file = match File::open(self.path(key)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok(Some((file, metadata.len())))
    }

    fn read(&self, file: &File, nbytes: u64, range: ByteRange) -> Result<Bytes, StorageError> {
        let (start, len) = match range {
            ByteRange::FromStart(start, len) => (start, len.or(nbytes.checked_sub(start))),
            ByteRange::Suffix(len) => (nbytes.saturating_sub(len), Some(len)),
        };
        let fits = |len: u64| start.checked_add(len).is_some_and(|end| end <= nbytes);
        let Some(len) = len.filter(|&len| fits(len)) else {
            return Err(StorageError::Other(format!("bytes {range} of {nbytes} are not there")));
        };
        let mut bytes = vec![0; len as usize];
        read_exact_at(file, &mut bytes, start)?;
        self.check_promise(&bytes)?;
        Ok(bytes.into())
    }

    /// Refuses compressed bytes that say that they hold more than a chunk, or more than so few
    /// bytes can: decoders allocate what they say. Bytes that merely look compressed are refused as
    /// well if they say so, which takes dozens of matching bits.
    fn check_promise(&self, bytes: &[u8]) -> Result<(), StorageError> {
        let possible = (bytes.len() as u64).saturating_mul(COMPRESSION_RATIO_MAX);
        let max = self.decoded_bytes_max.min(possible);
        let Some(promise) = promised_bytes(bytes).filter(|&promise| promise > max) else {
            return Ok(());
        };
        Err(StorageError::Other(format!("{promise} bytes when decoded, expected at most {max}")))
    }
}

/// How many bytes zstd or blosc would allocate to decode these, if they are theirs.
fn promised_bytes(bytes: &[u8]) -> Option<u64> {
    // <https://github.com/Blosc/c-blosc/blob/main/README_CHUNK_FORMAT.rst>
    let word = |at: usize| {
        let word = bytes.get(at..at + 4)?;
        Some(u64::from(u32::from_le_bytes(word.try_into().expect("four bytes"))))
    };
    let is_blosc = bytes.first() == Some(&2) && word(12) == Some(bytes.len() as u64);
    let blosc = if is_blosc { word(4) } else { None };
    // A checksum may follow.
    let zstd = [bytes, &bytes[..bytes.len().saturating_sub(4)]];
    let zstd = zstd.into_iter().find_map(zstd::bulk::Decompressor::upper_bound);
    blosc.max(zstd.map(|n| n as u64))
}

impl ReadableStorageTraits for DirStore {
    fn get_partial_many<'a>(
        &'a self,
        key: &StoreKey,
        byte_ranges: ByteRangeIterator<'a>,
    ) -> Result<MaybeBytesIterator<'a>, StorageError> {
        let Some((file, nbytes)) = self.open(key)? else { return Ok(None) };
        Ok(Some(Box::new(byte_ranges.map(move |range| self.read(&file, nbytes, range)))))
    }

    fn size_key(&self, key: &StoreKey) -> Result<Option<u64>, StorageError> {
        Ok(self.open(key)?.map(|(_, nbytes)| nbytes))
    }

    fn supports_get_partial(&self) -> bool {
        true
    }
}

impl WritableStorageTraits for DirStore {
    fn set(&self, key: &StoreKey, value: Bytes) -> Result<(), StorageError> {
        let path = self.path(key);
        match write_file(&path, &value) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            done => return Ok(done?),
        }
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        Ok(write_file(&path, &value)?)
    }

    fn set_partial_many(
        &self,
        _key: &StoreKey,
        _offset_values: OffsetBytesIterator<'_>,
    ) -> Result<(), StorageError> {
        Err(StorageError::Unsupported("chunks are only written whole".into()))
    }

    fn erase(&self, key: &StoreKey) -> Result<(), StorageError> {
        match std::fs::remove_file(self.path(key)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => Ok(done?),
        }
    }

    fn erase_prefix(&self, _prefix: &StorePrefix) -> Result<(), StorageError> {
        Err(StorageError::Unsupported("arrays are only removed whole".into()))
    }

    fn supports_set_partial(&self) -> bool {
        false
    }
}

/// What the operating system said, if that is why `zarrs` failed.
pub(super) fn os_error(error: &(dyn std::error::Error + 'static)) -> Option<io::Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let io = error.downcast_ref::<io::Error>();
        let io = io.or_else(|| error.downcast_ref::<Arc<io::Error>>().map(AsRef::as_ref));
        // Decoders say in the same type that bytes are wrong, but without a code.
        if let Some(code) = io.and_then(io::Error::raw_os_error) {
            return Some(io::Error::from_raw_os_error(code));
        }
        cause = error.source();
    }
    None
}
