//! Arrays from files and into files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ndarray::ArrayViewD;

use super::args::AxisRef;
use super::chunk::chunk;
use super::chunks::{AxisChunks, ChunkSpec, Chunks};
use super::dtype::{Element, dispatch};
use super::expr::{Handle, Node};
use super::handle::{Array, DynArray};
#[cfg(feature = "hdf5")]
use super::io::Hdf5File;
use super::io::{NpySource, NpyStackWriter, NpyWriter, Source};
use super::ops::creation;
use super::writes::{PendingWrite, Start, Writer};
use crate::compute::{Collection, Session};
use crate::error::{Call, Error, Result};
use crate::graph::Block;

#[cfg(feature = "zarr")]
use super::chunks::aligned_to;
#[cfg(feature = "zarr")]
use super::io::{ZarrCompressor, ZarrFormat, ZarrOptions, ZarrSource, ZarrUpdate, ZarrWriter};
#[cfg(feature = "netcdf")]
use super::{
    io::{NetcdfFile, Packing},
    ops::scalar,
};
#[cfg(feature = "zarr")]
use super::{zarr_updates, zarr_writes::Extent};
#[cfg(feature = "zarr")]
use std::ops::Range;

/// An array over what `open` finds, or the error that it ends with.
fn from_opened<S: Source + 'static>(call: Call, opened: Result<S>) -> Handle {
    match opened {
        Ok(source) => {
            let dtype = source.dtype();
            creation::from_source(call, Arc::new(source), dtype, &ChunkSpec::from("auto"))
        }
        Err(error) => Handle::from_result(Err(error)),
    }
}

/// A `.npy` file with elements of type `T`.
///
/// # Cost
/// The header is read at once; chunks are read by position when they are computed, and slices read
/// only the boxes that they touch.
///
/// # Errors
/// Carried: [`Error::Io`], [`Error::CorruptFile`], [`Error::UnsupportedFile`], and
/// [`Error::DTypeMismatch`] if the file holds other elements; see [`DynArray::open_npy`].
///
/// # Source
/// [NEP 1](https://numpy.org/neps/nep-0001-npy-format.html).
#[track_caller]
pub fn open_npy<T: Element>(path: impl AsRef<Path>) -> Array<T> {
    DynArray::open_npy(path).cast_to()
}

/// A Zarr array (version 2 or 3) with elements of type `T`, in a directory, or with the feature `cloud` below a URL
/// (`s3://bucket/x.zarr`).
///
/// Chunks are multiples of the stored chunks (or shards) of about the configured chunk size.
///
/// # Errors
/// As [`open_npy`].
///
/// # Example
/// ```
/// use dask_rs::prelude::*;
/// let dir = tempfile::tempdir().unwrap();
/// let path = dir.path().join("x.zarr");
/// array::arange(0_i32, 100, 1, [30]).to_zarr(&path)?;
/// let x: Array<i32> = array::open_zarr(&path);
/// assert_eq!(x.slice(s![95..]).sum(..).compute()?[[]], 485);
/// # Ok::<(), Error>(())
/// ```
#[cfg(feature = "zarr")]
#[track_caller]
pub fn open_zarr<T: Element>(path: impl AsRef<Path>) -> Array<T> {
    DynArray::open_zarr(path).cast_to()
}

/// A variable of a NetCDF file with elements of type `T`: NetCDF-3 (classic, 64-bit offset or 64-bit data), and with the
/// feature `hdf5` also NetCDF-4, where `group/variable` names one in a group.
///
/// Packed variables are unpacked: `stored * scale_factor + add_offset`, and NaN where the stored number
/// is `_FillValue` or `missing_value`. The dimensions keep their names.
///
/// # Errors
/// As [`open_npy`]; [`Error::InvalidArgument`] if the file has no such variable.
///
/// # Cost
/// Boxes are read by position, of NetCDF-4 whole stored chunks, by all threads at once; chunks of the array are multiples of
/// the stored ones. The memory for decoding counts against the limit.
///
/// # Source
/// CF conventions, sections 2.5.1 and 8.1.
#[cfg(feature = "netcdf")]
#[track_caller]
pub fn open_netcdf<T: Element>(path: impl AsRef<Path>, variable: &str) -> Array<T> {
    DynArray::open_netcdf(path, variable).cast_to()
}

