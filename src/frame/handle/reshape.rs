//! Methods that turn values into rows, and rows into columns.

use polars_core::prelude::Series;

use super::DataFrame;
use crate::error::{Call, Result};
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

    /// The fields of the structs in the columns `names` as columns in their places.
    ///
    /// # Errors
    /// Carried: an unknown column, one that has no structs, or a field with the name of another column.
    ///
    /// # Example
    /// ```
    /// use dask_rs::frame::{DataFrame, as_struct, col, polars_core::df};
    /// let frame = DataFrame::from_polars(&df!["x" => [1, 2], "y" => [3, 4], "z" => [5, 6]]?, 2);
    /// let nested = frame.select([as_struct(["x", "y"]).alias("point"), col("z")]);
    /// assert_eq!(nested.unnest("point").columns()?, ["x", "y", "z"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn unnest(&self, names: impl IntoNames) -> Self {
        DataFrame::of(reshape::unnest(Call::new("unnest"), &self.handle, &names.into_names()))
    }

    /// A column of ones and zeros for each value that the columns `names` may have, in their places: `kind_a` for the value `a`
    /// of the column `kind`. Where there is no value, all of them are zero.
    ///
    /// The values have to be known when it is planned, so the columns are booleans or an `Enum`, as which
    /// [`as_known`](Self::as_known) makes of texts and categories.
    ///
    /// # Errors
    /// Carried: an unknown column, or one whose values the plan does not know.
    ///
    /// # Example
    /// ```
    /// use dask_rs::frame::{DataFrame, polars_core::df};
    /// let frame = DataFrame::from_polars(&df!["kind" => [Some("b"), Some("a"), None], "x" => [1, 2, 3]]?, 2);
    /// let out = frame.as_known("kind")?.to_dummies("kind").compute()?;
    /// assert!(out.equals(&df!["kind_a" => [0_u8, 1, 0], "kind_b" => [1_u8, 0, 0], "x" => [1, 2, 3]]?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "get_dummies")]
    #[track_caller]
    #[must_use]
    pub fn to_dummies(&self, names: impl IntoNames) -> Self {
        let names = names.into_names();
        DataFrame::of(reshape::to_dummies(Call::new("to_dummies"), &self.handle, &names))
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
    /// The values are given, because they are columns of a plan that has not run; [`unique_values`](Self::unique_values)
    /// computes them.
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

    /// The different values of a column that are not null, sorted: computed now, for what has to know them when it is
    /// planned, as the columns of a [`pivot`](Self::pivot).
    ///
    /// # Errors
    /// As [`compute`](Self::compute), and for an unknown column.
    ///
    /// # Example
    /// ```
    /// use dask_rs::frame::{DataFrame, col, polars_core::df};
    /// let long = df!["day" => [1, 1, 2], "kind" => ["a", "b", "a"], "n" => [10, 20, 30]]?;
    /// let long = DataFrame::from_polars(&long, 2);
    /// let wide = long.pivot("kind", long.unique_values("kind")?, "day", col("n").sum());
    /// assert_eq!(wide.columns()?, ["day", "a", "b"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn unique_values(&self, column: &str) -> Result<Series> {
        let call = Call::new("unique_values");
        let values = reshape::unique_values(call, &self.handle, &column.into());
        let values = DataFrame::of(values).compute()?;
        Ok(values.columns()[0].as_materialized_series().clone())
    }

    /// The frame with a column of texts or categories as an `Enum` of the categories that there are, sorted, which all
    /// partitions and all plans then know. They are computed now; the rows are not.
    ///
    /// Without it, categories that differ between partitions or frames are unified where these meet.
    ///
    /// # Cost
    /// One pass over the column, of which only the different values are kept.
    ///
    /// # Errors
    /// As [`unique_values`](Self::unique_values), and [`Error::DTypeMismatch`](crate::Error::DTypeMismatch) for a column of
    /// something else.
    ///
    /// # Example
    /// ```
    /// use dask_rs::frame::{DataFrame, polars_core::df};
    /// let frame = DataFrame::from_polars(&df!["kind" => ["b", "a", "b"]]?, 3).as_known("kind")?;
    /// assert!(frame.schema()?.get("kind").unwrap().is_enum());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "categorize")]
    #[track_caller]
    pub fn as_known(&self, column: &str) -> Result<Self> {
        let call = Call::new("as_known");
        let values = reshape::category_names(call, &self.handle, &column.into());
        let values = DataFrame::of(values).compute()?;
        let known = reshape::with_categories(call, &self.handle, &values.columns()[0]);
        known.node()?;
        Ok(DataFrame::of(known))
    }
}
