//! Connected elements: numbered in each block by itself, and joined where blocks meet.
//!
//! A component of a block has the number of its first element in the array, in C order. An [`Outline`] says of a box of
//! blocks what others have to know of it: which numbers are one component, and which elements lie at its sides. Neighbouring
//! boxes become one in a tree, by joining what touches; of their elements only those at the sides of the larger box stay.
//!
//! # Source
//! Rosenfeld, Pfaltz, "Sequential operations in digital picture processing" (1966), with the forests of Galler and Fischer (1964).

use std::collections::HashMap;
use std::io::{self, Write};

use ndarray::{Array2, ArrayD, ArrayViewD, Axis, arr0};

use super::copy::filled;
#[cfg(feature = "dist")]
use super::portable::{append, head, items};
use crate::array::chunk::{Chunk, chunk};
use crate::array::chunks::{AxisChunks, Chunks};
use crate::array::io::Strips;
use crate::error::{Error, Result};
use crate::graph::{Block, Identity, Inputs, Kernel, Load, Spill, TaskContext, Value};
#[cfg(feature = "dist")]
use crate::graph::{KernelSpec, Unsendable, encoded, undecodable};
#[cfg(feature = "dist")]
use crate::memory::BufferPool;
#[cfg(feature = "dist")]
use std::sync::Arc;

/// One step of labelling.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "dist", derive(serde::Serialize, serde::Deserialize))]
pub(crate) enum LabelStep {
    /// From a block to its outline.
    Outline,
    /// From the outlines of neighbours to that of the box of so many blocks along each axis.
    Merge(Vec<u64>),
    /// From the outline of the array to rows of a number in a block and a label.
    Table,
    /// From a block and the table to labels.
    Labels,
    /// From the table to the number of labels.
    Count,
}

impl LabelStep {
    /// What plans call it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            LabelStep::Outline => "outline",
            LabelStep::Merge(_) => "merge",
            LabelStep::Table => "table",
            LabelStep::Labels => "labels",
            LabelStep::Count => "count",
        }
    }
}

/// Labels connected elements that are true.
#[derive(Debug)]
pub(crate) struct LabelKernel {
    pub(crate) step: LabelStep,
    /// How many indices of neighbours may differ, by one each.
    pub(crate) connectivity: usize,
    /// Those of the array.
    pub(crate) chunks: Chunks,
}

/// A number, and the number of the component that it is known to be a part of; or the place of an element, and that.
type Pair = (i64, i64);

/// What is known of the components in a box.
#[derive(Debug, Default)]
struct Outline {
    /// Each number of a component of a block, and that of the whole; in ascending order.
    parts: Vec<Pair>,
    /// Places of elements with neighbours outside of the box, and the number of their component; in ascending order.
    rim: Vec<Pair>,
}

/// Bytes of an outline with so many parts and elements at its sides.
pub(crate) fn outline_bytes(n_parts: u64, n_rim: u64) -> u64 {
    n_parts.saturating_add(n_rim).saturating_mul(size_of::<Pair>() as u64)
}

/// Bytes for each element of a block while its components are looked for.
pub(crate) const ROOT_BYTES: u64 = size_of::<usize>() as u64;

impl Value for Outline {
    fn nbytes(&self) -> u64 {
        ((self.parts.capacity() + self.rim.capacity()) * size_of::<Pair>()) as u64
    }

    #[cfg(feature = "dist")]
    fn encode(&self, bytes: &mut Vec<u8>) -> Option<&'static str> {
        bytes.extend(encoded(&self.parts.len()));
        append(&self.parts, bytes);
        append(&self.rim, bytes);
        Some("outline")
    }

    fn as_spill(&self) -> Option<&dyn Spill> {
        Some(self)
    }
}

