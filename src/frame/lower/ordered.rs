//! The layers of functions of rows in an order, and of values that are the same on all rows.
//!
//! Edges of partitions merge by doubling: after k rounds, edge i is that of partitions `i - 2^k + 1 ..= i`. So a
//! partition can be computed as soon as those before it are, in about `log n` steps if all of them matter.

use std::sync::Arc;

use super::{Lowered, Lowering};
use crate::error::Result;
use crate::frame::kernels::ordered::{
    EdgeKernel, MergeEdgesKernel, OrderedKernel, OrderedSpec, Side,
};
use crate::frame::kernels::per_group::AttachKernel;
use crate::frame::layout::Layout;
use crate::frame::op::Added;
use crate::frame::show::named;
use crate::graph::{AxisMap, BlockMap, Kernel, Layer, LayerId, LayerInput, NodeId};

/// A number, or where a text is, with what says which results are known.
const RESULT_BYTES: u64 = 18;

impl Lowering<'_> {
    /// The row of the second frame on each row of the first.
    pub(super) fn attach(&mut self, id: NodeId, inputs: &[Lowered]) -> Lowered {
        let layout = self.widened(id, &inputs[0]);
        let row = self.gathered(&inputs[1]);
        let slots = vec![
            LayerInput { layer: inputs[0].layer, map: BlockMap::Linear },
            LayerInput { layer: row.layer, map: BlockMap::axes([AxisMap::At(0)]) },
        ];
        self.push("attach one row to all", AttachKernel, slots, layout)
    }

    /// Results of functions that see the edges of other partitions.
    pub(super) fn ordered(
        &mut self,
        id: NodeId,
        added: &Added,
        input: &Lowered,
    ) -> Result<Lowered> {
        let schema = &self.plan.meta(self.plan.inputs(id)[0]).schema;
        let spec = Arc::new(OrderedSpec::new(&added.exprs, schema)?);
        let mut inputs = vec![LayerInput { layer: input.layer, map: BlockMap::Linear }];
        let slots = [Side::Before, Side::After].map(|side| {
            inputs.push(self.edges(&spec, side, input)?);
            Some(inputs.len() - 1)
        });
        let kernel = OrderedKernel { spec, slots };
        let layout = self.widened(id, input);
        Ok(self.push(&format!("in order {}", named(&added.exprs)), kernel, inputs, layout))
    }

    /// Where each partition finds the edge of all those on one side of it that matter; `None` if none do.
    pub(super) fn edges(
        &mut self,
        spec: &Arc<OrderedSpec>,
        side: Side,
        input: &Lowered,
    ) -> Option<LayerInput> {
        let n_parts = input.layout.n_parts;
        let reach = match spec.sees_all(side) {
            true => n_parts.saturating_sub(1),
            false => reach(spec.n_rows(side), side, &input.layout),
        };
        if reach == 0 {
            return None;
        }
        let context = input.layout.with_only(spec.columns());
        let bytes = context.row_bytes() * spec.n_rows(side).min(context.rows) as f64;
        let linear = |layer| LayerInput { layer, map: BlockMap::Linear };
        let local = EdgeKernel { spec: Arc::clone(spec), side };
        let mut edges = self.edge_layer("edge", local, vec![linear(input.layer)], n_parts, bytes);
        if spec.carries(side) {
            // All results of one function after the other, of which the last one stays.
            self.layers.get_mut(edges).scratch_bytes = input.layout.index_bytes(RESULT_BYTES);
        }
        let mut covered = 1;
        while covered < reach {
            let far = neighbours(edges, n_parts, covered, side);
            let kernel = MergeEdgesKernel { spec: Arc::clone(spec), side };
            edges = self.edge_layer("edges", kernel, vec![far, linear(edges)], n_parts, bytes);
            covered *= 2;
        }
        Some(neighbours(edges, n_parts, 1, side))
    }

    pub(super) fn edge_layer(
        &mut self,
        name: &str,
        kernel: impl Kernel,
        inputs: Vec<LayerInput>,
        n_parts: usize,
        bytes: f64,
    ) -> LayerId {
        self.layers.push(Layer {
            name: name.into(),
            grid: [n_parts as u64].into(),
            kernel: Arc::new(kernel),
            inputs,
            block_text: "rows for neighbours".into(),
            out_bytes: bytes as u64,
            scratch_bytes: 0,
            is_estimate: true,
        })
    }

    /// The layout of `input`, whose rows and columns stay, with the columns of node `id`.
    pub(super) fn widened(&self, id: NodeId, input: &Lowered) -> Layout {
        let layout = &input.layout;
        let wide = layout.with_columns(&self.plan.meta(id).schema, |name| Some(name.into()));
        wide.placed(layout.placement.clone())
    }
}

/// The block `distance` before each block, or after it, where there is one.
pub(super) fn neighbours(
    layer: LayerId,
    n_parts: usize,
    distance: usize,
    side: Side,
) -> LayerInput {
    let at = |i: usize| match side {
        Side::Before => i.checked_sub(distance),
        Side::After => Some(i + distance).filter(|other| *other < n_parts),
    };
    let range = |i| at(i).map_or((0, 0), |other| (other as u64, other as u64 + 1));
    let ranges = (0..n_parts).map(range).collect();
    LayerInput { layer, map: BlockMap::axes([AxisMap::Ranges { axis: 0, ranges }]) }
}

/// How many partitions next to another one have to be looked at to find `n_rows` rows on that side of it.
pub(super) fn reach(n_rows: u64, side: Side, layout: &Layout) -> usize {
    let n_others = layout.n_parts.saturating_sub(1);
    if n_rows == 0 {
        return 0;
    }
    let Some(rows_of) = &layout.rows_of else { return n_others };
    let mut rows = rows_of.to_vec();
    if side == Side::After {
        rows.reverse();
    }
    // The shortest run of partitions up to each that has enough rows, or all of them.
    let (mut first, mut sum, mut reach) = (0, 0, 0);
    for end in 0..n_others {
        sum += rows[end];
        while sum - rows[first] >= n_rows {
            sum -= rows[first];
            first += 1;
        }
        reach = reach.max(end + 1 - first);
    }
    reach
}
