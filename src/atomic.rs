//! Files and directories that appear whole or not at all.
//!
//! Both are written under a temporary name beside the final one and renamed when they are
//! finished. Dropping one unfinished removes it and leaves what was there before.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Call, Error, Result};

/// The names of a file that is being written.
#[derive(Debug)]
pub(crate) struct AtomicFile {
    temp: TempPath,
    target: PathBuf,
}

impl AtomicFile {
    /// A new empty file beside `target`, and its names.
    pub(crate) fn create(call: Call, target: &Path) -> Result<(Self, File)> {
        let path = temp_path(call, target)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(Error::io(call, target))?;
        Ok((AtomicFile { temp: TempPath { path }, target: target.to_path_buf() }, file))
    }

    /// Writes all of `file`, which was created with this, to disk and moves it to its final name,
    /// replacing what is there.
    pub(crate) fn finish(self, call: Call, file: &File) -> Result<()> {
        let finish = || {
            file.sync_all()?;
            fs::rename(&self.temp.path, &self.target)?;
            sync_parent(&self.target);
            Ok(())
        };
        finish().map_err(Error::io(call, &self.target))
    }
}

/// A directory under a temporary name.
#[cfg(any(feature = "array", feature = "frame"))]
#[derive(Debug)]
pub(crate) struct AtomicDir {
    temp: TempPath,
    target: PathBuf,
}

#[cfg(any(feature = "array", feature = "frame"))]
impl AtomicDir {
    /// A new empty directory beside `target`.
    pub(crate) fn create(call: Call, target: &Path) -> Result<Self> {
        let path = temp_path(call, target)?;
        fs::create_dir(&path).map_err(Error::io(call, target))?;
        Ok(AtomicDir { temp: TempPath { path }, target: target.to_path_buf() })
    }

    /// Where to put the content.
    pub(crate) fn path(&self) -> &Path {
        &self.temp.path
    }

    #[cfg(feature = "zarr")]
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Moves the directory to its final name. What is there is replaced if `overwrite`, and
    /// otherwise an error.
    ///
    /// There is no portable exchange of two directories: a crash between the two renames leaves
    /// the old data under the hidden name `.<name>.<number>.old`, whole.
    pub(crate) fn finish(self, call: Call, overwrite: bool) -> Result<()> {
        self.replace(overwrite).map_err(Error::io(call, &self.target))
    }

    fn replace(&self, overwrite: bool) -> io::Result<()> {
        if !is_taken(&self.target)? {
            fs::rename(&self.temp.path, &self.target)?;
            sync_parent(&self.target);
            return Ok(());
        }
        if !overwrite {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let old = self.temp.path.with_extension("old");
        fs::rename(&self.target, &old)?;
        if let Err(error) = fs::rename(&self.temp.path, &self.target) {
            fs::rename(&old, &self.target)?;
            return Err(error);
        }
        sync_parent(&self.target);
        remove(&old)
    }
}

/// Removes what is at a path when dropped; nothing is there any more after a rename.
#[derive(Debug)]
struct TempPath {
    path: PathBuf,
}

impl Drop for TempPath {
    fn drop(&mut self) {
        // Nobody can be told: the drop is the answer to an error or a cancellation already.
        let _ = remove(&self.path);
    }
}

/// Whether something has this name, be it a link that leads nowhere.
#[cfg(any(feature = "array", feature = "frame"))]
fn is_taken(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes a file, a link, or a directory with all that is in it.
fn remove(path: &Path) -> io::Result<()> {
    fs::remove_file(path).or_else(|_| fs::remove_dir_all(path))
}

/// Writes a small file at `path`, so that readers see all of it or nothing.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temp = TempPath { path: hidden_sibling(path)? };
    fs::write(&temp.path, bytes)?;
    fs::rename(&temp.path, path)
}

fn temp_path(call: Call, target: &Path) -> Result<PathBuf> {
    hidden_sibling(target).map_err(Error::io(call, target))
}

/// `.<name>.<process>-<counter>.tmp` in the same directory, so that the rename stays in one
/// file system.
fn hidden_sibling(target: &Path) -> io::Result<PathBuf> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let Some(name) = target.file_name() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path has no file name"));
    };
    let mut hidden = OsString::from(".");
    hidden.push(name);
    let unique = COUNTER.fetch_add(1, Ordering::Relaxed);
    hidden.push(format!(".{}-{unique}.tmp", std::process::id()));
    Ok(target.with_file_name(hidden))
}