impl Spill for Outline {
    fn save(&self, to: &mut dyn Write) -> io::Result<Load> {
        let mut strips = Strips::new();
        strips.write(&self.parts, to)?;
        strips.write(&self.rim, to)?;
        let (n_parts, n_rim) = (self.parts.len(), self.rim.len());
        Ok(Box::new(move |from, _| {
            let mut strips = Strips::new();
            let parts = strips.read(from, n_parts)?;
            Ok(Block::new(Outline { parts, rim: strips.read(from, n_rim)? }))
        }))
    }
}

/// Decodes an [`Outline`].
#[cfg(feature = "dist")]
pub(super) fn decode_outline(bytes: &[u8], _pool: &Arc<BufferPool>) -> Result<Block> {
    let (n_parts, data): (usize, _) = head("an outline", bytes)?;
    let mut parts = items::<Pair>("an outline", data)?;
    if parts.len() < n_parts {
        return Err(undecodable("an outline", "it has fewer parts than it says"));
    }
    let rim = parts.split_off(n_parts);
    Ok(Block::new(Outline { parts, rim }))
}

fn outline(block: &Block) -> &Outline {
    block.downcast_ref().expect("the steps before this one make outlines")
}

/// Steps to the neighbours that come after an element in C order, of which at most `connectivity` indices differ.
fn forward(ndim: usize, connectivity: usize) -> Vec<Vec<i64>> {
    let mut steps = vec![(Vec::new(), 0)];
    for _ in 0..ndim {
        let longer = |(step, n): (Vec<i64>, usize)| {
            let signs = if n < connectivity { &[-1, 0, 1][..] } else { &[0] };
            let next =
                move |&sign: &i64| ([&step[..], &[sign]].concat(), n + usize::from(sign != 0));
            signs.iter().map(next).collect::<Vec<_>>()
        };
        steps = steps.into_iter().flat_map(longer).collect();
    }
    let comes_after = |step: &Vec<i64>| step.iter().find(|sign| **sign != 0) == Some(&1);
    steps.into_iter().map(|(step, _)| step).filter(comes_after).collect()
}

/// How far it is from an element to the next one along each axis, in C order.
fn strides(shape: &[u64]) -> Vec<i64> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis].max(1) as i64;
    }
    strides
}

/// The distance in C order of a step.
fn distance(step: &[i64], strides: &[i64]) -> i64 {
    step.iter().zip(strides).map(|(sign, stride)| sign * stride).sum()
}

/// Whether a step from `index` ends inside of `shape`.
fn is_inside(index: &[u64], step: &[i64], shape: &[u64]) -> bool {
    let mut axes = index.iter().zip(step).zip(shape);
    axes.all(|((at, sign), len)| at.checked_add_signed(*sign).is_some_and(|at| at < *len))
}

/// The next index in C order.
fn advance(index: &mut [u64], shape: &[u64]) {
    for (at, len) in index.iter_mut().zip(shape).rev() {
        *at += 1;
        if *at < *len {
            return;
        }
        *at = 0;
    }
}

/// No element.
const NONE: usize = usize::MAX;

/// For each element that is true, in C order, the first element of its component.
fn roots(mask: &ArrayViewD<'_, bool>, connectivity: usize) -> Vec<usize> {
    let shape: Vec<u64> = mask.shape().iter().map(|&len| len as u64).collect();
    let (last, strides) = (shape.len() - 1, strides(&shape));
    let steps = forward(shape.len(), connectivity);
    let mut roots = vec![NONE; mask.len()];
    let mut row = vec![0; last];
    for (n, lane) in mask.lanes(Axis(last)).into_iter().enumerate() {
        let first = n * lane.len();
        // Back to the neighbours that come before; along the rows it is the same for all of the lane.
        let here = steps.iter().filter_map(|step| {
            let back: Vec<i64> = step.iter().map(|sign| -sign).collect();
            let by = distance(step, &strides) as usize;
            is_inside(&row, &back[..last], &shape[..last]).then_some((back[last], by))
        });
        let here: Vec<(i64, usize)> = here.collect();
        for (x, is_set) in lane.iter().enumerate() {
            if !is_set {
                continue;
            }
            let at = first + x;
            roots[at] = at;
            for &(sign, by) in &here {
                let is_in_lane =
                    x.checked_add_signed(sign as isize).is_some_and(|x| x < lane.len());
                if is_in_lane && roots[at - by] != NONE {
                    join(&mut roots, at, at - by);
                }
            }
        }
        advance(&mut row, &shape[..last]);
    }
    // Those before an element are final.
    for at in 0..roots.len() {
        if roots[at] != NONE {
            roots[at] = roots[roots[at]];
        }
    }
    roots
}

