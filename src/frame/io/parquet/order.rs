//! How values compare, as polars sees it, and what bounds say of a comparison.

use std::cmp::Ordering;

use polars_core::prelude::{AnyValue, TimeUnit};

use super::super::Comparison;

/// Whether a value between these bounds can compare like this with `value`. What can't be compared, can.
pub(super) fn may_compare(
    comparison: Comparison,
    value: &AnyValue<'_>,
    min: &AnyValue<'_>,
    max: &AnyValue<'_>,
    may_be_nan: bool,
) -> bool {
    // How the bounds compare with the value: every value of the column lies between.
    let (low, high) = (compare(min, value), compare(max, value));
    match comparison {
        Comparison::Lt => low.is_none_or(Ordering::is_lt),
        Comparison::LtEq => low.is_none_or(Ordering::is_le),
        Comparison::Gt => may_be_nan || high.is_none_or(Ordering::is_gt),
        Comparison::GtEq => may_be_nan || high.is_none_or(Ordering::is_ge),
        // NaN equals no number, and a NaN to compare with has no order here.
        Comparison::Eq | Comparison::In => {
            low.is_none_or(Ordering::is_le) && high.is_none_or(Ordering::is_ge)
        }
        Comparison::NotEq => {
            may_be_nan || low != Some(Ordering::Equal) || high != Some(Ordering::Equal)
        }
        Comparison::IsNull | Comparison::IsNotNull => true,
    }
}

/// The order of two values of one kind; None if there is none or it is not known here.
pub(super) fn compare(a: &AnyValue<'_>, b: &AnyValue<'_>) -> Option<Ordering> {
    use AnyValue as V;
    if let (Some(a), Some(b)) = (as_integer(a), as_integer(b)) {
        return Some(a.cmp(&b));
    }
    match (a, b) {
        (V::Boolean(a), V::Boolean(b)) => Some(a.cmp(b)),
        (V::Float32(a), V::Float32(b)) => a.partial_cmp(b),
        (V::Float64(a), V::Float64(b)) => a.partial_cmp(b),
        (V::Date(a), V::Date(b)) => Some(a.cmp(b)),
        (V::Time(a), V::Time(b)) => Some(a.cmp(b)),
        (V::Duration(a, unit), V::Duration(b, other)) if unit == other => Some(a.cmp(b)),
        (V::Decimal(a, _, scale), V::Decimal(b, _, other)) if scale == other => Some(a.cmp(b)),
        _ => {
            if let (Some(a), Some(b)) = (as_instant(a), as_instant(b)) {
                return (a.1 == b.1).then(|| a.0.cmp(&b.0));
            }
            if let (Some(a), Some(b)) = (a.get_str(), b.get_str()) {
                return Some(a.as_bytes().cmp(b.as_bytes()));
            }
            Some(as_bytes(a)?.cmp(as_bytes(b)?))
        }
    }
}

fn as_instant(value: &AnyValue<'_>) -> Option<(i64, TimeUnit)> {
    match value {
        AnyValue::Datetime(value, unit, _) => Some((*value, *unit)),
        AnyValue::DatetimeOwned(value, unit, _) => Some((*value, *unit)),
        _ => None,
    }
}

fn as_bytes<'a>(value: &'a AnyValue<'_>) -> Option<&'a [u8]> {
    match value {
        AnyValue::Binary(bytes) => Some(bytes),
        AnyValue::BinaryOwned(bytes) => Some(bytes),
        _ => None,
    }
}

/// The value of an integer of any width.
pub(super) fn as_integer(value: &AnyValue<'_>) -> Option<i128> {
    Some(match value {
        AnyValue::Int8(value) => i128::from(*value),
        AnyValue::Int16(value) => i128::from(*value),
        AnyValue::Int32(value) => i128::from(*value),
        AnyValue::Int64(value) => i128::from(*value),
        AnyValue::UInt8(value) => i128::from(*value),
        AnyValue::UInt16(value) => i128::from(*value),
        AnyValue::UInt32(value) => i128::from(*value),
        AnyValue::UInt64(value) => i128::from(*value),
        _ => return None,
    })
}