/// Makes a rename in the directory of `path` survive a crash, where directories can be synced:
/// not every file system can, and the data is in place either way.
fn sync_parent(path: &Path) {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    sync_dir(parent.unwrap_or(Path::new(".")));
}

/// Makes renames in a directory survive a crash, as far as [`sync_parent`] can.
pub(crate) fn sync_dir(dir: &Path) {
    if let Ok(dir) = File::open(dir) {
        let _ = dir.sync_all();
    }
}

#[cfg(all(test, any(feature = "array", feature = "frame")))]
mod tests {
    use std::io::Write;

    use super::*;

    fn call() -> Call {
        Call::new("test")
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn files_appear_at_finish_only() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("x");
        fs::write(&target, "old").unwrap();
        let (name, mut file) = AtomicFile::create(call(), &target).unwrap();
        file.write_all(b"new").unwrap();
        drop(name);
        assert_eq!(fs::read(&target).unwrap(), b"old");
        assert_eq!(names(dir.path()), ["x"]);

        let (name, mut file) = AtomicFile::create(call(), &target).unwrap();
        file.write_all(b"new").unwrap();
        name.finish(call(), &file).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"new");
        assert_eq!(names(dir.path()), ["x"]);
    }

    #[test]
    fn a_small_file_replaces_what_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("x");
        for text in ["old", "new"] {
            write_file(&target, text.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&target).unwrap(), text);
        }
        fs::create_dir(dir.path().join("d")).unwrap();
        write_file(&dir.path().join("d"), b"").unwrap_err();
        assert_eq!(names(dir.path()), ["d", "x"]);
    }

    #[test]
    fn directories_are_replaced_only_when_asked() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("d");
        let with = |name: &str| {
            let new = AtomicDir::create(call(), &target).unwrap();
            fs::write(new.path().join(name), "").unwrap();
            new
        };
        drop(with("a"));
        assert!(names(dir.path()).is_empty());
        with("b").finish(call(), false).unwrap();
        assert_eq!(names(&target), ["b"]);
        with("c").finish(call(), false).unwrap_err();
        assert_eq!(names(&target), ["b"]);
        with("d").finish(call(), true).unwrap();
        assert_eq!(names(&target), ["d"]);
        assert_eq!(names(dir.path()), ["d"]);
    }

    #[test]
    fn a_directory_takes_the_place_of_a_file_and_of_a_link_to_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("d");
        fs::write(&target, "old").unwrap();
        AtomicDir::create(call(), &target).unwrap().finish(call(), true).unwrap();
        assert!(target.is_dir());
        assert_eq!(names(dir.path()), ["d"]);
        #[cfg(unix)]
        {
            let link = dir.path().join("link");
            std::os::unix::fs::symlink("nowhere", &link).unwrap();
            AtomicDir::create(call(), &link).unwrap().finish(call(), false).unwrap_err();
            AtomicDir::create(call(), &link).unwrap().finish(call(), true).unwrap();
            assert!(link.is_dir());
            assert_eq!(names(dir.path()), ["d", "link"]);
        }
    }

    #[test]
    fn a_missing_parent_names_the_target() {
        let error = AtomicFile::create(call(), Path::new("/no/such/dir/x.npy")).unwrap_err();
        assert!(error.to_string().contains("/no/such/dir/x.npy"), "{error}");
    }
}
