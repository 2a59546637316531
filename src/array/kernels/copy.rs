//! Layouts and copies that the data-moving kernels share.

use std::io::{self, Read, Write};
use std::sync::Arc;

use ndarray::{ArcArray, ArrayD, ArrayViewD, ArrayViewMutD, IxDyn, SliceInfoElem, Zip};

use crate::array::chunk::Chunk;
use crate::array::chunks::AxisSlice;
use crate::array::dtype::Element;
use crate::array::io::{Stored, Strips};
use crate::graph::Block;
use crate::memory::BufferPool;

/// Lengths of a plan as ndarray wants them. A block that is in memory has lengths that fit.
pub(crate) fn to_usize(lengths: &[u64]) -> Vec<usize> {
    lengths.iter().map(|&len| usize::try_from(len).unwrap_or(usize::MAX)).collect()
}

/// A block of `shape` from the pool, filled by `fill`, which must write every element.
pub(crate) fn filled<T: Element>(
    shape: &[usize],
    pool: &BufferPool,
    fill: impl FnOnce(ArrayViewMutD<'_, T>),
) -> ArrayD<T> {
    let mut array = pooled(shape, pool);
    fill(array.view_mut());
    array
}

/// A block of `shape` from the pool with whatever its buffer held last.
pub(crate) fn pooled<T: Element>(shape: &[usize], pool: &BufferPool) -> ArrayD<T> {
    let buffer = pool.take::<T>(shape.iter().product());
    ArrayD::from_shape_vec(IxDyn(shape), buffer).expect("the buffer has the length of the shape")
}

/// A copy in C order.
pub(crate) fn copied<T: Element>(view: &ArrayViewD<'_, T>, pool: &BufferPool) -> ArrayD<T> {
    filled(view.shape(), pool, |mut out| out.assign(view))
}

/// Copies elements to a part of another array: row by row where those of both lie together, which ndarray does one by one.
pub(crate) fn copy_to<T: Element>(mut to: ArrayViewMutD<'_, T>, from: &ArrayViewD<'_, T>) {
    let is_whole = to.is_standard_layout() && from.is_standard_layout();
    if to.ndim() < 2 || is_whole {
        return to.assign(from);
    }
    Zip::from(to.rows_mut()).and(from.rows()).for_each(|mut to, from| {
        match (to.as_slice_mut(), from.as_slice()) {
            (Some(to), Some(from)) => to.copy_from_slice(from),
            _ => to.assign(&from),
        }
    });
}

/// A selection in ndarray's terms, where a negative step walks a range from its end.
pub(crate) fn slice_elem(slice: AxisSlice) -> SliceInfoElem {
    let AxisSlice { start, len, step } = slice;
    if len == 0 {
        return SliceInfoElem::Slice { start: 0, end: Some(0), step: 1 };
    }
    let start = start as isize;
    let reach = (len - 1) as isize * step.unsigned_abs() as isize;
    let (low, high) = if step > 0 { (start, start + reach) } else { (start - reach, start) };
    SliceInfoElem::Slice { start: low, end: Some(high + 1), step: step as isize }
}

/// The selected part of an array, sharing its memory.
pub(crate) fn sliced<T: Element>(
    data: ArcArray<T, IxDyn>,
    slices: &[AxisSlice],
) -> ArcArray<T, IxDyn> {
    let elems: Vec<_> = slices.iter().map(|&slice| slice_elem(slice)).collect();
    data.slice_move(elems.as_slice())
}

/// The selected part of a chunk as a block of its own.
///
/// A part is copied unless it is nearly all, so that it does not keep the memory of the whole.
pub(crate) fn slice_chunk<T: Element>(
    chunk: Chunk<T>,
    slices: &[AxisSlice],
    pool: &Arc<BufferPool>,
) -> Block {
    let n_before = chunk.data().len();
    let part = chunk.map(|data| sliced(data, slices));
    if part.is_borrowed() || 8 * part.data().len() >= 7 * n_before {
        return Block::new(part);
    }
    Block::new(Chunk::new(copied(&part.view(), pool), pool))
}

/// Writes the elements of a partial result in C order; what is returned reads them back.
pub(crate) fn save_array<T: Stored>(
    array: &ArrayD<T>,
    strips: &mut Strips,
    to: &mut dyn Write,
) -> io::Result<impl Fn(&mut Strips, &mut dyn Read) -> io::Result<ArrayD<T>> + use<T>> {
    let in_order = array.as_standard_layout();
    strips.write(in_order.as_slice().expect("what is in standard layout is one slice"), to)?;
    let shape = array.shape().to_vec();
    Ok(move |strips: &mut Strips, from: &mut dyn Read| {
        let items = strips.read(from, shape.iter().product())?;
        let array = ArrayD::from_shape_vec(IxDyn(&shape), items);
        Ok(array.expect("as many elements were read as the shape has"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::chunk::chunk;

    #[test]
    fn a_part_of_a_block_is_copied_unless_it_is_nearly_all() {
        let pool = Arc::new(BufferPool::new(0));
        let whole: ArrayD<i32> = ArrayD::from_shape_vec(IxDyn(&[80]), (0..80).collect()).unwrap();
        let is_shared = |of: &Chunk<i32>, range: std::ops::Range<u64>| {
            let slices = [AxisSlice::new(range.start, range.end - range.start, 1)];
            let part = chunk::<i32>(slice_chunk(of.clone(), &slices, &pool));
            let (first, n) = (range.start as usize, part.data().len());
            assert!(part.data().iter().copied().eq(range.start as i32..range.end as i32));
            assert_eq!(part.is_borrowed(), of.is_borrowed());
            std::ptr::eq(&part.data()[[0]], &of.data()[[first]]) && n > 0
        };
        let own = Chunk::new(whole.clone(), &pool);
        assert!(is_shared(&own, 0..80) && is_shared(&own, 5..75));
        assert!(!is_shared(&own, 0..69) && !is_shared(&own, 5..6));
        // The memory of the user is there anyway.
        let borrowed = Chunk::borrowed(whole.into_shared());
        assert!(is_shared(&borrowed, 5..6) && is_shared(&borrowed, 0..80));
    }
}
