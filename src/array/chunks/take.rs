//! Chunks of elements that are picked by position along one axis.

use super::axis::AxisChunks;
use super::grid::Chunks;
use super::limit::MAX_LISTED;
use super::windows::shrunk;

/// How much longer than the average input block an output block may be.
const TOLERANCE: f64 = 1.25;

/// What an output block of a take reads from one input block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct TakeSource {
    /// The input block.
    pub block: u64,
    /// Positions in the input block.
    pub from: Vec<u64>,
    /// For each of them the position in the output block; these ascend.
    pub to: Vec<u64>,
}

/// Chunks of `x[index]` along one axis: blocks of about the average length of the input's.
///
/// An index that selects everything in order keeps the chunks. `None` if lengths are unknown, a
/// position is past the end, or there are too many blocks to list.
///
/// # Source
/// Dask, `take` and `_shuffle`.
pub(crate) fn take_chunks(axis: &AxisChunks, index: &[u64]) -> Option<AxisChunks> {
    let len = axis.len()?;
    let n = index.len() as u64;
    if index.iter().any(|&position| position >= len) {
        return None;
    }
    if n == len && index.iter().copied().eq(0..len) {
        return Some(axis.clone());
    }
    even_chunks(axis, n)
}

/// Chunks of `n` elements, of about the average length of those of an axis.
pub(crate) fn even_chunks(axis: &AxisChunks, n: u64) -> Option<AxisChunks> {
    let len = axis.len()?;
    if n == 0 {
        return Some(AxisChunks::whole(0));
    }
    let group = (len / axis.n_blocks()).max(1);
    if n / group > MAX_LISTED {
        return None;
    }
    let most = (len as f64 / axis.n_blocks() as f64 * TOLERANCE) as u64;
    let groups = (0..n.div_ceil(group)).map(|i| group.min(n - i * group));
    AxisChunks::from_size_iter(packed(groups, most))
}

/// Chunks of an array whose positions along an axis are picked in groups of these lengths: no group is cut, and if one is
/// longer than a block, the other axes are cut instead. `None` if lengths are unknown, or there are too many blocks to list.
///
/// # Source
/// Dask, `shuffle`.
pub(crate) fn shuffle_chunks(chunks: &Chunks, axis: usize, groups: &[u64]) -> Option<Chunks> {
    let old = &chunks.axes()[axis];
    let most = (old.len()? as f64 / old.n_blocks() as f64 * TOLERANCE) as u64;
    let sizes = packed(groups.iter().copied().filter(|&n| n > 0), most);
    if sizes.len() as u64 > MAX_LISTED {
        return None;
    }
    let longest = groups.iter().copied().max().unwrap_or(0);
    let mut cut = chunks.clone();
    if longest as f64 > old.max_len()? as f64 * TOLERANCE {
        let others = (0..chunks.ndim()).filter(|&i| i != axis && chunks.axes()[i].is_known());
        cut = shrunk(chunks, cut.with_axis(axis, AxisChunks::whole(longest)), others.collect(), 1);
    }
    let new = AxisChunks::from_size_iter(sizes).unwrap_or_else(|| AxisChunks::whole(0));
    Some(cut.with_axis(axis, new))
}

/// Packs groups into blocks of at most `most` elements, unless a group itself has more.
fn packed(groups: impl Iterator<Item = u64>, most: u64) -> Vec<u64> {
    let mut sizes = Vec::new();
    let mut open = 0;
    for next in groups {
        if open > 0 && open + next > most {
            sizes.push(open);
            open = next;
            continue;
        }
        open += next;
        if open as f64 > most as f64 / TOLERANCE {
            sizes.push(open);
            open = 0;
        }
    }
    sizes.extend((open > 0).then_some(open));
    sizes
}

