//! Quantiles of all elements of an array, of which only counts are kept: radix selection.
//!
//! Elements have keys, unsigned numbers of the same order. Each round counts the next 16 bits of the keys that begin as one
//! that is looked for does, in every block; the counts of all blocks say how that one goes on. After the last round
//! the keys are known whole, and so are the elements. So an array is read as often as its keys have rounds, and
//! however its elements are spread, nothing is ever collected.

use std::marker::PhantomData;
use std::sync::Arc;

use super::copy::filled;
use super::ordered::Ordered;
use super::quantile::{Between, QuantileMethod};
use crate::array::chunk::{Chunk, chunk};
use crate::error::Result;
use crate::graph::{Block, Identity, Inputs, Kernel, TaskContext, Value};

const DIGIT_BITS: u32 = 16;
/// How many digits there are.
const RADIX: usize = 1 << DIGIT_BITS;

/// Bytes of the counts of the digits that follow `n` beginnings.
pub(crate) fn count_bytes(n: u64) -> u64 {
    n.saturating_mul((RADIX * size_of::<u64>()) as u64)
}

/// An element with a key.
pub(crate) trait Keyed: Ordered {
    /// How many digits keys have.
    const N_DIGITS: u32;
    /// The key, whose first digit is in the highest bits; NaN has none that matters.
    fn key(self) -> u64;
    fn of_key(key: u64) -> Self;
}

macro_rules! keyed_integers {
    ($($t:ty, $flip:expr;)*) => {$(
        impl Keyed for $t {
            const N_DIGITS: u32 = <$t>::BITS.div_ceil(DIGIT_BITS);

            #[inline(always)]
            fn key(self) -> u64 {
                (u64::from((self ^ $flip).cast_unsigned())) << (64 - <$t>::BITS)
            }

            fn of_key(key: u64) -> $t {
                ((key >> (64 - <$t>::BITS)) as $t) ^ $flip
            }
        }
    )*};
}

macro_rules! keyed_unsigned {
    ($($t:ty)*) => {$(
        impl Keyed for $t {
            const N_DIGITS: u32 = <$t>::BITS.div_ceil(DIGIT_BITS);

            #[inline(always)]
            fn key(self) -> u64 {
                u64::from(self) << (64 - <$t>::BITS)
            }

            fn of_key(key: u64) -> $t {
                (key >> (64 - <$t>::BITS)) as $t
            }
        }
    )*};
}

macro_rules! keyed_floats {
    ($($t:ty, $bits:ty;)*) => {$(
        impl Keyed for $t {
            const N_DIGITS: u32 = <$bits>::BITS.div_ceil(DIGIT_BITS);

            #[inline(always)]
            fn key(self) -> u64 {
                const SIGN: $bits = 1 << (<$bits>::BITS - 1);
                // Zeros of either sign are one.
                let bits = (self + 0.0).to_bits();
                (if bits & SIGN == 0 { bits | SIGN } else { !bits }).key()
            }

            fn of_key(key: u64) -> $t {
                const SIGN: $bits = 1 << (<$bits>::BITS - 1);
                let bits = <$bits>::of_key(key);
                <$t>::from_bits(if bits & SIGN == 0 { !bits } else { bits & !SIGN })
            }
        }
    )*};
}

keyed_integers! { i8, i8::MIN; i16, i16::MIN; i32, i32::MIN; i64, i64::MIN; }
keyed_unsigned! { u8 u16 u32 u64 }
keyed_floats! { f32, u32; f64, u64; }

impl Keyed for bool {
    const N_DIGITS: u32 = 1;

    #[inline(always)]
    fn key(self) -> u64 {
        u8::from(self).key()
    }

    fn of_key(key: u64) -> bool {
        u8::of_key(key) != 0
    }
}

/// The digits of a key before number `round`.
fn beginning(key: u64, round: u32) -> u64 {
    key.checked_shr(64 - DIGIT_BITS * round).unwrap_or(0)
}

fn digit(key: u64, round: u32) -> usize {
    (key >> (64 - DIGIT_BITS * (round + 1))) as usize % RADIX
}

/// How often each digit follows each of some beginnings.
#[derive(Debug)]
struct Counts {
    counts: Vec<u64>,
    n_nan: u64,
}

impl Value for Counts {
    fn nbytes(&self) -> u64 {
        (self.counts.len() * size_of::<u64>()) as u64
    }
}

