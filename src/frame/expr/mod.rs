//! Expressions of columns, as data: what `filter`, `with_columns`, `select` and `agg` take.
//!
//! Names and semantics follow Polars. An expression is an immutable tree that plans compare, print and take
//! apart; [`eval`](super::kernels::eval) computes it on the rows of one partition.
//!
//! Invariant: a function of columns is a `static` [`Function`] in a file of `functions/`, not a variant here.

mod aggregate;
pub(crate) mod aggregate_plan;
mod aggregation;
mod coerce;
mod context;
mod expand;
mod field;
mod function;
mod functions;
mod literal;
mod name;
mod pairs;
mod predicate;
pub mod selectors;
mod shapes;
mod show;
mod sketches;
mod user;

pub(crate) use aggregate::aggregate_column;
pub use aggregate::{Interpolation, len};
pub(crate) use aggregate_plan::AggregatePlan;
pub use aggregation::Aggregation;
pub(crate) use aggregation::States;
pub(crate) use coerce::{check_cast, coerce};
pub(crate) use context::{Context, context, literal_value, ones, with_small_context};
pub(crate) use expand::{expand, expand_one};
pub(crate) use field::{at_build, check_column, infer_field, infer_schema};
pub(crate) use function::Function;
pub(crate) use functions::broadcast;
pub use functions::compare::ClosedInterval;
pub use functions::conditional::{Then, When, when};
pub use functions::horizontal::{
    all_horizontal, any_horizontal, max_horizontal, mean_horizontal, min_horizontal, sum_horizontal,
};
pub use functions::lists::ListNameSpace;
pub use functions::nulls::coalesce;
pub use functions::rolling::RollingOptions;
pub use functions::rolling_by::RollingByOptions;
pub(crate) use functions::rolling_by::{span, window_reach};
pub use functions::structs::{StructNameSpace, as_struct};
pub use functions::temporal::DateLikeNameSpace;
pub use functions::text::{StringNameSpace, concat_str};
pub use functions::window::RankTies;
pub(crate) use functions::window::row_keys;
pub(crate) use literal::LiteralValue;
pub use literal::{IntoExprs, IntoValues, Literal, lit, null};
pub use name::ExprName;
pub use pairs::{corr, cov};
pub(crate) use predicate::{all_of, conjuncts, selectivity, to_condition};
pub(crate) use user::UserFunction;
pub use user::map_many;

use std::fmt;
use std::sync::Arc;

use name::Rename;
use polars_core::prelude::{DataType, PlSmallStr};
use selectors::Selector;

/// A column that is computed from the columns of a frame.
///
/// Made by [`col`] and [`lit`] and combined with operators and methods, which have the names and the semantics
/// of Polars' expressions. Nothing is computed, and nothing is checked, until a frame gets it.
#[derive(Clone, PartialEq)]
pub struct Expr(Arc<ExprKind>);

/// What an expression is made of.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ExprKind {
    /// A column of the frame.
    Column(PlSmallStr),
    /// The same value on each row.
    Literal(LiteralValue),
    /// The same values under another name.
    Alias(Expr, PlSmallStr),
    /// The same values as another type.
    Cast { input: Expr, dtype: DataType, strict: bool },
    /// A function of columns, row by row or over the whole column, as the function says.
    Call { function: &'static Function, inputs: Vec<Expr> },
    /// A function of the user, equal only to itself.
    Map { function: UserFunction, inputs: Vec<Expr> },
    /// One value for all rows, or for each group.
    Aggregate { aggregate: Aggregate, input: Expr },
    /// The number of rows, or of rows of each group.
    Len,
    /// `input` computed for each group of equal `keys`, and given to each row of the group; the rows of a group are in
    /// the order of the frame, or in that of `order`.
    Over { input: Expr, keys: Vec<Expr>, order: Vec<OrderBy> },
    /// One column after another of those that the frame has.
    Chosen(Selector),
    /// The same values, under a name made of the one that is not known before columns are chosen.
    Renamed(Expr, Rename),
}

