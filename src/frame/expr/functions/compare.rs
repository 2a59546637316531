//! Comparisons, and looking values up in lists.

use polars_core::error::polars_bail;
use polars_core::prelude::{
    AnyValue, BooleanChunked, ChunkCompareEq, ChunkCompareIneq, Column, DataType, IntoColumn,
    PolarsResult,
};
pub use polars_ops::series::ClosedInterval;

use crate::frame::expr::Expr;
use crate::frame::expr::coerce::lookup_supertype;
use crate::frame::expr::function::{Coercion, functions};
use crate::frame::expr::literal::IntoValues;

functions! {
    EQ = "==", coerce(Coercion::Literals) => |c| compare(c, |l, r| l.equal(r));
    NEQ = "!=", coerce(Coercion::Literals) => |c| compare(c, |l, r| l.not_equal(r));
    LT = "<", coerce(Coercion::Literals) => |c| compare(c, |l, r| l.lt(r));
    LT_EQ = "<=", coerce(Coercion::Literals) => |c| compare(c, |l, r| l.lt_eq(r));
    GT = ">", coerce(Coercion::Literals) => |c| compare(c, |l, r| l.gt(r));
    GT_EQ = ">=", coerce(Coercion::Literals) => |c| compare(c, |l, r| l.gt_eq(r));
    EQ_MISSING = "eq_missing", coerce(Coercion::Literals) => |c| compare(c, |l, r| l.equal_missing(r));
    NEQ_MISSING = "neq_missing", coerce(Coercion::Literals) =>
        |c| compare(c, |l, r| l.not_equal_missing(r));
    IS_IN = "is_in" => is_in;
}

/// Polars would compare dates with texts as texts.
fn compare(
    inputs: &[Column],
    operator: impl Fn(&Column, &Column) -> PolarsResult<BooleanChunked>,
) -> PolarsResult<Column> {
    let (left, right) = (&inputs[0], &inputs[1]);
    let (l, r) = (left.dtype(), right.dtype());
    if l.is_temporal() && r.is_string() || l.is_string() && r.is_temporal() {
        polars_bail!(InvalidOperation: "{l} can't be compared with {r}; make a date of the text, or give lit() one");
    }
    if l.is_nested() != r.is_nested() && !l.is_null() && !r.is_null() {
        polars_bail!(InvalidOperation: "{l} can't be compared with {r}");
    }
    if left.len() != right.len() && left.len() != 1 && right.len() != 1 {
        polars_bail!(ShapeMismatch: "{} values can't be compared with {}", left.len(), right.len());
    }
    Ok(operator(left, right)?.into_column())
}

pub(super) fn is_in(inputs: &[Column]) -> PolarsResult<Column> {
    let (column, list) = (&inputs[0], &inputs[1]);
    let dtype = column.dtype();
    let DataType::List(inner) = list.dtype() else {
        polars_bail!(InvalidOperation: "is_in needs a list of values, got {}", list.dtype());
    };
    let inner = inner.as_ref();
    let as_column = DataType::List(Box::new(dtype.clone()));
    let (column, list) = if inner == dtype {
        (column.clone(), list.clone())
    } else if inner.is_null() || (dtype.is_categorical() || dtype.is_enum()) && inner.is_string() {
        (column.clone(), list.cast(&as_column)?)
    } else if dtype.is_null() || dtype.is_primitive_numeric() && inner.is_primitive_numeric() {
        let common = lookup_supertype(dtype, inner)?;
        (column.cast(&common)?, list.cast(&DataType::List(Box::new(common)))?)
    } else if dtype.is_decimal() && inner.is_primitive_numeric()
        || dtype.is_date() && inner.is_datetime()
        || dtype.is_datetime() && (inner.is_datetime() || inner.is_date())
        || dtype.is_duration() && inner.is_duration()
    {
        let common = polars_core::utils::try_get_supertype(dtype, inner)?;
        (column.cast(&common)?, list.cast(&DataType::List(Box::new(common)))?)
    } else {
        polars_bail!(InvalidOperation: "is_in can't look for {dtype} among {inner}");
    };
    if list.len() != 1 && list.len() != column.len() {
        polars_bail!(ShapeMismatch: "is_in got {} lists for {} values", list.len(), column.len());
    }
    if let Some(found) = is_one_of_few(&column, &list)? {
        return Ok(found.into_column());
    }
    let (column, list) = (column.as_materialized_series(), list.as_materialized_series());
    Ok(polars_ops::prelude::is_in(column, list, false)?.into_column())
}

