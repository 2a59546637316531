//! Conditions on one column that a source can use to leave out rows.

use std::cmp::Ordering;
use std::fmt;

use polars_core::prelude::{PlSmallStr, Scalar};

use super::PartStats;

/// `column comparison value`; a row on which it is null does not fulfil it.
///
/// A request lists conditions that all have to hold. A source uses them to read less; it may return rows
/// that do not fulfil them, because the filter itself stays in the plan.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Condition {
    pub(crate) column: PlSmallStr,
    pub(crate) comparison: Comparison,
    pub(crate) values: Vec<Scalar>,
}

impl Condition {
    /// Whether a row of a part with these statistics can fulfil the condition.
    pub(crate) fn may_hold(&self, stats: &PartStats) -> bool {
        // Values of different types, and NaN, say nothing.
        let order = |a: &Scalar, b: &Scalar| a.value().partial_cmp(b.value());
        let min_is = |value: &Scalar, than: &[Ordering]| {
            order(&stats.min, value).is_none_or(|order| than.contains(&order))
        };
        let max_is = |value: &Scalar, than: &[Ordering]| {
            order(&stats.max, value).is_none_or(|order| than.contains(&order))
        };
        use Ordering::{Equal, Greater, Less};
        let between =
            |value: &Scalar| min_is(value, &[Less, Equal]) && max_is(value, &[Greater, Equal]);
        match (self.comparison, self.values.first()) {
            (Comparison::Lt, Some(value)) => min_is(value, &[Less]),
            (Comparison::LtEq, Some(value)) => min_is(value, &[Less, Equal]),
            (Comparison::Gt, Some(value)) => max_is(value, &[Greater]),
            (Comparison::GtEq, Some(value)) => max_is(value, &[Greater, Equal]),
            (Comparison::Eq, Some(value)) => between(value),
            (Comparison::NotEq, Some(value)) => {
                min_is(value, &[Less, Greater]) || max_is(value, &[Less, Greater])
            }
            (Comparison::In, _) => self.values.iter().any(between),
            (Comparison::IsNull, _) => stats.n_nulls != Some(0),
            (Comparison::IsNotNull, _) | (_, None) => true,
        }
    }
}

/// How a column is compared with the values of its [`Condition`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Lt,
    LtEq,
    Gt,
    GtEq,
    Eq,
    NotEq,
    /// Equal to one of the values.
    In,
    IsNull,
    IsNotNull,
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values: Vec<_> = self.values.iter().map(|value| value.value().to_string()).collect();
        let sign = match self.comparison {
            Comparison::Lt => "<",
            Comparison::LtEq => "<=",
            Comparison::Gt => ">",
            Comparison::GtEq => ">=",
            Comparison::Eq => "==",
            Comparison::NotEq => "!=",
            Comparison::In => return write!(f, "{} in [{}]", self.column, values.join(", ")),
            Comparison::IsNull => return write!(f, "{} is null", self.column),
            Comparison::IsNotNull => return write!(f, "{} is not null", self.column),
        };
        write!(f, "{} {sign} {}", self.column, values.join(", "))
    }
}
