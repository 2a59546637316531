//! Sorts of which nobody sees the order, and shuffles of which nobody sees the partitions.

use crate::error::Result;
use crate::frame::expr::Aggregate;
use crate::frame::expr::aggregate_plan::{AggregatePlan, Leaf};
use crate::frame::op::{FrameOp, Repartition, Sort};
use crate::graph::{NodeId, Plan, Rule};

/// One row of aggregates is the same wherever the rows are; with keys, groups come in that order.
pub(super) struct DropSort;

impl Rule<FrameOp> for DropSort {
    fn name(&self) -> &'static str {
        "DropSort"
    }

    fn apply(&self, plan: &mut Plan<FrameOp>, id: NodeId) -> Result<Option<NodeId>> {
        let FrameOp::Aggregate(aggregation) = plan.op(id) else { return Ok(None) };
        let below = plan.inputs(id)[0];
        let moves_rows = matches!(
            plan.op(below),
            FrameOp::Sort(Sort { limit: None, .. }) | FrameOp::Repartition(Repartition::Keys(_))
        );
        if !moves_rows {
            return Ok(None);
        }
        if !aggregation.keys().is_empty() || sees_order(&aggregation.plan) {
            return Ok(None);
        }
        let op = plan.op(id).clone();
        let input = plan.inputs(below)[0];
        Ok(Some(plan.push(op, &[input])?))
    }
}

fn sees_order(plan: &AggregatePlan) -> bool {
    plan.leaves.iter().any(|leaf| depends_on_order(leaf) || is_rounded(leaf))
}

fn depends_on_order(leaf: &Leaf) -> bool {
    use Aggregate as A;
    // Functions of the user may see what they like.
    let is_of_user = matches!(leaf.aggregate, Some(A::Custom(_)));
    let is_of_row = matches!(
        leaf.aggregate,
        Some(A::First | A::Last | A::ArgMin | A::ArgMax | A::MinBy(_) | A::MaxBy(_) | A::LastBy(_))
    );
    is_of_user || is_of_row || leaf.aggregate == Some(A::Implode)
}

/// Sums of floats have other last bits in another order.
fn is_rounded(leaf: &Leaf) -> bool {
    use Aggregate as A;
    match leaf.aggregate {
        Some(A::Sum | A::Product) => leaf.dtype.is_float(),
        Some(A::Mean | A::Var { .. } | A::Std { .. }) => true,
        _ => false,
    }
}
