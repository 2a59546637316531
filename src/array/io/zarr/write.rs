//! Writing Zarr arrays, whole or in part.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ndarray::{ArrayD, ArrayViewD, IxDyn};
use zarrs::array::{Array, ArrayBytes, ArrayMetadata};

use super::super::bytes::{ByteOrder, encode_slice};
use super::super::errors::box_outside;
use super::super::grid::{parts, within};
use super::metadata::{
    COMPRESSOR_BYTES, ZarrFormat, ZarrOptions, create_error, dtype_of, parsed, with_shape,
};
use super::place::{Documents, Place};
use super::read::{read_documents, regular_chunk};
use super::sequential;
use super::store::KeyStore;
use crate::array::dtype::{DType, Element};
use crate::error::{Blame, Call, Error, Result};
use crate::storage::{Location, io_error_in};

/// What of an array that is there is going to be written.
#[derive(Clone, Debug)]
pub(crate) struct ZarrUpdate {
    /// The shape of the array when this was planned.
    pub(crate) seen: Vec<u64>,
    /// Where the box begins.
    pub(crate) origin: Vec<u64>,
    /// The shape of the array afterwards.
    pub(crate) shape: Vec<u64>,
    /// Bytes of a stored chunk, or of a shard.
    pub(crate) unit_bytes: u64,
}

impl ZarrUpdate {
    /// Bytes that writing a block uses beside it.
    pub(crate) fn scratch_bytes(&self) -> u64 {
        self.unit_bytes.saturating_mul(3).saturating_add(COMPRESSOR_BYTES)
    }
}

/// An array that is being written, or a box of one that is there; nothing is seen before [`finish`](Self::finish), apart
/// from chunks of arrays that are in object stores already.
///
/// Chunks that nobody writes read as the fill value.
#[derive(Debug)]
pub(crate) struct ZarrWriter {
    call: Call,
    path: PathBuf,
    place: Place,
    array: Array<KeyStore>,
    dtype: DType,
    /// Of the array once it is written.
    shape: Vec<u64>,
    /// What is written whole: a shard, or a chunk without shards.
    unit: Vec<u64>,
    /// Where the box begins to which blocks belong.
    origin: Vec<u64>,
    /// Whether chunks of nothing but the fill value are stored.
    stores_empty: bool,
    /// The metadata of a new array, which is still to be written.
    documents: Documents,
    /// The shape that an array that is there has to have until the end.
    seen: Option<Vec<u64>>,
    overwrite: bool,
}

impl ZarrWriter {
    /// The element type.
    pub(crate) fn dtype(&self) -> DType {
        self.dtype
    }

    /// Starts an array that is going to be at `path`.
    ///
    /// # Errors
    /// [`Error::InvalidChunks`], [`Error::InvalidArgument`], or [`Error::Io`], also if something is
    /// there already that is not an array or that `options` does not allow to overwrite.
    pub(crate) fn create(call: Call, path: impl AsRef<Path>, options: ZarrOptions) -> Result<Self> {
        let path = path.as_ref();
        options.check(call)?;
        let (place, location) = Place::of_new(call, path, options.overwrite)?;
        let documents: Documents = options
            .documents()
            .into_iter()
            .map(|(name, document)| (name, format!("{document:#}").into_bytes()))
            .collect();
        let metadata = parsed(&Blame { call, path, format: "Zarr" }, &documents)?;
        let array = array(call, path, location, metadata)?;
        debug_assert_eq!(dtype_of(array.data_type()), Ok(options.dtype));
        Ok(ZarrWriter {
            call,
            path: path.to_path_buf(),
            place,
            array,
            dtype: options.dtype,
            unit: options.unit().to_vec(),
            origin: vec![0; options.shape.len()],
            // A chunk of zeros need not exist if the metadata says that missing ones are zero.
            stores_empty: options.format == ZarrFormat::V2,
            shape: options.shape,
            documents,
            seen: None,
            overwrite: options.overwrite,
        })
    }

    /// Starts to write into the array that is at `path`.
    ///
    /// # Errors
    /// As opening the array, and [`Error::InvalidArgument`] if its shape is not the one that was planned with.
    pub(crate) fn update(call: Call, path: impl AsRef<Path>, update: &ZarrUpdate) -> Result<Self> {
        let (path, shape) = (path.as_ref(), update.shape.as_slice());
        let blame = Blame { call, path, format: "Zarr" };
        let (documents, old) = unchanged(&blame, &update.seen)?;
        let unit =
            regular_chunk(&old).ok_or_else(|| blame.corrupt("its chunks are not regular"))?;
        let documents = with_shape(documents, shape).map_err(|problem| blame.corrupt(problem))?;
        let (place, location) = Place::of_chunks(call, path)?;
        let array = array(call, path, location, parsed(&blame, &documents)?)?;
        let dtype = dtype_of(array.data_type())
            .map_err(|name| blame.unsupported(format!("dtype {name}"), "write another array"))?;
        Ok(ZarrWriter {
            call,
            path: path.to_path_buf(),
            place,
            array,
            dtype,
            shape: shape.to_vec(),
            unit,
            origin: update.origin.clone(),
            // What is there in their places is not the fill value.
            stores_empty: true,
            documents: Documents::new(),
            seen: Some(update.seen.clone()),
            overwrite: false,
        })
    }

