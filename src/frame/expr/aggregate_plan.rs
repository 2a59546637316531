//! Aggregations taken apart: what to compute of each partition, how that merges, what is done at the end.
//!
//! `(col("a") * col("b")).sum() / len()` becomes the input `a * b`, the states *sum of input 0* and *rows*, and the
//! last step `a0 / a1`. What several aggregates need is computed once.

use polars_core::prelude::{DataType, PlSmallStr, Schema};

use super::{Aggregate, Expr, ExprKind, States, col, infer_field, infer_schema};
use crate::error::{Call, Error, Result};

/// How `group_by(keys).agg(aggs)` is computed; without keys, how a whole frame is aggregated.
///
/// Partitions become frames with the columns `k0, k1, …` (keys) and `i0, i1, …` (inputs), these become
/// `k…` and `s0, s1, …` (states), which merge until one row for each group is left. Its states give `a0, a1, …`, one for
/// each aggregate, and these the columns that the user asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AggregatePlan {
    pub(crate) keys: Vec<Expr>,
    pub(crate) inputs: Vec<Expr>,
    pub(crate) steps: Vec<Step>,
    pub(crate) leaves: Vec<Leaf>,
    pub(crate) finish: Vec<Expr>,
}

/// One column of states: what is kept of the rows of a group while others have not been seen.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    pub(crate) state: State,
    /// The input; 0 for [`State::Rows`], which has none.
    pub(crate) input: usize,
}

/// What a state is of the values of a group.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum State {
    /// How many rows there are, as `u64`.
    Rows,
    /// How many are not null, as `u64`.
    Count,
    /// The sum, in the dtype of the result; of floats see `Total`.
    Sum,
    /// The sum as `f64`.
    Total,
    Product,
    Min,
    Max,
    First,
    Last,
    /// Whether any is true, or all are.
    Any,
    All,
    /// The sum of squared distances from the mean, as `f64`. Merges with the states `count` and `total` of the same
    /// input, which stand before it.
    Spread {
        count: usize,
        total: usize,
    },
    /// The sum of the products of the distances from the means, as `f64`, of two inputs that have nulls in the same rows.
    CoSpread {
        other: usize,
        count: usize,
        total: usize,
        other_total: usize,
    },
    /// The last value that is not null.
    LastKnown,
    /// The value in the row that the state `by`, which is the value of a row too, was taken from. Stands behind it.
    At {
        by: usize,
    },
    Custom(States),
}

/// An aggregate in an expression of the user.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Leaf {
    /// `None` is the number of rows.
    pub(crate) aggregate: Option<Aggregate>,
    pub(crate) input: usize,
    /// The dtype of the input.
    pub(crate) dtype: DataType,
    /// The states that it is computed from; none if it needs all rows of a group at once.
    pub(crate) states: Vec<usize>,
}

impl AggregatePlan {
    /// # Errors
    /// [`Error::InvalidArgument`] if an expression of `aggs` is not made of aggregates, or one of an aggregate;
    /// [`Error::DTypeMismatch`] for values that can't be aggregated so; and as [`infer_field`] and [`infer_schema`].
    pub(crate) fn new(keys: &[Expr], aggs: &[Expr], schema: &Schema, call: Call) -> Result<Self> {
        infer_schema(keys, schema, call)?;
        if let Some(key) = keys.iter().find(|key| key.crosses_rows()) {
            return Err(refuse(call, "keys", key, "an expression of each row alone"));
        }
        check_names(keys.iter().chain(aggs), call)?;
        let mut plan = AggregatePlan {
            keys: keys.to_vec(),
            inputs: vec![],
            steps: vec![],
            leaves: vec![],
            finish: vec![],
        };
        for agg in aggs {
            let finish = plan.take_apart(agg.without_alias(), agg, schema, call)?;
            plan.finish.push(Expr::new(ExprKind::Alias(finish, agg.output_name())));
        }
        Ok(plan)
    }

    /// Whether an aggregate needs all rows of a group in one partition, so that rows have to move instead of states.
    pub(crate) fn is_holistic(&self) -> bool {
        self.leaves.iter().any(Leaf::is_holistic)
    }

