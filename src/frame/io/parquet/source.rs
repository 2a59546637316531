//! Parquet files as one frame in parts.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use polars_core::prelude::{DataFrame, DataType, PlSmallStr, Schema, SchemaRef, UnknownKind};

use super::super::paths::{Files, find_files, source_name};
use super::super::{Each, PartStats, Request, RowFilter, Source, gathered};
use super::bounds::Bounds;
use super::file::{CheckedFile, Footer, TAIL_BYTES};
use super::memory::{column_bytes, fixed_width, group_bytes, scratch_bytes};
use super::options::ParquetOptions;
use super::places;
use super::plan::{Group, Part, Piece, Share, of_bytes, of_groups};
use crate::error::{Blame, Call, Result};
use crate::storage::{FoundFile, Readable, prefetch_tails, request_bytes, version_of_found};

/// With more files than this, footers are read when the rows are: opening ten thousand files to plan a
/// query would cost more than many a query.
const FOOTERS_MAX: usize = 64;

/// Rows of Parquet files, in the order of the files.
///
/// The first file says which columns there are. Others may have them in another order, in a narrower dtype, and
/// have more of them. A column that polars can't hold has the dtype `Unknown`, and asking for it is an error.
#[derive(Debug)]
pub(crate) struct ParquetFiles {
    pub(super) call: Call,
    pub(super) name: String,
    pub(super) files: Files,
    pub(super) schema: SchemaRef,
    /// Of all files; or of the first one, which has the schema, and of the largest one, which says how many
    /// bytes of memory a byte of a file is.
    footers: Vec<Option<Arc<Footer>>>,
    /// The file whose footer stands for those that are not known.
    sample: usize,
    parts: Vec<Part>,
    options: ParquetOptions,
}

impl ParquetFiles {
    /// Finds the files and reads the footers of the first ones.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io), [`Error::CorruptFile`](crate::Error::CorruptFile),
    /// [`Error::UnsupportedFile`](crate::Error::UnsupportedFile).
    pub(crate) fn open(
        call: Call,
        paths: &[impl AsRef<Path>],
        options: &ParquetOptions,
    ) -> Result<Self> {
        let files = find_files(call, paths, options.hive)?;
        let name = source_name("parquet", paths);
        let n_files = files.files.len();
        let sample = (0..n_files).rev().max_by_key(|&i| files.files[i].bytes).unwrap_or(0);
        let is_read = |i: usize| n_files <= FOOTERS_MAX || i == 0 || i == sample;
        let read: Vec<usize> = (0..n_files).filter(|&i| is_read(i)).collect();
        let mut footers = vec![None; n_files];
        let chosen: Vec<&FoundFile> = read.iter().map(|&i| &files.files[i]).collect();
        for (i, footer) in read.into_iter().zip(read_footers(call, &chosen)?) {
            footers[i] = Some(Arc::new(footer));
        }
        let of = |i: usize| {
            footers[i].as_deref().expect("the footers of the first and the sample are read")
        };
        let schema = Arc::new(schema(of(0), &files));
        let known: Option<Vec<Vec<Group>>> =
            footers.iter().map(|footer| footer.as_deref().map(groups)).collect();
        let parts = match known {
            Some(groups) => of_groups(&groups, options.part_bytes),
            None => {
                let memory = || groups(of(sample)).into_iter().map(|group| group.bytes);
                let (largest, memory) =
                    (memory().max().unwrap_or(0), memory().fold(0, u64::saturating_add));
                let scale = |bytes: u64| scaled(memory, bytes, files.files[sample].bytes);
                let sizes: Vec<_> =
                    files.files.iter().map(|file| (file.bytes, scale(file.bytes))).collect();
                of_bytes(&sizes, largest, options.part_bytes)
            }
        };
        let options = options.clone();
        Ok(ParquetFiles { call, name, files, schema, footers, sample, parts, options })
    }

