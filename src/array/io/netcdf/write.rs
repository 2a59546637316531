//! Writing NetCDF files: the whole header first, then boxes of variables in any order.

use std::path::Path;

use ndarray::ArrayViewD;

use super::super::bytes::{ByteOrder, Stored, encode_slice};
use super::super::layout::Layout;
use super::super::region::{PositionedFile, SCRATCH_BYTES};
use super::header::{
    Attribute, Dimension, Header, Kind, TAG_ATTRIBUTE, TAG_DIMENSION, TAG_VARIABLE, Variable,
};
use crate::array::dtype::{DType, Element};
use crate::atomic::AtomicFile;
use crate::error::{Call, Error, Result};

/// CDF-2 keeps the size of a variable in 32 bits.
const CDF2_VARIABLE_BYTES_MAX: u64 = u32::MAX as u64 - 3;

/// What a NetCDF file is going to hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct NetcdfSchema {
    dims: Vec<Dimension>,
    attributes: Vec<(String, Attribute)>,
    variables: Vec<NewVariable>,
}

#[derive(Clone, Debug)]
struct NewVariable {
    name: String,
    dtype: DType,
    dims: Vec<String>,
    attributes: Vec<(String, Attribute)>,
}

impl NetcdfSchema {
    /// A file without anything in it.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a dimension.
    #[must_use]
    pub(crate) fn dimension(mut self, name: &str, len: u64) -> Self {
        self.dims.push(Dimension { name: name.into(), len, unlimited: false });
        self
    }

    /// Adds the unlimited dimension, with as many records as are going to be written.
    #[must_use]
    pub(crate) fn unlimited(mut self, name: &str, n_records: u64) -> Self {
        self.dims.push(Dimension { name: name.into(), len: n_records, unlimited: true });
        self
    }

    /// Adds an attribute of the whole file.
    #[must_use]
    pub(crate) fn attribute(mut self, name: &str, value: Attribute) -> Self {
        self.attributes.push((name.into(), value));
        self
    }

    /// Adds a variable over dimensions that are there already.
    #[must_use]
    pub(crate) fn variable(
        mut self,
        name: &str,
        dtype: DType,
        dims: &[&str],
        attributes: &[(&str, Attribute)],
    ) -> Self {
        let dims = dims.iter().map(|&dim| dim.into()).collect();
        let attributes = attributes.iter().map(|(k, v)| (k.to_string(), v.clone())).collect();
        self.variables.push(NewVariable { name: name.into(), dtype, dims, attributes });
        self
    }

    /// The header, with the places of all variables.
    fn into_header(self, call: Call) -> Result<Header> {
        let invalid =
            |argument, got, expected| Error::InvalidArgument { call, argument, got, expected };
        let n_unlimited = self.dims.iter().filter(|dim| dim.unlimited).count();
        if n_unlimited > 1 || self.dims.iter().any(|dim| !dim.unlimited && dim.len == 0) {
            let expected = "one unlimited dimension and otherwise lengths of at least 1";
            return Err(invalid("dims", format!("{:?}", self.dims), expected));
        }
        let mut variables = Vec::new();
        for NewVariable { name, dtype, dims: dim_names, attributes } in self.variables {
            let kind = Kind::Number(dtype);
            if kind.code().is_none() {
                let expected = "an integer or a float";
                return Err(invalid("dtype", format!("{dtype} for variable {name:?}"), expected));
            }
            let position = |dim: &String| self.dims.iter().position(|d| &d.name == dim);
            let dims: Option<Vec<usize>> = dim_names.iter().map(position).collect();
            let dims = dims.filter(|dims| dims.iter().skip(1).all(|&d| !self.dims[d].unlimited));
            let dims = dims.ok_or_else(|| {
                let expected = "dimensions of the file, with the unlimited one first";
                invalid("dims", format!("{dim_names:?} for variable {name:?}"), expected)
            })?;
            variables.push(Variable { name, dims, attributes, kind, begin: 0 });
        }
        let (dims, attributes) = (self.dims, self.attributes);
        let mut header = Header { version: 2, dims, attributes, variables };
        let too_large = |what| invalid("shape", what, "less than 2^63 bytes");
        place(&mut header).ok_or_else(|| too_large(format!("{:?}", header.dims)))?;
        Ok(header)
    }
}

