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

/// The chunks along one axis that a box touches.
fn touched_chunks(start: u64, len: u64, chunk: u64) -> std::ops::Range<u64> {
    if len == 0 { 0..0 } else { start / chunk..(start + len).div_ceil(chunk) }
}

/// Every index of a box of block indices, in C order.
fn indices(ranges: &[std::ops::Range<u64>]) -> impl Iterator<Item = Vec<u64>> {
    let mut next = Some(ranges.iter().map(|range| range.start).collect::<Vec<u64>>());
    if ranges.iter().any(std::ops::Range::is_empty) {
        next = None;
    }
    std::iter::from_fn(move || {
        let index = next.take()?;
        let mut after = index.clone();
        for (axis, range) in ranges.iter().enumerate().rev() {
            after[axis] += 1;
            if after[axis] < range.end {
                next = Some(after);
                break;
            }
            after[axis] = range.start;
        }
        Some(index)
    })
}

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;
