//! Reductions by group along some axes, in three kernels: chunk, combine, finish.
//!
//! The grouped axes come last. A block becomes a partial result with an accumulator for each group that it has and
//! each kept position, groups first; partial results of several blocks are merged in the order of the blocks. Where
//! partial results would be no smaller than blocks, as those of each day of a year of days, one kernel reads the blocks.

use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;

use ndarray::{ArrayD, ArrayViewD, Axis, IxDyn, Slice};

use super::copy::to_usize;
use super::elemwise::arch;
use super::fold::Rows;
#[cfg(feature = "dist")]
use super::portable::{append, checked, head, items};
use super::reduce::{ReduceSpec, ReducerVisitor, no_reducer};
use super::reducers::{Accumulator, Finishing, Merging, Reducer};
use super::scalar::{Lane, Scalar};
use super::strip::STRIP;
use crate::array::chunk::{Chunk, chunk};
use crate::array::chunks::{AxisChunks, Chunks, NO_GROUP};
use crate::array::io::Strips;
use crate::error::{Error, Result};
use crate::graph::{Block, Identity, Inputs, Kernel, Load, Spill, TaskContext, Value};
#[cfg(feature = "dist")]
use crate::graph::{KernelSpec, Unsendable, encoded, undecodable};
use crate::memory::{BufferPool, Item, Lent};

/// Rows that are added to a tile before it is merged, as in `fold.rs`.
const ROWS: usize = 128;

/// Kept positions that are added up together: a tile should stay in the L1 cache.
const PANEL: usize = 2048;

/// With fewer kept positions, values of one group are gathered instead of adding up rows.
pub(crate) const ROW_LEN_MIN: usize = 64;

/// Accumulators of some groups.
#[derive(Debug)]
struct GroupPartial<A: Item> {
    /// What they are of, by which they are decoded.
    spec: ReduceSpec,
    /// Ascending.
    groups: Vec<u32>,
    /// How many elements each group has.
    counts: Vec<u64>,
    /// Group by group, those of all kept positions.
    accs: Lent<A>,
}

impl<A: Item> GroupPartial<A> {
    /// The accumulators of the group at `at`, and how many elements each of them has.
    fn group(&self, at: usize, n_kept: usize) -> (&[A], u64) {
        (&self.accs[at * n_kept..][..n_kept], self.counts[at])
    }
}

impl<A: Accumulator> Value for GroupPartial<A> {
    fn nbytes(&self) -> u64 {
        (self.accs.len() * size_of::<A>() + self.groups.len() * 12) as u64
    }

    #[cfg(feature = "dist")]
    fn encode(&self, bytes: &mut Vec<u8>) -> Option<&'static str> {
        bytes.extend(encoded(&(&self.spec, &self.groups, &self.counts)));
        append(&self.accs, bytes);
        Some("group_partial")
    }

    fn as_spill(&self) -> Option<&dyn Spill> {
        Some(self)
    }
}

impl<A: Accumulator> Spill for GroupPartial<A> {
    fn save(&self, to: &mut dyn Write) -> io::Result<Load> {
        let mut strips = Strips::new();
        strips.write(&self.groups, to)?;
        strips.write(&self.counts, to)?;
        strips.write(&self.accs, to)?;
        let (spec, n_groups, n_accs) = (self.spec.clone(), self.groups.len(), self.accs.len());
        Ok(Box::new(move |from, pool| {
            let mut strips = Strips::new();
            let groups = strips.read(from, n_groups)?;
            let counts = strips.read(from, n_groups)?;
            let mut accs = Lent::new(pool, n_accs, A::default());
            strips.fill(from, &mut accs)?;
            Ok(Block::new(GroupPartial { spec: spec.clone(), groups, counts, accs }))
        }))
    }
}