/// Chooses the version and puts all fixed variables behind the header, then the records; `None`
/// if that overflows.
fn place(header: &mut Header) -> Option<()> {
    let attributes = header.variables.iter().flat_map(|variable| &variable.attributes);
    let kinds = attributes.chain(&header.attributes).map(|(_, value)| value.kind());
    let mut kinds = kinds.chain(header.variables.iter().map(|variable| variable.kind));
    let mut is_wide = kinds.any(|kind| kind.code().is_some_and(|code| code > 6));
    is_wide |= header.dims.iter().any(|dim| dim.len > i32::MAX as u64);
    for variable in &header.variables {
        is_wide |= header.variable_bytes(variable)? > CDF2_VARIABLE_BYTES_MAX;
    }
    header.version = if is_wide { 5 } else { 2 };
    let mut at = (encode(header).len() as u64).next_multiple_of(4);
    for records in [false, true] {
        for i in 0..header.variables.len() {
            if header.is_record(&header.variables[i]) == records {
                let nbytes = header.variable_bytes(&header.variables[i])?;
                header.variables[i].begin = at;
                at = at.checked_add(nbytes.checked_next_multiple_of(4)?)?;
            }
        }
    }
    Some(())
}

/// The header as bytes.
fn encode(header: &Header) -> Vec<u8> {
    let mut out = Encoder { bytes: b"CDF".to_vec(), wide: header.version == 5 };
    out.bytes.push(header.version);
    out.count(header.dims.iter().find(|dim| dim.unlimited).map_or(0, |dim| dim.len));
    out.list(TAG_DIMENSION, &header.dims, |out, dim| {
        out.name(&dim.name);
        out.count(if dim.unlimited { 0 } else { dim.len });
    });
    out.list(TAG_ATTRIBUTE, &header.attributes, Encoder::attribute);
    out.list(TAG_VARIABLE, &header.variables, |out, variable| {
        out.name(&variable.name);
        out.count(variable.dims.len() as u64);
        variable.dims.iter().for_each(|&dim| out.count(dim as u64));
        out.list(TAG_ATTRIBUTE, &variable.attributes, Encoder::attribute);
        out.number(variable.kind.code().unwrap_or(0));
        let nbytes = header.variable_bytes(variable).unwrap_or(0);
        out.count(nbytes.checked_next_multiple_of(4).unwrap_or(0));
        out.number(variable.begin);
    });
    out.bytes
}

struct Encoder {
    bytes: Vec<u8>,
    /// Whether counts have 64 bits.
    wide: bool,
}

impl Encoder {
    fn number<T: Stored>(&mut self, number: T) {
        self.numbers(&[number]);
    }

    fn numbers<T: Stored>(&mut self, numbers: &[T]) {
        let at = self.bytes.len();
        self.bytes.resize(at + size_of_val(numbers), 0);
        encode_slice(numbers, ByteOrder::Big, &mut self.bytes[at..]);
    }

