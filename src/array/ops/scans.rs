//! Cumulative functions.
//!
//! A block is scanned from what the blocks before it add up to. These carries come from a tree: pairs of
//! totals are combined up to the root, and on the way down each total learns what stands before it. So a
//! block waits for those before it only, and no more than a few blocks have to be in memory.
//!
//! # Source
//! Blelloch, "Prefix sums and their applications" (1990).

use std::sync::Arc;

use super::elementwise::{cast, elemwise_of};
use super::manipulation::reshape;
use crate::array::args::{Axes, Shape};
use crate::array::chunks::limit::check_listed;
use crate::array::chunks::{AxisChunks, Chunks};
use crate::array::dtype::{DType, dispatch};
use crate::array::expr::{Handle, Node};
use crate::array::kernels::scan::{ScanKernel, ScanKind, ScanStep};
use crate::array::kernels::{Builder, Scalar, UnaryOp};
use crate::array::meta::Meta;
use crate::array::op::{ArrayOp, Blockwise};
use crate::error::{Call, Error, Result};
use crate::graph::{AxisMap, BlockMap, Kernel};

/// The scan of an array along an axis, or in C order if all axes are meant, with elements of type `out`.
pub(crate) fn scan(
    call: Call,
    x: &Handle,
    kind: ScanKind,
    skip_nan: bool,
    axes: &Axes,
    out: DType,
) -> Handle {
    let cast = cast(call, x, out);
    let x = if skip_nan { without_nan(call, &cast, kind) } else { cast };
    let Axes::List(_) = axes else {
        let flat = reshape(call, &x, &Shape::from(-1));
        return flat.then(|node| along(call, node, 0, kind));
    };
    x.then(|node| {
        let axes = axes.resolve(call, node.ndim(), node.dim_names())?;
        let [axis] = axes[..] else {
            return Err(Error::InvalidArgument {
                call,
                argument: "axis",
                got: format!("{} axes", axes.len()),
                expected: "one axis or all of them",
            });
        };
        along(call, node, axis, kind)
    })
}

/// Elements that are NaN as what changes nothing.
fn without_nan(call: Call, x: &Handle, kind: ScanKind) -> Handle {
    x.then(|node| {
        let dtype = node.meta.dtype;
        let mut b = Builder::new(1);
        let x = b.input(0, dtype);
        let Ok(is_nan) = b.unary(UnaryOp::IsNan, x) else { return Ok(Arc::clone(node)) };
        let neutral = Scalar::I8(i8::from(kind == ScanKind::Prod)).cast(dtype);
        let neutral = b.constant(neutral);
        let kept = b.select(is_nan, neutral, x);
        elemwise_of(call, b.finish(kept), &[node])
    })
}

fn along(call: Call, node: &Arc<Node>, axis: usize, kind: ScanKind) -> Result<Arc<Node>> {
    let len = node.axis_len(call, axis)?;
    let dtype = node.meta.dtype;
    let has_order = !dtype.is_complex() || !matches!(kind, ScanKind::Max | ScanKind::Min);
    if dtype == DType::Bool || !has_order {
        return Err(super::unsupported(call, dtype, "a number, and a real one for an extreme"));
    }
    let chunks = &node.meta.chunks.axes()[axis];
    if len == 0 {
        return Ok(Arc::clone(node));
    }
    check_listed(call.op, Some(call), chunks.n_blocks())?;
    // A block without elements has no total.
    let full = AxisChunks::from_size_iter(chunks.sizes().filter(|&n| n > 0));
    let full = full.unwrap_or_else(|| AxisChunks::whole(len));
    let node = node.in_chunks(node.meta.chunks.with_axis(axis, full))?;
    let scan = Steps { call, axis, kind };
    let same = |axis| AxisMap::same(axis);
    let maps = |own: AxisMap| {
        BlockMap::axes((0..node.ndim()).map(|i| if i == axis { own.clone() } else { same(i) }))
    };
    let n_blocks = node.meta.chunks.axes()[axis].n_blocks();
    let chunks = node.meta.chunks.clone();
    if n_blocks == 1 {
        return scan.step(ScanStep::Scan, &[(&node, maps(same(axis)))], chunks);
    }
    let totals = scan.step(
        ScanStep::Total,
        &[(&node, maps(same(axis)))],
        of_totals(&chunks, axis, n_blocks),
    )?;
    let carries = scan.prefixes(&totals)?;
    // What stands before a block is the total up to the block before it.
    let before = (0..n_blocks).map(|i| (i.saturating_sub(1), i));
    let inputs = [(&node, maps(same(axis))), (&carries, maps(ranges(axis, before)))];
    scan.step(ScanStep::Scan, &inputs, chunks)
}