/// A dataset of an HDF5 file, such as `group/x`, with elements of type `T`, as it is stored.
///
/// Contiguous, compact and chunked datasets are read, with the filters deflate, shuffle, Fletcher-32, n-bit, scale-offset,
/// szip, LZF, LZ4 and Zstandard, and with the feature `zarr` also Blosc, in either byte order. What was never written is the fill value. bool and complex numbers are those that h5py
/// writes; strings and records are refused. [`open_netcdf`] also gives names to dimensions and unpacks.
///
/// # Cost
/// As [`open_netcdf`].
///
/// # Errors
/// As [`open_npy`]; [`Error::InvalidArgument`] if the file has no such dataset.
#[cfg(feature = "hdf5")]
#[track_caller]
pub fn open_hdf5<T: Element>(path: impl AsRef<Path>, dataset: &str) -> Array<T> {
    DynArray::open_hdf5(path, dataset).cast_to()
}

impl DynArray {
    /// A `.npy` file of any element type; see [`open_npy`].
    #[track_caller]
    #[must_use]
    pub fn open_npy(path: impl AsRef<Path>) -> DynArray {
        let call = Call::new("open_npy");
        DynArray::of(from_opened(call, NpySource::open(call, path)))
    }

    /// A Zarr array of any element type; see [`open_zarr`].
    #[cfg(feature = "zarr")]
    #[track_caller]
    #[must_use]
    pub fn open_zarr(path: impl AsRef<Path>) -> DynArray {
        let call = Call::new("open_zarr");
        DynArray::of(from_opened(call, ZarrSource::open(call, path)))
    }

    /// A variable of a NetCDF file, unpacked to `f32` or `f64` as the CF conventions say, or as it is
    /// stored if it is not packed; see [`open_netcdf`].
    #[cfg(feature = "netcdf")]
    #[track_caller]
    #[must_use]
    pub fn open_netcdf(path: impl AsRef<Path>, variable: &str) -> DynArray {
        let call = Call::new("open_netcdf");
        let opened = NetcdfFile::open_for(call, path).and_then(|file| file.packed(call, variable));
        let handle = match opened {
            Ok((source, packing)) => {
                let auto = ChunkSpec::from("auto");
                // Chunks are chosen for what the values become, which may be four times as many bytes.
                let stored = creation::from_source(call, source, packing.dtype, &auto);
                unpacked(call, &stored, &packing)
            }
            Err(error) => Handle::from_result(Err(error)),
        };
        DynArray::of(handle)
    }
}

#[cfg(feature = "hdf5")]
impl DynArray {
    /// A dataset of an HDF5 file, of any element type; see [`open_hdf5`].
    #[track_caller]
    #[must_use]
    pub fn open_hdf5(path: impl AsRef<Path>, dataset: &str) -> DynArray {
        let (call, path) = (Call::new("open_hdf5"), path.as_ref());
        let opened = Hdf5File::open(call, path, "HDF5").and_then(|file| {
            let found = file.dataset(call, dataset)?;
            file.source(call, dataset, found)
        });
        DynArray::of(from_opened(call, opened))
    }
}

