//! What the tests of all formats share.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ndarray::{ArrayD, ArrayViewD, IxDyn};

use super::source::Source;
use crate::array::any::{AnyArray, AnyElement};
use crate::array::dtype::{Element, dispatch};
use crate::error::{Call, Error, Result};

#[track_caller]
pub(super) fn call() -> Call {
    Call::new("test")
}

/// Reads a box of a source into a new array.
pub(super) fn read(source: &dyn Source, start: &[u64], lens: &[usize]) -> Result<AnyArray> {
    dispatch!(source.dtype(), T => {
        let mut array = T::to_any(ArrayD::<T>::default(IxDyn(lens)));
        source.read(start, array.view_mut())?;
        Ok(array)
    })
}

/// Reads a box of elements of type `T`.
pub(super) fn read_as<T: Element>(source: &dyn Source, start: &[u64], lens: &[usize]) -> ArrayD<T> {
    read(source, start, lens).unwrap().into_typed().unwrap()
}

/// The box of an array.
pub(super) fn cut<'a, T>(all: &'a ArrayD<T>, start: &[u64], lens: &[usize]) -> ArrayViewD<'a, T> {
    all.slice_each_axis(|axis| {
        let axis = axis.axis.index();
        let begin = start[axis] as usize;
        (begin..begin + lens[axis]).into()
    })
}

/// An array whose elements all differ as far as the type allows.
pub(super) fn ramp(shape: &[usize]) -> ArrayD<f64> {
    let n = shape.iter().product();
    ArrayD::from_shape_vec(shape, (0..n).map(|i| i as f64).collect()).unwrap()
}

/// Opens and reads, whole, every mutilation of a small file: cut at every length, and with every
/// byte changed. Nothing may panic, and what fails has to name the file.
pub(super) fn survives_damage(path: &Path, open: impl Fn(PathBuf) -> Result<Arc<dyn Source>>) {
    let good = std::fs::read(path).unwrap();
    let try_read = |bytes: &[u8], what: &str| {
        rewrite(path, bytes);
        let read = open(path.to_path_buf()).and_then(|source| {
            let lens: Vec<usize> = source.shape().iter().map(|&len| len as usize).collect();
            let start = vec![0; lens.len()];
            read(&*source, &start, &lens).map(drop)
        });
        if let Err(error) = read {
            assert!(names_a_file(&error), "{what}: {error}");
        }
    };
    for n in 0..good.len() {
        try_read(&good[..n], &format!("cut at {n}"));
    }
    for at in 0..good.len() {
        for flip in [0x01, 0x10, 0x80, 0xff] {
            let mut bad = good.clone();
            bad[at] ^= flip;
            try_read(&bad, &format!("byte {at} flipped by {flip:#x}"));
        }
    }
    std::fs::write(path, good).unwrap();
}

pub(super) fn names_a_file(error: &Error) -> bool {
    matches!(error, Error::Io { .. } | Error::CorruptFile { .. } | Error::UnsupportedFile { .. })
}

/// Replaces a file. Truncating it instead makes ext4 wait for the disk.
pub(super) fn rewrite(path: &Path, bytes: &[u8]) {
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, bytes).unwrap();
}
