//! Boxes of arrays that are stored in chunks of one shape.

use std::ops::Range;

use ndarray::{AxisDescription, Slice};

/// The parts of the box at `start` that lie in one chunk each: the index of the chunk, and where the part lies in the
/// array. In C order.
pub(crate) fn parts(
    start: &[u64],
    lens: &[usize],
    chunk: &[u64],
) -> impl Iterator<Item = (Vec<u64>, Vec<Range<u64>>)> + use<> {
    let axes = start.iter().zip(lens).zip(chunk);
    let axes = axes.map(|((&start, &len), &chunk)| (start, start + len as u64, chunk));
    let axes: Vec<(u64, u64, u64)> = axes.collect();
    let touched = axes.iter().map(|&(start, end, chunk)| touched_chunks(start, end - start, chunk));
    indices(touched.collect()).map(move |index| {
        let part = index.iter().zip(&axes).map(|(i, &(start, end, chunk))| {
            let origin = i * chunk;
            start.max(origin)..end.min(origin.saturating_add(chunk))
        });
        let part = part.collect();
        (index, part)
    })
}

/// How a view of the box at `start` is sliced to a part of it.
pub(crate) fn within<'a>(
    start: &'a [u64],
    part: &'a [Range<u64>],
) -> impl FnMut(AxisDescription) -> Slice + use<'a> {
    move |axis| {
        let (part, start) = (&part[axis.axis.index()], start[axis.axis.index()]);
        ((part.start - start) as usize..(part.end - start) as usize).into()
    }
}

/// The chunks along one axis that a box touches.
fn touched_chunks(start: u64, len: u64, chunk: u64) -> Range<u64> {
    if len == 0 { 0..0 } else { start / chunk..(start + len).div_ceil(chunk) }
}

/// Every index of a box of block indices, in C order.
fn indices(ranges: Vec<Range<u64>>) -> impl Iterator<Item = Vec<u64>> {
    let mut next = Some(ranges.iter().map(|range| range.start).collect::<Vec<u64>>());
    if ranges.iter().any(Range::is_empty) {
        next = None;
    }
    std::iter::from_fn(move || {
        let index = next.take()?;
        let mut after = index.clone();
        for (axis, range) in ranges.iter().enumerate().rev() {
            after[axis] += 1;
            if after[axis] < range.end {
                next = Some(after);
                break;
            }
            after[axis] = range.start;
        }
        Some(index)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_the_box_once() {
        let got: Vec<_> = parts(&[1, 5], &[3, 4], &[2, 6]).collect();
        let part = |index: [u64; 2], rows, columns| (index.to_vec(), vec![rows, columns]);
        let expected = [
            part([0, 0], 1..2, 5..6),
            part([0, 1], 1..2, 6..9),
            part([1, 0], 2..4, 5..6),
            part([1, 1], 2..4, 6..9),
        ];
        assert_eq!(got, expected);
        assert_eq!(parts(&[1, 5], &[3, 0], &[2, 6]).count(), 0);
        assert_eq!(parts(&[], &[], &[]).count(), 1);
    }
}
