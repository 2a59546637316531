//! Sorting: one frame, the first rows of one, and sorted frames into one.

use polars_core::frame::DataFrame;
use polars_core::prelude::{Column, IdxSize, PlSmallStr, SortMultipleOptions};
use polars_core::series::IsSorted;

use super::codes::{codes, order};
use super::rows::{Rows, gather, key_columns};
use super::{failed, refused};
use crate::error::Result;

/// The columns to sort by, the most important first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct SortSpec {
    pub(crate) by: Vec<PlSmallStr>,
    /// For each column whether large values come first.
    pub(crate) descending: Vec<bool>,
    /// For each column whether nulls come after all values.
    pub(crate) nulls_last: Vec<bool>,
}

impl SortSpec {
    /// All keys in the same direction.
    pub(crate) fn new(
        by: impl IntoIterator<Item = PlSmallStr>,
        descending: bool,
        nulls_last: bool,
    ) -> Self {
        let by: Vec<_> = by.into_iter().collect();
        let n = by.len();
        Self { by, descending: vec![descending; n], nulls_last: vec![nulls_last; n] }
    }

    fn rows(&self, frame: &DataFrame) -> Result<Rows> {
        if self.descending.len() != self.by.len() || self.nulls_last.len() != self.by.len() {
            let problem = "there have to be as many directions as keys";
            return Err(refused("sort", problem));
        }
        Rows::ordered("sort", frame, &self.by, &self.descending, &self.nulls_last)
    }
}

/// The frame in the order of its keys; equal rows keep their order. NaN is the largest value.
pub(crate) fn sort(frame: &DataFrame, spec: &SortSpec) -> Result<DataFrame> {
    key_columns("sort", frame, &spec.by)?;
    if spec.by.is_empty() || frame.height() < 2 {
        return Ok(frame.clone());
    }
    if let [by] = &spec.by[..] {
        let key = frame.column(by).map_err(failed("sort"))?;
        if let Some(order) = order_by(key, spec.descending[0], spec.nulls_last[0])? {
            let mut sorted = gather("sort", frame, order)?;
            let mut key = sorted.column(by).map_err(failed("sort"))?.clone();
            key.set_sorted_flag(match spec.descending[0] {
                true => IsSorted::Descending,
                false => IsSorted::Ascending,
            });
            sorted.with_column(key).map_err(failed("sort"))?;
            return Ok(sorted);
        }
    }
    let mut frame = frame.clone();
    // What is not in one piece polars puts together on threads of its own.
    frame.rechunk_mut();
    let options = SortMultipleOptions::new()
        .with_order_descending_multi(spec.descending.iter().copied())
        .with_nulls_last_multi(spec.nulls_last.iter().copied())
        .with_maintain_order(true)
        .with_multithreaded(false);
    frame.sort(&spec.by, options).map_err(failed("sort"))
}

/// The rows in the order of one key, if it is a number, nulls in theirs.
pub(super) fn order_by(
    key: &Column,
    descending: bool,
    nulls_last: bool,
) -> Result<Option<Vec<IdxSize>>> {
    let Some(mut codes) = codes(key).map_err(failed("sort"))? else { return Ok(None) };
    if descending {
        codes.iter_mut().for_each(|code| *code = !*code);
    }
    let all = 0..key.len() as IdxSize;
    if !key.has_nulls() {
        return Ok(Some(order(codes, all)));
    }
    let is_null: Vec<bool> = key.is_null().iter().map(|null| null == Some(true)).collect();
    let nulls = all.clone().filter(|&row| is_null[row as usize]);
    let values = order(codes, all.filter(|&row| !is_null[row as usize]));
    Ok(Some(match nulls_last {
        true => values.into_iter().chain(nulls).collect(),
        false => nulls.chain(values).collect(),
    }))
}

/// How many rows of an order are wanted, and from which end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Limit {
    First(u64),
    Last(u64),
}

impl Limit {
    pub(crate) fn n_rows(self) -> u64 {
        match self {
            Limit::First(n) | Limit::Last(n) => n,
        }
    }

    fn of(self, frame: &DataFrame) -> DataFrame {
        let n = usize::try_from(self.n_rows()).unwrap_or(usize::MAX);
        match self {
            Limit::First(_) => frame.head(Some(n)),
            Limit::Last(_) => frame.tail(Some(n)),
        }
    }
}

