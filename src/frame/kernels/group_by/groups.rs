//! Which group each row belongs to.
//!
//! Groups are numbered in the order in which they appear. Each key column is numbered alone, in one pass that is as
//! cheap as its dtype allows; several columns are then joined by numbering pairs of numbers. Where rows of several columns
//! hardly ever repeat, tables of pairs are as large as the rows, so these are numbered by a hash of the whole row. No row is
//! ever encoded, and the aggregates run over columns from top to bottom with a number beside each value.

use std::hash::Hash;
use std::ops::RangeInclusive;

use polars_arrow::array::BinaryViewArray;
use polars_core::chunked_array::ops::row_encode::encode_rows_unordered;
use polars_core::prelude::*;
use polars_utils::aliases::PlHashMap;
use polars_utils::total_ord::{canonical_f32, canonical_f64};

use super::super::codes::codes;
use super::super::hash::hashes;
use super::numbered::{Number, Numbered};

/// The rows of a frame by group.
#[derive(Clone, Debug)]
pub(crate) struct Groups {
    /// The group of each row.
    pub(crate) of_row: Vec<IdxSize>,
    /// The first row of each group.
    pub(crate) firsts: Vec<IdxSize>,
}

/// A table of this many numbers is faster than hashing for any number of rows.
const SMALL_TABLE: usize = 1 << 16;

/// Of so many rows one is looked at to decide whether many have equal keys, but of no more than these; of fewer, none.
const SAMPLE_PART: usize = 8;
const SAMPLE_ROWS: RangeInclusive<usize> = 1 << 10..=1 << 15;

/// Groups of fewer rows than this, taken over all of them, are not worth a table.
const REPEATS_MIN: f64 = 3.7;

/// Of so many rows at the beginning it is looked at whether their groups are few: no more than one for so many rows.
pub(super) const ROWS_JUDGED: usize = if cfg!(test) { 32 } else { 1 << 16 };
const ROWS_OF_GROUP_MIN: usize = 16;

impl Groups {
    /// Rows with equal keys. Nulls are equal to each other, as are NaNs, and both zeros.
    pub(crate) fn new(keys: &[Column], n_rows: usize) -> PolarsResult<Self> {
        if keys.len() > 1
            && hardly_repeat(keys, n_rows)?
            && let Some(groups) = Groups::of_hashes(keys)?
        {
            return Ok(groups);
        }
        Groups::by_column(keys, n_rows)
    }

    /// Each key alone, and then pairs of them.
    fn by_column(keys: &[Column], n_rows: usize) -> PolarsResult<Self> {
        let Some((first, others)) = keys.split_first() else {
            return Ok(Groups::one(n_rows));
        };
        let mut groups = Groups::of_series(first.as_materialized_series())?;
        for key in others {
            groups = groups.and(&Groups::of_series(key.as_materialized_series())?);
        }
        Ok(groups)
    }

    /// All rows in one group, which is there even if they are none.
    pub(crate) fn one(n_rows: usize) -> Self {
        Groups { of_row: vec![0; n_rows], firsts: vec![0] }
    }

    /// As [`new`](Self::new); each row alone if looking for others is not worth while.
    pub(super) fn worthwhile(keys: &[Column], n_rows: usize) -> PolarsResult<Self> {
        if !hardly_repeat(keys, n_rows)? {
            return Groups::by_column(keys, n_rows);
        }
        // Rows that come in batches are put into groups after these, and have to give the same bits.
        let first: Vec<Column> = keys.iter().map(|key| key.head(Some(ROWS_JUDGED))).collect();
        match Groups::new(&first, ROWS_JUDGED.min(n_rows))?.are_few_at_first() {
            true => Groups::new(keys, n_rows),
            false => Ok(Groups::each(n_rows)),
        }
    }

    /// Whether there are few groups among the first rows; not if these are all rows and fewer than are looked at.
    pub(super) fn are_few_at_first(&self) -> bool {
        let n = self.firsts.partition_point(|&row| (row as usize) < ROWS_JUDGED);
        self.of_row.len() >= ROWS_JUDGED && n <= ROWS_JUDGED / ROWS_OF_GROUP_MIN
    }

