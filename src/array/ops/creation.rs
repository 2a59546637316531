//! Arrays that are functions of the element's index, and arrays that are in memory already.

use std::sync::Arc;

use ndarray::{ArcArray, IxDyn};

use super::chunk_bytes;
use crate::array::args::Shape;
use crate::array::chunks::{
    AxisChunks, AxisSlice, ChunkSpec, Chunks, aligned_to, normalize_chunks,
};
use crate::array::dtype::{DType, Element};
use crate::array::expr::{Handle, Node};
use crate::array::io::Source;
use crate::array::kernels::{BinaryOp, Builder, Program, Scalar};
use crate::array::op::{ArrayOp, Read, ReadFrom};
use crate::error::{Call, Error, Result};

/// An array of `shape` whose elements are what `program` makes of their index.
pub(crate) fn create(call: Call, program: Program, shape: &Shape, chunks: &ChunkSpec) -> Handle {
    Handle::from_result(shape.lengths(call).and_then(|shape| {
        let itemsize = program.dtype().nbytes() as u64;
        let chunks = normalize_chunks(call, chunks, &shape, Some(itemsize), chunk_bytes()?, None)?;
        create_in_chunks(call, program, chunks)
    }))
}

/// The same in chunks whose lengths must be known: there is no input to tell them.
pub(crate) fn create_in_chunks(call: Call, program: Program, chunks: Chunks) -> Result<Arc<Node>> {
    if let Some(axis) = chunks.first_unknown() {
        return Err(Error::UnknownChunks { call, axis });
    }
    Node::of(ArrayOp::Create { program: Arc::new(program), chunks }, &[])
}

/// The same value everywhere.
pub(crate) fn full(call: Call, value: Scalar, shape: &Shape, chunks: &ChunkSpec) -> Handle {
    create(call, Program::constant(value), shape, chunks)
}

/// The same value everywhere, in the shape and chunks of another array, which is computed if its lengths
/// are unknown.
pub(crate) fn full_like(call: Call, value: Scalar, like: &Handle) -> Handle {
    like.then(|node| {
        let chunks = &node.meta.chunks;
        if chunks.first_unknown().is_none() {
            return create_in_chunks(call, Program::constant(value), chunks.clone());
        }
        let mut b = Builder::new(1);
        let x = b.input(0, node.meta.dtype);
        // A condition that always holds, and that no rewrite knows to: blocks of `x` are still read.
        let is_set = b.cast(x, DType::Bool);
        let holds = b.binary(BinaryOp::Eq, is_set, is_set).expect("booleans compare");
        let other = b.cast(x, value.dtype());
        let value = b.constant(value);
        let result = b.select(holds, value, other);
        Node::of(ArrayOp::Elemwise(Arc::new(b.finish(result))), &[node])
    })
}

/// `start + i * step` for as many `i` as stay before `stop`.
pub(crate) fn arange(call: Call, [start, stop, step]: [Scalar; 3], chunks: &ChunkSpec) -> Handle {
    let dtype = start.dtype();
    let len = match arange_len(call, [start, stop, step]) {
        Ok(len) => len,
        Err(error) => return Handle::from_result(Err(error)),
    };
    let program = affine(dtype, start, step);
    match program {
        Some(program) => create(call, program, &Shape::from(len), chunks),
        None => Handle::from_result(Err(super::unsupported(call, dtype, "a real number"))),
    }
}

/// How many steps it takes from `start` to `stop`.
fn arange_len(call: Call, [start, stop, step]: [Scalar; 3]) -> Result<u64> {
    let invalid = |argument, got: Scalar, expected| {
        Err(Error::InvalidArgument { call, argument, got: got.to_string(), expected })
    };
    let integer = |scalar: Scalar| match (scalar, scalar.cast(DType::I64)) {
        (Scalar::U64(value), _) => i128::from(value),
        (_, Scalar::I64(value)) => i128::from(value),
        _ => 0,
    };
    if start.dtype().is_integer() {
        let (start, stop, by) = (integer(start), integer(stop), integer(step));
        if by == 0 {
            return invalid("step", step, "a step other than 0");
        }
        let distance = (stop - start) * by.signum();
        return Ok((distance.max(0) as u128).div_ceil(by.unsigned_abs()) as u64);
    }
    let float = |scalar: Scalar| match scalar.cast(DType::F64) {
        Scalar::F64(value) => value,
        _ => f64::NAN,
    };
    let n_steps = ((float(stop) - float(start)) / float(step)).ceil();
    if float(step) == 0.0 || n_steps.is_nan() || n_steps >= i64::MAX as f64 {
        return invalid("step", step, "a finite range and a step other than 0");
    }
    Ok(n_steps.max(0.0) as u64)
}

