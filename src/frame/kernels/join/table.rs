//! Tables that find the rows of a key, for joins.
//!
//! A key is a number of 64 bits: itself if it is one integer, otherwise a hash of all of it, whose rows have to be compared
//! by whoever asks. So there is one table for all dtypes. Integers that lie close together need no hashing: their place is
//! the difference to the smallest one.

use polars_core::prelude::*;

use crate::error::Result;
use crate::frame::kernels::codes::codes;
use crate::frame::kernels::failed;
use crate::frame::kernels::hash::hashes;

/// Stands for no row.
pub(super) const NONE: IdxSize = IdxSize::MAX;

/// A table by place may have so many places for each row, which is what a hash table takes.
const PLACES_MAX: usize = 8;

/// So many keys are looked up side by side, that one does not wait for the memory of the other.
const BATCH: usize = 64;

/// The keys of the rows of a frame as numbers.
pub(super) struct Codes {
    values: Vec<u64>,
    /// The rows with a null in the key, which equal no others; none if all rows have partners, or nulls are values.
    nulls: Option<Vec<bool>>,
    /// Whether rows of equal numbers have equal keys.
    pub(super) are_exact: bool,
}

impl Codes {
    /// The keys of a frame; `seed` makes other hashes of them.
    ///
    /// Whether they are exact depends on dtypes only, so that both sides of a join agree.
    pub(super) fn new(keys: &[Column], nulls_equal: bool, seed: u64) -> Result<Self> {
        let nulls = if nulls_equal { None } else { nulls(keys) };
        let exact = match keys {
            [key] if !nulls_equal => integers(key).map_err(failed("join"))?,
            _ => None,
        };
        let are_exact = exact.is_some();
        let n_rows = keys.first().map_or(0, Column::len);
        let values = match exact {
            Some(values) => values,
            None => hashes(keys, n_rows, 0x6a6f_696e + seed).map_err(failed("join"))?,
        };
        Ok(Codes { values, nulls, are_exact })
    }

    fn len(&self) -> usize {
        self.values.len()
    }

    fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls[row])
    }
}

/// Whether equal values have equal hashes in any frame, which those of categories have not.
pub(crate) fn can_be_coded(dtype: &DataType) -> bool {
    let is_number =
        dtype.is_primitive_numeric() && !matches!(dtype, DataType::Int128 | DataType::UInt128);
    let is_text = matches!(dtype, DataType::String | DataType::Binary);
    is_number || is_text || dtype.is_temporal() || dtype.is_bool()
}

/// Integers, and what is stored as integers, as numbers.
fn integers(key: &Column) -> PolarsResult<Option<Vec<u64>>> {
    if key.dtype().is_float() { Ok(None) } else { codes(key) }
}

fn nulls(keys: &[Column]) -> Option<Vec<bool>> {
    let mut nulls: Option<Vec<bool>> = None;
    for key in keys.iter().filter(|key| key.has_nulls()) {
        let all = nulls.get_or_insert_with(|| vec![false; key.len()]);
        for (any, is_null) in all.iter_mut().zip(key.is_null().iter()) {
            *any |= is_null == Some(true);
        }
    }
    nulls
}

/// The rows of each key.
#[derive(Debug)]
pub(super) struct Table {
    firsts: Firsts,
    /// For each row the next one of the same key; empty if all keys are different.
    next: Vec<IdxSize>,
}

/// The first row of each key.
#[derive(Debug)]
enum Firsts {
    /// At the place of the key minus the smallest one.
    Placed { min: u64, rows: Vec<IdxSize> },
    /// Near the slot to which its hash points, the next free one behind it.
    Hashed { slots: Vec<(u64, IdxSize)>, marks: Marks },
}

/// Which hashes there are, to some of their bits: of a key that has no rows it mostly says so, from memory that is a small
/// part of the slots.
///
/// # Source
/// B. H. Bloom, *Space/time trade-offs in hash coding with allowable errors*, 1970, with one bit for each key.
#[derive(Debug)]
struct Marks(Vec<u64>);

