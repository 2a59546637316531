//! Methods that turn values into rows, and rows into columns.

use super::DataFrame;
use crate::error::Call;
use crate::frame::args::IntoNames;
use crate::frame::expr::{Expr, IntoValues};
use crate::frame::ops::reshape;

impl DataFrame {
    /// A row for each element of the lists in the columns `names`; an empty list, or none, is one null.
    ///
    /// # Errors
    /// Carried: an unknown column, or one that has no lists. At compute: lists of other lengths in one row.
    #[track_caller]
    #[must_use]
    pub fn explode(&self, names: impl IntoNames) -> Self {
        let call = Call::new("explode");
        DataFrame::of(reshape::explode(call, &self.handle, names.into_names()))
    }

    /// The columns `on` as rows: the columns `index`, then `variable`, the name of the column, and `value`.
    ///
    /// As in Polars, the order of the rows is not defined; here it is by partition, and there by column.
    ///
    /// # Errors
    /// Carried: an unknown column, or dtypes of `on` that have none in common.
    ///
    /// # Example
    /// ```
    /// use dask_rs::frame::{DataFrame, polars_core::df};
    /// let wide = df!["k" => ["a", "b"], "x" => [1, 2], "y" => [3, 4]]?;
    /// let long = DataFrame::from_polars(&wide, 2).unpivot(["x", "y"], ["k"]).compute()?;
    /// assert_eq!(long.shape(), (4, 3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "melt")]
    #[track_caller]
    #[must_use]
    pub fn unpivot(&self, on: impl IntoNames, index: impl IntoNames) -> Self {
        let (on, index) = (on.into_names(), index.into_names());
        DataFrame::of(reshape::unpivot(Call::new("unpivot"), &self.handle, on, index))
    }

    /// A row for each group of equal values in the columns `index`, and a column for each of the `values` of column
    /// `on`: `agg` of the rows with this value, null if there are none.
    ///
    /// The values are given, because they are columns of a plan that has not run.
    ///
    /// # Errors
    /// Carried: an unknown column, or an expression that is no aggregate.
    ///
    /// # Example
    /// ```
    /// use dask_rs::frame::{DataFrame, col, polars_core::df};
    /// let long = df!["day" => [1, 1, 2], "kind" => ["a", "b", "a"], "n" => [10, 20, 30]]?;
    /// let wide = DataFrame::from_polars(&long, 2).pivot("kind", ["a", "b"], "day", col("n").sum());
    /// let expected = df!["day" => [1, 2], "a" => [Some(10), Some(30)], "b" => [Some(20), None]]?;
    /// assert!(wide.sort("day", false).compute()?.equals_missing(&expected));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn pivot(
        &self,
        on: &str,
        values: impl IntoValues,
        index: impl IntoNames,
        agg: impl Into<Expr>,
    ) -> Self {
        let (call, on) = (Call::new("pivot"), on.into());
        let (values, index, agg) = (values.into_values(), index.into_names(), agg.into());
        DataFrame::of(reshape::pivot(call, &self.handle, &on, &values, &index, &agg))
    }
}
