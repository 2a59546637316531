//! A scan and what is done with each of its rows alone, or with a table beside, batch by batch, while these are in a cache.
//!
//! A part that is read whole goes through memory once for each step. In a pipeline only what comes out at the end is as
//! long as the part: the rows that are left, or the states of their groups. The first filter is the source's, which
//! may read fewer rows of the columns that the filter does not look at.

#[cfg(test)]
mod tests;

use std::any::Any;
use std::sync::Arc;

use polars_core::frame::DataFrame;
use polars_core::prelude::{BooleanChunked, ChunkFillNullValue, PlSmallStr};

use super::aggregate::AggregateStep;
use super::eval::evaluate_rows;
use super::group_by::Running;
use super::tasks::{ScanKernel, filter, select, table_of};
use super::values_error;
use crate::error::Result;
use crate::frame::expr::{AggregatePlan, Expr};
use crate::frame::io::{Each, Request, RowFilter, gathered};
use crate::frame::partition::{block, without_idle_text};
use crate::graph::{Block, BytesRead, Inputs, Kernel, Line, TaskContext, Wiring, at_line};

/// Reads a part, and computes of each batch what the steps say.
#[derive(Clone, Debug)]
pub(crate) struct PipelineKernel {
    scan: ScanKernel,
    /// The line of the user that the scan comes from.
    line: Option<Line>,
    filter: Option<Arc<Predicate>>,
    steps: Vec<(Step, Option<Line>)>,
    /// Each slot is the table of a join, of one or several.
    n_tables: usize,
    /// What the rows are aggregated to, if they are.
    end: Option<End>,
}

#[derive(Clone, Debug)]
struct End {
    plan: Arc<AggregatePlan>,
    step: AggregateStep,
    line: Option<Line>,
}

#[derive(Clone, Debug)]
enum Step {
    Filter(Expr),
    Select(Arc<[Expr]>),
    /// Joins rows with the table of a right side.
    Join {
        slot: usize,
    },
}

impl PipelineKernel {
    /// What `producer` does, if something can be done with the rows that it reads.
    fn of(producer: &dyn Kernel, wiring: &Wiring) -> Option<Self> {
        let producer: &dyn Any = producer;
        let n_tables = wiring.n_slots;
        if let Some(pipeline) = producer.downcast_ref::<PipelineKernel>() {
            let mut pipeline = pipeline.end.is_none().then(|| pipeline.clone())?;
            for (step, _) in &mut pipeline.steps {
                if let Step::Join { slot } = step {
                    *slot = wiring.producer[*slot];
                }
            }
            return Some(PipelineKernel { n_tables, ..pipeline });
        }
        let scan = producer.downcast_ref::<ScanKernel>()?;
        // Rows in memory are there in one piece, and are given out without a copy.
        let scan = (!scan.source.is_resident()).then(|| scan.clone())?;
        let (line, steps) = (wiring.lines[0], Vec::new());
        Some(PipelineKernel { scan, line, filter: None, steps, n_tables, end: None })
    }

    /// `producer`, and then only the rows for which the predicate is true.
    pub(crate) fn filtering(
        producer: &dyn Kernel,
        predicate: &Expr,
        wiring: &Wiring,
    ) -> Option<Arc<dyn Kernel>> {
        let mut pipeline = PipelineKernel::of(producer, wiring)?;
        let is_first = pipeline.filter.is_none() && pipeline.steps.is_empty();
        if is_first && pipeline.scan.request.n_rows_max.is_none() {
            pipeline.filter = Some(Arc::new(Predicate::new(predicate.clone(), wiring.lines[1])));
        } else {
            pipeline.steps.push((Step::Filter(predicate.clone()), wiring.lines[1]));
        }
        Some(Arc::new(pipeline))
    }

    /// `producer`, and then these columns.
    pub(crate) fn selecting(
        producer: &dyn Kernel,
        exprs: &Arc<[Expr]>,
        wiring: &Wiring,
    ) -> Option<Arc<dyn Kernel>> {
        let mut pipeline = PipelineKernel::of(producer, wiring)?;
        pipeline.needs_only(exprs.iter());
        pipeline.steps.push((Step::Select(Arc::clone(exprs)), wiring.lines[1]));
        Some(Arc::new(pipeline))
    }

    /// `producer`, and then the join with the table in slot `table` of the join.
    pub(crate) fn joining(
        producer: &dyn Kernel,
        table: usize,
        wiring: &Wiring,
    ) -> Option<Arc<dyn Kernel>> {
        let mut pipeline = PipelineKernel::of(producer, wiring)?;
        pipeline.steps.push((Step::Join { slot: wiring.consumer[table] }, wiring.lines[1]));
        Some(Arc::new(pipeline))
    }

