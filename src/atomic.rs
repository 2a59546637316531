//! Files and directories that appear whole or not at all.
//!
//! Both are written under a temporary name beside the final one and renamed when they are
//! finished. Dropping one unfinished removes it and leaves what was there before. Whoever writes
//! holds a lock, so the next one who writes there knows what a crash has left, and removes it.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
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
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        let created = TempPath::create(target, |path| options.open(path));
        let (temp, file) = created.map_err(Error::io(call, target))?;
        Ok((AtomicFile { temp, target: target.to_path_buf() }, file))
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
        let create = |path: &Path| {
            fs::create_dir(path)?;
            // Some systems don't open directories, and then nobody takes it for abandoned.
            Ok(File::open(path).ok())
        };
        let created = TempPath::create(target, create);
        let (temp, _) = created.map_err(Error::io(call, target))?;
        Ok(AtomicDir { temp, target: target.to_path_buf() })
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
    /// the old data under the hidden name `.<name>.<number>.old`, whole, and who writes there next
    /// puts it back first.
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
        let _in_use = File::open(&self.target).map(|old| old.try_lock().map(|()| old));
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
    /// What is there, locked.
    _lock: Option<File>,
}

impl TempPath {
    /// What `create` makes beside `target`, from where that which a crash has left is removed first.
    fn create<F: Lockable>(
        target: &Path,
        create: impl Fn(&Path) -> io::Result<F>,
    ) -> io::Result<(Self, F)> {
        clear_abandoned(target);
        loop {
            let path = hidden_sibling(target)?;
            let made = create(&path)?;
            let lock = made.handle()?;
            // Until it is locked, others take it for abandoned: then another one is made.
            let is_taken = match &lock {
                Some(file) => {
                    matches!(file.try_lock(), Err(TryLockError::WouldBlock)) || !path.exists()
                }
                None => false,
            };
            if !is_taken {
                return Ok((TempPath { path, _lock: lock }, made));
            }
        }
    }
}

/// What can have a lock, through a handle of its own.
trait Lockable {
    fn handle(&self) -> io::Result<Option<File>>;
}

impl Lockable for File {
    fn handle(&self) -> io::Result<Option<File>> {
        self.try_clone().map(Some)
    }
}

#[cfg(any(feature = "array", feature = "frame"))]
impl Lockable for Option<File> {
    fn handle(&self) -> io::Result<Option<File>> {
        self.as_ref().map(File::try_clone).transpose()
    }
}

/// Removes what was to become `target` when a process has crashed, and puts back what was `target` then, as far as that can be done.
fn clear_abandoned(target: &Path) {
    let Some(name) = target.file_name().and_then(|name| name.to_str()) else { return };
    let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty());
    let Ok(entries) = fs::read_dir(parent.unwrap_or(Path::new("."))) else { return };
    for entry in entries.flatten() {
        let hidden = entry.file_name();
        let Some(kind) = hidden.to_str().and_then(|hidden| kind_of_hidden(hidden, name)) else {
            continue;
        };
        let path = entry.path();
        let Some(_lock) = File::open(&path).ok().filter(|file| file.try_lock().is_ok()) else {
            continue;
        };
        // Nobody can be told: whoever comes next tries again.
        let _ = match kind {
            "old" if fs::symlink_metadata(target).is_err() => fs::rename(&path, target),
            _ => remove(&path),
        };
    }
}

/// `tmp` or `old`, if that is how a [`hidden_sibling`] of `name` ends.
fn kind_of_hidden<'a>(hidden: &'a str, name: &str) -> Option<&'a str> {
    let rest = hidden.strip_prefix('.')?.strip_prefix(name)?.strip_prefix('.')?;
    let (number, kind) = rest.split_once('.')?;
    let (process, counter) = number.split_once('-')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_ours = is_number(process) && is_number(counter) && ["tmp", "old"].contains(&kind);
    is_ours.then_some(kind)
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
///
/// What a crash has left is written over by the next one who writes there: a file has one temporary name, and only those who
/// write it at the same time take another one. To look for what is abandoned would take longer than to write.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (temp, mut file) = match claim(path)? {
        Some(claimed) => claimed,
        None => {
            let temp = hidden_sibling(path)?;
            let file = File::create_new(&temp)?;
            (temp, file)
        }
    };
    let written = file.write_all(bytes).and_then(|()| fs::rename(&temp, path));
    if written.is_err() {
        // The error says more than one of these would.
        let _ = fs::remove_file(&temp);
    }
    written
}

