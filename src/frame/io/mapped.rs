//! Partitions that a function of the user makes, each of one input.

use std::fmt;

use polars_core::frame::DataFrame;
use polars_core::prelude::{PlSmallStr, PolarsResult, SchemaRef};

use super::{Request, Source};
use crate::error::{Call, Error, Result};
use crate::frame::show::schema_text;

/// From the number of a partition to its rows.
pub(crate) type PartitionMaker = dyn Fn(usize) -> PolarsResult<DataFrame> + Send + Sync;

/// Parts that are made when they are read. Their size is not known; they count as `part_bytes`.
pub(crate) struct Mapped {
    pub(crate) call: Call,
    pub(crate) n_parts: usize,
    pub(crate) schema: SchemaRef,
    pub(crate) part_bytes: u64,
    pub(crate) make: Box<PartitionMaker>,
}

impl fmt::Debug for Mapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapped").field("n_parts", &self.n_parts).finish_non_exhaustive()
    }
}

impl Source for Mapped {
    fn name(&self) -> String {
        "from_map".into()
    }

    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn n_parts(&self) -> usize {
        self.n_parts
    }

    fn n_rows(&self, _part: usize) -> Option<u64> {
        None
    }

    fn nbytes(&self, _part: usize, columns: &[PlSmallStr]) -> u64 {
        let share = self.part_bytes as u128 * columns.len() as u128;
        (share / self.schema.len().max(1) as u128) as u64
    }

    fn scratch_bytes(&self, part: usize, columns: &[PlSmallStr]) -> u64 {
        // The function makes all columns.
        self.part_bytes.saturating_sub(self.nbytes(part, columns))
    }

    fn read(&self, part: usize, request: &Request) -> Result<DataFrame> {
        let failed = |error: polars_core::prelude::PolarsError| Error::Values {
            operation: self.name(),
            problem: error.to_string(),
        };
        let made = (self.make)(part).map_err(failed)?;
        if made.schema() != &self.schema {
            return Err(Error::SchemaMismatch {
                call: self.call,
                got: schema_text(made.schema()),
                expected: schema_text(&self.schema),
                remedy: "declare the schema that the function returns",
            });
        }
        let columns = made.select(request.columns.iter().cloned()).map_err(failed)?;
        // Polars forgets the height with the last column.
        let rows =
            request.n_rows_max.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
        match (columns.width(), rows.min(made.height())) {
            (0, rows) => Ok(DataFrame::empty_with_height(rows)),
            (_, rows) if rows < columns.height() => Ok(columns.slice(0, rows)),
            _ => Ok(columns),
        }
    }
}
