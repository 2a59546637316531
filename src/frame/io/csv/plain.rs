//! Text without quotes: fields end at every delimiter, and records at every new line.
//!
//! Most of CSV is like that, and to look for two bytes is several times as fast as a state machine of the whole format;
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
use memchr::{memchr, memchr_iter};

use super::super::text::Quoting;

/// The columns of these numbers, if the text is simple enough. `is_headed` if its first record is the header.
pub(super) fn decode(
    text: &str,
    quoting: Quoting,
    schema: &ArrowSchema,
    projection: &[usize],
    is_headed: bool,
) -> Option<RecordBatch> {
    let is_simple = quoting.comment.is_none()
        && memchr(quoting.quote, text.as_bytes()).is_none()
        && !text.starts_with('\u{feff}')
        && u32::try_from(text.len()).is_ok()
        && projection.iter().all(|&i| is_known(schema.field(i).data_type()));
    if !is_simple {
        return None;
    }
    let text = if is_headed { after_header(text, quoting.delimiter, schema)? } else { text };
    let records = Records::find(text, quoting.delimiter, schema.fields().len())?;
    let columns = projection.iter().map(|&i| parse(schema.field(i).data_type(), &records, i));
    let columns: Option<Vec<ArrayRef>> = columns.collect();
    let options = RecordBatchOptions::new().with_row_count(Some(records.n_rows()));
    let projected = Arc::new(schema.project(projection).ok()?);
    RecordBatch::try_new_with_options(projected, columns?, &options).ok()
}

/// What comes after the header, if that has the names of the schema.
fn after_header<'a>(text: &'a str, delimiter: u8, schema: &ArrowSchema) -> Option<&'a str> {
    let (header, rest) = text.split_once('\n').unwrap_or((text, ""));
    let header = header.strip_suffix('\r').unwrap_or(header);
    let names = schema.fields().iter().map(|field| field.name().as_str());
    header.split(char::from(delimiter)).eq(names).then_some(rest)
}

/// Records that all have the same number of fields.
struct Records<'a> {
    text: &'a str,
    n_columns: usize,
    /// Where each field ends, after one that ends before the text.
    ends: Vec<u32>,
    /// The bytes at the end of each record that are not of its last field.
    n_returns: u32,
}

impl<'a> Records<'a> {
    /// None if a record has more or fewer fields than there are columns, or if there are empty lines.
    fn find(text: &'a str, delimiter: u8, n_columns: usize) -> Option<Self> {
        let bytes = text.as_bytes();
        let count = |byte| memchr_iter(byte, bytes).count();
        let has_open_end = !text.is_empty() && !text.ends_with('\n');
        let n_rows = count(b'\n') + usize::from(has_open_end);
        // Every field has an end, so that fewer bytes can't be as many fields: nothing is allocated for them.
        let n_fields = n_rows.checked_mul(n_columns).filter(|&n| n <= bytes.len() + 1)?;
        let mut ends = find_ends(bytes, delimiter, n_fields)?;
        if has_open_end {
            ends.push(bytes.len() as u32);
        }
        // There are as many lines as records, so that if each record ends with a line, none ends within one.
        let is_line_end = |end: u32| bytes.get(end as usize).is_none_or(|&byte| byte == b'\n');
        let mut records = ends[1..].chunks_exact(n_columns);
        let is_regular = records.all(|ends| is_line_end(ends[n_columns - 1]));
        // An empty line is no record, and looks like an empty one only if there is one column.
        if ends.len() != n_fields + 1 || !is_regular || n_columns == 1 {
            return None;
        }
        let n_returns = match memchr(b'\r', bytes) {
            None => 0,
            // A carriage return that is not before a new line would end a record too.
            Some(_) => {
                let mut lines = ends[1..].chunks_exact(n_columns).map(|ends| ends[n_columns - 1]);
                let has_return = |end: u32| end > 0 && bytes[end as usize - 1] == b'\r';
                (count(b'\r') == n_rows && lines.all(has_return)).then_some(1)?
            }
        };
        Some(Records { text, n_columns, ends, n_returns })
    }

    fn n_rows(&self) -> usize {
        (self.ends.len() - 1) / self.n_columns
    }

    /// The fields of a column.
    fn fields(&self, column: usize) -> impl ExactSizeIterator<Item = &'a str> {
        let is_last = column + 1 == self.n_columns;
        let n_returns = if is_last { self.n_returns } else { 0 };
        let text = self.text;
        let ends = self.ends.get(column..).unwrap_or_default().windows(2).step_by(self.n_columns);
        ends.map(move |ends| {
            &text[ends[0].wrapping_add(1) as usize..(ends[1] - n_returns) as usize]
        })
    }
}