/// The rows at one end of what [`sort`] would return, without sorting the others.
pub(crate) fn sort_end(frame: &DataFrame, spec: &SortSpec, limit: Limit) -> Result<DataFrame> {
    let height = frame.height();
    let k = usize::try_from(limit.n_rows()).unwrap_or(usize::MAX);
    if k >= height || spec.by.is_empty() {
        return Ok(limit.of(&sort(frame, spec)?));
    }
    if k == 0 {
        key_columns("sort", frame, &spec.by)?;
        return Ok(frame.clear());
    }
    let rows = spec.rows(frame)?;
    let mut order: Vec<IdxSize> = (0..height as IdxSize).collect();
    // The number of the row makes keys different and so keeps the order of equal ones.
    let compare = |a: &IdxSize, b: &IdxSize| rows.get(*a).cmp(rows.get(*b)).then(a.cmp(b));
    match limit {
        Limit::First(_) => {
            order.select_nth_unstable_by(k - 1, compare);
            order.truncate(k);
        }
        Limit::Last(_) => {
            order.select_nth_unstable_by(height - k, compare);
            order.drain(..height - k);
        }
    }
    order.sort_unstable_by(compare);
    gather("sort", frame, order)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{frame, frames_equal};
    use super::*;
    use polars_core::df;
    use polars_core::prelude::AnyValue;
    use proptest::prelude::*;
    use std::cmp::Ordering;

    fn spec() -> impl Strategy<Value = SortSpec> {
        let key = (prop::sample::select(vec!["k", "f", "s"]), any::<bool>(), any::<bool>());
        prop::collection::vec(key, 1..4).prop_map(|keys| {
            let mut spec = SortSpec::default();
            for (name, descending, nulls_last) in keys {
                if !spec.by.contains(&name.into()) {
                    spec.by.push(name.into());
                    spec.descending.push(descending);
                    spec.nulls_last.push(nulls_last);
                }
            }
            spec
        })
    }

    fn compare(spec: &SortSpec, a: &[AnyValue<'_>], b: &[AnyValue<'_>]) -> Ordering {
        let keys = a.iter().zip(b).zip(spec.descending.iter().zip(&spec.nulls_last));
        keys.fold(Ordering::Equal, |order, ((a, b), (&descending, &nulls_last))| {
            order.then_with(|| match (a.is_null(), b.is_null()) {
                (true, true) => Ordering::Equal,
                (true, false) => {
                    if nulls_last {
                        Ordering::Greater
                    } else {
                        Ordering::Less
                    }
                }
                (false, true) => {
                    if nulls_last {
                        Ordering::Less
                    } else {
                        Ordering::Greater
                    }
                }
                _ => {
                    let order = a.partial_cmp(b).unwrap();
                    if descending { order.reverse() } else { order }
                }
            })
        })
    }

    fn naive(frame: &DataFrame, spec: &SortSpec) -> DataFrame {
        let keys = frame.select(&spec.by).unwrap();
        let mut order: Vec<IdxSize> = (0..frame.height() as IdxSize).collect();
        order.sort_by(|&a, &b| {
            compare(spec, &keys.get(a as usize).unwrap(), &keys.get(b as usize).unwrap())
        });
        gather("", frame, order).unwrap()
    }

    #[test]
    fn sorting_takes_any_frame() {
        let spec = SortSpec::new(["x".into()], true, true);
        let frame = df!["x" => [Some(1_i64), None, Some(2)]].unwrap();
        assert_eq!(sort(&frame.clear(), &spec).unwrap().shape(), (0, 1));
        assert!(sort(&frame, &SortSpec::new(["y".into()], true, true)).is_err());
        let first = |spec: &SortSpec, n| sort_end(&frame, spec, Limit::First(n));
        assert!(first(&SortSpec::new(["y".into()], true, true), 0).is_err());
        assert!(
            sort(&DataFrame::empty_with_height(3), &SortSpec::default()).unwrap().height() == 3
        );
        let top = first(&spec, 2).unwrap();
        assert!(top.equals(&df!["x" => [2_i64, 1]].unwrap()));
    }

    proptest! {
        #[test]
        fn sorting_is_stable(frame in frame(40), spec in spec()) {
            let expected = naive(&frame, &spec);
            let got = sort(&frame, &spec).unwrap();
            prop_assert!(frames_equal(&got, &expected), "{got:?}\n{expected:?}");
        }

        #[test]
        fn the_ends_are_those_of_the_sorted_frame(frame in frame(40), spec in spec(), k in 0..50_u64) {
            let sorted = naive(&frame, &spec);
            for limit in [Limit::First(k), Limit::Last(k)] {
                let end = sort_end(&frame, &spec, limit).unwrap();
                prop_assert!(frames_equal(&end, &limit.of(&sorted)), "{limit:?}");
            }
        }
    }
}
