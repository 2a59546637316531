//! Frames side by side.

use std::sync::Arc;

use super::{Lowered, Lowering};
use crate::frame::kernels::beside::{
    BesideKernel, CUT_BYTES, CountKernel, CutsKernel, SplitRowsKernel,
};
use crate::frame::layout::Layout;
use crate::graph::{AxisMap, BlockMap, LayerId, LayerInput, NodeId};

impl Lowering<'_> {
    /// Columns of the same rows; those of the first frame stay in their partitions, and the others come to them.
    pub(super) fn concat_horizontal(&mut self, id: NodeId, inputs: &[Lowered]) -> Lowered {
        let (first, others) = (&inputs[0], &inputs[1..]);
        let mut layout = self.widened(id, first);
        let mut slots = vec![LayerInput { layer: first.layer, map: BlockMap::Linear }];
        for other in others {
            layout = layout.widened(&other.layout, &self.plan.meta(id).schema);
            let rows_of = [&first.layout.rows_of, &other.layout.rows_of];
            let along = match rows_of {
                [Some(own), Some(others)] if own == others => other.clone(),
                _ if first.layout.n_parts == 1 => self.gathered(other),
                _ => self.along(first, other),
            };
            slots.push(LayerInput { layer: along.layer, map: BlockMap::Linear });
        }
        self.push("side by side", BesideKernel, slots, layout)
    }

    /// The rows of `other` in partitions of as many rows as those of `first`, in the same order.
    fn along(&mut self, first: &Lowered, other: &Lowered) -> Lowered {
        let n_out = first.layout.n_parts;
        let counts = [first, other].map(|rows| {
            let layer = self.counts(rows);
            LayerInput { layer, map: BlockMap::axes([AxisMap::All]) }
        });
        let cuts = self.silent("where to cut", CutsKernel, counts[0].clone(), 1);
        let n_cuts = (n_out + other.layout.n_parts) as u64;
        let layer = self.layers.get_mut(cuts);
        layer.out_bytes = n_cuts * CUT_BYTES;
        let [_, of_other] = counts;
        layer.inputs.push(of_other);
        let exchange = self.new_exchange(n_out);
        let kernel = SplitRowsKernel { exchange: Arc::clone(&exchange) };
        let each = LayerInput { layer: other.layer, map: BlockMap::Linear };
        let split = self.silent("split by rows", kernel, each, other.layout.n_parts);
        let one = LayerInput { layer: cuts, map: BlockMap::axes([AxisMap::At(0)]) };
        let layer = self.layers.get_mut(split);
        layer.inputs.push(one);
        let barrier = self.barrier(split);
        let placement = other.layout.placement.order_only();
        let layout = other.layout.in_parts(n_out);
        let rows_max = layout.rows_max.max(first.layout.rows_max);
        self.taken(exchange, barrier, Layout { rows_max, ..layout }.placed(placement))
    }

    /// How many rows each partition has.
    fn counts(&mut self, rows: &Lowered) -> LayerId {
        let each = LayerInput { layer: rows.layer, map: BlockMap::Linear };
        let counts = self.silent("count rows", CountKernel, each, rows.layout.n_parts);
        self.layers.get_mut(counts).out_bytes = CUT_BYTES;
        counts
    }
}
