//! Products of an orthonormal and a triangular matrix.
//!
//! Blocks of rows are factored one by one; their triangles, one below another, are a matrix that is much shorter
//! and is factored the same way, until one block is left. The orthonormal matrix is applied from there back.
//!
//! # Source
//! Benson, Gleich, Demmel, "Direct QR factorizations for tall-and-skinny matrices in MapReduce architectures"
//! (2013); several levels as in Dask's `tsqr`.

use std::sync::Arc;

use super::super::joins::join_pieces;
use super::super::selections::blockwise;
use super::products::matmul;
use super::{
    adjoint, as_float, bytes_max, grid, matrix_lengths, no_fractions, results, with_whole,
};
use crate::array::chunks::limit::check_listed;
use crate::array::chunks::{AxisChunks, AxisSlice};
use crate::array::dtype::dispatch;
use crate::array::expr::{Handle, Node};
use crate::array::kernels::linalg::qr::{QrKernel, ReflectKernel, TriangleKernel, parts_bytes};
use crate::array::meta::Meta;
use crate::error::{Call, Error, Result};
use crate::graph::{AxisMap, BlockMap, Kernel};

/// A matrix as a product of one with orthonormal columns and an upper triangular one, of as many columns and
/// rows as its shorter axis is long.
pub(crate) fn qr(call: Call, x: &Handle) -> [Handle; 2] {
    let x = as_float(call, x);
    results(x.node().and_then(|node| {
        let [m, n] = matrix_lengths(call, node)?;
        if m >= n {
            let factors = Factors::new(call, &with_whole(call, node, 1)?)?;
            return Ok([factors.orthonormal(call)?, factors.triangle]);
        }
        // The square matrix on the left has the same orthonormal factor.
        let part = |start, len| {
            super::super::indexing::slice_along(call, node, 1, AxisSlice::new(start, len, 1))
        };
        let factors = Factors::new(call, &with_whole(call, &part(0, m)?, 1)?)?;
        let q = factors.orthonormal(call)?;
        let back = adjoint(call, &Handle::from_result(Ok(Arc::clone(&q))));
        let rest = matmul(call, &back, &Handle::from_result(Ok(part(m, n - m)?)));
        let triangle = join_pieces(call, &[factors.triangle, Arc::clone(rest.node()?)], 1)?;
        Ok([q, triangle])
    }))
}

/// A matrix whose columns are in one block, factored.
pub(super) struct Factors {
    /// From the matrix itself to the last triangle.
    levels: Vec<Level>,
    /// The triangle, in one block.
    pub(super) triangle: Arc<Node>,
}

/// The factorizations of some blocks.
struct Level {
    /// Reflections and triangles of each block, and the bytes of the largest.
    parts: Arc<Node>,
    parts_bytes: u64,
    /// The rows of the blocks, and of their triangles.
    rows: AxisChunks,
    triangle_rows: AxisChunks,
}

impl Factors {
    pub(super) fn new(call: Call, node: &Arc<Node>) -> Result<Factors> {
        let dtype = node.meta.dtype;
        let [_, n] = matrix_lengths(call, node)?;
        let n_max = (bytes_max(node)? / dtype.nbytes() as u64).checked_div(n).unwrap_or(1);
        let mut levels: Vec<Level> = Vec::new();
        let (mut current, mut together) = (Arc::clone(node), 1);
        loop {
            let old = &current.meta.chunks.axes()[0];
            check_listed(call.op, Some(call), old.n_blocks())?;
            let sizes: Vec<u64> = old.sizes().collect();
            let stacked = sizes.chunks(together as usize).map(|group| group.iter().sum::<u64>());
            let rows = AxisChunks::from_size_iter(stacked);
            let rows = rows.ok_or(Error::UnknownChunks { call, axis: 0 })?;
            let level = factored(call, &current, rows, together)?;
            current = triangles(call, &level, n)?;
            levels.push(level);
            let left = &current.meta.chunks.axes()[0];
            if left.is_whole() {
                return Ok(Factors { levels, triangle: current });
            }
            // As many triangles as fit into a block, but two at least.
            together = n_max.checked_div(left.max_len().unwrap_or(1)).unwrap_or(2).max(2);
        }
    }

