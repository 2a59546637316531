//! Functions of rows in an order, over partitions that see only their edges of each other.
//!
//! A partition gets the rows before and after it that its functions reach, and for functions of all rows before
//! (running sums, the last value that there was) the one value that stands for these. Both come from *edges*:
//! what some consecutive partitions leave for the others. Edges of neighbours merge, so that rows are found also
//! where partitions are shorter than a window, or empty.

use std::io::{self, Write};
use std::sync::Arc;

use polars_core::frame::DataFrame;
use polars_core::prelude::{Column, DataType, IdxSize, PlSmallStr, PolarsResult, Schema, TimeUnit};

use super::concat::concat;
use super::eval::{evaluate, evaluate_rows};
use super::failed;
use super::rows::gather;
use super::spill;
use crate::error::{Error, Result};
use crate::frame::expr::{Context, Expr, ExprKind, col, context, infer_field};
use crate::frame::partition::{block, frame};
use crate::graph::{Block, Inputs, Kernel, Load, Spill, TaskContext, Value};

/// On which side of a partition an edge is used: before its first row, or after its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Before,
    After,
}

/// What is computed of partitions, and what that needs of other partitions.
#[derive(Clone, Debug)]
pub(crate) struct OrderedSpec {
    /// Functions that reach some rows.
    windows: Vec<Expr>,
    /// Functions that need one value.
    carries: Vec<Carry>,
    /// The columns of the rows that windows reach.
    columns: Vec<PlSmallStr>,
    before: u64,
    after: u64,
    /// Columns in whose order rows are, and how far windows reach back along them.
    spans: Vec<(PlSmallStr, i64)>,
    /// The names of all results, in order.
    names: Vec<PlSmallStr>,
}

/// A function whose own results stand for the rows that they were computed from.
#[derive(Clone, Debug)]
struct Carry {
    name: PlSmallStr,
    input: Expr,
    /// The dtype of the result, in which the input is given, because partial results are inputs too.
    dtype: DataType,
    /// The function of a column of this name.
    function: Expr,
    side: Side,
}

impl OrderedSpec {
    /// # Errors
    /// [`Error::Internal`] for functions that need all rows.
    pub(crate) fn new(exprs: &[Expr], schema: &Schema) -> Result<Self> {
        let names = exprs.iter().map(Expr::output_name).collect();
        let mut spec = OrderedSpec {
            windows: vec![],
            carries: vec![],
            columns: vec![],
            before: 0,
            after: 0,
            spans: vec![],
            names,
        };
        for expr in exprs {
            match context(expr) {
                Context::Rows { before, after } => {
                    expr.add_columns(&mut spec.columns);
                    spec.before = spec.before.max(before);
                    spec.after = spec.after.max(after);
                    spec.windows.push(expr.clone());
                }
                Context::Carry { reverse } => {
                    let side = if reverse { Side::After } else { Side::Before };
                    spec.carries.push(Carry::new(expr, schema, side)?);
                }
                Context::Span { by, reach } => {
                    expr.add_columns(&mut spec.columns);
                    spec.spans.push((by, reach));
                    spec.windows.push(expr.clone());
                }
                Context::All => return Err(not_ordered(expr)),
            }
        }
        Ok(spec)
    }

    /// A spec without functions, which only finds rows.
    pub(crate) fn of_rows(columns: Vec<PlSmallStr>, before: u64, after: u64) -> Self {
        OrderedSpec {
            windows: vec![],
            carries: vec![],
            columns,
            before,
            after,
            spans: vec![],
            names: vec![],
        }
    }

    /// How many rows are wanted on a side.
    pub(crate) fn n_rows(&self, side: Side) -> u64 {
        match side {
            Side::Before => self.before,
            Side::After => self.after,
        }
    }

    /// The columns of the rows that are wanted.
    pub(crate) fn columns(&self) -> &[PlSmallStr] {
        &self.columns
    }

    /// Whether all partitions on a side may matter: by way of a value that stands for them, or of times.
    pub(crate) fn sees_all(&self, side: Side) -> bool {
        self.carries.iter().any(|carry| carry.side == side) || !self.spans.is_empty()
    }

    /// Whether edges on this side have values of functions that carry one.
    pub(crate) fn carries(&self, side: Side) -> bool {
        self.of_side(side).next().is_some()
    }

    /// What one partition leaves for those on the other side of it.
    fn edge(&self, rows: &DataFrame, side: Side) -> Result<Edge> {
        let context = rows.select(self.columns.iter().cloned()).map_err(failed("edge"))?;
        let values = self.of_side(side).map(|carry| carry.last(&carry.values(rows)?));
        // A slice would hold the memory of the whole partition.
        let rows = copied(&self.cut(&context, side)?)?;
        Ok(Edge { rows, values: values.collect::<Result<_>>()? })
    }

