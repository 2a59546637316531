//! Keys as numbers of 64 bits, which are compared in a tick and sorted by their digits.

use std::ops::Range;

use polars_core::prelude::*;
use polars_utils::total_ord::{canonical_f32, canonical_f64};

/// Bits of a digit: so many counters, and so many places that are written to at a time, stay in the nearest cache.
const DIGIT_BITS: u32 = 8;
const N_DIGITS: usize = 1 << DIGIT_BITS;

/// Fewer rows than this are sorted by comparing them.
const ROWS_MIN: usize = if cfg!(test) { 8 } else { 512 };

/// For each row a number, in the order of the values; any for null, and none of dtypes without such numbers.
///
/// NaN is the largest value, and both zeros are equal.
pub(super) fn codes(key: &Column) -> PolarsResult<Option<Vec<u64>>> {
    const SIGN: u64 = 1 << 63;
    macro_rules! codes {
        ($column:expr, $code:expr) => {{
            let column = $column;
            let mut codes = Vec::with_capacity(column.len());
            for array in column.downcast_iter() {
                codes.extend(array.values().iter().copied().map($code));
            }
            codes
        }};
    }
    // From the negative number that is farthest from zero on, whose bits are the largest.
    let of_float = |bits: u64| if bits & SIGN == 0 { bits | SIGN } else { !bits };
    // Categories are ordered by name.
    if !key.dtype().is_primitive_numeric() && !key.dtype().is_temporal() {
        return Ok(None);
    }
    let physical = key.to_physical_repr();
    let physical = physical.as_materialized_series();
    Ok(Some(match physical.dtype() {
        DataType::Int8 => codes!(physical.i8()?, |v| i64::from(v) as u64 ^ SIGN),
        DataType::Int16 => codes!(physical.i16()?, |v| i64::from(v) as u64 ^ SIGN),
        DataType::Int32 => codes!(physical.i32()?, |v| i64::from(v) as u64 ^ SIGN),
        DataType::Int64 => codes!(physical.i64()?, |v| v as u64 ^ SIGN),
        DataType::UInt8 => codes!(physical.u8()?, u64::from),
        DataType::UInt16 => codes!(physical.u16()?, u64::from),
        DataType::UInt32 => codes!(physical.u32()?, u64::from),
        DataType::UInt64 => codes!(physical.u64()?, |v| v),
        DataType::Float32 => {
            codes!(physical.f32()?, |v| of_float(f64::from(canonical_f32(v)).to_bits()))
        }
        DataType::Float64 => codes!(physical.f64()?, |v| of_float(canonical_f64(v).to_bits())),
        _ => return Ok(None),
    }))
}

/// These rows in the order of their codes, equal ones as they stand here.
pub(super) fn order(codes: Vec<u64>, rows: impl Iterator<Item = IdxSize> + Clone) -> Vec<IdxSize> {
    let of_rows = || rows.clone().map(|row| codes[row as usize]);
    let (Some(min), Some(max)) = (of_rows().min(), of_rows().max()) else { return Vec::new() };
    if of_rows().is_sorted() {
        return rows.collect();
    }
    // Code and row are one number, the rows its last bits, which need no sorting.
    let bits = IdxSize::BITS..IdxSize::BITS + (u64::BITS - (max - min).leading_zeros());
    let code = |row: IdxSize| codes[row as usize] - min;
    if bits.end <= u64::BITS {
        let with_row = |row| code(row) << bits.start | u64::from(row);
        let items: Vec<u64> = rows.map(with_row).collect();
        drop(codes);
        let sorted = by_digits(items, bits, |item, shift| (item >> shift) as usize);
        sorted.into_iter().map(|item| item as IdxSize).collect()
    } else {
        let with_row = |row| u128::from(code(row)) << bits.start | u128::from(row);
        let items: Vec<u128> = rows.map(with_row).collect();
        drop(codes);
        let sorted = by_digits(items, bits, |item, shift| (item >> shift) as usize);
        sorted.into_iter().map(|item| item as IdxSize).collect()
    }
}

