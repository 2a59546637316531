//! Files of several arrays that are written in one run: NetCDF and HDF5.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::chunk::chunk;
#[cfg(feature = "hdf5")]
use super::chunks::AxisChunks;
use super::dtype::{Element, dispatch};
use super::expr::{Handle, Node};
use super::handle::Array;
use super::io::{Attribute, NetcdfSchema, NetcdfWriter};
#[cfg(feature = "hdf5")]
use super::io::{Deflated, Hdf5Schema, Hdf5Writer};
use super::writes::{PendingWrite, Writer};
use crate::compute::{Collection, Session};
use crate::error::{Call, Error, Result};
use crate::graph::Block;

/// A NetCDF file that has not been written yet: variables, which share dimensions of the same name, and attributes.
/// [`compute`](crate::compute()) writes it, together with other results that share its work.
///
/// The format is NetCDF-3 with 64-bit offsets, or where that cannot hold a type or a length, with 64-bit data (CDF-5), which
/// the libraries of NetCDF read since 2008 and 2015. The file appears under its name when it is complete; a failed or
/// cancelled write leaves what was there before.
///
/// # Cost
/// Blocks are written as they are computed, in any order and from several threads, into a file that has its length from the beginning.
///
/// # Errors
/// Of `compute`: [`Error::Io`]; [`Error::DTypeMismatch`] for booleans and complex numbers; [`Error::ShapeMismatch`] if two
/// dimensions of one name have different lengths; [`Error::InvalidArgument`] for a name that is empty, has a slash or stands
/// there already, for an axis without elements that is not unlimited, and for an
/// unlimited one that is not the first, which the format cannot hold; [`Error::UnknownChunks`].
///
/// # Example
/// ```
/// use dask_rs::array::NetcdfWrite;
/// use dask_rs::prelude::*;
/// let dir = tempfile::tempdir().unwrap();
/// let path = dir.path().join("t2m.nc");
/// let latitude = array::linspace(-60.0, 60.0, 3, -1).with_dim_names(["latitude"]);
/// let t2m = latitude.expand_dims(0) * 0.5 + array::ones([4, 1], [2, 1]);
/// let t2m = t2m.with_dim_names(["time", "latitude"]);
/// let file = NetcdfWrite::new(&path)
///     .attribute("Conventions", "CF-1.8")
///     .variable("latitude", &latitude, &[("units", "degrees_north".into())])
///     .variable("t2m", &t2m, &[("units", "K".into())]);
/// let (mean, ()) = compute((t2m.mean(..), file))?;
///
/// let read: Array<f64> = array::open_netcdf(&path, "t2m");
/// assert_eq!(read.mean("time").compute()?, ndarray::arr1(&[-29.0, 1.0, 31.0]).into_dyn());
/// assert_eq!(mean[[]], 1.0);
/// # Ok::<(), Error>(())
/// ```
///
/// # Source
/// [The NetCDF user's guide](https://docs.unidata.ucar.edu/nug/current/file_format_specifications.html).
#[derive(Clone, Debug)]
#[must_use = "nothing is written before it is computed"]
pub struct NetcdfWrite {
    call: Call,
    path: PathBuf,
    attributes: Vec<(String, Attribute)>,
    unlimited: Option<String>,
    variables: Vec<Variable>,
}

#[derive(Clone, Debug)]
struct Variable {
    name: String,
    handle: Handle,
    attributes: Vec<(String, Attribute)>,
}

impl NetcdfWrite {
    /// A file without anything in it.
    #[track_caller]
    pub fn new(path: impl AsRef<Path>) -> Self {
        let (call, path) = (Call::new("to_netcdf"), path.as_ref().to_owned());
        let (attributes, variables) = (Vec::new(), Vec::new());
        NetcdfWrite { call, path, attributes, unlimited: None, variables }
    }

    /// Adds an attribute of the whole file.
    pub fn attribute(mut self, name: &str, value: impl Into<Attribute>) -> Self {
        self.attributes.push((name.to_owned(), value.into()));
        self
    }

