//! Random bits that are a function of a seed and of where they are used.
//!
//! Elements are numbered in C order over the whole array, and every [`TILE`] of them have a bit generator of
//! their own, whose state is a function of the stream and of the tile's number. So any box is made without what
//! is before it, however the array is cut; rejection inside a tile takes as many bits as it wants, as later
//! tiles do not notice.
//!
//! A tile is short, because the rows of a chunk begin and end anywhere in one: what is drawn and thrown away is
//! at most a tile for each row of a box. It is long enough to pay for its state, which takes the time of two
//! or three draws.
//!
//! # Source
//! Blackman, Vigna, "Scrambled linear pseudorandom number generators" (2021): xoshiro256++, whose states are four
//! neighbouring outputs of SplitMix64 (Steele, Lea, Flood, 2014), and no two tiles share one.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng};

/// Elements that are drawn one after another from the same bits.
pub(crate) const TILE: u64 = 64;

/// By how much SplitMix64 counts, four times: a tile takes four of its numbers.
const TILE_STRIDE: u64 = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(4);

/// Where bits come from.
pub(crate) type Bits = Xoshiro256PlusPlus;

/// The bits of one array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "dist", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Stream {
    key: u64,
}

impl Stream {
    /// Stream `number` of a seed.
    pub(crate) fn new(seed: u64, number: u64) -> Self {
        let of_seed = Bits::seed_from_u64(seed).next_u64();
        Stream { key: Bits::seed_from_u64(of_seed.wrapping_add(number)).next_u64() }
    }

    /// Bits for what is not drawn element by element.
    pub(crate) fn bits(self) -> Bits {
        self.tile(0)
    }

    /// A seed of streams that have nothing to do with those of other seeds.
    pub(crate) fn seed(self) -> u64 {
        self.bits().next_u64()
    }

    /// The bits of a tile, or of a single element where each has its own.
    #[inline]
    pub(crate) fn tile(self, number: u64) -> Bits {
        Bits::seed_from_u64(self.key.wrapping_add(number.wrapping_mul(TILE_STRIDE)))
    }

    /// Draws the elements from number `start` on.
    pub(crate) fn fill<T>(self, start: u64, mut out: &mut [T], draw: impl Fn(&mut Bits) -> T) {
        let mut at = start;
        while !out.is_empty() {
            let skipped = at % TILE;
            let n = out.len().min((TILE - skipped) as usize);
            let (part, later) = out.split_at_mut(n);
            let mut bits = self.tile(at / TILE);
            for _ in 0..skipped {
                draw(&mut bits);
            }
            part.iter_mut().for_each(|x| *x = draw(&mut bits));
            at += n as u64;
            out = later;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_part_is_what_it_is_in_the_whole() {
        let stream = Stream::new(1, 0);
        // As many bits as the last ones say.
        let draw = |bits: &mut Bits| loop {
            let x = bits.next_u64();
            if !x.is_multiple_of(3) {
                return x;
            }
        };
        let mut whole = [0; 300];
        stream.fill(0, &mut whole, draw);
        for start in 0..200 {
            let mut part = [0; 100];
            stream.fill(start, &mut part, draw);
            assert_eq!(part, whole[start as usize..][..100]);
        }
    }

    #[test]
    fn streams_and_tiles_differ() {
        let mut firsts: Vec<u64> = Vec::new();
        for seed in 0..20 {
            for number in 0..20 {
                firsts.extend((0..20).map(|i| Stream::new(seed, number).tile(i).next_u64()));
            }
        }
        firsts.sort_unstable();
        firsts.dedup();
        assert_eq!(firsts.len(), 8000);
    }
}
