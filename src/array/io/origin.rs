//! Where another process finds the same array.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{NpySource, Source};
#[cfg(any(
    feature = "dist",
    not(all(feature = "netcdf", feature = "zarr", feature = "hdf5"))
))]
use crate::error::Error;
use crate::error::{Call, Result};
use crate::storage::Location;

/// Where another process can open what a [`Source`] reads: a file that both can see.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "dist", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Origin {
    /// A `.npy` file.
    Npy(PathBuf),
    /// A dataset of an HDF5 file.
    Hdf5(PathBuf, String),
    /// A variable of a NetCDF file, as it is stored.
    Netcdf(PathBuf, String),
    /// A Zarr array in a directory.
    Zarr(PathBuf),
    /// No file, but random numbers that are made anew, by what only the same build can read.
    #[doc(hidden)]
    #[cfg(feature = "dist")]
    Random(Vec<u8>),
}

impl Origin {
    /// Opens it here.
    ///
    /// # Errors
    /// As opening the file; [`Error::UnsupportedFile`] if this build does not read the format.
    #[cfg_attr(not(feature = "dist"), allow(dead_code, reason = "workers open origins"))]
    pub(crate) fn open(&self, call: Call) -> Result<Arc<dyn Source>> {
        match self {
            Origin::Npy(path) => Ok(Arc::new(NpySource::open(call, path)?)),
            #[cfg(feature = "hdf5")]
            Origin::Hdf5(path, name) => {
                let file = super::Hdf5File::open(call, path, "HDF5")?;
                let dataset = file.dataset(call, name)?;
                Ok(Arc::new(file.source(call, name, dataset)?))
            }
            #[cfg(feature = "netcdf")]
            Origin::Netcdf(path, variable) => {
                super::NetcdfFile::open_for(call, path)?.source(call, variable)
            }
            #[cfg(feature = "zarr")]
            Origin::Zarr(path) => Ok(Arc::new(super::ZarrSource::open(call, path)?)),
            #[cfg(feature = "dist")]
            Origin::Random(_) => Err(Error::Internal {
                place: "opening a file".into(),
                problem: "random numbers are in no file".into(),
            }),
            #[cfg(not(all(feature = "netcdf", feature = "zarr", feature = "hdf5")))]
            other => Err(other.not_built(call)),
        }
    }

    #[cfg(not(all(feature = "netcdf", feature = "zarr", feature = "hdf5")))]
    fn not_built(&self, call: Call) -> Error {
        let (path, feature) = match self {
            Origin::Npy(path) => (path, "npy"),
            Origin::Hdf5(path, _) => (path, "hdf5"),
            Origin::Netcdf(path, _) => (path, "netcdf"),
            Origin::Zarr(path) => (path, "zarr"),
            #[cfg(feature = "dist")]
            Origin::Random(_) => unreachable!("`open` answers for it"),
        };
        Error::UnsupportedFile {
            call,
            path: path.clone(),
            feature: format!("the format {feature}"),
            remedy: "build the worker with the same features as the client",
        }
    }
}

/// Where other processes find a file: on a disk, from any folder, or in a store that is not a part of this one.
pub(super) fn shared_path(call: Call, path: &Path) -> Option<PathBuf> {
    match Location::of(call, path).ok()? {
        Location::Local(path) => Some(absolute(&path)),
        #[cfg(feature = "cloud")]
        Location::Object(object) => object.is_shared().then(|| path.to_path_buf()),
    }
}

/// The path as it is found from any folder of this machine.
pub(super) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}
