//! Shapes and axes: the same elements in another arrangement.

use std::sync::Arc;

use super::indexing::sliced;
use crate::array::args::{Axes, AxisRef, Shape};
use crate::array::chunks::{
    AxisChunks, AxisSlice, Chunks, broadcast_shapes, check_shape, reshape_steps, resolve_shape,
};
use crate::array::expr::{DimNames, Handle, Node, dim_names_of};
use crate::array::op::{ArrayOp, ReshapeTarget};
use crate::error::{Call, Error, Result};

/// The same elements in C order under another shape.
pub(crate) fn reshape(call: Call, x: &Handle, shape: &Shape) -> Handle {
    x.then(|node| {
        // The length of a single axis need not be known to stay what it is.
        if shape.0 == [-1] && node.ndim() == 1 {
            return Ok(Arc::clone(node));
        }
        let in_shape = node.known_shape(call)?;
        let shape = resolve_shape(call, &in_shape, &shape.0)?;
        check_shape(call, &shape)?;
        let count = |shape: &[u64]| shape.iter().map(|&len| u128::from(len)).product::<u128>();
        if check_shape(call, &in_shape).is_err() || count(&in_shape) != count(&shape) {
            return Err(Error::ShapeMismatch {
                call,
                left: in_shape,
                right: shape,
                remedy: "both shapes need the same number of elements",
            });
        }
        let itemsize = node.meta.dtype.nbytes() as u64;
        let block_len_max = super::chunk_bytes()? / itemsize;
        let mut current = Arc::clone(node);
        for shape in reshape_steps(&in_shape, &shape) {
            let target = ReshapeTarget { shape, block_len_max };
            current = Node::of(ArrayOp::Reshape(Arc::new(target)), &[&current])
                .map_err(|error| error.called_from(call))?;
        }
        let names = node.dim_names().and_then(|names| kept_names(names, &in_shape, &shape));
        Ok(if names.is_some() { current.with_note(names) } else { current })
    })
}

/// The names of those axes that a reshape leaves as they are: of the same length, and with as much before them.
fn kept_names(names: &DimNames, from: &[u64], to: &[u64]) -> Option<DimNames> {
    let places = |shape: &[u64]| -> Vec<(u128, u64)> {
        let place = |before: &mut u128, &len: &u64| {
            let place = (*before, len);
            *before = before.saturating_mul(len.into());
            Some(place)
        };
        shape.iter().scan(1, place).collect()
    };
    let (from, to) = (places(from), places(to));
    dim_names_of(to.iter().enumerate().map(|(axis, place)| {
        // Which of several axes of length 1 is which is known only if all of them stay.
        let olds = from.iter().zip(names.iter()).filter(|(old, _)| *old == place);
        let n_before = to[..axis].iter().filter(|new| *new == place).count();
        let all_stay = olds.clone().count() == to.iter().filter(|new| *new == place).count();
        olds.map(|(_, name)| Arc::clone(name)).nth(n_before).filter(|_| all_stay)
    }))
}

/// The axes in another order; `None` reverses them.
pub(crate) fn transpose(call: Call, x: &Handle, axes: Option<&Axes>) -> Handle {
    x.then(|node| {
        let ndim = node.ndim();
        let order = match axes {
            Some(axes) => axes.resolve(call, ndim, node.dim_names())?,
            None => (0..ndim).rev().collect(),
        };
        if order.len() != ndim {
            return Err(Error::InvalidArgument {
                call,
                argument: "axes",
                got: format!("{} of {ndim} axes", order.len()),
                expected: "every axis once",
            });
        }
        permute(node, order.into_iter().map(Some).collect())
    })
}

/// Axes moved, added (`None`) and, where they have length 1, dropped.
pub(crate) fn permute(node: &Arc<Node>, axes: Vec<Option<usize>>) -> Result<Arc<Node>> {
    Node::of(ArrayOp::Permute(axes.into()), &[node])
}

/// Two axes in each other's place.
pub(crate) fn swapaxes(call: Call, x: &Handle, a: &AxisRef, b: &AxisRef) -> Handle {
    x.then(|node| {
        let a = a.resolve(call, node.ndim(), node.dim_names())?;
        let b = b.resolve(call, node.ndim(), node.dim_names())?;
        let mut axes: Vec<_> = (0..node.ndim()).map(Some).collect();
        axes.swap(a, b);
        permute(node, axes)
    })
}

/// Some axes at other places; the others keep their order.
pub(crate) fn moveaxis(call: Call, x: &Handle, from: &Axes, to: &Axes) -> Handle {
    x.then(|node| {
        let ndim = node.ndim();
        let from = from.resolve(call, ndim, node.dim_names())?;
        let to = to.resolve(call, ndim, None)?;
        if from.len() != to.len() {
            return Err(Error::InvalidArgument {
                call,
                argument: "to",
                got: format!("{} places for {} axes", to.len(), from.len()),
                expected: "a place for each axis",
            });
        }
        let mut others = (0..ndim).filter(|axis| !from.contains(axis));
        let axes = (0..ndim).map(|place| match to.iter().position(|&other| other == place) {
            Some(i) => Some(from[i]),
            None => others.next(),
        });
        permute(node, axes.collect())
    })
}