    /// Rows whose hashes are equal, if these are the rows that are equal: of two rows with one hash that is nearly
    /// certain, and then it is checked.
    fn of_hashes(keys: &[Column]) -> PolarsResult<Option<Self>> {
        let n_rows = keys[0].len();
        if let Some(packed) = packed(keys)? {
            return Ok(Some(Numbered::with_room(n_rows, n_rows).of_all(packed.into_iter())));
        }
        let hashes = hashes(keys, n_rows, 0x6b65_7973)?;
        let groups = Numbered::with_room(n_rows, n_rows).of_all(hashes.into_iter());
        let pairs = groups.of_row.iter().map(|&group| groups.firsts[group as usize]);
        let pairs = (0..n_rows as IdxSize).zip(pairs).filter(|(row, first)| row != first);
        let (rows, firsts): (Vec<_>, Vec<_>) = pairs.unzip();
        let [rows, firsts] = [rows, firsts].map(|rows| IdxCa::from_vec(PlSmallStr::EMPTY, rows));
        for key in keys {
            if !key.take(&rows)?.equals_missing(&key.take(&firsts)?) {
                return Ok(None);
            }
        }
        Ok(Some(groups))
    }

    /// Each row in a group of its own.
    pub(crate) fn each(n_rows: usize) -> Self {
        let all: Vec<IdxSize> = (0..n_rows as IdxSize).collect();
        Groups { of_row: all.clone(), firsts: all }
    }

    /// Whether each row is a group.
    pub(super) fn are_rows(&self) -> bool {
        self.firsts.len() == self.of_row.len()
    }

    /// How many groups there are.
    pub(crate) fn len(&self) -> usize {
        self.firsts.len()
    }

    /// Rows that are in one group here and in one group there.
    pub(crate) fn and(&self, other: &Groups) -> Groups {
        let pairs = self.of_row.iter().zip(&other.of_row);
        match self.len().checked_mul(other.len()) {
            Some(n) if n <= table_max(self.of_row.len()) => {
                by_code(pairs.map(|(&a, &b)| a as usize * other.len() + b as usize), n)
            }
            _ => {
                let pairs = pairs.map(|(&a, &b)| (u64::from(a) << 32) | u64::from(b));
                by_number(pairs, self.of_row.len())
            }
        }
    }

    fn of_series(series: &Series) -> PolarsResult<Self> {
        use DataType as D;
        // What null is among numbers of 64 bits.
        const NULL: u128 = 1 << 64;
        macro_rules! integers {
            ($column:expr) => {{
                let column = $column;
                // Differences of 64-bit integers fit in 128 bits.
                let range = column.min().zip(column.max());
                let range = range.map(|(min, max)| (min, (max as i128 - min as i128) as u128));
                match range {
                    Some((min, width)) if width < table_max(column.len()) as u128 => {
                        let null = width as usize + 1;
                        let code = |value| (value as i128 - min as i128) as usize;
                        if column.has_nulls() {
                            by_code(column.iter().map(|v| v.map_or(null, code)), null + 1)
                        } else {
                            by_code(column.into_no_null_iter().map(code), null)
                        }
                    }
                    _ if column.has_nulls() => {
                        let number = |v| u128::from(v as u64);
                        by_number(column.iter().map(|v| v.map_or(NULL, number)), column.len())
                    }
                    _ => by_number(column.into_no_null_iter().map(|v| v as u64), column.len()),
                }
            }};
        }
        let physical = series.to_physical_repr();
        Ok(match physical.dtype() {
            D::Null => {
                let mut groups = Groups::one(series.len());
                groups.firsts.truncate(series.len());
                groups
            }
            D::Boolean => by_code(physical.bool()?.iter().map(|v| v.map_or(2, usize::from)), 3),
            D::Int8 => integers!(physical.i8()?),
            D::Int16 => integers!(physical.i16()?),
            D::Int32 => integers!(physical.i32()?),
            D::Int64 => integers!(physical.i64()?),
            D::UInt8 => integers!(physical.u8()?),
            D::UInt16 => integers!(physical.u16()?),
            D::UInt32 => integers!(physical.u32()?),
            D::UInt64 => integers!(physical.u64()?),
            D::Int128 => by_hash(physical.i128()?.iter()),
            D::Float32 => {
                let bits = |v| u128::from(canonical_f32(v).to_bits());
                by_number(physical.f32()?.iter().map(|v| v.map_or(NULL, bits)), physical.len())
            }
            D::Float64 => {
                let bits = |v| u128::from(canonical_f64(v).to_bits());
                by_number(physical.f64()?.iter().map(|v| v.map_or(NULL, bits)), physical.len())
            }
            D::String => of_bytes(&physical.str()?.as_binary()),
            D::Binary => of_bytes(physical.binary()?),
            _ => by_hash(encode_rows_unordered(&[series.clone().into()])?.iter()),
        })
    }

