//! Methods of series that are those of expressions and frames; what they do is said and done there.

use polars_core::prelude::{Column, DataType, FillNullStrategy, PolarsResult, TimeUnit};

use super::Series;
use super::operators::IntoOperand;
use crate::error::Call;
use crate::frame::expr::{
    ClosedInterval, Interpolation, IntoExprs, IntoValues, Literal, RankTies, RollingByOptions,
    RollingOptions,
};
use crate::frame::handle::DataFrame;

/// Methods of [`Expr`](crate::frame::Expr): after `of`, operands that may be series, and then what is no series.
macro_rules! of_expr {
    ($($method:ident $(of($($operand:ident),*))? ($($arg:ident: $type:ty),*);)*) => {
        /// Methods of [`Expr`](crate::frame::Expr).
        impl Series { $(
            #[doc = concat!("See [`Expr::", stringify!($method), "`](crate::frame::Expr::", stringify!($method), ").")]
            #[track_caller]
            #[allow(clippy::should_implement_trait, reason = "`not` is the operator too")]
            pub fn $method(&self, $($($operand: impl IntoOperand,)*)? $($arg: $type),*) -> Series {
                let others = vec![$($($operand.into_operand()),*)?];
                self.with(Call::new(stringify!($method)), others, |values, _others| {
                    $(let [$($operand),*] = _others else { return values.clone() };)?
                    values.$method($($($operand,)*)? $($arg),*)
                })
            }
        )* }
    };
}

