//! Common chunks of arrays that are combined element by element.

use super::axis::AxisChunks;
use super::grid::Chunks;
use super::limit::check_listed;
use crate::error::{Call, Error, Result};

/// The chunks that several arrays have to take along one axis, so that their blocks align.
///
/// An axis of length 1 broadcasts. Arrays with one block only are cut as the others are; chunks
/// that differ are cut at the boundaries of all of them.
///
/// # Errors
/// [`Error::ShapeMismatch`] for lengths that differ; [`Error::UnknownChunks`] (with axis 0) if
/// lengths are unknown, unless all come from the same cut.
///
/// # Source
/// Dask, `common_blockdim`.
pub(crate) fn unify(call: Call, axes: &[&AxisChunks]) -> Result<AxisChunks> {
    unify_axis(call, 0, axes)
}

/// As [`unify`], naming the axis in the error.
fn unify_axis(call: Call, axis: usize, axes: &[&AxisChunks]) -> Result<AxisChunks> {
    let mut long = axes.iter().copied().filter(|chunks| chunks.len() != Some(1));
    let Some(first) = long.next() else {
        // Only axes of length 1 are left, and the one with most blocks has empty ones.
        let most = axes.iter().max_by_key(|chunks| chunks.n_blocks());
        return Ok(most.map_or_else(|| AxisChunks::whole(1), |&chunks| chunks.clone()));
    };
    let rest: Vec<&AxisChunks> = long.filter(|&chunks| chunks != first).collect();
    if rest.is_empty() {
        return Ok(first.clone());
    }
    if rest.iter().any(|chunks| !chunks.is_known()) || !first.is_known() {
        return Err(Error::UnknownChunks { call, axis });
    }
    if let Some(other) = rest.iter().find(|chunks| chunks.len() != first.len()) {
        return Err(mismatch(call, &length(first), &length(other)));
    }
    let mut cut: Vec<&AxisChunks> = rest.into_iter().filter(|chunks| !chunks.is_whole()).collect();
    if !first.is_whole() {
        cut.push(first);
    }
    refine(call, &cut)
}

fn length(axis: &AxisChunks) -> Vec<u64> {
    axis.len().into_iter().collect()
}

/// All boundaries of chunks of the same known length.
fn refine(call: Call, axes: &[&AxisChunks]) -> Result<AxisChunks> {
    let Some((&first, rest)) = axes.split_first() else {
        return Ok(AxisChunks::whole(0));
    };
    rest.iter().try_fold(first.clone(), |common, &axis| refine_two(call, &common, axis))
}

fn refine_two(call: Call, a: &AxisChunks, b: &AxisChunks) -> Result<AxisChunks> {
    if a == b {
        return Ok(a.clone());
    }
    if let (Some(x), Some(y)) = (a.regular(), b.regular()) {
        // Every boundary of the longer blocks is one of the shorter.
        let refines = |fine: (u64, u64), coarse: (u64, u64)| {
            coarse.1.is_multiple_of(fine.1) && coarse.0 % fine.1 == fine.0 % fine.1
        };
        if refines(y, x) {
            return Ok(b.clone());
        }
        if refines(x, y) {
            return Ok(a.clone());
        }
    }
    check_listed(call.op, Some(call), a.n_blocks().saturating_add(b.n_blocks()))?;
    Ok(merged(a, b))
}

/// Both lists of boundaries as one. An empty block of either list stays, once.
fn merged(a: &AxisChunks, b: &AxisChunks) -> AxisChunks {
    let ends = |axis: &AxisChunks| -> Vec<u64> {
        (0..axis.n_blocks()).filter_map(|i| axis.block_range(i)).map(|range| range.end).collect()
    };
    let (a, b) = (ends(a), ends(b));
    let (mut i, mut j) = (0, 0);
    let mut offsets = vec![0];
    while i < a.len() || j < b.len() {
        let next = a.get(i).into_iter().chain(b.get(j)).min().copied().unwrap_or(0);
        i += usize::from(a.get(i) == Some(&next));
        j += usize::from(b.get(j) == Some(&next));
        offsets.push(next);
    }
    AxisChunks::from_offsets(offsets).expect("boundaries merged in order are ascending from 0")
}

