//! The value of an array block.

use std::sync::Arc;

use ndarray::{ArcArray, ArrayViewD, IxDyn};

use super::dtype::Element;
use crate::graph::{Block, Value};
use crate::memory::BufferPool;
#[cfg(feature = "dist")]
use {
    super::dtype::{DType, dispatch},
    super::io::{ByteOrder, decode_slice, encode_slice},
    super::kernels::portable::{head, n_items},
    crate::error::Result,
    crate::graph::{encoded, undecodable},
};

/// One chunk in memory. Its buffer returns to the pool when the last owner is dropped.
#[derive(Debug)]
pub(crate) struct Chunk<T: Element> {
    data: ArcArray<T, IxDyn>,
    /// Where the buffer goes; `None` for memory that belongs to the user or to a persisted array.
    pool: Option<Arc<BufferPool>>,
}

impl<T: Element> Chunk<T> {
    /// A chunk whose buffer this run allocated.
    pub(crate) fn new(data: ndarray::ArrayD<T>, pool: &Arc<BufferPool>) -> Self {
        Chunk { data: data.into_shared(), pool: Some(Arc::clone(pool)) }
    }

    /// A view of memory that lives on anyway, and so costs the run nothing.
    pub(crate) fn borrowed(data: ArcArray<T, IxDyn>) -> Self {
        Chunk { data, pool: None }
    }

    /// Whether the memory lives on when this chunk is dropped.
    pub(crate) fn is_borrowed(&self) -> bool {
        self.pool.is_none()
    }

    pub(crate) fn view(&self) -> ArrayViewD<'_, T> {
        self.data.view()
    }

    pub(crate) fn data(&self) -> &ArcArray<T, IxDyn> {
        &self.data
    }

    /// The same memory under another layout: a slice, a transpose, a reshape.
    pub(crate) fn map(
        mut self,
        layout: impl FnOnce(ArcArray<T, IxDyn>) -> ArcArray<T, IxDyn>,
    ) -> Self {
        let data = std::mem::replace(&mut self.data, empty());
        Chunk { data: layout(data), pool: self.pool.take() }
    }

    /// The array if nobody else holds its memory, so that it can be written to.
    pub(crate) fn try_into_owned(mut self) -> Result<ndarray::ArrayD<T>, Self> {
        if self.pool.is_none() {
            return Err(self);
        }
        let data = std::mem::replace(&mut self.data, empty());
        match data.try_into_owned_nocopy() {
            Ok(array) => {
                self.pool = None;
                Ok(array)
            }
            Err(data) => {
                self.data = data;
                Err(self)
            }
        }
    }
}

impl<T: Element> Clone for Chunk<T> {
    fn clone(&self) -> Self {
        Chunk { data: self.data.clone(), pool: self.pool.clone() }
    }
}

impl<T: Element> Value for Chunk<T> {
    fn nbytes(&self) -> u64 {
        if self.pool.is_none() { 0 } else { (self.data.len() * size_of::<T>()) as u64 }
    }

    #[cfg(feature = "dist")]
    fn nbytes_elsewhere(&self) -> u64 {
        (self.data.len() * size_of::<T>()) as u64
    }

    /// The elements in the order of memory, so that a permuted block is one again: products round differently
    /// by rows and by columns.
    #[cfg(feature = "dist")]
    fn encode(&self, bytes: &mut Vec<u8>) -> Option<&'static str> {
        let mut axes: Vec<usize> = (0..self.data.ndim()).collect();
        if !self.data.is_standard_layout() {
            let strides = self.data.strides();
            axes.sort_by_key(|&axis| std::cmp::Reverse(strides[axis].unsigned_abs()));
        }
        let data = self.view().permuted_axes(IxDyn(&axes));
        let data = data.as_standard_layout();
        bytes.extend(encoded(&(T::DTYPE, data.shape(), &axes)));
        let start = bytes.len();
        bytes.resize(start + data.len() * size_of::<T>(), 0);
        let items = data.as_slice().expect("what is in standard layout is one slice");
        encode_slice(items, ByteOrder::Little, &mut bytes[start..]);
        Some("chunk")
    }
}

/// Decodes a [`Chunk`] of any element type into memory that is aligned for it.
#[cfg(feature = "dist")]
pub(super) fn decode_chunk(bytes: &[u8], pool: &Arc<BufferPool>) -> Result<Block> {
    let wrong = |problem: &str| undecodable("a chunk", problem);
    let ((dtype, shape, axes), data): ((DType, Vec<usize>, Vec<usize>), _) =
        head("a chunk", bytes)?;
    // Where each axis stands in memory.
    let places = (0..axes.len()).map(|axis| axes.iter().position(|of| *of == axis));
    let places = places.collect::<Option<Vec<_>>>().filter(|places| places.len() == shape.len());
    let places = places.ok_or_else(|| wrong("the axes are not those of the shape"))?;
    dispatch!(dtype, T => {
        let n = n_items(&shape, size_of::<T>(), data.len())?;
        let mut items = pool.take::<T>(n);
        decode_slice(data, ByteOrder::Little, &mut items);
        let array = ndarray::ArrayD::from_shape_vec(IxDyn(&shape), items);
        let array = array.map_err(|error| wrong(&error.to_string()))?;
        Ok(Block::new(Chunk::new(array.permuted_axes(IxDyn(&places)), pool)))
    })
}

impl<T: Element> Drop for Chunk<T> {
    fn drop(&mut self) {
        let Some(pool) = self.pool.take() else { return };
        let data = std::mem::replace(&mut self.data, empty());
        if let Ok(array) = data.try_into_owned_nocopy() {
            pool.give(array.into_raw_vec_and_offset().0);
        }
    }
}

/// An array without elements, which allocates nothing but its reference count.
fn empty<T: Element>() -> ArcArray<T, IxDyn> {
    ndarray::ArrayD::from_shape_vec(IxDyn(&[0]), Vec::new())
        .expect("zero elements have shape [0]")
        .into_shared()
}

/// The chunk in a block that is known to hold elements of type `T`.
pub(crate) fn chunk<T: Element>(block: Block) -> Chunk<T> {
    match block.try_unwrap::<Chunk<T>>() {
        Ok(chunk) => chunk,
        Err(shared) => shared
            .downcast_ref::<Chunk<T>>()
            .expect("the plan gave this input the dtype of its kernel")
            .clone(),
    }
}
