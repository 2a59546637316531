//! Random arrays: [`Generator`] and its distributions.
//!
//! Each element is a function of the seed, of which call of the generator made the array, and of the element's
//! place in it. Neither chunks nor threads nor slices change it, and a slice makes only what it selects.

use super::args::{AxisRef, Shape};
use super::chunks::ChunkSpec;
use super::dtype::Element;
use super::handle::Array;
use super::kernels::Scalar;
use super::kernels::random::{Draws, Family, Stream};
use super::operators::Operand;
use super::ops::elementwise::{Term, cast};
use super::ops::random::{Wanted, choose, chosen};
use super::ops::{scalar, unsupported};
use crate::error::{Call, Error, Result};

pub use super::ops::random::Choice;

/// Makes random arrays from a seed. Each call makes an array that is independent of those of other calls and
/// seeds: the `n`-th array of a seed is always the same.
///
/// Parameters have NumPy's meaning. They are numbers, or arrays of `f64` that broadcast to the shape that is
/// drawn; for the latter each element takes bits of its own, which is slower, and a slice makes whole
/// chunks. A location and a scale are better added to what is drawn without them.
///
/// # Cost
/// Numbers are drawn in tiles of 64 neighbours in C order, and the rows of a chunk begin and end in the middle of
/// tiles, so a chunk of narrow rows draws up to 64 numbers a row more than it has.
///
/// # Errors
/// Of all methods, carried: [`Error::InvalidArgument`] for parameters without such a distribution, which those in
/// arrays only show when they are computed; [`Error::InvalidChunks`], [`Error::ShapeMismatch`].
///
/// # Example
/// ```
/// use dask_rs::prelude::*;
/// use dask_rs::array::random::Generator;
/// let mut rng = Generator::new(42);
/// let x: Array<f64> = rng.normal(10.0, 2.0, [1000, 1000], [100, 500]);
/// let mean = x.mean(..).compute()?[[]];
/// assert!((mean - 10.0).abs() < 0.01);
///
/// let same: Array<f64> = Generator::new(42).normal(10.0, 2.0, [1000, 1000], [1000, 7]);
/// let part = s![3..5, 990..];
/// assert_eq!(x.slice(part).compute()?, same.slice(part).compute()?);
/// # Ok::<(), Error>(())
/// ```
///
/// # Source
/// Bits are xoshiro256++ (Blackman and Vigna), distributions those of `rand_distr`, normal and exponential numbers the
/// ziggurat of Marsaglia and Tsang.
#[derive(Clone, Debug)]
pub struct Generator {
    seed: u64,
    /// How many arrays were made.
    n_made: u64,
}

/// NumPy's name of [`Generator::new`].
#[must_use]
pub fn default_rng(seed: u64) -> Generator {
    Generator::new(seed)
}