/// Stored numbers as values, by elementwise operations that fuse with whatever follows.
#[cfg(feature = "netcdf")]
fn unpacked(call: Call, stored: &Handle, packing: &Packing) -> Handle {
    use super::kernels::{BinaryOp, Builder};
    if packing.is_identity() {
        return stored.clone();
    }
    stored.then(|node| {
        let unsupported = |error: super::kernels::Unsupported| {
            super::ops::unsupported(call, error.got, "a number")
        };
        let (stored, dtype) = (node.meta.dtype, packing.dtype);
        let number = |value: f64, dtype| scalar(value).cast(dtype);
        let mut b = Builder::new(1);
        let raw = b.input(0, stored);
        let mut value = b.cast(raw, dtype);
        for (op, operand) in
            [(BinaryOp::Mul, packing.scale_factor), (BinaryOp::Add, packing.add_offset)]
        {
            if let Some(operand) = operand {
                let operand = b.constant(number(operand, dtype));
                value = b.binary(op, value, operand).map_err(unsupported)?;
            }
        }
        let nan = b.constant(number(f64::NAN, dtype));
        for &mark in &packing.missing {
            let mark = b.constant(number(mark, stored));
            let is_missing = b.binary(BinaryOp::Eq, raw, mark).map_err(unsupported)?;
            value = b.select(is_missing, nan, value);
        }
        super::ops::elementwise::elemwise_of(call, b.finish(value), &[node])
    })
}

/// How a Zarr array is written. The defaults are version 3, zstd, and chunks like the array's.
#[cfg(feature = "zarr")]
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct ZarrWrite {
    chunks: Option<Vec<u64>>,
    shards: Option<Vec<u64>>,
    format: ZarrFormat,
    compressor: Option<ZarrCompressor>,
    attributes: Vec<(String, serde_json::Value)>,
    overwrite: bool,
}

#[cfg(feature = "zarr")]
impl ZarrWrite {
    /// The defaults.
    pub fn new() -> Self {
        ZarrWrite::default()
    }

    /// The lengths of a stored chunk.
    pub fn chunks(mut self, chunks: &[u64]) -> Self {
        self.chunks = Some(chunks.to_vec());
        self
    }

    /// The lengths of a shard, multiples of those of a chunk; version 3 only.
    pub fn shards(mut self, shards: &[u64]) -> Self {
        self.shards = Some(shards.to_vec());
        self
    }

    /// The version of the format.
    pub fn format(mut self, format: ZarrFormat) -> Self {
        self.format = format;
        self
    }

    /// How chunks are compressed.
    pub fn compressor(mut self, compressor: ZarrCompressor) -> Self {
        self.compressor = Some(compressor);
        self
    }

    /// An attribute of the array.
    pub fn attribute(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.attributes.push((name.to_owned(), value.into()));
        self
    }

    /// An array that is there already may be replaced.
    ///
    /// On this machine that happens once the new one is complete, and the old one may be read by the same run. In an object store
    /// (feature `cloud`) two arrays can't have the same keys: the old one is removed before the first chunk is written, is gone if
    /// the run then fails, and must not be read by it.
    pub fn overwrite(mut self) -> Self {
        self.overwrite = true;
        self
    }

    fn options(&self, node: &Node, shape: &[u64]) -> ZarrOptions {
        let longest = |axis: &AxisChunks| axis.max_len().unwrap_or(1).max(1);
        let natural = || node.meta.chunks.axes().iter().map(longest).collect::<Vec<_>>();
        let chunks = self.chunks.clone().or_else(|| self.shards.clone()).unwrap_or_else(natural);
        let mut options = ZarrOptions::new(shape, &chunks, node.meta.dtype);
        options.shards.clone_from(&self.shards);
        options.format = self.format;
        if let Some(compressor) = self.compressor {
            options.compressor = compressor;
        }
        let names = node.dim_names();
        // Those without a name get the one that xarray gives them.
        let name = |(axis, name): (usize, &Arc<str>)| match name.is_empty() {
            true => format!("dim_{axis}"),
            false => name.to_string(),
        };
        options.dim_names = names.map(|names| names.iter().enumerate().map(name).collect());
        options.attributes = self.attributes.iter().cloned().collect();
        options.overwrite = self.overwrite;
        options
    }
}

