//! Writing frames as Arrow IPC files.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{FileWriter, IpcWriteOptions as ArrowOptions};
use polars_core::prelude::{DataFrame, SchemaRef};

use super::super::part_dir::PartDir;
use super::options::{IpcCompression, IpcWriteOptions};
use crate::error::{Blame, Call, Error, Result};
use crate::frame::interop::{arrow_schema, to_record_batches};

/// A directory of Arrow IPC files that appears at [`finish`](Self::finish).
#[derive(Debug)]
pub(crate) struct IpcWriter {
    parts: PartDir,
    options: IpcWriteOptions,
}

impl IpcWriter {
    /// Prepares to write frames of this schema as `target/part.00000.arrow` and so on.
    ///
    /// # Errors
    /// [`Error::Io`] if something is there and must not be.
    pub(crate) fn create(
        call: Call,
        target: &Path,
        schema: &SchemaRef,
        options: IpcWriteOptions,
    ) -> Result<Self> {
        let format = ("Arrow IPC", "arrow");
        let parts = PartDir::create(call, format, target, schema, options.if_exists, false)?;
        Ok(IpcWriter { parts, options })
    }

    /// Writes the rows of a part, each part once and in any order.
    pub(crate) fn write(&self, part: usize, frame: &DataFrame) -> Result<()> {
        let blame = self.parts.blame();
        self.parts.write(part, frame, |file| encode(&blame, file, frame, &self.options))
    }

    /// Makes what was written appear.
    pub(crate) fn finish(self) -> Result<()> {
        if self.parts.is_empty() {
            // A frame without rows has columns nevertheless.
            self.write(0, &DataFrame::empty_with_schema(self.parts.schema()))?;
        }
        self.parts.finish()
    }
}

pub(super) fn encode(
    blame: &Blame<'_>,
    writer: &mut impl Write,
    frame: &DataFrame,
    options: &IpcWriteOptions,
) -> Result<()> {
    let values = |problem| Error::Values { operation: "Arrow IPC".to_string(), problem };
    let failed = |error| match error {
        ArrowError::IoError(_, error) => blame.io(error),
        error => values(error.to_string()),
    };
    let compression = match options.compression {
        IpcCompression::Uncompressed => None,
        IpcCompression::Lz4 => Some(CompressionType::LZ4_FRAME),
        IpcCompression::Zstd => Some(CompressionType::ZSTD),
    };
    let arrow_options =
        ArrowOptions::default().try_with_compression(compression).map_err(failed)?;
    let schema = arrow_schema(frame.schema()).map_err(values)?;
    let mut writer =
        FileWriter::try_new_with_options(writer, &schema, arrow_options).map_err(failed)?;
    // One dictionary for all batches: a file can't have two of a column.
    let mut frame = frame.clone();
    frame.rechunk_mut();
    for batch in to_record_batches(&frame).map_err(values)? {
        let rows = options.batch_rows.max(1);
        for start in (0..batch.num_rows()).step_by(rows) {
            let piece = batch.slice(start, rows.min(batch.num_rows() - start));
            writer.write(&compacted(&piece).map_err(failed)?).map_err(failed)?;
        }
    }
    writer.finish().map_err(failed)
}

/// A batch without the text that none of its rows has: the encoder writes all that views could point to.
fn compacted(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let compacted = |array: &ArrayRef| -> ArrayRef {
        match array.data_type() {
            DataType::Utf8View => Arc::new(array.as_string_view().gc()),
            DataType::BinaryView => Arc::new(array.as_binary_view().gc()),
            _ => Arc::clone(array),
        }
    };
    let columns = batch.columns().iter().map(compacted).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(batch.schema(), columns, &options)
}