/// What is known of the elements that are looked for.
#[derive(Clone, Debug, Default)]
struct Known {
    /// How many elements count.
    n: u64,
    /// Whether there is no answer but NaN.
    is_nan: bool,
    /// The distinct beginnings of their keys, ascending.
    beginnings: Vec<u64>,
    /// Of the element before each quantile and of the one after it: the beginning of its key, and how many of the elements
    /// with that beginning are before it.
    places: Vec<(u64, u64)>,
}

impl Value for Known {
    fn nbytes(&self) -> u64 {
        (self.places.len() * 24) as u64
    }
}

/// A step of a radix selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RadixStep {
    /// Counts a digit of the elements of a block, from what is known in slot 1 if it isn't the first.
    Count(u32),
    /// Adds up counts.
    Merge,
    /// What is known, by slot 1, and by the counts of a digit.
    Learn(u32),
    /// From what is known in the end to the quantiles.
    Finish,
}

/// One step of finding quantiles of all elements.
#[derive(Debug)]
pub(crate) struct RadixKernel<T, U> {
    pub(crate) step: RadixStep,
    pub(crate) quantiles: Arc<[f64]>,
    pub(crate) method: QuantileMethod,
    pub(crate) skip_nan: bool,
    pub(crate) types: PhantomData<fn(T) -> U>,
}

impl<T: Keyed, U: Between<T>> RadixKernel<T, U> {
    fn count(&self, round: u32, block: &Chunk<T>, known: &Known) -> Counts {
        let mut counts = Counter::new(round, known);
        let view = block.view();
        match view.as_slice_memory_order() {
            Some(all) => all.iter().for_each(|&x| counts.add(x)),
            None => view.iter().for_each(|&x| counts.add(x)),
        }
        counts.counts
    }

    /// What the counts of a digit add to what is known.
    fn learn(&self, round: u32, counts: &Counts, known: &Known) -> Known {
        let mut learned = if round == 0 { self.begin(counts) } else { known.clone() };
        let beginnings: &[u64] = if round == 0 { &[0] } else { &known.beginnings };
        for (beginning, rank) in &mut learned.places {
            let Ok(row) = beginnings.binary_search(beginning) else { continue };
            let mut digit = 0;
            for count in &counts.counts[row * RADIX..(row + 1) * RADIX] {
                if *rank < *count {
                    break;
                }
                *rank -= count;
                digit += 1;
            }
            *beginning = (*beginning << DIGIT_BITS) | digit;
        }
        learned.beginnings = learned.places.iter().map(|place| place.0).collect();
        learned.beginnings.sort_unstable();
        learned.beginnings.dedup();
        learned
    }

    /// The places that are looked for among as many elements as were counted.
    fn begin(&self, counts: &Counts) -> Known {
        let n: u64 = counts.counts.iter().sum();
        let is_nan = n == 0 || (counts.n_nan > 0 && !self.skip_nan);
        if is_nan {
            return Known { n, is_nan, ..Known::default() };
        }
        let low = |q: &f64| (q * (n - 1) as f64).floor() as u64;
        let places = self.quantiles.iter().flat_map(|q| [low(q), (low(q) + 1).min(n - 1)]);
        Known { n, is_nan, places: places.map(|place| (0, place)).collect(), ..Known::default() }
    }

    fn finish(&self, known: &Known, i: usize) -> U {
        let (Some([low, high]), false) = (known.places.as_chunks::<2>().0.get(i), known.is_nan)
        else {
            return U::nan();
        };
        let element = |place: &(u64, u64)| T::of_key(place.0 << (64 - DIGIT_BITS * T::N_DIGITS));
        let part = self.method.part(self.quantiles[i] * (known.n - 1) as f64);
        U::between(element(low), element(high), part)
    }
}

/// Counts the digits of elements.
struct Counter<'k> {
    round: u32,
    known: &'k Known,
    /// For each first digit how many beginnings there are before those that begin with it, and with it.
    rows: Vec<[u32; 2]>,
    counts: Counts,
}

