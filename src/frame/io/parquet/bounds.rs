//! What the statistics of row groups and pages say of their values, and what they leave possible.
//!
//! Bounds are believed only where writers are known to agree on their order. The old fields of strings, unsigned
//! numbers and floats are not: <https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift>,
//! `Statistics` and `ColumnOrder`. Bounds of floats leave out NaN, which polars sorts above everything.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, UInt64Array};
use arrow::datatypes::Schema as ArrowSchema;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::basic::{ColumnOrder, SortOrder, Type as PhysicalType};
use parquet::file::statistics::Statistics;
use polars_core::prelude::{AnyValue, DataType, Scalar, Series};

use super::super::{Comparison, Condition, PartStats};
use super::file::Footer;
use super::order::{compare, may_compare};
use super::schema::FileColumn;
use crate::frame::interop::from_record_batch;

/// Bounds of one column, for each of several row groups or pages.
#[derive(Debug)]
pub(super) struct Bounds {
    /// Values lie between these, where they are not null.
    mins: Series,
    maxes: Series,
    nulls: Vec<Option<u64>>,
    rows: Vec<u64>,
    /// Whether there may be NaN, which the bounds leave out.
    may_be_nan: Vec<bool>,
    /// Whether the bounds are values of the column, and not just below and above them.
    exact: Vec<bool>,
}

impl Bounds {
    /// Bounds in some row groups, as values of `dtype`; None if there is nothing to believe.
    pub(super) fn of_groups(
        footer: &Footer,
        column: &FileColumn,
        groups: &[usize],
        dtype: &DataType,
    ) -> Option<Self> {
        let leaf = column.plain_leaf()?;
        let chosen = || groups.iter().map(|&group| &footer.groups()[group]);
        let statistics = || chosen().map(|group| group.column(leaf).statistics());
        if !statistics().all(|statistics| is_believable(footer, leaf, statistics)) {
            return None;
        }
        let converter = converter(footer, column, leaf)?;
        let (mins, maxes) =
            (converter.row_group_mins(chosen()).ok()?, converter.row_group_maxes(chosen()).ok()?);
        let is_float = dtype.is_float();
        let nans = statistics().map(|statistics| is_float && nan_count(statistics) != Some(0));
        Some(Bounds {
            mins: series(column, mins, dtype)?,
            maxes: series(column, maxes, dtype)?,
            nulls: statistics().map(|statistics| statistics?.null_count_opt()).collect(),
            rows: groups.iter().map(|&group| footer.group_rows(group)).collect(),
            may_be_nan: nans.collect(),
            exact: statistics().map(|statistics| statistics.is_some_and(is_exact)).collect(),
        })
    }

    /// Bounds in the pages of a row group, where `footer` has the index of pages of the column.
    pub(super) fn of_pages(
        footer: &Footer,
        column: &FileColumn,
        group: usize,
        dtype: &DataType,
    ) -> Option<Self> {
        let leaf = column.plain_leaf()?;
        if !order_is_known(footer, leaf) {
            return None;
        }
        let index = footer.metadata().page_index()?.as_ref();
        let rows = page_rows(footer, leaf, group)?;
        // The two indexes are stored apart, and either may be damaged.
        let n_pages = index.column_index(group, leaf)?.num_pages();
        if n_pages != rows.len() as u64 {
            return None;
        }
        let converter = converter(footer, column, leaf)?;
        let mins = converter.data_page_mins(index, [&group]).ok()?;
        let maxes = converter.data_page_maxes(index, [&group]).ok()?;
        let counts = |counts: UInt64Array| -> Vec<Option<u64>> { counts.iter().collect() };
        let nulls = counts(converter.data_page_null_counts(index, [&group]).ok()?);
        let nans = if dtype.is_float() {
            counts(converter.data_page_nan_counts(index, [&group]).ok()?)
        } else {
            vec![Some(0); rows.len()]
        };
        if [mins.len(), maxes.len(), nulls.len(), nans.len()].iter().any(|&n| n != rows.len()) {
            return None;
        }
        Some(Bounds {
            mins: series(column, mins, dtype)?,
            maxes: series(column, maxes, dtype)?,
            nulls,
            may_be_nan: nans.into_iter().map(|n| n != Some(0)).collect(),
            exact: vec![false; rows.len()],
            rows,
        })
    }

    /// Bounds of some rows that all have one value.
    pub(super) fn of_value(value: &Scalar, rows: u64) -> Self {
        let mins = value.clone().into_series("".into());
        let nulls = if value.is_null() { rows } else { 0 };
        Bounds {
            maxes: mins.clone(),
            mins,
            nulls: vec![Some(nulls)],
            rows: vec![rows],
            may_be_nan: vec![value.is_nan()],
            exact: vec![true],
        }
    }

