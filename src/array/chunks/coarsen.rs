//! Chunks that hold whole groups of neighbours.

use super::axis::AxisChunks;
use super::limit::MAX_LISTED;

/// Chunks of an axis whose lengths are multiples of `size`, all but the last: each block gives what is left over, and the
/// smallest of those that did get it back, group by group.
///
/// `None` if lengths are unknown, or there are too many blocks to list.
///
/// # Source
/// Dask, `coarsen`.
pub(crate) fn coarsen_chunks(axis: &AxisChunks, size: u64) -> Option<AxisChunks> {
    let len = axis.len()?;
    if axis.n_blocks() > MAX_LISTED {
        return None;
    }
    if axis.sizes().all(|n| n.is_multiple_of(size)) {
        return Some(axis.clone());
    }
    let old: Vec<u64> = axis.sizes().collect();
    let mut new: Vec<u64> = old.iter().map(|n| n - n % size).collect();
    let mut order: Vec<usize> = (0..old.len()).collect();
    order.sort_by_key(|&i| (new[i] == old[i], new[i]));
    let left = len - new.iter().sum::<u64>();
    // Each block left less than a group over, so there are fewer groups than blocks.
    for &i in order.iter().take((left / size) as usize) {
        new[i] += size;
    }
    new.push(left % size);
    AxisChunks::from_size_iter(new.into_iter().filter(|&n| n > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_over_goes_to_the_smallest_blocks() {
        let of = |sizes: &[u64], size| {
            let axis = coarsen_chunks(&AxisChunks::from_sizes(sizes).unwrap(), size).unwrap();
            axis.sizes().collect::<Vec<_>>()
        };
        assert_eq!(of(&[7, 1, 3, 4], 4), [4, 4, 4, 3]);
        assert_eq!(of(&[8, 4], 4), [8, 4]);
        assert_eq!(of(&[2], 4), [2]);
        assert_eq!(coarsen_chunks(&AxisChunks::unknown(2, 1), 2), None);
        assert_eq!(coarsen_chunks(&AxisChunks::uniform(1 << 62, 6), 3), None);
    }
}