impl<'k> Counter<'k> {
    fn new(round: u32, known: &'k Known) -> Self {
        let mut rows = Vec::new();
        if round > 0 {
            rows.resize(RADIX, [0; 2]);
            for (i, beginning) in known.beginnings.iter().enumerate() {
                let [first, end] = &mut rows[(beginning >> (DIGIT_BITS * (round - 1))) as usize];
                (*first, *end) = (if *end == 0 { i as u32 } else { *first }, i as u32 + 1);
            }
        }
        let n_rows = if round == 0 { 1 } else { known.beginnings.len() };
        let counts = Counts { counts: vec![0; n_rows * RADIX], n_nan: 0 };
        Counter { round, known, rows, counts }
    }

    #[inline(always)]
    fn add<T: Keyed>(&mut self, x: T) {
        if x.is_nan() {
            self.counts.n_nan += 1;
            return;
        }
        let key = x.key();
        if self.round == 0 {
            self.counts.counts[digit(key, 0)] += 1;
            return;
        }
        let [first, end] = self.rows[digit(key, 0)];
        for row in first..end {
            if self.known.beginnings[row as usize] == beginning(key, self.round) {
                self.counts.counts[row as usize * RADIX + digit(key, self.round)] += 1;
            }
        }
    }
}

impl<T: Keyed, U: Between<T>> Kernel for RadixKernel<T, U> {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        const STEPS: &str = "the steps before this one make counts and what is known by them";
        let blocks: Vec<Block> = inputs.take_slot(0).collect();
        let known = inputs.take_slot(1).next();
        let nothing = Known::default();
        let known =
            known.as_ref().map_or(&nothing, |known| known.downcast_ref::<Known>().expect(STEPS));
        let mut blocks = blocks.into_iter();
        let first = blocks.next().expect("every step reads a block");
        Ok(match self.step {
            RadixStep::Count(round) => Block::new(self.count(round, &chunk::<T>(first), known)),
            RadixStep::Merge => {
                let mut merged = match first.try_unwrap::<Counts>() {
                    Ok(counts) => counts,
                    Err(shared) => {
                        let Counts { counts, n_nan } = shared.downcast_ref().expect(STEPS);
                        Counts { counts: counts.clone(), n_nan: *n_nan }
                    }
                };
                for block in blocks {
                    let other = block.downcast_ref::<Counts>().expect(STEPS);
                    merged.n_nan += other.n_nan;
                    merged.counts.iter_mut().zip(&other.counts).for_each(|(a, b)| *a += b);
                }
                Block::new(merged)
            }
            RadixStep::Learn(round) => {
                Block::new(self.learn(round, first.downcast_ref().expect(STEPS), known))
            }
            RadixStep::Finish => {
                let known = first.downcast_ref::<Known>().expect(STEPS);
                let out = filled::<U>(&[self.quantiles.len()], task.pool, |mut out| {
                    out.iter_mut().enumerate().for_each(|(i, out)| *out = self.finish(known, i));
                });
                Block::new(Chunk::new(out, task.pool))
            }
        })
    }

    fn identity(&self) -> Option<Identity> {
        let parameters = (self.step, &self.quantiles, self.method, self.skip_nan);
        Some(Identity::new("radix", T::DTYPE.name(), parameters))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Debug;

    fn check<T: Keyed + Debug>(ascending: &[T]) {
        for pair in ascending.windows(2) {
            assert!(pair[0].key() < pair[1].key(), "{pair:?}");
        }
        for &x in ascending {
            assert!(T::of_key(x.key()).is_same(&x), "{x:?}");
            let digits = (0..T::N_DIGITS).fold(0, |all, i| (all << 16) | digit(x.key(), i) as u64);
            assert_eq!(digits, beginning(x.key(), T::N_DIGITS), "{x:?}");
        }
    }

    #[test]
    fn keys_have_the_order_of_elements() {
        check(&[
            f64::NEG_INFINITY,
            f64::MIN,
            -1.0,
            -f64::MIN_POSITIVE,
            0.0,
            1e-300,
            1.0,
            f64::INFINITY,
        ]);
        check(&[f32::NEG_INFINITY, -2.5, -1e-40, 0.0, 1e-40, 2.5, f32::MAX]);
        check(&[i64::MIN, -1, 0, 1, i64::MAX]);
        check(&[i16::MIN, -1, 0, 1, i16::MAX]);
        check(&[0_u8, 1, 255]);
        check(&[0, 1, u64::MAX]);
        check(&[false, true]);
        assert_eq!((-0.0_f64).key(), 0.0_f64.key());
    }
}
