//! Formats of frames: where rows come from and go to.
//!
//! Invariant: sources and writers know nothing of plans and lazy frames.

mod arrow_columns;
mod batches;
mod condition;
mod csv;
#[cfg(test)]
mod damaged;
mod guard;
mod hive;
mod ipc;
mod mapped;
mod memory;
mod ndjson;
mod parquet;
mod part_dir;
mod paths;
mod source;
mod text;
mod writer;

pub(crate) use batches::RecordBatches;
pub(crate) use condition::{Comparison, Condition};
pub(crate) use csv::{CsvFiles, CsvWriter};
pub use csv::{CsvOptions, CsvWriteOptions};
pub use ipc::{IpcCompression, IpcOptions, IpcWriteOptions};
pub(crate) use ipc::{IpcFiles, IpcWriter};
pub(crate) use mapped::Mapped;
pub(crate) use memory::{MemoryFrames, nbytes_of, requested, stats_of};
pub(crate) use ndjson::{NdjsonFiles, NdjsonWriter};
pub use ndjson::{NdjsonOptions, NdjsonWriteOptions};
pub use parquet::{IfExists, ParquetCompression, ParquetOptions, ParquetWriteOptions};
pub(crate) use parquet::{ParquetFiles, ParquetWriter};
pub(crate) use source::{Each, PartStats, Request, RowFilter, Source, gathered};
use source::{filtered, masked, with_columns_of};
pub(crate) use writer::Writer;
