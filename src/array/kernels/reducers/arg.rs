//! Where the smallest or largest element is.
//!
//! The first of equal elements wins, whatever the chunks: accumulators compare values, then
//! indices. NaN counts as the best value, as in NumPy, unless it is skipped.

use std::fmt;
use std::marker::PhantomData;

use super::Reducer;
use super::monoids::{Fold, Max, Min, Monoid, NanMax, NanMin, Ordered};
use crate::array::io::{ByteOrder, Stored};

/// Nowhere: no element has been seen.
const NOWHERE: u64 = u64::MAX;

/// Which element is looked for.
pub(crate) trait Goal: Copy + fmt::Debug + Send + Sync + 'static {
    type T: Ordered;
    /// Finds the value of which the first occurrence is wanted.
    type Best: Monoid<In = Self::T, Acc = Self::T>;
    const BEST: Self::Best;
    const SKIPS_NAN: bool;
    /// Whether `a` is strictly better than `b`, NaN aside.
    fn is_better(a: Self::T, b: Self::T) -> bool;
}

macro_rules! goals {
    ($($(#[$doc:meta])* $name:ident<$t:ident: $class:path>, $best:ident, $skips:literal, $op:tt;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct $name<T>(PhantomData<T>);

        impl<$t: Ordered + $class> Goal for $name<$t> {
            type T = $t;
            type Best = $best<$t>;
            const BEST: $best<$t> = $best(PhantomData);
            const SKIPS_NAN: bool = $skips;

            #[inline(always)]
            fn is_better(a: $t, b: $t) -> bool {
                a $op b
            }
        }
    )*};
}

goals! {
    /// The smallest element, or the first NaN.
    Smallest<T: Ordered>, Min, false, <;
    /// The largest element, or the first NaN.
    Largest<T: Ordered>, Max, false, >;
    /// The smallest element that is not NaN.
    NanSmallest<T: super::super::functions::Float>, NanMin, true, <;
    /// The largest element that is not NaN.
    NanLargest<T: super::super::functions::Float>, NanMax, true, >;
}

/// A value and where it is first found.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Found<T> {
    value: T,
    at: u64,
}

impl<T: Stored> Stored for Found<T> {
    fn decode(bytes: &[u8], order: ByteOrder) -> Self {
        let (value, at) = Stored::decode(bytes, order);
        Found { value, at }
    }

    fn encode(self, order: ByteOrder, bytes: &mut [u8]) {
        (self.value, self.at).encode(order, bytes);
    }
}

/// The index of the element that `G` looks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arg<G>(PhantomData<G>);

impl<G: Goal> Arg<G> {
    pub(crate) fn new() -> Self {
        Arg(PhantomData)
    }

    #[inline(always)]
    fn beats(a: G::T, b: G::T) -> bool {
        G::is_better(a, b) || (!G::SKIPS_NAN && a.is_nan() && !b.is_nan())
    }
}

impl<G: Goal> Reducer for Arg<G> {
    type In = G::T;
    type Acc = Found<G::T>;
    type Out = i64;
    type Tile = Vec<Self::Acc>;
    type Lanes = [Self::Acc; 1];

    fn empty(self) -> Self::Acc {
        Found { value: G::T::LOWEST, at: NOWHERE }
    }

    /// One fast pass for the value, and a second one that stops where it is.
    #[inline(always)]
    fn fold(self, xs: &[G::T], first: u64) -> Self::Acc {
        let best = Fold(G::BEST).fold(xs, 0);
        let is_wanted = |&x: &G::T| x == best || (!G::SKIPS_NAN && best.is_nan() && x.is_nan());
        match xs.iter().position(is_wanted) {
            Some(i) => Found { value: best, at: first + i as u64 },
            None => self.empty(),
        }
    }

    #[inline(always)]
    fn fold_lanes(self, xs: &[G::T], first: u64) -> [Self::Acc; 1] {
        [self.fold(xs, first)]
    }

    fn join_lanes(self, [acc]: [Self::Acc; 1]) -> Self::Acc {
        acc
    }

    fn tile(self, width: usize) -> Self::Tile {
        vec![self.empty(); width]
    }

    fn close(self, tile: Self::Tile, _n: u64) -> Vec<Self::Acc> {
        tile
    }

    #[inline(always)]
    fn add_row(self, accs: &mut Self::Tile, _n: u64, xs: &[G::T], first: u64) {
        for (i, (acc, &x)) in accs.iter_mut().zip(xs).enumerate() {
            let is_candidate = !G::SKIPS_NAN || !x.is_nan();
            if is_candidate && (acc.at == NOWHERE || Self::beats(x, acc.value)) {
                *acc = Found { value: x, at: first + i as u64 };
            }
        }
    }

    #[inline(always)]
    fn merge(self, a: Self::Acc, _na: u64, b: Self::Acc, _nb: u64) -> Self::Acc {
        if b.at == NOWHERE {
            a
        } else if a.at == NOWHERE || Self::beats(b.value, a.value) {
            b
        } else if Self::beats(a.value, b.value) || a.at <= b.at {
            a
        } else {
            b
        }
    }

    fn finish(self, acc: Self::Acc, _n: u64) -> Option<i64> {
        (acc.at != NOWHERE).then_some(acc.at as i64)
    }

    fn relocate(self, acc: Self::Acc, index_of: impl Fn(u64) -> u64) -> Self::Acc {
        if acc.at == NOWHERE { acc } else { Found { at: index_of(acc.at), ..acc } }
    }
}
