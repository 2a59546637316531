//! Discrete Fourier transforms of whole lanes.

use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;

use ndarray::{ArrayView1, ArrayViewD, ArrayViewMutD, Axis};
use num_complex::Complex;
use num_traits::Zero;
use realfft::RealFftPlanner;
use rustfft::{FftDirection, FftNum, FftPlanner};

use super::copy::filled;
use crate::array::chunk::{Chunk, chunk};
use crate::array::dtype::Element;
use crate::error::Result;
use crate::graph::{Block, Identity, Inputs, Kernel, TaskContext};
#[cfg(feature = "dist")]
use crate::graph::{KernelSpec, Unsendable};

/// From what to what, and with which sign in the exponent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "dist", derive(serde::Serialize, serde::Deserialize))]
pub(crate) enum Transform {
    /// Complex numbers, with a negative exponent.
    Forward,
    /// Complex numbers, with a positive exponent.
    Inverse,
    /// Real numbers to the half of the complex ones that the other follows from.
    RealForward,
    /// Back from that half.
    RealInverse,
}

/// Plans of longer lanes are made anew by each task: what a thread keeps is in no budget.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// The plans of a thread, which keep the factors of every short length that it has met.
pub(crate) struct Planners<F: FftNum> {
    complex: FftPlanner<F>,
    real: RealFftPlanner<F>,
}

impl<F: FftNum> Planners<F> {
    fn new() -> Self {
        Planners { complex: FftPlanner::new(), real: RealFftPlanner::new() }
    }
}

/// Floats that there are plans for.
pub(crate) trait FftFloat: FftNum + Element {
    /// Calls `f` with the plans for transforms of `n` elements.
    fn with_planners<R>(n: usize, f: impl FnOnce(&mut Planners<Self>) -> R) -> R;
}

macro_rules! fft_floats {
    ($($t:ty)*) => {$(
        impl FftFloat for $t {
            fn with_planners<R>(n: usize, f: impl FnOnce(&mut Planners<Self>) -> R) -> R {
                thread_local! {
                    static PLANNERS: RefCell<Planners<$t>> = RefCell::new(Planners::new());
                }
                if n.saturating_mul(size_of::<Complex<$t>>()) > KEPT_BYTES_MAX {
                    return f(&mut Planners::new());
                }
                PLANNERS.with_borrow_mut(f)
            }
        }
    )*};
}

fft_floats!(f32 f64);

/// Transforms lanes along the last axis, which is one block, after they were cut or filled with zeros.
pub(crate) struct FftKernel<F> {
    transform: Transform,
    /// The length of the transform, at least 1.
    n: usize,
    scale: f64,
    element: PhantomData<fn() -> F>,
}

impl<F> fmt::Debug for FftKernel<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of {}", self.transform, self.n)
    }
}

impl<F: FftFloat> FftKernel<F>
where
    Complex<F>: Element,
{
    pub(crate) fn new(transform: Transform, n: u64, scale: f64) -> Self {
        FftKernel { transform, n: n as usize, scale, element: PhantomData }
    }

    /// Complex lanes in the place of the output.
    fn complex(
        &self,
        input: &ArrayViewD<'_, Complex<F>>,
        mut out: ArrayViewMutD<'_, Complex<F>>,
        direction: FftDirection,
    ) {
        let plan = F::with_planners(self.n, |plans| plans.complex.plan_fft(self.n, direction));
        let mut scratch = vec![Complex::zero(); plan.get_inplace_scratch_len()];
        each_lane(input, &mut out, |lane, out| {
            fill(out, lane);
            plan.process_with_scratch(out, &mut scratch);
            self.rescale(out);
        });
    }

    fn real_forward(&self, input: &ArrayViewD<'_, F>, mut out: ArrayViewMutD<'_, Complex<F>>) {
        let plan = F::with_planners(self.n, |plans| plans.real.plan_fft_forward(self.n));
        let (mut buffer, mut scratch) = (plan.make_input_vec(), plan.make_scratch_vec());
        each_lane(input, &mut out, |lane, out| {
            fill(&mut buffer, lane);
            let done = plan.process_with_scratch(&mut buffer, out, &mut scratch);
            done.expect("buffers have the lengths of the plan");
            self.rescale(out);
        });
    }

    fn real_inverse(&self, input: &ArrayViewD<'_, Complex<F>>, mut out: ArrayViewMutD<'_, F>) {
        let plan = F::with_planners(self.n, |plans| plans.real.plan_fft_inverse(self.n));
        let (mut buffer, mut scratch) = (plan.make_input_vec(), plan.make_scratch_vec());
        each_lane(input, &mut out, |lane, out| {
            fill(&mut buffer, lane);
            // What is real in the transform of real numbers; others would be taken for a mistake.
            buffer[0].im = F::zero();
            if self.n.is_multiple_of(2) {
                buffer[self.n / 2].im = F::zero();
            }
            let done = plan.process_with_scratch(&mut buffer, out, &mut scratch);
            done.expect("buffers have the lengths of the plan");
            self.rescale(out);
        });
    }

    fn rescale<T: std::ops::Mul<F, Output = T> + Copy>(&self, out: &mut [T]) {
        if self.scale != 1.0 {
            let scale = F::from_f64(self.scale).expect("a float holds any scale");
            out.iter_mut().for_each(|x| *x = *x * scale);
        }
    }
}