/// Decodes a [`GroupPartial`] of any reduction.
#[cfg(feature = "dist")]
pub(super) fn decode_groups(bytes: &[u8], pool: &Arc<BufferPool>) -> Result<Block> {
    const WHAT: &str = "a partial result of groups";
    struct Decode<'a>(ReduceSpec, Vec<u32>, Vec<u64>, &'a [u8], &'a Arc<BufferPool>);
    impl ReducerVisitor for Decode<'_> {
        type Result = Result<Block>;
        fn visit<R: Reducer>(self, _reducer: R) -> Result<Block> {
            let Decode(spec, groups, counts, data, pool) = self;
            let accs = items::<R::Acc>(WHAT, data)?;
            let is_whole = groups.len() == counts.len()
                && (if groups.is_empty() {
                    accs.is_empty()
                } else {
                    accs.len() % groups.len() == 0
                });
            if !is_whole {
                return Err(undecodable(WHAT, "groups without their accumulators"));
            }
            let accs = Lent::of(pool, accs);
            Ok(Block::new(GroupPartial { spec, groups, counts, accs }))
        }
    }
    let ((spec, groups, counts), data): ((ReduceSpec, _, _), _) = head(WHAT, bytes)?;
    let spec = checked(spec)?;
    spec.visit(Decode(spec.clone(), groups, counts, data, pool))
        .unwrap_or_else(|| no_reducer(&spec))
}

/// Bytes of a partial result of so many groups and kept positions.
pub(crate) fn group_partial_bytes(spec: &ReduceSpec, n_groups: u64, n_kept: u64) -> u64 {
    spec.partial_bytes(n_kept).saturating_add(12).saturating_mul(n_groups)
}

/// Bytes that reducing groups of whole blocks takes besides these and its output, if each row has `n_inner` elements of one
/// position along the first kept axis, and the blocks have `n_positions`.
pub(crate) fn group_whole_bytes(spec: &ReduceSpec, n_inner: u64, n_positions: u64) -> u64 {
    let panel = n_inner.max(PANEL as u64);
    let itemsize = spec.lane_dtype().nbytes() as u64;
    // Accumulators, a tile and what it becomes; a row; groups, their order and how many there are of each.
    let of_panel = spec.partial_bytes(3 * panel).saturating_add(panel * itemsize);
    of_panel.saturating_add(n_positions.saturating_mul(4 + 4 + 4 + 16))
}

/// Bytes that the last combining takes besides its inputs and its output.
pub(crate) fn group_finish_bytes(spec: &ReduceSpec) -> u64 {
    spec.partial_bytes(PANEL as u64)
}

/// Bytes that the chunk step takes besides its input and its output.
pub(crate) fn group_scratch_bytes(spec: &ReduceSpec, n_positions: u64, n_groups: u64) -> u64 {
    let itemsize = spec.lane_dtype().nbytes() as u64;
    let of_positions = n_positions.saturating_mul(4 + 2 * itemsize);
    let of_panel = spec.partial_bytes(2 * PANEL as u64) + PANEL as u64 * itemsize;
    // More groups than positions are not counted but sorted.
    let of_groups = n_groups.min(n_positions).saturating_add(1).saturating_mul(4 + 12);
    of_positions.saturating_add(of_groups).saturating_add(of_panel)
}

/// The positions of a block by group.
struct Members {
    groups: Vec<u32>,
    /// Positions in C order, group by group.
    order: Vec<u32>,
    /// Where the positions of each group end.
    ends: Vec<u32>,
}

impl Members {
    /// Sorts positions by their codes, in a time that does not depend on how many groups are elsewhere.
    fn new(codes: &ArrayViewD<'_, u32>, n_groups: u32) -> Self {
        match n_groups as usize > codes.len() {
            true => Members::by_comparison(codes),
            false => Members::by_counting(codes, n_groups),
        }
    }

    fn by_counting(codes: &ArrayViewD<'_, u32>, n_groups: u32) -> Self {
        let mut next = vec![0_u32; n_groups as usize + 1];
        for &code in codes.iter().filter(|code| **code != NO_GROUP) {
            next[code as usize + 1] += 1;
        }
        let groups: Vec<u32> = (0..n_groups).filter(|&g| next[g as usize + 1] > 0).collect();
        for g in 0..n_groups as usize {
            next[g + 1] += next[g];
        }
        let ends = groups.iter().map(|&g| next[g as usize + 1]).collect();
        let mut order = vec![0; next[n_groups as usize] as usize];
        for (position, &code) in codes.iter().enumerate().filter(|(_, code)| **code != NO_GROUP) {
            order[next[code as usize] as usize] = position as u32;
            next[code as usize] += 1;
        }
        Members { groups, order, ends }
    }

