//! Sorts.

use std::sync::Arc;

use polars_core::prelude::{DataType, PlSmallStr};

use super::{Lowered, Lowering, split_bytes};
use crate::error::Call;
use crate::frame::kernels::divide::CheckSortedKernel;
use crate::frame::kernels::ordered::{OrderedSpec, Side};
use crate::frame::kernels::ranges::{
    DivideKernel, FollowKernel, RangeSplitKernel, SampleKernel, sample_bytes,
};
use crate::frame::kernels::sort::{Limit, SortSpec};
use crate::frame::kernels::tasks::SortKernel;
use crate::frame::layout::{Divided, Layout, Placement, Ranged};
use crate::frame::op::{Ranges, Sort};
use crate::frame::partitions::Divisions;
use crate::frame::partitions::divisions::is_orderable;
use crate::graph::{AxisMap, BlockMap, LayerInput, NodeId};

impl Lowering<'_> {
    /// What is in order stays; what is in the right partitions is sorted there. The rest is sorted in one task if it is
    /// small, and otherwise partition by partition after spreading ranges.
    pub(super) fn sort(&mut self, id: NodeId, sort: &Sort, input: &Lowered) -> Lowered {
        let is_in_order = input.layout.placement.is_in_order(&sort.spec);
        match (&sort.ranges, sort.limit) {
            (Ranges::Sampled | Ranges::Kept { .. }, None) if is_in_order => {
                let placement = input.layout.placement.clone().said_in_order(&sort.spec);
                Lowered { layout: input.layout.clone().placed(placement), ..*input }
            }
            (_, Some(Limit::First(n))) if is_in_order => self.slice(0, n, input),
            (_, Some(Limit::Last(n))) if is_in_order => self.tail(n, input),
            (Ranges::Given { divisions, call }, None) => {
                self.sort_between(sort, divisions, *call, input)
            }
            (Ranges::Kept { call }, None) => self.checked(&sort.spec, *call, input),
            _ if sort.limit.is_none() && has_ranges(sort, input) => {
                let divided = input.layout.placement.clone();
                self.sort_parts(sort, input, divided, true)
            }
            _ => self.sort_sampled(id, sort, input),
        }
    }

    /// Sorts each partition, which may be `in_pieces`.
    fn sort_parts(
        &mut self,
        sort: &Sort,
        input: &Lowered,
        placement: Placement,
        in_pieces: bool,
    ) -> Lowered {
        let name = format!("sort by {}", sort.spec.by.join(", "));
        let kernel = SortKernel { spec: Arc::clone(&sort.spec), limit: sort.limit };
        let layout = match sort.limit {
            Some(limit) => input.layout.with_rows(limit.n_rows(), limit.n_rows()),
            None => input.layout.clone(),
        };
        let layout = layout.placed(placement.sorted(&sort.spec));
        let sorted = self.rowwise(&name, kernel, input, layout);
        // Pieces become one before they are sorted, unless only the first rows are looked for.
        let copied = if in_pieces && sort.limit.is_none() { input.layout.part_bytes() } else { 0 };
        self.with_scratch(sorted, copied + sort_bytes(&sort.spec, &input.layout))
    }

    /// Sorts in partitions between these keys.
    fn sort_between(
        &mut self,
        sort: &Sort,
        divisions: &Divisions,
        call: Call,
        input: &Lowered,
    ) -> Lowered {
        let by = &sort.spec.by[0];
        let known = input.layout.placement.divided_by(by);
        if known.is_some_and(|known| known.divisions == *divisions) {
            return self.sort_parts(sort, input, input.layout.placement.clone(), true);
        }
        let spread = self.spread_at(input, by, divisions, Some(call));
        let divided = Divided { by: by.clone(), divisions: divisions.clone(), may_be_null: true };
        let placement = spread.layout.placement.clone().divided(divided);
        self.sort_parts(sort, &spread, placement, false)
    }

    /// The same rows, if they are in order; of other partitions only the last row before matters, and nothing if their
    /// keys are known to be others.
    fn checked(&mut self, spec: &Arc<SortSpec>, call: Call, input: &Lowered) -> Lowered {
        let by = &spec.by[0];
        let mut inputs = vec![LayerInput { layer: input.layer, map: BlockMap::Linear }];
        if input.layout.placement.divided_by(by).is_none() {
            let columns: Vec<PlSmallStr> = vec![by.clone()];
            let edges = Arc::new(OrderedSpec::of_rows(columns, 1, 0));
            inputs.extend(self.edges(&edges, Side::Before, input));
        }
        let layout = input.layout.clone();
        let layout = layout.placed(input.layout.placement.clone().in_order(spec));
        let kernel = CheckSortedKernel { key: by.clone(), call };
        self.push(&format!("check order of {by}"), kernel, inputs, layout)
    }

    fn sort_sampled(&mut self, id: NodeId, sort: &Sort, input: &Lowered) -> Lowered {
        let mut input = input.clone();
        input.layout = input.layout.with_fewer_rows();
        if let Some(limit) = sort.limit.map(Limit::n_rows) {
            // The first rows of all are among the first rows of each partition, and so are the last.
            let rows = input.layout.rows.min(limit.saturating_mul(input.layout.n_parts as u64));
            let layout = input.layout.with_rows(rows, limit).placed(Placement::default());
            if input.layout.n_parts > 1 {
                let name = format!("sort by {}", sort.spec.by.join(", "));
                let kernel = SortKernel { spec: Arc::clone(&sort.spec), limit: sort.limit };
                let scratch = sort_bytes(&sort.spec, &input.layout);
                input = self.rowwise(&name, kernel, &input, layout);
                input = self.with_scratch(input, scratch);
            }
        }
        let n_out = self.n_parts_for(&input);
        let is_large = n_out > 1 && input.layout.n_parts > 1 && sort.limit.is_none();
        let dtype = self.plan.meta(id).schema.get(&sort.spec.by[0]).cloned();
        let (placed, placement, in_pieces) =
            match dtype.filter(|dtype| is_large && is_orderable(dtype)) {
                Some(dtype) => {
                    let spread = self.spread_by_range(&sort.spec, dtype, &input, n_out);
                    (spread.clone(), spread.layout.placement, false)
                }
                None => (self.gathered(&input), Placement::default(), true),
            };
        self.sort_parts(sort, &placed, placement, in_pieces)
    }

    /// The rows in `n_out` partitions by ranges of the first key, in each in the order in which they stood before.
    pub(super) fn spread_by_range(
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
        let keys = input.layout.with_only(&spec.by).part_bytes();
        let layer = self.layers.get_mut(samples);
        layer.out_bytes = sample_bytes(n_in, n_out);
        // The partition is written too, if there is no room to lay it aside.
        layer.scratch_bytes =
            (keys + sort_bytes(spec, &input.layout)).max(input.layout.part_bytes());
        let is_categorical = dtype.is_categorical();
        let divide = DivideKernel { spec: Arc::clone(spec), dtype, n_out };
        let all = LayerInput { layer: samples, map: BlockMap::axes([AxisMap::All]) };
        let ways = self.silent("divide", divide, all, 1);
        // What sorts all samples, and what merges them.
        self.layers.get_mut(ways).scratch_bytes = 2 * n_in as u64 * sample_bytes(n_in, n_out);
        let exchange_in = Arc::clone(&exchange);
        let split = RangeSplitKernel { held, exchange: exchange_in, spec: Arc::clone(spec) };
        let one = LayerInput { layer: ways, map: BlockMap::axes([AxisMap::At(0)]) };
        let split = self.silent("split", split, one, n_in);
        // The partition too comes out of the exchange in which it waited.
        self.layers.get_mut(split).scratch_bytes =
            input.layout.part_bytes() + split_bytes(&input.layout);
        // Ranges of categories are not those of another frame, which has other numbers for them.
        let placement = match is_categorical {
            true => Placement::default(),
            false => Placement::default().ranged(Ranged { spec: Arc::clone(spec), ways }),
        };
        let layout = input.layout.in_parts(n_out).placed(placement);
        let barrier = self.barrier(split);
        self.taken(exchange, barrier, layout)
    }

    /// The rows in the partitions where the rows of another frame are by the ranges of its key, in each in the order in
    /// which they stood before; `ranged` says which column has such keys here.
    pub(super) fn follow(&mut self, ranged: Ranged, input: &Lowered, n_out: usize) -> Lowered {
        let exchange = self.new_exchange(n_out);
        let kernel =
            FollowKernel { exchange: Arc::clone(&exchange), spec: Arc::clone(&ranged.spec) };
        let each = LayerInput { layer: input.layer, map: BlockMap::Linear };
        let name = format!("split by ranges of {}", ranged.by());
        let split = self.silent(&name, kernel, each, input.layout.n_parts);
        let ways = LayerInput { layer: ranged.ways, map: BlockMap::axes([AxisMap::At(0)]) };
        let layer = self.layers.get_mut(split);
        layer.inputs.push(ways);
        layer.scratch_bytes = split_bytes(&input.layout);
        // Ranges that descend or begin with nulls turn the rows of an ascending frame around.
        let order = match ranged.is_ascending() {
            true => input.layout.placement.order_along(ranged.by()),
            false => Placement::default(),
        };
        let barrier = self.barrier(split);
        self.taken(exchange, barrier, input.layout.in_parts(n_out).placed(order.ranged(ranged)))
    }
}

/// What a sort takes besides its result: a copy of the keys, and twice the numbers of rows with their keys beside them.
fn sort_bytes(spec: &SortSpec, layout: &Layout) -> u64 {
    layout.with_only(&spec.by).part_bytes() + layout.index_bytes(32)
}

/// Whether all rows are in the partitions in which a sort would put them.
fn has_ranges(sort: &Sort, input: &Lowered) -> bool {
    let spec = &sort.spec;
    let known = input.layout.placement.divided_by(&spec.by[0]);
    let goes =
        |divided: Divided| !spec.descending[0] && (spec.nulls_last[0] || !divided.may_be_null);
    let first = |spec: &SortSpec| (spec.by[0].clone(), spec.descending[0], spec.nulls_last[0]);
    let ranged = input.layout.placement.range_column();
    known.is_some_and(goes) || ranged.is_some_and(|ranged| first(&ranged.spec) == first(spec))
}
