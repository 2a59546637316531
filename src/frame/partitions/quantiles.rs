//! Divisions from samples of every partition: which percentiles to take, what they weigh, how samples
//! merge, and where to cut.
//!
//! # Source
//! Dask's `partitionquantiles`.

use std::cmp::Ordering;

/// The percentiles, from 0 to 100, to take of a partition of `length` rows.
///
/// They are many enough that the divisions of `n_new` partitions come out even, and a part of them is
/// `random` (draws in `0..1`), so that equal partitions do not all give the same values.
pub(crate) fn percentiles(
    n_old: usize,
    n_new: usize,
    length: usize,
    upsample: f64,
    mut random: impl FnMut() -> f64,
) -> Vec<f64> {
    let (n_fixed, n_random) = n_of_each(n_old, n_new, upsample);
    if n_fixed + n_random + 5 >= length {
        return (0..=length).map(|i| 100.0 * i as f64 / length.max(1) as f64).collect();
    }
    let edge = 60.0 / (n_fixed - 1) as f64;
    let mut all = vec![0.0, 100.0, edge, 100.0 - edge];
    all.extend((0..n_fixed).map(|i| 100.0 * i as f64 / (n_fixed - 1) as f64));
    all.extend((0..n_random).map(|_| 100.0 * random()));
    all.sort_by(f64::total_cmp);
    all.windows(2).map(|w| 0.5 * (w[0] + w[1])).collect()
}

/// How many percentiles are even, and how many random.
fn n_of_each(n_old: usize, n_new: usize, upsample: f64) -> (usize, usize) {
    let ratio = n_new as f64 / n_old.max(1) as f64;
    let random_share = 1.0 / (1.0 + (4.0 * ratio).sqrt());
    let n = upsample * ratio * (n_old as f64 + 22.0).powf(0.55);
    ((n * (1.0 - random_share)) as usize + 2, (n * random_share) as usize + 2)
}

/// How many [`percentiles`] are taken of a partition that has more rows.
pub(crate) fn n_percentiles(n_old: usize, n_new: usize) -> usize {
    let (n_fixed, n_random) = n_of_each(n_old, n_new, 1.0);
    n_fixed + n_random + 3
}

/// How many rows each percentile of a partition of `length` rows stands for, times 100.
pub(crate) fn weights(percentiles: &[f64], length: usize) -> Vec<f64> {
    let n = percentiles.len();
    let at = |i: usize| percentiles[i.min(n - 1)];
    (0..n).map(|i| 0.5 * length as f64 * (at(i + 1) - at(i.saturating_sub(1)))).collect()
}

/// Sorted different values, and what each weighs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sketch<T> {
    pub(crate) values: Vec<T>,
    pub(crate) weights: Vec<f64>,
}

/// Merges sorted sketches; equal values add their weights.
pub(crate) fn merge<T: PartialOrd>(sketches: impl IntoIterator<Item = Sketch<T>>) -> Sketch<T> {
    let sketches: Vec<Sketch<T>> = sketches.into_iter().collect();
    let n = sketches.iter().map(|sketch| sketch.values.len()).sum();
    let mut all: Vec<(T, f64)> = Vec::with_capacity(n);
    for sketch in sketches {
        all.extend(sketch.values.into_iter().zip(sketch.weights));
    }
    // A stable sort finds the sorted runs and merges them.
    all.sort_by(|a, b| a.0.partial_cmp(&b.0).unwrap_or(Ordering::Equal));
    let mut merged = Sketch { values: Vec::new(), weights: Vec::new() };
    for (value, weight) in all {
        match merged.weights.last_mut() {
            Some(last) if merged.values.last() == Some(&value) => *last += weight,
            _ => {
                merged.values.push(value);
                merged.weights.push(weight);
            }
        }
    }
    merged.values.shrink_to_fit();
    merged.weights.shrink_to_fit();
    merged
}

/// A value between two neighbours of a sketch: `part / whole` of the way from `below` to the next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Position {
    pub(crate) below: usize,
    pub(crate) part: f64,
    pub(crate) whole: f64,
}

