//! From pages to batches: the columns of a filter first, and of the others only the rows that it keeps.
//!
//! A row group without wanted rows costs no more than the columns of the filter. Whether rows between wanted ones are
//! passed over, or decoded and dropped, is up to the decoder, which looks at how long the gaps are.

use arrow::array::BooleanBufferBuilder;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection,
};
use polars_core::prelude::{
    BooleanChunked, Column, DataFrame, PlSmallStr, PolarsError, PolarsResult,
};

use super::super::{Each, RowFilter, filtered};
use super::file::{CheckedFile, Footer, decoder_error};
use super::places;
use super::schema::{FileColumn, import};
use super::source::ParquetFiles;
use crate::error::{Blame, Error, Result};
use crate::storage::io_error_in;

/// Measured: batches of a million rows take twice as long as those of 8 to 64 thousand, which stay in the
/// cache.
pub(super) const BATCH_ROWS: usize = 64 << 10;

/// Rows of each batch of `n_rows`. The decoder makes room for whole batches, and keeps it however few rows come.
fn batch_rows(n_rows: usize, max: usize) -> usize {
    n_rows.div_ceil(n_rows.div_ceil(max).max(1)).max(1)
}

/// Some rows of some row groups.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    pub(super) groups: Vec<usize>,
    /// Of the rows of these groups, one after the other.
    pub(super) selection: Option<RowSelection>,
}

impl Rows {
    pub(super) fn len(&self, footer: &Footer) -> u64 {
        match &self.selection {
            Some(selection) => selection.row_count() as u64,
            None => self.groups.iter().map(|&group| footer.group_rows(group)).sum(),
        }
    }

    /// The same rows, those of each group alone.
    pub(super) fn by_group(mut self, footer: &Footer) -> impl Iterator<Item = Rows> {
        std::mem::take(&mut self.groups).into_iter().map(move |group| {
            let selection = &mut self.selection;
            let selection =
                selection.as_mut().map(|all| all.split_off(footer.group_rows(group) as usize));
            Rows { groups: vec![group], selection }
        })
    }

    /// Those of these rows that are marked.
    fn marked(self, marks: BooleanBufferBuilder) -> Rows {
        let mut marks = marks;
        let marked = RowSelection::from_boolean_buffer(marks.finish());
        let selection = match self.selection {
            Some(selection) => selection.and_then(&marked),
            None => marked,
        };
        Rows { selection: Some(selection), ..self }
    }
}

/// A file, and what it is asked for.
pub(super) struct Decoder<'a> {
    pub(super) files: &'a ParquetFiles,
    pub(super) file: usize,
    pub(super) footer: &'a Footer,
}

