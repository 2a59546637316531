//! Filters taken apart: into conditions that hold one by one, and into what a source can check.
//!
//! A filter keeps the rows on which it is true; null counts as false. What is done here keeps that: Kleene's logic
//! distributes and absorbs as logic of two values does.

use polars_core::chunked_array::cast::CastOptions;
use polars_core::prelude::{AnyValue, DataType, Scalar, Schema, TimeUnit};

use super::coerce::{literal_supertype, lookup_supertype};
use super::functions::{boolean, compare, nulls};
use super::{Expr, ExprKind, Function};
use crate::frame::io::{Comparison, Condition};

/// Filters that all have to hold where `filter` has to.
///
/// What all branches of an *or* have in common stands before it: `(a & b) | (a & c)` gives `a` and `b | c`.
pub(crate) fn conjuncts(filter: &Expr) -> Vec<Expr> {
    let mut out = Vec::new();
    for factor in operands(filter, &boolean::AND) {
        let branches = operands(&factor, &boolean::OR);
        if branches.len() == 1 {
            add(&mut out, factor);
            continue;
        }
        let branches: Vec<Vec<Expr>> = branches.iter().map(conjuncts).collect();
        let (first, others) = branches.split_first().expect("an or has branches");
        let is_common = |e: &Expr| others.iter().all(|branch| branch.contains(e));
        let common: Vec<Expr> = first.iter().filter(|e| is_common(e)).cloned().collect();
        if common.is_empty() {
            add(&mut out, factor);
            continue;
        }
        let rest = branches
            .iter()
            .map(|branch| all_of(branch.iter().filter(|e| !common.contains(e)).cloned()));
        let rest: Option<Vec<Expr>> = rest.collect();
        common.into_iter().for_each(|e| add(&mut out, e));
        // A branch with nothing else is true where the common part is, and so is the whole.
        if let Some(rest) = rest.and_then(|rest| rest.into_iter().reduce(|a, b| a.or(b))) {
            add(&mut out, rest);
        }
    }
    out.retain(|factor| !is_literal(factor, true));
    out
}

/// The filter that holds where all of these do; none if there are none.
pub(crate) fn all_of(filters: impl IntoIterator<Item = Expr>) -> Option<Expr> {
    filters.into_iter().reduce(|a, b| a.and(b))
}

fn add(out: &mut Vec<Expr>, filter: Expr) {
    if !out.contains(&filter) {
        out.push(filter);
    }
}

/// What `operator` connects, from left to right.
fn operands(expr: &Expr, operator: &'static Function) -> Vec<Expr> {
    let mut out = Vec::new();
    let mut stack = vec![expr];
    while let Some(next) = stack.pop() {
        let next = next.without_alias();
        match next.kind() {
            ExprKind::Call { function, inputs } if *function == operator => {
                stack.extend(inputs.iter().rev());
            }
            _ => out.push(next.clone()),
        }
    }
    out
}

/// Whether `expr` is written as this value.
pub(crate) fn is_literal(expr: &Expr, value: bool) -> bool {
    match expr.without_alias().kind() {
        ExprKind::Literal(literal) => *literal.value.value() == AnyValue::Boolean(value),
        _ => false,
    }
}