    /// The orthonormal matrix.
    pub(super) fn orthonormal(&self, call: Call) -> Result<Arc<Node>> {
        self.times(call, None)
    }

    /// The orthonormal matrix times another, which has a row for each row of the triangle.
    pub(super) fn times(&self, call: Call, right: Option<Arc<Node>>) -> Result<Arc<Node>> {
        let mut right = match right {
            Some(right) => Some(with_whole(call, &right, 0)?),
            None => None,
        };
        for level in self.levels.iter().rev() {
            let dtype = level.parts.meta.dtype;
            let kernel: Arc<dyn Kernel> = dispatch!(dtype, float T => {
                Arc::new(ReflectKernel::<T>::new())
            }, else return Err(no_fractions(call, dtype)));
            let columns = match &right {
                Some(right) => right.meta.chunks.axes()[1].clone(),
                None => AxisChunks::whole(level.triangle_rows.len().unwrap_or(0)),
            };
            let out = Meta { dtype, chunks: grid(level.rows.clone(), columns) };
            let own = BlockMap::axes([AxisMap::same(0), AxisMap::At(0)]);
            let mut inputs = vec![(&level.parts, own)];
            let below;
            if let Some(node) = right {
                let chunks = node.meta.chunks.with_axis(0, level.triangle_rows.clone());
                below = node.in_chunks(chunks)?;
                let map = BlockMap::axes([AxisMap::same(0), AxisMap::same(1)]);
                inputs.push((&below, map));
            }
            // Reflections are applied some at a time.
            let scratch = out.block_bytes_max().unwrap_or(0) / 8;
            right = Some(blockwise(call, kernel, &inputs, out, None, scratch)?);
        }
        right.ok_or(Error::Internal { place: "qr".into(), problem: "no level".into() })
    }
}

/// Factors `together` blocks at a time, which have these rows then.
fn factored(call: Call, node: &Arc<Node>, rows: AxisChunks, together: u64) -> Result<Level> {
    let dtype = node.meta.dtype;
    let n = node.axis_len(call, 1)?;
    let (kernel, bytes): (Arc<dyn Kernel>, u64) = dispatch!(dtype, float T => {
        (Arc::new(QrKernel::<T>::new(call)), parts_bytes::<T>(rows.max_len().unwrap_or(0), n))
    }, else return Err(no_fractions(call, dtype)));
    let short = rows.sizes().map(|m| m.min(n));
    let triangle_rows = AxisChunks::from_size_iter(short);
    let triangle_rows = triangle_rows.ok_or(Error::UnknownChunks { call, axis: 0 })?;
    let own = match together {
        1 => AxisMap::same(0),
        size => AxisMap::Group { axis: 0, size },
    };
    let map = BlockMap::axes([own, AxisMap::same(1)]);
    let out = Meta { dtype, chunks: grid(rows.clone(), AxisChunks::whole(n)) };
    let parts = blockwise(call, kernel, &[(node, map)], out, Some(bytes), 0)?;
    Ok(Level { parts, parts_bytes: bytes, rows, triangle_rows })
}

/// The triangles of some factorizations, one below another.
fn triangles(call: Call, level: &Level, n: u64) -> Result<Arc<Node>> {
    let dtype = level.parts.meta.dtype;
    let kernel: Arc<dyn Kernel> = dispatch!(dtype, float T => {
        Arc::new(TriangleKernel::<T>::new())
    }, else return Err(no_fractions(call, dtype)));
    let out = Meta { dtype, chunks: grid(level.triangle_rows.clone(), AxisChunks::whole(n)) };
    let map = BlockMap::axes([AxisMap::same(0), AxisMap::same(1)]);
    // Where nobody reads the reflections, they are made in here.
    blockwise(call, kernel, &[(&level.parts, map)], out, None, level.parts_bytes)
}