    fn by_comparison(codes: &ArrayViewD<'_, u32>) -> Self {
        let mut pairs = Vec::with_capacity(codes.len());
        let positions = codes.iter().zip(0_u32..).filter(|(code, _)| **code != NO_GROUP);
        pairs.extend(positions.map(|(&code, position)| (code, position)));
        pairs.sort_unstable();
        let n_groups = pairs.chunk_by(|a, b| a.0 == b.0).count();
        let (mut groups, mut ends) = (Vec::with_capacity(n_groups), Vec::with_capacity(n_groups));
        let mut end = 0;
        for members in pairs.chunk_by(|a, b| a.0 == b.0) {
            end += members.len() as u32;
            groups.push(members[0].0);
            ends.push(end);
        }
        Members { groups, order: pairs.iter().map(|pair| pair.1).collect(), ends }
    }

    /// Where the positions of a group are in the order.
    fn range_of(&self, group: u32) -> Range<usize> {
        let Ok(at) = self.groups.binary_search(&group) else { return 0..0 };
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        start as usize..self.ends[at] as usize
    }

    /// The positions of each group.
    fn ranges(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| start as usize..end as usize)
    }
}

/// The chunk step.
#[derive(Debug)]
pub(crate) struct GroupChunkKernel {
    pub(crate) spec: ReduceSpec,
    /// The group of each position of the grouped axes, in C order; if there are none, those of a block are in slot 1.
    pub(crate) codes: Option<Arc<[u32]>>,
    pub(crate) n_groups: u32,
    /// Of the input.
    pub(crate) chunks: Chunks,
    /// How many axes are kept; the others follow.
    pub(crate) n_kept: usize,
}

impl GroupChunkKernel {
    fn members(&self, task: &TaskContext<'_>, codes: Option<Block>) -> Option<Members> {
        let Some(all) = &self.codes else {
            return Some(Members::new(&chunk::<u32>(codes?).view(), self.n_groups));
        };
        let grouped = Chunks::new(&self.chunks.axes()[self.n_kept..]);
        let block = grouped.unravel_block(*task.block.last()?)?;
        let lens = to_usize(&grouped.known_shape()?);
        let (start, shape) = (grouped.block_start(&block)?, grouped.block_shape(&block)?);
        let mut codes = ArrayViewD::from_shape(IxDyn(&lens), all).ok()?;
        for (axis, (&start, &len)) in start.iter().zip(&shape).enumerate() {
            codes.slice_axis_inplace(
                Axis(axis),
                Slice::from(start as usize..(start + len) as usize),
            );
        }
        Some(Members::new(&codes, self.n_groups))
    }

    fn partial<R: Reducer>(
        &self,
        reducer: R,
        members: Members,
        block: &ArrayViewD<'_, R::In>,
        pool: &Arc<BufferPool>,
    ) -> Block {
        let n_kept: usize = block.shape()[..self.n_kept].iter().product();
        let mut accs = Lent::new(pool, members.groups.len() * n_kept, reducer.empty());
        let mut adding = Adding { reducer, accs: &mut accs, tile: None, out: None };
        if n_kept >= ROW_LEN_MIN && is_by_row(block.shape(), block.strides(), self.n_kept) {
            each_row(&members.groups, &[(&members, block.view())], self.n_kept, &mut adding);
        } else if !block.is_empty() {
            each_run(&members, block, self.n_kept, &mut adding);
        }
        let counts = members.ranges().map(|range| range.len() as u64).collect();
        Block::new(GroupPartial { spec: self.spec.clone(), groups: members.groups, counts, accs })
    }
}

/// Whether a block has elements, and those that are neighbours in memory have the same place along the grouped axes.
fn is_by_row(shape: &[usize], strides: &[isize], n_kept: usize) -> bool {
    let stride = |axes: Range<usize>| {
        let long = axes.filter(|&axis| shape[axis] > 1);
        long.map(|axis| strides[axis].unsigned_abs()).min().unwrap_or(usize::MAX)
    };
    !shape.contains(&0) && stride(0..n_kept) < stride(n_kept..shape.len())
}

