//! From a path, a directory or a pattern to the files that are meant, here or in a store.

use std::cmp::Ordering;
#[cfg(feature = "cloud")]
use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

#[cfg(feature = "cloud")]
use glob::{MatchOptions, Pattern};

use super::location::Location;
#[cfg(feature = "cloud")]
use super::object::Object;
use super::readable::FoundFile;
use crate::error::{Call, Error, Result};

/// The files of one path in natural order (`2` before `10`), and the directory below which names of directories say
/// something about them: the path, or what of it is before its first wildcard.
///
/// A path is a file, a directory, or a pattern with `*`, `?` and `[…]`, `**` for any number of directories. In
/// directories every file counts whose name and whose directories begin neither with `_` nor with `.`.
///
/// # Errors
/// [`Error::Io`], also if there is no such file.
pub(crate) fn find(call: Call, path: &Path) -> Result<(PathBuf, Vec<FoundFile>)> {
    let (root, found) = expand(call, path)?;
    if found.is_empty() {
        let missing = io::Error::new(io::ErrorKind::NotFound, "no file fits it");
        return Err(Error::io(call, path)(missing));
    }
    Ok((root, found))
}

fn expand(call: Call, path: &Path) -> Result<(PathBuf, Vec<FoundFile>)> {
    let location = Location::of(call, path)?;
    #[cfg(feature = "cloud")]
    if let Location::Object(object) = &location {
        return expand_url(call, path, object);
    }
    let path = location.local().unwrap_or(path);
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            let mut found = Vec::new();
            list(call, path, &mut found)?;
            sort(&mut found);
            Ok((path.to_path_buf(), found))
        }
        Ok(metadata) => {
            let file = FoundFile::local(path.to_path_buf(), &metadata);
            Ok((path.parent().unwrap_or(path).to_path_buf(), vec![file]))
        }
        // A file may be called `a[1].parquet`; only what does not exist is taken for a pattern.
        Err(error) if error.kind() == io::ErrorKind::NotFound && is_pattern(path) => {
            let found = match_pattern(call, path)?;
            Ok((before_wildcard(path), found))
        }
        Err(error) => Err(Error::io(call, path)(error)),
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
            Error::io(call, &path)(kind.into())
        })?;
        let metadata = fs::metadata(&path).map_err(|error| Error::io(call, &path)(error))?;
        if metadata.is_dir() {
            // `data/year=*` means what is in these directories.
            list(call, &path, &mut found)?;
        } else {
            found.push(FoundFile::local(path, &metadata));
        }
    }
    sort(&mut found);
    // `**` finds a directory and then again what is in it.
    found.dedup_by(|a, b| a.path == b.path);
    Ok(found)
}

/// The same for a URL. Stores have no directories: what counts as one is how keys begin.
#[cfg(feature = "cloud")]
fn expand_url(call: Call, url: &Path, object: &Object) -> Result<(PathBuf, Vec<FoundFile>)> {
    let path = object.url();
    if let Some(file) = object.head().map_err(Error::io(call, url))? {
        // Consoles make objects without bytes that stand for directories.
        if file.bytes > 0 || !object.has_below().map_err(Error::io(call, url))? {
            return Ok((path.parent().unwrap_or(&path).to_path_buf(), vec![file]));
        }
    }
    let is_hidden = |path: &Path| {
        path.iter().any(|part| matches!(part.as_encoded_bytes().first(), Some(b'_' | b'.')))
    };
    let root = if is_pattern(&path) { before_wildcard(&path) } else { path.clone() };
    let mut found = object.up_to(&root).list().map_err(Error::io(call, url))?;
    let dirs: HashSet<PathBuf> = found
        .iter()
        .flat_map(|file| file.path.ancestors().skip(1))
        .map(Path::to_path_buf)
        .collect();
    found.retain(|file| file.bytes > 0 || !(file.path == root || dirs.contains(&file.path)));
    let pattern = if is_pattern(&path) { Some(compile(call, url, &path)?) } else { None };
    let options = MatchOptions { require_literal_separator: true, ..MatchOptions::new() };
    found.retain(|file| match &pattern {
        None => file.path.strip_prefix(&path).is_ok_and(|below| !is_hidden(below)),
        // `data/year=*` means what is in these directories.
        Some(pattern) => file.path.ancestors().any(|path| {
            pattern.matches_path_with(path, options)
                && file.path.strip_prefix(path).is_ok_and(|below| !is_hidden(below))
        }),
    });
    sort(&mut found);
    Ok((root, found))
}

#[cfg(feature = "cloud")]
fn compile(call: Call, url: &Path, path: &Path) -> Result<Pattern> {
    let pattern = path.to_str().and_then(|path| Pattern::new(path).ok());
    pattern.ok_or_else(|| Error::InvalidArgument {
        call,
        argument: "path",
        got: url.display().to_string(),
        expected: "a pattern of *, **, ? and [...]",
    })
}

/// All files below a directory.
fn list(call: Call, dir: &Path, found: &mut Vec<FoundFile>) -> Result<()> {
    let mut dirs = vec![dir.to_path_buf()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).map_err(|error| Error::io(call, &dir)(error))? {
            let entry = entry.map_err(|error| Error::io(call, &dir)(error))?;
            if matches!(entry.file_name().as_encoded_bytes().first(), Some(b'_' | b'.')) {
                continue;
            }
            let path = entry.path();
            let metadata = fs::metadata(&path).map_err(|error| Error::io(call, &path)(error))?;
            if metadata.is_dir() {
                dirs.push(path);
            } else {
                found.push(FoundFile::local(path, &metadata));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_length_compare() {
        let long = "9".repeat(50);
        assert_eq!(natural_order(&long, &format!("1{long}")), Ordering::Less);
        assert_eq!(natural_order("a2b", "a10b"), Ordering::Less);
        assert_eq!(natural_order("a", "a1"), Ordering::Less);
        assert_eq!(natural_order("x1", "x01"), Ordering::Greater);
    }
}
