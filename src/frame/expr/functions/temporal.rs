//! Functions of dates, times and durations: `col("t").dt()`.

use std::fmt::Write;

use chrono::NaiveTime;
use polars_arrow::legacy::time_zone::Tz;
use polars_core::error::polars_bail;
use polars_core::prelude::{
    Column, DataType, IntoColumn, NonExistent, PlSmallStr, PolarsResult, StringChunked, TimeUnit,
    TimeZone,
};
use polars_time::prelude::{DurationMethods, TemporalMethods};
use polars_time::{Duration, PolarsMonthEnd, PolarsMonthStart, PolarsRound, PolarsTruncate};

use super::column;
use crate::frame::expr::function::functions;
use crate::frame::expr::{Expr, Function, Literal, lit, null};

macro_rules! parts {
    ($($name:ident $text:literal $method:ident;)*) => {
        functions! { $($name = $text => |c| column(c[0].as_materialized_series().$method());)* }
    };
}

/// The parts of dates and times, each a method of polars.
pub(crate) mod parts {
    use super::*;
    parts! {
        YEAR "dt.year" year;
        ISO_YEAR "dt.iso_year" iso_year;
        QUARTER "dt.quarter" quarter;
        MONTH "dt.month" month;
        WEEK "dt.week" week;
        WEEKDAY "dt.weekday" weekday;
        DAY "dt.day" day;
        ORDINAL_DAY "dt.ordinal_day" ordinal_day;
        DAYS_IN_MONTH "dt.days_in_month" days_in_month;
        IS_LEAP_YEAR "dt.is_leap_year" is_leap_year;
        HOUR "dt.hour" hour;
        MINUTE "dt.minute" minute;
        SECOND "dt.second" second;
        NANOSECOND "dt.nanosecond" nanosecond;
    }
}

functions! {
    MILLISECOND = "dt.millisecond" => |c| column(c[0].as_materialized_series().nanosecond().map(|ca| ca / 1_000_000));
    MICROSECOND = "dt.microsecond" => |c| column(c[0].as_materialized_series().nanosecond().map(|ca| ca / 1_000));
    TOTAL_DAYS = "dt.total_days" => |c| column(c[0].duration().map(|ca| ca.days()));
    TOTAL_HOURS = "dt.total_hours" => |c| column(c[0].duration().map(|ca| ca.hours()));
    TOTAL_MINUTES = "dt.total_minutes" => |c| column(c[0].duration().map(|ca| ca.minutes()));
    TOTAL_SECONDS = "dt.total_seconds" => |c| column(c[0].duration().map(|ca| ca.seconds()));
    TOTAL_MILLISECONDS = "dt.total_milliseconds" => |c| column(c[0].duration().map(|ca| ca.milliseconds()));
    TOTAL_MICROSECONDS = "dt.total_microseconds" => |c| column(c[0].duration().map(|ca| ca.microseconds()));
    TOTAL_NANOSECONDS = "dt.total_nanoseconds" => |c| column(c[0].duration().map(|ca| ca.nanoseconds()));
    DATE = "dt.date" => |c| part_of_day(c, &DataType::Date);
    TIME = "dt.time" => |c| part_of_day(c, &DataType::Time);
    TO_STRING = "dt.to_string" => to_string;
    TIMESTAMP = "dt.timestamp" => timestamp;
    CAST_TIME_UNIT = "dt.cast_time_unit" => cast_time_unit;
    CONVERT_TIME_ZONE = "dt.convert_time_zone" => convert_time_zone;
    REPLACE_TIME_ZONE = "dt.replace_time_zone", fallible() => replace_time_zone;
    TRUNCATE = "dt.truncate" => |c| snap(c, |t, every, tz| t.truncate(tz, every), |t, every| t.truncate(None, every));
    ROUND = "dt.round" => |c| snap(c, |t, every, tz| t.round(every, tz), |t, every| t.round(every, None));
    MONTH_START = "dt.month_start" => |c| snap(c, |t, _, tz| t.month_start(tz), |t, _| t.month_start(None));
    MONTH_END = "dt.month_end" => |c| snap(c, |t, _, tz| t.month_end(tz), |t, _| t.month_end(None));
    OFFSET_BY = "dt.offset_by" => |c| {
        let (times, by) = (c[0].as_materialized_series(), c[1].as_materialized_series());
        Ok(polars_time::impl_offset_by(times, by)?.into_column())
    };
}

/// The second input, a text that says how.
fn option(inputs: &[Column]) -> PolarsResult<PlSmallStr> {
    match inputs[1].str()?.get(0) {
        Some(text) => Ok(text.into()),
        None => polars_bail!(InvalidOperation: "an option is null"),
    }
}

fn unit(inputs: &[Column]) -> PolarsResult<TimeUnit> {
    Ok(match option(inputs)?.as_str() {
        "ns" => TimeUnit::Nanoseconds,
        "ms" => TimeUnit::Milliseconds,
        _ => TimeUnit::Microseconds,
    })
}

