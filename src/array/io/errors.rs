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

/// Checks what every [`Source`](super::Source) is asked for: a box inside of the array, of its elements.
pub(crate) fn check_box(
    call: Call,
    dtype: DType,
    shape: &[u64],
    start: &[u64],
    out: &AnyViewMut<'_>,
) -> Result<()> {
    check_dtype(call, out, dtype)?;
    if contains(shape, start, out.shape()) {
        return Ok(());
    }
    Err(box_outside(call, start, out.shape(), shape))
}

/// Whether the box at `start` of shape `lens` lies inside of an array.
pub(crate) fn contains(shape: &[u64], start: &[u64], lens: &[usize]) -> bool {
    start.len() == shape.len()
        && lens.len() == shape.len()
        && start.iter().zip(lens).zip(shape).all(|((&start, &len), &axis)| {
            start.checked_add(len as u64).is_some_and(|end| end <= axis)
        })
}

/// Checks that a view has the dtype of the file that it is read from.
pub(crate) fn check_dtype(call: Call, out: &AnyViewMut<'_>, dtype: DType) -> Result<()> {
    if out.dtype() == dtype {
        return Ok(());
    }
    let (got, expected) = (out.dtype().to_string(), dtype.to_string());
    Err(Error::DTypeMismatch { call, got, expected })
}
