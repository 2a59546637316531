//! Columns chosen by what they are, instead of by name: `selectors::numeric() - selectors::by_name(["id"])`.
//!
//! A selector stands in an expression where a column does. When a frame gets the expression, it becomes one expression for
//! each column that is chosen, in the order of the frame. Names are those of Polars' selectors.
//!
//! ```
//! use dask_rs::frame::{DataFrame, polars_core::df, selectors as cs};
//! let rows = df!["id" => [1, 2], "fare" => [10.0, 20.0], "tip" => [1.0, 3.0], "city" => ["a", "b"]]?;
//! let frame = DataFrame::from_polars(&rows, 2);
//! let means = frame.select([cs::float().as_expr().mean().name().suffix("_mean")]);
//! assert_eq!(means.columns()?, ["fare_mean", "tip_mean"]);
//! let others = frame.select(cs::all() - cs::by_name(["id"]) - cs::string());
//! assert_eq!(others.columns()?, ["fare", "tip"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;
use std::ops::{BitAnd, BitOr, Not, Sub};
use std::sync::Arc;

use polars_core::prelude::{DataType, PlSmallStr, Schema};
use regex::Regex;

use super::{Expr, ExprKind, IntoExprs};

/// A choice of columns, made by the functions of this module.
///
/// `a | b` are the columns of both, `a & b` those that both choose, `a - b` those of `a` that `b` does not choose, and `!a`
/// all others.
#[derive(Clone, PartialEq)]
pub struct Selector(Choice);

#[derive(Clone, Debug, PartialEq)]
enum Choice {
    All,
    First,
    Last,
    Names(Arc<[PlSmallStr]>),
    Dtypes(Arc<[DataType]>),
    Kind(Kind),
    Name(NameTest, Arc<str>),
    Either(Arc<[Selector; 2]>),
    Both(Arc<[Selector; 2]>),
    Except(Arc<[Selector; 2]>),
}

/// Dtypes that belong together, and the name of the function that chooses them.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Numeric,
    Integer,
    Float,
    String,
    Boolean,
    Temporal,
    Categorical,
    Nested,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum NameTest {
    StartsWith,
    EndsWith,
    Contains,
    Matches,
}

/// All columns.
pub fn all() -> Selector {
    Selector(Choice::All)
}

/// The first column.
pub fn first() -> Selector {
    Selector(Choice::First)
}

/// The last column.
pub fn last() -> Selector {
    Selector(Choice::Last)
}

/// The columns of these names, each of which there has to be. They come in the order of the frame, as all that is chosen.
pub fn by_name(names: impl IntoIterator<Item = impl Into<PlSmallStr>>) -> Selector {
    Selector(Choice::Names(names.into_iter().map(Into::into).collect()))
}

/// The columns of these dtypes.
///
/// ```
/// use dask_rs::frame::{polars_core::prelude::DataType, selectors as cs};
/// let small = cs::by_dtype([DataType::Int8, DataType::UInt8]);
/// assert_eq!(small.to_string(), "by_dtype([i8, u8])");
/// ```
pub fn by_dtype(dtypes: impl IntoIterator<Item = DataType>) -> Selector {
    Selector(Choice::Dtypes(dtypes.into_iter().collect()))
}

/// The columns whose names match a regular expression somewhere.
pub fn matches(pattern: &str) -> Selector {
    Selector(Choice::Name(NameTest::Matches, pattern.into()))
}

/// The columns whose names begin so.
pub fn starts_with(prefix: &str) -> Selector {
    Selector(Choice::Name(NameTest::StartsWith, prefix.into()))
}

/// The columns whose names end so.
pub fn ends_with(suffix: &str) -> Selector {
    Selector(Choice::Name(NameTest::EndsWith, suffix.into()))
}

/// The columns whose names have this part.
pub fn contains(part: &str) -> Selector {
    Selector(Choice::Name(NameTest::Contains, part.into()))
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $function:ident $kind:ident)*) => { $(
        $(#[$doc])*
        pub fn $function() -> Selector {
            Selector(Choice::Kind(Kind::$kind))
        }
    )* };
}

