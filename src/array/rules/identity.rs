//! Operations that change nothing go away.

use crate::array::op::ArrayOp;
use crate::error::Result;
use crate::graph::{NodeId, Plan, Rule};

/// `x` with all of it selected, its axes where they were, or its chunks as they were, is `x`.
pub(super) struct EliminateIdentity;

impl Rule<ArrayOp> for EliminateIdentity {
    fn name(&self) -> &'static str {
        "EliminateIdentity"
    }

    fn apply(&self, plan: &mut Plan<ArrayOp>, id: NodeId) -> Result<Option<NodeId>> {
        let may_be_identity = match plan.op(id) {
            ArrayOp::Slice(slices) => slices.iter().all(Option::is_none),
            ArrayOp::Permute(axes) => axes.iter().enumerate().all(|(i, axis)| *axis == Some(i)),
            ArrayOp::Elemwise(program) => program.is_identity(),
            ArrayOp::Concat(_) => plan.inputs(id).len() == 1,
            ArrayOp::Rechunk(_)
            | ArrayOp::Broadcast(_)
            | ArrayOp::Reshape(_)
            | ArrayOp::ReshapeBlocks(_) => true,
            _ => false,
        };
        if !may_be_identity {
            return Ok(None);
        }
        let input = plan.inputs(id)[0];
        Ok((plan.meta(input) == plan.meta(id)).then_some(input))
    }
}
