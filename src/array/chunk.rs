//! The value of an array block.

use std::io::{self, Write};
use std::sync::Arc;

use ndarray::{ArcArray, ArrayD, ArrayViewD, IxDyn};

use super::dtype::Element;
use super::io::Strips;
use crate::graph::{Block, Load, Spill, Value};
use crate::keep::Hold;
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
    of: Of,
}

/// Whose memory it is.
#[derive(Clone, Debug)]
enum Of {
    /// A run's; the buffer goes to this pool.
    Run(Arc<BufferPool>),
    /// That of a persisted array or of a cache, in any run.
    Kept(#[expect(dead_code, reason = "it is only held")] Hold),
    User,
}

impl<T: Element> Chunk<T> {
    /// A chunk whose buffer this run allocated.
    pub(crate) fn new(data: ArrayD<T>, pool: &Arc<BufferPool>) -> Self {
        Chunk { data: data.into_shared(), of: Of::Run(Arc::clone(pool)) }
    }

    /// A view of memory of the user, which lives on anyway, and so costs the run nothing.
    pub(crate) fn borrowed(data: ArcArray<T, IxDyn>) -> Self {
        Chunk { data, of: Of::User }
    }

    /// The chunk as one that lives on when its run has ended. What did so before has its own hold.
    pub(crate) fn kept(mut self, hold: Hold) -> Self {
        let of = match &self.of {
            Of::Run(_) => Of::Kept(hold),
            of => of.clone(),
        };
        Chunk { data: std::mem::replace(&mut self.data, empty()), of }
    }

    /// A chunk that was borrowed, if nobody else has its memory.
    pub(crate) fn recalled(mut self) -> Result<Self, Self> {
        let data = std::mem::replace(&mut self.data, empty());
        match data.try_into_owned_nocopy() {
            Ok(array) => Ok(Chunk::borrowed(array.into_shared())),
            Err(data) => Err(Chunk { data, of: self.of.clone() }),
        }
    }

    /// Whether the memory lives on when this chunk is dropped.
    pub(crate) fn is_borrowed(&self) -> bool {
        !matches!(self.of, Of::Run(_))
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
        let of = std::mem::replace(&mut self.of, Of::User);
        Chunk { data: layout(data), of }
    }

