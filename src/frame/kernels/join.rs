//! Joins of two frames by equal keys.
//!
//! Rows are found in a table of one side ([`Built`]), which the tasks of all partitions of the other one can share where
//! no row of that side is wanted for itself. Only cross joins are left to polars: its joins by keys are generic, and would be
//! compiled into this crate for each dtype.

mod built;
mod table;

pub(crate) use built::{Built, has_table};

use polars_core::frame::DataFrame;
use polars_core::prelude::{DataType, PlSmallStr, Schema};
use polars_ops::prelude::{CrossJoin, MaintainOrderJoin};

use super::concat::unify;
use super::one_thread::on_one_thread;
use super::{failed, refused};
use crate::error::Result;

/// Which rows of both sides are in the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JoinHow {
    /// Pairs of rows with equal keys.
    Inner,
    /// These, and the rows of the left frame that have no pair.
    Left,
    /// These, and the rows of the right frame that have no pair.
    Right,
    /// All of these.
    Full,
    /// Rows of the left frame that have a pair, once.
    Semi,
    /// Rows of the left frame that have none.
    Anti,
    /// All pairs of rows; there are no keys.
    Cross,
}

/// A join as data.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct JoinSpec {
    pub(crate) how: JoinHow,
    pub(crate) left_on: Vec<PlSmallStr>,
    pub(crate) right_on: Vec<PlSmallStr>,
    /// What is added to names of the right frame that the left one has too.
    pub(crate) suffix: PlSmallStr,
    /// Whether null keys are equal to each other.
    pub(crate) nulls_equal: bool,
    /// Whether the keys of both sides become one column; None is what Polars does: all but full joins.
    pub(crate) coalesce: Option<bool>,
}

impl JoinSpec {
    /// A join with the defaults of Polars.
    pub(crate) fn new(
        how: JoinHow,
        left_on: impl IntoIterator<Item = PlSmallStr>,
        right_on: impl IntoIterator<Item = PlSmallStr>,
    ) -> Self {
        Self {
            how,
            left_on: left_on.into_iter().collect(),
            right_on: right_on.into_iter().collect(),
            suffix: PlSmallStr::from_static("_right"),
            nulls_equal: false,
            coalesce: None,
        }
    }

    fn check(&self) -> Result<()> {
        let (n, m) = (self.left_on.len(), self.right_on.len());
        match (n == m, n == 0, self.how == JoinHow::Cross) {
            (false, ..) => {
                Err(refused("join", format!("got {n} keys on the left and {m} on the right")))
            }
            (_, true, false) => {
                Err(refused("join", "there are no keys; for all pairs of rows use a cross join"))
            }
            (_, false, true) => Err(refused("join", "a cross join has no keys")),
            _ => Ok(()),
        }
    }

    fn coalesces(&self) -> bool {
        self.coalesce.unwrap_or(self.how != JoinHow::Full)
    }
}

/// Joins two frames. Columns and their names are those of Polars.
///
/// Rows are in the order of the left frame, in a right join of the right one; unpaired rows of the right frame
/// are at the end of a full join. Keys must have equal dtypes; categories are unified.
pub(crate) fn join(left: &DataFrame, right: &DataFrame, spec: &JoinSpec) -> Result<DataFrame> {
    spec.check()?;
    if spec.how == JoinHow::Cross {
        return crossed(left, right, spec);
    }
    check_dtypes(left, right, spec)?;
    let right = with_categories_of(left, right, spec)?;
    match spec.how {
        JoinHow::Right => Built::new(left.clone(), spec, 0)?.join(&right),
        // The table is made of the smaller side where either can have one.
        JoinHow::Inner if left.height() < right.height() => {
            Built::new(left.clone(), spec, 0)?.join(&right)
        }
        _ => Built::new(right, spec, 1)?.join(left),
    }
}

fn crossed(left: &DataFrame, right: &DataFrame, spec: &JoinSpec) -> Result<DataFrame> {
    let (left, right, suffix) = (left.clone(), right.clone(), spec.suffix.clone());
    let order = MaintainOrderJoin::LeftRight;
    let crossed = on_one_thread(move || left.cross_join(&right, Some(suffix), None, order));
    crossed.map_err(failed("join"))
}

