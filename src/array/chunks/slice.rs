//! Slices of an axis, and the blocks that they touch.

use std::sync::Arc;

use super::axis::AxisChunks;
use super::limit::MAX_LISTED;

/// The positions `start`, `start + step`, …, of which there are `len`.
///
/// Such triples are closed under composition, also with negative steps, which `start:stop:step`
/// is not. A slice of one element or none has step 1, and one of none starts at 0, so that equal
/// slices compare equal.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "dist", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct AxisSlice {
    /// The first position.
    pub start: u64,
    /// Number of positions.
    pub len: u64,
    /// Distance from one position to the next, never 0.
    pub step: i64,
}

impl AxisSlice {
    /// A slice in its one form.
    pub(crate) fn new(start: u64, len: u64, step: i64) -> Self {
        let start = if len == 0 { 0 } else { start };
        let step = if len <= 1 { 1 } else { step };
        AxisSlice { start, len, step }
    }

    /// All of an axis.
    pub(crate) fn full(len: u64) -> Self {
        AxisSlice::new(0, len, 1)
    }

    /// One position, counted from the end if negative; `None` if the axis does not have it.
    pub(crate) fn at(idx: i64, len: u64) -> Option<Self> {
        let start = if idx < 0 { len.checked_sub(idx.unsigned_abs())? } else { idx as u64 };
        (start < len).then(|| AxisSlice::new(start, 1, 1))
    }

    /// `start:stop:step` as Python and NumPy read it, on an axis of length `len`.
    ///
    /// `None` for a step of 0. Bounds past the ends are cut, so a negative step that starts
    /// before the axis selects nothing (Dask gets this wrong).
    pub(crate) fn from_python(
        start: Option<i64>,
        stop: Option<i64>,
        step: Option<i64>,
        len: u64,
    ) -> Option<Self> {
        let step = i128::from(step.unwrap_or(1));
        let len = i128::from(len);
        // With a negative step, -1 stands for the place before the axis.
        let (low, high) = if step < 0 { (-1, len - 1) } else { (0, len) };
        let place = |bound: Option<i64>, missing: i128| {
            let bound = bound.map(i128::from);
            bound.map_or(missing, |at| (if at < 0 { at + len } else { at }).clamp(low, high))
        };
        let (from, to) = match step {
            0 => return None,
            1.. => (place(start, low), place(stop, high)),
            _ => (place(start, high), place(stop, low)),
        };
        let distance = if step < 0 { from - to } else { to - from };
        let count = if distance <= 0 { 0 } else { (distance - 1) / step.abs() + 1 };
        // All three fit: the first two are inside the axis, and the step came as an `i64`.
        Some(AxisSlice::new(from.max(0) as u64, count as u64, step as i64))
    }

    /// Whether this is all of an axis of length `len`, in order.
    pub(crate) fn is_full(&self, len: u64) -> bool {
        *self == AxisSlice::full(len)
    }

    /// The position of element `i` of the slice, which must have it.
    pub(crate) fn position(&self, i: u64) -> u64 {
        let offset = i128::from(i) * i128::from(self.step);
        (i128::from(self.start) + offset).clamp(0, i128::from(u64::MAX)) as u64
    }

    /// The last position, if there is any.
    pub(crate) fn last(&self) -> Option<u64> {
        Some(self.position(self.len.checked_sub(1)?))
    }

    /// Whether all positions lie on an axis of length `len`.
    pub(crate) fn fits(&self, len: u64) -> bool {
        let end = i128::from(self.start)
            + i128::from(self.len.saturating_sub(1)).saturating_mul(i128::from(self.step));
        self.len == 0 || (self.start < len && (0..i128::from(len)).contains(&end))
    }

    /// `x[self][then]` as one slice of `x`; `then` must fit on the result of the first.
    ///
    /// Exact for axes of up to `i64::MAX` elements, which are the only ones that arrays have.
    pub(crate) fn compose(&self, then: &AxisSlice) -> AxisSlice {
        let step = self.step.saturating_mul(then.step);
        AxisSlice::new(self.position(then.start), then.len, step)
    }
}

/// The part of one input block that makes one output block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Piece {
    /// The input block.
    pub block: u64,
    /// What of the block is taken, in positions of the block.
    pub local: AxisSlice,
}

/// Which input block each output block of a slice reads, and what of it.
///
/// Each output block reads one input block. The blocks are counted, not listed, unless irregular
/// ones between the first and the last are skipped.
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "dist", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct SlicePieces {
    axis: AxisChunks,
    slice: AxisSlice,
    blocks: Touched,
}

#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "dist", derive(serde::Serialize, serde::Deserialize))]
enum Touched {
    /// `n` neighbours from `first` on, upwards or downwards.
    Run { first: u64, n: u64, down: bool },
    /// As many as there are elements, since steps are longer than blocks.
    OneEach,
    /// Those of which some element is taken, in the order of the output.
    Listed(Arc<[u64]>),
}

