//! The header of a NetCDF classic file, as data.
//!
//! The grammar is that of "The NetCDF Classic Format Specification",
//! <https://docs.unidata.ucar.edu/netcdf-c/current/file_format_specifications.html>; the comments
//! name its rules. Three versions differ in the width of numbers: CDF-1 (all 32 bits), CDF-2 (64-bit
//! offsets) and CDF-5 (64-bit offsets and counts, and more types).
//!
//! Counts in the file are never trusted: lists grow element by element, and a value is allocated
//! only if the rest of the file is long enough to hold it.

use super::super::bytes::{ByteOrder, Stored};
use super::super::region::PositionedFile;
use crate::array::dtype::DType;
use crate::error::{Blame, Call, Result};

/// Files are read in pieces of so many bytes while the header is parsed.
const PIECE_BYTES: u64 = 16 << 10;

pub(super) const TAG_DIMENSION: u32 = 10;
pub(super) const TAG_VARIABLE: u32 = 11;
pub(super) const TAG_ATTRIBUTE: u32 = 12;

/// A value of an attribute, with the type that it has in the file.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Attribute {
    /// Text; bytes that are not UTF-8 are replaced.
    Text(String),
    /// Several texts, in NetCDF-4 only.
    Texts(Vec<String>),
    /// `NC_BYTE`
    I8(Vec<i8>),
    /// `NC_SHORT`
    I16(Vec<i16>),
    /// `NC_INT`
    I32(Vec<i32>),
    /// `NC_INT64`, in CDF-5 only.
    I64(Vec<i64>),
    /// `NC_UBYTE`, in CDF-5 only.
    U8(Vec<u8>),
    /// `NC_USHORT`, in CDF-5 only.
    U16(Vec<u16>),
    /// `NC_UINT`, in CDF-5 only.
    U32(Vec<u32>),
    /// `NC_UINT64`, in CDF-5 only.
    U64(Vec<u64>),
    /// `NC_FLOAT`
    F32(Vec<f32>),
    /// `NC_DOUBLE`
    F64(Vec<f64>),
}

macro_rules! attributes {
    ($($t:ty => $variant:ident $value:ident $made:expr;)*) => {$(
        impl From<$t> for Attribute {
            fn from($value: $t) -> Self {
                Attribute::$variant($made)
            }
        }
    )*};
}

attributes! {
    &str => Text text text.to_owned();
    String => Text text text;
    i16 => I16 number vec![number];
    i32 => I32 number vec![number];
    f32 => F32 number vec![number];
    f64 => F64 number vec![number];
}

impl Attribute {
    pub(super) fn kind(&self) -> Kind {
        Kind::Number(match self {
            Attribute::Text(_) | Attribute::Texts(_) => return Kind::Char,
            Attribute::I8(_) => DType::I8,
            Attribute::I16(_) => DType::I16,
            Attribute::I32(_) => DType::I32,
            Attribute::I64(_) => DType::I64,
            Attribute::U8(_) => DType::U8,
            Attribute::U16(_) => DType::U16,
            Attribute::U32(_) => DType::U32,
            Attribute::U64(_) => DType::U64,
            Attribute::F32(_) => DType::F32,
            Attribute::F64(_) => DType::F64,
        })
    }
}

/// A named axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dimension {
    /// Its name.
    pub name: String,
    /// Its length; the number of records if it is unlimited.
    pub len: u64,
    /// Whether it is the record dimension.
    pub unlimited: bool,
}

/// What the header says about one variable.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Variable {
    pub(super) name: String,
    /// Indices into the dimensions, slowest first.
    pub(super) dims: Vec<usize>,
    pub(super) attributes: Vec<(String, Attribute)>,
    pub(super) kind: Kind,
    /// Where the first element lies.
    pub(super) begin: u64,
}

/// The header.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Header {
    pub(super) version: u8,
    pub(super) dims: Vec<Dimension>,
    pub(super) attributes: Vec<(String, Attribute)>,
    pub(super) variables: Vec<Variable>,
}

