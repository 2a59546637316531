//! Scans: each element becomes the combination of all before it along an axis and itself.
//!
//! A block is scanned from a carry, which is what the blocks before it add up to. Totals of blocks are
//! combined in a tree, see `ops/scans.rs`.

use std::marker::PhantomData;
use std::sync::Arc;

use ndarray::{ArrayD, ArrayView1, ArrayViewD, ArrayViewMutD, Axis, Slice, s};
use num_complex::Complex;

use super::copy::filled;
use super::map_blocks::{BlockFunction, of_blocks};
use super::strip::STRIP;
use crate::array::chunk::{Chunk, chunk};
use crate::array::dtype::Element;
use crate::error::Result;
use crate::graph::{Block, Identity, Inputs, Kernel, TaskContext};
#[cfg(feature = "dist")]
use crate::graph::{KernelSpec, Unsendable};

/// What a scan combines with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "dist", derive(serde::Serialize, serde::Deserialize))]
pub(crate) enum ScanKind {
    Sum,
    Prod,
    /// The last element that is not NaN.
    Fill,
    Max,
    Min,
}

/// An associative combination of elements.
pub(crate) trait Combine: Element {
    /// `later` after `earlier`.
    fn combine(kind: ScanKind, earlier: Self, later: Self) -> Self;
}

macro_rules! combine_integers {
    ($($t:ty)*) => {$(
        impl Combine for $t {
            #[inline(always)]
            fn combine(kind: ScanKind, earlier: Self, later: Self) -> Self {
                match kind {
                    ScanKind::Sum => earlier.wrapping_add(later),
                    ScanKind::Prod => earlier.wrapping_mul(later),
                    ScanKind::Fill => later,
                    ScanKind::Max => earlier.max(later),
                    ScanKind::Min => earlier.min(later),
                }
            }
        }
    )*};
}

macro_rules! combine_floats {
    ($($t:ty)*) => {$(
        impl Combine for $t {
            #[inline(always)]
            fn combine(kind: ScanKind, earlier: Self, later: Self) -> Self {
                match kind {
                    ScanKind::Sum => earlier + later,
                    ScanKind::Prod => earlier * later,
                    ScanKind::Fill if later.is_nan() => earlier,
                    ScanKind::Fill => later,
                    ScanKind::Max if earlier > later || earlier.is_nan() => earlier,
                    ScanKind::Min if earlier < later || earlier.is_nan() => earlier,
                    ScanKind::Max | ScanKind::Min => later,
                }
            }
        }

        impl Combine for Complex<$t> {
            #[inline(always)]
            fn combine(kind: ScanKind, earlier: Self, later: Self) -> Self {
                match kind {
                    ScanKind::Sum => earlier + later,
                    ScanKind::Prod => earlier * later,
                    ScanKind::Fill if later.is_nan() => earlier,
                    // Complex numbers have no order; `ops/scans.rs` refuses to ask for one.
                    _ => later,
                }
            }
        }
    )*};
}

combine_integers!(i8 i16 i32 i64 u8 u16 u32 u64);
combine_floats!(f32 f64);

/// Runs `$body` with the kind as a constant, so that loops have no choice in them.
macro_rules! with_kind {
    ($kind:expr, $constant:ident => $body:expr) => {
        match $kind {
            ScanKind::Sum => with_kind!(@ Sum, $constant => $body),
            ScanKind::Prod => with_kind!(@ Prod, $constant => $body),
            ScanKind::Fill => with_kind!(@ Fill, $constant => $body),
            ScanKind::Max => with_kind!(@ Max, $constant => $body),
            ScanKind::Min => with_kind!(@ Min, $constant => $body),
        }
    };
    (@ $variant:ident, $constant:ident => $body:expr) => {{
        const KIND: ScanKind = ScanKind::$variant;
        let $constant = KIND;
        $body
    }};
}

/// Parts of a lane that are added up side by side, as one sum has to wait for each addition.
const N_PARTS: usize = 8;

/// Elements of a part that are copied at once, where they do not lie side by side.
const PART_STRIP: usize = 64;