    /// What partitions leave of which `near` are nearer than `far`.
    fn merge(&self, far: Edge, near: Edge, side: Side) -> Result<Edge> {
        let rows = stack(far.rows, near.rows, side)?;
        let values = self.of_side(side).zip(far.values.iter().zip(&near.values));
        let values = values.map(|(carry, (far, near))| carry.last(&joined(far, near, side)?));
        Ok(Edge { rows: self.cut(&rows, side)?, values: values.collect::<Result<_>>()? })
    }

    /// The rows of a frame that are nearest to a partition of which it is on this side.
    fn cut(&self, rows: &DataFrame, side: Side) -> Result<DataFrame> {
        let mut n = usize::try_from(self.n_rows(side)).unwrap_or(usize::MAX);
        for (by, reach) in &self.spans {
            let by = rows.column(by).map_err(failed("window"))?;
            n = n.max(n_within(by, *reach, side).map_err(failed("window"))?);
        }
        Ok(match side {
            Side::Before => rows.tail(Some(n)),
            Side::After => rows.head(Some(n)),
        })
    }

    fn of_side(&self, side: Side) -> impl Iterator<Item = &Carry> {
        self.carries.iter().filter(move |carry| carry.side == side)
    }

    /// The rows with their results.
    fn compute(
        &self,
        rows: DataFrame,
        before: Option<Edge>,
        after: Option<Edge>,
    ) -> Result<DataFrame> {
        let n_rows = rows.height();
        let mut found: Vec<Column> = Vec::with_capacity(self.names.len());
        for (side, edge) in [(Side::Before, &before), (Side::After, &after)] {
            for (i, carry) in self.of_side(side).enumerate() {
                let value = edge.as_ref().map(|edge| &edge.values[i]);
                found.push(carry.compute(&rows, value)?);
            }
        }
        if !self.windows.is_empty() {
            let mut window = rows.select(self.columns.iter().cloned()).map_err(failed("window"))?;
            let mut offset = 0;
            if let Some(edge) = before {
                offset = edge.rows.height();
                window = concat([edge.rows, window])?;
            }
            if let Some(edge) = after {
                window = concat([window, edge.rows])?;
            }
            for expr in &self.windows {
                let column = evaluate_rows(expr, &window)?;
                found.push(column.slice(offset as i64, n_rows));
            }
        }
        let mut columns = rows.into_columns();
        for name in &self.names {
            let column = found.iter().find(|column| column.name() == name);
            columns.push(column.expect("each name is that of a window or a carry").clone());
        }
        DataFrame::new(n_rows, columns).map_err(failed("window"))
    }
}

impl Carry {
    fn new(expr: &Expr, schema: &Schema, side: Side) -> Result<Self> {
        let ExprKind::Call { function, inputs } = expr.without_alias().kind() else {
            return Err(not_ordered(expr));
        };
        let name = expr.output_name();
        let dtype = infer_field(expr, schema, crate::error::Call::new("in order"))?.dtype;
        let (input, options) = inputs.split_first().ok_or_else(|| not_ordered(expr))?;
        let inputs = std::iter::once(col(name.clone())).chain(options.iter().cloned());
        let function = Expr::call(function, inputs.collect());
        Ok(Carry { name, input: input.clone(), dtype, function, side })
    }

    /// The input on each row.
    fn values(&self, rows: &DataFrame) -> Result<Column> {
        let column = evaluate_rows(&self.input, rows)?;
        let column =
            column.cast(&self.dtype).map_err(failed(self.function.to_string().as_str()))?;
        Ok(column.with_name(self.name.clone()))
    }

    fn apply(&self, values: &Column) -> Result<Column> {
        evaluate(&self.function, &values.clone().into_frame())
    }

    /// The result that stands for these values; one null if there is none.
    fn last(&self, values: &Column) -> Result<Column> {
        let results = self.apply(values)?;
        let known = results.is_not_null();
        let row = match self.side {
            Side::Before => known.iter().rposition(|known| known == Some(true)),
            Side::After => known.iter().position(|known| known == Some(true)),
        };
        Ok(match row {
            Some(row) => results.new_from_index(row, 1),
            None => Column::full_null(self.name.clone(), 1, &self.dtype),
        })
    }

    fn compute(&self, rows: &DataFrame, value: Option<&Column>) -> Result<Column> {
        let values = self.values(rows)?;
        let Some(value) = value else { return self.apply(&values) };
        let results = self.apply(&joined(value, &values, self.side)?)?;
        let offset = if self.side == Side::Before { 1 } else { 0 };
        Ok(results.slice(offset, rows.height()))
    }
}

