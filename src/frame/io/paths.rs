//! From what a user writes as paths to the files that are meant, and to what their directories say.

use std::io;
use std::path::Path;

use super::hive::{Hive, Keys};
use crate::error::{Call, Error, Result};
use crate::storage::{FoundFile, find};

/// Files in the order in which their rows come.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    pub(crate) files: Vec<FoundFile>,
    /// What the names of directories say about the rows of each file.
    pub(crate) hive: Hive,
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
        let (root, found) = find(call, path)?;
        for file in &found {
            let below = file.path.strip_prefix(&root).unwrap_or(Path::new(""));
            keys.push(if hive { Keys::of(below) } else { Keys::default() });
        }
        files.extend(found);
    }
    if files.is_empty() {
        let missing = io::Error::new(io::ErrorKind::NotFound, "no path was given");
        return Err(Error::io(call, Path::new(""))(missing));
    }
    let hive = Hive::new(&keys).map_err(|(file, problem)| Error::CorruptFile {
        call,
        path: files[file].path.clone(),
        format: "hive-partitioned",
        problem,
    })?;
    Ok(Files { files, hive })
}

#[cfg(test)]
mod tests {
    use std::fs;

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
