//! Text files as one frame in parts, whatever their format.

use std::fmt::Debug;

use arrow::array::RecordBatch;
use polars_core::prelude::{Column, DataFrame, DataType, PlSmallStr, SchemaRef};

use super::super::{Each, Request, RowFilter, Source, filtered, gathered, with_columns_of};
use super::files::TextFiles;
use super::slabs::Slab;
use crate::error::{Error, Result};
use crate::frame::interop::from_record_batch;

/// Bytes of a slab, of a copy of it, and of what a decoder holds of a batch.
const SCRATCH_BYTES: u64 = 8 << 20;

/// Rows of text files, in the order of the files.
#[derive(Debug)]
pub(crate) struct TextSource<F> {
    pub(in super::super) files: TextFiles,
    pub(in super::super) format: F,
    schema: SchemaRef,
    /// Bytes of memory for 1024 bytes of text, for each column.
    weights: Vec<u64>,
}

/// How text becomes columns.
pub(crate) trait Decode: Send + Sync + Debug {
    /// The rows of some columns, given by their numbers. The slab is the first of its file if `is_first`.
    fn decode(
        &self,
        slab: Slab<'_>,
        columns: &[usize],
        is_first: bool,
    ) -> Result<Vec<RecordBatch>, Refused>;
}

/// What a decoder can't take, and where in the slab it is.
pub(crate) struct Refused {
    pub(in super::super) offset: usize,
    pub(in super::super) problem: String,
}

impl<F: Decode> TextSource<F> {
    /// The files, whose first one begins with the records `head`.
    pub(in super::super) fn new(
        files: TextFiles,
        format: F,
        schema: SchemaRef,
        head: &str,
    ) -> Self {
        let mut source = TextSource { files, format, schema, weights: Vec::new() };
        source.weights = source.weigh(head);
        source
    }

    /// How large the columns of a text become; where it does not decode, each as if it were all of the text.
    fn weigh(&self, text: &str) -> Vec<u64> {
        let all: Vec<usize> = (0..self.schema.len()).collect();
        let frame = self.frame(0, Slab { text, at: 0 }, &all, true).ok();
        let weight = |column: &Column| {
            let bytes = column.as_materialized_series().estimated_size() as u64;
            (bytes * 1024).div_ceil(text.len().max(1) as u64).max(1)
        };
        match frame.filter(|frame| frame.height() > 0) {
            Some(frame) => frame.columns().iter().map(weight).collect(),
            None => vec![1024; all.len()],
        }
    }

    fn read_part(
        &self,
        part: usize,
        request: &Request,
        filter: Option<&dyn RowFilter>,
        each: Each<'_>,
    ) -> Result<()> {
        let (file, mut is_first) = self.files.file_of(part);
        let columns = match filter {
            Some(filter) => self.positions(&with_columns_of(filter, request), file)?,
            None => self.positions(&request.columns, file)?,
        };
        // Rows that are left out by conditions do not count, and only the filter knows which do.
        let limit = request.n_rows_max.filter(|_| request.conditions.is_empty());
        let mut left =
            limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let mut slabs = self.files.slabs(part)?;
        let mut is_empty = true;
        while left > 0 {
            let Some(slab) = slabs.next()? else { break };
            let mut frame = self.frame(file, slab, &columns, is_first)?;
            if frame.height() > left {
                frame = frame.slice(0, left);
            }
            left -= frame.height();
            (is_first, is_empty) = (false, false);
            each(match filter {
                Some(filter) => filtered(&frame, &request.columns, filter)?,
                None => frame,
            })?;
        }
        match is_empty {
            true => each(self.empty(&columns[..request.columns.len()])),
            false => Ok(()),
        }
    }

    fn positions(&self, columns: &[PlSmallStr], file: usize) -> Result<Vec<usize>> {
        let position = |name: &PlSmallStr| {
            self.schema.index_of(name).ok_or_else(|| Error::UnknownColumn {
                call: self.files.blame(file).call,
                got: name.to_string(),
                columns: self.schema.iter_names().map(PlSmallStr::to_string).collect(),
            })
        };
        columns.iter().map(position).collect()
    }

