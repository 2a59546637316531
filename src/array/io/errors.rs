//! The errors that all formats of arrays share.

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