    /// `producer`, and then this aggregation of its rows, if they need not be there at once.
    pub(crate) fn aggregating(
        producer: &dyn Kernel,
        plan: &Arc<AggregatePlan>,
        step: AggregateStep,
        wiring: &Wiring,
    ) -> Option<Arc<dyn Kernel>> {
        if !Running::is_possible(plan) {
            return None;
        }
        let mut pipeline = PipelineKernel::of(producer, wiring)?;
        pipeline.needs_only(plan.keys.iter().chain(&plan.inputs));
        pipeline.end = Some(End { plan: Arc::clone(plan), step, line: wiring.lines[1] });
        Some(Arc::new(pipeline))
    }

    /// Leaves out columns that only the filter of the source looks at, if what comes next needs just these.
    fn needs_only<'a>(&mut self, exprs: impl IntoIterator<Item = &'a Expr>) {
        let mut needed: Vec<PlSmallStr> = Vec::new();
        for (step, _) in &self.steps {
            match step {
                Step::Filter(predicate) => predicate.add_columns(&mut needed),
                Step::Select(_) | Step::Join { .. } => return,
            }
        }
        exprs.into_iter().for_each(|expr| expr.add_columns(&mut needed));
        let request = &mut self.scan.request;
        let columns = request.columns.iter().filter(|name| needed.contains(name));
        *request = Request { columns: columns.cloned().collect(), ..request.clone() };
    }

    /// The filter of the source.
    fn of_source(&self) -> Option<&dyn RowFilter> {
        self.filter.as_deref().map(|filter| filter as &dyn RowFilter)
    }

    fn batches(&self, part: usize, tables: &[Block], each: Each<'_>) -> Result<()> {
        let of_source = self.of_source();
        let is_select = |(step, _): &(Step, _)| matches!(step, Step::Select(_));
        let drops_rows = of_source.is_some() || !self.steps.iter().all(is_select);
        let ScanKernel { source, request, .. } = &self.scan;
        let mut take = |mut rows: DataFrame| {
            for (step, line) in &self.steps {
                rows = at_line(*line, || match step {
                    Step::Filter(predicate) => filter(&rows, predicate),
                    Step::Select(exprs) => select(&rows, exprs),
                    Step::Join { slot } => table_of(&tables[*slot]).join(&rows),
                })?;
            }
            // Else a few rows would keep the text of all batches until the last one has come.
            each(if drops_rows { without_idle_text(rows) } else { rows })
        };
        at_line(self.line, || source.read_batches(part, request, of_source, &mut take))
    }
}

impl Kernel for PipelineKernel {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let part = self.scan.parts[task.block[0] as usize];
        let tables: Vec<Block> = (0..self.n_tables).map(|slot| inputs.take_one(slot)).collect();
        let Some(End { plan, step, line }) = &self.end else {
            return gathered(|each| self.batches(part, &tables, each)).map(block);
        };
        let mut running = Running::new(plan);
        self.batches(part, &tables, &mut |rows| at_line(*line, || running.add(&rows)))?;
        at_line(*line, || match step {
            AggregateStep::All => running.whole(),
            _ => running.partial(),
        })
        .map(block)
    }

    fn n_steps(&self) -> usize {
        1 + usize::from(self.filter.is_some()) + self.steps.len() + usize::from(self.end.is_some())
    }

    fn bytes_read(&self) -> BytesRead {
        self.scan.bytes_read
    }

    fn has_numbered_blocks(&self) -> bool {
        true
    }

    /// Where there are many groups, their rows are gathered first. Those of a join are in pieces before they are in one.
    fn may_gather(&self) -> bool {
        let ScanKernel { source, request, .. } = &self.scan;
        let has_groups = |end: &End| !end.plan.keys.is_empty();
        self.end.as_ref().map_or(self.n_tables > 0, has_groups)
            || source.may_gather(request, self.of_source())
    }
}

/// An expression that is true on the wanted rows.
#[derive(Debug)]
struct Predicate {
    expr: Expr,
    columns: Vec<PlSmallStr>,
    line: Option<Line>,
}

impl Predicate {
    fn new(expr: Expr, line: Option<Line>) -> Self {
        let mut columns = Vec::new();
        expr.add_columns(&mut columns);
        Predicate { expr, columns, line }
    }
}

impl RowFilter for Predicate {
    fn columns(&self) -> &[PlSmallStr] {
        &self.columns
    }

    /// Where the expression is null the row is not wanted.
    fn mask(&self, frame: &DataFrame) -> Result<BooleanChunked> {
        let mask = at_line(self.line, || evaluate_rows(&self.expr, frame))?;
        let mask = mask.bool().and_then(|mask| match mask.has_nulls() {
            true => mask.fill_null_with_values(false),
            false => Ok(mask.clone()),
        });
        mask.map_err(values_error(self.expr.to_string()))
    }
}
