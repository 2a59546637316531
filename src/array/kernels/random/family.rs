//! Families of distributions with NumPy's parameters, drawn by `rand_distr`.

use rand::distr::{Open01, StandardUniform};
use rand_distr::{
    Beta, Binomial, Cauchy, ChiSquared, Distribution, Exp1, FisherF, Gamma, Geometric, Gumbel,
    Pareto, Poisson, StandardNormal, StudentT, Triangular, Weibull, Zeta,
};

use super::hypergeometric::Hypergeometric;
use super::stream::Bits;
use crate::array::dtype::Element;

/// A family of distributions of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "dist", derive(serde::Serialize, serde::Deserialize))]
pub(crate) enum Family {
    Uniform,
    Normal,
    Lognormal,
    Exponential,
    Gamma,
    Beta,
    Chisquare,
    StandardT,
    F,
    Cauchy,
    Weibull,
    Pareto,
    Gumbel,
    Laplace,
    Logistic,
    Rayleigh,
    Triangular,
    Wald,
    Poisson,
    Binomial,
    Geometric,
    NegativeBinomial,
    Hypergeometric,
    Zipf,
}

/// Does something with the function that draws from a distribution.
pub(crate) trait Draw {
    type Out;
    fn with(self, draw: impl Fn(&mut Bits) -> f64) -> Self::Out;
}

/// Asks only whether there is such a distribution.
#[derive(Debug)]
pub(crate) struct Checked;

impl Draw for Checked {
    type Out = ();
    fn with(self, _draw: impl Fn(&mut Bits) -> f64) {}
}

/// Parameters that a family does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Invalid;

/// The draw of `$sample` for as long as the parameters are such that `$holds`.
macro_rules! drawn {
    ($visit:expr, $holds:expr, $draw:expr) => {
        if $holds { Ok($visit.with($draw)) } else { Err(Invalid) }
    };
}

/// Draws from what a distribution of `rand_distr` is, if its parameters are right.
fn drawn_from<V: Draw, D: Distribution<f64>, E>(
    visit: V,
    distribution: Result<D, E>,
) -> Result<V::Out, Invalid> {
    let distribution = distribution.map_err(|_| Invalid)?;
    Ok(visit.with(|bits: &mut Bits| distribution.sample(bits)))
}

fn exponential(bits: &mut Bits) -> f64 {
    Exp1.sample(bits)
}

fn normal(bits: &mut Bits) -> f64 {
    StandardNormal.sample(bits)
}

/// The smaller root as a quotient: a difference of its large terms would cancel, and be below 0.
///
/// # Source
/// Michael, Schucany, Haas, "Generating random variates using transformations with multiple roots" (1976).
fn wald(bits: &mut Bits, mean: f64, scale: f64) -> f64 {
    let half = mean * normal(bits).powi(2) / (2.0 * scale);
    let smaller = 1.0 / (1.0 + half + half.sqrt() * (half + 2.0).sqrt());
    let unit: f64 = StandardUniform.sample(bits);
    if unit * (1.0 + smaller) <= 1.0 { mean * smaller } else { mean / smaller }
}

/// A parameter that counts, if it does.
fn count(x: f64) -> Result<u64, Invalid> {
    if x >= 0.0 && x.fract() == 0.0 && x < u64::MAX as f64 { Ok(x as u64) } else { Err(Invalid) }
}

