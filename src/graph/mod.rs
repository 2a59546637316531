//! Plans, layers and task graphs: what is to be done, as data.
//!
//! Invariant: this folder knows neither arrays nor frames nor threads.

mod block;
mod block_map;
mod fuse;
mod kernel;
mod layer;
mod order;
mod plan;
mod rule;
mod tasks;
#[cfg(test)]
pub(crate) mod test_graphs;

pub(crate) use block::{Block, Value};
pub(crate) use block_map::{AxisMap, BlockMap};
pub(crate) use fuse::{FuseLimits, fuse};
pub(crate) use kernel::{Inputs, Kernel, KernelSpec, TaskContext, Wiring};
pub(crate) use layer::{Layer, LayerGraph, LayerId, LayerInput};
pub(crate) use order::{by_rank, order, peak_bytes};
pub(crate) use plan::{NodeId, Operation, Plan};
pub(crate) use rule::{Rule, Trace, rewrite};
pub(crate) use tasks::{TaskGraph, TaskId};
