//! Reductions of windows that slide along axes, without the windows: rolling means, box filters.
//!
//! Element `k` of the windows that begin along a row is a row of the block too, only moved. So accumulators of neighbouring
//! windows are computed side by side from rows that are in the cache, by the same steps as those of a single
//! run: results have the bits that windows in memory would give.

use std::any::Any;
use std::ops::Range;
use std::sync::Arc;

use ndarray::{ArrayD, ArrayViewD, IxDyn};
use pulp::NullaryFnOnce;

use super::elemwise::arch;
use super::program::Program;
use super::read::standard;
use super::reduce::{Partial, ReduceSpec, ReducerVisitor, no_reducer};
use super::reducers::{Finishing, Reducer};
use super::scalar::Lane;
use super::strip::STRIP;
use super::windows::WindowsKernel;
use crate::array::chunk::{Chunk, chunk};
use crate::array::dtype::dispatch;
use crate::error::Result;
use crate::graph::{Block, Inputs, Kernel, TaskContext};
#[cfg(feature = "dist")]
use crate::graph::{KernelSpec, Unsendable};
use crate::memory::{BufferPool, Lent};

/// Reduces each window of a block to an accumulator.
#[derive(Debug)]
pub(crate) struct WindowReduceKernel {
    spec: ReduceSpec,
    /// An axis and the length of the windows along it, for each axis of windows.
    windows: Vec<(usize, usize)>,
    /// Whether windows are whole, so that accumulators become elements at once.
    is_whole: bool,
}

impl WindowReduceKernel {
    /// The reduction of `program`, which has `ndim` axes, over `producer`, if that makes windows, over which, and over nothing
    /// else, elements are reduced as they are.
    pub(super) fn over(
        spec: &ReduceSpec,
        program: &Program,
        ndim: usize,
        is_whole: bool,
        producer: &dyn Kernel,
    ) -> Option<Self> {
        let producer: &dyn Any = producer;
        let windows = dispatch!(spec.in_dtype, T => {
            producer.downcast_ref::<WindowsKernel<T>>()?.windows().to_vec()
        });
        let has_last = spec.axes.last().is_some_and(|last| last + 1 == ndim);
        let is_plain = spec.prepared(program).is_identity();
        let kernel = || WindowReduceKernel::new(spec.clone(), windows, is_whole);
        (has_last && is_plain).then(kernel).flatten()
    }

    /// A reduction of the axes that follow those of a block. None if these are not as many as windows; longer runs than a
    /// strip are folded in other steps, and runs of one element in none.
    pub(crate) fn new(
        spec: ReduceSpec,
        windows: Vec<(usize, usize)>,
        is_whole: bool,
    ) -> Option<Self> {
        let n_kept = spec.axes.first().copied()?;
        let fits = spec.axes.iter().copied().eq(n_kept..n_kept + windows.len())
            && windows.iter().all(|(axis, _)| *axis < n_kept)
            && !spec.kind.is_position();
        let kernel = fits.then_some(WindowReduceKernel { spec, windows, is_whole })?;
        (2..STRIP).contains(&kernel.volume()).then_some(kernel)
    }

    /// How many elements a window has.
    fn volume(&self) -> usize {
        self.windows.iter().fold(1, |volume, (_, len)| volume.saturating_mul(*len))
    }

    fn reduce<R: Reducer>(
        &self,
        reducer: R,
        block: Chunk<R::In>,
        pool: &Arc<BufferPool>,
    ) -> Result<Block> {
        let block = standard(block, pool);
        let data = block.data();
        let mut shape = self.shape(data.shape());
        let n_windows = shape.iter().product();
        let width = shape.last().copied().unwrap_or(0);
        let all = shape.clone();
        shape.extend(self.windows.iter().map(|_| 1));
        let fold = |columns: &[&[R::In]], accs: &mut [R::Acc]| {
            let across = Across { reducer, columns, accs };
            if R::In::HAS_SIMD { arch().dispatch(across) } else { across.call() }
        };
        let n = self.volume() as u64;
        if !self.is_whole {
            let mut accs = Lent::new(pool, n_windows, reducer.empty());
            let each = &mut |at: Range<usize>, columns: &[&[R::In]]| fold(columns, &mut accs[at]);
            self.each_row(&data.view(), &all, each);
            return Ok(Block::new(Partial { spec: self.spec.clone(), accs, n, shape }));
        }
        let mut out = pool.take::<R::Out>(n_windows);
        // A strip at a time, so that accumulators are in the cache when they become elements.
        let mut accs = vec![reducer.empty(); width.min(STRIP)];
        let mut is_there = true;
        self.each_row(&data.view(), &all, &mut |at, columns| {
            let mut pieces: Vec<&[R::In]> = Vec::with_capacity(columns.len());
            for (i, out) in out[at].chunks_mut(STRIP).enumerate() {
                pieces.clear();
                pieces.extend(columns.iter().map(|column| &column[i * STRIP..][..out.len()]));
                let accs = &mut accs[..out.len()];
                fold(&pieces, accs);
                is_there &= reducer.finish_all(accs, n, None, out).is_some();
            }
        });
        if !is_there {
            return Err(self.spec.nothing_left());
        }
        let array = ArrayD::from_shape_vec(IxDyn(&shape), out)
            .expect("there is one element for each window");
        Ok(Block::new(Chunk::new(array, pool)))
    }

