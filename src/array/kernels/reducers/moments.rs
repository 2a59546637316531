//! Means and sums of squared deviations, for variances.
//!
//! Never Σx² − (Σx)²/n: it loses all digits where the mean is large. Runs of at most a strip
//! measure distances from their first element, and are merged through their means. Adding one
//! element at a time (Welford) would round each distance to the precision of the mean.
//!
//! # Source
//! T. F. Chan, G. H. Golub, R. J. LeVeque, "Updating formulae and a pairwise algorithm for
//! computing sample variances", Stanford STAN-CS-79-773, 1979; "Algorithms for computing the
//! sample variance", The American Statistician 37(3), 1983, for the shift.

use std::fmt;
use std::marker::PhantomData;

use num_complex::Complex;

use super::Reducer;
use super::monoids::{Summed, Total};
use crate::array::io::{ByteOrder, Stored};
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
///
/// While elements are added, `mean` is only near the mean, and `sum` says how far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spread<M> {
    mean: M,
    /// The sum of the distances from `mean`.
    sum: M,
    /// The sum of the squared distances from `mean`.
    squares: f64,
}

impl<M: Wide> Stored for Spread<M> {
    fn decode(bytes: &[u8], order: ByteOrder) -> Self {
        let (mean, (sum, squares)) = Stored::decode(bytes, order);
        Spread { mean, sum, squares }
    }

    fn encode(self, order: ByteOrder, bytes: &mut [u8]) {
        (self.mean, (self.sum, self.squares)).encode(order, bytes);
    }
}

impl<M: Wide> Spread<M> {
    const EMPTY: Self = Spread { mean: M::ZERO, sum: M::ZERO, squares: 0.0 };

    /// Nothing yet, but distances will be from `near`.
    fn around(near: M) -> Self {
        Spread { mean: near, ..Self::EMPTY }
    }

    #[inline(always)]
    fn push(&mut self, x: M) {
        let distance = x.minus(self.mean);
        self.sum = self.sum.plus(distance);
        self.squares += distance.norm_sqr();
    }

    /// Moves `mean` to where it belongs (Chan et al., 1.7).
    ///
    /// Where `mean` was one of the `n` elements, (Σd)² is at most n² variances, so that the
    /// difference loses no more than a factor `n` of its digits, and `n` is a short run.
    #[inline(always)]
    fn close(self, n: f64) -> Self {
        let offset = self.sum.scaled(1.0 / n);
        let squares = self.squares - self.sum.norm_sqr() / n;
        // Not `max`, which would hide NaN.
        let squares = if squares < 0.0 { 0.0 } else { squares };
        Spread { mean: self.mean.plus(offset), sum: M::ZERO, squares }
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
            sum: M::ZERO,
            squares: self.squares + other.squares + distance.norm_sqr() * (na * share),
        }
    }
}

/// Spreads of neighbouring columns, field by field, so that rows are added with vectors.
#[derive(Debug)]
pub(crate) struct Columns<M> {
    near: Vec<M>,
    sums: Vec<M>,
    squares: Vec<f64>,
}

impl<M: Wide> Columns<M> {
    fn new(width: usize) -> Self {
        let zeros = || vec![M::ZERO; width];
        Columns { near: zeros(), sums: zeros(), squares: vec![0.0; width] }
    }

