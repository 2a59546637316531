//! Sums of squared distances from the mean, and of products of two, which variances and covariances are made of.
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

/// The products of the distances of two inputs from their means, of rows in which both have a value.
pub(super) fn co_spread(
    values: [&Column; 2],
    counts: &Column,
    totals: [&Column; 2],
    groups: &Groups,
) -> PolarsResult<Column> {
    let [x, y] = [as_floats(values[0])?, as_floats(values[1])?];
    let means = |totals: &Column| -> PolarsResult<Vec<f64>> {
        let sums = totals.f64()?.into_no_null_iter().zip(counts.u64()?.into_no_null_iter());
        Ok(sums.map(|(total, count)| total / count as f64).collect())
    };
    let [x_means, y_means] = [means(totals[0])?, means(totals[1])?];
    let mut spreads = vec![0.0; groups.len()];
    for ((&group, x), y) in groups.of_row.iter().zip(x.iter()).zip(y.iter()) {
        if let (Some(x), Some(y)) = (x, y) {
            let group = group as usize;
            spreads[group] += (x - x_means[group]) * (y - y_means[group]);
        }
    }
    Ok(Float64Chunked::from_vec(PlSmallStr::EMPTY, spreads).into_column())
}

/// [`merge`] of products of two inputs.
pub(super) fn merge_co(
    spreads: &Column,
    counts: &Column,
    totals: [&Column; 2],
    groups: &Groups,
) -> PolarsResult<Column> {
    let counts = counts.u64()?.into_no_null_iter().map(|count| count as f64);
    let [x, y] = [totals[0].f64()?.into_no_null_iter(), totals[1].f64()?.into_no_null_iter()];
    let states = counts.zip(x.zip(y)).zip(spreads.f64()?.into_no_null_iter());
    let mut merged = vec![(0.0, 0.0, 0.0, 0.0); groups.len()];
    for (&group, ((n, (x, y)), spread)) in groups.of_row.iter().zip(states) {
        let (all_n, all_x, all_y, all_spread) = &mut merged[group as usize];
        if n > 0.0 {
            if *all_n > 0.0 {
                let distances = (x / n - *all_x / *all_n) * (y / n - *all_y / *all_n);
                *all_spread += distances * (n * *all_n / (n + *all_n));
            }
            *all_n += n;
            *all_x += x;
            *all_y += y;
            *all_spread += spread;
        }
    }
    let spreads = merged.into_iter().map(|(.., spread)| spread).collect();
    Ok(Float64Chunked::from_vec(PlSmallStr::EMPTY, spreads).into_column())
}
