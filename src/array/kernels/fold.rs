//! Walks a block in strips and hands them to a reducer.
//!
//! Axes that are reduced together, or kept together, count as one. Where the last axis is reduced,
//! strips are runs of one result; where it is kept, strips are rows that are added to a tile of
//! accumulators in the cache. Either way memory is read once, in large pieces.
//!
//! Invariant: the order of additions depends on the lengths of the reduced axes only, and each result
//! is a tree of short runs, so that rounding errors grow with the logarithm of the length. Which
//! other results the block keeps changes nothing: a slice that is pushed through a reduction leaves
//! the same bits.

use pulp::NullaryFnOnce;

use super::compile::Compiled;
use super::reducers::{Merging, Reducer};
use super::scalar::Lane;
use super::strip::{Frame, STRIP, Val};

/// Strips that are one loop where nothing has to be computed: while one is merged, the next ones are on their way from memory.
const TOGETHER: usize = 8;

/// Rows that are added to a tile before it becomes a leaf of the tree.
const ROWS: usize = 128;

/// Neighbouring axes that are reduced, or kept, as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Group {
    len: usize,
    is_reduced: bool,
}

/// Kept axes count whatever their length, so that the groups do not depend on it.
fn group_axes(shape: &[usize], axes: &[usize]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (axis, &len) in shape.iter().enumerate() {
        let is_reduced = axes.contains(&axis);
        if is_reduced && len == 1 {
            continue;
        }
        match groups.last_mut() {
            Some(last) if last.is_reduced == is_reduced => last.len *= len,
            _ => groups.push(Group { len, is_reduced }),
        }
    }
    groups
}

/// Adds the elements of a block to accumulators, which are empty, one for each kept position in C order.
pub(crate) fn fold_block<R: Reducer>(
    reducer: R,
    compiled: &Compiled,
    frame: &mut Frame<'_>,
    axes: &[usize],
    accs: &mut [R::Acc],
) {
    let groups = group_axes(&frame.shape, axes);
    let n: usize = frame.shape.iter().product();
    let mut walk = Walk { reducer, compiled, frame, accs };
    if n == 0 {
        return;
    }
    match groups.split_last() {
        None => walk.rows(&[], 1),
        Some((last, outer)) if last.is_reduced => walk.rows(outer, last.len),
        Some((last, outer)) => match outer.split_last() {
            None => walk.columns(&[], 1, last.len),
            Some((reduced, outer)) => walk.columns(outer, reduced.len, last.len),
        },
    }
}

struct Walk<'w, 'a, R: Reducer> {
    reducer: R,
    compiled: &'w Compiled,
    frame: &'w mut Frame<'a>,
    accs: &'w mut [R::Acc],
}

impl<R: Reducer> Walk<'_, '_, R> {
    /// Each row of `len` elements becomes one accumulator.
    fn rows(&mut self, outer: &[Group], len: usize) {
        let n_rows: usize = outer.iter().map(|group| group.len).product();
        if len < STRIP {
            let n_together = STRIP / len;
            for row in (0..n_rows).step_by(n_together) {
                self.short_rows(outer, row, n_together.min(n_rows - row), len);
            }
            return;
        }
        for row in 0..n_rows {
            let mut tree = Tree::default();
            let mut start = 0;
            while start < len {
                let (n, height) = match self.folds_together() && len - start >= TOGETHER * STRIP {
                    true => (TOGETHER * STRIP, TOGETHER.ilog2()),
                    false => (STRIP.min(len - start), 0),
                };
                let lanes = self.fold_lanes(row * len + start, row * len + start + n);
                tree.push_at(height, self.reducer, lanes, n as u64);
                start += n;
            }
            if let Some((lanes, n)) = tree.finish(self.reducer) {
                self.add(outer, row, self.reducer.join_lanes(lanes), n);
            }
        }
    }

    /// Several whole rows in one strip.
    fn short_rows(&mut self, outer: &[Group], first: usize, n_rows: usize, len: usize) {
        let start = first * len;
        self.strip(start, start + n_rows * len);
        let xs = self.frame.value::<R::In>(self.compiled.result());
        let mut splat = Vec::new();
        let xs = as_slice(xs, n_rows * len, &mut splat);
        let rows = ShortRows { reducer: self.reducer, xs, len, first, outer, accs: self.accs };
        if R::In::HAS_SIMD { self.frame.arch.dispatch(rows) } else { rows.call() }
    }