/// The condition on one column that `filter` is, if it is one and its values can be said in the dtype of the column.
///
/// Polars' order holds: NaN equals itself and is greater than any other float. A source that knows the largest value
/// without the NaNs must not leave out rows because of `Gt`, `GtEq` or `NotEq`.
pub(crate) fn to_condition(filter: &Expr, schema: &Schema) -> Option<Condition> {
    let condition = |column: &Expr, comparison, values| {
        let ExprKind::Column(name) = column.without_alias().kind() else { return None };
        schema.get(name)?;
        Some(Condition { column: name.clone(), comparison, values })
    };
    let filter = filter.without_alias();
    let ExprKind::Call { function, inputs } = filter.kind() else {
        let is_flag = matches!(filter.kind(), ExprKind::Column(name)
            if schema.get(name).is_some_and(DataType::is_bool));
        let value = vec![Scalar::from(true)];
        return if is_flag { condition(filter, Comparison::Eq, value) } else { None };
    };
    if *function == &nulls::IS_NULL {
        return condition(&inputs[0], Comparison::IsNull, vec![]);
    }
    if *function == &nulls::IS_NOT_NULL {
        return condition(&inputs[0], Comparison::IsNotNull, vec![]);
    }
    if *function == &boolean::NOT {
        return negated(to_condition(&inputs[0], schema)?);
    }
    if *function == &compare::IS_IN {
        let dtype = column_dtype(&inputs[0], schema)?;
        return condition(&inputs[0], Comparison::In, list_values(&inputs[1], dtype)?);
    }
    let comparison = comparison_of(function)?;
    let (column, value, comparison) = match column_dtype(&inputs[0], schema) {
        Some(_) => (&inputs[0], &inputs[1], comparison),
        None => (&inputs[1], &inputs[0], swapped(comparison)),
    };
    let dtype = column_dtype(column, schema)?;
    let ExprKind::Literal(literal) = value.without_alias().kind() else { return None };
    let value = as_column_value(&literal.value, literal.dynamic, dtype, comparison)?;
    condition(column, comparison, vec![value])
}

fn column_dtype<'a>(expr: &Expr, schema: &'a Schema) -> Option<&'a DataType> {
    match expr.without_alias().kind() {
        ExprKind::Column(name) => schema.get(name),
        _ => None,
    }
}

fn comparison_of(function: &'static Function) -> Option<Comparison> {
    let table = [
        (&compare::EQ, Comparison::Eq),
        (&compare::NEQ, Comparison::NotEq),
        (&compare::LT, Comparison::Lt),
        (&compare::LT_EQ, Comparison::LtEq),
        (&compare::GT, Comparison::Gt),
        (&compare::GT_EQ, Comparison::GtEq),
    ];
    table.into_iter().find(|(known, _)| *known == function).map(|(_, comparison)| comparison)
}

/// The comparison with its sides exchanged.
fn swapped(comparison: Comparison) -> Comparison {
    match comparison {
        Comparison::Lt => Comparison::Gt,
        Comparison::LtEq => Comparison::GtEq,
        Comparison::Gt => Comparison::Lt,
        Comparison::GtEq => Comparison::LtEq,
        other => other,
    }
}

/// The condition that holds where this one is false.
fn negated(condition: Condition) -> Option<Condition> {
    let comparison = match condition.comparison {
        Comparison::Lt => Comparison::GtEq,
        Comparison::LtEq => Comparison::Gt,
        Comparison::Gt => Comparison::LtEq,
        Comparison::GtEq => Comparison::Lt,
        Comparison::Eq => Comparison::NotEq,
        Comparison::NotEq => Comparison::Eq,
        Comparison::IsNull => Comparison::IsNotNull,
        Comparison::IsNotNull => Comparison::IsNull,
        Comparison::In => return None,
    };
    Some(Condition { comparison, ..condition })
}

/// The values of a list, without nulls, which equal nothing.
fn list_values(list: &Expr, dtype: &DataType) -> Option<Vec<Scalar>> {
    let ExprKind::Literal(literal) = list.kind() else { return None };
    let AnyValue::List(values) = literal.value.value() else { return None };
    let mut out = Vec::with_capacity(values.len());
    for value in values.iter().filter(|value| !value.is_null()) {
        let value = Scalar::new(values.dtype().clone(), value.into_static());
        // The values of a list meet a column in the dtype of both, also if they are dynamic.
        out.push(as_column_value(&value, false, dtype, Comparison::In)?);
    }
    Some(out)
}

