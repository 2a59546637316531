//! As-of joins.

use std::sync::Arc;

use super::ordered::{neighbours, reach};
use super::{Lowered, Lowering};
use crate::frame::kernels::asof::AsofStrategy;
use crate::frame::kernels::asof::tasks::{AsofEdgeKernel, JoinAsofKernel};
use crate::frame::kernels::ordered::Side;
use crate::frame::layout::Layout;
use crate::frame::op::JoinAsof;
use crate::frame::partitions::Key;
use crate::frame::partitions::asof::{Pair, pair_partitions};
use crate::graph::{AxisMap, BlockMap, LayerId, LayerInput, NodeId};

impl Lowering<'_> {
    /// Each partition of the left frame with the right ones of the same keys, and with the nearest rows of the others;
    /// with all of the right frame if divisions are not known.
    pub(super) fn join_asof(&mut self, id: NodeId, join: &JoinAsof, inputs: &[Lowered]) -> Lowered {
        let layout = self.widened(id, &inputs[0]).widened(&inputs[1].layout, &join.schema);
        let name = format!("as-of join on {}", join.spec.left_on);
        let left = LayerInput { layer: inputs[0].layer, map: BlockMap::Linear };
        let slots = match overlaps(join, inputs) {
            Some(parts) => self.paired(join, &inputs[1], &parts),
            None => {
                let right = self.gathered(&inputs[1]);
                vec![LayerInput { layer: right.layer, map: BlockMap::axes([AxisMap::At(0)]) }]
            }
        };
        let right = (1..=slots.len()).collect();
        let slots = [left].into_iter().chain(slots).collect();
        let kernel = JoinAsofKernel { spec: Arc::clone(&join.spec), right };
        self.push(&name, kernel, slots, layout)
    }

    /// For each left partition these right partitions, between what those before and behind them leave.
    fn paired(
        &mut self,
        join: &JoinAsof,
        right: &Lowered,
        parts: &[(u64, u64)],
    ) -> Vec<LayerInput> {
        let n = right.layout.n_parts as u64;
        let strategy = join.spec.strategy;
        let mut slots = Vec::new();
        if strategy != AsofStrategy::Forward
            && let Some(layer) = self.asof_edges(join, Side::Before, right)
        {
            let map = blocks(parts.iter().map(|(first, _)| (first.saturating_sub(1), *first)));
            slots.push(LayerInput { layer, map });
        }
        slots.push(LayerInput { layer: right.layer, map: blocks(parts.iter().copied()) });
        if strategy != AsofStrategy::Backward
            && let Some(layer) = self.asof_edges(join, Side::After, right)
        {
            let map = blocks(parts.iter().map(|(_, end)| (*end, (end + 1).min(n))));
            slots.push(LayerInput { layer, map });
        }
        slots
    }

    /// What each right partition, and those on the same side of it, leave for left rows on the other side.
    ///
    /// One row is enough where there are no groups, and it is in the next partition if that is known to have rows.
    fn asof_edges(&mut self, join: &JoinAsof, side: Side, right: &Lowered) -> Option<LayerId> {
        let Layout { n_parts, .. } = right.layout;
        let has_groups = !join.spec.right_by.is_empty();
        let reach = match has_groups {
            true => n_parts - 1,
            false => reach(1, side, &right.layout),
        };
        if reach == 0 {
            return None;
        }
        let bytes = match has_groups {
            true => right.layout.part_bytes() as f64,
            false => right.layout.row_bytes(),
        };
        let kernel = |n_slots| AsofEdgeKernel { spec: Arc::clone(&join.spec), side, n_slots };
        let linear = |layer| LayerInput { layer, map: BlockMap::Linear };
        let local = vec![linear(right.layer)];
        let mut edges = self.edge_layer("edge", kernel(1), local, n_parts, bytes);
        let mut covered = 1;
        while covered < reach {
            let far = neighbours(edges, n_parts, covered, side);
            let inputs = match side {
                Side::Before => vec![far, linear(edges)],
                Side::After => vec![linear(edges), far],
            };
            edges = self.edge_layer("edges", kernel(2), inputs, n_parts, bytes);
            covered *= 2;
        }
        Some(edges)
    }
}

fn blocks(ranges: impl Iterator<Item = (u64, u64)>) -> BlockMap {
    BlockMap::axes([AxisMap::Ranges { axis: 0, ranges: ranges.collect() }])
}

/// For each left partition the first right one that has keys of its range, and the one behind the last.
fn overlaps(join: &JoinAsof, inputs: &[Lowered]) -> Option<Vec<(u64, u64)>> {
    let [left, right] = [&inputs[0].layout, &inputs[1].layout];
    let left = left.placement.divided_by(&join.spec.left_on)?;
    let right = right.placement.divided_by(&join.spec.right_on)?;
    if left.divisions.dtype() != right.divisions.dtype() {
        return None;
    }
    let pairs = pair_partitions(left.divisions.keys(), right.divisions.keys());
    let range = |row: &Vec<Pair<Key>>| {
        let (first, last) = (row.first()?, row.last()?);
        Some((first.right as u64, last.right as u64 + 1))
    };
    pairs.iter().map(range).collect()
}
