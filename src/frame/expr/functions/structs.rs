//! Several columns as one, and the columns of such a one: `as_struct(["a", "b"])`, `col("s").struct_().field("a")`.

use polars_core::error::{polars_bail, polars_ensure};
use polars_core::prelude::{
    Column, IntoColumn, IntoSeries, PlSmallStr, PolarsResult, Series, StructChunked,
};

use super::replace::listed;
use super::{broadcast, height};
use crate::frame::expr::function::functions;
use crate::frame::expr::{Expr, IntoExprs, IntoValues, lit};

functions! {
    AS_STRUCT = "as_struct", of_many() => together;
    FIELD = "struct.field" => field;
    RENAME_FIELDS = "struct.rename_fields" => rename;
}

fn together(inputs: &[Column]) -> PolarsResult<Column> {
    let Some(first) = inputs.first() else {
        polars_bail!(InvalidOperation: "a struct needs one column at least");
    };
    let height = height(inputs);
    let fields: Vec<Series> = inputs
        .iter()
        .map(|input| broadcast(input, height).as_materialized_series().clone())
        .collect();
    for (i, field) in fields.iter().enumerate() {
        polars_ensure!(
            fields[..i].iter().all(|other| other.name() != field.name()),
            Duplicate: "a struct can't have two fields {:?}", field.name()
        );
    }
    let together = StructChunked::from_series(first.name().clone(), height, fields.iter())?;
    Ok(together.into_series().into_column())
}

fn structs(column: &Column) -> PolarsResult<&StructChunked> {
    polars_ensure!(
        column.dtype().is_struct(),
        InvalidOperation: "{} has no fields, it is no struct", column.dtype()
    );
    column.struct_()
}

/// Inputs are the structs, and the name of the field. A missing struct has missing fields.
fn field(inputs: &[Column]) -> PolarsResult<Column> {
    let name = inputs[1].str()?.get(0).unwrap_or_default();
    Ok(with_nulls(structs(&inputs[0])?.field_by_name(name)?, &inputs[0])?.into_column())
}

fn with_nulls(field: Series, of: &Column) -> PolarsResult<Series> {
    if !of.has_nulls() {
        return Ok(field);
    }
    let none = Series::full_null(field.name().clone(), field.len(), field.dtype());
    field.zip_with(&of.is_not_null(), &none)
}

/// Inputs are the structs, and a list with the new names of all fields.
fn rename(inputs: &[Column]) -> PolarsResult<Column> {
    let of = structs(&inputs[0])?;
    let names: Vec<PlSmallStr> =
        listed(&inputs[1])?.str()?.iter().flatten().map(PlSmallStr::from).collect();
    let fields = of.fields_as_series();
    polars_ensure!(
        names.len() == fields.len(),
        InvalidOperation: "got {} names for {} fields", names.len(), fields.len()
    );
    let renamed = fields.into_iter().zip(names).map(|(field, name)| field.with_name(name));
    let renamed: Vec<Series> = renamed.collect();
    let mut out = StructChunked::from_series(of.name().clone(), of.len(), renamed.iter())?;
    out.zip_outer_validity(of);
    Ok(out.into_series().into_column())
}

/// Several columns as one of structs, whose fields have their names. It has the name of the first.
///
/// ```
/// use dask_rs::frame::{DataFrame, as_struct, col, polars_core::df};
/// let frame = DataFrame::from_polars(&df!["x" => [1, 2], "y" => [3, 4]]?, 2);
/// let points = frame.select([as_struct(["x", "y"]).alias("point")]);
/// let sums = points.select([(col("point").struct_().field("x") + col("point").struct_().field("y")).alias("sum")]);
/// assert!(sums.compute()?.equals(&df!["sum" => [4, 6]]?));
/// assert!(points.unnest("point").compute()?.equals(&frame.compute()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn as_struct(exprs: impl IntoExprs) -> Expr {
    Expr::call(&AS_STRUCT, exprs.into_exprs().iter().map(Expr::keep_name).collect())
}

/// The functions of structs, see [`Expr::struct_`].
#[derive(Clone, Debug)]
#[must_use = "nothing happens until one of the methods is called"]
pub struct StructNameSpace(Expr);

impl Expr {
    /// Functions of structs, such as [`as_struct`] makes and files may have.
    pub fn struct_(&self) -> StructNameSpace {
        StructNameSpace(self.clone())
    }
}

impl StructNameSpace {
    /// A field, under its name.
    pub fn field(&self, name: &str) -> Expr {
        self.0.binary(&FIELD, lit(name)).alias(name)
    }

    /// The same fields under these names, one for each.
    pub fn rename_fields(&self, names: impl IntoValues) -> Expr {
        self.0.binary(&RENAME_FIELDS, names.into_values())
    }
}
