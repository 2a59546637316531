//! Aggregates of some of the rows: `col("fare").filter(col("tip").gt(0)).mean()`.
//!
//! No kernel ever sees fewer rows for one column than for another: what is done to the filtered values is done to all of them,
//! and the aggregate at the end is made one that passes over the others.

use polars_core::error::polars_bail;
use polars_core::prelude::{Column, IDX_DTYPE, PolarsResult};

use crate::frame::expr::function::functions;
use crate::frame::expr::{Aggregate, Expr, ExprKind, Shape, lit, when};

functions! {
    // Inputs are the values, and the predicate.
    FILTER = "filter", across_rows() => not_aggregated;
}

fn not_aggregated(_inputs: &[Column]) -> PolarsResult<Column> {
    polars_bail!(
        InvalidOperation: "filter() of a column is for its aggregates: sum product mean min max count null_count len var std \
            median quantile n_unique any all first last min_by max_by; rows are filtered by filter() of the frame"
    )
}

impl Expr {
    /// The values in the rows for which `predicate` is true, for an aggregate of them.
    ///
    /// Between this and the aggregate there may be functions of single rows.
    ///
    /// # Errors
    /// At build, for anything else than the aggregates that skip rows: `implode`, `arg_min`, `arg_max` and aggregations of
    /// the user do not, and a column of fewer rows can't stand beside others.
    ///
    /// ```
    /// use dask_rs::frame::{DataFrame, col, lit, polars_core::df};
    /// let rows = df!["day" => [1, 1, 2], "kind" => ["card", "cash", "card"], "fare" => [3.0, 4.0, 5.0]]?;
    /// let by_card = col("fare").filter(col("kind").eq(lit("card"))).sum().alias("by_card");
    /// let days = DataFrame::from_polars(&rows, 2).group_by(["day"]).agg([col("fare").sum(), by_card]);
    /// assert!(days.compute()?.equals(&df!["day" => [1, 2], "fare" => [7.0, 5.0], "by_card" => [3.0, 5.0]]?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn filter(&self, predicate: impl Into<Expr>) -> Expr {
        self.binary(&FILTER, predicate)
    }

    /// How many rows there are, in a group or after [`filter`](Self::filter), null or not.
    pub fn len(&self) -> Expr {
        match unfiltered(self) {
            Some(_) if self.has_choice() => self.count() + self.null_count(),
            Some((_, predicate)) => is_true(&predicate).sum().alias(self.output_name()),
            None => self.is_null().count(),
        }
    }
}

/// `aggregate` of `values`, if these are filtered, as an expression of aggregates of all rows.
pub(in crate::frame::expr) fn aggregate(values: &Expr, aggregate: &Aggregate) -> Option<Expr> {
    use Aggregate as A;
    let (values, predicate) = unfiltered(values)?;
    let name = values.output_name();
    let kept = |of: &Expr| when(predicate.clone()).then(of).alias(of.output_name());
    let count = |is_one: Expr| is_one.cast(IDX_DTYPE).sum();
    let result = match aggregate {
        // They skip nulls, as the others have become.
        A::Sum
        | A::Product
        | A::Mean
        | A::Min
        | A::Max
        | A::Count
        | A::Var { .. }
        | A::Std { .. }
        | A::Median
        | A::Quantile { .. }
        | A::Any
        | A::All => kept(&values).aggregate(aggregate.clone()),
        A::NullCount => count(is_true(&predicate).and(values.is_null())),
        // Null counts as a value, if one was kept.
        A::NUnique => {
            let is_kept = is_true(&predicate);
            let kept = kept(&values);
            let one_if = |expr: Expr| expr.any().cast(IDX_DTYPE);
            kept.n_unique() - one_if(kept.is_null()) + one_if(is_kept.and(values.is_null()))
        }
        A::First => values.min_by(kept(&lit(true))),
        A::Last => values.aggregate(A::LastBy(kept(&lit(true)))),
        A::MinBy(by) => values.min_by(kept(by)),
        A::MaxBy(by) => values.max_by(kept(by)),
        A::LastBy(by) => values.aggregate(A::LastBy(kept(by))),
        // Of numbers they skip nulls too.
        A::Custom(aggregation) if aggregation.takes_numbers => {
            kept(&values).aggregate(aggregate.clone())
        }
        A::CoSpread(_) => kept(&values).aggregate(aggregate.clone()),
        A::ArgMin | A::ArgMax | A::Implode | A::Custom(_) => return None,
    };
    Some(result.alias(name))
}

/// The values without their filter, and the filter: if they are functions, row by row, of values with one and the same.
///
/// A function that may fail gets nulls in the place of the values that it would not have seen.
fn unfiltered(values: &Expr) -> Option<(Expr, Expr)> {
    if let ExprKind::Call { function, inputs } = values.kind()
        && **function == FILTER
    {
        let [values, predicate] = inputs.as_slice() else { return None };
        return Some(match unfiltered(values) {
            // What is filtered twice fulfils both.
            Some((values, first)) => (values, first.and(predicate)),
            None => (values.clone(), predicate.clone()),
        });
    }
    if !values.is_rowwise_step() {
        return None;
    }
    let mut predicates: Vec<Option<Expr>> = Vec::new();
    let may_fail = values.step_may_fail();
    let of_all = values.map_inputs(|input| match unfiltered(input) {
        Some((input, predicate)) => {
            predicates.push(Some(predicate.clone()));
            if may_fail { when(predicate).then(&input).alias(input.output_name()) } else { input }
        }
        None => {
            if input.shape() != Shape::Scalar {
                predicates.push(None);
            }
            input.clone()
        }
    });
    let first = predicates.first().cloned().flatten()?;
    predicates.iter().all(|other| other.as_ref() == Some(&first)).then_some((of_all, first))
}

/// Neither false nor null.
fn is_true(predicate: &Expr) -> Expr {
    predicate.fill_null(lit(false))
}
