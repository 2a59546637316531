//! NetCDF-3 files: classic, 64-bit offset (CDF-2) and 64-bit data (CDF-5).
//!
//! A file holds named dimensions, attributes and variables. A variable over the unlimited
//! dimension is stored record by record, interleaved with the other variables of that kind; all
//! numbers are big-endian. Any box of a variable is read by position. Deliberately not here:
//! unpacking, which [`Packing`] describes and the lazy array does.

mod header;
mod packing;
#[cfg_attr(not(test), expect(dead_code, reason = "for `to_netcdf`, which is not here yet"))]
mod write;

#[cfg(test)]
pub(crate) use write::{NetcdfSchema, NetcdfWriter};

use std::path::Path;
use std::sync::Arc;

pub use self::header::{Attribute, Dimension};
use self::header::{Header, Variable};
pub(crate) use self::packing::Packing;
use super::bytes::ByteOrder;
use super::errors::check_dtype;
use super::layout::Layout;
use super::origin::{Origin, absolute};
use super::region::{PositionedFile, SCRATCH_BYTES};
use super::source::Source;
use crate::array::any::{AnyElement, AnyViewMut};
use crate::array::dtype::{DType, dispatch};
use crate::error::{Blame, Call, Error, Result};

/// An open NetCDF file: its header, and sources for its variables.
#[derive(Clone, Debug)]
pub struct NetcdfFile {
    file: Arc<PositionedFile>,
    header: Arc<Header>,
}

impl NetcdfFile {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::CorruptFile`], and [`Error::UnsupportedFile`] for NetCDF-4.
    #[track_caller]
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        NetcdfFile::open_for(Call::new("NetcdfFile::open"), path)
    }

    /// [`open`](Self::open) as a step of another operation.
    pub(crate) fn open_for(call: Call, path: impl AsRef<Path>) -> Result<Self> {
        let file = PositionedFile::open(call, path.as_ref())?;
        let header = Header::read(call, &file)?;
        Ok(NetcdfFile { file: Arc::new(file), header: Arc::new(header) })
    }

    /// The names of the variables.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.header.variables.iter().map(|variable| variable.name.as_str())
    }

    /// The dimensions of the file.
    pub fn dimensions(&self) -> &[Dimension] {
        &self.header.dims
    }

    /// The attributes of the file as a whole.
    pub fn global_attributes(&self) -> &[(String, Attribute)] {
        &self.header.attributes
    }

    /// The attributes of a variable.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if there is no such variable.
    #[track_caller]
    pub fn attributes(&self, variable: &str) -> Result<&[(String, Attribute)]> {
        Ok(&self.variable(Call::new("NetcdfFile::attributes"), variable)?.attributes)
    }

    /// The names of a variable's dimensions, slowest first.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if there is no such variable.
    #[track_caller]
    pub fn dim_names(&self, variable: &str) -> Result<Vec<String>> {
        Ok(self.names_of(self.variable(Call::new("NetcdfFile::dim_names"), variable)?))
    }

    fn names_of(&self, variable: &Variable) -> Vec<String> {
        variable.dims.iter().map(|&dim| self.header.dims[dim].name.clone()).collect()
    }

    /// How the stored numbers of a variable become values.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if there is no such variable.
    pub(crate) fn packing(&self, call: Call, variable: &str) -> Result<Packing> {
        let variable = self.variable(call, variable)?;
        Ok(Packing::new(stored_dtype(variable), &variable.attributes))
    }

    /// The stored numbers of a variable. Text is `u8`, and so are bytes marked `_Unsigned`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if there is no such variable, [`Error::CorruptFile`] if the file
    /// is too short for it.
    pub(crate) fn source(&self, call: Call, variable: &str) -> Result<NetcdfSource> {
        let variable = self.variable(call, variable)?;
        let layout = self.layout(call, variable)?;
        Ok(NetcdfSource {
            call,
            file: Arc::clone(&self.file),
            variable: variable.name.clone(),
            dtype: stored_dtype(variable),
            dim_names: self.names_of(variable),
            has_records: self.header.is_record(variable),
            layout,
        })
    }

    fn layout(&self, call: Call, variable: &Variable) -> Result<Layout> {
        let blame = Blame { call, path: self.file.path(), format: "NetCDF" };
        let shape = self.header.shape(variable);
        let item_bytes = variable.kind.dtype().nbytes();
        let layout_of = |record| Layout::new(variable.begin, &shape, item_bytes, record);
        let layout = match self.header.is_record(variable) {
            true => self.header.record_bytes().and_then(|bytes| layout_of(Some(bytes))),
            false => layout_of(None),
        };
        let what = format!("variable {:?} of shape {shape:?}", variable.name);
        self.file.promised(&blame, layout, &what)
    }

    fn variable(&self, call: Call, name: &str) -> Result<&Variable> {
        let found = self.header.variables.iter().find(|variable| variable.name == name);
        found.ok_or_else(|| {
            let names: Vec<&str> = self.variables().collect();
            let path = self.file.path().display();
            Error::InvalidArgument {
                call,
                argument: "variable",
                got: format!("{name:?}, and {path} has {}", names.join(", ")),
                expected: "one of the file's variables",
            }
        })
    }
}

fn stored_dtype(variable: &Variable) -> DType {
    let dtype = variable.kind.dtype();
    if packing::is_unsigned(&variable.attributes) { packing::unsigned(dtype) } else { dtype }
}

/// The stored numbers of one variable, of which any box can be read.
#[derive(Debug)]
pub(crate) struct NetcdfSource {
    call: Call,
    file: Arc<PositionedFile>,
    variable: String,
    dtype: DType,
    dim_names: Vec<String>,
    has_records: bool,
    layout: Layout,
}

impl Source for NetcdfSource {
    fn name(&self) -> String {
        format!("{}:{}", self.file.path().display(), self.variable)
    }

    fn dtype(&self) -> DType {
        self.dtype
    }

    fn shape(&self) -> &[u64] {
        self.layout.shape()
    }

    /// One record, if the variable has records: more than one is not contiguous.
    fn storage_chunks(&self) -> Option<Vec<u64>> {
        let mut chunk = self.has_records.then(|| self.shape().to_vec())?;
        chunk[0] = 1;
        Some(chunk)
    }

    /// Nothing is compressed.
    fn decoded_chunks(&self) -> Option<Vec<u64>> {
        None
    }

    fn dim_names(&self) -> Option<Vec<String>> {
        Some(self.dim_names.clone())
    }

    fn origin(&self) -> Option<Origin> {
        Some(Origin::Netcdf(absolute(self.file.path()), self.variable.clone()))
    }

    fn version(&self) -> Option<String> {
        Some(format!("netcdf {} {}", self.variable, self.file.version()?))
    }

    fn scratch_bytes(&self) -> u64 {
        SCRATCH_BYTES
    }

    fn read(&self, start: &[u64], out: AnyViewMut<'_>) -> Result<()> {
        check_dtype(self.call, &out, self.dtype)?;
        dispatch!(self.dtype, T => {
            let out = T::from_any_view(out).expect("the dtype was just checked");
            self.file.read_box(self.call, &self.layout, ByteOrder::Big, start, out)
        })
    }
}

#[cfg(test)]
mod tests;
