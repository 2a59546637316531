//! Rechunks move into creation and reads, where other chunks cost nothing.

use super::{if_same_meta, may_split};
use crate::array::chunks::{AxisChunks, Chunks};
use crate::array::io::Source;
use crate::array::op::{ArrayOp, Read, ReadFrom};
use crate::error::Result;
use crate::graph::{NodeId, Plan, Rule};

/// Contiguous bytes from which on it no longer matters how many there are in a row.
const RUN_BYTES_GOOD: u64 = 64 << 10;

/// `create(c).rechunk(d)` is `create(d)`, and so for reads that are no worse for it.
pub(super) struct PushDownRechunk;

impl Rule<ArrayOp> for PushDownRechunk {
    fn name(&self) -> &'static str {
        "PushDownRechunk"
    }

    fn apply(&self, plan: &mut Plan<ArrayOp>, id: NodeId) -> Result<Option<NodeId>> {
        let ArrayOp::Rechunk(chunks) = plan.op(id) else { return Ok(None) };
        let chunks = chunks.clone();
        let below = plan.inputs(id)[0];
        if !may_split(plan, below) {
            return Ok(None);
        }
        let new = match plan.op(below).clone() {
            ArrayOp::Create { program, .. } => {
                plan.push(ArrayOp::Create { program, chunks }, &[])?
            }
            ArrayOp::Read(read) if reads_well(&read, &chunks) => {
                plan.push(ArrayOp::Read(Read { chunks, ..read }), &[])?
            }
            op @ ArrayOp::Elemwise(_) => {
                let inputs = plan.inputs(below).to_vec();
                if !inputs.iter().all(|&input| takes_any_chunks(plan, input, &chunks)) {
                    return Ok(None);
                }
                let mut rechunked = Vec::with_capacity(inputs.len());
                for input in inputs {
                    rechunked.push(plan.push(ArrayOp::Rechunk(chunks.clone()), &[input])?);
                }
                plan.push(op, &rechunked)?
            }
            _ => return Ok(None),
        };
        Ok(if_same_meta(plan, id, new))
    }
}

/// Whether `id` can be made in `chunks` at no cost. Repeated axes are left to alignment.
fn takes_any_chunks(plan: &Plan<ArrayOp>, id: NodeId, chunks: &Chunks) -> bool {
    plan.meta(id).chunks.same_shape(chunks)
        && may_split(plan, id)
        && match plan.op(id) {
            ArrayOp::Create { .. } => true,
            ArrayOp::Read(read) => reads_well(read, chunks),
            _ => false,
        }
}

/// Whether a box is read in these chunks without reading anything twice or in tiny pieces.
fn reads_well(read: &Read, chunks: &Chunks) -> bool {
    let ReadFrom::Storage(source) = &read.from else { return true };
    match source.storage_chunks() {
        None if source.is_computed() => true,
        Some(storage) => is_aligned(read, chunks, &storage),
        None => {
            let before = run_bytes(&**source, &read.chunks);
            run_bytes(&**source, chunks) >= before.min(RUN_BYTES_GOOD)
        }
    }
}

/// Whether each storage chunk belongs to one block.
fn is_aligned(read: &Read, chunks: &Chunks, storage: &[u64]) -> bool {
    let mut axes = chunks.axes().iter().zip(read.window.iter()).zip(storage);
    axes.all(|((axis, window), &storage_len)| {
        let starts_chunk = |i| {
            let start = axis.block_start(i).map(|start| window.position(start));
            start.is_some_and(|start| start % storage_len.max(1) == 0)
        };
        axis.n_blocks() == 1 || window.step == 1 && (1..axis.n_blocks()).all(starts_chunk)
    })
}

/// Bytes in a row of a C-order file that the largest block covers.
fn run_bytes(source: &dyn Source, chunks: &Chunks) -> u64 {
    let mut bytes = source.dtype().nbytes() as u64;
    for (axis, &len) in chunks.axes().iter().zip(source.shape()).rev() {
        let run = AxisChunks::max_len(axis).unwrap_or(1);
        bytes = bytes.saturating_mul(run);
        if run < len {
            break;
        }
    }
    bytes
}
