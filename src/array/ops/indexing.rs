//! Selection by slices, integers and new axes.

use std::sync::Arc;

use ndarray::SliceInfoElem;

use crate::array::args::Shape;
use crate::array::chunks::{AxisChunks, AxisSlice};
use crate::array::expr::{Handle, Node};
use crate::array::op::ArrayOp;
use crate::array::rules::canonical;
use crate::error::{Call, Error, Result};

/// One entry of an index that is known only at run time, with NumPy's meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Index {
    /// One position, counted from the end if negative; the axis goes away.
    At(i64),
    /// `start:stop:step`, where what is missing is `None`.
    Slice {
        /// The first position.
        start: Option<i64>,
        /// The position before which it ends.
        stop: Option<i64>,
        /// The distance between positions, 1 if missing; negative to go backwards.
        step: Option<i64>,
    },
    /// A new axis of length 1.
    NewAxis,
    /// As many whole axes as there are no other entries for; at most one.
    Ellipsis,
}

impl Index {
    /// All of an axis.
    pub const ALL: Index = Index::Slice { start: None, stop: None, step: None };
}

impl From<std::ops::RangeFull> for Index {
    fn from(_: std::ops::RangeFull) -> Self {
        Index::ALL
    }
}

impl From<std::ops::Range<i64>> for Index {
    fn from(range: std::ops::Range<i64>) -> Self {
        Index::Slice { start: Some(range.start), stop: Some(range.end), step: None }
    }
}

impl From<std::ops::RangeFrom<i64>> for Index {
    fn from(range: std::ops::RangeFrom<i64>) -> Self {
        Index::Slice { start: Some(range.start), stop: None, step: None }
    }
}

impl From<std::ops::RangeTo<i64>> for Index {
    fn from(range: std::ops::RangeTo<i64>) -> Self {
        Index::Slice { start: None, stop: Some(range.end), step: None }
    }
}

impl From<i64> for Index {
    fn from(position: i64) -> Self {
        Index::At(position)
    }
}

/// An index of several axes: what ndarray's `s![]` makes, or a list of [`Index`].
pub trait IndexArg {
    /// One entry for each axis, in terms of this crate.
    #[doc(hidden)]
    fn entries(&self) -> Vec<IndexEntry>;
}

/// An entry of either kind.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum IndexEntry {
    /// With NumPy's meaning.
    NumPy(Index),
    /// With ndarray's meaning: a negative step walks the range from its end.
    NdArray(SliceInfoElem),
}

impl IndexArg for [Index] {
    fn entries(&self) -> Vec<IndexEntry> {
        self.iter().copied().map(IndexEntry::NumPy).collect()
    }
}

impl<const N: usize> IndexArg for [Index; N] {
    fn entries(&self) -> Vec<IndexEntry> {
        self[..].entries()
    }
}

impl<const N: usize> IndexArg for &[Index; N] {
    fn entries(&self) -> Vec<IndexEntry> {
        self[..].entries()
    }
}

impl IndexArg for &[Index] {
    fn entries(&self) -> Vec<IndexEntry> {
        self[..].entries()
    }
}

impl IndexArg for Vec<Index> {
    fn entries(&self) -> Vec<IndexEntry> {
        self[..].entries()
    }
}

impl<I, Din, Dout> IndexArg for ndarray::SliceInfo<I, Din, Dout>
where
    I: AsRef<[SliceInfoElem]>,
    Din: ndarray::Dimension,
    Dout: ndarray::Dimension,
{
    fn entries(&self) -> Vec<IndexEntry> {
        AsRef::<[SliceInfoElem]>::as_ref(self).iter().copied().map(IndexEntry::NdArray).collect()
    }
}

/// What becomes of the axes: a slice of each input axis, and where each output axis comes from.
pub(crate) struct Selection {
    pub(crate) slices: Vec<Option<AxisSlice>>,
    pub(crate) axes: Vec<Option<usize>>,
}

/// The selected part of an array.
pub(crate) fn slice(call: Call, x: &Handle, entries: &[IndexEntry]) -> Handle {
    x.then(|node| {
        let Selection { slices, axes } = selection(call, node, entries)?;
        let sliced = sliced(call, node, slices)?;
        let unmoved =
            axes.len() == node.ndim() && axes.iter().enumerate().all(|(i, axis)| *axis == Some(i));
        if unmoved {
            return Ok(sliced);
        }
        Node::of(ArrayOp::Permute(axes.into()), &[&sliced])
    })
}

/// A regular selection along each axis; `None` takes the axis whole.
pub(crate) fn sliced(
    call: Call,
    node: &Arc<Node>,
    slices: Vec<Option<AxisSlice>>,
) -> Result<Arc<Node>> {
    let slices = canonical(slices, &node.meta.chunks.shape());
    if slices.iter().all(Option::is_none) {
        return Ok(Arc::clone(node));
    }
    Node::of(ArrayOp::Slice(slices), &[node]).map_err(|error| error.called_from(call))
}

/// A regular selection along one axis.
pub(crate) fn slice_along(
    call: Call,
    node: &Arc<Node>,
    axis: usize,
    slice: AxisSlice,
) -> Result<Arc<Node>> {
    let mut slices = vec![None; node.ndim()];
    slices[axis] = Some(slice);
    sliced(call, node, slices)
}