/// `start + step * index` in `dtype`, along the only axis.
fn affine(dtype: DType, start: Scalar, step: Scalar) -> Option<Program> {
    let mut b = Builder::new(0);
    let index = b.index(0, 0, 1);
    let index = b.cast(index, dtype);
    let step = b.constant(step.cast(dtype));
    let start = b.constant(start.cast(dtype));
    let scaled = b.binary(BinaryOp::Mul, step, index).ok()?;
    let shifted = b.binary(BinaryOp::Add, start, scaled).ok()?;
    Some(b.finish(shifted))
}

/// `n` numbers from `start` to `stop`, both included.
pub(crate) fn linspace(
    call: Call,
    [start, stop]: [Scalar; 2],
    n: u64,
    chunks: &ChunkSpec,
) -> Handle {
    let dtype = start.dtype();
    let is_float = dtype.is_float() || dtype.is_complex();
    let program = is_float.then(|| {
        let mut b = Builder::new(0);
        let index = b.index(0, 0, 1);
        let position = b.cast(index, dtype);
        let n_steps = b.constant(Scalar::F64(n.saturating_sub(1).max(1) as f64).cast(dtype));
        let first = b.constant(start);
        let last = b.constant(stop);
        let span = b.binary(BinaryOp::Sub, last, first).ok()?;
        let step = b.binary(BinaryOp::Div, span, n_steps).ok()?;
        let scaled = b.binary(BinaryOp::Mul, position, step).ok()?;
        let inner = b.binary(BinaryOp::Add, first, scaled).ok()?;
        // As in NumPy, rounding must not keep the last number from being `stop`.
        let end = b.constant(Scalar::I64(if n > 1 {
            i64::try_from(n - 1).unwrap_or(i64::MAX)
        } else {
            i64::MAX
        }));
        let is_last = b.binary(BinaryOp::Eq, index, end).ok()?;
        let value = b.select(is_last, last, inner);
        Some(b.finish(value))
    });
    match program.flatten() {
        Some(program) => create(call, program, &Shape::from(n), chunks),
        None => Handle::from_result(Err(super::unsupported(call, dtype, "a float"))),
    }
}

/// Ones on the `k`-th diagonal of an `n` × `m` matrix and zeros elsewhere.
pub(crate) fn eye(call: Call, dtype: DType, n: u64, m: u64, k: i64, chunks: &ChunkSpec) -> Handle {
    let mut b = Builder::new(0);
    let row = b.index(0, k, 1);
    let column = b.index(1, 0, 1);
    let is_on = b.binary(BinaryOp::Eq, row, column).expect("integers compare");
    let value = b.cast(is_on, dtype);
    create(call, b.finish(value), &Shape::from([n, m]), chunks)
}

/// An array that is in memory, cut into chunks without copying.
pub(crate) fn from_shared<T: Element>(
    call: Call,
    data: ArcArray<T, IxDyn>,
    chunks: &ChunkSpec,
) -> Handle {
    let shape: Vec<u64> = data.shape().iter().map(|&len| len as u64).collect();
    let read = |chunks| Read {
        window: shape.iter().map(|&len| AxisSlice::full(len)).collect(),
        from: ReadFrom::Memory(Arc::new(data)),
        chunks,
    };
    let itemsize = Some(size_of::<T>() as u64);
    Handle::from_result(
        chunk_bytes()
            .and_then(|bytes| normalize_chunks(call, chunks, &shape, itemsize, bytes, None))
            .and_then(|chunks| Node::of(ArrayOp::Read(read(chunks)), &[])),
    )
}

/// An array in storage, of which values of type `dtype` are made. Automatic chunks are multiples of the
/// storage's own; if the user's are not, what is read in multiples is then rechunked.
pub(crate) fn from_source(
    call: Call,
    source: Arc<dyn Source>,
    dtype: DType,
    chunks: &ChunkSpec,
) -> Handle {
    Handle::from_result((|| {
        let shape = source.shape().to_vec();
        let unit = source.storage_chunks();
        let stored: Option<Chunks> = unit.as_ref().map(|unit| {
            let axes = shape.iter().zip(unit);
            axes.map(|(&len, &size)| AxisChunks::uniform(len, size.max(1))).collect()
        });
        let itemsize = Some(dtype.nbytes() as u64);
        let bytes = chunk_bytes()?;
        let wanted = normalize_chunks(call, chunks, &shape, itemsize, bytes, stored.as_ref())?;
        let aligned = unit.map_or_else(|| wanted.clone(), |unit| aligned_to(&wanted, &unit));
        let names = source.dim_names().filter(|names| names.len() == shape.len());
        let read = Read {
            window: shape.iter().map(|&len| AxisSlice::full(len)).collect(),
            from: ReadFrom::Storage(source),
            chunks: aligned,
        };
        let names = names.map(|names| names.into_iter().map(Arc::from).collect());
        let node = Node::of(ArrayOp::Read(read), &[])?.with_note(names);
        node.in_chunks(wanted)
    })())
}
