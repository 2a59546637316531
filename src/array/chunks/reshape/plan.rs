//! Plans one reshape that merges or splits axes.

use super::cut;
use crate::array::chunks::axis::AxisChunks;
use crate::array::chunks::grid::Chunks;

/// Chunks that make a reshape one task for each block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ReshapePlan {
    /// The chunks that the input has to take.
    pub input: Chunks,
    /// The chunks of the result. Block k of the input, in C order, is block k of the result.
    pub output: Chunks,
}

/// Why a reshape can't be planned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unsupported {
    /// The shapes have different numbers of elements.
    SizeMismatch,
    /// Axes have to be merged and split again; see `reshape_steps`.
    NeedsSteps,
    /// The lengths along this axis are unknown.
    UnknownChunks(usize),
    /// More blocks than may be listed.
    TooManyBlocks,
    /// More elements than can be counted.
    TooLarge,
}

type Result<T> = std::result::Result<T, Unsupported>;

/// As [`plan_reshape_within`] without a limit, which is what Dask does.
#[cfg(test)]
pub(crate) fn plan_reshape(
    in_shape: &[u64],
    out_shape: &[u64],
    chunks: &Chunks,
) -> Result<ReshapePlan> {
    plan(in_shape, out_shape, chunks, false)
}

/// Plans a reshape in which each axis is kept, merged with others or split.
///
/// Blocks of the plan stay about as large as those of the input. Where an axis does not divide well
/// they may be up to twice as large, but none is larger than `limit` elements or the largest input
/// block, whichever is greater.
///
/// # Source
/// Dask, `reshape_rechunk`. Dask refuses what `NeedsSteps` says.
pub(crate) fn plan_reshape_within(
    in_shape: &[u64],
    out_shape: &[u64],
    chunks: &Chunks,
    limit: u64,
) -> Result<ReshapePlan> {
    let loose = plan(in_shape, out_shape, chunks, false)?;
    let most = chunks.max_block_len().max(Some(limit));
    if loose.input.max_block_len() <= most {
        Ok(loose)
    } else {
        plan(in_shape, out_shape, chunks, true)
    }
}

fn plan(in_shape: &[u64], out_shape: &[u64], chunks: &Chunks, strict: bool) -> Result<ReshapePlan> {
    if let Some(axis) = chunks.first_unknown() {
        return Err(Unsupported::UnknownChunks(axis));
    }
    let empty = n_elements(in_shape)? == 0;
    if n_elements(in_shape)? != n_elements(out_shape)?
        || chunks.known_shape().as_deref() != Some(in_shape)
    {
        return Err(Unsupported::SizeMismatch);
    }
    if in_shape == out_shape {
        return Ok(ReshapePlan { input: chunks.clone(), output: chunks.clone() });
    }
    let whole = || ReshapePlan { input: Chunks::whole(in_shape), output: Chunks::whole(out_shape) };
    if chunks.n_blocks() == 1 {
        return Ok(whole());
    }
    match Walk::new(in_shape, out_shape, chunks, strict).run() {
        // Where there are no elements, any blocks hold the right ones.
        Err(Unsupported::NeedsSteps) if empty => Ok(whole()),
        plan => plan,
    }
}

/// Number of elements of an array of this shape.
pub(super) fn n_elements(shape: &[u64]) -> Result<u64> {
    let nonzero = shape.iter().try_fold(1u64, |n, &len| n.checked_mul(len.max(1)));
    let n = nonzero.ok_or(Unsupported::TooLarge)?;
    Ok(if shape.contains(&0) { 0 } else { n })
}

/// Both shapes, read from the last axis to the first.
struct Walk<'a> {
    in_shape: &'a [u64],
    out_shape: &'a [u64],
    chunks: &'a [AxisChunks],
    /// No block may grow.
    strict: bool,
    input: Vec<AxisChunks>,
    output: Vec<AxisChunks>,
}

impl<'a> Walk<'a> {
    fn new(in_shape: &'a [u64], out_shape: &'a [u64], chunks: &'a Chunks, strict: bool) -> Self {
        let input = chunks.axes().to_vec();
        let output = out_shape.iter().map(|&len| AxisChunks::whole(len)).collect();
        Walk { in_shape, out_shape, chunks: chunks.axes(), strict, input, output }
    }

    fn run(mut self) -> Result<ReshapePlan> {
        let (mut i, mut o) = (self.in_shape.len(), self.out_shape.len());
        while i > 0 || o > 0 {
            // A shape that is used up goes on with axes of length 1.
            let a = if i > 0 { self.in_shape[i - 1] } else { 1 };
            let b = if o > 0 { self.out_shape[o - 1] } else { 1 };
            if a == b && i > 0 && o > 0 {
                (i, o) = (i - 1, o - 1);
                self.output[o] = self.chunks[i].clone();
            } else if a == 1 && i > 0 {
                i -= 1;
                self.input[i] = AxisChunks::whole(1);
            } else if b == 1 && o > 0 {
                // Outputs of length 1 are whole from the start.
                o -= 1;
            } else if a < b {
                let first = group_start(&self.in_shape[..i], b)?;
                self.merge(first, i, o - 1)?;
                (i, o) = (first, o - 1);
            } else {
                let first = group_start(&self.out_shape[..o], a)?;
                self.split(i - 1, first, o)?;
                (i, o) = (i - 1, first);
            }
        }
        Ok(ReshapePlan { input: Chunks::new(self.input), output: Chunks::new(self.output) })
    }

