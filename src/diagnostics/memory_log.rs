//! How much memory was in use when, of bounded size.
//!
//! Samples come nearly in order. The most in each cell of time is kept; after each [`CELLS_PER_LEVEL`] cells they
//! become twice as long.

use std::collections::BTreeMap;

const CELLS_PER_LEVEL: usize = 4096;
const CELL_NS: u64 = 1_000_000;
/// So many of the last cells can still rise: threads tell what they did up to a tenth of a second later than others.
const OPEN_MAX: usize = 128;

/// The most bytes that were in use from some time on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemorySample {
    /// When, in nanoseconds.
    pub at_ns: u64,
    /// Bytes of blocks, and what running tasks declared.
    pub bytes: u64,
}

#[derive(Debug)]
pub(super) struct MemoryLog {
    closed: Vec<MemorySample>,
    open: BTreeMap<u64, u64>,
    cell_ns: u64,
    n_level: usize,
}

impl MemoryLog {
    pub(super) fn new() -> Self {
        MemoryLog { closed: Vec::new(), open: BTreeMap::new(), cell_ns: CELL_NS, n_level: 0 }
    }

    pub(super) fn add(&mut self, at_ns: u64, bytes: u64) {
        // Nearly all are in the last cell, and need no division.
        if let Some(mut last) = self.open.last_entry()
            && (at_ns.wrapping_sub(*last.key())) < self.cell_ns
        {
            *last.get_mut() = bytes.max(*last.get());
            return;
        }
        let most = self.open.entry(at_ns / self.cell_ns * self.cell_ns).or_insert(0);
        *most = bytes.max(*most);
        while self.open.len() > OPEN_MAX
            && let Some((at_ns, bytes)) = self.open.pop_first()
        {
            self.closed.push(MemorySample { at_ns, bytes });
            self.n_level += 1;
            if self.n_level == CELLS_PER_LEVEL {
                (self.n_level, self.cell_ns) = (0, self.cell_ns.saturating_mul(2));
            }
        }
    }

    /// Samples that stay as they are, by and large in order.
    pub(super) fn closed(&self) -> &[MemorySample] {
        &self.closed
    }

    /// Samples that may still rise.
    pub(super) fn open(&self) -> impl Iterator<Item = MemorySample> + Clone + '_ {
        self.open.iter().map(|(&at_ns, &bytes)| MemorySample { at_ns, bytes })
    }

    /// All samples in order, one for each time.
    pub(super) fn sorted(&self) -> Vec<MemorySample> {
        let mut all: Vec<_> = self.closed.iter().copied().chain(self.open()).collect();
        all.sort_by_key(|sample| (sample.at_ns, std::cmp::Reverse(sample.bytes)));
        all.dedup_by_key(|sample| sample.at_ns);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_keep_the_most_and_get_longer() {
        let mut log = MemoryLog::new();
        for i in 0..1_000_000_u64 {
            // Every now and then one comes late.
            let late = if i % 1000 == 999 { 500_000_000 } else { 0 };
            log.add((i * 100_000_u64).saturating_sub(late), 1000 + i % 500);
        }
        let all = log.sorted();
        assert!(all.len() < 30_000, "{} samples", all.len());
        assert!(all.is_sorted_by(|a, b| a.at_ns < b.at_ns));
        assert_eq!(all.iter().map(|sample| sample.bytes).max(), Some(1499));
    }
}
