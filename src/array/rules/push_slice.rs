//! Slices sink towards the sources, so that nothing is read or computed to be thrown away.

use std::sync::Arc;

use super::{canonical, if_same_meta, may_split};
use crate::array::chunks::{AxisChunks, AxisSlice, slice_axis};
use crate::array::kernels::{Instr, Program};
use crate::array::op::{ArrayOp, Read, ReshapeTarget, Take, plan_reshaped, sliced_chunks};
use crate::error::Result;
use crate::graph::{NodeId, Plan, Rule};

type Slices = Arc<[Option<AxisSlice>]>;

/// `f(x)[s]` is `f(x[s])`, for every `f` that works element by element or axis by axis.
pub(super) struct PushDownSlice;

impl Rule<ArrayOp> for PushDownSlice {
    fn name(&self) -> &'static str {
        "PushDownSlice"
    }

    fn apply(&self, plan: &mut Plan<ArrayOp>, id: NodeId) -> Result<Option<NodeId>> {
        let ArrayOp::Slice(slices) = plan.op(id) else { return Ok(None) };
        let slices = Arc::clone(slices);
        let below = plan.inputs(id)[0];
        if !is_only_sliced(plan, below) && !may_split(plan, below) {
            return Ok(None);
        }
        let new = push_through(plan, below, &slices)?;
        Ok(new.and_then(|new| if_same_meta(plan, id, new)))
    }
}

/// Whether a node is read from storage, and its readers together want no more than all of it, so that
/// each may read its own part.
fn is_only_sliced(plan: &Plan<ArrayOp>, id: NodeId) -> bool {
    if !matches!(plan.op(id), ArrayOp::Read(_)) || plan.is_root(id) {
        return false;
    }
    let elements = |id: NodeId| {
        let mut axes = plan.meta(id).chunks.axes().iter();
        axes.try_fold(1_u64, |n, axis| Some(n.saturating_mul(axis.len()?)))
    };
    let wanted = plan.users(id).try_fold(0_u64, |sum, user| match plan.op(user) {
        ArrayOp::Slice(_) => Some(sum.saturating_add(elements(user)?)),
        _ => None,
    });
    wanted.is_some() && wanted <= elements(id)
}

/// What gives the slice of `below` by slicing its inputs, if there is such a thing.
fn push_through(
    plan: &mut Plan<ArrayOp>,
    below: NodeId,
    slices: &Slices,
) -> Result<Option<NodeId>> {
    let inputs = plan.inputs(below).to_vec();
    let op = plan.op(below).clone();
    let (op, inputs) = match &op {
        ArrayOp::Create { program, chunks } => {
            let program = at_slices(program, slices);
            let chunks = sliced_chunks(chunks, slices)?;
            (ArrayOp::Create { program, chunks }, vec![])
        }
        ArrayOp::Read(read) => (ArrayOp::Read(narrowed(read, slices)?), vec![]),
        ArrayOp::Elemwise(program) => {
            let sliced = slice_broadcast(plan, below, &inputs, slices)?;
            (ArrayOp::Elemwise(at_slices(program, slices)), sliced)
        }
        ArrayOp::Broadcast(chunks) => {
            let sliced = slice_broadcast(plan, below, &inputs, slices)?;
            (ArrayOp::Broadcast(sliced_chunks(chunks, slices)?), sliced)
        }
        ArrayOp::Rechunk(chunks) => {
            let sliced = slice(plan, inputs[0], slices.iter().copied())?;
            (ArrayOp::Rechunk(sliced_chunks(chunks, slices)?), vec![sliced])
        }
        ArrayOp::Reduce(reduction) => {
            if reduction.spec.axes.iter().any(|&axis| slices[axis].is_some()) {
                return Ok(None);
            }
            let sliced = slice(plan, inputs[0], slices.iter().copied())?;
            (op, vec![sliced])
        }
        ArrayOp::Take(take) => {
            let Some((op, of_input)) = through_take(take, slices) else { return Ok(None) };
            (op, vec![slice(plan, inputs[0], of_input)?])
        }
        ArrayOp::Permute(axes) => return through_permute(plan, inputs[0], axes, slices),
        ArrayOp::Concat(axis) => return through_concat(plan, &inputs, *axis, slices),
        ArrayOp::Reshape(target) => return through_reshape(plan, inputs[0], target, slices),
        _ => return Ok(None),
    };
    Ok(Some(plan.push(op, &inputs)?))
}

/// A program whose indices are the positions that slices select.
fn at_slices(program: &Arc<Program>, slices: &Slices) -> Arc<Program> {
    let sliced = program.map_index(|axis, start, step| match slices[axis] {
        Some(slice) => Instr::Index {
            axis,
            // As evaluation does, which takes indices modulo 2^64.
            start: start.wrapping_add(step.wrapping_mul(slice.start as i64)),
            step: step.wrapping_mul(slice.step),
        },
        None => Instr::Index { axis, start, step },
    });
    Arc::new(sliced)
}

/// A slice of `input`, or `input` itself if all of it is wanted.
fn slice(
    plan: &mut Plan<ArrayOp>,
    input: NodeId,
    slices: impl IntoIterator<Item = Option<AxisSlice>>,
) -> Result<NodeId> {
    let slices = canonical(slices, &plan.meta(input).chunks.shape());
    if slices.iter().all(Option::is_none) {
        return Ok(input);
    }
    plan.push(ArrayOp::Slice(slices), &[input])
}

