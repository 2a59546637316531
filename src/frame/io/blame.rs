//! The errors that all formats of frames share.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::error::{Call, Error, Result};

/// The format and the file that a reader or writer complains about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blame<'a> {
    pub(crate) call: Call,
    pub(crate) path: &'a Path,
    pub(crate) format: &'static str,
}

impl Blame<'_> {
    /// The operating system refused something.
    pub(crate) fn io(&self, source: io::Error) -> Error {
        Error::Io { call: self.call, path: self.path.to_path_buf(), source: Arc::new(source) }
    }

    /// The file is not what its format says.
    pub(crate) fn corrupt(&self, problem: impl Into<String>) -> Error {
        let (path, problem) = (self.path.to_path_buf(), problem.into());
        Error::CorruptFile { call: self.call, path, format: self.format, problem }
    }

    /// The file is valid but uses something else than what is read here.
    pub(crate) fn unsupported(&self, feature: impl Into<String>, remedy: &'static str) -> Error {
        let (path, feature) = (self.path.to_path_buf(), feature.into());
        Error::UnsupportedFile { call: self.call, path, feature, remedy }
    }

    /// What a decoder says of the file, where it panics instead of returning an error too.
    ///
    /// Decoders are other people's code, and some of them assert what a damaged file need not hold.
    pub(crate) fn guard<T>(
        &self,
        what: impl FnOnce() -> String,
        decode: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        // A decoder that panicked is dropped, and with it all that it may have left half done.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(decode));
        outcome.unwrap_or_else(|panic| {
            let message = panic.downcast_ref::<String>().map(String::as_str);
            let message = message.or_else(|| panic.downcast_ref::<&str>().copied());
            let message = message.unwrap_or("the decoder panicked");
            Err(self.corrupt(format!("{}: {message}", what())))
        })
    }
}
