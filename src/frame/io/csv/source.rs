//! CSV files as one frame in parts.

use std::path::Path;

use arrow::csv::reader::Format;
use polars_core::prelude::{Column, DataFrame, DataType, PlSmallStr, SchemaRef};
use regex::Regex;

use super::super::blame::Blame;
use super::super::text::{Layout, Quoting, Slab, TextFiles};
use super::super::{Request, Source};
use super::columns::Columns;
use super::decode::Recipe;
use super::mismatch::explain;
use super::options::CsvOptions;
use crate::error::{Call, Error, Result};
use crate::frame::interop::from_record_batch;

/// Bytes of the slab, of its copy with marks, and of what the decoder holds of a batch.
const SCRATCH_BYTES: u64 = 8 << 20;

/// Rows of CSV files, in the order of the files.
///
/// The first file says which columns there are, and all files need the same. Dtypes are those of a sample where
/// they are not given: a value that does not parse is an error, never null. Empty fields are null, and the
/// empty text if they are quoted in a column of text. Times with an offset become UTC.
#[derive(Debug)]
pub(crate) struct CsvFiles {
    files: TextFiles,
    format: Format,
    quoting: Quoting,
    columns: Columns,
    has_header: bool,
    /// Bytes of memory for 1024 bytes of text, for each column.
    weights: Vec<u64>,
}

impl CsvFiles {
    /// Finds the files and reads a sample of the first one.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::CorruptFile`], [`Error::UnsupportedFile`] for what the files are;
    /// [`Error::InvalidArgument`], [`Error::UnknownColumn`], [`Error::DTypeMismatch`] for the options.
    pub(crate) fn open(
        call: Call,
        paths: &[impl AsRef<Path>],
        options: &CsvOptions,
    ) -> Result<Self> {
        let quoting = options.quoting(call)?;
        let layout = Layout {
            part_bytes: options.part_bytes,
            quoting: options.quoted_newlines.then_some(quoting),
            skipped_lines: options.n_rows_skipped,
        };
        let files = TextFiles::find(call, "CSV", paths, layout)?;
        let format = format(call, quoting, options)?;
        let guessing = format.clone().with_header(options.has_header).with_truncated_rows(true);

        let mut head = files.records(0, options.sample_bytes)?;
        let head = head.next()?.map_or("", |slab| slab.text).to_string();
        let more = files.lines_around(0, options.sample_bytes as u64 / 4)?;
        let blame = files.blame(0);
        let columns = blame.guard(
            || "its sample".to_string(),
            || Columns::guess(&blame, &guessing, &head, &more, options),
        )?;
        let has_header = options.has_header;
        let mut source = CsvFiles { files, format, quoting, columns, has_header, weights: vec![] };
        source.weights = source.weigh(&head);
        Ok(source)
    }

    /// How large the columns of a text become; where it does not decode, each as if it were all of the text.
    fn weigh(&self, text: &str) -> Vec<u64> {
        let n_columns = self.columns.schema.len();
        let slab = Slab { text, at: 0 };
        let all = self.recipe((0..n_columns).collect());
        let frame = self.frame(&all, 0, slab, self.has_header).ok();
        let weight = |column: &Column| {
            let bytes = column.as_materialized_series().estimated_size() as u64;
            (bytes * 1024).div_ceil(text.len().max(1) as u64).max(1)
        };
        match frame.filter(|frame| frame.height() > 0) {
            Some(frame) => frame.columns().iter().map(weight).collect(),
            None => vec![1024; n_columns],
        }
    }

    fn recipe(&self, projection: Vec<usize>) -> Recipe {
        let schema = self.columns.decoded.clone();
        Recipe { format: self.format.clone(), quoting: self.quoting, schema, projection }
    }

    fn read_part(&self, part: usize, request: &Request) -> Result<DataFrame> {
        let (file, is_first) = self.files.file_of(part);
        let recipe = self.recipe(self.positions(&request.columns, file)?);
        // Rows that are left out by conditions do not count, and only the filter knows which do.
        let limit = request.n_rows_max.filter(|_| request.conditions.is_empty());
        let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let mut rows = Rows::default();
        let mut slabs = self.files.slabs(part)?;
        let mut is_headed = self.has_header && is_first;
        while rows.height < limit {
            let Some(slab) = slabs.next()? else { break };
            rows.push(self.frame(&recipe, file, slab, is_headed)?, &self.files.blame(file))?;
            is_headed = false;
        }
        let mut frame = match rows.frame {
            Some(frame) => frame,
            // No text makes no rows, of the right columns.
            None => self.frame(&recipe, file, Slab { text: "", at: 0 }, false)?,
        };
        if frame.height() > limit {
            frame = frame.slice(0, limit);
        }
        frame.rechunk_mut();
        Ok(frame)
    }

