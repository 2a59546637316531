//! Groups of rows.

use polars_core::prelude::{DataFrame as PolarsFrame, PolarsResult, SchemaRef};

use super::DataFrame;
use crate::error::Call;
use crate::frame::expr::{Expr, IntoExprs};
use crate::frame::kernels::sort::Limit;
use crate::frame::op::Handle;
use crate::frame::ops::groups;

/// Groups of rows with equal keys, made by [`DataFrame::group_by`].
#[derive(Clone, Debug)]
#[must_use = "agg() makes a frame of groups"]
pub struct GroupBy {
    pub(super) handle: Handle,
    pub(super) keys: Vec<Expr>,
    pub(super) is_in_order: bool,
}

impl GroupBy {
    /// One row for each group: its keys, then the aggregates.
    ///
    /// The order of the groups is the same in each run of the same plan over the same partitions. Where partial results are merged
    /// by a tree, it is that in which they first appear; where they are spread, it follows from a hash of the keys and from
    /// how large the rows are thought to be. [`maintain_order`](Self::maintain_order) gives one that depends on the rows alone.
    ///
    /// Each partition is aggregated by itself; the partial results are merged by a tree where they are small, and
    /// spread by a hash of the keys where they are not. Medians and the like move the rows instead.
    ///
    /// # Errors
    /// Carried: [`Error::InvalidArgument`](crate::Error::InvalidArgument) for an expression that is no aggregate, and as for
    /// [`DataFrame::select`].
    ///
    /// # Source
    /// Dask's `ApplyConcatApply`; means and variances are merged by the formulas of Chan, Golub and LeVeque (1979).
    #[track_caller]
    pub fn agg(self, aggs: impl IntoExprs) -> DataFrame {
        self.aggregate(Call::new("agg"), aggs.into_exprs())
    }

    #[track_caller]
    pub(super) fn aggregate(self, call: Call, aggs: Vec<Expr>) -> DataFrame {
        DataFrame::of(match self.is_in_order {
            true => groups::aggregate_in_order(call, &self.handle, &self.keys, aggs),
            false => groups::aggregate(call, &self.handle, &self.keys, aggs),
        })
    }

    /// Aggregates come in the order in which their groups first appear, whatever the partitions, the memory limit and the plan
    /// are.
    ///
    /// # Cost
    /// Rows are numbered, and the groups sorted by the number of their first row.
    ///
    /// # Example
    /// ```
    /// use dask_rs::frame::{DataFrame, col, polars_core::df};
    /// let rows = df!["k" => ["b", "a", "b"], "x" => [1, 5, 3]]?;
    /// let sums = DataFrame::from_polars(&rows, 3).group_by(["k"]).maintain_order().agg([col("x").sum()]);
    /// assert!(sums.compute()?.equals(&df!["k" => ["b", "a"], "x" => [4, 5]]?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn maintain_order(self) -> Self {
        GroupBy { is_in_order: true, ..self }
    }

    /// The first `n` rows of each group, all columns of them, in their order; the groups are in no order.
    ///
    /// # Cost
    /// No more than `n` rows of each group leave their partition.
    ///
    /// # Errors
    /// Carried: a key that is no column, or an unknown one.
    ///
    /// # Example
    /// ```
    /// use dask_rs::frame::{DataFrame, polars_core::df};
    /// let rows = df!["k" => [1, 2, 1, 1], "x" => [1, 5, 3, 2]]?;
    /// let two = DataFrame::from_polars(&rows, 3).group_by(["k"]).head(2).sort(["k", "x"], false);
    /// assert!(two.compute()?.equals(&df!["k" => [1, 1, 2], "x" => [1, 3, 5]]?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn head(self, n: u64) -> DataFrame {
        DataFrame::of(groups::ends(Call::new("head"), &self.handle, &self.keys, Limit::First(n)))
    }

    /// The last `n` rows of each group, see [`head`](Self::head).
    #[track_caller]
    pub fn tail(self, n: u64) -> DataFrame {
        DataFrame::of(groups::ends(Call::new("tail"), &self.handle, &self.keys, Limit::Last(n)))
    }

    /// What `function` makes of the rows of each group: frames of `schema`, one group after another.
    ///
    /// For functions that keep the rows where they are see [`Expr::map_batches`](crate::frame::Expr::map_batches) with `over`.
    ///
    /// # Cost
    /// All rows of a group come into one task: rows move by a hash of the keys, which have to be columns, unless their
    /// groups are together already. Each group is one call.
    ///
    /// # Errors
    /// Carried: an unknown column, or a key that is none. At compute: what the function returns, and
    /// [`Error::SchemaMismatch`](crate::Error::SchemaMismatch) for other columns.
    ///
    /// # Example
    /// ```
    /// use dask_rs::frame::{DataFrame, polars_core::df};
    /// let rows = df!["k" => [1, 2, 1, 1], "x" => [1, 5, 3, 2]]?;
    /// let frame = DataFrame::from_polars(&rows, 3);
    /// let two = frame.group_by(["k"]).apply(rows.schema().clone(), |group| Ok(group.head(Some(2))));
    /// assert!(two.compute()?.equals(&df!["k" => [1, 1, 2], "x" => [1, 3, 5]]?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn apply(
        self,
        schema: SchemaRef,
        function: impl Fn(PolarsFrame) -> PolarsResult<PolarsFrame> + Send + Sync + 'static,
    ) -> DataFrame {
        let call = Call::new("apply");
        DataFrame::of(groups::apply(call, &self.handle, &self.keys, schema, function))
    }
}
