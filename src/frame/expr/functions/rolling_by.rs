//! Aggregates of a window that moves with time.

use polars_core::error::polars_ensure;
use polars_core::prelude::{
    Column, DataType as D, IntoColumn, PolarsResult, RollingFnParams, RollingVarParams, Series,
    SortOptions,
};
use polars_ops::prelude::SeriesMethods;
use polars_time::prelude::{ClosedWindow, Duration, RollingOptionsDynamicWindow, SeriesOpsTime};

use super::window::offset;
use super::{broadcast, height};
use crate::frame::expr::function::functions;
use crate::frame::expr::{ClosedInterval, Expr, Function, col, lit};

functions! {
    ROLLING_SUM_BY = "rolling_sum_by", across_rows() => |c| rolling(c, None, |s, b, o| s.rolling_sum_by(b, o));
    ROLLING_MEAN_BY = "rolling_mean_by", across_rows() => |c| rolling(c, None, |s, b, o| s.rolling_mean_by(b, o));
    ROLLING_MIN_BY = "rolling_min_by", across_rows() => |c| extreme(c, |s, b, o| s.rolling_min_by(b, o));
    ROLLING_MAX_BY = "rolling_max_by", across_rows() => |c| extreme(c, |s, b, o| s.rolling_max_by(b, o));
    ROLLING_STD_BY = "rolling_std_by", across_rows() => |c| rolling(c, ddof(c)?, |s, b, o| s.rolling_std_by(b, o));
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

fn ddof(inputs: &[Column]) -> PolarsResult<Option<RollingFnParams>> {
    let ddof = u8::try_from(offset(&inputs[5])?).unwrap_or(1);
    Ok(Some(RollingFnParams::Var(RollingVarParams { ddof })))
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

macro_rules! methods {
    ($($(#[$doc:meta])* $method:ident $function:ident)*) => {
        /// Rolling windows by time: the rows of the time `window_size` that ends with the row itself, such as `1d12h`, or
        /// `10i` for a column `by` of integers.
        ///
        /// The frame is sorted by `by`; that it is not is an error at compute. The window begins behind its first
        /// moment; see [`rolling_sum_by_closed`](Self::rolling_sum_by_closed).
        ///
        /// ```
        /// use dask_rs::frame::col;
        /// let today = col("load").rolling_mean_by("time", "1d");
        /// ```
        impl Expr { $(
            $(#[$doc])*
            pub fn $method(&self, by: &str, window_size: &str) -> Expr {
                self.rolling_by(&$function, by, window_size, ClosedInterval::Right, None)
            }
        )* }
    };
}

methods! {
    /// The sum of each window.
    rolling_sum_by ROLLING_SUM_BY
    /// The mean of each window.
    rolling_mean_by ROLLING_MEAN_BY
    /// The smallest value of each window.
    rolling_min_by ROLLING_MIN_BY
    /// The largest value of each window.
    rolling_max_by ROLLING_MAX_BY
}

impl Expr {
    /// The standard deviation of each window by time, see [`std`](Self::std).
    pub fn rolling_std_by(&self, by: &str, window_size: &str, ddof: u8) -> Expr {
        self.rolling_by(&ROLLING_STD_BY, by, window_size, ClosedInterval::Right, Some(ddof))
    }

    /// [`rolling_sum_by`](Self::rolling_sum_by) that says which ends belong to the window.
    pub fn rolling_sum_by_closed(
        &self,
        by: &str,
        window_size: &str,
        closed: ClosedInterval,
    ) -> Expr {
        self.rolling_by(&ROLLING_SUM_BY, by, window_size, closed, None)
    }

    fn rolling_by(
        &self,
        function: &'static Function,
        by: &str,
        window_size: &str,
        closed: ClosedInterval,
        ddof: Option<u8>,
    ) -> Expr {
        let closed = format!("{closed:?}").to_lowercase();
        let by = col(by);
        let inputs = [self.clone(), by, lit(window_size), lit(1), lit(closed)];
        Expr::call(function, inputs.into_iter().chain(ddof.map(lit)).collect())
    }
}
