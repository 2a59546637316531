//! How many different hashes there were, approximately, in a fixed number of bytes.
//!
//! # Source
//! Flajolet et al. 2007, with 64-bit hashes, so that no correction for large counts is needed. Registers and
//! small-range estimate are those of Dask's `nunique_approx`. The standard error is 1.04 / sqrt(2^bits).
//! No crate is used: polars hashes the values, and what is left to do is what stands here.

/// A mergeable sketch of a set of 64-bit hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HyperLogLog {
    bits: u32,
    /// The highest rank seen among the hashes that begin with the index.
    registers: Vec<u8>,
}

impl HyperLogLog {
    /// An empty sketch of 2^`bits` registers, between 2^4 and 2^16.
    pub(crate) fn new(bits: u32) -> Self {
        let bits = bits.clamp(4, 16);
        Self { bits, registers: vec![0; 1 << bits] }
    }

    /// The sketch with these registers, as [`registers`](Self::registers) gave them.
    pub(crate) fn from_registers(registers: Vec<u8>) -> Option<Self> {
        let bits = registers.len().checked_ilog2()?;
        (registers.len().is_power_of_two() && (4..=16).contains(&bits))
            .then_some(Self { bits, registers })
    }

    pub(crate) fn registers(&self) -> &[u8] {
        &self.registers
    }

    pub(crate) fn insert(&mut self, hash: u64) {
        let index = (hash >> (64 - self.bits)) as usize;
        let rank = 1 + hash.trailing_zeros() as u8;
        self.registers[index] = self.registers[index].max(rank);
    }

    /// Takes in what another sketch of the same size has seen; says whether the sizes are the same.
    pub(crate) fn merge(&mut self, other: &Self) -> bool {
        for (mine, theirs) in self.registers.iter_mut().zip(&other.registers) {
            *mine = (*mine).max(*theirs);
        }
        self.bits == other.bits
    }

    pub(crate) fn estimate(&self) -> f64 {
        let m = self.registers.len() as f64;
        let alpha = 0.7213 / (1.0 + 1.079 / m);
        let sum: f64 = self.registers.iter().map(|&rank| (-f64::from(rank)).exp2()).sum();
        let raw = alpha * m * m / sum;
        let zeros = self.registers.iter().filter(|&&rank| rank == 0).count();
        if raw < 2.5 * m && zeros > 0 { m * (m / zeros as f64).ln() } else { raw }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SplitMix64: a hash of consecutive numbers.
    fn hash(i: u64) -> u64 {
        let z = i.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    #[test]
    fn estimates_are_close_and_do_not_depend_on_how_the_set_was_cut() {
        for n in [0, 1, 100, 10_000, 60_000, 300_000] {
            let (mut whole, mut left, mut right) =
                (HyperLogLog::new(14), HyperLogLog::new(14), HyperLogLog::new(14));
            for i in 0..n {
                whole.insert(hash(i));
                if i % 3 == 0 { left.insert(hash(i)) } else { right.insert(hash(i)) }
            }
            assert!(left.merge(&right));
            assert_eq!(left, whole);
            let error = (whole.estimate() - n as f64).abs() / (n as f64).max(1.0);
            assert!(error < 0.03, "{n}: {}", whole.estimate());
        }
    }

    #[test]
    fn registers_are_checked() {
        assert!(HyperLogLog::from_registers(vec![0; 100]).is_none());
        assert!(HyperLogLog::from_registers(vec![]).is_none());
        assert_eq!(HyperLogLog::from_registers(vec![0; 256]), Some(HyperLogLog::new(8)));
    }
}
