//! The keys at which a partitioned frame is cut.

use std::cmp::Ordering;
use std::fmt;
use std::ops::{Bound, Range};
use std::sync::Arc;

use polars_core::chunked_array::cast::CastOptions;
use polars_core::prelude::{AnyValue, DataType, NamedFrom, PlSmallStr, Scalar, Series};

use super::{quantiles, repartition};

/// A key that is not null, ordered as polars sorts its dtype; keys of one collection have one dtype.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Key(AnyValue<'static>);

impl Key {
    /// None for null and for values without an order.
    pub(crate) fn new(value: AnyValue<'_>) -> Option<Self> {
        let value = value.into_static();
        let nested = matches!(value, AnyValue::List(_) | AnyValue::StructOwned(_));
        (!value.is_null() && !nested).then_some(Self(value))
    }

    pub(crate) fn value(&self) -> &AnyValue<'static> {
        &self.0
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        use AnyValue as V;
        // Polars' comparison panics on two dtypes; such keys have no order here.
        let comparable = match (&self.0, &other.0) {
            (V::Datetime(_, a, x), V::Datetime(_, b, y)) => a == b && x == y,
            (V::DatetimeOwned(_, a, x), V::DatetimeOwned(_, b, y)) => a == b && x == y,
            (V::Duration(_, a), V::Duration(_, b)) => a == b,
            (V::EnumOwned(_, a), V::EnumOwned(_, b)) => Arc::ptr_eq(a, b),
            (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b),
        };
        if comparable { self.0.partial_cmp(&other.0) } else { None }
    }
}

/// Whether keys of this dtype can be divisions.
pub(crate) fn is_orderable(dtype: &DataType) -> bool {
    dtype.is_primitive_numeric()
        || dtype.is_temporal()
        || dtype.is_categorical()
        || dtype.is_enum()
        || dtype.is_decimal()
        || matches!(dtype, DataType::Boolean | DataType::String | DataType::Binary)
}

/// n + 1 sorted keys around n partitions.
///
/// Partition i has the keys from `keys[i]` up to, and only if it is the last one including, `keys[i + 1]`. Equal
/// neighbours stand around an empty partition, or, at the end, around one that has a single key.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Divisions {
    dtype: DataType,
    keys: Arc<[Key]>,
}

impl Divisions {
    /// None if there are fewer than two values, or they are not sorted, or one is null or can't be ordered.
    pub(crate) fn new(values: &Series) -> Option<Self> {
        let keys: Option<Vec<Key>> = values.iter().map(Key::new).collect();
        Self::from_keys(values.dtype().clone(), keys?)
    }

    /// As [`new`](Self::new), of keys that all have this dtype.
    pub(crate) fn from_keys(dtype: DataType, keys: Vec<Key>) -> Option<Self> {
        let sorted = keys.windows(2).all(|w| w[0] <= w[1]);
        (keys.len() >= 2 && sorted && is_orderable(&dtype))
            .then(|| Self { dtype, keys: keys.into() })
    }

    pub(crate) fn n_partitions(&self) -> usize {
        self.keys.len() - 1
    }

    pub(crate) fn dtype(&self) -> &DataType {
        &self.dtype
    }

    pub(crate) fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// The divisions of some of these partitions, one at least.
    pub(crate) fn of_partitions(&self, parts: &Range<usize>) -> Option<Self> {
        let keys = self.keys.get(parts.start..=parts.end)?;
        Self::from_keys(self.dtype.clone(), keys.to_vec())
    }

    /// The divisions of runs of these partitions, run i from `bounds[i]` to `bounds[i + 1]`.
    pub(crate) fn joined(&self, bounds: &[usize]) -> Option<Self> {
        let keys: Option<Vec<Key>> = bounds.iter().map(|i| self.keys.get(*i).cloned()).collect();
        Self::from_keys(self.dtype.clone(), keys?)
    }

    /// The keys as a column.
    pub(crate) fn series(&self, name: PlSmallStr) -> Series {
        let values: Vec<AnyValue<'_>> = self.keys.iter().map(|key| key.0.as_borrowed()).collect();
        Series::from_any_values_and_dtype(name, &values, &self.dtype, false)
            .expect("all keys have this dtype")
    }

