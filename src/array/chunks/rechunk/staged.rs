//! Steps from old chunks to new ones whose tasks fit into memory.
//!
//! A task of a rechunk holds all old blocks that its new one touches. From rows to columns these are all there are, so the
//! way goes through chunks in between, each of which is a little longer along one axis and shorter along the other.

use std::ops::Range;

use super::crosswalk::{Overlap, overlap};
use super::plan::{has_huge_axis, plan_rechunk};
use crate::array::chunks::axis::AxisChunks;
use crate::array::chunks::grid::Chunks;

/// More steps make no task smaller that is worth its way.
const STEPS_MAX: usize = 8;

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
        assert!(n_steps.is_sorted() && n_steps[3] <= 4, "{n_steps:?}");
        // Three blocks of 512 KiB are the least that a task can do with, which is asked for nevertheless.
        let steps = rechunk_steps(&old, &new, 8, limits(1 << 20));
        assert_eq!(largest_task(&old, &steps).unwrap() * 8, 3 << 19, "{steps:?}");
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
