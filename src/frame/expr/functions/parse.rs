//! Integers, dates and times out of texts.

use polars_core::error::{polars_bail, polars_ensure};
use polars_core::prelude::{
    Column, DataType, Int64Chunked, IntoColumn, NewChunkedArray, PolarsResult, StringChunked,
    TimeUnit,
};
use polars_time::prelude::StringMethods;

use super::text::StringNameSpace;
use super::window::{boolean, offset};
use crate::frame::expr::function::functions;
use crate::frame::expr::{Expr, lit};

functions! {
    TO_INTEGER = "str.to_integer", fallible() => to_integer;
    TO_DATE = "str.to_date", fallible() => |c| parse(c, |s, format| Ok(s.as_date(Some(format), true)?.into_column()));
    TO_TIME = "str.to_time", fallible() => |c| parse(c, |s, format| Ok(s.as_time(Some(format), true)?.into_column()));
    TO_DATETIME_MS = "str.to_datetime_ms", fallible() => |c| parse(c, |s, f| datetime(s, f, TimeUnit::Milliseconds));
    TO_DATETIME_US = "str.to_datetime", fallible() => |c| parse(c, |s, f| datetime(s, f, TimeUnit::Microseconds));
    TO_DATETIME_NS = "str.to_datetime_ns", fallible() => |c| parse(c, |s, f| datetime(s, f, TimeUnit::Nanoseconds));
}

/// Inputs are the texts, the format, and whether a text of another format is an error.
fn parse(
    inputs: &[Column],
    function: impl Fn(&StringChunked, &str) -> PolarsResult<Column>,
) -> PolarsResult<Column> {
    let texts = inputs[0].str()?;
    let strict = boolean(&inputs[2])?;
    let Some(format) = inputs[1].str()?.get(0) else {
        polars_bail!(InvalidOperation: "a format is needed");
    };
    let out = function(texts, format)?;
    match first_wrong(texts, &out).filter(|_| strict) {
        Some(wrong) => polars_bail!(InvalidOperation: "{wrong:?} is not of the format {format:?}"),
        None => Ok(out),
    }
}

/// The first text of which nothing could be made.
fn first_wrong<'a>(texts: &'a StringChunked, out: &Column) -> Option<&'a str> {
    if out.null_count() == texts.null_count() {
        return None;
    }
    let fine = out.is_not_null();
    texts.iter().zip(fine.iter()).find_map(|(text, fine)| text.filter(|_| fine != Some(true)))
}

/// Inputs are the texts, the base, and whether a text that is no integer is an error.
fn to_integer(inputs: &[Column]) -> PolarsResult<Column> {
    let (texts, base) = (inputs[0].str()?, offset(&inputs[1])?);
    polars_ensure!((2..=36).contains(&base), InvalidOperation: "a base is between 2 and 36, not {base}");
    let integers = texts.iter().map(|text| i64::from_str_radix(text?, base as u32).ok());
    let out = Int64Chunked::from_iter_options(texts.name().clone(), integers).into_column();
    match first_wrong(texts, &out) {
        Some(wrong) if boolean(&inputs[2])? => {
            polars_bail!(InvalidOperation: "{wrong:?} is no integer of 64 bits in base {base}")
        }
        _ => Ok(out),
    }
}

fn datetime(texts: &StringChunked, format: &str, unit: TimeUnit) -> PolarsResult<Column> {
    let has_zone = ["%z", "%:z", "%::z", "%:::z", "%#z"].iter().any(|zone| format.contains(zone));
    let ambiguous = StringChunked::from_iter(["raise"]);
    let out =
        texts.as_datetime(Some(format), unit, true, has_zone || format == "%+", None, &ambiguous);
    Ok(out?.into_column())
}

impl StringNameSpace {
    /// Integers in a base of 2 to 36, with a sign or without. What is none is an error if `strict`, and null otherwise.
    ///
    /// ```
    /// use dask_rs::frame::col;
    /// let color = col("color").str().strip_prefix("#").str().to_integer(16, true);
    /// ```
    pub fn to_integer(&self, base: u32, strict: bool) -> Expr {
        self.with(&TO_INTEGER, [lit(base), lit(strict)])
    }

    /// Dates, after a `format` of [chrono](https://docs.rs/chrono/latest/chrono/format/strftime/index.html). A text of another
    /// format is an error.
    ///
    /// Formats are never guessed: the guess would depend on the first text of each partition.
    ///
    /// ```
    /// use dask_rs::frame::col;
    /// let day = col("day").str().to_date("%Y-%m-%d");
    /// ```
    pub fn to_date(&self, format: &str) -> Expr {
        self.strptime(DataType::Date, format, true)
    }

    /// Times with a date, in microseconds, see [`to_date`](Self::to_date). With a time zone in the format they are UTC.
    pub fn to_datetime(&self, format: &str) -> Expr {
        self.strptime(DataType::Datetime(TimeUnit::Microseconds, None), format, true)
    }

    /// Times of day, see [`to_date`](Self::to_date).
    pub fn to_time(&self, format: &str) -> Expr {
        self.strptime(DataType::Time, format, true)
    }

    /// Dates, datetimes or times, as `dtype` says. If `strict`, a text of another format is an error, otherwise null.
    pub fn strptime(&self, dtype: DataType, format: &str, strict: bool) -> Expr {
        let function = match &dtype {
            DataType::Date => &TO_DATE,
            DataType::Time => &TO_TIME,
            DataType::Datetime(TimeUnit::Milliseconds, _) => &TO_DATETIME_MS,
            DataType::Datetime(TimeUnit::Nanoseconds, _) => &TO_DATETIME_NS,
            _ => &TO_DATETIME_US,
        };
        let parsed = Expr::call(function, vec![self.0.clone(), lit(format), lit(strict)]);
        // A time zone, and what is no time at all, is then what the cast says.
        match dtype {
            DataType::Date | DataType::Time | DataType::Datetime(_, None) => parsed,
            DataType::Datetime(_, Some(zone)) => parsed.dt().replace_time_zone(Some(zone.as_str())),
            dtype => parsed.cast(dtype),
        }
    }
}
