//! Aggregates of a window that moves with time.

use polars_core::error::polars_ensure;
use polars_core::prelude::{
    Column, DataType as D, IntoColumn, PolarsResult, RollingFnParams, Series, SortOptions,
};
use polars_ops::prelude::SeriesMethods;
use polars_time::prelude::{ClosedWindow, Duration, RollingOptionsDynamicWindow, SeriesOpsTime};

use super::rolling::{ddof, quantile};
use super::window::offset;
use super::{broadcast, height};
use crate::frame::expr::function::functions;
use crate::frame::expr::{ClosedInterval, Expr, Function, Interpolation, col, lit};

functions! {
    ROLLING_SUM_BY = "rolling_sum_by", across_rows() => |c| rolling(c, None, |s, b, o| s.rolling_sum_by(b, o));
    ROLLING_MEAN_BY = "rolling_mean_by", across_rows() => |c| rolling(c, None, |s, b, o| s.rolling_mean_by(b, o));
    ROLLING_MIN_BY = "rolling_min_by", across_rows() => |c| extreme(c, |s, b, o| s.rolling_min_by(b, o));
    ROLLING_MAX_BY = "rolling_max_by", across_rows() => |c| extreme(c, |s, b, o| s.rolling_max_by(b, o));
    ROLLING_VAR_BY = "rolling_var_by", across_rows() => |c| rolling(c, ddof(&c[5])?, |s, b, o| s.rolling_var_by(b, o));
    ROLLING_STD_BY = "rolling_std_by", across_rows() => |c| rolling(c, ddof(&c[5])?, |s, b, o| s.rolling_std_by(b, o));
    ROLLING_QUANTILE_BY = "rolling_quantile_by", across_rows() => |c| {
        rolling(c, quantile(&c[5], &c[6])?, |s, b, o| s.rolling_quantile_by(b, o))
    };
}

/// Inputs are the values, the times, the length of the window, how many values it needs, and which ends belong to it.
fn rolling(
    inputs: &[Column],
    fn_params: Option<RollingFnParams>,
    function: impl Fn(&Series, &Series, RollingOptionsDynamicWindow) -> PolarsResult<Series>,
) -> PolarsResult<Column> {
    // Polars takes the only chunk of some of them, and looks at the times if there are rows.
    let series =
        |i: usize| broadcast(&inputs[i], height(inputs)).as_materialized_series().rechunk();
    let (values, by) = (series(0), series(1));
    let dtype = values.dtype();
    polars_ensure!(
        dtype.is_primitive_numeric() || dtype.is_bool(),
        InvalidOperation: "rolling windows of {dtype} are not possible"
    );
    let moments = by.dtype().clone();
    let is_number = matches!(moments, D::Int32 | D::Int64 | D::UInt32 | D::UInt64);
    polars_ensure!(
        is_number || moments.is_date() || moments.is_datetime(),
        InvalidOperation: "rolling windows by {moments} are not possible"
    );
    // Polars would take numbers that do not fit for nulls, and panic.
    let by = if is_number { by.strict_cast(&D::Int64)? } else { by };
    polars_ensure!(
        by.drop_nulls().is_sorted(SortOptions::default())?,
        InvalidOperation: "rows are not in the order of {}; sort them first", by.name()
    );
    let window = inputs[2].str()?.get(0).unwrap_or_default();
    let closed_window = match inputs[4].str()?.get(0) {
        Some("left") => ClosedWindow::Left,
        Some("both") => ClosedWindow::Both,
        Some("none") => ClosedWindow::None,
        _ => ClosedWindow::Right,
    };
    let window_size = Duration::try_parse(window)?;
    polars_ensure!(
        window.ends_with('i') == is_number,
        InvalidOperation: "a window of {window:?} by {moments} is not possible"
    );
    let options = RollingOptionsDynamicWindow {
        window_size,
        min_periods: usize::try_from(offset(&inputs[3])?).unwrap_or(1),
        closed_window,
        fn_params,
    };
    Ok(function(&values, &by, options)?.into_column())
}

/// Polars has windows of integers of 32 and 64 bits only.
fn extreme(
    inputs: &[Column],
    function: impl Fn(&Series, &Series, RollingOptionsDynamicWindow) -> PolarsResult<Series>,
) -> PolarsResult<Column> {
    let dtype = inputs[0].dtype();
    match dtype {
        D::Boolean | D::Int8 | D::Int16 | D::UInt8 | D::UInt16 => {
            let mut inputs = inputs.to_vec();
            inputs[0] = inputs[0].cast(&D::Int32)?;
            rolling(&inputs, None, function)?.cast(dtype)
        }
        _ => rolling(inputs, None, function),
    }
}

