//! Partitions as the blocks of task graphs.

use polars_core::frame::DataFrame;

use crate::graph::{Block, Value};

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
