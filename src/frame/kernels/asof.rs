//! Joins of each row with the nearest earlier or later one.
//!
//! Polars has this too, but its feature costs forty minutes of build; this is a linear merge.

mod merge;
pub(crate) mod tasks;

use polars_core::frame::DataFrame;
use polars_core::prelude::{
    AnyValue, Column, DataType, IdxCa, IdxSize, PlHashMap, PlSmallStr, Scalar, Schema, Series,
    TimeUnit,
};

use self::merge::matches;
use super::concat::unify;
use super::rows::{Rows, key_columns};
use super::{failed, refused};
use crate::error::Result;

/// Which right row a left row gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AsofStrategy {
    /// The last one whose key is not larger.
    Backward,
    /// The first one whose key is not smaller.
    Forward,
    /// The one whose key differs least; of two that do, the later.
    Nearest,
}

/// An as-of join as data.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AsofSpec {
    pub(crate) left_on: PlSmallStr,
    pub(crate) right_on: PlSmallStr,
    /// Columns that have to be equal.
    pub(crate) left_by: Vec<PlSmallStr>,
    pub(crate) right_by: Vec<PlSmallStr>,
    pub(crate) strategy: AsofStrategy,
    /// How far keys may lie apart: a number, or a duration for temporal keys.
    pub(crate) tolerance: Option<Scalar>,
    /// Whether an equal key is a match.
    pub(crate) allow_exact_matches: bool,
    /// What is added to names of the right frame that the left one has too.
    pub(crate) suffix: PlSmallStr,
}

impl AsofSpec {
    /// A join with the defaults of Polars.
    pub(crate) fn new(left_on: PlSmallStr, right_on: PlSmallStr, strategy: AsofStrategy) -> Self {
        Self {
            left_on,
            right_on,
            left_by: Vec::new(),
            right_by: Vec::new(),
            strategy,
            tolerance: None,
            allow_exact_matches: true,
            suffix: PlSmallStr::from_static("_right"),
        }
    }
}

/// Every left row with the right row that it gets, or nulls; both frames sorted by their key, nulls anywhere.
///
/// The result has the left columns, then the right ones without `right_by`, and without `right_on` if both
/// keys have one name. Keys are numbers, dates or times of one dtype; null and NaN match nothing.
pub(crate) fn join_asof(left: &DataFrame, right: &DataFrame, spec: &AsofSpec) -> Result<DataFrame> {
    let (l, r) = (on(left, &spec.left_on)?, on(right, &spec.right_on)?);
    if l.dtype() != r.dtype() {
        return Err(refused(
            "join_asof",
            format!("the keys have dtypes {} and {}", l.dtype(), r.dtype()),
        ));
    }
    let groups = Groups::new(left, right, spec)?;
    let (physical_l, physical_r) = (l.to_physical_repr(), r.to_physical_repr());
    let rows = match physical_l.dtype() {
        DataType::Float32 | DataType::Float64 => {
            let keys =
                |s: &Series| s.cast(&DataType::Float64).and_then(|s| Ok(s.f64()?.iter().collect()));
            let numbers = |s| -> Result<Vec<Option<f64>>> { keys(s).map_err(failed("join_asof")) };
            let tolerance = match &spec.tolerance {
                Some(value) => Some(
                    tolerance(value, &DataType::Float64)?
                        .try_extract::<f64>()
                        .map_err(failed("join_asof"))?,
                ),
                None => None,
            };
            matches(&numbers(&physical_l)?, &numbers(&physical_r)?, &groups, spec, tolerance)?
        }
        DataType::UInt64 => {
            let keys = |s: &Series| Ok(s.u64()?.iter().collect());
            let numbers = |s| -> Result<Vec<Option<u64>>> { keys(s).map_err(failed("join_asof")) };
            matches(
                &numbers(&physical_l)?,
                &numbers(&physical_r)?,
                &groups,
                spec,
                whole_tolerance(spec, l.dtype())?,
            )?
        }
        dtype if dtype.is_integer() && !matches!(dtype, DataType::Int128 | DataType::UInt128) => {
            let keys =
                |s: &Series| s.cast(&DataType::Int64).and_then(|s| Ok(s.i64()?.iter().collect()));
            let numbers = |s| -> Result<Vec<Option<i64>>> { keys(s).map_err(failed("join_asof")) };
            matches(
                &numbers(&physical_l)?,
                &numbers(&physical_r)?,
                &groups,
                spec,
                whole_tolerance(spec, l.dtype())?,
            )?
        }
        _ => {
            let problem =
                format!("keys have dtype {}, expected numbers, dates or times", l.dtype());
            return Err(refused("join_asof", problem));
        }
    };
    let kept = right.columns().iter().filter(|c| {
        !spec.right_by.contains(c.name())
            && (c.name() != &spec.right_on || spec.left_on != spec.right_on)
    });
    let rows: IdxCa = rows.into_iter().collect();
    let mut columns = left.columns().to_vec();
    for column in kept {
        let mut column = column.take(&rows).map_err(failed("join_asof"))?;
        if left.schema().contains(column.name()) {
            column.rename(format!("{}{}", column.name(), spec.suffix).into());
        }
        columns.push(column);
    }
    DataFrame::new(left.height(), columns).map_err(failed("join_asof"))
}

