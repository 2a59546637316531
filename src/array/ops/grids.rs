//! Coordinates of elements, and chunks that fit each other.

use std::sync::Arc;

use super::manipulation::{broadcast_to, expand_dims, reshape, swapaxes};
use crate::array::args::{Axes, AxisRef, Shape};
use crate::array::chunks::{ChunkSpec, broadcast_shapes, coarsen_chunks, unify_broadcast};
use crate::array::expr::{Handle, dim_names_of};
use crate::array::kernels::{Builder, Program};
use crate::error::{Call, Error, Result};

/// Which axis the first vector of [`meshgrid`](crate::array::meshgrid) varies along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Indexing {
    /// The first vector varies along axis 0: matrix indices.
    Ij,
    /// The first vector varies along axis 1 and the second along axis 0: Cartesian coordinates, which is
    /// NumPy's default.
    Xy,
}

/// For each of some vectors, an array over the product of all of them that varies along one axis.
pub(crate) fn meshgrid(call: Call, vectors: &[&Handle], indexing: Indexing) -> Vec<Handle> {
    let is_swapped = indexing == Indexing::Xy && vectors.len() > 1;
    let shape = Handle::join(vectors, |nodes| {
        nodes.first().map(|node| Arc::clone(node)).ok_or(Error::InvalidArgument {
            call,
            argument: "vectors",
            got: "none".into(),
            expected: "at least one vector",
        })
    });
    let lengths = || -> Result<Vec<u64>> {
        shape.node()?;
        let lens = vectors.iter().map(|vector| {
            let node = vector.node()?;
            match node.ndim() {
                1 => node.axis_len(call, 0),
                ndim => Err(Error::InvalidArgument {
                    call,
                    argument: "vectors",
                    got: format!("{ndim} dimensions"),
                    expected: "vectors",
                }),
            }
        });
        lens.collect()
    };
    let lengths = match lengths() {
        Ok(lengths) => Shape::from(lengths),
        Err(error) => {
            let failed = Handle::from_result(Err(error));
            return vec![failed; vectors.len()];
        }
    };
    let spread = |(axis, vector): (usize, &&Handle)| {
        let after: Vec<usize> = (1..vectors.len() - axis).collect();
        let spread = broadcast_to(call, &expand_dims(call, vector, &Axes::from(after)), &lengths);
        match is_swapped {
            true => swapaxes(call, &spread, &AxisRef::from(0), &AxisRef::from(1)),
            false => spread,
        }
    };
    vectors.iter().enumerate().map(spread).collect()
}

/// The index along one axis of each element of an array of `shape`.
pub(crate) fn index_along(axis: usize) -> Program {
    let mut b = Builder::new(0);
    let index = b.index(axis, 0, 1);
    b.finish(index)
}

/// The index of each element along each axis, one axis after another along a new first axis.
pub(crate) fn indices(call: Call, shape: &Shape, chunks: &ChunkSpec) -> Handle {
    let along: Vec<Handle> = (0..shape.0.len())
        .map(|axis| super::creation::create(call, index_along(axis), shape, chunks))
        .collect();
    super::joins::stack(call, &along.iter().collect::<Vec<_>>(), &AxisRef::from(0))
}

/// The arrays in chunks that fit, as elementwise operations on them would make them.
pub(crate) fn unify_chunks(call: Call, arrays: &[&Handle]) -> Vec<Handle> {
    let unified = || -> Result<_> {
        let chunks: Result<Vec<_>> = arrays.iter().map(|x| Ok(&x.node()?.meta.chunks)).collect();
        unify_broadcast(call, &chunks?)
    };
    let unified = match unified() {
        Ok(unified) => unified,
        Err(error) => return vec![Handle::from_result(Err(error)); arrays.len()],
    };
    let fit = |x: &&Handle| {
        x.then(|node| {
            let old = &node.meta.chunks;
            let common = &unified.axes()[unified.ndim() - old.ndim()..];
            let axes = old.axes().iter().zip(common);
            let fit = axes.map(|(old, new)| if old.len() == new.len() { new } else { old }.clone());
            node.in_chunks(fit.collect())
        })
    };
    arrays.iter().map(fit).collect()
}

/// The arrays repeated so that all have one shape.
pub(crate) fn broadcast_arrays(call: Call, arrays: &[&Handle]) -> Vec<Handle> {
    let common = || -> Result<Shape> {
        let shapes = arrays.iter().map(|x| x.node()?.known_shape(call));
        let shapes: Vec<Vec<u64>> = shapes.collect::<Result<_>>()?;
        Ok(broadcast_shapes(call, &shapes.iter().map(Vec::as_slice).collect::<Vec<_>>())?.into())
    };
    match common() {
        Ok(shape) => arrays.iter().map(|x| broadcast_to(call, x, &shape)).collect(),
        Err(error) => vec![Handle::from_result(Err(error)); arrays.len()],
    }
}

/// Each of some axes as two: groups of `size` elements, and the elements of a group. The new axes of
/// elements are given back.
pub(crate) fn grouped(call: Call, x: &Handle, groups: &[(AxisRef, u64)]) -> (Handle, Vec<usize>) {
    let mut inner = Vec::new();
    let whole_groups = x.then(|node| {
        let mut chunks = node.meta.chunks.clone();
        for (axis, size) in groups.iter().filter(|(_, size)| *size > 0) {
            let axis = axis.resolve(call, node.ndim(), node.dim_names())?;
            let aligned = coarsen_chunks(&chunks.axes()[axis], *size);
            chunks = aligned.map_or(chunks.clone(), |aligned| chunks.with_axis(axis, aligned));
        }
        node.in_chunks(chunks)
    });
    let split = whole_groups.then(|node| {
        let mut sizes = vec![None; node.ndim()];
        for (axis, size) in groups {
            sizes[axis.resolve(call, node.ndim(), node.dim_names())?] = Some(*size);
        }
        let mut shape = Vec::new();
        for (axis, size) in sizes.into_iter().enumerate() {
            let len = node.axis_len(call, axis)?;
            let Some(size) = size else {
                shape.push(len);
                continue;
            };
            if size == 0 || len % size != 0 {
                return Err(Error::InvalidArgument {
                    call,
                    argument: "groups",
                    got: format!("groups of {size} on axis {axis} of length {len}"),
                    expected: "a size that divides the length; slice or pad the axis first",
                });
            }
            shape.push(len / size);
            inner.push(shape.len());
            shape.push(size);
        }
        let names = node.dim_names().and_then(|names| {
            let mut names: Vec<_> = names.iter().cloned().map(Some).collect();
            inner.iter().for_each(|&place| names.insert(place, None));
            dim_names_of(names)
        });
        let split = reshape(call, &whole_groups, &Shape::from(shape));
        Ok(split.node()?.with_note(names))
    });
    (split, inner)
}
