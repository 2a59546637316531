//! Reading one part: which row groups and pages, then batches of rows.

use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use polars_core::prelude::{Column, DataFrame, DataType, PlSmallStr};

use super::super::{Each, Request, RowFilter, with_columns_of};
use super::bounds::Bounds;
use super::decode::{BATCH_ROWS, Decoder, Rows};
use super::file::{CheckedFile, Footer, TAIL_BYTES, decoder_error};
use super::plan::{Piece, Share};
use super::prune;
use super::schema::{FileColumn, is_lossless};
use super::source::ParquetFiles;
use crate::error::{Blame, Result};

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
    pub(super) fn read_part(
        &self,
        part: usize,
        request: &Request,
        filter: Option<&dyn RowFilter>,
        each: Each<'_>,
    ) -> Result<()> {
        // Rows that are left out by conditions do not count, and only the filter knows which do.
        let limit = request.n_rows_max.filter(|_| request.conditions.is_empty());
        let mut left = limit.unwrap_or(u64::MAX);
        let mut is_empty = true;
        let mut count = |frame: DataFrame| {
            is_empty = false;
            each(frame)
        };
        for piece in self.pieces(part) {
            if left > 0 {
                left -= self.read_piece(piece, request, filter, left, &mut count)?;
            }
        }
        if is_empty { each(self.empty(&request.columns)?) } else { Ok(()) }
    }

    /// The rows of a piece; how many were decoded.
    fn read_piece(
        &self,
        piece: &Piece,
        request: &Request,
        filter: Option<&dyn RowFilter>,
        limit: u64,
        each: Each<'_>,
    ) -> Result<u64> {
        let blame = self.blame(piece.file);
        let wanted = match filter {
            Some(filter) => {
                Request { columns: with_columns_of(filter, request), ..request.clone() }
            }
            None => request.clone(),
        };
        let choice =
            blame.guard(|| format!("{:?}", piece.share), || self.choose(piece, &wanted))?;
        let Some(choice) = choice else { return Ok(0) };
        let decoder = Decoder { files: self, file: piece.file, footer: &choice.footer };
        let rows = Rows { groups: choice.groups.clone(), selection: choice.selection.clone() };
        match filter {
            None => decoder.decode(&request.columns, rows, limit, BATCH_ROWS, each),
            Some(filter) => {
                let groups = rows.by_group(&choice.footer);
                let read = |rows| decoder.decode_kept(&request.columns, filter, rows, each);
                groups.map(read).sum()
            }
        }
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
        let leaves = self.file_columns(&footer, &request.columns, &blame)?;
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

    /// Those of these columns that are in the file.
    pub(super) fn file_columns<'a>(
        &self,
        footer: &'a Footer,
        columns: &[PlSmallStr],
        blame: &Blame<'_>,
    ) -> Result<Vec<&'a FileColumn>> {
        let own = columns.iter().filter(|name| !self.files.hive.contains(name));
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

    /// Brings what a file has into the order and dtypes of the request, and adds what its directories say.
    pub(super) fn conform(
        &self,
        frame: &DataFrame,
        file: usize,
        columns: &[PlSmallStr],
    ) -> Result<DataFrame> {
        let height = frame.height();
        let column = |name: &PlSmallStr| {
            if let Some(value) = self.files.hive.value(name, file) {
                return Ok(Column::new_scalar(name.clone(), value, height));
            }
            let column = frame.column(name)?;
            let dtype = self.schema.get(name).unwrap_or(column.dtype());
            if column.dtype() == dtype { Ok(column.clone()) } else { column.strict_cast(dtype) }
        };
        let columns = columns.iter().map(column).collect::<Result<Vec<_>, _>>();
        let conformed = columns.and_then(|columns| DataFrame::new(height, columns));
        conformed.map_err(|error| self.blame(file).corrupt(error.to_string()))
    }

    /// No rows of these columns.
    pub(super) fn empty(&self, columns: &[PlSmallStr]) -> Result<DataFrame> {
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