    /// The partition where a key is or would be; keys outside belong to the first or the last one.
    pub(crate) fn partition_of(&self, key: &Key) -> usize {
        quantiles::partition_of(&self.keys, key)
    }

    /// The partitions that may have keys within these bounds.
    ///
    /// A bound that this dtype can't hold leaves that side open.
    pub(crate) fn partitions_in(&self, low: Bound<&Scalar>, high: Bound<&Scalar>) -> Range<usize> {
        let n = self.n_partitions();
        // A partition that begins with what is excluded has none of them.
        if let Bound::Excluded(value) = high
            && *value.dtype() == self.dtype
            && let Some(high) = self.key(value)
        {
            let end = self.keys[..n].partition_point(|key| *key < high);
            let below = self.partitions_in(low, Bound::Unbounded);
            return below.start.min(end)..end;
        }
        let key = |bound: Bound<&Scalar>| match bound {
            Bound::Included(value) | Bound::Excluded(value) => self.key(value),
            Bound::Unbounded => None,
        };
        let first = match key(low) {
            Some(low) if low > self.keys[n] => return n..n,
            // Equal divisions have empty partitions between them: begin at the last of them.
            Some(low) => self.partition_of(&low),
            None => 0,
        };
        let end = match key(high) {
            Some(high) if high < self.keys[0] => return 0..0,
            Some(high) => self.partition_of(&high) + 1,
            None => n,
        };
        first..end.max(first)
    }

    /// A value as a key of these divisions; integers take the place of fractions of the same partition.
    fn key(&self, value: &Scalar) -> Option<Key> {
        let cast = value.clone().cast_with_options(&self.dtype, CastOptions::Strict).ok()?;
        Key::new(cast.into_value())
    }

    /// The cuts of both, so that each partition of the result lies in one of each; None if the dtypes differ.
    pub(crate) fn merge(&self, other: &Self) -> Option<Self> {
        if self.dtype != other.dtype {
            return None;
        }
        let mut keys = [&*self.keys, &*other.keys].concat();
        keys.sort_by(|a, b| a.partial_cmp(b).unwrap_or(Ordering::Equal));
        keys.dedup();
        if keys.len() == 1 {
            keys.push(keys[0].clone());
        }
        Self::from_keys(self.dtype.clone(), keys)
    }

    /// Divisions for about `n` partitions between these; None if the dtype has nothing in between.
    pub(crate) fn interpolate(&self, n: usize) -> Option<Self> {
        let numbers = self.series(PlSmallStr::EMPTY);
        let numbers = if self.dtype.is_float() {
            let floats: Vec<f64> =
                numbers.cast(&DataType::Float64).ok()?.f64().ok()?.into_no_null_iter().collect();
            Series::new(PlSmallStr::EMPTY, repartition::interpolate(&floats, n))
        } else if self.dtype.is_integer() || self.dtype.is_temporal() {
            let physical = numbers.to_physical_repr().strict_cast(&DataType::Int64).ok()?;
            let integers: Vec<i64> = physical.i64().ok()?.into_no_null_iter().collect();
            Series::new(PlSmallStr::EMPTY, repartition::interpolate(&integers, n))
        } else {
            return None;
        };
        let physical = numbers.cast(&self.dtype.to_physical()).ok()?;
        Self::new(&physical.cast(&self.dtype).ok()?)
    }
}

