//! Functions that give rows an order.

use std::ops::Bound;
use std::sync::Arc;

use chrono::{Days, NaiveDate, NaiveDateTime};
use polars_core::prelude::{
    AnyValue, DataType, Int64Chunked, IntoSeries, PlSmallStr, Series, TimeUnit,
};

use crate::error::{Call, Error, Result};
use crate::frame::expr::{Expr, ExprKind, check_column, col, infer_field, lit, literal_value};
use crate::frame::kernels::sort::{Limit, SortSpec};
use crate::frame::op::{FrameOp, Handle, Node, Ranges, Repartition, Sort};
use crate::frame::partitions::Divisions;

/// The rows in the order of `spec`, or the first of them; rows with equal keys stay in their order.
pub(crate) fn sort(call: Call, handle: &Handle, spec: SortSpec, limit: Option<u64>) -> Handle {
    handle.then(|node| {
        let schema = &node.meta.schema;
        spec.by.iter().try_for_each(|name| check_column(name, schema, call))?;
        let n = spec.by.len();
        if n == 0 || spec.descending.len() != n || spec.nulls_last.len() != n {
            return Err(Error::InvalidArgument {
                call,
                argument: "by",
                got: format!("{n} columns and {} directions", spec.descending.len()),
                expected: "one column at least, and a direction for all or for each of them",
            });
        }
        let (spec, limit) = (Arc::new(spec), limit.map(Limit::First));
        let sort = Sort { spec, limit, is_index: false, ranges: Ranges::Sampled };
        Node::of(FrameOp::Sort(sort), &[node])
    })
}

/// What is known of the rows of a frame that gets an index.
#[derive(Clone, Debug)]
pub(crate) enum Known {
    Nothing,
    /// They are sorted.
    Sorted,
    /// The divisions that they are to have, as a list.
    Divisions(Expr),
}

/// The rows sorted by the column `index`, which becomes the index of the frame.
pub(crate) fn set_index(call: Call, handle: &Handle, index: PlSmallStr, known: Known) -> Handle {
    handle.then(|node| {
        check_column(&index, &node.meta.schema, call)?;
        let ranges = match known {
            Known::Nothing => Ranges::Sampled,
            Known::Sorted => Ranges::Kept { call },
            Known::Divisions(values) => {
                let divisions = given_divisions(call, node, &index, &values)?;
                Ranges::Given { divisions, call }
            }
        };
        let spec = Arc::new(SortSpec::new([index], false, true));
        Node::of(FrameOp::Sort(Sort { spec, limit: None, is_index: true, ranges }), &[node])
    })
}

/// The same rows in partitions between these keys of the index.
pub(crate) fn repartition_divisions(call: Call, handle: &Handle, values: &Expr) -> Handle {
    handle.then(|node| {
        let by = index_of(call, node)?;
        let divisions = given_divisions(call, node, &by, values)?;
        let to = Repartition::Divisions { by, divisions, call };
        Node::of(FrameOp::Repartition(to), &[node])
    })
}

/// The same rows in a partition for each period of the index.
pub(crate) fn repartition_every(call: Call, handle: &Handle, every: &str) -> Handle {
    handle.then(|node| {
        let by = index_of(call, node)?;
        let dtype = infer_field(&col(by.clone()), &node.meta.schema, call)?.dtype;
        if !dtype.is_temporal() {
            return Err(Error::DTypeMismatch {
                call,
                got: format!("{dtype} of the index {by}"),
                expected: "dates or times".into(),
            });
        }
        let to = Repartition::Every { by, every: every.into(), call };
        Node::of(FrameOp::Repartition(to), &[node])
    })
}

fn index_of(call: Call, node: &Arc<Node>) -> Result<PlSmallStr> {
    node.note.clone().ok_or(Error::InvalidArgument {
        call,
        argument: "the frame",
        got: "a frame without an index".into(),
        expected: "one that was sorted by set_index()",
    })
}

