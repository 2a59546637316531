//! States that a loop over the values sums up: numbers of rows, sums, products, logic.

use std::borrow::Cow;

use polars_arrow::array::Array;
use polars_core::prelude::*;

use super::Groups;

/// Digits of a 128-bit decimal, all of which a sum may need.
const DECIMAL_PRECISION: usize = 38;

/// So many columns are summed up in one pass.
const SIDE_BY_SIDE: usize = 4;

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

/// As [`total`], of several columns, a row of all of them at a time: sums that wait for themselves don't wait for others.
pub(super) fn totals(values: &[&Column], groups: &Groups) -> PolarsResult<Vec<Column>> {
    let none = values.iter().map(|_| vec![0.0; groups.len()]).collect();
    totals_after(none, values, &groups.of_row)
}

/// As [`totals`], where `before` are those of the rows before, and `of_row` says which group each row is of.
pub(super) fn totals_after(
    mut before: Vec<Vec<f64>>,
    values: &[&Column],
    of_row: &[IdxSize],
) -> PolarsResult<Vec<Column>> {
    let n_each = side_by_side(values.len());
    for (totals, values) in before.chunks_mut(n_each).zip(values.chunks(n_each)) {
        let floats = values.iter().map(|values| as_floats(values));
        let floats = floats.collect::<PolarsResult<Vec<_>>>()?;
        let slices: Vec<&[f64]> = floats.iter().filter_map(|v| v.cont_slice().ok()).collect();
        if !add_rows(totals, &slices, of_row, |a, b| a + b) {
            for (totals, values) in totals.iter_mut().zip(&floats) {
                add_to(totals, values, of_row);
            }
        }
    }
    let column = |totals| Float64Chunked::from_vec(PlSmallStr::EMPTY, totals).into_column();
    Ok(before.into_iter().map(column).collect())
}

/// As [`sum`], of several columns of `i64`, as [`totals`].
pub(super) fn sums(values: &[&Column], groups: &Groups) -> PolarsResult<Vec<Column>> {
    let mut out = Vec::with_capacity(values.len());
    for values in values.chunks(side_by_side(values.len())) {
        let integers = values.iter().map(|values| values.i64());
        let integers = integers.collect::<PolarsResult<Vec<_>>>()?;
        let slices: Vec<&[i64]> = integers.iter().filter_map(|v| v.cont_slice().ok()).collect();
        let mut sums = vec![vec![0; groups.len()]; values.len()];
        if add_rows(&mut sums, &slices, &groups.of_row, i64::wrapping_add) {
            let column = |sums| Int64Chunked::from_vec(PlSmallStr::EMPTY, sums).into_column();
            out.extend(sums.into_iter().map(column));
        } else {
            for values in values {
                out.push(sum(values, groups)?);
            }
        }
    }
    Ok(out)
}

/// Of how many of so many columns rows are added at a time: about as many in each pass.
fn side_by_side(n_columns: usize) -> usize {
    n_columns.div_ceil(n_columns.div_ceil(SIDE_BY_SIDE).max(1)).max(1)
}

/// Adds the values of each row to the sums of its group, from top to bottom; false if they have to be added one column after
/// the other, because there is one, or one is not in one piece without nulls.
fn add_rows<T: Copy>(
    sums: &mut [Vec<T>],
    values: &[&[T]],
    of_row: &[IdxSize],
    add: impl Fn(T, T) -> T,
) -> bool {
    match (values, sums) {
        ([a, b, c, d], [s, t, u, v]) => add_rows_of([s, t, u, v], [a, b, c, d], of_row, add),
        ([a, b, c], [s, t, u]) => add_rows_of([s, t, u], [a, b, c], of_row, add),
        ([a, b], [s, t]) => add_rows_of([s, t], [a, b], of_row, add),
        _ => return false,
    }
    true
}

fn add_rows_of<T: Copy, const N: usize>(
    sums: [&mut Vec<T>; N],
    values: [&[T]; N],
    of_row: &[IdxSize],
    add: impl Fn(T, T) -> T,
) {
    let values = values.map(|values| &values[..of_row.len()]);
    let of_group = |group: usize| std::array::from_fn(|i| sums[i][group]);
    let mut by_group: Vec<[T; N]> = (0..sums[0].len()).map(of_group).collect();
    if let [sums] = &mut by_group[..] {
        // In registers instead of in memory.
        let mut all = *sums;
        for row in 0..of_row.len() {
            for (sum, values) in all.iter_mut().zip(&values) {
                *sum = add(*sum, values[row]);
            }
        }
        *sums = all;
    } else {
        for (row, &group) in of_row.iter().enumerate() {
            for (sum, values) in by_group[group as usize].iter_mut().zip(&values) {
                *sum = add(*sum, values[row]);
            }
        }
    }
    for (i, sums) in sums.into_iter().enumerate() {
        sums.iter_mut().zip(&by_group).for_each(|(sum, of_group)| *sum = of_group[i]);
    }
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
