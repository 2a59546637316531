//! NDJSON files as one frame in parts.

use std::path::Path;

use super::super::text::{Layout, TextFiles, TextSource};
use super::columns::guess;
use super::decode::Ndjson;
use super::options::NdjsonOptions;
use crate::error::{Call, Result};

/// Rows of NDJSON files, in the order of the files.
///
/// Columns are the keys that a sample of the first file has, in the order in which they come there, and those whose
/// dtypes are given; other keys are passed over, and keys that an object lacks are null. A value of
/// another dtype is an error, never null. Times are text unless their dtype is given.
pub(crate) type NdjsonFiles = TextSource<Ndjson>;

impl NdjsonFiles {
    /// Finds the files and reads a sample of the first one.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io), [`Error::CorruptFile`](crate::Error::CorruptFile),
    /// [`Error::UnsupportedFile`](crate::Error::UnsupportedFile) for what the files are;
    /// [`Error::DTypeMismatch`](crate::Error::DTypeMismatch) for dtypes that JSON is not read as.
    pub(crate) fn open(
        call: Call,
        paths: &[impl AsRef<Path>],
        options: &NdjsonOptions,
    ) -> Result<Self> {
        let layout = Layout { part_bytes: options.part_bytes, quoting: None, skipped_lines: 0 };
        let files = TextFiles::find(call, "NDJSON", paths, layout)?;
        let (head, more) = files.sample(0, options.sample_bytes)?;
        let sample = more.iter().fold(head.clone(), |sample, lines| {
            // The sample may have been all of the file, whose last line need not end.
            sample + "\n" + lines
        });
        let blame = files.blame(0);
        let place = || "its sample".to_string();
        let (decoded, schema) = blame.guard(place, || guess(&blame, &sample, &options.dtypes))?;
        Ok(TextSource::new(files, Ndjson { schema: decoded }, schema, &head))
    }
}
