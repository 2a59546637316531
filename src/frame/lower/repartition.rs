//! The same rows in other partitions.

use super::{Lowered, Lowering};
use crate::frame::kernels::tasks::{ConcatKernel, PieceKernel};
use crate::frame::op::Repartition;
use crate::frame::partitions::repartition::{fewer, more};
use crate::graph::{AxisMap, BlockMap, LayerInput};

impl Lowering<'_> {
    /// Joins neighbours, or cuts each partition into pieces of about as many rows.
    pub(super) fn repartition(&mut self, to: Repartition, input: &Lowered) -> Lowered {
        let n_old = input.layout.n_parts;
        let n_new = match to {
            Repartition::Count(n) => n.max(1),
            Repartition::Bytes(bytes) => {
                (input.layout.nbytes().div_ceil(bytes.max(1)) as usize).max(1)
            }
        };
        let layout = input.layout.in_parts(n_new);
        let slot = |ranges: Vec<(u64, u64)>| {
            let map = BlockMap::axes([AxisMap::Ranges { axis: 0, ranges: ranges.into() }]);
            vec![LayerInput { layer: input.layer, map }]
        };
        if n_new == n_old {
            return input.clone();
        }
        if n_new < n_old {
            let bounds = fewer(n_old, n_new);
            let ranges = bounds.windows(2).map(|pair| (pair[0] as u64, pair[1] as u64)).collect();
            let kernel = ConcatKernel { offset: 0, len: u64::MAX };
            return self.push("repartition", kernel, slot(ranges), layout);
        }
        let pieces = more(n_old, n_new).into_iter().enumerate();
        let pieces: Vec<(u64, usize, usize)> =
            pieces.flat_map(|(part, n)| (0..n).map(move |i| (part as u64, i, n))).collect();
        let ranges = pieces.iter().map(|(part, ..)| (*part, part + 1)).collect();
        let kernel = PieceKernel { pieces: pieces.iter().map(|(_, i, n)| (*i, *n)).collect() };
        self.push("repartition", kernel, slot(ranges), layout)
    }
}
