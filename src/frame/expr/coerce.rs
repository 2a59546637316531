//! How inputs of different dtypes come to one, after the rules of Polars.

use polars_core::error::polars_ensure;
use polars_core::prelude::{AnyValue, Column, DataType, PolarsResult, UnknownKind};
use polars_core::utils::{get_numeric_upcast_supertype_lossless, get_supertype, try_get_supertype};

use super::function::Coercion;
use super::{Expr, ExprKind, Function};

/// Casts the inputs of `function` to the dtypes that it wants; `inputs` say which columns are dynamic literals.
pub(crate) fn coerce(
    function: &Function,
    inputs: &[Expr],
    columns: &mut [Column],
) -> PolarsResult<()> {
    match function.coercion {
        Coercion::None => Ok(()),
        Coercion::Literals | Coercion::Arithmetic => {
            if let [left, right] = columns {
                let is_compared = function.coercion == Coercion::Literals;
                match (is_dynamic(&inputs[0]), is_dynamic(&inputs[1])) {
                    (false, true) => meet(left, right, is_compared)?,
                    (true, false) => meet(right, left, is_compared)?,
                    _ => {}
                }
            }
            Ok(())
        }
        Coercion::Supertype(n) => {
            let n = n.min(columns.len());
            let dtype = supertype(&inputs[..n], &columns[..n])?;
            // A value that does not fit would be null, and be taken for a missing one.
            let cast = |column: &mut Column| match column.dtype().is_integer() {
                true => column.strict_cast(&dtype).map(|values| *column = values),
                false => cast(column, &dtype),
            };
            columns[..n].iter_mut().try_for_each(cast)
        }
    }
}

/// Whether the value of `expr` was written without a dtype.
pub(crate) fn is_dynamic(expr: &Expr) -> bool {
    match expr.kind() {
        ExprKind::Literal(literal) => literal.dynamic,
        ExprKind::Alias(input, _) => is_dynamic(input),
        ExprKind::Call { function, inputs } if function.coercion == Coercion::Arithmetic => {
            inputs.iter().all(is_dynamic)
        }
        _ => false,
    }
}

/// The smallest dtype for both a column and a dynamic literal, if they have one in common.
pub(crate) fn literal_supertype(dtype: &DataType, literal: &AnyValue) -> Option<DataType> {
    let unknown = match literal {
        AnyValue::String(_) | AnyValue::StringOwned(_) => UnknownKind::Str,
        AnyValue::Float64(_) => UnknownKind::Float,
        value => UnknownKind::Int(value.extract::<i128>()?),
    };
    get_supertype(dtype, &DataType::Unknown(unknown)).filter(DataType::is_known)
}

/// Casts a dynamic literal, and the column that it meets, to the smallest dtype for both.
fn meet(column: &mut Column, literal: &mut Column, are_compared: bool) -> PolarsResult<()> {
    if literal.len() != 1 || column.dtype().is_temporal() || column.dtype().is_nested() {
        return Ok(());
    }
    // Text and numbers do not meet: the operation itself refuses them.
    if literal.dtype().is_string() == column.dtype().is_primitive_numeric() {
        return Ok(());
    }
    if let Some(dtype) = literal_supertype(column.dtype(), &literal.get(0)?) {
        // With a negative number, where the largest of them would become null; polars compares both as floats.
        if are_compared && column.dtype() == &DataType::UInt64 && dtype == DataType::Int64 {
            return Ok(());
        }
        cast(column, &dtype)?;
        cast(literal, &dtype)?;
    }
    Ok(())
}

fn supertype(inputs: &[Expr], columns: &[Column]) -> PolarsResult<DataType> {
    let mut dtype: Option<DataType> = None;
    // Literals come last, because they follow the others.
    let (dynamic, typed): (Vec<_>, Vec<_>) =
        inputs.iter().zip(columns).partition(|(input, _)| is_dynamic(input));
    for (_, column) in typed {
        dtype = Some(match dtype {
            Some(dtype) => try_get_supertype(&dtype, column.dtype())?,
            None => column.dtype().clone(),
        });
    }
    for (_, column) in dynamic {
        dtype = Some(match dtype {
            Some(dtype) => match literal_supertype(&dtype, &column.get(0)?) {
                Some(dtype) => dtype,
                None => try_get_supertype(&dtype, column.dtype())?,
            },
            None => column.dtype().clone(),
        });
    }
    Ok(dtype.unwrap_or(DataType::Null))
}

fn cast(column: &mut Column, dtype: &DataType) -> PolarsResult<()> {
    if column.dtype() != dtype {
        check_cast(column.dtype(), dtype)?;
        *column = column.cast(dtype)?;
    }
    Ok(())
}

/// Refuses casts of which polars makes one dtype on no rows and another on some.
pub(crate) fn check_cast(from: &DataType, to: &DataType) -> PolarsResult<()> {
    let is_fine = !from.is_struct() || to.is_struct() || from.is_null();
    polars_ensure!(is_fine, InvalidOperation: "{from} can't be cast to {to}");
    Ok(())
}

/// The dtype in which numbers of two dtypes are looked up in each other, without loss if there is one.
pub(crate) fn lookup_supertype(left: &DataType, right: &DataType) -> PolarsResult<DataType> {
    match get_numeric_upcast_supertype_lossless(left, right) {
        Some(dtype) => Ok(dtype),
        None => try_get_supertype(left, right),
    }
}
