//! Files of several arrays that are written in one run: NetCDF and HDF5.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::chunk::chunk;
use super::chunks::Chunks;
use super::dtype::{DType, Element, dispatch};
use super::expr::{Handle, Node};
use super::handle::Array;
use super::io::{Attribute, NetcdfSchema, NetcdfWriter};
#[cfg(feature = "hdf5")]
use super::io::{Hdf5Schema, Hdf5Writer};
use crate::compute::{Collection, Collector, Session};
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

/// What is going to be written, from which a file is started.
trait Schema: Send + Sync + 'static {
    /// Bytes that a writer uses beside a block.
    const SCRATCH_BYTES: u64;

    type Writer: Writer + 'static;

    fn start(&self, call: Call, path: &Path) -> Result<Self::Writer>;
}

/// Takes the blocks of several arrays in any order.
trait Writer: Send + Sync {
    /// The block of the `i`-th array that begins at `start`.
    fn write<T: Element>(&self, i: usize, start: &[u64], block: Block) -> Result<()>;

    fn finish(self) -> Result<()>;
}

impl Schema for NetcdfSchema {
    const SCRATCH_BYTES: u64 = NetcdfWriter::SCRATCH_BYTES;

    type Writer = NetcdfWriter;

    fn start(&self, call: Call, path: &Path) -> Result<NetcdfWriter> {
        NetcdfWriter::create(call, path, self.clone())
    }
}

impl Writer for NetcdfWriter {
    fn write<T: Element>(&self, i: usize, start: &[u64], block: Block) -> Result<()> {
        self.write_block(i, start, &chunk::<T>(block).view())
    }

    fn finish(self) -> Result<()> {
        NetcdfWriter::finish(self)
    }
}

#[cfg(feature = "hdf5")]
impl Schema for Hdf5Schema {
    const SCRATCH_BYTES: u64 = Hdf5Writer::SCRATCH_BYTES;

    type Writer = Hdf5Writer;

    fn start(&self, call: Call, path: &Path) -> Result<Hdf5Writer> {
        Hdf5Writer::create(call, path, self)
    }
}

#[cfg(feature = "hdf5")]
impl Writer for Hdf5Writer {
    fn write<T: Element>(&self, i: usize, start: &[u64], block: Block) -> Result<()> {
        self.write_block(i, start, &chunk::<T>(block).view())
    }

    fn finish(self) -> Result<()> {
        Hdf5Writer::finish(self)
    }
}

/// The file of a run, which exists from the start of the run on: what is only explained must not touch the disk.
struct File<S: Schema> {
    call: Call,
    path: PathBuf,
    schema: S,
    writer: OnceLock<S::Writer>,
}

/// Hands the blocks of one array to the file.
struct Writing<S: Schema> {
    file: Arc<File<S>>,
    i: usize,
    dtype: DType,
    chunks: Chunks,
}

impl<S: Schema> Collector for Writing<S> {
    /// One of the arrays starts the file: all of them are started before anything runs.
    fn start(&self, _n_blocks: u64) -> Result<()> {
        if self.i > 0 {
            return Ok(());
        }
        let File { call, path, schema, writer } = &*self.file;
        writer.set(schema.start(*call, path)?).map_err(|_| broken("it was started twice"))
    }

    fn scratch_bytes(&self, _block_bytes: u64) -> u64 {
        S::SCRATCH_BYTES
    }

    fn accept(&self, block: usize, value: Block) -> Result<()> {
        let place = self.chunks.unravel_block(block as u64);
        let start = place.and_then(|index| self.chunks.block_start(&index));
        let start = start.expect("only arrays of known lengths are written");
        let writer = self.file.writer.get().ok_or_else(|| broken("it was not started"))?;
        dispatch!(self.dtype, T => writer.write::<T>(self.i, &start, value))
    }
}

fn broken(problem: &str) -> Error {
    Error::Internal { place: "writing a file".into(), problem: problem.into() }
}

/// A write that is being computed: what ends it.
#[doc(hidden)]
pub struct PendingFile(Box<dyn FnOnce() -> Result<()>>);

impl std::fmt::Debug for PendingFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PendingFile")
    }
}

impl PendingFile {
    /// Enlists some arrays, of which there is at least one.
    fn enlist<'a, S: Schema>(
        session: &mut Session,
        call: Call,
        path: &Path,
        schema: S,
        arrays: impl Iterator<Item = &'a Handle>,
    ) -> Result<Self> {
        let (path, writer) = (path.to_owned(), OnceLock::new());
        let file = Arc::new(File { call, path, schema, writer });
        for (i, handle) in arrays.enumerate() {
            let node = Arc::clone(handle.node()?);
            let (dtype, chunks) = (node.meta.dtype, node.meta.chunks.clone());
            let writing = Writing { file: Arc::clone(&file), i, dtype, chunks };
            session.add_array(node, Arc::new(writing));
        }
        let finish = || {
            let file = Arc::into_inner(file).ok_or_else(|| broken("the run has not ended"))?;
            let writer = file.writer.into_inner();
            writer.ok_or_else(|| broken("it was not started"))?.finish()
        };
        Ok(PendingFile(Box::new(finish)))
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
    type Pending = PendingFile;

    fn enlist(&self, session: &mut Session) -> Result<Self::Pending> {
        let arrays = self.variables.iter().map(|variable| &variable.handle);
        PendingFile::enlist(session, self.call, &self.path, self.schema()?, arrays)
    }

    fn collect(pending: Self::Pending) -> Result<()> {
        (pending.0)()
    }
}

/// An HDF5 file that has not been written yet: datasets by name, `group/x` in groups. [`compute`](crate::compute()) writes it,
/// together with other results that share its work.
///
/// Datasets are contiguous and not compressed, in a file that HDF5 1.8 and everything since reads; booleans and complex
/// numbers are written as h5py does. The file appears under its name when it is complete; a failed or cancelled write leaves
/// what was there before.
///
/// # Cost
/// Blocks are written as they are computed, in any order and from several threads, into a file that has its length from the beginning.
///
/// # Errors
/// Of `compute`: [`Error::Io`]; [`Error::InvalidArgument`] for a name that is not possible or stands there already;
/// [`Error::UnknownChunks`].
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
    datasets: Vec<(String, Handle)>,
}

#[cfg(feature = "hdf5")]
impl Hdf5Write {
    /// A file without anything in it.
    #[track_caller]
    pub fn new(path: impl AsRef<Path>) -> Self {
        let (call, path) = (Call::new("to_hdf5"), path.as_ref().to_owned());
        Hdf5Write { call, path, datasets: Vec::new() }
    }

    /// Adds a dataset.
    pub fn dataset<T: Element>(mut self, name: &str, array: &Array<T>) -> Self {
        self.datasets.push((name.to_owned(), array.handle.clone()));
        self
    }
}

#[cfg(feature = "hdf5")]
impl Collection for Hdf5Write {
    type Output = ();
    type Pending = PendingFile;

    fn enlist(&self, session: &mut Session) -> Result<Self::Pending> {
        check_any(self.call, self.datasets.is_empty())?;
        let mut schema = Hdf5Schema::new();
        for (name, handle) in &self.datasets {
            let node = handle.node()?;
            let shape = node.known_shape(self.call)?;
            schema = schema.dataset(self.call, name, node.meta.dtype, &shape)?;
        }
        let arrays = self.datasets.iter().map(|(_, handle)| handle);
        PendingFile::enlist(session, self.call, &self.path, schema, arrays)
    }

    fn collect(pending: Self::Pending) -> Result<()> {
        (pending.0)()
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
