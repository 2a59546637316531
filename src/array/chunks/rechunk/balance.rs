//! Makes the blocks of an axis about equally long.

use crate::array::chunks::axis::AxisChunks;

/// Regular blocks in about the same number, with the least difference between the longest and the
/// shortest; the same chunks if there are none.
///
/// The number is one less where the shortest block is at most half of the longest, since that is
/// a remainder. Lengths between half of the median and one and a half are tried.
///
/// # Source
/// Dask, `_balance_chunksizes`. The best length is the shortest that gives the number of blocks,
/// so that we don't try each.
pub(crate) fn balance(axis: &AxisChunks) -> AxisChunks {
    balanced(axis).unwrap_or_else(|| axis.clone())
}

fn balanced(axis: &AxisChunks) -> Option<AxisChunks> {
    let len = axis.len()?;
    let remainder = axis.min_len()? <= axis.max_len()? / 2;
    let n = axis.n_blocks() - u64::from(remainder);
    let median = median_len(axis)?;
    let (low, high) = (median - median / 2, median.saturating_add(median / 2));
    if n == 0 || len == 0 {
        return None;
    }
    let size = len.div_ceil(n).max(low);
    (size <= high && len.div_ceil(size) == n).then(|| AxisChunks::uniform(len, size))
}

/// The whole part of the median length of the blocks.
fn median_len(axis: &AxisChunks) -> Option<u64> {
    // The first and the last block may be shorter, and three are more.
    if let (Some((_, size)), true) = (axis.regular(), axis.n_blocks() > 4) {
        return Some(size);
    }
    let mut sizes: Vec<u64> = axis.sizes().collect();
    sizes.sort_unstable();
    let middle = sizes.len() / 2;
    let upper = *sizes.get(middle)?;
    let lower = if sizes.len().is_multiple_of(2) { *sizes.get(middle - 1)? } else { upper };
    Some(lower + (upper - lower) / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(sizes: &[u64]) -> AxisChunks {
        AxisChunks::from_sizes(sizes).unwrap()
    }

    #[test]
    fn a_small_remainder_is_shared() {
        assert_eq!(balance(&AxisChunks::uniform(101, 25)), axis(&[26, 26, 26, 23]));
        assert_eq!(balance(&axis(&[3, 2, 1])), axis(&[3, 3]));
    }

    #[test]
    fn what_has_no_lengths_stays() {
        for chunks in
            [axis(&[0]), axis(&[0, 0]), AxisChunks::unknown(2, 1), AxisChunks::whole(u64::MAX)]
        {
            assert_eq!(balance(&chunks), chunks);
        }
    }
}
