//! Reading one part: which row groups and pages, then batches, then one frame.

use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReaderBuilder, RowSelection, RowSelector};
use polars_core::prelude::{Column, DataFrame, DataType, PlSmallStr};

use super::super::Request;
use super::bounds::Bounds;
use super::file::{CheckedFile, Footer, TAIL_BYTES, decoder_error};
use super::places;
use super::plan::{Piece, Share};
use super::prune;
use super::schema::{FileColumn, import, is_lossless};
use super::source::ParquetFiles;
use crate::error::{Blame, Result};
use crate::storage::io_error_in;

/// Measured: batches of a million rows take twice as long as those of 8 to 64 thousand, which stay in the
/// cache.
const BATCH_ROWS: usize = 64 << 10;

/// Rows of each batch of `n_rows`. The decoder makes room for whole batches, and keeps it however few rows come.
fn batch_rows(n_rows: usize) -> usize {
    n_rows.div_ceil(n_rows.div_ceil(BATCH_ROWS).max(1)).max(1)
}

/// What is read of one file.
pub(super) struct Choice {
    pub(super) footer: Footer,
    pub(super) groups: Vec<usize>,
    /// Of the rows of these row groups, one after the other.
    pub(super) selection: Option<RowSelection>,
}

impl Choice {
    pub(super) fn rows(&self) -> u64 {
        match &self.selection {
            Some(selection) => selection.row_count() as u64,
            None => self.groups.iter().map(|&group| self.footer.group_rows(group)).sum(),
        }
    }
}

impl ParquetFiles {
    pub(super) fn read_part(&self, part: usize, request: &Request) -> Result<DataFrame> {
        // Rows that are left out by conditions do not count, and only the filter knows which do.
        let limit = request.n_rows_max.filter(|_| request.conditions.is_empty());
        let mut left = limit.unwrap_or(u64::MAX);
        let mut frame: Option<DataFrame> = None;
        for piece in self.pieces(part) {
            if left == 0 {
                break;
            }
            let Some(more) = self.read_piece(piece, request, left)? else { continue };
            left = left.saturating_sub(more.height() as u64);
            append(&mut frame, more, &self.blame(piece.file))?;
        }
        let Some(mut frame) = frame else { return self.empty(&request.columns) };
        frame.rechunk_mut();
        Ok(frame)
    }

    /// The rows of a piece; None if conditions rule out all of them.
    fn read_piece(
        &self,
        piece: &Piece,
        request: &Request,
        limit: u64,
    ) -> Result<Option<DataFrame>> {
        let blame = self.blame(piece.file);
        let place = format!("{:?}", piece.share);
        blame.guard(
            || place.clone(),
            || {
                let Some(choice) = self.choose(piece, request)? else { return Ok(None) };
                let columns = self.file_columns(&choice.footer, request, &blame)?;
                let height = choice.rows().min(limit);
                let mut frame = if columns.is_empty() {
                    DataFrame::empty_with_height(height as usize)
                } else {
                    self.decode(piece, &choice, &columns, height)?
                };
                self.conform(&mut frame, piece.file, request, &blame)?;
                Ok(Some(frame))
            },
        )
    }

    /// What has to be read of a piece; None for nothing.
    pub(super) fn choose(&self, piece: &Piece, request: &Request) -> Result<Option<Choice>> {
        let blame = self.blame(piece.file);
        let conditions = &request.conditions;
        for condition in conditions.iter() {
            let value = self.files.hive.value(&condition.column, piece.file);
            if value.is_some_and(|value| !Bounds::of_value(&value, 1).may_fulfil(0, condition)) {
                return Ok(None);
            }
        }
        // What is in the file under the name of a key is not what the column has.
        let conditions: Vec<_> = conditions
            .iter()
            .filter(|condition| !self.files.hive.contains(&condition.column))
            .cloned()
            .collect();
        let mut file = self.files.files[piece.file].open(&blame)?;
        let known = self.known_footer(piece.file);
        if known.is_none() {
            let end = file.len();
            let tail = file.prefetch(std::iter::once(end.saturating_sub(TAIL_BYTES)..end));
            tail.map_err(|error| blame.io(error))?;
        }
        let file = CheckedFile::new(file);
        let footer = match known {
            Some(footer) => Footer::clone(footer),
            None => Footer::read(&blame, &file)?,
        };
        let all: Vec<usize> = match &piece.share {
            Share::Groups(groups) => groups.clone().collect(),
            Share::Rows { group, .. } => vec![*group],
            Share::Bytes(bytes) => (0..footer.groups().len())
                .filter(|&group| bytes.contains(&middle_of(&footer, group)))
                .collect(),
        };
        let groups = prune::by_statistics(&footer, all, &conditions, &self.schema);
        let index_error = |error| decoder_error(&blame, "its indexes", &error);
        let groups = prune::by_bloom_filters(&footer, &file, groups, &conditions, &self.schema)
            .map_err(index_error)?;
        if groups.is_empty() {
            return Ok(None);
        }
        let leaves = self.file_columns(&footer, request, &blame)?;
        let leaves: Vec<usize> = leaves.iter().flat_map(|column| column.leaves.clone()).collect();
        let pages = prune::by_pages(&footer, &file, &groups, &leaves, &conditions, &self.schema)
            .map_err(index_error)?;
        let (footer, mut selection) = match pages {
            Some((footer, selection)) => (footer, Some(selection)),
            None => (footer, None),
        };
        if let Share::Rows { group, rows } = &piece.share {
            // To the last row: an intersection keeps what only one of the two says something of.
            let share = RowSelection::from(vec![
                RowSelector::skip(rows.start as usize),
                RowSelector::select((rows.end - rows.start) as usize),
                RowSelector::skip((footer.group_rows(*group) - rows.end) as usize),
            ]);
            selection = Some(match selection {
                Some(selection) => selection.intersection(&share),
                None => share,
            });
        }
        let choice = Choice { footer, groups, selection };
        Ok((conditions.is_empty() || choice.rows() > 0).then_some(choice))
    }

