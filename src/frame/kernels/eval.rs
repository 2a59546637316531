//! Expressions, computed on the rows of one partition.

use polars_core::chunked_array::cast::CastOptions;
use polars_core::prelude::{Column, DataFrame};

use super::values_error;
use crate::error::{Error, Result};
use crate::frame::expr::{Expr, ExprKind};

/// The column that `expr` is on `frame`: as long as the frame, or of length 1 if it is the same for all rows.
///
/// # Errors
/// [`Error::Values`] if the dtypes do not go with what is done to them, or if a value can't be converted.
pub(crate) fn evaluate(expr: &Expr, frame: &DataFrame) -> Result<Column> {
    let failed = || values_error(expr.to_string());
    match expr.kind() {
        ExprKind::Column(name) => frame.column(name).cloned().map_err(failed()),
        ExprKind::Literal(literal) => {
            Ok(Column::new_scalar(expr.output_name(), literal.value.clone(), 1))
        }
        ExprKind::Alias(input, name) => Ok(evaluate(input, frame)?.with_name(name.clone())),
        ExprKind::Cast { input, dtype, strict } => {
            let options = if *strict { CastOptions::Strict } else { CastOptions::NonStrict };
            evaluate(input, frame)?.cast_with_options(dtype, options).map_err(failed())
        }
        ExprKind::Call { function, inputs } => {
            let inputs = inputs.iter().map(|input| evaluate(input, frame));
            let inputs = inputs.collect::<Result<Vec<_>>>()?;
            (function.apply)(&inputs).map_err(failed())
        }
        ExprKind::Aggregate { .. } | ExprKind::Len | ExprKind::Over { .. } => {
            Err(Error::Internal {
                place: "evaluate".into(),
                problem: format!("{expr} was not planned"),
            })
        }
    }
}