/// The places of a list by the block that each is in: the blocks, ascending, and of each its places in their order.
pub(crate) fn by_block(blocks: &[u64]) -> Vec<(u64, Vec<usize>)> {
    let (Some(&first), Some(&last)) = (blocks.iter().min(), blocks.iter().max()) else {
        return Vec::new();
    };
    let mut found: Vec<(u64, Vec<usize>)> = Vec::new();
    if (last - first) as usize >= blocks.len() / 4 {
        let mut order: Vec<(u64, usize)> = blocks.iter().copied().zip(0..).collect();
        order.sort_unstable();
        let groups = order.chunk_by(|a, b| a.0 == b.0);
        found.extend(groups.map(|of| (of[0].0, of.iter().map(|(_, place)| *place).collect())));
        return found;
    }
    // Where few blocks are between the first and the last, counting is several times faster than sorting.
    let mut counts = vec![0; (last - first) as usize + 1];
    blocks.iter().for_each(|block| counts[(block - first) as usize] += 1);
    let mut places: Vec<Vec<usize>> = counts.into_iter().map(Vec::with_capacity).collect();
    for (place, block) in blocks.iter().enumerate() {
        places[(block - first) as usize].push(place);
    }
    found.extend((first..).zip(places).filter(|(_, places)| !places.is_empty()));
    found
}

/// Where the elements of one output block come from, by ascending input block.
///
/// `index` is the part of the index that makes the block. `None` if a position is past the end.
pub(crate) fn take_sources(axis: &AxisChunks, index: &[u64]) -> Option<Vec<TakeSource>> {
    let len = axis.len()?;
    if index.iter().any(|position| *position >= len) {
        return None;
    }
    let blocks: Vec<u64> = index.iter().map(|&position| axis.block_at(position)).collect();
    let source = |(block, places): (u64, Vec<usize>)| {
        let start = axis.block_start(block)?;
        let from = places.iter().map(|&place| index[place] - start).collect();
        let to = places.into_iter().map(|place| place as u64).collect();
        Some(TakeSource { block, from, to })
    };
    by_block(&blocks).into_iter().map(source).collect()
}

/// The input blocks that one output block of a take reads, which is the first to take nothing of it.
pub(crate) fn take_blocks(axis: &AxisChunks, index: &[u64]) -> Option<Box<[u64]>> {
    let len = axis.len()?;
    if index.iter().any(|position| *position >= len) {
        return None;
    }
    // Neighbours often are in the same block.
    let mut blocks: Vec<u64> = Vec::new();
    let mut is_found = vec![false; axis.n_blocks().min(index.len() as u64) as usize];
    for block in index.iter().map(|&position| axis.block_at(position)) {
        match is_found.get_mut(block as usize) {
            Some(is_found) if *is_found => {}
            Some(is_found) => {
                *is_found = true;
                blocks.push(block);
            }
            None if blocks.last() == Some(&block) => {}
            None => blocks.push(block),
        }
    }
    blocks.sort_unstable();
    blocks.dedup();
    if blocks.is_empty() {
        blocks.push(0);
    }
    Some(blocks.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn positions_past_the_end_are_none() {
        assert_eq!(take_chunks(&AxisChunks::whole(3), &[3]), None);
        assert_eq!(take_sources(&AxisChunks::whole(3), &[3]), None);
        assert_eq!(take_chunks(&AxisChunks::whole(0), &[]), Some(AxisChunks::whole(0)));
    }

    #[test]
    fn places_are_found_by_block_near_and_far() {
        for far in [0, 1 << 60] {
            let found = by_block(&[5, 3, 5, far + 9, 3]);
            assert_eq!(found, [(3, vec![1, 4]), (5, vec![0, 2]), (far + 9, vec![3])]);
        }
        assert_eq!(by_block(&[]), []);
    }

    proptest! {
        #[test]
        fn sources_hold_every_position(
            sizes in prop::collection::vec(0u64..5, 1..6), picks in prop::collection::vec(0u64..99, 0..20),
        ) {
            let axis = AxisChunks::from_sizes(&sizes).unwrap();
            let len = axis.len().unwrap();
            let index: Vec<u64> = picks.iter().filter(|_| len > 0).map(|pick| pick % len).collect();
            let mut got = vec![None; index.len()];
            for source in take_sources(&axis, &index).unwrap() {
                let start = axis.block_start(source.block).unwrap();
                for (from, to) in source.from.iter().zip(source.to) {
                    got[to as usize] = Some(start + from);
                }
            }
            prop_assert_eq!(got, index.iter().copied().map(Some).collect::<Vec<_>>());
            prop_assert_eq!(take_chunks(&axis, &index).unwrap().len(), Some(index.len() as u64));
        }
    }
}