/// Where a sketch is cut into `n` partitions of about equal weight: n + 1 values of it, by number, ascending.
///
/// Values that alone weigh as much as a partition are always cuts. With fewer values than cuts some
/// come twice.
pub(crate) fn cuts(weights: &[f64], n: usize) -> Vec<usize> {
    let m = weights.len();
    if m == 0 {
        return Vec::new();
    }
    if m <= n + 1 {
        let again = n + 1 - m;
        let mut picks: Vec<usize> = (0..m).collect();
        picks.extend((0..again).map(|i| i * (m - 1) / (again - 1).max(1)));
        picks.sort_unstable();
        return picks;
    }
    // A hair less than the target is rounding.
    let target = weights.iter().sum::<f64>() / n as f64 * (1.0 - 1e-12);
    let (mut picks, light): (Vec<usize>, Vec<usize>) = (0..m).partition(|&i| weights[i] >= target);
    let mut total = 0.0;
    let cumulated: Vec<f64> = light
        .iter()
        .map(|&i| {
            total += weights[i];
            total
        })
        .collect();
    let n_light = n - picks.len().min(n);
    for k in 0..=n_light {
        let aim = if k == n_light && n_light > 0 {
            total
        } else {
            total / n_light.max(1) as f64 * k as f64
        };
        let left = cumulated.partition_point(|&w| w < aim);
        let right = cumulated.partition_point(|&w| w <= aim).saturating_sub(1);
        picks.extend(light.get(left.min(right)));
    }
    picks.sort_unstable();
    picks
}

/// As [`cuts`] where the sketch has fewer values than cuts and something lies in between: numbers.
///
/// None if the sketch has enough values.
pub(crate) fn positions(weights: &[f64], n: usize) -> Option<Vec<Position>> {
    if weights.is_empty() || weights.len() > n {
        return None;
    }
    let mut total = 0.0;
    let cumulated: Vec<f64> = weights
        .iter()
        .map(|w| {
            total += w;
            total
        })
        .collect();
    let (first, last) = (cumulated[0], total);
    let step = (last - first) / n as f64;
    let position = |k: usize| {
        let aim = first + step * k as f64;
        let below = cumulated.partition_point(|&w| w <= aim).saturating_sub(1);
        if k == n || below + 1 == cumulated.len() {
            return Position { below: cumulated.len() - 1, part: 0.0, whole: 1.0 };
        }
        Position {
            below,
            part: aim - cumulated[below],
            whole: cumulated[below + 1] - cumulated[below],
        }
    };
    Some((0..=n).map(position).collect())
}

/// Leaves out divisions that repeat an earlier one, all but the last.
pub(crate) fn distinct<T: PartialEq>(mut divisions: Vec<T>) -> Vec<T> {
    let last = divisions.pop();
    divisions.dedup();
    divisions.extend(last);
    divisions
}

/// What is found of partitions that lie one after the other in the order of the key.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Presorted<T> {
    /// The partitions that have keys, in the order of the key.
    pub(crate) partitions: Vec<usize>,
    /// The ascending divisions around these.
    pub(crate) divisions: Vec<T>,
}

/// Finds out whether no row has to move to another partition for them to be sorted by key.
///
/// `bounds` has the smallest and the largest key of each partition, or nothing for one without rows. Keys
/// must not be null.
pub(crate) fn presorted<T: PartialOrd + Clone>(
    bounds: &[Option<(T, T)>],
    descending: bool,
) -> Option<Presorted<T>> {
    let mut known: Vec<(usize, &(T, T))> =
        bounds.iter().enumerate().filter_map(|(i, b)| Some((i, b.as_ref()?))).collect();
    if descending {
        known.reverse();
    }
    // Equal keys on both sides of a cut would be in two partitions.
    if !known.windows(2).all(|w| w[0].1.1 < w[1].1.0) {
        return None;
    }
    let last = known.last()?.1.1.clone();
    let divisions = known.iter().map(|(_, b)| b.0.clone()).chain([last]).collect();
    Some(Presorted { partitions: known.iter().map(|k| k.0).collect(), divisions })
}

/// The partition of a key; keys outside of the divisions go to the first or the last partition.
pub(crate) fn partition_of<T: PartialOrd>(divisions: &[T], key: &T) -> usize {
    let last = divisions.len().saturating_sub(2);
    divisions.partition_point(|d| d <= key).saturating_sub(1).min(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_without_rows_are_left_out() {
        let bounds = [Some((1, 2)), None, Some((3, 5)), None];
        let found = presorted(&bounds, false).unwrap();
        assert_eq!(found, Presorted { partitions: vec![0, 2], divisions: vec![1, 3, 5] });
        assert_eq!(presorted(&[Some((1, 3)), Some((3, 5))], false), None);
        assert_eq!(presorted(&[Some((3, 5)), Some((1, 2))], true).unwrap().divisions, [1, 3, 5]);
        assert_eq!(presorted::<i32>(&[None], false), None);
    }

    #[test]
    fn one_value_can_be_cut_into_any_number() {
        assert_eq!(cuts(&[5.0], 3), [0, 0, 0, 0]);
        assert_eq!(cuts(&[], 3), [0; 0]);
        assert_eq!(positions(&[5.0], 2).unwrap().len(), 3);
        assert_eq!(weights(&[], 3), [0.0; 0]);
    }
}