/// Where the elements of groups go. This is compiled once for each reducer, the walks that call it only once for each dtype.
trait Sink<T> {
    /// Adds a run of elements to the accumulator at `at`, which has `n`.
    fn run(&mut self, at: usize, n: u64, run: &[T]);
    /// Begins a tile of neighbouring accumulators.
    fn open(&mut self, width: usize);
    /// Adds an element to each accumulator of the tile, which has `n` rows.
    fn row(&mut self, n: u64, row: &[T]);
    /// Adds the tile of `n_rows` to the accumulators from `at` on, which have `n` elements each.
    fn close(&mut self, at: usize, n: u64, n_rows: u64);
    /// Nothing more comes for the `width` accumulators from `at` on, which have `n` elements each.
    fn end(&mut self, at: usize, width: usize, n: u64);
}

struct Adding<'a, R: Reducer> {
    reducer: R,
    /// All, or where there is an output, those of a panel.
    accs: &'a mut [R::Acc],
    tile: Option<R::Tile>,
    /// The elements that accumulators become, as long as all have one.
    out: Option<Option<&'a mut [R::Out]>>,
}

impl<R: Reducer> Sink<R::In> for Adding<'_, R> {
    fn run(&mut self, at: usize, n: u64, run: &[R::In]) {
        let added = self.reducer.fold(run, 0);
        self.accs[at] = self.reducer.merge(self.accs[at], n, added, run.len() as u64);
    }

    fn open(&mut self, width: usize) {
        self.tile = Some(self.reducer.tile(width));
    }

    fn row(&mut self, n: u64, row: &[R::In]) {
        if let Some(tile) = &mut self.tile {
            let (reducer, width) = (self.reducer, row.len());
            Rows { reducer, tile, width, n, xs: row, start: 0 }.add(arch());
        }
    }

    fn close(&mut self, at: usize, n: u64, n_rows: u64) {
        if let Some(tile) = self.tile.take() {
            let added = self.reducer.close(tile, n_rows);
            let at = if self.out.is_some() { 0 } else { at };
            self.reducer.merge_all(&mut self.accs[at..], n, &added, n_rows);
        }
    }

    fn end(&mut self, at: usize, width: usize, n: u64) {
        if let Some(all) = &mut self.out {
            let accs = &mut self.accs[..width];
            let done = |out: &mut &mut [R::Out]| {
                self.reducer.finish_all(accs, n, nan(), &mut out[at..at + width])
            };
            if all.as_mut().and_then(done).is_none() {
                *all = None;
            }
            accs.fill(self.reducer.empty());
        }
    }
}

/// Calls `f` with what stands along the last axes, for each position of the first `n_kept` axes in C order.
fn each_lane<'a, T>(view: ArrayViewD<'a, T>, n_kept: usize, f: &mut dyn FnMut(ArrayViewD<'a, T>)) {
    if n_kept == 0 {
        return f(view);
    }
    for i in 0..view.len_of(Axis(0)) {
        each_lane(view.clone().index_axis_move(Axis(0), i), n_kept - 1, f);
    }
}

/// Gathers the values of each group and kept position.
fn each_run<T: Lane>(
    members: &Members,
    block: &ArrayViewD<'_, T>,
    n_kept_axes: usize,
    sink: &mut dyn Sink<T>,
) {
    let (kept, grouped) = block.shape().split_at(n_kept_axes);
    let (n_kept, n_positions): (usize, usize) = (kept.iter().product(), grouped.iter().product());
    let (mut copied, mut gathered) =
        (Vec::with_capacity(n_positions), Vec::with_capacity(n_positions));
    let mut place = 0;
    each_lane(block.view(), n_kept_axes, &mut |lane| {
        let lane = match lane.as_slice() {
            Some(lane) => lane,
            None => {
                copied.clear();
                copied.extend(lane.iter().copied());
                &copied
            }
        };
        gathered.clear();
        gathered.extend(members.order.iter().map(|&position| lane[position as usize]));
        for (i, range) in members.ranges().enumerate() {
            let mut n = 0;
            for strip in gathered[range].chunks(STRIP) {
                sink.run(i * n_kept + place, n, strip);
                n += strip.len() as u64;
            }
        }
        place += 1;
    });
}

