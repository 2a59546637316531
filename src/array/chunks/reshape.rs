//! Reshapes without moving elements between blocks.
//!
//! A plan recuts the input so that each input block, read in C order, is one output block, and
//! blocks keep their row-major numbers. Then the reshape itself is one task for each block.

mod cut;
mod plan;
mod steps;

#[cfg(test)]
pub(crate) use plan::plan_reshape;
pub(crate) use plan::{ReshapePlan, Unsupported, plan_reshape_within};
#[cfg(test)]
pub(crate) use steps::plan_reshape_steps;
pub(crate) use steps::{reshape_steps, resolve_shape};

#[cfg(test)]
pub(in crate::array::chunks) use plan::tests::moves_right;
