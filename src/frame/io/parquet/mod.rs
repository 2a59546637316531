//! Parquet files, decoded and encoded by the `parquet` crate.
//!
//! The format: <https://parquet.apache.org/docs/file-format/>. What is here is planning: which files, row groups, pages
//! and columns make a part, what can be left out, what columns become in polars, and how files appear whole.
//! Everything runs in the thread that calls, because the tasks that call it are the parallelism.

mod bounds;
mod decode;
mod file;
mod memory;
mod options;
mod order;
mod places;
mod plan;
mod prune;
mod read;
mod schema;
mod source;
mod write;

pub use options::{IfExists, ParquetCompression, ParquetOptions, ParquetWriteOptions};
pub(crate) use source::ParquetFiles;
pub(crate) use write::ParquetWriter;

#[cfg(test)]
mod tests;