fn check_dtypes(left: &DataFrame, right: &DataFrame, spec: &JoinSpec) -> Result<()> {
    for (l, r) in spec.left_on.iter().zip(&spec.right_on) {
        let [left, right] =
            [left.column(l), right.column(r)].map(|key| key.map_err(failed("join")));
        let (left, right) = (left?.dtype().clone(), right?.dtype().clone());
        let are_categories = left.is_categorical() && right.is_categorical();
        if left != right && !are_categories {
            let problem =
                format!("the key {l:?} on the left is {left}, {r:?} on the right {right}");
            return Err(refused("join", format!("{problem}; cast one of them")));
        }
    }
    Ok(())
}

/// The schema of [`join`].
pub(crate) fn join_schema(left: &Schema, right: &Schema, spec: &JoinSpec) -> Result<Schema> {
    // What Polars does with no rows is what it will do with some.
    let (left, right) = (DataFrame::empty_with_schema(left), DataFrame::empty_with_schema(right));
    Ok(join(&left, &right, spec)?.schema().as_ref().clone())
}

/// The right frame with categorical keys as the left frame has them.
fn with_categories_of(left: &DataFrame, right: &DataFrame, spec: &JoinSpec) -> Result<DataFrame> {
    let mut right = right.clone();
    for (l, r) in spec.left_on.iter().zip(&spec.right_on) {
        let dtype = left.column(l).map_err(failed("join"))?.dtype();
        let column = right.column(r).map_err(failed("join"))?;
        if matches!((dtype, column.dtype()), (DataType::Categorical(..), DataType::Categorical(..)))
        {
            let column = unify(column, dtype)?;
            right.with_column(column).map_err(failed("join"))?;
        }
    }
    Ok(right)
}

#[cfg(test)]
mod tests {
    use super::super::rows::gather;
    use super::super::testing::{frame, frames_equal};
    use super::*;
    use polars_core::df;
    use polars_core::prelude::{AnyValue, Column, IdxCa, IntoColumn};
    use proptest::prelude::*;

    const HOWS: [JoinHow; 7] = [
        JoinHow::Inner,
        JoinHow::Left,
        JoinHow::Right,
        JoinHow::Full,
        JoinHow::Semi,
        JoinHow::Anti,
        JoinHow::Cross,
    ];

    fn spec(how: JoinHow, on: &[&'static str]) -> JoinSpec {
        let on = if how == JoinHow::Cross { &[] } else { on };
        JoinSpec::new(how, on.iter().map(|n| (*n).into()), on.iter().map(|n| (*n).into()))
    }

    /// The pairs that a join has, by comparing all rows.
    fn pairs(
        left: &DataFrame,
        right: &DataFrame,
        spec: &JoinSpec,
    ) -> Vec<(Option<u32>, Option<u32>)> {
        let keys = |f: &DataFrame, on: &[PlSmallStr]| -> Vec<Vec<AnyValue<'static>>> {
            let keys = f.select(on).unwrap();
            (0..f.height())
                .map(|i| keys.get(i).unwrap().into_iter().map(AnyValue::into_static).collect())
                .collect()
        };
        let (l, r) = (keys(left, &spec.left_on), keys(right, &spec.right_on));
        let equal = |a: &[AnyValue<'_>], b: &[AnyValue<'_>]| {
            a.iter().zip(b).all(|(a, b)| {
                a.eq_missing(b, spec.nulls_equal) && (spec.nulls_equal || !a.is_null())
            })
        };
        let cross = spec.how == JoinHow::Cross;
        let mut found: Vec<(Option<u32>, Option<u32>)> = Vec::new();
        for (i, a) in l.iter().enumerate() {
            for (j, b) in r.iter().enumerate() {
                if cross || equal(a, b) {
                    found.push((Some(i as u32), Some(j as u32)));
                }
            }
            let paired = found.last().is_some_and(|p| p.0 == Some(i as u32));
            if !paired && matches!(spec.how, JoinHow::Left | JoinHow::Full) {
                found.push((Some(i as u32), None));
            }
        }
        if matches!(spec.how, JoinHow::Right | JoinHow::Full) {
            for j in 0..r.len() as u32 {
                if !found.iter().any(|p| p.1 == Some(j)) {
                    found.push((None, Some(j)));
                }
            }
        }
        if spec.how == JoinHow::Right {
            found.sort_by_key(|p| p.1);
        }
        found
    }

