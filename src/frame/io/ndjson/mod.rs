//! NDJSON files (<https://github.com/ndjson/ndjson-spec>): one JSON object a line, parsed by `arrow::json`.
//!
//! A new line cannot be inside of a JSON string, so that files can be cut at any of them. What is here: the columns in an
//! order that does not change from run to run, integers that stay whole, and errors that name the line.

mod columns;
mod decode;
mod options;
mod source;
mod write;

pub use options::{NdjsonOptions, NdjsonWriteOptions};
pub(crate) use source::NdjsonFiles;
pub(crate) use write::NdjsonWriter;

#[cfg(test)]
mod tests;
