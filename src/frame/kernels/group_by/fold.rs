//! States that a loop over the values sums up: numbers of rows, sums, products, logic.

use std::borrow::Cow;

use polars_arrow::array::Array;
use polars_core::prelude::*;

use super::Groups;

/// Digits of a 128-bit decimal, all of which a sum may need.
const DECIMAL_PRECISION: usize = 38;

/// How many rows each group has.
pub(super) fn rows(groups: &Groups) -> Column {
    let mut counts = vec![0_u64; groups.len()];
    match counts.as_mut_slice() {
        [count] => *count = groups.of_row.len() as u64,
        counts => groups.of_row.iter().for_each(|&group| counts[group as usize] += 1),
    }
    UInt64Chunked::from_vec(PlSmallStr::EMPTY, counts).into_column()
}

/// How many values of each group are not null.
pub(super) fn count(values: &Column, groups: &Groups) -> Column {
    let mut counts = vec![0_u64; groups.len()];
    for (&group, is_valid) in groups.of_row.iter().zip(values.is_not_null().iter()) {
        counts[group as usize] += u64::from(is_valid == Some(true));
    }
    UInt64Chunked::from_vec(PlSmallStr::EMPTY, counts).into_column()
}

/// Sums of integers, in the dtypes of polars: 64 bits for small ones, [`IdxSize`] for booleans. Those of 32 and more
/// bits keep theirs and wrap around, as there.
pub(super) fn sum(values: &Column, groups: &Groups) -> PolarsResult<Column> {
    use DataType as D;
    macro_rules! sum {
        ($values:expr, $dtype:ty) => {{
            let mut sums = vec![0; groups.len()];
            each($values, &groups.of_row, |group, value| {
                sums[group] = value.wrapping_add(sums[group]);
            });
            <$dtype>::from_vec(PlSmallStr::EMPTY, sums).into_series()
        }};
    }
    let series = values.as_materialized_series();
    let sums = match series.dtype() {
        D::Boolean => return sum(&values.cast(&IDX_DTYPE)?, groups),
        D::Int8 | D::Int16 | D::UInt8 | D::UInt16 => return sum(&values.cast(&D::Int64)?, groups),
        D::Int32 => sum!(series.i32()?, Int32Chunked),
        D::Int64 => sum!(series.i64()?, Int64Chunked),
        D::UInt32 => sum!(series.u32()?, UInt32Chunked),
        D::UInt64 => sum!(series.u64()?, UInt64Chunked),
        D::Int128 => sum!(series.i128()?, Int128Chunked),
        D::Duration(_) => sum!(series.duration()?.physical(), Int64Chunked).cast(series.dtype())?,
        D::Decimal(_, scale) => sum!(series.decimal()?.physical(), Int128Chunked)
            .into_decimal(DECIMAL_PRECISION, *scale)?,
        dtype => polars_bail!(InvalidOperation: "sum of {dtype}"),
    };
    Ok(sums.into_column())
}

/// Sums as `f64`; dates and times as numbers.
pub(super) fn total(values: &Column, groups: &Groups) -> PolarsResult<Column> {
    let mut totals = vec![0.0; groups.len()];
    add_to(&mut totals, as_floats(values)?.as_ref(), &groups.of_row);
    Ok(Float64Chunked::from_vec(PlSmallStr::EMPTY, totals).into_column())
}

/// As [`total`], where `before` are the totals of the first groups so far, and `of_row` says which of the `n_groups` groups
/// each value is of.
pub(super) fn total_after(
    before: &Column,
    values: &Column,
    of_row: &[IdxSize],
    n_groups: usize,
) -> PolarsResult<Column> {
    let mut totals: Vec<f64> = before.f64()?.into_no_null_iter().collect();
    totals.resize(n_groups, 0.0);
    add_to(&mut totals, as_floats(values)?.as_ref(), of_row);
    Ok(Float64Chunked::from_vec(PlSmallStr::EMPTY, totals).into_column())
}

/// Adds each value to the total of its group, from top to bottom.
fn add_to(totals: &mut [f64], values: &Float64Chunked, of_row: &[IdxSize]) {
    if let [total] = totals {
        // In a register instead of in memory.
        let mut sum = *total;
        for array in values.downcast_iter() {
            match array.has_nulls() {
                true => array.iter().flatten().for_each(|value| sum += value),
                false => array.values().iter().for_each(|value| sum += value),
            }
        }
        *total = sum;
    } else {
        each(values, of_row, |group, value| totals[group] += value);
    }
}

/// Products of integers as `i64` or `u64`, of others as `f64`.
pub(super) fn product(values: &Column, groups: &Groups) -> PolarsResult<Column> {
    macro_rules! product {
        ($values:expr, $dtype:ty) => {{
            let mut products = vec![1; groups.len()];
            each($values, &groups.of_row, |group, value| {
                products[group] = value.wrapping_mul(products[group]);
            });
            Ok(<$dtype>::from_vec(PlSmallStr::EMPTY, products).into_column())
        }};
    }
    match values.dtype() {
        DataType::UInt64 => product!(values.u64()?, UInt64Chunked),
        DataType::Int64 => product!(values.i64()?, Int64Chunked),
        dtype if dtype.is_integer() || dtype.is_bool() => {
            product!(values.cast(&DataType::Int64)?.i64()?, Int64Chunked)
        }
        _ => {
            let mut products = vec![1.0; groups.len()];
            each(as_floats(values)?.as_ref(), &groups.of_row, |group, value| {
                products[group] *= value
            });
            Ok(Float64Chunked::from_vec(PlSmallStr::EMPTY, products).into_column())
        }
    }
}

/// Whether `any` value is true, or else whether all are.
pub(super) fn logic(values: &Column, groups: &Groups, any: bool) -> PolarsResult<Column> {
    let mut states = vec![!any; groups.len()];
    for (&group, value) in groups.of_row.iter().zip(values.bool()?.iter()) {
        if value == Some(any) {
            states[group as usize] = any;
        }
    }
    Ok(BooleanChunked::from_slice(PlSmallStr::EMPTY, &states).into_column())
}

/// Calls `change` with the group of each value that is not null, from top to bottom.
pub(super) fn each<T: PolarsNumericType>(
    values: &ChunkedArray<T>,
    of_row: &[IdxSize],
    mut change: impl FnMut(usize, T::Native),
) {
    let mut of_row = of_row.iter();
    for array in values.downcast_iter() {
        let of_row = of_row.by_ref().take(array.len());
        if array.has_nulls() {
            for (&group, value) in of_row.zip(array.iter()) {
                if let Some(&value) = value {
                    change(group as usize, value);
                }
            }
        } else {
            for (&group, &value) in of_row.zip(array.values().as_slice()) {
                change(group as usize, value);
            }
        }
    }
}

/// Numbers, dates and times as `f64`.
pub(super) fn as_floats(values: &Column) -> PolarsResult<Cow<'_, Float64Chunked>> {
    if let Ok(values) = values.f64() {
        return Ok(Cow::Borrowed(values));
    }
    // The physical value of a decimal lacks its scale.
    let floats = match values.dtype() {
        DataType::Decimal(..) => values.cast(&DataType::Float64)?,
        _ => values.to_physical_repr().cast(&DataType::Float64)?,
    };
    Ok(Cow::Owned(floats.f64()?.clone()))
}