/// The combination of the elements of a lane, in an order that does not depend on how they lie in memory.
#[inline(always)]
fn total_of<T: Copy>(lane: &ArrayView1<'_, T>, combine: impl Fn(T, T) -> T) -> Option<T> {
    let mut totals: Option<[T; N_PARTS]> = None;
    each_strip(lane, &mut |parts| {
        let (mut sums, start) = match totals {
            Some(sums) => (sums, 0),
            None => (parts.map(|part| part[0]), 1),
        };
        for i in start..parts[0].len() {
            for (sum, part) in sums.iter_mut().zip(&parts) {
                *sum = combine(*sum, part[i]);
            }
        }
        totals = Some(sums);
    });
    let rest = lane.slice(s![lane.len() / N_PARTS * N_PARTS..]);
    totals.into_iter().flatten().chain(rest.iter().copied()).reduce(combine)
}

/// Calls `f` with what is next of each part of a lane, at once where the lane is a slice.
///
/// Compiled once for each dtype, `f` for each combination.
#[inline(never)]
fn each_strip<T: Copy>(lane: &ArrayView1<'_, T>, f: &mut dyn FnMut([&[T]; N_PARTS])) {
    let len = lane.len() / N_PARTS;
    if let Some(lane) = lane.to_slice().filter(|_| len > 0) {
        return f(std::array::from_fn(|i| &lane[i * len..(i + 1) * len]));
    }
    let mut strips = Vec::new();
    for start in (0..len).step_by(PART_STRIP) {
        let n = PART_STRIP.min(len - start);
        strips.clear();
        for part in (0..N_PARTS).map(|i| i * len + start) {
            strips.extend(lane.slice(s![part..part + n]).iter().copied());
        }
        f(std::array::from_fn(|i| &strips[i * n..(i + 1) * n]));
    }
}

/// Scans a part of a lane from what is before it; returns what is before the next part.
#[inline(always)]
fn scan_part<T: Copy>(
    part: &[T],
    before: Option<T>,
    out: &mut [T],
    combine: impl Fn(T, T) -> T,
) -> Option<T> {
    let mut pairs = part.iter().zip(out);
    let mut last = match before {
        Some(before) => before,
        None => {
            let (&x, out) = pairs.next()?;
            *out = x;
            x
        }
    };
    pairs.for_each(|(&x, out)| {
        last = combine(last, x);
        *out = last;
    });
    Some(last)
}

/// A part of a scan that is one task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "dist", derive(serde::Serialize, serde::Deserialize))]
pub(crate) enum ScanStep {
    /// A block as the combination of its elements, of length 1 along the axis.
    Total,
    /// The combination of up to two totals, one after the other.
    Combine,
    /// A block scanned, from the carry in slot 1 if there is one.
    Scan,
}

/// One step of a scan along an axis.
#[derive(Debug)]
pub(crate) struct ScanKernel<T> {
    kind: ScanKind,
    step: ScanStep,
    axis: usize,
    element: PhantomData<fn() -> T>,
}

impl<T: Combine> ScanKernel<T> {
    pub(crate) fn new(kind: ScanKind, step: ScanStep, axis: usize) -> Self {
        ScanKernel { kind, step, axis, element: PhantomData }
    }

    fn combine(&self, totals: &[Chunk<T>], task: &TaskContext<'_>) -> Block {
        let [a, b] = totals else { return Block::new(totals[0].clone()) };
        let out = filled::<T>(a.view().shape(), task.pool, |mut out| {
            out.assign(&a.view());
            out.zip_mut_with(&b.view(), |a, &b| *a = T::combine(self.kind, *a, b));
        });
        Block::new(Chunk::new(out, task.pool))
    }

    /// What the elements of a block, which has some, add up to.
    fn total(&self, block: &ArrayViewD<'_, T>, mut out: ArrayViewMutD<'_, T>) {
        let axis = Axis(self.axis);
        if self.axis + 1 == block.ndim() {
            for (lane, mut out) in block.lanes(axis).into_iter().zip(out.lanes_mut(axis)) {
                out[0] =
                    with_kind!(self.kind, kind => total_of(&lane, |a, b| T::combine(kind, a, b)))
                        .unwrap_or_default();
            }
            return;
        }
        let mut lanes = block.axis_iter(axis);
        let mut out = out.index_axis_mut(axis, 0);
        if let Some(first) = lanes.next() {
            out.assign(&first);
        }
        for lane in lanes {
            out.zip_mut_with(&lane, |total, &x| *total = T::combine(self.kind, *total, x));
        }
    }

