//! Student's tests of means.
//!
//! # Source
//! Welch, "The generalization of Student's problem when several different population variances are involved" (1947),
//! for variances that differ.

use std::sync::Arc;

use super::creation::create_in_chunks;
use super::elementwise::{Term, binary, cast, unary};
use super::reductions::{over, reduce};
use crate::array::args::AxisRef;
use crate::array::dtype::DType;
use crate::array::expr::{Handle, Node};
use crate::array::kernels::p_value::StudentKernel;
use crate::array::kernels::{BinaryOp, Program, ReduceKind, Scalar, UnaryOp};
use crate::array::meta::Meta;
use crate::array::op::{ArrayOp, Blockwise};
use crate::error::{Call, Result};
use crate::graph::{AxisMap, BlockMap};

/// A statistic, its degrees of freedom and its p-value.
pub(crate) type TTest = [Handle; 3];

/// Whether the means along an axis are `mean`.
pub(crate) fn one_sample(call: Call, x: &Handle, mean: f64, axis: &AxisRef) -> TTest {
    let sample = Sample::new(call, x, axis);
    let df = sample.len - 1.0;
    let difference = sample.number(BinaryOp::Sub, &sample.mean, mean);
    finish(call, &difference, &sample.of_mean(), Err(df))
}

/// Whether two samples have the same means.
pub(crate) fn independent(
    call: Call,
    a: &Handle,
    b: &Handle,
    axis: &AxisRef,
    has_equal_var: bool,
) -> TTest {
    let (a, b) = (Sample::new(call, a, axis), Sample::new(call, b, axis));
    let difference = a.both(BinaryOp::Sub, &a.mean, &b.mean);
    if has_equal_var {
        let df = a.len + b.len - 2.0;
        let [of_a, of_b] =
            [&a, &b].map(|sample| sample.number(BinaryOp::Mul, &sample.variance, sample.len - 1.0));
        let pooled = a.number(BinaryOp::Div, &a.both(BinaryOp::Add, &of_a, &of_b), df);
        let of_difference = a.number(BinaryOp::Mul, &pooled, 1.0 / a.len + 1.0 / b.len);
        return finish(call, &difference, &of_difference, Err(df));
    }
    let [of_a, of_b] = [&a, &b].map(Sample::of_mean);
    let of_difference = a.both(BinaryOp::Add, &of_a, &of_b);
    let square = |x: &Handle| a.both(BinaryOp::Mul, x, x);
    let part = |of: &Handle, len: f64| a.number(BinaryOp::Div, &square(of), len - 1.0);
    let parts = a.both(BinaryOp::Add, &part(&of_a, a.len), &part(&of_b, b.len));
    let df = a.both(BinaryOp::Div, &square(&of_difference), &parts);
    finish(call, &difference, &of_difference, Ok(df))
}

/// Whether the differences of pairs have a mean of 0.
pub(crate) fn related(call: Call, a: &Handle, b: &Handle, axis: &AxisRef) -> TTest {
    let [a, b] = [a, b].map(|x| Term::Array(cast(call, x, DType::F64)));
    one_sample(call, &binary(call, BinaryOp::Sub, &a, &b), 0.0, axis)
}

/// Mean and variance along an axis, and its length.
struct Sample {
    call: Call,
    mean: Handle,
    variance: Handle,
    len: f64,
}

impl Sample {
    fn new(call: Call, x: &Handle, axis: &AxisRef) -> Self {
        let x = cast(call, x, DType::F64);
        let len = x.node().and_then(|node| {
            let axis = axis.resolve(call, node.ndim(), node.dim_names())?;
            node.axis_len(call, axis)
        });
        let x = match &len {
            Ok(_) => x,
            Err(error) => Handle::from_result(Err(error.clone())),
        };
        let how = over([axis.clone()]);
        Sample {
            call,
            mean: reduce(call, &x, ReduceKind::Mean, false, &how),
            variance: reduce(call, &x, ReduceKind::Var, false, &how.ddof(1.0)),
            len: len.map_or(f64::NAN, |len| len as f64),
        }
    }

    fn both(&self, op: BinaryOp, a: &Handle, b: &Handle) -> Handle {
        binary(self.call, op, &Term::Array(a.clone()), &Term::Array(b.clone()))
    }

    fn number(&self, op: BinaryOp, a: &Handle, b: f64) -> Handle {
        binary(self.call, op, &Term::Array(a.clone()), &Term::Scalar(Scalar::F64(b)))
    }

    /// The variance of the mean.
    fn of_mean(&self) -> Handle {
        self.number(BinaryOp::Div, &self.variance, self.len)
    }
}

/// The test of a difference with a variance; the degrees of freedom are an array or a number.
fn finish(call: Call, difference: &Handle, variance: &Handle, df: Result<Handle, f64>) -> TTest {
    let error = unary(call, UnaryOp::Sqrt, variance);
    let t = binary(call, BinaryOp::Div, &Term::Array(difference.clone()), &Term::Array(error));
    let df = df.unwrap_or_else(|df| {
        t.then(|node| {
            create_in_chunks(call, Program::constant(Scalar::F64(df)), node.meta.chunks.clone())
        })
    });
    let p = Handle::join(&[&t, &df], |nodes| {
        let (t, df) = (nodes[0], nodes[1].in_chunks(nodes[0].meta.chunks.clone())?);
        let maps = vec![BlockMap::axes((0..t.ndim()).map(AxisMap::same)); 2];
        let blockwise = Blockwise {
            name: call.op.into(),
            kernel: Arc::new(StudentKernel),
            maps,
            out: Meta { dtype: DType::F64, chunks: t.meta.chunks.clone() },
            out_bytes: None,
            scratch_bytes: 0,
        };
        Node::of(ArrayOp::Blockwise(Arc::new(blockwise)), &[t, &df])
    });
    [t, df, p]
}
