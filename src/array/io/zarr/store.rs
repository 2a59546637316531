//! A directory, or what is below a key of an object store, as a `zarrs` store.
//!
//! `zarrs` has one of its own, which trusts the byte ranges of a shard's index enough to allocate
//! them, syncs every chunk, and remembers a lock for every key. This one checks ranges against the
//! file, and what compressed bytes promise against the size of a chunk, before anything is
//! allocated; and a chunk appears whole or not at all.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

use zarrs::storage::byte_range::{ByteRange, ByteRangeIterator};
use zarrs::storage::{
    Bytes, MaybeBytesIterator, OffsetBytesIterator, ReadableStorageTraits, StorageError, StoreKey,
    StorePrefix, WritableStorageTraits,
};
#[cfg(feature = "cloud")]
use {
    crate::storage::{GET_ALL, Object},
    object_store::GetRange,
    std::sync::{Mutex, MutexGuard, PoisonError},
};

use crate::atomic::write_file;
use crate::storage::{Location, read_exact_at};

/// zstd's best case, a block of 128 KiB of equal bytes in 4 bytes; blosc's is less.
const COMPRESSION_RATIO_MAX: u64 = (128 << 10) / 4;

/// Where the keys of one array are.
#[derive(Debug)]
pub(super) struct KeyStore {
    base: Location,
    /// The most bytes that one compressed value may promise to hold.
    decoded_bytes_max: u64,
    /// Values of a remote store that are here for a while.
    #[cfg(feature = "cloud")]
    held: Mutex<Vec<(StoreKey, Bytes)>>,
}

impl KeyStore {
    pub(super) fn new(base: Location, decoded_bytes_max: u64) -> Self {
        KeyStore {
            base,
            decoded_bytes_max,
            #[cfg(feature = "cloud")]
            held: Mutex::default(),
        }
    }

    /// The file of a key.
    pub(super) fn path(&self, key: &StoreKey) -> PathBuf {
        match &self.base {
            Location::Local(base) => base.join(key.as_str()),
            #[cfg(feature = "cloud")]
            Location::Object(base) => base.below(key.as_str()).url(),
        }
    }

    /// A small file, if it is there, of no more than `bytes_max` bytes.
    pub(super) fn document(&self, name: &str, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
        match &self.base {
            Location::Local(base) => {
                let path = base.join(name);
                match fs::metadata(&path) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                    metadata if metadata.as_ref().is_ok_and(|it| it.len() > bytes_max) => {
                        return Err(io::ErrorKind::FileTooLarge.into());
                    }
                    metadata => metadata?,
                };
                fs::read(&path).map(Some)
            }
            #[cfg(feature = "cloud")]
            Location::Object(base) => {
                let answers = base.below(name).read(&[GET_ALL], bytes_max)?;
                Ok(answers.and_then(|answers| Some(answers.into_iter().next()?.to_vec())))
            }
        }
    }

    /// Writes a small file, so that readers see all of it or nothing.
    pub(super) fn set_document(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        match &self.base {
            Location::Local(base) => write_file(&base.join(name), bytes),
            #[cfg(feature = "cloud")]
            Location::Object(base) => base.below(name).put(bytes.to_vec().into()),
        }
    }

    /// Gets the whole value of a key of a remote store, and reads from that until what is returned is dropped.
    #[cfg(feature = "cloud")]
    pub(super) fn hold(&self, key: &StoreKey) -> io::Result<Option<Held<'_>>> {
        let Location::Object(base) = &self.base else { return Ok(None) };
        let answers = base.below(key.as_str()).read(&[GET_ALL], self.decoded_bytes_max)?;
        let Some(bytes) = answers.and_then(|answers| answers.into_iter().next()) else {
            return Ok(None);
        };
        self.lock().push((key.clone(), bytes));
        Ok(Some(Held { store: self, key: key.clone() }))
    }

    #[cfg(feature = "cloud")]
    fn lock(&self) -> MutexGuard<'_, Vec<(StoreKey, Bytes)>> {
        // What is inside is whole after each statement.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(base: &std::path::Path, key: &StoreKey) -> io::Result<Option<(File, u64)>> {
        let file = match File::open(base.join(key.as_str())) {
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
        let (start, len) = part_of(nbytes, range)?;
        let mut bytes = vec![0; len as usize];
        read_exact_at(file, &mut bytes, start)?;
        self.check_promise(&bytes)?;
        Ok(bytes.into())
    }

    /// Values of an object, several ranges at once.
    #[cfg(feature = "cloud")]
    fn read_object(
        &self,
        base: &Object,
        key: &StoreKey,
        ranges: &[ByteRange],
    ) -> Result<Option<Vec<Bytes>>, StorageError> {
        let held = self.lock().iter().find(|(held, _)| held == key).map(|(_, bytes)| bytes.clone());
        let answers = if let Some(bytes) = held {
            let part = |range: &ByteRange| {
                let (start, len) = part_of(bytes.len() as u64, *range)?;
                Ok(bytes.slice(start as usize..(start + len) as usize))
            };
            ranges.iter().map(part).collect::<Result<Vec<_>, StorageError>>()?
        } else {
            let asked: Vec<GetRange> = ranges.iter().map(|range| get_range(*range)).collect();
            let read = base.below(key.as_str()).read(&asked, self.decoded_bytes_max);
            let Some(answers) = read? else { return Ok(None) };
            answers
        };
        for (bytes, range) in answers.iter().zip(ranges) {
            if let ByteRange::FromStart(_, Some(len)) = range
                && bytes.len() as u64 != *len
            {
                return Err(StorageError::Other(format!("bytes {range} are not there")));
            }
            self.check_promise(bytes)?;
        }
        Ok(Some(answers))
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

/// A value that is held until this is dropped.
#[cfg(feature = "cloud")]
pub(super) struct Held<'a> {
    store: &'a KeyStore,
    key: StoreKey,
}

