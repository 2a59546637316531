//! What is looked at of a key column before rows are moved: its ends, and a sketch of its quantiles.

use polars_core::prelude::{
    AnyValue, Column, DataType, NamedFrom, PlSmallStr, Series, SortOptions,
};

use super::sort::order_by;
use super::{failed, refused};
use crate::error::Result;
use crate::frame::partitions::divisions::is_orderable;
use crate::frame::partitions::quantiles::{self, Sketch};
use crate::frame::partitions::{Divisions, Key};

/// The smallest and the largest key that is not null; NaN is the largest.
pub(crate) fn bounds(column: &Column) -> Result<Option<(Key, Key)>> {
    let values = keys("min and max", column)?;
    let (min, max) = if values.dtype().is_categorical() || values.dtype().is_enum() {
        // The extremes of polars are those of the numbers of categories, sorting is by name.
        let sorted = values
            .sort(SortOptions::default().with_multithreaded(false))
            .map_err(failed("min and max"))?;
        (sorted.first(), sorted.last())
    } else {
        let min = values.min_reduce().map_err(failed("min and max"))?;
        (min, values.max_reduce().map_err(failed("min and max"))?)
    };
    let (min, max) = (Key::new(min.into_value()), Key::new(max.into_value()));
    if !values.dtype().is_float() {
        return Ok(min.zip(max));
    }
    // Polars leaves out NaN unless there is nothing else; a sort puts it at the end.
    let is_nan = values.is_nan().map_err(failed("min and max"))?;
    let nan = is_nan.iter().position(|nan| nan == Some(true));
    let nan = nan.and_then(|row| values.get(row).ok()).and_then(Key::new);
    Ok(min.or_else(|| nan.clone()).zip(nan.or(max)))
}

/// The values of a key column that are not null.
fn keys(operation: &str, column: &Column) -> Result<Series> {
    if !is_orderable(column.dtype()) {
        let problem =
            format!("column {} of dtype {} can't be sorted", column.name(), column.dtype());
        return Err(refused(operation, problem));
    }
    Ok(column.as_materialized_series().drop_nulls())
}

/// The values at these percentiles, and for how many rows each stands; nulls and NaN are left out.
///
/// Floats are interpolated; of other dtypes it is the nearest value, ties to the even row.
pub(crate) fn quantile_sketch(column: &Column, percentiles: &[f64]) -> Result<Sketch<Key>> {
    let operation = "quantiles";
    let mut values = keys(operation, column)?;
    if let (true, Ok(numbers)) = (values.dtype().is_float(), values.is_not_nan()) {
        values = values.filter(&numbers).map_err(failed(operation))?;
    }
    if values.is_empty() {
        return Ok(Sketch { values: Vec::new(), weights: Vec::new() });
    }
    let values = match order_by(&values.clone().into(), false, true)? {
        Some(order) => values.take_slice(&order),
        None => values.sort(SortOptions::default().with_multithreaded(false)),
    };
    let values = values.map_err(failed(operation))?;
    let last = values.len() - 1;
    let places = percentiles.iter().map(|q| (q / 100.0).clamp(0.0, 1.0) * last as f64);
    let keys: Option<Vec<Key>> = if values.dtype().is_float() {
        let floats = values.cast(&DataType::Float64).map_err(failed(operation))?;
        let floats = floats.f64().map_err(failed(operation))?;
        let at = |place: usize| floats.get(place).unwrap_or(f64::NAN);
        let taken: Vec<f64> = places
            .map(|place| {
                let (low, high) = (at(place as usize), at((place as usize + 1).min(last)));
                // Between infinities there is no line.
                if low == high { low } else { low + (high - low) * place.fract() }
            })
            .collect();
        let taken = Series::new(PlSmallStr::EMPTY, taken)
            .cast(values.dtype())
            .map_err(failed(operation))?;
        taken.iter().map(Key::new).collect()
    } else {
        places
            .map(|place| values.get(place.round_ties_even() as usize).ok().and_then(Key::new))
            .collect()
    };
    let keys = keys.ok_or_else(|| refused(operation, "a value has no order"))?;
    let weights = quantiles::weights(percentiles, values.len());
    // Equal percentiles become one value with the weight of all.
    Ok(quantiles::merge([Sketch { values: keys, weights }]))
}

/// Divisions around at most `n` partitions of about equal weight; None if the sketch is empty.
pub(crate) fn divisions(sketch: &Sketch<Key>, dtype: &DataType, n: usize) -> Option<Divisions> {
    let first = sketch.values.first()?;
    let number = dtype.is_primitive_numeric() || dtype.is_temporal();
    let positions = if number { quantiles::positions(&sketch.weights, n.max(1)) } else { None };
    let interpolated = positions.and_then(|positions| {
        let values: Vec<AnyValue<'_>> = sketch.values.iter().map(|k| k.value().clone()).collect();
        let values =
            Series::from_any_values_and_dtype(PlSmallStr::EMPTY, &values, dtype, false).ok()?;
        between(&values, &positions)?.iter().map(Key::new).collect()
    });
    let picked = || {
        quantiles::cuts(&sketch.weights, n.max(1))
            .iter()
            .map(|&i| sketch.values[i].clone())
            .collect()
    };
    let mut keys: Vec<Key> = interpolated.unwrap_or_else(picked);
    keys = quantiles::distinct(keys);
    if keys.len() == 1 {
        keys.push(first.clone());
    }
    Divisions::from_keys(dtype.clone(), keys)
}

