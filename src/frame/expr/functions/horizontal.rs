//! Functions of several columns, row by row.

use polars_core::error::polars_bail;
use polars_core::prelude::{
    BooleanChunked, ChunkCompareIneq, Column, DataType, FillNullStrategy, IDX_DTYPE, IntoColumn,
    PolarsResult,
};

use super::{boolean, broadcast, height};
use crate::frame::expr::function::{Coercion, functions};
use crate::frame::expr::{Expr, IntoExprs, lit};

functions! {
    SUM = "sum_horizontal", of_many(), coerce(Coercion::Supertype(usize::MAX)) => sum;
    MEAN = "mean_horizontal", of_many(), coerce(Coercion::Supertype(usize::MAX)) => mean;
    MIN = "min_horizontal", of_many(), coerce(Coercion::Supertype(usize::MAX)) =>
        |c| pick(c, |l, r| l.lt(r));
    MAX = "max_horizontal", of_many(), coerce(Coercion::Supertype(usize::MAX)) =>
        |c| pick(c, |l, r| l.gt(r));
    ANY = "any_horizontal", of_many() => |c| logic(c, boolean::OR.apply);
    ALL_OF = "all_horizontal", of_many() => |c| logic(c, boolean::AND.apply);
}

/// All inputs as columns of one height.
fn columns(inputs: &[Column]) -> PolarsResult<Vec<Column>> {
    if inputs.is_empty() {
        polars_bail!(InvalidOperation: "there has to be one column at least");
    }
    let height = height(inputs);
    Ok(inputs.iter().map(|input| broadcast(input, height)).collect())
}

/// Each null as 0, booleans as numbers.
fn numbers(column: &Column) -> PolarsResult<Column> {
    let column = if column.dtype().is_bool() { column.cast(&IDX_DTYPE)? } else { column.clone() };
    if !column.dtype().is_primitive_numeric() && !column.dtype().is_duration() {
        polars_bail!(InvalidOperation: "{} is no number", column.dtype());
    }
    match column.has_nulls() {
        true => column.fill_null(FillNullStrategy::Zero),
        false => Ok(column),
    }
}

fn sum(inputs: &[Column]) -> PolarsResult<Column> {
    let columns = columns(inputs)?;
    let mut rest = columns.iter();
    let first = rest.next().map_or_else(|| Ok(inputs[0].clone()), numbers)?;
    rest.try_fold(first, |sum, next| &sum + &numbers(next)?)
}

fn mean(inputs: &[Column]) -> PolarsResult<Column> {
    let columns = columns(inputs)?;
    let there: Vec<Column> =
        columns.iter().map(|column| column.is_not_null().into_column()).collect();
    let n = sum(&there)?.cast(&DataType::Float64)?;
    let floats = columns.iter().map(|column| column.cast(&DataType::Float64));
    let sums = sum(&floats.collect::<PolarsResult<Vec<_>>>()?)?;
    let is_some = n.gt(&Column::new_scalar("0".into(), 0.0_f64.into(), 1))?;
    let means = (&sums / &n)?;
    means.zip_with(&is_some, &Column::full_null("null".into(), means.len(), &DataType::Float64))
}

/// Of each row the value that is before all others; nulls are after all.
fn pick(
    inputs: &[Column],
    is_before: impl Fn(&Column, &Column) -> PolarsResult<BooleanChunked>,
) -> PolarsResult<Column> {
    let columns = columns(inputs)?;
    let mut rest = columns.into_iter();
    let first = rest.next().unwrap_or_else(|| inputs[0].clone());
    rest.try_fold(first, |best, next| {
        let stays = is_before(&best, &next)? | next.is_null();
        best.zip_with(&(&stays & &best.is_not_null()), &next)
    })
}

/// One after another as the inputs of an operator, of which only selectors make a list.
fn logic(
    inputs: &[Column],
    operator: fn(&[Column]) -> PolarsResult<Column>,
) -> PolarsResult<Column> {
    let columns = columns(inputs)?;
    let mut rest = columns.into_iter();
    let first = rest.next().unwrap_or_else(|| inputs[0].clone());
    rest.try_fold(first, |so_far, next| operator(&[so_far, next]))
}