    /// The inputs whose different values are counted, if that is all that keeps the plan from being made of states.
    ///
    /// Rows that are equal in the keys and in these inputs may then become one row of states. That changes the order of the
    /// rows of a group, which the last value notices, ties of values picked by others, and what users make of values.
    pub(crate) fn distinct_inputs(&self) -> Option<Vec<usize>> {
        let mut inputs = Vec::new();
        for leaf in self.leaves.iter().filter(|leaf| leaf.is_holistic()) {
            match leaf.aggregate {
                Some(Aggregate::NUnique) => position(&mut inputs, leaf.input),
                _ => return None,
            };
        }
        let has_order =
            |step: &Step| matches!(step.state, State::Last | State::At { .. } | State::Custom(_));
        (!self.steps.iter().any(has_order) && !inputs.is_empty()).then_some(inputs)
    }

    pub(crate) fn key_columns(&self) -> Vec<PlSmallStr> {
        (0..self.keys.len()).map(key_column).collect()
    }

    /// The column of the rows from which a key, an input or a state of this name takes its values as they are.
    pub(crate) fn column_behind(&self, name: &str) -> Option<PlSmallStr> {
        let number = |prefix: &str| name.strip_prefix(prefix)?.parse::<usize>().ok();
        let of_input = |i: usize| column_of(self.inputs.get(i)?);
        let key = number("k").and_then(|i| column_of(self.keys.get(i)?));
        let state = || self.steps.get(number("s")?).filter(|step| step.state.is_of_row());
        key.or_else(|| of_input(number("i")?)).or_else(|| of_input(state()?.input))
    }

    /// `part` of the user's expression `agg` with each aggregate replaced by the column that it becomes.
    fn take_apart(&mut self, part: &Expr, agg: &Expr, schema: &Schema, call: Call) -> Result<Expr> {
        match part.kind() {
            ExprKind::Len => Ok(self.leaf(None, 0, DataType::Null)),
            ExprKind::Aggregate { aggregate, input } => {
                if input.crosses_rows() || input.shape() != super::Shape::Rows {
                    return Err(refuse(call, "aggs", agg, "aggregates of rows, not of aggregates"));
                }
                let dtype = infer_field(input, schema, call)?.dtype;
                check_dtype(aggregate, &dtype, call)?;
                if let Aggregate::MinBy(by)
                | Aggregate::MaxBy(by)
                | Aggregate::LastBy(by)
                | Aggregate::CoSpread(by) = aggregate
                {
                    if by.crosses_rows() || by.shape() != super::Shape::Rows {
                        return Err(refuse(call, "aggs", agg, "the row of a value of each row"));
                    }
                    let needs = match aggregate {
                        Aggregate::CoSpread(_) => aggregate,
                        _ => &Aggregate::Min,
                    };
                    check_dtype(needs, &infer_field(by, schema, call)?.dtype, call)?;
                }
                let input = position(&mut self.inputs, input.without_alias().clone());
                Ok(self.leaf(Some(aggregate.clone()), input, dtype))
            }
            ExprKind::Literal(_) => Ok(part.clone()),
            ExprKind::Column(_) | ExprKind::Chosen(_) | ExprKind::Over { .. } => {
                Err(refuse(call, "aggs", agg, "an aggregate of it, such as sum() or first()"))
            }
            ExprKind::Call { function, .. } if !function.is_rowwise => {
                Err(refuse(call, "aggs", agg, "functions of each row alone"))
            }
            ExprKind::Map { function, .. } if !function.is_rowwise => {
                Err(refuse(call, "aggs", agg, "functions of each row alone"))
            }
            ExprKind::Alias(..)
            | ExprKind::Renamed(..)
            | ExprKind::Cast { .. }
            | ExprKind::Call { .. }
            | ExprKind::Map { .. } => {
                let mut failed = None;
                let expr = part.map_inputs(|input| {
                    self.take_apart(input, agg, schema, call).unwrap_or_else(|error| {
                        failed.get_or_insert(error);
                        input.clone()
                    })
                });
                failed.map_or(Ok(expr), Err)
            }
        }
    }

