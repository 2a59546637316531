//! Columns that need all rows of their group: rows leave their partitions for their group's, and come back.

use std::sync::Arc;

use polars_core::frame::DataFrame;
use polars_core::prelude::{Column, IdxSize, PlSmallStr};

use super::eval::evaluate_rows;
use super::exchange::Exchange;
use super::rows::gather;
use super::shuffle::done;
use super::split::split;
use super::{failed, refused};
use crate::error::Result;
use crate::frame::expr::Expr;
use crate::frame::partition::{block, frame};
use crate::graph::{Block, Inputs, Kernel, TaskContext};

/// Columns behind those of the block, computed from all of its rows.
#[derive(Debug)]
pub(crate) struct AddKernel {
    pub(crate) exprs: Arc<[Expr]>,
}

impl Kernel for AddKernel {
    fn run(&self, _task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        Ok(block(with(frame(inputs.take_one(0)), &self.exprs)?))
    }
}

fn with(rows: DataFrame, exprs: &[Expr]) -> Result<DataFrame> {
    let height = rows.height();
    let added: Result<Vec<Column>> = exprs.iter().map(|expr| evaluate_rows(expr, &rows)).collect();
    let mut columns = rows.into_columns();
    columns.extend(added?);
    DataFrame::new(height, columns).map_err(failed("add columns"))
}

/// The columns of the only row in slot 1 on each row of slot 0; they take no memory.
#[derive(Debug)]
pub(crate) struct AttachKernel;

impl Kernel for AttachKernel {
    fn run(&self, _task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let (rows, row) = (frame(inputs.take_one(0)), frame(inputs.take_one(1)));
        if row.height() != 1 {
            return Err(refused("attach", format!("got {} rows, expected one", row.height())));
        }
        let height = rows.height();
        let mut columns = rows.into_columns();
        columns.extend(row.columns().iter().map(|column| column.new_from_index(0, height)));
        Ok(block(DataFrame::new(height, columns).map_err(failed("attach"))?))
    }
}

/// The names of the columns that rows take along: where they come from, and their keys.
#[derive(Clone, Debug)]
pub(crate) struct Ticket {
    pub(crate) part: PlSmallStr,
    pub(crate) row: PlSmallStr,
    pub(crate) keys: Arc<[PlSmallStr]>,
}

/// Gives each row its ticket.
#[derive(Debug)]
pub(crate) struct NumberKernel {
    pub(crate) ticket: Ticket,
    pub(crate) keys: Arc<[Expr]>,
}

impl Kernel for NumberKernel {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let rows = frame(inputs.take_one(0));
        let height = rows.height();
        let mut columns = Vec::with_capacity(rows.width() + 2 + self.keys.len());
        for (key, name) in self.keys.iter().zip(self.ticket.keys.iter()) {
            columns.push(evaluate_rows(key, &rows)?.with_name(name.clone()));
        }
        let part = Column::new(self.ticket.part.clone(), [task.block[0] as IdxSize]);
        columns.push(part.new_from_index(0, height));
        columns
            .push(Column::new(self.ticket.row.clone(), (0..height as IdxSize).collect::<Vec<_>>()));
        columns.extend(rows.into_columns());
        Ok(block(DataFrame::new(height, columns).map_err(failed("over"))?))
    }
}

/// Computes columns for the rows of some groups, and puts the rows into the exchange by the partition on their ticket.
#[derive(Debug)]
pub(crate) struct ReturnKernel {
    pub(crate) exprs: Arc<[Expr]>,
    pub(crate) ticket: Ticket,
    pub(crate) exchange: Arc<Exchange>,
    pub(crate) n_out: usize,
}

impl Kernel for ReturnKernel {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let rows = with(frame(inputs.take_one(0)), &self.exprs)?;
        let outputs = numbers(&rows, &self.ticket.part)?;
        let rows = rows.drop_many(self.ticket.keys.iter().cloned());
        self.exchange.put(task.block[0] as usize, split(&rows, &outputs, self.n_out)?)?;
        Ok(done())
    }
}

/// Puts the rows of a partition, which are all there again, in the order on their tickets.
#[derive(Debug)]
pub(crate) struct RestoreKernel {
    pub(crate) ticket: Ticket,
}

impl Kernel for RestoreKernel {
    fn run(&self, _task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let rows = frame(inputs.take_one(0));
        let mut order = vec![0; rows.height()];
        for (at, row) in numbers(&rows, &self.ticket.row)?.into_iter().enumerate() {
            match order.get_mut(row as usize) {
                Some(place) => *place = at as IdxSize,
                None => return Err(refused("over", "a row came back to a wrong partition")),
            }
        }
        let rows = rows.drop_many([self.ticket.part.clone(), self.ticket.row.clone()]);
        Ok(block(gather("over", &rows, order)?))
    }
}

fn numbers(rows: &DataFrame, name: &str) -> Result<Vec<IdxSize>> {
    let numbers =
        rows.column(name).and_then(|column| column.idx().cloned()).map_err(failed("over"))?;
    Ok(numbers.iter().flatten().collect())
}