/// Takes the rows of each group, block by block, some kept positions at a time.
fn each_row<T: Lane>(
    groups: &[u32],
    blocks: &[(&Members, ArrayViewD<'_, T>)],
    n_kept_axes: usize,
    sink: &mut dyn Sink<T>,
) {
    let Some((_, first)) = blocks.first() else { return };
    let (ndim, kept) = (first.ndim(), &first.shape()[..n_kept_axes]);
    let n_kept: usize = kept.iter().product();
    let order: Vec<usize> = (n_kept_axes..ndim).chain(0..n_kept_axes).collect();
    let n_inner: usize = kept[1..].iter().product();
    let n_outer = (PANEL / n_inner.max(1)).max(1);
    let panels = (0..kept[0]).step_by(n_outer).map(|start| {
        let outer = start..kept[0].min(start + n_outer);
        let rows = blocks.iter().map(|(_, block)| {
            let rows = block.view().permuted_axes(order.clone());
            rows.slice_axis_move(Axis(ndim - n_kept_axes), Slice::from(outer.clone()))
        });
        (outer.start * n_inner..outer.end * n_inner, rows.collect())
    });
    let panels: Vec<(Range<usize>, Vec<ArrayViewD<'_, T>>)> = panels.collect();
    let mut buffer = Vec::with_capacity(n_outer.min(kept[0]) * n_inner);
    for (i, &group) in groups.iter().enumerate() {
        let ranges = blocks.iter().map(|(members, _)| members.range_of(group));
        let ranges: Vec<Range<usize>> = ranges.collect();
        for (panel, rows) in &panels {
            let (at, width) = (i * n_kept + panel.start, panel.len());
            let (mut before, mut n) = (0, 0);
            for (((members, block), rows), range) in blocks.iter().zip(rows).zip(&ranges) {
                for &position in &members.order[range.clone()] {
                    if n == ROWS as u64 {
                        sink.close(at, before, n);
                        (before, n) = (before + n, 0);
                    }
                    if n == 0 {
                        sink.open(width);
                    }
                    let grouped = &block.shape()[n_kept_axes..];
                    let row = row_at(rows.view(), grouped, position as usize);
                    let row = match row.to_slice() {
                        Some(row) => row,
                        None => {
                            buffer.clear();
                            buffer.extend(row.iter().copied());
                            &buffer
                        }
                    };
                    sink.row(n, row);
                    n += 1;
                }
            }
            if n > 0 {
                sink.close(at, before, n);
            }
            sink.end(at, width, before + n);
        }
    }
}

/// What stands at a position, in C order, of the first axes.
fn row_at<'a, T>(
    mut rows: ArrayViewD<'a, T>,
    grouped: &[usize],
    mut position: usize,
) -> ArrayViewD<'a, T> {
    for (axis, &len) in grouped.iter().enumerate().rev() {
        rows = rows.index_axis_move(Axis(axis), position % len);
        position /= len;
    }
    rows
}

impl Kernel for GroupChunkKernel {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        struct Partial<'k>(&'k GroupChunkKernel, Members, Block, &'k Arc<BufferPool>);
        impl ReducerVisitor for Partial<'_> {
            type Result = Block;
            fn visit<R: Reducer>(self, reducer: R) -> Block {
                let block = chunk::<R::In>(self.2);
                self.0.partial(reducer, self.1, &block.view(), self.3)
            }
        }
        let block = inputs.take_one(0);
        let members = self.members(task, inputs.take_slot(1).next());
        let members = members.ok_or_else(|| internal(&self.spec, "a block of no place"))?;
        let block = self.spec.visit(Partial(self, members, block, task.pool));
        block.map_or_else(|| no_reducer(&self.spec), Ok)
    }

    fn identity(&self) -> Option<Identity> {
        let parameters = (&self.spec, &self.codes, &self.chunks, self.n_kept);
        Some(Identity::new("group", self.spec.in_dtype.name(), parameters))
    }

    #[cfg(feature = "dist")]
    fn spec(&self) -> Result<KernelSpec, Unsendable> {
        Ok(KernelSpec::new(
            "group",
            &(&self.spec, &self.codes, self.n_groups, &self.chunks, self.n_kept),
        ))
    }
}