    /// Adds `n_reduced` rows of `n_columns` elements, once per position of the outer groups.
    fn columns(&mut self, outer: &[Group], n_reduced: usize, n_columns: usize) {
        let n_outer: usize = outer.iter().map(|group| group.len).product();
        for block in 0..n_outer {
            let (out, before) = locate(outer, block);
            let n_before = (before * n_reduced) as u64;
            let base = block * n_reduced * n_columns;
            for column in (0..n_columns).step_by(STRIP) {
                let width = STRIP.min(n_columns - column);
                let tile = self.tile(base + column, n_columns, n_reduced, width);
                let at = out * n_columns + column;
                for (acc, new) in self.accs[at..at + width].iter_mut().zip(tile) {
                    *acc = self.reducer.merge(*acc, n_before, new, n_reduced as u64);
                }
            }
        }
    }

    /// The accumulators of `width` columns over `n_rows` rows that are `stride` apart.
    fn tile(&mut self, base: usize, stride: usize, n_rows: usize, width: usize) -> Vec<R::Acc> {
        // Whole rows lie one after another, so that a strip can hold several.
        let n_together = if width == stride { (STRIP / width).max(1) } else { 1 };
        let mut tree = Tree::default();
        for first in (0..n_rows).step_by(ROWS) {
            let n = ROWS.min(n_rows - first);
            let mut tile = self.reducer.tile(width);
            for i in (0..n).step_by(n_together) {
                let start = base + (first + i) * stride;
                let len = n_together.min(n - i) * width;
                self.strip(start, start + len);
                let xs = self.frame.value::<R::In>(self.compiled.result());
                let mut splat = Vec::new();
                let xs = as_slice(xs, len, &mut splat);
                let (reducer, tile) = (self.reducer, &mut tile);
                Rows { reducer, tile, width, n: i as u64, xs, start }.add(self.frame.arch);
            }
            tree.push(self.reducer, self.reducer.close(tile, n as u64), n as u64);
        }
        let empty = || vec![self.reducer.empty(); width];
        tree.finish(self.reducer).map_or_else(empty, |(accs, _)| accs)
    }

    /// Computes the elements of a strip.
    fn strip(&mut self, start: usize, end: usize) {
        self.frame.range = start..end;
        self.compiled.run(self.frame);
    }

    /// Whether strips lie in memory as they are folded, so that several of them are one loop.
    fn folds_together(&self) -> bool {
        RunLanes::<R>::HAS_LANES && self.compiled.is_in_place::<R::In>(self.frame)
    }

    /// What one strip of a long run becomes, or several.
    fn fold_lanes(&mut self, start: usize, end: usize) -> R::Lanes {
        self.strip(start, end);
        let xs = self.frame.value::<R::In>(self.compiled.result());
        let mut splat = Vec::new();
        let xs = as_slice(xs, end - start, &mut splat);
        let fold = RunLanes { reducer: self.reducer, xs, first: start as u64 };
        if R::In::HAS_SIMD { self.frame.arch.dispatch(fold) } else { fold.call() }
    }

    /// Adds the accumulator of a row to its result.
    fn add(&mut self, outer: &[Group], row: usize, acc: R::Acc, n: u64) {
        let (out, before) = locate(outer, row);
        let accs = &mut self.accs[out];
        *accs = self.reducer.merge(*accs, before as u64 * n, acc, n);
    }
}

/// The result that a position of the outer groups belongs to, and how many came before for it.
fn locate(outer: &[Group], mut position: usize) -> (usize, usize) {
    let (mut out, mut n_out, mut before, mut n_before) = (0, 1, 0, 1);
    for group in outer.iter().rev() {
        let i = position % group.len;
        position /= group.len;
        if group.is_reduced {
            before += i * n_before;
            n_before *= group.len;
        } else {
            out += i * n_out;
            n_out *= group.len;
        }
    }
    (out, before)
}

/// The strip as a slice, also where all elements are one value.
fn as_slice<'s, T: Copy>(val: Val<'s, T>, n: usize, splat: &'s mut Vec<T>) -> &'s [T] {
    match val {
        Val::Slice(xs) => xs,
        Val::Splat(x) => {
            splat.resize(n, x);
            splat
        }
    }
}

/// Accumulators of consecutive pieces, merged in pairs of equal height like a binary counter.
///
/// A leaf is one accumulator, or a list of one per column.
#[derive(Debug)]
struct Tree<L> {
    /// Height, count and leaf.
    pending: Vec<(u32, u64, L)>,
}

impl<L> Default for Tree<L> {
    fn default() -> Self {
        Tree { pending: Vec::new() }
    }
}

impl<L> Tree<L> {
    fn push<R>(&mut self, reducer: R, accs: L, n: u64)
    where
        R: Reducer,
        L: AsRef<[R::Acc]> + AsMut<[R::Acc]>,
    {
        self.push_at(0, reducer, accs, n);
    }

