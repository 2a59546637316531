//! Which old blocks a new block is made of, along one axis.

use std::ops::Range;

use crate::array::chunks::axis::AxisChunks;
use crate::array::chunks::slice::{AxisSlice, Piece};

/// Two chunkings of one axis. What overlaps what is computed when asked, so this costs nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "dist", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Overlap {
    old: AxisChunks,
    new: AxisChunks,
    /// How far new blocks reach beyond their ends, where there is something.
    margins: [u64; 2],
}

/// Lays `new` over `old`; `None` if the lengths differ, or are unknown and not the same.
pub(crate) fn overlap(old: &AxisChunks, new: &AxisChunks) -> Option<Overlap> {
    let fits = if old.is_known() { old.len() == new.len() } else { old == new };
    fits.then(|| Overlap { old: old.clone(), new: new.clone(), margins: [0, 0] })
}

/// Blocks of `new` with the elements around them: `margins` before the first and after the last, where
/// the axis has them. Positions are those of `old`, which may be longer; both must be known.
pub(crate) fn overlap_around(old: &AxisChunks, new: &AxisChunks, margins: [u64; 2]) -> Overlap {
    Overlap { old: old.clone(), new: new.clone(), margins }
}

impl Overlap {
    /// Whether blocks stay as they are.
    pub(crate) fn is_identity(&self) -> bool {
        self.old == self.new && self.margins == [0, 0]
    }

    /// Number of new blocks.
    pub(crate) fn n_blocks(&self) -> u64 {
        self.new.n_blocks()
    }

    /// The old positions of which new block `i` is made, if it exists and lengths are known.
    pub(crate) fn range(&self, i: u64) -> Option<Range<u64>> {
        let range = self.new.block_range(i)?;
        let end = range.end.saturating_add(self.margins[1]).min(self.old.len()?);
        Some(range.start.saturating_sub(self.margins[0])..end)
    }

    /// The old blocks that new block `i` touches, which may hold empty ones; `None` if there is
    /// no such block.
    ///
    /// An empty block touches one old block, to take nothing of it.
    pub(crate) fn blocks(&self, i: u64) -> Option<Range<u64>> {
        if self.is_identity() {
            return (i < self.new.n_blocks()).then_some(i..i + 1);
        }
        let range = self.range(i)?;
        let first = self.old.block_at(range.start);
        let last = if range.is_empty() { first } else { self.old.block_at(range.end - 1) };
        Some(first..last + 1)
    }

    /// What new block `i` takes of old block `block`, which may be nothing; `None` if lengths are unknown.
    pub(crate) fn piece(&self, i: u64, block: u64) -> Option<Piece> {
        let (new, old) = (self.range(i)?, self.old.block_range(block)?);
        let (start, end) = (new.start.max(old.start), new.end.min(old.end));
        let len = end.saturating_sub(start);
        Some(Piece { block, local: AxisSlice::new(start.saturating_sub(old.start), len, 1) })
    }

    /// The pieces of new block `i` in order, without empty ones unless the block is empty itself.
    ///
    /// Nothing if there is no such block or lengths are unknown; then blocks stay as they are.
    #[cfg(test)]
    pub(crate) fn pieces(&self, i: u64) -> impl Iterator<Item = Piece> + '_ {
        let is_empty = self.new.block_len(i) == Some(0);
        let pieces = self.blocks(i).unwrap_or(0..0).filter_map(move |block| self.piece(i, block));
        pieces.filter(move |piece| piece.local.len > 0 || is_empty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(len: u64, cuts: &[u64]) -> AxisChunks {
        let mut offsets: Vec<u64> = cuts.iter().map(|cut| cut % (len + 1)).collect();
        offsets.extend([0, len]);
        offsets.sort_unstable();
        AxisChunks::from_offsets(offsets).unwrap()
    }

    #[test]
    fn a_million_blocks_cost_nothing_to_lay_over() {
        let both =
            overlap(&AxisChunks::uniform(1 << 60, 2), &AxisChunks::uniform(1 << 60, 3)).unwrap();
        assert_eq!(both.blocks(1 << 50), Some((3 << 49)..(3 << 49) + 2));
    }

    #[test]
    fn only_the_same_unknown_chunks_overlap() {
        let unknown = AxisChunks::unknown(3, 1);
        assert_eq!(overlap(&unknown, &unknown).unwrap().blocks(2), Some(2..3));
        assert!(overlap(&unknown, &AxisChunks::whole(3)).is_none());
        assert!(overlap(&AxisChunks::whole(4), &AxisChunks::whole(3)).is_none());
    }

    #[test]
    fn margins_end_where_the_axis_does() {
        let both = overlap_around(&AxisChunks::uniform(10, 4), &AxisChunks::uniform(9, 3), [1, 2]);
        let ranges: Vec<_> = (0..3).map(|i| both.range(i).unwrap()).collect();
        assert_eq!(ranges, [0..5, 2..8, 5..10]);
        assert_eq!(both.blocks(1), Some(0..2));
        assert_eq!(both.pieces(1).map(|piece| piece.local.len).collect::<Vec<_>>(), [2, 4]);
    }

    proptest! {
        #[test]
        fn pieces_partition_the_new_blocks(
            len in 0u64..30, old: Vec<u64>, new: Vec<u64>,
        ) {
            let (old, new) = (cut(len, &old), cut(len, &new));
            let both = overlap(&old, &new).unwrap();
            let mut taken = Vec::new();
            for i in 0..new.n_blocks() {
                let mut size = 0;
                for piece in both.pieces(i) {
                    let range = old.block_range(piece.block).unwrap();
                    prop_assert!(both.blocks(i).unwrap().contains(&piece.block));
                    prop_assert!(piece.local.fits(range.end - range.start));
                    taken.extend((0..piece.local.len).map(|i| range.start + piece.local.position(i)));
                    size += piece.local.len;
                }
                prop_assert_eq!(Some(size), new.block_len(i));
            }
            prop_assert_eq!(taken, (0..len).collect::<Vec<_>>());
        }
    }
}
