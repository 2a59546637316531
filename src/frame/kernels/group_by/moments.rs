//! Sums of squared distances from the mean, which variances are made of.
//!
//! Never from sums of squares: the difference of two large numbers has no digits left where values are far from zero.

use polars_core::prelude::*;

use super::Groups;
use super::fold::{as_floats, each};

/// Of values, whose counts and sums by group have been found in a pass before.
pub(super) fn spread(
    values: &Column,
    counts: &Column,
    totals: &Column,
    groups: &Groups,
) -> PolarsResult<Column> {
    let counts = counts.u64()?.into_no_null_iter();
    let means = totals.f64()?.into_no_null_iter().zip(counts);
    let means: Vec<f64> = means.map(|(total, count)| total / count as f64).collect();
    let mut spreads = vec![0.0; groups.len()];
    each(as_floats(values)?.as_ref(), &groups.of_row, |group, value| {
        let distance = value - means[group];
        spreads[group] += distance * distance;
    });
    Ok(Float64Chunked::from_vec(PlSmallStr::EMPTY, spreads).into_column())
}

/// Of states, from top to bottom.
///
/// # Source
/// T. F. Chan, G. H. Golub and R. J. LeVeque, *Updating formulae and a pairwise algorithm for computing sample
/// variances*, 1979.
pub(super) fn merge(
    spreads: &Column,
    counts: &Column,
    totals: &Column,
    groups: &Groups,
) -> PolarsResult<Column> {
    let counts = counts.u64()?.into_no_null_iter().map(|count| count as f64);
    let states = counts.zip(totals.f64()?.into_no_null_iter());
    let states = states.zip(spreads.f64()?.into_no_null_iter());
    let mut merged = vec![(0.0, 0.0, 0.0); groups.len()];
    for (&group, ((n, total), spread)) in groups.of_row.iter().zip(states) {
        let (all_n, all_total, all_spread) = &mut merged[group as usize];
        if n > 0.0 {
            if *all_n > 0.0 {
                let distance = total / n - *all_total / *all_n;
                *all_spread += distance * distance * (n * *all_n / (n + *all_n));
            }
            *all_n += n;
            *all_total += total;
            *all_spread += spread;
        }
    }
    let spreads = merged.into_iter().map(|(_, _, spread)| spread).collect();
    Ok(Float64Chunked::from_vec(PlSmallStr::EMPTY, spreads).into_column())
}
