//! The index: methods that divide frames by the values of a column, and those that use it.

use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use polars_core::prelude::Series;

use super::DataFrame;
use crate::compute::{NoWatch, Session};
use crate::config::Config;
use crate::error::{Call, Result};
use crate::frame::args::IntoNames;
use crate::frame::collect::Gather;
use crate::frame::expr::{IntoValues, Literal};
use crate::frame::kernels::values_error;
use crate::frame::op::Repartition;
use crate::frame::ops::sorts::Known;
use crate::frame::ops::{groups, rows, sorts};

/// Frames by their index.
///
/// Where the *divisions* of a frame are known, the keys between which each of its partitions is, selections by index
/// touch only partitions that can have rows, sorts by the index leave rows where they are, groups by it are complete
/// in their partitions, and joins by it, also as-of joins, move no rows, or only those of the other frame. They are known
/// of frames that are read from Parquet files whose statistics say so, that are
/// [persisted](DataFrame::persist) with an index, or that were given theirs.
impl DataFrame {
    /// The rows sorted by the column `index`, in partitions divided by its values: the index of the frame, by which
    /// [`loc`](Self::loc) selects. Nulls come last.
    ///
    /// Partitions that are sorted already stay where they are. Otherwise rows are sampled and spread by ranges, into as
    /// many partitions as their bytes ask for. Rows that are known to be in order (by statistics of Parquet files, or
    /// because an earlier step sorted them) cost nothing.
    ///
    /// Divisions that are found while rows move are known to nobody before; [`persist`](Self::persist) keeps them, and
    /// [`set_index_with`](Self::set_index_with) takes them.
    ///
    /// # Cost
    /// Linear; what does not fit into the memory limit goes to temporary files.
    ///
    /// # Errors
    /// Carried: an unknown column.
    ///
    /// # Source
    /// Dask's `set_index` and its quantile sketch, `dask.dataframe.partitionquantiles`.
    #[track_caller]
    #[must_use]
    pub fn set_index(&self, index: &str) -> Self {
        DataFrame::of(sorts::set_index(
            Call::new("set_index"),
            &self.handle,
            index.into(),
            Known::Nothing,
        ))
    }