/// A read of the part of a box that a slice selects.
fn narrowed(read: &Read, slices: &Slices) -> Result<Read> {
    let window = read.window.iter().zip(slices.iter()).map(|(window, slice)| match slice {
        Some(slice) => window.compose(slice),
        None => *window,
    });
    Ok(Read {
        from: read.from.clone(),
        window: window.collect(),
        chunks: sliced_chunks(&read.chunks, slices)?,
    })
}

/// Slices of inputs that broadcast to what is sliced: an axis that is repeated stays whole.
fn slice_broadcast(
    plan: &mut Plan<ArrayOp>,
    out: NodeId,
    inputs: &[NodeId],
    slices: &Slices,
) -> Result<Vec<NodeId>> {
    let out_shape = plan.meta(out).chunks.shape();
    let mut sliced = Vec::with_capacity(inputs.len());
    for &input in inputs {
        let shape = plan.meta(input).chunks.shape();
        let skip = out_shape.len() - shape.len();
        let axes = slices[skip..].iter().zip(&out_shape[skip..]).zip(&shape);
        let of_input: Vec<_> = axes
            .map(|((slice, out_len), len)| if len == out_len { *slice } else { None })
            .collect();
        sliced.push(slice(plan, input, of_input)?);
    }
    Ok(sliced)
}

/// The picks that a slice leaves, and what is cut of the input along the other axes.
fn through_take(take: &Take, slices: &Slices) -> Option<(ArrayOp, Vec<Option<AxisSlice>>)> {
    let mut of_input = slices.to_vec();
    let mut left = take.clone();
    if let Some(slice) = of_input[take.axis].take() {
        left.index = (0..slice.len).map(|i| take.index[slice.position(i) as usize]).collect();
        left.chunks = slice_axis(&take.chunks, slice)?.0;
    }
    Some((ArrayOp::Take(Arc::new(left)), of_input))
}

/// Each sliced axis is sliced where it came from; a new axis can't be.
fn through_permute(
    plan: &mut Plan<ArrayOp>,
    input: NodeId,
    axes: &Arc<[Option<usize>]>,
    slices: &Slices,
) -> Result<Option<NodeId>> {
    let mut of_input = vec![None; plan.meta(input).chunks.ndim()];
    for (axis, slice) in axes.iter().zip(slices.iter()) {
        match axis {
            Some(axis) => of_input[*axis] = *slice,
            None if slice.is_some() => return Ok(None),
            None => {}
        }
    }
    let sliced = slice(plan, input, of_input)?;
    Ok(Some(plan.push(ArrayOp::Permute(Arc::clone(axes)), &[sliced])?))
}

/// Only the inputs that a slice touches remain, each with its part of the slice.
fn through_concat(
    plan: &mut Plan<ArrayOp>,
    inputs: &[NodeId],
    axis: usize,
    slices: &Slices,
) -> Result<Option<NodeId>> {
    let mut pieces = Vec::new();
    match slices[axis] {
        None => pieces.extend(inputs.iter().map(|&input| (input, None))),
        Some(of_axis) => {
            // Inputs side by side are cut like blocks of one axis.
            let lengths: Option<Vec<u64>> =
                inputs.iter().map(|input| plan.meta(*input).chunks.axes()[axis].len()).collect();
            let along = lengths.and_then(|lengths| AxisChunks::from_sizes(&lengths));
            let Some(along) = along.filter(|along| along.n_blocks() == inputs.len() as u64) else {
                return Ok(None);
            };
            let Some((_, touched)) = slice_axis(&along, of_axis) else { return Ok(None) };
            let piece = |piece: crate::array::chunks::Piece| {
                (inputs[piece.block as usize], Some(piece.local))
            };
            pieces.extend(touched.iter().map(piece));
        }
    }
    let mut sliced = Vec::with_capacity(pieces.len());
    for (input, local) in pieces {
        let mut of_input = slices.to_vec();
        of_input[axis] = local;
        sliced.push(slice(plan, input, of_input)?);
    }
    Ok(Some(plan.push(ArrayOp::Concat(axis), &sliced)?))
}

/// A slice that cuts only leading axes which the reshape leaves as they are.
fn through_reshape(
    plan: &mut Plan<ArrayOp>,
    input: NodeId,
    target: &ReshapeTarget,
    slices: &Slices,
) -> Result<Option<NodeId>> {
    let Some(in_shape) = plan.meta(input).chunks.known_shape() else { return Ok(None) };
    let n_kept = in_shape.iter().zip(&target.shape).take_while(|(a, b)| a == b).count();
    let n_cut = slices.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
    if n_cut > n_kept {
        return Ok(None);
    }
    let of_input: Vec<_> =
        (0..in_shape.len()).map(|axis| if axis < n_cut { slices[axis] } else { None }).collect();
    let sliced = slice(plan, input, of_input)?;
    let lengths = target.shape.iter().zip(slices.iter());
    let shape = lengths.map(|(&len, slice)| slice.map_or(len, |slice| slice.len)).collect();
    let target = ReshapeTarget { shape, block_len_max: target.block_len_max };
    if plan_reshaped(&plan.meta(sliced).chunks, &target).is_err() {
        return Ok(None);
    }
    Ok(Some(plan.push(ArrayOp::Reshape(Arc::new(target)), &[sliced])?))
}
