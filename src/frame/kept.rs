//! Partitions that an earlier run left, as a source: in memory, or in files.

use std::sync::{Arc, Mutex, PoisonError};

use polars_core::frame::DataFrame;
use polars_core::prelude::{PlSmallStr, SchemaRef, SortOptions};
use polars_core::series::IsSorted;
use polars_ops::prelude::SeriesMethods;

use super::io::{PartStats, Request, Source, nbytes_of, requested, stats_of};
use super::kernels::values_error;
use super::partition::{block, borrowed, frame, hold_of};
use crate::compute::Collector;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::graph::Block;
use crate::keep::{Hold, Keeper, Kept, KeptBlocks, Room};
use crate::memory::BufferPool;
use crate::sched::spill_options;

/// Keeps the partitions of a result.
pub(crate) struct KeepFrames {
    schema: SchemaRef,
    /// The column that the rows stand in the order of.
    index: Option<PlSmallStr>,
    keeper: Arc<Keeper>,
    parts: Mutex<Vec<Option<(Kept, Part)>>>,
}

/// What is known of a partition without reading it.
#[derive(Debug)]
struct Part {
    n_rows: u64,
    /// Of each column, in the order of the schema.
    columns: Vec<(u64, Option<PartStats>)>,
}

impl KeepFrames {
    pub(crate) fn new(schema: SchemaRef, index: Option<PlSmallStr>, config: &Config) -> Self {
        let keeper = Arc::new(Keeper::new(config.memory_limit(), spill_options(config)));
        KeepFrames { schema, index, keeper, parts: Mutex::default() }
    }

    /// The partitions, once the run has ended.
    pub(crate) fn finish(&self) -> Result<KeptFrames> {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let parts: Option<Vec<_>> = std::mem::take(&mut *parts).into_iter().collect();
        let parts = parts.ok_or_else(|| Error::Internal {
            place: "persist".into(),
            problem: "not all partitions came".into(),
        })?;
        let (blocks, parts) = parts.into_iter().unzip();
        let blocks = KeptBlocks::new(blocks, Arc::clone(&self.keeper));
        Ok(KeptFrames { schema: Arc::clone(&self.schema), blocks, parts })
    }
}

impl Collector for KeepFrames {
    fn start(&self, n_blocks: u64) -> Result<()> {
        let places = (0..n_blocks).map(|_| None).collect();
        *self.parts.lock().unwrap_or_else(PoisonError::into_inner) = places;
        Ok(())
    }

    fn accept(&self, part: usize, value: Block) -> Result<()> {
        // Rows of somebody else take no memory by being kept, and count where they did.
        let (is_lent, before) = (value.nbytes() == 0, hold_of(&value));
        let rows = match &self.index {
            Some(index) => with_known_order(frame(value), index)?,
            None => frame(value),
        };
        let about = Part::of(&rows);
        let rows = if is_lent { borrowed(rows, before.clone()) } else { block(rows) };
        let lend = |rows, hold| borrowed(frame(rows), Some(before.unwrap_or(hold)));
        let kept = self.keeper.keep(rows, lend)?;
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)[part] = Some((kept, about));
        Ok(())
    }

    fn room(&self) -> Option<&Arc<Room>> {
        Some(self.keeper.room())
    }
}

impl Part {
    fn of(rows: &DataFrame) -> Self {
        let columns = rows.columns().iter().map(|column| (nbytes_of(column), stats_of(column)));
        Part { n_rows: rows.height() as u64, columns: columns.collect() }
    }

    fn nbytes(&self) -> u64 {
        self.columns.iter().map(|(bytes, _)| bytes).sum()
    }
}

/// `part`, in which polars knows of the column `index` that it is sorted, if it is.
pub(crate) fn with_known_order(mut part: DataFrame, index: &str) -> Result<DataFrame> {
    let mut know = || {
        let keys = part.column(index)?;
        let order = SortOptions::default().with_nulls_last(true);
        if keys.is_sorted_flag() == IsSorted::Not
            && keys.as_materialized_series().is_sorted(order)?
        {
            let mut keys = keys.clone();
            keys.set_sorted_flag(IsSorted::Ascending);
            part.with_column(keys)?;
        }
        Ok(())
    };
    know().map_err(values_error("persist"))?;
    Ok(part)
}

/// Partitions that were kept.
#[derive(Debug)]
pub(crate) struct KeptFrames {
    schema: SchemaRef,
    blocks: KeptBlocks,
    parts: Vec<Part>,
}

impl KeptFrames {
    fn column(&self, part: usize, column: &str) -> Option<&(u64, Option<PartStats>)> {
        self.parts[part].columns.get(self.schema.index_of(column)?)
    }
}

impl Source for KeptFrames {
    fn name(&self) -> String {
        "persisted".into()
    }

    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn n_parts(&self) -> usize {
        self.parts.len()
    }

    fn n_rows(&self, part: usize) -> Option<u64> {
        Some(self.parts[part].n_rows)
    }

    fn nbytes(&self, part: usize, columns: &[PlSmallStr]) -> u64 {
        let bytes = |name| self.column(part, name).map_or(0, |(bytes, _)| *bytes);
        columns.iter().map(|name| bytes(name)).sum()
    }

    /// A file holds all columns.
    fn scratch_bytes(&self, part: usize, _columns: &[PlSmallStr]) -> u64 {
        if self.is_resident() { 0 } else { self.parts[part].nbytes() }
    }

    fn stats(&self, part: usize, column: &str) -> Option<PartStats> {
        self.column(part, column)?.1.clone()
    }

    fn is_sorted(&self, part: usize, column: &str) -> bool {
        self.parts[part].n_rows == 0 || self.column(part, column).is_some_and(|it| it.1.is_some())
    }

    fn is_resident(&self) -> bool {
        self.blocks.bytes_on_disk() == 0
    }

    fn hold(&self, part: usize) -> Option<Hold> {
        self.blocks.in_memory(part).and_then(hold_of)
    }

    fn read(&self, part: usize, request: &Request) -> Result<DataFrame> {
        // Polars has memory of its own.
        let rows = frame(self.blocks.get(part, &Arc::new(BufferPool::plain()))?);
        requested(&rows, request).map_err(values_error("persisted"))
    }
}

#[cfg(test)]
mod tests {
    use polars_core::df;

    use crate::cache::Cache;
    use crate::config::Config;
    use crate::frame::{DataFrame, col};
    use crate::keep::free_of;

    #[test]
    fn memory_counts_as_long_as_anybody_has_it() {
        const LIMIT: u64 = 1_000_000_211;
        let cache = Cache::new(1 << 20);
        let rows = df!["x" => (0..10_000_i64).collect::<Vec<_>>()].unwrap();
        let frame = DataFrame::from_polars(&rows, 4).select([col("x") + 1]);
        Config::new().with_cache(&cache).with_memory_limit(LIMIT).scope(|| {
            let kept_bytes = || LIMIT - free_of(LIMIT);
            frame.compute().unwrap();
            assert_eq!((cache.bytes(), kept_bytes()), (80_000, 80_000));
            let kept = frame.persist().unwrap();
            assert_eq!((cache.hits() > 0, kept_bytes()), (true, 80_000), "both have the same");
            // The one who counted it first lets go of it, twice.
            cache.clear();
            assert_eq!(kept_bytes(), 80_000);
            let again = kept.persist().unwrap();
            drop(kept);
            assert_eq!(kept_bytes(), 80_000);
            drop(again);
            assert_eq!(kept_bytes(), 0);
        });
    }
}
