//! Partitions as the blocks of task graphs.

use std::io::{self, Write};
use std::sync::Arc;

use polars_core::frame::DataFrame;
use polars_core::prelude::{BinaryChunked, Column, DataType, IntoColumn, StringChunked};

use super::kernels::spill;
use crate::graph::{Block, Load, Spill, Value};
use crate::keep::Hold;

/// Rows of a frame, in memory.
#[derive(Debug)]
struct Partition {
    frame: DataFrame,
    nbytes: u64,
    /// If it is kept beyond its run.
    hold: Option<Hold>,
}

impl Value for Partition {
    fn nbytes(&self) -> u64 {
        self.nbytes
    }

    fn as_spill(&self) -> Option<&dyn Spill> {
        spill::can_leave(&self.frame).then_some(self)
    }
}

impl Spill for Partition {
    /// Writes an Arrow IPC stream.
    fn save(&self, to: &mut dyn Write) -> io::Result<Load> {
        spill::save(self.frame.clone(), to)?;
        let schema = Arc::clone(self.frame.schema());
        Ok(Box::new(move |from, _| spill::load(from, &schema).map(block)))
    }

    fn is_compressed(&self) -> bool {
        true
    }
}

/// `frame` as a block, which holds no more text than its rows need.
pub(crate) fn block(frame: DataFrame) -> Block {
    let frame = without_idle_text(frame);
    let nbytes = frame.estimated_size() as u64;
    Block::new(Partition { frame, nbytes, hold: None })
}

/// Less text than this may stay in memory without a row that has it.
const IDLE_TEXT_MAX: usize = 16 << 10;

/// Rows that were picked from others share their text, of which a few can keep all in memory. The rest is left behind where it
/// is more than what the rows have, so that the copy costs no more than they.
pub(crate) fn without_idle_text(frame: DataFrame) -> DataFrame {
    let is_idle = |kept: usize, needed: usize| kept > IDLE_TEXT_MAX && kept / 2 > needed;
    let compacted = |column: &Column| -> Option<Column> {
        let Column::Series(series) = column else { return None };
        macro_rules! compacted {
            ($values:expr, $dtype:ty) => {{
                let values = $values.ok()?;
                let idle = values
                    .downcast_iter()
                    .map(|chunk| is_idle(chunk.total_buffer_len(), chunk.total_bytes_len()));
                let idle: Vec<bool> = idle.collect();
                idle.contains(&true).then(|| {
                    let chunks = values.downcast_iter().zip(idle);
                    let chunks = chunks.map(|(chunk, idle)| match idle {
                        true => chunk.clone().gc(),
                        false => chunk.clone(),
                    });
                    <$dtype>::from_chunk_iter(column.name().clone(), chunks).into_column()
                })
            }};
        }
        match series.dtype() {
            DataType::String => compacted!(series.str(), StringChunked),
            DataType::Binary => compacted!(series.binary(), BinaryChunked),
            _ => None,
        }
    };
    let (height, mut columns) = (frame.height(), frame.into_columns());
    for column in &mut columns {
        if let Some(compacted) = compacted(column) {
            *column = compacted;
        }
    }
    DataFrame::new(height, columns).expect("columns keep their names and lengths")
}

/// `frame`, whose memory is the user's, or is kept and has a hold, as a block.
pub(crate) fn borrowed(frame: DataFrame, hold: Option<Hold>) -> Block {
    Block::new(Partition { frame, nbytes: 0, hold })
}

/// What counts the memory of a block that is kept already.
pub(crate) fn hold_of(block: &Block) -> Option<Hold> {
    block.downcast_ref::<Partition>()?.hold.clone()
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

#[cfg(test)]
mod tests {
    use super::*;
    use polars_core::df;

    #[test]
    fn a_few_rows_do_not_keep_the_text_of_all() {
        let texts: Vec<String> = (0..2000).map(|i| format!("{i}, which is a long text")).collect();
        let rows = df!["i" => (0..2000).collect::<Vec<i32>>(), "s" => texts].unwrap();
        let all = block(rows.clone()).nbytes();
        let few = rows.slice(500, 10);
        let picked = block(few.clone());
        assert!(picked.nbytes() < all / 50, "{} of {all}", picked.nbytes());
        assert!(frame(picked).equals(&few));
        // Most of the text is needed.
        assert_eq!(
            block(rows.head(Some(1500))).nbytes(),
            rows.head(Some(1500)).estimated_size() as u64
        );
        let none = DataFrame::empty_with_height(3);
        assert_eq!(frame(block(none)).height(), 3);
    }
}