/// How many partitions, and between which keys.
impl fmt::Display for Divisions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (n, last) = (self.n_partitions(), self.keys.len() - 1);
        write!(f, "{n} partitions of {} to {}", self.keys[0].0, self.keys[last].0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn divisions(keys: &[i64]) -> Divisions {
        Divisions::new(&Series::new("k".into(), keys)).unwrap()
    }

    fn scalar(value: i64) -> Scalar {
        Scalar::from(value)
    }

    #[test]
    fn only_sorted_values_are_divisions() {
        let new = |series: Series| Divisions::new(&series);
        assert!(new(Series::new("k".into(), [2_i64, 1])).is_none());
        assert!(new(Series::new("k".into(), [1_i64])).is_none());
        assert!(new(Series::new("k".into(), [Some(1_i64), None])).is_none());
        let list = Series::new("l".into(), [1_i64, 2]).reshape_list(&[
            polars_core::prelude::ReshapeDimension::new(2),
            polars_core::prelude::ReshapeDimension::new(1),
        ]);
        assert!(new(list.unwrap()).is_none());
        assert_eq!(new(Series::new("k".into(), ["a", "b", "b"])).unwrap().n_partitions(), 2);
    }

    #[test]
    fn partitions_of_a_range() {
        let d = divisions(&[0, 10, 10, 20, 30]);
        let range = |low, high| {
            d.partitions_in(Bound::Included(&scalar(low)), Bound::Included(&scalar(high)))
        };
        assert_eq!(range(0, 9), 0..1);
        assert_eq!(range(10, 10), 2..3);
        assert_eq!(range(15, 25), 2..4);
        assert_eq!(range(30, 99), 3..4);
        assert_eq!(range(31, 99), 4..4);
        assert_eq!(range(-5, -1), 0..0);
        assert_eq!(range(-5, 40), 0..4);
        assert_eq!(range(25, 5), 3..3);
        let below = |high| d.partitions_in(Bound::Unbounded, Bound::Excluded(&scalar(high)));
        assert_eq!((below(10), below(11), below(0), below(99)), (0..1, 0..3, 0..0, 0..4));
        assert_eq!(d.partitions_in(Bound::Unbounded, Bound::Unbounded), 0..4);
        let text = Scalar::from(PlSmallStr::from_static("x"));
        assert_eq!(d.partitions_in(Bound::Included(&text), Bound::Unbounded), 0..4);
    }

    #[test]
    fn dates_are_interpolated() {
        let dates = Series::new("d".into(), [0_i32, 10]).cast(&DataType::Date).unwrap();
        let five = Divisions::new(&dates).unwrap().interpolate(2).unwrap();
        assert_eq!(five.keys()[1].value(), &AnyValue::Date(5));
        assert_eq!(five.dtype(), &DataType::Date);
        assert!(
            Divisions::new(&Series::new("s".into(), ["a", "b"])).unwrap().interpolate(2).is_none()
        );
    }

    #[test]
    fn keys_of_two_dtypes_have_no_order() {
        let key = |value: AnyValue<'_>| Key::new(value).unwrap();
        use polars_core::prelude::TimeUnit;
        let (a, b) = (
            AnyValue::Duration(1, TimeUnit::Microseconds),
            AnyValue::Duration(1, TimeUnit::Nanoseconds),
        );
        assert_eq!(key(a).partial_cmp(&key(b)), None);
        assert_eq!(key(AnyValue::Int64(1)).partial_cmp(&key(AnyValue::Int32(1))), None);
        assert!(key(AnyValue::String("a")) < key(AnyValue::StringOwned("b".into())));
        assert!(key(AnyValue::Float64(1.0)) < key(AnyValue::Float64(f64::NAN)));
    }

    #[test]
    fn merging_refuses_other_dtypes() {
        assert_eq!(
            divisions(&[1, 5, 9]).merge(&divisions(&[0, 5, 7])),
            Some(divisions(&[0, 1, 5, 7, 9]))
        );
        assert_eq!(divisions(&[1, 1]).merge(&divisions(&[1, 1])), Some(divisions(&[1, 1])));
        let text = Divisions::new(&Series::new("s".into(), ["a", "b"])).unwrap();
        assert_eq!(text.merge(&divisions(&[1, 2])), None);
    }

    proptest! {
        #[test]
        fn a_key_is_in_the_partition_that_is_said(mut keys in prop::collection::vec(0..20_i64, 2..8), key in -3..23_i64) {
            keys.sort_unstable();
            let d = divisions(&keys);
            let i = d.partition_of(&Key::new(AnyValue::Int64(key)).unwrap());
            if key >= keys[0] && key <= keys[keys.len() - 1] {
                let last = i + 2 == keys.len();
                prop_assert!(keys[i] <= key && (key < keys[i + 1] || (last && key == keys[i + 1])));
            }
        }
    }
}
