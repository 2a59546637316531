//! Aggregations: of rows that meet in one partition, or of states that merge.

use std::sync::Arc;

use polars_core::frame::DataFrame;
use polars_core::prelude::PlSmallStr;

use super::{FAN_IN, Lowered, Lowering};
use crate::error::Result;
use crate::frame::expr::{Expr, ExprKind};
use crate::frame::kernels::aggregate::{AggregateKernel, AggregateStep};
use crate::frame::kernels::group_by::{partial_distinct, project};
use crate::frame::layout::{Layout, Placement};
use crate::frame::op::Aggregation;
use crate::frame::show::named;
use crate::graph::{AxisMap, BlockMap, LayerInput, NodeId};

/// What the search for groups takes for a row: its place in the hash table, and the number of its group.
const GROUP_ROW_BYTES: u64 = 24;

impl Lowering<'_> {
    pub(super) fn aggregate(
        &mut self,
        id: NodeId,
        aggregation: &Aggregation,
        input: &Lowered,
    ) -> Result<Lowered> {
        let layout = input.layout.with_fewer_rows();
        let layout = layout.with_columns(&aggregation.schema, |name| Some(name.into()));
        // What the keys are called in the input, and in the result.
        let column_of = |key: &Expr| match key.without_alias().kind() {
            ExprKind::Column(column) => Some((column.clone(), key.output_name())),
            _ => None,
        };
        let names: Vec<_> = aggregation.keys().iter().filter_map(column_of).collect();
        let columns: Vec<PlSmallStr> = names.iter().map(|(column, _)| column.clone()).collect();
        if layout.n_parts == 1 || input.layout.placement.holds_groups_of(&columns) {
            let new_name = |old: &PlSmallStr| {
                names.iter().find(|(column, _)| column == old).map(|(_, name)| name.clone())
            };
            let layout = layout.placed(input.layout.placement.renamed(new_name));
            let kernel = kernel(aggregation, AggregateStep::All);
            Ok(self.grouped(&aggregate_text(aggregation), kernel, input, layout))
        } else if aggregation.plan.is_holistic() {
            self.aggregate_rows(id, aggregation, input, layout)
        } else {
            Ok(self.aggregate_states(aggregation, input, layout))
        }
    }

    /// All rows of a group come to one partition, or the different ones where those are enough.
    fn aggregate_rows(
        &mut self,
        id: NodeId,
        aggregation: &Aggregation,
        input: &Lowered,
        layout: Layout,
    ) -> Result<Lowered> {
        let (plan, name) = (&aggregation.plan, aggregate_text(aggregation));
        let none = DataFrame::empty_with_schema(&self.plan.meta(self.plan.inputs(id)[0]).schema);
        let of =
            |made: &DataFrame| input.layout.with_fewer_rows().with_columns(made.schema(), |_| None);
        let (rows, last) = if plan.distinct_inputs().is_some() {
            let step = kernel(aggregation, AggregateStep::PartialDistinct);
            let layout = of(&partial_distinct(&none, plan)?);
            let rows = self.grouped(&format!("distinct rows of {name}"), step, input, layout);
            (rows, AggregateStep::WholeDistinct)
        } else {
            let step = kernel(aggregation, AggregateStep::Project);
            let layout = of(&project(&none, plan)?);
            (self.rowwise("project", step, input, layout), AggregateStep::Whole)
        };
        let n_out = self.n_spread_for(&rows);
        let rows = match aggregation.keys() {
            [_, ..] if n_out > 1 => self.hash_exchange(&rows, &plan.key_columns(), n_out),
            _ => self.gathered(&rows),
        };
        let layout = Layout { widths: layout.widths, ..rows.layout.clone() };
        let layout = layout.placed(hashed_by_keys(aggregation));
        Ok(self.grouped(&name, kernel(aggregation, last), &rows, layout))
    }

    /// States of each partition merge in a tree, or where their keys meet.
    fn aggregate_states(
        &mut self,
        aggregation: &Aggregation,
        input: &Lowered,
        layout: Layout,
    ) -> Lowered {
        let name = aggregate_text(aggregation);
        let kernel = |step| kernel(aggregation, step);
        let partial = format!("partial {name}");
        let mut states = self.grouped(&partial, kernel(AggregateStep::Partial), input, layout);
        let n_out = self.n_spread_for(&states);
        if n_out > 1 && !aggregation.keys().is_empty() {
            let spread = self.hash_exchange(&states, &aggregation.plan.key_columns(), n_out);
            let layout = spread.layout.clone().placed(hashed_by_keys(aggregation));
            return self.grouped(&name, kernel(AggregateStep::Finish), &spread, layout);
        }
        while states.layout.n_parts > FAN_IN {
            let n_parts = states.layout.n_parts.div_ceil(FAN_IN);
            let layout = Layout { n_parts, ..states.layout.clone() };
            let map = BlockMap::axes([AxisMap::Group { axis: 0, size: FAN_IN as u64 }]);
            let inputs = vec![LayerInput { layer: states.layer, map }];
            let combine = format!("combine {name}");
            states = self.push(&combine, kernel(AggregateStep::Combine), inputs, layout);
        }
        let layout = Layout { n_parts: 1, ..states.layout.clone() };
        let map = BlockMap::axes([AxisMap::All]);
        let inputs = vec![LayerInput { layer: states.layer, map }];
        self.push(&name, kernel(AggregateStep::Finish), inputs, layout)
    }

    /// One task a partition, which finds its groups.
    fn grouped(
        &mut self,
        name: &str,
        kernel: AggregateKernel,
        input: &Lowered,
        layout: Layout,
    ) -> Lowered {
        let scratch = input.layout.index_bytes(GROUP_ROW_BYTES);
        let grouped = self.rowwise(name, kernel, input, layout);
        self.layers.get_mut(grouped.layer).scratch_bytes = scratch;
        grouped
    }
}

fn kernel(aggregation: &Aggregation, step: AggregateStep) -> AggregateKernel {
    AggregateKernel { plan: Arc::clone(&aggregation.plan), step }
}

/// Groups that were spread by a hash of their keys, under the names that these have in the result.
fn hashed_by_keys(aggregation: &Aggregation) -> Placement {
    let keys: Vec<PlSmallStr> = aggregation.keys().iter().map(Expr::output_name).collect();
    Placement::hashed(&keys)
}

fn aggregate_text(aggregation: &Aggregation) -> String {
    match aggregation.keys() {
        [] => format!("aggregate {}", named(&aggregation.aggs)),
        keys => format!("group by {}", named(keys)),
    }
}