/// The shape that arrays of these shapes broadcast to, by NumPy's rule.
///
/// # Errors
/// [`Error::ShapeMismatch`] if two lengths of an axis differ and neither is 1.
pub(crate) fn broadcast_shapes(call: Call, shapes: &[&[u64]]) -> Result<Vec<u64>> {
    let ndim = shapes.iter().map(|shape| shape.len()).max().unwrap_or(0);
    let mut result = vec![1; ndim];
    for &shape in shapes {
        for (have, &len) in result[ndim - shape.len()..].iter_mut().zip(shape) {
            match (*have, len) {
                (_, 1) => {}
                (1, _) => *have = len,
                (have, len) if have == len => {}
                _ => return Err(no_broadcast(call, shapes)),
            }
        }
    }
    Ok(result)
}

/// Names two shapes that do not fit; it exists because the whole list does not.
fn no_broadcast(call: Call, shapes: &[&[u64]]) -> Error {
    let fits = |a: &[u64], b: &[u64]| {
        a.iter().rev().zip(b.iter().rev()).all(|(&a, &b)| a == b || a == 1 || b == 1)
    };
    let pairs =
        shapes.iter().enumerate().flat_map(|(i, a)| shapes[..i].iter().map(move |b| (b, a)));
    let pair = pairs.into_iter().find(|(a, b)| !fits(a, b));
    pair.map_or_else(|| mismatch(call, &[], &[]), |(a, b)| mismatch(call, a, b))
}

fn mismatch(call: Call, left: &[u64], right: &[u64]) -> Error {
    Error::ShapeMismatch {
        call,
        left: left.to_vec(),
        right: right.to_vec(),
        remedy: "lengths of an axis must be equal, or 1",
    }
}

/// The chunks of the result of combining arrays with broadcasting, which all arguments have to
/// take except along their axes of length 1.
///
/// # Errors
/// As [`unify`], with whole shapes and the axis of the result.
pub(crate) fn unify_broadcast(call: Call, args: &[&Chunks]) -> Result<Chunks> {
    let shapes: Vec<Vec<u64>> = args.iter().filter_map(|arg| arg.known_shape()).collect();
    broadcast_shapes(call, &shapes.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
    let ndim = args.iter().map(|arg| arg.ndim()).max().unwrap_or(0);
    (0..ndim).map(|axis| unify_axis(call, axis, &column(args, ndim - axis))).collect()
}

/// The axes that are `from_end` away from the end; arrays with fewer dimensions have none.
fn column<'a>(args: &[&'a Chunks], from_end: usize) -> Vec<&'a AxisChunks> {
    args.iter().filter_map(|arg| Some(&arg.axes()[arg.ndim().checked_sub(from_end)?])).collect()
}

/// The chunks that arrays broadcast to whose chunks are aligned already.
///
/// # Errors
/// As [`unify_broadcast`], and [`Error::InvalidChunks`] if chunks of an axis differ.
#[cfg_attr(not(test), expect(dead_code, reason = "for blockwise functions of several arrays"))]
pub(crate) fn broadcast_chunks(call: Call, args: &[&Chunks]) -> Result<Chunks> {
    let result = unify_broadcast(call, args)?;
    for (axis, chunks) in result.axes().iter().enumerate() {
        let one = |other: &AxisChunks| other.len() == Some(1);
        let column = column(args, result.ndim() - axis);
        if let Some(other) = column.into_iter().find(|&other| other != chunks && !one(other)) {
            return Err(Error::InvalidChunks {
                call,
                got: other.to_string(),
                shape: result.known_shape().unwrap_or_default(),
                problem: "chunks of the same axis must be equal; rechunk one of the arrays",
            });
        }
    }
    Ok(result)
}