    /// How many windows there are along each axis of a block.
    fn shape(&self, block: &[usize]) -> Vec<usize> {
        let mut shape = block.to_vec();
        for (axis, len) in &self.windows {
            shape[*axis] = (shape[*axis] + 1).saturating_sub(*len);
        }
        shape
    }

    /// Calls `f` with the places of neighbouring windows and, for each element of a window, where in the block theirs are.
    ///
    /// Compiled once for each dtype, `f` for each reducer.
    fn each_row<T>(&self, block: &ArrayViewD<'_, T>, shape: &[usize], f: &mut EachRow<'_, T>) {
        let strides: Vec<usize> = block.strides().iter().map(|stride| *stride as usize).collect();
        let shifts = self.shifts(&strides);
        let (width, outer) = shape.split_last().expect("windows slide along an axis");
        let all = block.to_slice().expect("the block is in C order");
        let mut columns = Vec::with_capacity(shifts.len());
        let n_rows = if *width == 0 { 0 } else { outer.iter().product() };
        for row in 0..n_rows {
            let start = offset(row, outer, &strides);
            columns.clear();
            columns.extend(shifts.iter().map(|shift| &all[start + shift..][..*width]));
            f(row * width..(row + 1) * width, &columns);
        }
    }

    /// How far each element of a window is from its first one, in C order of windows.
    fn shifts(&self, strides: &[usize]) -> Vec<usize> {
        let mut shifts = vec![0];
        for &(axis, len) in &self.windows {
            let along = |shift: usize| (0..len).map(move |i| shift + i * strides[axis]);
            shifts = shifts.into_iter().flat_map(along).collect();
        }
        shifts
    }
}

/// Gets the places of a row of windows and the elements of the block that are in them.
type EachRow<'f, T> = dyn FnMut(Range<usize>, &[&[T]]) + 'f;

/// Where row number `row` of an array of shape `outer` begins, if its axes have these strides.
fn offset(mut row: usize, outer: &[usize], strides: &[usize]) -> usize {
    let mut offset = 0;
    for (len, stride) in outer.iter().zip(strides).rev() {
        offset += row % len * stride;
        row /= len;
    }
    offset
}

impl Kernel for WindowReduceKernel {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        struct Reduce<'k>(&'k WindowReduceKernel, &'k Arc<BufferPool>, Block);
        impl ReducerVisitor for Reduce<'_> {
            type Result = Result<Block>;
            fn visit<R: Reducer>(self, reducer: R) -> Result<Block> {
                self.0.reduce(reducer, chunk::<R::In>(self.2), self.1)
            }
        }
        let block = inputs.take_one(0);
        let reduced = self.spec.visit_value(Reduce(self, task.pool, block));
        reduced.unwrap_or_else(|| no_reducer(&self.spec))
    }

    fn formula(&self) -> Option<String> {
        Some(format!("{} of windows {:?}", self.spec, self.windows))
    }

    #[cfg(feature = "dist")]
    fn spec(&self) -> Result<KernelSpec, Unsendable> {
        Ok(KernelSpec::new("window_reduce", &(&self.spec, &self.windows, self.is_whole)))
    }
}

/// Windows that begin at neighbouring elements.
struct Across<'s, R: Reducer> {
    reducer: R,
    columns: &'s [&'s [R::In]],
    accs: &'s mut [R::Acc],
}

impl<R: Reducer> NullaryFnOnce for Across<'_, R> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.reducer.fold_across(self.columns, self.accs);
    }
}
