//! One Parquet file: its bytes, checked against its length, and its footer, checked against both.

use std::io::BufReader;
use std::sync::Arc;

use ::bytes::Bytes;
use arrow::datatypes::SchemaRef;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
use parquet::file::reader::{ChunkReader, Length};

use super::schema::{FileColumn, columns_of, decoded_schema};
use crate::error::{Blame, Error, Result};
use crate::storage::{Cursor, Readable, io_error_in};

/// Bytes at the end of an object that are read at once: most footers are shorter.
pub(super) const TAIL_BYTES: u64 = 64 << 10;

/// An open file of which no byte past the end is asked for, so that no length in a header makes a
/// buffer that is longer than the file.
#[derive(Debug)]
pub(super) struct CheckedFile {
    file: Arc<Readable>,
}

impl CheckedFile {
    pub(super) fn new(file: Readable) -> Self {
        CheckedFile { file: Arc::new(file) }
    }

    fn check(&self, start: u64, length: u64) -> ParquetResult<()> {
        let bytes = self.file.len();
        match start.checked_add(length) {
            Some(end) if end <= bytes => Ok(()),
            _ => {
                Err(ParquetError::EOF(format!("bytes {start}+{length} of a file of {bytes} bytes")))
            }
        }
    }
}

impl Length for CheckedFile {
    fn len(&self) -> u64 {
        self.file.len()
    }
}

impl ChunkReader for CheckedFile {
    type T = BufReader<Cursor>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        self.check(start, 0)?;
        Ok(BufReader::new(Cursor::new(Arc::clone(&self.file), start)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        self.check(start, length as u64)?;
        Ok(self.file.bytes_at(start, length)?)
    }
}

/// What the end of a file says of the rest.
#[derive(Clone, Debug)]
pub(super) struct Footer {
    /// With the schema that is asked of the decoder.
    pub(super) reader: ArrowReaderMetadata,
    pub(super) columns: Arc<[FileColumn]>,
}

impl Footer {
    pub(super) fn read(blame: &Blame<'_>, file: &CheckedFile) -> Result<Self> {
        blame.guard(
            || "its footer".to_string(),
            || {
                let corrupt = |error: ParquetError| decoder_error(blame, "its footer", &error);
                let metadata =
                    ParquetMetaDataReader::new().parse_and_finish(file).map_err(corrupt)?;
                check_groups(&metadata, file.len()).map_err(|problem| blame.corrupt(problem))?;
                Self::new(metadata.into()).map_err(corrupt).and_then(|footer| {
                    footer.check_names(blame)?;
                    Ok(footer)
                })
            },
        )
    }

    fn new(metadata: Arc<ParquetMetaData>) -> ParquetResult<Self> {
        let as_stored =
            ArrowReaderMetadata::try_new(Arc::clone(&metadata), ArrowReaderOptions::new())?;
        let reader = with_schema(metadata, decoded_schema(as_stored.schema()).into())?;
        let columns = columns_of(&reader)?.into();
        Ok(Footer { reader, columns })
    }

    fn check_names(&self, blame: &Blame<'_>) -> Result<()> {
        let mut seen = std::collections::HashSet::new();
        match self.columns.iter().find(|column| !seen.insert(&column.name)) {
            Some(twice) => Err(blame.corrupt(format!("two columns are called {:?}", twice.name))),
            None => Ok(()),
        }
    }

    /// The same footer around metadata to which an index of pages was added.
    pub(super) fn with_metadata(&self, metadata: ParquetMetaData) -> ParquetResult<Self> {
        let reader = with_schema(metadata.into(), Arc::clone(self.reader.schema()))?;
        Ok(Footer { reader, columns: Arc::clone(&self.columns) })
    }

    pub(super) fn metadata(&self) -> &ParquetMetaData {
        self.reader.metadata()
    }

    pub(super) fn groups(&self) -> &[RowGroupMetaData] {
        self.metadata().row_groups()
    }

    pub(super) fn column(&self, name: &str) -> Option<&FileColumn> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Rows of a row group; `check_groups` saw that it is not negative.
    pub(super) fn group_rows(&self, group: usize) -> u64 {
        self.groups()[group].num_rows() as u64
    }
}

fn with_schema(
    metadata: Arc<ParquetMetaData>,
    schema: SchemaRef,
) -> ParquetResult<ArrowReaderMetadata> {
    ArrowReaderMetadata::try_new(metadata, ArrowReaderOptions::new().with_schema(schema))
}

/// What the decoder would assert or trust.
fn check_groups(metadata: &ParquetMetaData, file_bytes: u64) -> Result<(), String> {
    let mut rows: i64 = 0;
    for (i, group) in metadata.row_groups().iter().enumerate() {
        let problem = |problem: String| format!("row group {i}: {problem}");
        let n = group.num_rows();
        rows = (n >= 0)
            .then(|| rows.checked_add(n))
            .flatten()
            .ok_or_else(|| problem(format!("it has {n} rows")))?;
        for column in group.columns() {
            // The decoder asserts the signs of these, and stops in the middle at the end of the file.
            let start = column.dictionary_page_offset().unwrap_or(column.data_page_offset());
            let sizes =
                [start, column.compressed_size(), column.uncompressed_size(), column.num_values()];
            let end = u64::try_from(start).ok().zip(u64::try_from(column.compressed_size()).ok());
            let end = end.and_then(|(start, length)| start.checked_add(length));
            if sizes.iter().any(|&size| size < 0) || end.is_none_or(|end| end > file_bytes) {
                let name = column.column_path().string();
                let length = column.compressed_size();
                let at = format!("column {name:?} at {start}+{length} of {file_bytes} bytes");
                return Err(problem(at));
            }
        }
    }
    // The decoder makes batches no longer than this, be it no rows at all.
    let all = metadata.file_metadata().num_rows();
    if rows != all {
        return Err(format!("{rows} rows in its row groups, {all} in all"));
    }
    Ok(())
}

/// What the decoder says of a file, as an error of ours that names a place in it.
pub(super) fn decoder_error(blame: &Blame<'_>, place: &str, error: &ParquetError) -> Error {
    if let Some(error) = io_error_in(error) {
        return blame.io(error);
    }
    match error {
        ParquetError::NYI(feature) => {
            blame.unsupported(format!("{place}: {feature}"), "write it with another setting")
        }
        error => blame.corrupt(format!("{place}: {error}")),
    }
}
