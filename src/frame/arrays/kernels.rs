//! Partitions of frames as blocks of arrays, and back.

use std::marker::PhantomData;

use ndarray::{ArrayViewD, ArrayViewMut1, Axis, Ix1};
use polars_core::prelude::{
    BooleanType, ChunkedArray, Column, DataFrame, DataType, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, IntoColumn, IntoSeries, NewChunkedArray, PlSmallStr,
    PolarsResult, SchemaRef, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};

use crate::array::bridge::{Chunk, chunk, pooled};
use crate::array::{Chunks, Element};
use crate::error::{Call, Error, Result};
use crate::frame::kernels::values_error;
use crate::frame::partition::{block, frame};
use crate::graph::{Block, Inputs, Kernel, TaskContext};

/// Elements that columns can hold: `bool`, the integers and the floats.
pub trait ColumnElement: Element {
    /// The dtype of a column of these.
    #[doc(hidden)]
    const COLUMN_DTYPE: DataType;

    /// What stands for null, if there is something.
    #[doc(hidden)]
    const NULL: Option<Self>;

    /// Copies a column of this dtype; false if there is a null that can't be copied.
    #[doc(hidden)]
    fn copy(column: &Column, out: ArrayViewMut1<'_, Self>) -> PolarsResult<bool>;

    /// A column of these values.
    #[doc(hidden)]
    fn column(name: PlSmallStr, values: &mut dyn Iterator<Item = Self>) -> Column;
}

macro_rules! column_elements {
    ($($element:ident $polars:ident $dtype:ident $get:ident $null:expr;)*) => { $(
        impl ColumnElement for $element {
            const COLUMN_DTYPE: DataType = DataType::$dtype;
            const NULL: Option<Self> = $null;

            fn copy(column: &Column, mut out: ArrayViewMut1<'_, Self>) -> PolarsResult<bool> {
                let values = column.as_materialized_series().$get()?;
                if values.null_count() == 0 {
                    out.iter_mut().zip(values.iter().flatten()).for_each(|(out, value)| *out = value);
                    return Ok(true);
                }
                let Some(null) = Self::NULL else { return Ok(false) };
                for (out, value) in out.iter_mut().zip(values.iter()) {
                    *out = value.unwrap_or(null);
                }
                Ok(true)
            }

            fn column(name: PlSmallStr, values: &mut dyn Iterator<Item = Self>) -> Column {
                ChunkedArray::<$polars>::from_iter_values(name, values).into_series().into_column()
            }
        }
    )* };
}

column_elements! {
    bool BooleanType Boolean bool None;
    i8 Int8Type Int8 i8 None;
    i16 Int16Type Int16 i16 None;
    i32 Int32Type Int32 i32 None;
    i64 Int64Type Int64 i64 None;
    u8 UInt8Type UInt8 u8 None;
    u16 UInt16Type UInt16 u16 None;
    u32 UInt32Type UInt32 u32 None;
    u64 UInt64Type UInt64 u64 None;
    f32 Float32Type Float32 f32 Some(f32::NAN);
    f64 Float64Type Float64 f64 Some(f64::NAN);
}

/// The columns of some partitions side by side, as a block of an array.
#[derive(Debug)]
pub(crate) struct FrameElements<T> {
    call: Call,
    /// Those of the array: of one dimension, or of two.
    chunks: Chunks,
    element: PhantomData<fn() -> T>,
}

impl<T: ColumnElement> FrameElements<T> {
    pub(crate) fn new(call: Call, chunks: Chunks) -> Self {
        FrameElements { call, chunks, element: PhantomData }
    }
}

impl<T: ColumnElement> Kernel for FrameElements<T> {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let frames: Vec<DataFrame> = inputs.take_slot(0).map(frame).collect();
        let n_rows = frames.iter().map(DataFrame::height).sum::<usize>();
        let known = self.chunks.block_shape(task.block);
        if let Some(known) = known.filter(|known| known[0] != n_rows as u64) {
            return Err(Error::ShapeMismatch {
                call: self.call,
                left: vec![n_rows as u64],
                right: vec![known[0]],
                remedy: "give the lengths that the partitions have; if they were not given, the file has changed since it was \
                         opened",
            });
        }
        let mut shape = vec![n_rows];
        if let Some(columns) = self.chunks.axes().get(1) {
            shape.extend(columns.len().map(|n| n as usize));
        }
        let mut out = pooled::<T>(&shape, task.pool);
        let mut start = 0;
        for frame in frames {
            let end = start + frame.height();
            for (i, column) in frame.columns().iter().enumerate() {
                let lane = match out.ndim() {
                    1 => out.view_mut(),
                    _ => out.index_axis_mut(Axis(1), i),
                };
                let lane = lane.into_dimensionality::<Ix1>().expect("one axis is left");
                let place = lane.slice_move(ndarray::s![start..end]);
                self.copy(column, place)?;
            }
            start = end;
        }
        Ok(Block::new(Chunk::new(out, task.pool)))
    }
}

impl<T: ColumnElement> FrameElements<T> {
    fn copy(&self, column: &Column, place: ArrayViewMut1<'_, T>) -> Result<()> {
        let operation = || format!("{} of column {:?}", self.call.op, column.name());
        let failed = || values_error(operation());
        let cast = column.strict_cast(&T::COLUMN_DTYPE).map_err(failed())?;
        // A strict cast between whole numbers loses nothing.
        let (from, to) = (column.dtype(), cast.dtype());
        let may_lose = from != to && (to.is_bool() || from.is_float() && !to.is_float());
        let is_cut = |column: &Column| {
            let back = cast.cast(column.dtype())?;
            Ok(!back.equals_missing(column))
        };
        if may_lose && is_cut(column).map_err(failed())? {
            let problem = format!("{} does not have all of its values; cast() cuts them", T::DTYPE);
            return Err(Error::Values { operation: operation(), problem });
        }
        if T::copy(&cast, place).map_err(failed())? {
            return Ok(());
        }
        let problem = format!("{} has no null; use fill_null() first", T::DTYPE);
        Err(Error::Values { operation: operation(), problem })
    }
}

/// A row of blocks of an array, as a partition of a frame.
#[derive(Debug)]
pub(crate) struct ArrayColumns<T> {
    schema: SchemaRef,
    element: PhantomData<fn() -> T>,
}

impl<T: ColumnElement> ArrayColumns<T> {
    pub(crate) fn new(schema: SchemaRef) -> Self {
        ArrayColumns { schema, element: PhantomData }
    }
}

impl<T: ColumnElement> Kernel for ArrayColumns<T> {
    fn run(&self, _task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let mut names = self.schema.iter_names();
        let mut columns = Vec::with_capacity(names.len());
        let mut n_rows = 0;
        for chunk in inputs.take_slot(0).map(chunk::<T>) {
            let view = chunk.view();
            n_rows = view.len_of(Axis(0));
            let lanes: Vec<ArrayViewD<'_, T>> = match view.ndim() {
                1 => vec![view],
                _ => view.axis_iter(Axis(1)).collect(),
            };
            for (lane, name) in lanes.iter().zip(&mut names) {
                columns.push(T::column(name.clone(), &mut lane.iter().copied()));
            }
        }
        DataFrame::new(n_rows, columns).map(block).map_err(values_error("from_array"))
    }
}
