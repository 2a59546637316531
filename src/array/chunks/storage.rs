//! Chunks that consist of whole storage units.

use super::axis::AxisChunks;
use super::grid::Chunks;

/// `chunks`, with the axes that cut through a unit cut between units instead.
///
/// Blocks get no longer, unless one unit already is.
pub(crate) fn aligned_to(chunks: &Chunks, unit: &[u64]) -> Chunks {
    let aligned = |(axis, &unit): (&AxisChunks, &u64)| {
        let unit = unit.max(1);
        let starts_unit = |i| axis.block_start(i).is_some_and(|start| start % unit == 0);
        let n = axis.n_blocks();
        let is_aligned = match axis.regular() {
            Some((first, size)) => {
                n == 1 || first.is_multiple_of(unit) && (n == 2 || size.is_multiple_of(unit))
            }
            None => (1..n).all(starts_unit),
        };
        if is_aligned {
            return axis.clone();
        }
        let longest = axis.max_len().unwrap_or(1);
        AxisChunks::uniform(axis.len().unwrap_or(0), (longest / unit).max(1).saturating_mul(unit))
    };
    chunks.axes().iter().zip(unit).map(aligned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_move_down_to_the_next_unit() {
        let chunks: Chunks =
            [AxisChunks::uniform(3000, 1001), AxisChunks::uniform(10, 4)].into_iter().collect();
        let aligned = aligned_to(&chunks, &[1000, 2]);
        assert_eq!(aligned.axes(), [AxisChunks::uniform(3000, 1000), AxisChunks::uniform(10, 4)]);
        assert_eq!(aligned_to(&chunks, &[5000, 7]).grid(), [1, 2]);
        let shifted = Chunks::new([AxisChunks::shifted(1 << 60, 2, 4)]);
        assert_eq!(aligned_to(&shifted, &[2]), shifted);
        assert_eq!(aligned_to(&shifted, &[4]).axes(), [AxisChunks::uniform(1 << 60, 4)]);
    }
}