    fn positions(&self, columns: &[PlSmallStr], file: usize) -> Result<Vec<usize>> {
        let position = |name: &PlSmallStr| {
            self.columns.position(name).ok_or_else(|| Error::UnknownColumn {
                call: self.files.blame(file).call,
                got: name.to_string(),
                columns: self.columns.schema.iter_names().map(PlSmallStr::to_string).collect(),
            })
        };
        columns.iter().map(position).collect()
    }

    /// The rows of a slab.
    fn frame(
        &self,
        recipe: &Recipe,
        file: usize,
        slab: Slab<'_>,
        is_headed: bool,
    ) -> Result<DataFrame> {
        let blame = self.files.blame(file);
        let place = || format!("the records at byte {}", slab.at);
        let batches = blame.guard(place, || {
            if slab.text.is_empty() {
                return Ok(Vec::new());
            }
            recipe.decode(slab.text, is_headed).map_err(|failed| {
                let (offset, problem) =
                    explain(recipe, &self.columns, slab.text, is_headed, &failed);
                match self.files.line_at(file, slab.at + offset as u64) {
                    Ok(line) => blame.corrupt(format!("line {line}: {problem}")),
                    Err(error) => error,
                }
            })
        })?;
        let mut rows = Rows::default();
        for batch in batches {
            let frame = from_record_batch(&batch).map_err(|problem| blame.corrupt(problem))?;
            rows.push(frame, &blame)?;
        }
        let mut frame = rows.frame.unwrap_or_else(|| {
            let chosen = recipe.projection.iter().map(|&i| self.column(i));
            DataFrame::empty_with_schema(&chosen.collect())
        });
        for &i in &recipe.projection {
            let (name, dtype) = self.column(i);
            let column = frame.column(&name).expect("it is in the projection");
            if column.dtype() != &dtype {
                let cast = column.strict_cast(&dtype);
                let cast = cast.map_err(|error| blame.corrupt(format!("{}: {error}", place())))?;
                frame.with_column(cast).map_err(|error| blame.corrupt(error.to_string()))?;
            }
        }
        Ok(frame)
    }

    fn column(&self, i: usize) -> (PlSmallStr, DataType) {
        let column = self.columns.schema.get_at_index(i);
        let (name, dtype) = column.expect("positions are looked up in the schema");
        (name.clone(), dtype.clone())
    }
}

impl Source for CsvFiles {
    fn name(&self) -> String {
        self.files.name().to_string()
    }

    fn schema(&self) -> &SchemaRef {
        &self.columns.schema
    }

    fn n_parts(&self) -> usize {
        self.files.n_parts()
    }

    fn n_rows(&self, _part: usize) -> Option<u64> {
        None
    }

    fn nbytes(&self, part: usize, columns: &[PlSmallStr]) -> u64 {
        let weight = |name: &PlSmallStr| self.columns.position(name).map_or(0, |i| self.weights[i]);
        let bytes = columns.iter().map(weight).sum::<u64>();
        self.files.text_bytes(part).saturating_mul(bytes) / 1024
    }

    fn scratch_bytes(&self, part: usize, columns: &[PlSmallStr]) -> u64 {
        // The pieces are there until they are one.
        self.nbytes(part, columns).saturating_add(SCRATCH_BYTES)
    }

    fn read(&self, part: usize, request: &Request) -> Result<DataFrame> {
        self.read_part(part, request)
    }
}

/// Frames under each other.
#[derive(Default)]
struct Rows {
    frame: Option<DataFrame>,
    height: usize,
}

impl Rows {
    fn push(&mut self, more: DataFrame, blame: &Blame<'_>) -> Result<()> {
        self.height += more.height();
        match &mut self.frame {
            // Stacking frames without columns forgets their heights.
            Some(frame) if frame.width() == 0 => {
                *frame = DataFrame::empty_with_height(self.height);
            }
            Some(frame) => {
                frame.vstack_mut_owned(more).map_err(|error| blame.corrupt(error.to_string()))?;
            }
            None => self.frame = Some(more),
        }
        Ok(())
    }
}

fn format(call: Call, quoting: Quoting, options: &CsvOptions) -> Result<Format> {
    let mut format = Format::default().with_delimiter(quoting.delimiter).with_quote(quoting.quote);
    if let Some(escape) = quoting.escape {
        format = format.with_escape(escape);
    }
    if let Some(comment) = quoting.comment {
        format = format.with_comment(comment);
    }
    if !options.null_values.is_empty() {
        let escaped: Vec<String> = options.null_values.iter().map(|v| regex::escape(v)).collect();
        let pattern = format!("^(?:|{})$", escaped.join("|"));
        let null = Regex::new(&pattern).map_err(|error| Error::InvalidArgument {
            call,
            argument: "null_values",
            got: error.to_string(),
            expected: "fewer and shorter texts",
        })?;
        format = format.with_null_regex(null);
    }
    Ok(format)
}
