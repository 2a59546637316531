//! The errors that all file formats share.

use std::path::Path;

use crate::array::any::AnyViewMut;
use crate::array::dtype::DType;
use crate::error::{Call, Error, Result};

/// A box that does not lie inside of the array.
pub(crate) fn box_outside(call: Call, start: &[u64], lens: &[usize], shape: &[u64]) -> Error {
    Error::InvalidArgument {
        call,
        argument: "start",
        got: format!("the box {start:?}+{lens:?} of an array of shape {shape:?}"),
        expected: "a box inside of the array",
    }
}

/// Checks that a view has the dtype of the file that it is read from.
pub(crate) fn check_dtype(call: Call, out: &AnyViewMut<'_>, dtype: DType) -> Result<()> {
    if out.dtype() == dtype {
        return Ok(());
    }
    let (got, expected) = (out.dtype().to_string(), dtype.to_string());
    Err(Error::DTypeMismatch { call, got, expected })
}

/// The format and the file that a reader complains about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blame<'a> {
    pub(crate) call: Call,
    pub(crate) path: &'a Path,
    pub(crate) format: &'static str,
}

impl Blame<'_> {
    /// The file is not what its format says.
    pub(crate) fn corrupt(&self, problem: impl Into<String>) -> Error {
        let (path, problem) = (self.path.to_path_buf(), problem.into());
        Error::CorruptFile { call: self.call, path, format: self.format, problem }
    }

    /// The file is valid but uses something else than what is read here.
    pub(crate) fn unsupported(&self, feature: impl Into<String>, remedy: &'static str) -> Error {
        let (path, feature) = (self.path.to_path_buf(), feature.into());
        Error::UnsupportedFile { call: self.call, path, feature, remedy }
    }
}
