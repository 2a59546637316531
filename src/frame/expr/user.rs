//! Functions of the user.

use std::fmt;
use std::sync::Arc;

use polars_core::error::polars_bail;
use polars_core::prelude::{Column, DataType, PlSmallStr, PolarsResult};

use super::{Expr, ExprKind, IntoExprs};

type Closure = dyn Fn(&[Column]) -> PolarsResult<Column> + Send + Sync;

/// A closure with the dtype that it gives.
#[derive(Clone)]
pub(crate) struct UserFunction {
    closure: Arc<Closure>,
    dtype: DataType,
    /// Whether each row of the result depends on the same row of the inputs only.
    pub(crate) is_rowwise: bool,
}

impl UserFunction {
    pub(crate) fn name(&self) -> &'static str {
        if self.is_rowwise { "map" } else { "map_batches" }
    }

    /// Columns without rows are not shown to the closure: the dtype is known.
    pub(crate) fn apply(&self, inputs: &[Column]) -> PolarsResult<Column> {
        let height = inputs.iter().map(Column::len).find(|&len| len != 1).unwrap_or(1);
        if height == 0 {
            return Ok(Column::new_empty(PlSmallStr::EMPTY, &self.dtype));
        }
        let out = (self.closure)(inputs)?;
        if out.dtype() != &self.dtype {
            polars_bail!(SchemaMismatch: "the function returned {}, it was declared to return {}", out.dtype(), self.dtype);
        }
        if out.len() != height && out.len() != 1 {
            polars_bail!(ShapeMismatch: "the function returned {} values for {height} rows", out.len());
        }
        Ok(out)
    }
}

impl PartialEq for UserFunction {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.closure, &other.closure)
    }
}

impl fmt::Debug for UserFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.name(), self.dtype)
    }
}

impl Expr {
    /// A function of the user, which gets the rows of one partition and returns as many values, or one for all of
    /// them, of the dtype declared.
    ///
    /// Each value must depend on the same row only: how rows are cut into partitions is not the function's business.
    /// It is not called on no rows.
    ///
    /// # Example
    /// ```
    /// use dask_rs::frame::col;
    /// use dask_rs::frame::polars_core::prelude::DataType;
    /// let fahrenheit = col("celsius").map(|celsius| Ok(celsius * 1.8 + 32.0), DataType::Float64);
    /// ```
    pub fn map(
        &self,
        function: impl Fn(&Column) -> PolarsResult<Column> + Send + Sync + 'static,
        dtype: DataType,
    ) -> Expr {
        map_many([self.clone()], move |inputs| function(&inputs[0]), dtype)
    }

    /// A function of the user of all values of the column, or with [`over`](Self::over) of each group, which returns as
    /// many values, or one for all of them, of the dtype declared. It is not called on no rows.
    ///
    /// # Cost
    /// All rows that it sees come into one task: without `over` the whole column.
    ///
    /// # Example
    /// ```
    /// use dask_rs::frame::polars_core::{df, prelude::DataType};
    /// use dask_rs::frame::{DataFrame, col};
    /// let frame = DataFrame::from_polars(&df!["k" => [1, 2, 1], "x" => [1.0, 5.0, 3.0]]?, 2);
    /// let sorted = col("x").map_batches(|x| x.sort_with(Default::default()), DataType::Float64);
    /// let sorted = frame.select([col("k"), sorted.over(["k"])]).compute()?;
    /// assert!(sorted.equals(&df!["k" => [1, 2, 1], "x" => [1.0, 5.0, 3.0]]?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "transform")]
    pub fn map_batches(
        &self,
        function: impl Fn(&Column) -> PolarsResult<Column> + Send + Sync + 'static,
        dtype: DataType,
    ) -> Expr {
        let closure = Arc::new(move |inputs: &[Column]| function(&inputs[0]));
        let function = UserFunction { closure, dtype, is_rowwise: false };
        Expr::new(ExprKind::Map { function, inputs: vec![self.clone()] })
    }
}

/// A function of the user of several columns, see [`Expr::map`]. Columns that are the same on all rows come with length 1.
pub fn map_many(
    inputs: impl IntoExprs,
    function: impl Fn(&[Column]) -> PolarsResult<Column> + Send + Sync + 'static,
    dtype: DataType,
) -> Expr {
    let function = UserFunction { closure: Arc::new(function), dtype, is_rowwise: true };
    Expr::new(ExprKind::Map { function, inputs: inputs.into_exprs() })
}
