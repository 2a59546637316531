//! One column of a frame, as a handle of its own: a frame and an expression, which what it can do is handed on to.
//!
//! What gives a value for each row, or one for all of them, is another expression of the same frame, so that series of one frame
//! stand side by side in an expression. What changes which rows there are makes another frame.

mod forward;
mod operators;

pub use forward::{DateLikeSeries, ListSeries, StringSeries, StructSeries};
pub use operators::IntoOperand;

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use polars_core::prelude::{AnyValue, DataType, PlSmallStr, Series as PolarsSeries};

#[cfg(feature = "array")]
use super::ColumnElement;
use super::expr::{Expr, check_column, col, infer_field};
use super::handle::{DataFrame, PendingFrame};
use super::op::{Handle, Node};
use super::ops::rows;
#[cfg(feature = "array")]
use crate::array::Array;
use crate::compute::{Collection, Session};
use crate::error::{Call, Error, Result};
use operators::Operand;

/// One column of a [`DataFrame`], or what was computed of it; lazy, as the frame is.
///
/// It has the methods of [`Expr`], which are explained there: functions of rows and their neighbours, comparisons, operators,
/// and aggregates, which give a series of one value ([`item`](Self::item)). They take values, expressions of columns of the
/// frame (as everywhere, `"x"` is a column, and `lit("x")` a text), and series of the same frame. Methods that change which
/// rows there are, such as [`filter`](Self::filter) and [`sort`](Self::sort), give a series of another frame, which no longer
/// goes with those of the first.
///
/// A wrong step makes a series that carries the error, with the line of that step.
///
/// # Example
/// ```
/// use dask_rs::frame::{DataFrame, polars_core::df};
/// let trips = df!["fare" => [10.0, 8.0, 12.0], "tip" => [1.0, 2.0, 3.0], "city" => ["rome", "oslo", "rome"]]?;
/// let frame = DataFrame::from_polars(&trips, 2);
/// let (fare, tip) = (frame.column("fare"), frame.column("tip"));
/// let share = (&tip / &fare).rename("share");
/// assert_eq!(share.compute()?.f64()?.to_vec(), [0.1, 0.25, 0.25].map(Some));
/// assert_eq!((&fare - fare.mean()).abs().max().item()?.extract::<f64>(), Some(2.0));
/// assert_eq!(frame.column("city").str().to_uppercase().unique().len()?, 2);
/// assert_eq!(fare.filter(tip.gt(1.0)).sum().item()?.extract::<f64>(), Some(20.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use = "nothing is computed until it is asked for"]
pub struct Series {
    frame: DataFrame,
    expr: Expr,
}

impl DataFrame {
    /// The column `name`, as a series.
    ///
    /// # Errors
    /// Carried: [`Error::UnknownColumn`].
    #[track_caller]
    pub fn column(&self, name: &str) -> Series {
        let call = Call::new("column");
        let found = self.handle().node();
        let found = found.and_then(|node| check_column(name, &node.meta.schema, call));
        Series::of(self, found.map(|()| col(name)))
    }
}

impl Series {
    /// An expression of a frame.
    #[track_caller]
    fn of(frame: &DataFrame, expr: Result<Expr>) -> Self {
        match expr {
            Ok(expr) => Series { frame: frame.clone(), expr },
            Err(error) => {
                // No expression is looked at of a frame with an error.
                let frame = DataFrame::of(Handle::from_result(Err(error)));
                Series { frame, expr: col(PlSmallStr::EMPTY) }
            }
        }
    }

    /// The only column of a frame.
    fn only(frame: DataFrame, name: PlSmallStr) -> Self {
        Series { frame, expr: col(name) }
    }

    /// What `make` makes of the expression and of those of others, for the same rows.
    #[track_caller]
    fn with(
        &self,
        call: Call,
        others: Vec<Operand>,
        make: impl FnOnce(&Expr, &[Expr]) -> Expr,
    ) -> Self {
        let made = self.frame.handle().node().and_then(|node| {
            let others = others.into_iter().map(|other| other.expr_of(node, call));
            let expr = make(&self.expr, &others.collect::<Result<Vec<_>>>()?);
            infer_field(&expr, &node.meta.schema, call)?;
            Ok(expr)
        });
        Series::of(&self.frame, made)
    }

    /// A frame of this column alone, one row long if it is an aggregate.
    #[track_caller]
    #[must_use]
    pub fn to_frame(&self) -> DataFrame {
        let exprs = vec![self.expr.clone()];
        DataFrame::of(rows::select(Call::new("to_frame"), self.frame.handle(), exprs))
    }

    /// The expression, of columns of the frame that the series was taken from, to be used with others there:
    /// `frame.with_columns([series.as_expr()])`.
    pub fn as_expr(&self) -> Expr {
        self.expr.clone()
    }

    /// The name of the column.
    ///
    /// # Errors
    /// The error that the series carries.
    pub fn name(&self) -> Result<String> {
        self.frame.handle().node().map(|_| self.expr.output_name().to_string())
    }