    /// The rows of a slab.
    fn frame(
        &self,
        file: usize,
        slab: Slab<'_>,
        columns: &[usize],
        is_first: bool,
    ) -> Result<DataFrame> {
        let blame = self.files.blame(file);
        let place = || format!("the records at byte {}", slab.at);
        blame.guard(place, || {
            let batches = self.format.decode(slab, columns, is_first);
            let batches = batches.map_err(|Refused { offset, problem }| {
                match self.files.line_at(file, slab.at + offset as u64) {
                    Ok(line) => blame.corrupt(format!("line {line}: {problem}")),
                    Err(error) => error,
                }
            })?;
            let failed = |problem: String| blame.corrupt(format!("{}: {problem}", place()));
            let mut frame = self.empty(columns);
            for batch in batches {
                let more = from_record_batch(&batch).and_then(|more| self.conform(more, columns));
                append(&mut frame, more.map_err(failed)?).map_err(failed)?;
            }
            Ok(frame)
        })
    }

    /// Casts what is decoded as something else first.
    fn conform(&self, frame: DataFrame, columns: &[usize]) -> Result<DataFrame, String> {
        let height = frame.height();
        let cast = |(column, &i): (Column, &usize)| {
            let (_, dtype) = self.column(i);
            if column.dtype() == &dtype { Ok(column) } else { column.strict_cast(&dtype) }
        };
        let cast = frame.into_columns().into_iter().zip(columns).map(cast);
        let cast = cast.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
        DataFrame::new(height, cast).map_err(|error| error.to_string())
    }

    fn empty(&self, columns: &[usize]) -> DataFrame {
        DataFrame::empty_with_schema(&columns.iter().map(|&i| self.column(i)).collect())
    }

    fn column(&self, i: usize) -> (PlSmallStr, DataType) {
        let column = self.schema.get_at_index(i);
        let (name, dtype) = column.expect("positions are looked up in the schema");
        (name.clone(), dtype.clone())
    }
}

impl<F: Decode> Source for TextSource<F> {
    fn name(&self) -> String {
        self.files.name().to_string()
    }

    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn n_parts(&self) -> usize {
        self.files.n_parts()
    }

    fn n_rows(&self, _part: usize) -> Option<u64> {
        None
    }

    fn nbytes(&self, part: usize, columns: &[PlSmallStr]) -> u64 {
        let weight = |name: &PlSmallStr| self.schema.index_of(name).map_or(0, |i| self.weights[i]);
        let bytes = columns.iter().map(weight).sum::<u64>();
        let bytes = u128::from(self.files.text_bytes(part)) * u128::from(bytes) / 1024;
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }

    fn scratch_bytes(&self, part: usize, columns: &[PlSmallStr]) -> u64 {
        // The pieces are there until they are one.
        let reading = SCRATCH_BYTES + self.files.scratch_bytes(part);
        self.nbytes(part, columns).saturating_add(reading)
    }

    fn version(&self) -> Option<String> {
        let files = self.files.version()?;
        Some(format!("{} {:?} {:?} {files}", self.name(), self.schema, self.format))
    }

    fn may_gather(&self, _request: &Request, _filter: Option<&dyn RowFilter>) -> bool {
        false
    }

    fn read(&self, part: usize, request: &Request) -> Result<DataFrame> {
        gathered(|each| self.read_part(part, request, None, each))
    }

    fn read_batches(
        &self,
        part: usize,
        request: &Request,
        filter: Option<&dyn RowFilter>,
        each: Each<'_>,
    ) -> Result<()> {
        self.read_part(part, request, filter, each)
    }
}

fn append(frame: &mut DataFrame, more: DataFrame) -> Result<(), String> {
    if frame.width() == 0 {
        // Stacking frames without columns forgets their heights.
        *frame = DataFrame::empty_with_height(frame.height() + more.height());
        return Ok(());
    }
    if frame.height() == 0 {
        *frame = more;
        return Ok(());
    }
    frame.vstack_mut_owned(more).map(|_| ()).map_err(|error| error.to_string())
}