    /// The rows sorted by group, and where each group begins among them; the end of the last one too.
    pub(crate) fn sorted_rows(&self) -> (Vec<IdxSize>, Vec<usize>) {
        let mut offsets = vec![0; self.len() + 1];
        for &group in &self.of_row {
            offsets[group as usize + 1] += 1;
        }
        for group in 0..self.len() {
            offsets[group + 1] += offsets[group];
        }
        let mut next = offsets.clone();
        let mut rows = vec![0; self.of_row.len()];
        for (row, &group) in self.of_row.iter().enumerate() {
            let place = &mut next[group as usize];
            rows[*place] = row as IdxSize;
            *place += 1;
        }
        (rows, offsets)
    }
}

/// Whether the first rows say that hardly any are equal: they have more groups than so many of them would have by chance
/// if all rows were in groups of [`REPEATS_MIN`].
fn hardly_repeat(keys: &[Column], n_rows: usize) -> PolarsResult<bool> {
    let n_sample = (n_rows / SAMPLE_PART).min(*SAMPLE_ROWS.end());
    if n_sample < *SAMPLE_ROWS.start() || keys.is_empty() {
        return Ok(false);
    }
    let sample: Vec<Column> = keys.iter().map(|key| key.head(Some(n_sample))).collect();
    let groups = match &sample[..] {
        [key] => Groups::of_series(key.as_materialized_series())?,
        keys => match Groups::of_hashes(keys)? {
            Some(groups) => groups,
            None => return Ok(false),
        },
    };
    let repeats = REPEATS_MIN * n_sample as f64 / n_rows as f64;
    let by_chance = n_sample as f64 * (1.0 - (-repeats).exp()) / repeats;
    Ok(groups.len() as f64 > by_chance)
}

/// Rows of integers as one number each, if all of them are known and lie so close together that there are not too many.
fn packed(keys: &[Column]) -> PolarsResult<Option<Vec<u64>>> {
    let is_integer = |key: &Column| key.dtype().is_integer() || key.dtype().is_temporal();
    if !keys.iter().all(|key| is_integer(key) && !key.has_nulls()) {
        return Ok(None);
    }
    let mut packed = vec![0; keys[0].len()];
    let mut n_numbers = 1_u64;
    for key in keys {
        let Some(codes) = codes(key)? else { return Ok(None) };
        let (Some(&min), Some(&max)) = (codes.iter().min(), codes.iter().max()) else {
            return Ok(Some(packed));
        };
        let n_codes = (max - min).checked_add(1);
        let Some(n) = n_codes.and_then(|n| n_numbers.checked_mul(n)) else { return Ok(None) };
        for (packed, code) in packed.iter_mut().zip(codes) {
            *packed += (code - min) * n_numbers;
        }
        n_numbers = n;
    }
    Ok(Some(packed))
}

/// The largest table that is not slower than hashing so many rows.
fn table_max(n_rows: usize) -> usize {
    n_rows.saturating_mul(2).max(SMALL_TABLE)
}

/// Strings of up to twelve bytes are compared as one number, which is what Arrow stores of them; null is none of these.
fn of_bytes(column: &BinaryChunked) -> Groups {
    const NULL: u128 = u128::MAX;
    let is_short = |array: &BinaryViewArray| array.views().iter().all(|view| view.is_inline());
    if !column.downcast_iter().all(is_short) {
        return by_hash(column.iter());
    }
    let views =
        column.downcast_iter().flat_map(|array| array.views().iter().map(|view| view.as_u128()));
    if !column.has_nulls() {
        return by_number(views, column.len());
    }
    let known = column.is_not_null();
    let keys = views.zip(known.iter());
    by_number(keys.map(|(view, known)| if known == Some(true) { view } else { NULL }), column.len())
}