    /// The dtype of the values.
    ///
    /// # Errors
    /// The error that the series carries.
    #[track_caller]
    pub fn dtype(&self) -> Result<DataType> {
        let schema = &self.frame.handle().node()?.meta.schema;
        Ok(infer_field(&self.expr, schema, Call::new("dtype"))?.dtype)
    }

    /// `Ok` if the series carries no error.
    ///
    /// # Errors
    /// The error that the series carries.
    pub fn check(&self) -> Result<()> {
        self.frame.check()
    }

    /// Computes all values, in parallel and inside the memory limit.
    ///
    /// # Errors
    /// The error that the series carries, or that of the first task that failed.
    #[track_caller]
    pub fn compute(&self) -> Result<PolarsSeries> {
        crate::compute(self)
    }

    /// Computes the only value, such as an aggregate gives.
    ///
    /// # Errors
    /// As [`compute`](Self::compute); [`Error::InvalidArgument`] for a series of another length.
    #[track_caller]
    pub fn item(&self) -> Result<AnyValue<'static>> {
        let call = Call::new("item");
        let values = self.compute()?;
        match (values.len(), values.get(0)) {
            (1, Ok(value)) => Ok(value.into_static()),
            (n, _) => Err(Error::InvalidArgument {
                call,
                argument: "the series",
                got: format!("{n} values"),
                expected: "one value, as aggregates give",
            }),
        }
    }

    /// Computes the partitions and keeps them; see [`DataFrame::persist`].
    ///
    /// # Errors
    /// As [`DataFrame::persist`].
    #[track_caller]
    pub fn persist(&self) -> Result<Self> {
        Ok(Series::only(self.to_frame().persist()?, self.expr.output_name()))
    }

    /// The number of values, null or not.
    ///
    /// # Errors
    /// As [`compute`](Self::compute).
    #[track_caller]
    pub fn len(&self) -> Result<u64> {
        self.to_frame().len()
    }

    /// Whether there are no values.
    ///
    /// # Errors
    /// As [`compute`](Self::compute).
    #[track_caller]
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// As an array of one dimension; see [`DataFrame::column_to_array`].
    #[cfg(feature = "array")]
    #[track_caller]
    #[must_use]
    pub fn to_array<T: ColumnElement>(&self) -> Array<T> {
        self.to_frame().column_to_array(self.expr.output_name())
    }

    /// The same values under another name.
    pub fn rename(&self, name: impl Into<PlSmallStr>) -> Self {
        Series { frame: self.frame.clone(), expr: self.expr.alias(name) }
    }

    /// The values in the rows for which `predicate` is true; it may look at other columns of the frame.
    ///
    /// Where neither looks at other rows, the filter moves into the files that are read, as that of a frame.
    ///
    /// # Errors
    /// Carried: what is not boolean, and a series of another frame.
    #[track_caller]
    pub fn filter(&self, predicate: impl IntoOperand) -> Self {
        let call = Call::new("filter");
        let node = self.frame.handle().node();
        let predicate = node.and_then(|node| predicate.into_operand().expr_of(node, call));
        let predicate = match predicate {
            Ok(predicate) => predicate,
            Err(error) => return Series::of(&self.frame, Err(error)),
        };
        let name = self.expr.output_name();
        if !self.expr.crosses_rows() {
            let handle = rows::filter(call, self.frame.handle(), predicate);
            return Series { frame: DataFrame::of(handle), expr: self.expr.clone() };
        }
        // What other rows are to this one, they are before some of them go.
        let is_kept = PlSmallStr::from(format!("__keep_{name}"));
        let exprs = vec![self.expr.clone(), predicate.alias(is_kept.clone())];
        let both = rows::select(call, self.frame.handle(), exprs);
        let kept = rows::filter(call, &both, col(is_kept));
        let kept = rows::select(call, &kept, vec![col(name.clone())]);
        Series::only(DataFrame::of(kept), name)
    }
}

/// Whether both are the same steps from the same sources, so that they have the same rows.
fn is_same_frame(a: &Arc<Node>, b: &Arc<Node>) -> bool {
    let mut seen = HashSet::new();
    let mut pending = vec![(a, b)];
    while let Some((a, b)) = pending.pop() {
        if a.serial == b.serial || !seen.insert((a.serial, b.serial)) {
            continue;
        }
        if a.op != b.op || a.inputs.len() != b.inputs.len() {
            return false;
        }
        pending.extend(a.inputs.iter().zip(&b.inputs));
    }
    true
}

/// The name and dtype, or the error; nothing is computed.
impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.dtype() {
            Ok(dtype) => write!(f, "Series({}: {dtype})", self.expr.output_name()),
            Err(error) => write!(f, "Series(error: {error})"),
        }
    }
}

impl fmt::Debug for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Collection for Series {
    type Output = PolarsSeries;
    type Pending = PendingFrame;

    fn enlist(&self, session: &mut Session) -> Result<PendingFrame> {
        self.to_frame().enlist(session)
    }

    fn collect(pending: PendingFrame) -> Result<PolarsSeries> {
        let column = DataFrame::collect(pending)?.into_columns().pop();
        column.map(|column| column.take_materialized_series()).ok_or_else(|| Error::Internal {
            place: "series".into(),
            problem: "a frame without columns".into(),
        })
    }
}
