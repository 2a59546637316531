//! What tasks on array chunks do: fused elementwise programs and reductions.
//!
//! A [`Program`] says what happens to one element. [`ElemwiseKernel`] evaluates it over a block in
//! strips that stay in the L1 cache.
//!
//! Kernels know nothing of plans or of the blocks of other tasks.
#![allow(dead_code, unused_imports)]

mod builder;
mod compile;
pub(crate) mod contract;
mod copy;
pub(crate) use copy::to_usize;
mod display;
mod elemwise;
mod functions;
mod load;
mod loops;
pub(crate) mod map_blocks;
mod ops;
mod program;
pub(crate) mod read;
pub(crate) mod rearrange;
pub(crate) mod resident;
mod scalar;
mod stub;
pub(crate) use stub::*;
mod strip;

pub(crate) use builder::Builder;
pub(crate) use elemwise::ElemwiseKernel;
pub(crate) use ops::{BinaryOp, UnaryOp};
pub(crate) use program::{Instr, Program, Reg, Unsupported};
pub(crate) use scalar::{CastTo, Lane, Scalar};
