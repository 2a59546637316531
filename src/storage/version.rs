//! What changes when a file does.

use std::fmt::Write as _;
use std::fs::{self, Metadata};
use std::path::Path;

/// Looking at more files than this takes longer than a plan should.
const FILES_MAX: usize = 10_000;

/// A file as text that is another one after it was changed or replaced: which file it is, its length, and when it was
/// changed last. `None` if the system does not tell.
pub(crate) fn version_of(path: &Path, file: &Metadata) -> Option<String> {
    let changed = file.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    let mut text = format!("{} {} {}", path.display(), file.len(), changed.as_nanos());
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        // The second time can't be set back by whoever writes the file.
        let _ =
            write!(text, " {} {} {}.{}", file.dev(), file.ino(), file.ctime(), file.ctime_nsec());
    }
    Some(text)
}

/// The versions of some files together. `None` for too many, and if one is not there.
pub(crate) fn version_of_files<P: AsRef<Path>>(
    paths: impl ExactSizeIterator<Item = P>,
) -> Option<String> {
    if paths.len() > FILES_MAX {
        return None;
    }
    let mut all = String::new();
    for path in paths {
        let path = path.as_ref();
        all.push_str(&version_of(path, &fs::metadata(path).ok()?)?);
        all.push('\n');
    }
    Some(all)
}

/// The versions of files that were found, together. `None` for too many, and if one has changed since.
#[cfg(feature = "frame")]
pub(crate) fn version_of_found<'a>(
    files: impl ExactSizeIterator<Item = &'a super::FoundFile>,
) -> Option<String> {
    if files.len() > FILES_MAX {
        return None;
    }
    let mut all = String::new();
    for file in files {
        all.push_str(file.version()?);
        all.push('\n');
    }
    Some(all)
}

/// The versions of all files below a directory together, as of [`version_of_files`].
pub(crate) fn version_of_directory(path: &Path) -> Option<String> {
    let mut files = Vec::new();
    let mut directories = vec![path.to_path_buf()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).ok()? {
            let entry = entry.ok()?;
            let is_directory = entry.file_type().ok()?.is_dir();
            let list = if is_directory { &mut directories } else { &mut files };
            list.push(entry.path());
            if files.len() + directories.len() > FILES_MAX {
                return None;
            }
        }
    }
    files.sort_unstable();
    version_of_files(files.iter())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_replaced_added_or_longer_is_another_version() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("a"), dir.path().join("b"));
        let mut seen = Vec::new();
        let mut see = || {
            let version = version_of_directory(dir.path()).unwrap();
            assert_eq!(version_of_directory(dir.path()), Some(version.clone()));
            assert!(!seen.contains(&version), "{version}");
            seen.push(version);
        };
        fs::write(&path, [1, 2]).unwrap();
        see();
        fs::write(&path, [1, 2, 3]).unwrap();
        see();
        fs::write(&other, [1, 2, 3]).unwrap();
        see();
        fs::rename(&other, &path).unwrap();
        see();
        assert_eq!(version_of_files([other].iter()), None);
    }
}
