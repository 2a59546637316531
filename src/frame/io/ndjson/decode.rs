//! From slabs of lines to batches of columns.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType as ArrowType, FieldRef, Schema as ArrowSchema, SchemaRef};
use arrow::error::ArrowError;
use arrow::json::reader::Decoder;
use arrow::json::{ArrayDecoder, DecoderContext, DecoderFactory, ReaderBuilder, Tape, TapeElement};

use super::super::text::{Decode, Refused, Slab};

const BATCH_ROWS: usize = 8192;

/// How the lines of some NDJSON files are decoded.
#[derive(Debug)]
pub(crate) struct Ndjson {
    pub(super) schema: SchemaRef,
}

impl Decode for Ndjson {
    fn decode(
        &self,
        slab: Slab<'_>,
        columns: &[usize],
        _is_first: bool,
    ) -> Result<Vec<RecordBatch>, Refused> {
        let schema = self.schema.project(columns).map(Arc::new);
        let schema = schema.map_err(|error| refused(0, error.to_string()))?;
        let batches =
            run(&schema, slab.text).map_err(|error| explain(&schema, slab.text, &error))?;
        let n_rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        // Several objects in a line, or one over several lines, are read or not depending on the cuts.
        if n_rows != slab.text.lines().filter(|line| !line.trim().is_empty()).count() {
            let error = ArrowError::JsonError(format!("{n_rows} objects in them"));
            return Err(explain(&schema, slab.text, &error));
        }
        Ok(batches)
    }
}

fn run(schema: &SchemaRef, text: &str) -> Result<Vec<RecordBatch>, ArrowError> {
    let mut decoder = decoder(schema)?;
    let mut batches = Vec::new();
    let mut rest = text.as_bytes();
    loop {
        let n = decoder.decode(rest)?;
        rest = &rest[n..];
        if n == 0 || rest.is_empty() || decoder.len() >= BATCH_ROWS {
            batches.extend(decoder.flush()?);
            if n == 0 || rest.is_empty() {
                return Ok(batches);
            }
        }
    }
}

fn decoder(schema: &SchemaRef) -> Result<Decoder, ArrowError> {
    ReaderBuilder::new(Arc::clone(schema))
        .with_batch_size(BATCH_ROWS)
        .with_decoder_factory(Arc::new(WholeNumbers))
        .build_decoder()
}

/// Which line could not be decoded, and which column of it.
fn explain(schema: &SchemaRef, text: &str, error: &ArrowError) -> Refused {
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let is_empty = line.trim().is_empty();
        match run(schema, line) {
            _ if is_empty => {}
            Ok(batches) if batches.iter().map(RecordBatch::num_rows).sum::<usize>() == 1 => {}
            outcome => return refused(offset, problem(schema, line, outcome.err())),
        }
        offset += line.len();
    }
    refused(0, error.to_string())
}

fn problem(schema: &SchemaRef, line: &str, error: Option<ArrowError>) -> String {
    let Some(error) = error.filter(|_| line.trim_start().starts_with('{')) else {
        return format!("{:?}, expected one object", shortened(line.trim()));
    };
    let fails = |field: &&FieldRef| {
        let alone = Arc::new(ArrowSchema::new(vec![Arc::clone(field)]));
        run(&alone, line).is_err()
    };
    // What is no JSON fails whatever is asked for.
    let is_json = run(&Arc::new(ArrowSchema::empty()), line).is_ok();
    let error = shortened(&error.to_string());
    match schema.fields().iter().find(fails).filter(|_| is_json) {
        Some(field) => format!("column {:?}: {error}; give its dtype with dtypes", field.name()),
        None => error,
    }
}

fn shortened(text: &str) -> String {
    let mut shown: String = text.chars().take(200).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

fn refused(offset: usize, problem: String) -> Refused {
    Refused { offset, problem }
}

/// The decoder makes 1 of 1.5 where whole numbers are expected; this refuses it.
#[derive(Debug)]
struct WholeNumbers;

struct WholeNumber(Box<dyn ArrayDecoder>);

impl DecoderFactory for WholeNumbers {
    fn make_default_decoder(
        &self,
        context: &DecoderContext,
        field: &FieldRef,
        is_nullable: bool,
    ) -> Result<Option<Box<dyn ArrayDecoder>>, ArrowError> {
        let dtype: &ArrowType = field.data_type();
        if !dtype.is_integer() && !dtype.is_temporal() {
            return Ok(None);
        }
        let decoder = context.make_builtin_decoder(field, is_nullable)?;
        Ok(Some(Box::new(WholeNumber(decoder))))
    }
}

impl ArrayDecoder for WholeNumber {
    fn decode(&mut self, tape: &Tape<'_>, places: &[u32]) -> Result<ArrayRef, ArrowError> {
        for &place in places {
            if let TapeElement::Number(number) = tape.get(place) {
                let number = tape.get_string(number);
                if number.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E')) {
                    let problem = format!("{number}, expected a whole number");
                    return Err(ArrowError::JsonError(problem));
                }
            }
        }
        self.0.decode(tape, places)
    }
}