/// As [`by_hash`], of `n_rows` keys that are one number each, and faster.
fn by_number<K: Number>(keys: impl Iterator<Item = K>, n_rows: usize) -> Groups {
    Numbered::with_room(n_rows, 0).of_all(keys)
}

/// Numbers keys by a table that has a place for each possible code.
fn by_code(codes: impl Iterator<Item = usize>, n_codes: usize) -> Groups {
    const NEW: IdxSize = IdxSize::MAX;
    let mut table = vec![NEW; n_codes];
    let mut firsts = Vec::new();
    let mut of_row = Vec::with_capacity(codes.size_hint().0);
    for (row, code) in codes.enumerate() {
        let group = &mut table[code];
        if *group == NEW {
            *group = firsts.len() as IdxSize;
            firsts.push(row as IdxSize);
        }
        of_row.push(*group);
    }
    Groups { of_row, firsts }
}

fn by_hash<K: Hash + Eq>(keys: impl Iterator<Item = K>) -> Groups {
    let mut table: PlHashMap<K, IdxSize> = PlHashMap::default();
    let mut firsts = Vec::new();
    let mut of_row = Vec::with_capacity(keys.size_hint().0);
    for (row, key) in keys.enumerate() {
        of_row.push(*table.entry(key).or_insert_with(|| {
            firsts.push(row as IdxSize);
            firsts.len() as IdxSize - 1
        }));
    }
    Groups { of_row, firsts }
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars_core::df;

    fn groups(column: impl IntoColumn) -> Vec<IdxSize> {
        Groups::new(&[column.into_column()], 0).unwrap().of_row
    }

    #[test]
    fn groups_are_numbered_as_they_appear() {
        let name = || PlSmallStr::EMPTY;
        assert_eq!(groups(Series::new(name(), [7_i32, -3, 7, 5])), [0, 1, 0, 2]);
        let wide = [i64::MIN, i64::MAX, 0, i64::MIN];
        assert_eq!(groups(Series::new(name(), wide)), [0, 1, 2, 0]);
        assert_eq!(
            groups(Series::new(name(), [Some(u64::MAX), None, Some(0), None])),
            [0, 1, 2, 1]
        );
        assert_eq!(
            groups(Series::new(name(), [Some(true), None, Some(false), None])),
            [0, 1, 2, 1]
        );
        assert_eq!(groups(Series::new(name(), [-0.0, 0.0, f64::NAN, -f64::NAN])), [0, 0, 1, 1]);
        let long = "a string of more than twelve bytes";
        assert_eq!(groups(Series::new(name(), ["b", "", "b", ""])), [0, 1, 0, 1]);
        assert_eq!(groups(Series::new(name(), ["b", long, "b", long])), [0, 1, 0, 1]);
        assert_eq!(groups(Series::new(name(), [Some("b"), None, Some("")])), [0, 1, 2]);
        assert_eq!(groups(Series::new_null(name(), 3)), [0, 0, 0]);
    }

    #[test]
    fn nested_keys_are_compared_as_rows() {
        let frame = df!["a" => [1, 1, 2, 1], "b" => [0.0, -0.0, 0.0, f64::NAN]].unwrap();
        assert_eq!(groups(frame.into_struct("s".into()).into_series()), [0, 0, 1, 2]);
    }

    #[test]
    fn several_keys_are_joined() {
        let n = 100_i64;
        let keys = df!["a" => (0..n).map(|i| i % 7).collect::<Vec<_>>(),
            "b" => (0..n).map(|i| i64::MAX / 3 * (i % 3 - 1)).collect::<Vec<_>>()]
        .unwrap();
        let joined = Groups::new(keys.columns(), 100).unwrap();
        assert_eq!(joined.firsts, (0..21).collect::<Vec<_>>());
        let (rows, offsets) = joined.sorted_rows();
        assert_eq!(rows[offsets[4]..offsets[5]], [4, 25, 46, 67, 88]);
        // The hash path of pairs.
        let many = Groups { of_row: (0..70_000).collect(), firsts: (0..70_000).collect() };
        assert_eq!(many.and(&many).of_row, many.of_row);
    }

    /// What a loop over a map of all keys so far gives.
    fn by_map<K: Ord>(keys: impl Iterator<Item = K>) -> Vec<IdxSize> {
        let mut known = std::collections::BTreeMap::new();
        keys.map(|key| {
            let next = known.len() as IdxSize;
            *known.entry(key).or_insert(next)
        })
        .collect()
    }

    #[test]
    fn keys_far_apart_are_numbered_as_they_appear() {
        let n = 70_000_u64;
        let key = |i: u64| (i * i % 30_011).wrapping_mul(0x9e37_79b9_7f4a_7c15) as i64;
        let known: Vec<i64> = (0..n).map(key).collect();
        let expected = by_map(known.iter());
        assert_eq!(groups(Series::new(PlSmallStr::EMPTY, &known)), expected);
        let floats: Vec<f64> = known.iter().map(|&key| key as f64).collect();
        assert_eq!(groups(Series::new(PlSmallStr::EMPTY, floats)), expected);
        let some = |i: u64| (!i.is_multiple_of(7)).then(|| key(i));
        let some: Vec<Option<i64>> = (0..n).map(some).collect();
        assert_eq!(groups(Series::new(PlSmallStr::EMPTY, &some)), by_map(some.iter()));
        let short: Vec<_> =
            some.iter().map(|key| key.map(|key| format!("{:x}", key >> 30))).collect();
        assert_eq!(groups(Series::new(PlSmallStr::EMPTY, &short)), by_map(short.iter()));
    }

    #[test]
    fn integers_that_hardly_repeat_are_packed() {
        let n = 20_000_i64;
        let (a, b) = (|i: i64| i * 7 % 9_001 - 4_000, |i: i64| (i * 5 % 97) as i32 - 50);
        let keys =
            df!["a" => (0..n).map(a).collect::<Vec<_>>(), "b" => (0..n).map(b).collect::<Vec<_>>()];
        let keys = keys.unwrap();
        assert_eq!(packed(keys.columns()).unwrap().unwrap().len(), n as usize);
        let found = Groups::of_hashes(keys.columns()).unwrap().unwrap();
        assert_eq!(found.of_row, by_map((0..n).map(|i| (a(i), b(i)))));
        let ends = df!["a" => [i64::MIN, i64::MAX], "b" => [0_i64, 1]].unwrap();
        assert!(packed(ends.columns()).unwrap().is_none());
        assert_eq!(packed(&ends.columns()[1..]).unwrap().unwrap(), [0, 1]);
        let some = df!["a" => [Some(1_i64), None]].unwrap();
        assert!(packed(some.columns()).unwrap().is_none());
    }

    #[test]
    fn rows_that_hardly_repeat_are_numbered_by_their_hashes() {
        let n = 20_000_usize;
        let text: Vec<_> = (0..n).map(|i| (i % 10 > 0).then(|| format!("s{}", i % 95))).collect();
        let keys = df!["a" => (0..n as i64).map(|i| i * 7 % 19_000).collect::<Vec<_>>(),
            "b" => (0..n).map(|i| if i % 5 == 0 { f64::NAN } else { 0.0 }).collect::<Vec<_>>(),
            "c" => text]
        .unwrap();
        assert!(hardly_repeat(keys.columns(), n).unwrap());
        let by_hash = Groups::of_hashes(keys.columns()).unwrap().unwrap();
        let [a, b, c] = [0, 1, 2]
            .map(|i| Groups::of_series(keys.columns()[i].as_materialized_series()).unwrap());
        let by_pairs = a.and(&b).and(&c);
        assert!(by_pairs.len() < n && by_hash.of_row == by_pairs.of_row);
        assert_eq!(by_hash.firsts, by_pairs.firsts);
        assert_eq!(Groups::new(keys.columns(), n).unwrap().firsts, by_pairs.firsts);
        assert!(!hardly_repeat(&keys.columns()[1..], n).unwrap());
    }
}
