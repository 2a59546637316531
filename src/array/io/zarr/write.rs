//! Writing Zarr arrays.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use ndarray::{ArrayD, ArrayViewD, IxDyn};
use zarrs::array::{Array, ArrayBytes};

use super::super::bytes::{ByteOrder, encode_slice};
use super::super::errors::box_outside;
use super::metadata::{ZarrFormat, ZarrOptions, create_error, dtype_of, parse};
use super::store::{DirStore, os_error};
use super::{indices, sequential, touched_chunks};
use crate::array::dtype::{DType, Element};
use crate::atomic::{AtomicDir, write_file};
use crate::error::{Blame, Call, Error, Result};

/// An array that is being written, under a temporary name until [`finish`](Self::finish).
///
/// Chunks that nobody writes read as zero.
#[derive(Debug)]
pub(crate) struct ZarrWriter {
    call: Call,
    directory: AtomicDir,
    array: Array<DirStore>,
    options: ZarrOptions,
}

impl ZarrWriter {
    /// The element type.
    pub(crate) fn dtype(&self) -> DType {
        self.options.dtype
    }

    /// Starts an array beside the directory `path`.
    ///
    /// # Errors
    /// [`Error::InvalidChunks`], [`Error::InvalidArgument`], or [`Error::Io`], also if something is
    /// there already that is not an array or that `options` does not allow to overwrite.
    pub(crate) fn create(call: Call, path: impl AsRef<Path>, options: ZarrOptions) -> Result<Self> {
        let path = path.as_ref();
        options.check(call)?;
        check_target(call, path, options.overwrite)?;
        let blame = Blame { call, path, format: "Zarr" };
        let documents: Vec<_> = options
            .documents()
            .into_iter()
            .map(|(name, document)| (name, format!("{document:#}").into_bytes()))
            .collect();
        let document = |name: &str| {
            documents.iter().find(|(n, _)| *n == name).map(|(_, bytes)| bytes.as_slice())
        };
        let metadata = parse(document("zarr.json"), document(".zarray"), document(".zattrs"))
            .map_err(|error| blame.corrupt(error.to_string()))?
            .expect("the documents have either name");
        let directory = AtomicDir::create(call, path)?;
        let store = Arc::new(DirStore::new(directory.path(), u64::MAX));
        let array = Array::new_with_metadata(store, "/", metadata)
            .map_err(|error| create_error(&blame, path, &error))?;
        debug_assert_eq!(dtype_of(array.data_type()), Ok(options.dtype));
        for (name, document) in &documents {
            write_file(&directory.path().join(name), document).map_err(Error::io(call, path))?;
        }
        Ok(ZarrWriter { call, directory, array, options })
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
        self.check_block::<T>(start, block.shape())?;
        let unit = self.options.unit();
        let axes = start.iter().zip(block.shape()).zip(unit);
        let ranges: Vec<_> =
            axes.map(|((&s, &n), &unit)| touched_chunks(s, n as u64, unit)).collect();
        for index in indices(&ranges) {
            let part = block.slice_each_axis(|axis| {
                let (axis, len) = (axis.axis.index(), axis.len as u64);
                let begin = index[axis] * unit[axis] - start[axis];
                (begin as usize..begin.saturating_add(unit[axis]).min(len) as usize).into()
            });
            self.write_chunk(&index, &part)?;
        }
        Ok(())
    }

    /// Gives the array its name.
    ///
    /// # Errors
    /// [`Error::Io`]; what was there before is then still there.
    pub(crate) fn finish(self) -> Result<()> {
        // Once more: it may have come while the blocks were computed.
        check_target(self.call, self.directory.target(), self.options.overwrite)?;
        self.directory.finish(self.call, self.options.overwrite)
    }

    fn check_block<T: Element>(&self, start: &[u64], lens: &[usize]) -> Result<()> {
        let (call, shape) = (self.call, &self.options.shape);
        if T::DTYPE != self.options.dtype {
            let (got, expected) = (T::DTYPE.to_string(), self.options.dtype.to_string());
            return Err(Error::DTypeMismatch { call, got, expected });
        }
        let ends = start.iter().zip(lens).map(|(&start, &len)| start.checked_add(len as u64));
        let ends: Option<Vec<u64>> = ends.collect();
        let fits = |ends: &Vec<u64>| ends.iter().zip(shape).all(|(end, len)| end <= len);
        let is_box = start.len() == shape.len() && lens.len() == shape.len();
        let Some(ends) = ends.filter(|ends| is_box && fits(ends)) else {
            return Err(box_outside(call, start, lens, shape));
        };
        let unit = self.options.unit();
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

    /// Writes one chunk, filled up with zeros where the array's end cuts it.
    fn write_chunk<T: Element>(&self, index: &[u64], part: &ArrayViewD<'_, T>) -> Result<()> {
        let unit: Vec<usize> = self.options.unit().iter().map(|&len| len as usize).collect();
        let bytes = if part.shape() == unit {
            bytes(&part.as_standard_layout().view())
        } else {
            let mut whole = ArrayD::<T>::default(IxDyn(&unit));
            let lens = part.shape();
            whole.slice_each_axis_mut(|axis| (..lens[axis.axis.index()]).into()).assign(part);
            bytes(&whole.view())
        };
        // A chunk of zeros need not exist if the metadata says that missing ones are zero.
        let options = sequential().with_store_empty_chunks(self.options.format == ZarrFormat::V2);
        let stored = self.array.store_chunk_opt(index, ArrayBytes::new_flen(bytes), &options);
        stored.map_err(|error| {
            let path = self.directory.target().join(self.array.chunk_key(index).as_str());
            let source = os_error(&error).unwrap_or_else(|| std::io::Error::other(error));
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

/// Checks that `path` is free, or an array that may be replaced: never another directory, which
/// would be removed with all that is in it.
fn check_target(call: Call, path: &Path, overwrite: bool) -> Result<()> {
    let exists = path.try_exists().map_err(Error::io(call, path))?;
    if !exists {
        return Ok(());
    }
    let invalid = |got: &str, expected| Error::InvalidArgument {
        call,
        argument: "path",
        got: format!("{}, {got}", path.display()),
        expected,
    };
    if !overwrite {
        return Err(invalid("which exists", "a path that is free, or the option to overwrite"));
    }
    let is_array = path.join(".zarray").exists()
        || fs::read_to_string(path.join("zarr.json")).is_ok_and(|text| {
            let document: Option<serde_json::Value> = serde_json::from_str(&text).ok();
            document.is_none_or(|document| document["node_type"] != "group")
        });
    let is_empty = || fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
    if is_array || is_empty() {
        return Ok(());
    }
    Err(invalid("which is not a Zarr array", "a path that is free, or a Zarr array to overwrite"))
}
