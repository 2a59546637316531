//! Which groups of positions the blocks along some axes have, and in which steps their partial results are combined.
//!
//! A block makes one partial result for each group that it has, and each block of the result is combined of the
//! partial results of those blocks that have one of its groups. So where each group is in every block there is a
//! tree, where groups are runs of neighbours a block of the result reads a few blocks, and between the two the
//! blocks that have the same groups come together by themselves.
//!
//! # Source
//! flox, "Parallel algorithms": `map-reduce` and `cohorts`, of which this is both.

use std::ops::Range;
use std::sync::Arc;

use super::Chunks;
use super::axis::AxisChunks;

/// The code of a position that is in no group.
pub(crate) const NO_GROUP: u32 = u32::MAX;

/// One step of combining: the blocks of the step before that each block reads, and of which groups.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GroupStep {
    pub(crate) reads: Arc<[Box<[u64]>]>,
    /// The groups of each block, from inclusive to exclusive.
    pub(crate) groups: Arc<[Range<u32>]>,
    /// The most groups that one block has.
    pub(crate) n_groups_max: u64,
}

/// The groups that each block of `axes` has, ascending, in row-major order of the blocks.
///
/// `codes` are the groups of the positions, in C order; lengths must be known.
pub(crate) fn groups_of_blocks(axes: &[AxisChunks], codes: &[u32]) -> Vec<Vec<u32>> {
    let chunks = Chunks::new(axes);
    let n_blocks = chunks.n_blocks();
    let mut found = vec![Vec::new(); n_blocks as usize];
    let lens: Vec<u64> = axes.iter().map(|axis| axis.len().unwrap_or(0)).collect();
    let mut index = vec![0; axes.len()];
    let mut last = None;
    for &code in codes {
        if code != NO_GROUP {
            let block = axes.iter().zip(&index).map(|(axis, &at)| axis.block_at(at));
            let block = axes.iter().zip(block).fold(0, |n, (axis, i)| n * axis.n_blocks() + i);
            // Neighbours often are in the same group.
            if last != Some((block, code)) {
                found[block as usize].push(code);
                last = Some((block, code));
            }
        }
        for axis in (0..index.len()).rev() {
            index[axis] += 1;
            if index[axis] < lens[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    for groups in &mut found {
        groups.sort_unstable();
        groups.dedup();
    }
    found
}

/// The steps from the partial results of blocks, which have the groups `of_blocks`, to blocks of the `cuts` of the groups.
///
/// A block combines `fan_in` others at most, and the last step makes the result.
pub(crate) fn group_steps(
    of_blocks: &[Vec<u32>],
    cuts: &AxisChunks,
    fan_in: u64,
) -> Vec<GroupStep> {
    let cuts: Vec<Range<u32>> = (0..cuts.n_blocks())
        .filter_map(|i| cuts.block_range(i))
        .map(|range| range.start as u32..range.end as u32)
        .collect();
    // For each block of the result, what is to be combined to it.
    let mut waiting: Vec<Vec<u64>> = vec![Vec::new(); cuts.len()];
    for (block, groups) in of_blocks.iter().enumerate() {
        let mut of_block: Vec<usize> =
            groups.iter().map(|group| cuts.partition_point(|cut| cut.end <= *group)).collect();
        of_block.dedup();
        of_block.into_iter().for_each(|cut| waiting[cut].push(block as u64));
    }
    let n_groups_max = cuts.iter().map(|cut| u64::from(cut.end - cut.start)).max().unwrap_or(0);
    let fan_in = usize::try_from(fan_in.max(2)).unwrap_or(usize::MAX);
    let mut steps = Vec::new();
    loop {
        let is_last = waiting.iter().all(|blocks| blocks.len() <= fan_in);
        let (mut reads, mut groups) = (Vec::new(), Vec::new());
        for (blocks, cut) in waiting.iter_mut().zip(&cuts) {
            let first = reads.len() as u64;
            match blocks.is_empty() {
                // Groups that no block has are taken from any of them.
                true if is_last => reads.push([0].into()),
                true => {}
                false => reads.extend(blocks.chunks(fan_in).map(Box::from)),
            }
            *blocks = (first..reads.len() as u64).collect();
            groups.resize(reads.len(), cut.clone());
        }
        steps.push(GroupStep { reads: reads.into(), groups: groups.into(), n_groups_max });
        if is_last {
            return steps;
        }
    }
}

/// How `n` groups are cut into blocks of the result, if the blocks of the array have the groups `of_blocks`.
///
/// A result of more than `usual` groups is cut where no block has groups on both sides, so that partial results are read
/// once and go away; neighbours stay together up to `usual`. Where blocks leave no such place, each has `most`.
pub(crate) fn group_cuts(of_blocks: &[Vec<u32>], n: u64, usual: u64, most: u64) -> AxisChunks {
    let uniform = AxisChunks::uniform(n, most.clamp(1, n.max(1)));
    if n <= usual.min(most) {
        return uniform;
    }
    let spans = of_blocks.iter().filter_map(|groups| Some((*groups.first()?, *groups.last()?)));
    let mut spans: Vec<(u32, u32)> = spans.collect();
    spans.sort_unstable();
    let (mut places, mut end) = (Vec::new(), 0);
    for (first, last) in spans {
        if first > end {
            places.push(u64::from(first));
        }
        end = end.max(last);
    }
    let (mut sizes, mut start, mut place) = (Vec::new(), 0, 0);
    for next in places.into_iter().chain([n]) {
        if next - start > usual && place > start {
            sizes.push(place - start);
            start = place;
        }
        place = next;
    }
    sizes.push(n - start);
    let fits = sizes.iter().all(|size| *size <= most);
    fits.then(|| AxisChunks::from_sizes(&sizes)).flatten().unwrap_or(uniform)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn runs_read_their_own_blocks() {
        // Four groups of three positions in blocks of four.
        let codes: Vec<u32> = (0..12).map(|i| i / 3).collect();
        let blocks = groups_of_blocks(&[AxisChunks::uniform(12, 4)], &codes);
        assert_eq!(blocks, [vec![0, 1], vec![1, 2], vec![2, 3]]);
        let steps = group_steps(&blocks, &group_cuts(&blocks, 4, 1, 2), 8);
        assert_eq!(steps.len(), 1);
        assert_eq!(*steps[0].reads, [Box::from([0, 1]), Box::from([1, 2])]);
    }

    #[test]
    fn groups_that_are_everywhere_make_a_tree() {
        let codes: Vec<u32> = (0..64).map(|i| i % 2).collect();
        let blocks = groups_of_blocks(&[AxisChunks::uniform(64, 4)], &codes);
        let steps = group_steps(&blocks, &group_cuts(&blocks, 2, 2, 2), 4);
        let counts: Vec<usize> = steps.iter().map(|step| step.reads.len()).collect();
        assert_eq!(counts, [4, 1]);
    }

    #[test]
    fn cuts_are_where_blocks_end() {
        let cuts = |of_blocks: &[Vec<u32>], n, usual, most| -> Vec<u64> {
            group_cuts(of_blocks, n, usual, most).sizes().collect()
        };
        let days: Vec<u32> = (0..20).map(|day| day % 10).collect();
        // Two rounds of ten groups, in blocks of two: what is as large as an ordinary block stays together.
        let blocks = groups_of_blocks(&[AxisChunks::uniform(20, 2)], &days);
        assert_eq!(cuts(&blocks, 10, 2, 10), [2; 5]);
        assert_eq!(cuts(&blocks, 10, 5, 10), [4, 4, 2]);
        assert_eq!(cuts(&blocks, 10, 10, 10), [10]);
        assert_eq!(cuts(&blocks, 10, 1, 1), [1; 10]);
        // Blocks that all overlap, of which only the size says something.
        let blocks = groups_of_blocks(&[AxisChunks::uniform(20, 3)], &days);
        assert_eq!(cuts(&blocks, 10, 3, 6), [6, 4]);
        assert_eq!(cuts(&[], 0, 3, 6), [0]);
    }

    proptest! {
        #[test]
        fn every_partial_result_reaches_its_group_once(
            codes in prop::collection::vec(prop::option::of(0u32..9), 24),
            size in [1u64..7, 1..5], usual in 1u64..10, n_together in 1u64..10, fan_in in 2u64..5,
        ) {
            let axes = [AxisChunks::uniform(6, size[0]), AxisChunks::uniform(4, size[1])];
            let codes: Vec<u32> = codes.into_iter().map(|code| code.unwrap_or(NO_GROUP)).collect();
            let blocks = groups_of_blocks(&axes, &codes);
            let cuts = group_cuts(&blocks, 9, usual, n_together);
            prop_assert!(cuts.sizes().all(|size| (1..=n_together).contains(&size)));
            // Partial results as lists of (group, block).
            let mut have: Vec<Vec<(u32, usize)>> = blocks.iter().enumerate()
                .map(|(i, groups)| groups.iter().map(|&group| (group, i)).collect()).collect();
            for step in group_steps(&blocks, &cuts, fan_in) {
                prop_assert!(step.reads.iter().all(|reads| reads.len() as u64 <= fan_in));
                have = step.reads.iter().zip(step.groups.iter()).map(|(reads, groups)| {
                    let all = reads.iter().flat_map(|&block| have[block as usize].clone());
                    all.filter(|(group, _)| groups.contains(group)).collect()
                }).collect();
            }
            prop_assert_eq!(have.len() as u64, cuts.n_blocks());
            let mut got: Vec<_> = have.concat();
            got.sort_unstable();
            let mut want: Vec<_> = blocks.iter().enumerate()
                .flat_map(|(i, groups)| groups.iter().map(move |&group| (group, i))).collect();
            want.sort_unstable();
            prop_assert_eq!(got, want);
        }
    }
}
