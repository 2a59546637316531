//! What a column of a file becomes: the type asked of the decoder, and the dtype of polars.
//!
//! Strings and binaries are decoded as views, which polars takes over without a copy. Dictionaries of strings are a
//! way to store strings, so they become strings, unless polars wrote them as a categorical. A type that polars
//! can't hold does not make the file unreadable: the column keeps its place with the dtype `Unknown`, and reading it
//! is the error.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{
    DataType as ArrowType, Field as ArrowField, FieldRef, Schema as ArrowSchema,
};
use arrow::error::ArrowError;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::errors::{ParquetError, Result as ParquetResult};
use polars_core::prelude::{DataFrame, DataType, PlSmallStr};

use crate::frame::interop::{check_supported, from_record_batch, polars_schema};

/// A column as one file has it.
#[derive(Clone, Debug)]
pub(super) struct FileColumn {
    pub(super) name: PlSmallStr,
    /// Its number among the columns, and those of its leaves among all leaves.
    pub(super) root: usize,
    pub(super) leaves: Range<usize>,
    /// The type that the decoder returns, and the one that polars is given.
    decoded: ArrowType,
    imported: ArrowType,
    /// Or what it is that polars can't hold.
    pub(super) dtype: Result<DataType, String>,
}

impl FileColumn {
    /// The leaf, if the column is one and polars is given what the decoder returns.
    pub(super) fn plain_leaf(&self) -> Option<usize> {
        let is_plain = self.leaves.len() == 1
            && !self.decoded.is_nested()
            && self.decoded == self.imported
            && self.dtype.as_ref().is_ok_and(|dtype| !dtype.is_categorical() && !dtype.is_enum());
        is_plain.then_some(self.leaves.start)
    }

    /// The field under which polars is given the column. Metadata stays behind: polars gives some of it a
    /// meaning, and believes it.
    pub(super) fn imported_field(&self) -> ArrowField {
        ArrowField::new(self.name.as_str(), self.imported.clone(), true)
    }
}

/// The schema to ask of the decoder, where the file has this one.
pub(super) fn decoded_schema(stored: &ArrowSchema) -> ArrowSchema {
    let fields: Vec<ArrowField> =
        stored.fields().iter().map(|field| decoded_field(field)).collect();
    ArrowSchema::new_with_metadata(fields, stored.metadata().clone())
}

fn decoded_field(field: &ArrowField) -> ArrowField {
    field.clone().with_data_type(decoded_type(field.data_type()))
}

fn decoded_type(stored: &ArrowType) -> ArrowType {
    let nested = |field: &FieldRef| Arc::new(decoded_field(field));
    match stored {
        ArrowType::Utf8 | ArrowType::LargeUtf8 => ArrowType::Utf8View,
        ArrowType::Binary | ArrowType::LargeBinary => ArrowType::BinaryView,
        ArrowType::Dictionary(_, value) => decoded_type(value),
        ArrowType::List(field) => ArrowType::List(nested(field)),
        ArrowType::LargeList(field) => ArrowType::LargeList(nested(field)),
        ArrowType::Map(entries, sorted) => ArrowType::Map(nested(entries), *sorted),
        ArrowType::Struct(fields) => ArrowType::Struct(fields.iter().map(nested).collect()),
        other => other.clone(),
    }
}

/// What polars is given in place of what it does not know, where nothing is lost.
fn imported_type(decoded: &ArrowType) -> ArrowType {
    match decoded {
        ArrowType::FixedSizeBinary(_) => ArrowType::BinaryView,
        ArrowType::Float16 => ArrowType::Float32,
        ArrowType::Decimal32(precision, scale) | ArrowType::Decimal64(precision, scale) => {
            ArrowType::Decimal128(*precision, *scale)
        }
        ArrowType::Map(entries, _) => ArrowType::List(Arc::clone(entries)),
        other => other.clone(),
    }
}

/// The columns of a file, where `reader` was made with [`decoded_schema`].
pub(super) fn columns_of(reader: &ArrowReaderMetadata) -> ParquetResult<Vec<FileColumn>> {
    let parquet = reader.parquet_schema();
    let roots = parquet.root_schema().get_fields().len();
    let fields = reader.schema().fields();
    if roots != fields.len() {
        let problem = format!("{roots} columns, of which {} have values", fields.len());
        return Err(ParquetError::General(problem));
    }
    let mut leaf = 0;
    let columns = fields.iter().enumerate().map(|(root, field)| {
        let start = leaf;
        while leaf < parquet.num_columns() && parquet.get_column_root_idx(leaf) == root {
            leaf += 1;
        }
        let imported = imported_type(field.data_type());
        FileColumn {
            name: field.name().as_str().into(),
            root,
            leaves: start..leaf,
            decoded: field.data_type().clone(),
            dtype: dtype_of(field, &imported),
            imported,
        }
    });
    Ok(columns.collect())
}

