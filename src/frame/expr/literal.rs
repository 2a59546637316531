//! Values written by the user, and what may stand where an expression is wanted.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike};
use polars_core::prelude::{AnyValue, DataType, Scalar, Series, TimeUnit};

use super::{Expr, ExprKind};

/// A value written by the user.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LiteralValue {
    pub(crate) value: Scalar,
    /// Whether the value takes the type of what it meets, as the `1` of `col("small") + 1` does.
    pub(crate) dynamic: bool,
}

impl LiteralValue {
    pub(crate) fn typed(value: Scalar) -> Self {
        LiteralValue { value, dynamic: false }
    }

    fn dynamic(value: Scalar) -> Self {
        LiteralValue { value, dynamic: true }
    }
}

/// Values that [`lit`] takes.
///
/// Numbers and strings of Rust have no fixed dtype: they take the one of the column that they meet. A [`Scalar`] keeps
/// its dtype.
pub trait Literal {
    /// The value as an expression.
    fn lit(self) -> Expr;
}

/// The same value on each row.
///
/// # Example
/// A number takes the dtype of the column if it fits:
/// ```
/// use dask_rs::frame::{col, lit};
/// let price = col("price") * (lit(1.0) - col("discount"));
/// assert_eq!(price.to_string(), r#"col("price") * (1.0 - col("discount"))"#);
/// ```
pub fn lit(value: impl Literal) -> Expr {
    value.lit()
}

/// The missing value, which takes the dtype of what it meets.
///
/// ```
/// use dask_rs::frame::{col, null, when};
/// let known = when(col("age").gt(0)).then(col("age")).otherwise(null());
/// ```
pub fn null() -> Expr {
    Scalar::null(DataType::Null).lit()
}

fn literal(value: LiteralValue) -> Expr {
    Expr::new(ExprKind::Literal(value))
}

impl Literal for bool {
    fn lit(self) -> Expr {
        Scalar::from(self).lit()
    }
}

impl Literal for &str {
    fn lit(self) -> Expr {
        self.to_owned().lit()
    }
}

impl Literal for String {
    fn lit(self) -> Expr {
        literal(LiteralValue::dynamic(Scalar::from(polars_core::prelude::PlSmallStr::from(self))))
    }
}

impl Literal for &String {
    fn lit(self) -> Expr {
        self.clone().lit()
    }
}

/// The dtype of a whole number is that of Polars: the first of i32, i64 and u64 that holds it.
macro_rules! int_literals {
    ($($int:ty)*) => { $(
        impl Literal for $int {
            fn lit(self) -> Expr {
                let value = i128::from(self);
                let scalar = if let Ok(value) = i32::try_from(value) {
                    Scalar::from(value)
                } else if let Ok(value) = i64::try_from(value) {
                    Scalar::from(value)
                } else {
                    Scalar::from(u64::try_from(value).unwrap_or(u64::MAX))
                };
                literal(LiteralValue::dynamic(scalar))
            }
        }

        impl From<$int> for Expr {
            fn from(value: $int) -> Expr {
                lit(value)
            }
        }
    )* };
}
int_literals!(i8 i16 i32 i64 u8 u16 u32 u64);

impl Literal for usize {
    fn lit(self) -> Expr {
        (self as u64).lit()
    }
}

impl Literal for f32 {
    fn lit(self) -> Expr {
        f64::from(self).lit()
    }
}

impl Literal for f64 {
    fn lit(self) -> Expr {
        literal(LiteralValue::dynamic(Scalar::from(self)))
    }
}

impl Literal for Scalar {
    fn lit(self) -> Expr {
        literal(LiteralValue::typed(self))
    }
}

/// A list with these values, as [`Expr::is_in`] takes it.
impl Literal for Series {
    fn lit(self) -> Expr {
        Scalar::new_list(self).lit()
    }
}

/// Itself, so that what takes a value takes an expression too.
impl Literal for Expr {
    fn lit(self) -> Expr {
        self
    }
}

impl<T: Literal> Literal for Option<T> {
    fn lit(self) -> Expr {
        self.map_or_else(null, Literal::lit)
    }
}

impl Literal for NaiveDate {
    fn lit(self) -> Expr {
        let days = self.signed_duration_since(DateTime::UNIX_EPOCH.date_naive()).num_days();
        // 32 bits of days are more than chrono's range of years.
        Scalar::new_date(i32::try_from(days).unwrap_or(i32::MAX)).lit()
    }
}

/// In nanoseconds if they can be counted from 1970, in microseconds otherwise, as in Polars.
impl Literal for NaiveDateTime {
    fn lit(self) -> Expr {
        let utc = self.and_utc();
        let scalar = match utc.timestamp_nanos_opt() {
            Some(nanos) => Scalar::new_datetime(nanos, TimeUnit::Nanoseconds, None),
            None => Scalar::new_datetime(utc.timestamp_micros(), TimeUnit::Microseconds, None),
        };
        scalar.lit()
    }
}