/// Where delimiters and new lines are, after one before the text; None if they are more than expected.
fn find_ends(text: &[u8], delimiter: u8, n_expected: usize) -> Option<Vec<u32>> {
    /// So many are written at once, whether they are there or not, because that is no branch.
    const STEP: usize = 8;
    let mut ends = vec![0; n_expected + 1 + 64];
    ends[0] = u32::MAX;
    let mut n = 1;
    let (blocks, rest) = text.as_chunks::<64>();
    let mut at = 0_u32;
    for block in blocks {
        let mut found = ends_in(block, delimiter);
        let n_found = found.count_ones() as usize;
        let room = ends.get_mut(n..n + 64)?;
        for room in room.chunks_exact_mut(STEP).take(n_found.div_ceil(STEP)) {
            for end in room {
                *end = at + found.trailing_zeros();
                found &= found.wrapping_sub(1);
            }
        }
        n += n_found;
        at += 64;
    }
    ends.truncate(n);
    for (&byte, at) in rest.iter().zip(at..) {
        if byte == delimiter || byte == b'\n' {
            ends.push(at);
        }
    }
    Some(ends)
}

/// A bit for each byte that is the delimiter or a new line.
fn ends_in(block: &[u8; 64], delimiter: u8) -> u64 {
    let (words, _) = block.as_chunks::<8>();
    let mut ends = 0;
    for (i, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let found = equal_bytes(word, delimiter) | equal_bytes(word, b'\n');
        // Moves the highest bits of all bytes together.
        let bits = (found >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        ends |= bits << (8 * i);
    }
    ends
}

/// The highest bit of each byte of a word that is this one.
///
/// # Source
/// H. S. Warren, *Hacker's Delight*, 2nd edition, 6-1.
fn equal_bytes(word: u64, byte: u8) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let difference = word ^ (u64::from(byte) * 0x0101_0101_0101_0101);
    !(((difference & LOW) + LOW) | difference | LOW)
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
    let fields = records.fields(column);
    macro_rules! parse {
        ($($dtype:ident $type:ident),*) => {
            match dtype {
                $(ArrowType::$dtype => Some(Arc::new(numbers::<$type>(fields)?)),)*
                ArrowType::Boolean => {
                    let (values, nulls) = values(fields, parse_bool)?;
                    Some(Arc::new(BooleanArray::new(values.into(), nulls)))
                }
                ArrowType::Utf8View => Some(texts(fields)),
                _ => None,
            }
        };
    }
    parsed_types!(parse)
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

fn texts<'a>(fields: impl ExactSizeIterator<Item = &'a str>) -> ArrayRef {
    let mut texts = StringViewBuilder::with_capacity(fields.len());
    for field in fields {
        match field {
            "" => texts.append_null(),
            value => texts.append_value(value),
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
        let batches = recipe.run(text, &projection, is_headed, is_headed).ok()?;
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
            "1,2,\"a\",true\n",
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
        let comments = Quoting { comment: Some(b'#'), ..QUOTING };
        assert_eq!(decode("1,2,a,true\n", comments, &schema(), &[0], false), None);
    }

    #[test]
    fn nothing_is_allocated_for_fields_that_text_can_not_have() {
        // A terabyte of ends of fields, if there were as many.
        assert!(Records::find(&"\n".repeat(1 << 18), b',', 1 << 20).is_none());
        assert!(Records::find("\n\n\n\n", b',', usize::MAX / 2).is_none());
    }

    #[test]
    fn ends_are_found_by_words_as_by_bytes() {
        let mut block = [0; 64];
        for (i, byte) in block.iter_mut().enumerate() {
            *byte = [b',', b'\n', 0x00, 0xff, b'-', 0x8a, 0x0b, 0xac][((i * i) ^ (i / 9)) % 8];
        }
        for (i, byte) in block.into_iter().enumerate() {
            let is_end = byte == b',' || byte == b'\n';
            assert_eq!((ends_in(&block, b',') >> i) & 1 == 1, is_end, "{byte:#x} at {i}");
        }
    }

    proptest! {
        /// Whatever is not declined is what the other decoder makes of it.
        #[test]
        fn both_decoders_agree(
            text in "([0-9a,\\r\\n]|true|-1,1\\.5,a,true\\n|,,ü,\\r\\n|7,8,9,false\\n){0,40}",
            projection in proptest::sample::subsequence(vec![0_usize, 1, 2, 3], 0..=4),
        ) {
            if let Some(got) = decoded(&text, &projection, false) {
                prop_assert_eq!(Some(got), in_general(&text, &projection, false));
            }
        }
    }
}
