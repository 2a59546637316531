//! Frames in memory as a source.

use std::sync::Arc;

use polars_core::frame::DataFrame;
use polars_core::prelude::{Column, PlSmallStr, PolarsResult, Scalar, SchemaRef};
use polars_core::series::IsSorted;

use super::{PartStats, Request, Source};
use crate::error::{Error, Result};

/// Partitions that the user gave.
#[derive(Debug)]
pub(crate) struct MemoryFrames {
    name: &'static str,
    schema: SchemaRef,
    parts: Vec<DataFrame>,
}

impl MemoryFrames {
    /// Partitions of the same schema.
    pub(crate) fn new(name: &'static str, schema: SchemaRef, parts: Vec<DataFrame>) -> Self {
        MemoryFrames { name, schema, parts }
    }

    /// `frame` in `n` partitions of about the same number of rows, which share its memory.
    pub(crate) fn split(frame: &DataFrame, n: usize) -> Self {
        let n_rows = frame.height();
        let n = n.clamp(1, n_rows.max(1));
        let cut = |i: usize| (n_rows as u128 * i as u128 / n as u128) as usize;
        let part = |i| frame.slice(cut(i) as i64, cut(i + 1) - cut(i));
        MemoryFrames::new("memory", Arc::clone(frame.schema()), (0..n).map(part).collect())
    }
}

/// Bytes of memory of a column.
pub(crate) fn nbytes_of(column: &Column) -> u64 {
    column.as_materialized_series().estimated_size() as u64
}

impl Source for MemoryFrames {
    fn name(&self) -> String {
        self.name.into()
    }

    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn n_parts(&self) -> usize {
        self.parts.len()
    }

    fn n_rows(&self, part: usize) -> Option<u64> {
        Some(self.parts[part].height() as u64)
    }

    fn nbytes(&self, part: usize, columns: &[PlSmallStr]) -> u64 {
        let bytes = |name| self.parts[part].column(name).map_or(0, nbytes_of);
        columns.iter().map(|name| bytes(name)).sum()
    }

    fn scratch_bytes(&self, _part: usize, _columns: &[PlSmallStr]) -> u64 {
        0
    }

    fn stats(&self, part: usize, column: &str) -> Option<PartStats> {
        stats_of(self.parts[part].column(column).ok()?)
    }

    fn is_sorted(&self, part: usize, column: &str) -> bool {
        self.parts[part].height() == 0 || self.stats(part, column).is_some()
    }

    fn is_resident(&self) -> bool {
        true
    }

    fn read(&self, part: usize, request: &Request) -> Result<DataFrame> {
        requested(&self.parts[part], request)
            .map_err(|error| Error::Values { operation: self.name(), problem: error.to_string() })
    }
}

/// The ends of a column that polars knows to be sorted; others would have to be looked at.
pub(crate) fn stats_of(values: &Column) -> Option<PartStats> {
    let n_nulls = values.null_count();
    let last = values.len().checked_sub(n_nulls + 1)?;
    if values.is_sorted_flag() != IsSorted::Ascending {
        return None;
    }
    let at = |row: usize| {
        let value = values.get(row).ok()?.into_static();
        (!value.is_null()).then(|| Scalar::new(values.dtype().clone(), value))
    };
    // Where nulls come first, the first value is none.
    Some(PartStats { min: at(0)?, max: at(last)?, n_nulls: Some(n_nulls as u64) })
}

/// What a request asks for, of rows in memory.
pub(crate) fn requested(part: &DataFrame, request: &Request) -> PolarsResult<DataFrame> {
    let columns = request.columns.iter().map(|name| part.column(name).cloned());
    let frame = DataFrame::new(part.height(), columns.collect::<PolarsResult<_>>()?)?;
    Ok(match request.n_rows_max {
        Some(n) if (n as usize) < frame.height() => frame.slice(0, n as usize),
        _ => frame,
    })
}
