//! What every format that frames are written to can do.

use polars_core::frame::DataFrame;

use super::{CsvWriter, ParquetWriter};
use crate::error::Result;

/// Takes the partitions of a frame, from several threads and in any order.
///
/// What is dropped before [`finish`](Self::finish) leaves what was there before.
pub(crate) trait Writer: Send + Sync {
    /// Writes the partition number `part`.
    fn write(&self, part: usize, frame: &DataFrame) -> Result<()>;

    /// Makes everything that was written appear.
    fn finish(self: Box<Self>) -> Result<()>;
}

impl Writer for ParquetWriter {
    fn write(&self, part: usize, frame: &DataFrame) -> Result<()> {
        ParquetWriter::write(self, part, frame)
    }

    fn finish(self: Box<Self>) -> Result<()> {
        ParquetWriter::finish(*self)
    }
}

impl Writer for CsvWriter {
    fn write(&self, part: usize, frame: &DataFrame) -> Result<()> {
        CsvWriter::write(self, part, frame)
    }

    fn finish(self: Box<Self>) -> Result<()> {
        CsvWriter::finish(*self)
    }
}
