//! Arrow IPC files as one frame in parts.

use std::ops::Range;
use std::path::Path;

use polars_core::error::PolarsError;
use polars_core::prelude::{DataFrame, DataType, PlSmallStr, SchemaRef};

use super::super::arrow_columns::Columns;
use super::super::paths::{find_files, source_name};
use super::super::{Each, Request, RowFilter, Source, gathered, masked};
use super::index::{Batch, Index};
use super::options::IpcOptions;
use super::read::Batches;
use crate::error::{Blame, Call, Error, Result};
use crate::storage::{FoundFile, version_of_found};

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
    options: IpcOptions,
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
            let index = Index::read(&blame, found.open(&blame)?)?;
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
        Ok(IpcFiles { call, name, files, columns, parts, options: options.clone() })
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

    /// These columns of the rows of a part, batch by batch.
    fn reader(&self, part: usize, columns: &[PlSmallStr]) -> Result<Reader<'_>> {
        let file = self.parts[part].0;
        let blame = self.blame(file);
        let columns = columns.iter().map(|name| self.position(&blame, name));
        let columns: Vec<usize> = columns.collect::<Result<_>>()?;
        let (found, index) = &self.files[file];
        let batches = match columns.is_empty() {
            true => None,
            false => Some(Batches::new(blame, found.open(&blame)?, index, &columns)),
        };
        Ok(Reader { files: self, blame, index, columns, batches })
    }

    fn read_part(&self, part: usize, request: &Request, each: Each<'_>) -> Result<()> {
        // Rows that are left out by conditions do not count, and only the filter knows which do.
        let limit = request.n_rows_max.filter(|_| request.conditions.is_empty());
        let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let mut reader = self.reader(part, &request.columns)?;
        each(reader.no_rows())?;
        let mut left = limit;
        for number in self.parts[part].1.clone() {
            if left == 0 {
                break;
            }
            let batch = reader.read(number)?;
            let batch = if batch.height() > left { batch.slice(0, left) } else { batch };
            left -= batch.height();
            each(batch)?;
        }
        Ok(())
    }

    /// Of each batch first the columns that the filter looks at, and the others only if it keeps one of the rows.
    fn read_filtered(
        &self,
        part: usize,
        request: &Request,
        filter: &dyn RowFilter,
        each: Each<'_>,
    ) -> Result<()> {
        let looked_at = filter.columns();
        let is_other = |name: &&PlSmallStr| !looked_at.contains(name);
        let others: Vec<PlSmallStr> = request.columns.iter().filter(is_other).cloned().collect();
        let mut first = self.reader(part, looked_at)?;
        let mut second = self.reader(part, &others)?;
        let failed = |error: PolarsError| Error::Internal {
            place: "columns of a batch".into(),
            problem: error.to_string(),
        };
        let joined = |a: DataFrame, b: DataFrame| a.hstack(b.columns()).map_err(failed);
        let no_rows = first.no_rows();
        let mask = filter.mask(&no_rows)?;
        each(masked(&joined(no_rows, second.no_rows())?, &request.columns, &mask)?)?;
        for number in self.parts[part].1.clone() {
            let batch = first.read(number)?;
            let mask = filter.mask(&batch)?;
            if mask.any() {
                let batch = joined(batch, second.read(number)?)?;
                each(masked(&batch, &request.columns, &mask)?)?;
            }
        }
        Ok(())
    }
}

/// Reads some columns of one file.
struct Reader<'a> {
    files: &'a IpcFiles,
    blame: Blame<'a>,
    index: &'a Index,
    columns: Vec<usize>,
    /// None if there are no columns.
    batches: Option<Batches<'a>>,
}

impl Reader<'_> {
    fn no_rows(&self) -> DataFrame {
        let columns = self.columns.iter().map(|&i| self.files.columns.name_and_dtype(i));
        DataFrame::empty_with_schema(&columns.collect())
    }

    /// The batch of this number; numbers have to grow from call to call.
    fn read(&mut self, number: usize) -> Result<DataFrame> {
        let Some(batches) = &mut self.batches else {
            let rows = self.index.batches[number].rows as usize;
            return Ok(DataFrame::empty_with_height(rows));
        };
        let batch = batches.read(number)?;
        let what = || format!("batch {number}");
        self.blame.guard(what, || {
            let rows = self.files.columns.import(&batch, &self.columns);
            rows.map_err(|problem| self.blame.corrupt(format!("{}: {problem}", what())))
        })
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
        let nbytes = self.nbytes(part, columns);
        // A batch as it came from a store, besides the buffer in which its columns get their places.
        let file = &self.files[self.parts[part].0].0;
        let answers = if file.is_remote() { nbytes } else { 0 };
        nbytes.saturating_add(answers).saturating_add(1 << 20)
    }

    fn version(&self) -> Option<String> {
        let files = version_of_found(self.files.iter().map(|(file, _)| file))?;
        Some(format!("{} {:?} {:?} {files}", self.name, self.columns.schema, self.options))
    }

    fn may_gather(&self, _request: &Request, _filter: Option<&dyn RowFilter>) -> bool {
        false
    }

    fn read(&self, part: usize, request: &Request) -> Result<DataFrame> {
        gathered(|each| self.read_part(part, request, each))
    }

    fn read_batches(
        &self,
        part: usize,
        request: &Request,
        filter: Option<&dyn RowFilter>,
        each: Each<'_>,
    ) -> Result<()> {
        match filter {
            Some(filter) => self.read_filtered(part, request, filter, each),
            None => self.read_part(part, request, each),
        }
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
