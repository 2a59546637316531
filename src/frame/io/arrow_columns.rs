//! What arrow's columns become in polars.
//!
//! Strings and binaries become views. Dictionaries of strings are a way to store strings, so they become strings, unless
//! polars wrote them as a categorical. A type that polars can't hold leaves the rest readable: the column has
//! the dtype `Unknown`, and reading it is the error.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType as ArrowType, Field, FieldRef, Schema as ArrowSchema};
use arrow::error::ArrowError;
use polars_core::prelude::{Column, DataFrame, DataType, PlSmallStr, Schema, UnknownKind};

use crate::frame::interop::{check_supported, from_record_batch, polars_schema};

/// The columns of record batches.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    pub(super) schema: Arc<Schema>,
    imported: Vec<ArrowType>,
}

impl Columns {
    /// Fails if two columns have one name.
    pub(super) fn new(stored: &ArrowSchema) -> Result<Self, String> {
        let mut schema = Schema::default();
        let mut imported = Vec::with_capacity(stored.fields().len());
        for field in stored.fields() {
            let dtype = dtype_of(field).unwrap_or(DataType::Unknown(UnknownKind::Any));
            if schema.insert(field.name().as_str().into(), dtype).is_some() {
                return Err(format!("two columns are called {:?}", field.name()));
            }
            imported.push(imported_type(field.data_type()));
        }
        Ok(Columns { schema: schema.into(), imported })
    }

    pub(super) fn name_and_dtype(&self, i: usize) -> (PlSmallStr, DataType) {
        let (name, dtype) = self.schema.get_at_index(i).expect("positions are looked up");
        (name.clone(), dtype.clone())
    }

    /// Whether polars takes the columns of batches as they are.
    pub(super) fn are_as_stored(&self, stored: &ArrowSchema) -> bool {
        stored.fields().iter().map(|field| field.data_type()).eq(&self.imported)
    }

    /// A batch that has these columns, in this order.
    pub(super) fn import(
        &self,
        batch: &RecordBatch,
        columns: &[usize],
    ) -> Result<DataFrame, String> {
        let (mut fields, mut arrays) = (Vec::new(), Vec::<ArrayRef>::new());
        for (&i, array) in columns.iter().zip(batch.columns()) {
            // Metadata stays behind: polars gives some of it a meaning, and believes it.
            let (name, imported) = (self.name_and_dtype(i).0, &self.imported[i]);
            fields.push(Field::new(name.as_str(), imported.clone(), true));
            arrays.push(convert(array, imported).map_err(|error| error.to_string())?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let schema = Arc::new(ArrowSchema::new(fields));
        let batch = RecordBatch::try_new_with_options(schema, arrays, &options);
        let frame = from_record_batch(&batch.map_err(|error| error.to_string())?)?;
        let height = frame.height();
        let conform = |(column, &i): (Column, &usize)| {
            let (_, dtype) = self.name_and_dtype(i);
            if column.dtype() == &dtype { Ok(column) } else { column.strict_cast(&dtype) }
        };
        let columns = frame.into_columns().into_iter().zip(columns).map(conform);
        let columns = columns.collect::<Result<Vec<_>, _>>();
        columns
            .and_then(|columns| DataFrame::new(height, columns))
            .map_err(|error| error.to_string())
    }
}

/// The dtype of a column, if polars can hold it.
fn dtype_of(field: &Field) -> Option<DataType> {
    // Polars marks its categoricals in the metadata of a dictionary.
    let is_categorical = matches!(field.data_type(), ArrowType::Dictionary(..))
        && field
            .metadata()
            .keys()
            .any(|key| key.starts_with("_PL_CATEGORICAL") || key.starts_with("_PL_ENUM"));
    let imported = imported_type(field.data_type());
    let field = if is_categorical && imported == ArrowType::Utf8View {
        let dictionary = ArrowType::Dictionary(ArrowType::UInt32.into(), imported.into());
        field.clone().with_data_type(dictionary)
    } else {
        Field::new(field.name(), imported, true)
    };
    let name = field.name().clone();
    let schema = ArrowSchema::new(vec![field]);
    check_supported(&schema).ok()?;
    polars_schema(&schema).ok()?.get(&name).cloned()
}

/// What polars is given, where nothing is lost.
fn imported_type(stored: &ArrowType) -> ArrowType {
    let nested = |field: &FieldRef| {
        let imported = imported_type(field.data_type());
        Arc::new(Field::new(field.name(), imported, true))
    };
    match stored {
        ArrowType::Utf8 | ArrowType::LargeUtf8 => ArrowType::Utf8View,
        ArrowType::Binary | ArrowType::LargeBinary | ArrowType::FixedSizeBinary(_) => {
            ArrowType::BinaryView
        }
        ArrowType::Dictionary(_, value) => imported_type(value),
        ArrowType::Float16 => ArrowType::Float32,
        ArrowType::Decimal32(precision, scale) | ArrowType::Decimal64(precision, scale) => {
            ArrowType::Decimal128(*precision, *scale)
        }
        ArrowType::List(field) | ArrowType::LargeList(field) => ArrowType::LargeList(nested(field)),
        ArrowType::FixedSizeList(field, _) => ArrowType::LargeList(nested(field)),
        ArrowType::Struct(fields) => ArrowType::Struct(fields.iter().map(nested).collect()),
        other => other.clone(),
    }
}

fn convert(array: &ArrayRef, imported: &ArrowType) -> Result<ArrayRef, ArrowError> {
    if array.data_type() == imported {
        return Ok(Arc::clone(array));
    }
    arrow::compute::cast(array, imported)
}
