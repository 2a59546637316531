//! Methods that look at neighbouring rows.

use polars_core::prelude::{DataFrame as PolarsFrame, PlSmallStr, PolarsResult, SchemaRef};

use super::DataFrame;
use crate::error::Call;
use crate::frame::args::IntoNames;
use crate::frame::expr::Literal;
use crate::frame::kernels::asof::{AsofSpec, AsofStrategy};
use crate::frame::ops::windows;

impl DataFrame {
    /// What `function` makes of each partition together with the `before` rows before it and the `after` rows after it,
    /// or as many as there are; these may be rows of several partitions.
    ///
    /// The function returns a row of `schema` for each row that it got; those of the rows around are cut off.
    ///
    /// # Errors
    /// At compute: [`Error::SchemaMismatch`](crate::Error::SchemaMismatch) if it returns other columns, or other rows.
    ///
    /// # Example
    /// ```
    /// use dask_rs::frame::{DataFrame, polars_core::df};
    /// let rows = df!["x" => [1.0, 2.0, 4.0, 8.0]]?;
    /// let frame = DataFrame::from_polars(&rows, 4);
    /// let steps = frame.map_overlap(1, 0, rows.schema().clone(), |rows, _| {
    ///     let x = rows.column("x")?;
    ///     Ok((x - &x.shift(1))?.into_frame())
    /// });
    /// let expected = df!["x" => [None, Some(1.0), Some(2.0), Some(4.0)]]?;
    /// assert!(steps.compute()?.equals_missing(&expected));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn map_overlap(
        &self,
        before: u64,
        after: u64,
        schema: SchemaRef,
        function: impl Fn(PolarsFrame, usize) -> PolarsResult<PolarsFrame> + Send + Sync + 'static,
    ) -> Self {
        let (call, reach) = (Call::new("map_overlap"), [before, after]);
        let function = Box::new(function);
        DataFrame::of(windows::map_overlap(call, &self.handle, reach, schema, function))
    }

    /// Each row with the nearest row of `other` by the column `on`, by which both frames are sorted.
    ///
    /// # Cost
    /// Where the divisions of both frames by `on` are known (see [`divisions`](Self::divisions)), each partition is joined
    /// with those of its keys, and with the nearest row of the others, one for each group of
    /// [`by`](AsofOptions::by). Otherwise all of `other` is kept in memory, once for all tasks.
    ///
    /// # Errors
    /// Carried: an unknown column, or keys of different dtypes.
    ///
    /// # Example
    /// ```
    /// use dask_rs::frame::{AsofOptions, DataFrame, polars_core::df};
    /// let trades = DataFrame::from_polars(&df!["t" => [1, 5, 9], "n" => [10, 20, 30]]?, 2);
    /// let quotes = DataFrame::from_polars(&df!["t" => [0, 4, 8], "price" => [1.0, 2.0, 3.0]]?, 2);
    /// let both = trades.join_asof(&quotes, "t", AsofOptions::default()).compute()?;
    /// let expected = df!["t" => [1, 5, 9], "n" => [10, 20, 30], "price" => [1.0, 2.0, 3.0]]?;
    /// assert!(both.equals(&expected));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "merge_asof")]
    #[track_caller]
    #[must_use]
    pub fn join_asof(&self, other: &DataFrame, on: &str, options: AsofOptions) -> Self {
        let call = Call::new("join_asof");
        let mut spec = AsofSpec::new(on.into(), on.into(), options.strategy);
        spec.left_by = options.by.clone();
        spec.right_by = options.right_by.unwrap_or(options.by);
        if let Some(right_on) = options.right_on {
            spec.right_on = right_on;
        }
        if let Some(suffix) = options.suffix {
            spec.suffix = suffix;
        }
        spec.allow_exact_matches = options.allow_exact_matches;
        spec.tolerance = options.tolerance;
        DataFrame::of(windows::join_asof(call, &self.handle, &other.handle, spec))
    }
}

/// Which row [`DataFrame::join_asof`] takes.
#[derive(Clone, Debug)]
#[must_use]
pub struct AsofOptions {
    strategy: AsofStrategy,
    by: Vec<PlSmallStr>,
    right_by: Option<Vec<PlSmallStr>>,
    right_on: Option<PlSmallStr>,
    suffix: Option<PlSmallStr>,
    tolerance: Option<polars_core::prelude::Scalar>,
    allow_exact_matches: bool,
}

impl Default for AsofOptions {
    /// The last row before, or at the same key.
    fn default() -> Self {
        let strategy = AsofStrategy::Backward;
        AsofOptions {
            strategy,
            by: vec![],
            right_by: None,
            right_on: None,
            suffix: None,
            tolerance: None,
            allow_exact_matches: true,
        }
    }
}

impl AsofOptions {
    /// The first row after, the last before, or the nearest of both.
    pub fn strategy(self, strategy: AsofStrategy) -> Self {
        AsofOptions { strategy, ..self }
    }

    /// Only rows that are equal in these columns.
    pub fn by(self, by: impl IntoNames) -> Self {
        AsofOptions { by: by.into_names(), ..self }
    }

    /// What the columns of [`by`](Self::by) are called in the other frame, if it is something else.
    pub fn right_by(self, by: impl IntoNames) -> Self {
        AsofOptions { right_by: Some(by.into_names()), ..self }
    }

    /// What the key is called in the other frame, if it is something else; it then stays a column.
    pub fn right_on(self, on: impl Into<PlSmallStr>) -> Self {
        AsofOptions { right_on: Some(on.into()), ..self }
    }

    /// What is added to names of columns of the other frame that this one has too, instead of `_right`.
    pub fn suffix(self, suffix: impl Into<PlSmallStr>) -> Self {
        AsofOptions { suffix: Some(suffix.into()), ..self }
    }

    /// Only rows whose keys differ by no more than this: a number, or a duration.
    pub fn tolerance(self, tolerance: impl Literal) -> Self {
        let value = crate::frame::expr::literal_value(&tolerance.lit());
        AsofOptions { tolerance: value, ..self }
    }

    /// Whether a row with an equal key is near enough.
    pub fn allow_exact_matches(self, allow: bool) -> Self {
        AsofOptions { allow_exact_matches: allow, ..self }
    }
}