/// Makes the trees of two elements one, of which the first element is the root.
fn join(roots: &mut [usize], a: usize, b: usize) {
    let (a, b) = (find(roots, a), find(roots, b));
    roots[a.max(b)] = a.min(b);
}

fn find(roots: &mut [usize], mut at: usize) -> usize {
    while roots[at] != at {
        roots[at] = roots[roots[at]];
        at = roots[at];
    }
    at
}

/// Numbers that are one component, each with a smaller one.
#[derive(Default)]
struct Same(HashMap<i64, i64>);

impl Same {
    fn join(&mut self, a: i64, b: i64) {
        let (a, b) = (self.first(a), self.first(b));
        if a != b {
            self.0.insert(a.max(b), a.min(b));
        }
    }

    /// The smallest number of the component.
    fn first(&mut self, number: i64) -> i64 {
        let mut first = number;
        while let Some(&smaller) = self.0.get(&first) {
            first = smaller;
        }
        // The way is short for the next one.
        let mut at = number;
        while at != first {
            at = self.0.insert(at, first).unwrap_or(first);
        }
        first
    }
}

/// A box in an array.
struct Extent {
    start: Vec<u64>,
    end: Vec<u64>,
    /// Of the array.
    shape: Vec<u64>,
}

impl Extent {
    /// Whether the array goes on beside an element of the box.
    fn is_rim(&self, index: &[u64]) -> bool {
        let mut axes = index.iter().zip(&self.start).zip(self.end.iter().zip(&self.shape));
        axes.any(|((at, start), (end, len))| {
            (at == start && *start > 0) || (at + 1 == *end && end < len)
        })
    }
}

impl LabelKernel {
    /// The box of the blocks from `first` that are `size` blocks long.
    fn extent(&self, block: &[u64], size: &[u64]) -> Result<Extent> {
        let of_axis = |((axis, &i), &size): ((&AxisChunks, &u64), &u64)| {
            let first = i.saturating_mul(size);
            let last = first.saturating_add(size).min(axis.n_blocks()) - 1;
            Some((axis.block_range(first)?.start, axis.block_range(last)?.end))
        };
        let axes = self.chunks.axes().iter().zip(block).zip(size).map(of_axis);
        let both: Option<(Vec<u64>, Vec<u64>)> =
            axes.collect::<Option<Vec<_>>>().map(|axes| axes.into_iter().unzip());
        let known = both.zip(self.chunks.known_shape());
        let ((start, end), shape) = known.ok_or_else(|| Error::Internal {
            place: "label".into(),
            problem: "a box of unknown lengths".into(),
        })?;
        Ok(Extent { start, end, shape })
    }

    fn of_block(&self, mask: &ArrayViewD<'_, bool>, block: &[u64]) -> Result<Outline> {
        let extent = self.extent(block, &vec![1; block.len()])?;
        let roots = roots(mask, self.connectivity);
        let place = places(mask.shape(), &extent);
        let is_root = |(at, root): &(usize, &usize)| at == *root;
        let found = roots.iter().enumerate().filter(is_root).map(|(at, _)| (place(at), place(at)));
        let mut parts = Vec::with_capacity(found.clone().count());
        parts.extend(found);
        let lens: Vec<u64> = mask.shape().iter().map(|&len| len as u64).collect();
        let mut rim = Vec::new();
        let mut index = extent.start.clone();
        let mut local = vec![0; lens.len()];
        for (at, &root) in roots.iter().enumerate() {
            if root != NONE && extent.is_rim(&index) {
                rim.push((place(at), place(root)));
            }
            advance(&mut local, &lens);
            index
                .iter_mut()
                .zip(extent.start.iter().zip(&local))
                .for_each(|(i, (a, b))| *i = a + b);
        }
        rim.shrink_to_fit();
        Ok(Outline { parts, rim })
    }

