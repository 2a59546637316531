//! Which input blocks an output block reads, as data.
//!
//! Maps are compared, composed, printed and sent; that is what makes fusion a matter of looking
//! at two values instead of sampling two closures.

use std::sync::Arc;

/// From an output block to the input blocks that it reads.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "dist", derive(serde::Serialize, serde::Deserialize))]
pub(crate) enum BlockMap {
    /// The input block with the same row-major number. The grids may differ in rank.
    Linear,
    /// The product of one [`AxisMap`] per input axis, row-major.
    Axes(Arc<[AxisMap]>),
    /// As `Linear` with equal grids, but nothing for the blocks with these row-major numbers, which are sorted.
    Except(Arc<[u64]>),
}

/// From an output block index to a range of blocks along one input axis.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "dist", derive(serde::Serialize, serde::Deserialize))]
pub(crate) enum AxisMap {
    /// Every block: the axis is contracted.
    All,
    /// One fixed block: the axis is broadcast or was dropped.
    At(u64),
    /// Block `first + step * out[axis]`.
    Axis { axis: usize, first: u64, step: i64 },
    /// Block `out[axis] - first` if that is one of `len` blocks, otherwise nothing.
    Window { axis: usize, first: u64, len: u64 },
    /// Blocks `out[axis] * size .. (out[axis] + 1) * size`, cut off at the last block.
    Group { axis: usize, size: u64 },
    /// Blocks `ranges[out[axis]]`, from inclusive to exclusive.
    Ranges { axis: usize, ranges: Arc<[(u64, u64)]> },
    /// Blocks `lists[out[axis]]`, in that order.
    Lists { axis: usize, lists: Arc<[Box<[u64]>]> },
}

/// The blocks that are read along one axis.
enum Touched<'a> {
    Range(std::ops::Range<u64>),
    List(std::slice::Iter<'a, u64>),
}

impl Touched<'_> {
    fn len(&self) -> usize {
        match self {
            Touched::Range(range) => (range.end - range.start) as usize,
            Touched::List(list) => list.len(),
        }
    }
}

impl Iterator for Touched<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        match self {
            Touched::Range(range) => range.next(),
            Touched::List(list) => list.next().copied(),
        }
    }
}

impl AxisMap {
    /// Input block `i` for output block `i` of `axis`.
    pub(crate) fn same(axis: usize) -> Self {
        AxisMap::Axis { axis, first: 0, step: 1 }
    }

