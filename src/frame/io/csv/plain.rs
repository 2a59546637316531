//! Text whose fields either have no quotes or are quoted as a whole: they end at every delimiter, and records at every new
//! line, that is not within quotes.
//!
//! Most of CSV is like that, and to look for a few bytes is several times as fast as a state machine of the whole format;
//! fields that nobody asked for are not even copied. What is not so simple, and what does not parse, is declined: the
//! decoder for all of CSV then looks at the same text, and says what is wrong with it. Values are parsed by the functions
//! which that one calls too.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, ArrowPrimitiveType, BooleanArray, NullBufferBuilder, PrimitiveArray, RecordBatch,
    RecordBatchOptions, StringViewBuilder,
};
use arrow::buffer::NullBuffer;
use arrow::compute::kernels::cast_utils::Parser;
use arrow::datatypes::{DataType as ArrowType, Schema as ArrowSchema, *};
use memchr::memchr;

use super::super::text::Quoting;
use super::records::{Marks, Records};

/// The columns of these numbers, if the text is simple enough. `is_headed` if its first record is the header.
pub(super) fn decode(
    text: &str,
    quoting: Quoting,
    schema: &ArrowSchema,
    projection: &[usize],
    is_headed: bool,
) -> Option<RecordBatch> {
    let has_quotes = memchr(quoting.quote, text.as_bytes()).is_some();
    let is_simple = quoting.comment.is_none()
        && !(has_quotes && quoting.escape.is_some())
        && !text.starts_with('\u{feff}')
        // Positions behind the last block count too.
        && text.len() < u32::MAX as usize - 128
        && projection.iter().all(|&i| is_known(schema.field(i).data_type()));
    if !is_simple {
        return None;
    }
    let marks = Marks { delimiter: quoting.delimiter, quote: has_quotes.then_some(quoting.quote) };
    let text = if is_headed { after_header(text, marks, schema)? } else { text };
    let records = Records::find(text, marks, schema.fields().len())?;
    let columns = projection.iter().map(|&i| parse(schema.field(i).data_type(), &records, i));
    let columns: Option<Vec<ArrayRef>> = columns.collect();
    let options = RecordBatchOptions::new().with_row_count(Some(records.n_rows()));
    let projected = Arc::new(schema.project(projection).ok()?);
    RecordBatch::try_new_with_options(projected, columns?, &options).ok()
}

/// What comes after the header, if that has the names of the schema.
fn after_header<'a>(text: &'a str, marks: Marks, schema: &ArrowSchema) -> Option<&'a str> {
    let (header, rest) = text.split_once('\n').unwrap_or((text, ""));
    let header = header.strip_suffix('\r').unwrap_or(header);
    let names = schema.fields().iter().map(|field| field.name().as_str());
    let name = |field: &'a str| match marks.quote.map(char::from) {
        Some(quote) if field.contains(quote) => {
            let inside = field.strip_prefix(quote)?.strip_suffix(quote)?;
            // A delimiter in the quotes, or a quote as text, makes another name.
            (!inside.contains(quote)).then_some(inside)
        }
        _ => Some(field),
    };
    let fields = header.split(char::from(marks.delimiter)).map(name);
    fields.eq(names.map(Some)).then_some(rest)
}

/// Calls a macro with the types that have a parser, and how they are called.
macro_rules! parsed_types {
    ($call:ident) => {
        $call! {
            Int8 Int8Type, Int16 Int16Type, Int32 Int32Type, Int64 Int64Type, UInt8 UInt8Type,
            UInt16 UInt16Type, UInt32 UInt32Type, UInt64 UInt64Type, Float32 Float32Type,
            Float64 Float64Type, Date32 Date32Type
        }
    };
}

fn is_known(dtype: &ArrowType) -> bool {
    macro_rules! is_one_of {
        ($($dtype:ident $type:ident),*) => {
            matches!(dtype, ArrowType::Boolean | ArrowType::Utf8View $(| ArrowType::$dtype)*)
        };
    }
    parsed_types!(is_one_of)
}

