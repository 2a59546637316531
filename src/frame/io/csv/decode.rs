//! From slabs of text to batches of columns.
//!
//! The decoder takes an empty field for null, quoted or not. To tell the empty text from null, slabs that have a field `""`
//! are decoded a second time, with a mark in these quotes that the slab has nowhere else, and the columns of
//! text are taken from there.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StringViewArray};
use arrow::csv::ReaderBuilder;
use arrow::csv::reader::Format;
use arrow::datatypes::{DataType as ArrowType, SchemaRef};
use arrow::error::ArrowError;
use memchr::memmem;

use super::super::text::{Quoting, Scanner};
use super::plain;

/// Fields that a decoder makes room for at once: few for a cache, and few rows of a wide table.
const BATCH_FIELDS: usize = 1 << 16;

/// Decodes some columns of whole records.
#[derive(Clone, Debug)]
pub(super) struct Recipe {
    pub(super) format: Format,
    pub(super) quoting: Quoting,
    pub(super) schema: SchemaRef,
    /// Whether only empty fields are null.
    pub(super) is_empty_null: bool,
    /// The numbers of the columns wanted, in their order.
    pub(super) projection: Vec<usize>,
}

/// What could not be decoded, and where in the text the batch began in which it is.
pub(super) struct Failed {
    pub(super) error: ArrowError,
    pub(super) batch_start: usize,
}

impl Recipe {
    /// The rows of a text, in batches. `is_headed` if its first record is the header, which has to be that of the
    /// schema.
    pub(super) fn decode(&self, text: &str, is_headed: bool) -> Result<Vec<RecordBatch>, Failed> {
        if self.is_empty_null
            && let Some(batch) =
                plain::decode(text, self.quoting, &self.schema, &self.projection, is_headed)
        {
            return Ok(vec![batch]);
        }
        self.decode_all(text, is_headed)
    }

    /// As [`decode`](Self::decode), by the decoder for all of CSV.
    pub(super) fn decode_all(
        &self,
        text: &str,
        is_headed: bool,
    ) -> Result<Vec<RecordBatch>, Failed> {
        let batches = self.run(text, &self.projection, is_headed, is_headed)?;
        let (texts, others): (Vec<usize>, Vec<usize>) =
            (0..self.projection.len()).partition(|&i| {
                self.schema.field(self.projection[i]).data_type() == &ArrowType::Utf8View
            });
        if texts.is_empty() {
            return Ok(batches);
        }
        let Some((marked, mark)) = mark_empty_texts(text, self.quoting) else {
            return Ok(batches);
        };
        let chosen: Vec<usize> = texts.iter().map(|&i| self.projection[i]).collect();
        let seconds = self.run(&marked, &chosen, is_headed, false)?;
        let merge = |(first, second): (RecordBatch, RecordBatch)| {
            let mut arrays: Vec<Option<ArrayRef>> = vec![None; self.projection.len()];
            for &i in &others {
                arrays[i] = Some(Arc::clone(first.column(i)));
            }
            for (&i, array) in texts.iter().zip(second.columns()) {
                arrays[i] = Some(without_mark(array, &mark));
            }
            let options = RecordBatchOptions::new().with_row_count(Some(first.num_rows()));
            let arrays = arrays.into_iter().flatten().collect();
            RecordBatch::try_new_with_options(first.schema(), arrays, &options)
        };
        let merged: Result<Vec<_>, _> = batches.into_iter().zip(seconds).map(merge).collect();
        merged.map_err(|error| Failed { error, batch_start: 0 })
    }

    pub(super) fn run(
        &self,
        text: &str,
        projection: &[usize],
        is_headed: bool,
        header_counts: bool,
    ) -> Result<Vec<RecordBatch>, Failed> {
        let rows = (BATCH_FIELDS / self.schema.fields().len().max(1)).clamp(1, 8192);
        let mut decoder = ReaderBuilder::new(Arc::clone(&self.schema))
            .with_format(self.format.clone().with_header(is_headed))
            .with_header_validation(header_counts)
            .with_projection(projection.to_vec())
            .with_batch_size(rows)
            .build_decoder();
        let mut batches = Vec::new();
        let (mut at, mut batch_start) = (0, 0);
        loop {
            let failed = |error| Failed { error, batch_start };
            let n = decoder.decode(&text.as_bytes()[at..]).map_err(failed)?;
            at += n;
            if n == 0 || decoder.capacity() == 0 {
                match decoder.flush().map_err(failed)? {
                    Some(batch) => batches.push(batch),
                    None => return Ok(batches),
                }
                batch_start = at;
            }
        }
    }
}

/// The text with a mark in every field that is `""`, and the mark; None if there is no such field.
fn mark_empty_texts(text: &str, quoting: Quoting) -> Option<(String, String)> {
    let bytes = text.as_bytes();
    let empty = [quoting.quote, quoting.quote];
    let is_end = |byte: Option<&u8>| {
        byte.is_none_or(|&byte| byte == quoting.delimiter || matches!(byte, b'\n' | b'\r'))
    };
    let is_field = |&i: &usize| {
        is_end(i.checked_sub(1).map(|before| &bytes[before])) && is_end(bytes.get(i + 2))
    };
    let mut scanner = Scanner::new(Some(quoting), false);
    let mut seen = 0;
    // Within other quotes the same bytes are a quote as text.
    let is_outside = |&i: &usize| {
        scanner.run(&bytes[std::mem::replace(&mut seen, i)..i]);
        scanner.is_plain()
    };
    let fields: Vec<usize> =
        memmem::find_iter(bytes, &empty).filter(is_field).filter(is_outside).collect();
    fields.first()?;
    let mark =
        (0..).map(|n| format!("\u{1}{n}\u{1}")).find(|mark| !text.contains(mark.as_str()))?;
    let mut marked = String::with_capacity(text.len() + text.len() / 4);
    let mut done = 0;
    for field in fields {
        marked.push_str(&text[done..=field]);
        marked.push_str(&mark);
        done = field + 1;
    }
    marked.push_str(&text[done..]);
    Some((marked, mark))
}

fn without_mark(array: &ArrayRef, mark: &str) -> ArrayRef {
    let texts = array.as_string_view();
    if !texts.iter().any(|text| text == Some(mark)) {
        return Arc::clone(array);
    }
    let texts = texts.iter().map(|text| text.map(|text| if text == mark { "" } else { text }));
    Arc::new(texts.collect::<StringViewArray>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_go_into_empty_quotes_and_nowhere_else() {
        let quoting = Quoting { delimiter: b',', quote: b'"', escape: None, comment: Some(b'#') };
        let text = "\"\",\"a,\"\",b\",\"\"\r\n,\"\"\"\"\n#,\"\",\n\u{1}0\u{1},\"\"";
        let (marked, mark) = mark_empty_texts(text, quoting).unwrap();
        assert_eq!(mark, "\u{1}1\u{1}");
        let expected = "\"M\",\"a,\"\",b\",\"M\"\r\n,\"\"\"\"\n#,\"\",\n\u{1}0\u{1},\"M\"";
        assert_eq!(marked.replace(&mark, "M"), expected);
        assert_eq!(mark_empty_texts("a,\"\"\"\",\"b\"\"\"", quoting), None);
    }
}
