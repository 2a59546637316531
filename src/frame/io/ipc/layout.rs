//! Which buffers of a record batch belong to which column.

use std::ops::Range;

use arrow::datatypes::{DataType, Schema};
use arrow::ipc::{FieldNode, MetadataVersion, RecordBatch};

/// The place of a column in a record batch.
#[derive(Debug)]
pub(super) struct Place {
    /// Its buffers, by number.
    pub(super) buffers: Range<usize>,
    /// Those of them that hold text, so that nothing but their length says how long they are.
    pub(super) text: Vec<Range<usize>>,
    /// Bytes that everything else of the column takes in polars.
    pub(super) fixed_bytes: u64,
}

/// The places of all columns; None if there is a type whose layout is not known here, or if the message
/// contradicts the schema.
pub(super) fn places(
    schema: &Schema,
    batch: &RecordBatch<'_>,
    version: MetadataVersion,
) -> Option<Vec<Place>> {
    if version.0 < MetadataVersion::V4.0 {
        return None;
    }
    let variadic = batch.variadicBufferCounts().into_iter().flatten();
    let mut cursor = Cursor { nodes: batch.nodes()?.iter(), variadic, n_buffers: 0 };
    let columns = schema.fields().iter().map(|field| {
        let start = cursor.n_buffers;
        let mut place = Place { buffers: start..start, text: Vec::new(), fixed_bytes: 0 };
        cursor.pass(field.data_type(), &mut place)?;
        place.buffers.end = cursor.n_buffers;
        Some(place)
    });
    let columns: Option<Vec<Place>> = columns.collect();
    columns.filter(|_| batch.buffers().map_or(0, |buffers| buffers.len()) == cursor.n_buffers)
}

/// How far a walk over the columns has come.
struct Cursor<N, V> {
    nodes: N,
    variadic: V,
    n_buffers: usize,
}

impl<'a, N: Iterator<Item = &'a FieldNode>, V: Iterator<Item = i64>> Cursor<N, V> {
    /// Goes past a column, or a field of one.
    fn pass(&mut self, dtype: &DataType, place: &mut Place) -> Option<()> {
        use DataType as T;
        let rows = u64::try_from(self.nodes.next()?.length()).ok()?;
        // How many buffers, at which of them text begins, and the bytes of a row in polars.
        let (n_buffers, text, width) = match dtype {
            T::Null => (0, 0, 0),
            T::Struct(_) => (1, 1, 0),
            T::Boolean => (2, 2, 1),
            T::Utf8 | T::LargeUtf8 | T::Binary | T::LargeBinary => (3, 2, 16),
            T::Utf8View | T::BinaryView => {
                (usize::try_from(self.variadic.next()?).ok()?.checked_add(2)?, 2, 16)
            }
            T::FixedSizeBinary(_) => (2, 1, 16),
            // The keys; values are in a message of their own.
            T::Dictionary(..) => (2, 2, 20),
            T::List(_) | T::LargeList(_) | T::Map(..) => (2, 2, 8),
            T::FixedSizeList(..) => (1, 1, 8),
            T::Decimal32(..) | T::Decimal64(..) => (2, 2, 16),
            other => (2, 2, other.primitive_width()?.max(4)),
        };
        let end = self.n_buffers.checked_add(n_buffers)?;
        if text < n_buffers {
            place.text.push(self.n_buffers + text..end);
        }
        self.n_buffers = end;
        let bytes = rows.saturating_mul(width as u64).saturating_add(rows / 8 + 1);
        place.fixed_bytes = place.fixed_bytes.saturating_add(bytes);
        match dtype {
            T::List(field)
            | T::LargeList(field)
            | T::Map(field, _)
            | T::FixedSizeList(field, _) => self.pass(field.data_type(), place),
            T::Struct(fields) => {
                fields.iter().try_for_each(|field| self.pass(field.data_type(), place))
            }
            _ => Some(()),
        }
    }
}
