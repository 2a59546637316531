//! Frames as arrays, and arrays as frames, in one graph.

mod kernels;

use std::sync::Arc;

use polars_core::prelude::{PlSmallStr, Schema};

use kernels::{ArrayColumns, FrameElements};

use super::args::IntoNames;
use super::expr::check_column;
use super::handle::DataFrame;
use super::layout::width;
use super::op::{Bridged, FrameOp, Handle, Node, Select};
use super::ops::rows::known_rows;
use crate::array::bridge::{
    ArrayOp, AxisChunks, Bridged as BridgedArray, Handle as ArrayHandle, Meta,
};
use crate::array::{Array, Chunks};
use crate::cache::Cache;
use crate::compute::{NoWatch, Session};
use crate::config::Config;
use crate::error::{Call, Error, Result};
use crate::graph::{Bridge, ExpressionId};

pub use kernels::ColumnElement;

impl DataFrame {
    /// The columns side by side: an array of two dimensions, rows by columns, of elements of type `T`.
    ///
    /// Columns of numbers and booleans are cast to `T`. Null becomes NaN if `T` is a float, and is an error otherwise.
    /// The array is computed in the graph of the frame: [`compute`](crate::compute()) of both together reads
    /// everything once.
    ///
    /// # Chunks
    /// One for each partition, with all columns. Their lengths are known if the rows of partitions are: those of
    /// files with row counts and of frames in memory, until rows are filtered; [`persist`](Self::persist) makes them
    /// known. Otherwise arrays of the same frame fit together, and those of different frames do not.
    ///
    /// # Cost
    /// One task for each partition, which copies it. Frames whose rows are not known are planned once to count their
    /// partitions.
    ///
    /// # Errors
    /// Carried: [`Error::DTypeMismatch`] for a column that holds no numbers, [`Error::InvalidArgument`] if there is
    /// no column. At compute: [`Error::Values`] for a null or for a number that `T` does not have.
    ///
    /// # Example
    /// ```
    /// use dask_rs::frame::{DataFrame, col, polars_core::df};
    /// let frame = DataFrame::from_polars(&df!["x" => [1, 2, 3], "y" => [0.5, 1.5, 2.5]]?, 2);
    /// let array = frame.to_array::<f64>();
    /// let (means, most) = dask_rs::compute((array.mean(0), frame.agg([col("x").max()])))?;
    /// assert_eq!(means.as_slice(), Some(&[2.0, 1.5][..]));
    /// assert_eq!(most.column("x")?.i32()?.get(0), Some(3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Source
    /// Dask's `to_dask_array`.
    #[track_caller]
    #[must_use]
    pub fn to_array<T: ColumnElement>(&self) -> Array<T> {
        let call = Call::new("to_array");
        let node = self.handle().node();
        Array::of(ArrayHandle::from_result(node.and_then(|node| {
            let names: Vec<PlSmallStr> = node.meta.schema.iter_names().cloned().collect();
            array_of::<T>(call, node, &names, false, None)
        })))
    }

    /// [`to_array`](Self::to_array) of a frame whose partitions have these numbers of rows, so that the chunks are known.
    ///
    /// # Errors
    /// Also carried: [`Error::InvalidArgument`] for another number of partitions. At compute: [`Error::ShapeMismatch`] for a
    /// partition with another number of rows.
    ///
    /// # Example
    /// ```
    /// use dask_rs::frame::{DataFrame, col, polars_core::df};
    /// let frame = DataFrame::from_polars(&df!["x" => [1, 2, 3, 4]]?, 2).filter(col("x").neq(2));
    /// let array = frame.to_array_with_lengths::<f64>(frame.partition_lengths()?);
    /// assert_eq!(array.shape()?, [3, 1]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Source
    /// The `lengths` of Dask's `to_dask_array`.
    #[track_caller]
    #[must_use]
    pub fn to_array_with_lengths<T: ColumnElement>(
        &self,
        lengths: impl IntoIterator<Item = u64>,
    ) -> Array<T> {
        let call = Call::new("to_array_with_lengths");
        let lengths: Vec<u64> = lengths.into_iter().collect();
        Array::of(ArrayHandle::from_result(self.handle().node().and_then(|node| {
            let names: Vec<PlSmallStr> = node.meta.schema.iter_names().cloned().collect();
            array_of::<T>(call, node, &names, false, Some(lengths))
        })))
    }

