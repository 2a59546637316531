//! The chunks of one axis.

use std::ops::Range;
use std::sync::Arc;

/// How one axis is cut into consecutive blocks.
///
/// Values come from the constructors only, which pick one form for each chunking, so that equal
/// chunkings compare equal:
///
/// - `Uniform`: every block has `size` elements, except a last one that may be shorter but is not
///   empty. `1 <= size`, and `size <= len` unless `len` is 0 (then `size` is 1). An empty axis is
///   one empty block.
/// - `Shifted`: the same after a first block that is shorter, which is what slices leave of regular
///   chunks. `1 <= first < size`, and there are at least two blocks; where there are just two, the
///   second has `size` elements.
/// - `Varying`: anything else that is known, as n + 1 ascending offsets, of which the first is 0.
///   Blocks may be empty.
/// - `Unknown`: lengths that only computing tells. The token names the cut that made them, so that
///   two arrays cut by the same mask are known to be aligned.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "dist", derive(serde::Serialize, serde::Deserialize))]
pub enum AxisChunks {
    /// Equal blocks with a possibly shorter last one.
    Uniform {
        /// Length of the axis.
        len: u64,
        /// Length of every block but the last.
        size: u64,
    },
    /// Equal blocks between a shorter first one and a possibly shorter last one.
    Shifted {
        /// Length of the axis.
        len: u64,
        /// Length of the first block.
        first: u64,
        /// Length of every block but the first and the last.
        size: u64,
    },
    /// Blocks of any known lengths, as n + 1 offsets.
    Varying(Arc<[u64]>),
    /// Blocks of unknown lengths.
    Unknown {
        /// Number of blocks.
        blocks: u64,
        /// Names where the lengths come from.
        token: u64,
    },
}

impl AxisChunks {
    /// Blocks of `size` elements with the remainder last; a `size` of 0 counts as 1.
    pub(crate) fn uniform(len: u64, size: u64) -> Self {
        AxisChunks::Uniform { len, size: size.min(len).max(1) }
    }

    /// A block of `first` elements, then blocks of `size` elements with the remainder last.
    ///
    /// Neither is 0, and `first` is larger than `size` only if there are no more than two blocks.
    pub(crate) fn shifted(len: u64, first: u64, size: u64) -> Self {
        let rest = len.saturating_sub(first);
        let size = size.min(rest);
        if first >= size {
            Self::uniform(len, first)
        } else {
            AxisChunks::Shifted { len, first, size }
        }
    }

    /// The whole axis as one block.
    pub(crate) fn whole(len: u64) -> Self {
        Self::uniform(len, len)
    }

    /// `blocks` blocks of unknown lengths (at least one), made by the cut that `token` names.
    pub(crate) fn unknown(blocks: u64, token: u64) -> Self {
        AxisChunks::Unknown { blocks: blocks.max(1), token }
    }

    /// Blocks of the given lengths, or `None` if there are none or their sum overflows.
    pub(crate) fn from_sizes(sizes: &[u64]) -> Option<Self> {
        Self::from_size_iter(sizes.iter().copied())
    }

    /// As [`from_sizes`](Self::from_sizes), for lengths that are computed on the way.
    pub(crate) fn from_size_iter(sizes: impl IntoIterator<Item = u64>) -> Option<Self> {
        let sizes = sizes.into_iter();
        let mut offsets = Vec::with_capacity(sizes.size_hint().0.min(1 << 20) + 1);
        offsets.push(0);
        let mut end = 0u64;
        for size in sizes {
            end = end.checked_add(size)?;
            offsets.push(end);
        }
        Self::from_offsets(offsets)
    }

    /// Blocks between consecutive offsets, or `None` if these are not 0 followed by at least one
    /// more, ascending.
    pub(crate) fn from_offsets(offsets: impl Into<Arc<[u64]>>) -> Option<Self> {
        let offsets = offsets.into();
        if offsets.len() < 2 || offsets[0] != 0 || !offsets.is_sorted() {
            return None;
        }
        let (first, len) = (offsets[1], offsets[offsets.len() - 1]);
        let second = offsets.get(2).map_or(0, |end| end - first);
        let regular = if 0 < first && first < second {
            Self::shifted(len, first, second)
        } else {
            Self::uniform(len, first)
        };
        // Comparing the count first makes sure that a zero-length tail is not taken for regular.
        if regular.n_blocks() == offsets.len() as u64 - 1
            && offsets[1..].iter().zip(0..).all(|(&end, i)| regular.block_end(i) == end)
        {
            return Some(regular);
        }
        Some(AxisChunks::Varying(offsets))
    }