    /// Writes the box that begins at `start`, which has to consist of whole storage chunks, apart
    /// from those that the end of the array cuts. Threads may write different boxes at once.
    ///
    /// # Errors
    /// [`Error::InvalidChunks`] if the box covers a chunk in part: nothing is written then.
    /// [`Error::Io`], [`Error::DTypeMismatch`], [`Error::InvalidArgument`].
    pub(crate) fn write_block<T: Element>(
        &self,
        start: &[u64],
        block: &ArrayViewD<'_, T>,
    ) -> Result<()> {
        let start: Vec<u64> =
            start.iter().zip(&self.origin).map(|(start, at)| start + at).collect();
        self.check_block::<T>(&start, block.shape())?;
        #[cfg(feature = "cloud")]
        self.place.make_room(self.call, &self.path)?;
        for (index, part) in parts(&start, block.shape(), &self.unit) {
            self.write_chunk(&index, &block.slice_each_axis(within(&start, &part)))?;
        }
        Ok(())
    }

    /// Makes what was written appear.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::InvalidArgument`] if another write came between. On this machine what was there before is
    /// then still there.
    pub(crate) fn finish(self) -> Result<()> {
        let documents = match &self.seen {
            None => self.documents,
            Some(seen) => {
                // Once more: it may have changed while the blocks were computed.
                let blame = Blame { call: self.call, path: &self.path, format: "Zarr" };
                let (documents, _) = unchanged(&blame, seen)?;
                let is_longer = *seen != self.shape;
                let documents = if is_longer { documents } else { Documents::new() };
                with_shape(documents, &self.shape).map_err(|problem| blame.corrupt(problem))?
            }
        };
        self.place.finish(self.call, &self.path, &documents, self.overwrite)
    }

    fn check_block<T: Element>(&self, start: &[u64], lens: &[usize]) -> Result<()> {
        let (call, shape) = (self.call, &self.shape);
        if T::DTYPE != self.dtype {
            let (got, expected) = (T::DTYPE.to_string(), self.dtype.to_string());
            return Err(Error::DTypeMismatch { call, got, expected });
        }
        let ends = start.iter().zip(lens).map(|(&start, &len)| start.checked_add(len as u64));
        let ends: Option<Vec<u64>> = ends.collect();
        let fits = |ends: &Vec<u64>| ends.iter().zip(shape).all(|(end, len)| end <= len);
        let is_box = start.len() == shape.len() && lens.len() == shape.len();
        let Some(ends) = ends.filter(|ends| is_box && fits(ends)) else {
            return Err(box_outside(call, start, lens, shape));
        };
        let unit = &self.unit;
        let is_whole = (0..shape.len()).all(|axis| {
            start[axis].is_multiple_of(unit[axis])
                && (ends[axis].is_multiple_of(unit[axis]) || ends[axis] == shape[axis])
        });
        if is_whole {
            return Ok(());
        }
        let (got, shape) = (format!("{start:?}+{lens:?}, storage {unit:?}"), shape.clone());
        let problem = "a block has to cover whole storage chunks; rechunk to multiples of them";
        Err(Error::InvalidChunks { call, got, shape, problem })
    }

    /// Writes one chunk, filled up with the fill value where the array's end cuts it: what is there once it is longer.
    fn write_chunk<T: Element>(&self, index: &[u64], part: &ArrayViewD<'_, T>) -> Result<()> {
        let unit: Vec<usize> = self.unit.iter().map(|&len| len as usize).collect();
        let bytes = if part.shape() == unit {
            bytes(&part.as_standard_layout().view())
        } else {
            let fill_value = T::decode(self.array.fill_value().as_ne_bytes(), ByteOrder::NATIVE);
            let mut whole = ArrayD::<T>::from_elem(IxDyn(&unit), fill_value);
            let lens = part.shape();
            whole.slice_each_axis_mut(|axis| (..lens[axis.axis.index()]).into()).assign(part);
            bytes(&whole.view())
        };
        let options = sequential().with_store_empty_chunks(self.stores_empty);
        let stored = self.array.store_chunk_opt(index, ArrayBytes::new_flen(bytes), &options);
        stored.map_err(|error| {
            let path = self.path.join(self.array.chunk_key(index).as_str());
            let source = io_error_in(&error).unwrap_or_else(|| io::Error::other(error));
            Error::io(self.call, &path)(source)
        })
    }
}

/// The elements of an array in C order as bytes of this machine.
fn bytes<T: Element>(array: &ArrayViewD<'_, T>) -> Vec<u8> {
    let items = array.as_slice().expect("the array is in C order");
    let mut bytes = vec![0; size_of_val(items)];
    encode_slice(items, ByteOrder::NATIVE, &mut bytes);
    bytes
}

/// The documents of an array, if its shape is still the one that was seen.
fn unchanged(blame: &Blame<'_>, seen: &[u64]) -> Result<(Documents, ArrayMetadata)> {
    let (call, path) = (blame.call, blame.path);
    let documents = read_documents(blame, &Location::of(call, path)?)?;
    let metadata = parsed(blame, &documents)?;
    let shape = match &metadata {
        ArrayMetadata::V2(metadata) => &metadata.shape,
        ArrayMetadata::V3(metadata) => &metadata.shape,
    };
    if shape == seen {
        return Ok((documents, metadata));
    }
    let got =
        format!("{}, of shape {shape:?} now and {seen:?} when it was planned", path.display());
    let expected = "an array that no other write changes meanwhile: compute it again";
    Err(Error::InvalidArgument { call, argument: "path", got, expected })
}

fn array(
    call: Call,
    path: &Path,
    location: Location,
    metadata: ArrayMetadata,
) -> Result<Array<KeyStore>> {
    let blame = Blame { call, path, format: "Zarr" };
    let store = Arc::new(KeyStore::new(location, u64::MAX));
    Array::new_with_metadata(store, "/", metadata)
        .map_err(|error| create_error(&blame, path, &error))
}
