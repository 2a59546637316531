//! The chunks of an array: one [`AxisChunks`] per axis.

use std::fmt;
use std::sync::Arc;

use super::axis::AxisChunks;

/// How many blocks of one axis are printed before the rest is left out.
const SHOWN_BLOCKS: u64 = 12;

/// How an array is cut into a grid of blocks. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "dist", derive(serde::Serialize, serde::Deserialize))]
pub struct Chunks(Arc<[AxisChunks]>);

impl Chunks {
    /// The chunks with these axes; none for an array without dimensions, which is one block.
    pub(crate) fn new(axes: impl Into<Arc<[AxisChunks]>>) -> Self {
        Chunks(axes.into())
    }

    /// An array of this shape as one block.
    pub(crate) fn whole(shape: &[u64]) -> Self {
        shape.iter().map(|&len| AxisChunks::whole(len)).collect()
    }

    /// The chunks of each axis.
    pub(crate) fn axes(&self) -> &[AxisChunks] {
        &self.0
    }

    /// The lengths of the chunks along an axis, in order.
    ///
    /// `None` if there is no such axis or its lengths are unknown. Lists a number for each chunk, which
    /// a regular axis itself does not.
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// let x: Array<f64> = array::ones([10, 6], [4, 3]);
    /// assert_eq!(x.chunks()?.sizes(0), Some(vec![4, 4, 2]));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn sizes(&self, axis: usize) -> Option<Vec<u64>> {
        let axis = self.0.get(axis).filter(|axis| axis.is_known())?;
        Some(axis.sizes().collect())
    }

    /// Number of dimensions.
    pub(crate) fn ndim(&self) -> usize {
        self.0.len()
    }

    /// Number of blocks along each axis.
    pub(crate) fn grid(&self) -> Vec<u64> {
        self.0.iter().map(AxisChunks::n_blocks).collect()
    }

    /// Number of blocks, or `u64::MAX` if it is larger.
    pub(crate) fn n_blocks(&self) -> u64 {
        self.0.iter().fold(1, |n, axis| n.saturating_mul(axis.n_blocks()))
    }

    /// Length of each axis, where known.
    pub(crate) fn shape(&self) -> Vec<Option<u64>> {
        self.0.iter().map(AxisChunks::len).collect()
    }

    /// The shape as Python prints it, with `?` for lengths that are not known.
    pub(crate) fn shape_text(&self) -> String {
        lengths_text(self.0.iter().map(AxisChunks::len))
    }

    /// The longest chunk along each axis, which together are the shape of no chunk if chunks vary.
    pub(crate) fn chunk_text(&self) -> String {
        lengths_text(self.0.iter().map(AxisChunks::max_len))
    }

    /// Length of each axis, if all are known.
    pub(crate) fn known_shape(&self) -> Option<Vec<u64>> {
        self.0.iter().map(AxisChunks::len).collect()
    }

    /// The first axis whose lengths are unknown.
    pub(crate) fn first_unknown(&self) -> Option<usize> {
        self.0.iter().position(|axis| !axis.is_known())
    }

    /// Whether two arrays have the same length along each axis, unknown ones not counted as same.
    pub(crate) fn same_shape(&self, other: &Self) -> bool {
        self.known_shape().is_some_and(|shape| other.known_shape() == Some(shape))
    }

    /// Shape of the block at a grid index, if it exists and is known.
    pub(crate) fn block_shape(&self, idx: &[u64]) -> Option<Vec<u64>> {
        self.per_block(idx, AxisChunks::block_len)
    }

    /// Where the block at a grid index starts, if it exists and is known.
    pub(crate) fn block_start(&self, idx: &[u64]) -> Option<Vec<u64>> {
        self.per_block(idx, AxisChunks::block_start)
    }

    /// Elements of the biggest block, or `u64::MAX` if there are more; `None` if unknown.
    pub(crate) fn max_block_len(&self) -> Option<u64> {
        let longest = self.0.iter().map(AxisChunks::max_len).collect::<Option<Vec<_>>>()?;
        // A zero anywhere makes the block empty, even where the other axes overflow.
        if longest.contains(&0) {
            return Some(0);
        }
        Some(longest.into_iter().fold(1, u64::saturating_mul))
    }

    /// Row-major number of the block at a grid index, if it exists and has a `u64` number.
    pub(crate) fn ravel_block(&self, idx: &[u64]) -> Option<u64> {
        if idx.len() != self.ndim() {
            return None;
        }
        self.0.iter().zip(idx).try_fold(0u64, |number, (axis, &i)| {
            let n = axis.n_blocks();
            if i >= n {
                return None;
            }
            number.checked_mul(n)?.checked_add(i)
        })
    }

    /// Grid index of the block with this row-major number, if it exists.
    pub(crate) fn unravel_block(&self, number: u64) -> Option<Vec<u64>> {
        let mut rest = number;
        let mut idx = vec![0; self.ndim()];
        for (i, axis) in idx.iter_mut().zip(self.0.iter()).rev() {
            let n = axis.n_blocks();
            *i = rest % n;
            rest /= n;
        }
        (rest == 0).then_some(idx)
    }

    /// The same chunks but for one axis; nothing changes if there is no such axis.
    pub(crate) fn with_axis(&self, axis: usize, chunks: AxisChunks) -> Self {
        let mut axes = self.0.to_vec();
        if let Some(place) = axes.get_mut(axis) {
            *place = chunks;
        }
        Chunks::new(axes)
    }

    fn per_block(
        &self,
        idx: &[u64],
        of: impl Fn(&AxisChunks, u64) -> Option<u64>,
    ) -> Option<Vec<u64>> {
        if idx.len() != self.ndim() {
            return None;
        }
        self.0.iter().zip(idx).map(|(axis, &i)| of(axis, i)).collect()
    }
}

