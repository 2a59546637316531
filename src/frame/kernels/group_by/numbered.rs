//! Keys that are numbers, numbered in the order in which they first appear.

use polars_core::prelude::IdxSize;

use super::super::hash::of_wide;
use super::Groups;

/// So many keys are looked up side by side, so that one does not wait for the memory of another.
const BATCH: usize = 64;

/// Stands for no key; there are never so many.
const NONE: IdxSize = IdxSize::MAX;

/// Where a third of the places is taken, most keys are where their hashes point to.
const PLACES_OF_KEY: usize = 3;
const PLACES_MIN: usize = 1 << 8;
const PLACES_MANY: usize = 1 << 18;

/// What keys can be.
pub(super) trait Number: Copy + Default + Eq + Into<u128> {}

impl Number for u64 {}
impl Number for u128 {}

/// The keys so far.
///
/// A hash points to a place in a table of small numbers, and behind it up to a free one; keys stand in the order of their
/// numbers beside it. Of many keys, that is less memory than a table of keys, so more of it is in a cache.
pub(super) struct Numbered<K> {
    /// The number of a key, near the place to which its hash points; a power of two of them.
    places: Vec<IdxSize>,
    keys: Vec<K>,
    groups: Groups,
}

impl<K: Number> Numbered<K> {
    /// With room for so many rows, and about so many different keys.
    pub(super) fn with_room(n_rows: usize, n_keys: usize) -> Self {
        let n_places = (PLACES_OF_KEY * n_keys).next_power_of_two().max(PLACES_MIN);
        let groups =
            Groups { of_row: Vec::with_capacity(n_rows), firsts: Vec::with_capacity(n_keys) };
        Numbered { places: vec![NONE; n_places], keys: Vec::with_capacity(n_keys), groups }
    }

    /// The groups of rows with these keys.
    pub(super) fn of_all(mut self, mut keys: impl Iterator<Item = K>) -> Groups {
        let mut batch = [K::default(); BATCH];
        loop {
            let mut n = 0;
            for (place, key) in batch.iter_mut().zip(&mut keys) {
                (*place, n) = (key, n + 1);
            }
            self.add(&batch[..n]);
            if n < BATCH {
                return self.groups;
            }
        }
    }

    /// The keys of the next rows, no more than a batch of them.
    fn add(&mut self, keys: &[K]) {
        let mut found = [(0, NONE); BATCH];
        for (found, &key) in found.iter_mut().zip(keys) {
            let hash = hash(key);
            *found = (hash, self.places[self.place_of(hash)]);
        }
        for (&key, &(hash, number)) in keys.iter().zip(&found) {
            let number = match self.keys.get(number as usize) {
                Some(&known) if known == key => number,
                _ => self.number(key, hash),
            };
            self.groups.of_row.push(number);
        }
    }

    /// The number of a key that is not where its hash points to, the next one for a new key.
    #[inline(never)]
    fn number(&mut self, key: K, hash: u64) -> IdxSize {
        let mut place = self.place_of(hash);
        while self.places[place] != NONE {
            if self.keys[self.places[place] as usize] == key {
                return self.places[place];
            }
            place = self.behind(place);
        }
        let number = self.keys.len() as IdxSize;
        self.places[place] = number;
        self.keys.push(key);
        self.groups.firsts.push(self.groups.of_row.len() as IdxSize);
        if PLACES_OF_KEY * self.keys.len() > self.places.len() {
            self.grow();
        }
        number
    }

    fn grow(&mut self) {
        // Few steps while that is little memory.
        let factor = if self.places.len() < PLACES_MANY { 4 } else { 2 };
        let n_places = factor * self.places.len();
        // Not both tables at once.
        self.places = Vec::new();
        self.places = vec![NONE; n_places];
        for (number, &key) in self.keys.iter().enumerate() {
            let mut place = self.place_of(hash(key));
            while self.places[place] != NONE {
                place = self.behind(place);
            }
            self.places[place] = number as IdxSize;
        }
    }

    fn behind(&self, place: usize) -> usize {
        (place + 1) & (self.places.len() - 1)
    }

    /// By the high bits of a hash.
    fn place_of(&self, hash: u64) -> usize {
        (hash >> (u64::BITS - self.places.len().trailing_zeros())) as usize
    }
}

fn hash(key: impl Into<u128>) -> u64 {
    of_wide(0x9e37_79b9_7f4a_7c15, key.into())
}
