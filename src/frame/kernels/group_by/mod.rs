//! Group-by in three steps that can run apart: states of each partition, their merging, the end.
//!
//! ```text
//! partition ─ project ─▶ k…, i… ─ partial ─▶ k…, s… ─ combine (any tree) ─▶ k…, s… ─ finish ─▶ result
//! ```
//!
//! Rows of a result are in the order in which their groups first appear. States merge in the order in which they are
//! given, so a tree that keeps the order of the partitions gives the rows, and the first and last values, that
//! one frame would give. Aggregates that need all rows of a group at once take [`whole`] instead, after a shuffle. Where
//! these only count different values, rows that are equal in keys and values become one before ([`partial_distinct`]).
//!
//! All loops run down a column with the number of the group beside each value: one thread, no `unsafe`.

mod apply;
mod custom;
mod ends;
mod fold;
mod groups;
mod holistic;
mod moments;
mod numbered;
mod pick;
mod results;
mod running;
#[cfg(test)]
mod tests;

pub(crate) use apply::apply_to_groups;
pub(crate) use ends::ends_of_groups;
pub(crate) use groups::Groups;
pub(crate) use running::Running;

use std::cell::OnceCell;

use polars_core::error::polars_bail;
use polars_core::prelude::{Column, DataFrame, DataType, PolarsResult, Schema};

use super::concat::concat;
use super::eval::evaluate_rows;
use super::values_error;
use crate::error::Result;
use crate::frame::expr::Expr;
use crate::frame::expr::aggregate_plan::{
    AggregatePlan, State, Step, input_column, key_column, leaf_column, state_column,
};

/// Columns of states of groups of the rows of a frame.
type ComputeStates = fn(&DataFrame, &Groups, &AggregatePlan) -> Result<Vec<Column>>;

/// The keys and the inputs of the aggregates, row by row: all that `plan` needs of a partition.
pub(crate) fn project(frame: &DataFrame, plan: &AggregatePlan) -> Result<DataFrame> {
    let column = |expr: &Expr, name| Ok(evaluate_rows(expr, frame)?.with_name(name));
    let keys = plan.keys.iter().enumerate().map(|(i, key)| column(key, key_column(i)));
    let inputs = plan.inputs.iter().enumerate().map(|(i, input)| column(input, input_column(i)));
    build(frame.height(), keys.chain(inputs).collect::<Result<_>>()?)
}

/// The states of each group of a partition.
///
/// Without keys, no rows give no states, so that an empty partition is neither first nor last.
pub(crate) fn partial(frame: &DataFrame, plan: &AggregatePlan) -> Result<DataFrame> {
    partial_of_projected(&project(frame, plan)?, plan)
}

/// As [`partial`], of a frame made by [`project`].
fn partial_of_projected(rows: &DataFrame, plan: &AggregatePlan) -> Result<DataFrame> {
    let groups = Groups::worthwhile(&rows.columns()[..plan.keys.len()], rows.height())
        .map_err(values_error("group_by"))?;
    if plan.keys.is_empty() && rows.height() == 0 {
        return Ok(with_states(rows, &groups, plan, states_of_rows)?.clear());
    }
    with_states(rows, &groups, plan, states_of_rows)
}

/// As [`partial`], of rows that are equal also in the inputs whose different values are counted; these stand between keys and
/// states.
pub(crate) fn partial_distinct(frame: &DataFrame, plan: &AggregatePlan) -> Result<DataFrame> {
    let rows = project(frame, plan)?;
    let failed = || values_error("group_by");
    let mut columns = rows.columns()[..plan.keys.len()].to_vec();
    for input in plan.distinct_inputs().unwrap_or_default() {
        columns.push(rows.column(&input_column(input)).map_err(failed())?.clone());
    }
    let groups = Groups::worthwhile(&columns, rows.height()).map_err(failed())?;
    let firsts = columns.iter().map(|column| pick::first(column, &groups));
    let mut columns = firsts.collect::<PolarsResult<Vec<_>>>().map_err(failed())?;
    columns.extend(states_of_rows(&rows, &groups, plan)?);
    build(groups.len(), columns)
}

/// The states of each group of several frames of states, which come in the order of their rows.
pub(crate) fn combine(frames: Vec<DataFrame>, plan: &AggregatePlan) -> Result<DataFrame> {
    let rows = concat(frames)?;
    let groups = groups(&rows, plan)?;
    if groups.len() == rows.height() || rows.height() == 0 {
        return Ok(rows);
    }
    with_states(&rows, &groups, plan, merged_states)
}

