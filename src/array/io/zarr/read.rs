//! Reading boxes of Zarr arrays.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ndarray::{ArrayViewMut1, ArrayViewMutD, Axis};
use serde_json::Value;
use zarrs::array::{Array, ArrayBytes, ArrayBytesRaw, ArrayError, ArrayMetadata, ArraySubset};

use super::super::bytes::{ByteOrder, Stored, decode_slice};
use super::super::errors::check_box;
use super::super::grid::{parts, within};
use super::super::origin::{Origin, shared_path};
use super::super::source::Source;
use super::metadata::{DIMS_V2, bytes_of, create_error, dtype_of, parsed};
use super::place::Documents;
use super::sequential;
use super::store::KeyStore;
use crate::array::any::{AnyElement, AnyViewMut};
use crate::array::dtype::{DType, dispatch};
use crate::error::{Blame, Call, Error, Result};
use crate::storage::{Location, io_error_in, version_of_directory};

/// Metadata documents are never as long as this.
const METADATA_BYTES_MAX: u64 = 64 << 20;

/// An array in a directory or in an object store, of which any box can be read.
#[derive(Debug)]
pub(crate) struct ZarrSource {
    call: Call,
    path: PathBuf,
    /// Where other processes find it, if they can.
    origin: Option<PathBuf>,
    array: Array<KeyStore>,
    dtype: DType,
    shape: Vec<u64>,
    chunk: Vec<u64>,
    dim_names: Option<Vec<String>>,
    /// The chunks inside a shard, if there are shards.
    in_shard: Option<Vec<u64>>,
}

impl ZarrSource {
    /// Opens the array in the directory `path`, of version 3 or 2.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::CorruptFile`] if the metadata is not valid,
    /// [`Error::UnsupportedFile`] for codecs, chunk grids and types that are not read, by name.
    pub(crate) fn open(call: Call, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let blame = Blame { call, path, format: "Zarr" };
        let location = Location::of(call, path)?;
        let metadata = parsed(&blame, &read_documents(&blame, &location)?)?;
        let chunk = regular_chunk(&metadata).ok_or_else(|| {
            blame.unsupported("a chunk grid that is not regular", "rewrite it with equal chunks")
        })?;
        let too_large = |chunk: &[u64]| blame.corrupt(format!("chunks {chunk:?} are too large"));
        let chunk_bytes = bytes_of(&chunk, DType::C128).ok_or_else(|| too_large(&chunk))?;
        // zstd's bound is in whole blocks of 128 KiB.
        let limit = chunk_bytes.saturating_mul(2).saturating_add(1 << 20);
        let store = Arc::new(KeyStore::new(location, limit));
        let array = Array::new_with_metadata(store, "/", metadata.clone())
            .map_err(|error| create_error(&blame, path, &error))?;
        let dtype = dtype_of(array.data_type()).map_err(|name| {
            let remedy = "arrays hold bool, integers, floats and complex numbers";
            blame.unsupported(format!("dtype {name}"), remedy)
        })?;
        let shape = array.shape().to_vec();
        if bytes_of(&shape, dtype).is_none() {
            return Err(blame.corrupt(format!("shape {shape:?} is too large")));
        }
        let origin = shared_path(call, path);
        let in_shard = chunk_in_shard(&metadata);
        let dim_names = dim_names(&array);
        let path = path.to_path_buf();
        Ok(ZarrSource { call, path, origin, array, dtype, shape, chunk, dim_names, in_shard })
    }

    /// The attributes of the array.
    #[cfg_attr(not(test), expect(dead_code, reason = "handles do not show attributes yet"))]
    pub(crate) fn attributes(&self) -> &serde_json::Map<String, Value> {
        self.array.attributes()
    }

    fn read_typed<T: Stored>(&self, start: &[u64], mut out: ArrayViewMutD<'_, T>) -> Result<()> {
        for (index, part) in parts(start, out.shape(), &self.chunk) {
            let bytes = self.read_chunk(&index, &part, size_of::<T>())?;
            let mut target = out.slice_each_axis_mut(within(start, &part));
            if let Some(items) = target.as_slice_mut() {
                decode_slice(&bytes, ByteOrder::NATIVE, items);
                continue;
            }
            let lanes = target.lanes_mut(Axis(start.len() - 1)).into_iter();
            let items = lanes.flat_map(ArrayViewMut1::into_iter);
            for (bytes, item) in bytes.chunks_exact(size_of::<T>()).zip(items) {
                *item = T::decode(bytes, ByteOrder::NATIVE);
            }
        }
        Ok(())
    }

