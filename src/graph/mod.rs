//! Plans, layers and task graphs: what is to be done, as data.
//!
//! Invariant: this folder knows neither arrays nor frames nor threads.

mod block;
mod block_map;
mod bridge;
mod dot;
mod expression;
mod forward;
mod fuse;
mod kernel;
mod layer;
mod layout;
mod line;
mod order;
mod picture;
mod plan;
#[cfg(feature = "dist")]
mod portable;
mod rule;
mod show;
mod slots;
mod svg;
mod tasks;
#[cfg(test)]
pub(crate) mod test_graphs;

pub(crate) use block::{Block, Load, Spill, Value};
pub(crate) use block_map::{AxisMap, BlockMap};
pub(crate) use bridge::{Bridge, Crossings, ExpressionId, Lower, lower_together};
pub(crate) use expression::{Handle, Node, Step, bridges_of, import};
pub(crate) use forward::ForwardKernel;
pub(crate) use fuse::{FuseLimits, fuse};
pub(crate) use kernel::{BytesRead, Identity, Inputs, Kernel, TaskContext, Wiring};
pub(crate) use layer::{Layer, LayerGraph, LayerId, LayerInput};
#[cfg(feature = "frame")]
pub(crate) use line::at as at_line;
pub(crate) use line::{Line, take_failed};
pub(crate) use order::{by_rank, order, peak_bytes};
pub(crate) use picture::Picture;
pub(crate) use plan::{NodeId, Operation, Plan};
#[cfg(feature = "dist")]
pub(crate) use portable::{
    Codecs, Decoder, KernelSpec, Registry, Unsendable, encoded, undecodable,
};
pub(crate) use rule::{Rule, Trace, rewrite};
pub(crate) use show::{LayerTable, columns};
pub(crate) use slots::Slots;
pub(crate) use tasks::{Invocation, TaskGraph, TaskId, count_tasks, unravel};

/// The kernels of this folder.
#[cfg(feature = "dist")]
pub(crate) static CODECS: Codecs =
    Codecs { kernels: &[("chain", fuse::chain), ("forward", forward::forward)], values: &[] };
