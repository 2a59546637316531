//! Functions of blocks that see the elements around them.

use std::sync::Arc;

use ndarray::{ArrayD, ArrayViewD, Axis, Slice};

use super::map_blocks::mapped;
use super::pad::{PadMode, Widths, pad_axis};
use crate::array::args::AxisRef;
use crate::array::chunks::limit::check_listed;
use crate::array::chunks::{
    AxisChunks, Chunks, Overlap, min_overlap_chunks, overlap, overlap_around, window_chunks,
};
use crate::array::dtype::{Element, dispatch};
use crate::array::expr::{Handle, Node, dim_names_of};
use crate::array::kernels::Scalar;
use crate::array::kernels::map_blocks::BlockInfo;
use crate::array::kernels::rearrange::RechunkKernel;
use crate::array::kernels::windows::WindowsKernel;
use crate::array::meta::Meta;
use crate::array::op::{ArrayOp, Blockwise};
use crate::error::{Call, Error, Result};
use crate::graph::{AxisMap, BlockMap, Kernel};

/// What blocks at the ends of an array see beyond it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Boundary<T> {
    /// Nothing: these blocks are shorter.
    None,
    /// A value.
    Constant(T),
    /// The nearest element.
    Nearest,
    /// The mirror image with the edge, as [`PadMode::Symmetric`](crate::array::PadMode).
    Reflect,
    /// The other end.
    Periodic,
}

/// A [`Boundary`] of all axes, a list with one for each, or a list of axes, by name or number, with one each
/// (`[("longitude", Boundary::Periodic)]`); at the others there is nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Boundaries<T>(Sides<T>);

#[derive(Clone, Debug, PartialEq)]
enum Sides<T> {
    All(Boundary<T>),
    Each(Vec<Boundary<T>>),
    Of(Vec<(AxisRef, Boundary<T>)>),
}

impl<T> From<Boundary<T>> for Boundaries<T> {
    fn from(all: Boundary<T>) -> Self {
        Boundaries(Sides::All(all))
    }
}

impl<T> From<Vec<Boundary<T>>> for Boundaries<T> {
    fn from(each: Vec<Boundary<T>>) -> Self {
        Boundaries(Sides::Each(each))
    }
}

impl<T, const N: usize> From<[Boundary<T>; N]> for Boundaries<T> {
    fn from(each: [Boundary<T>; N]) -> Self {
        Boundaries(Sides::Each(each.into()))
    }
}

impl<T, A: Into<AxisRef>, const N: usize> From<[(A, Boundary<T>); N]> for Boundaries<T> {
    fn from(axes: [(A, Boundary<T>); N]) -> Self {
        let axes = axes.into_iter().map(|(axis, side)| (axis.into(), side));
        Boundaries(Sides::Of(axes.collect()))
    }
}

impl<T: Element> Boundaries<T> {
    /// What is padded along each axis.
    fn modes(&self, call: Call, node: &Node) -> Result<Vec<Option<PadMode<Scalar>>>> {
        let ndim = node.ndim();
        match &self.0 {
            Sides::Of(axes) => {
                let mut modes = vec![None; ndim];
                for (axis, side) in axes {
                    modes[axis.resolve(call, ndim, node.dim_names())?] = side.mode();
                }
                Ok(modes)
            }
            Sides::All(all) => Ok(vec![all.mode(); ndim]),
            Sides::Each(each) if each.len() == ndim => {
                Ok(each.iter().map(|side| side.mode()).collect())
            }
            Sides::Each(each) => Err(Error::InvalidArgument {
                call,
                argument: "boundary",
                got: format!("{} for {ndim} dimensions", each.len()),
                expected: "one for all axes, or one for each",
            }),
        }
    }
}

impl<T: Element> Boundary<T> {
    fn mode(self) -> Option<PadMode<Scalar>> {
        match self {
            Boundary::None => None,
            Boundary::Constant(value) => Some(PadMode::Constant(super::scalar(value))),
            Boundary::Nearest => Some(PadMode::Edge),
            Boundary::Reflect => Some(PadMode::Symmetric),
            Boundary::Periodic => Some(PadMode::Wrap),
        }
    }
}