#[cfg(feature = "cloud")]
impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut held = self.store.lock();
        if let Some(i) = held.iter().position(|(key, _)| *key == self.key) {
            held.swap_remove(i);
        }
    }
}

/// Where a range of a value of so many bytes begins, and how long it is.
fn part_of(nbytes: u64, range: ByteRange) -> Result<(u64, u64), StorageError> {
    let (start, len) = match range {
        ByteRange::FromStart(start, len) => (start, len.or(nbytes.checked_sub(start))),
        ByteRange::Suffix(len) => (nbytes.saturating_sub(len), Some(len)),
    };
    let fits = |len: u64| start.checked_add(len).is_some_and(|end| end <= nbytes);
    let missing = || StorageError::Other(format!("bytes {range} of {nbytes} are not there"));
    Ok((start, len.filter(|&len| fits(len)).ok_or_else(missing)?))
}

#[cfg(feature = "cloud")]
fn get_range(range: ByteRange) -> GetRange {
    match range {
        ByteRange::FromStart(start, None) => GetRange::Offset(start),
        ByteRange::FromStart(start, Some(len)) => {
            GetRange::Bounded(start..start.saturating_add(len))
        }
        ByteRange::Suffix(len) => GetRange::Suffix(len),
    }
}

impl ReadableStorageTraits for KeyStore {
    fn get_partial_many<'a>(
        &'a self,
        key: &StoreKey,
        byte_ranges: ByteRangeIterator<'a>,
    ) -> Result<MaybeBytesIterator<'a>, StorageError> {
        match &self.base {
            Location::Local(base) => {
                let Some((file, nbytes)) = Self::open(base, key)? else { return Ok(None) };
                Ok(Some(Box::new(byte_ranges.map(move |range| self.read(&file, nbytes, range)))))
            }
            #[cfg(feature = "cloud")]
            Location::Object(base) => {
                let ranges: Vec<ByteRange> = byte_ranges.collect();
                let answers = self.read_object(base, key, &ranges)?;
                Ok(answers.map(|answers| Box::new(answers.into_iter().map(Ok)) as _))
            }
        }
    }

    fn size_key(&self, key: &StoreKey) -> Result<Option<u64>, StorageError> {
        match &self.base {
            Location::Local(base) => Ok(Self::open(base, key)?.map(|(_, nbytes)| nbytes)),
            #[cfg(feature = "cloud")]
            Location::Object(base) => Ok(base.below(key.as_str()).head()?.map(|found| found.bytes)),
        }
    }

    fn supports_get_partial(&self) -> bool {
        true
    }
}

impl WritableStorageTraits for KeyStore {
    fn set(&self, key: &StoreKey, value: Bytes) -> Result<(), StorageError> {
        let path = match &self.base {
            Location::Local(base) => base.join(key.as_str()),
            #[cfg(feature = "cloud")]
            Location::Object(base) => return Ok(base.below(key.as_str()).put(value)?),
        };
        match write_file(&path, &value) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            done => return Ok(done?),
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
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
        let removed = match &self.base {
            Location::Local(base) => fs::remove_file(base.join(key.as_str())),
            #[cfg(feature = "cloud")]
            Location::Object(base) => Object::delete([base.below(key.as_str())]),
        };
        match removed {
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