impl Generator {
    /// A generator that has made nothing yet.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Generator { seed, n_made: 0 }
    }

    /// Generators that are independent of this and of each other, for parts of a program.
    #[must_use]
    pub fn spawn(&mut self, n: usize) -> Vec<Generator> {
        (0..n).map(|_| Generator::new(self.stream().seed())).collect()
    }

    /// The bits of the next array.
    fn stream(&mut self) -> Stream {
        self.n_made += 1;
        Stream::new(self.seed, self.n_made)
    }

    fn wanted<T: Element>(&mut self, call: Call, shape: Shape, chunks: ChunkSpec) -> Wanted {
        Wanted { call, stream: self.stream(), dtype: T::DTYPE, shape, chunks }
    }

    /// Numbers from 0 to 1, of which 0 may be one and 1 may not: `f32` or `f64`.
    #[track_caller]
    #[must_use]
    pub fn random<T: Real>(
        &mut self,
        shape: impl Into<Shape>,
        chunks: impl Into<ChunkSpec>,
    ) -> Array<T> {
        let call = Call::new("random");
        let wanted = self.wanted::<T>(call, shape.into(), chunks.into());
        Array::of(wanted.draw(Ok(Draws::Unit)))
    }

    /// Integers from `low` to before `high`, all as likely.
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// use dask_rs::array::random::Generator;
    /// let dice: Array<u8> = Generator::new(1).integers(1, 7, 6000, 1000);
    /// let sixes = dice.eq(6).cast::<i64>().sum(..).compute()?[[]];
    /// assert!((900..1100).contains(&sixes));
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn integers<T: Element>(
        &mut self,
        low: T,
        high: T,
        shape: impl Into<Shape>,
        chunks: impl Into<ChunkSpec>,
    ) -> Array<T> {
        let call = Call::new("integers");
        let wanted = self.wanted::<T>(call, shape.into(), chunks.into());
        Array::of(wanted.draw(integers(call, scalar(low), scalar(high))))
    }

    /// `size` of the elements along an axis, in the order in which they are chosen.
    ///
    /// # Cost
    /// Positions are chosen at once, and are kept as 8 bytes each; then as [`Array::take`].
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// use dask_rs::array::random::{Choice, Generator};
    /// let x = array::arange(0, 100, 10, [3]);
    /// let mut rng = Generator::new(0);
    /// let tens = rng.choice(&x, 10, 0, &Choice::default().without_replacement());
    /// assert_eq!(tens.unique().compute()?, x.compute()?);
    /// let only: Vec<f64> = (0..10).map(|i| f64::from(i == 3)).collect();
    /// assert_eq!(rng.choice(&x, 2, 0, &Choice::default().weights(only)).compute()?, ndarray::arr1(&[30, 30]).into_dyn());
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn choice<T: Element>(
        &mut self,
        x: &Array<T>,
        size: u64,
        axis: impl Into<AxisRef>,
        how: &Choice,
    ) -> Array<T> {
        let (call, stream) = (Call::new("choice"), self.stream());
        Array::of(chosen(call, stream, &x.handle, Some(size), &axis.into(), how))
    }

    /// Positions from 0 to before `n`. Only those without replacement are chosen at once.
    #[track_caller]
    #[must_use]
    pub fn choice_index(
        &mut self,
        n: u64,
        shape: impl Into<Shape>,
        chunks: impl Into<ChunkSpec>,
        how: &Choice,
    ) -> Array<i64> {
        let call = Call::new("choice_index");
        Array::of(choose(self.wanted::<i64>(call, shape.into(), chunks.into()), n, how))
    }

    /// The numbers from 0 to before `n` in random order.
    #[track_caller]
    #[must_use]
    pub fn permutation(&mut self, n: u64, chunks: impl Into<ChunkSpec>) -> Array<i64> {
        let wanted = self.wanted::<i64>(Call::new("permutation"), Shape::from(n), chunks.into());
        Array::of(choose(wanted, n, &Choice::default().without_replacement()))
    }

    /// What stands along an axis in random order, as NumPy's `permutation` of an array.
    ///
    /// # Cost
    /// As [`Array::take`]: each block of the result has elements of nearly all others.
    #[track_caller]
    #[must_use]
    pub fn shuffle<T: Element>(&mut self, x: &Array<T>, axis: impl Into<AxisRef>) -> Array<T> {
        let (call, stream) = (Call::new("shuffle"), self.stream());
        let how = Choice::default().without_replacement();
        Array::of(chosen(call, stream, &x.handle, None, &axis.into(), &how))
    }
}

/// `f32` or `f64`.
pub trait Real: Element {}

impl Real for f32 {}
impl Real for f64 {}

/// The range of what is drawn, without its end.
fn integers(call: Call, low: Scalar, high: Scalar) -> Result<Draws> {
    if !low.dtype().is_integer() {
        return Err(unsupported(call, low.dtype(), "an integer"));
    }
    let (Some(first), Some(end)) = (low.integer(), high.integer()) else {
        return Err(unsupported(call, low.dtype(), "an integer"));
    };
    if first >= end {
        return Err(Error::InvalidArgument {
            call,
            argument: "high",
            got: format!("{low} to {high}"),
            expected: "a high that is greater than low",
        });
    }
    Ok(Draws::Integers(first, end - 1))
}

/// A parameter as `f64`.
fn term(call: Call, parameter: &impl Operand<f64>) -> Term {
    match parameter.term(call).0 {
        Term::Array(handle) => Term::Array(cast(call, &handle, f64::DTYPE)),
        scalar @ Term::Scalar(_) => scalar,
    }
}