/// The sum of each row over columns of numbers; nulls count as 0.
///
/// ```
/// use dask_rs::frame::{DataFrame, max_horizontal, mean_horizontal, polars_core::df, sum_horizontal};
/// let rows = df!["a" => [Some(1), None], "b" => [3, 5]]?;
/// let out = DataFrame::from_polars(&rows, 1).select([
///     sum_horizontal(["a", "b"]).alias("sum"), max_horizontal(["a", "b"]).alias("max"),
///     mean_horizontal(["a", "b"]).alias("mean"),
/// ]);
/// assert!(out.compute()?.equals(&df!["sum" => [4, 5], "max" => [3, 5], "mean" => [2.0, 5.0]]?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn sum_horizontal(exprs: impl IntoExprs) -> Expr {
    Expr::call(&SUM, exprs.into_exprs())
}

/// The mean of each row over columns of numbers, as a float; nulls are left out. See [`sum_horizontal`].
pub fn mean_horizontal(exprs: impl IntoExprs) -> Expr {
    Expr::call(&MEAN, exprs.into_exprs())
}

/// The smallest value of each row; nulls are left out. See [`sum_horizontal`].
pub fn min_horizontal(exprs: impl IntoExprs) -> Expr {
    Expr::call(&MIN, exprs.into_exprs())
}

/// The largest value of each row; nulls are left out, and NaN is larger than any number. See [`sum_horizontal`].
pub fn max_horizontal(exprs: impl IntoExprs) -> Expr {
    Expr::call(&MAX, exprs.into_exprs())
}

/// Whether one value of each row is true; null if that is not known.
///
/// ```
/// use dask_rs::frame::{any_horizontal, col};
/// let is_odd = any_horizontal([col("fare").lt(0), col("distance").lt(0)]);
/// ```
pub fn any_horizontal(exprs: impl IntoExprs) -> Expr {
    let exprs = exprs.into_exprs();
    if exprs.iter().any(Expr::has_choice) {
        return Expr::call(&ANY, exprs);
    }
    exprs.into_iter().reduce(|a, b| a.or(b)).unwrap_or_else(|| lit(false))
}

/// Whether all values of each row are true; null if that is not known. See [`any_horizontal`].
pub fn all_horizontal(exprs: impl IntoExprs) -> Expr {
    let exprs = exprs.into_exprs();
    if exprs.iter().any(Expr::has_choice) {
        return Expr::call(&ALL_OF, exprs);
    }
    exprs.into_iter().reduce(|a, b| a.and(b)).unwrap_or_else(|| lit(true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::kernels::eval::evaluate;
    use polars_core::df;

    #[test]
    fn rows_are_those_of_loops() {
        let a = [Some(1.5), None, Some(-2.0), None];
        let b = [Some(4_i32), Some(2), None, None];
        let frame = df!["a" => a, "b" => b, "c" => [true, false, true, true]].unwrap();
        let numbers = |expr: Expr| {
            let column = evaluate(&expr, &frame).unwrap().cast(&DataType::Float64).unwrap();
            column.f64().unwrap().iter().collect::<Vec<_>>()
        };
        let rows: Vec<Vec<f64>> =
            (0..4).map(|i| a[i].into_iter().chain(b[i].map(f64::from)).collect()).collect();
        let of = |f: &dyn Fn(&[f64]) -> Option<f64>| rows.iter().map(|r| f(r)).collect::<Vec<_>>();
        assert_eq!(numbers(sum_horizontal(["a", "b"])), of(&|r| Some(r.iter().sum())));
        let mean = |r: &[f64]| (!r.is_empty()).then(|| r.iter().sum::<f64>() / r.len() as f64);
        assert_eq!(numbers(mean_horizontal(["a", "b"])), of(&mean));
        let min = |r: &[f64]| r.iter().copied().reduce(f64::min);
        assert_eq!(numbers(min_horizontal(["a", "b"])), of(&min));
        let max = |r: &[f64]| r.iter().copied().reduce(f64::max);
        assert_eq!(numbers(max_horizontal(["a", "b"])), of(&max));
        assert_eq!(numbers(sum_horizontal(["c"])), [1.0, 0.0, 1.0, 1.0].map(Some));
        let both = evaluate(&all_horizontal(["c", "c"]), &frame).unwrap();
        assert_eq!(both.bool().unwrap().sum(), Some(3));
        let texts = df!["s" => ["x"]].unwrap();
        assert!(evaluate(&sum_horizontal(["s"]), &texts).is_err());
    }
}