/// Without axes of length 1: those given, or all of them.
pub(crate) fn squeeze(call: Call, x: &Handle, axes: &Axes) -> Handle {
    x.then(|node| {
        let axes = match axes {
            Axes::All => {
                let is_one = |axis: &AxisChunks| axis.len() == Some(1);
                let all = node.meta.chunks.axes().iter().enumerate();
                all.filter(|(_, axis)| is_one(axis)).map(|(i, _)| i).collect()
            }
            list => list.resolve(call, node.ndim(), node.dim_names())?,
        };
        for &axis in &axes {
            let len = node.meta.chunks.axes()[axis].len();
            let len = len.ok_or(Error::UnknownChunks { call, axis })?;
            if len != 1 {
                return Err(Error::InvalidArgument {
                    call,
                    argument: "axis",
                    got: format!("axis {axis} of length {len}"),
                    expected: "axes of length 1",
                });
            }
        }
        drop_axes(node, &axes)
    })
}

/// Without these axes, which have length 1.
pub(crate) fn drop_axes(node: &Arc<Node>, axes: &[usize]) -> Result<Arc<Node>> {
    if axes.is_empty() {
        return Ok(Arc::clone(node));
    }
    permute(node, (0..node.ndim()).filter(|axis| !axes.contains(axis)).map(Some).collect())
}

/// With new axes of length 1 at these places of the result.
pub(crate) fn expand_dims(call: Call, x: &Handle, axes: &Axes) -> Handle {
    x.then(|node| {
        let Axes::List(list) = axes else { return Ok(Arc::clone(node)) };
        let places = axes.resolve(call, node.ndim() + list.len(), None)?;
        let mut old = 0..node.ndim();
        let ndim = node.ndim() + places.len();
        let axes = (0..ndim).map(|place| if places.contains(&place) { None } else { old.next() });
        permute(node, axes.collect())
    })
}

/// The elements in reverse order along these axes.
pub(crate) fn flip(call: Call, x: &Handle, axes: &Axes) -> Handle {
    x.then(|node| flipped(call, node, &axes.resolve(call, node.ndim(), node.dim_names())?))
}

/// The elements in reverse order along these axes.
pub(crate) fn flipped(call: Call, node: &Arc<Node>, axes: &[usize]) -> Result<Arc<Node>> {
    let mut slices = vec![None; node.ndim()];
    for &axis in axes {
        let len = node.axis_len(call, axis)?;
        slices[axis] = Some(AxisSlice::new(len.saturating_sub(1), len, -1));
    }
    sliced(call, node, slices)
}

/// Turned by `k` right angles in the plane of two axes, from the first towards the second.
pub(crate) fn rot90(call: Call, x: &Handle, k: i64, axes: &Axes) -> Handle {
    x.then(|node| {
        let plane = axes.resolve(call, node.ndim(), node.dim_names())?;
        let [a, b] = plane[..] else {
            return Err(Error::InvalidArgument {
                call,
                argument: "axes",
                got: format!("{} axes", plane.len()),
                expected: "the two axes of a plane",
            });
        };
        let mut swap: Vec<_> = (0..node.ndim()).map(Some).collect();
        swap.swap(a, b);
        match k.rem_euclid(4) {
            0 => Ok(Arc::clone(node)),
            1 => permute(&flipped(call, node, &[b])?, swap),
            2 => flipped(call, node, &[a, b]),
            _ => flipped(call, &permute(node, swap)?, &[b]),
        }
    })
}

/// With at least `n` dimensions, which is up to 3, by new axes of length 1 where NumPy puts them.
pub(crate) fn at_least(node: &Arc<Node>, n: usize) -> Result<Arc<Node>> {
    let old: Vec<_> = (0..node.ndim()).map(Some).collect();
    let axes = match (n.min(3), &old[..]) {
        (n, old) if old.len() >= n => return Ok(Arc::clone(node)),
        (3, [a, b]) => vec![*a, *b, None],
        (3, [a]) => vec![None, *a, None],
        (n, old) => [vec![None; n - old.len()], old.to_vec()].concat(),
    };
    permute(node, axes)
}

/// The array repeated along new leading axes and axes of length 1.
pub(crate) fn broadcast_to(call: Call, x: &Handle, shape: &Shape) -> Handle {
    x.then(|node| {
        let shape = shape.lengths(call)?;
        check_shape(call, &shape)?;
        let in_shape = node.known_shape(call)?;
        let mismatch = || Error::ShapeMismatch {
            call,
            left: in_shape.clone(),
            right: shape.clone(),
            remedy: "each axis must have the wanted length or length 1",
        };
        let fits = broadcast_shapes(call, &[&in_shape, &shape]);
        if fits.map_err(|_| mismatch())? != shape {
            return Err(mismatch());
        }
        let skip = shape.len() - in_shape.len();
        let block_len_max = super::chunk_bytes()? / node.meta.dtype.nbytes() as u64;
        let mut block_len = node.meta.chunks.max_block_len().unwrap_or(1).max(1);
        let mut axes = Vec::with_capacity(shape.len());
        for (axis, &len) in shape.iter().enumerate().rev() {
            let old = axis.checked_sub(skip).map(|axis| &node.meta.chunks.axes()[axis]);
            let kept = old.filter(|old| old.len() == Some(len));
            // Repeated axes are cut so that no block outgrows the chunk size.
            axes.push(kept.cloned().unwrap_or_else(|| {
                let size = (block_len_max / block_len).clamp(1, len.max(1));
                block_len = block_len.saturating_mul(size);
                AxisChunks::uniform(len, size)
            }));
        }
        axes.reverse();
        Node::of(ArrayOp::Broadcast(Chunks::new(axes)), &[node])
    })
}