fn dtype_of(field: &ArrowField, imported: &ArrowType) -> Result<DataType, String> {
    // Polars marks its categoricals in the metadata of a dictionary.
    let is_categorical = *imported == ArrowType::Utf8View
        && field
            .metadata()
            .keys()
            .any(|key| key.starts_with("_PL_CATEGORICAL") || key.starts_with("_PL_ENUM"));
    let field = if is_categorical {
        let dictionary =
            ArrowType::Dictionary(ArrowType::UInt32.into(), ArrowType::Utf8View.into());
        field.clone().with_data_type(dictionary)
    } else {
        ArrowField::new(field.name(), imported.clone(), true)
    };
    let name = field.name().clone();
    let schema = ArrowSchema::new(vec![field]);
    check_supported(&schema).map_err(|(_, dtype)| format!("the type {dtype}"))?;
    let dtypes = polars_schema(&schema)?;
    dtypes.get(&name).cloned().ok_or_else(|| "a column without a name".to_string())
}

/// A decoded batch of some columns of a file as a frame, in the order of the batch.
pub(super) fn import(batch: &RecordBatch, columns: &[&FileColumn]) -> Result<DataFrame, String> {
    let mut fields = Vec::with_capacity(columns.len());
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(columns.len());
    for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        let column = columns.iter().find(|column| column.name == field.name().as_str());
        let column = column.ok_or("a column that was not asked for")?;
        fields.push(column.imported_field());
        arrays.push(convert(array, &column.imported).map_err(|error| error.to_string())?);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let schema = Arc::new(ArrowSchema::new(fields));
    let batch = RecordBatch::try_new_with_options(schema, arrays, &options);
    from_record_batch(&batch.map_err(|error| error.to_string())?)
}

fn convert(array: &ArrayRef, imported: &ArrowType) -> Result<ArrayRef, ArrowError> {
    match (array.data_type(), imported) {
        (decoded, imported) if decoded == imported => Ok(Arc::clone(array)),
        // A map is a list of its entries.
        (ArrowType::Map(entries, _), _) => {
            let map = array.as_map();
            let (offsets, nulls) = (map.offsets().clone(), map.nulls().cloned());
            let values = Arc::new(map.entries().clone());
            Ok(Arc::new(ListArray::try_new(Arc::clone(entries), offsets, values, nulls)?))
        }
        (_, imported) => arrow::compute::cast(array, imported),
    }
}

/// Whether every value of a dtype is a value of the other.
pub(super) fn is_lossless(from: &DataType, to: &DataType) -> bool {
    use DataType as T;
    match (from, to) {
        (from, to) if from == to => true,
        (T::Null, _) => true,
        (T::Float32, T::Float64) => true,
        (T::Categorical(..) | T::Enum(..), T::String) | (T::String, T::Categorical(..)) => true,
        (T::Decimal(p, s), T::Decimal(to_p, to_s)) => s == to_s && p <= to_p,
        (from, to) => match (integer(from), to) {
            (Some((bits, _)), T::Float32) => bits <= 16,
            (Some((bits, _)), T::Float64) => bits <= 32,
            (Some((bits, signed)), to) => integer(to).is_some_and(|(to_bits, to_signed)| {
                if signed == to_signed { bits <= to_bits } else { to_signed && bits < to_bits }
            }),
            (None, _) => false,
        },
    }
}

/// Bits, and whether there are negative values.
fn integer(dtype: &DataType) -> Option<(u32, bool)> {
    use DataType as T;
    Some(match dtype {
        T::Int8 => (8, true),
        T::Int16 => (16, true),
        T::Int32 => (32, true),
        T::Int64 => (64, true),
        T::UInt8 => (8, false),
        T::UInt16 => (16, false),
        T::UInt32 => (32, false),
        T::UInt64 => (64, false),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widening_loses_nothing() {
        use DataType as T;
        let lossless = [
            (T::Int32, T::Int64),
            (T::UInt32, T::Int64),
            (T::Int32, T::Float64),
            (T::Float32, T::Float64),
        ];
        for (from, to) in lossless {
            assert!(is_lossless(&from, &to), "{from} {to}");
            assert!(!is_lossless(&to, &from), "{to} {from}");
        }
        let lossy = [
            (T::Int64, T::Float64),
            (T::UInt64, T::Int64),
            (T::Int8, T::UInt64),
            (T::String, T::Int64),
        ];
        for (from, to) in lossy {
            assert!(!is_lossless(&from, &to), "{from} {to}");
        }
    }
}
