//! Expressions, computed on the rows of one partition.

use polars_core::chunked_array::cast::CastOptions;
use polars_core::error::polars_err;
use polars_core::prelude::{
    Column, DataFrame, GroupsIndicator, IdxSize, PlSmallStr, PolarsResult, Scalar,
};

use super::values_error;
use crate::error::Result;
use crate::frame::expr::{
    Expr, ExprKind, OrderBy, Shape, aggregate_column, broadcast, check_cast, coerce, row_keys,
};

/// The column that `expr` is on `frame`: as long as the frame, or of length 1 if it is the same for all rows.
///
/// Aggregates are those of all rows of this frame, and groups of `over` are looked for in this frame only.
///
/// # Errors
/// [`Error::Values`] if the dtypes do not go with what is done to them, or if a value can't be converted.
pub(crate) fn evaluate(expr: &Expr, frame: &DataFrame) -> Result<Column> {
    Ok(compute(expr, frame)?.with_name(expr.output_name()))
}

/// As [`evaluate`]; a value that is the same for all rows is on each of them.
pub(crate) fn evaluate_rows(expr: &Expr, frame: &DataFrame) -> Result<Column> {
    Ok(broadcast(&evaluate(expr, frame)?, frame.height()))
}

/// As [`evaluate`], under any name.
fn compute(expr: &Expr, frame: &DataFrame) -> Result<Column> {
    let all = |inputs: &[Expr]| -> Result<Vec<Column>> {
        inputs.iter().map(|input| compute(input, frame)).collect()
    };
    match expr.kind() {
        ExprKind::Over { input, keys, order } => {
            let failed = |error| values_error(expr.to_string())(error);
            let mut groups = Groups::new(all(keys)?, frame).map_err(failed)?;
            if !order.is_empty() {
                let by = order.iter().map(|order| evaluate_rows(&order.by, frame));
                groups.order_by(&by.collect::<Result<Vec<_>>>()?, order).map_err(failed)?;
            }
            over(input, &groups, frame)
        }
        _ => {
            let inputs = expr.inputs().into_iter().map(|input| compute(input, frame));
            step(expr, inputs.collect::<Result<_>>()?, frame)
        }
    }
}

/// What the outermost step of `expr` makes of the values of its inputs.
fn step(expr: &Expr, mut inputs: Vec<Column>, frame: &DataFrame) -> Result<Column> {
    let result = match expr.kind() {
        ExprKind::Column(name) => frame.column(name).cloned(),
        ExprKind::Literal(literal) => {
            Ok(Column::new_scalar(PlSmallStr::EMPTY, literal.value.clone(), 1))
        }
        ExprKind::Len => {
            let n_rows = frame.height() as IdxSize;
            Ok(Column::new_scalar(PlSmallStr::EMPTY, Scalar::from(n_rows), 1))
        }
        ExprKind::Alias(..) | ExprKind::Renamed(..) => Ok(inputs.swap_remove(0)),
        ExprKind::Chosen(selector) => Err(polars_err!(
            InvalidOperation: "{selector} chooses columns, which can't be done here; name one with col()"
        )),
        ExprKind::Cast { dtype, strict, .. } => {
            let options = if *strict { CastOptions::Strict } else { CastOptions::NonStrict };
            check_cast(inputs[0].dtype(), dtype)
                .and_then(|()| inputs[0].cast_with_options(dtype, options))
        }
        ExprKind::Call { function, inputs: exprs } => {
            if function.takes_many {
                // Structs have fields of these names.
                let names = exprs.iter().map(Expr::output_name);
                inputs.iter_mut().zip(names).for_each(|(input, name)| input.rename(name));
            }
            coerce(function, exprs, &mut inputs).and_then(|()| (function.apply)(&inputs))
        }
        ExprKind::Map { function, .. } => function.apply(&inputs),
        ExprKind::Aggregate { aggregate, .. } => aggregate_column(aggregate, &inputs),
        ExprKind::Over { .. } => Err(polars_err!(InvalidOperation: "over has no groups")),
    };
    result.map_err(|error| values_error(expr.to_string())(error))
}

