//! Rewrites of plans of frames, in the order in which they are applied.
//!
//! Rules bring filters and limits as close to the sources as they go; then one walk over the whole plan leaves out
//! the columns that nobody needs.
//!
//! Invariant: a rule never changes the schema of what it replaces, nor which rows come out, and never makes
//! work run twice.

mod drop_sort;
mod merge;
mod metadata;
mod prune_columns;
mod push_filter;
mod push_slice;

use super::op::FrameOp;
use crate::error::Result;
use crate::graph::{Plan, Rule, Trace, rewrite};

/// Rules that make a plan smaller or move work towards the sources.
const SIMPLIFY: &[&dyn Rule<FrameOp>] = &[
    &merge::MergeFilter,
    &merge::EliminateFilter,
    &merge::MergeSelect,
    &merge::EliminateSelect,
    &merge::MergeSlice,
    &merge::MergeRepartition,
    &drop_sort::DropSort,
    &metadata::AnswerFromMetadata,
    &push_filter::PushDownFilter,
    &push_slice::PushDownSlice,
    &push_slice::PushDownTail,
];

/// Makes a plan cheaper; without `simplify` it stays as it is.
pub(crate) fn optimize(plan: Plan<FrameOp>, simplify: bool) -> Result<(Plan<FrameOp>, Trace)> {
    let mut trace = Trace::default();
    if !simplify {
        return Ok((plan, trace));
    }
    let mut plan = plan;
    rewrite(&mut plan, SIMPLIFY, &mut trace)?;
    let mut plan = prune_columns::prune_columns(&plan, &mut trace)?;
    // What was pruned leaves selections behind that select everything.
    rewrite(&mut plan, SIMPLIFY, &mut trace)?;
    Ok((plan, trace))
}

#[cfg(test)]
mod tests;