/// One block, by its index in the grid of blocks.
pub(crate) fn block(call: Call, x: &Handle, index: &Shape) -> Handle {
    x.then(|node| {
        if index.0.len() != node.ndim() {
            return Err(Error::InvalidArgument {
                call,
                argument: "index",
                got: format!("{} indices for {} dimensions", index.0.len(), node.ndim()),
                expected: "the index of a block along each axis",
            });
        }
        let of_axis = |(axis, (chunks, &i)): (usize, (&AxisChunks, &i64))| {
            let block = positions(call, &[i], axis, chunks.n_blocks())?[0];
            let range = chunks.block_range(block).ok_or(Error::UnknownChunks { call, axis })?;
            Ok(Some(AxisSlice::new(range.start, range.end - range.start, 1)))
        };
        let axes = node.meta.chunks.axes().iter().zip(&index.0).enumerate();
        sliced(call, node, axes.map(of_axis).collect::<Result<_>>()?)
    })
}

/// Positions on an axis of length `len`, of which negative ones count from its end.
pub(crate) fn positions(call: Call, index: &[i64], axis: usize, len: u64) -> Result<Vec<u64>> {
    let position = |&index: &i64| match AxisSlice::at(index, len) {
        Some(slice) => Ok(slice.start),
        None => Err(Error::IndexOutOfBounds { call, index, axis, len }),
    };
    index.iter().map(position).collect()
}

/// What an index selects of an array.
pub(crate) fn selection(call: Call, node: &Node, entries: &[IndexEntry]) -> Result<Selection> {
    let ndim = node.ndim();
    let is_new = |entry: &&IndexEntry| {
        matches!(
            entry,
            IndexEntry::NumPy(Index::NewAxis) | IndexEntry::NdArray(SliceInfoElem::NewAxis)
        )
    };
    let is_rest = |entry: &&IndexEntry| matches!(entry, IndexEntry::NumPy(Index::Ellipsis));
    let n_given = entries.iter().filter(|e| !is_new(e) && !is_rest(e)).count();
    let n_rests = entries.iter().filter(is_rest).count();
    if n_given > ndim || n_rests > 1 {
        return Err(Error::InvalidArgument {
            call,
            argument: "index",
            got: format!("{n_given} axes and {n_rests} ellipses for {ndim} dimensions"),
            expected: "at most one entry per axis and one ellipsis",
        });
    }
    let mut selection = Selection { slices: Vec::with_capacity(ndim), axes: Vec::new() };
    for entry in entries {
        if is_rest(&entry) {
            selection.keep(ndim - n_given);
        } else if is_new(&entry) {
            selection.axes.push(None);
        } else {
            selection.one_axis(call, node, *entry)?;
        }
    }
    let n_left = ndim - selection.slices.len();
    selection.keep(n_left);
    Ok(selection)
}

impl Selection {
    /// The next `n` axes stay whole.
    fn keep(&mut self, n: usize) {
        for _ in 0..n {
            self.axes.push(Some(self.slices.len()));
            self.slices.push(None);
        }
    }

    /// The next axis is cut by an entry that is neither a new axis nor an ellipsis.
    fn one_axis(&mut self, call: Call, node: &Node, entry: IndexEntry) -> Result<()> {
        let axis = self.slices.len();
        let takes_all = matches!(
            entry,
            IndexEntry::NumPy(Index::Slice { start: None, stop: None, step: None | Some(1) })
                | IndexEntry::NdArray(SliceInfoElem::Slice { start: 0, end: None, step: 1 })
        );
        if takes_all {
            self.keep(1);
            return Ok(());
        }
        let len = node.meta.chunks.axes()[axis].len().ok_or(Error::UnknownChunks { call, axis })?;
        let position = match entry {
            IndexEntry::NumPy(Index::At(index)) => Some(index),
            IndexEntry::NdArray(SliceInfoElem::Index(index)) => Some(index as i64),
            _ => None,
        };
        if let Some(index) = position {
            let slice = AxisSlice::at(index, len).ok_or(Error::IndexOutOfBounds {
                call,
                index,
                axis,
                len,
            })?;
            self.slices.push(Some(slice));
            return Ok(());
        }
        let slice = match entry {
            IndexEntry::NumPy(Index::Slice { start, stop, step }) => {
                AxisSlice::from_python(start, stop, step, len)
            }
            IndexEntry::NdArray(SliceInfoElem::Slice { start, end, step }) => {
                from_ndarray(start as i64, end.map(|end| end as i64), step as i64, len)
            }
            _ => Some(AxisSlice::full(len)),
        };
        let slice = slice.ok_or(Error::InvalidArgument {
            call,
            argument: "step",
            got: "0".into(),
            expected: "a step other than 0",
        })?;
        self.axes.push(Some(axis));
        self.slices.push(Some(slice));
        Ok(())
    }
}

/// `start..end;step` as ndarray reads it: a negative step walks the same range from its end.
fn from_ndarray(start: i64, end: Option<i64>, step: i64, len: u64) -> Option<AxisSlice> {
    let forwards = AxisSlice::from_python(Some(start), end, None, len)?;
    let within = AxisSlice::from_python(None, None, Some(step), forwards.len)?;
    Some(forwards.compose(&within))
}