/// What rows are sorted by, and how.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OrderBy {
    pub(crate) by: Expr,
    pub(crate) descending: bool,
    pub(crate) nulls_last: bool,
}

/// From many rows to one value. Nulls are skipped, as in Polars.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Aggregate {
    Sum,
    Product,
    Mean,
    Min,
    Max,
    /// Rows that are not null.
    Count,
    NullCount,
    Var {
        ddof: u8,
    },
    Std {
        ddof: u8,
    },
    Median,
    /// Linear interpolation between the nearest values unless `nearest`.
    Quantile {
        q: f64,
        nearest: bool,
    },
    NUnique,
    First,
    Last,
    Any,
    All,
    /// The number of the row with the smallest value, within its group or the whole frame.
    ArgMin,
    ArgMax,
    /// All values, in the order of the rows.
    Implode,
    /// The value in the row in which another expression is smallest, or largest.
    MinBy(Expr),
    MaxBy(Expr),
    /// The value in the last row in which another expression is not null.
    LastBy(Expr),
    /// The sum of the products of the distances from the means, of these values and those of another expression.
    CoSpread(Expr),
    /// What functions of the user make of the values, or those of a sketch.
    Custom(Box<Aggregation>),
}

/// The name of the method that makes it.
impl fmt::Display for Aggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Aggregate::Sum => f.write_str("sum"),
            Aggregate::Product => f.write_str("product"),
            Aggregate::Mean => f.write_str("mean"),
            Aggregate::Min => f.write_str("min"),
            Aggregate::Max => f.write_str("max"),
            Aggregate::Count => f.write_str("count"),
            Aggregate::NullCount => f.write_str("null_count"),
            Aggregate::Var { .. } => f.write_str("var"),
            Aggregate::Std { .. } => f.write_str("std"),
            Aggregate::Median => f.write_str("median"),
            Aggregate::Quantile { .. } => f.write_str("quantile"),
            Aggregate::NUnique => f.write_str("n_unique"),
            Aggregate::First => f.write_str("first"),
            Aggregate::Last => f.write_str("last"),
            Aggregate::Any => f.write_str("any"),
            Aggregate::All => f.write_str("all"),
            Aggregate::ArgMin => f.write_str("arg_min"),
            Aggregate::ArgMax => f.write_str("arg_max"),
            Aggregate::Implode => f.write_str("implode"),
            Aggregate::MinBy(_) => f.write_str("min_by"),
            Aggregate::MaxBy(_) => f.write_str("max_by"),
            Aggregate::LastBy(_) => f.write_str("last_by"),
            Aggregate::CoSpread(_) => f.write_str("co_spread"),
            Aggregate::Custom(aggregation) => f.write_str(aggregation.name),
        }
    }
}

/// How the rows of a result depend on the rows of the inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Shape {
    /// One value, whatever the rows are.
    Scalar,
    /// Each row depends on the same row only, so that partitions, rows and order do not matter.
    Rows,
    /// Rows depend on other rows of the frame.
    Frame,
}

impl Expr {
    pub(crate) fn new(kind: ExprKind) -> Self {
        Expr(Arc::new(kind))
    }

    pub(crate) fn kind(&self) -> &ExprKind {
        &self.0
    }

    pub(crate) fn call(function: &'static Function, inputs: Vec<Expr>) -> Self {
        Expr::new(ExprKind::Call { function, inputs })
    }

    pub(crate) fn aggregate(&self, aggregate: Aggregate) -> Self {
        // What is chosen has no names yet.
        let of_some = (!self.has_choice()).then(|| functions::filter::aggregate(self, &aggregate));
        of_some
            .flatten()
            .unwrap_or_else(|| Expr::new(ExprKind::Aggregate { aggregate, input: self.clone() }))
    }

