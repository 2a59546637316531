//! Methods that aggregate all columns in one way, of the whole frame and of groups.

use super::{DataFrame, GroupBy};
use crate::error::Call;
use crate::frame::expr::{Aggregate, Expr, len};
use crate::frame::op::Handle;
use crate::frame::ops::reductions;

macro_rules! reductions {
    ($($(#[$doc:meta])* $method:ident $aggregate:expr;)*) => {
        /// Aggregates of each column, one row; [`agg`](Self::agg) has others. Columns for which the aggregate does not exist, such as
        /// the mean of texts, become null.
        ///
        /// ```
        /// use dask_rs::frame::{DataFrame, polars_core::df};
        /// let frame = DataFrame::from_polars(&df!["x" => [1.0, 3.0], "n" => [1_i64, 5]]?, 2);
        /// assert!(frame.mean().compute()?.equals(&df!["x" => [2.0], "n" => [3.0]]?));
        /// assert!(frame.sum().compute()?.equals(&df!["x" => [4.0], "n" => [6_i64]]?));
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        impl DataFrame { $(
            $(#[$doc])*
            #[track_caller]
            #[must_use]
            pub fn $method(&self) -> Self {
                let no_keys: Vec<Expr> = Vec::new();
                self.group_by(no_keys).of_columns(Call::new(stringify!($method)), &$aggregate)
            }
        )* }

        /// Aggregates of each column that is no key, one row for each group; see [`agg`](Self::agg).
        ///
        /// ```
        /// use dask_rs::frame::{DataFrame, polars_core::df};
        /// let frame = DataFrame::from_polars(&df!["k" => [1, 1, 2], "x" => [1.0, 3.0, 5.0]]?, 2);
        /// assert!(frame.group_by(["k"]).mean().compute()?.equals(&df!["k" => [1, 2], "x" => [2.0, 5.0]]?));
        /// assert!(frame.group_by(["k"]).len().compute()?.equals(&df!["k" => [1, 2], "len" => [2_u32, 1]]?));
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        impl GroupBy { $(
            $(#[$doc])*
            #[track_caller]
            pub fn $method(self) -> DataFrame {
                self.of_columns(Call::new(stringify!($method)), &$aggregate)
            }
        )* }
    };
}

reductions! {
    /// The sums.
    sum Aggregate::Sum;
    /// The means.
    mean Aggregate::Mean;
    /// The medians. Rows have to move, as for all exact quantiles.
    median Aggregate::Median;
    /// The smallest values.
    min Aggregate::Min;
    /// The largest values.
    max Aggregate::Max;
    /// The standard deviations, divided by the number of values less 1.
    std Aggregate::Std { ddof: 1 };
    /// The variances, divided by the number of values less 1.
    var Aggregate::Var { ddof: 1 };
    /// How many values are not null.
    count Aggregate::Count;
    /// The first values.
    first Aggregate::First;
    /// The last values.
    last Aggregate::Last;
}

impl GroupBy {
    /// The number of rows of each group, as the column `len`.
    #[track_caller]
    pub fn len(self) -> DataFrame {
        self.aggregate(Call::new("len"), vec![len()])
    }

    /// How many different values each column has; null counts as one.
    #[track_caller]
    pub fn n_unique(self) -> DataFrame {
        self.of_columns(Call::new("n_unique"), &Aggregate::NUnique)
    }

    #[track_caller]
    fn of_columns(self, call: Call, aggregate: &Aggregate) -> DataFrame {
        match reductions::of_columns(call, &self.handle, &self.keys, aggregate) {
            Ok(aggs) => self.aggregate(call, aggs),
            Err(error) => DataFrame::of(Handle::from_result(Err(error))),
        }
    }
}