    /// Number of blocks, at least 1.
    pub(crate) fn n_blocks(&self) -> u64 {
        match self {
            AxisChunks::Uniform { len, size } => len.div_ceil(*size).max(1),
            AxisChunks::Shifted { len, first, size } => 1 + (len - first).div_ceil(*size),
            AxisChunks::Varying(offsets) => offsets.len() as u64 - 1,
            AxisChunks::Unknown { blocks, .. } => *blocks,
        }
    }

    /// Length of the axis, if known.
    pub(crate) fn len(&self) -> Option<u64> {
        match self {
            AxisChunks::Uniform { len, .. } | AxisChunks::Shifted { len, .. } => Some(*len),
            AxisChunks::Varying(offsets) => offsets.last().copied(),
            AxisChunks::Unknown { .. } => None,
        }
    }

    /// Whether the lengths of the blocks are known.
    pub(crate) fn is_known(&self) -> bool {
        !matches!(self, AxisChunks::Unknown { .. })
    }

    /// Whether the axis is one block.
    pub(crate) fn is_whole(&self) -> bool {
        self.n_blocks() == 1
    }

    /// Length of block `i`, if it exists and is known.
    pub(crate) fn block_len(&self, i: u64) -> Option<u64> {
        self.block_range(i).map(|range| range.end - range.start)
    }

    /// Where block `i` starts, if it exists and is known.
    pub(crate) fn block_start(&self, i: u64) -> Option<u64> {
        self.block_range(i).map(|range| range.start)
    }

    /// The positions of block `i`, if it exists and is known.
    pub(crate) fn block_range(&self, i: u64) -> Option<Range<u64>> {
        if i >= self.n_blocks() || !self.is_known() {
            return None;
        }
        let start = if i == 0 { 0 } else { self.block_end(i - 1) };
        Some(start..self.block_end(i))
    }

    /// Where block `i`, which must exist, ends; 0 if that is unknown.
    fn block_end(&self, i: u64) -> u64 {
        match self {
            // What overflows is past the end of the axis, but `i` blocks fit on it.
            AxisChunks::Uniform { len, size } => (i * size).saturating_add(*size).min(*len),
            AxisChunks::Shifted { len, first, size } => {
                i.saturating_mul(*size).saturating_add(*first).min(*len)
            }
            AxisChunks::Varying(offsets) => offsets[i as usize + 1],
            AxisChunks::Unknown { .. } => 0,
        }
    }

    /// The lengths of the first block and of those after it, if all are equal, but for a last one that
    /// may be shorter.
    pub(crate) fn regular(&self) -> Option<(u64, u64)> {
        match self {
            AxisChunks::Uniform { size, .. } => Some((*size, *size)),
            AxisChunks::Shifted { first, size, .. } => Some((*first, *size)),
            AxisChunks::Varying(_) | AxisChunks::Unknown { .. } => None,
        }
    }

    /// The block that holds position `pos`, which is never an empty one.
    ///
    /// Positions past the end belong to the last block, and unknown axes answer 0.
    pub(crate) fn block_at(&self, pos: u64) -> u64 {
        let last = self.n_blocks() - 1;
        match self {
            AxisChunks::Uniform { size, .. } => (pos / size).min(last),
            AxisChunks::Shifted { first, .. } if pos < *first => 0,
            AxisChunks::Shifted { first, size, .. } => ((pos - first) / size).min(last - 1) + 1,
            AxisChunks::Varying(offsets) => {
                let after = offsets.partition_point(|&offset| offset <= pos) as u64;
                after.saturating_sub(1).min(last)
            }
            AxisChunks::Unknown { .. } => 0,
        }
    }

    /// Length of the longest block, if known.
    pub(crate) fn max_len(&self) -> Option<u64> {
        match self {
            AxisChunks::Uniform { len, size } => Some(*len.min(size)),
            AxisChunks::Shifted { size, .. } => Some(*size),
            AxisChunks::Varying(_) => self.sizes().max(),
            AxisChunks::Unknown { .. } => None,
        }
    }

    /// Length of the shortest block, if known.
    pub(crate) fn min_len(&self) -> Option<u64> {
        match self {
            AxisChunks::Uniform { .. } => self.block_len(self.n_blocks() - 1),
            AxisChunks::Shifted { first, .. } => {
                self.block_len(self.n_blocks() - 1).map(|last| last.min(*first))
            }
            AxisChunks::Varying(_) => self.sizes().min(),
            AxisChunks::Unknown { .. } => None,
        }
    }

