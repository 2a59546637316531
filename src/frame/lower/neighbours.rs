//! The layers of what partitions and their neighbours make together.

use std::sync::Arc;

use polars_core::prelude::PlSmallStr;

use super::{FAN_IN, Lowered, Lowering};
use crate::frame::kernels::neighbours::{MapOverlapKernel, TailKernel};
use crate::frame::kernels::ordered::{OrderedSpec, Side};
use crate::frame::op::MapOverlap;
use crate::graph::{AxisMap, BlockMap, LayerInput};

impl Lowering<'_> {
    /// A function of each partition between the rows before and after it.
    pub(super) fn map_overlap(&mut self, overlap: &MapOverlap, input: &Lowered) -> Lowered {
        let columns: Vec<PlSmallStr> =
            input.layout.widths.iter().map(|(name, _)| name.clone()).collect();
        let spec = Arc::new(OrderedSpec::of_rows(columns, overlap.before, overlap.after));
        let mut inputs = vec![LayerInput { layer: input.layer, map: BlockMap::Linear }];
        let slots = [Side::Before, Side::After].map(|side| {
            inputs.push(self.edges(&spec, side, input)?);
            Some(inputs.len() - 1)
        });
        let layout = input.layout.with_columns(&overlap.map.schema, |name| Some(name.into()));
        let kernel = MapOverlapKernel { map: Arc::clone(&overlap.map), slots };
        self.push(&overlap.map.name, kernel, inputs, layout)
    }

    /// The last rows, from the last partitions that have them, or from all where their rows are not known.
    pub(super) fn tail(&mut self, n: u64, input: &Lowered) -> Lowered {
        let kernel = TailKernel { n };
        let name = format!("tail {n}");
        let n_parts = input.layout.n_parts;
        let mut layout = input.layout.with_rows(n.saturating_mul(n_parts as u64), n);
        let mut from = input.clone();
        let mut first = 0;
        match &input.layout.rows_of {
            Some(rows_of) => {
                let mut found = 0;
                first = n_parts;
                while first > 0 && (found < n || first == n_parts) {
                    first -= 1;
                    found += rows_of[first];
                }
            }
            None => {
                from = self.rowwise(&name, kernel, input, layout.clone());
                while from.layout.n_parts > FAN_IN {
                    layout.n_parts = from.layout.n_parts.div_ceil(FAN_IN);
                    let map = BlockMap::axes([AxisMap::Group { axis: 0, size: FAN_IN as u64 }]);
                    let inputs = vec![LayerInput { layer: from.layer, map }];
                    from = self.push(&name, kernel, inputs, layout.clone());
                }
            }
        }
        let ranges = [(first as u64, from.layout.n_parts as u64)].into();
        let map = BlockMap::axes([AxisMap::Ranges { axis: 0, ranges }]);
        let inputs = vec![LayerInput { layer: from.layer, map }];
        let order = input.layout.placement.order_only();
        self.push(&name, kernel, inputs, layout.with_rows(n, n).in_parts(1).placed(order))
    }
}
