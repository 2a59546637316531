//! What users can choose.

use super::super::IfExists;

/// How Arrow IPC files are read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct IpcOptions {
    /// Bytes of memory that a partition with all columns should take. A record batch is never cut.
    pub part_bytes: u64,
}

impl Default for IpcOptions {
    /// Partitions of 128 MiB.
    fn default() -> Self {
        IpcOptions { part_bytes: 128 << 20 }
    }
}

/// How Arrow IPC files are written.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct IpcWriteOptions {
    /// The codec of buffers.
    pub compression: IpcCompression,
    /// Rows of a record batch, the unit that readers share, at most.
    pub batch_rows: usize,
    /// What is done about files that are there already.
    pub if_exists: IfExists,
}

impl Default for IpcWriteOptions {
    /// No compression, batches of 1 Mi rows, and an error if something is there.
    fn default() -> Self {
        IpcWriteOptions {
            compression: IpcCompression::Uncompressed,
            batch_rows: 1 << 20,
            if_exists: IfExists::Error,
        }
    }
}

/// Codecs for buffers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum IpcCompression {
    /// None, so that the bytes of the file are those of memory.
    #[default]
    Uncompressed,
    /// Fast.
    Lz4,
    /// Smaller.
    Zstd,
}
