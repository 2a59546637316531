//! Aggregations of the user: what is kept of the values of a partition, how that merges, and what it is at the end.

use std::fmt;
use std::sync::Arc;

use polars_core::error::polars_bail;
use polars_core::prelude::{AnyValue, Column, DataType, PlSmallStr, PolarsResult, Scalar, Series};

use super::{Aggregate, Expr};

type ToScalar = dyn Fn(&Column) -> PolarsResult<Scalar> + Send + Sync;
type ToColumn = dyn Fn(&Column) -> PolarsResult<Column> + Send + Sync;

/// An aggregation made of three functions, for groups that lie in several partitions.
///
/// `chunk` makes a *state* of the values that one partition has of a group, one value of the dtype `state`: a number, or
/// a list or struct of several. `combine` makes one state of several, which come in the order of their partitions.
/// `finish` makes the results of the states of all groups, as many values of the dtype `result`.
///
/// Both dtypes are declared, because plans know the dtypes of their results before anything runs. `chunk` gets one value
/// at least, and nulls. Of no rows the result is null, and so it is of a state that a function made null.
///
/// # Cost
/// As for the built-in aggregates states are merged in a tree, or spread by a hash of the keys where there are many. Each
/// group is one call, so that millions of groups are better served by expressions of the aggregates that there are.
///
/// # Errors
/// At compute: [`Error::Values`](crate::Error::Values) for what a function returns, or if it returns other dtypes.
///
/// # Source
/// Dask's `dd.Aggregation`.
///
/// # Example
/// ```
/// use dask_rs::frame::polars_core::{df, prelude::*};
/// use dask_rs::frame::{Aggregation, DataFrame, col};
/// let sum_of_squares = |x: &Column| Ok(Scalar::from((x * x)?.f64()?.sum().unwrap_or(0.0)));
/// let sum = |states: &Column| states.sum_reduce();
/// let root = |states: &Column| Ok(states.f64()?.apply_values(f64::sqrt).into_column());
/// let norm = Aggregation::new(DataType::Float64, sum_of_squares, sum, DataType::Float64, root);
///
/// let frame = DataFrame::from_polars(&df!["k" => [1, 1, 2], "x" => [3.0, 4.0, 2.0]]?, 3);
/// let norms = frame.group_by(["k"]).agg([col("x").aggregate_with(&norm)]).compute()?;
/// assert!(norms.equals(&df!["k" => [1, 2], "x" => [5.0, 2.0]]?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Aggregation {
    pub(crate) name: &'static str,
    pub(crate) states: States,
    finish: Arc<ToColumn>,
    result: DataType,
    /// The result of no rows.
    of_nothing: Scalar,
    /// Whether values have to be numbers.
    pub(crate) takes_numbers: bool,
}

/// The part of an aggregation that several may share.
#[derive(Clone)]
pub(crate) struct States {
    functions: Arc<(Box<ToScalar>, Box<ToScalar>)>,
    dtype: DataType,
    /// Bytes that a state takes, however many values it is of.
    bytes_max: f64,
}

impl Aggregation {
    /// An aggregation of these functions; see [`Aggregation`].
    pub fn new(
        state: DataType,
        chunk: impl Fn(&Column) -> PolarsResult<Scalar> + Send + Sync + 'static,
        combine: impl Fn(&Column) -> PolarsResult<Scalar> + Send + Sync + 'static,
        result: DataType,
        finish: impl Fn(&Column) -> PolarsResult<Column> + Send + Sync + 'static,
    ) -> Self {
        Aggregation::of_states("aggregate", States::new(state, chunk, combine), result, finish)
    }

    /// Another result of the same states.
    pub(crate) fn of_states(
        name: &'static str,
        states: States,
        result: DataType,
        finish: impl Fn(&Column) -> PolarsResult<Column> + Send + Sync + 'static,
    ) -> Self {
        let of_nothing = Scalar::null(result.clone());
        let (finish, takes_numbers) = (Arc::new(finish), false);
        Aggregation { name, states, finish, result, of_nothing, takes_numbers }
    }

    /// This one with another result of no rows.
    pub(crate) fn of_nothing(self, of_nothing: Scalar) -> Self {
        Aggregation { of_nothing, ..self }
    }

    /// This one of numbers only.
    pub(crate) fn of_numbers(self) -> Self {
        Aggregation { takes_numbers: true, ..self }
    }

