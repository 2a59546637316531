//! Which old blocks a new block is made of, along one axis.

use std::ops::Range;

use crate::array::chunks::axis::AxisChunks;
use crate::array::chunks::slice::{AxisSlice, Piece};

/// Two chunkings of one axis. What overlaps what is computed when asked, so this costs nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Overlap {
    old: AxisChunks,
    new: AxisChunks,
}

/// Lays `new` over `old`; `None` if the lengths differ, or are unknown and not the same.
pub(crate) fn overlap(old: &AxisChunks, new: &AxisChunks) -> Option<Overlap> {
    let fits = if old.is_known() { old.len() == new.len() } else { old == new };
    fits.then(|| Overlap { old: old.clone(), new: new.clone() })
}

impl Overlap {
    /// Whether blocks stay as they are.
    pub(crate) fn is_identity(&self) -> bool {
        self.old == self.new
    }

    /// The old blocks that new block `i` touches, which may hold empty ones; `None` if there is
    /// no such block.
    ///
    /// An empty block touches one old block, to take nothing of it.
    pub(crate) fn blocks(&self, i: u64) -> Option<Range<u64>> {
        if self.is_identity() {
            return (i < self.new.n_blocks()).then_some(i..i + 1);
        }
        let range = self.new.block_range(i)?;
        let first = self.old.block_at(range.start);
        let last = if range.is_empty() { first } else { self.old.block_at(range.end - 1) };
        Some(first..last + 1)
    }

    /// The pieces of new block `i` in order, without empty ones unless the block is empty itself.
    ///
    /// Nothing if there is no such block or lengths are unknown; then blocks stay as they are.
    pub(crate) fn pieces(&self, i: u64) -> impl Iterator<Item = Piece> + '_ {
        let range = self.new.block_range(i).unwrap_or(0..0);
        let blocks = self.blocks(i).unwrap_or(0..0);
        blocks.filter_map(move |block| {
            let old = self.old.block_range(block)?;
            let (start, end) = (range.start.max(old.start), range.end.min(old.end));
            let keep = start < end || range.is_empty();
            let local =
                || AxisSlice::new(start.saturating_sub(old.start), end.saturating_sub(start), 1);
            keep.then(|| Piece { block, local: local() })
        })
    }

    /// Pieces of all new blocks together, which is the size of the step's graph along this axis.
    ///
    /// Empty blocks are counted as one piece each, so this is exact unless there are some.
    pub(crate) fn n_pieces(&self) -> u64 {
        if self.is_identity() {
            return self.new.n_blocks();
        }
        // Each boundary of either list starts a piece; those in both start one.
        let (old, new) = (self.old.n_blocks(), self.new.n_blocks());
        old.saturating_add(new).saturating_sub(self.n_shared_boundaries())
    }

    /// Boundaries that both lists have, of which the end of the axis is one.
    fn n_shared_boundaries(&self) -> u64 {
        if let (Some(a), Some(b), Some(len)) =
            (self.old.regular(), self.new.regular(), self.old.len())
        {
            return n_shared_starts(a, b, len) + 1;
        }
        let (few, many) = if self.old.n_blocks() < self.new.n_blocks() {
            (&self.old, &self.new)
        } else {
            (&self.new, &self.old)
        };
        let len = few.len().unwrap_or(0);
        let shared = |at: &u64| *at < len && many.block_start(many.block_at(*at)) == Some(*at);
        let starts = (1..few.n_blocks()).map_while(|i| few.block_start(i));
        1 + starts.filter(shared).count() as u64
    }
}

/// How many `a.0 + i * a.1` and `b.0 + j * b.1` are the same position before `len`.
///
/// # Source
/// The Chinese remainder theorem.
fn n_shared_starts(a: (u64, u64), b: (u64, u64), len: u64) -> u64 {
    let wide = |(first, size): (u64, u64)| (i128::from(first), i128::from(size));
    let ((a_first, a), (b_first, b), len) = (wide(a), wide(b), i128::from(len));
    let (gcd, inverse) = bezout(a, b);
    if (b_first - a_first) % gcd != 0 {
        return 0;
    }
    let period = b / gcd;
    let i = (((b_first - a_first) / gcd) % period).saturating_mul(inverse % period);
    let shared = i.rem_euclid(period).saturating_mul(a).saturating_add(a_first);
    // `i` is the smallest there is, so this is the first position, and they repeat with the common multiple.
    if shared >= len { 0 } else { ((len - 1 - shared) / period.saturating_mul(a) + 1) as u64 }
}

/// The greatest common divisor of `a` and `b`, and an `x` with which `a * x` is it modulo `b`.
fn bezout(a: i128, b: i128) -> (i128, i128) {
    let ((mut rest, mut next), (mut x, mut next_x)) = ((a, b), (1, 0));
    while next != 0 {
        let times = rest / next;
        (rest, next) = (next, rest - times * next);
        (x, next_x) = (next_x, x - times * next_x);
    }
    (rest, x)
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
        assert_eq!(
            both.n_pieces(),
            (1 << 59) + (1u64 << 60).div_ceil(3) - (1u64 << 60).div_ceil(6)
        );
    }

    #[test]
    fn only_the_same_unknown_chunks_overlap() {
        let unknown = AxisChunks::unknown(3, 1);
        assert_eq!(overlap(&unknown, &unknown).unwrap().blocks(2), Some(2..3));
        assert!(overlap(&unknown, &AxisChunks::whole(3)).is_none());
        assert!(overlap(&AxisChunks::whole(4), &AxisChunks::whole(3)).is_none());
    }

    proptest! {
        #[test]
        fn shared_boundaries_are_counted_as_by_listing(
            len in 1u64..200, a in (1u64..20, 1u64..20), b in (1u64..20, 1u64..20),
        ) {
            let axis = |(first, more): (u64, u64)| AxisChunks::shifted(len, first, first + more - 1);
            let (old, new) = (axis(a), axis(b));
            let starts = |axis: &AxisChunks| {
                (1..axis.n_blocks()).map(|i| axis.block_start(i).unwrap()).collect::<Vec<_>>()
            };
            let of_new = starts(&new);
            let shared = starts(&old).into_iter().filter(|at| of_new.contains(at)).count();
            prop_assert_eq!(overlap(&old, &new).unwrap().n_shared_boundaries(), shared as u64 + 1);
        }

        #[test]
        fn pieces_partition_the_new_blocks(
            len in 0u64..30, old: Vec<u64>, new: Vec<u64>,
        ) {
            let (old, new) = (cut(len, &old), cut(len, &new));
            let both = overlap(&old, &new).unwrap();
            let mut taken = Vec::new();
            let mut n_pieces = 0;
            for i in 0..new.n_blocks() {
                let mut size = 0;
                for piece in both.pieces(i) {
                    let range = old.block_range(piece.block).unwrap();
                    prop_assert!(both.blocks(i).unwrap().contains(&piece.block));
                    prop_assert!(piece.local.fits(range.end - range.start));
                    taken.extend((0..piece.local.len).map(|i| range.start + piece.local.position(i)));
                    size += piece.local.len;
                    n_pieces += 1;
                }
                prop_assert_eq!(Some(size), new.block_len(i));
            }
            prop_assert_eq!(taken, (0..len).collect::<Vec<_>>());
            if !old.sizes().chain(new.sizes()).any(|size| size == 0) {
                prop_assert_eq!(both.n_pieces(), n_pieces);
            }
        }
    }
}
