//! Zarr arrays in directories, versions 2 and 3, through the `zarrs` crate.
//!
//! The formats: <https://zarr-specs.readthedocs.io/en/latest/v3/core/index.html> and
//! <https://zarr-specs.readthedocs.io/en/latest/v2/v2.0.html>. The storage unit is the chunk, or
//! the shard where chunks are gathered in shards: reading decodes only the touched ones, writing
//! owns whole ones. `zarrs` decodes and encodes one chunk at a time and sequentially, because the
//! tasks that call it are the parallelism.

mod metadata;
mod place;
mod read;
mod store;
mod write;

pub(crate) use metadata::ZarrOptions;
pub use metadata::{ZarrCompressor, ZarrFormat};
pub(crate) use place::ZarrPlace;
pub(crate) use read::ZarrSource;
pub(crate) use write::{ZarrUpdate, ZarrWriter};

use zarrs::array::CodecOptions;

/// Everything inside one thread.
fn sequential() -> CodecOptions {
    CodecOptions::default().with_concurrent_target(1)
}

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;
