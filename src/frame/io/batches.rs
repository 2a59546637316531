//! Arrow record batches in memory as a source.

use arrow::array::RecordBatch;
use polars_core::frame::DataFrame;
use polars_core::prelude::{DataType, PlSmallStr, SchemaRef};

use super::arrow_columns::Columns;
use super::{Request, Source};
use crate::error::{Call, Error, Result};

/// Record batches of the user, each a part.
#[derive(Debug)]
pub(crate) struct RecordBatches {
    call: Call,
    columns: Columns,
    /// Whether parts share the memory of the batches.
    are_shared: bool,
    batches: Vec<RecordBatch>,
}

impl RecordBatches {
    /// # Errors
    /// [`Error::InvalidArgument`] if there are none, [`Error::SchemaMismatch`] if their columns differ,
    /// [`Error::DTypeMismatch`] for types that polars can't hold.
    pub(crate) fn new(call: Call, batches: Vec<RecordBatch>) -> Result<Self> {
        let invalid =
            |got, expected| Error::InvalidArgument { call, argument: "batches", got, expected };
        let Some(first) = batches.first() else {
            return Err(invalid("empty".to_string(), "one batch at least"));
        };
        let schema = first.schema();
        if let Some(other) = batches.iter().find(|other| other.schema().fields() != schema.fields())
        {
            return Err(Error::SchemaMismatch {
                call,
                got: other.schema().to_string(),
                expected: schema.to_string(),
                remedy: "all batches need the same columns",
            });
        }
        let columns = Columns::new(&schema);
        let columns = columns.map_err(|problem| invalid(problem, "columns of different names"))?;
        for (field, dtype) in schema.fields().iter().zip(columns.schema.iter_values()) {
            if let DataType::Unknown(_) = dtype {
                let got = format!("{} in column {:?}", field.data_type(), field.name());
                let expected = "a type that polars can hold".to_string();
                return Err(Error::DTypeMismatch { call, got, expected });
            }
        }
        let are_shared = columns.are_as_stored(&schema);
        Ok(RecordBatches { call, columns, are_shared, batches })
    }
}

impl Source for RecordBatches {
    fn name(&self) -> String {
        "record batches".into()
    }

    fn schema(&self) -> &SchemaRef {
        &self.columns.schema
    }

    fn n_parts(&self) -> usize {
        self.batches.len()
    }

    fn n_rows(&self, part: usize) -> Option<u64> {
        Some(self.batches[part].num_rows() as u64)
    }

    fn nbytes(&self, part: usize, columns: &[PlSmallStr]) -> u64 {
        let batch = &self.batches[part];
        let bytes = columns.iter().filter_map(|name| batch.column_by_name(name)).map(|array| {
            let data = array.to_data();
            // Of a slice of a long array only the slice counts; views and wider numbers are at most 16 bytes more.
            data.get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size())
        });
        let converted = if self.are_shared { 0 } else { 16 * batch.num_rows() * columns.len() };
        (bytes.sum::<usize>() + converted) as u64
    }

    fn scratch_bytes(&self, _part: usize, _columns: &[PlSmallStr]) -> u64 {
        0
    }

    fn is_resident(&self) -> bool {
        self.are_shared
    }

    fn read(&self, part: usize, request: &Request) -> Result<DataFrame> {
        let position = |name: &PlSmallStr| {
            self.columns.schema.index_of(name).ok_or_else(|| Error::UnknownColumn {
                call: self.call,
                got: name.to_string(),
                columns: self.columns.schema.iter_names().map(PlSmallStr::to_string).collect(),
            })
        };
        let columns: Vec<usize> = request.columns.iter().map(position).collect::<Result<_>>()?;
        let failed = |problem| Error::Values { operation: self.name(), problem };
        let batch = &self.batches[part];
        let rows =
            request.n_rows_max.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
        let batch = batch.slice(0, rows.min(batch.num_rows())).project(&columns);
        let batch = batch.map_err(|error| failed(error.to_string()))?;
        self.columns.import(&batch, &columns).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, DictionaryArray, Int64Array, StringArray, StringViewArray};
    use arrow::datatypes::Int8Type;
    use polars_core::df;

    use super::*;

    fn read(source: &RecordBatches, columns: &[&str]) -> DataFrame {
        let columns: Vec<PlSmallStr> = columns.iter().map(|&name| name.into()).collect();
        source.read(0, &Request { columns: columns.into(), ..Request::default() }).unwrap()
    }

    #[test]
    fn what_polars_takes_as_it_is_is_shared() {
        let text = "x".repeat(100);
        let texts: ArrayRef = Arc::new(StringViewArray::from(vec![text.as_str(), "b"]));
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
        let batch = RecordBatch::try_from_iter([("s", texts), ("i", numbers)]).unwrap();
        let source = RecordBatches::new(Call::new("test"), vec![batch.clone()]).unwrap();
        assert!(source.is_resident());
        let frame = read(&source, &["i", "s"]);
        let expected = df!["i" => [Some(1_i64), None], "s" => [text.as_str(), "b"]].unwrap();
        assert!(frame.equals_missing(&expected));
        let address =
            |frame: &DataFrame| frame.column("s").unwrap().str().unwrap().get(0).unwrap().as_ptr();
        assert_eq!(address(&frame), address(&read(&source, &["s"])));
        // Of a slice, the bytes of the slice.
        let sliced = RecordBatches::new(Call::new("test"), vec![batch.slice(1, 1)]).unwrap();
        assert!(sliced.nbytes(0, &["i".into()]) < 16);
    }

    #[test]
    fn other_forms_of_text_are_converted_when_they_are_read() {
        let plain: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
        let keys: DictionaryArray<Int8Type> = ["p", "q"].into_iter().collect();
        let keys: ArrayRef = Arc::new(keys);
        let batch = RecordBatch::try_from_iter([("s", plain), ("k", keys)]).unwrap();
        let source = RecordBatches::new(Call::new("test"), vec![batch]).unwrap();
        assert!(!source.is_resident());
        let (frame, columns) = (read(&source, &["s", "k"]), ["s".into(), "k".into()]);
        assert!(frame.equals(&df!["s" => ["a", "b"], "k" => ["p", "q"]].unwrap()));
        assert!(frame.estimated_size() as u64 <= source.nbytes(0, &columns));
    }
}
