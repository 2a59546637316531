//! Chooses the steps from old chunks to new ones.
//!
//! Going from rows to columns in one step makes a task for each pair of blocks. Going through
//! chunks in between can need far fewer, at the price of moving the data more often.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::array::chunks::axis::AxisChunks;
use crate::array::chunks::grid::Chunks;
use crate::array::chunks::limit::MAX_LISTED;
use crate::array::chunks::split::near_equal;

/// A step may have this many tasks for each block of old and new chunks, unless told otherwise.
pub(crate) const THRESHOLD: u64 = 4;
/// Passes after which chunks in between have long stopped to pay.
const MAX_PASSES: usize = 100;

/// The chunks to go through, of which the last are `new`.
///
/// No block in between is larger than `block_bytes` or the largest old or new block, whichever is
/// greatest. Steps are added while one step would have more than `threshold` tasks a block.
///
/// # Source
/// Dask, `plan_rechunk`.
pub(crate) fn plan_rechunk(
    old: &Chunks,
    new: &Chunks,
    itemsize: u64,
    threshold: u64,
    block_bytes: u64,
) -> Vec<Chunks> {
    let mut steps = steps_between(old, new, itemsize, threshold, block_bytes).unwrap_or_default();
    steps.push(new.clone());
    steps
}

/// Nothing if one step is the only way.
fn steps_between(
    old: &Chunks,
    new: &Chunks,
    itemsize: u64,
    threshold: u64,
    block_bytes: u64,
) -> Option<Vec<Chunks>> {
    let empty = old.shape().contains(&Some(0));
    if old.ndim() <= 1 || old.ndim() != new.ndim() || empty || has_huge_axis(old, new) {
        return None;
    }
    let limit = Limit::new(block_bytes, itemsize, old.max_block_len()?.max(new.max_block_len()?));
    let most_tasks =
        u128::from(threshold) * (u128::from(old.n_blocks()) + u128::from(new.n_blocks()));
    let mut steps = Vec::new();
    let mut current = old.clone();
    for pass in 0..MAX_PASSES {
        let tasks = n_tasks(&current, new);
        if tasks < most_tasks {
            break;
        }
        let cut = match pass {
            0 => current.clone(),
            // Blocks were too large to merge at once, so more tasks are accepted now for smaller
            // blocks, which merge better afterwards.
            _ => split(&current, new, tasks.saturating_mul(u128::from(threshold))),
        };
        let (next, limited) = merge(&cut, new, &limit);
        if next == *new || (next == current && pass > 0) {
            break;
        }
        if next != current {
            steps.push(next.clone());
        }
        current = next;
        if !limited {
            break;
        }
    }
    Some(steps)
}

/// Whether some axis has more blocks than may be listed; a plan for it would not help anyway.
pub(super) fn has_huge_axis(old: &Chunks, new: &Chunks) -> bool {
    old.axes().iter().chain(new.axes()).any(|axis| axis.n_blocks() > MAX_LISTED)
}

/// Tasks of one step, estimated from the number of boundaries.
pub(super) fn n_tasks(old: &Chunks, new: &Chunks) -> u128 {
    let along = |(old, new): (&AxisChunks, &AxisChunks)| match old == new {
        true => old.n_blocks(),
        false => old.n_blocks() + new.n_blocks() - 1,
    };
    old.axes().iter().zip(new.axes()).map(along).map(u128::from).fold(1, u128::saturating_mul)
}

/// The largest block in elements, as an exact fraction.
struct Limit {
    numerator: u128,
    denominator: u128,
}

impl Limit {
    fn new(block_bytes: u64, itemsize: u64, largest_block: u64) -> Self {
        let (bytes, itemsize) = (u128::from(block_bytes), u128::from(itemsize.max(1)));
        let largest = u128::from(largest_block);
        if bytes > largest * itemsize {
            Limit { numerator: bytes, denominator: itemsize }
        } else {
            Limit { numerator: largest, denominator: 1 }
        }
    }

    fn allows(&self, elements: u128) -> bool {
        elements.saturating_mul(self.denominator) <= self.numerator
    }

