//! What users can choose.

use polars_core::prelude::{DataType, PlSmallStr};

use super::super::IfExists;
use super::super::text::Quoting;
use crate::error::{Call, Error, Result};

/// How CSV files are read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CsvOptions {
    /// What separates fields.
    pub delimiter: u8,
    /// Whether the first record has the names of the columns; they are `column_1`, `column_2` … otherwise.
    pub has_header: bool,
    /// Begins and ends fields in which delimiters and new lines are text. Doubled it is itself.
    pub quote: u8,
    /// Makes the next byte text within quotes.
    pub escape: Option<u8>,
    /// Begins lines that are left out.
    pub comment: Option<u8>,
    /// Texts that are null, besides the empty field.
    pub null_values: Vec<String>,
    /// Lines at the start of each file that are left out, whatever is in them.
    pub n_rows_skipped: u64,
    /// Dtypes of columns by name. Others are guessed from a sample.
    pub dtypes: Vec<(PlSmallStr, DataType)>,
    /// Bytes of the first file that are the sample.
    pub sample_bytes: usize,
    /// Bytes of text that become a partition.
    pub part_bytes: u64,
    /// Whether fields in quotes may have new lines. If not, files need not be scanned for quotes.
    pub quoted_newlines: bool,
}

impl Default for CsvOptions {
    /// Commas, double quotes, a header, a sample of 256 kB, partitions of 64 MiB.
    fn default() -> Self {
        CsvOptions {
            delimiter: b',',
            has_header: true,
            quote: b'"',
            escape: None,
            comment: None,
            null_values: Vec::new(),
            n_rows_skipped: 0,
            dtypes: Vec::new(),
            sample_bytes: 256 << 10,
            part_bytes: 64 << 20,
            quoted_newlines: true,
        }
    }
}

impl CsvOptions {
    /// What has a meaning, which has to be different bytes of ASCII: a byte of a longer character would cut it in
    /// two.
    pub(super) fn quoting(&self, call: Call) -> Result<Quoting> {
        let marks = [Some(self.delimiter), Some(self.quote), self.escape, self.comment];
        check_marks(call, &marks.into_iter().flatten().collect::<Vec<_>>())?;
        let CsvOptions { delimiter, quote, escape, comment, .. } = *self;
        Ok(Quoting { delimiter, quote, escape, comment })
    }
}

/// How CSV files are written.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CsvWriteOptions {
    /// What separates fields.
    pub delimiter: u8,
    /// Begins and ends fields in which there is something that has a meaning.
    pub quote: u8,
    /// Whether the names of the columns are the first record of each file.
    pub has_header: bool,
    /// Whether everything that is not null is quoted, needed or not.
    pub quote_all: bool,
    /// What null becomes. Text that is the same is quoted; in a frame of one column so is an empty one for null, because a blank
    /// line is no record, and a null text is then read back as an empty one.
    pub null_value: String,
    /// What is done about files that are there already.
    pub if_exists: IfExists,
}

impl Default for CsvWriteOptions {
    /// Commas, double quotes where they are needed, a header, and nothing for null.
    fn default() -> Self {
        CsvWriteOptions {
            delimiter: b',',
            quote: b'"',
            has_header: true,
            quote_all: false,
            null_value: String::new(),
            if_exists: IfExists::Error,
        }
    }
}

impl CsvWriteOptions {
    pub(super) fn check(&self, call: Call) -> Result<()> {
        check_marks(call, &[self.delimiter, self.quote])?;
        let marks = [self.delimiter, self.quote, b'\n', b'\r'];
        if self.null_value.bytes().any(|byte| marks.contains(&byte)) {
            return Err(Error::InvalidArgument {
                call,
                argument: "null_value",
                got: format!("{:?}", self.null_value),
                expected: "a text without delimiters, quotes and new lines",
            });
        }
        Ok(())
    }
}

fn check_marks(call: Call, marks: &[u8]) -> Result<()> {
    let is_mark = |(i, mark): (usize, &u8)| {
        mark.is_ascii() && !matches!(mark, b'\n' | b'\r') && !marks[..i].contains(mark)
    };
    if marks.iter().enumerate().all(is_mark) {
        return Ok(());
    }
    let got: Vec<String> = marks.iter().map(|mark| mark.escape_ascii().to_string()).collect();
    Err(Error::InvalidArgument {
        call,
        argument: "delimiter, quote, escape, comment",
        got: got.join(" "),
        expected: "different characters of ASCII that are no new lines",
    })
}
