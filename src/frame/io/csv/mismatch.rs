//! Which value of which record it was that the decoder refused, found after it did.
//!
//! The decoder says this for some types, in its own words and by numbers that begin at the slab. So the records of the batch
//! that failed are decoded again, one by one.

use arrow::array::{Array, AsArray};
use arrow::csv::ReaderBuilder;

use super::columns::Columns;
use super::decode::{Failed, Recipe};

/// Where in the text the record begins that could not be decoded, and what is wrong with it.
pub(super) fn explain(
    recipe: &Recipe,
    columns: &Columns,
    text: &str,
    is_headed: bool,
    failed: &Failed,
) -> (usize, String) {
    let mut at = failed.batch_start;
    if is_headed && at == 0 {
        match header_of(recipe, text) {
            Some(got) if !got.iter().eq(columns.schema.iter_names()) => {
                let expected: Vec<_> = columns.schema.iter_names().collect();
                return (
                    0,
                    format!("the header is {got:?}, expected {expected:?} as in the first file"),
                );
            }
            _ => {}
        }
    }
    let mut decoder = ReaderBuilder::new(columns.as_text())
        .with_format(recipe.format.clone().with_header(is_headed && at == 0))
        .with_batch_size(1)
        .build_decoder();
    let comment = recipe.quoting.comment;
    while at < text.len() {
        let start = record_start(text, at, comment);
        let decoded = decoder.decode(&text.as_bytes()[at..]).and_then(|n| {
            at += n;
            // The end of the text ends a record too.
            if at == text.len() { decoder.decode(&[]) } else { Ok(n) }
        });
        match decoded.and_then(|_| decoder.flush()) {
            Err(_) => return (start, n_fields(recipe, columns, &text[start..])),
            Ok(None) => {}
            Ok(Some(row)) => {
                let fails = |column: &usize| {
                    recipe.run(&text[start..at], &[*column], false, false).is_err()
                };
                let Some(column) = recipe.projection.iter().copied().find(fails) else { continue };
                let value = row.column(column).as_string_view();
                let value = if value.is_empty() { "" } else { value.value(0) };
                return (start, problem(columns, column, value));
            }
        }
    }
    (failed.batch_start, failed.error.to_string())
}

fn problem(columns: &Columns, column: usize, value: &str) -> String {
    let (name, dtype) = columns.schema.get_at_index(column).expect("the column was decoded");
    let shown: String = value.chars().take(80).collect();
    let dots = if shown.len() < value.len() { "…" } else { "" };
    format!("column {name:?} is {shown:?}{dots}, expected {dtype}; give its dtype with dtypes")
}

fn n_fields(recipe: &Recipe, columns: &Columns, text: &str) -> String {
    let record = recipe.format.clone().with_header(false).infer_schema(text.as_bytes(), Some(0));
    let (got, expected) =
        (record.map_or(0, |(schema, _)| schema.fields().len()), columns.schema.len());
    format!("{got} fields, expected {expected}")
}

/// The names in the first record.
fn header_of(recipe: &Recipe, text: &str) -> Option<Vec<String>> {
    let header = recipe.format.clone().with_header(true).infer_schema(text.as_bytes(), Some(0));
    let (schema, _) = header.ok()?;
    Some(schema.fields().iter().map(|field| field.name().clone()).collect())
}

/// Past empty lines and comments.
fn record_start(text: &str, at: usize, comment: Option<u8>) -> usize {
    let mut at = at;
    while let Some(byte) = text.as_bytes().get(at) {
        at += match byte {
            b'\n' | b'\r' => 1,
            byte if comment == Some(*byte) => text[at..].find('\n').unwrap_or(text.len() - at),
            _ => break,
        };
    }
    at
}
