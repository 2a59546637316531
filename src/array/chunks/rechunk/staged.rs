//! Steps from old chunks to new ones whose tasks fit into memory.
//!
//! A task of a rechunk holds all old blocks that its new one touches. From rows to columns these are all there are, so the
//! way goes through chunks in between, each of which is a little longer along one axis and shorter along the other.

use std::ops::Range;

use super::crosswalk::{Overlap, overlap};
use super::plan::{has_huge_axis, n_tasks, plan_rechunk};
use crate::array::chunks::axis::AxisChunks;
use crate::array::chunks::grid::Chunks;

/// More steps make no task smaller that is worth its way.
const STEPS_MAX: usize = 8;
/// Pieces for each block of old and new chunks that a step may have if that saves another one, which writes everything to disk.
const PIECES_ON_DISK: u128 = 32;

/// What bounds the steps of a rechunk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RechunkLimits {
    /// A step may have this many tasks for each block of old and new chunks.
    pub(crate) threshold: u64,
    /// Bytes of a block in between, if old and new ones are no larger.
    pub(crate) block_bytes: u64,
    /// Bytes that one task may hold.
    pub(crate) task_bytes: u64,
}

/// The chunks to go through, of which the last are `new`: those of [`plan_rechunk`] if each of its tasks fits, else the
/// fewest geometric steps whose tasks do. If none do, those whose largest task is the smallest.
///
/// Of data that have to wait on disk between the steps, the fewest geometric steps come first, where they are fewer.
///
/// # Source
/// Rechunker, `multistage_rechunking_plan`, for the geometric steps.
pub(crate) fn rechunk_steps(
    old: &Chunks,
    new: &Chunks,
    itemsize: u64,
    limits: RechunkLimits,
) -> Vec<Chunks> {
    let RechunkLimits { threshold, block_bytes, task_bytes } = limits;
    let steps = plan_rechunk(old, new, itemsize, threshold, block_bytes);
    if old.ndim() != new.ndim() || has_huge_axis(old, new) {
        return steps;
    }
    let Some(mut largest) = largest_task(old, &steps) else { return steps };
    let is_too_large = nbytes(old, itemsize) > task_bytes;
    if is_too_large && let Some(fewer) = fewer_steps(old, new, itemsize, task_bytes, steps.len()) {
        return fewer;
    }
    let mut best = steps;
    for n in 2..=STEPS_MAX {
        if largest.saturating_mul(itemsize) <= task_bytes {
            break;
        }
        let Some(steps) = geometric_steps(old, new, n) else { break };
        if let Some(task) = largest_task(old, &steps).filter(|task| *task < largest) {
            (best, largest) = (steps, task);
        }
    }
    best
}

fn nbytes(chunks: &Chunks, itemsize: u64) -> u64 {
    chunks.shape().into_iter().flatten().fold(itemsize, u64::saturating_mul)
}

/// Less than `n_most` geometric steps whose tasks fit, and have few enough pieces.
fn fewer_steps(
    old: &Chunks,
    new: &Chunks,
    itemsize: u64,
    task_bytes: u64,
    n_most: usize,
) -> Option<Vec<Chunks>> {
    let is_cheap = |steps: &Vec<Chunks>| {
        let before = std::iter::once(old).chain(steps);
        let mut each = before.zip(steps);
        let fits =
            largest_task(old, steps).is_some_and(|n| n.saturating_mul(itemsize) <= task_bytes);
        fits && each.all(|(old, new)| {
            let n_blocks = u128::from(old.n_blocks()) + u128::from(new.n_blocks());
            n_tasks(old, new) <= PIECES_ON_DISK * n_blocks
        })
    };
    (1..n_most).map_while(|n| geometric_steps(old, new, n)).find(is_cheap)
}

/// Elements that the largest task of some steps reads and makes; `None` if lengths are unknown.
fn largest_task(old: &Chunks, steps: &[Chunks]) -> Option<u64> {
    let before = std::iter::once(old).chain(steps);
    before.zip(steps).map(|(old, new)| largest_of_step(old, new)).max().flatten()
}

fn largest_of_step(old: &Chunks, new: &Chunks) -> Option<u64> {
    let mut read = 1_u64;
    for (old, new) in old.axes().iter().zip(new.axes()) {
        read = read.saturating_mul(longest_read(old, &overlap(old, new)?, new.n_blocks())?);
    }
    Some(read.saturating_add(new.max_block_len()?))
}

/// The longest run of old blocks that one new block along the axis touches.
fn longest_read(old: &AxisChunks, overlap: &Overlap, n_blocks: u64) -> Option<u64> {
    let len_of = |blocks: Range<u64>| {
        let end = old.block_range(blocks.end.checked_sub(1)?)?.end;
        Some(end - old.block_range(blocks.start)?.start)
    };
    let mut longest = 0;
    for i in 0..n_blocks {
        longest = longest.max(len_of(overlap.blocks(i)?)?);
    }
    Some(longest)
}

/// `n` steps, between which the lengths of blocks grow or shrink by the same factor along each axis.
fn geometric_steps(old: &Chunks, new: &Chunks, n: usize) -> Option<Vec<Chunks>> {
    let axes = old.axes().iter().zip(new.axes());
    let ladders: Vec<Vec<AxisChunks>> =
        axes.map(|(old, new)| ladder(old, new, n)).collect::<Option<_>>()?;
    let step =
        |i: usize| Chunks::new(ladders.iter().map(|ladder| ladder[i].clone()).collect::<Vec<_>>());
    let mut steps: Vec<Chunks> = (0..n - 1).map(step).collect();
    steps.push(new.clone());
    steps.dedup();
    Some(steps)
}

