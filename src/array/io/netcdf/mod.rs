//! NetCDF files: NetCDF-3 (classic, 64-bit offset and 64-bit data), and with the feature `hdf5` NetCDF-4.
//!
//! A file holds named dimensions, attributes and variables. Deliberately not here: unpacking, which [`Packing`] describes and
//! the lazy array does.

mod classic;
mod header;
#[cfg(feature = "hdf5")]
mod netcdf4;
mod packing;
mod write;

pub(crate) use write::{NetcdfSchema, NetcdfWriter};

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::classic::Classic;
pub use self::header::{Attribute, Dimension};
pub(crate) use self::packing::Packing;
use super::region::PositionedFile;
use super::source::Source;
use crate::error::{Call, Error, Result};

/// Names and values, in the order of the file.
type Attributes = [(String, Attribute)];

/// What the versions of the format have in common. Variables are given by their place in the list of their names.
trait Format: fmt::Debug + Send + Sync {
    fn variables(&self) -> Vec<&str>;

    fn dimensions(&self) -> &[Dimension];

    fn global_attributes(&self) -> &Attributes;

    fn attributes(&self, variable: usize) -> &Attributes;

    /// The names of a variable's dimensions, unless it has some without.
    fn dim_names(&self, variable: usize) -> Option<Vec<String>>;

    /// The stored numbers. Text is `u8`, and so are bytes marked `_Unsigned`.
    fn source(&self, call: Call, variable: usize) -> Result<Arc<dyn Source>>;
}

/// An open NetCDF file: what it says of itself, and sources for its variables.
///
/// With the feature `hdf5` this may be a NetCDF-4 file, or any HDF5 file. Variables in groups are then called
/// `group/variable`.
#[derive(Clone, Debug)]
pub struct NetcdfFile {
    path: PathBuf,
    format: Arc<dyn Format>,
}

impl NetcdfFile {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::CorruptFile`], and [`Error::UnsupportedFile`] for NetCDF-4 without the feature `hdf5`.
    #[track_caller]
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        NetcdfFile::open_for(Call::new("NetcdfFile::open"), path)
    }

    /// [`open`](Self::open) as a step of another operation.
    pub(crate) fn open_for(call: Call, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = PositionedFile::open(call, path)?;
        let format = format_of(call, file)?;
        Ok(NetcdfFile { path: path.to_path_buf(), format })
    }

    /// The names of the variables.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.format.variables().into_iter()
    }

    /// The dimensions of the file.
    pub fn dimensions(&self) -> &[Dimension] {
        self.format.dimensions()
    }

    /// The attributes of the file as a whole.
    pub fn global_attributes(&self) -> &[(String, Attribute)] {
        self.format.global_attributes()
    }

    /// The attributes of a variable.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if there is no such variable.
    #[track_caller]
    pub fn attributes(&self, variable: &str) -> Result<&[(String, Attribute)]> {
        let variable = self.variable(Call::new("NetcdfFile::attributes"), variable)?;
        Ok(self.format.attributes(variable))
    }

    /// The names of a variable's dimensions, slowest first. None if it has some without names, as HDF5 files of other
    /// programs do.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if there is no such variable.
    #[track_caller]
    pub fn dim_names(&self, variable: &str) -> Result<Vec<String>> {
        let variable = self.variable(Call::new("NetcdfFile::dim_names"), variable)?;
        Ok(self.format.dim_names(variable).unwrap_or_default())
    }

    /// The stored numbers of a variable, and how they become values.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if there is no such variable, [`Error::CorruptFile`] if the file
    /// is too short for it, [`Error::UnsupportedFile`] for elements that arrays do not have.
    pub(crate) fn packed(&self, call: Call, variable: &str) -> Result<(Arc<dyn Source>, Packing)> {
        let variable = self.variable(call, variable)?;
        let source = self.format.source(call, variable)?;
        let packing = Packing::new(source.dtype(), self.format.attributes(variable));
        Ok((source, packing))
    }

    /// The stored numbers of a variable. Text is `u8`, and so are bytes marked `_Unsigned`.
    ///
    /// # Errors
    /// As [`packed`](Self::packed).
    pub(crate) fn source(&self, call: Call, variable: &str) -> Result<Arc<dyn Source>> {
        self.format.source(call, self.variable(call, variable)?)
    }

    fn variable(&self, call: Call, name: &str) -> Result<usize> {
        let names = self.format.variables();
        names.iter().position(|known| *known == name).ok_or_else(|| {
            let (path, names) = (self.path.display(), names.join(", "));
            Error::InvalidArgument {
                call,
                argument: "variable",
                got: format!("{name:?}, and {path} has {names}"),
                expected: "one of the file's variables",
            }
        })
    }
}

#[cfg(feature = "hdf5")]
fn format_of(call: Call, file: PositionedFile) -> Result<Arc<dyn Format>> {
    use super::hdf5::SIGNATURE;
    let mut begin = [0; SIGNATURE.len()];
    let is_hdf5 = file.nbytes(call)? >= SIGNATURE.len() as u64 && {
        file.read_at(call, 0, &mut begin)?;
        begin == SIGNATURE
    };
    if is_hdf5 {
        return Ok(Arc::new(netcdf4::Netcdf4::open(call, file.path())?));
    }
    Ok(Arc::new(Classic::open(call, file)?))
}

#[cfg(not(feature = "hdf5"))]
fn format_of(call: Call, file: PositionedFile) -> Result<Arc<dyn Format>> {
    Ok(Arc::new(Classic::open(call, file)?))
}

#[cfg(test)]
mod tests;
