//! Methods that fill, drop, number and pick rows.

use polars_core::prelude::{DataType, PlSmallStr};

use super::DataFrame;
use crate::error::Call;
use crate::frame::args::IntoNames;
use crate::frame::expr::{Expr, IntoExprs, col};
use crate::frame::op::Handle;
use crate::frame::ops::groups::{self, UniqueKeep};
use crate::frame::ops::{clean, rows};

/// Missing values, dtypes, and rows by number.
///
/// ```
/// use dask_rs::frame::{DataFrame, polars_core::df};
/// let frame = DataFrame::from_polars(&df!["x" => [Some(1), None, Some(3)], "s" => ["a", "b", "c"]]?, 2);
/// assert_eq!(frame.drop_nulls().len()?, 2);
/// let numbered = frame.fill_null(0).with_row_index("row", 10).tail(1).compute()?;
/// assert!(numbered.equals(&df!["row" => [12_u64], "x" => [3], "s" => ["c"]]?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl DataFrame {
    /// The rows without nulls.
    #[track_caller]
    #[must_use]
    pub fn drop_nulls(&self) -> Self {
        let call = Call::new("drop_nulls");
        DataFrame::of(clean::drop_rows(call, &self.handle, None, |c, _| Some(c.is_not_null())))
    }

    /// The rows without nulls in the columns `subset`.
    ///
    /// # Errors
    /// Carried: an unknown column.
    #[track_caller]
    #[must_use]
    pub fn drop_nulls_in(&self, subset: impl IntoNames) -> Self {
        let (call, subset) = (Call::new("drop_nulls_in"), Some(subset.into_names()));
        DataFrame::of(clean::drop_rows(call, &self.handle, subset, |c, _| Some(c.is_not_null())))
    }

    /// The rows without NaN. Nulls stay.
    #[track_caller]
    #[must_use]
    pub fn drop_nans(&self) -> Self {
        let call = Call::new("drop_nans");
        DataFrame::of(clean::drop_rows(call, &self.handle, None, |c, dtype| {
            dtype.is_float().then(|| c.is_not_nan().or(c.is_null()))
        }))
    }

    /// `value` instead of nulls, in the columns of its kind: numbers, texts, and so on.
    #[track_caller]
    #[must_use]
    pub fn fill_null(&self, value: impl Into<Expr>) -> Self {
        DataFrame::of(clean::fill_null(Call::new("fill_null"), &self.handle, &value.into()))
    }

    /// `value` instead of NaN, in columns of floats.
    #[track_caller]
    #[must_use]
    pub fn fill_nan(&self, value: impl Into<Expr>) -> Self {
        let value = value.into();
        DataFrame::of(clean::map_columns(Call::new("fill_nan"), &self.handle, |column, dtype| {
            dtype.is_float().then(|| column.fill_nan(value.clone()))
        }))
    }

    /// Columns as other dtypes: pairs of the column and its dtype. A value that it can't hold is an error.
    ///
    /// # Errors
    /// Carried: an unknown column, or a dtype that there is no way to.
    #[track_caller]
    #[must_use]
    pub fn cast<N: Into<PlSmallStr>>(
        &self,
        dtypes: impl IntoIterator<Item = (N, DataType)>,
    ) -> Self {
        let dtypes: Vec<_> = dtypes.into_iter().map(|(name, dtype)| (name.into(), dtype)).collect();
        DataFrame::of(clean::cast(Call::new("cast"), &self.handle, &dtypes))
    }

    /// The number of each row, from `offset`, as a column `name` before the others.
    ///
    /// It is a `u64`, because a frame may have more rows than one of Polars.
    ///
    /// # Errors
    /// Carried: there is a column `name` already.
    #[track_caller]
    #[must_use]
    pub fn with_row_index(&self, name: &str, offset: u64) -> Self {
        let call = Call::new("with_row_index");
        DataFrame::of(clean::with_row_index(call, &self.handle, name.into(), offset))
    }

    /// About a `fraction` of the rows, without replacement and in their order.
    ///
    /// Whether a row is chosen depends on `seed` and its number alone, not on partitions.
    ///
    /// # Errors
    /// Carried: a `fraction` that is not between 0 and 1.
    #[track_caller]
    #[must_use]
    pub fn sample(&self, fraction: f64, seed: u64) -> Self {
        DataFrame::of(clean::sample(Call::new("sample"), &self.handle, fraction, seed))
    }

    /// `n` rows, or all if there are fewer, without replacement and in their order.
    ///
    /// Which ones depends on `seed` and their numbers alone, not on partitions.
    ///
    /// # Cost
    /// Of each partition no more than `n` rows are kept until the last task.
    ///
    /// # Example
    /// ```
    /// use dask_rs::frame::{DataFrame, polars_core::df};
    /// let rows = df!["x" => (0..100).collect::<Vec<i64>>()]?;
    /// let five = DataFrame::from_polars(&rows, 7).sample_n(5, 42).compute()?;
    /// assert_eq!(five.height(), 5);
    /// assert!(five.equals(&DataFrame::from_polars(&rows, 2).sample_n(5, 42).compute()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn sample_n(&self, n: u64, seed: u64) -> Self {
        DataFrame::of(clean::sample_n(Call::new("sample_n"), &self.handle, n, seed))
    }

    /// The first of the rows that are equal in all columns.
    #[track_caller]
    #[must_use]
    pub fn unique(&self) -> Self {
        DataFrame::of(groups::unique(Call::new("unique"), &self.handle, None, UniqueKeep::First))
    }

    /// The first of the rows that are equal in the columns `subset`.
    ///
    /// # Errors
    /// Carried: an unknown column.
    #[track_caller]
    #[must_use]
    pub fn unique_by(&self, subset: impl IntoExprs) -> Self {
        let subset = Some(subset.into_exprs());
        DataFrame::of(groups::unique(
            Call::new("unique_by"),
            &self.handle,
            subset,
            UniqueKeep::First,
        ))
    }

    /// As [`unique_by`](Self::unique_by), with the row to keep of those that are equal in the columns `subset`.
    ///
    /// # Errors
    /// Carried: an unknown column.
    ///
    /// # Example
    /// ```
    /// use dask_rs::frame::{DataFrame, UniqueKeep, polars_core::df};
    /// let rows = df!["id" => [1, 2, 1], "price" => [10, 20, 30]]?;
    /// let frame = DataFrame::from_polars(&rows, 2);
    /// let newest = frame.unique_keep(["id"], UniqueKeep::Last).sort("id", false).compute()?;
    /// assert!(newest.equals(&df!["id" => [1, 2], "price" => [30, 20]]?));
    /// let single = frame.unique_keep(["id"], UniqueKeep::None).compute()?;
    /// assert!(single.equals(&df!["id" => [2], "price" => [20]]?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "drop_duplicates")]
    #[track_caller]
    #[must_use]
    pub fn unique_keep(&self, subset: impl IntoExprs, keep: UniqueKeep) -> Self {
        let subset = Some(subset.into_exprs());
        DataFrame::of(groups::unique(Call::new("unique_keep"), &self.handle, subset, keep))
    }

    /// The rows moved `n` rows down, or up if `n` is negative; where there are none, nulls.
    #[track_caller]
    #[must_use]
    pub fn shift(&self, n: i64) -> Self {
        DataFrame::of(clean::map_columns(Call::new("shift"), &self.handle, |column, _| {
            Some(column.shift(n))
        }))
    }

    /// The last `n` rows, as one partition.
    ///
    /// # Cost
    /// Reads the last partitions only, if the rows of partitions are known (files read without a filter).
    #[track_caller]
    #[must_use]
    pub fn tail(&self, n: u64) -> Self {
        DataFrame::of(clean::tail(&self.handle, n))
    }

    /// How many values of each column are null, in one row.
    #[track_caller]
    #[must_use]
    pub fn null_count(&self) -> Self {
        let call = Call::new("null_count");
        DataFrame::of(self.handle.then(|node| {
            let names = node.meta.schema.iter_names();
            let counts = names.map(|name| col(name.clone()).null_count()).collect();
            rows::select(call, &self.handle, counts).node().cloned()
        }))
    }

    /// The rows of frames one after another, with the columns of all of them; null where a frame lacks one.
    ///
    /// # Errors
    /// Carried: [`Error::SchemaMismatch`](crate::Error::SchemaMismatch) if a column has several dtypes.
    ///
    /// # Example
    /// ```
    /// use dask_rs::frame::{DataFrame, polars_core::df};
    /// let a = DataFrame::from_polars(&df!["x" => [1]]?, 1);
    /// let b = DataFrame::from_polars(&df!["y" => ["b"]]?, 1);
    /// let both = DataFrame::concat_diagonal([&a, &b]).compute()?;
    /// assert!(both.equals_missing(&df!["x" => [Some(1), None], "y" => [None, Some("b")]]?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn concat_diagonal<'a>(frames: impl IntoIterator<Item = &'a DataFrame>) -> Self {
        let handles: Vec<&Handle> = frames.into_iter().map(|frame| &frame.handle).collect();
        DataFrame::of(clean::concat_diagonal(Call::new("concat_diagonal"), &handles))
    }

    /// The columns of all frames side by side: row `i` of each of them in row `i`.
    ///
    /// # Cost
    /// Rows stay in the partitions of the first frame. Those of another frame go there, unless it is known that its partitions
    /// have as many rows; where that is not known, rows are counted first.
    ///
    /// # Errors
    /// Carried: [`Error::DuplicateColumn`](crate::Error::DuplicateColumn) if two frames have a column of one name. At
    /// compute: frames of other numbers of rows.
    ///
    /// # Example
    /// ```
    /// use dask_rs::frame::{DataFrame, polars_core::df};
    /// let a = DataFrame::from_polars(&df!["x" => [1, 2, 3]]?, 2);
    /// let b = DataFrame::from_polars(&df!["y" => ["a", "b", "c"]]?, 3);
    /// let both = DataFrame::concat_horizontal([&a, &b]).compute()?;
    /// assert!(both.equals(&df!["x" => [1, 2, 3], "y" => ["a", "b", "c"]]?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "hstack")]
    #[track_caller]
    #[must_use]
    pub fn concat_horizontal<'a>(frames: impl IntoIterator<Item = &'a DataFrame>) -> Self {
        let handles: Vec<&Handle> = frames.into_iter().map(|frame| &frame.handle).collect();
        DataFrame::of(rows::concat_horizontal(Call::new("concat_horizontal"), &handles))
    }
}