fn timestamp(inputs: &[Column]) -> PolarsResult<Column> {
    match inputs[0].dtype() {
        DataType::Date | DataType::Datetime(..) => {
            column(inputs[0].as_materialized_series().timestamp(unit(inputs)?))
        }
        dtype => polars_bail!(InvalidOperation: "{dtype} has no timestamp"),
    }
}

fn to_string(inputs: &[Column]) -> PolarsResult<Column> {
    let format = option(inputs)?;
    // Polars panics if a time of day is asked for its year.
    let mut text = String::new();
    let is_time = inputs[0].dtype() == &DataType::Time;
    if is_time && write!(text, "{}", NaiveTime::MIN.format(&format)).is_err() {
        polars_bail!(InvalidOperation: "a time can't be written as {format:?}");
    }
    column(TemporalMethods::to_string(inputs[0].as_materialized_series(), &format))
}

fn zone(name: &str) -> PolarsResult<TimeZone> {
    match TimeZone::opt_try_new(Some(name))? {
        Some(zone) => Ok(zone),
        None => polars_bail!(InvalidOperation: "{name:?} is no time zone"),
    }
}

/// Clocks that show a time twice, or leave it out, are an error.
fn set_zone(times: &Column, zone: Option<&TimeZone>) -> PolarsResult<Column> {
    let raise = StringChunked::from_iter(["raise"]);
    let times = times.datetime()?;
    column(polars_ops::chunked_array::replace_time_zone(times, zone, &raise, NonExistent::Raise))
}

/// The date or the time that the clock of the time zone shows.
fn part_of_day(inputs: &[Column], dtype: &DataType) -> PolarsResult<Column> {
    match inputs[0].dtype() {
        DataType::Datetime(_, Some(_)) => set_zone(&inputs[0], None)?.cast(dtype),
        DataType::Datetime(_, None) => inputs[0].cast(dtype),
        other if other == dtype => Ok(inputs[0].clone()),
        other => polars_bail!(InvalidOperation: "{other} has no {dtype}"),
    }
}

fn cast_time_unit(inputs: &[Column]) -> PolarsResult<Column> {
    let unit = unit(inputs)?;
    match inputs[0].dtype() {
        DataType::Datetime(..) => Ok(inputs[0].datetime()?.cast_time_unit(unit).into_column()),
        DataType::Duration(_) => Ok(inputs[0].duration()?.cast_time_unit(unit).into_column()),
        dtype => polars_bail!(InvalidOperation: "{dtype} has no time unit"),
    }
}

fn convert_time_zone(inputs: &[Column]) -> PolarsResult<Column> {
    let mut times = inputs[0].datetime()?.clone();
    times.set_time_zone(zone(&option(inputs)?)?)?;
    Ok(times.into_column())
}

/// The second input is null for no time zone.
fn replace_time_zone(inputs: &[Column]) -> PolarsResult<Column> {
    if inputs[1].dtype().is_null() {
        return set_zone(&inputs[0], None);
    }
    set_zone(&inputs[0], Some(&zone(&option(inputs)?)?))
}

/// Times moved to the start of something; the second input is a duration.
fn snap(
    inputs: &[Column],
    times: fn(
        &polars_core::prelude::DatetimeChunked,
        &StringChunked,
        Option<&Tz>,
    ) -> PolarsResult<polars_core::prelude::DatetimeChunked>,
    dates: fn(
        &polars_core::prelude::DateChunked,
        &StringChunked,
    ) -> PolarsResult<polars_core::prelude::DateChunked>,
) -> PolarsResult<Column> {
    let every = match inputs.get(1) {
        Some(every) => every.str()?.clone(),
        None => StringChunked::from_iter(["1mo"]),
    };
    for every in every.iter().flatten() {
        let parsed = Duration::try_parse(every)?;
        if parsed.negative() || parsed.is_zero() {
            polars_bail!(InvalidOperation: "a positive duration is needed, got {every:?}");
        }
    }
    match inputs[0].dtype() {
        DataType::Date => column(dates(inputs[0].date()?, &every)),
        DataType::Datetime(_, zone) => {
            let zone = zone.as_ref().map(TimeZone::to_chrono).transpose()?;
            column(times(inputs[0].datetime()?, &every, zone.as_ref()))
        }
        dtype => polars_bail!(InvalidOperation: "{dtype} is no date and no datetime"),
    }
}

/// The functions of dates, times and durations, see [`Expr::dt`].
#[derive(Clone, Debug)]
#[must_use = "nothing happens until one of the methods is called"]
pub struct DateLikeNameSpace(Expr);

impl Expr {
    /// Functions of dates, times and durations. With a time zone, parts are those that the clock there shows.
    ///
    /// Durations are texts of numbers and units: `1d12h`; units are `ns us ms s m h d w mo q y`.
    ///
    /// ```
    /// use dask_rs::frame::col;
    /// let month = col("pickup").dt().truncate("1mo");
    /// let rush = col("pickup").dt().hour().is_in([7, 8, 17, 18]);
    /// let minutes = (col("dropoff") - col("pickup")).dt().total_minutes();
    /// ```
    pub fn dt(&self) -> DateLikeNameSpace {
        DateLikeNameSpace(self.clone())
    }
}