/// Distributions: `name family (parameters): result, documentation`. The result is `T`, for a float of either kind,
/// or `i64`.
macro_rules! distributions {
    ($($(#[$doc:meta])* $name:ident $family:ident ($($parameter:ident),*) $out:ident;)*) => {
        /// Distributions of floats and of counts.
        impl Generator {
            $(distributions!(@$out $(#[$doc])* $name $family ($($parameter),*));)*
        }
    };
    (@T $(#[$doc:meta])* $name:ident $family:ident ($($parameter:ident),*)) => {
        $(#[$doc])*
        #[track_caller]
        #[must_use]
        pub fn $name<T: Real>(
            &mut self,
            $($parameter: impl Operand<f64>,)*
            shape: impl Into<Shape>,
            chunks: impl Into<ChunkSpec>,
        ) -> Array<T> {
            let call = Call::new(stringify!($name));
            let wanted = self.wanted::<T>(call, shape.into(), chunks.into());
            Array::of(wanted.family(Family::$family, &[$(term(call, &$parameter)),*]))
        }
    };
    (@i64 $(#[$doc:meta])* $name:ident $family:ident ($($parameter:ident),*)) => {
        $(#[$doc])*
        #[track_caller]
        #[must_use]
        pub fn $name(
            &mut self,
            $($parameter: impl Operand<f64>,)*
            shape: impl Into<Shape>,
            chunks: impl Into<ChunkSpec>,
        ) -> Array<i64> {
            let call = Call::new(stringify!($name));
            let wanted = self.wanted::<i64>(call, shape.into(), chunks.into());
            Array::of(wanted.family(Family::$family, &[$(term(call, &$parameter)),*]))
        }
    };
}

distributions! {
    /// Numbers from `low` to `high`, all as likely.
    uniform Uniform (low, high) T;
    /// The normal distribution of a mean and a standard deviation.
    normal Normal (loc, scale) T;
    /// The exponential function of normal numbers.
    lognormal Lognormal (mean, sigma) T;
    /// Waiting times of the given mean.
    exponential Exponential (scale) T;
    /// The gamma distribution, whose mean is `shape_parameter` times `scale`.
    gamma Gamma (shape_parameter, scale) T;
    /// The beta distribution, from 0 to 1.
    beta Beta (a, b) T;
    /// The sum of the squares of `df` normal numbers.
    chisquare Chisquare (df) T;
    /// Student's t with `df` degrees of freedom.
    standard_t StandardT (df) T;
    /// The ratio of two chi-square numbers, each divided by its degrees of freedom.
    f F (dfnum, dfden) T;
    /// The Cauchy distribution around `loc`, which has no mean.
    cauchy Cauchy (loc, scale) T;
    /// The Weibull distribution of scale 1.
    weibull Weibull (a) T;
    /// The Pareto distribution of the second kind, from 0 on.
    pareto Pareto (a) T;
    /// The Gumbel distribution of extremes.
    gumbel Gumbel (loc, scale) T;
    /// The Laplace distribution: an exponential one on both sides of `loc`.
    laplace Laplace (loc, scale) T;
    /// The logistic distribution.
    logistic Logistic (loc, scale) T;
    /// The length of a vector of two normal numbers.
    rayleigh Rayleigh (scale) T;
    /// Linear from `left` up to `mode`, and down to `right`.
    triangular Triangular (left, mode, right) T;
    /// The inverse Gaussian distribution.
    wald Wald (mean, scale) T;
    /// How many events there are in a time in which `lam` are expected.
    ///
    /// # Example
    /// ```
    /// use dask_rs::prelude::*;
    /// use dask_rs::array::random::Generator;
    /// // Each pixel counts photons.
    /// let expected = array::linspace(0.0, 100.0, 1000, [300]);
    /// let counted = Generator::new(5).poisson(&expected, [50, 1000], [50, 500]);
    /// let error = (counted.mean(0) - &expected).abs().mean(..).compute()?[[]];
    /// assert!(error < 1.5);
    /// # Ok::<(), Error>(())
    /// ```
    poisson Poisson (lam) i64;
    /// How many of `n` trials succeed, each with probability `p`.
    binomial Binomial (n, p) i64;
    /// How many trials it takes up to the first success.
    geometric Geometric (p) i64;
    /// How many trials fail before `n` succeed.
    negative_binomial NegativeBinomial (n, p) i64;
    /// How many of `nsample` that are drawn without replacement are good.
    hypergeometric Hypergeometric (ngood, nbad, nsample) i64;
    /// Zipf's law: a number is as likely as its power `-a` says.
    zipf Zipf (a) i64;
}

/// NumPy's names of special cases.
impl Generator {
    /// Normal numbers of mean 0 and standard deviation 1.
    #[track_caller]
    #[must_use]
    pub fn standard_normal<T: Real>(
        &mut self,
        shape: impl Into<Shape>,
        chunks: impl Into<ChunkSpec>,
    ) -> Array<T> {
        let wanted = self.wanted::<T>(Call::new("standard_normal"), shape.into(), chunks.into());
        Array::of(wanted.family(Family::Normal, &[0.0, 1.0].map(|x| Term::Scalar(scalar(x)))))
    }

    /// Waiting times of mean 1.
    #[track_caller]
    #[must_use]
    pub fn standard_exponential<T: Real>(
        &mut self,
        shape: impl Into<Shape>,
        chunks: impl Into<ChunkSpec>,
    ) -> Array<T> {
        let call = Call::new("standard_exponential");
        let wanted = self.wanted::<T>(call, shape.into(), chunks.into());
        Array::of(wanted.family(Family::Exponential, &[Term::Scalar(scalar(1.0))]))
    }
}

#[cfg(test)]
mod tests;
