//! Which input slots of a layer a block can have blocks from.
//!
//! Most layers read all their inputs for every block. A concatenation of thousands of inputs reads
//! one, which is found without asking the others.

use std::ops::Range;

use super::{AxisMap, BlockMap, LayerInput};

/// The slots of a layer, by what they give to which block.
#[derive(Debug, PartialEq)]
pub(crate) enum Slots {
    /// So many slots, of which each may give something to any block.
    Every(usize),
    /// Windows side by side along an output axis: slot `i` gives something to blocks before `ends[i]`,
    /// from where the slot before it ends.
    Beside { axis: usize, ends: Vec<u64> },
}

impl Slots {
    pub(crate) fn of(inputs: &[LayerInput]) -> Slots {
        Slots::beside(inputs).unwrap_or(Slots::Every(inputs.len()))
    }

    fn beside(inputs: &[LayerInput]) -> Option<Slots> {
        let (axis, _) = window(&inputs.first()?.map)?;
        let mut ends = Vec::with_capacity(inputs.len());
        let mut end = 0;
        for input in inputs {
            let (of, range) = window(&input.map)?;
            if of != axis || range.start != end {
                return None;
            }
            end = range.end;
            ends.push(end);
        }
        Some(Slots::Beside { axis, ends })
    }

    /// The slots that `block` of the output can have blocks from.
    pub(crate) fn of_block(&self, block: &[u64]) -> Range<usize> {
        match self {
            Slots::Every(n) => 0..*n,
            Slots::Beside { axis, ends } => {
                let at = block[*axis];
                let slot = ends.partition_point(|end| *end <= at);
                // Windows are not empty, but there may be none so far out.
                slot..ends.len().min(slot + 1)
            }
        }
    }
}

/// The output axis of the only window of a map, and the blocks that it is over.
fn window(map: &BlockMap) -> Option<(usize, Range<u64>)> {
    let BlockMap::Axes(maps) = map else { return None };
    let mut windows = maps.iter().filter_map(|map| match *map {
        AxisMap::Window { axis, first, len } => Some((axis, first..first.checked_add(len)?)),
        _ => None,
    });
    let only = windows.next()?;
    windows.next().is_none().then_some(only)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::LayerId;

    fn inputs(windows: impl IntoIterator<Item = Range<u64>>) -> Vec<LayerInput> {
        let map = |range: Range<u64>| {
            let (first, len) = (range.start, range.end - range.start);
            BlockMap::axes([AxisMap::same(0), AxisMap::Window { axis: 1, first, len }])
        };
        windows.into_iter().map(|w| LayerInput { layer: LayerId(0), map: map(w) }).collect()
    }

    #[test]
    fn a_block_of_many_windows_has_one() {
        let slots = Slots::of(&inputs((0..10_000).map(|i| 2 * i..2 * i + 2)));
        for block in [0, 1, 2, 777, 19_999] {
            let slot = block as usize / 2;
            assert_eq!(slots.of_block(&[5, block]), slot..slot + 1);
        }
        assert!(slots.of_block(&[0, 20_000]).is_empty());
    }

    #[test]
    fn other_inputs_are_asked_for_every_block() {
        assert_eq!(Slots::of(&inputs([0..2, 3..4])), Slots::Every(2));
        let mut mixed = inputs([0..2, 2..4]);
        mixed.push(LayerInput { layer: LayerId(0), map: BlockMap::Linear });
        assert_eq!(Slots::of(&mixed), Slots::Every(3));
        assert_eq!(Slots::of(&[]).of_block(&[]), 0..0);
    }
}
