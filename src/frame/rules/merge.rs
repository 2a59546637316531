//! Two operations that are one.

use crate::error::Result;
use crate::frame::expr::{Expr, ExprKind};
use crate::frame::op::{FrameOp, Select};
use crate::graph::{NodeId, Plan, Rule};

/// `x.filter(a).filter(b)` is `x.filter(a & b)`.
pub(super) struct MergeFilter;

impl Rule<FrameOp> for MergeFilter {
    fn name(&self) -> &'static str {
        "MergeFilter"
    }

    fn apply(&self, plan: &mut Plan<FrameOp>, id: NodeId) -> Result<Option<NodeId>> {
        let FrameOp::Filter(outer) = plan.op(id) else { return Ok(None) };
        let below = plan.inputs(id)[0];
        let FrameOp::Filter(inner) = plan.op(below) else { return Ok(None) };
        if !plan.has_one_user(below) {
            return Ok(None);
        }
        let both = inner.clone().and(outer.clone());
        let input = plan.inputs(below)[0];
        Ok(Some(plan.push(FrameOp::Filter(both), &[input])?))
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
        if !outer.exprs.iter().all(is_column) && !inner.exprs.iter().all(is_column) {
            return Ok(None);
        }
        if !plan.has_one_user(below) && !inner.exprs.iter().all(is_column) {
            return Ok(None);
        }
        let exprs = outer.exprs.iter().map(|expr| through(expr, inner));
        let merged = Select { exprs: exprs.collect(), schema: outer.schema.clone() };
        let input = plan.inputs(below)[0];
        Ok(Some(plan.push(FrameOp::Select(merged), &[input])?))
    }
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

/// Whether an expression is a column, maybe under another name.
fn is_column(expr: &Expr) -> bool {
    matches!(expr.without_alias().kind(), ExprKind::Column(_))
}

/// `expr`, which reads the result of `select`, as an expression of the input of `select`, with its name.
pub(super) fn through(expr: &Expr, select: &Select) -> Expr {
    let name = expr.output_name();
    let inner = expr.without_alias().substitute(&|name: &str| {
        let found = select.exprs.iter().find(|inner| inner.output_name() == name);
        found.map(|inner| inner.without_alias().clone())
    });
    if inner.output_name() == name { inner } else { inner.alias(name) }
}