of_expr! {
    eq of(other)();
    neq of(other)();
    lt of(other)();
    lt_eq of(other)();
    gt of(other)();
    gt_eq of(other)();
    eq_missing of(other)();
    neq_missing of(other)();
    is_between of(lower, upper)(closed: ClosedInterval);
    is_in(values: impl IntoValues);
    and of(other)();
    or of(other)();
    xor of(other)();
    not();
    true_div of(other)();
    floor_div of(other)();
    pow of(exponent)();
    log of(base)();
    arctan2 of(x)();
    clip of(min, max)();
    clip_min of(min)();
    clip_max of(max)();
    abs();
    sign();
    floor();
    ceil();
    round(decimals: u32);
    round_half_away(decimals: u32);
    truncate(decimals: u32);
    sqrt();
    cbrt();
    exp();
    ln();
    log1p();
    sin();
    cos();
    tan();
    arcsin();
    arccos();
    arctan();
    sinh();
    cosh();
    tanh();
    degrees();
    radians();
    cast(dtype: DataType);
    strict_cast(dtype: DataType);
    is_null();
    is_not_null();
    is_nan();
    is_not_nan();
    is_finite();
    is_infinite();
    fill_null of(value)();
    fill_nan of(value)();
    forward_fill(limit: Option<u32>);
    backward_fill(limit: Option<u32>);
    fill_null_with_strategy(strategy: FillNullStrategy);
    interpolate(interpolation: Interpolation);
    replace(old: impl IntoValues, new: impl IntoValues);
    replace_strict(old: impl IntoValues, new: impl IntoValues);
    cut(breaks: impl IntoValues, labels: Option<&[&str]>, left_closed: bool, include_breaks: bool);
    qcut(quantiles: &[f64], labels: Option<&[&str]>, left_closed: bool, include_breaks: bool);
    shift(n: i64);
    diff(n: i64);
    pct_change(n: i64);
    cum_sum(reverse: bool);
    cum_prod(reverse: bool);
    cum_min(reverse: bool);
    cum_max(reverse: bool);
    cum_count(reverse: bool);
    rank(ties: RankTies, descending: bool);
    reverse();
    is_unique();
    is_duplicated();
    is_first_distinct();
    rolling_sum(options: RollingOptions);
    rolling_mean(options: RollingOptions);
    rolling_min(options: RollingOptions);
    rolling_max(options: RollingOptions);
    rolling_median(options: RollingOptions);
    rolling_var(options: RollingOptions, ddof: u8);
    rolling_std(options: RollingOptions, ddof: u8);
    rolling_quantile(options: RollingOptions, q: f64, interpolation: Interpolation);
    rolling_sum_by(by: &str, window: impl Into<RollingByOptions>);
    rolling_mean_by(by: &str, window: impl Into<RollingByOptions>);
    rolling_min_by(by: &str, window: impl Into<RollingByOptions>);
    rolling_max_by(by: &str, window: impl Into<RollingByOptions>);
    rolling_median_by(by: &str, window: impl Into<RollingByOptions>);
    rolling_var_by(by: &str, window: impl Into<RollingByOptions>, ddof: u8);
    rolling_std_by(by: &str, window: impl Into<RollingByOptions>, ddof: u8);
    rolling_quantile_by(by: &str, window: impl Into<RollingByOptions>, q: f64, interpolation: Interpolation);
    over(keys: impl IntoExprs);
    sum();
    product();
    mean();
    min();
    max();
    count();
    null_count();
    median();
    n_unique();
    first();
    last();
    any();
    all();
    arg_min();
    arg_max();
    min_by of(by)();
    max_by of(by)();
    var(ddof: u8);
    std(ddof: u8);
    quantile(q: f64, interpolation: Interpolation);
    skew(bias: bool);
    kurtosis(fisher: bool, bias: bool);
    approx_n_unique();
    approx_quantile(q: f64);
    map(function: impl Fn(&Column) -> PolarsResult<Column> + Send + Sync + 'static, dtype: DataType);
    map_batches(function: impl Fn(&Column) -> PolarsResult<Column> + Send + Sync + 'static, dtype: DataType);
}

/// Methods of frames that need the name of the column.
impl Series {
    /// The values in ascending or descending order, distributed as [`DataFrame::sort_with`] does it.
    #[track_caller]
    pub fn sort(&self, descending: bool, nulls_last: bool) -> Series {
        let name = self.expr.output_name();
        Series::only(self.to_frame().sort_with([name.clone()], descending, nulls_last), name)
    }

    /// The `n` largest values, largest first.
    #[track_caller]
    pub fn top_k(&self, n: u64) -> Series {
        let name = self.expr.output_name();
        Series::only(self.to_frame().top_k(n, [name.clone()]), name)
    }

    /// The `n` smallest values, smallest first.
    #[track_caller]
    pub fn bottom_k(&self, n: u64) -> Series {
        let name = self.expr.output_name();
        Series::only(self.to_frame().bottom_k(n, [name.clone()]), name)
    }

    /// The most frequent values; see [`DataFrame::mode`].
    #[track_caller]
    pub fn mode(&self) -> Series {
        let name = self.expr.output_name();
        Series::only(self.to_frame().mode(&name), name)
    }

    /// The different values and how many rows have them; see [`DataFrame::value_counts`].
    #[track_caller]
    #[must_use]
    pub fn value_counts(&self) -> DataFrame {
        self.to_frame().value_counts(&self.expr.output_name())
    }

    /// Count, mean, quartiles and so on; see [`DataFrame::describe`].
    #[track_caller]
    #[must_use]
    pub fn describe(&self) -> DataFrame {
        self.to_frame().describe()
    }
}

/// Methods of frames that give other rows of the column.
macro_rules! of_frame {
    ($($method:ident ($($arg:ident: $type:ty),*);)*) => {
        /// Methods of [`DataFrame`] that give other rows.
        impl Series { $(
            #[doc = concat!("See [`DataFrame::", stringify!($method), "`].")]
            #[track_caller]
            pub fn $method(&self, $($arg: $type),*) -> Series {
                Series::only(self.to_frame().$method($($arg),*), self.expr.output_name())
            }
        )* }
    };
}

of_frame! {
    head(n: u64);
    tail(n: u64);
    slice(offset: u64, len: u64);
    sample(fraction: f64, seed: u64);
    sample_n(n: u64, seed: u64);
    drop_nulls();
    drop_nans();
    unique();
    repartition(n: usize);
}

/// A name space of expressions, for series.
macro_rules! name_space {
    ($(#[$doc:meta])* $space:ident $of:ident $original:ident { $($method:ident ($($arg:ident: $type:ty),*);)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        #[must_use = "nothing happens until one of the methods is called"]
        pub struct $space(Series);

        impl Series {
            $(#[$doc])*
            pub fn $of(&self) -> $space {
                $space(self.clone())
            }
        }

        impl $space { $(
            #[doc = concat!("See [`", stringify!($original), "::", stringify!($method), "`](crate::frame::", stringify!($original), "::", stringify!($method), ").")]
            #[track_caller]
            pub fn $method(&self, $($arg: $type),*) -> Series {
                let call = Call::new(concat!(stringify!($of), ".", stringify!($method)));
                self.0.with(call, vec![], |values, _| values.$of().$method($($arg),*))
            }
        )* }
    };
}

name_space! {
    /// Functions of texts.
    StringSeries str StringNameSpace {
        len_bytes();
        len_chars();
        to_lowercase();
        to_uppercase();
        to_titlecase();
        escape_regex();
        contains(pattern: impl Literal);
        contains_literal(part: impl Literal);
        contains_any(parts: impl IntoIterator<Item = impl AsRef<str>>);
        starts_with(prefix: impl Literal);
        ends_with(suffix: impl Literal);
        find(pattern: impl Literal);
        find_literal(part: impl Literal);
        count_matches(pattern: impl Literal, literal: bool);
        extract(pattern: impl Literal, group: u32);
        extract_all(pattern: impl Literal);
        replace(pattern: impl Literal, value: impl Literal, literal: bool);
        replace_all(pattern: impl Literal, value: impl Literal, literal: bool);
        strip_chars(characters: impl Literal);
        strip_chars_start(characters: impl Literal);
        strip_chars_end(characters: impl Literal);
        strip_prefix(prefix: impl Literal);
        strip_suffix(suffix: impl Literal);
        slice(offset: i64, length: Option<u64>);
        head(n: i64);
        tail(n: i64);
        split(by: impl Literal);
        split_inclusive(by: impl Literal);
        split_exact(by: &str, n: u32);
        splitn(by: &str, n: u32);
        extract_groups(pattern: &str);
        join(separator: &str);
        pad_start(length: u64, fill: char);
        pad_end(length: u64, fill: char);
        zfill(length: u64);
        to_integer(base: u32, strict: bool);
        to_date(format: &str);
        to_datetime(format: &str);
        to_time(format: &str);
        strptime(dtype: DataType, format: &str, strict: bool);
    }
}

name_space! {
    /// Functions of dates, times and durations.
    DateLikeSeries dt DateLikeNameSpace {
        year();
        iso_year();
        quarter();
        month();
        week();
        weekday();
        day();
        ordinal_day();
        days_in_month();
        is_leap_year();
        hour();
        minute();
        second();
        millisecond();
        microsecond();
        nanosecond();
        date();
        time();
        total_days();
        total_hours();
        total_minutes();
        total_seconds();
        total_milliseconds();
        total_microseconds();
        total_nanoseconds();
        month_start();
        month_end();
        to_string(format: &str);
        strftime(format: &str);
        timestamp(unit: TimeUnit);
        epoch_seconds();
        cast_time_unit(unit: TimeUnit);
        convert_time_zone(zone: &str);
        replace_time_zone(zone: Option<&str>);
        truncate(every: impl Literal);
        round(every: impl Literal);
        offset_by(by: impl Literal);
    }
}

name_space! {
    /// Functions of lists.
    ListSeries list ListNameSpace {
        len();
        sum();
        mean();
        median();
        min();
        max();
        get(index: i64);
        first();
        last();
        slice(offset: i64, length: Option<u64>);
        head(n: u64);
        sort(descending: bool);
        join(separator: &str);
        contains(value: impl Literal);
    }
}

name_space! {
    /// Functions of structs.
    StructSeries struct_ StructNameSpace {
        field(name: &str);
        rename_fields(names: impl IntoValues);
    }
}
