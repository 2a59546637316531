//! Connected elements.

use std::sync::Arc;

use super::elementwise::cast;
use super::manipulation::{at_least, drop_axes};
use crate::array::chunks::{AxisChunks, Chunks, SplitEvery, tree};
use crate::array::dtype::DType;
use crate::array::expr::{Handle, Node};
use crate::array::kernels::label::{LabelKernel, LabelStep, ROOT_BYTES, outline_bytes};
use crate::array::meta::Meta;
use crate::array::op::{ArrayOp, Blockwise};
use crate::config::Config;
use crate::error::{Call, Error, Result};
use crate::graph::{AxisMap, BlockMap};

/// The components of elements that are not zero, numbered from 1 in the order of their first elements, and how many there are.
pub(crate) fn label(call: Call, x: &Handle, connectivity: usize) -> [Handle; 2] {
    let mask = cast(call, x, DType::Bool);
    match mask.node().and_then(|mask| labelled(call, mask, connectivity)) {
        Ok(made) => made.map(|node| Handle::from_result(Ok(node))),
        Err(error) => [error.clone(), error].map(|error| Handle::from_result(Err(error))),
    }
}

fn labelled(call: Call, mask: &Arc<Node>, connectivity: usize) -> Result<[Arc<Node>; 2]> {
    mask.known_shape(call)?;
    if !(1..=mask.ndim().max(1)).contains(&connectivity) {
        return Err(Error::InvalidArgument {
            call,
            argument: "connectivity",
            got: connectivity.to_string(),
            expected: "from 1, neighbours along one axis, to the number of dimensions, all around",
        });
    }
    let flat = at_least(mask, 1)?;
    // Labels take eight times the bytes of what they are made of.
    let out = Meta { dtype: DType::I64, chunks: flat.meta.chunks.clone() };
    let out = super::not_grown(out, 0..flat.ndim(), &[&flat])?;
    let flat = flat.in_chunks(out.chunks.clone())?;
    let steps = Steps { call, connectivity, chunks: out.chunks.clone() };
    let (outline, bytes) = steps.outline(&flat)?;

    let rows = [AxisChunks::whole(2), AxisChunks::unknown(1, outline.serial << 8)];
    let rows = Meta { dtype: DType::I64, chunks: Chunks::new(rows.to_vec()) };
    let first = BlockMap::axes(vec![AxisMap::At(0); flat.ndim()]);
    let table = steps.step(LabelStep::Table, &[(&outline, first)], rows, Some(bytes), bytes)?;
    let whole = BlockMap::axes(vec![AxisMap::At(0); 2]);
    let number = Meta { dtype: DType::I64, chunks: Chunks::new(Vec::new()) };
    let count = steps.step(LabelStep::Count, &[(&table, whole.clone())], number, None, 0)?;

    let same = BlockMap::axes((0..flat.ndim()).map(AxisMap::same));
    let inputs = [(&flat, same), (&table, whole)];
    let labels = steps.step(LabelStep::Labels, &inputs, out, None, steps.root_bytes())?;
    let labels = if mask.ndim() == 0 { drop_axes(&labels, &[0])? } else { labels };
    Ok([labels.with_note(mask.note.clone()), count])
}

/// Makes the steps.
struct Steps {
    call: Call,
    connectivity: usize,
    chunks: Chunks,
}

impl Steps {
    fn step(
        &self,
        step: LabelStep,
        inputs: &[(&Arc<Node>, BlockMap)],
        out: Meta,
        out_bytes: Option<u64>,
        scratch_bytes: u64,
    ) -> Result<Arc<Node>> {
        let name = match &step {
            LabelStep::Labels => self.call.op.into(),
            step => format!("{} ({})", self.call.op, step.name()).into(),
        };
        let (connectivity, chunks) = (self.connectivity, self.chunks.clone());
        let kernel = Arc::new(LabelKernel { step, connectivity, chunks });
        let maps = inputs.iter().map(|(_, map)| map.clone()).collect();
        let op = Blockwise { name, kernel, maps, out, out_bytes, scratch_bytes };
        let nodes: Vec<_> = inputs.iter().map(|(node, _)| *node).collect();
        Node::of(ArrayOp::Blockwise(Arc::new(op)), &nodes)
    }

    /// The outline of the whole array, and how many bytes it has at most.
    fn outline(&self, mask: &Arc<Node>) -> Result<(Arc<Node>, u64)> {
        let ndim = mask.ndim();
        let split_every = SplitEvery::Blocks(Config::current()?.split_every() as u64);
        let fan_in = tree::fan_in(&split_every, &(0..ndim).collect::<Vec<_>>());
        // A block for each box, which is no chunk: only the next step reads it.
        let meta = |grid: &[u64]| {
            let axes = grid.iter().map(|&n| AxisChunks::uniform(n, 1));
            Meta { dtype: DType::I64, chunks: axes.collect() }
        };
        let mut grid = self.chunks.grid();
        let mut size = vec![1_u64; ndim];
        let mut bytes = self.outline_bytes();
        let same = BlockMap::axes((0..ndim).map(AxisMap::same));
        let scratch = self.root_bytes().saturating_add(bytes);
        let first = (LabelStep::Outline, meta(&grid), scratch);
        let mut outline = self.step(first.0, &[(mask, same)], first.1, Some(bytes), first.2)?;
        while grid.iter().any(|&n| n > 1) {
            let mut n_together = 1_u64;
            for &(axis, k) in &fan_in {
                n_together = n_together.saturating_mul(k.min(grid[axis]));
                grid[axis] = tree::n_groups(grid[axis], k);
                size[axis] = size[axis].saturating_mul(k);
            }
            // How many components there are nobody knows: what is unknown counts as a chunk of the configured size.
            let together = bytes.saturating_mul(n_together);
            bytes = together.min(super::chunk_bytes()?.max(bytes));
            let groups = fan_in.iter().map(|&(axis, size)| AxisMap::Group { axis, size });
            let inputs = [(&outline, BlockMap::axes(groups))];
            let merge = LabelStep::Merge(size.clone());
            outline = self.step(merge, &inputs, meta(&grid), Some(bytes), together)?;
        }
        Ok((outline, bytes))
    }

    /// Bytes of the outline of a block. At most every other element is a component.
    fn outline_bytes(&self) -> u64 {
        let lens: Vec<u64> =
            self.chunks.axes().iter().map(|axis| axis.max_len().unwrap_or(0)).collect();
        let len = lens.iter().fold(1, |n: u64, len| n.saturating_mul(*len));
        let sides = lens.iter().map(|side| (len / side.max(&1)).saturating_mul(2));
        let n_rim = sides.fold(0, u64::saturating_add).min(len);
        outline_bytes(len.div_ceil(2), n_rim)
    }

    fn root_bytes(&self) -> u64 {
        self.chunks.max_block_len().unwrap_or(0).saturating_mul(ROOT_BYTES)
    }
}