/// A list of values as divisions by a column.
fn given_divisions(
    call: Call,
    node: &Arc<Node>,
    by: &PlSmallStr,
    values: &Expr,
) -> Result<Divisions> {
    let dtype = infer_field(&col(by.clone()), &node.meta.schema, call)?.dtype;
    let list = literal_value(values).map(|scalar| scalar.into_value());
    let cast = match &list {
        Some(AnyValue::List(values)) => match times_of(values, &dtype) {
            Some(times) => times.cast(&dtype).ok(),
            None => values.strict_cast(&dtype).ok(),
        },
        _ => None,
    };
    let divisions = cast.as_ref().and_then(Divisions::new);
    divisions.ok_or_else(|| Error::InvalidArgument {
        call,
        argument: "divisions",
        got: format!("{values} for {by} of dtype {dtype}"),
        expected: "two values or more of the dtype of the index, ascending and not null",
    })
}

/// Texts of dates and times as these, if dates or times are wanted.
fn times_of(values: &Series, dtype: &DataType) -> Option<Series> {
    let texts = values.str().ok().filter(|_| is_instant(dtype))?;
    let micros = |text: &str| Some(parse_instant(text)?.0.and_utc().timestamp_micros());
    let times: Int64Chunked = texts.iter().map(|text| micros(text?)).collect();
    times.into_series().cast(&DataType::Datetime(TimeUnit::Microseconds, None)).ok()
}

/// The rows whose index is within these bounds.
pub(crate) fn loc(call: Call, handle: &Handle, low: Bound<Expr>, high: Bound<Expr>) -> Handle {
    handle.then(|node| {
        let index = index_of(call, node)?;
        let dtype = infer_field(&col(index.clone()), &node.meta.schema, call)?.dtype;
        let column = || col(index.clone());
        let low = match instant(low, &dtype, false) {
            Bound::Included(value) => Some(column().gt_eq(value)),
            Bound::Excluded(value) => Some(column().gt(value)),
            Bound::Unbounded => None,
        };
        let high = match instant(high, &dtype, true) {
            Bound::Included(value) => Some(column().lt_eq(value)),
            Bound::Excluded(value) => Some(column().lt(value)),
            Bound::Unbounded => None,
        };
        match low.into_iter().chain(high).reduce(|a, b| a.and(b)) {
            Some(within) => super::rows::filter_node(call, node, within),
            None => Ok(Arc::clone(node)),
        }
    })
}

/// A bound that is written as text, as a bound of dates or times; a day as an upper bound has all of its hours.
fn instant(bound: Bound<Expr>, dtype: &DataType, is_high: bool) -> Bound<Expr> {
    let parse = |value: &Expr| -> Option<(NaiveDateTime, bool)> {
        let ExprKind::Literal(literal) = value.kind() else { return None };
        let AnyValue::StringOwned(text) = literal.value.value() else { return None };
        parse_instant(text)
    };
    let value = |time: NaiveDateTime| match dtype {
        DataType::Date => lit(time.date()),
        _ => lit(time).cast(dtype.clone()),
    };
    if !is_instant(dtype) {
        return bound;
    }
    let parsed = match &bound {
        Bound::Included(value) | Bound::Excluded(value) => parse(value),
        Bound::Unbounded => None,
    };
    match (bound, parsed) {
        (Bound::Included(_), Some((day, true))) if is_high && *dtype != DataType::Date => {
            Bound::Excluded(value(day + Days::new(1)))
        }
        (Bound::Excluded(_), Some((day, true))) if !is_high && *dtype != DataType::Date => {
            Bound::Included(value(day + Days::new(1)))
        }
        (Bound::Included(_), Some((time, _))) => Bound::Included(value(time)),
        (Bound::Excluded(_), Some((time, _))) => Bound::Excluded(value(time)),
        (bound, _) => bound,
    }
}

/// A date or time that is written as text, and whether it is a whole day.
fn parse_instant(text: &str) -> Option<(NaiveDateTime, bool)> {
    let day = text.parse::<NaiveDate>().ok().and_then(|day| day.and_hms_opt(0, 0, 0));
    let time = || text.replace(' ', "T").parse::<NaiveDateTime>().ok();
    day.map(|day| (day, true)).or_else(|| time().map(|time| (time, false)))
}

fn is_instant(dtype: &DataType) -> bool {
    matches!(dtype, DataType::Date | DataType::Datetime(..))
}
