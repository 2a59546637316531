//! Where the partitions of a computed frame go: into one frame.

use std::sync::{Mutex, PoisonError};

use polars_core::frame::DataFrame;

use super::kernels::concat::concat;
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

    fn is_for_user(&self) -> bool {
        true
    }
}
