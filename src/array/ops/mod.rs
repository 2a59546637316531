//! The functions of arrays, by family, in terms of the structural operations of `op.rs`.
//!
//! Each takes untyped handles and gives one back; the typed methods of `Array` and `DynArray` call them.

pub(crate) mod assign;
pub(crate) mod composed;
pub(crate) mod creation;
pub(crate) mod differences;
pub(crate) mod elementwise;
pub(crate) mod fft;
pub(crate) mod grids;
pub(crate) mod groups;
pub(crate) mod gufunc;
pub(crate) mod histograms;
pub(crate) mod indexing;
pub(crate) mod joins;
pub(crate) mod label;
pub(crate) mod lanes;
pub(crate) mod linalg;
pub(crate) mod lookups;
pub(crate) mod manipulation;
pub(crate) mod map_blocks;
pub(crate) mod mask;
pub(crate) mod overlap;
pub(crate) mod pad;
pub(crate) mod pick;
pub(crate) mod points;
pub(crate) mod quantiles;
pub(crate) mod random;
pub(crate) mod ranks;
pub(crate) mod rechunk;
pub(crate) mod reductions;
pub(crate) mod repeats;
pub(crate) mod scans;
pub(crate) mod selections;
pub(crate) mod sketches;
pub(crate) mod statistics;
pub(crate) mod t_tests;
pub(crate) mod take;
pub(crate) mod triangles;

use std::any::Any;
use std::ops::Range;
use std::sync::Arc;

use super::chunks::{Chunks, check_shape, cut_within};
use super::dtype::{DType, Element, dispatch};
use super::expr::Node;
use super::kernels::Scalar;
use super::meta::Meta;
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

/// The lengths of the axes of a matrix.
fn matrix_lengths(call: Call, node: &Node) -> Result<[u64; 2]> {
    if node.ndim() != 2 {
        return Err(Error::InvalidArgument {
            call,
            argument: "array",
            got: format!("{} dimensions", node.ndim()),
            expected: "a matrix",
        });
    }
    Ok([node.axis_len(call, 0)?, node.axis_len(call, 1)?])
}

/// Refuses a result whose elements can't be counted, as creation does: inputs that can be counted may
/// broadcast or be put together to more.
pub(crate) fn countable(call: Call, chunks: Chunks) -> Result<Chunks> {
    if let Some(shape) = chunks.known_shape() {
        check_shape(call, &shape)?;
    }
    Ok(chunks)
}

/// `out`, cut along `axes` where its blocks are larger than those of the inputs and than the chunk size:
/// the outer product of two short vectors may be longer than the memory.
pub(crate) fn not_grown(out: Meta, axes: Range<usize>, inputs: &[&Arc<Node>]) -> Result<Meta> {
    let largest = inputs.iter().filter_map(|node| node.meta.block_bytes_max()).max();
    let bytes_max = largest.unwrap_or(0).max(chunk_bytes()?);
    let chunks = cut_within(out.chunks, axes, bytes_max / out.dtype.nbytes() as u64);
    Ok(Meta { dtype: out.dtype, chunks })
}

/// The error for an operation that does not exist for a dtype.
pub(crate) fn unsupported(call: Call, got: DType, expected: &str) -> Error {
    Error::DTypeMismatch { call, got: got.to_string(), expected: expected.to_owned() }
}
