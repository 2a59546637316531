//! Arrow IPC files and streams (<https://arrow.apache.org/docs/format/Columnar.html#serialization-and-interprocess-communication-ipc>),
//! decoded by `arrow::ipc`. Feather version 2 is the same.
//!
//! What is here: an index of the messages in a file, which for a stream comes from walking over them; reading only the
//! buffers of the columns wanted; and checking each number that the decoder would allocate by.

mod index;
mod layout;
mod lengths;
mod options;
mod read;
mod source;
mod write;

pub use options::{IpcCompression, IpcOptions, IpcWriteOptions};
pub(crate) use source::IpcFiles;
pub(crate) use write::IpcWriter;

#[cfg(test)]
mod tests;
