//! From what a user writes as a path to the files that are meant.
//!
//! A path is a file, a directory, or a pattern with `*`, `?` and `[…]`, `**` for any number of directories. In
//! directories every file counts whose name and whose directories begin neither with `_` nor with `.`.

use std::cmp::Ordering;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::hive::{Hive, Keys};
use crate::error::{Call, Error, Result};

/// Files in the order in which their rows come.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    pub(crate) files: Vec<FoundFile>,
    /// What the names of directories say about the rows of each file.
    pub(crate) hive: Hive,
}

/// One file and how long it was when it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FoundFile {
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
}

/// What a source of these paths is called: the format, and the first path.
pub(crate) fn source_name(format: &str, paths: &[impl AsRef<Path>]) -> String {
    let first = paths.first().map(|path| path.as_ref().display().to_string());
    let more = match paths.len() {
        0 | 1 => String::new(),
        n => format!(" and {} more", n - 1),
    };
    format!("{} {}{more}", format.to_lowercase(), first.unwrap_or_default())
}

/// The files that these paths mean: paths in the order given, files of each in natural order (`2` before
/// `10`).
///
/// With `hive`, directories named `key=value` below a directory, or from the first wildcard of a
/// pattern on, become columns.
///
/// # Errors
/// [`Error::Io`] if a path does not exist, a pattern fits nothing, or a directory has no files;
/// [`Error::CorruptFile`] if the partition keys of files differ.
pub(crate) fn find_files(call: Call, paths: &[impl AsRef<Path>], hive: bool) -> Result<Files> {
    let mut files = Vec::new();
    let mut keys: Vec<Keys> = Vec::new();
    for path in paths {
        let path = path.as_ref();
        let (root, found) = expand(call, path)?;
        if found.is_empty() {
            return Err(not_found(call, path, "no file fits it"));
        }
        for file in &found {
            let below = file.path.strip_prefix(&root).unwrap_or(Path::new(""));
            keys.push(if hive { Keys::of(below) } else { Keys::default() });
        }
        files.extend(found);
    }
    if files.is_empty() {
        return Err(not_found(call, Path::new(""), "no path was given"));
    }
    let hive = Hive::new(&keys).map_err(|(file, problem)| Error::CorruptFile {
        call,
        path: files[file].path.clone(),
        format: "hive-partitioned",
        problem,
    })?;
    Ok(Files { files, hive })
}

/// The files of one path, and the directory below which names of directories are keys.
fn expand(call: Call, path: &Path) -> Result<(PathBuf, Vec<FoundFile>)> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            let mut found = Vec::new();
            list(call, path, &mut found)?;
            sort(&mut found);
            Ok((path.to_path_buf(), found))
        }
        Ok(metadata) => {
            let file = FoundFile { path: path.to_path_buf(), bytes: metadata.len() };
            Ok((path.parent().unwrap_or(path).to_path_buf(), vec![file]))
        }
        // A file may be called `a[1].parquet`; only what does not exist is taken for a pattern.
        Err(error) if error.kind() == io::ErrorKind::NotFound && is_pattern(path) => {
            let found = match_pattern(call, path)?;
            Ok((before_wildcard(path), found))
        }
        Err(error) => Err(io_error(call, path, error)),
    }
}

fn match_pattern(call: Call, path: &Path) -> Result<Vec<FoundFile>> {
    let invalid = |expected| {
        let got = path.display().to_string();
        Error::InvalidArgument { call, argument: "path", got, expected }
    };
    let pattern = path.to_str().ok_or_else(|| invalid("a pattern of valid Unicode"))?;
    let matches = glob::glob(pattern).map_err(|_| invalid("a pattern of *, **, ? and [...]"))?;
    let mut found = Vec::new();
    for entry in matches {
        let path = entry.map_err(|error| {
            let (path, kind) = (error.path().to_path_buf(), error.error().kind());
            io_error(call, &path, kind.into())
        })?;
        let metadata = fs::metadata(&path).map_err(|error| io_error(call, &path, error))?;
        if metadata.is_dir() {
            // `data/year=*` means what is in these directories.
            list(call, &path, &mut found)?;
        } else {
            found.push(FoundFile { path, bytes: metadata.len() });
        }
    }
    sort(&mut found);
    // `**` finds a directory and then again what is in it.
    found.dedup();
    Ok(found)
}

/// All files below a directory.
fn list(call: Call, dir: &Path, found: &mut Vec<FoundFile>) -> Result<()> {
    let mut dirs = vec![dir.to_path_buf()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).map_err(|error| io_error(call, &dir, error))? {
            let entry = entry.map_err(|error| io_error(call, &dir, error))?;
            if matches!(entry.file_name().as_encoded_bytes().first(), Some(b'_' | b'.')) {
                continue;
            }
            let path = entry.path();
            let metadata = fs::metadata(&path).map_err(|error| io_error(call, &path, error))?;
            if metadata.is_dir() {
                dirs.push(path);
            } else {
                found.push(FoundFile { path, bytes: metadata.len() });
            }
        }
    }
    Ok(())
}

fn is_pattern(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().iter().any(|byte| b"*?[".contains(byte))
}

/// The part of a pattern that names one directory.
fn before_wildcard(pattern: &Path) -> PathBuf {
    pattern.components().take_while(|part| !is_pattern(Path::new(part))).collect()
}

