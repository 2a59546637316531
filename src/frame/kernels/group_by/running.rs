//! States of groups of rows that come in batches.

use std::borrow::Cow;

use polars_core::prelude::{Column, DataFrame, IdxSize, PolarsResult};

use super::super::concat::concat;
use super::super::values_error;
use super::{Groups, build, fold, groups, merged_states, partial_of_projected, pick, project};
use super::{state_of_rows, states_of_rows};
use crate::error::Result;
use crate::frame::expr::aggregate_plan::{AggregatePlan, State, input_column, state_column};

/// If there are more groups in the first batch than one for so many rows, the other batches wait for each other: to find
/// the groups of all rows at once is cheaper then than to look for those of each batch among all before.
const ROWS_OF_GROUP_MIN: usize = 16;

/// What [`partial`](super::partial) makes of the rows of all batches in one frame, to the same bits.
pub(crate) struct Running<'a> {
    plan: &'a AggregatePlan,
    /// Of the batches so far; none if they had no rows.
    states: Option<DataFrame>,
    /// Keys and inputs of batches that wait, or of the first one, if it had no rows.
    waiting: Vec<DataFrame>,
}

impl<'a> Running<'a> {
    /// Whether a batch can be added to the states of others without a difference from all rows at once.
    pub(crate) fn is_possible(plan: &AggregatePlan) -> bool {
        use State as S;
        let is_exact = |state: &State| {
            matches!(
                state,
                S::Rows
                    | S::Count
                    | S::Sum
                    | S::Total
                    | S::Min
                    | S::Max
                    | S::First
                    | S::Last
                    | S::Any
                    | S::All
            )
        };
        !plan.is_holistic() && plan.steps.iter().all(|step| is_exact(&step.state))
    }

    pub(crate) fn new(plan: &'a AggregatePlan) -> Self {
        Running { plan, states: None, waiting: Vec::new() }
    }

    /// Adds the rows of a batch.
    pub(crate) fn add(&mut self, frame: &DataFrame) -> Result<()> {
        let rows = project(frame, self.plan)?;
        if rows.height() == 0 {
            if self.states.is_none() && self.waiting.is_empty() {
                self.waiting.push(rows);
            }
            return Ok(());
        }
        let is_waiting = self.waiting.iter().any(|rows| rows.height() > 0);
        if is_waiting {
            self.waiting.push(rows);
            return Ok(());
        }
        let groups = groups(&rows, self.plan)?;
        self.states = match &self.states {
            None if groups.len() > rows.height().div_ceil(ROWS_OF_GROUP_MIN) => {
                self.waiting = vec![rows];
                return Ok(());
            }
            None => Some(super::with_states(&rows, &groups, self.plan, states_of_rows)?),
            Some(before) => Some(advance(before, &rows, &groups, self.plan)?),
        };
        Ok(())
    }

    /// The states of all groups.
    pub(crate) fn finish(self) -> Result<DataFrame> {
        match self.states {
            Some(states) => Ok(states),
            None => partial_of_projected(&concat(self.waiting)?, self.plan),
        }
    }
}

/// The states of the groups of the rows before, in which each is once, and of these ones.
fn advance(
    before: &DataFrame,
    rows: &DataFrame,
    groups: &Groups,
    plan: &AggregatePlan,
) -> Result<DataFrame> {
    let failed = || values_error("group_by");
    let firsts = plan_keys(rows, plan).iter().map(|key| pick::take(key, &groups.firsts));
    let mut columns = firsts.collect::<PolarsResult<Vec<_>>>().map_err(failed())?;
    for (i, step) in plan.steps.iter().enumerate() {
        let state = match step.state {
            // It goes on below, as a sum of sums would not have the same bits.
            State::Total => Ok(Column::new(state_column(i), vec![0.0; groups.len()])),
            _ => state_of_rows(step, rows, groups, &[]),
        };
        columns.push(state.map_err(failed())?.with_name(state_column(i)));
    }
    let both = concat([before.clone(), build(groups.len(), columns)?])?;
    let merged = super::groups(&both, plan)?;
    let mut states = super::with_states(&both, &merged, plan, merged_states)?;

    let of_batch = &merged.of_row[before.height()..];
    let is_same = |(i, &group): (usize, &IdxSize)| i == group as usize;
    let of_row = match of_batch.iter().enumerate().all(is_same) {
        true => Cow::Borrowed(groups.of_row.as_slice()),
        false => groups.of_row.iter().map(|&group| of_batch[group as usize]).collect(),
    };
    for (i, step) in plan.steps.iter().enumerate() {
        if step.state == State::Total {
            let total = rows.column(&input_column(step.input)).and_then(|values| {
                fold::total_after(before.column(&state_column(i))?, values, &of_row, merged.len())
            });
            let total = total.map_err(failed())?.with_name(state_column(i));
            states.with_column(total).map_err(failed())?;
        }
    }
    Ok(states)
}

fn plan_keys<'a>(rows: &'a DataFrame, plan: &AggregatePlan) -> &'a [Column] {
    &rows.columns()[..plan.keys.len()]
}
