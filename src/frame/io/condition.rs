//! Conditions on one column that a source can use to leave out rows.

use polars_core::prelude::{PlSmallStr, Scalar};

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
