//! Means and sums of squared deviations, for variances.
//!
//! Never Σx² − (Σx)²/n: it loses all digits where the mean is large. Runs take two passes in the
//! cache, rows are added one by one, and blocks are merged through the difference of their means.
//!
//! # Source
//! B. P. Welford, "Note on a method for calculating corrected sums of squares and products",
//! Technometrics 4(3), 1962. T. F. Chan, G. H. Golub, R. J. LeVeque, "Updating formulae and a
//! pairwise algorithm for computing sample variances", Stanford STAN-CS-79-773, 1979.

use std::fmt;
use std::marker::PhantomData;

use num_complex::Complex;

use super::Reducer;
use super::monoids::{Fold, Sum, Summed, Total};
use crate::array::kernels::scalar::{CastTo, Lane};

const LANES: usize = 16;

/// What means of `T` are computed in.
pub(crate) trait Wide: Total + fmt::Debug {
    fn minus(self, other: Self) -> Self;
    fn scaled(self, by: f64) -> Self;
    fn norm_sqr(self) -> f64;
}

impl Wide for f64 {
    #[inline(always)]
    fn minus(self, other: f64) -> f64 {
        self - other
    }

    #[inline(always)]
    fn scaled(self, by: f64) -> f64 {
        self * by
    }

    #[inline(always)]
    fn norm_sqr(self) -> f64 {
        self * self
    }
}

impl Wide for Complex<f64> {
    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        self - other
    }

    #[inline(always)]
    fn scaled(self, by: f64) -> Self {
        Complex::new(self.re * by, self.im * by)
    }

    #[inline(always)]
    fn norm_sqr(self) -> f64 {
        self.re * self.re + self.im * self.im
    }
}

/// The mean of some elements and the sum of their squared distances from it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread<M> {
    mean: M,
    squares: f64,
}

impl<M: Wide> Spread<M> {
    const EMPTY: Self = Spread { mean: M::ZERO, squares: 0.0 };

    /// Two passes over a run that is in the cache.
    #[inline(always)]
    fn of_run<T: CastTo<M> + Copy>(xs: &[T], mean: M) -> Self {
        let mut squares = [0.0; LANES];
        let mut rests = [M::ZERO; LANES];
        let (blocks, rest) = xs.as_chunks::<LANES>();
        for block in blocks.iter().map(|block| &block[..]).chain([rest]) {
            for ((square, sum), &x) in squares.iter_mut().zip(&mut rests).zip(block) {
                let distance = x.cast_to().minus(mean);
                *square += distance.norm_sqr();
                *sum = sum.plus(distance);
            }
        }
        // The second sum takes away what rounding of the mean put in (Chan et al., 1.7).
        let n = xs.len() as f64;
        let rest = rests.into_iter().fold(M::ZERO, M::plus);
        let squares: f64 = squares.iter().sum();
        Spread { mean, squares: squares - rest.norm_sqr() / n }
    }

    /// The spread of both (Chan et al., 2.1).
    #[inline(always)]
    fn merge(self, na: f64, other: Self, nb: f64) -> Self {
        if na == 0.0 {
            return other;
        }
        if nb == 0.0 {
            return self;
        }
        let share = nb / (na + nb);
        let distance = other.mean.minus(self.mean);
        Spread {
            mean: self.mean.plus(distance.scaled(share)),
            squares: self.squares + other.squares + distance.norm_sqr() * (na * share),
        }
    }

    /// One more element (Welford).
    #[inline(always)]
    fn push(&mut self, x: M, share: f64, weight: f64) {
        let distance = x.minus(self.mean);
        self.mean = self.mean.plus(distance.scaled(share));
        self.squares += distance.norm_sqr() * weight;
    }
}

/// Types that have variances.
pub(crate) trait Varied: Summed<Total = Self::Wide> {
    type Wide: Wide;
    type Variance: Lane;
    fn variance(value: f64) -> Self::Variance;
}

