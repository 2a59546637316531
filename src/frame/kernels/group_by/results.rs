//! Aggregates, of the states of all their rows.

use polars_core::prelude::*;

use crate::frame::expr::Aggregate;
use crate::frame::expr::aggregate_plan::{Leaf, state_column};

/// The aggregate of each group, one row of `states` each.
pub(super) fn of_states(leaf: &Leaf, states: &DataFrame) -> PolarsResult<Column> {
    let state = |i: usize| states.column(&state_column(leaf.states[i]));
    match &leaf.aggregate {
        None | Some(Aggregate::Count) => state(0)?.strict_cast(&IDX_DTYPE),
        Some(Aggregate::NullCount) => (state(0)? - state(1)?)?.strict_cast(&IDX_DTYPE),
        Some(Aggregate::Mean) => {
            let sums =
                state(0)?.u64()?.into_no_null_iter().zip(state(1)?.f64()?.into_no_null_iter());
            let means = sums.map(|(n, total)| (n > 0).then(|| total / n as f64));
            like_mean(means, &leaf.dtype)
        }
        Some(Aggregate::Var { ddof }) => variances(state(0)?, state(1)?, *ddof, |v| v, &leaf.dtype),
        Some(Aggregate::Std { ddof }) => {
            variances(state(0)?, state(1)?, *ddof, f64::sqrt, &leaf.dtype)
        }
        Some(Aggregate::Sum | Aggregate::Product) if leaf.dtype == DataType::Float32 => {
            state(0)?.cast(&DataType::Float32)
        }
        Some(Aggregate::Custom(aggregation)) => aggregation.finish(state(0)?),
        Some(_) => state(0).cloned(),
    }
}

fn variances(
    counts: &Column,
    spreads: &Column,
    ddof: u8,
    of_variance: fn(f64) -> f64,
    dtype: &DataType,
) -> PolarsResult<Column> {
    let states = counts.u64()?.into_no_null_iter().zip(spreads.f64()?.into_no_null_iter());
    let ddof = u64::from(ddof);
    let values =
        states.map(|(n, spread)| (n > ddof).then(|| of_variance(spread / (n - ddof) as f64)));
    like_mean(values, dtype)
}

/// Values between those of a column of `dtype`, such as means and quantiles, in the dtype that polars has for them.
pub(super) fn like_mean(
    values: impl Iterator<Item = Option<f64>>,
    dtype: &DataType,
) -> PolarsResult<Column> {
    const US_IN_DAY: f64 = 86_400e6;
    let is_date = *dtype == DataType::Date;
    let values = values.map(|value| if is_date { value.map(|v| v * US_IN_DAY) } else { value });
    let column = Float64Chunked::from_iter_options(PlSmallStr::EMPTY, values).into_column();
    match dtype {
        DataType::Float32 => column.cast(&DataType::Float32),
        DataType::Date => {
            column.cast(&DataType::Int64)?.cast(&DataType::Datetime(TimeUnit::Microseconds, None))
        }
        DataType::Datetime(..) | DataType::Duration(_) | DataType::Time => {
            column.cast(&DataType::Int64)?.cast(dtype)
        }
        _ => Ok(column),
    }
}