    /// The requested columns that are in the file.
    fn file_columns<'a>(
        &self,
        footer: &'a Footer,
        request: &Request,
        blame: &Blame<'_>,
    ) -> Result<Vec<&'a FileColumn>> {
        let own = request.columns.iter().filter(|name| !self.files.hive.contains(name));
        own.map(|name| {
            let column = footer.column(name).ok_or_else(|| {
                let remedy = "all files need the columns of the first one";
                blame.unsupported(format!("a file without the column {name:?}"), remedy)
            })?;
            let refused = |dtype: &str| {
                let remedy = "leave the column out with select()";
                blame.unsupported(format!("column {name:?} with {dtype}"), remedy)
            };
            let got = column.dtype.as_ref().map_err(|dtype| refused(dtype))?;
            let expected = self.schema.get(name).unwrap_or(&DataType::Null);
            if !is_lossless(got, expected) {
                let feature = format!("column {name:?} with dtype {got}, expected {expected}");
                return Err(
                    blame.unsupported(feature, "all files need the dtypes of the first one")
                );
            }
            Ok(column)
        })
        .collect()
    }

    fn decode(
        &self,
        piece: &Piece,
        choice: &Choice,
        columns: &[&FileColumn],
        height: u64,
    ) -> Result<DataFrame> {
        let blame = self.blame(piece.file);
        let place = format!("row groups {:?}", choice.groups);
        let mut file = self.files.files[piece.file].open(&blame)?;
        let leaves: Vec<usize> = columns.iter().flat_map(|column| column.leaves.clone()).collect();
        if file.is_remote() {
            let fetched = file.prefetch(places::of_choice(choice, &leaves, height));
            fetched.map_err(|error| blame.io(error))?;
        }
        let file = CheckedFile::new(file);
        let roots = columns.iter().map(|column| column.root);
        let mask = ProjectionMask::roots(choice.footer.reader.parquet_schema(), roots);
        let limit = usize::try_from(height).unwrap_or(usize::MAX);
        let mut builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(file, choice.footer.reader.clone())
                .with_batch_size(batch_rows(limit))
                .with_row_groups(choice.groups.clone())
                .with_projection(mask)
                .with_limit(limit);
        if let Some(selection) = &choice.selection {
            builder = builder.with_row_selection(selection.clone());
        }
        let reader = builder.build().map_err(|error| decoder_error(&blame, &place, &error))?;
        let mut frame: Option<DataFrame> = None;
        for batch in reader {
            let batch = batch.map_err(|error| match io_error_in(&error) {
                Some(error) => blame.io(error),
                None => blame.corrupt(format!("{place}: {error}")),
            })?;
            let more = import(&batch, columns)
                .map_err(|problem| blame.corrupt(format!("{place}: {problem}")))?;
            append(&mut frame, more, &blame)?;
        }
        let got = frame.as_ref().map_or(0, DataFrame::height) as u64;
        if got != height {
            return Err(blame.corrupt(format!("{place}: {got} rows, expected {height}")));
        }
        Ok(match frame {
            Some(frame) => frame,
            None => {
                let own = columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>();
                self.empty(&own)?
            }
        })
    }

    /// Brings what a file has into the order and dtypes of the request, and adds what its directories say.
    fn conform(
        &self,
        frame: &mut DataFrame,
        file: usize,
        request: &Request,
        blame: &Blame<'_>,
    ) -> Result<()> {
        let height = frame.height();
        let column = |name: &PlSmallStr| {
            if let Some(value) = self.files.hive.value(name, file) {
                return Ok(Column::new_scalar(name.clone(), value, height));
            }
            let column = frame.column(name)?;
            let dtype = self.schema.get(name).unwrap_or(column.dtype());
            if column.dtype() == dtype { Ok(column.clone()) } else { column.strict_cast(dtype) }
        };
        let columns = request.columns.iter().map(column).collect::<Result<Vec<_>, _>>();
        let conformed = columns.and_then(|columns| DataFrame::new(height, columns));
        *frame = conformed.map_err(|error| blame.corrupt(error.to_string()))?;
        Ok(())
    }

    /// No rows of these columns.
    fn empty(&self, columns: &[PlSmallStr]) -> Result<DataFrame> {
        let columns = columns.iter().map(|name| {
            let dtype = self.schema.get(name).unwrap_or(&DataType::Null);
            Column::full_null(name.clone(), 0, dtype)
        });
        let frame = DataFrame::new(0, columns.collect());
        frame.map_err(|error| self.blame(0).corrupt(error.to_string()))
    }
}

/// The byte of the file that is in the middle of a row group. Each is in one share of the file.
fn middle_of(footer: &Footer, group: usize) -> u64 {
    let ranges = footer.groups()[group].columns().iter().map(|column| column.byte_range());
    let (start, end) = ranges.fold((u64::MAX, 0), |(start, end), (first, length)| {
        (start.min(first), end.max(first + length))
    });
    if start < end { start + (end - start) / 2 } else { 0 }
}

fn append(frame: &mut Option<DataFrame>, more: DataFrame, blame: &Blame<'_>) -> Result<()> {
    match frame {
        Some(frame) if frame.width() == 0 => {
            // Stacking frames without columns forgets their heights.
            *frame = DataFrame::empty_with_height(frame.height() + more.height());
        }
        Some(frame) => {
            frame.vstack_mut_owned(more).map_err(|error| blame.corrupt(error.to_string()))?;
        }
        None => *frame = Some(more),
    }
    Ok(())
}
