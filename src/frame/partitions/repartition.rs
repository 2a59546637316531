//! Fewer, more, or other partitions.
//!
//! # Source
//! Dask's `repartition` and `from_pandas`, in exact arithmetic where Dask uses floats.

use std::ops::Range;

/// The bounds of `n_new <= n_old` runs of old partitions: new partition i is `b[i]..b[i + 1]`.
pub(crate) fn fewer(n_old: usize, n_new: usize) -> Vec<usize> {
    even(n_old, n_new)
}

/// Into how many pieces each old partition is cut to get `n_new >= n_old` of them.
pub(crate) fn more(n_old: usize, n_new: usize) -> Vec<usize> {
    let mut splits = vec![n_new / n_old.max(1); n_old];
    if let Some(last) = splits.last_mut() {
        *last += n_new % n_old;
    }
    splits
}

/// The bounds of `k` even pieces of `rows` rows.
pub(crate) fn even(rows: usize, k: usize) -> Vec<usize> {
    (0..=k).map(|i| even_bound(rows, k, i)).collect()
}

/// The rows of piece `i` of `k` even pieces of `rows` rows.
pub(crate) fn even_piece(rows: usize, k: usize, i: usize) -> Range<usize> {
    even_bound(rows, k, i)..even_bound(rows, k, i + 1)
}

fn even_bound(rows: usize, k: usize, i: usize) -> usize {
    (i as u128 * rows as u128 / k.max(1) as u128) as usize
}

/// Cuts and joins partitions of these sizes towards `limit` bytes each; cuts them into larger pieces if there were more than
/// `n_max` otherwise.
///
/// Returns into how many even pieces each partition is cut, and the bounds of the runs of pieces that
/// are joined again.
pub(crate) fn by_size(bytes: &[u64], limit: u64, n_max: usize) -> (Vec<usize>, Vec<usize>) {
    let all = bytes.iter().copied().fold(0, u64::saturating_add);
    let n_cuts_max = n_max.saturating_sub(bytes.len()).max(1) as u64;
    let limit = limit.max(1);
    let piece = limit.max(all.div_ceil(n_cuts_max));
    let splits: Vec<usize> = bytes.iter().map(|b| 1 + (b / piece) as usize).collect();
    let (mut bounds, mut sum, mut piece) = (vec![0], 0.0, 0);
    for (&bytes, &n) in bytes.iter().zip(&splits) {
        let share = bytes as f64 / n as f64;
        for _ in 0..n {
            if sum + share > limit as f64 && piece > *bounds.last().expect("begins with 0") {
                bounds.push(piece);
                sum = 0.0;
            }
            sum += share;
            piece += 1;
        }
    }
    bounds.push(piece);
    (splits, bounds)
}

/// A number of which divisions can be interpolated.
pub(crate) trait Interpolate: PartialOrd + Copy {
    /// `self + (to - self) * numerator / denominator`, toward zero if it has to be an integer.
    fn between(self, to: Self, numerator: usize, denominator: usize) -> Self;
}

impl Interpolate for i64 {
    fn between(self, to: Self, numerator: usize, denominator: usize) -> Self {
        let (n, d) = (numerator as i128, denominator as i128);
        let span = i128::from(to) - i128::from(self);
        ((i128::from(self) * d + span * n) / d) as i64
    }
}

impl Interpolate for f64 {
    fn between(self, to: Self, numerator: usize, denominator: usize) -> Self {
        self + (to - self) * (numerator as f64 / denominator as f64)
    }
}

/// Divisions for `n_new` partitions, interpolated between the old ones.
///
/// There may be fewer, as equal ones are left out.
pub(crate) fn interpolate<T: Interpolate>(old: &[T], n_new: usize) -> Vec<T> {
    let mut points = old.to_vec();
    points.dedup();
    let (Some(&first), Some(&last)) = (points.first(), points.last()) else { return Vec::new() };
    let steps = points.len() - 1;
    let mut new: Vec<T> = Vec::with_capacity(n_new + 1);
    new.push(first);
    for i in 1..n_new {
        // Point i lies at i * steps / n_new.
        let (whole, rest) = (i * steps / n_new, i * steps % n_new);
        let value = match points.get(whole + 1) {
            Some(&next) => points[whole].between(next, rest, n_new),
            None => last,
        };
        if new.last() != Some(&value) {
            new.push(value);
        }
    }
    new.push(last);
    new
}

/// The rows of an old partition whose keys are in `low..high`, or `low..=high` if `closed`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Piece<T> {
    pub(crate) partition: usize,
    pub(crate) low: T,
    pub(crate) high: T,
    pub(crate) closed: bool,
}

/// Why old divisions can't become new ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Differs {
    /// The first division of both must be equal; with `force`, the new one may be smaller.
    Left,
    /// The last division of both must be equal; with `force`, the new one may be larger.
    Right,
}

