//! Sorts.

use std::sync::Arc;

use polars_core::prelude::DataType;

use super::{Lowered, Lowering};
use crate::frame::kernels::ranges::{DivideKernel, RangeSplitKernel, SampleKernel};
use crate::frame::kernels::sort::SortSpec;
use crate::frame::kernels::tasks::SortKernel;
use crate::frame::op::Sort;
use crate::frame::partitions::divisions::is_orderable;
use crate::graph::{AxisMap, BlockMap, LayerInput, NodeId};

impl Lowering<'_> {
    /// Sorts in one task what is small, and otherwise partition by partition after spreading ranges.
    pub(super) fn sort(&mut self, id: NodeId, sort: &Sort, input: &Lowered) -> Lowered {
        let name = format!("sort by {}", sort.spec.by.join(", "));
        let kernel = SortKernel { spec: Arc::clone(&sort.spec), limit: sort.limit };
        let mut input = input.clone();
        input.layout = input.layout.with_fewer_rows();
        if let Some(limit) = sort.limit {
            // The first rows of all are among the first rows of each partition.
            let rows = input.layout.rows.min(limit.saturating_mul(input.layout.n_parts as u64));
            let layout = input.layout.with_rows(rows, limit);
            if input.layout.n_parts > 1 {
                input = self.rowwise(&name, kernel.clone(), &input, layout);
            }
        }
        let n_out = self.n_parts_for(&input);
        let is_large = n_out > 1 && input.layout.n_parts > 1 && sort.limit.is_none();
        let dtype = self.plan.meta(id).schema.get(&sort.spec.by[0]).cloned();
        let placed = match dtype.filter(|dtype| is_large && is_orderable(dtype)) {
            Some(dtype) => self.spread_by_range(&sort.spec, dtype, &input, n_out),
            None => self.gathered(&input),
        };
        // Numbers of rows beside a copy of the keys.
        let scratch =
            placed.layout.with_only(&sort.spec.by).part_bytes() + placed.layout.index_bytes(16);
        let layout = match sort.limit {
            Some(limit) => placed.layout.with_rows(limit, limit),
            None => placed.layout.clone(),
        };
        let sorted = self.rowwise(&name, kernel, &placed, layout);
        self.layers.get_mut(sorted.layer).scratch_bytes = scratch;
        sorted
    }

    /// The rows in `n_out` partitions by ranges of the first key, in each in the order in which they stood before.
    fn spread_by_range(
        &mut self,
        spec: &Arc<SortSpec>,
        dtype: DataType,
        input: &Lowered,
        n_out: usize,
    ) -> Lowered {
        let n_in = input.layout.n_parts;
        let (held, exchange) = (self.new_exchange(n_in), self.new_exchange(n_out));
        let sample = SampleKernel { held: Arc::clone(&held), spec: Arc::clone(spec), n_in, n_out };
        let each = LayerInput { layer: input.layer, map: BlockMap::Linear };
        let samples = self.silent("sample", sample, each, n_in);
        self.layers.get_mut(samples).scratch_bytes =
            2 * input.layout.with_only(&spec.by).part_bytes();
        let divide = DivideKernel { spec: Arc::clone(spec), dtype, n_out };
        let all = LayerInput { layer: samples, map: BlockMap::axes([AxisMap::All]) };
        let ways = self.silent("divide", divide, all, 1);
        let exchange_in = Arc::clone(&exchange);
        let split = RangeSplitKernel { held, exchange: exchange_in, spec: Arc::clone(spec) };
        let one = LayerInput { layer: ways, map: BlockMap::axes([AxisMap::At(0)]) };
        let split = self.silent("split", split, one, n_in);
        // The partition, its pieces, and of each row the output and the place.
        self.layers.get_mut(split).scratch_bytes =
            2 * input.layout.part_bytes() + input.layout.index_bytes(16);
        self.taken(exchange, split, input.layout.in_parts(n_out))
    }
}
