//! Quantiles of whole lanes, by selection.

use std::cmp::Ordering;
use std::marker::PhantomData;
use std::sync::Arc;

use ndarray::Axis;

use super::copy::filled;
use super::load::Loader;
use super::ordered::Ordered;
use crate::array::chunk::{Chunk, chunk};
use crate::array::dtype::Element;
use crate::error::Result;
use crate::graph::{Block, Identity, Inputs, Kernel, TaskContext};
#[cfg(feature = "dist")]
use crate::graph::{KernelSpec, Unsendable};

/// Which number to take where a quantile falls between two elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "dist", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum QuantileMethod {
    /// The point between them, in proportion.
    #[default]
    Linear,
    /// The lower one.
    Lower,
    /// The higher one.
    Higher,
    /// Their mean.
    Midpoint,
    /// The nearer one; of two that are equally near, the one at the even position.
    Nearest,
}

impl QuantileMethod {
    /// How far from the element before `place` to the next one the quantile is.
    pub(super) fn part(self, place: f64) -> f64 {
        let low = place.floor();
        match self {
            QuantileMethod::Linear => place - low,
            QuantileMethod::Lower => 0.0,
            QuantileMethod::Higher => f64::from(place > low),
            QuantileMethod::Midpoint => 0.5 * f64::from(place > low),
            QuantileMethod::Nearest => place.round_ties_even() - low,
        }
    }
}

/// Computes quantiles along the last axis, which is one block.
#[derive(Debug)]
pub(crate) struct QuantileKernel<T, U> {
    /// From 0 to 1.
    pub(crate) quantiles: Arc<[f64]>,
    pub(crate) method: QuantileMethod,
    pub(crate) skip_nan: bool,
    pub(crate) types: PhantomData<fn(T) -> U>,
}

/// A result of a quantile of `T`.
pub(crate) trait Between<T>: Element {
    /// `a` and what lies at `part` of the way from it to `b`.
    fn between(a: T, b: T, part: f64) -> Self;
    fn nan() -> Self;
}

macro_rules! between {
    ($($out:ty: $($t:ty)*;)*) => {$($(
        impl Between<$t> for $out {
            fn between(a: $t, b: $t, part: f64) -> $out {
                let number = |x: $t| AsFloat::to_f64(x);
                let (a, b) = (number(a), number(b));
                // Between equal infinities there is nothing to subtract.
                if a == b || part == 0.0 {
                    return a as $out;
                }
                if part == 1.0 {
                    return b as $out;
                }
                let way = b - a;
                let between = if !way.is_finite() {
                    // Too far apart to subtract; what is infinite stays so.
                    a * (1.0 - part) + b * part
                } else if part < 0.5 {
                    a + way * part
                } else {
                    b - way * (1.0 - part)
                };
                between as $out
            }

            fn nan() -> $out {
                <$out>::NAN
            }
        }
    )*)*};
}

/// A real number as a float.
pub(crate) trait AsFloat {
    fn to_f64(self) -> f64;
}

macro_rules! as_float {
    ($($t:ty)*) => {$(
        impl AsFloat for $t {
            fn to_f64(self) -> f64 {
                self as f64
            }
        }
    )*};
}

as_float!(i8 i16 i32 i64 u8 u16 u32 u64 f32 f64);

impl AsFloat for bool {
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
}

between! {
    f32: f32;
    f64: bool i8 i16 i32 i64 u8 u16 u32 u64 f64;
}

impl<T: Ordered + PartialOrd, U: Between<T>> QuantileKernel<T, U> {
    pub(super) fn of_lane(
        &self,
        lane: &mut Vec<T>,
        out: impl Iterator<Item = impl std::ops::DerefMut<Target = U>>,
    ) {
        if self.skip_nan {
            lane.retain(|x| !x.is_nan());
        }
        // Without a way out of the loop it is one of vectors.
        let is_nan = lane.is_empty() || lane.iter().fold(false, |any, x| any | x.is_nan());
        if !is_nan {
            self.arrange(lane);
        }
        for (q, mut out) in self.quantiles.iter().zip(out) {
            *out = if is_nan { U::nan() } else { self.of_sorted(lane, *q) };
        }
    }

    /// Brings the elements that quantiles are made of to where sorting would bring them.
    fn arrange(&self, lane: &mut [T]) {
        let last = lane.len() - 1;
        let low = |q: &f64| (q * last as f64).floor() as usize;
        let mut places: Vec<usize> =
            self.quantiles.iter().flat_map(|q| [low(q), (low(q) + 1).min(last)]).collect();
        if lane.len() / PLACES_RATIO < places.len() {
            return lane.sort_unstable_by(order_of_numbers);
        }
        places.sort_unstable();
        places.dedup();
        select(lane, 0, &places);
    }

    fn of_sorted(&self, sorted: &[T], q: f64) -> U {
        let place = q * (sorted.len() - 1) as f64;
        let low = place.floor() as usize;
        let high = (low + 1).min(sorted.len() - 1);
        U::between(sorted[low], sorted[high], self.method.part(place))
    }
}

/// How many elements a lane has to have for each of the places that are looked for, so that finding these takes less
/// than sorting all.
const PLACES_RATIO: usize = 16;

/// The order of elements none of which is NaN.
fn order_of_numbers<T: PartialOrd>(a: &T, b: &T) -> Ordering {
    // Comparisons for less, which is what sorts ask for, become one instruction.
    a.partial_cmp(b).unwrap_or(Ordering::Equal)
}

/// Puts the elements at `places`, which ascend, where sorting would put them; `before` elements stand before `lane`.
fn select<T: PartialOrd>(lane: &mut [T], before: usize, places: &[usize]) {
    let Some(&place) = places.get(places.len() / 2) else { return };
    let (lower, _, higher) = lane.select_nth_unstable_by(place - before, order_of_numbers);
    select(lower, before, &places[..places.len() / 2]);
    select(higher, place + 1, &places[places.len() / 2 + 1..]);
}

impl<T: Ordered + PartialOrd, U: Between<T>> Kernel for QuantileKernel<T, U> {
    fn run(&self, task: &TaskContext<'_>, mut inputs: Inputs) -> Result<Block> {
        let block = chunk::<T>(inputs.take_one(0));
        let mut shape = block.view().shape().to_vec();
        let mut loader = Loader::new(block.data(), &shape);
        let last = Axis(shape.len() - 1);
        let lane_len = std::mem::replace(&mut shape[last.index()], self.quantiles.len());
        let mut lane = Vec::with_capacity(lane_len);
        let out = filled::<U>(&shape, task.pool, |mut out| {
            for (i, mut out) in out.lanes_mut(last).into_iter().enumerate() {
                lane.resize(lane_len, T::default());
                loader.load(i * lane_len, &mut lane);
                self.of_lane(&mut lane, out.iter_mut());
            }
        });
        Ok(Block::new(Chunk::new(out, task.pool)))
    }

    fn identity(&self) -> Option<Identity> {
        let parameters = (&self.quantiles, self.method, self.skip_nan);
        Some(Identity::new("quantile", T::DTYPE.name(), parameters))
    }

    #[cfg(feature = "dist")]
    fn spec(&self) -> Result<KernelSpec, Unsendable> {
        Ok(KernelSpec::new("quantile", &(T::DTYPE, &self.quantiles, self.method, self.skip_nan)))
    }
}
