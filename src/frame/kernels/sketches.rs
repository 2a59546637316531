//! States of approximate aggregates: what is kept of a group's values in a bounded number of bytes.

use polars_core::error::polars_err;
use polars_core::prelude::{
    Column, DataType, Float64Chunked, IdxCa, IdxSize, IntoColumn, NamedFrom, PlSmallStr,
    PolarsError, PolarsResult, Scalar, Series,
};

use super::split::row_hashes;
use crate::frame::partitions::hyperloglog::HyperLogLog;
use crate::frame::partitions::tdigest::{CENTROIDS_MAX, TDigest};

/// 64 kB a sketch, for a standard error of 0.4 %.
const DISTINCT_BITS: u32 = 16;

/// Bytes of a state in a column, at most: registers, or a list of no more bytes.
pub(crate) const DISTINCT_BYTES_MAX: u32 = (1 << DISTINCT_BITS) + 16;

/// The same of a digest: its ends, the means and the weights.
pub(crate) const DIGEST_BYTES_MAX: u32 = 8 * (2 + 2 * CENTROIDS_MAX) + 16;

/// The different hashes of values, null counted as one: a list of them, or a sketch where that is smaller.
pub(crate) fn distinct_state(values: &Column) -> PolarsResult<Scalar> {
    let name = values.name().clone();
    let hashes = row_hashes(&values.clone().into_frame(), &[name]);
    let hashes = hashes.map_err(|error| polars_err!(ComputeError: "{error}"))?;
    Ok(distinct(hashes, &[]))
}

/// The state of all values whose states these are.
pub(crate) fn merged_distinct_states(states: &Column) -> PolarsResult<Scalar> {
    let (mut hashes, mut sketches) = (Vec::new(), Vec::new());
    for state in states.binary()?.iter().flatten() {
        match sketch_of(state) {
            Some(sketch) => sketches.push(sketch),
            None => hashes.extend(hashes_of(state)),
        }
    }
    Ok(distinct(hashes, &sketches))
}

/// About how many different hashes each state has seen.
pub(crate) fn distinct_counts(states: &Column) -> PolarsResult<Column> {
    let count = |state: &[u8]| match sketch_of(state) {
        Some(sketch) => sketch.estimate().round() as IdxSize,
        None => hashes_of(state).count() as IdxSize,
    };
    let counts: IdxCa = states.binary()?.iter().map(|state| state.map(count)).collect();
    Ok(counts.into_column())
}

fn distinct(mut hashes: Vec<u64>, sketches: &[HyperLogLog]) -> Scalar {
    hashes.sort_unstable();
    hashes.dedup();
    let is_small = hashes.len() * size_of::<u64>() < 1 << DISTINCT_BITS;
    let bytes = if is_small && sketches.is_empty() {
        hashes.iter().flat_map(|hash| hash.to_le_bytes()).collect()
    } else {
        let mut all = HyperLogLog::new(DISTINCT_BITS);
        hashes.into_iter().for_each(|hash| all.insert(hash));
        for sketch in sketches {
            all.merge(sketch);
        }
        all.registers().to_vec()
    };
    Scalar::from(bytes)
}

/// Only registers have this length.
fn sketch_of(state: &[u8]) -> Option<HyperLogLog> {
    let is_sketch = state.len() == 1 << DISTINCT_BITS;
    is_sketch.then(|| HyperLogLog::from_registers(state.to_vec())).flatten()
}

fn hashes_of(state: &[u8]) -> impl Iterator<Item = u64> {
    state.as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes))
}

/// A digest of numbers, nulls and NaN left out, as a list of floats.
pub(crate) fn digest_state(values: &Column) -> PolarsResult<Scalar> {
    let floats = values.cast(&DataType::Float64)?;
    let numbers = floats.f64()?.iter().flatten().filter(|value| !value.is_nan());
    Ok(digest_scalar(TDigest::new(numbers.collect())))
}

/// The digest of all values whose digests these are.
pub(crate) fn merged_digest_states(states: &Column) -> PolarsResult<Scalar> {
    let digests: PolarsResult<Vec<_>> = digests(states)?.collect();
    Ok(digest_scalar(TDigest::merge(digests?.into_iter().flatten().collect())))
}

/// The quantiles of digests; null of no numbers.
pub(crate) fn digest_quantiles(states: &Column, q: f64) -> PolarsResult<Column> {
    let quantiles = digests(states)?.map(|digest| Ok(digest?.map(|digest| digest.quantile(q))));
    let quantiles: Float64Chunked = quantiles.collect::<PolarsResult<_>>()?;
    Ok(quantiles.into_column())
}

fn digests(states: &Column) -> PolarsResult<impl Iterator<Item = PolarsResult<Option<TDigest>>>> {
    let lists = states.list()?;
    Ok((0..lists.len()).map(|i| {
        let Some(numbers) = lists.get_as_series(i) else { return Ok(None) };
        let numbers: Vec<f64> = numbers.f64()?.into_no_null_iter().collect();
        Ok::<_, PolarsError>(TDigest::from_numbers(&numbers))
    }))
}

fn digest_scalar(digest: Option<TDigest>) -> Scalar {
    let numbers = digest.map_or_else(Vec::new, |digest| digest.numbers());
    Scalar::new_list(Series::new(PlSmallStr::EMPTY, numbers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinct_values_are_counted_exactly_while_they_are_few() {
        let count = |states: Vec<Scalar>| -> f64 {
            let states: Vec<_> = states.into_iter().map(Scalar::into_value).collect();
            let dtype = DataType::Binary;
            let states = Series::from_any_values_and_dtype("s".into(), &states, &dtype, true);
            let merged = merged_distinct_states(&states.unwrap().into_column()).unwrap();
            let counts = distinct_counts(&merged.into_column("s".into())).unwrap();
            counts.get(0).unwrap().extract().unwrap()
        };
        let state = |values: Vec<i64>| distinct_state(&Column::new("x".into(), values)).unwrap();
        assert_eq!(count(vec![state((0..5000).collect()), state((2000..8000).collect())]), 8000.0);
        let (large, small) = (state((0..30_000).collect()), state(vec![-1, 5]));
        for states in [vec![large.clone(), small.clone()], vec![small, large]] {
            assert!((count(states) - 30_001.0).abs() < 500.0);
        }
        let nulls = distinct_state(&Column::new("x".into(), [None::<i64>, None])).unwrap();
        assert_eq!(count(vec![nulls]), 1.0);
    }
}
