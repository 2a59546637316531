//! Files: sources that are read by region, and writers of whole storage units.
//!
//! A format is a [`Source`] that reads any box and, where it can be written, a writer whose
//! `write_block` is called from several threads at once, each with its own storage units, and
//! whose `finish` makes the file appear; dropping it unfinished leaves what was there before.
//!
//! Deliberately not here: plans, lazy arrays, and the choice of chunks.

mod bytes;
mod errors;
#[cfg(any(feature = "zarr", feature = "hdf5"))]
mod grid;
#[cfg(feature = "hdf5")]
mod hdf5;
#[cfg(feature = "image")]
mod images;
mod layout;
#[cfg(feature = "netcdf")]
mod netcdf;
mod npy;
mod origin;
mod region;
mod source;
#[cfg(test)]
mod testing;
#[cfg(feature = "zarr")]
mod zarr;

pub use bytes::Stored;
pub(crate) use bytes::{ByteOrder, Strips};
#[cfg(feature = "dist")]
pub(crate) use bytes::{decode_slice, encode_slice};
#[cfg(feature = "hdf5")]
pub(crate) use hdf5::{Deflated, Hdf5File, Hdf5Schema, Hdf5Writer};
#[cfg(feature = "image")]
pub(crate) use images::ImageStack;
#[cfg(feature = "netcdf")]
pub use netcdf::{Attribute, Dimension, NetcdfFile};
#[cfg(feature = "netcdf")]
pub(crate) use netcdf::{NetcdfSchema, NetcdfWriter, Packing};
pub(crate) use npy::{NpySource, NpyStackSource, NpyStackWriter, NpyWriter};
pub use origin::Origin;
pub use source::Source;
#[cfg(feature = "zarr")]
pub use zarr::{ZarrCompressor, ZarrFormat};
#[cfg(feature = "zarr")]
pub(crate) use zarr::{ZarrOptions, ZarrPlace, ZarrSource, ZarrUpdate, ZarrWriter};