/// How long before a time rows may be that are in its window, in nanoseconds, or in the unit of numbers.
pub(crate) fn window_reach(window: &str) -> Option<i64> {
    let window = Duration::try_parse(window).ok()?;
    Some(window.nte_duration_ns())
}

/// How long a duration is, in nanoseconds; months as of 28 days.
pub(crate) fn span(duration: &str) -> Option<i64> {
    Some(Duration::try_parse(duration).ok()?.duration_ns())
}

/// Which rows belong to the window of a row, by their times: those of the time `window_size` that ends with the row.
///
/// A text is such a window of at least one value, which begins behind its first moment.
///
/// ```
/// use dask_rs::frame::{ClosedInterval, RollingByOptions, col};
/// let today = col("load").rolling_mean_by("time", "1d");
/// let before = RollingByOptions { closed: ClosedInterval::Left, ..RollingByOptions::new("1d") };
/// let of_others = col("load").rolling_mean_by("time", before);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RollingByOptions {
    /// How long it is, such as `1d12h`, or `10i` for a column of integers.
    pub window_size: String,
    /// How many of its values must not be null; the result is null where there are fewer.
    pub min_samples: usize,
    /// Which of its ends belong to it.
    pub closed: ClosedInterval,
}

impl RollingByOptions {
    /// A window of this length with its end and without its beginning, of at least one value.
    pub fn new(window_size: impl Into<String>) -> Self {
        let window_size = window_size.into();
        RollingByOptions { window_size, min_samples: 1, closed: ClosedInterval::Right }
    }
}

impl From<&str> for RollingByOptions {
    fn from(window_size: &str) -> Self {
        RollingByOptions::new(window_size)
    }
}

macro_rules! methods {
    ($($(#[$doc:meta])* $method:ident $function:ident ($($arg:ident: $type:ty),*);)*) => {
        /// Rolling windows by time, see [`RollingByOptions`]. The frame is sorted by `by`; that it is not is an error at
        /// compute.
        impl Expr { $(
            $(#[$doc])*
            pub fn $method(&self, by: &str, window: impl Into<RollingByOptions> $(, $arg: $type)*) -> Expr {
                self.rolling_by(&$function, by, window.into(), [$(lit($arg)),*])
            }
        )* }
    };
}

methods! {
    /// The sum of each window.
    rolling_sum_by ROLLING_SUM_BY ();
    /// The mean of each window.
    rolling_mean_by ROLLING_MEAN_BY ();
    /// The smallest value of each window.
    rolling_min_by ROLLING_MIN_BY ();
    /// The largest value of each window.
    rolling_max_by ROLLING_MAX_BY ();
    /// The variance of each window, see [`var`](Self::var). It is carried from window to window, so that its last bits depend
    /// on the partitions.
    rolling_var_by ROLLING_VAR_BY (ddof: u8);
    /// The standard deviation of each window, see [`std`](Self::std) and [`rolling_var_by`](Self::rolling_var_by).
    rolling_std_by ROLLING_STD_BY (ddof: u8);
}

impl Expr {
    /// The quantile of each window by time, see [`quantile`](Self::quantile) and [`RollingByOptions`].
    pub fn rolling_quantile_by(
        &self,
        by: &str,
        window: impl Into<RollingByOptions>,
        q: f64,
        interpolation: Interpolation,
    ) -> Expr {
        let nearest = interpolation == Interpolation::Nearest;
        self.rolling_by(&ROLLING_QUANTILE_BY, by, window.into(), [lit(q), lit(nearest)])
    }

    /// The median of each window by time, see [`RollingByOptions`].
    pub fn rolling_median_by(&self, by: &str, window: impl Into<RollingByOptions>) -> Expr {
        self.rolling_quantile_by(by, window, 0.5, Interpolation::Linear)
    }

    fn rolling_by<const N: usize>(
        &self,
        function: &'static Function,
        by: &str,
        window: RollingByOptions,
        parameters: [Expr; N],
    ) -> Expr {
        let closed = format!("{:?}", window.closed).to_lowercase();
        let window =
            [self.clone(), col(by), lit(window.window_size), lit(window.min_samples), lit(closed)];
        Expr::call(function, window.into_iter().chain(parameters).collect())
    }
}
