//! Arrow IPC files as one frame in parts.

use std::fs::File;
use std::ops::Range;
use std::path::Path;

use polars_core::prelude::{DataFrame, DataType, PlSmallStr, SchemaRef};

use super::super::arrow_columns::Columns;
use super::super::paths::{FoundFile, find_files, source_name};
use super::super::{Request, Source};
use super::index::{Batch, Index};
use super::options::IpcOptions;
use super::read::Batches;
use crate::error::{Blame, Call, Error, Result};

/// Rows of Arrow IPC files and streams, in the order of the files.
///
/// All files need the columns of the first one. A column that polars can't hold has the dtype `Unknown`, and asking
/// for it is an error.
#[derive(Debug)]
pub(crate) struct IpcFiles {
    call: Call,
    name: String,
    files: Vec<(FoundFile, Index)>,
    columns: Columns,
    parts: Vec<(usize, Range<usize>)>,
}

impl IpcFiles {
    /// Finds the files and reads the index of each, which for a stream is in the headers of all its messages.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::CorruptFile`], [`Error::UnsupportedFile`].
    pub(crate) fn open(
        call: Call,
        paths: &[impl AsRef<Path>],
        options: &IpcOptions,
    ) -> Result<Self> {
        let found = find_files(call, paths, false)?.files;
        let name = source_name("ipc", paths);
        let (mut files, mut parts) = (Vec::with_capacity(found.len()), Vec::new());
        let mut columns: Option<Columns> = None;
        for (number, found) in found.into_iter().enumerate() {
            let blame = Blame { call, path: &found.path, format: "Arrow IPC" };
            let mut file = open_unchanged(&blame, found.bytes)?;
            let index = Index::read(&blame, &mut file, found.bytes)?;
            let own = || Columns::new(&index.schema).map_err(|problem| blame.corrupt(problem));
            let own = blame.guard(|| "its schema".into(), own)?;
            match &columns {
                None => columns = Some(own),
                Some(columns) if columns.schema == own.schema => {}
                Some(columns) => {
                    let feature = format!("{:?} after {:?}", own.schema, columns.schema);
                    let remedy = "all files need the columns of the first one";
                    return Err(blame.unsupported(feature, remedy));
                }
            }
            let cut = cut(&index.batches, options.part_bytes);
            parts.extend(cut.into_iter().map(|batches| (number, batches)));
            files.push((found, index));
        }
        let columns = columns.expect("there is a file, or it is an error");
        Ok(IpcFiles { call, name, files, columns, parts })
    }

    fn blame(&self, file: usize) -> Blame<'_> {
        Blame { call: self.call, path: &self.files[file].0.path, format: "Arrow IPC" }
    }

    fn batches(&self, part: usize) -> &[Batch] {
        let (file, batches) = &self.parts[part];
        &self.files[*file].1.batches[batches.clone()]
    }

    fn position(&self, blame: &Blame<'_>, name: &PlSmallStr) -> Result<usize> {
        let position = self.columns.schema.index_of(name).ok_or_else(|| Error::UnknownColumn {
            call: self.call,
            got: name.to_string(),
            columns: self.columns.schema.iter_names().map(PlSmallStr::to_string).collect(),
        })?;
        if let DataType::Unknown(_) = self.columns.name_and_dtype(position).1 {
            let stored = self.files[0].1.schema.field(position).data_type().clone();
            let remedy = "leave the column out with select()";
            return Err(blame.unsupported(format!("column {name:?} with {stored}"), remedy));
        }
        Ok(position)
    }

    fn read_part(&self, part: usize, request: &Request) -> Result<DataFrame> {
        let (file, numbers) = self.parts[part].clone();
        let blame = self.blame(file);
        let columns = request.columns.iter().map(|name| self.position(&blame, name));
        let columns: Vec<usize> = columns.collect::<Result<_>>()?;
        // Rows that are left out by conditions do not count, and only the filter knows which do.
        let limit = request.n_rows_max.filter(|_| request.conditions.is_empty());
        let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        if columns.is_empty() {
            let rows = self.batches(part).iter().map(|batch| batch.rows as usize).sum::<usize>();
            return Ok(DataFrame::empty_with_height(rows.min(limit)));
        }
        let (found, index) = &self.files[file];
        let opened = open_unchanged(&blame, found.bytes)?;
        let mut batches = Batches::new(blame, opened, index, &columns);
        let empty = columns.iter().map(|&i| self.columns.name_and_dtype(i));
        let mut frame = DataFrame::empty_with_schema(&empty.collect());
        for number in numbers {
            if frame.height() >= limit {
                break;
            }
            let batch = batches.read(number)?;
            let what = || format!("batch {number}");
            blame.guard(what, || {
                let more = self.columns.import(&batch, &columns);
                let more = more.and_then(|more| {
                    frame.vstack_mut_owned(more).map_err(|error| error.to_string())
                });
                more.map(drop).map_err(|problem| blame.corrupt(format!("{}: {problem}", what())))
            })?;
        }
        if frame.height() > limit {
            frame = frame.slice(0, limit);
        }
        frame.rechunk_mut();
        Ok(frame)
    }
}

impl Source for IpcFiles {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn schema(&self) -> &SchemaRef {
        &self.columns.schema
    }

    fn n_parts(&self) -> usize {
        self.parts.len()
    }

    fn n_rows(&self, part: usize) -> Option<u64> {
        Some(self.batches(part).iter().map(|batch| batch.rows).sum())
    }

    fn nbytes(&self, part: usize, columns: &[PlSmallStr]) -> u64 {
        let positions: Vec<usize> =
            columns.iter().filter_map(|name| self.columns.schema.index_of(name)).collect();
        let index = &self.files[self.parts[part].0].1;
        let dictionaries =
            if index.needs_dictionaries(&positions) { index.dictionary_bytes } else { 0 };
        let bytes =
            self.batches(part).iter().flat_map(|batch| positions.iter().map(|&i| batch.bytes[i]));
        bytes.fold(dictionaries, u64::saturating_add)
    }

    fn scratch_bytes(&self, part: usize, columns: &[PlSmallStr]) -> u64 {
        // What is decompressed, cast, or made one piece of several.
        self.nbytes(part, columns).saturating_add(1 << 20)
    }

    fn read(&self, part: usize, request: &Request) -> Result<DataFrame> {
        self.read_part(part, request)
    }
}

/// Neighbouring batches, joined while they fit. There is at least one part, be it empty.
fn cut(batches: &[Batch], part_bytes: u64) -> Vec<Range<usize>> {
    let mut parts: Vec<Range<usize>> = Vec::new();
    let mut bytes: u64 = 0;
    for (i, batch) in batches.iter().enumerate() {
        let own = batch.bytes.iter().copied().fold(0, u64::saturating_add);
        bytes = bytes.saturating_add(own);
        match parts.last_mut() {
            Some(part) if bytes <= part_bytes => part.end = i + 1,
            _ => {
                bytes = own;
                parts.push(i..i + 1);
            }
        }
    }
    if parts.is_empty() {
        parts.push(0..0);
    }
    parts
}

fn open_unchanged(blame: &Blame<'_>, expected: u64) -> Result<File> {
    let file = File::open(blame.path).map_err(|error| blame.io(error))?;
    let now = file.metadata().map_err(|error| blame.io(error))?.len();
    if now != expected {
        let problem = format!("it has {now} bytes, and had {expected} when it was found");
        return Err(blame.corrupt(problem));
    }
    Ok(file)
}
