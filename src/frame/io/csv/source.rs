//! CSV files as one frame in parts.

use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::csv::reader::Format;
use regex::Regex;

use super::super::text::{Decode, Layout, Quoting, Refused, Slab, TextFiles, TextSource};
use super::columns::Columns;
use super::decode::Recipe;
use super::mismatch::explain;
use super::options::CsvOptions;
use crate::error::{Call, Error, Result};

/// Rows of CSV files, in the order of the files.
///
/// The first file says which columns there are, and all files need the same. Dtypes are those of a sample where
/// they are not given: a value that does not parse is an error, never null. Empty fields are null, and the
/// empty text if they are quoted in a column of text. Times with an offset become UTC.
pub(crate) type CsvFiles = TextSource<Csv>;

/// How the records of some CSV files are decoded.
#[derive(Debug)]
pub(crate) struct Csv {
    format: Format,
    quoting: Quoting,
    columns: Columns,
    has_header: bool,
    is_empty_null: bool,
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

        let (head, more) = files.sample(0, options.sample_bytes)?;
        let blame = files.blame(0);
        let columns = blame.guard(
            || "its sample".to_string(),
            || Columns::guess(&blame, &guessing, &head, &more, options),
        )?;
        let schema = Arc::clone(&columns.schema);
        let (has_header, is_empty_null) = (options.has_header, options.null_values.is_empty());
        let csv = Csv { format, quoting, columns, has_header, is_empty_null };
        Ok(TextSource::new(files, csv, schema, &head))
    }
}

impl Decode for Csv {
    fn decode(
        &self,
        slab: Slab<'_>,
        columns: &[usize],
        is_first: bool,
    ) -> Result<Vec<RecordBatch>, Refused> {
        let recipe = Recipe {
            format: self.format.clone(),
            quoting: self.quoting,
            schema: Arc::clone(&self.columns.decoded),
            is_empty_null: self.is_empty_null,
            projection: columns.to_vec(),
        };
        let is_headed = is_first && self.has_header;
        recipe.decode(slab.text, is_headed).map_err(|failed| {
            let (offset, problem) = explain(&recipe, &self.columns, slab.text, is_headed, &failed);
            Refused { offset, problem }
        })
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
