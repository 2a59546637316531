//! Dates and times out of texts.

use polars_core::error::polars_bail;
use polars_core::prelude::{Column, DataType, IntoColumn, PolarsResult, StringChunked, TimeUnit};
use polars_time::prelude::StringMethods;

use super::text::StringNameSpace;
use super::window::boolean;
use crate::frame::expr::function::functions;
use crate::frame::expr::{Expr, lit};

functions! {
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
    let Some(format) = inputs[1].str()?.get(0) else {
        polars_bail!(InvalidOperation: "a format is needed");
    };
    let out = function(texts, format)?;
    if boolean(&inputs[2])? && out.null_count() > texts.null_count() {
        let fine = out.is_not_null();
        let wrong = texts.iter().zip(fine.iter());
        let wrong = wrong.filter_map(|(text, fine)| text.filter(|_| fine != Some(true))).next();
        polars_bail!(InvalidOperation: "{:?} is not of the format {format:?}", wrong.unwrap_or_default());
    }
    Ok(out)
}

fn datetime(texts: &StringChunked, format: &str, unit: TimeUnit) -> PolarsResult<Column> {
    let has_zone = ["%z", "%:z", "%::z", "%:::z", "%#z"].iter().any(|zone| format.contains(zone));
    let ambiguous = StringChunked::from_iter(["raise"]);
    let out =
        texts.as_datetime(Some(format), unit, true, has_zone || format == "%+", None, &ambiguous);
    Ok(out?.into_column())
}

impl StringNameSpace {
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
