//! Where in a file which messages are.
//!
//! A file ends with a list of them. A stream is walked once, over the headers of its messages, and is then read like
//! a file: in any order and batch by batch.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::convert::try_fb_to_schema;
use arrow::ipc::{
    Block, Message, MessageHeader, MetadataVersion, RecordBatch, root_as_footer, root_as_message,
};

use super::layout::{Place, places};
use super::lengths::place;
use crate::error::{Blame, Error, Result};

const MAGIC: &[u8; 6] = b"ARROW1";
const CONTINUATION: [u8; 4] = [0xFF; 4];

/// Compressed columns count as this many times their bytes.
const COMPRESSION_RATIO: u64 = 4;

/// More rows than polars can number.
const ROWS_MAX: i64 = u32::MAX as i64;

/// The messages of one file.
#[derive(Clone, Debug)]
pub(super) struct Index {
    pub(super) schema: SchemaRef,
    pub(super) version: MetadataVersion,
    /// Dictionaries of a file are all before its batches; those of a stream count for the batches after them.
    pub(super) dictionaries: Vec<Block>,
    /// Bytes of all dictionaries in memory, about.
    pub(super) dictionary_bytes: u64,
    pub(super) batches: Vec<Batch>,
}

/// One record batch.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    pub(super) block: Block,
    /// How many of the dictionaries count for it.
    pub(super) n_dictionaries: usize,
    pub(super) rows: u64,
    /// Bytes of each column, as they are in memory; those of compressed text are estimated.
    pub(super) bytes: Vec<u64>,
}

impl Index {
    /// Reads what describes the file, which has `bytes` bytes.
    pub(super) fn read(blame: &Blame<'_>, file: &mut File, bytes: u64) -> Result<Self> {
        blame.guard(
            || "its index".to_string(),
            || {
                let mut reader = Reader { blame, file, bytes };
                let start = reader.read(0, bytes.min(6))?;
                if start == MAGIC { reader.footer() } else { reader.walk() }
            },
        )
    }

    /// Whether some of these columns are, or have in them, numbers of entries in dictionaries.
    pub(super) fn needs_dictionaries(&self, columns: &[usize]) -> bool {
        self.schema.project(columns).is_ok_and(|schema| {
            let fields = schema.flattened_fields();
            fields.iter().any(|field| matches!(field.data_type(), DataType::Dictionary(..)))
        })
    }

    fn new(schema: Schema, version: MetadataVersion) -> Self {
        let (dictionaries, batches) = (Vec::new(), Vec::new());
        Index { schema: schema.into(), version, dictionaries, dictionary_bytes: 0, batches }
    }
}

struct Reader<'a> {
    blame: &'a Blame<'a>,
    file: &'a mut File,
    bytes: u64,
}

