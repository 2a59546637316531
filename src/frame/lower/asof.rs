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

/// What as-of joins take for a row: its key, its group, and the row that it gets.
const ASOF_ROW_BYTES: u64 = 96;

impl Lowering<'_> {
    /// Each partition of the left frame with the right ones of the same keys, and with the nearest rows of the others;
    /// with all of the right frame if divisions are not known.
    pub(super) fn join_asof(&mut self, id: NodeId, join: &JoinAsof, inputs: &[Lowered]) -> Lowered {
        let layout = self.widened(id, &inputs[0]).widened(&inputs[1].layout, &join.schema);
        let name = format!("as-of join on {}", join.spec.left_on);
        let left = LayerInput { layer: inputs[0].layer, map: BlockMap::Linear };
        let slots = match self.pairs(join, inputs) {
            Some((right, parts)) => self.paired(join, &right, &parts),
            None => {
                let right = self.gathered(&inputs[1]);
                vec![LayerInput { layer: right.layer, map: BlockMap::axes([AxisMap::At(0)]) }]
            }
        };
        let right_bytes: u64 = slots.iter().map(|slot| self.layers.get(slot.layer).out_bytes).sum();
        let rows = [&inputs[0], &inputs[1]].map(|side| side.layout.index_bytes(ASOF_ROW_BYTES));
        let right = (1..=slots.len()).collect();
        let slots: Vec<LayerInput> = [left].into_iter().chain(slots).collect();
        // Right rows of several blocks are copied together.
        let copied = if slots.len() > 2 { right_bytes } else { 0 };
        let kernel = JoinAsofKernel { spec: Arc::clone(&join.spec), right };
        let joined = self.push(&name, kernel, slots, layout);
        self.layers.get_mut(joined.layer).scratch_bytes = copied + rows[0] + rows[1];
        joined
    }

    /// The right frame, and for each left partition those of it that have such keys; none if they are not known, or if a
    /// copy of the right frame is cheaper.
    fn pairs(&mut self, join: &JoinAsof, inputs: &[Lowered]) -> Option<(Lowered, Vec<(u64, u64)>)> {
        let (left, right) = (&inputs[0], &inputs[1]);
        if !self.is_worth_pairing(join, right) {
            return None;
        }
        if let Some(parts) = overlaps(join, inputs) {
            return Some((right.clone(), parts));
        }
        let ranged = left.layout.placement.range_column()?;
        if *ranged.by() != join.spec.left_on
            || !ranged.is_ascending()
            || right.layout.nbytes() <= self.options.part_bytes
        {
            return None;
        }
        let (n, ranged) = (left.layout.n_parts, ranged.of_column(join.spec.right_on.clone()));
        let right = self.follow(ranged, right, n);
        Some((right, (0..n as u64).map(|i| (i, i + 1)).collect()))
    }

    /// Whether what partitions leave for each other may be less than the whole right frame, or that is too large to go
    /// next to each left partition.
    fn is_worth_pairing(&self, join: &JoinAsof, right: &Lowered) -> bool {
        join.spec.right_by.is_empty() || right.layout.nbytes() > self.options.part_bytes
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
        // A row of each group, of which there may be as many as rows in the partitions that an edge stands for.
        let n_rows = |covered: usize| match has_groups {
            true => right.layout.rows_max.saturating_mul(covered as u64).min(right.layout.rows),
            false => 1,
        };
        let row_bytes = right.layout.row_bytes();
        let bytes = |covered| n_rows(covered) as f64 * row_bytes;
        let kernel = |n_slots| AsofEdgeKernel { spec: Arc::clone(&join.spec), side, n_slots };
        let linear = |layer| LayerInput { layer, map: BlockMap::Linear };
        let local = vec![linear(right.layer)];
        let mut edges = self.edge_layer("edge", kernel(1), local, n_parts, bytes(1));
        self.layers.get_mut(edges).scratch_bytes = right.layout.index_bytes(ASOF_ROW_BYTES);
        let mut covered = 1;
        while covered < reach {
            let far = neighbours(edges, n_parts, covered, side);
            let inputs = match side {
                Side::Before => vec![far, linear(edges)],
                Side::After => vec![linear(edges), far],
            };
            covered *= 2;
            edges = self.edge_layer("edges", kernel(2), inputs, n_parts, bytes(covered));
            // Both are copied together before rows are chosen.
            let scratch = bytes(covered) as u64 + n_rows(covered).saturating_mul(ASOF_ROW_BYTES);
            self.layers.get_mut(edges).scratch_bytes = scratch;
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
