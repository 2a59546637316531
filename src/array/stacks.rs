//! Arrays from several files, one after another.

use std::path::Path;
use std::sync::Arc;

#[cfg(feature = "image")]
use super::chunks::AxisChunks;
use super::chunks::{ChunkSpec, Chunks};
use super::dtype::Element;
use super::expr::Handle;
use super::handle::{Array, DynArray};
use super::io::{NpyStackSource, Source};
use super::ops::creation;
use crate::error::{Call, Result};

/// A stack of `.npy` files in a directory, as [`to_npy_stack`](Array::to_npy_stack) and Dask's function of that name write
/// it, with elements of type `T`. Each file is a chunk.
///
/// # Cost
/// The list of chunks and the header of the first file are read at once; files are opened when they are computed.
///
/// # Errors
/// Carried: [`Error::Io`](crate::Error::Io), [`Error::CorruptFile`](crate::Error::CorruptFile), also for a file of another
/// shape or dtype than the list says, and [`Error::DTypeMismatch`](crate::Error::DTypeMismatch).
///
/// # Example
/// ```
/// use dask_rs::prelude::*;
/// let dir = tempfile::tempdir().unwrap();
/// array::arange(0., 10., 1., [4]).to_npy_stack(dir.path().join("x"), 0)?;
/// let x: Array<f64> = array::from_npy_stack(dir.path().join("x"));
/// assert_eq!(x.chunks()?.sizes(0), Some(vec![4, 4, 2]));
/// assert_eq!(x.sum(..).compute()?[[]], 45.);
/// # Ok::<(), Error>(())
/// ```
#[track_caller]
pub fn from_npy_stack<T: Element>(dir: impl AsRef<Path>) -> Array<T> {
    DynArray::from_npy_stack(dir).cast_to()
}

impl DynArray {
    /// A stack of `.npy` files of any element type; see [`from_npy_stack`].
    #[track_caller]
    #[must_use]
    pub fn from_npy_stack(dir: impl AsRef<Path>) -> DynArray {
        let call = Call::new("from_npy_stack");
        let opened = NpyStackSource::open(call, dir);
        DynArray { handle: chunked(call, opened.map(|source| (source.chunks(), source))) }
    }

    /// PNG or TIFF images of one size as one array, a chunk each: `(n, height, width)` of `u8` or `u16`, or
    /// `(n, height, width, channels)` if there are channels. A path is a file, a directory or a pattern (`frames/*.png`), whose
    /// files come in natural order: `2` before `10`. The dimensions are called `image`, `y`, `x` and `channel`.
    ///
    /// # Cost
    /// The header of the first image is read at once. Every part of an image takes decoding all of it. Of files with several
    /// pages the first one counts.
    ///
    /// # Errors
    /// Carried: [`Error::Io`](crate::Error::Io), [`Error::CorruptFile`](crate::Error::CorruptFile), and
    /// [`Error::UnsupportedFile`](crate::Error::UnsupportedFile) for samples that are no `u8` or `u16`. An image of another size
    /// or kind than the first is an error that names it, when it is read.
    #[cfg(feature = "image")]
    #[track_caller]
    #[must_use]
    pub fn read_images(path: impl AsRef<Path>) -> DynArray {
        let call = Call::new("read_images");
        let opened = super::io::ImageStack::open(call, path.as_ref());
        let with_chunks = opened.map(|source| {
            let images = AxisChunks::uniform(source.shape()[0], 1);
            let whole = source.shape()[1..].iter().map(|&len| AxisChunks::whole(len));
            (std::iter::once(images).chain(whole).collect(), source)
        });
        DynArray { handle: chunked(call, with_chunks) }
    }
}

/// PNG or TIFF images as one array with samples of type `T`, which is `u8` or `u16`; see [`DynArray::read_images`].
///
/// # Errors
/// As [`DynArray::read_images`], and [`Error::DTypeMismatch`](crate::Error::DTypeMismatch) for samples of another type.
#[cfg(feature = "image")]
#[track_caller]
pub fn read_images<T: Element>(path: impl AsRef<Path>) -> Array<T> {
    DynArray::read_images(path).cast_to()
}

fn chunked<S: Source + 'static>(call: Call, opened: Result<(Chunks, S)>) -> Handle {
    match opened {
        Ok((chunks, source)) => {
            let dtype = source.dtype();
            creation::from_source(call, Arc::new(source), dtype, &ChunkSpec::from(chunks))
        }
        Err(error) => Handle::from_result(Err(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::array;

    #[test]
    fn stacks_have_a_file_for_each_chunk_along_the_axis() {
        let dir = tempfile::tempdir().unwrap();
        let x = array::arange(0., 140., 1., [50]).reshape([10, 14]).rechunk([3, 4]);
        for (axis, n) in [(0, 4), (1, 4), (-1, 4)] {
            let path = dir.path().join(format!("x{axis}"));
            x.to_npy_stack(&path, axis).unwrap();
            assert_eq!(fs::read_dir(&path).unwrap().count(), n + 1);
            let read: Array<f64> = from_npy_stack(&path);
            assert_eq!(read.chunks().unwrap().n_blocks(), n as u64);
            assert_eq!(read.compute().unwrap(), x.compute().unwrap());
            let there = x.to_npy_stack(&path, axis).unwrap_err().to_string();
            assert!(there.contains(&path.display().to_string()), "{there}");
        }
        let error = x.to_npy_stack(dir.path().join("y"), 2).unwrap_err().to_string();
        assert!(error.contains("axis 2"), "{error}");
        assert!(from_npy_stack::<f32>(dir.path().join("x0")).check().is_err());
    }
}
