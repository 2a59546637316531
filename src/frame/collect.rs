//! Where the partitions of a computed frame go: into one frame, or into a persisted one.

use std::sync::{Mutex, PoisonError};

use polars_core::frame::DataFrame;
use polars_core::prelude::SortOptions;
use polars_core::series::IsSorted;
use polars_ops::prelude::SeriesMethods;

use super::kernels::concat::concat;
use super::kernels::values_error;
use super::partition::frame;
use crate::compute::Collector;
use crate::error::{Error, Result};
use crate::graph::Block;

/// Keeps the partitions in their order.
#[derive(Default)]
pub(crate) struct Gather {
    parts: Mutex<Vec<Option<DataFrame>>>,
}

impl Gather {
    /// The partitions, once the run has ended.
    pub(crate) fn take_parts(&self) -> Result<Vec<DataFrame>> {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let parts: Option<Vec<DataFrame>> = std::mem::take(&mut *parts).into_iter().collect();
        parts.ok_or_else(|| Error::Internal {
            place: "gathering partitions".into(),
            problem: "not all of them came".into(),
        })
    }

    /// All rows as one frame.
    pub(crate) fn take_frame(&self) -> Result<DataFrame> {
        concat(self.take_parts()?)
    }
}

impl Collector for Gather {
    fn start(&self, n_blocks: u64) -> Result<()> {
        let places = vec![None; n_blocks as usize];
        *self.parts.lock().unwrap_or_else(PoisonError::into_inner) = places;
        Ok(())
    }

    fn accept(&self, part: usize, value: Block) -> Result<()> {
        let value = frame(value);
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)[part] = Some(value);
        Ok(())
    }
}

/// The partitions, in which polars knows of the column `index` that it is sorted where it is.
pub(crate) fn with_known_order(parts: Vec<DataFrame>, index: &str) -> Result<Vec<DataFrame>> {
    let known = |mut part: DataFrame| {
        let keys = part.column(index)?;
        let order = SortOptions::default().with_nulls_last(true);
        if keys.is_sorted_flag() == IsSorted::Not
            && keys.as_materialized_series().is_sorted(order)?
        {
            let mut keys = keys.clone();
            keys.set_sorted_flag(IsSorted::Ascending);
            part.with_column(keys)?;
        }
        Ok(part)
    };
    parts.into_iter().map(|part| known(part).map_err(values_error("persist"))).collect()
}
