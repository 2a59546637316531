//! Aggregates of a window that moves with the rows.

use polars_compute::rolling::RollingQuantileParams;
use polars_core::error::polars_ensure;
use polars_core::prelude::{
    Column, DataType, IntoColumn, PolarsResult, QuantileMethod, RollingFnParams,
    RollingOptionsFixedWindow, RollingVarParams, Series,
};
use polars_time::prelude::SeriesOpsTime;

use super::window::{boolean, offset};
use crate::frame::expr::function::functions;
use crate::frame::expr::{Expr, Function, Interpolation, lit};

functions! {
    ROLLING_SUM = "rolling_sum", across_rows() => |c| rolling(c, None, |s, o| s.rolling_sum(o));
    ROLLING_MEAN = "rolling_mean", across_rows() => |c| rolling(c, None, |s, o| s.rolling_mean(o));
    ROLLING_MIN = "rolling_min", across_rows() => |c| extreme(c, |s, o| s.rolling_min(o));
    ROLLING_MAX = "rolling_max", across_rows() => |c| extreme(c, |s, o| s.rolling_max(o));
    ROLLING_VAR = "rolling_var", across_rows() => |c| rolling(c, ddof(&c[4])?, |s, o| s.rolling_var(o));
    ROLLING_STD = "rolling_std", across_rows() => |c| rolling(c, ddof(&c[4])?, |s, o| s.rolling_std(o));
    ROLLING_QUANTILE = "rolling_quantile", across_rows() => |c| {
        rolling(c, quantile(&c[4], &c[5])?, |s, o| s.rolling_quantile(o))
    };
}

fn rolling(
    inputs: &[Column],
    fn_params: Option<RollingFnParams>,
    function: impl Fn(&Series, RollingOptionsFixedWindow) -> PolarsResult<Series>,
) -> PolarsResult<Column> {
    let dtype = inputs[0].dtype();
    polars_ensure!(
        dtype.is_primitive_numeric() || dtype.is_bool() || dtype.is_decimal(),
        InvalidOperation: "rolling windows of {dtype} are not possible"
    );
    let rows = |column: &Column| -> PolarsResult<usize> {
        Ok(usize::try_from(offset(column)?).unwrap_or(0))
    };
    let options = RollingOptionsFixedWindow {
        window_size: rows(&inputs[1])?,
        min_periods: rows(&inputs[2])?,
        weights: None,
        center: boolean(&inputs[3])?,
        fn_params,
    };
    polars_ensure!(options.window_size > 0, InvalidOperation: "a rolling window needs at least one row");
    Ok(function(inputs[0].as_materialized_series(), options)?.into_column())
}

/// Polars has windows of integers of 32 and 64 bits only.
fn extreme(
    inputs: &[Column],
    function: impl Fn(&Series, RollingOptionsFixedWindow) -> PolarsResult<Series>,
) -> PolarsResult<Column> {
    let dtype = inputs[0].dtype();
    match dtype {
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::UInt8
        | DataType::UInt16 => {
            let mut inputs = inputs.to_vec();
            inputs[0] = inputs[0].cast(&DataType::Int32)?;
            rolling(&inputs, None, function)?.cast(dtype)
        }
        _ => rolling(inputs, None, function),
    }
}

pub(super) fn ddof(ddof: &Column) -> PolarsResult<Option<RollingFnParams>> {
    let ddof = u8::try_from(offset(ddof)?).unwrap_or(1);
    Ok(Some(RollingFnParams::Var(RollingVarParams { ddof })))
}

pub(super) fn quantile(q: &Column, nearest: &Column) -> PolarsResult<Option<RollingFnParams>> {
    let prob = q.f64()?.get(0).unwrap_or(f64::NAN);
    polars_ensure!((0.0..=1.0).contains(&prob), InvalidOperation: "a quantile is between 0 and 1, got {prob}");
    let method = if boolean(nearest)? { QuantileMethod::Nearest } else { QuantileMethod::Linear };
    Ok(Some(RollingFnParams::Quantile(RollingQuantileParams { prob, method })))
}

/// Which rows belong to the window of a row.
///
/// ```
/// use dask_rs::frame::{RollingOptions, col};
/// let smooth = col("load").rolling_mean(RollingOptions::new(24));
/// let so_far = col("load").rolling_max(RollingOptions { min_samples: Some(1), ..RollingOptions::new(24) });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RollingOptions {
    /// How many rows; the last one is the row itself.
    pub window_size: usize,
    /// How many of them must not be null, all if this is `None`; the result is null where there are fewer.
    pub min_samples: Option<usize>,
    /// Whether the row itself is in the middle instead.
    pub center: bool,
}

impl RollingOptions {
    /// A window of this many rows that ends with the row itself, without nulls.
    pub fn new(window_size: usize) -> Self {
        RollingOptions { window_size, min_samples: None, center: false }
    }
}

macro_rules! methods {
    ($($(#[$doc:meta])* $method:ident $function:ident)*) => {
        /// Rolling windows by rows, see [`RollingOptions`].
        impl Expr { $(
            $(#[$doc])*
            pub fn $method(&self, options: RollingOptions) -> Expr {
                self.rolling(&$function, options, [])
            }
        )* }
    };
}

methods! {
    /// The sum of each window.
    rolling_sum ROLLING_SUM
    /// The mean of each window.
    rolling_mean ROLLING_MEAN
    /// The smallest value of each window.
    rolling_min ROLLING_MIN
    /// The largest value of each window.
    rolling_max ROLLING_MAX
}

impl Expr {
    /// The variance of each window, see [`var`](Self::var).
    pub fn rolling_var(&self, options: RollingOptions, ddof: u8) -> Expr {
        self.rolling(&ROLLING_VAR, options, [lit(ddof)])
    }

    /// The standard deviation of each window, see [`var`](Self::var).
    pub fn rolling_std(&self, options: RollingOptions, ddof: u8) -> Expr {
        self.rolling(&ROLLING_STD, options, [lit(ddof)])
    }

    /// The quantile of each window, see [`quantile`](Self::quantile).
    pub fn rolling_quantile(
        &self,
        options: RollingOptions,
        q: f64,
        interpolation: Interpolation,
    ) -> Expr {
        let nearest = interpolation == Interpolation::Nearest;
        self.rolling(&ROLLING_QUANTILE, options, [lit(q), lit(nearest)])
    }

    /// The median of each window.
    pub fn rolling_median(&self, options: RollingOptions) -> Expr {
        self.rolling_quantile(options, 0.5, Interpolation::Linear)
    }

    fn rolling<const N: usize>(
        &self,
        function: &'static Function,
        options: RollingOptions,
        parameters: [Expr; N],
    ) -> Expr {
        let window = [
            self.clone(),
            lit(options.window_size),
            lit(options.min_samples.unwrap_or(options.window_size)),
            lit(options.center),
        ];
        Expr::call(function, window.into_iter().chain(parameters).collect())
    }
}
