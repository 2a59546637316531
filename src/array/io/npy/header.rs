//! The header of a `.npy` file: a Python dictionary literal of three keys.

use super::super::bytes::ByteOrder;
use super::super::region::PositionedFile;
use crate::array::dtype::DType;
use crate::error::{Blame, Call, Result};

const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// Longer headers than this are not read: a header of plain elements has a hundred bytes.
const HEADER_BYTES_MAX: u64 = 1 << 20;

/// NumPy's own limit.
const NDIM_MAX: usize = 64;

/// What the header says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) dtype: DType,
    pub(super) order: ByteOrder,
    pub(super) fortran_order: bool,
    pub(super) shape: Vec<u64>,
    /// Where the elements begin.
    pub(super) begin: u64,
}

impl Header {
    /// Reads the header at the beginning of a file.
    pub(super) fn read(call: Call, file: &PositionedFile) -> Result<Self> {
        let blame = Blame { call, path: file.path(), format: "npy" };
        let nbytes = file.nbytes(call)?;
        if nbytes < 12 {
            return Err(blame.corrupt(format!("{nbytes} bytes are too few for a header")));
        }
        let mut prefix = [0; 12];
        file.read_at(call, 0, &mut prefix)?;
        if &prefix[..6] != MAGIC {
            return Err(blame.corrupt("it does not begin with \\x93NUMPY"));
        }
        let (at, len) = match prefix[6] {
            1 => (10, u64::from(u16::from_le_bytes([prefix[8], prefix[9]]))),
            2 | 3 => {
                let len = [prefix[8], prefix[9], prefix[10], prefix[11]];
                (12, u64::from(u32::from_le_bytes(len)))
            }
            version => {
                let feature = format!("version {version}.{} of the npy format", prefix[7]);
                return Err(blame.unsupported(feature, "save it again with NumPy 1 or 2"));
            }
        };
        if len > HEADER_BYTES_MAX || at + len > nbytes {
            return Err(blame.corrupt(format!(
                "a header of {len} bytes in a file of {nbytes}, expected at most {HEADER_BYTES_MAX}"
            )));
        }
        let mut text = vec![0; len as usize];
        file.read_at(call, at, &mut text)?;
        let text = String::from_utf8_lossy(&text);
        let dict = parse(&text).ok_or_else(|| {
            let text: String = text.chars().take(200).collect();
            blame.corrupt(format!(
                "the header {text:?} is not {{'descr': …, 'fortran_order': …, 'shape': …}}"
            ))
        })?;
        let remedy = "save it as bool, an integer, a float or a complex number";
        let (dtype, order) = parse_descr(dict.descr)
            .ok_or_else(|| blame.unsupported(format!("dtype {}", dict.descr), remedy))?;
        let Dict { fortran_order, shape, .. } = dict;
        Ok(Header { dtype, order, fortran_order, shape, begin: at + len })
    }
}

/// The header of version 1.0 for elements in C order and native byte order, padded so that the
/// elements begin at a multiple of 64 bytes.
pub(super) fn encode(dtype: DType, shape: &[u64]) -> Vec<u8> {
    let axes: String = shape.iter().map(|len| format!("{len}, ")).collect();
    // One axis keeps its comma, `(3,)`; several lose the last one, `(3, 4)`.
    let axes = if shape.len() == 1 { axes.trim_end() } else { axes.trim_end_matches(", ") };
    let descr = descr(dtype);
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({axes}), }}");
    while !(text.len() + 11).is_multiple_of(64) {
        text.push(' ');
    }
    text.push('\n');
    let len = u16::try_from(text.len()).expect("64 axes of 20 digits fit into 65535 bytes");
    [MAGIC.as_slice(), &[1, 0], &len.to_le_bytes(), text.as_bytes()].concat()
}

/// NumPy's name of a dtype in the byte order of this machine.
pub(super) fn descr(dtype: DType) -> String {
    let kind = match dtype {
        DType::Bool => 'b',
        DType::I8 | DType::I16 | DType::I32 | DType::I64 => 'i',
        DType::U8 | DType::U16 | DType::U32 | DType::U64 => 'u',
        DType::F32 | DType::F64 => 'f',
        DType::C64 | DType::C128 => 'c',
    };
    let order = match (dtype.nbytes(), ByteOrder::NATIVE) {
        (1, _) => '|',
        (_, ByteOrder::Little) => '<',
        (_, ByteOrder::Big) => '>',
    };
    format!("{order}{kind}{}", dtype.nbytes())
}

/// The dictionary, with the element type not yet understood.
#[derive(Debug, PartialEq, Eq)]
struct Dict<'a> {
    descr: &'a str,
    fortran_order: bool,
    shape: Vec<u64>,
}

