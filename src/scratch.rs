//! Directories for temporary files, which go with their owner, and at the next start if that crashed.
//!
//! A directory belongs to whoever holds the lock of the file in it. The operating system lets go of the
//! lock when a process ends, in whichever way, so a directory whose lock is free is nobody's.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// How the names of all directories begin.
const PREFIX: &str = "dask-rs-spill-";
/// The file in a directory that its owner has locked.
const LOCK: &str = "lock";

/// A directory of its own, which is removed with all that is in it when this is dropped.
#[derive(Debug)]
pub(crate) struct ScratchDir {
    path: PathBuf,
    _lock: File,
}

impl ScratchDir {
    /// A new directory inside of `parent`, out of which abandoned ones are removed first.
    pub(crate) fn create(parent: &Path) -> io::Result<Self> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        remove_abandoned(parent);
        loop {
            let number = COUNTER.fetch_add(1, Ordering::Relaxed);
            let path = parent.join(format!("{PREFIX}{}-{number}", std::process::id()));
            match create_private(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                result => result?,
            }
            // Until it is locked, others take it for abandoned: then another one is made.
            if let Some(lock) = own(&path)? {
                return Ok(ScratchDir { path, _lock: lock });
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for ScratchDir {
    fn drop(&mut self) {
        // Nobody can be told. What is left is removed at the next start.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Makes a directory whose files only this user can read.
fn create_private(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// The lock of a directory that was just made; `None` if somebody has removed it.
fn own(path: &Path) -> io::Result<Option<File>> {
    let lock = path.join(LOCK);
    let file = match OpenOptions::new().create_new(true).write(true).open(&lock) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        result => result?,
    };
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Ok(None),
        // Where files can't be locked, nobody else gets the lock either.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(lock.exists().then_some(file)),
    }
}

/// Removes directories whose owners have crashed, as far as that can be done.
fn remove_abandoned(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        if !is_ours || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let path = entry.path();
        match OpenOptions::new().write(true).open(path.join(LOCK)) {
            Ok(lock) if lock.try_lock().is_ok() => drop(fs::remove_dir_all(&path)),
            Ok(_) => {}
            // Without a lock it is either new or empty for good.
            Err(_) => drop(fs::remove_dir(&path)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_directory_goes_with_its_owner_and_no_other_one() {
        let parent = tempfile::tempdir().unwrap();
        let one = ScratchDir::create(parent.path()).unwrap();
        fs::write(one.path().join("block"), "bytes").unwrap();
        let other = ScratchDir::create(parent.path()).unwrap();
        assert_ne!(one.path(), other.path());
        assert_eq!(names(one.path()), ["block", "lock"], "what is in use is left alone");
        drop(one);
        assert_eq!(names(parent.path()).len(), 1);
        drop(other);
        assert!(names(parent.path()).is_empty());
    }

    #[test]
    fn what_a_crash_left_behind_is_removed_and_nothing_else() {
        let parent = tempfile::tempdir().unwrap();
        let abandoned = parent.path().join(format!("{PREFIX}1-0"));
        fs::create_dir(&abandoned).unwrap();
        fs::write(abandoned.join(LOCK), "").unwrap();
        fs::write(abandoned.join("block"), "bytes").unwrap();
        fs::create_dir(parent.path().join(format!("{PREFIX}1-1"))).unwrap();
        // Nobody's: without a lock, and not empty; a file; another name.
        for name in [format!("{PREFIX}2-0"), "mine".to_owned()] {
            fs::create_dir(parent.path().join(&name)).unwrap();
            fs::write(parent.path().join(name).join("file"), "").unwrap();
        }
        fs::write(parent.path().join(format!("{PREFIX}3-0")), "").unwrap();
        drop(ScratchDir::create(parent.path()).unwrap());
        assert_eq!(
            names(parent.path()),
            [format!("{PREFIX}2-0"), format!("{PREFIX}3-0"), "mine".to_owned()]
        );
    }

    #[test]
    fn a_parent_that_is_not_there_is_an_error() {
        let parent = tempfile::tempdir().unwrap();
        assert!(ScratchDir::create(&parent.path().join("no")).is_err());
    }
}