    fn leaf(&mut self, aggregate: Option<Aggregate>, input: usize, dtype: DataType) -> Expr {
        let states = self.states_of(aggregate.as_ref(), input, &dtype);
        let leaf = Leaf { aggregate, input, dtype, states };
        col(leaf_column(position(&mut self.leaves, leaf)))
    }

    /// The states of an aggregate, in the order in which it takes them at the end.
    fn states_of(
        &mut self,
        aggregate: Option<&Aggregate>,
        input: usize,
        dtype: &DataType,
    ) -> Vec<usize> {
        use Aggregate as A;
        if let Some(A::MinBy(by) | A::MaxBy(by) | A::LastBy(by)) = aggregate {
            let by = position(&mut self.inputs, by.without_alias().clone());
            let state = match aggregate {
                Some(A::MinBy(_)) => State::Min,
                Some(A::MaxBy(_)) => State::Max,
                _ => State::LastKnown,
            };
            let by = position(&mut self.steps, Step { state, input: by });
            return vec![position(&mut self.steps, Step { state: State::At { by }, input })];
        }
        if let Some(A::CoSpread(other)) = aggregate {
            let other = position(&mut self.inputs, other.without_alias().clone());
            let mut step = |state, input| position(&mut self.steps, Step { state, input });
            let (count, total) = (step(State::Count, input), step(State::Total, input));
            let other_total = step(State::Total, other);
            return vec![step(State::CoSpread { other, count, total, other_total }, input)];
        }
        let mut state = |state| position(&mut self.steps, Step { state, input });
        let Some(aggregate) = aggregate else { return vec![state(State::Rows)] };
        match aggregate {
            A::Sum if dtype.is_float() => vec![state(State::Total)],
            A::Sum => vec![state(State::Sum)],
            A::Product => vec![state(State::Product)],
            A::Min => vec![state(State::Min)],
            A::Max => vec![state(State::Max)],
            A::First => vec![state(State::First)],
            A::Last => vec![state(State::Last)],
            A::Any => vec![state(State::Any)],
            A::All => vec![state(State::All)],
            A::Count => vec![state(State::Count)],
            A::NullCount => {
                let count = state(State::Count);
                vec![position(&mut self.steps, Step { state: State::Rows, input: 0 }), count]
            }
            A::Mean => vec![state(State::Count), state(State::Total)],
            A::Var { .. } | A::Std { .. } => {
                let (count, total) = (state(State::Count), state(State::Total));
                vec![count, state(State::Spread { count, total })]
            }
            A::Custom(aggregation) => vec![state(State::Custom(aggregation.states.clone()))],
            A::MinBy(_)
            | A::MaxBy(_)
            | A::LastBy(_)
            | A::CoSpread(_)
            | A::Median
            | A::Quantile { .. }
            | A::NUnique
            | A::ArgMin
            | A::ArgMax
            | A::Implode => vec![],
        }
    }
}

impl State {
    /// Whether the state is the value of one of the rows.
    fn is_of_row(&self) -> bool {
        use State as S;
        matches!(self, S::Min | S::Max | S::First | S::Last | S::LastKnown | S::At { .. })
    }
}

impl Leaf {
    pub(crate) fn is_holistic(&self) -> bool {
        self.states.is_empty()
    }
}

/// The column that an expression is, maybe under another name.
pub(crate) fn column_of(expr: &Expr) -> Option<PlSmallStr> {
    match expr.without_alias().kind() {
        ExprKind::Column(name) => Some(name.clone()),
        _ => None,
    }
}

pub(crate) fn key_column(i: usize) -> PlSmallStr {
    format!("k{i}").into()
}

pub(crate) fn input_column(i: usize) -> PlSmallStr {
    format!("i{i}").into()
}

pub(crate) fn state_column(i: usize) -> PlSmallStr {
    format!("s{i}").into()
}

pub(crate) fn leaf_column(i: usize) -> PlSmallStr {
    format!("a{i}").into()
}

/// Where `item` stands in `list`, at the end if it is new.
fn position<T: PartialEq>(list: &mut Vec<T>, item: T) -> usize {
    list.iter().position(|other| *other == item).unwrap_or_else(|| {
        list.push(item);
        list.len() - 1
    })
}

