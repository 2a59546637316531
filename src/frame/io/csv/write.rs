//! Writing frames as CSV, so that reading gives back the same values.
//!
//! Values are formatted by `arrow`, quotes are put around them here: its writer does not tell null from the
//! empty text.

use std::io::Write;
use std::path::Path;

use arrow::array::Array;
use arrow::util::display::{ArrayFormatter, DurationFormat, FormatOptions};
use memchr::memchr3;
use polars_core::prelude::{DataFrame, DataType, SchemaRef};

use super::super::part_dir::PartDir;
use super::options::CsvWriteOptions;
use crate::error::{Call, Error, Result};
use crate::frame::interop::to_record_batches;

/// CSV files in a directory, or one file, that appear at [`finish`](Self::finish).
///
/// Null is an empty field and the empty text is `""`. In a frame of one column an empty field would be an empty line, which
/// is no record: there null is `""` too, unless there is another text for null. Categoricals become their text, times ISO 8601.
#[derive(Debug)]
pub(crate) struct CsvWriter {
    parts: PartDir,
    options: CsvWriteOptions,
    is_single_file: bool,
}

impl CsvWriter {
    /// Prepares to write frames of this schema as `target/part.00000.csv` and so on, or in order into the file
    /// `target`.
    ///
    /// # Errors
    /// [`Error::UnsupportedFile`] for dtypes that CSV does not have, [`Error::Io`] if something is there and must
    /// not be, [`Error::InvalidArgument`] for the options.
    pub(crate) fn create(
        call: Call,
        target: &Path,
        schema: &SchemaRef,
        options: CsvWriteOptions,
        is_single_file: bool,
    ) -> Result<Self> {
        options.check(call)?;
        let parts = PartDir::create(
            call,
            ("CSV", "csv"),
            target,
            schema,
            options.if_exists,
            is_single_file,
        )?;
        let is_refused = |dtype: &DataType| dtype.is_nested() || dtype.is_binary();
        if let Some((name, dtype)) = schema.iter().find(|(_, dtype)| is_refused(dtype)) {
            let remedy = "write Parquet, or make text of the column";
            return Err(parts.blame().unsupported(format!("column {name:?} with {dtype}"), remedy));
        }
        Ok(CsvWriter { parts, options, is_single_file })
    }

    /// Writes the rows of a part, each part once and in any order.
    pub(crate) fn write(&self, part: usize, frame: &DataFrame) -> Result<()> {
        self.parts.write(part, frame, |file| self.encode(file, frame))
    }

    pub(super) fn encode(&self, file: &mut impl Write, frame: &DataFrame) -> Result<()> {
        let header = if self.is_single_file { Vec::new() } else { self.header() };
        file.write_all(&header).map_err(|error| self.parts.blame().io(error))?;
        for batch in to_record_batches(frame).map_err(|problem| values(&problem))? {
            self.write_columns(batch.columns(), batch.num_rows(), file)?;
        }
        Ok(())
    }

    /// Makes what was written appear.
    pub(crate) fn finish(self) -> Result<()> {
        if self.is_single_file {
            let header = self.header();
            return self.parts.finish_as_one(&header);
        }
        if self.parts.is_empty() {
            // A frame without rows has columns nevertheless.
            self.write(0, &DataFrame::empty_with_schema(self.parts.schema()))?;
        }
        self.parts.finish()
    }

    fn header(&self) -> Vec<u8> {
        let mut header = Vec::new();
        if self.options.has_header {
            for (i, name) in self.parts.schema().iter_names().enumerate() {
                self.push_field(&mut header, i, Some(name));
            }
            header.push(b'\n');
        }
        header
    }

    fn write_columns(
        &self,
        columns: &[arrow::array::ArrayRef],
        n_rows: usize,
        file: &mut impl Write,
    ) -> Result<()> {
        let options = FormatOptions::new()
            .with_display_error(false)
            .with_duration_format(DurationFormat::ISO8601);
        let formatters = columns.iter().map(|array| {
            let formatter = ArrayFormatter::try_new(array.as_ref(), &options);
            Ok((array.logical_nulls(), formatter.map_err(|error| values(&error.to_string()))?))
        });
        let formatters = formatters.collect::<Result<Vec<_>>>()?;
        let (mut record, mut text) = (Vec::new(), String::new());
        for row in 0..n_rows {
            record.clear();
            for (i, (nulls, formatter)) in formatters.iter().enumerate() {
                if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                    self.push_field(&mut record, i, None);
                    continue;
                }
                text.clear();
                let written = formatter.value(row).write(&mut text);
                written.map_err(|error| values(&error.to_string()))?;
                self.push_field(&mut record, i, Some(&text));
            }
            record.push(b'\n');
            file.write_all(&record).map_err(|error| self.parts.blame().io(error))?;
        }
        Ok(())
    }

    /// The field of column `i`; None is null.
    fn push_field(&self, record: &mut Vec<u8>, i: usize, value: Option<&str>) {
        let CsvWriteOptions { delimiter, quote, quote_all, ref null_value, .. } = self.options;
        if i > 0 {
            record.push(delimiter);
        }
        let is_alone = self.parts.schema().len() == 1;
        let (text, is_quoted) = match value {
            None => (null_value.as_str(), is_alone && null_value.is_empty()),
            Some(text) => {
                let has_mark = memchr3(delimiter, quote, b'\n', text.as_bytes()).is_some()
                    || text.contains('\r');
                (text, quote_all || has_mark || text.is_empty() || text == null_value)
            }
        };
        if !is_quoted {
            record.extend_from_slice(text.as_bytes());
            return;
        }
        record.push(quote);
        for piece in text.as_bytes().split_inclusive(|&byte| byte == quote) {
            record.extend_from_slice(piece);
            if piece.last() == Some(&quote) {
                record.push(quote);
            }
        }
        record.push(quote);
    }
}

fn values(problem: &str) -> Error {
    Error::Values { operation: "CSV".to_string(), problem: problem.to_string() }
}