    fn check(left: &DataFrame, right: &DataFrame, spec: &JoinSpec) -> Result<(), TestCaseError> {
        let got = join(left, right, spec).unwrap();
        let schema = join_schema(left.schema(), right.schema(), spec).unwrap();
        prop_assert_eq!(got.schema().as_ref(), &schema);
        let pairs = pairs(left, right, spec);
        if matches!(spec.how, JoinHow::Semi | JoinHow::Anti) {
            let mut rows: Vec<u32> = pairs.iter().filter_map(|p| p.0).collect();
            rows.dedup();
            if spec.how == JoinHow::Anti {
                rows = (0..left.height() as u32).filter(|i| !rows.contains(i)).collect();
            }
            prop_assert!(frames_equal(&got, &gather("", left, rows).unwrap()), "{got:?}");
            return Ok(());
        }
        let take = |f: &DataFrame, rows: Vec<Option<u32>>| {
            f.column("row").unwrap().take(&rows.into_iter().collect::<IdxCa>()).unwrap()
        };
        let left_rows = take(left, pairs.iter().map(|p| p.0).collect());
        let right_rows =
            take(right, pairs.iter().map(|p| p.1).collect()).with_name("row_right".into());
        prop_assert!(
            got.column("row").unwrap().equals_missing(&left_rows),
            "{spec:?} {got:?} {left_rows:?}"
        );
        prop_assert!(
            got.column("row_right").unwrap().equals_missing(&right_rows),
            "{spec:?} {got:?} {right_rows:?}"
        );
        Ok(())
    }

    #[test]
    fn columns_are_those_of_polars() {
        let left = df!["k" => [1_i64, 2], "x" => ["a", "b"]].unwrap();
        let right = df!["j" => [2_i64, 3], "x" => [0.5, 1.5], "y" => [true, false]].unwrap();
        let names = |how, coalesce| -> Vec<String> {
            let mut spec = JoinSpec::new(how, ["k".into()], ["j".into()]);
            spec.coalesce = coalesce;
            spec.suffix = "_r".into();
            let schema = join_schema(left.schema(), right.schema(), &spec).unwrap();
            schema.iter_names().map(|n| n.to_string()).collect()
        };
        assert_eq!(names(JoinHow::Inner, None), ["k", "x", "x_r", "y"]);
        assert_eq!(names(JoinHow::Left, Some(false)), ["k", "x", "j", "x_r", "y"]);
        assert_eq!(names(JoinHow::Right, None), ["x", "j", "x_r", "y"]);
        assert_eq!(names(JoinHow::Full, None), ["k", "x", "j", "x_r", "y"]);
        assert_eq!(names(JoinHow::Full, Some(true)), ["k", "x", "x_r", "y"]);
        assert_eq!(names(JoinHow::Semi, None), ["k", "x"]);
    }

    #[test]
    fn what_can_not_be_joined_is_an_error() {
        let left = df!["k" => [1_i64], "s" => ["a"]].unwrap();
        for how in HOWS {
            let bad = |l: &[&'static str], r: &[&'static str]| {
                let on = |names: &[&'static str]| {
                    names.iter().map(|n| (*n).into()).collect::<Vec<PlSmallStr>>()
                };
                join(&left, &left, &JoinSpec::new(how, on(l), on(r))).is_err()
            };
            assert!(bad(&["k"], &[]) && bad(&["no"], &["k"]) && bad(&["k"], &["s"]), "{how:?}");
            assert_eq!(bad(&[], &[]), how != JoinHow::Cross);
        }
        let taken = df!["k" => [1_i64], "s" => ["a"], "s_right" => ["b"]].unwrap();
        assert!(join(&taken, &left, &spec(JoinHow::Inner, &["k"])).is_err());
    }