    /// The elements of a part of one chunk, in C order and as bytes of this machine.
    fn read_chunk(
        &self,
        index: &[u64],
        part: &[Range<u64>],
        item_bytes: usize,
    ) -> Result<ArrayBytesRaw<'static>> {
        let origins = index.iter().zip(&self.chunk).map(|(&i, &chunk)| i * chunk);
        let relative: Vec<_> =
            part.iter().zip(origins).map(|(r, o)| r.start - o..r.end - o).collect();
        let subset = ArraySubset::new_with_ranges(&relative);
        let bytes =
            self.retrieve(index, &subset).map_err(|error| self.chunk_error(index, &error))?;
        let n = part.iter().map(|range| (range.end - range.start) as usize).product::<usize>();
        let bytes = bytes.into_fixed().ok().filter(|bytes| bytes.len() == n * item_bytes);
        bytes.ok_or_else(|| {
            let problem = "it does not decode to as many elements as a chunk has";
            self.blame(&self.chunk_path(index)).corrupt(format!("chunk {index:?}: {problem}"))
        })
    }

    fn retrieve(
        &self,
        index: &[u64],
        subset: &ArraySubset,
    ) -> Result<ArrayBytes<'static>, ArrayError> {
        if let Some(in_shard) = &self.in_shard {
            // Of a shard that is far away all is read at once, if most of its chunks are wanted.
            #[cfg(feature = "cloud")]
            let storage = self.array.storage();
            #[cfg(feature = "cloud")]
            let _held = {
                let chunks = |lens: &[u64]| -> u64 {
                    lens.iter().zip(in_shard).map(|(len, chunk)| len.div_ceil(*chunk)).product()
                };
                let is_most = chunks(subset.shape()) * 2 > chunks(&self.chunk);
                let key = self.array.chunk_key(index);
                let held = is_most.then(|| storage.hold(&key)).transpose();
                held.map_err(|error| ArrayError::StorageError(error.into()))?
            };
            #[cfg(not(feature = "cloud"))]
            let _ = in_shard;
            // Never the whole shard at once: its chunks then pass the store one by one, which
            // checks what each promises.
            let decoder = self.array.partial_decoder_opt(index, &sequential())?;
            return Ok(decoder.partial_decode(subset, &sequential())?.into_owned());
        }
        self.array.retrieve_chunk_subset_opt(index, subset, &sequential())
    }

    fn chunk_path(&self, index: &[u64]) -> PathBuf {
        self.array.storage().path(&self.array.chunk_key(index))
    }

    fn blame<'a>(&self, path: &'a Path) -> Blame<'a> {
        Blame { call: self.call, path, format: "Zarr" }
    }

    fn chunk_error(&self, index: &[u64], error: &ArrayError) -> Error {
        let path = self.chunk_path(index);
        match io_error_in(error) {
            Some(source) => Error::io(self.call, &path)(source),
            None => self.blame(&path).corrupt(format!("chunk {index:?}: {error}")),
        }
    }
}

impl Source for ZarrSource {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn dtype(&self) -> DType {
        self.dtype
    }

    fn shape(&self) -> &[u64] {
        &self.shape
    }

    /// A chunk, or a shard where there are shards.
    fn storage_chunks(&self) -> Option<Vec<u64>> {
        Some(self.chunk.clone())
    }

    fn decoded_chunks(&self) -> Option<Vec<u64>> {
        Some(self.in_shard.as_ref().unwrap_or(&self.chunk).clone())
    }

    fn dim_names(&self) -> Option<Vec<String>> {
        self.dim_names.clone()
    }

    fn origin(&self) -> Option<Origin> {
        self.origin.clone().map(Origin::Zarr)
    }

