//! The handle: many short methods with documentation; what they mean is in `ops`.

mod clean;
mod dynamic;
mod group_by;
mod index;
mod join;
mod reduce;
mod reshape;
mod stats;
mod windows;

pub use dynamic::GroupByDynamic;
pub use group_by::GroupBy;
pub use index::IndexOptions;
pub use join::JoinOptions;
pub use windows::AsofOptions;

use std::fmt;
use std::panic::Location;
use std::path::Path;
use std::sync::Arc;

use polars_core::prelude::{DataFrame as PolarsFrame, PlSmallStr, PolarsResult, SchemaRef};

use super::args::{IntoFlags, IntoNames};
use super::collect::Gather;
use super::expr::{Expr, IntoExprs};
use super::kept::KeepFrames;
use super::kernels::join::{JoinHow, JoinSpec};
use super::kernels::sort::SortSpec;
use super::op::Handle;
use super::ops::{groups, joins, rows, sorts};
use super::show::schema_text;
use crate::compute::{Collection, Collector, Session};
use crate::config::Config;
use crate::error::{Call, Error, Result};
use crate::explain::Explain;

/// A lazy frame in partitions, or the first error of the chain that should have made one.
///
/// Methods make new frames and compute nothing. A wrong step (an unknown column, dtypes that do not fit
/// together) makes a frame that carries the error with the line of that step; [`compute`](Self::compute),
/// [`persist`](Self::persist), [`check`](Self::check) and all accessors return it.
#[derive(Clone)]
pub struct DataFrame {
    handle: Handle,
}

impl DataFrame {
    /// The frame of a step that the caller of the caller has made.
    #[track_caller]
    pub(crate) fn of(handle: Handle) -> Self {
        DataFrame { handle: handle.made_at(Location::caller()) }
    }

    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// The columns that `exprs` compute, each row from one row.
    ///
    /// # Errors
    /// Carried: [`Error::UnknownColumn`](crate::Error::UnknownColumn),
    /// [`Error::DuplicateColumn`](crate::Error::DuplicateColumn), or
    /// [`Error::InvalidExpression`](crate::Error::InvalidExpression) if dtypes do not fit together.
    #[track_caller]
    #[must_use]
    pub fn select(&self, exprs: impl IntoExprs) -> Self {
        let exprs = exprs.into_exprs();
        DataFrame::of(rows::select(Call::new("select"), &self.handle, exprs))
    }

    /// All columns, and those that `exprs` compute, behind them or in the place of those of the same name.
    ///
    /// # Errors
    /// Carried, as for [`select`](Self::select).
    #[track_caller]
    #[must_use]
    pub fn with_columns(&self, exprs: impl IntoExprs) -> Self {
        let exprs = exprs.into_exprs();
        DataFrame::of(rows::with_columns(Call::new("with_columns"), &self.handle, exprs))
    }

    /// The rows for which `predicate` is true; where it is null, it is not.
    ///
    /// Comparisons of columns with literals move into the files that are read, where statistics may save
    /// reading whole row groups.
    ///
    /// # Errors
    /// Carried, as for [`select`](Self::select), and
    /// [`Error::DTypeMismatch`](crate::Error::DTypeMismatch) if the predicate is not boolean.
    #[track_caller]
    #[must_use]
    pub fn filter(&self, predicate: impl Into<Expr>) -> Self {
        DataFrame::of(rows::filter(Call::new("filter"), &self.handle, predicate.into()))
    }

    /// Columns under other names: pairs of the old and the new one.
    ///
    /// # Errors
    /// Carried: an unknown column, or two of one name.
    #[track_caller]
    #[must_use]
    pub fn rename<A, B>(&self, names: impl IntoIterator<Item = (A, B)>) -> Self
    where
        A: Into<PlSmallStr>,
        B: Into<PlSmallStr>,
    {
        let names: Vec<_> = names.into_iter().map(|(a, b)| (a.into(), b.into())).collect();
        DataFrame::of(rows::rename(Call::new("rename"), &self.handle, &names))
    }

