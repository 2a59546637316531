//! Ranges of bytes that are read together.

use std::ops::Range;

/// These ranges in order, where those that overlap or are no further apart than `gap` are one.
pub(crate) fn merged(ranges: impl IntoIterator<Item = Range<u64>>, gap: u64) -> Vec<Range<u64>> {
    let mut ranges: Vec<_> = ranges.into_iter().filter(|range| !range.is_empty()).collect();
    ranges.sort_unstable_by_key(|range| range.start);
    let mut merged: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end.saturating_add(gap) => {
                last.end = last.end.max(range.end);
            }
            _ => merged.push(range),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::single_range_in_vec_init, reason = "it is one range that is expected")]
    fn neighbours_are_one_and_nothing_is_lost() {
        let ranges = [40..50, 0..10, 12..20, 5..6, 30..30, 23..24];
        assert_eq!(merged(ranges.clone(), 2), [0..20, 23..24, 40..50]);
        assert_eq!(merged(ranges.clone(), 0), [0..10, 12..20, 23..24, 40..50]);
        assert_eq!(merged(ranges, u64::MAX), [0..50]);
    }
}
