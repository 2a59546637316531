//! Functions that give rows an order.

use std::ops::Bound;
use std::sync::Arc;

use chrono::{Days, NaiveDate, NaiveDateTime};
use polars_core::prelude::{AnyValue, DataType, PlSmallStr};

use crate::error::{Call, Error};
use crate::frame::expr::{Expr, ExprKind, check_column, col, infer_field, lit};
use crate::frame::kernels::sort::SortSpec;
use crate::frame::op::{FrameOp, Handle, Node, Sort};

/// The rows in the order of `spec`; rows with equal keys stay in their order.
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
        let sort = Sort { spec: Arc::new(spec), limit, is_index: false };
        Node::of(FrameOp::Sort(sort), &[node])
    })
}

/// The rows sorted by the column `index`, which becomes the index of the frame.
pub(crate) fn set_index(call: Call, handle: &Handle, index: PlSmallStr) -> Handle {
    handle.then(|node| {
        check_column(&index, &node.meta.schema, call)?;
        let spec = Arc::new(SortSpec::new([index], false, true));
        Node::of(FrameOp::Sort(Sort { spec, limit: None, is_index: true }), &[node])
    })
}

/// The rows whose index is within these bounds.
pub(crate) fn loc(call: Call, handle: &Handle, low: Bound<Expr>, high: Bound<Expr>) -> Handle {
    handle.then(|node| {
        let index = node.note.clone().ok_or(Error::InvalidArgument {
            call,
            argument: "the frame",
            got: "a frame without an index".into(),
            expected: "one that was sorted by set_index()",
        })?;
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
        let day = text.parse::<NaiveDate>().ok().and_then(|day| day.and_hms_opt(0, 0, 0));
        let time = || text.replace(' ', "T").parse::<NaiveDateTime>().ok();
        day.map(|day| (day, true)).or_else(|| time().map(|time| (time, false)))
    };
    let value = |time: NaiveDateTime| match dtype {
        DataType::Date => lit(time.date()),
        _ => lit(time).cast(dtype.clone()),
    };
    if !matches!(dtype, DataType::Date | DataType::Datetime(..)) {
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
