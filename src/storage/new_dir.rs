//! Files that are written one by one and appear together.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
#[cfg(feature = "cloud")]
use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use super::location::Location;
#[cfg(feature = "cloud")]
use super::{object::Object, upload::Upload};
use crate::atomic::{AtomicDir, AtomicFile};
use crate::error::{Call, Error, Result};

/// Bytes that an open file holds besides what it is given, if it goes to a store.
#[cfg(feature = "cloud")]
pub(crate) use super::upload::UPLOAD_BYTES;
/// Bytes that an open file holds besides what it is given, if it goes to a store.
#[cfg(not(feature = "cloud"))]
pub(crate) const UPLOAD_BYTES: u64 = 0;

/// New files below a path.
///
/// On this machine they lie in a hidden directory beside the target, which takes its place. In a store each is an upload that
/// is sent, and all are completed at the end: an error before that leaves nothing, one in between leaves some of them, each whole.
/// What they replace goes after that, so that a reader in between finds old rows beside new ones.
#[derive(Debug)]
pub(crate) struct NewDir {
    call: Call,
    target: PathBuf,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Local(AtomicDir),
    #[cfg(feature = "cloud")]
    Remote {
        below: Object,
        sent: Mutex<Vec<Upload>>,
    },
}

impl NewDir {
    /// Files that are going to be below `target`.
    pub(crate) fn create(call: Call, target: &Path) -> Result<Self> {
        let (target, place) = match Location::of(call, target)? {
            Location::Local(path) => {
                let dir = AtomicDir::create(call, &path)?;
                (path, Place::Local(dir))
            }
            #[cfg(feature = "cloud")]
            Location::Object(below) => {
                (target.to_path_buf(), Place::Remote { below, sent: Mutex::default() })
            }
        };
        Ok(NewDir { call, target, place })
    }

    /// Pieces of one file `target`, which are on this machine in any case.
    pub(crate) fn pieces_of(call: Call, target: &Path) -> Result<Self> {
        match Location::of(call, target)? {
            Location::Local(path) => NewDir::create(call, &path),
            #[cfg(feature = "cloud")]
            Location::Object(_) => {
                let beside = std::env::temp_dir().join("dask-rs-pieces");
                let place = Place::Local(AtomicDir::create(call, &beside)?);
                Ok(NewDir { call, target: target.to_path_buf(), place })
            }
        }
    }

    /// Whether there is something under this name already.
    pub(crate) fn is_taken(call: Call, target: &Path) -> Result<bool> {
        match Location::of(call, target)? {
            Location::Local(path) => Ok(fs::symlink_metadata(path).is_ok()),
            #[cfg(feature = "cloud")]
            Location::Object(object) => object.is_taken().map_err(Error::io(call, target)),
        }
    }

    /// What the files are going to be below; a URL if that is in a store.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Where the files lie until they appear, if that is on this machine.
    pub(crate) fn local(&self) -> Option<&Path> {
        match &self.place {
            Place::Local(dir) => Some(dir.path()),
            #[cfg(feature = "cloud")]
            Place::Remote { .. } => None,
        }
    }

    /// Writes one file.
    pub(crate) fn write(
        &self,
        below: &Path,
        encode: impl FnOnce(&mut NewFile) -> Result<()>,
    ) -> Result<()> {
        let io = |error| Error::io(self.call, &self.target)(error);
        match &self.place {
            Place::Local(dir) => {
                let path = dir.path().join(below);
                let create = || {
                    if let Some(parent) = path.parent() {
                        fs::create_dir_all(parent)?;
                    }
                    File::create_new(&path)
                };
                let mut file = NewFile::Local(BufWriter::new(create().map_err(io)?));
                encode(&mut file)?;
                file.sync().map_err(io)
            }
            #[cfg(feature = "cloud")]
            Place::Remote { below: prefix, sent } => {
                let parts = below.iter().map(|part| part.to_string_lossy());
                let name = parts.collect::<Vec<_>>().join("/");
                let mut file = NewFile::Remote(Upload::start(&prefix.below(&name)).map_err(io)?);
                encode(&mut file)?;
                file.sync().map_err(io)?;
                if let NewFile::Remote(upload) = file {
                    sent.lock().unwrap_or_else(PoisonError::into_inner).push(upload);
                }
                Ok(())
            }
        }
    }

    /// Makes the files appear; with `overwrite` in the place of what was there.
    ///
    /// # Errors
    /// [`Error::Io`]. Local files are then as they were before. In a store some of the new files may be there, and all of
    /// the old ones whose names they don't have.
    pub(crate) fn finish(self, overwrite: bool) -> Result<()> {
        match self.place {
            Place::Local(dir) => dir.finish(self.call, overwrite),
            #[cfg(feature = "cloud")]
            Place::Remote { below, sent } => {
                let sent = sent.into_inner().unwrap_or_else(PoisonError::into_inner);
                replace(&below, sent, overwrite).map_err(Error::io(self.call, &self.target))
            }
        }
    }
}

/// Completes uploads, then removes what was there under other names: an error on the way loses no rows.
#[cfg(feature = "cloud")]
fn replace(below: &Object, sent: Vec<Upload>, overwrite: bool) -> io::Result<()> {
    let mut old = Vec::new();
    if overwrite {
        // A single object of this name would hide what is below it.
        old.extend(below.head()?);
        old.extend(below.list()?);
    }
    let new: HashSet<_> = sent.iter().map(|upload| upload.object().key.clone()).collect();
    sent.into_iter().try_for_each(Upload::complete)?;
    let old = old.iter().filter_map(|file| file.object().cloned());
    Object::delete(old.filter(|object| !new.contains(&object.key)))
}

/// A file that is being written.
#[derive(Debug)]
pub(crate) enum NewFile {
    Local(BufWriter<File>),
    #[cfg(feature = "cloud")]
    Remote(Upload),
}

impl NewFile {
    /// Writes one file that takes the place of `target` when it is complete.
    pub(crate) fn alone(
        call: Call,
        target: &Path,
        write: impl FnOnce(&mut NewFile) -> io::Result<()>,
    ) -> Result<()> {
        let io = |error| Error::io(call, target)(error);
        match Location::of(call, target)? {
            Location::Local(path) => {
                let (name, file) = AtomicFile::create(call, &path)?;
                let written = file.try_clone().map_err(io)?;
                let mut file = NewFile::Local(BufWriter::new(file));
                write(&mut file).and_then(|()| file.flush()).map_err(io)?;
                name.finish(call, &written)
            }
            #[cfg(feature = "cloud")]
            Location::Object(object) => {
                let mut upload = NewFile::Remote(Upload::start(&object).map_err(io)?);
                write(&mut upload).and_then(|()| upload.sync()).map_err(io)?;
                match upload {
                    NewFile::Remote(upload) => upload.complete().map_err(io),
                    NewFile::Local(_) => Ok(()),
                }
            }
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        match self {
            NewFile::Local(file) => file.flush().and_then(|()| file.get_ref().sync_all()),
            #[cfg(feature = "cloud")]
            NewFile::Remote(upload) => upload.send(),
        }
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            NewFile::Local(file) => file.write(bytes),
            #[cfg(feature = "cloud")]
            NewFile::Remote(upload) => upload.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            NewFile::Local(file) => file.flush(),
            #[cfg(feature = "cloud")]
            NewFile::Remote(upload) => upload.flush(),
        }
    }
}
