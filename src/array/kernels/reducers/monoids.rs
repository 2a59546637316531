//! Reductions whose step is one associative operation: sums, products, extremes, any and all.

use std::fmt;
use std::marker::PhantomData;

use num_complex::Complex;

use super::Reducer;
use crate::array::io::Stored;
use crate::array::kernels::functions::Float;
use crate::array::kernels::scalar::{CastTo, Lane};

/// Independent accumulators of a run: enough to keep four 512-bit additions of `f64` in flight.
const LANES: usize = 32;

/// Runs that are folded side by side: two 512-bit registers of `f64`.
const SIDE: usize = 16;

/// An operation with a neutral element.
pub(crate) trait Monoid: Copy + fmt::Debug + Send + Sync + 'static {
    type In: Lane;
    type Acc: Stored + Default + fmt::Debug + Send + Sync + 'static;
    type Out: Lane;
    fn empty() -> Self::Acc;
    fn lift(x: Self::In) -> Self::Acc;
    fn join(a: Self::Acc, b: Self::Acc) -> Self::Acc;
    fn finish(self, acc: Self::Acc, n: u64) -> Option<Self::Out>;
}

/// A [`Monoid`] as a reducer: runs are folded in lanes, and the lanes in a tree.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fold<M>(pub(crate) M);

impl<M: Monoid> Reducer for Fold<M> {
    type In = M::In;
    type Acc = M::Acc;
    type Out = M::Out;
    type Tile = Vec<M::Acc>;
    type Lanes = [M::Acc; LANES];

    fn empty(self) -> M::Acc {
        M::empty()
    }

    #[inline(always)]
    fn fold(self, xs: &[M::In], first: u64) -> M::Acc {
        self.join_lanes(self.fold_lanes(xs, first))
    }

    #[inline(always)]
    fn fold_lanes(self, xs: &[M::In], _first: u64) -> [M::Acc; LANES] {
        let mut lanes = [M::empty(); LANES];
        let (blocks, rest) = xs.as_chunks::<LANES>();
        for block in blocks {
            for (lane, &x) in lanes.iter_mut().zip(block) {
                *lane = M::join(*lane, M::lift(x));
            }
        }
        for (lane, &x) in lanes.iter_mut().zip(rest) {
            *lane = M::join(*lane, M::lift(x));
        }
        lanes
    }

    #[inline(always)]
    fn join_lanes(self, mut lanes: [M::Acc; LANES]) -> M::Acc {
        let mut width = LANES / 2;
        while width > 0 {
            for i in 0..width {
                lanes[i] = M::join(lanes[i], lanes[i + width]);
            }
            width /= 2;
        }
        lanes[0]
    }

    #[inline(always)]
    fn fold_across(self, columns: &[&[M::In]], out: &mut [M::Acc]) {
        let mut lanes = [[M::empty(); SIDE]; LANES];
        let (whole, rest) = out.as_chunks_mut::<SIDE>();
        for (i, out) in whole.iter_mut().enumerate() {
            *out = fold_side_by_side::<M, SIDE>(columns, i * SIDE, &mut lanes);
        }
        let mut lanes = [[M::empty(); 1]; LANES];
        for (i, out) in rest.iter_mut().enumerate() {
            [*out] = fold_side_by_side::<M, 1>(columns, whole.len() * SIDE + i, &mut lanes);
        }
    }

    fn tile(self, width: usize) -> Vec<M::Acc> {
        vec![M::empty(); width]
    }

    fn close(self, accs: Vec<M::Acc>, _n: u64) -> Vec<M::Acc> {
        accs
    }

    #[inline(always)]
    fn add_row(self, accs: &mut Vec<M::Acc>, _n: u64, xs: &[M::In], _first: u64) {
        for (acc, &x) in accs.iter_mut().zip(xs) {
            *acc = M::join(*acc, M::lift(x));
        }
    }

    #[inline(always)]
    fn merge(self, a: M::Acc, _na: u64, b: M::Acc, _nb: u64) -> M::Acc {
        M::join(a, b)
    }

    fn finish(self, acc: M::Acc, n: u64) -> Option<M::Out> {
        self.0.finish(acc, n)
    }
}

