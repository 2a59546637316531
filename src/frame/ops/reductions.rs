//! One aggregate of all columns.

use polars_core::prelude::{Field, SchemaExt};

use crate::error::{Call, Error, Result};
use crate::frame::expr::aggregate_plan::check_dtype;
use crate::frame::expr::{Aggregate, Expr, col, null};
use crate::frame::op::Handle;

/// `aggregate` of each column that is no key; null of columns that it is not for.
pub(crate) fn of_columns(
    call: Call,
    handle: &Handle,
    keys: &[Expr],
    aggregate: &Aggregate,
) -> Result<Vec<Expr>> {
    let schema = &handle.node()?.meta.schema;
    let names: Vec<_> = keys.iter().map(Expr::output_name).collect();
    let columns = schema.iter_fields().filter(|field| !names.contains(field.name()));
    let columns: Vec<Field> = columns.collect();
    let fits = |field: &Field| check_dtype(aggregate, field.dtype(), call).is_ok();
    if !columns.iter().any(fits) {
        return Err(Error::InvalidArgument {
            call,
            argument: "the frame",
            got: "no column that this is for".into(),
            expected: "one column at least",
        });
    }
    let aggs = columns.iter().map(|field| match fits(field) {
        true => col(field.name().clone()).aggregate(aggregate.clone()),
        false => null().cast(field.dtype().clone()).alias(field.name().clone()),
    });
    Ok(aggs.collect())
}