impl Reader<'_> {
    fn footer(&mut self) -> Result<Index> {
        // The magic and its padding, then at the end the length of the footer and the magic again.
        let tail = self.read(self.bytes.saturating_sub(10).max(8), 10)?;
        let (length, magic) = tail.split_at(4);
        let length = i32::from_le_bytes(length.try_into().expect("four bytes"));
        let footer_bytes = u64::try_from(length).ok().filter(|_| magic == MAGIC);
        let start = footer_bytes.and_then(|bytes| self.bytes.checked_sub(10 + bytes));
        let Some((start, footer_bytes)) = start.filter(|&start| start >= 8).zip(footer_bytes)
        else {
            return Err(self.blame.corrupt("its end is not that of a file; was it cut?"));
        };
        let footer = self.read(start, footer_bytes)?;
        let footer = root_as_footer(&footer).map_err(|error| self.corrupt("its footer", &error))?;
        let missing = || self.blame.corrupt("its footer has no schema");
        let schema = footer.schema().ok_or_else(missing)?;
        let mut index = Index::new(self.schema(schema)?, footer.version());
        for (i, block) in footer.dictionaries().into_iter().flatten().enumerate() {
            let place = format!("dictionary {i}");
            let message = self.message_of(block, &place)?;
            let message = self.parse(&message, &place, MessageHeader::DictionaryBatch)?;
            self.push_dictionary(&mut index, *block, &message, &place)?;
        }
        for (i, block) in footer.recordBatches().into_iter().flatten().enumerate() {
            let place = format!("batch {i}");
            let message = self.message_of(block, &place)?;
            let message = self.parse(&message, &place, MessageHeader::RecordBatch)?;
            self.push_batch(&mut index, *block, &message, &place)?;
        }
        Ok(index)
    }

    fn walk(&mut self) -> Result<Index> {
        let mut index: Option<Index> = None;
        let mut at = 0;
        while at < self.bytes {
            let place = format!("the message at byte {at}");
            let mut prefix = 4;
            let mut length = self.read(at, 4)?;
            if length == CONTINUATION {
                prefix = 8;
                length = self.read(at + 4, 4)?;
            }
            let length = i32::from_le_bytes(length.try_into().expect("four bytes"));
            if length == 0 {
                break;
            }
            let Some(metadata_bytes) = u64::try_from(length).ok().map(|length| length + prefix)
            else {
                return Err(self.blame.corrupt(format!("{place} has {length} bytes")));
            };
            let metadata = self.read(at, metadata_bytes)?;
            let message = root_as_message(&metadata[prefix as usize..])
                .map_err(|error| self.corrupt(&place, &error))?;
            let metadata_length = i32::try_from(metadata_bytes)
                .map_err(|_| self.blame.corrupt(format!("{place} has {length} bytes")))?;
            let block = Block::new(at as i64, metadata_length, message.bodyLength());
            let end = self.check(&block, &place)?;
            match (&mut index, message.header_type()) {
                (None, MessageHeader::Schema) => {
                    let missing = || self.blame.corrupt(format!("{place} has no schema"));
                    let schema = message.header_as_schema().ok_or_else(missing)?;
                    index = Some(Index::new(self.schema(schema)?, message.version()));
                }
                (Some(index), MessageHeader::DictionaryBatch) => {
                    self.push_dictionary(index, block, &message, &place)?;
                }
                (Some(index), MessageHeader::RecordBatch) => {
                    self.push_batch(index, block, &message, &place)?;
                }
                (_, header) => {
                    let problem = format!("{place} is a {header:?}, expected a stream of batches");
                    return Err(self.blame.corrupt(problem));
                }
            }
            at = end;
        }
        index.ok_or_else(|| self.blame.corrupt("it is empty"))
    }

    fn push_dictionary(
        &self,
        index: &mut Index,
        block: Block,
        message: &Message<'_>,
        place: &str,
    ) -> Result<()> {
        let batch = message.header_as_dictionary_batch().and_then(|batch| batch.data());
        let batch = batch.ok_or_else(|| self.corrupt(place, &"no values"))?;
        check_rows(&batch).map_err(|problem| self.corrupt(place, &problem))?;
        // What the decoder casts from is there too, and views of it.
        let body = (block.bodyLength() as u64).saturating_mul(ratio(&batch));
        index.dictionary_bytes = index.dictionary_bytes.saturating_add(body);
        index.dictionaries.push(block);
        Ok(())
    }

    fn push_batch(
        &self,
        index: &mut Index,
        block: Block,
        message: &Message<'_>,
        place: &str,
    ) -> Result<()> {
        let corrupt = |problem: String| self.corrupt(place, &problem);
        let batch = message.header_as_record_batch();
        let batch = batch.ok_or_else(|| corrupt("no record batch".to_string()))?;
        let rows = check_rows(&batch).map_err(corrupt)?;
        let bytes = column_bytes(index, &batch, block.bodyLength() as u64).map_err(corrupt)?;
        let n_dictionaries = index.dictionaries.len();
        index.batches.push(Batch { block, n_dictionaries, rows, bytes });
        Ok(())
    }

    fn schema(&self, schema: arrow::ipc::Schema<'_>) -> Result<Schema> {
        if !schema.endianness().equals_to_target_endianness() {
            let remedy = "write the file on a machine of the same byte order";
            return Err(self.blame.unsupported("a foreign byte order", remedy));
        }
        try_fb_to_schema(schema).map_err(|error: ArrowError| self.corrupt("its schema", &error))
    }

    /// The metadata of a message.
    fn message_of(&mut self, block: &Block, place: &str) -> Result<Vec<u8>> {
        self.check(block, place)?;
        self.read(block.offset() as u64, block.metaDataLength() as u64)
    }

    fn parse<'a>(
        &self,
        metadata: &'a [u8],
        place: &str,
        expected: MessageHeader,
    ) -> Result<Message<'a>> {
        let message = message(metadata).map_err(|problem| self.corrupt(place, &problem))?;
        if message.header_type() != expected {
            let got = message.header_type();
            return Err(self
                .blame
                .corrupt(format!("{place} is a {got:?}, expected a {expected:?}")));
        }
        Ok(message)
    }

    /// Where a message ends, which is in the file.
    fn check(&self, block: &Block, place: &str) -> Result<u64> {
        let (start, metadata, body) = (block.offset(), block.metaDataLength(), block.bodyLength());
        let end = || {
            let start = u64::try_from(start).ok()?;
            let metadata = u64::try_from(metadata).ok().filter(|&bytes| bytes >= 8)?;
            start.checked_add(metadata)?.checked_add(u64::try_from(body).ok()?)
        };
        end().filter(|&end| end <= self.bytes).ok_or_else(|| {
            let bytes = self.bytes;
            self.blame.corrupt(format!("{place} at {start}+{metadata}+{body} of {bytes} bytes"))
        })
    }

    /// Some bytes, which have to be in the file.
    fn read(&mut self, start: u64, bytes: u64) -> Result<Vec<u8>> {
        if start.checked_add(bytes).is_none_or(|end| end > self.bytes) {
            let all = self.bytes;
            return Err(self
                .blame
                .corrupt(format!("bytes {start}+{bytes} of a file of {all} bytes")));
        }
        let mut buffer = vec![0; bytes as usize];
        let read = self.file.seek(SeekFrom::Start(start));
        let read = read.and_then(|_| self.file.read_exact(&mut buffer));
        read.map_err(|error: io::Error| self.blame.io(error))?;
        Ok(buffer)
    }

    fn corrupt(&self, place: &str, error: &impl ToString) -> Error {
        self.blame.corrupt(format!("{place}: {}", error.to_string()))
    }
}