impl Literal for NaiveTime {
    fn lit(self) -> Expr {
        let seconds = i64::from(self.num_seconds_from_midnight());
        Scalar::new_time(seconds * 1_000_000_000 + i64::from(self.nanosecond())).lit()
    }
}

/// In nanoseconds if they fit, in microseconds or milliseconds otherwise.
impl Literal for TimeDelta {
    fn lit(self) -> Expr {
        let scalar = match (self.num_nanoseconds(), self.num_microseconds()) {
            (Some(nanos), _) => Scalar::new_duration(nanos, TimeUnit::Nanoseconds),
            (None, Some(micros)) => Scalar::new_duration(micros, TimeUnit::Microseconds),
            _ => Scalar::new_duration(self.num_milliseconds(), TimeUnit::Milliseconds),
        };
        scalar.lit()
    }
}

macro_rules! into_expr {
    ($($ty:ty)*) => { $(
        impl From<$ty> for Expr {
            fn from(value: $ty) -> Expr {
                lit(value)
            }
        }
    )* };
}
into_expr!(bool usize f32 f64 Scalar NaiveDate NaiveDateTime NaiveTime TimeDelta);

/// The column of this name, as in Polars; a string value is `lit("text")`.
impl From<&str> for Expr {
    fn from(name: &str) -> Expr {
        super::col(name)
    }
}

/// The column of this name.
impl From<String> for Expr {
    fn from(name: String) -> Expr {
        super::col(name)
    }
}

/// The column of this name.
impl From<&String> for Expr {
    fn from(name: &String) -> Expr {
        super::col(name.as_str())
    }
}

impl From<&Expr> for Expr {
    fn from(expr: &Expr) -> Expr {
        expr.clone()
    }
}

/// Several expressions: an array, a `Vec` or a slice of expressions or of names of columns, or one of them.
///
/// ```
/// use dask_rs::frame::{IntoExprs, col};
/// assert_eq!(["a", "b"].into_exprs(), [col("a"), col("b")].into_exprs());
/// assert_eq!("a".into_exprs(), vec![col("a")]);
/// ```
pub trait IntoExprs {
    /// The expressions, in order.
    fn into_exprs(self) -> Vec<Expr>;
}

impl<T: Into<Expr>, const N: usize> IntoExprs for [T; N] {
    fn into_exprs(self) -> Vec<Expr> {
        self.into_iter().map(Into::into).collect()
    }
}

impl<T: Into<Expr>> IntoExprs for Vec<T> {
    fn into_exprs(self) -> Vec<Expr> {
        self.into_iter().map(Into::into).collect()
    }
}

impl<T: Clone + Into<Expr>> IntoExprs for &[T] {
    fn into_exprs(self) -> Vec<Expr> {
        self.iter().cloned().map(Into::into).collect()
    }
}

impl<T: Clone + Into<Expr>> IntoExprs for &Vec<T> {
    fn into_exprs(self) -> Vec<Expr> {
        self.as_slice().into_exprs()
    }
}

impl<T: Clone + Into<Expr>, const N: usize> IntoExprs for &[T; N] {
    fn into_exprs(self) -> Vec<Expr> {
        self.as_slice().into_exprs()
    }
}

macro_rules! one_expr {
    ($($ty:ty)*) => { $(
        impl IntoExprs for $ty {
            fn into_exprs(self) -> Vec<Expr> {
                vec![self.into()]
            }
        }
    )* };
}
one_expr!(Expr &Expr &str String &String);

/// What [`Expr::is_in`] looks in: an array, a `Vec` or a slice of values, a [`Series`], or an expression of lists.
pub trait IntoValues {
    /// One list, or an expression that gives a list for each row.
    fn into_values(self) -> Expr;
}

/// A list literal is dynamic if its values are.
fn list_of(values: impl Iterator<Item = Expr>) -> Expr {
    let mut dynamic = true;
    let mut items: Vec<AnyValue<'static>> = Vec::new();
    for value in values {
        match value.kind() {
            ExprKind::Literal(literal) => {
                dynamic &= literal.dynamic || literal.value.is_null();
                items.push(literal.value.value().clone());
            }
            // There is no list of columns; `is_in` will say so.
            _ => return value,
        }
    }
    let values = Series::from_any_values(polars_core::prelude::PlSmallStr::EMPTY, &items, false);
    let values = values.unwrap_or_else(|_| Series::new_null("".into(), items.len()));
    literal(LiteralValue { value: Scalar::new_list(values), dynamic })
}

impl<T: Literal, const N: usize> IntoValues for [T; N] {
    fn into_values(self) -> Expr {
        list_of(self.into_iter().map(Literal::lit))
    }
}

impl<T: Literal> IntoValues for Vec<T> {
    fn into_values(self) -> Expr {
        list_of(self.into_iter().map(Literal::lit))
    }
}

impl<T: Clone + Literal> IntoValues for &[T] {
    fn into_values(self) -> Expr {
        list_of(self.iter().cloned().map(Literal::lit))
    }
}

impl IntoValues for Series {
    fn into_values(self) -> Expr {
        self.lit()
    }
}

impl IntoValues for Expr {
    fn into_values(self) -> Expr {
        self
    }
}