    /// How long blocks may be along an axis where they are `longest` now and have `big` elements.
    fn longest(&self, longest: u64, big: u128) -> u64 {
        let most = self.numerator.saturating_mul(u128::from(longest));
        let most = most / self.denominator.saturating_mul(big).max(1);
        u64::try_from(most).unwrap_or(u64::MAX).max(1)
    }
}

/// Longest block of an axis of known lengths, or 1 if all are empty.
fn longest(axis: &AxisChunks) -> u64 {
    axis.max_len().unwrap_or(0).max(1)
}

/// Takes new chunks along the axes where these are fewer, as far as blocks do not become too
/// large, those first that spare most tasks for their size. Whether the limit was hit, too.
fn merge(old: &Chunks, new: &Chunks, limit: &Limit) -> (Chunks, bool) {
    let mut axes = old.axes().to_vec();
    let mut big = axes.iter().map(|axis| u128::from(longest(axis))).fold(1, u128::saturating_mul);
    let mut limited = false;
    for i in merge_order(old, new) {
        let (from, to) = (&old.axes()[i], &new.axes()[i]);
        let merged = big.saturating_mul(longest(to).into()) / u128::from(longest(from));
        if limit.allows(merged) {
            axes[i] = to.clone();
            big = merged;
            continue;
        }
        limited = true;
        if let Some(part) = divide(to, limit.longest(longest(from), big), from.n_blocks()) {
            big = big.saturating_mul(longest(&part).into()) / u128::from(longest(from));
            axes[i] = part;
        }
    }
    (Chunks::new(axes), limited)
}