impl Table {
    pub(super) fn new(codes: &Codes) -> Self {
        let mut firsts = Firsts::with_room(codes);
        let mut next = Vec::new();
        // From the last row, so that the rows of a key are found from the first.
        for row in (0..codes.len()).rev().filter(|&row| !codes.is_null(row)) {
            let first = firsts.place(codes.values[row]);
            let second = std::mem::replace(first, row as IdxSize);
            if second != NONE {
                if next.is_empty() {
                    next = vec![NONE; codes.len()];
                }
                next[row] = second;
            }
        }
        Table { firsts, next }
    }

    pub(super) fn nbytes(&self) -> u64 {
        let firsts = match &self.firsts {
            Firsts::Placed { rows, .. } => size_of_val(&rows[..]),
            Firsts::Hashed { slots, marks } => size_of_val(&slots[..]) + size_of_val(&marks.0[..]),
        };
        (firsts + size_of_val(&self.next[..])) as u64
    }

    /// Whether no key has two rows.
    pub(super) fn is_unique(&self) -> bool {
        self.next.is_empty()
    }

    /// For each key the first row, or [`NONE`].
    pub(super) fn find(&self, codes: &Codes) -> Vec<IdxSize> {
        let mut found = Vec::with_capacity(codes.len());
        match &self.firsts {
            Firsts::Placed { min, rows } => found.extend(codes.values.iter().map(|code| {
                let place = usize::try_from(code.wrapping_sub(*min)).unwrap_or(usize::MAX);
                rows.get(place).copied().unwrap_or(NONE)
            })),
            Firsts::Hashed { slots, marks } => {
                find_hashed(slots, marks, &codes.values, &mut found);
            }
        }
        if let Some(nulls) = &codes.nulls {
            let nulls = found.iter_mut().zip(nulls).filter(|(_, is_null)| **is_null);
            nulls.for_each(|(row, _)| *row = NONE);
        }
        found
    }

    /// The rows of a key from the first one on.
    pub(super) fn rows_from(&self, first: IdxSize) -> impl Iterator<Item = IdxSize> + '_ {
        let row = |row: IdxSize| (row != NONE).then_some(row);
        std::iter::successors(row(first), move |&last| {
            row(self.next.get(last as usize).copied().unwrap_or(NONE))
        })
    }
}

impl Firsts {
    fn with_room(codes: &Codes) -> Self {
        let n = codes.len();
        let known = || codes.values.iter().enumerate().filter(|(row, _)| !codes.is_null(*row));
        let min = known().map(|(_, &code)| code).min();
        let max = known().map(|(_, &code)| code).max();
        if let (true, Some((min, max))) = (codes.are_exact, min.zip(max))
            && let Ok(width) = usize::try_from(max - min)
            && width < n.saturating_mul(PLACES_MAX)
        {
            return Firsts::Placed { min, rows: vec![NONE; width + 1] };
        }
        Firsts::Hashed { slots: vec![(0, NONE); n / 2 * 3 + 2], marks: Marks::with_room(n) }
    }

    /// Where the first row of a key is, or goes.
    fn place(&mut self, code: u64) -> &mut IdxSize {
        match self {
            Firsts::Placed { min, rows } => &mut rows[(code - *min) as usize],
            Firsts::Hashed { slots, marks } => {
                let hash = hash_of(code);
                marks.add(hash);
                let slot = slot_from(slot_of(hash, slots.len()), code, slots);
                slots[slot].0 = code;
                &mut slots[slot].1
            }
        }
    }
}

impl Marks {
    /// For so many keys: eight bits each at least, of which one or none is set then.
    fn with_room(n_keys: usize) -> Self {
        Marks(vec![0; (n_keys / 8).next_power_of_two()])
    }