impl Family {
    /// The names of the parameters, as NumPy has them.
    pub(crate) fn parameters(self) -> &'static [&'static str] {
        use Family as F;
        match self {
            F::Uniform => &["low", "high"],
            F::Normal | F::Gumbel | F::Laplace | F::Logistic | F::Cauchy => &["loc", "scale"],
            F::Lognormal => &["mean", "sigma"],
            F::Exponential | F::Rayleigh => &["scale"],
            F::Gamma => &["shape", "scale"],
            F::Beta => &["a", "b"],
            F::Chisquare | F::StandardT => &["df"],
            F::F => &["dfnum", "dfden"],
            F::Weibull | F::Pareto | F::Zipf => &["a"],
            F::Triangular => &["left", "mode", "right"],
            F::Wald => &["mean", "scale"],
            F::Poisson => &["lam"],
            F::Binomial | F::NegativeBinomial => &["n", "p"],
            F::Geometric => &["p"],
            F::Hypergeometric => &["ngood", "nbad", "nsample"],
        }
    }

    pub(crate) fn name(self) -> &'static str {
        use Family as F;
        match self {
            F::Uniform => "uniform",
            F::Normal => "normal",
            F::Lognormal => "lognormal",
            F::Exponential => "exponential",
            F::Gamma => "gamma",
            F::Beta => "beta",
            F::Chisquare => "chisquare",
            F::StandardT => "standard_t",
            F::F => "f",
            F::Cauchy => "cauchy",
            F::Weibull => "weibull",
            F::Pareto => "pareto",
            F::Gumbel => "gumbel",
            F::Laplace => "laplace",
            F::Logistic => "logistic",
            F::Rayleigh => "rayleigh",
            F::Triangular => "triangular",
            F::Wald => "wald",
            F::Poisson => "poisson",
            F::Binomial => "binomial",
            F::Geometric => "geometric",
            F::NegativeBinomial => "negative_binomial",
            F::Hypergeometric => "hypergeometric",
            F::Zipf => "zipf",
        }
    }

    /// Hands the function that draws with these parameters to `visit`.
    pub(crate) fn draw<V: Draw>(self, p: &[f64], visit: V) -> Result<V::Out, Invalid> {
        let at = |i: usize| p.get(i).copied().unwrap_or(f64::NAN);
        let (a, b, c) = (at(0), at(1), at(2));
        let is_scale = |scale: f64| (0.0..f64::INFINITY).contains(&scale);
        match self {
            Family::Uniform => drawn!(visit, (b - a).is_finite() && a <= b, move |bits| {
                let unit: f64 = StandardUniform.sample(bits);
                a + (b - a) * unit
            }),
            Family::Normal => drawn!(visit, is_scale(b), move |bits| a + b * normal(bits)),
            Family::Lognormal => {
                drawn!(visit, is_scale(b), move |bits| (a + b * normal(bits)).exp())
            }
            Family::Exponential => drawn!(visit, is_scale(a), move |bits| a * exponential(bits)),
            Family::Gamma => drawn_from(visit, Gamma::new(a, b)),
            Family::Beta => drawn_from(visit, Beta::new(a, b)),
            Family::Chisquare => drawn_from(visit, ChiSquared::new(a)),
            Family::StandardT => drawn_from(visit, StudentT::new(a)),
            Family::F => drawn_from(visit, FisherF::new(a, b)),
            Family::Cauchy => drawn_from(visit, Cauchy::new(a, b)),
            Family::Weibull => drawn_from(visit, Weibull::new(1.0, a)),
            // From 0 on, as NumPy has it.
            Family::Pareto => {
                let from_one = Pareto::new(1.0, a).map_err(|_| Invalid)?;
                Ok(visit.with(|bits: &mut Bits| from_one.sample(bits) - 1.0))
            }
            Family::Gumbel => drawn_from(visit, Gumbel::new(a, b)),
            Family::Laplace => drawn!(visit, is_scale(b), move |bits| {
                a + b * (exponential(bits) - exponential(bits))
            }),
            Family::Logistic => drawn!(visit, is_scale(b), move |bits| {
                let unit: f64 = Open01.sample(bits);
                a + b * (unit / (1.0 - unit)).ln()
            }),
            Family::Rayleigh => {
                drawn!(visit, is_scale(a), move |bits| a * (2.0 * exponential(bits)).sqrt())
            }
            Family::Triangular => drawn_from(visit, Triangular::new(a, c, b)),
            Family::Wald => {
                drawn!(visit, 0.0 < a && a.is_finite() && b > 0.0, move |bits| { wald(bits, a, b) })
            }
            _ => self.draw_count(p, visit),
        }
    }

    /// The same for families of whole numbers.
    fn draw_count<V: Draw>(self, p: &[f64], visit: V) -> Result<V::Out, Invalid> {
        let at = |i: usize| p.get(i).copied().unwrap_or(f64::NAN);
        let (a, b) = (at(0), at(1));
        match self {
            Family::Poisson if a == 0.0 => Ok(visit.with(|_| 0.0)),
            Family::Poisson => drawn_from(visit, Poisson::new(a)),
            Family::Binomial => {
                let binomial = Binomial::new(count(a)?, b).map_err(|_| Invalid)?;
                Ok(visit.with(|bits: &mut Bits| binomial.sample(bits) as f64))
            }
            // The first success counts, as NumPy has it.
            Family::Geometric => {
                let failures = Geometric::new(a).map_err(|_| Invalid)?;
                drawn!(visit, a > 0.0, move |bits: &mut Bits| failures.sample(bits) as f64 + 1.0)
            }
            // A Poisson distribution whose mean has a gamma distribution.
            Family::NegativeBinomial => {
                let mean = Gamma::new(a, (1.0 - b) / b);
                if b == 1.0 && a > 0.0 {
                    return Ok(visit.with(|_| 0.0));
                }
                let mean = mean.map_err(|_| Invalid)?;
                drawn!(visit, 0.0 < b && b < 1.0, move |bits: &mut Bits| {
                    Poisson::new(mean.sample(bits)).map_or(0.0, |poisson| poisson.sample(bits))
                })
            }
            Family::Hypergeometric => {
                let (good, bad, n) = (count(a)?, count(b)?, count(at(2))?);
                let of_good = Hypergeometric::new(good, bad, n).ok_or(Invalid)?;
                Ok(visit.with(|bits: &mut Bits| of_good.sample(bits)))
            }
            Family::Zipf => drawn_from(visit, Zeta::new(a)),
            _ => Err(Invalid),
        }
    }
}

/// What a draw becomes as an element.
pub(crate) trait Number: Element {
    fn of(draw: f64) -> Self;
}

impl Number for f32 {
    fn of(draw: f64) -> f32 {
        draw as f32
    }
}

impl Number for f64 {
    fn of(draw: f64) -> f64 {
        draw
    }
}

impl Number for i64 {
    fn of(draw: f64) -> i64 {
        draw as i64
    }
}