    /// Makes a dimension unlimited, so that other programs can make its variables longer: the first one of those that have it.
    pub fn unlimited(mut self, dimension: &str) -> Self {
        self.unlimited = Some(dimension.to_owned());
        self
    }

    /// Adds a variable with its attributes. Dimensions without a name are called `dim_0`, `dim_1` and so on.
    pub fn variable<T: Element>(
        mut self,
        name: &str,
        array: &Array<T>,
        attributes: &[(&str, Attribute)],
    ) -> Self {
        let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        let attributes = attributes.collect();
        let handle = array.handle.clone();
        self.variables.push(Variable { name: name.to_owned(), handle, attributes });
        self
    }

    /// What the file is going to hold.
    fn schema(&self) -> Result<NetcdfSchema> {
        let call = self.call;
        check_any(call, self.variables.is_empty())?;
        let attributes = self.attributes.iter().cloned();
        let mut schema = attributes
            .fold(NetcdfSchema::new(), |schema, (name, value)| schema.attribute(&name, value));
        let mut dims: Vec<(String, u64)> = Vec::new();
        let mut names: Vec<&str> = Vec::new();
        for Variable { name, handle, attributes } in &self.variables {
            let node = handle.node()?;
            check_name(call, name, &names)?;
            names.push(name);
            let dtype = node.meta.dtype;
            if !(dtype.is_integer() || dtype.is_float()) {
                let (got, expected) = (dtype.to_string(), "an integer or a float".to_owned());
                return Err(Error::DTypeMismatch { call, got, expected });
            }
            let shape = node.known_shape(call)?;
            let of_variable = dim_names(node);
            for (dim, &len) in of_variable.iter().zip(&shape) {
                match dims.iter().find(|(other, _)| other == dim) {
                    Some((_, other)) if *other != len => {
                        return Err(Error::ShapeMismatch {
                            call,
                            left: vec![*other],
                            right: vec![len],
                            remedy: "give dimensions of different lengths different names, with with_dim_names()",
                        });
                    }
                    Some(_) => {}
                    None => {
                        check_name(call, dim, &[])?;
                        schema = match self.unlimited.as_ref() == Some(dim) {
                            true => schema.unlimited(dim, len),
                            false => schema.dimension(dim, len),
                        };
                        dims.push((dim.clone(), len));
                    }
                }
            }
            let dims: Vec<&str> = of_variable.iter().map(String::as_str).collect();
            let attributes: Vec<_> =
                attributes.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
            schema = schema.variable(name, dtype, &dims, &attributes);
        }
        Ok(schema)
    }
}

/// The names of the dimensions of a variable.
fn dim_names(node: &Node) -> Vec<String> {
    let name = |axis: usize| {
        let name = node.dim_names().map(|names| names[axis].to_string());
        name.filter(|name| !name.is_empty()).unwrap_or_else(|| format!("dim_{axis}"))
    };
    (0..node.ndim()).map(name).collect()
}

fn check_name(call: Call, name: &str, others: &[&str]) -> Result<()> {
    if !name.is_empty() && !name.contains(['/', '\0']) && !others.contains(&name) {
        return Ok(());
    }
    Err(Error::InvalidArgument {
        call,
        argument: "name",
        got: format!("{name:?}"),
        expected: "a name of its own, without a slash",
    })
}

impl Writer for NetcdfWriter {
    fn write(&self, i: usize, start: &[u64], block: Block) -> Result<()> {
        dispatch!(self.dtype(i), T => self.write_block(i, start, &chunk::<T>(block).view()))
    }

    fn finish(self: Box<Self>) -> Result<()> {
        NetcdfWriter::finish(*self)
    }
}

#[cfg(feature = "hdf5")]
impl Writer for Hdf5Writer {
    fn write(&self, i: usize, start: &[u64], block: Block) -> Result<()> {
        dispatch!(self.dtype(i), T => self.write_block(i, start, &chunk::<T>(block).view()))
    }

