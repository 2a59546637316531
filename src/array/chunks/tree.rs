//! Trees of reductions: which blocks are combined with which, in rounds.

/// How many neighbouring blocks one step of a reduction combines.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum SplitEvery {
    /// Four blocks in all.
    #[default]
    Default,
    /// This many blocks in all, shared between the reduced axes.
    Blocks(u64),
    /// This many blocks along an axis; two along an axis that is not named.
    PerAxis(Vec<(usize, u64)>),
}

/// How many blocks are combined along each of `axes`, as `(axis, fan-in)`.
///
/// The fan-in is at least 2, because a tree with less would never end.
///
/// # Source
/// Dask, `_tree_reduce`.
pub(crate) fn fan_in(split_every: &SplitEvery, axes: &[usize]) -> Vec<(usize, u64)> {
    let of = |axis: usize| match split_every {
        SplitEvery::Default => root(4, axes.len()),
        SplitEvery::Blocks(blocks) => root(*blocks, axes.len()),
        SplitEvery::PerAxis(entries) => {
            entries.iter().find(|(other, _)| *other == axis).map_or(2, |(_, blocks)| *blocks)
        }
    };
    axes.iter().map(|&axis| (axis, of(axis).max(2))).collect()
}

/// The largest whole number of which the `degree`th power is at most `n`.
fn root(n: u64, degree: usize) -> u64 {
    let degree = u32::try_from(degree.max(1)).unwrap_or(u32::MAX);
    let fits = |base: u64| base.checked_pow(degree).is_some_and(|power| power <= n);
    // The float is at most a few off, and only whole numbers decide.
    let mut base = (n as f64).powf(1.0 / f64::from(degree)) as u64;
    while !fits(base) && base > 0 {
        base -= 1;
    }
    while base < u64::MAX && fits(base + 1) {
        base += 1;
    }
    base
}

/// The grids of blocks before the first round, between rounds and after the last.
///
/// The last round also finishes the reduction, so there is always one, even for a single block.
/// Dask takes a float logarithm for the number of rounds and may get one too many.
pub(crate) fn rounds(grid: &[u64], fan_in: &[(usize, u64)]) -> Vec<Vec<u64>> {
    let mut rounds = vec![grid.to_vec()];
    loop {
        let mut next = rounds[rounds.len() - 1].clone();
        for &(axis, k) in fan_in {
            if let Some(n) = next.get_mut(axis) {
                *n = n_groups(*n, k);
            }
        }
        let done = fan_in.iter().all(|&(axis, _)| next.get(axis).is_none_or(|&n| n <= 1));
        rounds.push(next);
        if done {
            return rounds;
        }
    }
}

/// Number of groups of up to `k` blocks that `n` blocks make.
pub(crate) fn n_groups(n: u64, k: u64) -> u64 {
    n.div_ceil(k.max(2)).max(1)
}

/// The blocks, of `n`, that are combined into block `i` of the next round.
#[cfg(test)]
pub(crate) fn group(n: u64, k: u64, i: u64) -> std::ops::Range<u64> {
    let start = i.saturating_mul(k.max(2)).min(n);
    start..start.saturating_add(k.max(2)).min(n)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn exact_powers_need_no_extra_round() {
        let k = fan_in(&SplitEvery::Blocks(5), &[0]);
        assert_eq!(rounds(&[125], &k), [[125], [25], [5], [1]]);
        assert_eq!(rounds(&[1], &k), [[1], [1]]);
    }

    #[test]
    fn axes_share_the_fan_in() {
        assert_eq!(fan_in(&SplitEvery::Default, &[0, 2]), [(0, 2), (2, 2)]);
        assert_eq!(fan_in(&SplitEvery::Blocks(64), &[0, 1, 2]), [(0, 4), (1, 4), (2, 4)]);
        assert_eq!(fan_in(&SplitEvery::Blocks(u64::MAX), &[0]), [(0, u64::MAX)]);
        assert_eq!(fan_in(&SplitEvery::PerAxis(vec![(1, 1)]), &[0, 1]), [(0, 2), (1, 2)]);
    }

    proptest! {
        #[test]
        fn groups_partition_the_blocks(n in 1u64..200, k in 0u64..9) {
            let blocks: Vec<u64> = (0..n_groups(n, k)).flat_map(|i| group(n, k, i)).collect();
            prop_assert_eq!(blocks, (0..n).collect::<Vec<_>>());
        }

        #[test]
        fn roots_are_exact(n: u64, degree in 1usize..6) {
            let base = root(n, degree);
            prop_assert!(base.pow(degree as u32) <= n);
            prop_assert!((base + 1).checked_pow(degree as u32).is_none_or(|power| power > n));
        }
    }
}