/// `is_in` of one list of a few numbers or texts: a comparison with each of them takes less than a look at a hash table.
fn is_one_of_few(column: &Column, list: &Column) -> PolarsResult<Option<BooleanChunked>> {
    const FEW: usize = 8;
    let dtype = column.dtype();
    let is_plain = dtype.is_primitive_numeric() || dtype.is_string() || dtype.is_temporal();
    if !is_plain || list.len() != 1 {
        return Ok(None);
    }
    let AnyValue::List(values) = list.get(0)? else { return Ok(None) };
    let values = values.drop_nulls();
    if values.is_empty() || values.len() > FEW {
        return Ok(None);
    }
    let mut found: Option<BooleanChunked> = None;
    for i in 0..values.len() {
        let equal = column.equal(&values.slice(i as i64, 1).into_column())?;
        found = Some(match found {
            Some(found) => &found | &equal,
            None => equal,
        });
    }
    Ok(found)
}

/// Comparisons. If one side is null, the result is null; NaN equals NaN and is greater than any other number.
///
/// ```
/// use dask_rs::frame::{ClosedInterval, col, lit};
/// let recent = col("day").gt_eq(lit(chrono::NaiveDate::from_ymd_opt(2015, 1, 1).unwrap()));
/// let card = col("payment").eq(lit("card")).and(col("vendor").is_in([1, 2]));
/// let usual = col("fare").is_between(0, 100, ClosedInterval::Left);
/// assert_eq!(usual.to_string(), r#"(col("fare") >= 0) & (col("fare") < 100)"#);
/// ```
impl Expr {
    /// `==`. A text is the name of a column: `eq("b")` compares with column `b`, `eq(lit("b"))` with the text.
    pub fn eq(&self, other: impl Into<Expr>) -> Expr {
        self.binary(&EQ, other)
    }

    /// `!=`.
    pub fn neq(&self, other: impl Into<Expr>) -> Expr {
        self.binary(&NEQ, other)
    }

    /// `<`.
    pub fn lt(&self, other: impl Into<Expr>) -> Expr {
        self.binary(&LT, other)
    }

    /// `<=`.
    pub fn lt_eq(&self, other: impl Into<Expr>) -> Expr {
        self.binary(&LT_EQ, other)
    }

    /// `>`.
    pub fn gt(&self, other: impl Into<Expr>) -> Expr {
        self.binary(&GT, other)
    }

    /// `>=`.
    pub fn gt_eq(&self, other: impl Into<Expr>) -> Expr {
        self.binary(&GT_EQ, other)
    }

    /// `==` where null equals null and nothing else, so that the result is never null.
    pub fn eq_missing(&self, other: impl Into<Expr>) -> Expr {
        self.binary(&EQ_MISSING, other)
    }

    /// `!=` where null equals null and nothing else, so that the result is never null.
    pub fn neq_missing(&self, other: impl Into<Expr>) -> Expr {
        self.binary(&NEQ_MISSING, other)
    }

    /// Whether the value is one of `values`. Null is in no list: the result is then null.
    pub fn is_in(&self, values: impl IntoValues) -> Expr {
        Expr::call(&IS_IN, vec![self.clone(), values.into_values()])
    }

    /// Whether the value lies between two others; `closed` says which of them belong to the interval.
    pub fn is_between(
        &self,
        lower: impl Into<Expr>,
        upper: impl Into<Expr>,
        closed: ClosedInterval,
    ) -> Expr {
        let above = match closed {
            ClosedInterval::Both | ClosedInterval::Left => self.gt_eq(lower),
            ClosedInterval::Right | ClosedInterval::None => self.gt(lower),
        };
        above.and(match closed {
            ClosedInterval::Both | ClosedInterval::Right => self.lt_eq(upper),
            ClosedInterval::Left | ClosedInterval::None => self.lt(upper),
        })
    }
}