    fn count(&mut self, count: u64) {
        if self.wide { self.number(count) } else { self.number(count as u32) }
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn name(&mut self, name: &str) {
        self.count(name.len() as u64);
        self.bytes.extend(name.as_bytes());
        self.pad();
    }

    fn list<T>(&mut self, tag: u32, list: &[T], mut element: impl FnMut(&mut Self, &T)) {
        self.number(if list.is_empty() { 0 } else { tag });
        self.count(list.len() as u64);
        list.iter().for_each(|item| element(self, item));
    }

    fn attribute(&mut self, (name, value): &(String, Attribute)) {
        self.name(name);
        self.number(value.kind().code().expect("attributes have types of the format"));
        match value {
            Attribute::Text(text) => self.values(text.as_bytes()),
            // A list of texts is lines, as other writers of the format put it.
            Attribute::Texts(texts) => self.values(texts.join("\n").as_bytes()),
            Attribute::I8(v) => self.values(v),
            Attribute::I16(v) => self.values(v),
            Attribute::I32(v) => self.values(v),
            Attribute::I64(v) => self.values(v),
            Attribute::U8(v) => self.values(v),
            Attribute::U16(v) => self.values(v),
            Attribute::U32(v) => self.values(v),
            Attribute::U64(v) => self.values(v),
            Attribute::F32(v) => self.values(v),
            Attribute::F64(v) => self.values(v),
        }
    }

    fn values<T: Stored>(&mut self, values: &[T]) {
        self.count(values.len() as u64);
        self.numbers(values);
        self.pad();
    }
}

/// A NetCDF file that is being written, under a temporary name until [`finish`](Self::finish).
#[derive(Debug)]
pub(crate) struct NetcdfWriter {
    call: Call,
    name: AtomicFile,
    file: PositionedFile,
    header: Header,
    layouts: Vec<Layout>,
}

impl NetcdfWriter {
    /// Bytes that writing a box uses beside it.
    pub(crate) const SCRATCH_BYTES: u64 = SCRATCH_BYTES;

    /// Starts a file of zeros: CDF-2, or CDF-5 where that can't hold the types or lengths.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::InvalidArgument`] if the schema is not possible.
    pub(crate) fn create(call: Call, path: impl AsRef<Path>, schema: NetcdfSchema) -> Result<Self> {
        let header = schema.into_header(call)?;
        let layout = |variable: &Variable| {
            let record_bytes = match header.is_record(variable) {
                true => Some(header.record_bytes()?),
                false => None,
            };
            let item_bytes = variable.kind.dtype().nbytes();
            Layout::new(variable.begin, &header.shape(variable), item_bytes, record_bytes)
        };
        let layouts: Option<Vec<Layout>> = header.variables.iter().map(layout).collect();
        let layouts = layouts.ok_or_else(|| Error::InvalidArgument {
            call,
            argument: "shape",
            got: format!("{:?}", header.dims),
            expected: "less than 2^63 bytes",
        })?;
        let bytes = encode(&header);
        let end = layouts.iter().map(Layout::end).fold(bytes.len() as u64, u64::max);
        let (name, file) = AtomicFile::create(call, path.as_ref())?;
        let file = PositionedFile::new(file, path.as_ref());
        file.write_at(call, 0, &bytes)?;
        file.set_len(call, end.next_multiple_of(4))?;
        Ok(NetcdfWriter { call, name, file, header, layouts })
    }

    /// Writes the box of a variable, by its place in the schema, that begins at `start`. Threads may write boxes that do not
    /// overlap at once.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::DTypeMismatch`], or [`Error::InvalidArgument`] if there is no such box.
    pub(crate) fn write_block<T: Element>(
        &self,
        position: usize,
        start: &[u64],
        block: &ArrayViewD<'_, T>,
    ) -> Result<()> {
        let call = self.call;
        let dtype = self.dtype(position);
        if T::DTYPE != dtype {
            let (got, expected) = (T::DTYPE.to_string(), dtype.to_string());
            return Err(Error::DTypeMismatch { call, got, expected });
        }
        self.file.write_box(call, &self.layouts[position], ByteOrder::Big, start, block)
    }

    /// The type of a variable, by its place in the schema.
    pub(crate) fn dtype(&self, position: usize) -> DType {
        self.header.variables[position].kind.dtype()
    }

    /// Writes everything to disk and gives the file its name, replacing what was there.
    ///
    /// # Errors
    /// [`Error::Io`]; what was there before is then still there.
    pub(crate) fn finish(self) -> Result<()> {
        self.name.finish(self.call, self.file.file())
    }
}