    fn merged(&self, outlines: &[&Outline], extent: &Extent) -> Outline {
        let strides = strides(&extent.shape);
        let steps = forward(extent.shape.len(), self.connectivity);
        let steps: Vec<_> =
            steps.into_iter().map(|step| (distance(&step, &strides), step)).collect();
        let index_of = |place: i64| -> Vec<u64> {
            let axes = strides.iter().zip(&extent.shape);
            axes.map(|(stride, len)| (place / stride) as u64 % len).collect()
        };
        let all = |of: fn(&Outline) -> &Vec<Pair>| {
            let mut all =
                Vec::with_capacity(outlines.iter().map(|outline| of(outline).len()).sum());
            outlines.iter().for_each(|outline| all.extend_from_slice(of(outline)));
            all.sort_unstable();
            all
        };
        let mut rim = all(|outline| &outline.rim);
        let mut same = Same::default();
        for &(place, number) in &rim {
            let index = index_of(place);
            for (by, step) in &steps {
                let beside = rim.binary_search_by_key(&(place + by), |(place, _)| *place);
                if let Ok(at) = beside
                    && is_inside(&index, step, &extent.shape)
                {
                    same.join(number, rim[at].1);
                }
            }
        }
        rim.retain(|(place, _)| extent.is_rim(&index_of(*place)));
        rim.shrink_to_fit();
        let mut parts = all(|outline| &outline.parts);
        for (_, whole) in parts.iter_mut().chain(&mut rim) {
            *whole = same.first(*whole);
        }
        Outline { parts, rim }
    }

    /// Labels of a block, which are 0 where there is nothing.
    fn labels(
        &self,
        task: &TaskContext<'_>,
        mask: &ArrayViewD<'_, bool>,
        table: &ArrayViewD<'_, i64>,
    ) -> Result<ArrayD<i64>> {
        let extent = self.extent(task.block, &vec![1; task.block.len()])?;
        let place = places(mask.shape(), &extent);
        let roots = roots(mask, self.connectivity);
        let row = |i| table.index_axis(Axis(0), i).to_slice().expect("rows of a new table");
        let (numbers, of_numbers) = (row(0), row(1));
        let unknown = || Error::Internal {
            place: "label".into(),
            problem: "a component that was not there before".into(),
        };
        let mut status = Ok(());
        let out = filled::<i64>(mask.shape(), task.pool, |mut out| {
            let out = out.as_slice_mut().expect("a new block is in C order");
            for (at, &root) in roots.iter().enumerate() {
                out[at] = match root {
                    NONE => 0,
                    root if root < at => out[root],
                    _ => match numbers.binary_search(&place(at)) {
                        Ok(i) => of_numbers[i],
                        Err(_) => {
                            status = Err(unknown());
                            0
                        }
                    },
                };
            }
        });
        status.map(|()| out)
    }
}

/// The place in the array of an element of a block, by its number in the block.
fn places(shape: &[usize], extent: &Extent) -> impl Fn(usize) -> i64 {
    let lens: Vec<u64> = shape.iter().map(|&len| len as u64).collect();
    let axes: Vec<(i64, i64)> = strides(&lens).into_iter().zip(strides(&extent.shape)).collect();
    let first: i64 = extent.start.iter().zip(&axes).map(|(at, (_, far))| *at as i64 * far).sum();
    move |at| {
        let (mut place, mut rest) = (first, at as i64);
        for (near, far) in &axes {
            place += rest / near * far;
            rest %= near;
        }
        place
    }
}