macro_rules! varied {
    ($($t:ty, $wide:ty, $variance:ty;)*) => {$(
        impl Varied for $t {
            type Wide = $wide;
            type Variance = $variance;

            fn variance(value: f64) -> $variance {
                value.cast_to()
            }
        }
    )*};
}

varied! {
    f32, f64, f32;
    f64, f64, f64;
    Complex<f32>, Complex<f64>, f32;
    Complex<f64>, Complex<f64>, f64;
}

/// Variances, and standard deviations if `is_std`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moments<T> {
    pub(crate) ddof: f64,
    pub(crate) is_std: bool,
    pub(crate) of: PhantomData<T>,
}

impl<T: Varied> Moments<T> {
    fn variance(self, squares: f64, n: f64) -> T::Variance {
        let variance = squares / (n - self.ddof).max(0.0);
        T::variance(if self.is_std { variance.sqrt() } else { variance })
    }
}

impl<T: Varied> Reducer for Moments<T> {
    type In = T;
    type Acc = Spread<T::Wide>;
    type Out = T::Variance;

    fn empty(self) -> Self::Acc {
        Spread::EMPTY
    }

    #[inline(always)]
    fn fold(self, xs: &[T], _first: u64) -> Self::Acc {
        let sum = Fold(Sum { is_mean: false, of: PhantomData::<T> }).fold(xs, 0);
        if xs.is_empty() { Spread::EMPTY } else { Spread::of_run(xs, sum.over(xs.len() as f64)) }
    }

    #[inline(always)]
    fn fold_row(self, accs: &mut [Self::Acc], n: u64, xs: &[T], _first: u64) {
        let share = 1.0 / (n + 1) as f64;
        let weight = n as f64 * share;
        for (acc, &x) in accs.iter_mut().zip(xs) {
            acc.push(x.cast_to(), share, weight);
        }
    }

    #[inline(always)]
    fn merge(self, a: Self::Acc, na: u64, b: Self::Acc, nb: u64) -> Self::Acc {
        a.merge(na as f64, b, nb as f64)
    }

    fn finish(self, acc: Self::Acc, n: u64) -> Option<T::Variance> {
        Some(self.variance(acc.squares, n as f64))
    }
}

/// [`Moments`] of the elements that are not NaN, each with its own count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NanMoments<T>(pub(crate) Moments<T>);

impl<T: Varied> Reducer for NanMoments<T> {
    type In = T;
    type Acc = (f64, Spread<T::Wide>);
    type Out = T::Variance;

    fn empty(self) -> Self::Acc {
        (0.0, Spread::EMPTY)
    }

    #[inline(always)]
    fn fold(self, xs: &[T], _first: u64) -> Self::Acc {
        let mut acc = self.empty();
        for x in xs {
            self.fold_row(std::slice::from_mut(&mut acc), 0, std::slice::from_ref(x), 0);
        }
        acc
    }

    #[inline(always)]
    fn fold_row(self, accs: &mut [Self::Acc], _n: u64, xs: &[T], _first: u64) {
        for ((n, spread), &x) in accs.iter_mut().zip(xs) {
            #[expect(clippy::eq_op, reason = "this asks for NaN")]
            if x == x {
                let share = 1.0 / (*n + 1.0);
                spread.push(x.cast_to(), share, *n * share);
                *n += 1.0;
            }
        }
    }

    #[inline(always)]
    fn merge(self, a: Self::Acc, _na: u64, b: Self::Acc, _nb: u64) -> Self::Acc {
        (a.0 + b.0, a.1.merge(a.0, b.1, b.0))
    }

    fn finish(self, (n, spread): Self::Acc, _n: u64) -> Option<T::Variance> {
        if n <= self.0.ddof {
            return Some(T::variance(f64::NAN));
        }
        Some(self.0.variance(spread.squares, n))
    }
}