/// Calls `f` with each lane along the last axis and where its transform goes, which is in C order.
fn each_lane<A, B>(
    input: &ArrayViewD<'_, A>,
    out: &mut ArrayViewMutD<'_, B>,
    mut f: impl FnMut(&ArrayView1<'_, A>, &mut [B]),
) {
    let last = Axis(input.ndim() - 1);
    for (lane, mut out) in input.lanes(last).into_iter().zip(out.lanes_mut(last)) {
        f(&lane, out.as_slice_mut().expect("blocks of the pool are in C order"));
    }
}

/// The start of a lane, and zeros after its end.
fn fill<T: Zero + Copy>(out: &mut [T], lane: &ArrayView1<'_, T>) {
    let n = lane.len().min(out.len());
    out.iter_mut().zip(lane).for_each(|(out, &x)| *out = x);
    out[n..].fill(T::zero());
}

impl<F: FftFloat> Kernel for FftKernel<F>
where
    Complex<F>: Element,
{
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let block = inputs.take_one(0);
        let half = self.n / 2 + 1;
        let shape = |of: &[usize], n: usize| [&of[..of.len() - 1], &[n]].concat();
        Ok(match self.transform {
            Transform::Forward | Transform::Inverse => {
                let input = chunk::<Complex<F>>(block);
                let direction = match self.transform {
                    Transform::Forward => FftDirection::Forward,
                    _ => FftDirection::Inverse,
                };
                let shape = shape(input.data().shape(), self.n);
                let fill = |out: ArrayViewMutD<'_, _>| self.complex(&input.view(), out, direction);
                Block::new(Chunk::new(filled::<Complex<F>>(&shape, task.pool, fill), task.pool))
            }
            Transform::RealForward => {
                let input = chunk::<F>(block);
                let shape = shape(input.data().shape(), half);
                let fill = |out: ArrayViewMutD<'_, _>| self.real_forward(&input.view(), out);
                Block::new(Chunk::new(filled::<Complex<F>>(&shape, task.pool, fill), task.pool))
            }
            Transform::RealInverse => {
                let input = chunk::<Complex<F>>(block);
                let shape = shape(input.data().shape(), self.n);
                let fill = |out: ArrayViewMutD<'_, _>| self.real_inverse(&input.view(), out);
                Block::new(Chunk::new(filled::<F>(&shape, task.pool, fill), task.pool))
            }
        })
    }

    fn identity(&self) -> Option<Identity> {
        let parameters = (self.transform, self.n, self.scale);
        Some(Identity::new("fft", <Complex<F>>::DTYPE.name(), parameters))
    }

    #[cfg(feature = "dist")]
    fn spec(&self) -> Result<KernelSpec, Unsendable> {
        Ok(KernelSpec::new(
            "fft",
            &(<Complex<F>>::DTYPE, self.transform, self.n as u64, self.scale),
        ))
    }
}
