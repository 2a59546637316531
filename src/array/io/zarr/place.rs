//! Where new chunks lie until they are part of an array.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
#[cfg(feature = "cloud")]
use std::sync::{Mutex, PoisonError};

use super::super::origin::absolute;
use super::store::KeyStore;
use crate::atomic::AtomicDir;
use crate::error::{Call, Error, Result};
use crate::storage::Location;
#[cfg(feature = "cloud")]
use crate::storage::Object;

/// Which array a path or a URL means.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ZarrPlace {
    path: PathBuf,
    /// Whether it is in a store, where chunks are replaced one by one.
    pub(crate) is_remote: bool,
}

impl ZarrPlace {
    /// The place, whatever links lead there.
    ///
    /// # Errors
    /// As of a URL that can't be used.
    pub(crate) fn of(call: Call, path: &Path) -> Result<Self> {
        Ok(match Location::of(call, path)? {
            Location::Local(path) => {
                let path = fs::canonicalize(&path).unwrap_or_else(|_| absolute(&path));
                ZarrPlace { path, is_remote: false }
            }
            #[cfg(feature = "cloud")]
            Location::Object(object) => ZarrPlace { path: object.url(), is_remote: true },
        })
    }
}

/// Where a writer puts chunks, and what makes them appear. Dropped before, it leaves what was there.
#[derive(Debug)]
pub(super) enum Place {
    /// A hidden directory that becomes the array.
    Beside(AtomicDir),
    /// A hidden directory whose chunks are moved into an array that is there.
    Into(AtomicDir),
    /// Keys of an array in a store that nobody sees before it has its metadata; they go if it never gets any.
    #[cfg(feature = "cloud")]
    Unseen(Unseen),
    /// Chunks of an array in a store, which are seen one by one.
    #[cfg(feature = "cloud")]
    Seen,
}