/// `function` of each block with `depth` elements around it; of its result, these are cut away.
pub(crate) fn map_overlap<T: Element, U: Element>(
    call: Call,
    x: &Handle,
    depth: &Widths,
    boundary: &Boundaries<T>,
    function: impl Fn(ArrayViewD<'_, T>, &BlockInfo) -> ArrayD<U> + Send + Sync + 'static,
) -> Handle {
    x.then(|node| {
        let depth = depth.resolve(call, node, "depth")?;
        let modes = boundary.modes(call, node)?;
        let node = deep_enough(call, node, &depth)?;
        let chunks = node.meta.chunks.clone();
        let mut padded = Arc::clone(&node);
        let mut around = Vec::with_capacity(depth.len());
        for (axis, &[before, after]) in depth.iter().enumerate() {
            let new = &chunks.axes()[axis];
            around.push(match modes[axis] {
                _ if before == 0 && after == 0 => same(call, axis, new)?,
                None => overlap_around(new, new, [before, after]),
                Some(mode) => {
                    padded = pad_axis(call, &padded, axis, [before, after], mode)?;
                    let longer = &padded.meta.chunks.axes()[axis];
                    overlap_around(longer, new, [0, before + after])
                }
            });
        }
        let around = surrounded(call, &padded, around)?;
        let maps = BlockMap::axes((0..node.ndim()).map(AxisMap::same));
        // What the function returns is cut to the block, so that both are there for a while.
        let whole = Meta { dtype: U::DTYPE, chunks: around.meta.chunks.clone() };
        let scratch_bytes = whole.block_bytes_max().unwrap_or(0);
        let cut = chunks.clone();
        let mapped = mapped(call, &around, maps, chunks, scratch_bytes, move |block, info| {
            let seen = block.shape().to_vec();
            let result = function(block, info);
            if result.shape() != seen {
                // The kernel tells the user what is wrong with the shape.
                return result;
            }
            // Where the block lies in what the function saw; of unknown lengths it saw no more.
            let axes = depth.iter().zip(&modes).zip(cut.axes()).zip(&info.block);
            let parts = axes.map(|(((&[before, _], mode), axis), &i)| {
                let range = axis.block_range(i)?;
                let from = if mode.is_none() { before.min(range.start) } else { before };
                Some((from, range.end - range.start))
            });
            trimmed(result, parts)
        })?;
        Ok(mapped.with_note(node.note.clone()))
    })
}

/// The part of a block that begins and is as long as `parts` say; `None` for axes that stay whole.
fn trimmed<U: Element>(
    mut block: ArrayD<U>,
    parts: impl Iterator<Item = Option<(u64, u64)>>,
) -> ArrayD<U> {
    let n_before = block.len();
    for (axis, part) in parts.enumerate() {
        if let Some((from, len)) = part {
            let range = Slice::from(from as isize..(from + len) as isize);
            block.slice_axis_inplace(Axis(axis), range);
        }
    }
    // A part must not keep the memory of the whole, unless it is nearly that.
    if 8 * block.len() >= 7 * n_before { block } else { block.as_standard_layout().into_owned() }
}

/// The array in chunks that are at least as long as what their neighbours see of them.
fn deep_enough(call: Call, node: &Arc<Node>, depth: &[[u64; 2]]) -> Result<Arc<Node>> {
    let mut chunks = node.meta.chunks.clone();
    for (axis, depth) in depth.iter().enumerate() {
        let deepest = depth[0].max(depth[1]);
        if deepest > 0 {
            let deep = min_overlap_chunks(call, &chunks.axes()[axis], deepest);
            let deep = deep.map_err(|error| match error {
                Error::UnknownChunks { call, .. } => Error::UnknownChunks { call, axis },
                other => other,
            });
            chunks = chunks.with_axis(axis, deep?);
        }
    }
    node.in_chunks(chunks)
}

fn same(call: Call, axis: usize, chunks: &AxisChunks) -> Result<Overlap> {
    overlap(chunks, chunks).ok_or(Error::UnknownChunks { call, axis })
}

/// Blocks with the elements around them, which are in the blocks of their neighbours as well.
fn surrounded(call: Call, node: &Arc<Node>, axes: Vec<Overlap>) -> Result<Arc<Node>> {
    let mut maps = Vec::with_capacity(axes.len());
    let mut chunks = Vec::with_capacity(axes.len());
    for (axis, (around, old)) in axes.iter().zip(node.meta.chunks.axes()).enumerate() {
        if around.is_identity() {
            maps.push(AxisMap::same(axis));
            chunks.push(old.clone());
            continue;
        }
        check_listed(call.op, Some(call), around.n_blocks())?;
        let ranges = || (0..).map_while(|i| Some((around.blocks(i)?, around.range(i)?)));
        let blocks = ranges().map(|(blocks, _)| (blocks.start, blocks.end));
        maps.push(AxisMap::Ranges { axis, ranges: blocks.collect() });
        let lengths =
            AxisChunks::from_size_iter(ranges().map(|(_, range)| range.end - range.start));
        chunks.push(lengths.ok_or(Error::UnknownChunks { call, axis })?);
    }
    let (dtype, chunks) = (node.meta.dtype, Chunks::new(chunks));
    let kernel: Arc<dyn Kernel> = dispatch!(dtype, T => {
        Arc::new(RechunkKernel::<T>::new(axes))
    });
    let blockwise = Blockwise {
        name: "overlap".into(),
        kernel,
        maps: vec![BlockMap::Axes(maps.into())],
        out: Meta { dtype, chunks },
        out_bytes: None,
        scratch_bytes: 0,
    };
    Node::of(ArrayOp::Blockwise(Arc::new(blockwise)), &[node])
}

/// The windows along some axes that begin at each element which has enough after it.
pub(crate) fn sliding_window_view(call: Call, x: &Handle, windows: &[(AxisRef, u64)]) -> Handle {
    x.then(|node| {
        let mut depths = vec![0_u64; node.ndim()];
        let mut of_axes = Vec::with_capacity(windows.len());
        for (axis, len) in windows {
            let axis = axis.resolve(call, node.ndim(), node.dim_names())?;
            let n = node.axis_len(call, axis)?;
            depths[axis] = depths[axis].saturating_add(len.saturating_sub(1));
            if *len == 0 || depths[axis] >= n {
                return Err(Error::InvalidArgument {
                    call,
                    argument: "windows",
                    got: format!("windows of {len} on axis {axis} of length {n}"),
                    expected: "at least 1, and at most the length of the axis",
                });
            }
            of_axes.push((axis, *len as usize));
        }
        let lens: Vec<u64> = windows.iter().map(|(_, len)| *len).collect();
        let wide = window_chunks(call, &node.meta.chunks, &depths, &lens)?;
        let begins = wide.axes().iter().zip(&depths).map(|(axis, &depth)| {
            let sizes: Vec<u64> = axis.sizes().collect();
            let last = sizes.len().saturating_sub(1);
            let left = sizes.iter().enumerate().map(|(i, n)| n - if i == last { depth } else { 0 });
            if depth == 0 { Some(axis.clone()) } else { AxisChunks::from_size_iter(left) }
        });
        let begins: Option<Vec<AxisChunks>> = begins.collect();
        let mut axes = begins.ok_or(Error::UnknownChunks { call, axis: 0 })?;
        axes.extend(lens.iter().map(|&len| AxisChunks::whole(len)));
        let dtype = node.meta.dtype;
        let out = Meta { dtype, chunks: super::countable(call, Chunks::new(axes))? };
        // Where only axes with windows are left to cut, these are.
        let out = super::not_grown(out, 0..node.ndim(), &[node])?;
        let around = node.meta.chunks.axes().iter().zip(&depths).zip(out.chunks.axes());
        let around = around.enumerate().map(|(axis, ((old, &depth), new))| match depth {
            0 if old == new => same(call, axis, old),
            _ => Ok(overlap_around(old, new, [0, depth])),
        });
        let surrounded = surrounded(call, node, around.collect::<Result<_>>()?)?;
        let kernel: Arc<dyn Kernel> =
            dispatch!(dtype, T => Arc::new(WindowsKernel::<T>::new(of_axes)));
        // A reduction of the windows reads the block in C order.
        let scratch_bytes = surrounded.meta.block_bytes_max().unwrap_or(0);
        let blockwise = Blockwise {
            name: call.op.into(),
            kernel,
            maps: vec![BlockMap::axes((0..node.ndim()).map(AxisMap::same))],
            out,
            out_bytes: None,
            scratch_bytes,
        };
        let names = node.dim_names().and_then(|names| {
            let of_windows = std::iter::repeat_n(None, windows.len());
            dim_names_of(names.iter().cloned().map(Some).chain(of_windows))
        });
        Ok(Node::of(ArrayOp::Blockwise(Arc::new(blockwise)), &[&surrounded])?.with_note(names))
    })
}
