//! Methods that summarize columns.

use super::DataFrame;
use crate::error::{Call, Result};
use crate::frame::expr::{Interpolation, col};
use crate::frame::ops::{rows, stats};

/// Summaries of columns, each a small frame.
///
/// ```
/// use dask_rs::frame::{DataFrame, polars_core::df};
/// let frame = DataFrame::from_polars(&df!["k" => ["a", "b", "a"], "x" => [1.0, 2.0, 3.0], "y" => [2.0, 4.0, 6.0]]?, 2);
/// assert!(frame.value_counts("k").compute()?.equals(&df!["k" => ["a", "b"], "count" => [2_u32, 1]]?));
/// assert!(frame.corr("x", "y").compute()?.equals(&df!["corr" => [1.0]]?));
/// assert_eq!(frame.describe().compute()?.shape(), (9, 4));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl DataFrame {
    /// Of each column: count, null_count, mean, std, min, quartiles and max, as numbers where they can be, otherwise as
    /// text; their names are in the column `statistic`.
    ///
    /// # Cost
    /// Quartiles are exact: each column is gathered in one task.
    #[track_caller]
    #[must_use]
    pub fn describe(&self) -> Self {
        DataFrame::of(stats::describe(Call::new("describe"), &self.handle))
    }

    /// The values of a column, and in the column `count` how many rows have them; the most frequent first.
    ///
    /// # Errors
    /// Carried: an unknown column.
    #[track_caller]
    #[must_use]
    pub fn value_counts(&self, column: &str) -> Self {
        let call = Call::new("value_counts");
        DataFrame::of(stats::value_counts(call, &self.handle, &column.into()))
    }

    /// The most frequent values of a column, in the order in which they first come.
    ///
    /// # Errors
    /// Carried: an unknown column.
    #[track_caller]
    #[must_use]
    pub fn mode(&self, column: &str) -> Self {
        DataFrame::of(stats::mode(Call::new("mode"), &self.handle, &column.into()))
    }

    /// The value of a column below which a share `q` of its values lies; see [`Expr::quantile`](crate::frame::Expr::quantile).
    ///
    /// # Cost
    /// It is exact: the column is gathered in one task.
    #[track_caller]
    #[must_use]
    pub fn quantile(&self, column: &str, q: f64, interpolation: Interpolation) -> Self {
        let quantile = col(column).quantile(q, interpolation);
        DataFrame::of(rows::select(Call::new("quantile"), &self.handle, vec![quantile]))
    }

    /// Pearson's correlation of two columns, over the rows in which both have a value.
    #[track_caller]
    #[must_use]
    pub fn corr(&self, x: &str, y: &str) -> Self {
        let (x, y) = (x.into(), y.into());
        DataFrame::of(stats::corr(Call::new("corr"), &self.handle, [&x, &y]))
    }

    /// The covariance of two columns, over the rows in which both have a value, divided by their number less `ddof`.
    #[track_caller]
    #[must_use]
    pub fn cov(&self, x: &str, y: &str, ddof: u8) -> Self {
        let (x, y) = (x.into(), y.into());
        DataFrame::of(stats::cov(Call::new("cov"), &self.handle, [&x, &y], ddof))
    }

    /// About how many different values a column has, null counted as one; see
    /// [`Expr::approx_n_unique`](crate::frame::Expr::approx_n_unique).
    ///
    /// # Errors
    /// Carried: an unknown column.
    #[doc(alias = "nunique_approx")]
    #[track_caller]
    #[must_use]
    pub fn n_unique_approx(&self, column: &str) -> Self {
        let n = col(column).approx_n_unique();
        DataFrame::of(rows::select(Call::new("n_unique_approx"), &self.handle, vec![n]))
    }

    /// The number of different rows.
    ///
    /// # Errors
    /// As [`compute`](Self::compute).
    #[track_caller]
    pub fn n_unique(&self) -> Result<u64> {
        self.unique().len()
    }
}
