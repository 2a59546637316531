//! NetCDF-3 files: classic, 64-bit offset (CDF-2) and 64-bit data (CDF-5).
//!
//! A variable over the unlimited dimension is stored record by record, interleaved with the other variables of that kind; all
//! numbers are big-endian. Any box of a variable is read by position.

use std::sync::Arc;

use super::super::bytes::ByteOrder;
use super::super::errors::check_dtype;
use super::super::layout::Layout;
use super::super::origin::{Origin, shared_path};
use super::super::region::PositionedFile;
use super::super::source::Source;
use super::header::{Header, Variable};
use super::packing::{is_unsigned, unsigned};
use super::{Attributes, Dimension, Format};
use crate::array::any::{AnyElement, AnyViewMut};
use crate::array::dtype::{DType, dispatch};
use crate::error::{Blame, Call, Result};

/// An open file and its header.
#[derive(Debug)]
pub(super) struct Classic {
    file: Arc<PositionedFile>,
    header: Header,
}

impl Classic {
    pub(super) fn open(call: Call, file: PositionedFile) -> Result<Self> {
        let header = Header::read(call, &file)?;
        Ok(Classic { file: Arc::new(file), header })
    }

    fn names_of(&self, variable: &Variable) -> Vec<String> {
        variable.dims.iter().map(|&dim| self.header.dims[dim].name.clone()).collect()
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
}

impl Format for Classic {
    fn variables(&self) -> Vec<&str> {
        self.header.variables.iter().map(|variable| variable.name.as_str()).collect()
    }

    fn dimensions(&self) -> &[Dimension] {
        &self.header.dims
    }

    fn global_attributes(&self) -> &Attributes {
        &self.header.attributes
    }

    fn attributes(&self, variable: usize) -> &Attributes {
        &self.header.variables[variable].attributes
    }

    fn dim_names(&self, variable: usize) -> Option<Vec<String>> {
        Some(self.names_of(&self.header.variables[variable]))
    }

    fn source(&self, call: Call, variable: usize) -> Result<Arc<dyn Source>> {
        let variable = &self.header.variables[variable];
        let layout = self.layout(call, variable)?;
        Ok(Arc::new(NetcdfSource {
            call,
            file: Arc::clone(&self.file),
            variable: variable.name.clone(),
            dtype: stored_dtype(variable),
            dim_names: self.names_of(variable),
            has_records: self.header.is_record(variable),
            layout,
        }))
    }
}

fn stored_dtype(variable: &Variable) -> DType {
    let dtype = variable.kind.dtype();
    if is_unsigned(&variable.attributes) { unsigned(dtype) } else { dtype }
}

/// The stored numbers of one variable, of which any box can be read.
#[derive(Debug)]
struct NetcdfSource {
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
        let path = shared_path(self.call, self.file.path())?;
        Some(Origin::Netcdf(path, self.variable.clone()))
    }

    fn version(&self) -> Option<String> {
        Some(format!("netcdf {} {}", self.variable, self.file.version()?))
    }

    fn scratch_bytes(&self) -> u64 {
        self.file.scratch_bytes()
    }

    fn read(&self, start: &[u64], out: AnyViewMut<'_>) -> Result<()> {
        check_dtype(self.call, &out, self.dtype)?;
        dispatch!(self.dtype, T => {
            let out = T::from_any_view(out).expect("the dtype was just checked");
            self.file.read_box(self.call, &self.layout, ByteOrder::Big, start, out)
        })
    }
}