impl FromIterator<AxisChunks> for Chunks {
    fn from_iter<I: IntoIterator<Item = AxisChunks>>(axes: I) -> Self {
        Chunks(axes.into_iter().collect())
    }
}

/// As Dask prints them, `((2, 2), (3,))`, but long axes are cut: `((1, 1, 1, … 1000000 blocks),)`.
impl fmt::Display for Chunks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        for (i, axis) in self.0.iter().enumerate() {
            write!(f, "{}{axis}", if i == 0 { "" } else { ", " })?;
        }
        f.write_str(if self.ndim() == 1 { ",)" } else { ")" })
    }
}

impl fmt::Display for AxisChunks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.n_blocks();
        // Only a part of a long axis is written, so that printing costs the same for all arrays.
        let shown = if n > SHOWN_BLOCKS { 3 } else { n };
        f.write_str("(")?;
        for i in 0..shown {
            let comma = if i == 0 { "" } else { ", " };
            match self.block_len(i) {
                Some(len) => write!(f, "{comma}{len}")?,
                None => write!(f, "{comma}?")?,
            }
        }
        match (shown < n, n) {
            (true, _) => write!(f, ", … {n} blocks)"),
            (false, 1) => f.write_str(",)"),
            (false, _) => f.write_str(")"),
        }
    }
}

/// A tuple as Python prints it.
pub(crate) fn tuple_text(items: impl Iterator<Item = String>) -> String {
    let items: Vec<_> = items.collect();
    if items.len() == 1 { format!("({},)", items[0]) } else { format!("({})", items.join(", ")) }
}

fn lengths_text(lengths: impl Iterator<Item = Option<u64>>) -> String {
    tuple_text(lengths.map(|len| len.map_or("?".to_owned(), |len| len.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunks(axes: &[&[u64]]) -> Chunks {
        axes.iter().map(|sizes| AxisChunks::from_sizes(sizes).unwrap()).collect()
    }

    #[test]
    fn a_block_is_found_by_its_index() {
        let x = chunks(&[&[2, 3], &[4, 4, 1]]);
        assert_eq!((x.ndim(), x.grid(), x.n_blocks()), (2, vec![2, 3], 6));
        assert_eq!(x.known_shape(), Some(vec![5, 9]));
        assert_eq!(x.block_shape(&[1, 2]), Some(vec![3, 1]));
        assert_eq!(x.block_start(&[1, 2]), Some(vec![2, 8]));
        assert_eq!(x.block_shape(&[2, 0]), None);
        assert_eq!(x.block_shape(&[0]), None);
        assert_eq!(x.max_block_len(), Some(12));
    }

    #[test]
    fn block_numbers_are_row_major() {
        let x = chunks(&[&[2, 3], &[4, 4, 1]]);
        for number in 0..6 {
            let idx = x.unravel_block(number).unwrap();
            assert_eq!(idx, [number / 3, number % 3]);
            assert_eq!(x.ravel_block(&idx), Some(number));
        }
        assert_eq!(x.unravel_block(6), None);
        assert_eq!(x.ravel_block(&[0, 3]), None);
    }

    #[test]
    fn no_dimensions_is_one_block() {
        let x = Chunks::new([]);
        assert_eq!((x.n_blocks(), x.max_block_len()), (1, Some(1)));
        assert_eq!(x.unravel_block(0), Some(vec![]));
        assert_eq!(x.unravel_block(1), None);
        assert_eq!(x.to_string(), "()");
    }

    #[test]
    fn huge_grids_saturate() {
        let x: Chunks = vec![AxisChunks::uniform(u64::MAX, 1); 2].into_iter().collect();
        assert_eq!(x.n_blocks(), u64::MAX);
        assert_eq!(x.ravel_block(&[1 << 63, 1]), None);
    }

    #[test]
    fn chunks_print_as_in_dask_but_bounded() {
        assert_eq!(chunks(&[&[2, 2], &[3]]).to_string(), "((2, 2), (3,))");
        assert_eq!(chunks(&[&[2, 2]]).to_string(), "((2, 2),)");
        let long = Chunks::new([AxisChunks::uniform(1_000_000, 1)]);
        assert_eq!(long.to_string(), "((1, 1, 1, … 1000000 blocks),)");
        assert_eq!(Chunks::new([AxisChunks::unknown(2, 0)]).to_string(), "((?, ?),)");
    }
}