    /// All columns but these.
    ///
    /// # Errors
    /// Carried: an unknown column.
    #[track_caller]
    #[must_use]
    pub fn drop_columns(&self, names: impl IntoIterator<Item = impl Into<PlSmallStr>>) -> Self {
        let names: Vec<PlSmallStr> = names.into_iter().map(Into::into).collect();
        DataFrame::of(rows::drop_columns(Call::new("drop_columns"), &self.handle, &names))
    }

    /// The first `n` rows, as one partition.
    ///
    /// # Cost
    /// Reads the first partitions only, if the rows of partitions are known (files read without a filter).
    #[track_caller]
    #[must_use]
    pub fn head(&self, n: u64) -> Self {
        self.slice(0, n)
    }

    /// `len` rows, or as many as there are, after the first `offset`; as one partition.
    #[track_caller]
    #[must_use]
    pub fn slice(&self, offset: u64, len: u64) -> Self {
        DataFrame::of(rows::slice(&self.handle, offset, len))
    }

    /// The rows of frames of the same columns, one frame after another.
    ///
    /// # Errors
    /// Carried: [`Error::SchemaMismatch`](crate::Error::SchemaMismatch) if the columns differ.
    #[track_caller]
    #[must_use]
    pub fn concat<'a>(frames: impl IntoIterator<Item = &'a DataFrame>) -> Self {
        let handles: Vec<&Handle> = frames.into_iter().map(|frame| &frame.handle).collect();
        DataFrame::of(rows::concat(Call::new("concat"), &handles))
    }

    /// Groups of rows with equal `keys`, to be aggregated with [`GroupBy::agg`]. Null keys are a group.
    pub fn group_by(&self, keys: impl IntoExprs) -> GroupBy {
        GroupBy { handle: self.handle.clone(), keys: keys.into_exprs(), is_in_order: false }
    }

    /// One row with aggregates of all rows, such as `col("x").sum()` or `len()`.
    ///
    /// # Errors
    /// Carried: [`Error::InvalidArgument`](crate::Error::InvalidArgument) for an expression that is no aggregate,
    /// and as for [`select`](Self::select).
    #[track_caller]
    #[must_use]
    pub fn agg(&self, aggs: impl IntoExprs) -> Self {
        let call = Call::new("agg");
        DataFrame::of(groups::aggregate(call, &self.handle, &[], aggs.into_exprs()))
    }

    /// The rows sorted by the columns `by`; `descending` is one direction for all, or one for each.
    ///
    /// The sort is stable, and nulls come first, as in Polars; see [`sort_with`](Self::sort_with).
    ///
    /// # Errors
    /// Carried: an unknown column, or another number of directions.
    #[track_caller]
    #[must_use]
    pub fn sort(&self, by: impl IntoNames, descending: impl IntoFlags) -> Self {
        self.sort_with(by, descending, false)
    }

    /// [`sort`](Self::sort) that says whether nulls come last, for all columns or for each.
    ///
    /// # Cost
    /// Small frames are sorted in one task. Larger ones are sampled, spread over partitions by ranges of the first
    /// column, and sorted there.
    #[track_caller]
    #[must_use]
    pub fn sort_with(
        &self,
        by: impl IntoNames,
        descending: impl IntoFlags,
        nulls_last: impl IntoFlags,
    ) -> Self {
        let by = by.into_names();
        let (descending, nulls_last) =
            (descending.into_flags(by.len()), nulls_last.into_flags(by.len()));
        let spec = SortSpec { by, descending, nulls_last };
        DataFrame::of(sorts::sort(Call::new("sort"), &self.handle, spec, None))
    }

    /// The `n` rows with the largest values of `by`, largest first.
    #[track_caller]
    #[must_use]
    pub fn top_k(&self, n: u64, by: impl IntoNames) -> Self {
        let spec = SortSpec::new(by.into_names(), true, true);
        DataFrame::of(sorts::sort(Call::new("top_k"), &self.handle, spec, Some(n)))
    }

    /// The `n` rows with the smallest values of `by`, smallest first.
    #[track_caller]
    #[must_use]
    pub fn bottom_k(&self, n: u64, by: impl IntoNames) -> Self {
        let spec = SortSpec::new(by.into_names(), false, true);
        DataFrame::of(sorts::sort(Call::new("bottom_k"), &self.handle, spec, Some(n)))
    }

    /// Rows of both frames with equal values in the columns `on`, joined as `how` says.
    ///
    /// Columns and their names are those of Polars: keys appear once, and columns of `other` that this frame
    /// has too get the suffix `_right`. Null keys are equal to nothing. [`join_with`](Self::join_with) has options for that.
    ///
    /// A frame that is joined on its [index](Self::set_index) keeps it, if no rows without it come from the other side (that
    /// is, unless the join is full), or if it is the right frame of a right join; rows are then in its order. So a small frame
    /// with an index is better the right one of an inner join, because copies of it would not keep its order. An index of
    /// categories is not kept.
    ///
    /// # Cost
    /// A small side is copied to all partitions of the other one. Otherwise rows of both sides move to partitions of their keys,
    /// if they are not there already. Where a filter probably leaves few rows of one side, it is told first, and rows of the
    /// other side that have no partner there do not move.
    ///
    /// # Errors
    /// Carried: an unknown column, or keys of different dtypes.
    #[track_caller]
    #[must_use]
    pub fn join(&self, other: &DataFrame, on: impl IntoNames, how: JoinHow) -> Self {
        let on = on.into_names();
        let spec = JoinSpec::new(how, on.clone(), on);
        DataFrame::of(joins::join(Call::new("join"), &self.handle, &other.handle, spec))
    }

    /// [`join`](Self::join) on columns that are called `left_on` here and `right_on` in `other`.
    #[track_caller]
    #[must_use]
    pub fn join_on(
        &self,
        other: &DataFrame,
        left_on: impl IntoNames,
        right_on: impl IntoNames,
        how: JoinHow,
    ) -> Self {
        let spec = JoinSpec::new(how, left_on.into_names(), right_on.into_names());
        DataFrame::of(joins::join(Call::new("join_on"), &self.handle, &other.handle, spec))
    }

    /// Each row of this frame with each row of `other`.
    #[track_caller]
    #[must_use]
    pub fn cross_join(&self, other: &DataFrame) -> Self {
        let spec = JoinSpec::new(JoinHow::Cross, [], []);
        DataFrame::of(joins::join(Call::new("cross_join"), &self.handle, &other.handle, spec))
    }

    /// The number of rows.
    ///
    /// # Errors
    /// As [`compute`](Self::compute).
    #[track_caller]
    pub fn len(&self) -> Result<u64> {
        let counted = self.agg([super::len()]).compute()?;
        let n = counted.columns()[0].get(0).ok().and_then(|value| value.extract::<u64>());
        n.ok_or_else(|| Error::Internal {
            place: "len".into(),
            problem: "there is no count".into(),
        })
    }

    /// Whether there are no rows.
    ///
    /// # Errors
    /// As [`compute`](Self::compute).
    #[track_caller]
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// What `function` makes of each partition, given its number; it returns frames of `schema`.
    ///
    /// # Errors
    /// At compute: [`Error::SchemaMismatch`](crate::Error::SchemaMismatch) if it returns something else.
    #[track_caller]
    #[must_use]
    pub fn map_partitions(
        &self,
        schema: SchemaRef,
        function: impl Fn(PolarsFrame, usize) -> PolarsResult<PolarsFrame> + Send + Sync + 'static,
    ) -> Self {
        let call = Call::new("map_partitions");
        DataFrame::of(rows::map_partitions(call, &self.handle, schema, Box::new(function)))
    }

    /// Names and dtypes of the columns.
    ///
    /// # Errors
    /// The error that the frame carries.
    pub fn schema(&self) -> Result<SchemaRef> {
        Ok(Arc::clone(&self.handle.node()?.meta.schema))
    }

    /// The names of the columns.
    ///
    /// # Errors
    /// The error that the frame carries.
    pub fn columns(&self) -> Result<Vec<String>> {
        Ok(self.schema()?.iter_names().map(|name| name.to_string()).collect())
    }

    /// `Ok` if the frame carries no error.
    ///
    /// # Errors
    /// The error that the frame carries.
    pub fn check(&self) -> Result<()> {
        self.handle.node().map(|_| ())
    }

    /// Computes all rows, in parallel and inside the memory limit, as one frame.
    ///
    /// # Errors
    /// The error that the frame carries, or that of the first task that failed.
    #[track_caller]
    pub fn compute(&self) -> Result<PolarsFrame> {
        crate::compute(self)
    }

    /// Computes the partitions and keeps them: a frame that is like this one, but done. If it has an index
    /// of numbers, times or texts, its divisions are known from now on, unless equal keys are in two partitions or the last
    /// partition has none; [`divisions`](Self::divisions) tells.
    ///
    /// Half of the memory limit may be used for what is kept, by all persisted arrays and frames together; runs
    /// get the rest. Partitions that come when it is used up are written to the
    /// [spill directory](crate::Config::with_spill_directory), and read from there by each run that needs them. What is kept
    /// goes with the last frame that is made of it.
    ///
    /// # Errors
    /// As [`compute`](Self::compute); if a partition can't be written, [`Error::TaskFailed`](crate::Error::TaskFailed), of which
    /// [`Error::Spill`](crate::Error::Spill) or [`Error::SpillLimit`](crate::Error::SpillLimit) is the source.
    #[track_caller]
    pub fn persist(&self) -> Result<Self> {
        let call = Call::new("persist");
        let node = self.handle.node()?;
        let schema = Arc::clone(&node.meta.schema);
        let index = node.note.clone();
        let keep = Arc::new(KeepFrames::new(schema, index.clone(), &Config::current()?));
        let mut session = Session::default();
        session.add_frame(Arc::clone(node), Arc::clone(&keep) as Arc<dyn Collector>);
        session.run(call)?;
        let source = Arc::new(keep.finish()?);
        Ok(DataFrame::of(Handle::from_result(rows::persisted(call, source, index))))
    }

    /// What would run to compute the frame, and what it would cost, as text; see
    /// [`dask_rs::explain`](crate::explain()).
    ///
    /// # Errors
    /// The error that the frame carries.
    pub fn explain(&self) -> Result<Explain> {
        crate::explain(self)
    }

    /// Draws the layers of tasks that would run into a file, `.svg` or `.dot`; see
    /// [`dask_rs::visualize`](crate::visualize()).
    ///
    /// # Errors
    /// The error that the frame carries; [`Error::InvalidArgument`](crate::Error::InvalidArgument) for another
    /// kind of file; [`Error::Io`](crate::Error::Io).
    #[track_caller]
    pub fn visualize(&self, path: impl AsRef<Path>) -> Result<()> {
        crate::visualize(self, path)
    }
}

/// The columns, or the error; nothing is computed.
impl fmt::Display for DataFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.handle.node() {
            Ok(node) => write!(f, "DataFrame({})", schema_text(&node.meta.schema)),
            Err(error) => write!(f, "DataFrame(error: {error})"),
        }
    }
}

impl fmt::Debug for DataFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The result of a frame that is being computed.
#[doc(hidden)]
pub struct PendingFrame(Arc<Gather>);

impl fmt::Debug for PendingFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingFrame").finish_non_exhaustive()
    }
}

impl Collection for DataFrame {
    type Output = PolarsFrame;
    type Pending = PendingFrame;

    fn enlist(&self, session: &mut Session) -> Result<PendingFrame> {
        let node = self.handle.node()?;
        let gather = Arc::new(Gather::default());
        session.add_frame(Arc::clone(node), Arc::clone(&gather) as Arc<dyn Collector>);
        Ok(PendingFrame(gather))
    }

    fn collect(pending: PendingFrame) -> Result<PolarsFrame> {
        pending.0.take_frame()
    }
}