    /// Input axes `l..r` become output axis `o`.
    fn merge(&mut self, l: usize, r: usize, o: usize) -> Result<()> {
        let i = r - 1;
        // Blocks that are lines along the last axis only have to be put in order.
        if self.chunks[..i].iter().all(cut::all_ones) {
            let times = self.chunks[l..i].iter().map(AxisChunks::n_blocks);
            let times = times.fold(1, u64::saturating_mul);
            self.output[o] = cut::repeated(&self.chunks[i], times)?;
            return Ok(());
        }
        let inner_blocks = self.chunks[l + 1..r].iter().map(AxisChunks::n_blocks);
        let inner_blocks = inner_blocks.fold(1, u64::saturating_mul);
        let group = &mut self.input[l..r];
        for (axis, &len) in group.iter_mut().zip(&self.in_shape[l..r]).skip(1) {
            *axis = AxisChunks::whole(len);
        }
        group[0] = cut::expand(&self.chunks[l], inner_blocks)?;
        let target = cut::largest_block(&self.chunks[l..r]);
        cut::smooth(group, target)?;
        if self.strict {
            cut::fit(group, target)?;
        }
        self.output[o] = cut::row_major(group)?;
        Ok(())
    }

    /// Input axis `i` becomes output axes `m..r`.
    fn split(&mut self, i: usize, m: usize, r: usize) -> Result<()> {
        let inner = n_elements(&self.out_shape[m + 1..r])?.max(1);
        let cut_at_rows = cut::contract(&self.chunks[i], inner)?;
        let group = &mut self.output[m..r];
        group[0] = cut::divided(&cut_at_rows, inner)?;
        let target = cut::longest(&self.chunks[i]);
        cut::smooth(group, target)?;
        if self.strict {
            cut::fit(group, target)?;
        }
        self.input[i] = cut::row_major(group)?;
        Ok(())
    }
}

/// Where the shortest run of axes at the end starts that has `product` elements.
fn group_start(shape: &[u64], product: u64) -> Result<usize> {
    let mut have = 1u64;
    for (axis, &len) in shape.iter().enumerate().rev() {
        have = have.checked_mul(len).ok_or(Unsupported::NeedsSteps)?;
        if have >= product {
            return if have == product { Ok(axis) } else { Err(Unsupported::NeedsSteps) };
        }
    }
    Err(Unsupported::NeedsSteps)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// C-order numbers of the elements of a block, in C order.
    fn elements(chunks: &Chunks, block: u64) -> Vec<u64> {
        let idx = chunks.unravel_block(block).unwrap();
        let axes = chunks.axes().iter().zip(idx);
        axes.fold(vec![0], |flat, (axis, i)| {
            let range = axis.block_range(i).unwrap();
            let len = axis.len().unwrap();
            flat.iter().flat_map(|at| range.clone().map(move |pos| at * len + pos)).collect()
        })
    }

    /// Whether every element of the plan stays at its place in C order.
    pub(in crate::array::chunks) fn moves_right(plan: &ReshapePlan) -> bool {
        let n = plan.input.n_blocks();
        n == plan.output.n_blocks()
            && (0..n).all(|i| elements(&plan.input, i) == elements(&plan.output, i))
    }

    #[test]
    fn merging_and_splitting_are_planned() {
        let chunks = Chunks::new([AxisChunks::uniform(4, 2), AxisChunks::uniform(6, 3)]);
        let merged = plan_reshape(&[4, 6], &[24], &chunks).unwrap();
        assert_eq!(merged.output.to_string(), "((6, 6, 6, 6),)");
        let split = plan_reshape(&[24], &[4, 6], &merged.output).unwrap();
        assert!(moves_right(&merged) && moves_right(&split));
    }

    #[test]
    fn what_can_not_be_planned_says_why() {
        let chunks = Chunks::new([AxisChunks::uniform(4, 2), AxisChunks::uniform(6, 3)]);
        assert_eq!(plan_reshape(&[4, 6], &[5], &chunks), Err(Unsupported::SizeMismatch));
        assert_eq!(plan_reshape(&[4, 6], &[3, 8], &chunks), Err(Unsupported::NeedsSteps));
        assert_eq!(plan_reshape(&[4, 6], &[u64::MAX, 2], &chunks), Err(Unsupported::TooLarge));
        let unknown = Chunks::new([AxisChunks::unknown(2, 1)]);
        assert_eq!(plan_reshape(&[4], &[2, 2], &unknown), Err(Unsupported::UnknownChunks(0)));
    }

    #[test]
    fn a_million_chunks_are_planned_without_listing() {
        let chunks = Chunks::new([AxisChunks::uniform(1 << 50, 1), AxisChunks::whole(8)]);
        let plan = plan_reshape(&[1 << 50, 8], &[1 << 53], &chunks).unwrap();
        assert_eq!(plan.output, Chunks::new([AxisChunks::uniform(1 << 53, 8)]));
    }

    proptest! {
        #[test]
        fn elements_stay_and_blocks_do_not_grow(
            axes in prop::collection::vec((1u64..9, 1u64..6), 1..4), at in 0usize..3, limit in 0u64..40,
        ) {
            let shape: Vec<u64> = axes.iter().map(|&(len, _)| len).collect();
            let chunks: Chunks = axes.iter().map(|&(len, size)| AxisChunks::uniform(len, size)).collect();
            let (left, right) = shape.split_at(at.min(shape.len()));
            let merged = [left.iter().product::<u64>(), right.iter().product()];
            let plan = plan_reshape_within(&shape, &merged, &chunks, limit).unwrap();
            prop_assert!(moves_right(&plan));
            prop_assert!(plan.input.max_block_len().unwrap() <= chunks.max_block_len().unwrap().max(limit));
            let back = plan_reshape_within(&merged, &shape, &plan.output, 0).unwrap();
            prop_assert!(moves_right(&back));
            prop_assert!(back.input.max_block_len() <= plan.output.max_block_len());
        }
    }
}
