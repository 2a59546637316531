//! Names and dtypes of the columns: from the options and a sample.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{
    DataType as ArrowType, Field, FieldRef, Fields, Schema as ArrowSchema,
    SchemaRef as ArrowSchemaRef,
};
use arrow::error::ArrowError;
use arrow::json::reader::infer_json_schema;
use polars_core::prelude::{DataType, PlSmallStr, SchemaRef};

use super::super::text::decoded_type;
use crate::error::{Blame, Error, Result};
use crate::frame::interop::{check_supported, polars_schema};

/// What the decoder is told, and what comes out of it in the end.
pub(super) fn guess(
    blame: &Blame<'_>,
    sample: &str,
    dtypes: &[(PlSmallStr, DataType)],
) -> Result<(ArrowSchemaRef, SchemaRef)> {
    let guessed = infer(sample).map_err(|error| {
        let first = |line: &&str| infer(line).is_err();
        let line = sample.lines().position(|line| first(&line)).map_or(0, |i| i + 1);
        let place = if line > 0 { format!("line {line}: ") } else { String::new() };
        blame.corrupt(format!("{place}{error}"))
    })?;
    let mut fields: Vec<FieldRef> = sorted(guessed.fields(), &key_order(sample)).to_vec();
    for (name, dtype) in dtypes {
        let decoded = decoded_type(dtype).ok_or_else(|| Error::DTypeMismatch {
            call: blame.call,
            got: format!("{dtype} for column {name:?}"),
            expected: "one that JSON is read as, such as str".to_string(),
        })?;
        let field = Arc::new(Field::new(name.as_str(), decoded, true));
        match fields.iter_mut().find(|field| field.name() == name.as_str()) {
            Some(guessed) => *guessed = field,
            None => fields.push(field),
        }
    }
    if fields.is_empty() {
        let remedy = "give columns with dtypes";
        return Err(blame.unsupported("a file without columns", remedy));
    }
    let decoded = ArrowSchema::new(fields);
    check_supported(&decoded).map_err(|(name, dtype)| {
        blame.unsupported(format!("column {name:?} with the type {dtype}"), "give its dtype")
    })?;
    let mut schema = polars_schema(&decoded).map_err(|problem| blame.corrupt(problem))?;
    for (name, dtype) in dtypes {
        schema.set_dtype(name, dtype.clone());
    }
    Ok((decoded.into(), schema.into()))
}

fn infer(text: &str) -> Result<ArrowSchema, ArrowError> {
    infer_json_schema(text.as_bytes(), None).map(|(schema, _)| schema)
}

/// The guess comes out of a hash map, in another order every time.
fn sorted(fields: &Fields, order: &HashMap<&str, usize>) -> Fields {
    let mut fields: Vec<FieldRef> = fields
        .iter()
        .map(|field| {
            let usual = usual_type(field.data_type(), order);
            Arc::new(field.as_ref().clone().with_data_type(usual))
        })
        .collect();
    let key = |field: &FieldRef| {
        (order.get(field.name().as_str()).copied().unwrap_or(usize::MAX), field.name().clone())
    };
    fields.sort_by_cached_key(key);
    fields.into()
}

/// What a guess becomes: what is null in the sample may be anything.
fn usual_type(guessed: &ArrowType, order: &HashMap<&str, usize>) -> ArrowType {
    match guessed {
        ArrowType::Null | ArrowType::Utf8 => ArrowType::Utf8View,
        ArrowType::Struct(fields) => ArrowType::Struct(sorted(fields, order)),
        ArrowType::List(field) => {
            let usual = usual_type(field.data_type(), order);
            ArrowType::LargeList(Arc::new(field.as_ref().clone().with_data_type(usual)))
        }
        other => other.clone(),
    }
}

/// The keys of all objects by their first place in the text, as they are written there.
fn key_order(text: &str) -> HashMap<&str, usize> {
    let mut order = HashMap::new();
    let mut rest = text;
    while let Some(start) = rest.find('"') {
        let string = &rest[start + 1..];
        let Some(end) = string_end(string) else { break };
        rest = &string[end + 1..];
        if rest.trim_start().starts_with(':') {
            let next = order.len();
            order.entry(&string[..end]).or_insert(next);
        }
    }
    order
}

fn string_end(string: &str) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'"', b'\\', &string.as_bytes()[at..])?;
        if string.as_bytes()[at] == b'"' {
            return Some(at);
        }
        at = (at + 2 <= string.len()).then_some(at + 2)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_in_the_order_of_the_text() {
        let text = "{\"z\": \"a\\\":\", \"b\" :{\"y\":\"x\"}}\n{\"a\":1,\"z\":\"b\\\\\"}\n\"\\";
        let order = key_order(text);
        let mut keys: Vec<_> = order.into_iter().collect();
        keys.sort_by_key(|&(_, place)| place);
        let keys: Vec<&str> = keys.into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["z", "b", "y", "a"]);
    }
}
