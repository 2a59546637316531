//! Hashes of rows, the same in every run and whatever partition a row is in.
//!
//! # Source
//! The step is that of wyhash, by Wang Yi: both halves of a product, <https://github.com/wangyi-fudan/wyhash>.

use polars_arrow::array::Array;
use polars_core::hashing::columns_to_hashes;
use polars_core::prelude::*;
use polars_utils::aliases::{PlSeedableRandomStateQuality, SeedableFromU64SeedExt};

use super::codes::codes;

/// Odd, with as many ones as zeros; the secret of wyhash.
const FACTORS: [u64; 4] =
    [0x2d35_8dcc_aa6c_78a5, 0x8bb8_4b93_962e_acc9, 0x4b33_a62e_d433_d4a3, 0x4d5a_2da5_1de1_aa47];

/// What null counts as. A value that is this number has the same hash, as any two values may have.
const NULL: u64 = 0x6e75_6c6c_6e75_6c6c;

/// The hash of each of `n_rows` rows, other ones for another seed.
///
/// Equal rows of equal dtypes have equal hashes: nulls, all NaN, 0 and -0. Those of categories are of their numbers, which
/// another frame may have for other names.
pub(super) fn hashes(columns: &[Column], n_rows: usize, seed: u64) -> PolarsResult<Vec<u64>> {
    let mut hashes = vec![seed; n_rows];
    for column in columns {
        add(&mut hashes, column)?;
    }
    // Bits at both ends are used, which one product of a small number leaves empty.
    hashes.iter_mut().for_each(|hash| *hash = mix(*hash ^ FACTORS[2], FACTORS[3]));
    Ok(hashes)
}

/// Mixes the values of a column into the hashes of their rows.
fn add(hashes: &mut [u64], column: &Column) -> PolarsResult<()> {
    match column.dtype() {
        DataType::String => {
            add_views(hashes, &column.str()?.as_binary());
            return Ok(());
        }
        DataType::Binary => {
            add_views(hashes, column.binary()?);
            return Ok(());
        }
        _ => {}
    }
    let mut words = match codes(column)? {
        Some(codes) => codes,
        None => {
            let state = PlSeedableRandomStateQuality::seed_from_u64(FACTORS[0]);
            let mut words = Vec::new();
            columns_to_hashes(&column.clone().into_frame(), Some(state), &mut words)?;
            words
        }
    };
    if column.has_nulls() {
        for (word, is_null) in words.iter_mut().zip(column.is_null().iter()) {
            if is_null == Some(true) {
                *word = NULL;
            }
        }
    }
    for (hash, word) in hashes.iter_mut().zip(words) {
        *hash = of_word(*hash, word);
    }
    Ok(())
}

/// What Arrow stores of up to twelve bytes is one number; longer texts lie elsewhere.
fn add_views(hashes: &mut [u64], column: &BinaryChunked) {
    let mut rest = hashes;
    for array in column.downcast_iter() {
        let (here, behind) = rest.split_at_mut(array.len());
        rest = behind;
        let validity = array.validity().filter(|validity| validity.unset_bits() > 0);
        for (row, (hash, view)) in here.iter_mut().zip(array.views().iter()).enumerate() {
            *hash = if validity.is_some_and(|validity| !validity.get_bit(row)) {
                of_word(*hash, NULL)
            } else if view.is_inline() {
                of_wide(*hash, view.as_u128())
            } else {
                of_bytes(*hash, array.value(row))
            };
        }
    }
}

fn of_bytes(hash: u64, bytes: &[u8]) -> u64 {
    let (blocks, rest) = bytes.as_chunks::<16>();
    let hash = of_word(hash, bytes.len() as u64);
    let hash = blocks.iter().fold(hash, |hash, block| of_wide(hash, u128::from_le_bytes(*block)));
    let mut last = [0; 16];
    last[..rest.len()].copy_from_slice(rest);
    of_wide(hash, u128::from_le_bytes(last))
}

fn of_word(hash: u64, word: u64) -> u64 {
    mix(hash ^ word, FACTORS[0])
}

pub(super) fn of_wide(hash: u64, wide: u128) -> u64 {
    mix(hash ^ wide as u64, FACTORS[1] ^ (wide >> 64) as u64)
}

fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::super::testing::frame;
    use super::*;
    use polars_core::df;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn of(columns: &[Column]) -> Vec<u64> {
        hashes(columns, columns[0].len(), 1).unwrap()
    }

    proptest! {
        #[test]
        fn hashes_are_equal_where_rows_are(frame in frame(60)) {
            let keys = frame.select(["k", "f", "s"]).unwrap();
            let hashes = of(keys.columns());
            let row = |i: usize| keys.slice(i as i64, 1);
            for i in 0..frame.height() {
                // One by one, in other chunks, they are the same.
                prop_assert_eq!(of(row(i).columns()), [hashes[i]]);
                for j in 0..i {
                    prop_assert_eq!(hashes[i] == hashes[j], row(i).equals_missing(&row(j)));
                }
            }
        }
    }

    /// As those of random numbers, hashes of keys that lie side by side fill all places, at either end of their bits.
    #[test]
    fn close_keys_have_hashes_far_apart() {
        let n = 1 << 14;
        let text = |width: usize| (0..n).map(|i| format!("{i:0width$}")).collect::<Vec<_>>();
        let keys = df!["int" => (0..n as i64).collect::<Vec<_>>(),
            "step" => (0..n as i64).map(|i| i << 40).collect::<Vec<_>>(),
            "float" => (0..n).map(|i| i as f64).collect::<Vec<_>>(),
            "short" => text(10), "long" => text(40)]
        .unwrap();
        for key in keys.columns() {
            let hashes = of(std::slice::from_ref(key));
            assert_eq!(hashes.iter().collect::<HashSet<_>>().len(), n, "{}", key.name());
            for shift in [0, 64 - 14] {
                let places: HashSet<u64> =
                    hashes.iter().map(|hash| hash >> shift & (n as u64 - 1)).collect();
                // Of n places that n random numbers hit, 1/e stay empty.
                let share = places.len() as f64 / n as f64;
                assert!((0.60..0.67).contains(&share), "{} {shift}: {share}", key.name());
            }
        }
    }

    #[test]
    fn seeds_and_the_order_of_columns_count() {
        let keys = df!["a" => [1_i64, 2], "b" => [2_i64, 1]].unwrap();
        let hashes_of = of(keys.columns());
        assert_ne!(hashes_of[0], hashes_of[1]);
        assert_ne!(hashes(keys.columns(), 2, 2).unwrap(), hashes_of);
        assert_eq!(hashes(&[], 2, 7).unwrap(), hashes(&[], 2, 7).unwrap());
    }

    #[test]
    fn other_dtypes_have_hashes_too() {
        let flags = Column::new("b".into(), [Some(true), None, Some(false), Some(true)]);
        let found = of(std::slice::from_ref(&flags));
        assert!(found[0] == found[3] && found[0] != found[1] && found[0] != found[2]);
        let wide = Column::new("d".into(), [1_i64, 2, 1]).cast(&DataType::Decimal(38, 2)).unwrap();
        let found = of(&[wide]);
        assert!(found[0] == found[2] && found[0] != found[1]);
    }
}
