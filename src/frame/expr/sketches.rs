//! Approximate aggregates, whose states take a bounded number of bytes.

use std::sync::LazyLock;

use polars_core::prelude::{DataType, IDX_DTYPE, Scalar};

use super::aggregation::States;
use super::{Aggregate, Aggregation, Expr};
use crate::frame::kernels::sketches;

static DISTINCT: LazyLock<Aggregation> = LazyLock::new(|| {
    let states =
        States::new(DataType::Binary, sketches::distinct_state, sketches::merged_distinct_states)
            .of_bytes(sketches::DISTINCT_BYTES_MAX);
    let count = sketches::distinct_counts;
    let none = Scalar::from(0_u32);
    Aggregation::of_states("approx_n_unique", states, IDX_DTYPE, count).of_nothing(none)
});

static DIGEST: LazyLock<States> = LazyLock::new(|| {
    let dtype = DataType::List(Box::new(DataType::Float64));
    States::new(dtype, sketches::digest_state, sketches::merged_digest_states)
        .of_bytes(sketches::DIGEST_BYTES_MAX)
});

impl Expr {
    /// About how many different values there are, null counted as one: exactly up to 8191, beyond with a standard error of
    /// 0.4 %.
    ///
    /// # Cost
    /// 8 bytes a value of each group and partition, 64 kB at most; no rows move, as they do for
    /// [`n_unique`](Self::n_unique).
    ///
    /// # Source
    /// HyperLogLog, Flajolet et al. 2007, as Dask's `nunique_approx`.
    ///
    /// # Example
    /// ```
    /// use dask_rs::frame::{DataFrame, col, polars_core::df};
    /// let frame = DataFrame::from_polars(&df!["k" => [1, 1, 2], "x" => ["a", "b", "a"]]?, 2);
    /// let n = frame.group_by(["k"]).agg([col("x").approx_n_unique()]).compute()?;
    /// assert!(n.equals(&df!["k" => [1, 2], "x" => [2_u32, 1]]?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "nunique_approx")]
    pub fn approx_n_unique(&self) -> Expr {
        self.aggregate(Aggregate::Custom(Box::new(DISTINCT.clone())))
    }

    /// About the number below which a share `q` of the values lies, as a float: its rank is within 1 % of the values of the
    /// wanted one, and nearer at both ends. Nulls and NaN are left out.
    ///
    /// # Cost
    /// Each group keeps 16 bytes a value, 6.4 kB at most; no rows move, as they do for [`quantile`](Self::quantile).
    ///
    /// # Source
    /// Dunning and Ertl's t-digest, 2019.
    ///
    /// # Example
    /// ```
    /// use dask_rs::frame::{DataFrame, col, polars_core::df};
    /// let frame = DataFrame::from_polars(&df!["x" => (0..10_001).collect::<Vec<i32>>()]?, 4);
    /// let p95 = frame.agg([col("x").approx_quantile(0.95)]).compute()?;
    /// let p95 = p95.column("x")?.f64()?.get(0).unwrap();
    /// assert!((p95 - 9500.0).abs() < 100.0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "tdigest")]
    pub fn approx_quantile(&self, q: f64) -> Expr {
        let finish = move |states: &_| sketches::digest_quantiles(states, q);
        let quantile =
            Aggregation::of_states("approx_quantile", DIGEST.clone(), DataType::Float64, finish);
        self.aggregate(Aggregate::Custom(Box::new(quantile.of_numbers())))
    }
}
