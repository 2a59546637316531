//! Inputs get the chunks that their operation needs, by ordinary rechunks.

use crate::array::chunks::Chunks;
use crate::array::op::{ArrayOp, plan_reshaped};
use crate::error::Result;
use crate::graph::{NodeId, Plan, Rule};

/// All inputs of an elementwise operation get its chunks, except along axes that are repeated.
pub(super) struct AlignElemwise;

impl Rule<ArrayOp> for AlignElemwise {
    fn name(&self) -> &'static str {
        "AlignElemwise"
    }

    fn apply(&self, plan: &mut Plan<ArrayOp>, id: NodeId) -> Result<Option<NodeId>> {
        let (ArrayOp::Elemwise(_) | ArrayOp::Broadcast(_)) = plan.op(id) else { return Ok(None) };
        let out = plan.meta(id).chunks.clone();
        with_chunks(plan, id, |input| {
            let skip = out.ndim() - input.ndim();
            let axes = input.axes().iter().zip(&out.axes()[skip..]);
            axes.map(|(axis, out)| if axis.len() == out.len() { out } else { axis }.clone())
                .collect()
        })
    }
}

/// All inputs of a concatenation get its chunks, except along its axis.
pub(super) struct AlignConcat;

impl Rule<ArrayOp> for AlignConcat {
    fn name(&self) -> &'static str {
        "AlignConcat"
    }

    fn apply(&self, plan: &mut Plan<ArrayOp>, id: NodeId) -> Result<Option<NodeId>> {
        let ArrayOp::Concat(axis) = *plan.op(id) else { return Ok(None) };
        let out = plan.meta(id).chunks.clone();
        with_chunks(plan, id, |input| out.with_axis(axis, input.axes()[axis].clone()))
    }
}

/// The same operation on inputs that are rechunked to what `wanted` says, if any differs.
fn with_chunks(
    plan: &mut Plan<ArrayOp>,
    id: NodeId,
    wanted: impl Fn(&Chunks) -> Chunks,
) -> Result<Option<NodeId>> {
    let inputs = plan.inputs(id).to_vec();
    let mut aligned = Vec::with_capacity(inputs.len());
    for &input in &inputs {
        let chunks = &plan.meta(input).chunks;
        let target = wanted(chunks);
        if *chunks == target {
            aligned.push(input);
        } else {
            aligned.push(plan.push(ArrayOp::Rechunk(target), &[input])?);
        }
    }
    if aligned == inputs {
        return Ok(None);
    }
    Ok(Some(plan.push(plan.op(id).clone(), &aligned)?))
}

/// A reshape becomes a rechunk after which each block keeps its elements.
pub(super) struct PlanReshape;

impl Rule<ArrayOp> for PlanReshape {
    fn name(&self) -> &'static str {
        "PlanReshape"
    }

    fn apply(&self, plan: &mut Plan<ArrayOp>, id: NodeId) -> Result<Option<NodeId>> {
        let ArrayOp::Reshape(target) = plan.op(id) else { return Ok(None) };
        let input = plan.inputs(id)[0];
        let chunks = &plan.meta(input).chunks;
        let planned = plan_reshaped(chunks, target)?;
        let rechunked = if planned.input == *chunks {
            input
        } else {
            plan.push(ArrayOp::Rechunk(planned.input), &[input])?
        };
        Ok(Some(plan.push(ArrayOp::ReshapeBlocks(planned.output), &[rechunked])?))
    }
}
