//! A file or an object that was found, and the same opened.

use std::fs::{File, Metadata};
use std::io;
use std::ops::Range;
use std::path::PathBuf;

#[cfg(feature = "cloud")]
use super::object::{Object, Request};
use super::ranges::merged;
use crate::error::{Blame, Error, Result};
#[cfg(any(feature = "frame", feature = "cloud"))]
use ::bytes::Bytes;

/// Ranges of an object that are no further apart are one request: the bytes between them take less time than another one.
const GAP_BYTES: u64 = 256 << 10;

/// How many bytes are requested for these ranges of an object.
pub(crate) fn request_bytes(ranges: impl IntoIterator<Item = Range<u64>>) -> u64 {
    merged(ranges, GAP_BYTES).iter().map(|range| range.end - range.start).sum()
}

/// A file, and how long it was when it was found.
#[derive(Clone, Debug)]
pub(crate) struct FoundFile {
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    /// Where it is if not on this machine, and which version of it that was.
    #[cfg(feature = "cloud")]
    pub(super) object: Option<(Object, Option<String>)>,
    /// What it was then, if that can be told: its version as text.
    #[cfg(feature = "frame")]
    pub(super) version: Option<std::sync::Arc<str>>,
}

impl FoundFile {
    pub(crate) fn local(path: PathBuf, metadata: &Metadata) -> Self {
        FoundFile {
            #[cfg(feature = "frame")]
            version: super::version_of(&path, metadata).map(Into::into),
            path,
            bytes: metadata.len(),
            #[cfg(feature = "cloud")]
            object: None,
        }
    }

    /// The version that was found, if it is still the one that there is.
    #[cfg(feature = "frame")]
    pub(super) fn version(&self) -> Option<&str> {
        let found = self.version.as_deref()?;
        // Requests for another version of an object are refused.
        let is_same = || {
            let now = std::fs::metadata(&self.path).ok()?;
            Some(super::version_of(&self.path, &now)? == found)
        };
        (self.is_remote() || is_same()?).then_some(found)
    }

    /// Whether reading it takes requests, and memory for the answers.
    pub(crate) fn is_remote(&self) -> bool {
        #[cfg(feature = "cloud")]
        return self.object.is_some();
        #[cfg(not(feature = "cloud"))]
        false
    }

    /// Opens it, if it is as long as it was. Objects are compared with the version that was found by each request.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::CorruptFile`] if it changed.
    pub(crate) fn open(&self, blame: &Blame<'_>) -> Result<Readable> {
        #[cfg(feature = "cloud")]
        if let Some((object, version)) = &self.object {
            let (object, version) = (object.clone(), version.clone());
            let inner = Inner::Object { object, version, fetched: Vec::new() };
            return Ok(Readable { bytes: self.bytes, inner });
        }
        let file = File::open(&self.path).map_err(Error::io(blame.call, &self.path))?;
        let now = file.metadata().map_err(Error::io(blame.call, &self.path))?.len();
        if now != self.bytes {
            let expected = self.bytes;
            let problem = format!("it has {now} bytes, and had {expected} when it was found");
            return Err(blame.corrupt(problem));
        }
        Ok(Readable { bytes: now, inner: Inner::File(file) })
    }

    /// The one file that a path or a URL names.
    ///
    /// # Errors
    /// [`Error::Io`], and as [`Location::of`](super::Location::of).
    #[cfg(feature = "array")]
    pub(crate) fn named(call: crate::error::Call, path: &std::path::Path) -> Result<Self> {
        #[cfg_attr(
            not(feature = "cloud"),
            expect(
                clippy::infallible_destructuring_match,
                reason = "without stores there are only files"
            )
        )]
        let path = match super::Location::of(call, path)? {
            super::Location::Local(path) => path,
            #[cfg(feature = "cloud")]
            super::Location::Object(object) => {
                let found = object.head().map_err(Error::io(call, path))?;
                let missing = || super::fault::Fault::missing("looking for it").into();
                return found.ok_or_else(|| Error::io(call, path)(missing()));
            }
        };
        let metadata = std::fs::metadata(&path).map_err(Error::io(call, &path))?;
        // Opening a directory succeeds on Unix; reading it would not say what is wrong.
        if metadata.is_dir() {
            return Err(Error::io(call, &path)(io::ErrorKind::IsADirectory.into()));
        }
        Ok(FoundFile::local(path, &metadata))
    }
}

/// An open file or object, of which any range can be read by any thread.
#[derive(Debug)]
pub(crate) struct Readable {
    bytes: u64,
    inner: Inner,
}

#[derive(Debug)]
enum Inner {
    File(File),
    #[cfg(feature = "cloud")]
    Object {
        object: Object,
        version: Option<String>,
        /// What was fetched beforehand, in order, by where it begins.
        fetched: Vec<(u64, Bytes)>,
    },
}

impl Readable {
    /// Its length.
    pub(crate) fn len(&self) -> u64 {
        self.bytes
    }