    fn finish(self: Box<Self>) -> Result<()> {
        Hdf5Writer::finish(*self)
    }
}

/// At least one array has to be in a file.
fn check_any(call: Call, is_empty: bool) -> Result<()> {
    if !is_empty {
        return Ok(());
    }
    let (argument, got, expected) = ("arrays", "none".into(), "at least one");
    Err(Error::InvalidArgument { call, argument, got, expected })
}

impl Collection for NetcdfWrite {
    type Output = ();
    type Pending = PendingWrite;

    fn enlist(&self, session: &mut Session) -> Result<Self::Pending> {
        let (call, path, schema) = (self.call, self.path.clone(), self.schema()?);
        let start = move || -> Result<Box<dyn Writer>> {
            Ok(Box::new(NetcdfWriter::create(call, &path, schema.clone())?))
        };
        let node = |variable: &Variable| {
            Ok((Arc::clone(variable.handle.node()?), NetcdfWriter::SCRATCH_BYTES))
        };
        let arrays: Vec<_> = self.variables.iter().map(node).collect::<Result<_>>()?;
        Ok(PendingWrite::enlist(session, arrays, Box::new(start)))
    }

    fn collect(pending: Self::Pending) -> Result<()> {
        pending.finish()
    }
}

/// An HDF5 file that has not been written yet: datasets by name, `group/x` in groups. [`compute`](crate::compute()) writes it,
/// together with other results that share its work.
///
/// Datasets are contiguous, or [compressed](Self::compression) in chunks, in a file that HDF5 1.8 and everything since reads;
/// booleans and complex numbers are written as h5py does. The file appears under its name when it is complete; a failed or cancelled write leaves
/// what was there before.
///
/// # Cost
/// Blocks are written as they are computed, in any order and from several threads, into a file that has its length from the beginning.
///
/// # Errors
/// Of `compute`: [`Error::Io`]; [`Error::InvalidArgument`] for a name that is not possible or stands there already;
/// [`Error::UnknownChunks`]; [`Error::InvalidChunks`] for compressed chunks of 2 GiB and more.
///
/// # Example
/// ```
/// use dask_rs::array::Hdf5Write;
/// use dask_rs::prelude::*;
/// let dir = tempfile::tempdir().unwrap();
/// let path = dir.path().join("x.h5");
/// let x = array::arange(0.0, 12.0, 1.0, [5]).reshape([3, 4]);
/// let file = Hdf5Write::new(&path).dataset("raw/x", &x).dataset("is_large", &x.gt(6.0));
/// let (sum, ()) = compute((x.sum(..), file))?;
/// assert_eq!(array::open_hdf5::<f64>(&path, "raw/x").sum(..).compute()?, sum);
/// # Ok::<(), Error>(())
/// ```
///
/// # Source
/// [The specification of HDF5's file format](https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html).
#[cfg(feature = "hdf5")]
#[derive(Clone, Debug)]
#[must_use = "nothing is written before it is computed"]
pub struct Hdf5Write {
    call: Call,
    path: PathBuf,
    level: u32,
    datasets: Vec<Dataset>,
}

#[cfg(feature = "hdf5")]
#[derive(Clone, Debug)]
struct Dataset {
    name: String,
    handle: Handle,
    /// How much work compressing it may be, if it is compressed.
    level: u32,
}

#[cfg(feature = "hdf5")]
impl Hdf5Write {
    /// A file without anything in it.
    #[track_caller]
    pub fn new(path: impl AsRef<Path>) -> Self {
        let (call, path) = (Call::new("to_hdf5"), path.as_ref().to_owned());
        Hdf5Write { call, path, level: 0, datasets: Vec::new() }
    }

