//! Rewrites of array plans, in the order in which they are applied.
//!
//! `simplify` brings slices and rechunks as close to the sources as they go; `align` then inserts the
//! rechunks that operations on several inputs and reshapes need; and `simplify` runs again, so that
//! those too can move into creation and reads.
//!
//! Invariant: a rule never changes the dtype or the chunks of what it replaces, and never makes
//! work run twice unless that work is free.

mod align;
mod identity;
mod merge;
mod push_rechunk;
mod push_slice;

#[cfg(test)]
mod tests;

pub(crate) use merge::canonical;

use super::op::{ArrayOp, ReadFrom};
use crate::error::Result;
use crate::graph::{NodeId, Plan, Rule, Trace, rewrite};

/// Rules that make a plan smaller or move work towards the sources.
const SIMPLIFY: &[&dyn Rule<ArrayOp>] = &[
    &identity::EliminateIdentity,
    &merge::MergeSlice,
    &merge::MergePermute,
    &merge::MergeRechunk,
    &merge::PermuteCreate,
    &push_slice::PushDownSlice,
    &push_rechunk::PushDownRechunk,
];

/// Rules without which a plan can't be lowered.
const ALIGN: &[&dyn Rule<ArrayOp>] =
    &[&align::AlignElemwise, &align::AlignConcat, &align::PlanReshape];

/// Makes a plan ready for lowering; with `simplify` off, only what is necessary is done.
pub(crate) fn optimize(plan: &mut Plan<ArrayOp>, simplify: bool) -> Result<Trace> {
    let mut trace = Trace::default();
    if simplify {
        rewrite(plan, SIMPLIFY, &mut trace)?;
    }
    rewrite(plan, ALIGN, &mut trace)?;
    if simplify {
        rewrite(plan, SIMPLIFY, &mut trace)?;
        rewrite(plan, ALIGN, &mut trace)?;
    }
    Ok(trace)
}

/// Whether several readers of `id` may each get a version of their own.
fn may_split(plan: &Plan<ArrayOp>, id: NodeId) -> bool {
    plan.has_one_user(id) || is_free(plan.op(id))
}

/// Whether doing an operation again costs no more than reading its result.
fn is_free(op: &ArrayOp) -> bool {
    match op {
        ArrayOp::Create { program, .. } => program.is_free(),
        ArrayOp::Read(read) => matches!(read.from, ReadFrom::Memory(_)),
        ArrayOp::Blocks(_) | ArrayOp::Slice(_) | ArrayOp::Permute(_) => true,
        _ => false,
    }
}

/// `new`, if it stands for the same array in the same chunks as `id`.
fn if_same_meta(plan: &Plan<ArrayOp>, id: NodeId, new: NodeId) -> Option<NodeId> {
    (plan.meta(new) == plan.meta(id)).then_some(new)
}
