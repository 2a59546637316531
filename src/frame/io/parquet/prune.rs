//! Which row groups, and which rows of them, have to be read for some conditions.

use std::collections::BTreeSet;

use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use parquet::basic::Type as PhysicalType;
use parquet::bloom_filter::Sbbf;
use parquet::errors::Result as ParquetResult;
use parquet::file::metadata::{ColumnChunkMask, PageIndexPolicy, ParquetMetaDataReader};
use polars_core::prelude::{AnyValue, DataType, Scalar, Schema};

use super::super::{Comparison, Condition};
use super::bounds::Bounds;
use super::file::{CheckedFile, Footer};
use super::order::as_integer;
use super::schema::FileColumn;

/// The row groups that statistics do not rule out, as numbers and in order.
pub(super) fn by_statistics(
    footer: &Footer,
    groups: Vec<usize>,
    conditions: &[Condition],
    schema: &Schema,
) -> Vec<usize> {
    let mut groups = groups;
    for (condition, column, dtype) in usable(footer, conditions, schema) {
        let Some(bounds) = Bounds::of_groups(footer, column, &groups, dtype) else { continue };
        let mut i = 0..;
        groups.retain(|_| bounds.may_fulfil(i.next().expect("it has no end"), condition));
    }
    groups
}

/// The row groups in whose bloom filters a value is that a condition asks for.
pub(super) fn by_bloom_filters(
    footer: &Footer,
    file: &CheckedFile,
    groups: Vec<usize>,
    conditions: &[Condition],
    schema: &Schema,
) -> ParquetResult<Vec<usize>> {
    let mut groups = groups;
    for (condition, column, dtype) in usable(footer, conditions, schema) {
        let asks_for_values = matches!(condition.comparison, Comparison::Eq | Comparison::In);
        let Some(leaf) = column.plain_leaf().filter(|_| asks_for_values) else { continue };
        // What is hashed are the bytes that are stored, so that only values of the same kind have the same hash.
        let is_kind = |value: &Scalar| {
            value.dtype() == dtype || (value.dtype().is_integer() && dtype.is_integer())
        };
        if column.dtype.as_ref() != Ok(dtype) || !condition.values.iter().all(is_kind) {
            continue;
        }
        let mut kept = Vec::with_capacity(groups.len());
        for group in groups {
            let chunk = footer.groups()[group].column(leaf);
            let filter = Sbbf::read_from_column_chunk(chunk, file)?;
            if filter.is_none_or(|filter| may_contain(&filter, footer, leaf, condition)) {
                kept.push(group);
            }
        }
        groups = kept;
    }
    Ok(groups)
}

/// The rows of these row groups, one after the other, whose pages are not ruled out; with the footer that
/// lets the decoder pass over the other pages. None if that is all rows.
pub(super) fn by_pages(
    footer: &Footer,
    file: &CheckedFile,
    groups: &[usize],
    projected_leaves: &[usize],
    conditions: &[Condition],
    schema: &Schema,
) -> ParquetResult<Option<(Footer, RowSelection)>> {
    let with_index: Vec<_> = usable(footer, conditions, schema)
        .filter(|(_, column, _)| {
            let indexed = |group: &usize, leaf| {
                footer.groups()[*group].column(leaf).column_index_offset().is_some()
            };
            column.plain_leaf().is_some_and(|leaf| groups.iter().any(|group| indexed(group, leaf)))
        })
        .collect();
    if with_index.is_empty() {
        return Ok(None);
    }
    let condition_leaves: BTreeSet<usize> =
        with_index.iter().filter_map(|(_, column, _)| column.plain_leaf()).collect();
    let all_leaves: BTreeSet<usize> =
        condition_leaves.iter().chain(projected_leaves).copied().collect();
    let mask = |leaves: &BTreeSet<usize>| {
        ColumnChunkMask::row_groups_and_columns(groups.iter().copied(), leaves.iter().copied())
    };
    let mut reader = ParquetMetaDataReader::new_with_metadata(footer.metadata().clone())
        .with_page_index_policy(PageIndexPolicy::Optional)
        .with_column_index_mask(mask(&condition_leaves))
        .with_offset_index_mask(mask(&all_leaves));
    reader.read_page_indexes(file)?;
    let footer = footer.with_metadata(reader.finish()?)?;

    let mut selectors: Vec<RowSelector> = Vec::new();
    for &group in groups {
        let rows = footer.group_rows(group) as usize;
        let mut selection = RowSelection::from(vec![RowSelector::select(rows)]);
        for (condition, column, dtype) in &with_index {
            if let Some(bounds) = Bounds::of_pages(&footer, column, group, dtype) {
                let pages = bounds.rows().iter().enumerate().map(|(page, &rows)| RowSelector {
                    row_count: rows as usize,
                    skip: !bounds.may_fulfil(page, condition),
                });
                selection = selection.intersection(&pages.collect::<Vec<_>>().into());
            }
        }
        selectors.extend(Vec::<RowSelector>::from(selection));
    }
    let selection = RowSelection::from(selectors);
    Ok((selection.skipped_row_count() > 0).then_some((footer, selection)))
}

/// The conditions on columns that the file has, with the dtype that the column gets.
fn usable<'a>(
    footer: &'a Footer,
    conditions: &'a [Condition],
    schema: &'a Schema,
) -> impl Iterator<Item = (&'a Condition, &'a FileColumn, &'a DataType)> {
    conditions.iter().filter_map(|condition| {
        let column = footer.column(&condition.column)?;
        Some((condition, column, schema.get(&condition.column)?))
    })
}

/// Whether one of the values of a condition may be in the column, as the filter remembers it.
fn may_contain(filter: &Sbbf, footer: &Footer, leaf: usize, condition: &Condition) -> bool {
    let physical = footer.reader.parquet_schema().column(leaf).physical_type();
    condition.values.iter().any(|value| match (physical, value.value()) {
        (PhysicalType::BYTE_ARRAY, AnyValue::String(text)) => filter.check(*text),
        (PhysicalType::BYTE_ARRAY, AnyValue::StringOwned(text)) => filter.check(text.as_str()),
        (PhysicalType::BYTE_ARRAY, AnyValue::Binary(bytes)) => filter.check(*bytes),
        (PhysicalType::BYTE_ARRAY, AnyValue::BinaryOwned(bytes)) => filter.check(bytes.as_slice()),
        (PhysicalType::INT32, AnyValue::Date(days)) => filter.check(days),
        // Unsigned numbers are stored as the signed ones of the same bits.
        (PhysicalType::INT32, value) => match as_integer(value) {
            Some(value) => match (i32::try_from(value), u32::try_from(value)) {
                (Ok(value), _) => filter.check(&value),
                (_, Ok(value)) => filter.check(&(value as i32)),
                _ => false,
            },
            None => true,
        },
        (PhysicalType::INT64, value) => match as_integer(value) {
            Some(value) => match (i64::try_from(value), u64::try_from(value)) {
                (Ok(value), _) => filter.check(&value),
                (_, Ok(value)) => filter.check(&(value as i64)),
                _ => false,
            },
            None => true,
        },
        _ => true,
    })
}