/// Axes with at most as many new blocks as old ones, by tasks spared for a larger block.
fn merge_order(old: &Chunks, new: &Chunks) -> Vec<usize> {
    let gain = |(i, (old, new)): (usize, (&AxisChunks, &AxisChunks))| {
        let tasks = new.n_blocks() as f64 / old.n_blocks() as f64;
        let size = longest(new) as f64 / longest(old) as f64;
        // Axes where blocks do not grow come first, whatever they spare.
        let size = if size == 1.0 { 1.0 + 1e-9 } else { size };
        (tasks <= 1.0).then(|| (i, tasks.ln() / size.ln()))
    };
    let pairs = old.axes().iter().zip(new.axes());
    let mut order: Vec<(usize, f64)> = pairs.enumerate().filter_map(gain).collect();
    order.sort_by(|(_, a), (_, b)| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    order.into_iter().map(|(i, _)| i).collect()
}

/// Cuts each block into near-equal parts of at most `width`, if that gives at most `most` blocks.
fn divide(axis: &AxisChunks, width: u64, most: u64) -> Option<AxisChunks> {
    let count = axis.sizes().map(|size| size.div_ceil(width).max(1)).fold(0, u64::saturating_add);
    if count > most {
        return None;
    }
    AxisChunks::from_size_iter(axis.sizes().flat_map(|size| near_equal(size, size.div_ceil(width))))
}

/// Cuts axes where new blocks are more, into new blocks merged to so many that one step has about
/// `most_tasks` tasks.
fn split(old: &Chunks, new: &Chunks, most_tasks: u128) -> Chunks {
    let mut axes = old.clone();
    for (i, (from, to)) in old.axes().iter().zip(new.axes()).enumerate() {
        let tasks = n_tasks(&axes, new);
        if tasks > most_tasks {
            break;
        }
        if from.n_blocks() > to.n_blocks() {
            continue;
        }
        let number = u128::from(from.n_blocks()).saturating_mul(most_tasks) / tasks.max(1);
        let cut = merge_to_number(to, u64::try_from(number).unwrap_or(u64::MAX));
        if cut.n_blocks() >= from.n_blocks() && longest(&cut) <= longest(from) {
            axes = axes.with_axis(i, cut);
        }
    }
    axes
}

/// Merges neighbours until there are at most `number` blocks, which stay about equal.
fn merge_to_number(axis: &AxisChunks, number: u64) -> AxisChunks {
    let n = axis.n_blocks();
    match axis {
        _ if n <= number || number == 0 => axis.clone(),
        AxisChunks::Uniform { len, size } if len % size == 0 => {
            // Each merged block has `each` blocks, and the first ones have one more.
            let (each, more) = (n / number, n % number);
            let sizes = (0..number).map(|i| size * (each + u64::from(i < more)));
            AxisChunks::from_size_iter(sizes).unwrap_or_else(|| axis.clone())
        }
        _ => merge_smallest(axis, n - number),
    }
}

/// Merges the two neighbours with the smallest sum, the left ones of equals, `times` times.
fn merge_smallest(axis: &AxisChunks, times: u64) -> AxisChunks {
    let mut sizes: Vec<Option<u64>> = axis.sizes().map(Some).collect();
    let sum = |sizes: &[Option<u64>], i: usize, j: usize| Some(sizes[i]? + sizes[j]?);
    let pairs = (1..sizes.len()).filter_map(|j| Some(Reverse((sum(&sizes, j - 1, j)?, j - 1, j))));
    let mut heap: BinaryHeap<Reverse<(u64, usize, usize)>> = pairs.collect();
    let mut left = times;
    while left > 0 {
        let Some(Reverse((width, i, mut j))) = heap.pop() else { break };
        // The right neighbour was merged into its own right one, or one of both has grown since.
        while sizes[j].is_none() {
            j += 1;
        }
        match sum(&sizes, i, j) {
            Some(now) if now == width => {
                (sizes[i], sizes[j]) = (None, Some(width));
                left -= 1;
            }
            Some(now) => heap.push(Reverse((now, i, j))),
            None => {}
        }
    }
    AxisChunks::from_size_iter(sizes.into_iter().flatten()).unwrap_or_else(|| axis.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rows_become_columns_through_squares() {
        let side = 1_000_000;
        let rows = Chunks::new([AxisChunks::uniform(side, 1000), AxisChunks::whole(side)]);
        let columns = Chunks::new([AxisChunks::whole(side), AxisChunks::uniform(side, 1000)]);
        let steps = plan_rechunk(&rows, &columns, 8, THRESHOLD, 16 << 30);
        assert!(steps.len() > 1 && steps.last() == Some(&columns), "{steps:?}");
    }

    #[test]
    fn few_blocks_go_in_one_step() {
        let (old, new) = (
            Chunks::whole(&[4, 4]),
            Chunks::new([AxisChunks::uniform(4, 2), AxisChunks::whole(4)]),
        );
        assert_eq!(plan_rechunk(&old, &new, 8, THRESHOLD, 1000), [new]);
    }

    #[test]
    fn huge_grids_are_planned_without_listing() {
        let old = Chunks::new([AxisChunks::uniform(1 << 61, 1), AxisChunks::whole(3)]);
        let new = Chunks::new([AxisChunks::uniform(1 << 61, 2), AxisChunks::uniform(3, 2)]);
        assert_eq!(plan_rechunk(&old, &new, 8, THRESHOLD, 1000), [new]);
    }

    proptest! {
        #[test]
        fn no_block_in_between_is_too_large(
            axes in prop::collection::vec((1u64..60, 1u64..30, 1u64..30), 1..4), bytes in 1u64..5000,
        ) {
            let cut = |of: fn(&(u64, u64, u64)) -> AxisChunks| axes.iter().map(of).collect::<Chunks>();
            let (old, new) = (
                cut(|&(len, size, _)| AxisChunks::uniform(len, size)),
                cut(|&(len, _, size)| AxisChunks::uniform(len, size)),
            );
            let steps = plan_rechunk(&old, &new, 8, 2, bytes);
            prop_assert_eq!(steps.last(), Some(&new));
            let most = old.max_block_len().max(new.max_block_len()).unwrap().max(bytes / 8);
            for step in &steps {
                prop_assert!(step.same_shape(&old));
                prop_assert!(step.max_block_len().unwrap() <= most);
            }
        }
    }
}