    fn scan(
        &self,
        block: &ArrayViewD<'_, T>,
        carry: Option<ArrayViewD<'_, T>>,
        mut out: ArrayViewMutD<'_, T>,
    ) {
        let axis = Axis(self.axis);
        let carry = carry.map(|carry| carry.index_axis_move(axis, 0));
        if self.axis + 1 == block.ndim() {
            let mut carries = carry.as_ref().map(|carry| carry.iter());
            let mut strip = Vec::new();
            for (lane, out) in block.lanes(axis).into_iter().zip(out.lanes_mut(axis)) {
                let mut last = carries.as_mut().and_then(|carries| carries.next()).copied();
                let mut out = out.into_slice().expect("a block from the pool is in C order");
                let mut next = |part: &[T]| {
                    let (here, behind) = std::mem::take(&mut out).split_at_mut(part.len());
                    out = behind;
                    last = with_kind!(self.kind, kind => {
                        scan_part(part, last, here, |a, b| T::combine(kind, a, b))
                    });
                };
                match lane.to_slice() {
                    Some(lane) => next(lane),
                    None => lane.axis_chunks_iter(Axis(0), STRIP).for_each(|part| {
                        strip.clear();
                        strip.extend(part.iter().copied());
                        next(&strip);
                    }),
                }
            }
            return;
        }
        for i in 0..block.len_of(axis) {
            let (done, mut rest) = out.view_mut().split_at(axis, i);
            let mut row = rest.index_axis_mut(axis, 0);
            row.assign(&block.index_axis(axis, i));
            let combine = |row: &mut T, &last: &T| *row = T::combine(self.kind, last, *row);
            match (i, &carry) {
                (0, Some(carry)) => row.zip_mut_with(carry, combine),
                (0, None) => {}
                _ => row.zip_mut_with(&done.index_axis(axis, i - 1), combine),
            }
        }
    }
}

impl<T: Combine> Kernel for ScanKernel<T> {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        if self.step == ScanStep::Combine {
            let totals: Vec<_> = inputs.take_all().map(chunk::<T>).collect();
            return Ok(self.combine(&totals, task));
        }
        let block = chunk::<T>(inputs.take_one(0));
        let carry: Option<Chunk<T>> = inputs.take_slot(1).next().map(chunk::<T>);
        let mut shape = block.view().shape().to_vec();
        if self.step == ScanStep::Total {
            shape[self.axis] = 1;
        }
        let out = filled::<T>(&shape, task.pool, |out| match self.step {
            ScanStep::Total => self.total(&block.view(), out),
            _ => self.scan(&block.view(), carry.as_ref().map(Chunk::view), out),
        });
        Ok(Block::new(Chunk::new(out, task.pool)))
    }

    fn identity(&self) -> Option<Identity> {
        Some(Identity::new("scan", T::DTYPE.name(), (self.kind, self.step, self.axis)))
    }

    #[cfg(feature = "dist")]
    fn spec(&self) -> Result<KernelSpec, Unsendable> {
        Ok(KernelSpec::new("scan", &(T::DTYPE, self.kind, self.step, self.axis)))
    }
}

/// A step of a scan by functions of a user: of blocks, and of what stands before with each of these.
pub(crate) fn own_step<T: Element, U: Element>(
    step: ScanStep,
    axis: usize,
    scan: Arc<impl Fn(ArrayViewD<'_, T>, usize) -> ArrayD<U> + Send + Sync + 'static>,
    combine: Arc<
        impl Fn(ArrayViewD<'_, U>, ArrayViewD<'_, U>) -> ArrayD<U> + Send + Sync + 'static,
    >,
) -> Arc<dyn BlockFunction> {
    let scanned = move |block: Block| scan(chunk::<T>(block).view(), axis);
    match step {
        ScanStep::Total => of_blocks(move |mut blocks, _| {
            let mut all = scanned(blocks.remove(0));
            if let Some(last) = all.len_of(Axis(axis)).checked_sub(1) {
                all.slice_axis_inplace(Axis(axis), Slice::from(last..));
            }
            all.as_standard_layout().into_owned()
        }),
        ScanStep::Combine => of_blocks(move |blocks, _| {
            let totals: Vec<_> = blocks.into_iter().map(chunk::<U>).collect();
            match &totals[..] {
                [a, b] => combine(a.view(), b.view()),
                others => others[0].view().to_owned(),
            }
        }),
        ScanStep::Scan => of_blocks(move |mut blocks, _| {
            let before = blocks.drain(1..).next().map(chunk::<U>);
            let all = scanned(blocks.remove(0));
            match before {
                Some(before) => combine(before.view(), all.view()),
                None => all,
            }
        }),
    }
}