/// The schema of [`join_asof`].
pub(crate) fn asof_schema(left: &Schema, right: &Schema, spec: &AsofSpec) -> Result<Schema> {
    let (left, right) = (DataFrame::empty_with_schema(left), DataFrame::empty_with_schema(right));
    Ok(join_asof(&left, &right, spec)?.schema().as_ref().clone())
}

fn on<'a>(frame: &'a DataFrame, name: &str) -> Result<&'a Series> {
    Ok(frame.column(name).map_err(failed("join_asof"))?.as_materialized_series())
}

/// A tolerance in the units of integer or temporal keys.
fn whole_tolerance(spec: &AsofSpec, dtype: &DataType) -> Result<Option<u64>> {
    let Some(value) = &spec.tolerance else { return Ok(None) };
    let units = match (value.dtype(), dtype) {
        (DataType::Duration(_), DataType::Datetime(unit, _) | DataType::Duration(unit)) => {
            tolerance(value, &DataType::Duration(*unit))?
        }
        (DataType::Duration(_), DataType::Time) => {
            tolerance(value, &DataType::Duration(TimeUnit::Nanoseconds))?
        }
        (DataType::Duration(_), DataType::Date) => {
            let milliseconds = tolerance(value, &DataType::Duration(TimeUnit::Milliseconds))?;
            let days = milliseconds.try_extract::<i64>().map_err(failed("join_asof"))? / 86_400_000;
            return Ok(Some(days.unsigned_abs()));
        }
        _ => tolerance(value, &DataType::Int64)?,
    };
    Ok(Some(units.try_extract::<i64>().map_err(failed("join_asof"))?.unsigned_abs()))
}

fn tolerance(value: &Scalar, dtype: &DataType) -> Result<AnyValue<'static>> {
    let cast =
        value.clone().cast_with_options(dtype, Default::default()).map_err(failed("join_asof"))?;
    Ok(cast.to_physical().into_value())
}

/// Numbers for the values of the `by` columns; a right row that no left one can match has none.
struct Groups {
    n: usize,
    left: Option<Vec<IdxSize>>,
    right: Option<Vec<Option<IdxSize>>>,
}