    fn spreads(self) -> impl Iterator<Item = Spread<M>> {
        let columns = self.near.into_iter().zip(self.sums).zip(self.squares);
        columns.map(|((mean, sum), squares)| Spread { mean, sum, squares })
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
    type Tile = Columns<T::Wide>;
    type Lanes = [Self::Acc; 1];

    fn empty(self) -> Self::Acc {
        Spread::EMPTY
    }

    #[inline(always)]
    fn fold(self, xs: &[T], _first: u64) -> Self::Acc {
        let Some(&near) = xs.first() else { return Spread::EMPTY };
        let mut lanes = [Spread::around(near.cast_to()); LANES];
        let (blocks, rest) = xs.as_chunks::<LANES>();
        for block in blocks {
            for (lane, &x) in lanes.iter_mut().zip(block) {
                lane.push(x.cast_to());
            }
        }
        for (lane, &x) in lanes.iter_mut().zip(rest) {
            lane.push(x.cast_to());
        }
        let mut total = lanes[0];
        for lane in &lanes[1..] {
            total.sum = total.sum.plus(lane.sum);
            total.squares += lane.squares;
        }
        total.close(xs.len() as f64)
    }

    #[inline(always)]
    fn fold_lanes(self, xs: &[T], first: u64) -> [Self::Acc; 1] {
        [self.fold(xs, first)]
    }

    fn join_lanes(self, [acc]: [Self::Acc; 1]) -> Self::Acc {
        acc
    }

    fn tile(self, width: usize) -> Self::Tile {
        Columns::new(width)
    }

    #[inline(always)]
    fn add_row(self, tile: &mut Self::Tile, n: u64, xs: &[T], _first: u64) {
        if n == 0 {
            for ((near, square), &x) in tile.near.iter_mut().zip(&mut tile.squares).zip(xs) {
                *near = x.cast_to();
                // The distance from itself, which is NaN for what is not finite.
                *square = near.minus(*near).norm_sqr();
            }
            return;
        }
        let columns = tile.near.iter().zip(&mut tile.sums).zip(&mut tile.squares);
        for (((&near, sum), square), &x) in columns.zip(xs) {
            let distance = x.cast_to().minus(near);
            *sum = sum.plus(distance);
            *square += distance.norm_sqr();
        }
    }

    fn close(self, tile: Self::Tile, n: u64) -> Vec<Self::Acc> {
        tile.spreads().map(|spread| spread.close(n as f64)).collect()
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
    type Tile = (Vec<f64>, Columns<T::Wide>);
    type Lanes = [Self::Acc; 1];

    fn empty(self) -> Self::Acc {
        (0.0, Spread::EMPTY)
    }

    #[inline(always)]
    fn fold(self, xs: &[T], _first: u64) -> Self::Acc {
        #[expect(clippy::eq_op, reason = "this asks for NaN")]
        let near = xs.iter().find(|&x| x == x);
        let Some(&near) = near else { return self.empty() };
        let (mut n, mut spread) = (0.0, Spread::around(near.cast_to()));
        for &x in xs {
            #[expect(clippy::eq_op, reason = "this asks for NaN")]
            if x == x {
                n += 1.0;
                spread.push(x.cast_to());
            }
        }
        (n, spread.close(n))
    }

    #[inline(always)]
    fn fold_lanes(self, xs: &[T], first: u64) -> [Self::Acc; 1] {
        [self.fold(xs, first)]
    }

    fn join_lanes(self, [acc]: [Self::Acc; 1]) -> Self::Acc {
        acc
    }

    fn tile(self, width: usize) -> Self::Tile {
        (vec![0.0; width], Columns::new(width))
    }

    #[inline(always)]
    fn add_row(self, (counts, tile): &mut Self::Tile, _n: u64, xs: &[T], _first: u64) {
        let columns = tile.near.iter_mut().zip(&mut tile.sums).zip(&mut tile.squares);
        for ((((near, sum), square), n), &x) in columns.zip(counts).zip(xs) {
            #[expect(clippy::eq_op, reason = "this asks for NaN")]
            if x == x {
                if *n == 0.0 {
                    *near = x.cast_to();
                }
                let distance = x.cast_to().minus(*near);
                *sum = sum.plus(distance);
                *square += distance.norm_sqr();
                *n += 1.0;
            }
        }
    }

    fn close(self, (counts, tile): Self::Tile, _n: u64) -> Vec<Self::Acc> {
        let close = |(n, spread): (f64, Spread<T::Wide>)| {
            (n, if n == 0.0 { Spread::EMPTY } else { spread.close(n) })
        };
        counts.into_iter().zip(tile.spreads()).map(close).collect()
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