    /// The expressions that this one is made of.
    pub(crate) fn inputs(&self) -> Vec<&Expr> {
        match self.kind() {
            ExprKind::Column(_) | ExprKind::Chosen(_) | ExprKind::Literal(_) | ExprKind::Len => {
                vec![]
            }
            ExprKind::Aggregate {
                aggregate:
                    Aggregate::MinBy(by)
                    | Aggregate::MaxBy(by)
                    | Aggregate::LastBy(by)
                    | Aggregate::CoSpread(by),
                input,
            } => vec![input, by],
            ExprKind::Alias(input, _)
            | ExprKind::Renamed(input, _)
            | ExprKind::Cast { input, .. }
            | ExprKind::Aggregate { input, .. } => vec![input],
            ExprKind::Call { inputs, .. } | ExprKind::Map { inputs, .. } => inputs.iter().collect(),
            ExprKind::Over { input, keys, order } => {
                let order = order.iter().map(|order| &order.by);
                std::iter::once(input).chain(keys).chain(order).collect()
            }
        }
    }

    /// The same expression of other inputs, which `change` makes of these.
    pub(crate) fn map_inputs(&self, mut change: impl FnMut(&Expr) -> Expr) -> Expr {
        let kind = match self.kind() {
            ExprKind::Column(_) | ExprKind::Chosen(_) | ExprKind::Literal(_) | ExprKind::Len => {
                return self.clone();
            }
            ExprKind::Alias(input, name) => ExprKind::Alias(change(input), name.clone()),
            ExprKind::Renamed(input, rename) => ExprKind::Renamed(change(input), rename.clone()),
            ExprKind::Cast { input, dtype, strict } => {
                ExprKind::Cast { input: change(input), dtype: dtype.clone(), strict: *strict }
            }
            ExprKind::Aggregate { aggregate, input } => {
                let input = change(input);
                let aggregate = match aggregate {
                    Aggregate::MinBy(by) => Aggregate::MinBy(change(by)),
                    Aggregate::MaxBy(by) => Aggregate::MaxBy(change(by)),
                    Aggregate::LastBy(by) => Aggregate::LastBy(change(by)),
                    Aggregate::CoSpread(other) => Aggregate::CoSpread(change(other)),
                    other => other.clone(),
                };
                ExprKind::Aggregate { aggregate, input }
            }
            ExprKind::Call { function, inputs } => {
                ExprKind::Call { function, inputs: inputs.iter().map(change).collect() }
            }
            ExprKind::Map { function, inputs } => ExprKind::Map {
                function: function.clone(),
                inputs: inputs.iter().map(change).collect(),
            },
            ExprKind::Over { input, keys, order } => ExprKind::Over {
                input: change(input),
                keys: keys.iter().map(&mut change).collect(),
                order: order
                    .iter()
                    .map(|order| OrderBy { by: change(&order.by), ..order.clone() })
                    .collect(),
            },
        };
        Expr::new(kind)
    }

    /// The expression with each column replaced by what `of` says, if it says something.
    pub(crate) fn substitute(&self, of: &impl Fn(&str) -> Option<Expr>) -> Expr {
        match self.kind() {
            ExprKind::Column(name) => of(name).unwrap_or_else(|| self.clone()),
            _ => self.map_inputs(|input| input.substitute(of)),
        }
    }

    /// Adds the names of the columns that the expression reads, each once, in the order in which they stand there.
    pub(crate) fn add_columns(&self, names: &mut Vec<PlSmallStr>) {
        if let ExprKind::Column(name) = self.kind()
            && !names.contains(name)
        {
            names.push(name.clone());
        }
        for input in self.inputs() {
            input.add_columns(names);
        }
    }

    /// The name of the resulting column: the last alias, or that of the leftmost column.
    pub(crate) fn output_name(&self) -> PlSmallStr {
        match self.kind() {
            ExprKind::Column(name) | ExprKind::Alias(_, name) => name.clone(),
            ExprKind::Literal(_) => PlSmallStr::from_static("literal"),
            ExprKind::Len => PlSmallStr::from_static("len"),
            _ => match self.inputs().first() {
                Some(input) => input.output_name(),
                None => PlSmallStr::from_static("literal"),
            },
        }
    }