/// The runs `at..at + N` of `columns`, with what `fold_lanes`, `join_lanes` and `merge` do for one run: a lane there is a row of
/// `N` here. Lanes that a run doesn't reach would only be joined as what is empty, which changes nothing.
#[inline(always)]
fn fold_side_by_side<M: Monoid, const N: usize>(
    columns: &[&[M::In]],
    at: usize,
    lanes: &mut [[M::Acc; N]; LANES],
) -> [M::Acc; N] {
    for (k, column) in columns.iter().enumerate() {
        let xs = column[at..].first_chunk::<N>().expect("columns are as long as the results");
        let lane = &mut lanes[k % LANES];
        if k < LANES {
            *lane = [M::empty(); N];
        }
        for (acc, &x) in lane.iter_mut().zip(xs) {
            *acc = M::join(*acc, M::lift(x));
        }
    }
    let (mut n_lanes, mut width) = (columns.len().min(LANES), LANES / 2);
    while width > 0 {
        for i in 0..n_lanes.saturating_sub(width) {
            let other = lanes[i + width];
            for (acc, other) in lanes[i].iter_mut().zip(other) {
                *acc = M::join(*acc, other);
            }
        }
        n_lanes = n_lanes.min(width);
        width /= 2;
    }
    lanes[0].map(|acc| M::join(M::empty(), acc))
}

/// What sums are accumulated in.
pub(crate) trait Total: Lane {
    const ZERO: Self;
    const ONE: Self;
    fn plus(self, other: Self) -> Self;
    fn times(self, other: Self) -> Self;
    fn over(self, n: f64) -> Self;
}

macro_rules! int_totals {
    ($($t:ty)*) => {$(
        impl Total for $t {
            const ZERO: $t = 0;
            const ONE: $t = 1;

            #[inline(always)]
            fn plus(self, other: $t) -> $t {
                self.wrapping_add(other)
            }

            #[inline(always)]
            fn times(self, other: $t) -> $t {
                self.wrapping_mul(other)
            }

            fn over(self, n: f64) -> $t {
                (self as f64 / n) as $t
            }
        }
    )*};
}

int_totals! { i64 u64 }

impl Total for f64 {
    const ZERO: f64 = 0.0;
    const ONE: f64 = 1.0;

    #[inline(always)]
    fn plus(self, other: f64) -> f64 {
        self + other
    }

    #[inline(always)]
    fn times(self, other: f64) -> f64 {
        self * other
    }

    fn over(self, n: f64) -> f64 {
        self / n
    }
}

impl Total for Complex<f64> {
    const ZERO: Self = Complex::new(0.0, 0.0);
    const ONE: Self = Complex::new(1.0, 0.0);

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        self + other
    }

    #[inline(always)]
    fn times(self, other: Self) -> Self {
        self * other
    }

    fn over(self, n: f64) -> Self {
        self / n
    }
}

/// Types that have sums; smaller integers are cast before.
pub(crate) trait Summed: Lane + CastTo<Self::Total> {
    type Total: Total + CastTo<Self>;
}

macro_rules! summed {
    ($($t:ty => $total:ty;)*) => {$(impl Summed for $t { type Total = $total; })*};
}

summed! {
    i64 => i64;
    u64 => u64;
    f32 => f64;
    f64 => f64;
    Complex<f32> => Complex<f64>;
    Complex<f64> => Complex<f64>;
}

/// Sums, and means if `is_mean`. Floats are accumulated as `f64`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sum<T> {
    pub(crate) is_mean: bool,
    pub(crate) of: PhantomData<T>,
}

impl<T: Summed> Monoid for Sum<T> {
    type In = T;
    type Acc = T::Total;
    type Out = T;

    #[inline(always)]
    fn empty() -> T::Total {
        T::Total::ZERO
    }

    #[inline(always)]
    fn lift(x: T) -> T::Total {
        x.cast_to()
    }

    #[inline(always)]
    fn join(a: T::Total, b: T::Total) -> T::Total {
        a.plus(b)
    }

    fn finish(self, acc: T::Total, n: u64) -> Option<T> {
        Some(if self.is_mean { acc.over(n as f64).cast_to() } else { acc.cast_to() })
    }
}

/// Products. Floats are accumulated as `f64`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prod<T>(pub(crate) PhantomData<T>);

impl<T: Summed> Monoid for Prod<T> {
    type In = T;
    type Acc = T::Total;
    type Out = T;

    #[inline(always)]
    fn empty() -> T::Total {
        T::Total::ONE
    }

    #[inline(always)]
    fn lift(x: T) -> T::Total {
        x.cast_to()
    }

    #[inline(always)]
    fn join(a: T::Total, b: T::Total) -> T::Total {
        a.times(b)
    }

    fn finish(self, acc: T::Total, _n: u64) -> Option<T> {
        Some(acc.cast_to())
    }
}

