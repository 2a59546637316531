//! From what a user writes as a path to a place on this machine or in a store.

use std::path::{Path, PathBuf};

#[cfg(feature = "cloud")]
use super::object::Object;
#[cfg(feature = "cloud")]
use super::stores;
#[cfg(not(feature = "cloud"))]
use crate::error::Error;
use crate::error::{Call, Result};

/// Where something lies.
#[derive(Clone, Debug)]
pub(crate) enum Location {
    /// A path of this machine.
    Local(PathBuf),
    /// A key, or the beginning of keys, in an object store.
    #[cfg(feature = "cloud")]
    Object(Object),
}

impl Location {
    /// The place that a path or a URL names. Nothing is asked of the store yet.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for what is no URL, or for settings that are wrong; [`Error::UnsupportedFile`] for stores
    /// that this build does not know.
    pub(crate) fn of(call: Call, path: &Path) -> Result<Self> {
        match split_url(path) {
            None => Ok(Location::Local(path.to_path_buf())),
            #[cfg(feature = "cloud")]
            Some((scheme, rest)) => stores::locate(call, path, &scheme, rest),
            #[cfg(not(feature = "cloud"))]
            Some((scheme, _)) => Err(Error::UnsupportedFile {
                call,
                path: path.to_path_buf(),
                feature: format!("{scheme}://"),
                remedy: "build dask-rs with its feature \"cloud\", or copy the files to this machine",
            }),
        }
    }

    /// The path, if it is one of this machine.
    pub(crate) fn local(&self) -> Option<&Path> {
        match self {
            Location::Local(path) => Some(path),
            #[cfg(feature = "cloud")]
            Location::Object(_) => None,
        }
    }
}

/// The scheme in lower case and what follows `://`, if a path begins like a URL. Drives of Windows are no schemes.
pub(super) fn split_url(path: &Path) -> Option<(String, &str)> {
    let (scheme, rest) = path.to_str()?.split_once("://")?;
    let is_scheme = scheme.len() > 1
        && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    is_scheme.then(|| (scheme.to_ascii_lowercase(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_urls_are_urls() {
        let of = |text| split_url(Path::new(text)).map(|(scheme, rest)| (scheme, rest.to_string()));
        assert_eq!(of("S3://b/k"), Some(("s3".into(), "b/k".into())));
        assert_eq!(of("memory:///x"), Some(("memory".into(), "/x".into())));
        for path in ["/a/b", "a://b", "C://b", "dir/s3://b", "s3:/b", "", "://"] {
            assert_eq!(of(path), None, "{path}");
        }
    }

    #[cfg(not(feature = "cloud"))]
    #[test]
    fn urls_name_the_feature_that_reads_them() {
        let error = Location::of(Call::new("test"), Path::new("s3://b/k")).unwrap_err().to_string();
        assert!(error.contains("s3://b/k") && error.contains("feature \"cloud\""), "{error}");
    }
}