fn check_names<'a>(exprs: impl Iterator<Item = &'a Expr>, call: Call) -> Result<()> {
    let mut names = Vec::new();
    for name in exprs.map(Expr::output_name) {
        if names.contains(&name) {
            return Err(Error::DuplicateColumn { call, name: name.to_string() });
        }
        names.push(name);
    }
    Ok(())
}

/// Sums of strings and the like are refused here, before anything is read.
pub(crate) fn check_dtype(aggregate: &Aggregate, dtype: &DataType, call: Call) -> Result<()> {
    use Aggregate as A;
    let is_number = dtype.is_primitive_numeric() || dtype.is_bool();
    let (fits, expected) = match aggregate {
        A::Sum => (is_number || dtype.is_duration() || dtype.is_decimal(), "numbers or durations"),
        A::Product => (is_number, "numbers"),
        A::Var { .. } | A::Std { .. } | A::CoSpread(_) => {
            (is_number || dtype.is_decimal(), "numbers")
        }
        A::Mean | A::Median | A::Quantile { .. } => {
            (is_number || dtype.is_decimal() || dtype.is_temporal(), "numbers or times")
        }
        A::Min | A::Max | A::ArgMin | A::ArgMax => {
            (!dtype.is_nested() && !dtype.is_null(), "values that have an order")
        }
        A::Any | A::All => (dtype.is_bool(), "booleans"),
        A::Custom(aggregation) => (is_number || !aggregation.takes_numbers, "numbers"),
        _ => (true, ""),
    };
    if fits {
        return Ok(());
    }
    Err(Error::DTypeMismatch { call, got: dtype.to_string(), expected: expected.to_owned() })
}

fn refuse(call: Call, argument: &'static str, got: &Expr, expected: &'static str) -> Error {
    Error::InvalidArgument { call, argument, got: got.to_string(), expected }
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars_core::prelude::Field;

    fn plan(aggs: &[Expr]) -> Result<AggregatePlan> {
        let fields = [("k", DataType::String), ("x", DataType::Float64), ("i", DataType::Int64)];
        let fields = fields.map(|(name, dtype)| Field::new(name.into(), dtype));
        AggregatePlan::new(&[col("k")], aggs, &Schema::from_iter(fields), Call::new("agg"))
    }

    fn alias(expr: &Expr, name: &str) -> Expr {
        Expr::new(ExprKind::Alias(expr.clone(), name.into()))
    }

    #[test]
    fn what_several_aggregates_need_is_computed_once() {
        use Aggregate as A;
        let x = |aggregate, name| alias(&col("x").aggregate(aggregate), name);
        let plan = plan(&[
            x(A::Sum, "a"),
            x(A::Mean, "b"),
            x(A::Std { ddof: 1 }, "c"),
            x(A::Count, "d"),
            alias(&alias(&col("x"), "y").aggregate(A::Mean), "e"),
            alias(&Expr::new(ExprKind::Len), "f"),
        ])
        .unwrap();
        assert_eq!(plan.inputs, [col("x")]);
        let states: Vec<State> = plan.steps.iter().map(|step| step.state.clone()).collect();
        let spread = State::Spread { count: 1, total: 0 };
        assert_eq!(states, [State::Total, State::Count, spread, State::Rows]);
        assert_eq!(plan.leaves.len(), 5);
        assert_eq!(plan.finish[4].to_string(), r#"col("a1").alias("e")"#);
        assert!(!plan.is_holistic());
    }

    #[test]
    fn expressions_that_are_no_aggregates_are_refused() {
        let sum = col("x").aggregate(Aggregate::Sum);
        for agg in [col("x"), sum.aggregate(Aggregate::Max)] {
            assert!(matches!(plan(&[agg]), Err(Error::InvalidArgument { argument: "aggs", .. })));
        }
        assert!(matches!(plan(&[sum.clone(), sum]), Err(Error::DuplicateColumn { .. })));
        let sum = col("k").aggregate(Aggregate::Mean);
        assert!(matches!(plan(&[alias(&sum, "m")]), Err(Error::DTypeMismatch { .. })));
        let sum = col("z").aggregate(Aggregate::Sum);
        assert!(matches!(plan(&[sum]), Err(Error::UnknownColumn { .. })));
    }
}
