//! States of groups of rows that come in batches.

use std::borrow::Cow;
use std::cell::OnceCell;

use polars_core::prelude::{Column, DataFrame, IdxSize, PlSmallStr, PolarsResult};

use super::super::concat::concat;
use super::super::values_error;
use super::groups::ROWS_JUDGED;
use super::{Groups, build, fold, groups, merged_states, partial_of_projected, pick, project};
use super::{inputs_of_totals, state_of_rows, states_of_rows, sums_of_rows};
use crate::error::Result;
use crate::frame::expr::aggregate_plan::{AggregatePlan, State, state_column};

/// What [`partial`](super::partial) makes of the rows of all batches in one frame, to the same bits.
///
/// Rows wait until they are as many as there are groups so far: were groups looked for among all before for each batch, many
/// groups would take quadratic time. Where even the first rows have [many groups](Groups::are_few_at_first), all rows wait.
pub(crate) struct Running<'a> {
    plan: &'a AggregatePlan,
    /// Of the batches that do not wait.
    states: Option<DataFrame>,
    /// Keys and inputs of batches that wait.
    waiting: Vec<DataFrame>,
    n_waiting: usize,
    /// How many rows have to wait before something is done.
    n_enough: usize,
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
        let n_enough = if plan.keys.is_empty() { 1 } else { ROWS_JUDGED };
        Running { plan, states: None, waiting: Vec::new(), n_waiting: 0, n_enough }
    }

    /// Adds the rows of a batch.
    pub(crate) fn add(&mut self, frame: &DataFrame) -> Result<()> {
        let rows = project(frame, self.plan)?;
        if rows.height() == 0 && (self.states.is_some() || !self.waiting.is_empty()) {
            return Ok(());
        }
        self.n_waiting += rows.height();
        self.waiting.push(rows);
        match self.n_waiting >= self.n_enough {
            true => self.take_waiting(),
            false => Ok(()),
        }
    }

    fn take_waiting(&mut self) -> Result<()> {
        let rows = concat(std::mem::take(&mut self.waiting))?;
        let groups = groups(&rows, self.plan)?;
        let states = match &self.states {
            Some(before) => advance(before, &rows, &groups, self.plan)?,
            None if self.plan.keys.is_empty() || groups.are_few_at_first() => {
                super::with_states(&rows, &groups, self.plan, states_of_rows)?
            }
            None => {
                self.waiting.push(rows);
                self.n_enough = usize::MAX;
                return Ok(());
            }
        };
        (self.n_waiting, self.n_enough) = (0, states.height().max(1));
        self.states = Some(states);
        Ok(())
    }

    /// The states of groups, as [`partial`](super::partial) makes them.
    pub(crate) fn partial(self) -> Result<DataFrame> {
        self.end(partial_of_projected)
    }

    /// The result, as [`whole`](super::whole) makes it.
    pub(crate) fn whole(self) -> Result<DataFrame> {
        let plan = self.plan;
        let states = self.end(|rows, plan| {
            super::with_states(rows, &groups(rows, plan)?, plan, states_of_rows)
        })?;
        super::finish(&states, plan)
    }

    /// The states; `of_rows` makes them if all rows have waited.
    fn end(
        mut self,
        of_rows: fn(&DataFrame, &AggregatePlan) -> Result<DataFrame>,
    ) -> Result<DataFrame> {
        if self.states.is_some() && self.n_waiting > 0 {
            self.take_waiting()?;
        }
        match self.states {
            Some(states) => Ok(states),
            None => of_rows(&concat(self.waiting)?, self.plan),
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
    let lengths = OnceCell::new();
    let mut sums = sums_of_rows(rows, groups, plan)?;
    for (i, step) in plan.steps.iter().enumerate() {
        let state = match step.state {
            State::Sum if let Some(sum) = sums[i].take() => Ok(sum),
            // It goes on below, as a sum of sums would not have the same bits.
            State::Total => Ok(Column::new(state_column(i), vec![0.0; groups.len()])),
            _ => state_of_rows(step, rows, groups, &lengths, &[]),
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
    let totals = (0..plan.steps.len()).filter(|&i| plan.steps[i].state == State::Total);
    let totals: Vec<PlSmallStr> = totals.map(state_column).collect();
    let known = totals.iter().map(|name| {
        let mut known: Vec<f64> = before.column(name)?.f64()?.into_no_null_iter().collect();
        known.resize(merged.len(), 0.0);
        Ok(known)
    });
    let known = known.collect::<PolarsResult<_>>().map_err(failed())?;
    let sums = fold::totals_after(known, &inputs_of_totals(rows, plan)?, &of_row);
    for (name, total) in totals.into_iter().zip(sums.map_err(failed())?) {
        states.with_column(total.with_name(name)).map_err(failed())?;
    }
    Ok(states)
}

fn plan_keys<'a>(rows: &'a DataFrame, plan: &AggregatePlan) -> &'a [Column] {
    &rows.columns()[..plan.keys.len()]
}