/// The metadata documents of an array by name.
pub(super) type Documents = Vec<(&'static str, Vec<u8>)>;

impl Place {
    /// For a new array at `path`; and where its chunks are to be written.
    pub(super) fn of_new(call: Call, path: &Path, overwrite: bool) -> Result<(Self, Location)> {
        match Location::of(call, path)? {
            Location::Local(path) => {
                check_target(call, &path, overwrite)?;
                let directory = AtomicDir::create(call, &path)?;
                let location = Location::Local(directory.path().to_path_buf());
                Ok((Place::Beside(directory), location))
            }
            #[cfg(feature = "cloud")]
            Location::Object(base) => {
                let has_old = Mutex::new(check_objects(call, path, &base, overwrite)?);
                let unseen = Unseen { base: base.clone(), has_old, is_seen: false };
                Ok((Place::Unseen(unseen), Location::Object(base)))
            }
        }
    }

    /// For chunks of the array that is at `path`; and where they are to be written.
    pub(super) fn of_chunks(call: Call, path: &Path) -> Result<(Self, Location)> {
        match Location::of(call, path)? {
            Location::Local(path) => {
                // Beside the array itself, not beside a link to it: files move within one file system only.
                let path = fs::canonicalize(&path).map_err(Error::io(call, &path))?;
                let directory = AtomicDir::create(call, &path)?;
                let location = Location::Local(directory.path().to_path_buf());
                Ok((Place::Into(directory), location))
            }
            #[cfg(feature = "cloud")]
            location @ Location::Object(_) => Ok((Place::Seen, location)),
        }
    }

    /// Removes the array that is replaced in a store, where two can't have the same keys. Called before the first chunk is
    /// written: until then another write of the run may be refused.
    #[cfg(feature = "cloud")]
    pub(super) fn make_room(&self, call: Call, path: &Path) -> Result<()> {
        let Place::Unseen(unseen) = self else { return Ok(()) };
        unseen.make_room().map_err(Error::io(call, path))
    }

    /// Makes the chunks appear, and then what the metadata says of them.
    pub(super) fn finish(
        self,
        call: Call,
        path: &Path,
        documents: &Documents,
        overwrite: bool,
    ) -> Result<()> {
        #[cfg(feature = "cloud")]
        self.make_room(call, path)?;
        let write = |location: Location| {
            let store = KeyStore::new(location, u64::MAX);
            let mut written =
                documents.iter().map(|(name, document)| store.set_document(name, document));
            written.try_for_each(|written| written).map_err(Error::io(call, path))
        };
        match self {
            Place::Beside(directory) => {
                write(Location::Local(directory.path().to_path_buf()))?;
                // Once more: it may have come while the blocks were computed.
                check_target(call, directory.target(), overwrite)?;
                directory.finish(call, overwrite)
            }
            Place::Into(directory) => {
                let moved = move_into(directory.path(), directory.target());
                moved.map_err(Error::io(call, path))?;
                write(Location::Local(directory.target().to_path_buf()))
            }
            #[cfg(feature = "cloud")]
            Place::Unseen(mut unseen) => {
                if unseen.has_metadata().map_err(Error::io(call, path))? {
                    return Err(taken(call, path, "which another write has made meanwhile", FREE));
                }
                write(Location::Object(unseen.base.clone()))?;
                unseen.is_seen = true;
                Ok(())
            }
            #[cfg(feature = "cloud")]
            Place::Seen => write(Location::of(call, path)?),
        }
    }
}

/// Keys that are removed if they are not going to be seen.
#[cfg(feature = "cloud")]
#[derive(Debug)]
pub(super) struct Unseen {
    base: Object,
    /// Whether there still is an array that is going to be replaced.
    has_old: Mutex<bool>,
    is_seen: bool,
}

#[cfg(feature = "cloud")]
impl Unseen {
    fn make_room(&self) -> io::Result<()> {
        let mut has_old = self.has_old.lock().unwrap_or_else(PoisonError::into_inner);
        if *has_old {
            // The metadata first, so that nobody ever sees half of it.
            Object::delete(METADATA.map(|name| self.base.below(name)))?;
            remove_below(&self.base)?;
            *has_old = false;
        }
        Ok(())
    }

    fn has_metadata(&self) -> io::Result<bool> {
        for name in METADATA {
            if self.base.below(name).head()?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

#[cfg(feature = "cloud")]
impl Drop for Unseen {
    fn drop(&mut self) {
        // An array that is complete is the old one, or of another writer.
        if !self.is_seen && !self.has_metadata().unwrap_or(true) {
            // Nobody can be told: the drop is the answer to an error or a cancellation already.
            let _ = remove_below(&self.base);
        }
    }
}

#[cfg(feature = "cloud")]
fn remove_below(base: &Object) -> io::Result<()> {
    Object::delete(base.list()?.iter().filter_map(|found| found.object().cloned()))
}

/// Moves all files below a directory to the same places below another one.
fn move_into(from: &Path, to: &Path) -> io::Result<()> {
    let mut below = vec![PathBuf::new()];
    while let Some(dir) = below.pop() {
        for entry in fs::read_dir(from.join(&dir))? {
            let entry = entry?;
            let name = dir.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                fs::create_dir_all(to.join(&name))?;
                below.push(name);
            } else {
                fs::rename(entry.path(), to.join(&name))?;
            }
        }
    }
    Ok(())
}

#[cfg(feature = "cloud")]
const METADATA: [&str; 2] = ["zarr.json", ".zarray"];

fn taken(call: Call, path: &Path, got: &str, expected: &'static str) -> Error {
    let got = format!("{}, {got}", path.display());
    Error::InvalidArgument { call, argument: "path", got, expected }
}

const FREE: &str = "a path that is free, or the option to overwrite";
const ARRAY: &str = "a path that is free, or a Zarr array to overwrite";

/// Checks that `path` is free, or an array that may be replaced: never another directory, which
/// would be removed with all that is in it.
fn check_target(call: Call, path: &Path, overwrite: bool) -> Result<()> {
    let exists = path.try_exists().map_err(Error::io(call, path))?;
    if !exists {
        return Ok(());
    }
    if !overwrite {
        return Err(taken(call, path, "which exists", FREE));
    }
    let is_empty = || fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
    if is_array(&Location::Local(path.to_path_buf())).unwrap_or(false) || is_empty() {
        return Ok(());
    }
    Err(taken(call, path, "which is not a Zarr array", ARRAY))
}

/// The same for keys of a store, and whether there is an array.
#[cfg(feature = "cloud")]
fn check_objects(call: Call, path: &Path, base: &Object, overwrite: bool) -> Result<bool> {
    let io = |error| Error::io(call, path)(error);
    if !base.is_taken().map_err(io)? {
        return Ok(false);
    }
    if !overwrite {
        return Err(taken(call, path, "which exists", FREE));
    }
    if !is_array(&Location::Object(base.clone())).map_err(io)? {
        return Err(taken(call, path, "which is not a Zarr array", ARRAY));
    }
    Ok(true)
}

fn is_array(location: &Location) -> io::Result<bool> {
    let store = KeyStore::new(location.clone(), u64::MAX);
    if store.document(".zarray", u64::MAX)?.is_some() {
        return Ok(true);
    }
    let document = store.document("zarr.json", u64::MAX)?;
    Ok(document.is_some_and(|text| {
        let document: Option<serde_json::Value> = serde_json::from_slice(&text).ok();
        document.is_none_or(|document| document["node_type"] != "group")
    }))
}
