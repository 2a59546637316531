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
    /// Positions in the input block, ascending.
    pub from: Vec<u64>,
    /// For each of them, the position in the output block.
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

/// Where the elements of one output block come from, by ascending input block.
///
/// `index` is the part of the index that makes the block. `None` if a position is past the end.
pub(crate) fn take_sources(axis: &AxisChunks, index: &[u64]) -> Option<Vec<TakeSource>> {
    let mut order: Vec<(u64, u64)> = index.iter().copied().zip(0..).collect();
    order.sort_unstable();
    let mut sources: Vec<TakeSource> = Vec::new();
    let mut range = 0..0;
    for (position, to) in order {
        if !range.contains(&position) {
            let block = axis.block_at(position);
            range = axis.block_range(block).filter(|range| range.contains(&position))?;
            sources.push(TakeSource { block, from: Vec::new(), to: Vec::new() });
        }
        let source = sources.last_mut()?;
        source.from.push(position - range.start);
        source.to.push(to);
    }
    Some(sources)
}

/// The input blocks that one output block of a take reads, which is the first to take nothing of it.
pub(crate) fn take_blocks(axis: &AxisChunks, index: &[u64]) -> Option<Box<[u64]>> {
    let sources = take_sources(axis, index)?;
    if sources.is_empty() {
        return Some([0].into());
    }
    Some(sources.iter().map(|source| source.block).collect())
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