/// The values at these positions, rounded down where the dtype has no fractions; None where integers are
/// too large for this.
fn between(values: &Series, positions: &[quantiles::Position]) -> Option<Series> {
    let step = |p: &quantiles::Position| p.part / p.whole;
    let taken = if values.dtype().is_float() {
        let values = values.cast(&DataType::Float64).ok()?;
        let values: Vec<f64> = values.f64().ok()?.into_no_null_iter().collect();
        let next = |p: &quantiles::Position| values[(p.below + 1).min(values.len() - 1)];
        let taken: Vec<f64> = positions
            .iter()
            .map(|p| values[p.below] + (next(p) - values[p.below]) * step(p))
            .collect();
        Series::new(PlSmallStr::EMPTY, taken)
    } else {
        let physical = values.to_physical_repr().strict_cast(&DataType::Int64).ok()?;
        let values: Vec<i64> = physical.i64().ok()?.into_no_null_iter().collect();
        let next = |p: &quantiles::Position| values[(p.below + 1).min(values.len() - 1)];
        // In 128 bits, as the span of 64-bit integers does not fit into them.
        let taken = positions.iter().map(|p| {
            let (low, high) = (i128::from(values[p.below]), i128::from(next(p)));
            (low + ((high - low) as f64 * step(p)).floor() as i128).clamp(low, high) as i64
        });
        Series::new(PlSmallStr::EMPTY, taken.collect::<Vec<_>>())
    };
    taken.cast(&values.dtype().to_physical()).ok()?.cast(values.dtype()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn column<T, P: AsRef<[T]>>(values: P) -> Column
    where
        Series: NamedFrom<P, [T]>,
    {
        Series::new("k".into(), values).into()
    }

    fn evenly(n: usize) -> Vec<f64> {
        (0..=n).map(|i| 100.0 * i as f64 / n as f64).collect()
    }

    #[test]
    fn ends_of_columns() {
        let ends =
            |c: Column| bounds(&c).unwrap().map(|(a, b)| (a.value().clone(), b.value().clone()));
        let (min, max) = ends(column([Some(3_i64), None, Some(-1)])).unwrap();
        assert_eq!((min, max), (AnyValue::Int64(-1), AnyValue::Int64(3)));
        let (min, max) = ends(column([f64::NAN, 2.0])).unwrap();
        assert!(min == AnyValue::Float64(2.0) && max.is_nan());
        let (min, max) = ends(column([f64::NAN])).unwrap();
        assert!(min.is_nan() && max.is_nan());
        let (min, max) = ends(column(["b", "a"])).unwrap();
        assert_eq!((min, max), (AnyValue::String("a"), AnyValue::String("b")));
        assert!(ends(column([None::<i64>])).is_none());
        assert!(ends(column::<&str, _>([])).is_none());
        assert!(
            bounds(&Column::full_null("l".into(), 1, &DataType::List(Box::new(DataType::Int8))))
                .is_err()
        );
    }

    #[test]
    fn categories_are_ordered_by_name() {
        let categories = column(["b", "a", "c"])
            .cast(&DataType::from_categories(polars_core::prelude::Categories::global()))
            .unwrap();
        let (min, max) = bounds(&categories).unwrap().unwrap();
        assert_eq!(
            (min.value().to_string(), max.value().to_string()),
            ("\"a\"".into(), "\"c\"".into())
        );
        let sketch = quantile_sketch(&categories, &evenly(2)).unwrap();
        assert_eq!(divisions(&sketch, categories.dtype(), 2).unwrap().n_partitions(), 2);
    }

    #[test]
    fn every_dtype_gets_divisions() {
        for column in [
            column([1_u8, 200]),
            column([u64::MAX - 1, u64::MAX]),
            column([1.0_f32, 2.0]),
            column([false, true]),
            column(["a", "b"]),
            column([0_i32, 100]).cast(&DataType::Date).unwrap(),
        ] {
            let sketch = quantile_sketch(&column, &evenly(2)).unwrap();
            let found = divisions(&sketch, column.dtype(), 3).unwrap();
            assert_eq!(found.dtype(), column.dtype());
            assert!((1..=3).contains(&found.n_partitions()), "{found:?}");
        }
        assert!(
            divisions(
                &quantile_sketch(&column([None::<i64>]), &evenly(2)).unwrap(),
                &DataType::Int64,
                3
            )
            .is_none()
        );
    }

    proptest! {
        /// The divisions of sketches of pieces cut all keys into parts that are not far from even.
        #[test]
        fn partitions_come_out_even(keys in prop::collection::vec(0..1_000_000_i64, 200..400), n in 1..6_usize) {
            let pieces: Vec<_> = keys.chunks(60).collect();
            let sketches = pieces.iter().map(|piece| {
                let percentiles = quantiles::percentiles(pieces.len(), n, piece.len(), 1.0, || 0.5);
                quantile_sketch(&column(*piece), &percentiles).unwrap()
            });
            let sketch = quantiles::merge(sketches);
            let found = divisions(&sketch, &DataType::Int64, n).unwrap();
            prop_assert!(found.n_partitions() <= n);
            let mut counts = vec![0; found.n_partitions()];
            for &key in &keys {
                counts[found.partition_of(&Key::new(AnyValue::Int64(key)).unwrap())] += 1;
            }
            prop_assert!(counts.iter().all(|&c| c <= 3 * keys.len() / n), "{counts:?}");
        }
    }
}
