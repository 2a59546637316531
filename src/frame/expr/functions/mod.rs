//! The functions of columns, by family: each file registers functions and has the methods that apply them.

pub(crate) mod arithmetic;
pub(crate) mod boolean;
pub(crate) mod compare;
pub(crate) mod conditional;
pub(crate) mod cut;
pub(crate) mod filter;
pub(crate) mod horizontal;
pub(crate) mod lists;
pub(crate) mod math;
pub(crate) mod nulls;
pub(crate) mod parse;
pub(crate) mod replace;
pub(crate) mod rolling;
pub(crate) mod rolling_by;
pub(crate) mod split;
pub(crate) mod structs;
pub(crate) mod temporal;
pub(crate) mod text;
pub(crate) mod window;

use polars_core::prelude::{Column, IntoColumn, PolarsResult, Series};

use super::{Expr, Function};

/// All functions that there are.
#[cfg(test)]
pub(crate) fn registry() -> Vec<&'static Function> {
    [
        arithmetic::ALL,
        boolean::ALL,
        compare::ALL,
        conditional::ALL,
        cut::ALL,
        filter::ALL,
        horizontal::ALL,
        lists::ALL,
        math::ALL,
        nulls::ALL,
        parse::ALL,
        replace::ALL,
        rolling::ALL,
        rolling_by::ALL,
        split::ALL,
        structs::ALL,
        temporal::ALL,
        temporal::parts::ALL,
        text::ALL,
        window::ALL,
    ]
    .concat()
}

impl Expr {
    fn unary(&self, function: &'static Function) -> Expr {
        Expr::call(function, vec![self.clone()])
    }

    fn binary(&self, function: &'static Function, other: impl Into<Expr>) -> Expr {
        Expr::call(function, vec![self.clone(), other.into()])
    }
}

/// A function of one input that takes and gives series; the value of a scalar column is computed once.
fn series(
    inputs: &[Column],
    function: impl Fn(&Series) -> PolarsResult<Series>,
) -> PolarsResult<Column> {
    inputs[0].try_apply_unary_elementwise(function)
}

/// The number of rows of a result: that of the inputs that are not of length 1.
fn height(inputs: &[Column]) -> usize {
    inputs.iter().map(Column::len).find(|&len| len != 1).unwrap_or(1)
}

/// The column with `height` rows, if it has one: what is the same for all rows on each of them.
pub(crate) fn broadcast(column: &Column, height: usize) -> Column {
    if column.len() == 1 && height != 1 { column.new_from_index(0, height) } else { column.clone() }
}

/// What a kernel returns, as a column.
fn column(result: PolarsResult<impl IntoColumn>) -> PolarsResult<Column> {
    result.map(IntoColumn::into_column)
}