    /// The blocks read along an input axis of `n_in` blocks.
    fn touched(&self, out: &[u64], n_in: u64) -> Touched<'_> {
        Touched::Range(match *self {
            AxisMap::All => 0..n_in,
            AxisMap::At(block) => block..block + 1,
            AxisMap::Axis { axis, first, step } => {
                let block = first.wrapping_add_signed(step.wrapping_mul(out[axis] as i64));
                block..block + 1
            }
            AxisMap::Window { axis, first, len } => match out[axis].checked_sub(first) {
                Some(block) if block < len => block..block + 1,
                _ => 0..0,
            },
            AxisMap::Group { axis, size } => {
                (out[axis] * size).min(n_in)..((out[axis] + 1) * size).min(n_in)
            }
            AxisMap::Ranges { axis, ref ranges } => {
                let (start, end) = ranges[out[axis] as usize];
                start..end
            }
            AxisMap::Lists { axis, ref lists } => {
                return Touched::List(lists[out[axis] as usize].iter());
            }
        })
    }

    /// The output axis on whose index it depends.
    fn out_axis(&self) -> Option<usize> {
        match self {
            AxisMap::All | AxisMap::At(_) => None,
            AxisMap::Axis { axis, .. }
            | AxisMap::Window { axis, .. }
            | AxisMap::Group { axis, .. }
            | AxisMap::Ranges { axis, .. }
            | AxisMap::Lists { axis, .. } => Some(*axis),
        }
    }

    /// Whether each output block reads exactly one block.
    fn is_single(&self, n_in: u64) -> bool {
        match self {
            AxisMap::At(_) | AxisMap::Axis { .. } => true,
            AxisMap::All => n_in == 1,
            AxisMap::Group { size, .. } => *size == 1,
            AxisMap::Window { .. } => false,
            AxisMap::Ranges { ranges, .. } => ranges.iter().all(|(start, end)| end - start == 1),
            AxisMap::Lists { lists, .. } => lists.iter().all(|list| list.len() == 1),
        }
    }

    /// Whether no two blocks along output axis `out_axis` read the same block.
    fn is_injective_in(&self, out_axis: usize) -> bool {
        match *self {
            // Lists may name a block twice; that they do not is not worth a set.
            AxisMap::All | AxisMap::At(_) | AxisMap::Lists { .. } => false,
            AxisMap::Axis { axis, step, .. } => axis == out_axis && step != 0,
            AxisMap::Window { axis, .. } | AxisMap::Group { axis, .. } => axis == out_axis,
            AxisMap::Ranges { axis, ref ranges } => {
                let rises = ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0);
                let falls = || ranges.windows(2).all(|pair| pair[1].1 <= pair[0].0);
                axis == out_axis && (rises || falls())
            }
        }
    }

    /// Whether the output blocks together surely read every block.
    fn is_onto(&self, out_grid: &[u64], n_in: u64) -> bool {
        match *self {
            AxisMap::All => true,
            AxisMap::At(_) => n_in == 1,
            AxisMap::Axis { axis, step, .. } => step.abs() == 1 && out_grid[axis] == n_in,
            AxisMap::Window { axis, first, len } => len == n_in && first + len <= out_grid[axis],
            AxisMap::Group { axis, size } => out_grid[axis].saturating_mul(size) >= n_in,
            AxisMap::Ranges { axis, ref ranges } => {
                let mut next = 0;
                // After a slice, there may be more of them than blocks that read.
                for &(start, end) in ranges.iter().take(out_grid[axis] as usize) {
                    if start > next {
                        return false;
                    }
                    next = next.max(end);
                }
                next >= n_in
            }
            AxisMap::Lists { .. } => false,
        }
    }

    /// The map that reads what `self` reads of an array whose blocks `outer` names.
    fn compose(&self, outer: &[AxisMap], mid_grid: &[u64]) -> Option<AxisMap> {
        let Some(axis) = self.out_axis() else { return Some(self.clone()) };
        match (&outer[axis], self) {
            (AxisMap::Axis { axis, first: 0, step: 1 }, _) => Some(self.renamed(*axis)),
            (
                &AxisMap::Axis { axis, first: mid_first, step: mid_step },
                &AxisMap::Axis { first, step, .. },
            ) => {
                let first = first.checked_add_signed(step.checked_mul(mid_first as i64)?)?;
                Some(AxisMap::Axis { axis, first, step: step.checked_mul(mid_step)? })
            }
            (AxisMap::All, AxisMap::Axis { first, .. }) if mid_grid[axis] == 1 => {
                Some(AxisMap::At(*first))
            }
            // The only group has all blocks.
            (AxisMap::At(0), AxisMap::Group { .. }) if mid_grid[axis] == 1 => Some(AxisMap::All),
            (&AxisMap::At(mid), &AxisMap::Axis { first, step, .. }) => {
                Some(AxisMap::At(first.checked_add_signed(step.checked_mul(mid as i64)?)?))
            }
            _ => None,
        }
    }

    /// The same map of another output axis.
    fn renamed(&self, axis: usize) -> AxisMap {
        let mut map = self.clone();
        match &mut map {
            AxisMap::All | AxisMap::At(_) => {}
            AxisMap::Axis { axis: a, .. }
            | AxisMap::Window { axis: a, .. }
            | AxisMap::Group { axis: a, .. }
            | AxisMap::Ranges { axis: a, .. }
            | AxisMap::Lists { axis: a, .. } => *a = axis,
        }
        map
    }
}

impl BlockMap {
    /// A map of one entry per input axis.
    pub(crate) fn axes(maps: impl IntoIterator<Item = AxisMap>) -> Self {
        BlockMap::Axes(maps.into_iter().collect())
    }

    /// Calls `visit` with the row-major number of each input block that block `out` reads, in order.
    ///
    /// `out_linear` is the row-major number of `out` in its own grid.
    pub(crate) fn for_each(
        &self,
        out: &[u64],
        out_linear: u64,
        in_grid: &[u64],
        mut visit: impl FnMut(u64),
    ) {
        match self {
            BlockMap::Linear => visit(out_linear),
            BlockMap::Except(blocks) if blocks.binary_search(&out_linear).is_ok() => {}
            BlockMap::Except(_) => visit(out_linear),
            BlockMap::Axes(maps) => visit_product(maps, out, in_grid, 0, &mut visit),
        }
    }

