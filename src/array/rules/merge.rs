//! Two operations of one kind in a row become one.

use std::sync::Arc;

use crate::array::chunks::AxisSlice;
use crate::array::kernels::Instr;
use crate::array::op::ArrayOp;
use crate::error::Result;
use crate::graph::{NodeId, Plan, Rule};

/// `x[a][b]` is `x[c]`: slices as (start, length, step) are closed under composition.
pub(super) struct MergeSlice;

impl Rule<ArrayOp> for MergeSlice {
    fn name(&self) -> &'static str {
        "MergeSlice"
    }

    fn apply(&self, plan: &mut Plan<ArrayOp>, id: NodeId) -> Result<Option<NodeId>> {
        let ArrayOp::Slice(outer) = plan.op(id) else { return Ok(None) };
        let below = plan.inputs(id)[0];
        let ArrayOp::Slice(inner) = plan.op(below) else { return Ok(None) };
        let input = plan.inputs(below)[0];
        // A second reader of the input would keep both slices from sinking any further.
        if !plan.has_one_user(below) && !super::is_free(plan.op(input)) {
            return Ok(None);
        }
        let composed = inner.iter().zip(outer.iter()).map(|pair| match pair {
            (Some(inner), Some(outer)) => Some(inner.compose(outer)),
            (inner, outer) => inner.or(*outer),
        });
        let shape = plan.meta(input).chunks.shape();
        let op = ArrayOp::Slice(canonical(composed, &shape));
        let new = plan.push(op, &[input])?;
        Ok(super::if_same_meta(plan, id, new))
    }
}

/// Slices in their one form: an axis that is taken whole is `None`.
pub(crate) fn canonical(
    slices: impl IntoIterator<Item = Option<AxisSlice>>,
    shape: &[Option<u64>],
) -> Arc<[Option<AxisSlice>]> {
    let whole = |slice: &AxisSlice, len: &Option<u64>| len.is_some_and(|len| slice.is_full(len));
    slices.into_iter().zip(shape).map(|(slice, len)| slice.filter(|s| !whole(s, len))).collect()
}

/// `x.rechunk(a).rechunk(b)` is `x.rechunk(b)`.
pub(super) struct MergeRechunk;

impl Rule<ArrayOp> for MergeRechunk {
    fn name(&self) -> &'static str {
        "MergeRechunk"
    }

    fn apply(&self, plan: &mut Plan<ArrayOp>, id: NodeId) -> Result<Option<NodeId>> {
        let ArrayOp::Rechunk(_) = plan.op(id) else { return Ok(None) };
        let below = plan.inputs(id)[0];
        let ArrayOp::Rechunk(_) = plan.op(below) else { return Ok(None) };
        let input = plan.inputs(below)[0];
        Ok(Some(plan.push(plan.op(id).clone(), &[input])?))
    }
}

/// Moves of axes compose.
pub(super) struct MergePermute;

impl Rule<ArrayOp> for MergePermute {
    fn name(&self) -> &'static str {
        "MergePermute"
    }

    fn apply(&self, plan: &mut Plan<ArrayOp>, id: NodeId) -> Result<Option<NodeId>> {
        let ArrayOp::Permute(outer) = plan.op(id) else { return Ok(None) };
        let below = plan.inputs(id)[0];
        let ArrayOp::Permute(inner) = plan.op(below) else { return Ok(None) };
        let input = plan.inputs(below)[0];
        let composed = outer.iter().map(|axis| axis.and_then(|axis| inner[axis])).collect();
        Ok(Some(plan.push(ArrayOp::Permute(composed), &[input])?))
    }
}

/// A created array whose axes move is created with its axes moved.
pub(super) struct PermuteCreate;

impl Rule<ArrayOp> for PermuteCreate {
    fn name(&self) -> &'static str {
        "PermuteCreate"
    }

    fn apply(&self, plan: &mut Plan<ArrayOp>, id: NodeId) -> Result<Option<NodeId>> {
        let ArrayOp::Permute(axes) = plan.op(id) else { return Ok(None) };
        let below = plan.inputs(id)[0];
        let ArrayOp::Create { program, .. } = plan.op(below) else { return Ok(None) };
        if !super::may_split(plan, below) {
            return Ok(None);
        }
        let moved = program.map_index(|axis, start, step| {
            match axes.iter().position(|from| *from == Some(axis)) {
                Some(axis) => Instr::Index { axis, start, step },
                // A dropped axis has length 1, so its index is always the first.
                None => Instr::Const(start.into()),
            }
        });
        let chunks = plan.meta(id).chunks.clone();
        Ok(Some(plan.push(ArrayOp::Create { program: Arc::new(moved), chunks }, &[])?))
    }
}
