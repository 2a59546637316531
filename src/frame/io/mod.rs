//! Formats of frames: where rows come from and go to.
//!
//! Invariant: sources and writers know nothing of plans and lazy frames.

mod atomic;
mod blame;
mod condition;
#[allow(unreachable_pub, reason = "options are for users, whose doors are not here yet")]
mod csv;
mod hive;
#[allow(unreachable_pub, reason = "as above")]
mod ndjson;
#[allow(unreachable_pub, reason = "as above")]
mod parquet;
mod part_dir;
mod paths;
mod source;
mod text;

pub(crate) use condition::{Comparison, Condition};
pub(crate) use csv::{CsvFiles, CsvWriter};
#[allow(unreachable_pub, reason = "as above")]
pub use csv::{CsvOptions, CsvWriteOptions};
pub(crate) use ndjson::{NdjsonFiles, NdjsonWriter};
#[allow(unreachable_pub, reason = "as above")]
pub use ndjson::{NdjsonOptions, NdjsonWriteOptions};
#[allow(unreachable_pub, reason = "as above")]
pub use parquet::{IfExists, ParquetCompression, ParquetOptions, ParquetWriteOptions};
pub(crate) use parquet::{ParquetFiles, ParquetWriter, write_one};
pub(crate) use source::{PartStats, Request, Source};