/// All steps in one, of blocks that are all in memory.
#[derive(Debug)]
pub(crate) struct GroupWholeKernel {
    pub(crate) spec: ReduceSpec,
    /// The group of each position of the grouped axis, of which there is one.
    pub(crate) codes: Arc<[u32]>,
    pub(crate) n_groups: u32,
    /// How the grouped axis is cut.
    pub(crate) axis: AxisChunks,
    /// The blocks along the axis that each block of the result reads, and its groups.
    pub(crate) reads: Arc<[Box<[u64]>]>,
    pub(crate) groups: Arc<[Range<u32>]>,
    /// Of the result.
    pub(crate) out: Chunks,
}

impl GroupWholeKernel {
    fn members(&self, block: u64) -> Option<Members> {
        let range = self.axis.block_range(block)?;
        let codes = self.codes.get(range.start as usize..range.end as usize)?;
        Some(Members::new(
            &ArrayViewD::from_shape(IxDyn(&[codes.len()]), codes).ok()?,
            self.n_groups,
        ))
    }

    fn reduce<R: Reducer>(
        &self,
        reducer: R,
        task: &TaskContext<'_>,
        blocks: Vec<Block>,
    ) -> Result<Block> {
        let lost = || internal(&self.spec, "a block of no place");
        let place = *task.block.last().ok_or_else(lost)? as usize;
        let groups: Vec<u32> = self.groups[place].clone().collect();
        let members = self.reads[place].iter().map(|&block| self.members(block));
        let members = members.collect::<Option<Vec<_>>>().ok_or_else(lost)?;
        let blocks: Vec<Chunk<R::In>> = blocks.into_iter().map(chunk).collect();
        let shape = to_usize(&self.out.block_shape(task.block).ok_or_else(lost)?);
        let n_kept_axes = shape.len() - 1;
        let by_group = [&[groups.len()][..], &shape[..n_kept_axes]].concat();
        let mut out = task.pool.take::<R::Out>(by_group.iter().product());
        let n_inner: usize = shape[1..n_kept_axes].iter().product();
        let mut accs = vec![reducer.empty(); PANEL.max(n_inner)];
        let (accs, all) = (&mut accs[..], Some(&mut out[..]));
        let mut adding = Adding { reducer, accs, tile: None, out: Some(all) };
        let blocks: Vec<_> =
            members.iter().zip(&blocks).map(|(members, block)| (members, block.view())).collect();
        if !by_group.contains(&0) {
            each_row(&groups, &blocks, n_kept_axes, &mut adding);
        }
        if adding.out.flatten().is_none() {
            return Err(self.spec.nothing_left());
        }
        turned(&self.spec, &by_group, out, task.pool)
    }
}

impl Kernel for GroupWholeKernel {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        struct Whole<'k>(&'k GroupWholeKernel, &'k TaskContext<'k>, Vec<Block>);
        impl ReducerVisitor for Whole<'_> {
            type Result = Result<Block>;
            fn visit<R: Reducer>(self, reducer: R) -> Result<Block> {
                self.0.reduce(reducer, self.1, self.2)
            }
        }
        let blocks = inputs.take_slot(0).collect();
        let reduced = self.spec.visit(Whole(self, task, blocks));
        reduced.unwrap_or_else(|| no_reducer(&self.spec))
    }

    fn identity(&self) -> Option<Identity> {
        let parameters = (&self.spec, &self.codes, &self.axis, &self.groups, &self.out);
        Some(Identity::new("group_whole", self.spec.in_dtype.name(), parameters))
    }

    #[cfg(feature = "dist")]
    fn spec(&self) -> Result<KernelSpec, Unsendable> {
        let of = (&self.spec, &self.codes, self.n_groups, &self.axis);
        Ok(KernelSpec::new("group_whole", &(of, &self.reads, &self.groups, &self.out)))
    }
}

