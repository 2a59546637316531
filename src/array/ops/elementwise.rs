//! Functions of single elements.

use std::sync::Arc;

use crate::array::chunks::{Chunks, unify_broadcast};
use crate::array::dtype::DType;
use crate::array::expr::{Handle, Node};
use crate::array::kernels::{BinaryOp, Builder, Program, Scalar, UnaryOp, Unsupported};
use crate::array::meta::Meta;
use crate::array::op::ArrayOp;
use crate::error::{Call, Result};

/// One side of an operation: an array, or a number that takes part as it is.
#[derive(Clone, Debug)]
pub(crate) enum Term {
    Array(Handle),
    Scalar(Scalar),
}

/// `program` of arrays that broadcast together.
pub(crate) fn elemwise_of(call: Call, program: Program, nodes: &[&Arc<Node>]) -> Result<Arc<Node>> {
    let chunks: Vec<&Chunks> = nodes.iter().map(|node| &node.meta.chunks).collect();
    let first = chunks[0];
    let chunks = if chunks.iter().all(|other| *other == first) {
        first.clone()
    } else {
        let chunks = super::countable(call, unify_broadcast(call, &chunks)?)?;
        let axes = 0..chunks.ndim();
        super::not_grown(Meta { dtype: program.dtype(), chunks }, axes, nodes)?.chunks
    };
    let meta = Meta { dtype: program.dtype(), chunks };
    Ok(Node::with_meta(ArrayOp::Elemwise(Arc::new(program)), nodes, meta))
}

/// A function of one array.
pub(crate) fn unary(call: Call, op: UnaryOp, x: &Handle) -> Handle {
    x.then(|node| {
        let program = Program::unary(op, node.meta.dtype).map_err(|e| unsupported(call, e))?;
        elemwise_of(call, program, &[node])
    })
}

/// A function of one array that exists for floats, of which integers are taken as `f64`.
pub(crate) fn unary_float(call: Call, op: UnaryOp, x: &Handle) -> Handle {
    x.then(|node| {
        let mut b = Builder::new(1);
        let x = b.input(0, node.meta.dtype);
        let is_float = node.meta.dtype.is_float() || node.meta.dtype.is_complex();
        let x = if is_float { x } else { b.cast(x, DType::F64) };
        let result = b.unary(op, x).map_err(|e| unsupported(call, e))?;
        elemwise_of(call, b.finish(result), &[node])
    })
}

/// A function of two terms of one dtype, at least one of them an array.
pub(crate) fn binary(call: Call, op: BinaryOp, left: &Term, right: &Term) -> Handle {
    let mut handles = Vec::new();
    for term in [left, right] {
        if let Term::Array(handle) = term {
            handles.push(handle);
        }
    }
    Handle::join(&handles, |nodes| {
        let mut b = Builder::new(nodes.len());
        let mut slot = 0;
        let mut operand = |b: &mut Builder, term: &Term| match term {
            Term::Array(_) => {
                slot += 1;
                b.input(slot - 1, nodes[slot - 1].meta.dtype)
            }
            Term::Scalar(value) => b.constant(*value),
        };
        let left = operand(&mut b, left);
        let right = operand(&mut b, right);
        let result = b.binary(op, left, right).map_err(|e| unsupported(call, e))?;
        elemwise_of(call, b.finish(result), nodes)
    })
}

/// The same values as another dtype.
pub(crate) fn cast(call: Call, x: &Handle, to: DType) -> Handle {
    x.then(|node| {
        if node.meta.dtype == to {
            return Ok(Arc::clone(node));
        }
        elemwise_of(call, Program::cast(node.meta.dtype, to), &[node])
    })
}

/// `then` where `cond` holds and `other` elsewhere.
pub(crate) fn select(call: Call, cond: &Handle, then: &Term, other: &Term) -> Handle {
    let mut handles = vec![cond];
    for term in [then, other] {
        if let Term::Array(handle) = term {
            handles.push(handle);
        }
    }
    Handle::join(&handles, |nodes| {
        let mut b = Builder::new(nodes.len());
        let cond = b.input(0, DType::Bool);
        let mut slot = 0;
        let mut operand = |b: &mut Builder, term: &Term| match term {
            Term::Array(_) => {
                slot += 1;
                b.input(slot, nodes[slot].meta.dtype)
            }
            Term::Scalar(value) => b.constant(*value),
        };
        let then = operand(&mut b, then);
        let other = operand(&mut b, other);
        let result = b.select(cond, then, other);
        elemwise_of(call, b.finish(result), nodes)
    })
}

/// The values, but none below `min` or above `max`; NaN stays NaN.
pub(crate) fn clip(call: Call, x: &Handle, min: Option<Scalar>, max: Option<Scalar>) -> Handle {
    x.then(|node| {
        let mut b = Builder::new(1);
        let mut result = b.input(0, node.meta.dtype);
        for (op, bound) in [(BinaryOp::Maximum, min), (BinaryOp::Minimum, max)] {
            if let Some(bound) = bound {
                let bound = b.constant(bound);
                result = b.binary(op, result, bound).map_err(|e| unsupported(call, e))?;
            }
        }
        elemwise_of(call, b.finish(result), &[node])
    })
}

fn unsupported(call: Call, error: Unsupported) -> crate::error::Error {
    super::unsupported(call, error.got, "one that the operation exists for")
}

#[cfg(test)]
mod tests {
    use crate::Config;
    use crate::prelude::*;

    #[test]
    fn outer_products_are_cut_to_the_chunk_size() {
        let chunks = |bytes| {
            Config::new().with_chunk_bytes(bytes).scope(|| {
                let x = array::arange(0.0, 100.0, 1.0, [50]);
                (x.expand_dims(1) * x.expand_dims(0)).chunks().unwrap().to_string()
            })
        };
        assert_eq!(chunks(100 * 100 * 8), "((50, 50), (50, 50))");
        assert_eq!(chunks(25 * 25 * 8), "((25, 25, 25, 25), (25, 25, 25, 25))");
    }
}