    /// [`set_index`](Self::set_index) where more is known of the rows: that they are sorted, or which divisions they are
    /// to have.
    ///
    /// # Cost
    /// Of sorted rows none but a check. With divisions each row moves once, without samples; partitions that have these
    /// divisions already only sort themselves.
    ///
    /// # Errors
    /// Carried: as for [`set_index`](Self::set_index), and [`Error::InvalidArgument`](crate::Error::InvalidArgument) for
    /// divisions that are not ascending or no values of the index. At compute: the same for rows that are not sorted, or
    /// keys that are outside of the divisions.
    ///
    /// # Example
    /// ```
    /// use dask_rs::frame::{DataFrame, IndexOptions, polars_core::df};
    /// let x = DataFrame::from_polars(&df!["t" => [3, 1, 4, 2], "v" => [30, 10, 40, 20]]?, 2);
    /// let x = x.set_index_with("t", IndexOptions::default().divisions([1, 3, 4]));
    /// assert_eq!(x.divisions()?.unwrap().len(), 3);
    /// assert!(x.compute()?.equals(&df!["t" => [1, 2, 3, 4], "v" => [10, 20, 30, 40]]?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn set_index_with(&self, index: &str, options: IndexOptions) -> Self {
        let call = Call::new("set_index_with");
        DataFrame::of(sorts::set_index(call, &self.handle, index.into(), options.known))
    }

    /// The rows whose index is within `range`.
    ///
    /// Dates and times may be written as text; a day has all of its hours, so `"2015-01-01"..="2015-01-07"` are seven
    /// days. Only partitions and row groups that can have such rows are read.
    ///
    /// # Errors
    /// Carried: [`Error::InvalidArgument`](crate::Error::InvalidArgument) if the frame has no index, and as for [`filter`](Self::filter).
    ///
    /// # Example
    /// ```
    /// use dask_rs::frame::{DataFrame, polars_core::df};
    /// let x = DataFrame::from_polars(&df!["t" => [3, 1, 2], "v" => [30, 10, 20]]?, 2).set_index("t");
    /// assert!(x.loc(1..=2).compute()?.equals(&df!["t" => [1, 2], "v" => [10, 20]]?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn loc<T: Literal + Clone>(&self, range: impl RangeBounds<T>) -> Self {
        let bound = |bound: Bound<&T>| bound.map(|value| value.clone().lit());
        let (low, high) = (bound(range.start_bound()), bound(range.end_bound()));
        DataFrame::of(sorts::loc(Call::new("loc"), &self.handle, low, high))
    }

    /// The column by which [`set_index`](Self::set_index) has sorted the frame, if it still has it.
    ///
    /// # Errors
    /// The error that the frame carries.
    pub fn index(&self) -> Result<Option<String>> {
        Ok(self.handle.node()?.note.as_ref().map(|name| name.to_string()))
    }

    /// The keys between which the partitions are, if they are known without computing: `n + 1` ascending values around
    /// `n` partitions. Partition `i` has the rows from key `i` up to, and only the last one including, key `i + 1`.
    ///
    /// After [`set_index`](Self::set_index) of rows that have to move they are none: the run finds them, and groups, sorts and
    /// joins by the index in the same run go by what it finds. [`persist`](Self::persist) keeps them.
    ///
    /// # Cost
    /// Plans the frame; nothing is computed.
    ///
    /// # Errors
    /// The error that the frame carries, or one that planning finds.
    pub fn divisions(&self) -> Result<Option<Series>> {
        let node = self.handle.node()?;
        let Some(index) = &node.note else { return Ok(None) };
        let config = Config::current()?;
        let known = crate::frame::known_divisions(node, index, &config)?;
        Ok(known.map(|divisions| divisions.series(index.clone())))
    }

    /// How many partitions the frame has by its plan of today: with other settings, or as part of a larger plan that needs
    /// fewer of them, it may have others.
    ///
    /// # Cost
    /// Plans the frame; nothing is computed.
    ///
    /// # Errors
    /// The error that the frame carries, or one that planning finds.
    ///
    /// # Example
    /// ```
    /// use dask_rs::frame::{DataFrame, polars_core::df};
    /// let frame = DataFrame::from_polars(&df!["x" => [1, 2, 3, 4]]?, 2);
    /// assert_eq!(frame.n_partitions()?, 2);
    /// assert_eq!(frame.partition_lengths()?, [2, 2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "npartitions")]
    #[track_caller]
    pub fn n_partitions(&self) -> Result<usize> {
        let mut session = Session::default();
        session.add_frame(Arc::clone(self.handle.node()?), Arc::<Gather>::default());
        let prepared =
            session.prepare(Call::new("n_partitions"), &Config::current()?, &mut NoWatch)?;
        Ok(prepared.layers.get(prepared.outputs[0]).n_blocks() as usize)
    }

    /// The number of rows of each partition, computed now.
    ///
    /// # Cost
    /// That of the frame with all of its columns, because their bytes may decide how it is cut.
    ///
    /// # Errors
    /// As [`compute`](Self::compute).
    #[track_caller]
    pub fn partition_lengths(&self) -> Result<Vec<u64>> {
        let counts =
            DataFrame::of(rows::partition_lengths(Call::new("partition_lengths"), &self.handle));
        let counts = counts.compute()?;
        let counts = counts.columns()[0].u64().map_err(values_error("partition_lengths"))?;
        Ok(counts.into_no_null_iter().collect())
    }

    /// The same rows in `n` partitions: neighbours are joined, or partitions cut.
    #[track_caller]
    #[must_use]
    pub fn repartition(&self, n: usize) -> Self {
        DataFrame::of(rows::repartition(&self.handle, Repartition::Count(n)))
    }

    /// The same rows in partitions of about `bytes` bytes, as far as their bytes are known; of more bytes if there were more
    /// than 65536 partitions otherwise.
    #[track_caller]
    #[must_use]
    pub fn repartition_bytes(&self, bytes: u64) -> Self {
        DataFrame::of(rows::repartition(&self.handle, Repartition::Bytes(bytes)))
    }

    /// The same rows in partitions between these keys of the index, which must be around all keys.
    ///
    /// # Cost
    /// Where divisions are known each partition is cut out of those that it overlaps; otherwise all rows move.
    ///
    /// # Errors
    /// Carried: [`Error::InvalidArgument`](crate::Error::InvalidArgument) if the frame has no index, or the divisions are
    /// not ascending. At compute: the same for keys outside of them.
    ///
    /// # Source
    /// Dask's `repartition_divisions`.
    #[track_caller]
    #[must_use]
    pub fn repartition_divisions(&self, divisions: impl IntoValues) -> Self {
        let call = Call::new("repartition_divisions");
        let values = divisions.into_values();
        DataFrame::of(sorts::repartition_divisions(call, &self.handle, &values))
    }

    /// The same rows in partitions that have all rows of their `keys`, in which groups and joins by them need not move.
    ///
    /// # Cost
    /// Linear: each row moves once, through temporary files if need be, unless it is where it should be.
    ///
    /// # Errors
    /// Carried: an unknown column, or no keys.
    #[doc(alias = "shuffle")]
    #[track_caller]
    #[must_use]
    pub fn repartition_by(&self, keys: impl IntoNames) -> Self {
        let call = Call::new("repartition_by");
        DataFrame::of(groups::together(call, &self.handle, keys.into_names()))
    }

    /// The same rows in a partition for each period of the index, of which `every` is the length, a text such as `1d`,
    /// `1h` or `1mo`; periods begin where [`truncate`](crate::frame::DateLikeNameSpace::truncate) puts them.
    ///
    /// # Errors
    /// Carried: a frame without an index, or one that is no time. At compute and by accessors:
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) if the divisions are not known, or `every` is no duration.
    ///
    /// # Example
    /// ```
    /// use dask_rs::frame::{DataFrame, polars_core::df, polars_core::prelude::*};
    /// let hours = DataType::Datetime(TimeUnit::Milliseconds, None);
    /// let rows = df!["t" => [0_i64, 1_800_000, 3_600_000, 90_000_000], "x" => [1, 2, 3, 4]]?;
    /// let frame = DataFrame::from_polars(&rows, 2).cast([("t", hours)]).set_index("t").persist()?;
    /// let days = frame.repartition_every("1d");
    /// assert_eq!(days.divisions()?.unwrap().len(), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn repartition_every(&self, every: &str) -> Self {
        let call = Call::new("repartition_every");
        DataFrame::of(sorts::repartition_every(call, &self.handle, every))
    }
}

/// What is known of rows that get an index; see [`DataFrame::set_index_with`].
#[derive(Clone, Debug)]
#[must_use]
pub struct IndexOptions {
    known: Known,
}

impl Default for IndexOptions {
    /// Nothing is known.
    fn default() -> Self {
        IndexOptions { known: Known::Nothing }
    }
}

impl IndexOptions {
    /// The rows are sorted by the index, nulls last. It is checked on the partitions that are computed.
    pub fn sorted(self) -> Self {
        IndexOptions { known: Known::Sorted }
    }

    /// The partitions are to be between these keys, which are around all keys. Dates and times may be written as text.
    pub fn divisions(self, divisions: impl IntoValues) -> Self {
        IndexOptions { known: Known::Divisions(divisions.into_values()) }
    }
}
