//! Aggregates that need all rows of a group at once.

use polars_core::prelude::*;

use super::fold::as_floats;
use super::results::like_mean;
use super::{Groups, State, pick};
use crate::frame::expr::Aggregate;

/// The rows by group, and where each group begins; see [`Groups::sorted_rows`].
type SortedRows = (Vec<IdxSize>, Vec<usize>);

/// `sorted` is kept from one aggregate to the next.
pub(super) fn aggregate(
    aggregate: &Aggregate,
    values: &Column,
    groups: &Groups,
    sorted: &mut Option<SortedRows>,
) -> PolarsResult<Column> {
    match aggregate {
        Aggregate::Median => quantile(values, sorted_rows(sorted, groups), 0.5, false),
        Aggregate::Quantile { q, nearest } => {
            quantile(values, sorted_rows(sorted, groups), *q, *nearest)
        }
        Aggregate::NUnique => n_unique(values, groups),
        Aggregate::ArgMin => positions(&pick::rows(&State::Min, values, groups)?, groups),
        Aggregate::ArgMax => positions(&pick::rows(&State::Max, values, groups)?, groups),
        Aggregate::Implode => implode(values, sorted_rows(sorted, groups)),
        other => polars_bail!(InvalidOperation: "{other:?} is made of states"),
    }
}

fn sorted_rows<'a>(sorted: &'a mut Option<SortedRows>, groups: &Groups) -> &'a SortedRows {
    sorted.get_or_insert_with(|| groups.sorted_rows())
}

fn quantile(values: &Column, sorted: &SortedRows, q: f64, nearest: bool) -> PolarsResult<Column> {
    let floats = as_floats(values)?.rechunk().into_owned();
    let array = floats.downcast_as_array();
    let (rows, offsets) = sorted;
    let mut of_group = Vec::new();
    let quantiles = offsets.windows(2).map(|ends| {
        of_group.clear();
        of_group.extend(rows[ends[0]..ends[1]].iter().filter_map(|&row| array.get(row as usize)));
        quantile_of(&mut of_group, q, nearest)
    });
    like_mean(quantiles, values.dtype())
}

/// NaN is larger than all numbers.
fn quantile_of(values: &mut [f64], q: f64, nearest: bool) -> Option<f64> {
    let position = q * values.len().checked_sub(1)? as f64;
    let place = if nearest { position.round() } else { position.floor() };
    let order = |a: &f64, b: &f64| a.is_nan().cmp(&b.is_nan()).then(a.total_cmp(b));
    let (_, &mut value, larger) = values.select_nth_unstable_by(place as usize, order);
    let share = position - place;
    if nearest || share == 0.0 {
        return Some(value);
    }
    let next = larger.iter().copied().min_by(order)?;
    Some(if value == next { value } else { value + (next - value) * share })
}

/// Null is a value.
fn n_unique(values: &Column, groups: &Groups) -> PolarsResult<Column> {
    let distinct = groups.and(&Groups::new(std::slice::from_ref(values), values.len())?);
    let mut counts = vec![0; groups.len()];
    for first in distinct.firsts.into_iter().filter(|&row| (row as usize) < values.len()) {
        counts[groups.of_row[first as usize] as usize] += 1;
    }
    Ok(IdxCa::from_vec(PlSmallStr::EMPTY, counts).into_column())
}

/// How many rows of its group stand before each of `rows`, of which there is one for each group.
fn positions(rows: &[IdxSize], groups: &Groups) -> PolarsResult<Column> {
    let mut seen = vec![0; groups.len()];
    let mut positions = vec![None; groups.len()];
    for (row, &group) in groups.of_row.iter().enumerate() {
        let group = group as usize;
        if rows[group] as usize == row {
            positions[group] = Some(seen[group]);
        }
        seen[group] += 1;
    }
    Ok(IdxCa::from_iter_options(PlSmallStr::EMPTY, positions.into_iter()).into_column())
}

fn implode(values: &Column, (rows, offsets): &SortedRows) -> PolarsResult<Column> {
    let all = pick::take(values, rows)?.take_materialized_series();
    let lists = offsets.windows(2).map(|ends| all.slice(ends[0] as i64, ends[1] - ends[0]));
    let lists: Vec<Series> = lists.collect();
    if lists.is_empty() {
        let dtype = DataType::List(Box::new(all.dtype().clone()));
        return Ok(Column::new_empty(PlSmallStr::EMPTY, &dtype));
    }
    Ok(Series::new(PlSmallStr::EMPTY, lists).into_column())
}
