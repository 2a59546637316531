//! Elements that come again: rolled, repeated, tiled.

use std::sync::Arc;

use super::indexing::slice_along;
use super::joins::{join_pieces, side_by_side};
use super::manipulation::{broadcast_to, permute, reshape};
use crate::array::args::{Axes, AxisRef, Shape};
use crate::array::chunks::AxisSlice;
use crate::array::chunks::limit::check_listed;
use crate::array::expr::{Handle, Node};
use crate::error::{Call, Error, Result};

/// Elements moved along some axes, where what leaves at one end comes in at the other; without axes,
/// along the array in C order.
pub(crate) fn roll(call: Call, x: &Handle, shifts: &Shape, axes: &Axes) -> Handle {
    x.then(|node| {
        let shifts = &shifts.0;
        let Axes::List(list) = axes else {
            let shape = Shape::from(node.known_shape(call)?);
            let flat = reshape(call, x, &Shape::from(-1));
            let roll = |flat: &Arc<Node>| {
                let mut each = shifts.iter();
                each.try_fold(Arc::clone(flat), |flat, &shift| rolled(call, &flat, 0, shift))
            };
            let rolled = flat.then(roll);
            return reshape(call, &rolled, &shape).node().cloned();
        };
        if shifts.len() != 1 && shifts.len() != list.len() {
            return Err(Error::InvalidArgument {
                call,
                argument: "shift",
                got: format!("{} shifts for {} axes", shifts.len(), list.len()),
                expected: "one shift, or one for each axis",
            });
        }
        let mut current = Arc::clone(node);
        for (axis, shift) in list.iter().zip(shifts.iter().cycle()) {
            let axis = axis.resolve(call, node.ndim(), node.dim_names())?;
            current = rolled(call, &current, axis, *shift)?;
        }
        Ok(current)
    })
}

fn rolled(call: Call, node: &Arc<Node>, axis: usize, shift: i64) -> Result<Arc<Node>> {
    let len = node.axis_len(call, axis)?;
    let shift = shift.rem_euclid((len as i64).max(1)) as u64;
    if shift == 0 {
        return Ok(Arc::clone(node));
    }
    let tail = slice_along(call, node, axis, AxisSlice::new(len - shift, shift, 1))?;
    let head = slice_along(call, node, axis, AxisSlice::new(0, len - shift, 1))?;
    side_by_side(call, &[&tail, &head], axis)
}

/// Each element of an axis several times, one after another.
pub(crate) fn repeat(call: Call, x: &Handle, n: &Shape, axis: &AxisRef) -> Handle {
    x.then(|node| {
        let axis = axis.resolve(call, node.ndim(), node.dim_names())?;
        let times = n.lengths(call)?;
        match times[..] {
            [1] => Ok(Arc::clone(node)),
            [times] => repeated(call, node, axis, axis + 1, times),
            _ => {
                let len = node.axis_len(call, axis)?;
                if times.len() as u64 != len {
                    return Err(Error::InvalidArgument {
                        call,
                        argument: "n",
                        got: format!("{} numbers for an axis of length {len}", times.len()),
                        expected: "one number, or one for each element",
                    });
                }
                check_listed(
                    call.op,
                    Some(call),
                    times.iter().fold(0, |n, t| n.saturating_add(*t)),
                )?;
                let again = (0..len).zip(&times).flat_map(|(at, &n)| (0..n).map(move |_| at));
                super::take::take_positions(call, node, axis, again.collect())
            }
        }
    })
}

/// An axis broadcast over a new one of length `times` at `place`, beside it, and merged with it.
pub(crate) fn repeated(
    call: Call,
    node: &Arc<Node>,
    axis: usize,
    place: usize,
    times: u64,
) -> Result<Arc<Node>> {
    let mut shape = node.known_shape(call)?;
    let mut axes: Vec<_> = (0..node.ndim()).map(Some).collect();
    axes.insert(place, None);
    let raised = Handle::from_result(permute(node, axes));
    let mut spread = shape.clone();
    spread.insert(place, times);
    shape[axis] = shape[axis].saturating_mul(times);
    let spread = broadcast_to(call, &raised, &Shape::from(spread));
    reshape(call, &spread, &Shape::from(shape)).node().cloned()
}

/// The array several times along each axis; the last number is for the last axis.
pub(crate) fn tile(call: Call, x: &Handle, times: &Shape) -> Handle {
    x.then(|node| {
        let mut times = times.lengths(call)?;
        let mut axes: Vec<_> = (0..node.ndim()).map(Some).collect();
        while axes.len() < times.len() {
            axes.insert(0, None);
        }
        while times.len() < axes.len() {
            times.insert(0, 1);
        }
        let is_raised = axes.len() > node.ndim();
        let mut current = if is_raised { permute(node, axes)? } else { Arc::clone(node) };
        for (axis, times) in times.into_iter().enumerate() {
            current = tiled(call, &current, axis, times)?;
        }
        Ok(current)
    })
}

/// The array `times` times along an axis.
pub(crate) fn tiled(call: Call, node: &Arc<Node>, axis: usize, times: u64) -> Result<Arc<Node>> {
    let chunks = &node.meta.chunks.axes()[axis];
    match times {
        0 => {
            node.axis_len(call, axis)?;
            slice_along(call, node, axis, AxisSlice::new(0, 0, 1))
        }
        1 => Ok(Arc::clone(node)),
        // Copies of one block need not be listed one by one.
        _ if chunks.is_whole() && chunks.len() != Some(0) => {
            repeated(call, node, axis, axis, times)
        }
        _ => {
            check_listed(call.op, Some(call), chunks.n_blocks().saturating_mul(times))?;
            join_pieces(call, &vec![Arc::clone(node); times as usize], axis)
        }
    }
}
