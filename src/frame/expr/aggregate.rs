//! From many rows to one value: the methods, and how a whole column is aggregated.

use polars_core::chunked_array::cast::CastOptions;
use polars_core::error::polars_bail;
use polars_core::prelude::{
    Column, DataType, IDX_DTYPE, IdxSize, IntoColumn, PolarsResult, QuantileMethod, Scalar,
    SortOptions,
};
use polars_ops::series::ArgAgg;

use super::{Aggregate, Expr, ExprKind};

/// How [`Expr::quantile`] chooses between two neighbouring values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Interpolation {
    /// The nearer of both.
    #[default]
    Nearest,
    /// Between both, by distance.
    Linear,
}

/// The number of rows, or of rows of each group.
///
/// ```
/// use dask_rs::frame::len;
/// assert_eq!(len().alias("n").to_string(), r#"len().alias("n")"#);
/// ```
pub fn len() -> Expr {
    Expr::new(ExprKind::Len)
}

macro_rules! aggregates {
    ($($(#[$doc:meta])* $method:ident $aggregate:ident)*) => {
        /// Aggregates: one value for all rows, or in `agg` for each group. Nulls are skipped.
        ///
        /// ```
        /// use dask_rs::frame::{Interpolation, col, len};
        /// let stats = [
        ///     col("fare").sum(),
        ///     col("fare").std(1).alias("spread"),
        ///     col("fare").quantile(0.95, Interpolation::Linear).alias("p95"),
        ///     len().alias("n"),
        /// ];
        /// let share = col("fare") / col("fare").sum();
        /// ```
        impl Expr { $(
            $(#[$doc])*
            pub fn $method(&self) -> Expr {
                self.aggregate(Aggregate::$aggregate)
            }
        )* }
    };
}

aggregates! {
    /// The sum, 0 if there are no values. Of integers below 32 bits it is an `i64`, of booleans a count.
    sum Sum
    /// The product, 1 if there are no values.
    product Product
    /// The mean.
    mean Mean
    /// The smallest value; NaN only if there is no other.
    min Min
    /// The largest value; NaN only if there is no other.
    max Max
    /// How many values are not null.
    count Count
    /// How many values are null.
    null_count NullCount
    /// The median.
    median Median
    /// How many different values there are; null counts as one.
    n_unique NUnique
    /// The value of the first row, also if it is null.
    first First
    /// The value of the last row, also if it is null.
    last Last
    /// Whether one of the values is true.
    any Any
    /// Whether no value is false.
    all All
    /// The number of the row with the smallest value.
    arg_min ArgMin
    /// The number of the row with the largest value.
    arg_max ArgMax
    /// All values as one list.
    implode Implode
}

impl Expr {
    /// The variance, divided by the number of values less `ddof`.
    pub fn var(&self, ddof: u8) -> Expr {
        self.aggregate(Aggregate::Var { ddof })
    }

    /// The standard deviation, see [`var`](Self::var).
    pub fn std(&self, ddof: u8) -> Expr {
        self.aggregate(Aggregate::Std { ddof })
    }

    /// The value below which a share `q` of the values lies; `q` is between 0 and 1.
    pub fn quantile(&self, q: f64, interpolation: Interpolation) -> Expr {
        self.aggregate(Aggregate::Quantile { q, nearest: interpolation == Interpolation::Nearest })
    }

    /// The value in the row in which `by` is smallest; of equal ones the first. Null where `by` has no value.
    ///
    /// ```
    /// use dask_rs::frame::{DataFrame, col, polars_core::df};
    /// let frame = DataFrame::from_polars(&df!["day" => ["mo", "tu", "we"], "fare" => [3.0, 1.0, 2.0]]?, 2);
    /// let cheapest = frame.agg([col("day").min_by(col("fare"))]).compute()?;
    /// assert!(cheapest.equals(&df!["day" => ["tu"]]?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "idxmin")]
    pub fn min_by(&self, by: impl Into<Expr>) -> Expr {
        self.aggregate(Aggregate::MinBy(by.into()))
    }

    /// The value in the row in which `by` is largest; see [`min_by`](Self::min_by).
    #[doc(alias = "idxmax")]
    pub fn max_by(&self, by: impl Into<Expr>) -> Expr {
        self.aggregate(Aggregate::MaxBy(by.into()))
    }

    /// The expression computed for each group of rows with equal keys, and given to each row of the group.
    ///
    /// ```
    /// use dask_rs::frame::col;
    /// let share = col("fare") / col("fare").sum().over(["vendor"]);
    /// ```
    pub fn over(&self, keys: impl super::IntoExprs) -> Expr {
        let (input, keys) = (self.clone(), keys.into_exprs());
        Expr::new(ExprKind::Over { input, keys, order: vec![] })
    }

    /// As [`over`](Self::over), where the rows of a group come in the order of `order_by` instead of that of the frame: for
    /// running sums, first and last values, shifts and ranks. Rows that are equal there keep their order; nulls come first.
    ///
    /// The rows of the result stay where they are.
    ///
    /// ```
    /// use dask_rs::frame::{DataFrame, col, polars_core::df};
    /// let rows = df!["k" => ["a", "b", "a"], "day" => [2, 1, 1], "x" => [10, 20, 30]]?;
    /// let running = col("x").cum_sum(false).over_ordered(["k"], ["day"], false);
    /// let out = DataFrame::from_polars(&rows, 2).select([running]).compute()?;
    /// assert!(out.equals(&df!["x" => [40, 20, 30]]?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn over_ordered(
        &self,
        keys: impl super::IntoExprs,
        order_by: impl super::IntoExprs,
        descending: bool,
    ) -> Expr {
        let order = order_by.into_exprs().into_iter();
        let order = order.map(|by| super::OrderBy { by, descending, nulls_last: false }).collect();
        let (input, keys) = (self.clone(), keys.into_exprs());
        Expr::new(ExprKind::Over { input, keys, order })
    }
}

/// `aggregate` of all rows of `column`, as a column of length 1.
pub(crate) fn aggregate_column(aggregate: &Aggregate, inputs: &[Column]) -> PolarsResult<Column> {
    let column = &inputs[0];
    let scalar = |scalar: Scalar| Ok(scalar.into_column(column.name().clone()));
    let index = |n: usize| scalar(Scalar::from(n as IdxSize));
    let row = |n: Option<usize>| match n {
        Some(n) => index(n),
        None => scalar(Scalar::null(IDX_DTYPE)),
    };
    let at = |row: Option<usize>| match row {
        // A value that is the same for all rows comes once.
        Some(_) if column.len() == 1 => Ok(column.clone()),
        Some(row) => Ok(column.new_from_index(row, 1)),
        None => scalar(Scalar::null(column.dtype().clone())),
    };
    check_dtype(aggregate, column.dtype())?;
    match aggregate {
        Aggregate::Sum => scalar(column.sum_reduce()?),
        Aggregate::Product => product(column),
        Aggregate::Mean => scalar(column.mean_reduce()?),
        Aggregate::Min => scalar(column.min_reduce()?),
        Aggregate::Max => scalar(column.max_reduce()?),
        Aggregate::Count => index(column.len() - column.null_count()),
        Aggregate::NullCount => index(column.null_count()),
        Aggregate::Var { ddof } => scalar(column.var_reduce(*ddof)?),
        Aggregate::Std { ddof } => scalar(column.std_reduce(*ddof)?),
        Aggregate::Median => scalar(in_one_piece(column).median_reduce()?),
        Aggregate::Quantile { q, nearest } => {
            if column.dtype().is_temporal() && column.null_count() == column.len() {
                // Polars panics on dates; one value shows the dtype.
                let one = Column::new_scalar(column.name().clone(), zero(column.dtype())?, 1);
                let dtype = aggregate_column(aggregate, &[one])?.dtype().clone();
                return scalar(Scalar::null(dtype));
            }
            let method = if *nearest { QuantileMethod::Nearest } else { QuantileMethod::Linear };
            scalar(in_one_piece(column).quantile_reduce(*q, method)?)
        }
        Aggregate::NUnique => index(n_unique(column)?),
        Aggregate::First if column.is_empty() => scalar(Scalar::null(column.dtype().clone())),
        Aggregate::Last if column.is_empty() => scalar(Scalar::null(column.dtype().clone())),
        Aggregate::First => Ok(column.new_from_index(0, 1)),
        Aggregate::Last => Ok(column.new_from_index(column.len() - 1, 1)),
        Aggregate::Any => scalar(Scalar::from(column.bool()?.any())),
        Aggregate::All => scalar(Scalar::from(column.bool()?.all())),
        Aggregate::ArgMin => row(column.as_materialized_series().arg_min()),
        Aggregate::ArgMax => row(column.as_materialized_series().arg_max()),
        Aggregate::Implode => Ok(column.implode()?.into_column()),
        Aggregate::MinBy(_) => at(inputs[1].as_materialized_series().arg_min()),
        Aggregate::MaxBy(_) => at(inputs[1].as_materialized_series().arg_max()),
        Aggregate::LastBy(_) => {
            let is_known = inputs[1].is_not_null();
            at((0..is_known.len()).rev().find(|&row| is_known.get(row) == Some(true)))
        }
        Aggregate::CoSpread(_) => scalar(Scalar::from(co_spread(column, &inputs[1])?)),
        Aggregate::Custom(aggregation) => aggregation.of_all(column),
    }
}

/// The sum of the products of the distances from the means, over the rows in which both have a value.
fn co_spread(x: &Column, y: &Column) -> PolarsResult<f64> {
    let n = x.len().max(y.len());
    let floats = |column: &Column| -> PolarsResult<Vec<Option<f64>>> {
        Ok(super::broadcast(column, n).cast(&DataType::Float64)?.f64()?.iter().collect())
    };
    let pairs = floats(x)?.into_iter().zip(floats(y)?);
    let pairs: Vec<(f64, f64)> = pairs.filter_map(|(x, y)| Some((x?, y?))).collect();
    let mean = |of: fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>() / pairs.len() as f64;
    let (x_mean, y_mean) = (mean(|pair| pair.0), mean(|pair| pair.1));
    Ok(pairs.iter().map(|(x, y)| (x - x_mean) * (y - y_mean)).sum())
}

/// The values without nulls, in one piece of memory. Of others polars finds quantiles by a sort on threads of its own.
fn in_one_piece(column: &Column) -> Column {
    match column.null_count() {
        n if n == 0 || n == column.len() => column.rechunk(),
        _ => column.drop_nulls().rechunk(),
    }
}

/// How many different values there are. Polars would sort numbers for that, on threads of its own.
fn n_unique(column: &Column) -> PolarsResult<usize> {
    let dtype = column.dtype();
    if dtype.is_primitive_numeric() || dtype.is_temporal() {
        return column.sort_with(SortOptions::default().with_multithreaded(false))?.n_unique();
    }
    column.n_unique()
}

/// A value of a dtype that has quantiles.
fn zero(dtype: &DataType) -> PolarsResult<Scalar> {
    Scalar::from(0_i32).cast_with_options(dtype, CastOptions::NonStrict)
}

/// The last of the running products, 1 if there is none.
fn product(column: &Column) -> PolarsResult<Column> {
    let running =
        polars_ops::prelude::cum_prod(column.as_materialized_series(), false)?.drop_nulls();
    if running.is_empty() {
        let one = Scalar::from(1_i32).into_column(column.name().clone());
        return one.cast(running.dtype());
    }
    Ok(running.tail(Some(1)).into_column())
}

/// Where polars would panic, or give null for a mistake, it is refused.
pub(crate) fn check_dtype(aggregate: &Aggregate, dtype: &DataType) -> PolarsResult<()> {
    let is_number = dtype.is_primitive_numeric() || dtype.is_decimal() || dtype.is_bool();
    let is_fine = match aggregate {
        Aggregate::Sum => is_number || dtype.is_duration() || dtype.is_null(),
        Aggregate::Product => is_number && !dtype.is_decimal(),
        Aggregate::Mean | Aggregate::Median | Aggregate::Quantile { .. } => {
            is_number || dtype.is_temporal() || dtype.is_null()
        }
        Aggregate::Var { .. } | Aggregate::Std { .. } => {
            is_number || dtype.is_duration() || dtype.is_null()
        }
        Aggregate::CoSpread(_) => is_number || dtype.is_null(),
        Aggregate::Any | Aggregate::All => dtype.is_bool(),
        Aggregate::Min | Aggregate::Max | Aggregate::ArgMin | Aggregate::ArgMax => {
            !dtype.is_nested() && !dtype.is_object()
        }
        _ => true,
    };
    if is_fine {
        return Ok(());
    }
    polars_bail!(InvalidOperation: "{aggregate} of {dtype} is not possible")
}
