//! How many bytes of memory columns take once they are read.

use parquet::file::metadata::RowGroupMetaData;
use polars_core::prelude::{DataType, Schema};

use super::file::Footer;
use super::schema::FileColumn;

/// Bytes that a reader of a column holds besides what it returns: a page as it is stored and the same
/// decoded, a dictionary, levels, and the values of a batch.
const COLUMN_SCRATCH_BYTES: u64 = 4 << 20;

/// The bytes of a column in a row group, at most.
///
/// The uncompressed size in the footer is that of the encoding, which may be a thousandth of the values; so
/// what has a fixed width is counted by rows, and the size bounds only text.
pub(super) fn column_bytes(group: &RowGroupMetaData, column: &FileColumn) -> u64 {
    let leaves = column.leaves.clone().map(|leaf| {
        let chunk = group.column(leaf);
        let values = chunk.num_values().max(0) as u64;
        let encoded = chunk.uncompressed_size().max(0) as u64;
        let text = chunk.unencoded_byte_array_data_bytes().unwrap_or(0).max(0) as u64;
        let levels = chunk.column_descr().max_rep_level().max(0) as u64;
        let fixed = match &column.dtype {
            Ok(dtype) => fixed_width(dtype),
            // It is never read.
            Err(_) => None,
        };
        // Values, the bit that says null, and an offset for each level of lists.
        let slots =
            values.saturating_mul(fixed.unwrap_or(16) + 8 * levels).saturating_add(values / 8);
        if fixed.is_some() { slots } else { slots.saturating_add(encoded.max(text)) }
    });
    leaves.fold(0, u64::saturating_add)
}

/// The bytes of all columns of a row group.
pub(super) fn group_bytes(footer: &Footer, group: usize) -> u64 {
    let group = &footer.groups()[group];
    footer.columns.iter().map(|column| column_bytes(group, column)).fold(0, u64::saturating_add)
}

/// Bytes of a value, where all have the same.
pub(super) fn fixed_width(dtype: &DataType) -> Option<u64> {
    use DataType as T;
    Some(match dtype {
        T::Null => 0,
        T::Boolean | T::Int8 | T::UInt8 => 1,
        T::Int16 | T::UInt16 => 2,
        T::Int32 | T::UInt32 | T::Float32 | T::Date | T::Categorical(..) | T::Enum(..) => 4,
        T::Int64 | T::UInt64 | T::Float64 => 8,
        T::Datetime(..) | T::Duration(_) | T::Time => 8,
        T::Decimal(..) => 16,
        _ => return None,
    })
}

/// What reading needs besides columns of so many bytes: pages of row groups in which they have so many, and the largest
/// column once more, when its batches are made one piece.
pub(super) fn scratch_bytes(columns: &[u64], chunks: &[u64]) -> u64 {
    let pages = chunks.iter().map(|&bytes| bytes.saturating_mul(3).min(COLUMN_SCRATCH_BYTES));
    let largest = columns.iter().copied().max().unwrap_or(0);
    pages.fold(largest, u64::saturating_add)
}

/// Bytes of a dictionary of which the encoder gives up, with what finds values in it and the number of each.
const DICTIONARY_BYTES_MAX: u64 = 6 << 20;
/// The same while it has no values.
const DICTIONARY_BYTES_MIN: u64 = 80 << 10;

/// What writing rows of so many bytes needs besides: the pages of one column, the widest, and the dictionary, which takes six
/// times its values; the other columns have an empty one each.
pub(super) fn encoder_bytes(schema: &Schema, bytes: u64) -> u64 {
    let width = |dtype: &DataType| fixed_width(dtype).unwrap_or(16);
    let all: u64 = schema.iter_values().map(width).sum();
    let widest = schema.iter_values().map(width).max().unwrap_or(0);
    let column = (u128::from(bytes) * u128::from(widest) / u128::from(all.max(1))) as u64;
    let dictionary = column.saturating_mul(6).min(DICTIONARY_BYTES_MAX);
    let empty = DICTIONARY_BYTES_MIN * schema.len() as u64;
    column.saturating_add(dictionary).saturating_add(empty)
}