fn sort(files: &mut [FoundFile]) {
    // Component by component, so that the files of a directory stay together.
    files.sort_by(|a, b| {
        let text = |part: Component<'_>| part.as_os_str().to_string_lossy().into_owned();
        let (mut a, mut b) = (a.path.components().map(text), b.path.components().map(text));
        loop {
            match (a.next(), b.next()) {
                (Some(a), Some(b)) => match natural_order(&a, &b) {
                    Ordering::Equal => {}
                    order => return order,
                },
                (a, b) => return a.is_some().cmp(&b.is_some()),
            }
        }
    });
}

/// Compares runs of digits as numbers and everything else as bytes.
fn natural_order(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a.as_bytes(), b.as_bytes());
    while let (Some(&x), Some(&y)) = (left.first(), right.first()) {
        if x.is_ascii_digit() && y.is_ascii_digit() {
            let (number, rest) = split_number(left);
            let (other, other_rest) = split_number(right);
            // Without leading zeros, more digits is more.
            let order = number.len().cmp(&other.len()).then_with(|| number.cmp(other));
            if order.is_ne() {
                return order;
            }
            (left, right) = (rest, other_rest);
        } else if x != y {
            return x.cmp(&y);
        } else {
            (left, right) = (&left[1..], &right[1..]);
        }
    }
    // `01` and `1` are the same number, but not the same name.
    left.len().cmp(&right.len()).then_with(|| a.cmp(b))
}

/// The digits at the start without leading zeros, and what follows.
fn split_number(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let zeros = text[..end].iter().take_while(|&&byte| byte == b'0').count();
    (&text[zeros..end], &text[end..])
}

fn io_error(call: Call, path: &Path, source: io::Error) -> Error {
    Error::Io { call, path: path.to_path_buf(), source: Arc::new(source) }
}

fn not_found(call: Call, path: &Path, problem: &'static str) -> Error {
    io_error(call, path, io::Error::new(io::ErrorKind::NotFound, problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call() -> Call {
        Call::new("test")
    }

    /// Makes these files and says which of them, by their names below the directory, are found.
    fn find(made: &[&str], paths: &[&str]) -> Result<Vec<String>> {
        let dir = tempfile::tempdir().unwrap();
        for name in made {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        let paths: Vec<_> = paths.iter().map(|path| dir.path().join(path)).collect();
        let found = find_files(call(), &paths, false)?;
        let name = |file: &FoundFile| {
            file.path.strip_prefix(dir.path()).unwrap().to_str().unwrap().to_string()
        };
        Ok(found.files.iter().map(name).collect())
    }

    #[test]
    fn directories_are_walked_in_natural_order() {
        let made = [
            "d/10.p",
            "d/9.p",
            "d/sub2/a",
            "d/sub10/a",
            "d/_meta",
            "d/.hid/x",
            "d/_tmp/y",
            "d/01.p",
        ];
        let expected = ["d/01.p", "d/9.p", "d/10.p", "d/sub2/a", "d/sub10/a"];
        assert_eq!(find(&made, &["d"]).unwrap(), expected);
    }

    #[test]
    fn patterns_files_and_lists() {
        let made = ["a/1.p", "a/2.q", "b/1.p", "c[1].p"];
        assert_eq!(find(&made, &["*/1.p"]).unwrap(), ["a/1.p", "b/1.p"]);
        assert_eq!(find(&made, &["**/*.p"]).unwrap(), ["a/1.p", "b/1.p", "c[1].p"]);
        assert_eq!(find(&made, &["b/1.p", "a/1.p"]).unwrap(), ["b/1.p", "a/1.p"]);
        assert_eq!(find(&made, &["c[1].p"]).unwrap(), ["c[1].p"]);
        assert_eq!(find(&made, &["**"]).unwrap(), ["a/1.p", "a/2.q", "b/1.p"]);
    }

    #[test]
    fn nothing_found_is_an_error_that_names_the_path() {
        for path in ["no.p", "no*.p", "a["] {
            let error = find(&["a/1.p"], &[path]).unwrap_err().to_string();
            assert!(error.contains(path), "{error}");
        }
        assert!(find_files(call(), &[] as &[&str], true).is_err());
    }

    #[test]
    fn numbers_of_any_length_compare() {
        let long = "9".repeat(50);
        assert_eq!(natural_order(&long, &format!("1{long}")), Ordering::Less);
        assert_eq!(natural_order("a2b", "a10b"), Ordering::Less);
        assert_eq!(natural_order("a", "a1"), Ordering::Less);
        assert_eq!(natural_order("x1", "x01"), Ordering::Greater);
    }

    #[test]
    fn keys_count_from_the_first_wildcard_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a=1/b=2");
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("x"), "").unwrap();
        let names = |path: &str| {
            let found = find_files(call(), &[dir.path().join(path)], true).unwrap();
            found.hive.columns().iter().map(|c| c.name().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(names(""), ["a", "b"]);
        assert_eq!(names("a=1"), ["b"]);
        assert_eq!(names("a=1/*"), ["b"]);
        assert_eq!(names("a=*"), ["a", "b"]);
        assert!(names("a=1/b=2/x").is_empty());
    }
}
