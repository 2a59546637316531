//! NumPy's `.npy` files.
//!
//! The format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>. Versions
//! 1 to 3, C and Fortran order, both byte orders are read; version 1 in C order and native byte
//! order is written.

mod header;
mod pickle;
mod stack;

pub(crate) use stack::{NpyStackSource, NpyStackWriter};

use std::path::Path;

use ndarray::{ArrayViewD, ArrayViewMutD};

use self::header::Header;
use super::bytes::{ByteOrder, Stored};
use super::errors::check_dtype;
use super::layout::Layout;
use super::origin::{Origin, shared_path};
use super::region::{PositionedFile, SCRATCH_BYTES};
use super::source::Source;
use crate::array::any::{AnyElement, AnyViewMut};
use crate::array::dtype::{DType, Element, dispatch};
use crate::atomic::AtomicFile;
use crate::error::{Blame, Call, Error, Result};

/// An array in a `.npy` file, of which any box can be read.
#[derive(Debug)]
pub(crate) struct NpySource {
    call: Call,
    file: PositionedFile,
    dtype: DType,
    order: ByteOrder,
    shape: Vec<u64>,
    /// Of the array with reversed axes, if the file is in Fortran order.
    layout: Layout,
    fortran_order: bool,
}

impl NpySource {
    /// Opens the file and reads its header.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::CorruptFile`] if the header is not valid or promises more than the
    /// file holds, [`Error::UnsupportedFile`] for strings, objects and structures.
    pub(crate) fn open(call: Call, path: impl AsRef<Path>) -> Result<Self> {
        let file = PositionedFile::open(call, path.as_ref())?;
        let Header { dtype, order, fortran_order, shape, begin } = Header::read(call, &file)?;
        let mut axes = shape.clone();
        if fortran_order {
            axes.reverse();
        }
        let blame = Blame { call, path: path.as_ref(), format: "npy" };
        let layout = Layout::new(begin, &axes, dtype.nbytes(), None);
        let layout = file.promised(&blame, layout, &format!("shape {shape:?} of {dtype}"))?;
        Ok(NpySource { call, file, dtype, order, shape, layout, fortran_order })
    }

    fn read_typed<T: Stored>(&self, start: &[u64], out: ArrayViewMutD<'_, T>) -> Result<()> {
        if !self.fortran_order {
            return self.file.read_box(self.call, &self.layout, self.order, start, out);
        }
        let start: Vec<u64> = start.iter().rev().copied().collect();
        self.file.read_box(self.call, &self.layout, self.order, &start, out.reversed_axes())
    }
}

impl Source for NpySource {
    fn name(&self) -> String {
        self.file.path().display().to_string()
    }

    fn dtype(&self) -> DType {
        self.dtype
    }

    fn shape(&self) -> &[u64] {
        &self.shape
    }

    fn origin(&self) -> Option<Origin> {
        shared_path(self.call, self.file.path()).map(Origin::Npy)
    }

    fn version(&self) -> Option<String> {
        // The header that was read, which may be another one by now, says how elements are read.
        let how = (self.order, self.fortran_order, &self.layout);
        Some(format!("npy {} {how:?}", self.file.version()?))
    }

    fn scratch_bytes(&self) -> u64 {
        self.file.scratch_bytes()
    }

    fn read(&self, start: &[u64], out: AnyViewMut<'_>) -> Result<()> {
        check_dtype(self.call, &out, self.dtype)?;
        dispatch!(self.dtype, T => {
            let out = T::from_any_view(out).expect("the dtype was just checked");
            self.read_typed(start, out)
        })
    }
}

/// A `.npy` file that is being written, under a temporary name until [`finish`](Self::finish).
#[derive(Debug)]
pub(crate) struct NpyWriter {
    call: Call,
    name: AtomicFile,
    file: PositionedFile,
    dtype: DType,
    layout: Layout,
}

impl NpyWriter {
    /// The element type.
    pub(crate) fn dtype(&self) -> DType {
        self.dtype
    }

    /// Starts a file of zeros.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::InvalidArgument`] if a file can't be that large.
    pub(crate) fn create(
        call: Call,
        path: impl AsRef<Path>,
        dtype: DType,
        shape: &[u64],
    ) -> Result<Self> {
        let header = header::encode(dtype, shape);
        let layout = Layout::new(header.len() as u64, shape, dtype.nbytes(), None);
        let layout = layout.ok_or_else(|| Error::InvalidArgument {
            call,
            argument: "shape",
            got: format!("{shape:?}"),
            expected: "a shape of less than 2^63 bytes",
        })?;
        let (name, file) = AtomicFile::create(call, path.as_ref())?;
        let file = PositionedFile::new(file, path.as_ref());
        file.write_at(call, 0, &header)?;
        file.set_len(call, layout.end())?;
        Ok(NpyWriter { call, name, file, dtype, layout })
    }

    /// Bytes that writing a box uses beside it.
    pub(crate) const SCRATCH_BYTES: u64 = SCRATCH_BYTES;

    /// Writes the box that begins at `start`. Threads may write boxes that do not overlap at once.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::DTypeMismatch`], or [`Error::InvalidArgument`] if the box does not
    /// lie inside of the array.
    pub(crate) fn write_block<T: Element>(
        &self,
        start: &[u64],
        block: &ArrayViewD<'_, T>,
    ) -> Result<()> {
        if T::DTYPE != self.dtype {
            let (got, expected) = (T::DTYPE.to_string(), self.dtype.to_string());
            return Err(Error::DTypeMismatch { call: self.call, got, expected });
        }
        let order = ByteOrder::NATIVE;
        self.file.write_box(self.call, &self.layout, order, start, block)
    }

    /// Writes everything to disk and gives the file its name, replacing what was there.
    ///
    /// # Errors
    /// [`Error::Io`]; what was there before is then still there.
    pub(crate) fn finish(self) -> Result<()> {
        self.name.finish(self.call, self.file.file())
    }
}

#[cfg(test)]
mod tests;