/// Rows of the numbers and of their labels, which count the components in the order of their first elements.
fn table(outline: &Outline) -> Array2<i64> {
    let parts = &outline.parts;
    let mut table = Array2::zeros((2, parts.len()));
    let mut n = 0;
    for (i, &(number, whole)) in parts.iter().enumerate() {
        table[[0, i]] = number;
        // The smallest number of a component is that of the whole, and comes first.
        table[[1, i]] = match parts[..i].binary_search_by_key(&whole, |(number, _)| *number) {
            Ok(first) => table[[1, first]],
            Err(_) => {
                n += 1;
                n
            }
        };
    }
    table
}

impl Kernel for LabelKernel {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        Ok(match &self.step {
            LabelStep::Outline => {
                let mask = chunk::<bool>(inputs.take_one(0));
                Block::new(self.of_block(&mask.view(), task.block)?)
            }
            LabelStep::Merge(size) => {
                let blocks: Vec<Block> = inputs.take_slot(0).collect();
                let outlines: Vec<&Outline> = blocks.iter().map(outline).collect();
                Block::new(self.merged(&outlines, &self.extent(task.block, size)?))
            }
            LabelStep::Table => {
                let whole = inputs.take_one(0);
                Block::new(Chunk::new(table(outline(&whole)).into_dyn(), task.pool))
            }
            LabelStep::Labels => {
                let mask = chunk::<bool>(inputs.take_one(0));
                let table = chunk::<i64>(inputs.take_one(1));
                let labels = self.labels(task, &mask.view(), &table.view())?;
                Block::new(Chunk::new(labels, task.pool))
            }
            LabelStep::Count => {
                let table = chunk::<i64>(inputs.take_one(0));
                let n = table.view().index_axis(Axis(0), 1).iter().copied().max().unwrap_or(0);
                Block::new(Chunk::new(arr0(n).into_dyn(), task.pool))
            }
        })
    }

    fn identity(&self) -> Option<Identity> {
        Some(Identity::new("label", "", (&self.step, self.connectivity, &self.chunks)))
    }

    #[cfg(feature = "dist")]
    fn spec(&self) -> Result<KernelSpec, Unsendable> {
        Ok(KernelSpec::new("label", &(&self.step, self.connectivity, &self.chunks)))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::IxDyn;

    use super::*;

    #[test]
    fn neighbours_come_in_half_of_all_directions() {
        assert_eq!(forward(2, 1), [[0, 1], [1, 0]]);
        assert_eq!(forward(2, 2), [[0, 1], [1, -1], [1, 0], [1, 1]]);
        // (3ⁿ - 1) / 2, and without corners of a cube 4 fewer.
        let n = |ndim, connectivity| forward(ndim, connectivity).len();
        assert_eq!([n(3, 1), n(3, 2), n(3, 3), n(5, 5)], [3, 9, 13, 121]);
    }

    #[test]
    fn an_outline_comes_back_from_disk() {
        let outline = Outline { parts: vec![(0, 0), (7, 0)], rim: vec![(3, 0), (9, 7), (11, 7)] };
        let (parts, rim) = (outline.parts.clone(), outline.rim.clone());
        let back = Block::new(outline).through_disk();
        let back = super::outline(&back);
        assert_eq!((&back.parts, &back.rim), (&parts, &rim));
    }

    #[test]
    fn a_spiral_is_one_component() {
        let rows = ["#######", "......#", "#####.#", "#...#.#", "#.###.#", "#.....#", "#######"];
        let mask = ArrayD::from_shape_fn(IxDyn(&[7, 7]), |i| rows[i[0]].as_bytes()[i[1]] == b'#');
        let roots = roots(&mask.view(), 1);
        assert!(
            roots.iter().zip(&mask).all(|(root, is_set)| *root == if *is_set { 0 } else { NONE })
        );
    }
}
