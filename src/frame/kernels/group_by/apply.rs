//! Functions of the user of all rows of a group.

use polars_core::prelude::{Column, DataFrame, PlSmallStr, PolarsResult};

use super::{Groups, pick};

/// So many results of groups are copied together, which small ones would take more memory than their rows without.
const PIECES_MAX: usize = 256;

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
    let mut some = all.clear();
    for group in groups {
        some.vstack_mut_owned(group?)?;
        if some.max_n_chunks() >= PIECES_MAX {
            some.rechunk_mut();
            let none = some.clear();
            all.vstack_mut_owned(std::mem::replace(&mut some, none))?;
        }
    }
    all.vstack_mut_owned(some)?;
    all.rechunk_mut();
    Ok(all)
}

#[cfg(test)]
mod tests {
    use polars_core::df;

    use super::*;

    #[test]
    fn results_of_many_groups_are_in_one_piece() {
        let keys: Vec<i64> = (0..2000).map(|i| i * 7 % 600).collect();
        let rows = df!["k" => &keys, "row" => (0..2000_i64).collect::<Vec<_>>()].unwrap();
        let first = |group: DataFrame| Ok(group.head(Some(1)));
        let firsts = apply_to_groups(&rows, &["k".into()], first).unwrap();
        assert!(firsts.equals(&rows.head(Some(600))));
        assert_eq!(firsts.max_n_chunks(), 1);
        let none = apply_to_groups(&rows.clear(), &["k".into()], first).unwrap();
        assert_eq!(none.shape(), (0, 2));
    }
}