/// The values of a column; None if one of them does not parse.
fn parse(dtype: &ArrowType, records: &Records<'_>, column: usize) -> Option<ArrayRef> {
    let quote = records.quote.map(char::from);
    // An empty field is null, also in quotes if it is no text.
    let unquoted = records.fields(column).map(|field| match quote {
        Some(quote) => inner(field, quote).unwrap_or(field),
        None => field,
    });
    macro_rules! parse {
        ($($dtype:ident $type:ident),*) => {
            match dtype {
                $(ArrowType::$dtype => Some(Arc::new(numbers::<$type>(unquoted)?)),)*
                ArrowType::Boolean => {
                    let (values, nulls) = values(unquoted, parse_bool)?;
                    Some(Arc::new(BooleanArray::new(values.into(), nulls)))
                }
                ArrowType::Utf8View => Some(texts(records.fields(column), quote)),
                _ => None,
            }
        };
    }
    parsed_types!(parse)
}

/// What is between the quotes of a field that has them.
fn inner(field: &str, quote: char) -> Option<&str> {
    field.strip_prefix(quote)?.strip_suffix(quote)
}

fn numbers<'a, T: ArrowPrimitiveType + Parser>(
    fields: impl ExactSizeIterator<Item = &'a str>,
) -> Option<PrimitiveArray<T>> {
    let (values, nulls) = values(fields, T::parse)?;
    Some(PrimitiveArray::new(values.into(), nulls))
}

/// The values of fields, of which empty ones are null.
fn values<'a, T: Default>(
    fields: impl ExactSizeIterator<Item = &'a str>,
    parse: impl Fn(&str) -> Option<T>,
) -> Option<(Vec<T>, Option<NullBuffer>)> {
    let mut values = Vec::with_capacity(fields.len());
    let mut nulls = NullBufferBuilder::new(fields.len());
    for field in fields {
        values.push(if field.is_empty() { T::default() } else { parse(field)? });
        nulls.append(!field.is_empty());
    }
    Some((values, nulls.finish()))
}

/// Texts without their quotes; what is empty without quotes is null.
fn texts<'a>(fields: impl ExactSizeIterator<Item = &'a str>, quote: Option<char>) -> ArrayRef {
    let mut texts = StringViewBuilder::with_capacity(fields.len());
    let doubled = quote.map(|quote| (quote, String::from_iter([quote, quote])));
    for field in fields {
        let quoted = quote.and_then(|quote| inner(field, quote));
        match (field, quoted, &doubled) {
            ("", _, _) => texts.append_null(),
            (_, Some(text), Some((quote, doubled))) if text.contains(*quote) => {
                texts.append_value(text.replace(doubled.as_str(), &doubled[..quote.len_utf8()]));
            }
            (_, Some(text), _) => texts.append_value(text),
            (text, None, _) => texts.append_value(text),
        }
    }
    Arc::new(texts.finish())
}

