//! What tasks on array chunks do: fused elementwise programs and reductions.
//!
//! A `Program` says what happens to one element. `ElemwiseKernel` evaluates it over a block in
//! strips that stay in the L1 cache. A reduction (`reduce.rs`) folds each strip while it is there.
//!
//! Kernels know nothing of plans or of the blocks of other tasks.

pub(crate) mod argtopk;
pub mod bench_support;
mod builder;
mod compile;
pub(crate) mod contract;
pub(crate) mod copy;
pub(crate) mod count;
mod display;
mod elemwise;
pub(crate) mod fft;
pub(crate) mod filter;
mod fold;
mod functions;
pub(crate) mod grouped;
pub(crate) mod gufunc;
pub(crate) mod histogramdd;
pub(crate) mod label;
pub(crate) mod linalg;
pub(crate) mod load;
pub(crate) mod lookup;
mod loops;
pub(crate) mod map_blocks;
pub(crate) mod measured;
mod ops;
mod ordered;
pub(crate) mod own_reduction;
pub(crate) mod p_value;
pub(crate) mod pick;
pub(crate) mod points;
#[cfg(feature = "dist")]
pub(crate) mod portable;
mod program;
pub(crate) mod quantile;
pub(crate) mod radix;
pub(crate) mod random;
pub(crate) mod read;
pub(crate) mod rearrange;
mod reduce;
mod reducers;
pub(crate) mod resident;
pub(crate) mod samples;
mod scalar;
pub(crate) mod scan;
pub(crate) mod segments;
mod stages;
mod strip;
pub(crate) mod take;
pub(crate) mod topk;
pub(crate) mod unique;
mod vector_math;
pub(crate) mod weighted;
pub(crate) mod window_reduce;
pub(crate) mod windows;

pub(crate) use builder::Builder;
pub(crate) use copy::to_usize;
pub(crate) use elemwise::ElemwiseKernel;
pub(crate) use ops::{BinaryOp, UnaryOp};
pub(crate) use program::{Instr, Program, Reg, Unsupported};
pub(crate) use reduce::{ReduceKind, ReduceSpec, chunk_kernel, combine_kernel, finish_kernel};
#[cfg(test)]
pub(crate) use scalar::Lane;
pub(crate) use scalar::Scalar;

#[cfg(test)]
mod tests;
