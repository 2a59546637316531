//! Where bytes lie that are read by range: local files, and objects in stores (feature `cloud`).
//!
//! A path that begins like `s3://` names an object; everything else is a path of this machine. Readers of formats see a
//! [`Readable`] and say beforehand which ranges they are going to need: for a file that means nothing, for an object it is a few
//! large requests at once in place of many small ones. Writers see [`NewDir`], whose files appear together.
//!
//! Everything here blocks the thread that calls, as files do. Requests make progress on a thread of their own
//! (`io_thread.rs`), so what waits for them holds nothing that they need.

#![cfg_attr(
    not(all(feature = "frame", feature = "zarr")),
    allow(dead_code, unused_imports, reason = "frames and Zarr arrays use all of it together")
)]

mod cursor;
#[cfg(feature = "cloud")]
mod fault;
#[cfg(any(feature = "frame", feature = "image"))]
mod find;
#[cfg(feature = "cloud")]
mod io_thread;
mod location;
#[cfg(feature = "frame")]
mod new_dir;
#[cfg(feature = "cloud")]
mod object;
mod ranges;
mod readable;
#[cfg(feature = "cloud")]
mod stores;
#[cfg(feature = "cloud")]
mod upload;
mod version;

pub(crate) use cursor::Cursor;
#[cfg(any(feature = "frame", feature = "image"))]
pub(crate) use find::find;
pub(crate) use location::Location;
#[cfg(feature = "frame")]
pub(crate) use new_dir::{NewDir, NewFile, UPLOAD_BYTES};
#[cfg(feature = "cloud")]
pub(crate) use object::{GET_ALL, Object};
pub(crate) use ranges::merged;
pub(crate) use readable::{FoundFile, Readable, prefetch_tails, read_exact_at, request_bytes};
#[cfg(feature = "cloud")]
pub use stores::{StoreOptions, register, register_store, unregister};
#[cfg(feature = "frame")]
pub(crate) use version::version_of_found;
pub(crate) use version::{version_of, version_of_directory, version_of_files};

use std::io;

/// What the operating system or a store said, if that is why some library failed.
pub(crate) fn io_error_in(error: &(dyn std::error::Error + 'static)) -> Option<io::Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let io = error.downcast_ref::<io::Error>();
        let io =
            io.or_else(|| error.downcast_ref::<std::sync::Arc<io::Error>>().map(AsRef::as_ref));
        // Decoders say in the same type that bytes are wrong, but without a code.
        if let Some(code) = io.and_then(io::Error::raw_os_error) {
            return Some(io::Error::from_raw_os_error(code));
        }
        #[cfg(feature = "cloud")]
        if let Some(fault) = io.and_then(|io| io.get_ref()?.downcast_ref::<fault::Fault>()) {
            return Some(fault.clone().into());
        }
        cause = error.source();
    }
    None
}

#[cfg(all(test, feature = "cloud"))]
pub(crate) mod testing;
#[cfg(all(test, feature = "cloud", feature = "frame"))]
mod tests;
