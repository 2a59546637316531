//! Formats of frames: where rows come from and go to.
//!
//! Invariant: sources and writers know nothing of plans and lazy frames.

mod atomic;
mod blame;
mod condition;
mod hive;
mod memory;
mod parquet;
mod paths;
mod source;
mod writer;

pub(crate) use condition::{Comparison, Condition};
pub(crate) use memory::MemoryFrames;
pub use parquet::{IfExists, ParquetCompression, ParquetOptions, ParquetWriteOptions};
pub(crate) use parquet::{ParquetFiles, ParquetWriter, write_one};
pub(crate) use source::{PartStats, Request, Source};
pub(crate) use writer::Writer;
