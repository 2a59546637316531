//! Aggregates of two columns.

use polars_core::prelude::{DataType, PlSmallStr};

use super::{Aggregate, Expr, null, when};

/// The covariance of two columns of numbers, over the rows in which both have a value: the sum of the products of their
/// distances from the means, divided by the number of these rows less `ddof`. Null for no more rows than `ddof`.
///
/// # Cost
/// Partial states merge like those of a variance; no rows move.
///
/// # Example
/// ```
/// use dask_rs::frame::{DataFrame, corr, cov, polars_core::df};
/// let rows = df!["k" => [1, 1, 1, 2, 2], "x" => [1, 2, 3, 1, 2], "y" => [2.0, 4.0, 6.0, 5.0, 3.0]]?;
/// let frame = DataFrame::from_polars(&rows, 3);
/// let groups = frame.group_by(["k"]).agg([cov("x", "y", 1), corr("x", "y").alias("r")]);
/// assert!(groups.compute()?.equals(&df!["k" => [1, 2], "x" => [2.0, -1.0], "r" => [1.0, -1.0]]?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Source
/// Merged by the formulas of Chan, Golub and LeVeque (1979).
pub fn cov(a: impl Into<Expr>, b: impl Into<Expr>, ddof: u8) -> Expr {
    let (x, y, name) = pairs(&a.into(), &b.into());
    let n = x.count().cast(DataType::Float64);
    let ddof = f64::from(ddof);
    let cov = co_spread(&x, y) / (n.clone() - ddof);
    when(n.gt(ddof)).then(cov).otherwise(null()).alias(name)
}

/// Pearson's correlation of two columns of numbers, over the rows in which both have a value; NaN where one of them is the same
/// in all rows. See [`cov`].
pub fn corr(a: impl Into<Expr>, b: impl Into<Expr>) -> Expr {
    let (x, y, name) = pairs(&a.into(), &b.into());
    let n = x.count().cast(DataType::Float64);
    let spreads = x.std(0) * y.std(0) * n;
    (co_spread(&x, y) / spreads).alias(name)
}

fn co_spread(x: &Expr, y: Expr) -> Expr {
    x.aggregate(Aggregate::CoSpread(y))
}

/// The values where there are both, and the name of the first column.
fn pairs(a: &Expr, b: &Expr) -> (Expr, Expr, PlSmallStr) {
    let name = a.output_name();
    let x = when(b.is_not_null()).then(a).alias(name.clone());
    let y = when(a.is_not_null()).then(b).alias(b.output_name());
    (x, y, name)
}
