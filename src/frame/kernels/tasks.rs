//! What the tasks of frames do, as kernels of layers.

use std::sync::Arc;

use polars_core::frame::DataFrame;
use polars_core::prelude::{BooleanChunked, Column, IdxSize};

use super::concat::concat;
use super::eval::{evaluate, evaluate_rows};
use super::join::{Built, JoinSpec, join};
use super::pipeline::PipelineKernel;
use super::rows::gather;
use super::sort::{Limit, SortSpec, sort, sort_end};
use super::values_error;
use crate::error::{Error, Result};
use crate::frame::expr::Expr;
use crate::frame::io::{Request, Source};
use crate::frame::op::MapPartitions;
use crate::frame::partition::{block, borrowed, frame};
use crate::frame::partitions::repartition::even_piece;
use crate::graph::{Block, BytesRead, Inputs, Kernel, TaskContext, Wiring};

/// Reads part `parts[i]` of a source for block `i`.
#[derive(Clone, Debug)]
pub(crate) struct ScanKernel {
    pub(crate) source: Arc<dyn Source>,
    pub(crate) parts: Arc<[usize]>,
    pub(crate) request: Request,
    pub(crate) bytes_read: BytesRead,
    /// Of the largest block, if the source lends its rows.
    pub(crate) lent_bytes: u64,
}

impl Kernel for ScanKernel {
    fn run(&self, task: &TaskContext<'_>, _inputs: Inputs) -> Result<Block> {
        let part = self.parts[task.block[0] as usize];
        let rows = self.source.read(part, &self.request)?;
        Ok(match self.source.is_resident() {
            true => borrowed(rows, self.source.hold(part)),
            false => block(rows),
        })
    }

    fn has_numbered_blocks(&self) -> bool {
        true
    }

    fn bytes_read(&self) -> BytesRead {
        self.bytes_read
    }

    fn lent_bytes(&self) -> u64 {
        self.lent_bytes
    }
}

/// Computes columns, each row from one row.
#[derive(Debug)]
pub(crate) struct SelectKernel {
    pub(crate) exprs: Arc<[Expr]>,
}

impl Kernel for SelectKernel {
    fn run(&self, _task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        Ok(block(select(&frame(inputs.take_one(0)), &self.exprs)?))
    }

    fn absorb(
        &self,
        _slot: usize,
        producer: &dyn Kernel,
        wiring: &Wiring,
    ) -> Option<Arc<dyn Kernel>> {
        PipelineKernel::selecting(producer, &self.exprs, wiring)
    }
}

/// The frame of these columns; what is the same for all rows is repeated.
pub(crate) fn select(frame: &DataFrame, exprs: &[Expr]) -> Result<DataFrame> {
    let columns: Result<Vec<Column>> =
        exprs.iter().map(|expr| evaluate_rows(expr, frame)).collect();
    DataFrame::new(frame.height(), columns?).map_err(values_error("select"))
}

/// Keeps the rows for which the predicate is true.
#[derive(Debug)]
pub(crate) struct FilterKernel {
    pub(crate) predicate: Expr,
}

impl Kernel for FilterKernel {
    fn run(&self, _task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let frame = frame(inputs.take_one(0));
        Ok(block(filter(&frame, &self.predicate)?))
    }

    fn absorb(
        &self,
        _slot: usize,
        producer: &dyn Kernel,
        wiring: &Wiring,
    ) -> Option<Arc<dyn Kernel>> {
        PipelineKernel::filtering(producer, &self.predicate, wiring)
    }
}

/// The rows of `frame` for which `predicate` is true; where it is null it is not.
pub(crate) fn filter(frame: &DataFrame, predicate: &Expr) -> Result<DataFrame> {
    let mask = evaluate(predicate, frame)?;
    let mask: &BooleanChunked = mask.bool().map_err(values_error(predicate.to_string()))?;
    frame.filter_seq(mask).map_err(values_error(predicate.to_string()))
}

/// Rows `offset..offset + len` of all blocks of slot 0 together.
#[derive(Debug)]
pub(crate) struct ConcatKernel {
    pub(crate) offset: u64,
    pub(crate) len: u64,
}