impl SlicePieces {
    /// Number of output blocks, at least 1: a slice of nothing is one empty block.
    pub(crate) fn n_blocks(&self) -> u64 {
        match &self.blocks {
            Touched::Run { n, .. } => *n,
            Touched::OneEach => self.slice.len,
            Touched::Listed(blocks) => blocks.len() as u64,
        }
    }

    /// The input block that output block `i` reads, if there is such a block.
    pub(crate) fn block(&self, i: u64) -> Option<u64> {
        match &self.blocks {
            Touched::Run { n, .. } if i >= *n => None,
            Touched::Run { first, down: true, .. } => first.checked_sub(i),
            Touched::Run { first, .. } => first.checked_add(i),
            Touched::OneEach if i >= self.slice.len => None,
            Touched::OneEach => Some(self.axis.block_at(self.slice.position(i))),
            Touched::Listed(blocks) => blocks.get(usize::try_from(i).ok()?).copied(),
        }
    }

    /// From one output block to the next, how far apart their input blocks are, if that is a constant.
    pub(crate) fn run_step(&self) -> Option<i64> {
        match &self.blocks {
            Touched::Run { down, .. } => Some(if *down { -1 } else { 1 }),
            Touched::OneEach | Touched::Listed(_) => None,
        }
    }

    /// What output block `i` takes, if there is such a block.
    pub(crate) fn piece(&self, i: u64) -> Option<Piece> {
        let block = self.block(i)?;
        Some(Piece { block, local: part_of_block(&self.axis, &self.slice, block)? })
    }

    /// All pieces in the order of the output.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Piece> + '_ {
        (0..self.n_blocks()).map_while(|i| self.piece(i))
    }
}

/// What a slice takes of one block, in positions of the block.
fn part_of_block(axis: &AxisChunks, slice: &AxisSlice, block: u64) -> Option<AxisSlice> {
    let range = axis.block_range(block)?;
    let last = slice.last().unwrap_or(0);
    let (low, high) =
        (range.start.max(slice.start.min(last)), range.end.min(slice.start.max(last) + 1));
    let stride = slice.step.unsigned_abs();
    if slice.len == 0 || low >= high {
        return Some(AxisSlice::new(0, 0, 1));
    }
    // The elements of the slice before the block, and those up to its end, in slice order.
    let (before, until) = if slice.step > 0 {
        ((low - slice.start).div_ceil(stride), (high - 1 - slice.start) / stride + 1)
    } else {
        ((slice.start - (high - 1)).div_ceil(stride), (slice.start - low) / stride + 1)
    };
    if before >= until {
        return Some(AxisSlice::new(0, 0, 1));
    }
    Some(AxisSlice::new(slice.position(before) - range.start, until - before, slice.step))
}

/// Chunks of `x[slice]` along one axis, and where its blocks come from.
///
/// Each output block is a part of one input block; input blocks of which nothing is taken are
/// left out. Costs O(1) if the input is regular and the output as well, else a number for each
/// touched block. `None` if the axis has unknown lengths, the slice does not fit on it, or there
/// are more irregular blocks than may be listed.
///
/// # Source
/// Dask, `_slice_1d`.
pub(crate) fn slice_axis(axis: &AxisChunks, slice: AxisSlice) -> Option<(AxisChunks, SlicePieces)> {
    let len = axis.len()?;
    if !slice.fits(len) {
        return None;
    }
    let pieces = SlicePieces { axis: axis.clone(), slice, blocks: touched(axis, &slice)? };
    if slice.is_full(len) && pieces.n_blocks() == axis.n_blocks() {
        return Some((axis.clone(), pieces));
    }
    let chunks = regular_output(axis, &pieces).or_else(|| {
        let sizes = pieces.iter().map(|piece| piece.local.len);
        if pieces.n_blocks() > MAX_LISTED { None } else { AxisChunks::from_size_iter(sizes) }
    })?;
    Some((chunks, pieces))
}

/// Which blocks a slice that fits takes something of.
fn touched(axis: &AxisChunks, slice: &AxisSlice) -> Option<Touched> {
    let Some(last) = slice.last() else {
        // Something has to give the empty block its dtype, and any block can.
        return Some(Touched::Run { first: 0, n: 1, down: false });
    };
    let (from, to) = (axis.block_at(slice.start), axis.block_at(last));
    let run = Touched::Run { first: from, n: from.abs_diff(to) + 1, down: to < from };
    if skips_no_block(axis, slice, from.min(to), from.max(to)) {
        return Some(run);
    }
    if axis.regular().is_some() {
        return Some(Touched::OneEach);
    }
    Some(Touched::Listed(list_touched(axis, slice)))
}