/// The chunks of each index of a contraction such as `ij,jk->ik`, where arguments name their axes
/// by letters.
///
/// # Errors
/// As [`unify`]; [`Error::ShapeMismatch`] also if an argument has another number of axes.
pub(crate) fn unify_indices(
    call: Call,
    args: &[(&[char], &Chunks)],
) -> Result<Vec<(char, AxisChunks)>> {
    if let Some((idx, arg)) = args.iter().find(|(idx, arg)| idx.len() != arg.ndim()) {
        return Err(mismatch(call, &[arg.ndim() as u64], &[idx.len() as u64]));
    }
    let axes = || args.iter().flat_map(|(idx, arg)| idx.iter().copied().zip(arg.axes()));
    let mut letters: Vec<char> = axes().map(|(letter, _)| letter).collect();
    letters.sort_unstable();
    letters.dedup();
    let unified = |letter: char| {
        let named: Vec<_> = axes().filter(|(other, _)| *other == letter).map(|(_, a)| a).collect();
        Ok((letter, unify(call, &named)?))
    };
    letters.into_iter().map(unified).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn axis(sizes: &[u64]) -> AxisChunks {
        AxisChunks::from_sizes(sizes).unwrap()
    }

    fn unified(axes: &[&AxisChunks]) -> Result<AxisChunks> {
        unify(Call::new("test"), axes)
    }

    #[test]
    fn different_chunks_are_refined() {
        let got = unified(&[&axis(&[4, 6]), &axis(&[5, 5]), &axis(&[10])]).unwrap();
        assert_eq!(got, axis(&[4, 1, 5]));
        let regular =
            unified(&[&AxisChunks::uniform(u64::MAX, 6), &AxisChunks::uniform(u64::MAX, 3)]);
        assert_eq!(regular.unwrap(), AxisChunks::uniform(u64::MAX, 3));
        let fine = AxisChunks::shifted(u64::MAX, 1, 3);
        assert_eq!(unified(&[&AxisChunks::shifted(u64::MAX, 4, 6), &fine]).unwrap(), fine);
    }

    #[test]
    fn unknown_chunks_align_with_the_same_cut_only() {
        let (a, b) = (AxisChunks::unknown(2, 1), AxisChunks::unknown(2, 2));
        assert_eq!(unified(&[&a, &a, &axis(&[1])]).unwrap(), a);
        assert!(matches!(unified(&[&a, &b]), Err(Error::UnknownChunks { .. })));
        assert!(matches!(unified(&[&axis(&[2, 2]), &a]), Err(Error::UnknownChunks { .. })));
    }

    #[test]
    fn too_many_boundaries_are_refused() {
        let huge = [AxisChunks::uniform(1 << 60, 2), AxisChunks::uniform(1 << 60, 3)];
        assert!(matches!(unified(&[&huge[0], &huge[1]]), Err(Error::TooManyTasks { .. })));
    }

    #[test]
    fn a_mismatch_names_both_shapes() {
        let error = broadcast_shapes(Call::new("add"), &[&[2, 3], &[1], &[4]]).unwrap_err();
        assert!(error.to_string().starts_with("add: shapes [2, 3] and [4] do not fit"), "{error}");
    }

    proptest! {
        #[test]
        fn common_chunks_have_all_boundaries(
            cuts in prop::collection::vec(prop::collection::vec(0u64..30, 0..6), 1..4),
        ) {
            let axes: Vec<_> = cuts.iter().map(|cuts| {
                let mut offsets = cuts.clone();
                offsets.extend([0, 30]);
                offsets.sort_unstable();
                AxisChunks::from_offsets(offsets).unwrap()
            }).collect();
            let common = unified(&axes.iter().collect::<Vec<_>>()).unwrap();
            let ends: Vec<u64> = (0..common.n_blocks()).map(|i| common.block_range(i).unwrap().end).collect();
            let mut expected: Vec<u64> = cuts.concat();
            expected.push(30);
            for end in ends.iter().filter(|&&end| end > 0) {
                prop_assert!(expected.contains(end));
            }
            for end in expected.iter().filter(|&&end| end > 0) {
                prop_assert!(ends.contains(end));
            }
        }
    }
}
