//! The functions of arrays, by family, in terms of the structural operations of `op.rs`.
//!
//! Each takes untyped handles and gives one back; the typed methods of `Array` and `DynArray` call them.

pub(crate) mod creation;
pub(crate) mod elementwise;
pub(crate) mod indexing;
pub(crate) mod linalg;
pub(crate) mod manipulation;
pub(crate) mod map_blocks;
pub(crate) mod rechunk;
pub(crate) mod reductions;

use std::any::Any;

use super::chunks::{Chunks, check_shape};
use super::dtype::{DType, Element, dispatch};
use super::kernels::Scalar;
use crate::config::Config;
use crate::error::{Call, Error, Result};

/// The value of an element with its type erased.
pub(crate) fn scalar<T: Element>(value: T) -> Scalar {
    dispatch!(T::DTYPE, U => {
        let value: &dyn Any = &value;
        let value: U = *value.downcast_ref().expect("the dtype of an element names its type");
        value.into()
    })
}

/// Bytes of a chunk where the user did not say.
pub(crate) fn chunk_bytes() -> Result<u64> {
    Ok(Config::current()?.chunk_bytes())
}

/// Refuses a result whose elements can't be counted, as creation does: inputs that can be counted may
/// broadcast or be put together to more.
pub(crate) fn countable(call: Call, chunks: Chunks) -> Result<Chunks> {
    if let Some(shape) = chunks.known_shape() {
        check_shape(call, &shape)?;
    }
    Ok(chunks)
}

/// The error for an operation that does not exist for a dtype.
pub(crate) fn unsupported(call: Call, got: DType, expected: &str) -> Error {
    Error::DTypeMismatch { call, got: got.to_string(), expected: expected.to_owned() }
}