/// The rows of a frame by group.
struct Groups {
    /// The rows, those of a group one after the other, each group in the order of the frame unless it got another.
    rows: Vec<IdxSize>,
    /// Where in `rows` each group begins, and where the last one ends.
    offsets: Vec<usize>,
    /// The group of each row of the frame.
    of_row: Vec<IdxSize>,
}

impl Groups {
    fn new(mut keys: Vec<Column>, frame: &DataFrame) -> PolarsResult<Self> {
        if let [key] = keys.as_slice()
            && key.dtype().is_decimal()
        {
            // One decimal key needs a feature of polars that costs minutes to build; two keys do not.
            keys.push(key.clone());
        }
        let height = frame.height();
        let mut groups =
            Groups { rows: Vec::with_capacity(height), offsets: vec![0], of_row: vec![0; height] };
        if keys.is_empty() {
            if height > 0 {
                groups.rows.extend(0..height as IdxSize);
                groups.offsets.push(height);
            }
            return Ok(groups);
        }
        // Threads are those of our scheduler.
        let grouped = frame.group_by_with_series(keys, false, false)?;
        for (number, group) in grouped.get_groups().iter().enumerate() {
            match group {
                GroupsIndicator::Idx((_, rows)) => groups.rows.extend(rows.iter()),
                GroupsIndicator::Slice([first, len]) => groups.rows.extend(first..first + len),
            }
            let begin = groups.offsets[number];
            for &row in &groups.rows[begin..] {
                groups.of_row[row as usize] = number as IdxSize;
            }
            groups.offsets.push(groups.rows.len());
        }
        Ok(groups)
    }

    /// Brings the rows of each group into an order; equal ones stay as they are.
    fn order_by(&mut self, by: &[Column], order: &[OrderBy]) -> PolarsResult<()> {
        let descending: Vec<bool> = order.iter().map(|order| order.descending).collect();
        let nulls_last: Vec<bool> = order.iter().map(|order| order.nulls_last).collect();
        let keys = row_keys(by, &descending, &nulls_last)?;
        for bounds in self.offsets.windows(2) {
            let rows = &mut self.rows[bounds[0]..bounds[1]];
            rows.sort_by(|&a, &b| keys.value(a as usize).cmp(keys.value(b as usize)));
        }
        Ok(())
    }

    /// The columns that `expr` reads, with the rows of a group one after the other.
    fn sort(&self, expr: &Expr, frame: &DataFrame) -> PolarsResult<DataFrame> {
        let mut names = Vec::new();
        expr.add_columns(&mut names);
        let columns = names.iter().map(|name| frame.column(name)?.take_slice(&self.rows));
        DataFrame::new(frame.height(), columns.collect::<PolarsResult<_>>()?)
    }

    /// For each row of the frame, where it is in `rows`.
    fn positions(&self) -> Vec<IdxSize> {
        let mut positions = vec![0; self.rows.len()];
        for (position, &row) in self.rows.iter().enumerate() {
            positions[row as usize] = position as IdxSize;
        }
        positions
    }
}

/// `expr` computed for each group, as long as the frame or of length 1.
///
/// What is done row by row is done for all groups at once.
fn over(expr: &Expr, groups: &Groups, frame: &DataFrame) -> Result<Column> {
    if expr.is_rowwise_step() {
        let inputs = expr.inputs().into_iter().map(|input| over(input, groups, frame));
        return step(expr, inputs.collect::<Result<_>>()?, frame);
    }
    let failed = |error| values_error(expr.to_string())(error);
    let sorted = groups.sort(expr, frame).map_err(failed)?;
    let per_group = expr.shape() == Shape::Scalar;
    let mut out: Option<Column> = None;
    for bounds in groups.offsets.windows(2) {
        let n_rows = bounds[1] - bounds[0];
        let mut part = compute(expr, &sorted.slice(bounds[0] as i64, n_rows))?;
        if !per_group {
            part = broadcast(&part, n_rows);
        }
        match &mut out {
            None => out = Some(part),
            Some(out) => {
                out.extend(&part).map_err(failed)?;
            }
        }
    }
    match out {
        None => Ok(compute(expr, &sorted)?.clear()),
        Some(out) if per_group => out.take_slice(&groups.of_row).map_err(failed),
        Some(out) => out.take_slice(&groups.positions()).map_err(failed),
    }
}
