//! Which partitions an as-of join has to look at.
//!
//! # Source
//! Dask's `pair_partitions`.

/// A right partition next to a left one, and the left keys for which it is the one: `lower..upper`, open where `None`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pair<T> {
    pub(crate) right: usize,
    pub(crate) lower: Option<T>,
    pub(crate) upper: Option<T>,
}

/// For each left partition, the right partitions that its keys fall into, in order.
///
/// Matches may also lie in neighbours of these: the last row before, the first row after.
pub(crate) fn pair_partitions<T: PartialOrd + Clone>(left: &[T], right: &[T]) -> Vec<Vec<Pair<T>>> {
    let (n, m) = (left.len().saturating_sub(1), right.len().saturating_sub(1));
    if m == 0 {
        return vec![Vec::new(); n];
    }
    let mut pairs = Vec::with_capacity(n);
    for i in 0..n {
        let closed = i + 1 == n;
        // The right partition that holds the first key: the last that begins at or before it.
        let mut j = right[..m].partition_point(|r| *r <= left[i]).saturating_sub(1);
        let mut row = Vec::new();
        loop {
            let lower = (right[j] > left[i] && !row.is_empty()).then(|| right[j].clone());
            let ends_inside = j + 1 < m
                && (right[j + 1] < left[i + 1] || (closed && right[j + 1] == left[i + 1]));
            let upper = ends_inside.then(|| right[j + 1].clone());
            row.push(Pair { right: j, lower, upper });
            if !ends_inside {
                break;
            }
            j += 1;
        }
        pairs.push(row);
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn left_keys_before_all_right_ones_meet_the_first_partition() {
        let pairs = pair_partitions(&[0, 1, 2], &[10, 20, 30]);
        assert_eq!(pairs, vec![vec![Pair { right: 0, lower: None, upper: None }]; 2]);
        assert_eq!(pair_partitions(&[0, 1], &[]), [vec![]]);
    }
}