    /// These and others, one after the other.
    pub(super) fn then(mut self, other: Bounds) -> Option<Self> {
        self.mins.append(&other.mins).ok()?;
        self.maxes.append(&other.maxes).ok()?;
        self.nulls.extend(other.nulls);
        self.rows.extend(other.rows);
        self.may_be_nan.extend(other.may_be_nan);
        self.exact.extend(other.exact);
        Some(self)
    }

    pub(super) fn rows(&self) -> &[u64] {
        &self.rows
    }

    /// Whether a row of group or page `i` can fulfil a condition.
    pub(super) fn may_fulfil(&self, i: usize, condition: &Condition) -> bool {
        let (nulls, rows) = (self.nulls[i], self.rows[i]);
        match condition.comparison {
            Comparison::IsNull => return nulls != Some(0),
            _ if nulls == Some(rows) => return false,
            Comparison::IsNotNull => return true,
            _ => {}
        }
        let (Ok(min), Ok(max)) = (self.mins.get(i), self.maxes.get(i)) else { return true };
        let may = |value: &Scalar| {
            may_compare(condition.comparison, value.value(), &min, &max, self.may_be_nan[i])
        };
        condition.values.iter().any(may) || condition.values.is_empty()
    }

    /// The smallest and the largest of all values, if they are known exactly.
    pub(super) fn merge(&self) -> Option<PartStats> {
        let has_values: Vec<usize> =
            (0..self.rows.len()).filter(|&i| self.nulls[i] != Some(self.rows[i])).collect();
        if has_values.is_empty() || has_values.iter().any(|&i| !self.exact[i] || self.may_be_nan[i])
        {
            return None;
        }
        let (mut min, mut max): (Option<AnyValue<'_>>, Option<AnyValue<'_>>) = (None, None);
        for i in has_values {
            let (low, high) = (self.mins.get(i).ok()?, self.maxes.get(i).ok()?);
            // Comparing with itself leaves out null, NaN and what has no order.
            compare(&low, &low)?;
            compare(&high, &high)?;
            if min.as_ref().is_none_or(|min| compare(&low, min) == Some(Ordering::Less)) {
                min = Some(low);
            }
            if max.as_ref().is_none_or(|max| compare(&high, max) == Some(Ordering::Greater)) {
                max = Some(high);
            }
        }
        let scalar =
            |value: AnyValue<'_>| Scalar::new(self.mins.dtype().clone(), value.into_static());
        let n_nulls = self.nulls.iter().copied().sum();
        Some(PartStats { min: scalar(min?), max: scalar(max?), n_nulls })
    }
}

/// The rows of each page of a leaf in a row group, if its offset index holds together.
pub(super) fn page_rows(footer: &Footer, leaf: usize, group: usize) -> Option<Vec<u64>> {
    let index = footer.metadata().page_index()?;
    let pages = index.offset_index(group, leaf)?.page_locations();
    let firsts: Option<Vec<u64>> =
        pages.iter().map(|page| u64::try_from(page.first_row_index).ok()).collect();
    let mut ends = firsts?;
    if ends.first() != Some(&0) {
        return None;
    }
    ends.push(footer.group_rows(group));
    ends.windows(2).map(|rows| rows[1].checked_sub(rows[0])).collect()
}

fn converter<'a>(
    footer: &'a Footer,
    column: &FileColumn,
    leaf: usize,
) -> Option<StatisticsConverter<'a>> {
    let field = footer.reader.schema().field(column.root);
    let converter =
        StatisticsConverter::from_column_index(leaf, field, footer.reader.parquet_schema());
    let orders = footer.metadata().file_metadata().column_orders();
    Some(converter.ok()?.with_column_orders(orders.map(Vec::as_slice)))
}

/// Converts bounds as values of the column are converted.
fn series(column: &FileColumn, bounds: ArrayRef, dtype: &DataType) -> Option<Series> {
    let schema = Arc::new(ArrowSchema::new(vec![column.imported_field()]));
    let batch = RecordBatch::try_new(schema, vec![bounds]).ok()?;
    let frame = from_record_batch(&batch).ok()?;
    frame.columns().first()?.as_materialized_series().strict_cast(dtype).ok()
}

fn order_is_known(footer: &Footer, leaf: usize) -> bool {
    match footer.metadata().file_metadata().column_order(leaf) {
        ColumnOrder::TYPE_DEFINED_ORDER(order) => order != SortOrder::UNDEFINED,
        ColumnOrder::IEEE_754_TOTAL_ORDER | ColumnOrder::INT96_TIMESTAMP_ORDER => true,
        // Before orders were written down, all bounds were made with signed comparisons.
        ColumnOrder::UNDEFINED => is_signed_integer(footer, leaf),
        ColumnOrder::UNKNOWN => false,
    }
}