/// A write that has not happened yet. [`compute`](crate::compute()) runs it, together with others and
/// with results that share its work.
///
/// # Example
/// ```
/// use dask_rs::prelude::*;
/// let dir = tempfile::tempdir().unwrap();
/// let x = array::arange(0., 100., 1., [25]);
/// let (mean, ()) = dask_rs::compute((x.mean(..), x.store_npy(dir.path().join("x.npy"))))?;
/// assert_eq!(mean[[]], 49.5);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is written before it is computed"]
pub struct Store {
    call: Call,
    handle: Handle,
    path: PathBuf,
    format: Format,
}

#[derive(Clone, Debug)]
enum Format {
    Npy,
    /// Wherever a function of a user puts blocks.
    Function(BlockSink),
    /// A file for each chunk along an axis.
    NpyStack(Box<AxisRef>),
    #[cfg(feature = "zarr")]
    Zarr(Box<ZarrWrite>),
    /// The box that begins here, of an array that is there.
    #[cfg(feature = "zarr")]
    ZarrRegion(Vec<Range<u64>>),
    /// More along an axis of an array that is there.
    #[cfg(feature = "zarr")]
    ZarrAppend(Box<AxisRef>),
}

/// A user's function that takes blocks, with the index of their first element.
#[derive(Clone)]
struct BlockSink(Arc<SinkFunction>);

type SinkFunction = dyn Fn(&[u64], Block) -> Result<()> + Send + Sync;

impl std::fmt::Debug for BlockSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a user's function")
    }
}

impl Writer for BlockSink {
    fn write(&self, _i: usize, start: &[u64], block: Block) -> Result<()> {
        (self.0)(start, block)
    }

    fn finish(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

impl Writer for NpyWriter {
    fn write(&self, _i: usize, start: &[u64], block: Block) -> Result<()> {
        dispatch!(self.dtype(), T => self.write_block(start, &chunk::<T>(block).view()))
    }

    fn finish(self: Box<Self>) -> Result<()> {
        NpyWriter::finish(*self)
    }
}

impl Writer for NpyStackWriter {
    fn write(&self, _i: usize, start: &[u64], block: Block) -> Result<()> {
        dispatch!(self.dtype(), T => self.write_block(start, &chunk::<T>(block).view()))
    }

    fn finish(self: Box<Self>) -> Result<()> {
        NpyStackWriter::finish(*self)
    }
}

#[cfg(feature = "zarr")]
impl Writer for ZarrWriter {
    fn write(&self, _i: usize, start: &[u64], block: Block) -> Result<()> {
        dispatch!(self.dtype(), T => self.write_block(start, &chunk::<T>(block).view()))
    }

    fn finish(self: Box<Self>) -> Result<()> {
        ZarrWriter::finish(*self)
    }
}

/// What is to be written.
struct Target {
    /// The array in chunks that the writer can take.
    node: Arc<Node>,
    /// What writing a block uses beside it.
    scratch_bytes: u64,
    start: Start,
}

impl Target {
    fn new<W: Writer + 'static>(
        node: Arc<Node>,
        scratch_bytes: u64,
        start: impl Fn() -> Result<W> + Send + Sync + 'static,
    ) -> Self {
        Target { node, scratch_bytes, start: Box::new(move || Ok(Box::new(start()?))) }
    }
}

impl Store {
    fn target(&self) -> Result<Target> {
        let node = Arc::clone(self.handle.node()?);
        let (call, path) = (self.call, self.path.clone());
        let (dtype, shape) = (node.meta.dtype, node.known_shape(call)?);
        Ok(match &self.format {
            Format::Function(sink) => {
                let sink = sink.clone();
                Target::new(node, 0, move || Ok(sink.clone()))
            }
            Format::Npy => Target::new(node, NpyWriter::SCRATCH_BYTES, move || {
                NpyWriter::create(call, &path, dtype, &shape)
            }),
            Format::NpyStack(axis) => {
                let axis = axis.resolve(call, node.ndim(), node.dim_names())?;
                let along = |(i, axis_chunks): (usize, &AxisChunks)| {
                    if i == axis { axis_chunks.clone() } else { AxisChunks::whole(shape[i]) }
                };
                let chunks: Chunks =
                    node.meta.chunks.axes().iter().enumerate().map(along).collect();
                let sizes: Vec<Vec<u64>> =
                    chunks.axes().iter().map(|axis| axis.sizes().collect()).collect();
                Target::new(node.in_chunks(chunks)?, NpyWriter::SCRATCH_BYTES, move || {
                    NpyStackWriter::create(call, &path, dtype, &sizes, axis)
                })
            }
            #[cfg(feature = "zarr")]
            Format::Zarr(how) => {
                let options = how.options(&node, &shape);
                options.check(call)?;
                // Whole storage units in each block, so that each unit has one writer.
                let aligned = node.in_chunks(aligned_to(&node.meta.chunks, options.unit()))?;
                Target::new(aligned, options.scratch_bytes(), move || {
                    ZarrWriter::create(call, &path, options.clone())
                })
            }
            #[cfg(feature = "zarr")]
            Format::ZarrRegion(region) => {
                Self::updating(call, path, zarr_updates::region(call, &self.path, &node, region)?)
            }
            #[cfg(feature = "zarr")]
            Format::ZarrAppend(axis) => {
                Self::updating(call, path, zarr_updates::append(call, &self.path, &node, axis)?)
            }
        })
    }
}

#[cfg(feature = "zarr")]
impl Store {
    fn updating(call: Call, path: PathBuf, (update, node): (ZarrUpdate, Arc<Node>)) -> Target {
        Target::new(node, update.scratch_bytes(), move || ZarrWriter::update(call, &path, &update))
    }

