//! Aggregations: states of partitions that merge, or rows that move to their groups.

use std::sync::Arc;

use polars_core::frame::DataFrame;
use polars_core::prelude::{DataType, PlSmallStr, Schema};

use super::{FAN_IN, Lowered, Lowering};
use crate::error::Result;
use crate::frame::expr::aggregate_plan::{State, column_of, state_column};
use crate::frame::expr::{Aggregate, AggregatePlan, Expr};
use crate::frame::kernels::aggregate::{AggregateKernel, AggregateStep};
use crate::frame::kernels::group_by::{partial, partial_distinct, project};
use crate::frame::layout::{Layout, Placement};
use crate::frame::op::Aggregation;
use crate::frame::show::named;
use crate::graph::{AxisMap, BlockMap, LayerInput, NodeId};

/// What the search for groups takes for a row: its key as a number, its place in the hash table, and the number of its
/// group; of keys that are no numbers more, for the table of polars.
const GROUP_ROW_BYTES: u64 = 48;
const TEXT_ROW_BYTES: u64 = 96;

impl Lowering<'_> {
    /// In one step where groups are together; by states that merge where states can, and otherwise of rows that move.
    pub(super) fn aggregate(
        &mut self,
        id: NodeId,
        aggregation: &Aggregation,
        input: &Lowered,
    ) -> Result<Lowered> {
        // What the keys are called in the input, and in the result.
        let keys = aggregation.keys().iter();
        let names = keys.filter_map(|key| Some((column_of(key)?, key.output_name())));
        let names: Vec<(PlSmallStr, PlSmallStr)> = names.collect();
        let columns: Vec<PlSmallStr> = names.iter().map(|(column, _)| column.clone()).collect();
        let placement = &input.layout.placement;
        if input.layout.n_parts == 1 || placement.holds_groups_of(&columns) {
            let new_name = |old: &PlSmallStr| {
                names.iter().find(|(column, _)| column == old).map(|(_, name)| name.clone())
            };
            let layout = results(aggregation, input).placed(placement.renamed(new_name));
            let name = aggregate_text(aggregation);
            return Ok(self.grouped(aggregation, &name, AggregateStep::All, input, layout));
        }
        let schema = &self.plan.meta(self.plan.inputs(id)[0]).schema;
        let none = DataFrame::empty_with_schema(schema);
        match aggregation.plan.is_holistic() {
            true => self.of_moved_rows(aggregation, &none, input),
            false => self.of_states(aggregation, &none, input),
        }
    }

    /// Rows, or only different ones if these are counted, move to where their group is.
    fn of_moved_rows(
        &mut self,
        aggregation: &Aggregation,
        none: &DataFrame,
        input: &Lowered,
    ) -> Result<Lowered> {
        let (plan, name) = (&aggregation.plan, aggregate_text(aggregation));
        let (rows, last) = match plan.distinct_inputs() {
            Some(_) => {
                let name = format!("distinct rows of {name}");
                let layout = made(plan, input, partial_distinct(none, plan)?.schema());
                let step = AggregateStep::PartialDistinct;
                let rows = self.grouped(aggregation, &name, step, input, layout);
                (rows, AggregateStep::WholeDistinct)
            }
            None => {
                let layout = made(plan, input, project(none, plan)?.schema());
                let step = kernel(aggregation, AggregateStep::Project);
                (self.rowwise("project", step, input, layout), AggregateStep::Whole)
            }
        };
        let n_out = self.n_spread_for(&rows);
        let rows = match aggregation.keys() {
            [_, ..] if n_out > 1 => self.hash_exchange(&rows, &plan.key_columns(), n_out),
            _ => self.gathered(&rows),
        };
        let layout = Layout { widths: results(aggregation, input).widths, ..rows.layout.clone() };
        let layout = layout.placed(Placement::hashed(&key_names(aggregation)));
        Ok(self.grouped(aggregation, &name, last, &rows, layout))
    }

    /// States of each partition, which move by a hash of their keys, or merge in a tree if they are small.
    fn of_states(
        &mut self,
        aggregation: &Aggregation,
        none: &DataFrame,
        input: &Lowered,
    ) -> Result<Lowered> {
        let (plan, name) = (&aggregation.plan, aggregate_text(aggregation));
        let layout = of_one_group(plan, made(plan, input, partial(none, plan)?.schema()));
        let step = AggregateStep::Partial;
        let partial = format!("partial {name}");
        let mut states = self.grouped(aggregation, &partial, step, input, layout);
        let widths = results(aggregation, input).widths;
        let finish = AggregateStep::Finish;
        let n_out = self.n_spread_for(&states);
        if n_out > 1 && !aggregation.keys().is_empty() {
            let spread = self.hash_exchange(&states, &plan.key_columns(), n_out);
            let layout = Layout { widths, ..spread.layout.clone() };
            let layout = layout.placed(Placement::hashed(&key_names(aggregation)));
            return Ok(self.grouped(aggregation, &name, finish, &spread, layout));
        }
        while states.layout.n_parts > FAN_IN {
            let layout = combined(&states.layout, FAN_IN);
            let map = BlockMap::axes([AxisMap::Group { axis: 0, size: FAN_IN as u64 }]);
            let inputs = vec![LayerInput { layer: states.layer, map }];
            let step = kernel(aggregation, AggregateStep::Combine);
            let scratch = layout.index_bytes(row_bytes(aggregation));
            states = self.push(&format!("combine {name}"), step, inputs, layout);
            states = self.with_scratch(states, scratch);
        }
        let layout = Layout { widths, ..combined(&states.layout, states.layout.n_parts) };
        let map = BlockMap::axes([AxisMap::All]);
        let inputs = vec![LayerInput { layer: states.layer, map }];
        let scratch = layout.index_bytes(row_bytes(aggregation));
        let finished = self.push(&name, kernel(aggregation, finish), inputs, layout);
        Ok(self.with_scratch(finished, scratch))
    }

    /// One task a partition, which finds its groups.
    fn grouped(
        &mut self,
        aggregation: &Aggregation,
        name: &str,
        step: AggregateStep,
        input: &Lowered,
        layout: Layout,
    ) -> Lowered {
        let scratch = input.layout.index_bytes(row_bytes(aggregation));
        let grouped = self.rowwise(name, kernel(aggregation, step), input, layout);
        self.with_scratch(grouped, scratch)
    }
}