/// The chunks between two chunkings of an axis, `n - 1` of them.
fn ladder(old: &AxisChunks, new: &AxisChunks, n: usize) -> Option<Vec<AxisChunks>> {
    if old == new {
        return Some(vec![new.clone(); n - 1]);
    }
    let len = old.len()?;
    let (first, last) = (old.max_len()?.max(1), new.max_len()?.max(1));
    let mut lens = rungs(first.min(last), first.max(last), n);
    if first > last {
        lens.reverse();
    }
    Some(lens.into_iter().map(|block_len| AxisChunks::uniform(len, block_len)).collect())
}

/// Lengths from `short` to `long`, each a multiple of the one before, so that few blocks are cut in between.
fn rungs(short: u64, long: u64, n: usize) -> Vec<u64> {
    let ratio = long as f64 / short as f64;
    let mut len = short;
    let rungs = (1..n).map(|i| {
        let aim = short as f64 * ratio.powf(i as f64 / n as f64);
        len = len.saturating_mul((aim / len as f64).round().max(1.0) as u64).min(long);
        len
    });
    rungs.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::THRESHOLD;
    use super::*;

    fn rows(n: u64, len: u64) -> Chunks {
        Chunks::new([AxisChunks::uniform(n, len), AxisChunks::whole(n)])
    }

    fn columns(n: u64, len: u64) -> Chunks {
        Chunks::new([AxisChunks::whole(n), AxisChunks::uniform(n, len)])
    }

    fn limits(task_bytes: u64) -> RechunkLimits {
        RechunkLimits { threshold: THRESHOLD, block_bytes: 1 << 10, task_bytes }
    }

    #[test]
    fn rows_become_columns_in_no_more_memory_than_is_there() {
        let (old, new) = (rows(4096, 16), columns(4096, 16));
        // 128 MiB, of which one task of a single step needs all.
        let mut n_steps = Vec::new();
        for mib in [200, 20, 8, 3] {
            let steps = rechunk_steps(&old, &new, 8, limits(mib << 20));
            assert_eq!(steps.last(), Some(&new));
            assert!(largest_task(&old, &steps).unwrap() * 8 <= mib << 20, "{mib} MiB: {steps:?}");
            n_steps.push(steps.len());
        }
        assert_eq!(n_steps, [4, 2, 3, 4], "in memory few pieces, on disk few steps");
        // Three blocks of 512 KiB are the least that a task can do with, which is asked for nevertheless.
        let steps = rechunk_steps(&old, &new, 8, limits(1 << 20));
        assert_eq!(largest_task(&old, &steps).unwrap() * 8, 3 << 19, "{steps:?}");
    }

    #[test]
    fn what_waits_on_disk_does_so_once() {
        // 2 GiB in blocks of 4 MiB, with a limit of 256 MiB.
        let (old, new) = (rows(16384, 32), columns(16384, 32));
        let limits = RechunkLimits { task_bytes: 128 << 20, ..limits(0) };
        let of_dask = plan_rechunk(&old, &new, 8, THRESHOLD, 4 << 20);
        let steps = rechunk_steps(&old, &new, 8, RechunkLimits { block_bytes: 4 << 20, ..limits });
        assert_eq!((of_dask.len(), steps.len()), (5, 2), "{of_dask:?}, {steps:?}");
        assert!(largest_task(&old, &steps).unwrap() * 8 <= limits.task_bytes);
        // In memory many small copies cost more than another step.
        let roomy = RechunkLimits { task_bytes: 4 << 30, block_bytes: 4 << 20, ..limits };
        assert_eq!(rechunk_steps(&old, &new, 8, roomy), of_dask);
    }

    #[test]
    fn what_fits_goes_as_before() {
        let (old, new) = (rows(100, 10), columns(100, 10));
        let steps = rechunk_steps(&old, &new, 8, limits(160_000));
        assert_eq!(steps, plan_rechunk(&old, &new, 8, THRESHOLD, 1 << 10));
    }

    #[test]
    fn unknown_lengths_and_huge_grids_go_as_before() {
        let unknown = Chunks::new([AxisChunks::unknown(3, 1), AxisChunks::uniform(40, 4)]);
        let new = unknown.with_axis(1, AxisChunks::whole(40));
        assert_eq!(rechunk_steps(&unknown, &new, 8, limits(1)), [new]);
        let old = Chunks::new([AxisChunks::uniform(1 << 61, 1), AxisChunks::whole(3)]);
        let new = Chunks::new([AxisChunks::uniform(1 << 61, 2), AxisChunks::uniform(3, 2)]);
        assert_eq!(rechunk_steps(&old, &new, 8, limits(1)), [new]);
    }

    proptest! {
        #[test]
        fn steps_fit_or_are_no_worse_than_those_of_dask(
            axes in prop::collection::vec((1u64..60, 1u64..30, 1u64..30), 1..4), task_bytes in 1u64..50_000,
        ) {
            let cut = |of: fn(&(u64, u64, u64)) -> AxisChunks| axes.iter().map(of).collect::<Chunks>();
            let (old, new) = (
                cut(|&(len, size, _)| AxisChunks::uniform(len, size)),
                cut(|&(len, _, size)| AxisChunks::uniform(len, size)),
            );
            let steps = rechunk_steps(&old, &new, 8, limits(task_bytes));
            prop_assert_eq!(steps.last(), Some(&new));
            prop_assert!(steps.iter().all(|step| step.same_shape(&old)));
            let largest = largest_task(&old, &steps).unwrap() * 8;
            let of_dask = plan_rechunk(&old, &new, 8, THRESHOLD, 1 << 10);
            prop_assert!(largest <= task_bytes || largest <= largest_task(&old, &of_dask).unwrap() * 8);
        }
    }
}