    /// One column as an array of one dimension; otherwise as [`to_array`](Self::to_array).
    ///
    /// # Errors
    /// Also carried: [`Error::UnknownColumn`].
    #[track_caller]
    #[must_use]
    pub fn column_to_array<T: ColumnElement>(&self, name: impl Into<PlSmallStr>) -> Array<T> {
        let call = Call::new("column_to_array");
        let (node, name) = (self.handle().node(), name.into());
        Array::of(ArrayHandle::from_result(node.and_then(|node| {
            check_column(&name, &node.meta.schema, call)?;
            array_of::<T>(call, node, &[name], true, None)
        })))
    }

    /// An array of one dimension as a column, or one of two dimensions as columns, under these names.
    ///
    /// Arrays that stand side by side in one frame have to be one array: [`stack`](crate::array::stack) them on axis 1.
    /// The frame is computed in the graph of the array.
    ///
    /// # Cost
    /// One partition for each chunk along the first axis, which has the chunks of all columns; one task for each, which
    /// copies them.
    ///
    /// # Errors
    /// Carried: [`Error::InvalidArgument`] for other dimensions or another number of names,
    /// [`Error::DuplicateColumn`], [`Error::UnknownChunks`] if the number of columns is not known.
    ///
    /// # Example
    /// ```
    /// use dask_rs::array;
    /// use dask_rs::frame::{DataFrame, col};
    /// let x = array::arange(0., 6., 1., [2]).reshape([3, 2]);
    /// let frame = DataFrame::from_array(&x, ["a", "b"]).filter(col("b").gt(1.0));
    /// assert_eq!(frame.compute()?.column("a")?.f64()?.to_vec(), [Some(2.0), Some(4.0)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Source
    /// Dask's `from_dask_array`.
    #[track_caller]
    #[must_use]
    pub fn from_array<T: ColumnElement>(array: &Array<T>, names: impl IntoNames) -> Self {
        let (call, names) = (Call::new("from_array"), names.into_names());
        DataFrame::of(Handle::from_result(frame_of(call, array, &names)))
    }
}

fn array_of<T: ColumnElement>(
    call: Call,
    node: &Arc<Node>,
    names: &[PlSmallStr],
    is_flat: bool,
    lengths: Option<Vec<u64>>,
) -> Result<Arc<crate::array::Node>> {
    let schema = &node.meta.schema;
    for name in names {
        let dtype = schema.get(name).expect("the names are those of columns");
        if !(dtype.is_primitive_numeric() || dtype.is_bool()) {
            let got = format!("{dtype} of column {name:?}");
            let expected = "numbers or booleans".to_string();
            return Err(Error::DTypeMismatch { call, got, expected });
        }
    }
    if names.is_empty() {
        let (argument, got) = ("frame", "a frame without columns".to_string());
        let expected = "one column at least";
        return Err(Error::InvalidArgument { call, argument, got, expected });
    }
    let selected = Node::of(FrameOp::Select(Select::columns(names, schema)), &[node])?;
    let element_bytes = (names.len() * size_of::<T>()) as u64;
    if let Some(lengths) = &lengths {
        check_lengths(call, &selected, lengths)?;
    }
    let (rows, out_bytes) = match lengths.or_else(|| known_rows(&selected)) {
        Some(rows) => {
            let out_bytes = rows.iter().copied().max().unwrap_or(0) * element_bytes;
            (AxisChunks::from_sizes(&rows), out_bytes)
        }
        None => {
            // What the rows are cut by, whatever is computed of each.
            let cut = rows_from(&selected);
            let (n_parts, bytes) = counted(call, cut)?;
            let token = ExpressionId::of(cut).token();
            let row_bytes: f64 = cut.meta.schema.iter_values().map(width).sum();
            let out_bytes = bytes as f64 * element_bytes as f64 / row_bytes.max(0.25);
            (Some(AxisChunks::unknown(n_parts, token)), out_bytes as u64)
        }
    };
    let rows = rows.ok_or_else(|| Error::Internal {
        place: "to_array".into(),
        problem: "a frame without partitions".into(),
    })?;
    let columns = AxisChunks::whole(names.len() as u64);
    let chunks = Chunks::new(if is_flat { vec![rows] } else { vec![rows, columns] });
    let kernel = Arc::new(FrameElements::<T>::new(call, chunks.clone()));
    // Of one column at a time, if its dtype is another.
    let scratch_bytes = out_bytes / names.len() as u64;
    let expression = ExpressionId::of(&selected);
    let (name, from) = (call.op.into(), selected);
    let bridge = Bridge { name, from, expression, kernel, out_bytes, scratch_bytes };
    let meta = Meta { dtype: T::DTYPE, chunks };
    let bridged = BridgedArray { bridge: Arc::new(bridge), meta };
    crate::array::Node::of(ArrayOp::Bridge(Arc::new(bridged)), &[])
}