/// The result, of states that hold each group once.
pub(crate) fn finish(states: &DataFrame, plan: &AggregatePlan) -> Result<DataFrame> {
    if plan.keys.is_empty() && states.height() == 0 {
        let states = with_states(states, &Groups::one(0), plan, merged_states)?;
        return finish(&states, plan);
    }
    let leaves = plan.leaves.iter().map(|leaf| results::of_states(leaf, states));
    results(states, leaves.collect::<PolarsResult<_>>(), states.height(), plan)
}

/// The result, of rows that hold each group completely.
pub(crate) fn whole(frame: &DataFrame, plan: &AggregatePlan) -> Result<DataFrame> {
    whole_of_projected(&project(frame, plan)?, plan)
}

/// As [`whole`], of frames made by [`project`].
pub(crate) fn whole_of_projected(rows: &DataFrame, plan: &AggregatePlan) -> Result<DataFrame> {
    whole_by(rows, plan, states_of_rows)
}

/// As [`whole`], of frames made by [`partial_distinct`].
pub(crate) fn whole_of_distinct(rows: &DataFrame, plan: &AggregatePlan) -> Result<DataFrame> {
    whole_by(rows, plan, merged_states)
}

fn whole_by(rows: &DataFrame, plan: &AggregatePlan, compute: ComputeStates) -> Result<DataFrame> {
    let groups = groups(rows, plan)?;
    let frame = with_states(rows, &groups, plan, compute)?;
    let mut sorted = None;
    let leaves = plan.leaves.iter().map(|leaf| match &leaf.aggregate {
        Some(aggregate) if leaf.is_holistic() => {
            let input = rows.column(&input_column(leaf.input))?;
            holistic::aggregate(aggregate, input, &groups, &mut sorted)
        }
        _ => results::of_states(leaf, &frame),
    });
    results(&frame, leaves.collect::<PolarsResult<_>>(), groups.len(), plan)
}

/// The schema of the result on frames with this schema.
///
/// # Errors
/// If the expressions around the aggregates do not go with the dtypes of these.
pub(crate) fn output_schema(schema: &Schema, plan: &AggregatePlan) -> Result<Schema> {
    let result = whole(&DataFrame::empty_with_schema(schema), plan)?;
    Ok(result.schema().as_ref().clone())
}

fn groups(rows: &DataFrame, plan: &AggregatePlan) -> Result<Groups> {
    let keys = &rows.columns()[..plan.keys.len()];
    Groups::new(keys, rows.height()).map_err(values_error("group_by"))
}

/// One row for each group: its keys, and the states that `compute` makes of `rows`.
fn with_states(
    rows: &DataFrame,
    groups: &Groups,
    plan: &AggregatePlan,
    compute: ComputeStates,
) -> Result<DataFrame> {
    let mut columns = Vec::with_capacity(plan.keys.len() + plan.steps.len());
    for key in &rows.columns()[..plan.keys.len()] {
        columns.push(pick::first(key, groups).map_err(values_error("group_by"))?);
    }
    columns.extend(compute(rows, groups, plan)?);
    build(groups.len(), columns)
}

fn states_of_rows(rows: &DataFrame, groups: &Groups, plan: &AggregatePlan) -> Result<Vec<Column>> {
    let mut states: Vec<Column> = Vec::with_capacity(plan.steps.len());
    let lengths = OnceCell::new();
    let totals = fold::totals(&inputs_of_totals(rows, plan)?, groups);
    let mut totals = totals.map_err(values_error("group_by"))?.into_iter();
    let mut sums = sums_of_rows(rows, groups, plan)?;
    for (i, step) in plan.steps.iter().enumerate() {
        let column = match &step.state {
            State::Total if let Some(total) = totals.next() => Ok(total),
            State::Sum if let Some(sum) = sums[i].take() => Ok(sum),
            State::At { by } => {
                let by = &plan.steps[*by];
                let keys = rows.column(&input_column(by.input));
                let values = rows.column(&input_column(step.input));
                keys.and_then(|keys| pick::take(values?, &pick::rows(&by.state, keys, groups)?))
            }
            _ => state_of_rows(step, rows, groups, &lengths, &states),
        };
        let column = column.map_err(values_error("group_by"))?;
        states.push(column.with_name(state_column(states.len())));
    }
    Ok(states)
}

/// The columns of which the states [`State::Total`] are, in their order.
fn inputs_of_totals<'a>(rows: &'a DataFrame, plan: &AggregatePlan) -> Result<Vec<&'a Column>> {
    let steps = plan.steps.iter().filter(|step| step.state == State::Total);
    let inputs = steps.map(|step| rows.column(&input_column(step.input)));
    inputs.collect::<PolarsResult<_>>().map_err(values_error("group_by"))
}

