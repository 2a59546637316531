//! Arrow record batches to polars frames and back, without copying buffers.
//!
//! Both sides implement the Arrow C data interface (<https://arrow.apache.org/docs/format/CDataInterface.html>);
//! this is the one place of the crate that needs `unsafe` for it. Types that polars can't hold are
//! refused by [`check_supported`] first, because its import panics on some of them.
#![allow(unsafe_code, reason = "the C data interface is made of raw pointers")]

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, NullArray, RecordBatch, make_array};
use arrow::datatypes::{DataType as ArrowType, Field as ArrowField, Schema as ArrowSchema};
use arrow::ffi::{FFI_ArrowArray, FFI_ArrowSchema};
use polars_arrow::ffi as polars_ffi;
use polars_core::prelude::{Column, CompatLevel, DataFrame, Schema, Series};

/// Names the first column that polars can't hold, with its type.
pub(crate) fn check_supported(schema: &ArrowSchema) -> Result<(), (String, String)> {
    match schema.fields().iter().find(|field| !is_supported(field.data_type())) {
        Some(field) => Err((field.name().clone(), field.data_type().to_string())),
        None => Ok(()),
    }
}

fn is_supported(dtype: &ArrowType) -> bool {
    use ArrowType as T;
    match dtype {
        T::Null
        | T::Boolean
        | T::Int8
        | T::Int16
        | T::Int32
        | T::Int64
        | T::UInt8
        | T::UInt16
        | T::UInt32
        | T::UInt64
        | T::Float32
        | T::Float64
        | T::Timestamp(..)
        | T::Date32
        | T::Date64
        | T::Time32(_)
        | T::Time64(_)
        | T::Duration(_)
        | T::Binary
        | T::LargeBinary
        | T::BinaryView
        | T::Utf8
        | T::LargeUtf8
        | T::Utf8View => true,
        T::Decimal128(precision, scale) => {
            (1..=38).contains(precision) && (0..=*precision as i8).contains(scale)
        }
        T::List(field) | T::LargeList(field) => is_supported(field.data_type()),
        T::Struct(fields) => fields.iter().all(|field| is_supported(field.data_type())),
        T::Dictionary(key, value) => {
            matches!(**key, T::Int8 | T::Int16 | T::Int32 | T::UInt8 | T::UInt16 | T::UInt32)
                && matches!(**value, T::Utf8 | T::LargeUtf8 | T::Utf8View)
        }
        _ => false,
    }
}

/// The columns of a batch, whose types [`check_supported`] has passed, as a frame.
pub(crate) fn from_record_batch(batch: &RecordBatch) -> Result<DataFrame, String> {
    let columns = batch.schema_ref().fields().iter().zip(batch.columns());
    let columns: Result<Vec<Column>, String> =
        columns.map(|(field, array)| Ok(series(field, array)?.into())).collect();
    DataFrame::new(batch.num_rows(), columns?).map_err(|error| error.to_string())
}

fn series(field: &ArrowField, array: &ArrayRef) -> Result<Series, String> {
    let schema = FFI_ArrowSchema::try_from(field).map_err(|error| error.to_string())?;
    // Polars expects the exact type that the field names.
    let data = FFI_ArrowArray::new(&array.to_data());
    // SAFETY: both crates define these structs after the C data interface, as `repr(C)` with the same
    // fields. Ownership, the release callback with it, moves: `ManuallyDrop` inside `move_as` keeps the source from
    // releasing what the target will release.
    let (schema, data): (polars_ffi::ArrowSchema, polars_ffi::ArrowArray) =
        unsafe { (move_as(schema), move_as(data)) };
    // SAFETY: `schema` came from a valid field a few lines above.
    let field = unsafe { polars_ffi::import_field_from_c(&schema) }.map_err(|e| e.to_string())?;
    // SAFETY: `data` was exported from a valid array of exactly this type.
    let array = unsafe { polars_ffi::import_array_from_c(data, field.dtype.clone()) }
        .map_err(|error| error.to_string())?;
    Series::try_from((&field, vec![array])).map_err(|error| error.to_string())
}