/// The pieces of old partitions of which each new partition is made, in order.
pub(crate) fn by_divisions<T: PartialOrd + Clone>(
    old: &[T],
    new: &[T],
    force: bool,
) -> Result<Vec<Vec<Piece<T>>>, Differs> {
    let ends = |d: &[T]| d.first().cloned().zip(d.last().cloned());
    let (Some((old_first, old_last)), Some((new_first, new_last))) = (ends(old), ends(new)) else {
        return Err(Differs::Left);
    };
    if old_first < new_first || (!force && old_first != new_first) {
        return Err(Differs::Left);
    }
    if old_last > new_last || (!force && old_last != new_last) {
        return Err(Differs::Right);
    }
    let n_new = new.len().saturating_sub(1);
    let mut pieces = vec![Vec::new(); n_new];
    let mut j = 0;
    for (i, bounds) in old.windows(2).enumerate() {
        let closed_old = i + 2 == old.len();
        // The first new partition that ends after this old one begins; both walks only go forward.
        while j + 1 < n_new && new[j + 1] <= bounds[0] {
            j += 1;
        }
        for (k, pieces) in pieces.iter_mut().enumerate().skip(j) {
            // A key on a bound belongs to the partition that begins there; only the last one has its end.
            let begins_after = new[k] > bounds[1] || (new[k] == bounds[1] && !closed_old);
            if begins_after && k > j {
                break;
            }
            let low = if new[k] > bounds[0] { new[k].clone() } else { bounds[0].clone() };
            let closed_new = k + 1 == n_new;
            let (high, closed) = if new[k + 1] < bounds[1] {
                (new[k + 1].clone(), closed_new)
            } else if new[k + 1] == bounds[1] {
                (bounds[1].clone(), closed_old && closed_new)
            } else {
                (bounds[1].clone(), closed_old)
            };
            if low < high || (closed && low == high) {
                pieces.push(Piece { partition: i, low, high, closed });
            }
        }
    }
    Ok(pieces)
}

/// Ranges of about as many rows, `n` of them if there are enough different values, of sorted values of which none is in two
/// ranges.
pub(crate) fn sorted_ranges<T: PartialOrd>(values: &[T], n: usize) -> Vec<Range<usize>> {
    // Where each different value begins.
    let runs: Vec<usize> =
        (0..values.len()).filter(|&i| i == 0 || values[i - 1] < values[i]).collect();
    let n = n.max(1);
    let (rows, extra) = (values.len() / n, values.len() % n);
    let size = |i: usize| (rows + usize::from(i < extra)) as isize;
    let (mut starts, mut drift, mut at) = (Vec::new(), 0, 0);
    while at < values.len() {
        let mut run = runs.partition_point(|&r| r <= at) - 1;
        if let Some(&last) = starts.last() {
            if runs[run] <= last {
                // The value began a piece already: go on to the next one.
                run += 1;
            }
            // Leave enough different values for the pieces that are to come.
            let missing = n.saturating_sub(starts.len());
            if runs.len() >= n {
                run = run.min(runs.len() - missing);
            }
            if run == runs.len() {
                break;
            }
            // What this piece has too many, later ones get fewer.
            drift += (runs[run] - last) as isize - size(starts.len() - 1);
        }
        starts.push(runs[run]);
        at = runs[run] + (size(starts.len() - 1) - drift).max(1) as usize;
    }
    starts.push(values.len());
    starts.windows(2).map(|w| w[0]..w[1]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_interpolated_without_overflow() {
        let new = interpolate(&[i64::MIN, i64::MAX], 4);
        assert_eq!(new, [i64::MIN, i64::MIN / 2, 0, i64::MAX / 2, i64::MAX]);
        assert_eq!(interpolate(&[3_i64, 3], 4), [3, 3]);
        assert!(interpolate::<i64>(&[], 4).is_empty());
    }

    #[test]
    fn sizes_never_make_empty_partitions() {
        assert_eq!(by_size(&[0, 0, 0], 0, 9), (vec![1, 1, 1], vec![0, 3]));
        assert_eq!(by_size(&[10, 1], 4, 9).0, [3, 1]);
        assert_eq!(by_size(&[], 4, 9), (vec![], vec![0, 0]));
        // No more than nine pieces, and no cuts at all where there are more before.
        assert_eq!(by_size(&[1000, 100], 1, 9).0, [7, 1]);
        assert_eq!(by_size(&[1000, 100], 1, 1), (vec![1, 1], vec![0, 1, 2]));
    }

    #[test]
    fn equal_values_stay_together() {
        assert_eq!(sorted_ranges(&[1, 1, 1, 1], 3).len(), 1);
        assert!(sorted_ranges(&[0; 0], 3).is_empty());
        assert_eq!(sorted_ranges(&[1, 2, 2, 3], 3), [0..1, 1..3, 3..4]);
    }

    #[test]
    fn a_last_partition_of_one_key_takes_the_end() {
        let pieces = by_divisions(&[1, 5], &[1, 5, 5], false).unwrap();
        assert_eq!(pieces[0], [Piece { partition: 0, low: 1, high: 5, closed: false }]);
        assert_eq!(pieces[1], [Piece { partition: 0, low: 5, high: 5, closed: true }]);
        assert_eq!(by_divisions(&[1, 5], &[2, 5], true), Err(Differs::Left));
        assert_eq!(by_divisions(&[1, 5], &[1, 4], true), Err(Differs::Right));
    }
}