macro_rules! methods {
    ($($(#[$doc:meta])* $method:ident $function:path;)*) => {
        impl DateLikeNameSpace { $(
            $(#[$doc])*
            pub fn $method(&self) -> Expr {
                self.with(&$function, [])
            }
        )* }
    };
}

methods! {
    /// The year.
    year parts::YEAR;
    /// The year of the ISO week.
    iso_year parts::ISO_YEAR;
    /// The quarter, from 1.
    quarter parts::QUARTER;
    /// The month, from 1.
    month parts::MONTH;
    /// The ISO week, from 1.
    week parts::WEEK;
    /// The day of the week, 1 is Monday.
    weekday parts::WEEKDAY;
    /// The day of the month, from 1.
    day parts::DAY;
    /// The day of the year, from 1.
    ordinal_day parts::ORDINAL_DAY;
    /// How many days the month has.
    days_in_month parts::DAYS_IN_MONTH;
    /// Whether the year has 366 days.
    is_leap_year parts::IS_LEAP_YEAR;
    /// The hour.
    hour parts::HOUR;
    /// The minute.
    minute parts::MINUTE;
    /// The second.
    second parts::SECOND;
    /// The milliseconds of the second.
    millisecond MILLISECOND;
    /// The microseconds of the second.
    microsecond MICROSECOND;
    /// The nanoseconds of the second.
    nanosecond parts::NANOSECOND;
    /// The date.
    date DATE;
    /// The time of day.
    time TIME;
    /// Whole days of a duration.
    total_days TOTAL_DAYS;
    /// Whole hours of a duration.
    total_hours TOTAL_HOURS;
    /// Whole minutes of a duration.
    total_minutes TOTAL_MINUTES;
    /// Whole seconds of a duration.
    total_seconds TOTAL_SECONDS;
    /// Whole milliseconds of a duration.
    total_milliseconds TOTAL_MILLISECONDS;
    /// Whole microseconds of a duration.
    total_microseconds TOTAL_MICROSECONDS;
    /// Nanoseconds of a duration.
    total_nanoseconds TOTAL_NANOSECONDS;
    /// The first day of the month, at the same time.
    month_start MONTH_START;
    /// The last day of the month, at the same time.
    month_end MONTH_END;
}

impl DateLikeNameSpace {
    fn with(&self, function: &'static Function, more: impl IntoIterator<Item = Expr>) -> Expr {
        Expr::call(function, std::iter::once(self.0.clone()).chain(more).collect())
    }

    /// As text, after a `format` of [chrono](https://docs.rs/chrono/latest/chrono/format/strftime/index.html).
    pub fn to_string(&self, format: &str) -> Expr {
        self.with(&TO_STRING, [lit(format)])
    }

    /// As text, see [`to_string`](Self::to_string).
    pub fn strftime(&self, format: &str) -> Expr {
        self.to_string(format)
    }

    /// How many units have passed since 1970, in UTC.
    pub fn timestamp(&self, unit: TimeUnit) -> Expr {
        self.with(&TIMESTAMP, [lit(unit.to_ascii())])
    }

    /// Seconds since 1970, in UTC.
    pub fn epoch_seconds(&self) -> Expr {
        self.timestamp(TimeUnit::Milliseconds).floor_div(1000)
    }

    /// The same times in another unit, rounded down if it is coarser.
    pub fn cast_time_unit(&self, unit: TimeUnit) -> Expr {
        self.with(&CAST_TIME_UNIT, [lit(unit.to_ascii())])
    }

    /// The same moments as the clock of another time zone shows them. Times without a zone are UTC.
    pub fn convert_time_zone(&self, zone: &str) -> Expr {
        self.with(&CONVERT_TIME_ZONE, [lit(zone)])
    }

    /// What the clock shows, now meant in another time zone, or in none. A time that its clock shows twice or never is an
    /// error.
    pub fn replace_time_zone(&self, zone: Option<&str>) -> Expr {
        self.with(&REPLACE_TIME_ZONE, [zone.map_or_else(null, lit)])
    }

    /// The start of the interval that the time is in; intervals follow each other from 1970 on, weeks from Monday.
    pub fn truncate(&self, every: impl Literal) -> Expr {
        self.with(&TRUNCATE, [every.lit()])
    }

    /// The nearest start of an interval, see [`truncate`](Self::truncate).
    pub fn round(&self, every: impl Literal) -> Expr {
        self.with(&ROUND, [every.lit()])
    }

    /// The time moved by a duration, back if it begins with `-`. Months and days follow the calendar.
    pub fn offset_by(&self, by: impl Literal) -> Expr {
        self.with(&OFFSET_BY, [by.lit()])
    }
}
