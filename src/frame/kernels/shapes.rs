//! States of the third and fourth moments of a distribution.

use polars_core::error::polars_bail;
use polars_core::prelude::{
    AnyValue, Column, DataType, Float64Chunked, IntoColumn, NamedFrom, PolarsResult, Scalar, Series,
};

/// Bytes of a state in a column, at most.
pub(crate) const BYTES: u32 = 8 * 5 + 16;

/// How many values there are, their mean, and the sums of the second to fourth powers of their distances from it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Moments {
    n: f64,
    mean: f64,
    sums: [f64; 3],
}

impl Moments {
    fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let mut sums = [0.0; 3];
        for distance in values.iter().map(|value| value - mean) {
            let square = distance * distance;
            for (sum, power) in sums.iter_mut().zip([square, square * distance, square * square]) {
                *sum += power;
            }
        }
        Moments { n, mean, sums }
    }

    /// The moments of the values of both.
    ///
    /// # Source
    /// P. Pébay, *Formulas for robust, one-pass parallel computation of covariances and arbitrary-order statistical
    /// moments*, Sandia report SAND2008-6212, 2008.
    fn with(self, other: Self) -> Self {
        let ((a, b), n) = ((self.n, other.n), self.n + other.n);
        let ([a2, a3, a4], [b2, b3, b4]) = (self.sums, other.sums);
        let d = other.mean - self.mean;
        // As steps from the one to the other, which do not overflow where powers of numbers of rows would.
        let (fa, fb, d2) = (a / n, b / n, d * d);
        let second = a2 + b2 + d2 * a * fb;
        let third = a3 + b3 + d2 * d * a * fb * (fa - fb) + 3.0 * d * (fa * b2 - fb * a2);
        let fourth = a4
            + b4
            + d2 * d2 * a * fb * (fa * fa - fa * fb + fb * fb)
            + 6.0 * d2 * (fa * fa * b2 + fb * fb * a2)
            + 4.0 * d * (fa * b3 - fb * a3);
        Moments { n, mean: self.mean + d * fb, sums: [second, third, fourth] }
    }

    /// The third power of the distances in units of the standard deviation; without bias, as an estimate from a sample.
    fn skew(&self, bias: bool) -> Option<f64> {
        let n = self.n;
        let [second, third, _] = self.sums.map(|sum| sum / n);
        let skew = if self.is_constant() { f64::NAN } else { third / second.powf(1.5) };
        match bias {
            true => Some(skew),
            false => (n > 2.0).then(|| (n * (n - 1.0)).sqrt() / (n - 2.0) * skew),
        }
    }

    /// The fourth power, less that of a normal distribution if `fisher`.
    fn kurtosis(&self, fisher: bool, bias: bool) -> Option<f64> {
        let n = self.n;
        let [second, _, fourth] = self.sums.map(|sum| sum / n);
        let kurtosis = if self.is_constant() { f64::NAN } else { fourth / (second * second) };
        let excess = match bias {
            true => kurtosis - 3.0,
            false if n <= 3.0 => return None,
            false => {
                let spread = (n + 1.0) * kurtosis - 3.0 * (n - 1.0);
                (n - 1.0) / ((n - 2.0) * (n - 3.0)) * spread
            }
        };
        Some(if fisher { excess } else { excess + 3.0 })
    }

    /// Whether all that differs is rounding.
    fn is_constant(&self) -> bool {
        self.sums[0] / self.n <= (f64::EPSILON * self.mean).powi(2)
    }

    fn to_state(self) -> Scalar {
        let [second, third, fourth] = self.sums;
        Scalar::new_list(Series::new("".into(), [self.n, self.mean, second, third, fourth]))
    }

    fn from_state(state: &Series) -> PolarsResult<Self> {
        let numbers: Vec<f64> = state.f64()?.iter().flatten().collect();
        let &[n, mean, second, third, fourth] = numbers.as_slice() else {
            polars_bail!(ComputeError: "a state of {} numbers, expected 5", numbers.len());
        };
        Ok(Moments { n, mean, sums: [second, third, fourth] })
    }
}

/// The state of values, null if there are none.
pub(crate) fn state(values: &Column) -> PolarsResult<Scalar> {
    let values = values.cast(&DataType::Float64)?;
    let values: Vec<f64> = values.f64()?.iter().flatten().collect();
    Ok(match values.is_empty() {
        true => Scalar::null(DataType::List(Box::new(DataType::Float64))),
        false => Moments::of(&values).to_state(),
    })
}

/// The state of all values whose states these are.
pub(crate) fn merged(states: &Column) -> PolarsResult<Scalar> {
    let mut all: Option<Moments> = None;
    for state in each(states)?.into_iter().flatten() {
        all = Some(all.map_or(state, |all| all.with(state)));
    }
    Ok(match all {
        Some(all) => all.to_state(),
        None => Scalar::null(states.dtype().clone()),
    })
}

pub(crate) fn skews(states: &Column, bias: bool) -> PolarsResult<Column> {
    results(states, |moments| moments.skew(bias))
}

pub(crate) fn kurtoses(states: &Column, fisher: bool, bias: bool) -> PolarsResult<Column> {
    results(states, |moments| moments.kurtosis(fisher, bias))
}

fn results(states: &Column, of: impl Fn(&Moments) -> Option<f64>) -> PolarsResult<Column> {
    let states = each(states)?;
    let results = states.iter().map(|state| state.as_ref().and_then(&of));
    Ok(results.collect::<Float64Chunked>().into_column())
}

fn each(states: &Column) -> PolarsResult<Vec<Option<Moments>>> {
    let state = |state: AnyValue<'_>| match state {
        AnyValue::List(state) => Moments::from_state(&state).map(Some),
        _ => Ok(None),
    };
    states.as_materialized_series().iter().map(state).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_whole() {
        let values: Vec<f64> = (0..97).map(|i| f64::from(i * 37 % 97).powf(1.7) + 1e6).collect();
        let whole = Moments::of(&values);
        for cut in [1, 5, 48, 96] {
            let [a, b] = [&values[..cut], &values[cut..]].map(Moments::of);
            let both = a.with(b);
            assert_eq!(both.n, whole.n);
            let pairs = both.sums.into_iter().zip(whole.sums).chain([(both.mean, whole.mean)]);
            pairs.for_each(|(a, b)| assert!((a / b - 1.0).abs() < 1e-9, "{cut}: {a} {b}"));
        }
    }

    /// From SciPy's `skew` and `kurtosis` of `[1, 2, 3, 4, 5, 23]`.
    #[test]
    fn results_are_those_of_scipy() {
        let moments = Moments::of(&[1.0, 2.0, 3.0, 4.0, 5.0, 23.0]);
        let near = |a: Option<f64>, b: f64| assert!((a.unwrap() - b).abs() < 1e-12, "{a:?} {b}");
        near(moments.skew(false), 2.2905330058490514);
        near(moments.skew(true), 1.6727687946848508);
        near(moments.kurtosis(true, true), 0.9945668771797536);
        near(moments.kurtosis(true, false), 5.400820058440946);
        near(moments.kurtosis(false, true), 3.994566877179754);
        near(moments.kurtosis(false, false), 8.400820058440946);
        assert!(Moments::of(&[2.0; 5]).skew(true).unwrap().is_nan());
        assert_eq!(Moments::of(&[2.0, 3.0]).skew(false), None);
    }
}
