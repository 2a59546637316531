//! Where the largest elements are.

use std::marker::PhantomData;
use std::sync::Arc;

use crate::array::args::AxisRef;
use crate::array::chunks::AxisChunks;
use crate::array::chunks::limit::check_listed;
use crate::array::dtype::{DType, dispatch};
use crate::array::expr::{Handle, Node};
use crate::array::kernels::argtopk::{ArgTopKernel, ArgTopStep, ranked_bytes};
use crate::array::meta::Meta;
use crate::array::op::{ArrayOp, Blockwise};
use crate::config::Config;
use crate::error::{Call, Result};
use crate::graph::{AxisMap, BlockMap, Kernel};

/// The positions of the `k` largest elements along an axis, or for a negative `k` of the smallest.
pub(crate) fn argtopk(call: Call, x: &Handle, k: i64, axis: &AxisRef) -> Handle {
    x.then(|node| {
        let axis = axis.resolve(call, node.ndim(), node.dim_names())?;
        node.axis_len(call, axis)?;
        let of = node.meta.chunks.axes()[axis].clone();
        check_listed(call.op, Some(call), of.n_blocks())?;
        let ranks = Ranks { call, k, axis, of: node.meta.dtype };
        let fan_in = (Config::current()?.split_every() as u64).max(2);
        let mut sizes: Vec<u64> = of.sizes().map(|n| n.min(k.unsigned_abs())).collect();
        let longest = of.max_len().unwrap_or(0);
        let mut ranked = ranks.step(node, ArgTopStep::Chunk(of), 1, &sizes, longest)?;
        while sizes.len() > 1 {
            let longest = sizes.iter().max().map_or(0, |n| n.saturating_mul(fan_in));
            let merged = sizes.chunks(fan_in as usize);
            sizes = merged.map(|sizes| sizes.iter().sum::<u64>().min(k.unsigned_abs())).collect();
            ranked = ranks.step(&ranked, ArgTopStep::Merge, fan_in, &sizes, longest)?;
        }
        let positions = ranks.step(&ranked, ArgTopStep::Finish, 1, &sizes, 0)?;
        Ok(positions.with_note(node.note.clone()))
    })
}

/// Makes the steps.
struct Ranks {
    call: Call,
    k: i64,
    axis: usize,
    of: DType,
}

impl Ranks {
    /// A step that reads `size` blocks along the axis, and leaves `sizes`; it has lanes of up to `longest`.
    fn step(
        &self,
        node: &Arc<Node>,
        step: ArgTopStep,
        size: u64,
        sizes: &[u64],
        longest: u64,
    ) -> Result<Arc<Node>> {
        let axis = self.axis;
        let map = |i| match i == axis {
            true => AxisMap::Group { axis, size },
            false => AxisMap::same(i),
        };
        let kept = AxisChunks::from_sizes(sizes).unwrap_or_else(|| AxisChunks::whole(0));
        let chunks = node.meta.chunks.with_axis(axis, kept);
        let is_last = step == ArgTopStep::Finish;
        let (kernel, bytes): (Arc<dyn Kernel>, u64) = dispatch!(self.of, T => {
            let kernel = ArgTopKernel::<T> { k: self.k, axis, step, element: PhantomData };
            (Arc::new(kernel), ranked_bytes::<T>())
        });
        let out_bytes = chunks.max_block_len().map(|len| len.saturating_mul(bytes));
        let blockwise = Blockwise {
            name: self.call.op.into(),
            kernel,
            maps: vec![BlockMap::axes((0..node.ndim()).map(map))],
            out: Meta { dtype: DType::I64, chunks },
            out_bytes: out_bytes.filter(|_| !is_last),
            scratch_bytes: longest.saturating_mul(bytes),
        };
        Node::of(ArrayOp::Blockwise(Arc::new(blockwise)), &[node])
    }
}