    fn add(&mut self, hash: u64) {
        let (word, bit) = self.place_of(hash);
        self.0[word] |= 1 << bit;
    }

    fn may_have(&self, hash: u64) -> bool {
        let (word, bit) = self.place_of(hash);
        self.0[word] >> bit & 1 == 1
    }

    /// By the low bits, as slots are found by the high ones.
    fn place_of(&self, hash: u64) -> (usize, u64) {
        ((hash >> 6) as usize & (self.0.len() - 1), hash & 63)
    }
}

fn find_hashed(slots: &[(u64, IdxSize)], marks: &Marks, codes: &[u64], found: &mut Vec<IdxSize>) {
    let mut asked = [(0, 0); BATCH];
    let mut held = [(0, NONE); BATCH];
    for codes in codes.chunks(BATCH) {
        // Keys that may be there, without a branch that is taken by chance.
        let mut n = 0;
        for (i, &code) in codes.iter().enumerate() {
            let hash = hash_of(code);
            asked[n] = (i, slot_of(hash, slots.len()));
            n += usize::from(marks.may_have(hash));
        }
        for (held, &(_, slot)) in held.iter_mut().zip(&asked[..n]) {
            *held = slots[slot];
        }
        let start = found.len();
        found.resize(start + codes.len(), NONE);
        for (&(i, slot), &held) in asked[..n].iter().zip(&held) {
            let code = codes[i];
            let is_it = held.0 == code || held.1 == NONE;
            found[start + i] = if is_it { held.1 } else { slots[slot_from(slot, code, slots)].1 };
        }
    }
}

/// The slot of a key from this one on, or the free one where it would be.
fn slot_from(mut slot: usize, code: u64, slots: &[(u64, IdxSize)]) -> usize {
    while slots[slot].1 != NONE && slots[slot].0 != code {
        slot = if slot + 1 == slots.len() { 0 } else { slot + 1 };
    }
    slot
}

/// Both halves of a product with an odd number.
fn hash_of(code: u64) -> u64 {
    let product = u128::from(code) * 0x9E37_79B9_7F4A_7C15;
    (product >> 64) as u64 ^ product as u64
}

/// The place of a hash among so many.
fn slot_of(hash: u64, n_slots: usize) -> usize {
    ((u128::from(hash) * n_slots as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(column: impl IntoColumn) -> Codes {
        Codes::new(&[column.into_column()], false, 0).unwrap()
    }

    fn rows(table: &Table, keys: &Codes) -> Vec<Vec<IdxSize>> {
        table.find(keys).into_iter().map(|first| table.rows_from(first).collect()).collect()
    }

    #[test]
    fn rows_of_a_key_come_from_the_first_on() {
        let name = || PlSmallStr::EMPTY;
        for (a, b) in [(1, 2), (i64::MIN, i64::MAX)] {
            let built = Table::new(&codes(Series::new(name(), [Some(a), Some(b), None, Some(a)])));
            let probe = codes(Series::new(name(), [Some(b), None, Some(a), Some(0)]));
            assert_eq!(rows(&built, &probe), [vec![1], vec![], vec![0, 3], vec![]]);
            assert!(!built.is_unique());
            assert_eq!(matches!(built.firsts, Firsts::Placed { .. }), a == 1);
        }
        let none = Table::new(&codes(Series::new_empty(name(), &DataType::Int8)));
        assert_eq!(none.find(&codes(Series::new(name(), [1_i8]))), [NONE]);
    }

    #[test]
    fn full_tables_find_all_keys() {
        let keys: Vec<u64> = (0..1000).map(|i| i << 40).collect();
        let keys = codes(Series::new(PlSmallStr::EMPTY, keys));
        let table = Table::new(&keys);
        assert!(table.is_unique() && matches!(table.firsts, Firsts::Hashed { .. }));
        assert_eq!(table.find(&keys), (0..1000).collect::<Vec<_>>());
        assert!(table.nbytes() >= 16_000);
    }
}