/// An empty file under the one temporary name of `path`, locked, unless somebody else has it.
#[cfg(unix)]
fn claim(path: &Path) -> io::Result<Option<(PathBuf, File)>> {
    use std::os::unix::fs::MetadataExt;
    let temp = path.with_file_name(hidden_name(path, "tmp")?);
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(&temp)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(_)) => {
            // Where files have no locks nobody uses this name.
            let _ = fs::remove_file(&temp);
            return Ok(None);
        }
    }
    // Who had the lock before may have renamed the file by now.
    let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    let named = fs::symlink_metadata(&temp).map(identity).ok();
    if named != Some(identity(file.metadata()?)) {
        return Ok(None);
    }
    file.set_len(0)?;
    Ok(Some((temp, file)))
}

/// Nothing, where it can't be told whether a file still has its name.
#[cfg(not(unix))]
fn claim(_path: &Path) -> io::Result<Option<(PathBuf, File)>> {
    Ok(None)
}

/// `.<name>.<process>-<counter>.tmp` in the same directory, so that the rename stays in one
/// file system.
fn hidden_sibling(target: &Path) -> io::Result<PathBuf> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let unique = COUNTER.fetch_add(1, Ordering::Relaxed);
    let end = format!("{}-{unique}.tmp", std::process::id());
    Ok(target.with_file_name(hidden_name(target, &end)?))
}

fn hidden_name(target: &Path, end: &str) -> io::Result<OsString> {
    let Some(name) = target.file_name() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path has no file name"));
    };
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{end}"));
    Ok(hidden)
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

    #[cfg(unix)]
    #[test]
    fn what_a_crash_has_left_of_a_small_file_goes_with_the_next_one() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("x");
        let left = dir.path().join(".x.tmp");
        fs::write(&left, "half of a long text").unwrap();
        write_file(&target, b"new").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"new");
        assert_eq!(names(dir.path()), ["x"]);
        // Of somebody who is alive nothing is taken.
        let alive = File::create_new(&left).unwrap();
        alive.lock().unwrap();
        write_file(&target, b"other").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"other");
        assert_eq!(names(dir.path()), [".x.tmp", "x"]);
    }

    #[test]
    fn those_who_write_a_small_file_at_the_same_time_write_all_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("x");
        let text = |i: usize| vec![i as u8; 1 + 997 * i];
        write_file(&target, &text(0)).unwrap();
        std::thread::scope(|scope| {
            for i in 0..4 {
                let target = &target;
                scope.spawn(move || {
                    for _ in 0..50 {
                        write_file(target, &text(i)).unwrap();
                        let got = fs::read(target).unwrap();
                        assert_eq!(got, text(usize::from(got[0])));
                    }
                });
            }
        });
        assert_eq!(names(dir.path()), ["x"]);
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

    #[cfg(unix)]
    #[test]
    fn what_a_crash_has_left_goes_when_somebody_writes_there_again() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("d");
        let left = |name: &str| {
            fs::create_dir(dir.path().join(name)).unwrap();
            fs::write(dir.path().join(name).join("part"), name).unwrap();
        };
        // Of a crash in the middle of a write, and of one between the two renames at its end.
        left(".d.1-0.tmp");
        left(".d.1-0.old");
        // Somebody else's.
        let others = [".d.1-x.tmp", ".d.tmp", ".other.1-0.tmp"];
        others.into_iter().for_each(left);
        let alive = AtomicDir::create(call(), &target).unwrap();
        assert_eq!(fs::read_to_string(target.join("part")).unwrap(), ".d.1-0.old");
        let name = |dir: &AtomicDir| dir.path().file_name().unwrap().to_str().unwrap().to_owned();
        let mut expected = vec!["d".to_owned(), name(&alive)];
        expected.extend(others.map(str::to_owned));
        expected.sort();
        assert_eq!(names(dir.path()), expected);

        left(".d.2-7.old");
        let (other, _file) = AtomicFile::create(call(), &target).unwrap();
        assert!(alive.path().exists(), "it is still being written");
        alive.finish(call(), true).unwrap();
        drop(other);
        expected.retain(|name| !name.ends_with("tmp") || others.contains(&name.as_str()));
        assert_eq!(names(dir.path()), expected, "what is old twice is gone");
    }

    #[test]
    fn a_missing_parent_names_the_target() {
        let error = AtomicFile::create(call(), Path::new("/no/such/dir/x.npy")).unwrap_err();
        assert!(error.to_string().contains("/no/such/dir/x.npy"), "{error}");
    }
}