    /// Adds what is a tree of this height already.
    fn push_at<R>(&mut self, mut height: u32, reducer: R, mut accs: L, mut n: u64)
    where
        R: Reducer,
        L: AsRef<[R::Acc]> + AsMut<[R::Acc]>,
    {
        while let Some((_, n_earlier, mut earlier)) =
            self.pending.pop_if(|&mut (h, ..)| h == height)
        {
            reducer.merge_all(earlier.as_mut(), n_earlier, accs.as_ref(), n);
            (accs, n, height) = (earlier, n + n_earlier, height + 1);
        }
        self.pending.push((height, n, accs));
    }

    fn finish<R>(mut self, reducer: R) -> Option<(L, u64)>
    where
        R: Reducer,
        L: AsRef<[R::Acc]> + AsMut<[R::Acc]>,
    {
        let (_, mut n, mut accs) = self.pending.pop()?;
        while let Some((_, n_earlier, mut earlier)) = self.pending.pop() {
            reducer.merge_all(earlier.as_mut(), n_earlier, accs.as_ref(), n);
            (accs, n) = (earlier, n + n_earlier);
        }
        Some((accs, n))
    }
}

/// A strip of a long run, or [`TOGETHER`] of them.
struct RunLanes<'s, R: Reducer> {
    reducer: R,
    xs: &'s [R::In],
    first: u64,
}

impl<R: Reducer> RunLanes<'_, R> {
    /// Whether strips fold so fast that what comes after each of them counts.
    const HAS_LANES: bool = size_of::<R::Lanes>() > size_of::<R::Acc>();

    #[inline(always)]
    fn strip(&self, i: usize) -> R::Lanes {
        let start = i * STRIP;
        self.reducer.fold_lanes(&self.xs[start..start + STRIP], self.first + start as u64)
    }

    /// The strips, merged as a [`Tree`] does, but without leaving the registers for long.
    #[inline(always)]
    fn together(&self) -> R::Lanes {
        let mut pending = [self.strip(0); TOGETHER.ilog2() as usize];
        let mut merged = pending[0];
        for i in 1..TOGETHER {
            merged = self.strip(i);
            let mut height = 0;
            while i >> height & 1 == 1 {
                let n = (STRIP << height) as u64;
                let mut earlier = pending[height];
                for (acc, &later) in earlier.as_mut().iter_mut().zip(merged.as_ref()) {
                    *acc = self.reducer.merge(*acc, n, later, n);
                }
                (merged, height) = (earlier, height + 1);
            }
            if let Some(place) = pending.get_mut(height) {
                *place = merged;
            }
        }
        merged
    }
}

impl<R: Reducer> NullaryFnOnce for RunLanes<'_, R> {
    type Output = R::Lanes;

    #[inline(always)]
    fn call(self) -> R::Lanes {
        if Self::HAS_LANES && self.xs.len() == TOGETHER * STRIP {
            return self.together();
        }
        self.reducer.fold_lanes(self.xs, self.first)
    }
}

/// Rows that are a result each, from row number `first` on.
struct ShortRows<'s, R: Reducer> {
    reducer: R,
    xs: &'s [R::In],
    len: usize,
    first: usize,
    outer: &'s [Group],
    accs: &'s mut [R::Acc],
}

impl<R: Reducer> NullaryFnOnce for ShortRows<'_, R> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let ShortRows { reducer, xs, len, first, outer, accs } = self;
        for (row, xs) in (first..).zip(xs.chunks_exact(len)) {
            let added = reducer.fold(xs, (row * len) as u64);
            let (out, before) = locate(outer, row);
            accs[out] = reducer.merge(accs[out], (before * len) as u64, added, len as u64);
        }
    }
}

/// Rows that are added to accumulators one after another.
pub(super) struct Rows<'s, R: Reducer> {
    pub(super) reducer: R,
    pub(super) tile: &'s mut R::Tile,
    pub(super) width: usize,
    /// How many rows the tile holds already.
    pub(super) n: u64,
    pub(super) xs: &'s [R::In],
    pub(super) start: usize,
}

impl<R: Reducer> Rows<'_, R> {
    pub(super) fn add(self, arch: pulp::Arch) {
        if R::In::HAS_SIMD { arch.dispatch(self) } else { self.call() }
    }
}

impl<R: Reducer> NullaryFnOnce for Rows<'_, R> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (i, row) in self.xs.chunks_exact(self.width).enumerate() {
            let first = (self.start + i * self.width) as u64;
            self.reducer.add_row(self.tile, self.n + i as u64, row, first);
        }
    }
}
