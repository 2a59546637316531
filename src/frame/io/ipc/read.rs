//! Reading record batches: the bytes of the wanted columns, then the decoder.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::buffer::MutableBuffer;
use arrow::ipc::reader::FileDecoder;
use arrow::ipc::{Block, RecordBatch as BatchHeader};

use super::index::{Index, message};
use super::layout::places;
use super::lengths::{check_uncompressed, place};
use crate::error::{Blame, Error, Result};
use crate::storage::{Readable, merged};

/// Decodes batches of one file, in the order of the file.
pub(super) struct Batches<'a> {
    blame: Blame<'a>,
    file: Readable,
    index: &'a Index,
    columns: Vec<usize>,
    decoder: FileDecoder,
    /// Dictionaries that the decoder has, or would have if a column needed them.
    n_dictionaries: usize,
    needs_dictionaries: bool,
}

impl<'a> Batches<'a> {
    pub(super) fn new(
        blame: Blame<'a>,
        file: Readable,
        index: &'a Index,
        columns: &[usize],
    ) -> Self {
        let columns = columns.to_vec();
        let decoder = FileDecoder::new(Arc::clone(&index.schema), index.version)
            .with_projection(columns.clone());
        let needs_dictionaries = index.needs_dictionaries(&columns);
        Batches { blame, file, index, columns, decoder, n_dictionaries: 0, needs_dictionaries }
    }

    /// The batch of this number; numbers have to grow from call to call.
    pub(super) fn read(&mut self, number: usize) -> Result<RecordBatch> {
        let (blame, batch) = (self.blame, &self.index.batches[number]);
        while self.needs_dictionaries && self.n_dictionaries < batch.n_dictionaries {
            let what = format!("dictionary {}", self.n_dictionaries);
            let block = self.index.dictionaries[self.n_dictionaries];
            blame.guard(|| what.clone(), || self.read_dictionary(&block, &what))?;
            self.n_dictionaries += 1;
        }
        let what = format!("batch {number}");
        let decoded = blame.guard(|| what.clone(), || self.read_batch(&batch.block, &what))?;
        if decoded.num_rows() as u64 != batch.rows {
            let (got, expected) = (decoded.num_rows(), batch.rows);
            return Err(blame.corrupt(format!("{what}: {got} rows, expected {expected}")));
        }
        Ok(decoded)
    }

    fn read_dictionary(&mut self, block: &Block, what: &str) -> Result<()> {
        let buffer = self.read_block(block, what, |_| None)?;
        let read = self.decoder.read_dictionary(block, &buffer.into());
        read.map_err(|error| self.corrupt(what, &error))
    }

    fn read_batch(&mut self, block: &Block, what: &str) -> Result<RecordBatch> {
        let (index, columns) = (self.index, self.columns.clone());
        let wanted = |header: &BatchHeader<'_>| {
            let places = places(&index.schema, header, index.version)?;
            Some(columns.iter().flat_map(|&i| places[i].buffers.clone()).collect())
        };
        let buffer = self.read_block(block, what, wanted)?;
        let batch = self.decoder.read_record_batch(block, &buffer.into());
        let batch = batch.map_err(|error| self.corrupt(what, &error))?;
        batch.ok_or_else(|| self.corrupt(what, &"no batch"))
    }

    /// A message with some buffers of its body, or all if `wanted` does not know. What is not read stays zero and
    /// takes no memory: the system gives pages when they are written to.
    fn read_block(
        &mut self,
        block: &Block,
        what: &str,
        wanted: impl FnOnce(&BatchHeader<'_>) -> Option<Vec<usize>>,
    ) -> Result<MutableBuffer> {
        // The index has seen that these are in the file.
        let metadata_bytes = block.metaDataLength() as u64;
        let (start, body_bytes) =
            (block.offset() as u64 + metadata_bytes, block.bodyLength() as u64);
        let mut buffer = MutableBuffer::from_len_zeroed((metadata_bytes + body_bytes) as usize);
        let (metadata, body) = buffer.split_at_mut(metadata_bytes as usize);
        self.fill(block.offset() as u64, metadata)?;

        let message = message(metadata).map_err(|problem| self.corrupt(what, &problem))?;
        let dictionary = message.header_as_dictionary_batch().and_then(|batch| batch.data());
        let header = message.header_as_record_batch().or(dictionary);
        let Some((header, buffers)) = header.and_then(|header| Some((header, header.buffers()?)))
        else {
            return Err(self.corrupt(what, &"no batch"));
        };
        let wanted = wanted(&header).unwrap_or_else(|| (0..buffers.len()).collect());
        let ranges: Result<Vec<_>, String> =
            wanted.into_iter().map(|i| place(buffers.get(i), body_bytes)).collect();
        let ranges = ranges.map_err(|problem| self.corrupt(what, &problem))?;
        // Padding between two of them is read along.
        let pieces = merged(ranges.iter().map(|&(from, to)| from..to), 4 << 10);
        let in_file = |range: &Range<u64>| start + range.start..start + range.end;
        self.prefetch(pieces.iter().map(in_file))?;
        for range in pieces {
            self.fill(start + range.start, &mut body[range.start as usize..range.end as usize])?;
        }
        self.prefetch([])?;
        for (from, to) in ranges {
            check_uncompressed(&header, &body[from as usize..to as usize])
                .map_err(|problem| self.corrupt(what, &problem))?;
        }
        Ok(buffer)
    }

    fn corrupt(&self, what: &str, problem: &impl ToString) -> Error {
        self.blame.corrupt(format!("{what}: {}", problem.to_string()))
    }

    fn prefetch(&mut self, ranges: impl IntoIterator<Item = Range<u64>>) -> Result<()> {
        self.file.prefetch(ranges).map_err(|error| self.blame.io(error))
    }

    fn fill(&self, start: u64, bytes: &mut [u8]) -> Result<()> {
        self.file.read_exact_at(bytes, start).map_err(|error| self.blame.io(error))
    }
}
