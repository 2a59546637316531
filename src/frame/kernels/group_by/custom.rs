//! The groups of aggregations of the user, one call each.

use polars_core::prelude::{Column, PolarsResult};

use super::{Groups, pick};

/// The values of each group, in the order of the rows.
pub(super) fn groups(
    values: &Column,
    groups: &Groups,
) -> PolarsResult<impl Iterator<Item = Column> + use<>> {
    let (rows, offsets) = groups.sorted_rows();
    let sorted = pick::take(values, &rows)?.with_name(values.name().clone());
    let ends: Vec<(usize, usize)> = offsets.windows(2).map(|ends| (ends[0], ends[1])).collect();
    Ok(ends.into_iter().map(move |(first, end)| sorted.slice(first as i64, end - first)))
}