/// How many rows at the end have values within `reach` of the last one; at the beginning, how many have the first one.
fn n_within(by: &Column, reach: i64, side: Side) -> PolarsResult<usize> {
    let unit = match by.dtype() {
        DataType::Date => 86_400_000_000_000,
        DataType::Datetime(TimeUnit::Milliseconds, _) => 1_000_000,
        DataType::Datetime(TimeUnit::Microseconds, _) => 1000,
        _ => 1,
    };
    let reach = reach / unit + 1;
    let values = by.to_physical_repr().cast(&DataType::Int64)?;
    let values = values.i64()?;
    Ok(match side {
        Side::Before => match values.last_non_null().and_then(|row| values.get(row)) {
            Some(last) => {
                let least = last.saturating_sub(reach);
                let first = values.iter().position(|value| value.is_some_and(|v| v >= least));
                first.map_or(0, |first| values.len() - first)
            }
            None => 0,
        },
        Side::After => match values.first_non_null().and_then(|row| values.get(row)) {
            Some(first) => {
                let end = values.iter().rposition(|value| value.is_some_and(|v| v <= first));
                end.map_or(0, |end| end + 1)
            }
            None => 0,
        },
    })
}

fn not_ordered(expr: &Expr) -> Error {
    Error::Internal {
        place: "functions in order".into(),
        problem: format!("{expr} needs all rows"),
    }
}

/// Frames in the order of their rows.
fn stack(far: DataFrame, near: DataFrame, side: Side) -> Result<DataFrame> {
    match side {
        Side::Before => concat([far, near]),
        Side::After => concat([near, far]),
    }
}

/// The rows in memory of their own.
fn copied(rows: &DataFrame) -> Result<DataFrame> {
    gather("edge", rows, (0..rows.height() as IdxSize).collect())
}

/// Columns in the order of their rows.
fn joined(far: &Column, near: &Column, side: Side) -> Result<Column> {
    let (first, second) = if side == Side::Before { (far, near) } else { (near, far) };
    let mut all = first.clone();
    all.append(second).map_err(failed("edge"))?;
    Ok(all)
}

/// What consecutive partitions leave for those after, or before them.
#[derive(Clone, Debug)]
struct Edge {
    /// The nearest rows.
    rows: DataFrame,
    /// One value for each function that carries one.
    values: Vec<Column>,
}

impl Value for Edge {
    fn nbytes(&self) -> u64 {
        let values: usize =
            self.values.iter().map(|v| v.as_materialized_series().estimated_size()).sum();
        (self.rows.estimated_size() + values) as u64
    }

    fn as_spill(&self) -> Option<&dyn Spill> {
        spill::can_leave(&self.rows).then_some(self)
    }
}

impl Spill for Edge {
    /// Writes the rows. The values are few and stay.
    fn save(&self, to: &mut dyn Write) -> io::Result<Load> {
        spill::save(self.rows.clone(), to)?;
        let (schema, values) = (Arc::clone(self.rows.schema()), self.values.clone());
        Ok(Box::new(move |from, _| {
            let rows = spill::load(from, &schema)?;
            Ok(Block::new(Edge { rows, values: values.clone() }))
        }))
    }
}

/// The rows of an edge.
pub(super) fn edge_rows(block: Block) -> DataFrame {
    edge(block).rows
}

fn edge(block: Block) -> Edge {
    match block.try_unwrap::<Edge>() {
        Ok(edge) => edge,
        Err(shared) => shared.downcast_ref::<Edge>().expect("edges are made of edges").clone(),
    }
}

/// The edge of one partition.
#[derive(Debug)]
pub(crate) struct EdgeKernel {
    pub(crate) spec: Arc<OrderedSpec>,
    pub(crate) side: Side,
}

impl Kernel for EdgeKernel {
    fn run(&self, _task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        Ok(Block::new(self.spec.edge(&frame(inputs.take_one(0)), self.side)?))
    }
}

/// The edge of several partitions, from that of the farther ones in slot 0, if there are any, and of the nearer ones in
/// slot 1.
#[derive(Debug)]
pub(crate) struct MergeEdgesKernel {
    pub(crate) spec: Arc<OrderedSpec>,
    pub(crate) side: Side,
}

impl Kernel for MergeEdgesKernel {
    fn run(&self, _task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let far = inputs.take_slot(0).next().map(edge);
        let near = inputs.take_one(1);
        let Some(far) = far else { return Ok(near) };
        Ok(Block::new(self.spec.merge(far, edge(near), self.side)?))
    }
}

/// Results on the rows of a partition in slot 0, with edges of others in the slots after it.
#[derive(Debug)]
pub(crate) struct OrderedKernel {
    pub(crate) spec: Arc<OrderedSpec>,
    /// The slots of the edges before and after.
    pub(crate) slots: [Option<usize>; 2],
}

impl Kernel for OrderedKernel {
    fn run(&self, _task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let rows = frame(inputs.take_one(0));
        let [before, after] =
            self.slots.map(|slot| slot.and_then(|slot| inputs.take_slot(slot).next()).map(edge));
        Ok(block(self.spec.compute(rows, before, after)?))
    }
}