/// A frame as record batches, one for each run of rows that all columns hold in one piece.
pub(crate) fn to_record_batches(frame: &DataFrame) -> Result<Vec<RecordBatch>, String> {
    let mut frame = frame.clone();
    frame.align_chunks();
    let schema = Arc::new(arrow_schema(frame.schema())?);
    let batches = frame.iter_chunks(CompatLevel::newest(), false).map(|batch| {
        let arrays: Result<Vec<ArrayRef>, String> = batch
            .arrays()
            .iter()
            .zip(schema.fields())
            .map(|(array, field)| {
                // Polars exports a validity bitmap with it, which the other side refuses.
                if *field.data_type() == ArrowType::Null {
                    return Ok(Arc::new(NullArray::new(array.len())) as ArrayRef);
                }
                let data = polars_ffi::export_array_to_c(array.clone());
                let c_schema = FFI_ArrowSchema::try_from(field.as_ref());
                let c_schema = c_schema.map_err(|error| error.to_string())?;
                // SAFETY: as in `series`; the types agree because `schema` was exported from the same frame.
                let data =
                    unsafe { arrow::ffi::from_ffi(move_as::<_, FFI_ArrowArray>(data), &c_schema) };
                Ok(make_array(data.map_err(|error| error.to_string())?))
            })
            .collect();
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.height()));
        RecordBatch::try_new_with_options(Arc::clone(&schema), arrays?, &options)
            .map_err(|error| error.to_string())
    });
    batches.collect()
}

/// The Arrow schema under which a frame of this schema leaves.
pub(crate) fn arrow_schema(schema: &Schema) -> Result<ArrowSchema, String> {
    let fields: Result<Vec<ArrowField>, String> = schema
        .iter()
        .map(|(name, dtype)| {
            let field = dtype.to_arrow_field(name.clone(), CompatLevel::newest());
            let c_field = polars_ffi::export_field_to_c(&field);
            // SAFETY: as in `series`.
            let c_field: FFI_ArrowSchema = unsafe { move_as(c_field) };
            ArrowField::try_from(&c_field).map_err(|error| error.to_string())
        })
        .collect();
    Ok(ArrowSchema::new(fields?))
}

/// The polars schema that [`from_record_batch`] gives to batches of this schema.
pub(crate) fn polars_schema(schema: &ArrowSchema) -> Result<Schema, String> {
    let empty = RecordBatch::new_empty(Arc::new(schema.clone()));
    Ok(from_record_batch(&empty)?.schema().as_ref().clone())
}

/// Reads `from` as a `B` and forgets it.
///
/// # Safety
/// `A` and `B` must have the same layout and the same meaning.
unsafe fn move_as<A, B>(from: A) -> B {
    const { assert!(size_of::<A>() == size_of::<B>() && align_of::<A>() == align_of::<B>()) };
    let from = std::mem::ManuallyDrop::new(from);
    // SAFETY: the caller promises the layout; `from` is not used again.
    unsafe { std::ptr::read(std::ptr::from_ref(&*from).cast::<B>()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars_core::df;

    #[test]
    fn frames_survive_the_way_to_arrow_and_back() {
        let mut frame = df!["i" => [Some(1_i64), None, Some(3)], "f" => [0.5, f64::NAN, -0.0],
            "s" => ["a", "a longer string than twelve bytes", ""], "b" => [true, false, true]]
        .unwrap();
        frame.vstack_mut(&frame.clone().slice(1, 2)).unwrap();
        let batches = to_record_batches(&frame).unwrap();
        assert_eq!(batches.len(), 2);
        let mut back = from_record_batch(&batches[0]).unwrap();
        back.vstack_mut(&from_record_batch(&batches[1]).unwrap()).unwrap();
        assert!(back.equals_missing(&frame), "{back:?}");
        let schema = arrow_schema(frame.schema()).unwrap();
        assert_eq!(polars_schema(&schema).unwrap(), **frame.schema());
    }

    #[test]
    fn strings_are_not_copied() {
        let text = "x".repeat(1000);
        let array = arrow::array::StringViewArray::from(vec![text.as_str()]);
        let address = array.data_buffers()[0].as_ptr();
        let field = ArrowField::new("s", ArrowType::Utf8View, false);
        let series = series(&field, &(Arc::new(array) as ArrayRef)).unwrap();
        assert_eq!(series.str().unwrap().get(0).unwrap().as_ptr(), address);
    }

    #[test]
    fn what_polars_would_panic_on_is_refused() {
        let field = ArrowField::new("d", ArrowType::Decimal256(50, 2), true);
        let schema = ArrowSchema::new(vec![field]);
        assert_eq!(check_supported(&schema).unwrap_err().0, "d");
    }
}