    pub(super) fn blame(&self, file: usize) -> Blame<'_> {
        blame_of(self.call, &self.files.files[file])
    }

    pub(super) fn pieces(&self, part: usize) -> &[Piece] {
        &self.parts[part].pieces
    }

    /// The footer of a file, if it was read when the files were opened.
    pub(super) fn known_footer(&self, file: usize) -> Option<&Arc<Footer>> {
        self.footers[file].as_ref()
    }

    /// The bytes of a column in a piece; an estimate where the footer is not known.
    fn piece_bytes(&self, piece: &Piece, name: &str) -> u64 {
        if self.files.hive.contains(name) {
            let width = self.schema.get(name).and_then(fixed_width).unwrap_or(16);
            return self.piece_rows(piece).unwrap_or(0).saturating_mul(width);
        }
        let Some((footer, groups)) = self.groups_of(piece) else { return 0 };
        let Some(column) = footer.column(name) else { return 0 };
        let bytes = groups.map(|group| column_bytes(&footer.groups()[group], column));
        let bytes = bytes.fold(0, u64::saturating_add);
        match &piece.share {
            Share::Groups(_) => bytes,
            Share::Rows { group, rows } => {
                scaled(bytes, rows.end - rows.start, footer.group_rows(*group))
            }
            Share::Bytes(share) => {
                scaled(bytes, share.end - share.start, self.files.files[self.sample].bytes)
            }
        }
    }

    /// The row groups that a piece can have rows of, in the footer that says what they are like.
    fn groups_of(&self, piece: &Piece) -> Option<(&Footer, Range<usize>)> {
        let file = if let Share::Bytes(_) = piece.share { self.sample } else { piece.file };
        let footer = self.known_footer(file)?;
        let groups = match &piece.share {
            Share::Groups(groups) => groups.clone(),
            Share::Rows { group, .. } => *group..*group + 1,
            Share::Bytes(_) => 0..footer.groups().len(),
        };
        Some((footer, groups))
    }

    /// The bytes of a column in the largest row group that a part can have rows of.
    fn chunk_bytes(&self, part: usize, name: &str) -> u64 {
        let of_piece = |piece: &Piece| {
            let (footer, groups) = self.groups_of(piece)?;
            let column = footer.column(name)?;
            groups.map(|group| column_bytes(&footer.groups()[group], column)).max()
        };
        self.pieces(part).iter().filter_map(of_piece).max().unwrap_or(0)
    }

    /// Bytes of what a store answers, which is there until it is decoded.
    fn answer_bytes(&self, piece: &Piece, columns: &[PlSmallStr]) -> u64 {
        if !self.files.files[piece.file].is_remote() {
            return 0;
        }
        let groups = match (&piece.share, self.known_footer(piece.file)) {
            (Share::Groups(groups), Some(footer)) => Some((groups.clone(), footer)),
            (Share::Rows { group, .. }, Some(footer)) => Some((*group..*group + 1, footer)),
            _ => None,
        };
        let Some((groups, footer)) = groups else {
            let Share::Bytes(share) = &piece.share else { return 0 };
            return (share.end - share.start).saturating_add(TAIL_BYTES);
        };
        let leaves = columns.iter().filter_map(|name| footer.column(name));
        let leaves: Vec<usize> = leaves.flat_map(|column| column.leaves.clone()).collect();
        request_bytes(places::of_groups(footer, groups, &leaves))
    }

    fn piece_rows(&self, piece: &Piece) -> Option<u64> {
        match &piece.share {
            Share::Groups(groups) => {
                let footer = self.known_footer(piece.file)?;
                Some(groups.clone().map(|group| footer.group_rows(group)).sum())
            }
            Share::Rows { rows, .. } => Some(rows.end - rows.start),
            Share::Bytes(_) => None,
        }
    }

    fn column_bytes(&self, part: usize, columns: &[PlSmallStr]) -> Vec<u64> {
        let bytes = |name: &PlSmallStr| {
            let pieces = self.pieces(part).iter().map(|piece| self.piece_bytes(piece, name));
            pieces.fold(0, u64::saturating_add)
        };
        columns.iter().map(bytes).collect()
    }

    fn part_stats(&self, part: usize, column: &str) -> Option<PartStats> {
        let dtype = self.schema.get(column)?;
        let mut bounds: Option<Bounds> = None;
        for piece in self.pieces(part) {
            let more = if let Some(value) = self.files.hive.value(column, piece.file) {
                Bounds::of_value(&value, self.piece_rows(piece)?)
            } else {
                // Of some rows of a row group only limits are known.
                let Share::Groups(groups) = &piece.share else { return None };
                let footer = self.known_footer(piece.file)?;
                let groups: Vec<usize> = groups.clone().collect();
                Bounds::of_groups(footer, footer.column(column)?, &groups, dtype)?
            };
            bounds = Some(match bounds {
                None => more,
                Some(bounds) => bounds.then(more)?,
            });
        }
        bounds?.merge()
    }
}