/// `value` in the dtype of the column, if the column compares with it there as polars does in the dtype of both.
fn as_column_value(
    value: &Scalar,
    dynamic: bool,
    dtype: &DataType,
    comparison: Comparison,
) -> Option<Scalar> {
    let cast = |value: &Scalar, dtype: &DataType| {
        let value = value.clone().cast_with_options(dtype, CastOptions::NonStrict).ok()?;
        (!value.is_null()).then_some(value)
    };
    if value.is_null()
        || value.is_nan()
        || dtype.is_categorical()
        || dtype.is_enum()
        || dtype.is_nested()
    {
        return None;
    }
    // Text is compared with text only.
    if value.dtype().is_string() != dtype.is_string() {
        return None;
    }
    let common = if dynamic { literal_supertype(dtype, value.value()) } else { None };
    let common = common.or_else(|| match comparison {
        Comparison::In => lookup_supertype(value.dtype(), dtype).ok(),
        _ => polars_core::utils::get_supertype(dtype, value.dtype()),
    });
    let common = if value.dtype() == dtype { dtype.clone() } else { common? };
    let in_common = cast(value, &common)?;
    let in_column = cast(&in_common, dtype)?;
    if common == *dtype {
        // A value that had to be cut, such as 0.1 as `f32` or a time in a coarser unit, is compared as what was left.
        return Some(in_column);
    }
    if cast(&in_column, &common)? != in_common || !is_exact(&in_common, dtype) {
        return None;
    }
    // Times are compared in the coarser unit, where a value stands for a span of the finer one.
    let is_coarser = matches!((&common, dtype),
        (DataType::Datetime(a, _), DataType::Datetime(b, _)) | (DataType::Duration(a), DataType::Duration(b))
            if per_second(*a) < per_second(*b));
    let keeps_order = matches!(comparison, Comparison::Lt | Comparison::GtEq);
    (!is_coarser || keeps_order).then_some(in_column)
}

/// Whether no other value of `dtype` is the same as `value` once both are floats.
fn is_exact(value: &Scalar, dtype: &DataType) -> bool {
    const INTEGERS: f64 = (1_u64 << 52) as f64;
    if !value.dtype().is_float() {
        return true;
    }
    let size = value.value().extract::<f64>().map_or(f64::INFINITY, f64::abs);
    match dtype {
        DataType::Decimal(_, scale) => size * 10_f64.powi(*scale as i32) < INTEGERS,
        _ => size < INTEGERS,
    }
}