/// What an extreme of nothing is where elements can say so.
fn nan<T: Lane>() -> Option<T> {
    let has_nan = T::DTYPE.is_float() || T::DTYPE.is_complex();
    has_nan.then(|| T::from_scalar(Scalar::F64(f64::NAN)))
}

fn internal(spec: &ReduceSpec, problem: &str) -> Error {
    Error::Internal { place: spec.to_string(), problem: problem.into() }
}

/// Merges the partial results of some blocks; the last time, the accumulators become elements.
#[derive(Debug)]
pub(crate) struct GroupCombineKernel {
    pub(crate) spec: ReduceSpec,
    /// The groups of each block.
    pub(crate) groups: Arc<[Range<u32>]>,
    /// Of the result, for the last time.
    pub(crate) out: Option<Chunks>,
}

impl GroupCombineKernel {
    fn combine<A: Accumulator, O: Lane>(
        &self,
        reducer: &dyn Finishing<A, O>,
        task: &TaskContext<'_>,
        blocks: &[Block],
    ) -> Result<Block> {
        let place = task.block.last().copied().unwrap_or(0) as usize;
        let groups = &self.groups[place];
        let partials: Option<Vec<&GroupPartial<A>>> =
            blocks.iter().map(Block::downcast_ref).collect();
        let partials =
            partials.ok_or_else(|| internal(&self.spec, "a block of another reduction"))?;
        let Some(out) = &self.out else {
            return Ok(self.merge(reducer, groups, &partials, task.pool));
        };
        let shape = out.block_shape(task.block).unwrap_or_default();
        self.finish(reducer, groups, &partials, &shape, task.pool)
    }

    fn merge<A: Accumulator>(
        &self,
        reducer: &dyn Merging<A>,
        groups: &Range<u32>,
        partials: &[&GroupPartial<A>],
        pool: &Arc<BufferPool>,
    ) -> Block {
        let has_some = partials.iter().find(|partial| !partial.groups.is_empty());
        let n_kept = has_some.map_or(0, |partial| partial.accs.len() / partial.groups.len());
        let lists: Vec<&[u32]> = partials.iter().map(|partial| &*partial.groups).collect();
        let (all, places) = union(groups, &lists);
        let mut counts = vec![0; all.len()];
        let mut accs = Lent::new(pool, all.len() * n_kept, reducer.nothing());
        for (from, to) in places {
            let (others, n) = partials[from.partial].group(from.at, n_kept);
            reducer.merge_all(&mut accs[to * n_kept..][..n_kept], counts[to], others, n);
            counts[to] += n;
        }
        Block::new(GroupPartial { spec: self.spec.clone(), groups: all, counts, accs })
    }

    /// Merges some kept positions of a group at a time, so that what is merged is finished while it is in the cache.
    fn finish<A: Accumulator, O: Lane>(
        &self,
        reducer: &dyn Finishing<A, O>,
        groups: &Range<u32>,
        partials: &[&GroupPartial<A>],
        shape: &[u64],
        pool: &Arc<BufferPool>,
    ) -> Result<Block> {
        // Groups first, as accumulators are.
        let mut by_group = vec![groups.len()];
        by_group.extend(to_usize(&shape[..shape.len() - 1]));
        let n_kept: usize = by_group[1..].iter().product();
        let lists: Vec<&[u32]> = partials.iter().map(|partial| &*partial.groups).collect();
        let mut out = pool.take::<O>(groups.len() * n_kept);
        let mut accs = vec![reducer.nothing(); PANEL.min(n_kept)];
        for (group, out) in groups.clone().zip(out.chunks_exact_mut(n_kept.max(1))) {
            let found = places_of(group, &lists);
            for (panel, out) in out.chunks_mut(PANEL).enumerate() {
                accs.fill(reducer.nothing());
                let mut n = 0;
                for from in &found {
                    let (others, n_others) = partials[from.partial].group(from.at, n_kept);
                    reducer.merge_all(&mut accs, n, &others[panel * PANEL..], n_others);
                    n += n_others;
                }
                let finished = reducer.finish_all(&accs, n, nan(), out);
                finished.ok_or_else(|| self.spec.nothing_left())?;
            }
        }
        turned(&self.spec, &by_group, out, pool)
    }
}

