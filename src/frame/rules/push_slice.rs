//! Limits move towards the sources.

use crate::error::Result;
use crate::frame::kernels::sort::Limit;
use crate::frame::op::{FrameOp, Scan, Sort};
use crate::graph::{NodeId, Plan, Rule};

/// `x.select(a).head(n)` is `x.head(n).select(a)`, and a scan reads no more rows than a limit keeps.
pub(super) struct PushDownSlice;

impl Rule<FrameOp> for PushDownSlice {
    fn name(&self) -> &'static str {
        "PushDownSlice"
    }

    fn apply(&self, plan: &mut Plan<FrameOp>, id: NodeId) -> Result<Option<NodeId>> {
        let &FrameOp::Slice { offset, len } = plan.op(id) else { return Ok(None) };
        let below = plan.inputs(id)[0];
        if !plan.has_one_user(below) {
            return Ok(None);
        }
        match plan.op(below).clone() {
            op @ FrameOp::Select(_) => {
                let input = plan.inputs(below)[0];
                let sliced = plan.push(FrameOp::Slice { offset, len }, &[input])?;
                Ok(Some(plan.push(op, &[sliced])?))
            }
            FrameOp::Attach => {
                let [input, row] = [plan.inputs(below)[0], plan.inputs(below)[1]];
                let sliced = plan.push(FrameOp::Slice { offset, len }, &[input])?;
                Ok(Some(plan.push(FrameOp::Attach, &[sliced, row])?))
            }
            FrameOp::Sort(sort) => {
                // The first rows of an order are found without sorting all.
                let end = offset.saturating_add(len);
                match sort.limit {
                    // There are no more rows than these.
                    Some(limit) if limit.n_rows() <= end => {
                        return Ok((offset == 0).then_some(below));
                    }
                    Some(Limit::Last(_)) => return Ok(None),
                    _ => {}
                }
                let input = plan.inputs(below)[0];
                let limit = Some(Limit::First(end));
                let top = plan.push(FrameOp::Sort(Sort { limit, ..sort }), &[input])?;
                Ok(Some(plan.push(FrameOp::Slice { offset, len }, &[top])?))
            }
            // The first partition can have all of them.
            FrameOp::Scan(scan) if scan.conditions.is_empty() => {
                let end = offset.saturating_add(len);
                if scan.n_rows_max.is_some_and(|n| n <= end) {
                    return Ok(None);
                }
                let scan = plan.push(FrameOp::Scan(Scan { n_rows_max: Some(end), ..scan }), &[])?;
                Ok(Some(plan.push(FrameOp::Slice { offset, len }, &[scan])?))
            }
            _ => Ok(None),
        }
    }
}

/// `x.select(a).tail(n)` is `x.tail(n).select(a)`, and the last rows of an order are found without sorting all.
pub(super) struct PushDownTail;

impl Rule<FrameOp> for PushDownTail {
    fn name(&self) -> &'static str {
        "PushDownTail"
    }

    fn apply(&self, plan: &mut Plan<FrameOp>, id: NodeId) -> Result<Option<NodeId>> {
        let &FrameOp::Tail(n) = plan.op(id) else { return Ok(None) };
        let below = plan.inputs(id)[0];
        if !plan.has_one_user(below) {
            return Ok(None);
        }
        let input = plan.inputs(below).first().copied();
        match (plan.op(below).clone(), input) {
            (op @ FrameOp::Select(_), Some(input)) => {
                let last = plan.push(FrameOp::Tail(n), &[input])?;
                Ok(Some(plan.push(op, &[last])?))
            }
            (FrameOp::Sort(sort @ Sort { limit: None, .. }), Some(input)) => {
                let limit = Some(Limit::Last(n));
                Ok(Some(plan.push(FrameOp::Sort(Sort { limit, ..sort }), &[input])?))
            }
            _ => Ok(None),
        }
    }
}