    /// The array if nobody else holds its memory, so that it can be written to.
    pub(crate) fn try_into_owned(mut self) -> Result<ArrayD<T>, Self> {
        if self.is_borrowed() {
            return Err(self);
        }
        let data = std::mem::replace(&mut self.data, empty());
        match data.try_into_owned_nocopy() {
            Ok(array) => {
                self.of = Of::User;
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
        Chunk { data: self.data.clone(), of: self.of.clone() }
    }
}

impl<T: Element> Value for Chunk<T> {
    fn nbytes(&self) -> u64 {
        if self.is_borrowed() { 0 } else { (self.data.len() * size_of::<T>()) as u64 }
    }

    #[cfg(feature = "dist")]
    fn nbytes_elsewhere(&self) -> u64 {
        (self.data.len() * size_of::<T>()) as u64
    }

    /// The elements in the order of memory, so that a permuted block is one again: products round differently
    /// by rows and by columns.
    #[cfg(feature = "dist")]
    fn encode(&self, bytes: &mut Vec<u8>) -> Option<&'static str> {
        let axes = match self.data.is_standard_layout() {
            true => (0..self.data.ndim()).collect(),
            false => by_stride(self.data.strides()),
        };
        let data = self.view().permuted_axes(IxDyn(&axes));
        let data = data.as_standard_layout();
        bytes.extend(encoded(&(T::DTYPE, data.shape(), &axes)));
        let start = bytes.len();
        bytes.resize(start + data.len() * size_of::<T>(), 0);
        let items = data.as_slice().expect("what is in standard layout is one slice");
        encode_slice(items, ByteOrder::Little, &mut bytes[start..]);
        Some("chunk")
    }

    fn as_spill(&self) -> Option<&dyn Spill> {
        (!self.is_borrowed()).then_some(self as &dyn Spill)
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
        let array = ArrayD::from_shape_vec(IxDyn(&shape), items);
        let array = array.map_err(|error| wrong(&error.to_string()))?;
        Ok(Block::new(Chunk::new(array.permuted_axes(IxDyn(&places)), pool)))
    })
}

/// Axes in the order in which their elements lie in memory.
fn by_stride(strides: &[isize]) -> Vec<usize> {
    let mut axes: Vec<usize> = (0..strides.len()).collect();
    axes.sort_by_key(|&axis| std::cmp::Reverse(strides[axis].unsigned_abs()));
    axes
}

impl<T: Element> Spill for Chunk<T> {
    /// Writes the elements in the order in which they lie in memory, so that the layout comes back too.
    fn save(&self, to: &mut dyn Write) -> io::Result<Load> {
        let order = by_stride(self.data.strides());
        let laid_out = self.data.view().permuted_axes(order.as_slice());
        let mut strips = Strips::new();
        match laid_out.as_slice() {
            Some(items) => strips.write(items, to)?,
            None => {
                let mut strip: Vec<T> = Vec::with_capacity(Strips::len_of::<T>());
                for &item in &laid_out {
                    strip.push(item);
                    if strip.len() == strip.capacity() {
                        strips.write(&strip, to)?;
                        strip.clear();
                    }
                }
                strips.write(&strip, to)?;
            }
        }
        let shape = laid_out.shape().to_vec();
        Ok(Box::new(move |from, pool| {
            let mut data = pool.take::<T>(shape.iter().product());
            Strips::new().fill(from, &mut data)?;
            let array = ArrayD::from_shape_vec(IxDyn(&shape), data)
                .expect("the buffer has the elements of the shape");
            let mut axes = vec![0; order.len()];
            order.iter().enumerate().for_each(|(from, &axis)| axes[axis] = from);
            Ok(Block::new(Chunk::new(array.permuted_axes(axes), pool)))
        }))
    }
}

impl<T: Element> Drop for Chunk<T> {
    fn drop(&mut self) {
        let Of::Run(pool) = std::mem::replace(&mut self.of, Of::User) else { return };
        let data = std::mem::replace(&mut self.data, empty());
        if let Ok(array) = data.try_into_owned_nocopy() {
            pool.give(array.into_raw_vec_and_offset().0);
        }
    }
}

/// An array without elements, which allocates nothing but its reference count.
fn empty<T: Element>() -> ArcArray<T, IxDyn> {
    ArrayD::from_shape_vec(IxDyn(&[0]), Vec::new())
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

#[cfg(test)]
mod tests {
    use ndarray::{Axis, SliceInfo};
    use num_complex::Complex;

    use super::*;
    use crate::keep::{BlockFiles, SpillOptions};

    /// What comes back from disk, and the bytes that were there.
    fn round_trip<T: Element>(data: ArcArray<T, IxDyn>) -> (ArcArray<T, IxDyn>, usize) {
        let pool = Arc::new(BufferPool::new(1 << 30));
        let block = Block::new(Chunk { data, of: Of::Run(Arc::clone(&pool)) });
        let mut file = Vec::new();
        let load = block.as_spill().expect("it owns elements").save(&mut file).unwrap();
        drop(block);
        assert_eq!(Arc::strong_count(&pool), 1, "what lies on disk keeps no buffers");
        let reader = Arc::new(BufferPool::new(1 << 30));
        let back = chunk::<T>(load(&mut file.as_slice(), &reader).unwrap());
        assert!(matches!(&back.of, Of::Run(pool) if Arc::ptr_eq(pool, &reader)));
        load(&mut &file[1..], &reader).unwrap_err();
        (back.data().clone(), file.len())
    }

    #[test]
    fn every_layout_comes_back_from_disk_with_its_bits() {
        let n = 3 * 70_000;
        let data: Vec<f64> =
            (0..n).map(|i| f64::from_bits(0x7ff0_0000_0000_0000 + (i as u64 % 97))).collect();
        let whole = ArrayD::from_shape_vec(IxDyn(&[3, 70, 1000]), data).unwrap().into_shared();
        let every = |steps: [isize; 3]| {
            let elems =
                steps.map(|step| ndarray::SliceInfoElem::Slice { start: 0, end: None, step });
            let info = SliceInfo::<_, IxDyn, IxDyn>::try_from(elems.to_vec()).unwrap();
            whole.clone().slice_move(info.as_slice())
        };
        let layouts = [
            whole.clone(),
            whole.clone().permuted_axes(IxDyn(&[2, 0, 1])),
            whole.clone().permuted_axes(IxDyn(&[1, 2, 0])).insert_axis(Axis(1)),
            every([1, 2, 3]),
            every([-1, 1, -7]),
            every([1, 70, 1]).index_axis_move(Axis(0), 1),
        ];
        for data in layouts {
            let (back, bytes) = round_trip(data.clone());
            assert_eq!((back.shape(), bytes), (data.shape(), 8 * data.len()));
            assert!(back.iter().zip(&data).all(|(a, b)| a.to_bits() == b.to_bits()));
            let is_dense =
                data.len() == whole.len() && data.strides().iter().all(|step| *step >= 0);
            let mut axes = (0..data.ndim()).filter(|&axis| data.shape()[axis] > 1);
            let is_same = axes.all(|axis| back.strides()[axis] == data.strides()[axis]);
            assert!(!is_dense || is_same, "the same loops run over it");
        }
    }

    #[test]
    fn every_kind_of_element_comes_back_from_disk() {
        let bools = ndarray::arr1(&[true, false, true]).into_dyn().into_shared();
        assert_eq!(round_trip(bools.clone()), (bools, 3));
        let point = ndarray::arr0(Complex::new(1.5_f32, -0.0)).into_dyn().into_shared();
        assert_eq!(round_trip(point.clone()), (point, 8));
        let small = ndarray::arr2(&[[i16::MIN, 7]]).into_dyn().into_shared();
        assert_eq!(round_trip(small.clone()), (small, 4));
    }

    #[test]
    fn what_repeats_itself_is_small_on_disk() {
        let dir = tempfile::tempdir().unwrap();
        let pool = Arc::new(BufferPool::new(0));
        let data: Vec<f64> = (0..100_000).map(|i| f64::from(i % 100)).collect();
        let data = ArrayD::from_shape_vec(IxDyn(&[100, 1000]), data).unwrap();
        let block = Block::new(Chunk::new(data.clone(), &pool));
        let options = SpillOptions::new(dir.path().into(), u64::MAX);
        let files = BlockFiles::new(SpillOptions { compresses: true, ..options });
        let saved = files.save(&block).unwrap();
        let file = std::fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path().join("0");
        let len = std::fs::metadata(&file).unwrap().len();
        assert!(len < 80_000, "{len} of 800000 bytes");
        for _ in 0..2 {
            assert_eq!(chunk::<f64>(saved.load(&pool).unwrap()).data(), data);
        }
        let bytes = std::fs::read(&file).unwrap();
        for part in [0, 3, len / 2, len - 1] {
            std::fs::write(&file, &bytes[..part as usize]).unwrap();
            saved.load(&pool).unwrap_err();
        }
    }

    #[test]
    fn memory_of_others_does_not_go_to_disk() {
        let block = Block::new(Chunk::borrowed(ndarray::arr1(&[1, 2]).into_dyn().into_shared()));
        assert!(block.as_spill().is_none());
        let pool = Arc::new(BufferPool::new(0));
        let nothing = ArrayD::<u8>::from_shape_vec(IxDyn(&[0, 3]), Vec::new()).unwrap();
        assert!(Block::new(Chunk::new(nothing, &pool)).as_spill().is_none());
    }
}