/// Numbers sorted by these of their bits; the others are in order where these are equal.
///
/// # Source
/// Knuth, The Art of Computer Programming, volume 3, section 5.2.5: radix sorting from the last digit on.
fn by_digits<T: Copy + Ord>(
    mut items: Vec<T>,
    bits: Range<u32>,
    digit: impl Fn(T, u32) -> usize,
) -> Vec<T> {
    if items.len() < ROWS_MIN {
        items.sort_unstable();
        return items;
    }
    let mut sorted = items.clone();
    for shift in bits.step_by(DIGIT_BITS as usize) {
        let digit = |item| digit(item, shift) % N_DIGITS;
        let mut counts = [0; N_DIGITS];
        items.iter().for_each(|&item| counts[digit(item)] += 1);
        if counts.contains(&items.len()) {
            continue;
        }
        let mut start = 0;
        let mut next = counts.map(|count| {
            start += count;
            start - count
        });
        for &item in &items {
            let place = &mut next[digit(item)];
            sorted[*place] = item;
            *place += 1;
        }
        std::mem::swap(&mut items, &mut sorted);
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sorted<T>(values: &[T]) -> Vec<IdxSize>
    where
        Series: NamedFrom<Vec<T>, [T]>,
        T: Clone,
    {
        let column = Series::new(PlSmallStr::EMPTY, values.to_vec()).into_column();
        let codes = codes(&column).unwrap().unwrap();
        order(codes, 0..values.len() as IdxSize)
    }

    /// What a stable sort that compares gives.
    fn expected<T>(values: &[T], compare: impl Fn(&T, &T) -> std::cmp::Ordering) -> Vec<IdxSize> {
        let mut rows: Vec<IdxSize> = (0..values.len() as IdxSize).collect();
        rows.sort_by(|&a, &b| compare(&values[a as usize], &values[b as usize]));
        rows
    }

    proptest! {
        #[test]
        fn codes_are_in_the_order_of_the_values(
            wide in prop::collection::vec(any::<i64>(), 0..100),
            narrow in prop::collection::vec(-300..300_i16, 0..100),
            large in prop::collection::vec(u64::MAX - 3..=u64::MAX, 0..20),
            floats in prop::collection::vec(prop::num::f64::ANY, 0..100),
            halves in prop::collection::vec(prop::num::f32::ANY, 0..100),
        ) {
            prop_assert_eq!(sorted(&wide), expected(&wide, i64::cmp));
            let narrow: Vec<i64> = narrow.into_iter().map(i64::from).collect();
            prop_assert_eq!(sorted(&narrow), expected(&narrow, i64::cmp));
            prop_assert_eq!(sorted(&large), expected(&large, u64::cmp));
            let compare = |a: &f64, b: &f64| {
                a.partial_cmp(b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
            };
            prop_assert_eq!(sorted(&floats), expected(&floats, compare));
            let floats: Vec<f64> = halves.iter().copied().map(f64::from).collect();
            prop_assert_eq!(sorted(&halves), expected(&floats, compare));
        }
    }

    #[test]
    fn only_rows_that_are_asked_for_are_sorted() {
        let codes: Vec<u64> = (0..100).map(|i| i * 37 % 10).collect();
        let odd = (0..100).filter(|row| row % 2 == 1);
        let found = order(codes.clone(), odd.clone());
        let mut expected: Vec<IdxSize> = odd.collect();
        expected.sort_by_key(|&row| codes[row as usize]);
        assert_eq!(found, expected);
        assert!(order(codes, 0..0).is_empty());
    }

    #[test]
    fn names_have_no_codes() {
        let names = Column::new(PlSmallStr::EMPTY, ["b", "a"]);
        assert!(codes(&names).unwrap().is_none());
        let global = DataType::from_categories(Categories::global());
        assert!(codes(&names.cast(&global).unwrap()).unwrap().is_none());
    }
}
