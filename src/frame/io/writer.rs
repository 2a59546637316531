//! What every format that frames are written to can do.

use polars_core::frame::DataFrame;

use super::{CsvWriter, IpcWriter, NdjsonWriter, ParquetWriter};
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

macro_rules! writers {
    ($($writer:ident)*) => { $(
        impl Writer for $writer {
            fn write(&self, part: usize, frame: &DataFrame) -> Result<()> {
                $writer::write(self, part, frame)
            }

            fn finish(self: Box<Self>) -> Result<()> {
                $writer::finish(*self)
            }
        }
    )* };
}

writers!(CsvWriter IpcWriter NdjsonWriter ParquetWriter);
