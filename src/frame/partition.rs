//! Partitions as the blocks of task graphs.

use std::io::{self, Write};
use std::sync::Arc;

use polars_core::frame::DataFrame;
use polars_core::prelude::DataType;

use super::kernels::spill;
use crate::graph::{Block, Load, Spill, Value};

/// Rows of a frame, in memory.
#[derive(Debug)]
struct Partition {
    frame: DataFrame,
    nbytes: u64,
}

impl Value for Partition {
    fn nbytes(&self) -> u64 {
        self.nbytes
    }

    fn as_spill(&self) -> Option<&dyn Spill> {
        // Categories inside of others don't come back as what they were.
        let is_plain = |dtype: &DataType| !dtype.is_nested() && !dtype.is_object();
        let has_rows = self.frame.height() > 0 && self.frame.width() > 0;
        let is_fit = has_rows && self.frame.columns().iter().all(|column| is_plain(column.dtype()));
        is_fit.then_some(self)
    }
}

impl Spill for Partition {
    /// Writes an Arrow IPC stream.
    fn save(&self, to: &mut dyn Write) -> io::Result<Load> {
        spill::save(self.frame.clone(), to)?;
        let schema = Arc::clone(self.frame.schema());
        Ok(Box::new(move |from| spill::load(from, &schema).map(block)))
    }
}

/// `frame` as a block.
pub(crate) fn block(frame: DataFrame) -> Block {
    let nbytes = frame.estimated_size() as u64;
    Block::new(Partition { frame, nbytes })
}

/// `frame`, whose memory is the user's or that of a persisted frame, as a block.
pub(crate) fn borrowed(frame: DataFrame) -> Block {
    Block::new(Partition { frame, nbytes: 0 })
}

/// The rows of a block, if it is a partition.
pub(crate) fn rows(block: &Block) -> Option<&DataFrame> {
    Some(&block.downcast_ref::<Partition>()?.frame)
}

/// The frame of a block; its columns are shared if somebody else still holds the block.
pub(crate) fn frame(block: Block) -> DataFrame {
    match block.try_unwrap::<Partition>() {
        Ok(partition) => partition.frame,
        Err(shared) => {
            let partition = shared.downcast_ref::<Partition>();
            partition.expect("layers of frames read layers of frames").frame.clone()
        }
    }
}
