//! CSV files, parsed by `arrow::csv`.
//!
//! The format is that of RFC 4180 (<https://www.rfc-editor.org/rfc/rfc4180>) with other delimiters, escapes and comments if
//! asked for. What is here: the columns and their dtypes, null and the empty text, and errors that name the line. How
//! files are cut into parts is in `io/text`.

mod columns;
mod decode;
mod mismatch;
mod options;
mod plain;
mod records;
mod source;
mod write;

pub use options::{CsvOptions, CsvWriteOptions};
pub(crate) use source::CsvFiles;
pub(crate) use write::CsvWriter;

#[cfg(test)]
mod tests;
