//! Skewness and kurtosis, whose states are five numbers.

use std::sync::LazyLock;

use polars_core::prelude::{Column, DataType, PolarsResult};

use super::aggregation::States;
use super::{Aggregate, Aggregation, Expr};
use crate::frame::kernels::shapes;

static MOMENTS: LazyLock<States> = LazyLock::new(|| {
    let dtype = DataType::List(Box::new(DataType::Float64));
    States::new(dtype, shapes::state, shapes::merged).of_bytes(shapes::BYTES)
});

impl Expr {
    /// How much longer the tail above the mean is than the one below: 0 for a symmetric distribution. `bias` is the value
    /// for these numbers alone; without it, the estimate for what they are a sample of, null of fewer than 3. Nulls are left
    /// out.
    ///
    /// # Cost
    /// Partial states merge like those of a variance; no rows move.
    ///
    /// ```
    /// use dask_rs::frame::{DataFrame, col, polars_core::df};
    /// let frame = DataFrame::from_polars(&df!["x" => [1, 2, 3, 4, 5, 23]]?, 3);
    /// let out = frame.agg([col("x").skew(false), col("x").kurtosis(true, true).alias("k")]).compute()?;
    /// assert!((out.column("x")?.f64()?.get(0).unwrap() - 2.29053).abs() < 1e-5);
    /// assert!((out.column("k")?.f64()?.get(0).unwrap() - 0.99456).abs() < 1e-5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn skew(&self, bias: bool) -> Expr {
        self.of_moments("skew", move |states| shapes::skews(states, bias))
    }

    /// How heavy the tails are: 3 for a normal distribution, or 0 if `fisher`. For `bias` see [`skew`](Self::skew); without
    /// it, null of fewer than 4 numbers.
    pub fn kurtosis(&self, fisher: bool, bias: bool) -> Expr {
        self.of_moments("kurtosis", move |states| shapes::kurtoses(states, fisher, bias))
    }

    fn of_moments(
        &self,
        name: &'static str,
        finish: impl Fn(&Column) -> PolarsResult<Column> + Send + Sync + 'static,
    ) -> Expr {
        let moments = Aggregation::of_states(name, MOMENTS.clone(), DataType::Float64, finish);
        self.aggregate(Aggregate::Custom(Box::new(moments.of_numbers())))
    }
}