    #[test]
    fn categories_of_both_sides_are_unified() {
        use polars_core::prelude::{CategoricalPhysical, Categories};
        let side = |name: &'static str, values: [&str; 2]| {
            let categories = Categories::new(name.into(), "join".into(), CategoricalPhysical::U32);
            let column =
                Column::new("c".into(), values).strict_cast(&DataType::from_categories(categories));
            DataFrame::new(2, vec![column.unwrap(), Column::new("row".into(), [0_u32, 1])]).unwrap()
        };
        let (left, right) = (side("one", ["a", "b"]), side("two", ["b", "c"]));
        let joined = join(&left, &right, &spec(JoinHow::Inner, &["c"])).unwrap();
        assert_eq!(
            joined.column("c").unwrap().cast(&DataType::String).unwrap(),
            Column::new("c".into(), ["b"])
        );
    }

    #[test]
    fn one_key_column_of_a_full_join_has_the_keys_of_both_sides() {
        let left = df!["k" => [Some(1_i64), None, Some(2)], "x" => ["a", "b", "c"]].unwrap();
        let right = df!["j" => [Some(3_i64), Some(2), None], "y" => [0.5, 1.5, 2.5]].unwrap();
        let mut spec = JoinSpec::new(JoinHow::Full, ["k".into()], ["j".into()]);
        spec.coalesce = Some(true);
        let expected = df!["k" => [Some(1_i64), None, Some(2), Some(3), None],
            "x" => [Some("a"), Some("b"), Some("c"), None, None],
            "y" => [None, None, Some(1.5), Some(0.5), Some(2.5)]];
        assert!(join(&left, &right, &spec).unwrap().equals_missing(&expected.unwrap()));
    }

    #[test]
    fn decimals_and_structs_are_keys_too() {
        let prices = Column::new("d".into(), [150_i64, 275, 150]);
        let prices = prices.cast(&DataType::Decimal(38, 2)).unwrap();
        let rows = Column::new("row".into(), [0_u32, 1, 2]);
        let frame = DataFrame::new(3, vec![prices, rows]).unwrap();
        let nested = frame.clone().into_struct("s".into()).into_column();
        let nested = DataFrame::new(3, vec![nested, frame.columns()[1].clone()]).unwrap();
        for (frame, key, n) in [(&frame, "d", 5), (&nested, "s", 3)] {
            for how in [JoinHow::Inner, JoinHow::Left, JoinHow::Right, JoinHow::Full] {
                assert_eq!(join(frame, frame, &spec(how, &[key])).unwrap().height(), n, "{how:?}");
            }
        }
    }

    /// Large enough that polars works on parts of it in several threads.
    #[test]
    fn large_joins_are_in_order_too() {
        let side = |n: u32, step: u32| {
            let keys: Vec<u32> = (0..n).map(|i| i.wrapping_mul(step) % 5000).collect();
            df!["k" => keys, "row" => (0..n).collect::<Vec<_>>()].unwrap()
        };
        for (left, right) in [(side(20_000, 7), side(9_000, 3)), (side(9_000, 3), side(20_000, 7))]
        {
            for (how, first) in [(JoinHow::Inner, 0), (JoinHow::Left, 0), (JoinHow::Right, 1)] {
                let joined = join(&left, &right, &spec(how, &["k"])).unwrap();
                let rows = |name| {
                    joined.column(name).unwrap().u32().unwrap().iter().map(|r| r.unwrap_or(0))
                };
                let pairs: Vec<_> = rows("row").zip(rows("row_right")).collect();
                let key = |p: &(u32, u32)| if first == 0 { *p } else { (p.1, p.0) };
                assert!(pairs.is_sorted_by_key(key), "{how:?}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn joins_have_the_rows_of_nested_loops(
            left in frame(14), right in frame(14), on in 1..8_usize, nulls_equal in any::<bool>(),
        ) {
            let on: Vec<_> = ["k", "f", "s"].into_iter().enumerate().filter(|(i, _)| on >> i & 1 == 1).map(|(_, n)| n).collect();
            for how in HOWS {
                let mut spec = spec(how, &on);
                spec.nulls_equal = nulls_equal;
                check(&left, &right, &spec)?;
            }
        }
    }
}