    /// How many blocks block `out` reads.
    pub(crate) fn count(&self, out: &[u64], in_grid: &[u64]) -> usize {
        match self {
            BlockMap::Linear => 1,
            BlockMap::Except(blocks) => {
                let linear = out.iter().zip(in_grid).fold(0, |linear, (i, n)| linear * n + i);
                usize::from(blocks.binary_search(&linear).is_err())
            }
            BlockMap::Axes(maps) => maps
                .iter()
                .zip(in_grid)
                .map(|(map, &n)| map.touched(out, n).len())
                .fold(1, usize::saturating_mul),
        }
    }

    /// Whether each output block reads exactly one block.
    pub(crate) fn is_single(&self, in_grid: &[u64]) -> bool {
        match self {
            BlockMap::Linear => true,
            BlockMap::Except(_) => false,
            BlockMap::Axes(maps) => maps.iter().zip(in_grid).all(|(map, &n)| map.is_single(n)),
        }
    }

    /// Whether surely no two output blocks read the same block.
    pub(crate) fn is_injective(&self, out_grid: &[u64]) -> bool {
        match self {
            BlockMap::Linear | BlockMap::Except(_) => true,
            BlockMap::Axes(maps) => (0..out_grid.len()).all(|axis| {
                out_grid[axis] == 1 || maps.iter().any(|map| map.is_injective_in(axis))
            }),
        }
    }

    /// Whether all output blocks together surely read every input block.
    pub(crate) fn is_onto(&self, out_grid: &[u64], in_grid: &[u64]) -> bool {
        match self {
            BlockMap::Linear => true,
            BlockMap::Except(_) => false,
            BlockMap::Axes(maps) => {
                // Two input axes that follow one output axis are read along a diagonal.
                let long = || maps.iter().zip(in_grid).filter(|(_, n)| **n > 1);
                let is_twice = |axis: &usize| {
                    long().filter(|(map, _)| map.out_axis() == Some(*axis)).count() > 1
                };
                maps.iter().zip(in_grid).all(|(map, &n)| map.is_onto(out_grid, n))
                    && !long().filter_map(|(map, _)| map.out_axis()).any(|axis| is_twice(&axis))
            }
        }
    }

    /// Whether output and input block numbers are the same.
    pub(crate) fn is_identity(&self, out_grid: &[u64], in_grid: &[u64]) -> bool {
        match self {
            BlockMap::Linear => true,
            BlockMap::Except(_) => false,
            BlockMap::Axes(maps) => {
                out_grid == in_grid
                    && maps.iter().enumerate().all(|(i, map)| *map == AxisMap::same(i))
            }
        }
    }

    /// The map from the blocks of the outermost output to what `self` reads, where `outer` maps
    /// that output to the blocks of the array (`mid_grid`) which `self` starts from.
    ///
    /// `None` if that is not one of our maps.
    pub(crate) fn compose(
        &self,
        outer: &BlockMap,
        out_grid: &[u64],
        mid_grid: &[u64],
        in_grid: &[u64],
    ) -> Option<BlockMap> {
        let keeps_grid =
            |map: &BlockMap, out: &[u64], of: &[u64]| out == of && map.is_identity(out, of);
        if keeps_grid(outer, out_grid, mid_grid) {
            return Some(self.clone());
        }
        if keeps_grid(self, mid_grid, in_grid) {
            return Some(outer.clone());
        }
        match (self, outer) {
            (BlockMap::Linear, BlockMap::Linear) => Some(BlockMap::Linear),
            (BlockMap::Axes(maps), BlockMap::Axes(outer)) => maps
                .iter()
                .map(|map| map.compose(outer, mid_grid))
                .collect::<Option<Arc<[_]>>>()
                .map(BlockMap::Axes),
            _ => None,
        }
    }
}