fn parse_bool(text: &str) -> Option<bool> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::decode::Recipe;
    use super::*;
    use arrow::csv::reader::Format;
    use proptest::prelude::*;

    const QUOTING: Quoting = Quoting { delimiter: b',', quote: b'"', escape: None, comment: None };

    fn schema() -> Arc<ArrowSchema> {
        let fields = [
            ("i", ArrowType::Int64),
            ("f", ArrowType::Float64),
            ("s", ArrowType::Utf8View),
            ("b", ArrowType::Boolean),
        ];
        Arc::new(ArrowSchema::new(fields.map(|(n, t)| Field::new(n, t, true)).to_vec()))
    }

    /// What the decoder for all of CSV makes of it, as one batch; None if it refuses.
    fn in_general(text: &str, projection: &[usize], is_headed: bool) -> Option<RecordBatch> {
        let format = Format::default();
        let (schema, projection) = (schema(), projection.to_vec());
        let is_empty_null = true;
        let recipe = Recipe {
            format,
            quoting: QUOTING,
            schema,
            is_empty_null,
            projection: projection.clone(),
        };
        let batches = recipe.decode_all(text, is_headed).ok()?;
        let projected = Arc::new(recipe.schema.project(&projection).unwrap());
        arrow::compute::concat_batches(&projected, &batches).ok()
    }

    fn decoded(text: &str, projection: &[usize], is_headed: bool) -> Option<RecordBatch> {
        decode(text, QUOTING, &schema(), projection, is_headed)
    }

    #[test]
    fn simple_text_is_decoded() {
        for text in [
            "1,2.5,a,true\n,,,\n-3,1e5,a longer text than twelve,FALSE\n",
            "1,2.5,a,true\r\n2, 3 ,ü,false\r\n",
            "1,2.5,a,true\n2, 3 ,ü,false",
            "",
            "\"1\",\"2.5\",\"a\",\"true\"\n\"\",\"\",\"\",\"\"\n,,,\n",
            "1,2,\"a,b\",true\r\n2,3,\"c\nd\r\ne\",false\r\n",
            "1,2,\"\"\"\",true\n2,3,\"say \"\"a\"\", ü\",\"false\"",
        ] {
            let got = decoded(text, &[0, 1, 2, 3], false);
            assert_eq!(got, in_general(text, &[0, 1, 2, 3], false), "{text:?}");
            assert!(got.is_some());
        }
        let headed = "i,f,s,b\r\n1,2,x,true\r\n";
        assert_eq!(decoded(headed, &[2], true), in_general(headed, &[2], true));
        assert_eq!(decoded(headed, &[], true).unwrap().num_rows(), 1);
    }

    #[test]
    fn what_is_not_simple_is_declined() {
        for text in [
            "1,2,\"a\"b,true\n",
            "1,2,a\"b,true\n",
            "1,2,a\"b\",true\n",
            "1,2,\"a,true\n",
            "1,2,\"a\"\"b\"c\",true\n",
            "1,2,a\n",
            "1,2,a,true,5\n",
            "1,2,a,true\n1",
            "x,2,a,true\n",
            "1,2,a,yes\n",
            "1,2,a\rb,true\n",
            "1,2,a,true\r\n1,2,a,true\n",
            "1,2,a,true\n\n1,2,a,true\n",
            "\u{feff}1,2,a,true\n",
        ] {
            assert_eq!(decoded(text, &[0, 1, 2, 3], false), None, "{text:?}");
        }
        assert_eq!(decoded("i,f,s,x\n1,2,a,true\n", &[0], true), None);
        let escaped = Quoting { escape: Some(b'\\'), ..QUOTING };
        assert_eq!(decode("1,2,\"a\",true\n", escaped, &schema(), &[0], false), None);
        let quoted = "\"i\",f,\"s\",b\n1,2,\"x\",true\n";
        assert_eq!(decoded(quoted, &[0, 2], true), in_general(quoted, &[0, 2], true));
        assert!(decoded(quoted, &[0, 2], true).is_some());
        assert_eq!(decoded("\"i,f\",f,s,b\n1,2,a,true\n", &[0], true), None);
        let comments = Quoting { comment: Some(b'#'), ..QUOTING };
        assert_eq!(decode("1,2,a,true\n", comments, &schema(), &[0], false), None);
    }

    proptest! {
        /// Whatever is not declined is what the other decoder makes of it.
        #[test]
        fn both_decoders_agree(
            text in "([0-9a,\"\\r\\n]|true|-1,1\\.5,a,true\\n|,,ü,\\r\\n|7,\"8\",\"9,\"\"\n\",false\\n|\"\",1,\"\",\n){0,40}",
            projection in proptest::sample::subsequence(vec![0_usize, 1, 2, 3], 0..=4),
        ) {
            if let Some(got) = decoded(&text, &projection, false) {
                prop_assert_eq!(Some(got), in_general(&text, &projection, false));
            }
        }
    }
}