/// `nc_type`: the element types of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Char,
    Number(DType),
}

impl Kind {
    pub(super) fn from_code(version: u8, code: u32) -> Option<Self> {
        let dtype = match code {
            1 => DType::I8,
            2 => return Some(Kind::Char),
            3 => DType::I16,
            4 => DType::I32,
            5 => DType::F32,
            6 => DType::F64,
            7 if version == 5 => DType::U8,
            8 if version == 5 => DType::U16,
            9 if version == 5 => DType::U32,
            10 if version == 5 => DType::I64,
            11 if version == 5 => DType::U64,
            _ => return None,
        };
        Some(Kind::Number(dtype))
    }

    pub(super) fn code(self) -> Option<u32> {
        Some(match self {
            Kind::Char => 2,
            Kind::Number(DType::I8) => 1,
            Kind::Number(DType::I16) => 3,
            Kind::Number(DType::I32) => 4,
            Kind::Number(DType::F32) => 5,
            Kind::Number(DType::F64) => 6,
            Kind::Number(DType::U8) => 7,
            Kind::Number(DType::U16) => 8,
            Kind::Number(DType::U32) => 9,
            Kind::Number(DType::I64) => 10,
            Kind::Number(DType::U64) => 11,
            Kind::Number(DType::Bool | DType::C64 | DType::C128) => return None,
        })
    }

    /// The elements as arrays hold them: text is bytes.
    pub(super) fn dtype(self) -> DType {
        match self {
            Kind::Char => DType::U8,
            Kind::Number(dtype) => dtype,
        }
    }
}

impl Header {
    /// Reads the header at the beginning of a file.
    pub(super) fn read(call: Call, file: &PositionedFile) -> Result<Self> {
        let blame = Blame { call, path: file.path(), format: "NetCDF" };
        let nbytes = file.nbytes(call)?;
        let mut reader =
            Reader { blame, file, nbytes, at: 0, piece: Vec::new(), piece_at: 0, version: 1 };
        reader.header()
    }

    pub(super) fn is_record(&self, variable: &Variable) -> bool {
        variable.dims.first().is_some_and(|&dim| self.dims[dim].unlimited)
    }

    pub(super) fn shape(&self, variable: &Variable) -> Vec<u64> {
        variable.dims.iter().map(|&dim| self.dims[dim].len).collect()
    }

    /// The bytes of a variable, of one record of it if it has records; `None` on overflow.
    pub(super) fn variable_bytes(&self, variable: &Variable) -> Option<u64> {
        let fixed = &variable.dims[usize::from(self.is_record(variable))..];
        let item_bytes = variable.kind.dtype().nbytes() as u64;
        fixed.iter().try_fold(item_bytes, |n, &dim| n.checked_mul(self.dims[dim].len))
    }

    /// The bytes from one record to the next; `None` on overflow.
    pub(super) fn record_bytes(&self) -> Option<u64> {
        let mut records = self.variables.iter().filter(|variable| self.is_record(variable));
        match (records.next(), records.next()) {
            (None, _) => Some(0),
            // A single record variable is not padded.
            (Some(only), None) => self.variable_bytes(only),
            _ => self.variables.iter().filter(|variable| self.is_record(variable)).try_fold(
                0u64,
                |sum, variable| {
                    sum.checked_add(self.variable_bytes(variable)?.checked_next_multiple_of(4)?)
                },
            ),
        }
    }
}

/// A cursor over the beginning of a file.
struct Reader<'a> {
    blame: Blame<'a>,
    file: &'a PositionedFile,
    nbytes: u64,
    at: u64,
    piece: Vec<u8>,
    piece_at: u64,
    version: u8,
}