    /// The expression without the names that it was given.
    pub(crate) fn without_alias(&self) -> &Expr {
        match self.kind() {
            ExprKind::Alias(input, _) => input.without_alias(),
            _ => self,
        }
    }

    pub(crate) fn shape(&self) -> Shape {
        let of_inputs = || self.inputs().into_iter().map(Expr::shape).max();
        match self.kind() {
            ExprKind::Column(_) | ExprKind::Chosen(_) => Shape::Rows,
            ExprKind::Literal(_) | ExprKind::Len | ExprKind::Aggregate { .. } => Shape::Scalar,
            _ if self.is_rowwise_step() => of_inputs().unwrap_or(Shape::Rows),
            _ => Shape::Frame,
        }
    }

    /// Whether a value of the result needs more than one row, be it for an aggregate, a neighbour or a group.
    pub(crate) fn crosses_rows(&self) -> bool {
        match self.kind() {
            ExprKind::Len | ExprKind::Aggregate { .. } | ExprKind::Over { .. } => true,
            _ if !self.is_rowwise_step() => true,
            _ => self.inputs().into_iter().any(Expr::crosses_rows),
        }
    }

    /// Whether each row depends on the same row of the inputs only, whatever these do.
    pub(crate) fn is_rowwise_step(&self) -> bool {
        match self.kind() {
            ExprKind::Call { function, .. } => function.is_rowwise,
            ExprKind::Map { function, .. } => function.is_rowwise,
            ExprKind::Len | ExprKind::Aggregate { .. } | ExprKind::Over { .. } => false,
            _ => true,
        }
    }

    /// Whether a value can make the expression an error, or a panic of the user's function, so that it must not see
    /// rows that something else has dropped before.
    pub(crate) fn may_fail(&self) -> bool {
        self.step_may_fail() || self.inputs().into_iter().any(Expr::may_fail)
    }

    /// As [`may_fail`](Self::may_fail), of the outermost step alone.
    fn step_may_fail(&self) -> bool {
        match self.kind() {
            ExprKind::Cast { strict: true, .. } | ExprKind::Map { .. } => true,
            ExprKind::Call { function, .. } => function.may_fail,
            _ => false,
        }
    }

    /// Whether the expression is made of more than `n` steps, counting what it repeats.
    pub(crate) fn is_larger_than(&self, n: usize) -> bool {
        let mut stack = vec![self];
        let mut found = 0;
        while let Some(expr) = stack.pop() {
            found += 1;
            if found > n {
                return true;
            }
            stack.extend(expr.inputs());
        }
        false
    }

    /// The same values under another name.
    ///
    /// ```
    /// use dask_rs::frame::{col, lit};
    /// let taxed = (col("fare") * lit(1.2)).alias("taxed");
    /// ```
    pub fn alias(&self, name: impl Into<PlSmallStr>) -> Expr {
        Expr::new(ExprKind::Alias(self.clone(), name.into()))
    }

    /// The values as another dtype; those that it can't hold become null.
    ///
    /// ```
    /// use dask_rs::frame::col;
    /// use dask_rs::frame::polars_core::prelude::DataType;
    /// let cents = (col("fare") * 100).cast(DataType::Int64);
    /// ```
    pub fn cast(&self, dtype: DataType) -> Expr {
        Expr::new(ExprKind::Cast { input: self.clone(), dtype, strict: false })
    }

    /// The values as another dtype; a value that it can't hold is an error.
    pub fn strict_cast(&self, dtype: DataType) -> Expr {
        Expr::new(ExprKind::Cast { input: self.clone(), dtype, strict: true })
    }
}

/// The column `name` of a frame.
///
/// # Example
/// ```
/// use dask_rs::frame::col;
/// assert_eq!(col("price").to_string(), r#"col("price")"#);
/// ```
pub fn col(name: impl Into<PlSmallStr>) -> Expr {
    Expr::new(ExprKind::Column(name.into()))
}

#[cfg(test)]
mod tests;