/// Parses `{'descr': …, 'fortran_order': …, 'shape': …}` with the keys in any order.
fn parse(text: &str) -> Option<Dict<'_>> {
    let (mut descr, mut fortran_order, mut shape) = (None, None, None);
    let mut rest = text.trim().strip_prefix('{')?;
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix('}') {
            let dict = Dict { descr: descr?, fortran_order: fortran_order?, shape: shape? };
            return after.is_empty().then_some(dict);
        }
        let key;
        (key, rest) = string(rest)?;
        rest = rest.trim_start().strip_prefix(':')?.trim_start();
        match key {
            "descr" => {
                let value;
                (value, rest) = string(rest).or_else(|| list(rest))?;
                descr = Some(value);
            }
            "fortran_order" => {
                let value = rest.starts_with("True");
                rest = rest.strip_prefix(if value { "True" } else { "False" })?;
                fortran_order = Some(value);
            }
            "shape" => {
                let (axes, after) = rest.strip_prefix('(')?.split_once(')')?;
                shape = Some(tuple(axes)?);
                rest = after;
            }
            _ => return None,
        }
        rest = rest.trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
}

/// A quoted string without escapes, and what comes after it.
fn string(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    text[1..].split_once(quote)
}

/// A list in brackets as it is, and what comes after it: the dtype of a structure.
fn list(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix('[')?;
    let mut depth = 0usize;
    for (at, c) in text.char_indices() {
        depth = match c {
            '[' => depth + 1,
            ']' => depth - 1,
            _ => depth,
        };
        if depth == 0 {
            return Some(text.split_at(at + 1));
        }
    }
    None
}

fn tuple(axes: &str) -> Option<Vec<u64>> {
    let axes = axes.trim();
    let axes = axes.strip_suffix(',').unwrap_or(axes);
    if axes.is_empty() {
        return Some(Vec::new());
    }
    // Python 2 wrote `3L`.
    let len = |axis: &str| axis.trim().trim_end_matches('L').parse().ok();
    let axes: Vec<u64> = axes.split(',').map(len).collect::<Option<_>>()?;
    (axes.len() <= NDIM_MAX).then_some(axes)
}

/// The element type and byte order of a string such as `<f8`.
fn parse_descr(descr: &str) -> Option<(DType, ByteOrder)> {
    let (order, rest) = match descr.as_bytes().first()? {
        b'<' => (ByteOrder::Little, &descr[1..]),
        b'>' => (ByteOrder::Big, &descr[1..]),
        b'|' | b'=' => (ByteOrder::NATIVE, &descr[1..]),
        _ => (ByteOrder::NATIVE, descr),
    };
    let dtype = match rest {
        "b1" | "?" => DType::Bool,
        "i1" => DType::I8,
        "i2" => DType::I16,
        "i4" => DType::I32,
        "i8" => DType::I64,
        "u1" => DType::U8,
        "u2" => DType::U16,
        "u4" => DType::U32,
        "u8" => DType::U64,
        "f4" => DType::F32,
        "f8" => DType::F64,
        "c8" => DType::C64,
        "c16" => DType::C128,
        _ => return None,
    };
    Some((dtype, order))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys_in_any_order_and_python_2() {
        let dict = parse("{\"shape\": (3L, 4), 'fortran_order':True,'descr' : '>c16'} ").unwrap();
        assert_eq!(dict, Dict { descr: ">c16", fortran_order: true, shape: vec![3, 4] });
        assert_eq!(parse_descr(dict.descr), Some((DType::C128, ByteOrder::Big)));
    }

    #[test]
    fn headers_that_are_not_valid() {
        for text in [
            "",
            "{",
            "{}",
            "{'descr': '<f8', 'fortran_order': False}",
            "{'descr': '<f8', 'fortran_order': 0, 'shape': ()}",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (1,,)}",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999,)}",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (), 'x': 1}",
            "{'descr': '<f8', 'fortran_order': False, 'shape': ()} x",
            "{'descr': [('a', '<f8'), 'fortran_order': False, 'shape': ()}",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn structures_are_understood_to_be_unsupported() {
        let text = "{'descr': [('a', '<f8'), ('b', [('c', 'i4')])], 'fortran_order': False, \
                    'shape': (2,), }";
        let dict = parse(text).unwrap();
        assert_eq!(dict.descr, "[('a', '<f8'), ('b', [('c', 'i4')])]");
        assert_eq!(parse_descr(dict.descr), None);
    }

    #[test]
    fn written_headers_are_read() {
        for dtype in DType::ALL {
            for shape in [vec![], vec![5], vec![3, 0], vec![u64::MAX; 64]] {
                let bytes = encode(dtype, &shape);
                assert_eq!(bytes.len() % 64, 0);
                let dict = parse(std::str::from_utf8(&bytes[10..]).unwrap()).unwrap();
                assert_eq!((dict.fortran_order, dict.shape), (false, shape));
                assert_eq!(parse_descr(dict.descr), Some((dtype, ByteOrder::NATIVE)));
            }
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,80}") {
            parse(&text);
            parse_descr(&text);
        }

        #[test]
        fn nor_does_text_that_is_almost_a_header(
            text in "\\{?('descr'|'shape'|'fortran_order'|[:,'\"\\[\\]()0-9L <f\u{e9}]|True|False){0,12}\\}?"
        ) {
            parse(&text);
        }
    }
}