fn per_second(unit: TimeUnit) -> u32 {
    match unit {
        TimeUnit::Milliseconds => 1_000,
        TimeUnit::Microseconds => 1_000_000,
        TimeUnit::Nanoseconds => 1_000_000_000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::expr::lit;
    use crate::frame::kernels::eval::evaluate;
    use crate::frame::{ClosedInterval, col, null};

    fn split(filter: impl Into<Expr>) -> String {
        let factors = conjuncts(&filter.into());
        factors.iter().map(Expr::to_string).collect::<Vec<_>>().join(" ; ")
    }

    #[test]
    fn filters_are_split_and_common_factors_hoisted() {
        let [a, b, c] = ["a", "b", "c"].map(col);
        assert_eq!(split(&a & (&b & &c) & &a), r#"col("a") ; col("b") ; col("c")"#);
        assert_eq!(split((&a & &b) | (&c & &a)), r#"col("a") ; col("b") | col("c")"#);
        assert_eq!(split((&a & &b) | &a), r#"col("a")"#);
        assert_eq!(split(&a | &b), r#"col("a") | col("b")"#);
        assert_eq!(split(&a & lit(true)), r#"col("a")"#);
        assert_eq!(split(lit(true)), "");
        let three = (&a & &b & &c) | (&c & &b) | (&b & &c & col("d"));
        assert_eq!(split(three), r#"col("b") ; col("c")"#);
    }

    #[test]
    fn split_filters_keep_the_same_rows() {
        let (t, f, n) = (Some(true), Some(false), None);
        let states = [t, f, n];
        let rows: Vec<[Option<bool>; 3]> =
            (0..27).map(|i| [states[i / 9], states[i / 3 % 3], states[i % 3]]).collect();
        let part = |i: usize| rows.iter().map(|row| row[i]).collect::<Vec<_>>();
        let frame = polars_core::df!["a" => part(0), "b" => part(1), "c" => part(2)].unwrap();
        let [a, b, c] = ["a", "b", "c"].map(col);
        for filter in [(&a & &b) | (&a & &c), (&a & &b) | &a, &a & (&b | &c) & &b] {
            let kept = |filter: &Expr| {
                let mask = evaluate(filter, &frame).unwrap();
                mask.bool().unwrap().iter().map(|v| v == Some(true)).collect::<Vec<_>>()
            };
            let mut all = vec![true; rows.len()];
            for factor in conjuncts(&filter) {
                all.iter_mut().zip(kept(&factor)).for_each(|(all, kept)| *all &= kept);
            }
            assert_eq!(all, kept(&filter), "{filter}");
        }
    }

    fn schema() -> Schema {
        Schema::from_iter([
            ("i".into(), DataType::Int64),
            ("u".into(), DataType::UInt8),
            ("f".into(), DataType::Float32),
            ("s".into(), DataType::String),
            ("b".into(), DataType::Boolean),
            ("d".into(), DataType::Date),
            ("t".into(), DataType::Datetime(TimeUnit::Nanoseconds, None)),
            ("m".into(), DataType::Decimal(15, 2)),
        ])
    }

    #[track_caller]
    fn check(filter: impl Into<Expr>, expected: Option<&str>) {
        let filter = filter.into();
        let condition = to_condition(&filter, &schema()).map(|c| {
            let values: Vec<String> =
                c.values.iter().map(|v| format!("{} {}", v.value(), v.dtype())).collect();
            format!("{} {:?} {}", c.column, c.comparison, values.join(", ")).trim().to_owned()
        });
        assert_eq!(condition.as_deref(), expected, "{filter}");
    }

    #[test]
    fn conditions_have_values_of_the_columns_dtype() {
        check(col("i").gt(1), Some("i Gt 1 i64"));
        check(lit(1).gt(col("i")), Some("i Lt 1 i64"));
        check(col("i").gt(1.0), Some("i Gt 1 i64"));
        check(col("i").gt(1.5), None);
        check(col("u").lt(300), None);
        check(col("u").lt(-1), None);
        check(col("f").eq(0.1), Some("f Eq 0.1 f32"));
        check(col("f").lt(f64::NAN), None);
        check(col("i").eq(null()), None);
        check(col("s").eq(lit("x")), Some(r#"s Eq "x" str"#));
        check(col("s").eq("i"), None);
        check(col("i").add_one().eq(1), None);
        check(col("b"), Some("b Eq true bool"));
        check(!col("b"), Some("b NotEq true bool"));
        check(col("i").is_null(), Some("i IsNull"));
        check(!col("i").is_null(), Some("i IsNotNull"));
        check(col("u").is_in([1, 2]), Some("u In 1 u8, 2 u8"));
        check(col("u").is_in([1, 1000]), None);
        check(col("m").lt(0.05), Some("m Lt 0.05 decimal[15,2]"));
        check(col("m").lt(24), Some("m Lt 24.00 decimal[15,2]"));
    }

    #[test]
    fn times_compare_as_polars_does() {
        let day = chrono::NaiveDate::from_ymd_opt(2015, 1, 1).unwrap();
        let noon = day.and_hms_opt(12, 0, 0).unwrap();
        check(col("d").lt_eq(day), Some("d LtEq 2015-01-01 date"));
        check(col("d").lt_eq(noon), None);
        check(col("t").lt(noon), Some("t Lt 2015-01-01 12:00:00 datetime[ns]"));
        check(col("t").gt_eq(day), Some("t GtEq 2015-01-01 00:00:00 datetime[ns]"));
        let micros = Scalar::new_datetime(5, TimeUnit::Microseconds, None);
        check(col("t").lt(micros.clone()), Some("t Lt 1970-01-01 00:00:00.000005 datetime[ns]"));
        check(col("t").eq(micros), None);
        let between = col("d").is_between(day, day, ClosedInterval::Both);
        assert_eq!(conjuncts(&between).len(), 2);
    }

    impl Expr {
        fn add_one(&self) -> Expr {
            self + 1
        }
    }
}
