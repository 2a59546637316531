//! Decoders that panic on damaged files.

use crate::error::{Blame, Result};

impl Blame<'_> {
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
