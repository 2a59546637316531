//! Expressions of chosen columns as one expression for each column.

use polars_core::prelude::{PlSmallStr, Schema};

use super::selectors::{Selector, Unchosen};
use super::{Expr, ExprKind, col};
use crate::error::{Call, Error, Result};

/// `exprs` with columns of `schema` in the places of selectors.
///
/// An expression becomes as many as its selectors choose columns. If there are several selectors in it, all of
/// them have to choose as many, and the first of one goes with the first of the others.
///
/// # Errors
/// [`Error::UnknownColumn`]; [`Error::InvalidArgument`] for selectors that choose different numbers of columns.
pub(crate) fn expand(exprs: Vec<Expr>, schema: &Schema, call: Call) -> Result<Vec<Expr>> {
    if !exprs.iter().any(Expr::has_choice) {
        return Ok(exprs);
    }
    let mut expanded = Vec::new();
    for expr in exprs {
        if !expr.has_choice() {
            expanded.push(expr);
            continue;
        }
        let expr = within_lists(&expr, schema, call)?;
        let mut numbers = Vec::new();
        columns(&expr, &mut |selector| {
            numbers.push(names(selector, schema, call)?.len());
            Ok(())
        })?;
        let n = numbers.first().copied().unwrap_or(1);
        if numbers.iter().any(|other| *other != n) {
            return Err(Error::InvalidArgument {
                call,
                argument: "exprs",
                got: format!("{expr}, where selectors choose {numbers:?} columns"),
                expected: "selectors that choose as many columns as each other",
            });
        }
        for i in 0..n {
            expanded.push(nth(&expr, i, schema, call)?);
        }
    }
    Ok(expanded)
}

/// As [`expand`], where there has to be one expression.
pub(crate) fn expand_one(expr: Expr, schema: &Schema, call: Call) -> Result<Expr> {
    let text = expr.has_choice().then(|| expr.to_string());
    let mut exprs = expand(vec![expr], schema, call)?;
    match (exprs.pop(), exprs.is_empty(), text) {
        (Some(expr), true, _) => Ok(expr),
        (last, _, text) => Err(Error::InvalidArgument {
            call,
            argument: "the expression",
            got: format!(
                "{} of {} columns",
                text.unwrap_or_default(),
                exprs.len() + usize::from(last.is_some())
            ),
            expected: "one column; all_horizontal() and any_horizontal() make one of many",
        }),
    }
}

impl Expr {
    /// Whether it is one expression for each column that a selector chooses.
    pub(in crate::frame::expr) fn has_choice(&self) -> bool {
        matches!(self.kind(), ExprKind::Chosen(_))
            || self.inputs().into_iter().any(Expr::has_choice)
    }
}

/// Calls `each` with all selectors.
fn columns(expr: &Expr, each: &mut dyn FnMut(&Selector) -> Result<()>) -> Result<()> {
    if let ExprKind::Chosen(selector) = expr.kind() {
        each(selector)?;
    }
    expr.inputs().into_iter().try_for_each(|input| columns(input, each))
}

/// The expression with the columns of selectors among its inputs, where any number of inputs is one list: keys of groups,
/// and arguments of functions that take many.
fn within_lists(expr: &Expr, schema: &Schema, call: Call) -> Result<Expr> {
    let mut failed = None;
    let expr = expr.map_inputs(|input| {
        within_lists(input, schema, call).unwrap_or_else(|error| {
            failed.get_or_insert(error);
            input.clone()
        })
    });
    if let Some(error) = failed {
        return Err(error);
    }
    let all = |exprs: &[Expr]| expand(exprs.to_vec(), schema, call);
    Ok(match expr.kind() {
        ExprKind::Call { function, inputs } if function.takes_many => {
            // What becomes of a column later, it has its name here.
            Expr::call(function, all(inputs)?.iter().map(Expr::keep_name).collect())
        }
        ExprKind::Over { input, keys, order } => Expr::new(ExprKind::Over {
            input: input.clone(),
            keys: all(keys)?,
            order: order.clone(),
        }),
        _ => expr,
    })
}

/// The expression of column `i` of each selector, with the name that it has then.
fn nth(expr: &Expr, i: usize, schema: &Schema, call: Call) -> Result<Expr> {
    if let ExprKind::Chosen(selector) = expr.kind() {
        return Ok(col(names(selector, schema, call)?[i].clone()));
    }
    let mut failed = None;
    let expr = expr.map_inputs(|input| {
        nth(input, i, schema, call).unwrap_or_else(|error| {
            failed.get_or_insert(error);
            input.clone()
        })
    });
    match (failed, expr.kind()) {
        (Some(error), _) => Err(error),
        (None, ExprKind::Renamed(input, rename)) => Ok(input.alias(rename.of(input))),
        // Filters wait for names.
        (None, ExprKind::Aggregate { aggregate, input }) => Ok(input.aggregate(aggregate.clone())),
        (None, _) => Ok(expr),
    }
}

fn names(selector: &Selector, schema: &Schema, call: Call) -> Result<Vec<PlSmallStr>> {
    selector.names(schema).map_err(|unchosen| match unchosen {
        Unchosen::NoColumn(name) => Error::UnknownColumn {
            call,
            got: name.to_string(),
            columns: schema.iter_names().map(PlSmallStr::to_string).collect(),
        },
        Unchosen::NoPattern(problem) => {
            Error::InvalidExpression { call, expression: selector.to_string(), problem }
        }
    })
}
