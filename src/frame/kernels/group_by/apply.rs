//! Functions of the user of all rows of a group.

use polars_core::prelude::{Column, DataFrame, PlSmallStr, PolarsResult};

use super::{Groups, pick};

/// What `function` returns for each group, in the order in which the groups first appear.
pub(crate) fn apply_to_groups(
    rows: &DataFrame,
    keys: &[PlSmallStr],
    function: impl Fn(DataFrame) -> PolarsResult<DataFrame>,
) -> PolarsResult<DataFrame> {
    let keys: Vec<Column> = rows.select_to_vec(keys)?;
    let (order, offsets) = Groups::new(&keys, rows.height())?.sorted_rows();
    let columns = rows.columns().iter().map(|column| pick::take(column, &order));
    let sorted = DataFrame::new(rows.height(), columns.collect::<PolarsResult<_>>()?)?;
    let mut groups =
        offsets.windows(2).map(|ends| function(sorted.slice(ends[0] as i64, ends[1] - ends[0])));
    let mut all = groups.next().transpose()?.unwrap_or_else(|| rows.clear());
    for group in groups {
        all.vstack_mut_owned(group?)?;
    }
    Ok(all)
}