impl Reader<'_> {
    /// `header = magic numrecs dim_list gatt_list var_list`
    fn header(&mut self) -> Result<Header> {
        self.magic()?;
        let n_records = self.n_records()?;
        let mut dims = self.list(TAG_DIMENSION, Self::dimension)?;
        let attributes = self.list(TAG_ATTRIBUTE, Self::attribute)?;
        let n_dims = dims.len();
        let variables = self.list(TAG_VARIABLE, |reader| reader.variable(n_dims))?;
        if dims.iter().filter(|dim| dim.unlimited).count() > 1 {
            return Err(self.blame.corrupt("more than one unlimited dimension"));
        }
        for variable in &variables {
            if variable.dims.iter().skip(1).any(|&dim| dims[dim].unlimited) {
                let problem = format!("variable {:?} has a late record dimension", variable.name);
                return Err(self.blame.corrupt(problem));
            }
        }
        if let Some(dim) = dims.iter_mut().find(|dim| dim.unlimited) {
            dim.len = n_records.unwrap_or(0);
        }
        let mut header = Header { version: self.version, dims, attributes, variables };
        if n_records.is_none() {
            self.count_records(&mut header);
        }
        Ok(header)
    }

    /// `magic = 'C' 'D' 'F' VERSION`
    fn magic(&mut self) -> Result<()> {
        let magic = self.bytes(4)?;
        match magic[..] {
            [b'C', b'D', b'F', version @ (1 | 2 | 5)] => {
                self.version = version;
                Ok(())
            }
            [0x89, b'H', b'D', b'F'] => Err(self.blame.unsupported(
                "NetCDF-4 (HDF5)",
                "build dask-rs with its feature \"hdf5\", or convert it with nccopy -k cdf5",
            )),
            _ => Err(self.blame.corrupt(format!("it begins with {magic:?}, expected CDF"))),
        }
    }

    /// `numrecs = NON_NEG | STREAMING`, where streaming means that the file's length tells.
    fn n_records(&mut self) -> Result<Option<u64>> {
        if self.version == 5 {
            return Ok(Some(self.number::<u64>()?).filter(|&n| n != u64::MAX));
        }
        Ok(Some(self.number::<u32>()?).filter(|&n| n != u32::MAX).map(u64::from))
    }

    fn count_records(&self, header: &mut Header) {
        let begins = header.variables.iter().filter(|v| header.is_record(v)).map(|v| v.begin);
        let data = begins.min().map_or(0, |begin| self.nbytes.saturating_sub(begin));
        let record_bytes = header.record_bytes().unwrap_or(0);
        let n_records = data.checked_div(record_bytes).unwrap_or(0);
        if let Some(dim) = header.dims.iter_mut().find(|dim| dim.unlimited) {
            dim.len = n_records;
        }
    }

    /// `ABSENT | tag nelems [element …]`
    fn list<T>(
        &mut self,
        tag: u32,
        mut element: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<Vec<T>> {
        let (at, got, n) = (self.at, self.number::<u32>()?, self.count()?);
        if got != tag && (got, n) != (0, 0) {
            let problem = format!("tag {got} at byte {at}, expected {tag} or 0");
            return Err(self.blame.corrupt(problem));
        }
        let mut list = Vec::new();
        for _ in 0..n {
            list.push(element(self)?);
        }
        Ok(list)
    }

    /// `dim = name dim_length`, of length zero for the record dimension
    fn dimension(&mut self) -> Result<Dimension> {
        let (name, len) = (self.name()?, self.count()?);
        Ok(Dimension { name, len, unlimited: len == 0 })
    }

    /// `attr = name nc_type nelems [values …]`
    fn attribute(&mut self) -> Result<(String, Attribute)> {
        let name = self.name()?;
        let kind = self.kind()?;
        let n = self.count()?;
        let nbytes = n.saturating_mul(kind.dtype().nbytes() as u64);
        let bytes = self.padded(nbytes)?;
        let value = match kind {
            Kind::Char => Attribute::Text(String::from_utf8_lossy(&bytes).into_owned()),
            Kind::Number(DType::I8) => Attribute::I8(items(&bytes)),
            Kind::Number(DType::I16) => Attribute::I16(items(&bytes)),
            Kind::Number(DType::I32) => Attribute::I32(items(&bytes)),
            Kind::Number(DType::I64) => Attribute::I64(items(&bytes)),
            Kind::Number(DType::U8) => Attribute::U8(items(&bytes)),
            Kind::Number(DType::U16) => Attribute::U16(items(&bytes)),
            Kind::Number(DType::U32) => Attribute::U32(items(&bytes)),
            Kind::Number(DType::U64) => Attribute::U64(items(&bytes)),
            Kind::Number(DType::F32) => Attribute::F32(items(&bytes)),
            Kind::Number(_) => Attribute::F64(items(&bytes)),
        };
        Ok((name, value))
    }

    /// `var = name nelems [dimid …] vatt_list nc_type vsize begin`
    fn variable(&mut self, n_dims: usize) -> Result<Variable> {
        let name = self.name()?;
        let mut dims = Vec::new();
        for _ in 0..self.count()? {
            let dim = self.count()?;
            if dim >= n_dims as u64 {
                let problem = format!("variable {name:?} has dimension {dim} of {n_dims}");
                return Err(self.blame.corrupt(problem));
            }
            dims.push(dim as usize);
        }
        let attributes = self.list(TAG_ATTRIBUTE, Self::attribute)?;
        let kind = self.kind()?;
        // The size is redundant, and too small a number for large variables of CDF-2.
        self.count()?;
        let begin = if self.version == 1 { self.number::<u32>()?.into() } else { self.number()? };
        Ok(Variable { name, dims, attributes, kind, begin })
    }

    fn kind(&mut self) -> Result<Kind> {
        let (at, code) = (self.at, self.number::<u32>()?);
        Kind::from_code(self.version, code)
            .ok_or_else(|| self.blame.corrupt(format!("unknown type {code} at byte {at}")))
    }

    /// `name = nelems namestring`
    fn name(&mut self) -> Result<String> {
        let nbytes = self.count()?;
        let bytes = self.padded(nbytes)?;
        String::from_utf8(bytes).map_err(|_| {
            self.blame.corrupt(format!("the name before byte {} is not UTF-8", self.at))
        })
    }

    /// `NON_NEG`
    fn count(&mut self) -> Result<u64> {
        if self.version == 5 { self.number::<u64>() } else { Ok(self.number::<u32>()?.into()) }
    }

    fn number<T: Stored>(&mut self) -> Result<T> {
        Ok(T::decode(&self.bytes(size_of::<T>() as u64)?, ByteOrder::Big))
    }

    /// Bytes that are followed by zero to three bytes of padding.
    fn padded(&mut self, nbytes: u64) -> Result<Vec<u8>> {
        let bytes = self.bytes(nbytes)?;
        self.at = self.at.next_multiple_of(4);
        Ok(bytes)
    }

    fn bytes(&mut self, nbytes: u64) -> Result<Vec<u8>> {
        let at = self.at;
        if nbytes > self.nbytes.saturating_sub(at) {
            let rest = self.nbytes.saturating_sub(at);
            let problem =
                format!("the header ends {rest} bytes after byte {at}, expected {nbytes}");
            return Err(self.blame.corrupt(problem));
        }
        let mut bytes = vec![0; nbytes as usize];
        self.at += nbytes;
        if nbytes > PIECE_BYTES {
            self.file.read_at(self.blame.call, at, &mut bytes)?;
            return Ok(bytes);
        }
        if at < self.piece_at || at + nbytes > self.piece_at + self.piece.len() as u64 {
            self.piece.resize(PIECE_BYTES.min(self.nbytes - at) as usize, 0);
            self.piece_at = at;
            self.file.read_at(self.blame.call, at, &mut self.piece)?;
        }
        let begin = (at - self.piece_at) as usize;
        bytes.copy_from_slice(&self.piece[begin..begin + nbytes as usize]);
        Ok(bytes)
    }
}

fn items<T: Stored>(bytes: &[u8]) -> Vec<T> {
    bytes.chunks_exact(size_of::<T>()).map(|item| T::decode(item, ByteOrder::Big)).collect()
}