/// Where a partial result has a group.
struct PlaceOfGroup {
    partial: usize,
    at: usize,
}

/// Where lists of groups, which ascend, have a group.
fn places_of(group: u32, lists: &[&[u32]]) -> Vec<PlaceOfGroup> {
    let places = lists.iter().enumerate().filter_map(|(partial, list)| {
        list.binary_search(&group).ok().map(|at| PlaceOfGroup { partial, at })
    });
    places.collect()
}

/// All groups of some lists that are in a range, and for each one of a list where it is among them.
fn union(range: &Range<u32>, lists: &[&[u32]]) -> (Vec<u32>, Vec<(PlaceOfGroup, usize)>) {
    let wanted = |list: &[u32]| {
        let place = |group: u32| list.partition_point(|other| *other < group);
        place(range.start)..place(range.end)
    };
    let mut all: Vec<u32> =
        lists.iter().flat_map(|list| list[wanted(list)].iter().copied()).collect();
    all.sort_unstable();
    all.dedup();
    let places = lists.iter().enumerate().flat_map(|(partial, list)| {
        wanted(list).map(move |at| (PlaceOfGroup { partial, at }, list[at]))
    });
    let places = places.map(|(from, group)| (from, all.partition_point(|other| *other < group)));
    let places = places.collect();
    (all, places)
}

/// Elements by group, then kept position, as a chunk whose last axis is that of the groups.
fn turned<T: Lane>(
    spec: &ReduceSpec,
    by_group: &[usize],
    elements: Vec<T>,
    pool: &Arc<BufferPool>,
) -> Result<Block> {
    let array = ArrayD::from_shape_vec(IxDyn(by_group), elements)
        .map_err(|error| internal(spec, &error.to_string()))?;
    let order: Vec<usize> = (1..by_group.len()).chain([0]).collect();
    Ok(Block::new(Chunk::new(array.permuted_axes(order), pool)))
}

impl Kernel for GroupCombineKernel {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        struct Combine<'k>(&'k GroupCombineKernel, &'k TaskContext<'k>, Vec<Block>);
        impl ReducerVisitor for Combine<'_> {
            type Result = Result<Block>;
            fn visit<R: Reducer>(self, reducer: R) -> Result<Block> {
                self.0.combine(&reducer, self.1, &self.2)
            }
        }
        let blocks = inputs.take_slot(0).collect();
        let combined = self.spec.visit(Combine(self, task, blocks));
        combined.unwrap_or_else(|| no_reducer(&self.spec))
    }

    fn identity(&self) -> Option<Identity> {
        let parameters = (&self.spec, &self.groups, &self.out);
        Some(Identity::new("group_combine", self.spec.in_dtype.name(), parameters))
    }

    #[cfg(feature = "dist")]
    fn spec(&self) -> Result<KernelSpec, Unsendable> {
        Ok(KernelSpec::new("group_combine", &(&self.spec, &self.groups, &self.out)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sorts_give_the_same_members() {
        let codes: Vec<u32> =
            (0..60).map(|i| if i % 7 == 3 { NO_GROUP } else { i * i % 23 }).collect();
        let view = ArrayViewD::from_shape(IxDyn(&[6, 10]), &codes).unwrap();
        // Neighbours in another order than in memory.
        for view in [view.view(), view.t(), view.slice_axis(Axis(1), Slice::from(2..9))] {
            let (a, b) = (Members::by_counting(&view, 23), Members::by_comparison(&view));
            assert_eq!((a.groups, a.order, a.ends), (b.groups, b.order, b.ends));
        }
        let few = ArrayViewD::from_shape(IxDyn(&[2]), &[u32::MAX - 1, 4]).unwrap();
        // A counting sort would take 16 GiB.
        let members = Members::new(&few, u32::MAX);
        assert_eq!((members.groups, members.order), (vec![4, u32::MAX - 1], vec![1, 0]));
    }
}