fn ranges(axis: usize, ranges: impl Iterator<Item = (u64, u64)>) -> AxisMap {
    AxisMap::Ranges { axis, ranges: ranges.collect() }
}

/// The chunks of `n` totals along an axis, one in a block.
fn of_totals(chunks: &Chunks, axis: usize, n: u64) -> Chunks {
    chunks.with_axis(axis, AxisChunks::uniform(n, 1))
}

/// Makes the steps of a scan.
struct Steps {
    call: Call,
    axis: usize,
    kind: ScanKind,
}

impl Steps {
    fn step(
        &self,
        step: ScanStep,
        inputs: &[(&Arc<Node>, BlockMap)],
        chunks: Chunks,
    ) -> Result<Arc<Node>> {
        let (node, _) = inputs[0];
        let dtype = node.meta.dtype;
        let kernel: Arc<dyn Kernel> = dispatch!(dtype, number T => {
            Arc::new(ScanKernel::<T>::new(self.kind, step, self.axis))
        }, else return Err(super::unsupported(self.call, dtype, "a number")));
        let name = match step {
            ScanStep::Scan => self.call.op.into(),
            ScanStep::Total => format!("{} (total)", self.call.op).into(),
            ScanStep::Combine => format!("{} (combine)", self.call.op).into(),
        };
        let blockwise = Blockwise {
            name,
            kernel,
            maps: inputs.iter().map(|(_, map)| map.clone()).collect(),
            out: Meta { dtype, chunks },
            out_bytes: None,
            scratch_bytes: 0,
        };
        let nodes: Vec<_> = inputs.iter().map(|(node, _)| *node).collect();
        let scanned = Node::of(ArrayOp::Blockwise(Arc::new(blockwise)), &nodes)?;
        Ok(scanned.with_note(node.note.clone()))
    }

    /// For each of some totals, the combination of all up to it.
    fn prefixes(&self, totals: &Arc<Node>) -> Result<Arc<Node>> {
        let axis = self.axis;
        let maps = |own: AxisMap| {
            let same = |i| if i == axis { own.clone() } else { AxisMap::same(i) };
            BlockMap::axes((0..totals.ndim()).map(same))
        };
        let n_blocks = |node: &Node| node.meta.chunks.axes()[axis].n_blocks();
        // Level by level to the root, each half as long.
        let mut levels = vec![Arc::clone(totals)];
        while let Some(last) = levels.last()
            && n_blocks(last) > 1
        {
            let chunks = of_totals(&last.meta.chunks, axis, n_blocks(last).div_ceil(2));
            let pairs = maps(AxisMap::Group { axis, size: 2 });
            levels.push(self.step(ScanStep::Combine, &[(last, pairs)], chunks)?);
        }
        let mut prefixes = levels.pop().unwrap_or_else(|| Arc::clone(totals));
        while let Some(level) = levels.pop() {
            // The second of a pair ends where the pair does; the first follows on the pair before.
            let n = n_blocks(&level);
            let pairs = (0..n).map(|i| {
                if i % 2 == 1 { (i / 2, i / 2 + 1) } else { ((i / 2).saturating_sub(1), i / 2) }
            });
            let own = (0..n).map(|i| (i, i + 1 - i % 2));
            let inputs =
                [(&prefixes, maps(ranges(axis, pairs))), (&level, maps(ranges(axis, own)))];
            prefixes = self.step(ScanStep::Combine, &inputs, level.meta.chunks.clone())?;
        }
        Ok(prefixes)
    }
}