fn check_lengths(call: Call, node: &Arc<Node>, lengths: &[u64]) -> Result<()> {
    let (n_parts, _) = counted(call, node)?;
    if n_parts == lengths.len() as u64 {
        return Ok(());
    }
    Err(Error::InvalidArgument {
        call,
        argument: "lengths",
        got: format!("{} lengths for {n_parts} partitions", lengths.len()),
        expected: "one length for each partition, such as those of partition_lengths()",
    })
}

/// The expression whose partitions those of `node` are, row by row.
fn rows_from(mut node: &Arc<Node>) -> &Arc<Node> {
    while let FrameOp::Select(_) = node.op {
        node = &node.inputs[0];
    }
    node
}

/// How many partitions a frame has by its plan of today, and the bytes of the largest one.
fn counted(call: Call, node: &Arc<Node>) -> Result<(u64, u64)> {
    let mut session = Session::default();
    session.add_frame(Arc::clone(node), Arc::<super::collect::Gather>::default());
    // As it is when an array reads it.
    let config = Config::current()?.with_cache(&Cache::new(0));
    let prepared = session.prepare(call, &config, &mut NoWatch)?;
    let layer = prepared.layers.get(prepared.outputs[0]);
    Ok((layer.n_blocks(), layer.out_bytes))
}

fn frame_of<T: ColumnElement>(
    call: Call,
    array: &Array<T>,
    names: &[PlSmallStr],
) -> Result<Arc<Node>> {
    let node = array.handle.node()?;
    let axes = node.meta.chunks.axes();
    let invalid =
        |argument, got, expected| Error::InvalidArgument { call, argument, got, expected };
    let n_columns = match axes {
        [_] => 1,
        [_, columns] => columns.len().ok_or(Error::UnknownChunks { call, axis: 1 })?,
        _ => {
            let got = format!("an array of {} dimensions", axes.len());
            return Err(invalid("array", got, "one or two dimensions"));
        }
    };
    if n_columns != names.len() as u64 {
        let got = format!("{} names for {n_columns} columns", names.len());
        return Err(invalid("names", got, "one name for each column"));
    }
    let mut schema = Schema::default();
    for name in names {
        if schema.insert(name.clone(), <T as ColumnElement>::COLUMN_DTYPE).is_some() {
            return Err(Error::DuplicateColumn { call, name: name.to_string() });
        }
    }
    let rows = &axes[0];
    let rows_of: Option<Arc<[u64]>> = rows.is_known().then(|| rows.sizes().collect());
    let row_bytes = n_columns * size_of::<T>() as u64;
    let out_bytes = match &rows_of {
        Some(rows) => rows.iter().copied().max().unwrap_or(0).saturating_mul(row_bytes),
        None => Config::current()?.chunk_bytes(),
    };
    let n_parts = usize::try_from(rows.n_blocks()).unwrap_or(usize::MAX);
    let schema = Arc::new(schema);
    let kernel = Arc::new(ArrayColumns::<T>::new(Arc::clone(&schema)));
    let (name, from, expression) = (call.op.into(), Arc::clone(node), ExpressionId::of(node));
    let bridge = Bridge { name, from, expression, kernel, out_bytes, scratch_bytes: 0 };
    let bridged = Bridged { bridge: Arc::new(bridge), schema, n_parts, rows_of };
    Node::of(FrameOp::Bridge(Arc::new(bridged)), &[])
}
