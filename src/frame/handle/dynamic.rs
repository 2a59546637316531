//! Groups of rows by windows of time.

use polars_core::prelude::PlSmallStr;

use super::DataFrame;
use crate::error::Call;
use crate::frame::expr::{ClosedInterval, Expr, IntoExprs};
use crate::frame::op::Handle;
use crate::frame::ops::dynamic::{self, WindowLabel, Windows};

impl DataFrame {
    /// Groups of rows by time: those whose column `time`, of dates or times, is within the same `every`, a text such as
    /// `15m` or `1mo`. Methods of the result say more of the windows, and group them further.
    ///
    /// The groups have the start of their time in the column, are sorted by it, and are not empty. Rows need no order.
    ///
    /// # Example
    /// ```
    /// use dask_rs::frame::{DataFrame, col, lit, polars_core::df, polars_core::prelude::*};
    /// let hours = DataType::Datetime(TimeUnit::Milliseconds, None);
    /// let rows = df!["t" => [0_i64, 1_800_000, 3_600_000, 90_000_000], "x" => [1, 2, 3, 4]]?;
    /// let frame = DataFrame::from_polars(&rows, 2).cast([("t", hours)]);
    /// let days = frame.group_by_dynamic("t", "1d").agg([col("x").sum()]).compute()?;
    /// assert_eq!(days.column("x")?.as_materialized_series(), &Series::new("x".into(), [6, 4]));
    /// // The sums of two hours, at the start of each hour.
    /// let last_two = frame.group_by_dynamic("t", "1h").period("2h").agg([col("x").sum()]).compute()?;
    /// assert_eq!(last_two.column("x")?.as_materialized_series(), &Series::new("x".into(), [3, 6, 3, 4, 4]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "resample")]
    pub fn group_by_dynamic(&self, time: &str, every: &str) -> GroupByDynamic {
        let windows = Windows {
            time: time.into(),
            every: every.into(),
            period: None,
            offset: None,
            closed: ClosedInterval::Left,
            label: WindowLabel::Left,
            include_boundaries: false,
        };
        GroupByDynamic { handle: self.handle.clone(), keys: vec![], windows }
    }
}

/// Groups of rows by time, made by [`DataFrame::group_by_dynamic`].
#[derive(Clone, Debug)]
#[must_use = "agg() makes a frame of groups"]
pub struct GroupByDynamic {
    handle: Handle,
    keys: Vec<Expr>,
    windows: Windows,
}

impl GroupByDynamic {
    /// One row for each group: the time of its window, then the keys and the aggregates; see
    /// [`GroupBy::agg`](super::GroupBy::agg).
    ///
    /// # Cost
    /// Rows are taken once for each window that they can be in: once where windows follow each other, twice where both ends
    /// belong to them or none does, and `period / every + 2` times where they overlap.
    ///
    /// # Errors
    /// As [`GroupBy::agg`](super::GroupBy::agg), and for a column that has no times, or durations that are none.
    #[track_caller]
    pub fn agg(self, aggs: impl IntoExprs) -> DataFrame {
        let (call, aggs) = (Call::new("agg"), aggs.into_exprs());
        DataFrame::of(dynamic::aggregate(call, &self.handle, &self.windows, self.keys, aggs))
    }

    /// The same groups, apart for each value of `keys`, which stand behind the time.
    pub fn group_by(mut self, keys: impl IntoExprs) -> Self {
        self.keys.extend::<Vec<Expr>>(keys.into_exprs());
        self
    }

    /// How long windows are, if not from one to the next: longer ones overlap, and shorter ones leave rows out.
    pub fn period(mut self, period: &str) -> Self {
        self.windows.period = Some(PlSmallStr::from(period));
        self
    }

    /// How much later windows start than at a multiple of their length; `-` before the duration is earlier.
    pub fn offset(mut self, offset: &str) -> Self {
        self.windows.offset = Some(PlSmallStr::from(offset));
        self
    }

    /// Which ends belong to a window; without it, the start does and the end does not.
    pub fn closed(mut self, closed: ClosedInterval) -> Self {
        self.windows.closed = closed;
        self
    }

    /// Which time of a window stands in its row, if not its start.
    pub fn label(mut self, label: WindowLabel) -> Self {
        self.windows.label = label;
        self
    }

    /// Also the start and the end of the window, in columns `_lower_boundary` and `_upper_boundary` before the time.
    pub fn include_boundaries(mut self) -> Self {
        self.windows.include_boundaries = true;
        self
    }
}