    /// The results of states, one of each group. States are null where there are no rows at all, or if a function made
    /// them so.
    pub(crate) fn finish(&self, states: &Column) -> PolarsResult<Column> {
        let of_nothing =
            || Column::new_scalar(PlSmallStr::EMPTY, self.of_nothing.clone(), states.len());
        if states.null_count() == states.len() {
            return Ok(of_nothing());
        }
        let out = (self.finish)(states)?;
        if *out.dtype() != self.result || out.len() != states.len() {
            let (got, n) = (out.dtype(), out.len());
            polars_bail!(SchemaMismatch: "finish returned {n} values of {got} for {} states, it was declared to return {}",
                states.len(), self.result);
        }
        // As if the group were alone, whatever `finish` makes of null.
        if states.null_count() > 0 {
            out.zip_with(&states.is_not_null(), &of_nothing())
        } else {
            Ok(out)
        }
    }

    /// The result of one group that is complete.
    pub(crate) fn of_all(&self, values: &Column) -> PolarsResult<Column> {
        let state = self.states.of_groups([values.clone()])?;
        Ok(self.finish(&state)?.with_name(values.name().clone()))
    }
}

impl States {
    pub(crate) fn new(
        dtype: DataType,
        chunk: impl Fn(&Column) -> PolarsResult<Scalar> + Send + Sync + 'static,
        combine: impl Fn(&Column) -> PolarsResult<Scalar> + Send + Sync + 'static,
    ) -> Self {
        let bytes_max = match dtype.is_nested() || dtype.is_string() || dtype.is_binary() {
            true => f64::INFINITY,
            false => 0.0,
        };
        States { functions: Arc::new((Box::new(chunk), Box::new(combine))), dtype, bytes_max }
    }

    /// States of which each takes so many bytes at most.
    pub(crate) fn of_bytes(self, bytes_max: u32) -> Self {
        States { bytes_max: f64::from(bytes_max), ..self }
    }

    /// Bytes that a state takes at most, if it grows with the number of its values.
    pub(crate) fn bytes_max(&self) -> f64 {
        self.bytes_max
    }

    /// The state of each of these groups of values.
    pub(crate) fn of_groups(
        &self,
        groups: impl IntoIterator<Item = Column>,
    ) -> PolarsResult<Column> {
        self.each(groups, "chunk", |values| (self.functions.0)(values))
    }

    /// Of each of these groups of states one that stands for all of them.
    pub(crate) fn merged(&self, groups: impl IntoIterator<Item = Column>) -> PolarsResult<Column> {
        self.each(groups, "combine", |states| match states.len() {
            1 => Ok(Scalar::new(self.dtype.clone(), states.get(0)?.into_static())),
            _ => (self.functions.1)(states),
        })
    }

    fn each(
        &self,
        groups: impl IntoIterator<Item = Column>,
        place: &str,
        function: impl Fn(&Column) -> PolarsResult<Scalar>,
    ) -> PolarsResult<Column> {
        let one = |values: Column| {
            if values.is_empty() {
                return Ok(AnyValue::Null);
            }
            let state = function(&values)?;
            if *state.dtype() != self.dtype {
                let got = state.dtype();
                polars_bail!(SchemaMismatch: "{place} returned {got}, states were declared to be {}", self.dtype);
            }
            Ok(state.into_value())
        };
        let states = groups.into_iter().map(one).collect::<PolarsResult<Vec<_>>>()?;
        let name = PlSmallStr::EMPTY;
        Ok(Series::from_any_values_and_dtype(name, &states, &self.dtype, true)?.into())
    }
}

/// Functions are equal only to themselves.
impl PartialEq for Aggregation {
    fn eq(&self, other: &Self) -> bool {
        self.states == other.states && Arc::ptr_eq(&self.finish, &other.finish)
    }
}

impl PartialEq for States {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.functions, &other.functions)
    }
}

impl fmt::Debug for Aggregation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.name, self.result)
    }
}

impl fmt::Debug for States {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "states of {}", self.dtype)
    }
}

impl Expr {
    /// An aggregation of the user, for `agg` and `select`; see [`Aggregation`].
    pub fn aggregate_with(&self, aggregation: &Aggregation) -> Expr {
        self.aggregate(Aggregate::Custom(Box::new(aggregation.clone())))
    }
}
