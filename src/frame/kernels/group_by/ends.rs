//! The first or the last rows of groups.

use polars_core::prelude::{BooleanChunked, DataFrame, IdxSize, PlSmallStr};

use super::Groups;
use crate::error::Result;
use crate::frame::kernels::sort::Limit;
use crate::frame::kernels::values_error;

/// The rows at one end of each group, in their order.
pub(crate) fn ends_of_groups(
    rows: &DataFrame,
    keys: &[PlSmallStr],
    end: Limit,
) -> Result<DataFrame> {
    let failed = || values_error("group_by");
    let keys = rows.select_to_vec(keys).map_err(failed())?;
    let groups = Groups::new(&keys, rows.height()).map_err(failed())?;
    let mut n_seen = vec![0; groups.len()];
    let mut is_kept = |&group: &IdxSize| {
        let n = &mut n_seen[group as usize];
        *n += 1;
        *n <= end.n_rows()
    };
    let mask: BooleanChunked = match end {
        Limit::First(_) => groups.of_row.iter().map(is_kept).collect(),
        Limit::Last(_) => {
            let mut mask: Vec<bool> = groups.of_row.iter().rev().map(&mut is_kept).collect();
            mask.reverse();
            mask.into_iter().collect()
        }
    };
    rows.filter_seq(&mask).map_err(failed())
}