kinds! {
    /// The columns of integers, floats and decimals.
    numeric Numeric
    /// The columns of integers.
    integer Integer
    /// The columns of floats.
    float Float
    /// The columns of texts.
    string String
    /// The columns of booleans.
    boolean Boolean
    /// The columns of dates, times and durations.
    temporal Temporal
    /// The columns of categories, known or not.
    categorical Categorical
    /// The columns of lists and structs.
    nested Nested
}

impl Selector {
    /// The columns as an expression, which has all methods of one.
    pub fn as_expr(&self) -> Expr {
        Expr::new(ExprKind::Chosen(self.clone()))
    }

    /// The columns but those that `other` chooses; the same as `-`.
    #[must_use]
    pub fn exclude(self, other: Selector) -> Selector {
        self - other
    }

    /// The names of the columns of `schema` that are chosen, in its order.
    ///
    /// # Errors
    /// A name that is no column, in the first place; a problem of a pattern in the second.
    pub(super) fn names(&self, schema: &Schema) -> Result<Vec<PlSmallStr>, Unchosen> {
        let chosen = self.0.of(schema)?;
        let names = schema.iter_names().zip(chosen);
        Ok(names.filter(|(_, is_chosen)| *is_chosen).map(|(name, _)| name.clone()).collect())
    }
}

/// Why there is nothing to choose from.
pub(super) enum Unchosen {
    NoColumn(PlSmallStr),
    NoPattern(String),
}

impl Choice {
    /// Whether each column of `schema` is chosen.
    fn of(&self, schema: &Schema) -> Result<Vec<bool>, Unchosen> {
        let by_name = |test: &dyn Fn(&str) -> bool| schema.iter_names().map(|n| test(n)).collect();
        let by_dtype = |test: &dyn Fn(&DataType) -> bool| schema.iter_values().map(test).collect();
        let only = |n: Option<usize>| (0..schema.len()).map(|i| Some(i) == n).collect();
        Ok(match self {
            Choice::All => vec![true; schema.len()],
            Choice::First => only(Some(0)),
            Choice::Last => only(schema.len().checked_sub(1)),
            Choice::Names(names) => {
                if let Some(name) = names.iter().find(|name| !schema.contains(name)) {
                    return Err(Unchosen::NoColumn(name.clone()));
                }
                by_name(&|name| names.iter().any(|wanted| wanted == name))
            }
            Choice::Dtypes(dtypes) => by_dtype(&|dtype| dtypes.contains(dtype)),
            Choice::Kind(kind) => by_dtype(&|dtype| kind.has(dtype)),
            Choice::Name(NameTest::StartsWith, text) => by_name(&|name| name.starts_with(&**text)),
            Choice::Name(NameTest::EndsWith, text) => by_name(&|name| name.ends_with(&**text)),
            Choice::Name(NameTest::Contains, text) => by_name(&|name| name.contains(&**text)),
            Choice::Name(NameTest::Matches, text) => {
                let pattern = Regex::new(text);
                let pattern = pattern.map_err(|error| Unchosen::NoPattern(error.to_string()))?;
                by_name(&|name| pattern.is_match(name))
            }
            Choice::Either(two) => both(two, schema, |a, b| a | b)?,
            Choice::Both(two) => both(two, schema, |a, b| a & b)?,
            Choice::Except(two) => both(two, schema, |a, b| a & !b)?,
        })
    }
}

fn both(
    two: &[Selector; 2],
    schema: &Schema,
    of: fn(bool, bool) -> bool,
) -> Result<Vec<bool>, Unchosen> {
    let [a, b] = [two[0].0.of(schema)?, two[1].0.of(schema)?];
    Ok(a.into_iter().zip(b).map(|(a, b)| of(a, b)).collect())
}

