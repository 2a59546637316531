//! Dtypes that users give for columns of text.

use arrow::datatypes::{DataType as ArrowType, Field, TimeUnit};
use polars_core::prelude::{DataType, TimeUnit as PolarsUnit};

/// The type to decode, where a column is to have this dtype in the end.
pub(in super::super) fn decoded_type(dtype: &DataType) -> Option<ArrowType> {
    let nested = |name: &str, dtype: &DataType| {
        decoded_type(dtype).map(|decoded| Field::new(name, decoded, true))
    };
    Some(match dtype {
        DataType::Boolean => ArrowType::Boolean,
        DataType::Int8 => ArrowType::Int8,
        DataType::Int16 => ArrowType::Int16,
        DataType::Int32 => ArrowType::Int32,
        DataType::Int64 => ArrowType::Int64,
        DataType::UInt8 => ArrowType::UInt8,
        DataType::UInt16 => ArrowType::UInt16,
        DataType::UInt32 => ArrowType::UInt32,
        DataType::UInt64 => ArrowType::UInt64,
        DataType::Float32 => ArrowType::Float32,
        DataType::Float64 => ArrowType::Float64,
        DataType::Decimal(precision, scale) => {
            ArrowType::Decimal128(u8::try_from(*precision).ok()?, i8::try_from(*scale).ok()?)
        }
        DataType::Date => ArrowType::Date32,
        DataType::Time => ArrowType::Time64(TimeUnit::Nanosecond),
        DataType::Datetime(unit, zone) => {
            let unit = match unit {
                PolarsUnit::Milliseconds => TimeUnit::Millisecond,
                PolarsUnit::Microseconds => TimeUnit::Microsecond,
                PolarsUnit::Nanoseconds => TimeUnit::Nanosecond,
            };
            ArrowType::Timestamp(unit, zone.as_ref().map(|zone| zone.as_str().into()))
        }
        DataType::String | DataType::Categorical(..) | DataType::Enum(..) => ArrowType::Utf8View,
        DataType::List(inner) => ArrowType::LargeList(nested("item", inner)?.into()),
        DataType::Struct(fields) => {
            let fields = fields.iter().map(|field| nested(field.name(), field.dtype()));
            ArrowType::Struct(fields.collect::<Option<Vec<_>>>()?.into())
        }
        _ => return None,
    })
}