    /// What of a Zarr array is going to be written, if it is one.
    fn extent(&self) -> Option<Extent> {
        match &self.format {
            Format::Function(_) | Format::Npy | Format::NpyStack(_) => None,
            Format::Zarr(how) if how.overwrite => Some(Extent::Whole),
            Format::Zarr(_) => Some(Extent::New),
            Format::ZarrRegion(region) => Some(Extent::Region(region.clone())),
            Format::ZarrAppend(_) => Some(Extent::Behind),
        }
    }
}

impl Collection for Store {
    type Output = ();
    type Pending = PendingWrite;

    fn enlist(&self, session: &mut Session) -> Result<Self::Pending> {
        let Target { node, scratch_bytes, start } = self.target()?;
        #[cfg(feature = "zarr")]
        if let Some(extent) = self.extent() {
            session.zarr_writes.add(self.call, &self.path, extent)?;
        }
        Ok(PendingWrite::enlist(session, [(node, scratch_bytes)], start))
    }

    fn collect(pending: Self::Pending) -> Result<()> {
        pending.finish()
    }
}

/// Writers, for typed and untyped arrays alike.
macro_rules! store_methods {
    () => {
        /// Writes a `.npy` file. It appears under its name when it is complete; a failed or cancelled
        /// write leaves what was there before.
        ///
        /// # Errors
        /// As `compute`, and [`Error::Io`].
        #[track_caller]
        pub fn to_npy(&self, path: impl AsRef<Path>) -> Result<()> {
            crate::compute(self.store_npy(path))
        }

        /// A write of a `.npy` file, to be computed together with other things.
        #[track_caller]
        pub fn store_npy(&self, path: impl AsRef<Path>) -> Store {
            let call = Call::new("to_npy");
            let path = path.as_ref().to_owned();
            Store { call, handle: self.handle.clone(), path, format: Format::Npy }
        }

        /// Writes one `.npy` file for each chunk along an axis into a new directory, which Dask reads too. The other axes
        /// are not cut: an array that has chunks along them is rechunked first.
        ///
        /// # Errors
        /// As `compute`, and [`Error::Io`], also if there is something under that name already.
        #[track_caller]
        pub fn to_npy_stack(&self, dir: impl AsRef<Path>, axis: impl Into<AxisRef>) -> Result<()> {
            crate::compute(self.store_npy_stack(dir, axis))
        }

        /// A write of a stack of `.npy` files, to be computed together with other things; see
        /// [`to_npy_stack`](Self::to_npy_stack).
        #[track_caller]
        pub fn store_npy_stack(&self, dir: impl AsRef<Path>, axis: impl Into<AxisRef>) -> Store {
            let (call, path) = (Call::new("to_npy_stack"), dir.as_ref().to_owned());
            let format = Format::NpyStack(Box::new(axis.into()));
            Store { call, handle: self.handle.clone(), path, format }
        }

        /// Writes a Zarr array of version 3 with chunks like this array's; see
        /// [`store_zarr`](Self::store_zarr) for other ways.
        ///
        /// In an object store (feature `cloud`) the chunks come first and the metadata last, so that nobody sees an array that is
        /// not complete. Chunks of two programs that write the same new array there at a time can mix.
        ///
        /// # Errors
        /// As `compute`, and [`Error::Io`], also if there is something under that name already.
        #[cfg(feature = "zarr")]
        #[track_caller]
        pub fn to_zarr(&self, path: impl AsRef<Path>) -> Result<()> {
            crate::compute(self.store_zarr(path, ZarrWrite::new()))
        }

        /// A write of a Zarr array, to be computed together with other things.
        ///
        /// Every stored chunk (or shard) is written whole by one task: an array whose chunks do not
        /// fit is rechunked first. The array appears under its name when it is complete.
        #[cfg(feature = "zarr")]
        #[track_caller]
        pub fn store_zarr(&self, path: impl AsRef<Path>, how: ZarrWrite) -> Store {
            let call = Call::new("to_zarr");
            let path = path.as_ref().to_owned();
            Store { call, handle: self.handle.clone(), path, format: Format::Zarr(Box::new(how)) }
        }

        /// Writes into a box of a Zarr array that is there, of the same dtype. The box has to consist of whole stored
        /// chunks (or shards), apart from those that the end of the array cuts, so that no chunk has two writers.
        ///
        /// On this machine the chunks are moved into the array when all are computed: a write that fails or is cancelled
        /// leaves the array as it was, and a crash during the moves leaves some chunks old and some new, each whole. In object
        /// stores chunks are replaced one by one: a write that fails leaves some of them new, and what is written there must not be
        /// computed from the same array.
        ///
        /// Writes of one run to an array must not overlap. [`Error::InvalidArgument`] if another program makes the array longer
        /// between the plan and the end.
        ///
        /// # Errors
        /// As `compute`, [`Error::InvalidArgument`] as above, [`Error::InvalidChunks`] for a box that cuts stored chunks, [`Error::ShapeMismatch`],
        /// [`Error::DTypeMismatch`], and as opening the array.
        ///
        /// # Example
        /// ```
        /// use dask_rs::prelude::*;
        /// let dir = tempfile::tempdir().unwrap();
        /// let path = dir.path().join("x.zarr");
        /// array::zeros::<f64>([10, 4], [5, 4]).to_zarr(&path)?;
        /// array::ones::<f64>([5, 4], [5, 4]).to_zarr_region(&path, &[5..10, 0..4])?;
        /// assert_eq!(array::open_zarr::<f64>(&path).sum(1).compute()?[[5]], 4.0);
        /// # Ok::<(), Error>(())
        /// ```
        #[cfg(feature = "zarr")]
        #[track_caller]
        pub fn to_zarr_region(&self, path: impl AsRef<Path>, region: &[Range<u64>]) -> Result<()> {
            crate::compute(self.store_zarr_region(path, region))
        }

        /// A write into a box of a Zarr array, to be computed together with others; see
        /// [`to_zarr_region`](Self::to_zarr_region).
        #[cfg(feature = "zarr")]
        #[track_caller]
        pub fn store_zarr_region(&self, path: impl AsRef<Path>, region: &[Range<u64>]) -> Store {
            let (call, path) = (Call::new("to_zarr_region"), path.as_ref().to_owned());
            let format = Format::ZarrRegion(region.to_vec());
            Store { call, handle: self.handle.clone(), path, format }
        }

        /// Makes a Zarr array that is there longer along an axis. A last chunk (or shard) that its end cuts is read and
        /// written again with what comes behind.
        ///
        /// The longer shape is written after all chunks: until then, and if the write fails, readers see the array as it was.
        /// Only one program may append to an array at a time: what it finds out of another is an error, as the shape is compared when the
        /// run begins and ends, but two that end in the same moment can lose rows.
        ///
        /// # Errors
        /// As [`to_zarr_region`](Self::to_zarr_region).
        ///
        /// # Example
        /// ```
        /// use dask_rs::prelude::*;
        /// let dir = tempfile::tempdir().unwrap();
        /// let path = dir.path().join("x.zarr");
        /// array::arange(0_i64, 7, 1, [5]).to_zarr(&path)?;
        /// array::arange(7_i64, 12, 1, [5]).append_zarr(&path, 0)?;
        /// assert_eq!(array::open_zarr::<i64>(&path).sum(..).compute()?[[]], 66);
        /// # Ok::<(), Error>(())
        /// ```
        #[cfg(feature = "zarr")]
        #[track_caller]
        pub fn append_zarr(&self, path: impl AsRef<Path>, axis: impl Into<AxisRef>) -> Result<()> {
            crate::compute(self.store_zarr_append(path, axis))
        }

        /// An appending to a Zarr array, to be computed together with others; see [`append_zarr`](Self::append_zarr).
        #[cfg(feature = "zarr")]
        #[track_caller]
        pub fn store_zarr_append(&self, path: impl AsRef<Path>, axis: impl Into<AxisRef>) -> Store {
            let (call, path) = (Call::new("append_zarr"), path.as_ref().to_owned());
            let format = Format::ZarrAppend(Box::new(axis.into()));
            Store { call, handle: self.handle.clone(), path, format }
        }
    };
}

impl<T: Element> Array<T> {
    store_methods!();

