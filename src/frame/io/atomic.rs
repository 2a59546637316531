//! Files and directories that appear whole or not at all.
//!
//! Both are written under a hidden temporary name beside the final one and renamed when they are
//! finished. Dropping one unfinished removes it and leaves what was there before.

use std::fs::{self, File, Permissions};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile, TempDir};

/// A file under a temporary name.
#[derive(Debug)]
pub(crate) struct AtomicFile {
    file: NamedTempFile,
    target: PathBuf,
}

impl AtomicFile {
    /// A new empty file beside `target`.
    pub(crate) fn create(target: &Path) -> io::Result<Self> {
        let prefix = hidden_prefix(target)?;
        // Not `tempfile_in`: that makes files that nobody else can read.
        let file =
            Builder::new().prefix(&prefix).suffix(".tmp").make_in(parent_of(target), |path| {
                File::options().write(true).create_new(true).open(path)
            })?;
        Ok(AtomicFile { file, target: target.to_path_buf() })
    }

    pub(crate) fn file(&self) -> &File {
        self.file.as_file()
    }

    /// Writes everything to disk and moves the file to its final name, replacing what is there.
    pub(crate) fn finish(self) -> io::Result<()> {
        self.file.as_file().sync_all()?;
        self.file.persist(&self.target).map_err(|error| error.error)?;
        sync_dir(parent_of(&self.target));
        Ok(())
    }
}

/// A directory under a temporary name.
#[derive(Debug)]
pub(crate) struct AtomicDir {
    dir: TempDir,
    target: PathBuf,
}

impl AtomicDir {
    /// A new empty directory beside `target`.
    pub(crate) fn create(target: &Path) -> io::Result<Self> {
        let prefix = hidden_prefix(target)?;
        let mut builder = Builder::new();
        builder.prefix(&prefix).suffix(".tmp");
        if let Some(permissions) = usual_permissions() {
            builder.permissions(permissions);
        }
        let dir = builder.tempdir_in(parent_of(target))?;
        Ok(AtomicDir { dir, target: target.to_path_buf() })
    }

    /// Where to put the content.
    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Moves the directory to its final name. What is there is replaced if `overwrite`, and
    /// otherwise an error.
    ///
    /// There is no portable exchange of two directories: a crash between the two renames leaves
    /// the old data under a hidden name that ends in `.old`, whole.
    pub(crate) fn finish(self, overwrite: bool) -> io::Result<()> {
        let new = self.dir.path().to_path_buf();
        if fs::symlink_metadata(&self.target).is_err() {
            fs::rename(&new, &self.target)?;
        } else if !overwrite {
            return Err(io::ErrorKind::AlreadyExists.into());
        } else {
            let old = new.with_extension("old");
            fs::rename(&self.target, &old)?;
            if let Err(error) = fs::rename(&new, &self.target) {
                fs::rename(&old, &self.target)?;
                return Err(error);
            }
            remove(&old)?;
        }
        // It has its final name now: there is nothing left to remove.
        let _ = self.dir.keep();
        sync_dir(parent_of(&self.target));
        Ok(())
    }
}

fn remove(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    }
}

/// `.<name>.`, so that no reader takes what is unfinished for data.
fn hidden_prefix(target: &Path) -> io::Result<std::ffi::OsString> {
    let name = target
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path has no file name"))?;
    let mut prefix = std::ffi::OsString::from(".");
    prefix.push(name);
    prefix.push(".");
    Ok(prefix)
}

fn parent_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// What `mkdir` would give, rather than a directory that is private.
fn usual_permissions() -> Option<Permissions> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        Some(Permissions::from_mode(0o777))
    }
    #[cfg(not(unix))]
    None
}

/// Makes a rename in a directory survive a crash, where directories can be synced: not every file
/// system can, and the data is in place either way.
pub(crate) fn sync_dir(dir: &Path) {
    if let Ok(dir) = File::open(dir) {
        let _ = dir.sync_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn files_appear_at_finish_only() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("x");
        fs::write(&target, "old").unwrap();
        drop(AtomicFile::create(&target).unwrap());
        assert_eq!(fs::read(&target).unwrap(), b"old");
        assert_eq!(names(dir.path()), ["x"]);

        let file = AtomicFile::create(&target).unwrap();
        file.file().write_all(b"new").unwrap();
        file.finish().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"new");
        assert_eq!(names(dir.path()), ["x"]);
    }

    #[test]
    fn directories_are_replaced_only_when_asked() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("d");
        let with = |name: &str| {
            let new = AtomicDir::create(&target).unwrap();
            fs::write(new.path().join(name), "").unwrap();
            new
        };
        drop(with("a"));
        assert!(names(dir.path()).is_empty());
        with("b").finish(false).unwrap();
        assert_eq!(names(&target), ["b"]);
        with("c").finish(false).unwrap_err();
        assert_eq!(names(&target), ["b"]);
        with("d").finish(true).unwrap();
        assert_eq!(names(&target), ["d"]);
        assert_eq!(names(dir.path()), ["d"]);
    }
}
