//! Writing frames as NDJSON.

use std::io::Write;
use std::path::Path;

use arrow::error::ArrowError;
use arrow::json::WriterBuilder;
use arrow::json::writer::LineDelimited;
use polars_core::prelude::{DataFrame, SchemaRef};

use super::super::part_dir::PartDir;
use super::options::NdjsonWriteOptions;
use crate::error::{Blame, Call, Error, Result};
use crate::frame::interop::to_record_batches;

/// NDJSON files in a directory, or one file, that appear at [`finish`](Self::finish).
///
/// Every object has all keys. JSON has no infinity and no NaN: they become null. Times become text.
#[derive(Debug)]
pub(crate) struct NdjsonWriter {
    parts: PartDir,
    is_single_file: bool,
}

impl NdjsonWriter {
    /// Prepares to write frames of this schema as `target/part.00000.ndjson` and so on, or in order into the
    /// file `target`.
    ///
    /// # Errors
    /// [`Error::Io`] if something is there and must not be.
    pub(crate) fn create(
        call: Call,
        target: &Path,
        schema: &SchemaRef,
        options: &NdjsonWriteOptions,
        is_single_file: bool,
    ) -> Result<Self> {
        let format = ("NDJSON", "ndjson");
        let parts =
            PartDir::create(call, format, target, schema, options.if_exists, is_single_file)?;
        Ok(NdjsonWriter { parts, is_single_file })
    }

    /// Writes the rows of a part, each part once and in any order.
    pub(crate) fn write(&self, part: usize, frame: &DataFrame) -> Result<()> {
        self.parts.write(part, frame, |file| encode(&self.parts.blame(), file, frame))
    }

    /// Makes what was written appear.
    pub(crate) fn finish(self) -> Result<()> {
        if self.is_single_file {
            return self.parts.finish_as_one(b"");
        }
        if self.parts.is_empty() {
            self.write(0, &DataFrame::empty_with_schema(self.parts.schema()))?;
        }
        self.parts.finish()
    }
}

pub(super) fn encode(blame: &Blame<'_>, file: &mut impl Write, frame: &DataFrame) -> Result<()> {
    let values = |problem| Error::Values { operation: "NDJSON".to_string(), problem };
    let failed = |error| match error {
        ArrowError::IoError(_, error) => blame.io(error),
        error => values(error.to_string()),
    };
    let builder = WriterBuilder::new().with_explicit_nulls(true);
    let mut writer = builder.build::<_, LineDelimited>(file);
    for batch in to_record_batches(frame).map_err(values)? {
        writer.write(&batch).map_err(failed)?;
    }
    writer.finish().map_err(failed)
}