/// The message in the metadata of a block, which begins with a length that the block has too.
pub(super) fn message(metadata: &[u8]) -> Result<Message<'_>, String> {
    let prefix = if metadata.starts_with(&CONTINUATION) { 8 } else { 4 };
    let message = metadata.get(prefix..).ok_or("it is too short")?;
    root_as_message(message).map_err(|error| error.to_string())
}

/// The rows of a batch, where neither it nor the lists in it have more than polars can number: columns of nothing but
/// null have no bytes that could contradict.
fn check_rows(batch: &RecordBatch<'_>) -> Result<u64, String> {
    let nodes = batch.nodes().into_iter().flatten().map(|node| node.length());
    match std::iter::once(batch.length()).chain(nodes).find(|rows| !(0..=ROWS_MAX).contains(rows)) {
        None => Ok(batch.length() as u64),
        Some(rows) => Err(format!("{rows} rows")),
    }
}

/// How many bytes of memory a byte of the body becomes, about.
fn ratio(batch: &RecordBatch<'_>) -> u64 {
    if batch.compression().is_some() { COMPRESSION_RATIO } else { 1 }
}

fn column_bytes(index: &Index, batch: &RecordBatch<'_>, body: u64) -> Result<Vec<u64>, String> {
    let ratio = ratio(batch);
    let Some(columns) = places(&index.schema, batch, index.version) else {
        return Ok(vec![body.saturating_mul(ratio); index.schema.fields().len()]);
    };
    let mut lengths = Vec::new();
    for buffer in batch.buffers().into_iter().flatten() {
        let (start, end) = place(buffer, body)?;
        lengths.push((end - start).saturating_mul(ratio));
    }
    let bytes = |column: Place| {
        let text = column.text.into_iter().flat_map(|buffers| &lengths[buffers]).copied();
        text.fold(column.fixed_bytes, u64::saturating_add)
    };
    Ok(columns.into_iter().map(bytes).collect())
}