    /// A write to wherever `function` puts blocks: a format of your own, a socket, memory. It gets the index of the first element
    /// of a block, and a view of it, and is called once for each block, in any order and from several threads at once.
    ///
    /// # Cost
    /// The task that makes a block waits for the function. What this allocates is not counted.
    ///
    /// # Errors
    /// Of `compute`: the function's own, as [`Error::Function`], or as it is if it is an [`Error`]; then nothing else starts.
    /// [`Error::UnknownChunks`].
    ///
    /// # Example
    /// ```
    /// use std::sync::{Arc, Mutex};
    ///
    /// use dask_rs::prelude::*;
    /// let x = array::arange(0, 10, 1, [4]);
    /// let largest = Arc::new(Mutex::new(Vec::new()));
    /// let seen = Arc::clone(&largest);
    /// let store = x.store_with(move |start, block| {
    ///     seen.lock().map_err(|_| "poisoned")?.push((start[0], block[block.len() - 1]));
    ///     Ok::<(), &str>(())
    /// });
    /// compute(store)?;
    /// let mut largest = largest.lock().unwrap().clone();
    /// largest.sort();
    /// assert_eq!(largest, [(0, 3), (4, 7), (8, 9)]);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Source
    /// Dask's `store`.
    #[track_caller]
    pub fn store_with<E>(
        &self,
        function: impl Fn(&[u64], ArrayViewD<'_, T>) -> Result<(), E> + Send + Sync + 'static,
    ) -> Store
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let call = Call::new("store_with");
        let sink = move |start: &[u64], block: Block| {
            let done = function(start, chunk::<T>(block).view());
            done.map_err(|error| Error::of_function(call, error.into()))
        };
        let format = Format::Function(BlockSink(Arc::new(sink)));
        Store { call, handle: self.handle.clone(), path: PathBuf::new(), format }
    }
}

impl DynArray {
    store_methods!();
}
