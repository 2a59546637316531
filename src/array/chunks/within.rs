//! Cuts blocks that would be too large.

use std::cmp::Reverse;
use std::ops::Range;

use super::axis::AxisChunks;
use super::grid::Chunks;

/// `chunks` with blocks of at most `len_max` elements, cut along `axes` only.
///
/// The longest of these axes is cut in halves until blocks fit or are as short as they can be. Unknown
/// lengths stay as they are.
pub(crate) fn cut_within(mut chunks: Chunks, axes: Range<usize>, len_max: u64) -> Chunks {
    while chunks.max_block_len().is_some_and(|len| len > len_max) {
        let longest = |axis: usize| chunks.axes()[axis].max_len().unwrap_or(0);
        let Some(axis) = axes.clone().max_by_key(|&axis| (longest(axis), Reverse(axis))) else {
            break;
        };
        if longest(axis) <= 1 {
            break;
        }
        let len = chunks.axes()[axis].len().unwrap_or(0);
        let halves = AxisChunks::uniform(len, longest(axis).div_ceil(2));
        chunks = chunks.with_axis(axis, halves);
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunks(axes: &[&[u64]]) -> Chunks {
        axes.iter().map(|sizes| AxisChunks::from_sizes(sizes).unwrap()).collect()
    }

    #[test]
    fn the_longest_axis_is_cut_first() {
        let cut = |len_max| cut_within(chunks(&[&[6], &[8], &[100]]), 0..2, len_max).to_string();
        assert_eq!(cut(4800), "((6,), (8,), (100,))");
        assert_eq!(cut(2400), "((6,), (4, 4), (100,))");
        assert_eq!(cut(1200), "((3, 3), (4, 4), (100,))");
        assert_eq!(cut(1), "((1, 1, 1, 1, 1, 1), (1, 1, 1, 1, 1, 1, 1, 1), (100,))");
    }

    #[test]
    fn a_long_block_among_short_ones_counts() {
        assert_eq!(cut_within(chunks(&[&[1, 1, 6]]), 0..1, 3).to_string(), "((3, 3, 2),)");
        let unknown = Chunks::new([AxisChunks::unknown(2, 1), AxisChunks::whole(9)]);
        assert_eq!(cut_within(unknown.clone(), 0..2, 1), unknown);
    }
}
