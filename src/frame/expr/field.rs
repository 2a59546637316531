//! Names and dtypes of what expressions give, found by computing them on no rows.

use polars_core::prelude::{DataFrame, Field, Schema};

use super::Expr;
use crate::error::{Call, Error, Result};
use crate::frame::kernels::eval::evaluate;

/// The name and dtype of `expr` on frames with these columns.
///
/// # Errors
/// [`Error::UnknownColumn`], or [`Error::InvalidExpression`] if the dtypes of the columns do not go with what is done to them.
pub(crate) fn infer_field(expr: &Expr, schema: &Schema, call: Call) -> Result<Field> {
    field_of(expr, &DataFrame::empty_with_schema(schema), call)
}

fn field_of(expr: &Expr, no_rows: &DataFrame, call: Call) -> Result<Field> {
    let mut columns = Vec::new();
    expr.add_columns(&mut columns);
    for name in columns {
        check_column(&name, no_rows.schema(), call)?;
    }
    let column = evaluate(expr, no_rows);
    let column = column.map_err(|error| at_build(error, call))?;
    Ok(Field::new(expr.output_name(), column.dtype().clone()))
}

/// The schema of a frame that consists of `exprs`.
///
/// # Errors
/// As [`infer_field`], and [`Error::DuplicateColumn`].
pub(crate) fn infer_schema(exprs: &[Expr], schema: &Schema, call: Call) -> Result<Schema> {
    let no_rows = DataFrame::empty_with_schema(schema);
    let mut out = Schema::with_capacity(exprs.len());
    for expr in exprs {
        let field = field_of(expr, &no_rows, call)?;
        if out.contains(field.name()) {
            return Err(Error::DuplicateColumn { call, name: field.name().to_string() });
        }
        out.with_column(field.name, field.dtype);
    }
    Ok(out)
}

/// An error of kernels that were tried on no rows, with the line of the user.
pub(crate) fn at_build(error: Error, call: Call) -> Error {
    match error {
        Error::Values { operation, problem } => {
            Error::InvalidExpression { call, expression: operation, problem }
        }
        other => other,
    }
}

/// Refuses a name that is no column.
pub(crate) fn check_column(name: &str, schema: &Schema, call: Call) -> Result<()> {
    if schema.contains(name) {
        return Ok(());
    }
    let columns = schema.iter_names().map(|name| name.to_string()).collect();
    Err(Error::UnknownColumn { call, got: name.to_owned(), columns })
}
