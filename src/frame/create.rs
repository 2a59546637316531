//! Frames from memory and from functions.

use std::sync::Arc;

use arrow::array::RecordBatch;
use polars_core::prelude::{DataFrame as PolarsFrame, PolarsResult, SchemaRef};

use super::expr::check_column;
use super::handle::DataFrame;
use super::io::{Mapped, MemoryFrames, RecordBatches};
use super::kept::with_known_order;
use super::kernels::group_by::Groups;
use super::kernels::sort::{SortSpec, sort};
use super::kernels::values_error;
use super::op::Handle;
use super::ops::rows;
use super::partitions::repartition::sorted_ranges;
use crate::config::Config;
use crate::error::{Call, Error, Result};

impl DataFrame {
    /// A frame in memory, cut into `n_partitions` partitions of about the same number of rows, which share its
    /// memory.
    ///
    /// # Cost
    /// No row is copied.
    #[track_caller]
    #[must_use]
    pub fn from_polars(frame: &PolarsFrame, n_partitions: usize) -> Self {
        let source = Arc::new(MemoryFrames::split(frame, n_partitions));
        DataFrame::of(Handle::from_result(rows::scan(source)))
    }

    /// A frame in memory that is sorted now by the column `index`, which becomes its [index](Self::set_index), in about
    /// `n_partitions` partitions with known divisions: no value of the index is in two of them. Nulls come last.
    ///
    /// # Cost
    /// Sorts the frame, which copies it, in this thread.
    ///
    /// # Errors
    /// Carried: an unknown column, or one that has no order.
    ///
    /// # Example
    /// ```
    /// use dask_rs::frame::{DataFrame, polars_core::df};
    /// let rows = df!["t" => [3, 1, 4, 1], "x" => [30, 10, 40, 11]]?;
    /// let frame = DataFrame::from_polars_indexed(&rows, "t", 2);
    /// assert_eq!(frame.divisions()?.unwrap().i32()?.to_vec(), [1, 3, 4].map(Some));
    /// assert!(frame.loc(1..=3).compute()?.equals(&df!["t" => [1, 1, 3], "x" => [10, 11, 30]]?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Source
    /// Dask's `from_pandas`.
    #[track_caller]
    #[must_use]
    pub fn from_polars_indexed(frame: &PolarsFrame, index: &str, n_partitions: usize) -> Self {
        let call = Call::new("from_polars_indexed");
        let node = sorted_parts(call, frame, index, n_partitions).and_then(|parts| {
            let source = MemoryFrames::new("memory", Arc::clone(frame.schema()), parts);
            rows::persisted(call, Arc::new(source), Some(index.into()))
        });
        DataFrame::of(Handle::from_result(node))
    }

    /// Arrow record batches, each a partition.
    ///
    /// # Cost
    /// No row is copied now, and none later if polars has the types in the same form: text as views, lists with long
    /// offsets. Other text becomes views over the same bytes when it is read.
    ///
    /// # Errors
    /// Carried: [`Error::InvalidArgument`] for no batch, [`Error::SchemaMismatch`] if columns differ,
    /// [`Error::DTypeMismatch`] for a type that polars can't hold.
    ///
    /// # Example
    /// ```
    /// use std::sync::Arc;
    /// use dask_rs::frame::{DataFrame, col};
    /// use dask_rs::frame::arrow::array::{ArrayRef, Int64Array, RecordBatch};
    /// let column: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    /// let batch = RecordBatch::try_from_iter([("a", column)])?;
    /// let frame = DataFrame::from_record_batches([batch.clone(), batch]);
    /// assert_eq!(frame.filter(col("a").gt(1)).len()?, 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn from_record_batches(batches: impl IntoIterator<Item = RecordBatch>) -> Self {
        let source =
            RecordBatches::new(Call::new("from_record_batches"), batches.into_iter().collect());
        DataFrame::of(Handle::from_result(source.and_then(|source| rows::scan(Arc::new(source)))))
    }

    /// What `function` makes of each of `inputs`: a partition each, with the columns of `schema`.
    ///
    /// It is called when the partition is needed, once in each run that needs it, and from several threads.
    ///
    /// # Cost
    /// Nobody knows the size of the partitions before: each counts as [`Config::chunk_bytes`].
    ///
    /// # Errors
    /// Carried: [`Error::InvalidArgument`] for no input. At compute: [`Error::SchemaMismatch`] if the function
    /// returns something else than it should, [`Error::Values`] for its own errors.
    ///
    /// # Example
    /// ```
    /// use dask_rs::frame::{DataFrame, polars_core::df};
    /// let schema = df!["day" => [0_i64], "square" => [0_i64]]?.schema().clone();
    /// let frame = DataFrame::from_map(1..=3_i64, schema, |&day| df!["day" => [day], "square" => [day * day]]);
    /// assert_eq!(frame.compute()?.column("square")?.i64()?.get(2), Some(9));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Source
    /// Dask's `from_map`.
    #[track_caller]
    #[must_use]
    pub fn from_map<I: Send + Sync + 'static>(
        inputs: impl IntoIterator<Item = I>,
        schema: SchemaRef,
        function: impl Fn(&I) -> PolarsResult<PolarsFrame> + Send + Sync + 'static,
    ) -> Self {
        let call = Call::new("from_map");
        let inputs: Vec<I> = inputs.into_iter().collect();
        let source = Config::current().and_then(|config| match inputs.len() {
            0 => Err(Error::InvalidArgument {
                call,
                argument: "inputs",
                got: "empty".into(),
                expected: "one input at least",
            }),
            n_parts => {
                let part_bytes = config.chunk_bytes();
                let make = Box::new(move |part: usize| function(&inputs[part]));
                Ok(Mapped { call, n_parts, schema, part_bytes, make })
            }
        });
        DataFrame::of(Handle::from_result(source.and_then(|source| rows::scan(Arc::new(source)))))
    }
}

/// The rows in the order of a column, cut where its values change.
fn sorted_parts(call: Call, frame: &PolarsFrame, by: &str, n: usize) -> Result<Vec<PolarsFrame>> {
    check_column(by, frame.schema(), call)?;
    let sorted = sort(frame, &SortSpec::new([by.into()], false, true))?;
    let failed = || values_error("from_polars_indexed");
    let keys = sorted.column(by).map_err(failed())?.clone();
    let n_keys = keys.len() - keys.null_count();
    let values = Groups::new(&[keys.slice(0, n_keys)], n_keys).map_err(failed())?;
    let mut parts = sorted_ranges(&values.of_row, n);
    match parts.last_mut() {
        Some(last) => last.end = sorted.height(),
        None => parts.push(0..sorted.height()),
    }
    let parts = parts.into_iter().map(|rows| sorted.slice(rows.start as i64, rows.len()));
    parts.map(|part| with_known_order(part, by)).collect()
}