/// Means of the elements that are not NaN: their sum and count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NanMean<T>(pub(crate) PhantomData<T>);

impl<T: Summed> Monoid for NanMean<T> {
    type In = T;
    type Acc = (T::Total, f64);
    type Out = T;

    #[inline(always)]
    fn empty() -> Self::Acc {
        (T::Total::ZERO, 0.0)
    }

    #[inline(always)]
    fn lift(x: T) -> Self::Acc {
        // NaN is the one value that differs from itself.
        #[expect(clippy::eq_op, reason = "this asks for NaN")]
        if x == x { (x.cast_to(), 1.0) } else { Self::empty() }
    }

    #[inline(always)]
    fn join(a: Self::Acc, b: Self::Acc) -> Self::Acc {
        (a.0.plus(b.0), a.1 + b.1)
    }

    fn finish(self, acc: Self::Acc, _n: u64) -> Option<T> {
        Some(acc.0.over(acc.1).cast_to())
    }
}

/// Types with an order.
pub(crate) trait Ordered: Lane + PartialOrd {
    /// No element is below it, except NaN where NaN counts as a value.
    const LOWEST: Self;
    /// No element is above it.
    const HIGHEST: Self;
    fn is_nan(self) -> bool;
}

macro_rules! ordered {
    ($($t:ty, $lowest:expr, $highest:expr, |$x:ident| $is_nan:expr;)*) => {$(
        impl Ordered for $t {
            const LOWEST: $t = $lowest;
            const HIGHEST: $t = $highest;

            #[inline(always)]
            fn is_nan(self) -> bool {
                let $x = self;
                $is_nan
            }
        }
    )*};
}

ordered! {
    bool, false, true, |_x| false;
    i8, i8::MIN, i8::MAX, |_x| false;
    i16, i16::MIN, i16::MAX, |_x| false;
    i32, i32::MIN, i32::MAX, |_x| false;
    i64, i64::MIN, i64::MAX, |_x| false;
    u8, u8::MIN, u8::MAX, |_x| false;
    u16, u16::MIN, u16::MAX, |_x| false;
    u32, u32::MIN, u32::MAX, |_x| false;
    u64, u64::MIN, u64::MAX, |_x| false;
    f32, f32::NEG_INFINITY, f32::INFINITY, |x| x.is_nan();
    f64, f64::NEG_INFINITY, f64::INFINITY, |x| x.is_nan();
}

macro_rules! extremes {
    ($($(#[$doc:meta])* $name:ident: $t:ident $class:ident, $empty:expr, |$a:ident, $b:ident| $keep_a:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct $name<T>(pub(crate) PhantomData<T>);

        impl<$t: $class> Monoid for $name<$t> {
            type In = $t;
            type Acc = $t;
            type Out = $t;

            #[inline(always)]
            fn empty() -> $t {
                $empty
            }

            #[inline(always)]
            fn lift(x: $t) -> $t {
                x
            }

            #[inline(always)]
            fn join($a: $t, $b: $t) -> $t {
                if $keep_a { $a } else { $b }
            }

            fn finish(self, acc: $t, n: u64) -> Option<$t> {
                (n > 0).then_some(acc)
            }
        }
    )*};
}

extremes! {
    /// The smallest element, or NaN if there is one.
    Min: T Ordered, T::HIGHEST, |a, b| a <= b || a.is_nan();
    /// The largest element, or NaN if there is one.
    Max: T Ordered, T::LOWEST, |a, b| a >= b || a.is_nan();
    /// The smallest element that is not NaN.
    NanMin: T Float, T::nan(), |a, b| a <= b || b.is_nan();
    /// The largest element that is not NaN.
    NanMax: T Float, T::nan(), |a, b| a >= b || b.is_nan();
}

macro_rules! truths {
    ($($(#[$doc:meta])* $name:ident: $empty:literal, |$a:ident, $b:ident| $join:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct $name;

        impl Monoid for $name {
            type In = bool;
            type Acc = bool;
            type Out = bool;

            #[inline(always)]
            fn empty() -> bool {
                $empty
            }

            #[inline(always)]
            fn lift(x: bool) -> bool {
                x
            }

            #[inline(always)]
            fn join($a: bool, $b: bool) -> bool {
                $join
            }

            fn finish(self, acc: bool, _n: u64) -> Option<bool> {
                Some(acc)
            }
        }
    )*};
}

truths! {
    /// Whether some element is true.
    Any: false, |a, b| a | b;
    /// Whether all elements are true.
    All: true, |a, b| a & b;
}