impl Kernel for ConcatKernel {
    fn run(&self, _task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let whole = concat(inputs.take_slot(0).map(frame))?;
        let offset = self.offset.min(whole.height() as u64);
        let len = self.len.min(whole.height() as u64 - offset);
        if len == whole.height() as u64 {
            return Ok(block(whole));
        }
        if len < whole.height() as u64 / 2 {
            // A slice would keep all rows in memory.
            let rows = (offset..offset + len).map(|row| row as IdxSize);
            return Ok(block(gather("slice", &whole, rows.collect())?));
        }
        Ok(block(whole.slice(offset as i64, len as usize)))
    }
}

/// Of block `i`, piece `pieces[i].0` of `pieces[i].1` pieces of about as many rows.
#[derive(Debug)]
pub(crate) struct PieceKernel {
    pub(crate) pieces: Vec<(usize, usize)>,
}

impl Kernel for PieceKernel {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let rows = frame(inputs.take_one(0));
        let (i, n) = self.pieces[task.block[0] as usize];
        let piece = even_piece(rows.height(), n, i);
        Ok(block(rows.slice(piece.start as i64, piece.len())))
    }
}

/// Makes the table of one side of a join, which all partitions of the other side share.
#[derive(Debug)]
pub(crate) struct TableKernel {
    pub(crate) spec: Arc<JoinSpec>,
    pub(crate) side: usize,
}

impl Kernel for TableKernel {
    fn run(&self, _task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        Ok(Block::new(Built::new(frame(inputs.take_one(0)), &self.spec, self.side)?))
    }
}

/// Joins a block of slot 0 with a block of slot 1, one of which may be a table.
#[derive(Debug)]
pub(crate) struct JoinKernel {
    pub(crate) spec: Arc<JoinSpec>,
    /// The slot of the table.
    pub(crate) built: Option<usize>,
}

impl Kernel for JoinKernel {
    fn run(&self, _task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let Some(side) = self.built else {
            let (left, right) = (frame(inputs.take_one(0)), frame(inputs.take_one(1)));
            return Ok(block(join(&left, &right, &self.spec)?));
        };
        let table = inputs.take_one(side);
        Ok(block(table_of(&table).join(&frame(inputs.take_one(1 - side)))?))
    }

    /// Not where the table is the left one, in whose order the rows come.
    fn absorb(
        &self,
        slot: usize,
        producer: &dyn Kernel,
        wiring: &Wiring,
    ) -> Option<Arc<dyn Kernel>> {
        let is_rowwise = self.built == Some(1) && slot == 0;
        is_rowwise.then(|| PipelineKernel::joining(producer, 1, wiring))?
    }
}

/// The table that a [`TableKernel`] made.
pub(super) fn table_of(block: &Block) -> &Built {
    block.downcast_ref().expect("the layer of this slot makes tables")
}

/// Sorts a block, or finds the rows at one end of its order.
#[derive(Clone, Debug)]
pub(crate) struct SortKernel {
    pub(crate) spec: Arc<SortSpec>,
    pub(crate) limit: Option<Limit>,
}

impl Kernel for SortKernel {
    fn run(&self, _task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let rows = frame(inputs.take_one(0));
        Ok(block(match self.limit {
            Some(limit) => sort_end(&rows, &self.spec, limit)?,
            None => sort(&rows, &self.spec)?,
        }))
    }
}

/// Calls a user's function on each partition and checks what it returns.
#[derive(Debug)]
pub(crate) struct MapPartitionsKernel {
    pub(crate) map: Arc<MapPartitions>,
}

impl Kernel for MapPartitionsKernel {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let map = &self.map;
        let out = (map.function)(frame(inputs.take_one(0)), task.block[0] as usize);
        let out = out.map_err(values_error(&*map.name))?;
        checked(map, out).map(block)
    }

    fn runs_user_code(&self) -> bool {
        true
    }
}

/// What a user's function returned, if it has the schema that was declared.
pub(super) fn checked(map: &MapPartitions, out: DataFrame) -> Result<DataFrame> {
    if **out.schema() == *map.schema {
        return Ok(out);
    }
    Err(Error::SchemaMismatch {
        call: map.call,
        got: crate::frame::show::schema_text(out.schema()),
        expected: crate::frame::show::schema_text(&map.schema),
        remedy: "declare the schema that the function returns",
    })
}