/// What a row takes while its group is looked for and aggregated, besides keys and states.
fn row_bytes(aggregation: &Aggregation) -> u64 {
    let is_number = |key: &Expr| {
        let dtype = aggregation.schema.get(&key.output_name());
        dtype.is_some_and(|d| d.is_primitive_numeric() || d.is_temporal() || d.is_bool())
    };
    let search = match aggregation.keys().iter().all(is_number) {
        true => GROUP_ROW_BYTES,
        false => TEXT_ROW_BYTES,
    };
    let whole = aggregation.plan.leaves.iter().filter(|leaf| leaf.is_holistic());
    let aggregated = whole.map(|leaf| match leaf.aggregate {
        // A list is a value of its own before all of them become a column.
        Some(Aggregate::Implode) => 200,
        Some(Aggregate::NUnique) => 80,
        _ => 32,
    });
    search + aggregated.max().unwrap_or(0)
}

fn kernel(aggregation: &Aggregation, step: AggregateStep) -> AggregateKernel {
    AggregateKernel { plan: Arc::clone(&aggregation.plan), step }
}

fn aggregate_text(aggregation: &Aggregation) -> String {
    match aggregation.keys() {
        [] => format!("aggregate {}", named(&aggregation.aggs)),
        keys => format!("group by {}", named(keys)),
    }
}

fn key_names(aggregation: &Aggregation) -> Vec<PlSmallStr> {
    aggregation.keys().iter().map(Expr::output_name).collect()
}

/// The results of groups, of which there may be as many as rows.
fn results(aggregation: &Aggregation, input: &Lowered) -> Layout {
    let layout = input.layout.with_fewer_rows();
    let is_list = |name: &str| aggregation.schema.get(name).is_some_and(DataType::is_list);
    let from = |name: &str| (!is_list(name)).then(|| name.into());
    let layout = layout.with_columns(&aggregation.schema, from);
    match aggregation.keys() {
        [] => layout.with_rows(layout.n_parts as u64, 1),
        _ => layout,
    }
}

/// What a step makes of the rows of each partition: no more rows, with the columns of `schema`.
fn made(plan: &AggregatePlan, input: &Lowered, schema: &Schema) -> Layout {
    let layout = input.layout.with_fewer_rows();
    layout.with_columns(schema, |name| plan.column_behind(name))
}

/// States of one group are one row; those that keep something of each value are then as wide as all of these.
fn of_one_group(plan: &AggregatePlan, mut layout: Layout) -> Layout {
    if !plan.keys.is_empty() {
        return layout;
    }
    let n_rows = layout.rows_max as f64;
    for (i, step) in plan.steps.iter().enumerate() {
        let name = state_column(i);
        let width = layout.widths.iter_mut().find(|(column, _)| *column == name);
        if let (Some((_, width)), State::Custom(states)) = (width, &step.state) {
            *width = (*width * n_rows).min(states.bytes_max()).max(*width);
        }
    }
    layout.with_rows(layout.n_parts as u64, 1)
}

/// States of `n` partitions each, of which none may have a group of another one.
fn combined(states: &Layout, n: usize) -> Layout {
    let n_parts = states.n_parts.div_ceil(n.max(1));
    let rows_max = states.rows_max.saturating_mul(n as u64).min(states.rows);
    Layout { n_parts, rows_max, ..states.clone() }
}
