//! Where another process finds the same array.

use std::path::PathBuf;
use std::sync::Arc;

use super::{NpySource, Source};
#[cfg(not(all(feature = "netcdf", feature = "zarr")))]
use crate::error::Error;
use crate::error::{Call, Result};

/// Where another process can open what a [`Source`] reads: a file that both can see.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "dist", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Origin {
    /// A `.npy` file.
    Npy(PathBuf),
    /// A variable of a NetCDF-3 file, as it is stored.
    Netcdf(PathBuf, String),
    /// A Zarr array in a directory.
    Zarr(PathBuf),
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
            #[cfg(feature = "netcdf")]
            Origin::Netcdf(path, variable) => {
                let file = super::NetcdfFile::open_for(call, path)?;
                Ok(Arc::new(file.source(call, variable)?))
            }
            #[cfg(feature = "zarr")]
            Origin::Zarr(path) => Ok(Arc::new(super::ZarrSource::open(call, path)?)),
            #[cfg(not(all(feature = "netcdf", feature = "zarr")))]
            other => Err(other.not_built(call)),
        }
    }

    #[cfg(not(all(feature = "netcdf", feature = "zarr")))]
    fn not_built(&self, call: Call) -> Error {
        let (path, feature) = match self {
            Origin::Npy(path) => (path, "npy"),
            Origin::Netcdf(path, _) => (path, "netcdf"),
            Origin::Zarr(path) => (path, "zarr"),
        };
        Error::UnsupportedFile {
            call,
            path: path.clone(),
            feature: format!("the format {feature}"),
            remedy: "build the worker with the same features as the client",
        }
    }
}

/// The path as it is found from any folder of this machine.
pub(super) fn absolute(path: &std::path::Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}