impl Groups {
    fn new(left: &DataFrame, right: &DataFrame, spec: &AsofSpec) -> Result<Self> {
        if spec.left_by.is_empty() && spec.right_by.is_empty() {
            return Ok(Self { n: 1, left: None, right: None });
        }
        let l = key_columns("join_asof", left, &spec.left_by)?;
        let r = key_columns("join_asof", right, &spec.right_by)?;
        let columns = |f: &DataFrame, c: Vec<Column>| {
            DataFrame::new(f.height(), c).map_err(failed("join_asof"))
        };
        let mut unified = Vec::new();
        for (l, r) in l.iter().zip(&r) {
            unified.push(unify(r, l.dtype())?);
        }
        if l.len() != r.len() {
            let problem = format!(
                "got {} columns to compare on the left and {} on the right",
                l.len(),
                r.len()
            );
            return Err(refused("join_asof", problem));
        }
        let l = Rows::equal("join_asof", &columns(left, l)?, &spec.left_by)?;
        let r = Rows::equal("join_asof", &columns(right, unified)?, &spec.right_by)?;
        let mut numbers: PlHashMap<&[u8], IdxSize> = PlHashMap::default();
        let left: Vec<IdxSize> = (0..left.height() as IdxSize)
            .map(|row| {
                let next = numbers.len() as IdxSize;
                *numbers.entry(l.get(row)).or_insert(next)
            })
            .collect();
        let right =
            (0..right.height() as IdxSize).map(|row| numbers.get(r.get(row)).copied()).collect();
        Ok(Self { n: numbers.len(), left: Some(left), right: Some(right) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars_core::df;
    use proptest::prelude::*;

    fn spec(strategy: AsofStrategy) -> AsofSpec {
        AsofSpec::new("t".into(), "t".into(), strategy)
    }

    fn values(frame: &DataFrame) -> Vec<Option<i32>> {
        frame.column("v").unwrap().i32().unwrap().iter().collect()
    }

    #[test]
    fn strategies() {
        let left = df!["t" => [Some(1_i64), None, Some(5), Some(10)]].unwrap();
        let right = df!["t" => [2_i64, 5, 5, 12, 12], "v" => [20, 50, 51, 120, 121]].unwrap();
        let run = |spec: &AsofSpec| values(&join_asof(&left, &right, spec).unwrap());
        assert_eq!(run(&spec(AsofStrategy::Backward)), [None, None, Some(51), Some(51)]);
        assert_eq!(run(&spec(AsofStrategy::Forward)), [Some(20), None, Some(50), Some(120)]);
        assert_eq!(run(&spec(AsofStrategy::Nearest)), [Some(20), None, Some(51), Some(121)]);
        let mut strict = spec(AsofStrategy::Backward);
        strict.allow_exact_matches = false;
        assert_eq!(run(&strict), [None, None, Some(20), Some(51)]);
        strict.tolerance = Some(Scalar::from(4_i64));
        assert_eq!(run(&strict), [None, None, Some(20), None]);
    }

    #[test]
    fn groups_do_not_mix() {
        let left = df!["t" => [1.0, 2.0, 3.0], "g" => [Some("a"), None, Some("c")]].unwrap();
        let right =
            df!["u" => [0.5, 0.6, f64::NAN], "h" => [None, Some("a"), Some("c")], "v" => [1, 2, 3]]
                .unwrap();
        let mut spec = spec(AsofStrategy::Backward);
        spec.right_on = "u".into();
        (spec.left_by, spec.right_by) = (vec!["g".into()], vec!["h".into()]);
        let joined = join_asof(&left, &right, &spec).unwrap();
        assert_eq!(values(&joined), [Some(2), Some(1), None]);
        let names: Vec<_> = joined.get_column_names().iter().map(|n| n.to_string()).collect();
        assert_eq!(names, ["t", "g", "u", "v"]);
        assert_eq!(asof_schema(left.schema(), right.schema(), &spec).unwrap(), **joined.schema());
        spec.right_by = vec![];
        assert!(join_asof(&left, &right, &spec).is_err());
    }

    #[test]
    fn dates_take_durations() {
        let date = |frame: DataFrame, dtype: &DataType| {
            let mut frame = frame;
            let t = frame.column("t").unwrap().cast(&DataType::Int64).unwrap().cast(dtype).unwrap();
            frame.with_column(t).unwrap();
            frame
        };
        let hours = |n: i64| {
            Scalar::new(
                DataType::Duration(TimeUnit::Microseconds),
                AnyValue::Duration(n * 3_600_000_000, TimeUnit::Microseconds),
            )
        };
        for (dtype, unit) in [
            (DataType::Date, 1_i64),
            (DataType::Datetime(TimeUnit::Milliseconds, None), 86_400_000),
            (DataType::Datetime(TimeUnit::Nanoseconds, None), 86_400_000_000_000),
        ] {
            let left = date(df!["t" => [3 * unit, 5 * unit]].unwrap(), &dtype);
            let right = date(df!["t" => [2 * unit, 2 * unit], "v" => [1, 2]].unwrap(), &dtype);
            let mut spec = spec(AsofStrategy::Backward);
            spec.tolerance = Some(hours(48));
            assert_eq!(
                values(&join_asof(&left, &right, &spec).unwrap()),
                [Some(2), None],
                "{dtype}"
            );
        }
    }

    #[test]
    fn what_can_not_be_joined_is_an_error() {
        let sorted = df!["t" => [1_i64, 2], "v" => [1, 2]].unwrap();
        let unsorted = df!["t" => [2_i64, 1], "v" => [1, 2]].unwrap();
        let strings = df!["t" => ["a", "b"]].unwrap();
        let spec = spec(AsofStrategy::Nearest);
        for (left, right) in
            [(&sorted, &unsorted), (&unsorted, &sorted), (&strings, &strings), (&sorted, &strings)]
        {
            assert!(join_asof(left, right, &spec).is_err());
        }
        let empty = join_asof(&sorted, &sorted.clear(), &spec).unwrap();
        assert_eq!(empty.column("v_right").unwrap().null_count(), 2);
        assert_eq!(join_asof(&sorted.clear(), &sorted, &spec).unwrap().shape(), (0, 3));
    }

    proptest! {
        #[test]
        fn matches_are_those_of_a_search_of_all_rows(
            mut left in prop::collection::vec((0..20_i64, 0..3_i64), 0..20),
            mut right in prop::collection::vec((0..20_i64, 0..3_i64), 0..20),
            strategy in 0..3_usize, exact in any::<bool>(), tolerance in prop::option::of(0..6_i64), by in any::<bool>(),
        ) {
            left.sort_unstable();
            right.sort_unstable();
            let mut spec = spec([AsofStrategy::Backward, AsofStrategy::Forward, AsofStrategy::Nearest][strategy]);
            spec.allow_exact_matches = exact;
            spec.tolerance = tolerance.map(Scalar::from);
            if by {
                (spec.left_by, spec.right_by) = (vec!["g".into()], vec!["g".into()]);
            }
            let frame = |rows: &[(i64, i64)]| {
                let (t, g): (Vec<i64>, Vec<i64>) = rows.iter().copied().unzip();
                df!["t" => t, "g" => g, "v" => (0..rows.len() as i32).collect::<Vec<_>>()].unwrap()
            };
            let got = join_asof(&frame(&left), &frame(&right), &spec).unwrap();
            let expected: Vec<Option<i32>> = left.iter().map(|&(t, g)| {
                let fits = right.iter().enumerate().filter(|(_, r)| (!by || r.1 == g) && (exact || r.0 != t));
                let best = match spec.strategy {
                    AsofStrategy::Backward => fits.filter(|(_, r)| r.0 <= t).max_by_key(|(i, r)| (r.0, *i)),
                    AsofStrategy::Forward => fits.filter(|(_, r)| r.0 >= t).min_by_key(|(i, r)| (r.0, *i)),
                    AsofStrategy::Nearest => fits.min_by_key(|(i, r)| (r.0.abs_diff(t), -r.0, -(*i as i64))),
                };
                best.filter(|(_, r)| tolerance.is_none_or(|most| r.0.abs_diff(t) as i64 <= most)).map(|(i, _)| i as i32)
            }).collect();
            let got: Vec<Option<i32>> = got.column("v_right").unwrap().i32().unwrap().iter().collect();
            prop_assert_eq!(got, expected);
        }
    }
}