/// Whether every block between the touched first and last has at least as many elements as a
/// step is long, so that the slice can't jump over it.
fn skips_no_block(axis: &AxisChunks, slice: &AxisSlice, low: u64, high: u64) -> bool {
    let stride = slice.step.unsigned_abs();
    match axis.regular() {
        Some((_, size)) => stride <= size || high - low <= 1,
        None => (low + 1..high).all(|block| axis.block_len(block).is_some_and(|len| len >= stride)),
    }
}

/// Jumps from block to block, so that blocks which are stepped over cost nothing.
fn list_touched(axis: &AxisChunks, slice: &AxisSlice) -> Arc<[u64]> {
    let mut blocks = Vec::new();
    let mut i = 0;
    while i < slice.len {
        let block = axis.block_at(slice.position(i));
        blocks.push(block);
        // The element is in the block, so at least it is taken and `i` grows.
        i += part_of_block(axis, slice, block).map_or(1, |part| part.len.max(1));
    }
    blocks.into()
}

/// The output of a run over regular blocks, without looking at each, if it is regular too.
fn regular_output(axis: &AxisChunks, pieces: &SlicePieces) -> Option<AxisChunks> {
    let ((_, size), n) = match (axis.regular(), &pieces.blocks) {
        (Some(regular), Touched::Run { n, .. }) => (regular, *n),
        (_, Touched::OneEach) => return Some(AxisChunks::uniform(pieces.slice.len, 1)),
        _ => return None,
    };
    let len_of = |i: u64| Some(pieces.piece(i)?.local.len);
    let stride = pieces.slice.step.unsigned_abs();
    let (len, first) = (pieces.slice.len, len_of(0)?);
    match n {
        1 => Some(AxisChunks::whole(len)),
        2 => Some(AxisChunks::shifted(len, first, len_of(1)?)),
        // Full blocks give equal pieces only if the step divides their length.
        _ => size.is_multiple_of(stride).then(|| AxisChunks::shifted(len, first, size / stride)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn python(start: Option<i64>, stop: Option<i64>, step: Option<i64>, len: u64) -> Vec<u64> {
        let slice = AxisSlice::from_python(start, stop, step, len).unwrap();
        (0..slice.len).map(|i| slice.position(i)).collect()
    }

    #[test]
    fn python_slices_are_read_as_python_does() {
        assert_eq!(python(None, None, Some(-2), 5), [4, 2, 0]);
        assert_eq!(python(Some(-2), None, None, 5), [3, 4]);
        assert!(python(Some(-29), Some(2), Some(-1), 11).is_empty());
        assert_eq!(python(Some(1), Some(100), Some(3), 6), [1, 4]);
        assert_eq!(python(Some(i64::MIN), Some(i64::MAX), Some(i64::MAX), 6), [0]);
        assert_eq!(python(Some(i64::MAX), Some(i64::MIN), Some(i64::MIN), 6), [5]);
        assert_eq!(AxisSlice::from_python(None, None, Some(0), 3), None);
    }

    #[test]
    fn the_first_of_a_million_chunks_is_cheap() {
        let axis = AxisChunks::uniform(1 << 62, 1);
        let (out, pieces) = slice_axis(&axis, AxisSlice::new(0, 1, 1)).unwrap();
        assert_eq!((out, pieces.n_blocks()), (AxisChunks::whole(1), 1));
        let (out, pieces) = slice_axis(&axis, AxisSlice::new(5, 1 << 61, 1)).unwrap();
        assert_eq!((out, pieces.n_blocks()), (AxisChunks::uniform(1 << 61, 1), 1 << 61));
        assert_eq!(pieces.block(7), Some(12));
    }

    #[test]
    fn a_reversed_axis_stays_counted() {
        let axis = AxisChunks::uniform(1 << 40, 4);
        let reversed = AxisSlice::from_python(None, None, Some(-1), 1 << 40).unwrap();
        let (out, pieces) = slice_axis(&axis, reversed).unwrap();
        assert_eq!(out, axis);
        assert_eq!(
            pieces.piece(0).unwrap(),
            Piece { block: (1 << 38) - 1, local: AxisSlice::new(3, 4, -1) }
        );
    }

    #[test]
    fn long_steps_stay_counted() {
        let axis = AxisChunks::uniform(1 << 60, 3);
        let (out, pieces) = slice_axis(&axis, AxisSlice::new(1, 1 << 58, 4)).unwrap();
        assert_eq!((out, pieces.n_blocks()), (AxisChunks::uniform(1 << 58, 1), 1 << 58));
        assert_eq!(pieces.piece(5).unwrap(), Piece { block: 7, local: AxisSlice::new(0, 1, 1) });
    }

    #[test]
    fn too_many_irregular_blocks_are_refused() {
        let axis = AxisChunks::uniform(1 << 60, 3);
        assert!(slice_axis(&axis, AxisSlice::new(1, 1 << 59, 2)).is_none());
        assert!(slice_axis(&axis, AxisSlice::new(0, 1 << 58, 3)).is_some());
    }

    #[test]
    fn a_start_inside_a_block_stays_counted() {
        let axis = AxisChunks::uniform(1 << 60, 4);
        let (out, pieces) = slice_axis(&axis, AxisSlice::new(1, (1 << 60) - 1, 1)).unwrap();
        assert_eq!(out, AxisChunks::shifted((1 << 60) - 1, 3, 4));
        assert_eq!(pieces.piece(1), Some(Piece { block: 1, local: AxisSlice::new(0, 4, 1) }));
        let (again, _) = slice_axis(&out, AxisSlice::new(5, 1 << 58, 2)).unwrap();
        assert_eq!(again, AxisChunks::shifted(1 << 58, 1, 2));
        let reversed = AxisSlice::from_python(None, None, Some(-1), (1 << 60) - 2).unwrap();
        let (back, _) = slice_axis(&AxisChunks::uniform((1 << 60) - 2, 4), reversed).unwrap();
        assert_eq!(back, AxisChunks::shifted((1 << 60) - 2, 2, 4));
    }

    #[test]
    fn slices_that_do_not_fit_are_none() {
        let axis = AxisChunks::uniform(10, 3);
        assert!(slice_axis(&axis, AxisSlice::new(5, 6, 1)).is_none());
        assert!(slice_axis(&axis, AxisSlice::new(5, 3, -3)).is_none());
        assert!(slice_axis(&axis, AxisSlice::new(5, u64::MAX, i64::MAX)).is_none());
        assert!(slice_axis(&AxisChunks::unknown(2, 1), AxisSlice::full(0)).is_none());
    }

    #[test]
    fn single_positions_count_from_the_end() {
        assert_eq!(AxisSlice::at(-1, 5), Some(AxisSlice::new(4, 1, 1)));
        assert_eq!((AxisSlice::at(5, 5), AxisSlice::at(-6, 5)), (None, None));
        assert_eq!(AxisSlice::at(i64::MIN, 5), None);
    }

    fn bound() -> impl Strategy<Value = Option<i64>> {
        prop::option::of(-30i64..30)
    }

    fn step() -> impl Strategy<Value = Option<i64>> {
        prop::option::of((-12i64..12).prop_filter("no zero", |&step| step != 0))
    }

    proptest! {
        #[test]
        fn pieces_hold_the_elements_in_order(
            sizes in prop::collection::vec(0u64..6, 1..8),
            (start, stop, step) in (bound(), bound(), step()),
        ) {
            let axis = AxisChunks::from_sizes(&sizes).unwrap();
            let slice = AxisSlice::from_python(start, stop, step, axis.len().unwrap()).unwrap();
            let (out, pieces) = slice_axis(&axis, slice).unwrap();
            let mut taken = Vec::new();
            for (piece, size) in pieces.iter().zip(out.sizes()) {
                let range = axis.block_range(piece.block).unwrap();
                prop_assert!(piece.local.fits(range.end - range.start));
                prop_assert_eq!(piece.local.len, size);
                taken.extend((0..size).map(|i| range.start + piece.local.position(i)));
            }
            prop_assert_eq!(pieces.n_blocks(), out.n_blocks());
            let expected: Vec<u64> = (0..slice.len).map(|i| slice.position(i)).collect();
            prop_assert_eq!(taken, expected);
        }

        #[test]
        fn two_slices_are_one(
            len in 0u64..40, a in (bound(), bound(), step()), b in (bound(), bound(), step()),
        ) {
            let a = AxisSlice::from_python(a.0, a.1, a.2, len).unwrap();
            let b = AxisSlice::from_python(b.0, b.1, b.2, a.len).unwrap();
            let both = a.compose(&b);
            prop_assert!(both.fits(len));
            for i in 0..b.len {
                prop_assert_eq!(both.position(i), a.position(b.position(i)));
            }
            prop_assert_eq!(AxisSlice::full(len).compose(&a), a);
            prop_assert_eq!(a.compose(&AxisSlice::full(a.len)), a);
        }

        #[test]
        fn any_slice_is_read_or_refused(
            start: Option<i64>, stop: Option<i64>, step: Option<i64>, len in 0..=i64::MAX as u64,
        ) {
            if let Some(slice) = AxisSlice::from_python(start, stop, step, len) {
                prop_assert!(slice.fits(len));
                prop_assert_eq!(slice.compose(&AxisSlice::full(slice.len)), slice);
            }
        }
    }
}