    /// Compresses the datasets that are added from here on: with more work from level 1 to level 9, and not at all at level 0.
    /// These are stored in chunks, which are those of the array or, where these are not alike, as long as the longest one. Bytes are
    /// shuffled and deflated (`compression="gzip", shuffle=True` of h5py). An array without axes or elements stays as it is.
    ///
    /// # Example
    /// ```
    /// use dask_rs::array::Hdf5Write;
    /// use dask_rs::prelude::*;
    /// let dir = tempfile::tempdir().unwrap();
    /// let path = dir.path().join("x.h5");
    /// let x = array::arange(0_i64, 100_000, 1, [25_000]);
    /// compute(Hdf5Write::new(&path).compression(4).dataset("x", &x))?;
    /// assert!(std::fs::metadata(&path).unwrap().len() < 50_000);
    /// assert_eq!(array::open_hdf5::<i64>(&path, "x").slice(s![99_990..]).compute()?[[9]], 99_999);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn compression(mut self, level: u32) -> Self {
        self.level = level.min(9);
        self
    }

    /// Adds a dataset.
    pub fn dataset<T: Element>(mut self, name: &str, array: &Array<T>) -> Self {
        let (handle, level) = (array.handle.clone(), self.level);
        self.datasets.push(Dataset { name: name.to_owned(), handle, level });
        self
    }
}

#[cfg(feature = "hdf5")]
impl Collection for Hdf5Write {
    type Output = ();
    type Pending = PendingWrite;

    fn enlist(&self, session: &mut Session) -> Result<Self::Pending> {
        check_any(self.call, self.datasets.is_empty())?;
        let (call, path) = (self.call, self.path.clone());
        let (mut schema, mut arrays) = (Hdf5Schema::new(), Vec::new());
        for Dataset { name, handle, level } in &self.datasets {
            let node = handle.node()?;
            let shape = node.known_shape(call)?;
            let is_chunked = *level > 0 && !shape.is_empty() && !shape.contains(&0);
            let lens = || node.meta.chunks.axes().iter().map(|axis| axis.max_len().unwrap_or(1));
            let deflated = is_chunked.then(|| Deflated { chunk: lens().collect(), level: *level });
            let (in_file, scratch_bytes) = match &deflated {
                None => (Arc::clone(node), Hdf5Writer::SCRATCH_BYTES),
                Some(Deflated { chunk, .. }) => {
                    let axes =
                        shape.iter().zip(chunk).map(|(&n, &len)| AxisChunks::uniform(n, len));
                    let in_file = node.in_chunks(axes.collect())?;
                    let bytes = in_file.meta.block_bytes_max().unwrap_or(0);
                    (in_file, Deflated::scratch_bytes(bytes))
                }
            };
            schema = schema.dataset(call, name, node.meta.dtype, &shape, deflated)?;
            arrays.push((in_file, scratch_bytes));
        }
        let start = move || -> Result<Box<dyn Writer>> {
            Ok(Box::new(Hdf5Writer::create(call, &path, schema.clone())?))
        };
        Ok(PendingWrite::enlist(session, arrays, Box::new(start)))
    }

    fn collect(pending: Self::Pending) -> Result<()> {
        pending.finish()
    }
}

impl<T: Element> Array<T> {
    /// Writes a NetCDF file with this array as its only variable; [`NetcdfWrite`] writes several, with attributes.
    ///
    /// # Errors
    /// As `compute` and [`NetcdfWrite`].
    #[track_caller]
    pub fn to_netcdf(&self, path: impl AsRef<Path>, variable: &str) -> Result<()> {
        crate::compute(NetcdfWrite::new(path).variable(variable, self, &[]))
    }

    /// Writes an HDF5 file with this array as its only dataset; [`Hdf5Write`] writes several.
    ///
    /// # Errors
    /// As `compute` and [`Hdf5Write`].
    #[cfg(feature = "hdf5")]
    #[track_caller]
    pub fn to_hdf5(&self, path: impl AsRef<Path>, dataset: &str) -> Result<()> {
        crate::compute(Hdf5Write::new(path).dataset(dataset, self))
    }
}