/// Visits the product of the ranges of `maps`, the first axis slowest.
fn visit_product(
    maps: &[AxisMap],
    out: &[u64],
    in_grid: &[u64],
    prefix: u64,
    visit: &mut impl FnMut(u64),
) {
    let Some((map, rest)) = maps.split_first() else { return visit(prefix) };
    for block in map.touched(out, in_grid[0]) {
        visit_product(rest, out, &in_grid[1..], prefix * in_grid[0] + block, visit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(map: &BlockMap, out: &[u64], in_grid: &[u64]) -> Vec<u64> {
        let mut found = Vec::new();
        map.for_each(out, 0, in_grid, |block| found.push(block));
        assert_eq!(found.len(), map.count(out, in_grid));
        found
    }

    #[test]
    fn axes_are_a_row_major_product() {
        let map = BlockMap::axes([AxisMap::All, AxisMap::Group { axis: 0, size: 2 }]);
        assert_eq!(blocks(&map, &[1], &[2, 3]), [2, 5]);
        assert_eq!(blocks(&map, &[0], &[2, 3]), [0, 1, 3, 4]);
    }

    #[test]
    fn a_window_reads_nothing_outside() {
        let map = BlockMap::axes([AxisMap::Window { axis: 0, first: 2, len: 3 }]);
        assert!(blocks(&map, &[1], &[3]).is_empty());
        assert_eq!(blocks(&map, &[2], &[3]), [0]);
        assert!(map.is_onto(&[6], &[3]));
    }

    #[test]
    fn ranges_of_blocks_that_a_slice_has_left_out_are_not_read() {
        let ranges: Arc<[(u64, u64)]> = [(0, 2), (1, 3), (2, 3)].into();
        let map = BlockMap::axes([AxisMap::Ranges { axis: 0, ranges }]);
        assert!(map.is_onto(&[3], &[3]) && map.is_onto(&[2], &[3]));
        assert!(!map.is_onto(&[1], &[3]));
    }

    #[test]
    fn lists_are_read_in_their_order() {
        let lists: Arc<[Box<[u64]>]> = [[3, 0].into(), [].into(), [2].into()].into();
        let map = BlockMap::axes([AxisMap::same(1), AxisMap::Lists { axis: 0, lists }]);
        assert_eq!(blocks(&map, &[0, 1], &[2, 4]), [7, 4]);
        assert!(blocks(&map, &[1, 1], &[2, 4]).is_empty());
        assert!(!map.is_single(&[2, 4]) && !map.is_injective(&[3, 2]));
    }

    #[test]
    fn a_diagonal_does_not_read_every_block() {
        let diagonal = BlockMap::axes([AxisMap::same(0), AxisMap::same(0)]);
        assert_eq!(blocks(&diagonal, &[1], &[2, 2]), [3]);
        assert!(!diagonal.is_onto(&[2], &[2, 2]));
        assert!(BlockMap::axes([AxisMap::same(0), AxisMap::same(1)]).is_onto(&[2, 2], &[2, 2]));
    }

    #[test]
    fn composition_reads_what_the_two_maps_read_in_turn() {
        // out (4) -> mid (2, 4) fixed row 1, flipped -> in (4, 2) transposed.
        let outer = BlockMap::axes([AxisMap::At(1), AxisMap::Axis { axis: 0, first: 3, step: -1 }]);
        let inner = BlockMap::axes([AxisMap::same(1), AxisMap::same(0)]);
        let both = inner.compose(&outer, &[4], &[2, 4], &[4, 2]).unwrap();
        for out in 0..4 {
            assert_eq!(blocks(&both, &[out], &[4, 2]), [(3 - out) * 2 + 1]);
        }
    }

    #[test]
    fn a_linear_map_between_grids_of_other_rank_composes_with_no_axes() {
        // out (2, 1) takes a column of mid (2, 2), which is in (4) under another shape.
        let outer = BlockMap::axes([AxisMap::same(0), AxisMap::At(1)]);
        assert_eq!(BlockMap::Linear.compose(&outer, &[2, 1], &[2, 2], &[4]), None);
        let same = BlockMap::Linear.compose(&BlockMap::Linear, &[2, 2], &[4], &[2, 2]);
        assert_eq!(same, Some(BlockMap::Linear));
    }

    #[test]
    fn the_only_group_is_all_blocks() {
        let outer = BlockMap::axes([AxisMap::At(0), AxisMap::same(0)]);
        let inner = BlockMap::axes([AxisMap::Group { axis: 0, size: 4 }, AxisMap::same(1)]);
        let both = inner.compose(&outer, &[2], &[1, 2], &[3, 2]).unwrap();
        assert_eq!(blocks(&both, &[1], &[3, 2]), [1, 3, 5]);
        assert_eq!(inner.compose(&outer, &[2], &[2, 2], &[5, 2]), None);
    }
}