impl Decoder<'_> {
    /// Decodes these columns of the first `limit` of these rows; returns how many rows that are.
    pub(super) fn decode(
        &self,
        columns: &[PlSmallStr],
        rows: Rows,
        limit: u64,
        batch_rows_max: usize,
        each: Each<'_>,
    ) -> Result<u64> {
        let blame = self.files.blame(self.file);
        let height = rows.len(self.footer).min(limit);
        let own = self.files.file_columns(self.footer, columns, &blame)?;
        let conform = |frame: &DataFrame| self.files.conform(frame, self.file, columns);
        if own.is_empty() {
            each(conform(&DataFrame::empty_with_height(height as usize))?)?;
            return Ok(height);
        }
        let place = format!("row groups {:?}", rows.groups);
        let guard = || place.clone();
        let mut reader = blame
            .guard(guard, || self.reader(&own, rows, height, batch_rows_max, &place, &blame))?;
        let mut got = 0;
        while let Some(frame) = blame.guard(guard, || match reader.next() {
            None => Ok(None),
            Some(batch) => {
                let batch = batch.map_err(|error| match io_error_in(&error) {
                    Some(error) => blame.io(error),
                    None => blame.corrupt(format!("{place}: {error}")),
                })?;
                let frame = import(&batch, &own);
                let frame =
                    frame.map_err(|problem| blame.corrupt(format!("{place}: {problem}")))?;
                conform(&frame).map(Some)
            }
        })? {
            got += frame.height() as u64;
            each(frame)?;
        }
        match got == height {
            true => Ok(got),
            false => Err(blame.corrupt(format!("{place}: {got} rows, expected {height}"))),
        }
    }

    fn reader(
        &self,
        columns: &[&FileColumn],
        rows: Rows,
        limit: u64,
        batch_rows_max: usize,
        place: &str,
        blame: &Blame<'_>,
    ) -> Result<ParquetRecordBatchReader> {
        let mut file = self.files.files.files[self.file].open(blame)?;
        if file.is_remote() {
            let leaves: Vec<usize> =
                columns.iter().flat_map(|column| column.leaves.clone()).collect();
            let fetched = file.prefetch(places::of_rows(self.footer, &rows, &leaves, limit));
            fetched.map_err(|error| blame.io(error))?;
        }
        let roots = columns.iter().map(|column| column.root);
        let mask = ProjectionMask::roots(self.footer.reader.parquet_schema(), roots);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let metadata = self.footer.reader.clone();
        let mut builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(CheckedFile::new(file), metadata)
                .with_batch_size(batch_rows(limit, batch_rows_max))
                .with_row_groups(rows.groups)
                .with_projection(mask)
                .with_limit(limit);
        if let Some(selection) = rows.selection {
            builder = builder.with_row_selection(selection);
        }
        builder.build().map_err(|error| decoder_error(blame, place, &error))
    }

    /// Decodes these columns of those of the rows of a row group that `filter` keeps; returns how many rows it looked at.
    pub(super) fn decode_kept(
        &self,
        columns: &[PlSmallStr],
        filter: &dyn RowFilter,
        rows: Rows,
        each: Each<'_>,
    ) -> Result<u64> {
        if rows.len(self.footer) == 0 {
            return Ok(0);
        }
        let (known, others): (Vec<PlSmallStr>, Vec<PlSmallStr>) =
            columns.iter().cloned().partition(|name| filter.columns().contains(name));
        if others.is_empty() {
            return self.decode(filter.columns(), rows, u64::MAX, BATCH_ROWS, &mut |frame| {
                each(filtered(&frame, columns, filter)?)
            });
        }
        let mut seen = Seen::new(known);
        let n_rows =
            self.decode(filter.columns(), rows.clone(), u64::MAX, BATCH_ROWS, &mut |frame| {
                seen.add(&frame, &filter.mask(&frame)?).map_err(|error| self.corrupt(&error))
            })?;
        let Seen { columns: known, n_kept, marks, .. } = seen;
        if n_kept == 0 {
            return Ok(n_rows);
        }
        let wanted = if n_kept as u64 == n_rows { rows } else { rows.marked(marks) };
        // What is decoded and dropped again is in a batch too, for a moment.
        let share = n_kept as f64 / n_rows as f64;
        let batch_rows_max = ((BATCH_ROWS as f64 * share) as usize).max(1);
        let known: Vec<Column> = known.into_iter().map(|column| column.rechunk()).collect();
        let mut at = 0;
        self.decode(&others, wanted, u64::MAX, batch_rows_max, &mut |frame| {
            let n = frame.height();
            let mut all = frame.into_columns();
            all.extend(known.iter().map(|column| column.slice(at as i64, n)));
            at += n;
            let frame = DataFrame::new(n, all).and_then(|all| all.select(columns.iter().cloned()));
            each(frame.map_err(|error| self.corrupt(&error))?)
        })?;
        Ok(n_rows)
    }

    fn corrupt(&self, error: &PolarsError) -> Error {
        self.files.blame(self.file).corrupt(error.to_string())
    }
}

/// What the columns of a filter say of the rows of a row group.
struct Seen {
    names: Vec<PlSmallStr>,
    /// The columns of these names, of the rows that are kept.
    columns: Vec<Column>,
    marks: BooleanBufferBuilder,
    n_kept: usize,
}

impl Seen {
    fn new(names: Vec<PlSmallStr>) -> Self {
        Seen { names, columns: Vec::new(), marks: BooleanBufferBuilder::new(0), n_kept: 0 }
    }

    fn add(&mut self, frame: &DataFrame, mask: &BooleanChunked) -> PolarsResult<()> {
        for array in mask.downcast_iter() {
            let (bytes, start, n) = array.values().as_slice();
            self.marks.append_packed_range(start..start + n, bytes);
        }
        self.n_kept += mask.num_trues();
        for (i, name) in self.names.iter().enumerate() {
            let kept = frame.column(name)?.filter(mask)?;
            match self.columns.get_mut(i) {
                Some(column) => {
                    column.append_owned(kept)?;
                }
                None => self.columns.push(kept),
            }
        }
        Ok(())
    }
}