    /// The lengths of the blocks in order; nothing if they are unknown.
    pub(crate) fn sizes(&self) -> impl Iterator<Item = u64> + '_ {
        let known = if self.is_known() { self.n_blocks() } else { 0 };
        (0..known).map_while(|i| self.block_len(i))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn equal_chunkings_are_equal() {
        assert_eq!(AxisChunks::from_sizes(&[3, 3, 1]), Some(AxisChunks::uniform(7, 3)));
        assert_eq!(AxisChunks::from_sizes(&[7]), Some(AxisChunks::whole(7)));
        assert_eq!(AxisChunks::uniform(7, 100), AxisChunks::whole(7));
        assert_eq!(AxisChunks::from_sizes(&[0]), Some(AxisChunks::whole(0)));
        assert_eq!(AxisChunks::uniform(0, 5), AxisChunks::whole(0));
    }

    #[test]
    fn empty_blocks_stay() {
        for sizes in [&[0, 0][..], &[3, 3, 0], &[0, 3], &[3, 0, 3], &[1, 3, 0]] {
            let axis = AxisChunks::from_sizes(sizes).unwrap();
            assert!(matches!(axis, AxisChunks::Varying(_)), "{axis:?}");
            assert!(axis.sizes().eq(sizes.iter().copied()));
        }
    }

    #[test]
    fn a_shorter_first_block_is_not_listed() {
        for sizes in [&[1, 3][..], &[1, 3, 3, 2], &[2, 3, 3]] {
            let axis = AxisChunks::from_sizes(sizes).unwrap();
            assert!(matches!(axis, AxisChunks::Shifted { .. }), "{axis:?}");
            assert!(axis.sizes().eq(sizes.iter().copied()));
        }
        for sizes in [&[4, 3, 3][..], &[1, 3, 3, 4], &[1, 3, 2, 3]] {
            let axis = AxisChunks::from_sizes(sizes).unwrap();
            assert!(matches!(axis, AxisChunks::Varying(_)), "{axis:?}");
        }
        assert_eq!(AxisChunks::shifted(5, 3, 9), AxisChunks::uniform(5, 3));
        assert_eq!(AxisChunks::shifted(5, 5, 9), AxisChunks::whole(5));
        let long = AxisChunks::shifted(u64::MAX, 1, u64::MAX - 2);
        assert_eq!(long.sizes().collect::<Vec<_>>(), [1, u64::MAX - 2, 1]);
    }

    #[test]
    fn impossible_sizes_are_none() {
        assert_eq!(AxisChunks::from_sizes(&[]), None);
        assert_eq!(AxisChunks::from_sizes(&[u64::MAX, 1]), None);
        assert_eq!(AxisChunks::from_offsets(vec![0, 5, 3]), None);
        assert_eq!(AxisChunks::from_offsets(vec![1, 5]), None);
    }

    #[test]
    fn the_longest_axis_does_not_overflow() {
        let axis = AxisChunks::uniform(u64::MAX, u64::MAX - 1);
        assert_eq!(axis.n_blocks(), 2);
        assert_eq!(axis.block_range(1), Some(u64::MAX - 1..u64::MAX));
        assert_eq!(axis.block_range(2), None);
        assert_eq!(axis.block_at(u64::MAX - 1), 1);
    }

    #[test]
    fn unknown_lengths_say_none() {
        let axis = AxisChunks::unknown(3, 7);
        assert_eq!((axis.n_blocks(), axis.len(), axis.max_len()), (3, None, None));
        assert_eq!(axis.block_len(0), None);
        assert_eq!(axis.sizes().count(), 0);
    }

    proptest! {
        #[test]
        fn blocks_partition_the_axis(sizes in prop::collection::vec(0u64..5, 1..12)) {
            let axis = AxisChunks::from_sizes(&sizes).unwrap();
            prop_assert_eq!(axis.sizes().collect::<Vec<_>>(), sizes.clone());
            prop_assert_eq!(axis.n_blocks(), sizes.len() as u64);
            prop_assert_eq!(axis.max_len(), sizes.iter().copied().max());
            prop_assert_eq!(axis.min_len(), sizes.iter().copied().min());
            for pos in 0..sizes.iter().sum() {
                let range = axis.block_range(axis.block_at(pos)).unwrap();
                prop_assert!(range.contains(&pos));
            }
        }
    }
}