impl Source for ParquetFiles {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn n_parts(&self) -> usize {
        self.parts.len()
    }

    fn n_rows(&self, part: usize) -> Option<u64> {
        self.pieces(part).iter().map(|piece| self.piece_rows(piece)).sum()
    }

    fn nbytes(&self, part: usize, columns: &[PlSmallStr]) -> u64 {
        self.column_bytes(part, columns).into_iter().fold(0, u64::saturating_add)
    }

    fn scratch_bytes(&self, part: usize, columns: &[PlSmallStr]) -> u64 {
        let own = columns.iter().filter(|name| !self.files.hive.contains(name));
        let chunks: Vec<u64> = own.map(|name| self.chunk_bytes(part, name)).collect();
        let scratch = scratch_bytes(&self.column_bytes(part, columns), &chunks);
        let answers = self.pieces(part).iter().map(|piece| self.answer_bytes(piece, columns));
        scratch.saturating_add(answers.max().unwrap_or(0))
    }

    fn stats(&self, part: usize, column: &str) -> Option<PartStats> {
        // What is wrong in statistics is no reason to refuse the rows.
        let blame = self.blame(self.pieces(part).first()?.file);
        let stats = blame.guard(|| "its statistics".into(), || Ok(self.part_stats(part, column)));
        stats.ok().flatten()
    }

    fn version(&self) -> Option<String> {
        let files = version_of_found(self.files.files.iter())?;
        Some(format!("{} {:?} {:?} {files}", self.name, self.schema, self.options))
    }

    /// Columns of the filter that are wanted too are kept until the others are decoded.
    fn may_gather(&self, request: &Request, filter: Option<&dyn RowFilter>) -> bool {
        let is_seen = |name| filter.is_some_and(|filter| filter.columns().contains(name));
        request.columns.iter().any(is_seen) && !request.columns.iter().all(is_seen)
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

fn blame_of(call: Call, found: &FoundFile) -> Blame<'_> {
    Blame { call, path: &found.path, format: "Parquet" }
}

/// The footers of these files, of objects several at once.
fn read_footers(call: Call, files: &[&FoundFile]) -> Result<Vec<Footer>> {
    let opened = files.iter().map(|found| found.open(&blame_of(call, found)));
    let mut opened: Vec<Readable> = opened.collect::<Result<_>>()?;
    prefetch_tails(&mut opened, TAIL_BYTES);
    let opened = opened.into_iter().zip(files);
    opened
        .map(|(file, found)| Footer::read(&blame_of(call, found), &CheckedFile::new(file)))
        .collect()
}

/// The columns of the first file, and those of the directories, which stand for columns of the same name.
fn schema(first: &Footer, files: &Files) -> Schema {
    let own = first.columns.iter().filter(|column| !files.hive.contains(&column.name));
    let own = own.map(|column| {
        let dtype = column.dtype.clone().unwrap_or(DataType::Unknown(UnknownKind::Any));
        (column.name.clone(), dtype)
    });
    let hive = files.hive.columns().iter().map(|c| (c.name().clone(), c.dtype().clone()));
    own.chain(hive).collect()
}

fn groups(footer: &Footer) -> Vec<Group> {
    let groups = 0..footer.groups().len();
    groups.map(|i| Group { rows: footer.group_rows(i), bytes: group_bytes(footer, i) }).collect()
}

/// `value * part / whole`, rounded up.
fn scaled(value: u64, part: u64, whole: u64) -> u64 {
    let scaled = (u128::from(value) * u128::from(part)).div_ceil(u128::from(whole.max(1)));
    u64::try_from(scaled).unwrap_or(u64::MAX)
}
