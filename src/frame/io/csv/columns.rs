//! Names and dtypes of the columns: from the header, the options and a sample.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::csv::reader::Format;
use arrow::datatypes::{DataType as ArrowType, Field, Schema as ArrowSchema, TimeUnit};
use polars_core::prelude::Schema;

use super::super::text::decoded_type;
use super::options::CsvOptions;
use crate::error::{Blame, Error, Result};
use crate::frame::interop::polars_schema;

/// What the decoder is told, and what comes out of it in the end.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    pub(super) decoded: Arc<ArrowSchema>,
    pub(super) schema: Arc<Schema>,
}

impl Columns {
    /// The columns of a file that begins with the records `head` and has the lines `more`, which may be no
    /// records at all: they count if they look like records.
    pub(super) fn guess(
        blame: &Blame<'_>,
        format: &Format,
        head: &str,
        more: &[String],
        options: &CsvOptions,
    ) -> Result<Self> {
        let infer = |text: &str| format.infer_schema(text.as_bytes(), None);
        let guessed = infer(head).map_err(|error| blame.corrupt(error.to_string()))?.0;
        if guessed.fields().is_empty() {
            let remedy = "a file needs a header or rows";
            return Err(blame.unsupported("a file without columns", remedy));
        }
        let strict = format.clone().with_header(false).with_truncated_rows(false);
        let n_fields = |text: &str| {
            let schema = strict.infer_schema(text.as_bytes(), None);
            schema.map_or(0, |(schema, _)| schema.fields().len())
        };
        let records = more.iter().filter(|text| n_fields(text) == guessed.fields().len());
        let all = records.fold(head.to_string(), |all, text| all + text);
        let guessed = infer(&all).map_or(guessed, |(guessed, _)| guessed);
        check_names(blame, &guessed, options)?;

        let fields = guessed.fields().iter().map(|field| {
            let given = options.dtypes.iter().find(|(name, _)| name == field.name().as_str());
            let decoded = match given {
                Some((name, dtype)) => {
                    let decoded = decoded_type(dtype).filter(|decoded| !decoded.is_nested());
                    decoded.ok_or_else(|| Error::DTypeMismatch {
                        call: blame.call,
                        got: format!("{dtype} for column {name:?}"),
                        expected: "one that CSV is read as, such as str".to_string(),
                    })
                }
                None => Ok(usual_type(field.data_type())),
            };
            Ok(Field::new(field.name(), decoded?, true))
        });
        let decoded = ArrowSchema::new(fields.collect::<Result<Vec<_>>>()?);
        let mut schema = polars_schema(&decoded).map_err(|problem| blame.corrupt(problem))?;
        for (name, dtype) in &options.dtypes {
            schema.set_dtype(name, dtype.clone());
        }
        Ok(Columns { decoded: decoded.into(), schema: schema.into() })
    }

    /// All columns as text.
    pub(super) fn as_text(&self) -> Arc<ArrowSchema> {
        let fields = self.decoded.fields().iter();
        let text = fields.map(|field| field.as_ref().clone().with_data_type(ArrowType::Utf8View));
        Arc::new(ArrowSchema::new(text.collect::<Vec<_>>()))
    }
}

fn check_names(blame: &Blame<'_>, guessed: &ArrowSchema, options: &CsvOptions) -> Result<()> {
    let mut names = HashSet::new();
    if let Some(twice) = guessed.fields().iter().find(|field| !names.insert(field.name().as_str()))
    {
        let remedy = "read without header, and leave out the first row";
        return Err(blame.unsupported(format!("a second column {:?}", twice.name()), remedy));
    }
    match options.dtypes.iter().find(|(name, _)| !names.contains(name.as_str())) {
        Some((name, _)) => Err(Error::UnknownColumn {
            call: blame.call,
            got: name.to_string(),
            columns: guessed.fields().iter().map(|field| field.name().clone()).collect(),
        }),
        None => Ok(()),
    }
}

/// What a guess becomes. Microseconds hold every time that people write with up to six digits, and a
/// column that is empty in the sample may hold anything.
fn usual_type(guessed: &ArrowType) -> ArrowType {
    match guessed {
        ArrowType::Timestamp(TimeUnit::Nanosecond, None) => guessed.clone(),
        ArrowType::Timestamp(..) => ArrowType::Timestamp(TimeUnit::Microsecond, None),
        ArrowType::Null | ArrowType::Utf8 => ArrowType::Utf8View,
        other => other.clone(),
    }
}