fn is_signed_integer(footer: &Footer, leaf: usize) -> bool {
    let descriptor = footer.reader.parquet_schema().column(leaf);
    matches!(descriptor.physical_type(), PhysicalType::INT32 | PhysicalType::INT64)
        && descriptor.sort_order() == SortOrder::SIGNED
}

/// Whether bounds can be believed; those that are missing do no harm.
fn is_believable(footer: &Footer, leaf: usize, statistics: Option<&Statistics>) -> bool {
    match statistics {
        Some(statistics) if statistics.is_min_max_deprecated() => is_signed_integer(footer, leaf),
        Some(_) => order_is_known(footer, leaf),
        None => true,
    }
}

/// Bounds of byte arrays may be cut short, and are exact only if they say so.
fn is_exact(statistics: &Statistics) -> bool {
    let may_be_cut =
        matches!(statistics, Statistics::ByteArray(_) | Statistics::FixedLenByteArray(_));
    !may_be_cut || (statistics.min_is_exact() && statistics.max_is_exact())
}

fn nan_count(statistics: Option<&Statistics>) -> Option<u64> {
    statistics?.nan_count_opt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars_core::prelude::NamedFrom;

    fn bounds(mins: Series, maxes: Series, nulls: &[Option<u64>], nan: bool) -> Bounds {
        let n = mins.len();
        let nulls = nulls.to_vec();
        Bounds {
            mins,
            maxes,
            nulls,
            rows: vec![10; n],
            may_be_nan: vec![nan; n],
            exact: vec![true; n],
        }
    }

    fn condition(comparison: Comparison, values: &[Scalar]) -> Condition {
        Condition { column: "x".into(), comparison, values: values.to_vec() }
    }

    #[test]
    fn integers_compare_across_widths() {
        use Comparison as C;
        let bounds = bounds(
            Series::new("".into(), [3_i32, 5]),
            Series::new("".into(), [4_i32, 5]),
            &[Some(0), Some(1)],
            false,
        );
        let may = |comparison, value: i64| {
            let condition = condition(comparison, &[value.into()]);
            [bounds.may_fulfil(0, &condition), bounds.may_fulfil(1, &condition)]
        };
        assert_eq!(may(C::Lt, 3), [false, false]);
        assert_eq!(may(C::LtEq, 3), [true, false]);
        assert_eq!(may(C::Gt, 4), [false, true]);
        assert_eq!(may(C::GtEq, 6), [false, false]);
        assert_eq!(may(C::Eq, 4), [true, false]);
        assert_eq!(may(C::NotEq, 5), [true, false]);
        let is_null = condition(C::IsNull, &[]);
        assert_eq!([bounds.may_fulfil(0, &is_null), bounds.may_fulfil(1, &is_null)], [false, true]);
        let within = condition(C::In, &[1_i64.into(), 5_i64.into()]);
        assert_eq!([bounds.may_fulfil(0, &within), bounds.may_fulfil(1, &within)], [false, true]);
        let text = condition(C::Eq, &[Scalar::from(1.5_f64)]);
        assert!(bounds.may_fulfil(0, &text), "what can't be compared stays");
    }

    #[test]
    fn nan_is_above_all_bounds() {
        let zero = Series::new("".into(), [0.0_f64]);
        let one = Series::new("".into(), [1.0_f64]);
        let bounds = bounds(zero, one, &[Some(0)], true);
        let may = |comparison, value: f64| {
            bounds.may_fulfil(0, &condition(comparison, &[Scalar::from(value)]))
        };
        assert!(may(Comparison::Gt, 2.0));
        assert!(!may(Comparison::Lt, 0.0));
        assert!(!may(Comparison::Eq, 2.0));
        assert!(may(Comparison::Eq, -0.0));
        assert!(may(Comparison::Eq, f64::NAN));
        assert!(bounds.merge().is_none());
    }

    #[test]
    fn merging_leaves_out_what_is_all_null() {
        let mins = Series::new("".into(), [Some("b"), None, Some("a")]);
        let maxes = Series::new("".into(), [Some("c"), None, Some("b")]);
        let all = bounds(mins.clone(), maxes.clone(), &[Some(0), Some(10), Some(2)], false);
        let merged = all.merge().unwrap();
        assert_eq!(merged.min.value().get_str(), Some("a"));
        assert_eq!(merged.max.value().get_str(), Some("c"));
        assert_eq!(merged.n_nulls, Some(12));
        assert!(bounds(mins, maxes, &[Some(0), Some(3), Some(2)], false).merge().is_none());
    }
}
