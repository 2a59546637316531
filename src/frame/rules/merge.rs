//! Two operations that are one.

use std::sync::Arc;

use crate::error::Result;
use crate::frame::expr::{Expr, ExprKind, conjuncts};
use crate::frame::op::{FrameOp, Repartition, Select};
use crate::graph::{NodeId, Plan, Rule};

/// Filters of more steps are not merged, because expressions are walked by recursion.
const STEPS_MAX: usize = 256;

/// `x.filter(a).filter(b)` is `x.filter(a & b)`, unless `b` can fail on rows that `a` drops.
pub(super) struct MergeFilter;

impl Rule<FrameOp> for MergeFilter {
    fn name(&self) -> &'static str {
        "MergeFilter"
    }

    fn apply(&self, plan: &mut Plan<FrameOp>, id: NodeId) -> Result<Option<NodeId>> {
        let FrameOp::Filter(outer) = plan.op(id) else { return Ok(None) };
        let below = plan.inputs(id)[0];
        let FrameOp::Filter(inner) = plan.op(below) else { return Ok(None) };
        if !plan.has_one_user(below) || outer.may_fail() {
            return Ok(None);
        }
        let both = inner.clone().and(outer.clone());
        if both.is_larger_than(STEPS_MAX) {
            return Ok(None);
        }
        let input = plan.inputs(below)[0];
        let merged = plan.push(FrameOp::Filter(both), &[input])?;
        // It is the inner one that may fail.
        plan.inherit_line(merged, below);
        Ok(Some(merged))
    }
}

/// A filter that is always true is none.
pub(super) struct EliminateFilter;

impl Rule<FrameOp> for EliminateFilter {
    fn name(&self) -> &'static str {
        "EliminateFilter"
    }

    fn apply(&self, plan: &mut Plan<FrameOp>, id: NodeId) -> Result<Option<NodeId>> {
        let FrameOp::Filter(predicate) = plan.op(id) else { return Ok(None) };
        Ok(conjuncts(predicate).is_empty().then(|| plan.inputs(id)[0]))
    }
}

/// Columns of columns are columns, if none of them would be computed twice.
pub(super) struct MergeSelect;

impl Rule<FrameOp> for MergeSelect {
    fn name(&self) -> &'static str {
        "MergeSelect"
    }

    fn apply(&self, plan: &mut Plan<FrameOp>, id: NodeId) -> Result<Option<NodeId>> {
        let FrameOp::Select(outer) = plan.op(id) else { return Ok(None) };
        let below = plan.inputs(id)[0];
        let FrameOp::Select(inner) = plan.op(below) else { return Ok(None) };
        let only_names = inner.exprs.iter().all(is_column);
        let is_private = plan.has_one_user(below) && takes_each_once(outer, inner);
        if !(only_names || is_private) {
            return Ok(None);
        }
        let exprs = outer.exprs.iter().map(|expr| through(expr, inner));
        let merged = Select { exprs: exprs.collect(), schema: Arc::clone(&outer.schema) };
        let input = plan.inputs(below)[0];
        let merged = plan.push(FrameOp::Select(merged), &[input])?;
        // Only one of them computes something.
        plan.inherit_line(merged, if only_names { id } else { below });
        Ok(Some(merged))
    }
}

/// Whether `outer` only names columns of `inner`, those that are computed no more than once.
fn takes_each_once(outer: &Select, inner: &Select) -> bool {
    let mut taken = Vec::new();
    outer.exprs.iter().all(|expr| {
        let ExprKind::Column(name) = expr.without_alias().kind() else { return false };
        let is_new = !taken.contains(&name);
        taken.push(name);
        is_new || inner.exprs.iter().any(|expr| expr.output_name() == *name && is_column(expr))
    })
}

/// A selection of all columns as they are is its input.
pub(super) struct EliminateSelect;

impl Rule<FrameOp> for EliminateSelect {
    fn name(&self) -> &'static str {
        "EliminateSelect"
    }

    fn apply(&self, plan: &mut Plan<FrameOp>, id: NodeId) -> Result<Option<NodeId>> {
        let FrameOp::Select(select) = plan.op(id) else { return Ok(None) };
        let input = plan.inputs(id)[0];
        let is_plain = |expr: &Expr| matches!(expr.kind(), ExprKind::Column(_));
        let keeps_all = plan.meta(input).schema == select.schema;
        Ok((keeps_all && select.exprs.iter().all(is_plain)).then_some(input))
    }
}

/// `x.slice(a, n).slice(b, m)` is one slice.
pub(super) struct MergeSlice;

impl Rule<FrameOp> for MergeSlice {
    fn name(&self) -> &'static str {
        "MergeSlice"
    }

    fn apply(&self, plan: &mut Plan<FrameOp>, id: NodeId) -> Result<Option<NodeId>> {
        let &FrameOp::Slice { offset, len } = plan.op(id) else { return Ok(None) };
        let below = plan.inputs(id)[0];
        let &FrameOp::Slice { offset: first, len: n } = plan.op(below) else { return Ok(None) };
        if !plan.has_one_user(below) {
            return Ok(None);
        }
        let len = len.min(n.saturating_sub(offset));
        let merged = FrameOp::Slice { offset: first.saturating_add(offset), len };
        let input = plan.inputs(below)[0];
        Ok(Some(plan.push(merged, &[input])?))
    }
}

/// `x.repartition(a).repartition(b)` is `x.repartition(b)`: rows keep their order in partitions of a number or a size, and the
/// same partitions twice are the same.
pub(super) struct MergeRepartition;

impl Rule<FrameOp> for MergeRepartition {
    fn name(&self) -> &'static str {
        "MergeRepartition"
    }

    fn apply(&self, plan: &mut Plan<FrameOp>, id: NodeId) -> Result<Option<NodeId>> {
        let FrameOp::Repartition(outer) = plan.op(id) else { return Ok(None) };
        let below = plan.inputs(id)[0];
        let FrameOp::Repartition(inner) = plan.op(below) else { return Ok(None) };
        let is_void =
            matches!(inner, Repartition::Count(_) | Repartition::Bytes(_)) || inner == outer;
        if !plan.has_one_user(below) || !is_void {
            return Ok(None);
        }
        let op = plan.op(id).clone();
        let input = plan.inputs(below)[0];
        Ok(Some(plan.push(op, &[input])?))
    }
}

/// Whether an expression is a column, maybe under another name.
pub(super) fn is_column(expr: &Expr) -> bool {
    matches!(expr.without_alias().kind(), ExprKind::Column(_))
}

/// `expr`, which reads the result of `select`, as an expression of the input of `select`, with its name.
fn through(expr: &Expr, select: &Select) -> Expr {
    let name = expr.output_name();
    let inner = expr.without_alias().substitute(&|name: &str| computed_as(name, select));
    if inner.output_name() == name { inner } else { inner.alias(name) }
}

/// What the column `name` of the result of `select` is of its input.
pub(super) fn computed_as(name: &str, select: &Select) -> Option<Expr> {
    let found = select.exprs.iter().find(|expr| expr.output_name() == name)?;
    Some(found.without_alias().clone())
}