    /// What changes when the file does; objects say nothing of the kind.
    #[cfg(feature = "hdf5")]
    pub(crate) fn version(&self, path: &std::path::Path) -> Option<String> {
        match &self.inner {
            Inner::File(file) => super::version_of(path, &file.metadata().ok()?),
            #[cfg(feature = "cloud")]
            Inner::Object { .. } => None,
        }
    }

    pub(crate) fn is_remote(&self) -> bool {
        match self.inner {
            Inner::File(_) => false,
            #[cfg(feature = "cloud")]
            Inner::Object { .. } => true,
        }
    }

    /// Gets these ranges at once, so that what reads them next finds them; what is read besides is a request each.
    /// They are kept as long as this, in place of what was got before. Files have them already.
    pub(crate) fn prefetch(
        &mut self,
        ranges: impl IntoIterator<Item = Range<u64>>,
    ) -> io::Result<()> {
        #[cfg(feature = "cloud")]
        if let Inner::Object { object, version, fetched } = &mut self.inner {
            let end = self.bytes;
            let ranges = ranges.into_iter().map(|range| range.start.min(end)..range.end.min(end));
            let ranges = merged(ranges, GAP_BYTES);
            fetched.clear();
            let request = |range: &Range<u64>| Request {
                object: object.clone(),
                version: version.clone(),
                range: range.clone(),
            };
            let answers = super::object::fetch(ranges.iter().map(request).collect())?;
            let pieces = ranges.into_iter().zip(answers);
            *fetched = pieces
                .map(|(range, bytes)| Ok((range.start, bytes?)))
                .collect::<io::Result<_>>()?;
        }
        #[cfg(not(feature = "cloud"))]
        drop(ranges);
        Ok(())
    }

    /// Fills `buffer` with the bytes from `start` on.
    pub(crate) fn read_exact_at(&self, buffer: &mut [u8], start: u64) -> io::Result<()> {
        match &self.inner {
            Inner::File(file) => read_exact_at(file, buffer, start),
            #[cfg(feature = "cloud")]
            Inner::Object { .. } => {
                buffer.copy_from_slice(&self.bytes_at(start, buffer.len())?);
                Ok(())
            }
        }
    }

    /// So many bytes from `start` on, which have to be there.
    #[cfg(any(feature = "frame", feature = "cloud"))]
    pub(crate) fn bytes_at(&self, start: u64, n: usize) -> io::Result<Bytes> {
        match &self.inner {
            Inner::File(file) => {
                let mut buffer = vec![0; n];
                read_exact_at(file, &mut buffer, start)?;
                Ok(buffer.into())
            }
            #[cfg(feature = "cloud")]
            Inner::Object { object, version, .. } => {
                if let Some((at, piece)) = self.fetched_at(start)
                    && (start - at) as usize + n <= piece.len()
                {
                    return Ok(piece.slice((start - at) as usize..(start - at) as usize + n));
                }
                let range = start..start.saturating_add(n as u64);
                let (object, version) = (object.clone(), version.clone());
                let answers = super::object::fetch(vec![Request { object, version, range }])?;
                answers.into_iter().next().expect("one answer for one request")
            }
        }
    }

    /// What was fetched of the bytes from `start` on, and where that piece begins.
    #[cfg(feature = "cloud")]
    pub(super) fn fetched_at(&self, start: u64) -> Option<(u64, &Bytes)> {
        let Inner::Object { fetched, .. } = &self.inner else { return None };
        let after = fetched.partition_point(|(at, _)| *at <= start);
        let (at, piece) = fetched.get(after.checked_sub(1)?)?;
        (start - at < piece.len() as u64).then_some((*at, piece))
    }

    /// The file, if it is one.
    pub(super) fn into_file(self) -> Option<File> {
        match self.inner {
            Inner::File(file) => Some(file),
            #[cfg(feature = "cloud")]
            Inner::Object { .. } => None,
        }
    }
}

/// Gets the last bytes of several objects at once. What fails is asked for again by whoever reads it, and fails there under
/// its own name.
pub(crate) fn prefetch_tails(files: &mut [Readable], n: u64) {
    #[cfg(feature = "cloud")]
    {
        let mut requests = Vec::new();
        let mut remote = Vec::new();
        for file in files.iter_mut() {
            let bytes = file.bytes;
            let Inner::Object { object, version, fetched } = &mut file.inner else { continue };
            let range = bytes.saturating_sub(n)..bytes;
            if !range.is_empty() {
                let (object, version) = (object.clone(), version.clone());
                requests.push(Request { object, version, range: range.clone() });
                remote.push((range.start, fetched));
            }
        }
        let answers = super::object::fetch(requests).unwrap_or_default();
        for ((start, fetched), answer) in remote.into_iter().zip(answers) {
            fetched.extend(answer.ok().map(|bytes| (start, bytes)));
        }
    }
    let _ = (files, n);
}

#[cfg(unix)]
pub(crate) fn read_exact_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

#[cfg(windows)]
pub(crate) fn read_exact_at(file: &File, mut bytes: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let n = std::os::windows::fs::FileExt::seek_read(file, bytes, offset)?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes = &mut bytes[n..];
        offset += n as u64;
    }
    Ok(())
}
