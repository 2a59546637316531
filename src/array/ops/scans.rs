//! Cumulative functions.
//!
//! A block is scanned from what the blocks before it add up to. These carries come from a tree: pairs of
//! totals are combined up to the root, and on the way down each total learns what stands before it. So a
//! block waits for those before it only, and no more than a few blocks have to be in memory.
//!
//! # Source
//! Blelloch, "Prefix sums and their applications" (1990).

use std::sync::Arc;

use ndarray::{ArrayD, ArrayViewD};

use super::elementwise::{cast, elemwise_of};
use super::manipulation::reshape;
use super::map_blocks::node_of;
use crate::array::args::{Axes, AxisRef, Shape};
use crate::array::chunks::limit::check_listed;
use crate::array::chunks::{AxisChunks, Chunks};
use crate::array::dtype::{DType, Element, dispatch};
use crate::array::expr::{Handle, Node};
use crate::array::kernels::scan::{ScanKernel, ScanKind, ScanStep, own_step};
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
    let dtype = node.meta.dtype;
    let has_order = !dtype.is_complex() || !matches!(kind, ScanKind::Max | ScanKind::Min);
    if dtype == DType::Bool || !has_order {
        return Err(super::unsupported(call, dtype, "a number, and a real one for an extreme"));
    }
    let make = |step: ScanStep, inputs: &[Input<'_>], chunks: Chunks| {
        let kernel: Arc<dyn Kernel> = dispatch!(dtype, number T => {
            Arc::new(ScanKernel::<T>::new(kind, step, axis))
        }, else return Err(super::unsupported(call, dtype, "a number")));
        let name = match step {
            ScanStep::Scan => call.op.into(),
            ScanStep::Total => format!("{} (total)", call.op).into(),
            ScanStep::Combine => format!("{} (combine)", call.op).into(),
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
        Node::of(ArrayOp::Blockwise(Arc::new(blockwise)), &nodes)
    };
    Steps { call, axis, make: &make }.of(node)
}

/// The scan by functions of a user: of blocks, and of what stands before with each of these.
pub(crate) fn own_scan<T: Element, U: Element>(
    call: Call,
    x: &Handle,
    axis: &AxisRef,
    scan: impl Fn(ArrayViewD<'_, T>, usize) -> ArrayD<U> + Send + Sync + 'static,
    combine: impl Fn(ArrayViewD<'_, U>, ArrayViewD<'_, U>) -> ArrayD<U> + Send + Sync + 'static,
) -> Handle {
    let (scan, combine) = (Arc::new(scan), Arc::new(combine));
    x.then(|node| {
        let axis = axis.resolve(call, node.ndim(), node.dim_names())?;
        let make = |step: ScanStep, inputs: &[Input<'_>], chunks: Chunks| {
            // What `scan` has made is there beside what is made of it.
            let whole = Meta { dtype: U::DTYPE, chunks: inputs[0].0.meta.chunks.clone() };
            let scratch_bytes = match step {
                ScanStep::Combine => 0,
                ScanStep::Total | ScanStep::Scan => whole.block_bytes_max().unwrap_or(0),
            };
            let function = own_step(step, axis, Arc::clone(&scan), Arc::clone(&combine));
            node_of::<U>(call, inputs, chunks, scratch_bytes, function)
        };
        Steps { call, axis, make: &make }.of(node)
    })
}

fn ranges(axis: usize, ranges: impl Iterator<Item = (u64, u64)>) -> AxisMap {
    AxisMap::Ranges { axis, ranges: ranges.collect() }
}

/// The chunks of `n` totals along an axis, one in a block.
fn of_totals(chunks: &Chunks, axis: usize, n: u64) -> Chunks {
    chunks.with_axis(axis, AxisChunks::uniform(n, 1))
}

/// An array, and which of its blocks a step reads.
type Input<'a> = (&'a Arc<Node>, BlockMap);

/// Makes one step, of these inputs, with a result in these chunks.
type Make<'a> = dyn Fn(ScanStep, &[Input<'_>], Chunks) -> Result<Arc<Node>> + 'a;

/// Makes the steps of a scan along an axis.
struct Steps<'a> {
    call: Call,
    axis: usize,
    make: &'a Make<'a>,
}

impl Steps<'_> {
    fn step(&self, step: ScanStep, inputs: &[Input<'_>], chunks: Chunks) -> Result<Arc<Node>> {
        Ok((self.make)(step, inputs, chunks)?.with_note(inputs[0].0.note.clone()))
    }

    /// The whole scan.
    fn of(&self, node: &Arc<Node>) -> Result<Arc<Node>> {
        let axis = self.axis;
        let len = node.axis_len(self.call, axis)?;
        let chunks = &node.meta.chunks.axes()[axis];
        check_listed(self.call.op, Some(self.call), chunks.n_blocks())?;
        // A block without elements has no total.
        let full = AxisChunks::from_size_iter(chunks.sizes().filter(|&n| n > 0));
        let full = full.unwrap_or_else(|| AxisChunks::whole(len));
        let node = node.in_chunks(node.meta.chunks.with_axis(axis, full))?;
        let same = AxisMap::same;
        let maps = |own: AxisMap| {
            BlockMap::axes((0..node.ndim()).map(|i| if i == axis { own.clone() } else { same(i) }))
        };
        let n_blocks = node.meta.chunks.axes()[axis].n_blocks();
        let chunks = node.meta.chunks.clone();
        if n_blocks == 1 {
            return self.step(ScanStep::Scan, &[(&node, maps(same(axis)))], chunks);
        }
        let of_totals = of_totals(&chunks, axis, n_blocks);
        let totals = self.step(ScanStep::Total, &[(&node, maps(same(axis)))], of_totals)?;
        let carries = self.prefixes(&totals)?;
        // What stands before a block is the total up to the block before it.
        let before = (0..n_blocks).map(|i| (i.saturating_sub(1), i));
        let inputs = [(&node, maps(same(axis))), (&carries, maps(ranges(axis, before)))];
        self.step(ScanStep::Scan, &inputs, chunks)
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