/// For each step the sum, if it is of those that are found in one pass for several of them.
fn sums_of_rows(
    rows: &DataFrame,
    groups: &Groups,
    plan: &AggregatePlan,
) -> Result<Vec<Option<Column>>> {
    let input = |step: &Step| rows.column(&input_column(step.input)).ok();
    let is_wide = |column: &&Column| column.dtype() == &DataType::Int64;
    let of_step = |step| input(step).filter(is_wide).filter(|_| step.state == State::Sum);
    let inputs: Vec<Option<&Column>> = plan.steps.iter().map(of_step).collect();
    let known: Vec<&Column> = inputs.iter().copied().flatten().collect();
    let sums = fold::sums(&known, groups).map_err(values_error("group_by"))?;
    let mut sums = sums.into_iter();
    Ok(inputs.iter().map(|input| input.and_then(|_| sums.next())).collect())
}

/// A state of each group, where those before it are known. How many rows each has is counted once for all states.
fn state_of_rows(
    step: &Step,
    rows: &DataFrame,
    groups: &Groups,
    lengths: &OnceCell<Column>,
    before: &[Column],
) -> PolarsResult<Column> {
    let lengths = || lengths.get_or_init(|| fold::rows(groups)).clone();
    if step.state == State::Rows {
        return Ok(lengths());
    }
    let input = rows.column(&input_column(step.input))?;
    match &step.state {
        State::Count if !input.has_nulls() => Ok(lengths()),
        State::Count => Ok(fold::count(input, groups)),
        State::Spread { count, total } => {
            moments::spread(input, &before[*count], &before[*total], groups)
        }
        State::CoSpread { other, count, total, other_total } => {
            let inputs = [input, rows.column(&input_column(*other))?];
            let totals = [&before[*total], &before[*other_total]];
            moments::co_spread(inputs, &before[*count], totals, groups)
        }
        State::Custom(states) => states.of_groups(custom::groups(input, groups)?),
        state => fold_alike(state, input, groups),
    }
}

/// What merges as it is made, be `column` values or states.
fn fold_alike(state: &State, column: &Column, groups: &Groups) -> PolarsResult<Column> {
    match state {
        State::Rows | State::Count | State::Sum => fold::sum(column, groups),
        State::Total | State::Spread { .. } => fold::total(column, groups),
        State::Product => fold::product(column, groups),
        State::Any => fold::logic(column, groups, true),
        State::All => fold::logic(column, groups, false),
        State::Min | State::Max | State::First | State::Last | State::LastKnown => {
            if let State::Min | State::Max = state
                && let Some(best) = pick::extreme_numbers(column, groups, *state == State::Max)?
            {
                return Ok(best);
            }
            pick::take(column, &pick::rows(state, column, groups)?)
        }
        State::CoSpread { .. } | State::At { .. } | State::Custom(_) => {
            polars_bail!(InvalidOperation: "{state:?} merges in its own way")
        }
    }
}

fn merged_states(rows: &DataFrame, groups: &Groups, plan: &AggregatePlan) -> Result<Vec<Column>> {
    let column = |i: usize| rows.column(&state_column(i));
    let states = plan.steps.iter().enumerate().map(|(i, step)| {
        let merged = match &step.state {
            State::Spread { count, total } => {
                moments::merge(column(i)?, column(*count)?, column(*total)?, groups)
            }
            State::CoSpread { count, total, other_total, .. } => {
                let totals = [column(*total)?, column(*other_total)?];
                moments::merge_co(column(i)?, column(*count)?, totals, groups)
            }
            State::At { by } => {
                let rows = pick::rows(&plan.steps[*by].state, column(*by)?, groups)?;
                pick::take(column(i)?, &rows)
            }
            State::Custom(states) => states.merged(custom::groups(column(i)?, groups)?),
            state => fold_alike(state, column(i)?, groups),
        };
        Ok(merged?.with_name(state_column(i)))
    });
    states.collect::<PolarsResult<_>>().map_err(values_error("group_by"))
}

/// The columns of the user: keys by their names, and expressions of `leaves`.
fn results(
    frame: &DataFrame,
    leaves: PolarsResult<Vec<Column>>,
    n_groups: usize,
    plan: &AggregatePlan,
) -> Result<DataFrame> {
    let leaves = leaves.map_err(values_error("group_by"))?.into_iter().enumerate();
    let leaves = leaves.map(|(i, column)| column.with_name(leaf_column(i)));
    let leaves = build(n_groups, leaves.collect())?;
    let keys = plan.keys.iter().zip(frame.columns());
    let keys = keys.map(|(key, column)| Ok(column.clone().with_name(key.output_name())));
    let aggs = plan.finish.iter().map(|expr| evaluate_rows(expr, &leaves));
    build(n_groups, keys.chain(aggs).collect::<Result<_>>()?)
}

fn build(n_rows: usize, columns: Vec<Column>) -> Result<DataFrame> {
    DataFrame::new(n_rows, columns).map_err(values_error("group_by"))
}
