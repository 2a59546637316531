//! Aggregates that are a value of one of the rows: the first, the last, the smallest, the largest.
//!
//! They find the row and take the value from there, so that each dtype comes out as it went in.

use polars_core::prelude::*;
use polars_utils::min_max::MinMax;

use super::{Groups, State, fold};

/// Stands for no row, where all values are null or a group is empty.
pub(super) const NONE: IdxSize = IdxSize::MAX;

/// The row that `state` picks of each group. Of equal values, it is the first; nulls, and NaN unless there is nothing
/// else, are neither smallest nor largest.
pub(super) fn rows(state: &State, values: &Column, groups: &Groups) -> PolarsResult<Vec<IdxSize>> {
    match state {
        State::Min => extremes(values, groups, false),
        State::Max => extremes(values, groups, true),
        State::LastKnown => {
            let mut rows = vec![NONE; groups.len()];
            let is_known = values.is_not_null();
            for (row, (&group, is_known)) in groups.of_row.iter().zip(is_known.iter()).enumerate() {
                if is_known == Some(true) {
                    rows[group as usize] = row as IdxSize;
                }
            }
            Ok(rows)
        }
        _ if groups.of_row.is_empty() => Ok(vec![NONE; groups.len()]),
        State::Last => {
            let mut rows = vec![NONE; groups.len()];
            for (row, &group) in groups.of_row.iter().enumerate() {
                rows[group as usize] = row as IdxSize;
            }
            Ok(rows)
        }
        _ => Ok(groups.firsts.clone()),
    }
}

/// The values in these rows, null for [`NONE`].
pub(super) fn take(values: &Column, rows: &[IdxSize]) -> PolarsResult<Column> {
    let rows = if rows.contains(&NONE) {
        let rows = rows.iter().map(|&row| (row != NONE).then_some(row));
        IdxCa::from_iter_options(PlSmallStr::EMPTY, rows)
    } else {
        IdxCa::from_vec(PlSmallStr::EMPTY, rows.to_vec())
    };
    values.take(&rows)
}

/// The value in the first row of each group.
pub(super) fn first(values: &Column, groups: &Groups) -> PolarsResult<Column> {
    match groups.are_rows() {
        true => Ok(values.clone()),
        false => take(values, &groups.firsts),
    }
}

fn extremes(values: &Column, groups: &Groups, max: bool) -> PolarsResult<Vec<IdxSize>> {
    use DataType as D;
    macro_rules! extremes {
        ($values:expr, $empty:expr) => {
            // Whichever end is asked for, NaN is at the other one.
            if max {
                find($values, groups, $empty, |value, best| best.nan_min_lt(value))
            } else {
                find($values, groups, $empty, |value, best| value.nan_max_lt(best))
            }
        };
    }
    let series = values.as_materialized_series();
    let physical = series.to_physical_repr();
    Ok(match series.dtype() {
        // Categories are ordered as strings, as in polars.
        D::Categorical(..) => return extremes(&values.cast(&D::String)?, groups, max),
        _ => match physical.dtype() {
            D::Boolean => extremes!(physical.bool()?.iter(), false),
            D::Int8 => extremes!(physical.i8()?.iter(), 0),
            D::Int16 => extremes!(physical.i16()?.iter(), 0),
            D::Int32 => extremes!(physical.i32()?.iter(), 0),
            D::Int64 => extremes!(physical.i64()?.iter(), 0),
            D::Int128 => extremes!(physical.i128()?.iter(), 0),
            D::UInt8 => extremes!(physical.u8()?.iter(), 0),
            D::UInt16 => extremes!(physical.u16()?.iter(), 0),
            D::UInt32 => extremes!(physical.u32()?.iter(), 0),
            D::UInt64 => extremes!(physical.u64()?.iter(), 0),
            D::Float32 => extremes!(physical.f32()?.iter(), 0.0),
            D::Float64 => extremes!(physical.f64()?.iter(), 0.0),
            D::String => extremes!(physical.str()?.iter(), ""),
            D::Binary => extremes!(physical.binary()?.iter(), &[][..]),
            dtype => polars_bail!(InvalidOperation: "{dtype} has no order"),
        },
    })
}

/// The smallest or the largest value of each group, if they can be had without looking for their rows: of numbers, dates and
/// times, all of which are known.
pub(super) fn extreme_numbers(
    values: &Column,
    groups: &Groups,
    max: bool,
) -> PolarsResult<Option<Column>> {
    use DataType as D;
    let dtype = values.dtype();
    let is_number = dtype.is_primitive_numeric() || dtype.is_temporal();
    if !is_number || values.has_nulls() || values.is_empty() {
        return Ok(None);
    }
    macro_rules! extremes {
        ($values:expr) => {{
            let values = $values;
            let firsts = groups.firsts.iter().map(|&row| values.get(row as usize));
            let mut best: Vec<_> = firsts.map(Option::unwrap_or_default).collect();
            fold::each(values, &groups.of_row, |group, value| {
                let best = &mut best[group];
                let is_better = if max { best.nan_min_lt(&value) } else { value.nan_max_lt(best) };
                *best = if is_better { value } else { *best };
            });
            Series::new(PlSmallStr::EMPTY, best).into_column()
        }};
    }
    let physical = values.to_physical_repr();
    let physical = physical.as_materialized_series();
    let best = match physical.dtype() {
        D::Int32 => extremes!(physical.i32()?),
        D::Int64 => extremes!(physical.i64()?),
        D::UInt32 => extremes!(physical.u32()?),
        D::Float32 => extremes!(physical.f32()?),
        D::Float64 => extremes!(physical.f64()?),
        _ => return Ok(None),
    };
    best.cast(dtype).map(Some)
}

/// The row of each group whose value no other is `better` than.
fn find<T: Copy>(
    values: impl Iterator<Item = Option<T>>,
    groups: &Groups,
    empty: T,
    better: impl Fn(&T, &T) -> bool,
) -> Vec<IdxSize> {
    let mut best = vec![(empty, NONE); groups.len()];
    for (row, (&group, value)) in groups.of_row.iter().zip(values).enumerate() {
        let Some(value) = value else { continue };
        let best = &mut best[group as usize];
        if best.1 == NONE || better(&value, &best.0) {
            *best = (value, row as IdxSize);
        }
    }
    best.into_iter().map(|(_, row)| row).collect()
}