    /// Of arrays on this machine.
    fn version(&self) -> Option<String> {
        let location = Location::of(self.call, &self.path).ok()?;
        let files = version_of_directory(location.local()?)?;
        // What was read of it when it was opened, which may be something else by now, says how chunks are read.
        let metadata = serde_json::to_string(self.array.metadata()).ok()?;
        Some(format!("zarr {files} {metadata}"))
    }

    /// A chunk as it is stored, the same decoded, and the part of it that is wanted.
    fn scratch_bytes(&self) -> u64 {
        bytes_of(&self.chunk, self.dtype).unwrap_or(u64::MAX).saturating_mul(3)
    }

    fn read(&self, start: &[u64], out: AnyViewMut<'_>) -> Result<()> {
        check_box(self.call, self.dtype, &self.shape, start, &out)?;
        dispatch!(self.dtype, T => {
            let out = T::from_any_view(out).expect("the dtype was just checked");
            self.read_typed(start, out)
        })
    }
}

/// The metadata documents of an array.
pub(super) fn read_documents(blame: &Blame<'_>, location: &Location) -> Result<Documents> {
    if let Some(path) = location.local() {
        let directory = fs::metadata(path).map_err(Error::io(blame.call, path))?;
        if !directory.is_dir() {
            return Err(Error::io(blame.call, path)(io::ErrorKind::NotADirectory.into()));
        }
    }
    let store = KeyStore::new(location.clone(), u64::MAX);
    let read = |name: &str| match store.document(name, METADATA_BYTES_MAX) {
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            Err(blame.corrupt(format!("{name} has more than {METADATA_BYTES_MAX} bytes")))
        }
        document => document.map_err(Error::io(blame.call, &blame.path.join(name))),
    };
    let v3 = read("zarr.json")?;
    // Each is a question to a store: a document of version 3 has all there is.
    let other = |name: &str| if v3.is_some() { Ok(None) } else { read(name) };
    let (v2, attributes, group) = (other(".zarray")?, other(".zattrs")?, other(".zgroup")?);
    let is_group = |document: &Vec<u8>| {
        let document: Value = serde_json::from_slice(document).ok()?;
        Some(document.get("node_type")?.as_str()? == "group")
    };
    if v3.as_ref().and_then(is_group) == Some(true) || (v2.is_none() && group.is_some()) {
        let remedy = "open one of its arrays, such as path/name";
        return Err(blame.unsupported("a Zarr group in place of an array", remedy));
    }
    let documents = [("zarr.json", v3), (".zarray", v2), (".zattrs", attributes)];
    Ok(documents.into_iter().filter_map(|(name, document)| Some((name, document?))).collect())
}

/// The lengths of a chunk (or shard), if all are the same.
pub(super) fn regular_chunk(metadata: &ArrayMetadata) -> Option<Vec<u64>> {
    match metadata {
        ArrayMetadata::V2(v2) => Some(v2.chunks.iter().map(|len| len.get()).collect()),
        ArrayMetadata::V3(v3) if v3.chunk_grid.name() == "regular" => {
            let configuration = v3.chunk_grid.configuration()?;
            let lens = configuration.get("chunk_shape")?.as_array()?;
            lens.iter().map(|len| len.as_u64().filter(|&len| len > 0)).collect()
        }
        ArrayMetadata::V3(_) => None,
    }
}

/// The lengths of a chunk inside a shard, if the chunks of the grid are shards.
fn chunk_in_shard(metadata: &ArrayMetadata) -> Option<Vec<u64>> {
    let ArrayMetadata::V3(v3) = metadata else { return None };
    let sharding = v3.codecs.iter().find(|codec| codec.name() == "sharding_indexed")?;
    let lens = sharding.configuration().and_then(|it| it.get("chunk_shape")?.as_array());
    Some(lens.into_iter().flatten().map(|len| len.as_u64().unwrap_or(1)).collect())
}

/// The names of version 3, or those that xarray keeps in an attribute in version 2.
fn dim_names(array: &Array<KeyStore>) -> Option<Vec<String>> {
    if let Some(names) = array.dimension_names() {
        return names.iter().cloned().collect();
    }
    let names = array.attributes().get(DIMS_V2)?.as_array()?;
    let names: Option<Vec<String>> =
        names.iter().map(|name| name.as_str().map(str::to_string)).collect();
    names.filter(|names| names.len() == array.shape().len())
}
