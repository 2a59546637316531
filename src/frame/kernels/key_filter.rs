//! Which keys one side of a join has, as far as the rows of the other side need to know before they move.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// A Bloom filter of hashes: what it does not have was not added; of what it has nearly all was.
///
/// Several tasks add hashes at a time, in any order, and what it has then is the same. It is asked when all of them are
/// done. The bits of a hash are in one word, so that a look at it is one access to memory.
///
/// # Source
/// F. Putze, P. Sanders and J. Singler, *Cache-, hash- and space-efficient Bloom filters*, 2007.
#[derive(Debug)]
pub(crate) struct KeyFilter {
    n_words: usize,
    /// Made with the first hash.
    words: OnceLock<Box<[AtomicU64]>>,
}

impl KeyFilter {
    /// A filter that takes so many bytes once there is something in it.
    pub(crate) fn new(n_bytes: u64) -> Self {
        let n_words = usize::try_from(n_bytes / size_of::<u64>() as u64).unwrap_or(usize::MAX);
        KeyFilter { n_words: n_words.max(1), words: OnceLock::new() }
    }

    pub(super) fn add(&self, hashes: &[u64]) {
        if hashes.is_empty() {
            return;
        }
        let words = self.words.get_or_init(|| (0..self.n_words).map(|_| 0.into()).collect());
        for &hash in hashes {
            words[place(hash, words.len())].fetch_or(bits(hash), Ordering::Relaxed);
        }
    }

    pub(super) fn may_have(&self, hash: u64) -> bool {
        let Some(words) = self.words.get() else { return false };
        let bits = bits(hash);
        words[place(hash, words.len())].load(Ordering::Relaxed) & bits == bits
    }
}

/// The word of a hash, by its high bits.
fn place(hash: u64, n_words: usize) -> usize {
    ((u128::from(hash) * n_words as u128) >> 64) as usize
}

/// Four bits of a word, by the low ones.
fn bits(hash: u64) -> u64 {
    [0, 6, 12, 18].iter().fold(0, |bits, shift| bits | 1 << (hash >> shift & 63))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that look like hashes.
    fn hashes(numbers: std::ops::Range<u64>) -> Vec<u64> {
        let mix = |n: u64| {
            let product = u128::from(n ^ 0x9e37_79b9_7f4a_7c15) * 0xd1b5_4a32_d192_ed03;
            (product as u64 ^ (product >> 64) as u64).wrapping_mul(0x2545_f491_4f6c_dd1d)
        };
        numbers.map(|n| mix(mix(n))).collect()
    }

    #[test]
    fn what_was_added_is_there_and_little_else() {
        let filter = KeyFilter::new(10_000 * 10 / 8);
        assert!(!filter.may_have(0), "nothing is there");
        let (there, others) = (hashes(0..10_000), hashes(10_000..110_000));
        std::thread::scope(|scope| {
            for part in there.chunks(2_500) {
                scope.spawn(|| filter.add(part));
            }
        });
        assert!(there.iter().all(|hash| filter.may_have(*hash)));
        let n_wrong = others.iter().filter(|hash| filter.may_have(**hash)).count();
        assert!(n_wrong < 6_000, "{n_wrong} of 100000");
    }

    #[test]
    fn a_filter_that_is_too_small_has_everything() {
        let filter = KeyFilter::new(0);
        filter.add(&hashes(0..1000));
        assert!(hashes(1000..2000).iter().all(|hash| filter.may_have(*hash)));
    }
}