impl Kind {
    fn has(self, dtype: &DataType) -> bool {
        match self {
            Kind::Numeric => dtype.is_primitive_numeric() || dtype.is_decimal(),
            Kind::Integer => dtype.is_integer(),
            Kind::Float => dtype.is_float(),
            Kind::String => dtype.is_string(),
            Kind::Boolean => dtype.is_bool(),
            Kind::Temporal => dtype.is_temporal(),
            Kind::Categorical => dtype.is_categorical() || dtype.is_enum(),
            Kind::Nested => dtype.is_nested(),
        }
    }
}

impl From<Selector> for Expr {
    fn from(selector: Selector) -> Expr {
        selector.as_expr()
    }
}

impl IntoExprs for Selector {
    fn into_exprs(self) -> Vec<Expr> {
        vec![self.into()]
    }
}

impl BitOr for Selector {
    type Output = Selector;

    fn bitor(self, other: Selector) -> Selector {
        Selector(Choice::Either(Arc::new([self, other])))
    }
}

impl BitAnd for Selector {
    type Output = Selector;

    fn bitand(self, other: Selector) -> Selector {
        Selector(Choice::Both(Arc::new([self, other])))
    }
}

impl Sub for Selector {
    type Output = Selector;

    fn sub(self, other: Selector) -> Selector {
        Selector(Choice::Except(Arc::new([self, other])))
    }
}

impl Not for Selector {
    type Output = Selector;

    fn not(self) -> Selector {
        all() - self
    }
}

/// As it is written.
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lower = |name: &dyn fmt::Debug| format!("{name:?}").to_lowercase();
        match &self.0 {
            Choice::All => f.write_str("all()"),
            Choice::First => f.write_str("first()"),
            Choice::Last => f.write_str("last()"),
            Choice::Names(names) => write!(f, "by_name({names:?})"),
            Choice::Dtypes(dtypes) => {
                let dtypes: Vec<String> = dtypes.iter().map(DataType::to_string).collect();
                write!(f, "by_dtype([{}])", dtypes.join(", "))
            }
            Choice::Kind(kind) => write!(f, "{}()", lower(kind)),
            Choice::Name(NameTest::StartsWith, text) => write!(f, "starts_with({text:?})"),
            Choice::Name(NameTest::EndsWith, text) => write!(f, "ends_with({text:?})"),
            Choice::Name(test, text) => write!(f, "{}({text:?})", lower(test)),
            Choice::Either(two) => write!(f, "({} | {})", two[0], two[1]),
            Choice::Both(two) => write!(f, "({} & {})", two[0], two[1]),
            Choice::Except(two) => write!(f, "({} - {})", two[0], two[1]),
        }
    }
}

impl fmt::Debug for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_chosen_by_name_and_dtype() {
        let list = DataType::List(Box::new(DataType::Int8));
        let fields = [
            ("id", DataType::Int64),
            ("x_1", DataType::Float64),
            ("x_2", DataType::Float32),
            ("s", DataType::String),
            ("t", DataType::Date),
            ("l", list),
        ];
        let schema: Schema = fields.into_iter().map(|(n, t)| (PlSmallStr::from(n), t)).collect();
        let names = |selector: Selector| match selector.names(&schema) {
            Ok(names) => names.join(" "),
            Err(_) => "error".into(),
        };
        for (selector, expected) in [
            (all(), "id x_1 x_2 s t l"),
            (numeric(), "id x_1 x_2"),
            (float() | string(), "x_1 x_2 s"),
            (numeric() & matches("^x_[0-9]$"), "x_1 x_2"),
            (!numeric() - nested(), "s t"),
            (all().exclude(by_dtype([DataType::Date])), "id x_1 x_2 s l"),
            (starts_with("x") | ends_with("d"), "id x_1 x_2"),
            (contains("_") & last(), ""),
            (first() | last(), "id l"),
            (by_name(["s", "id"]), "id s"),
            (by_name(["no"]), "error"),
            (matches("("), "error"),
            (integer() | temporal() | boolean() | categorical(), "id t"),
        ] {
            let text = selector.to_string();
            assert_eq!(names(selector), expected, "{text}");
        }
        let text = (all() - by_name(["a"]) - matches("^b")).to_string();
        assert_eq!(text, r#"((all() - by_name(["a"])) - matches("^b"))"#);
    }
}
