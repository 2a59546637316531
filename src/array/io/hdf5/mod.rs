//! Datasets of HDF5 files, through the `hdf5-reader` crate.
//!
//! The crate parses what files say of themselves, finds chunks and undoes their filters. Which box is read when, and into
//! what memory, is decided here. It keeps no decoded chunk, because what it keeps is in no budget, and has no threads, because
//! the tasks that call it are the parallelism.

mod chunked;
mod filters;
mod source;
mod storage;
#[cfg(test)]
mod tests;
mod types;
mod write;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hdf5_reader::error::Error as ReadError;
use hdf5_reader::group::Group;
use hdf5_reader::{Dataset, HDF5_MAX_CHUNK_BYTES, OpenOptions};

pub(crate) use self::chunked::Deflated;
use self::source::Hdf5Source;
use self::storage::Bounded;
pub(crate) use self::write::{Hdf5Schema, Hdf5Writer};
use crate::error::{Blame, Call, Error, Result};
use crate::storage::{FoundFile, io_error_in};

/// What the first bytes of HDF5 files are, unless a block of the user's stands before them.
pub(crate) const SIGNATURE: [u8; 8] = *b"\x89HDF\r\n\x1a\n";

/// An open file.
pub(crate) struct Hdf5File {
    path: PathBuf,
    format: &'static str,
    storage: Arc<Bounded>,
    /// Before anything was read.
    version: Option<String>,
    file: hdf5_reader::Hdf5File,
}

impl Hdf5File {
    /// Opens a file, which errors call one of this `format`.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::CorruptFile`], [`Error::UnsupportedFile`].
    pub(crate) fn open(call: Call, path: &Path, format: &'static str) -> Result<Self> {
        let blame = Blame { call, path, format };
        let storage = Arc::new(Bounded::new(FoundFile::named(call, path)?.open(&blame)?));
        let version = storage.version(path);
        let options = OpenOptions::default()
            .with_filter_registry(filters::registry(&storage))
            .with_chunk_cache_bytes(0)
            .with_max_chunk_bytes(HDF5_MAX_CHUNK_BYTES);
        let shared = Arc::clone(&storage);
        let file = guarded(&blame, "the file", || {
            hdf5_reader::Hdf5File::from_storage_with_options(storage::shared(shared), options)
        })?;
        Ok(Hdf5File { path: path.to_path_buf(), format, storage, version, file })
    }

    pub(crate) fn blame(&self, call: Call) -> Blame<'_> {
        Blame { call, path: &self.path, format: self.format }
    }

    /// The group that all others are in.
    pub(crate) fn root(&self, call: Call) -> Result<Group> {
        guarded(&self.blame(call), "the root group", || self.file.root_group())
    }

    /// The dataset of a name, such as `group/x`.
    pub(crate) fn dataset(&self, call: Call, name: &str) -> Result<Dataset> {
        let opened = || match self.file.dataset(name) {
            Err(error) if is_missing(&error) => Ok(None),
            dataset => dataset.map(Some),
        };
        let found = guarded(&self.blame(call), name, opened)?;
        found.ok_or_else(|| Error::InvalidArgument {
            call,
            argument: "dataset",
            got: format!("{name:?}, and {} has {}", self.path.display(), self.names(call)),
            expected: "the path of a dataset in the file, such as group/x",
        })
    }

    /// What stands in the root group, for messages.
    fn names(&self, call: Call) -> String {
        let members = self
            .root(call)
            .and_then(|root| guarded(&self.blame(call), "the root group", || root.member_names()));
        let (groups, datasets) = members.unwrap_or_default();
        let groups = groups.into_iter().map(|name| format!("{name}/"));
        let names: Vec<String> = datasets.into_iter().chain(groups).collect();
        if names.is_empty() { "no datasets".to_string() } else { names.join(", ") }
    }

    /// The elements of a dataset.
    ///
    /// # Errors
    /// [`Error::UnsupportedFile`] for elements that arrays do not have, [`Error::CorruptFile`].
    pub(crate) fn source(&self, call: Call, name: &str, dataset: Dataset) -> Result<Hdf5Source> {
        Hdf5Source::new(call, self, name, dataset)
    }
}

impl fmt::Debug for Hdf5File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hdf5File").field("path", &self.path).finish_non_exhaustive()
    }
}

/// What `read` finds; its errors and panics name the file and the part of it that they are about.
pub(crate) fn guarded<T>(
    blame: &Blame<'_>,
    what: &str,
    read: impl FnOnce() -> hdf5_reader::error::Result<T>,
) -> Result<T> {
    // Decoders are other people's code, and a panic of theirs says nothing of the file.
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(failed(blame, what, &error)),
        Err(_) => Err(blame.corrupt(format!("{what}: the decoder panicked"))),
    }
}

fn failed(blame: &Blame<'_>, what: &str, error: &ReadError) -> Error {
    if let Some(error) = io_error_in(error) {
        return Error::io(blame.call, blame.path)(error);
    }
    let text = format!("{what}: {error}");
    let remedy = "rewrite it with h5repack -f GZIP=4";
    match root_of(error) {
        ReadError::UnsupportedFilter(filter) => {
            match number_of(filter).and_then(filters::name_of) {
                Some(name) => blame.unsupported(format!("{what}: the filter {name}"), remedy),
                None => blame.unsupported(text, remedy),
            }
        }
        ReadError::UnsupportedEncoding(_) => blame.unsupported(text, remedy),
        _ => blame.corrupt(text),
    }
}

/// The number of a filter, of which the crate tells nothing else.
fn number_of(filter: &str) -> Option<u16> {
    filter.strip_prefix("filter id ")?.parse().ok()
}

fn is_missing(error: &ReadError) -> bool {
    matches!(root_of(error), ReadError::DatasetNotFound(_) | ReadError::GroupNotFound(_))
}

fn root_of(mut error: &ReadError) -> &ReadError {
    while let ReadError::Context { source, .. } = error {
        error = source;
    }
    error
}
