//! How many of a sample without replacement are of one kind.

use rand::distr::StandardUniform;
use rand_distr::Distribution;

use super::stream::Bits;

/// From this mode on `rand_distr` rejects; below, counts are drawn one after another from 0 on.
const MODE_MIN: f64 = 10.0;

/// Terms of the sum that the logarithm of the probability of 0 is, at most. Of more than that many, which then hardly
/// differ, each stands for several: the probability is right to eight digits.
const N_TERMS_MAX: u64 = 512;

/// The draws of `ngood` and `nbad`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Hypergeometric {
    /// Few are expected of the rarer kind.
    Few(Few),
    Many(rand_distr::Hypergeometric),
}

/// Inversion, for the rarer kind in the smaller of sample and remainder.
///
/// `rand_distr` has it too, but multiplies up factorials, which overflow for some thousands.
///
/// # Source
/// Kachitvichyanukul, Schmeiser, "Computer generation of hypergeometric random variates" (1985), algorithm HIN.
#[derive(Clone, Copy, Debug)]
pub(super) struct Few {
    rarer: f64,
    other: f64,
    drawn: f64,
    /// The probability of 0.
    of_none: f64,
    /// What the count is of: `offset + sign * x`.
    offset: f64,
    sign: f64,
}

impl Hypergeometric {
    pub(super) fn new(n_good: u64, n_bad: u64, n_sample: u64) -> Option<Self> {
        let total = n_good.checked_add(n_bad)?;
        let n_left = total.checked_sub(n_sample)?;
        let (rarer, drawn) = (n_good.min(n_bad), n_sample.min(n_left));
        let mode = ((drawn as f64 + 1.0) * (rarer as f64 + 1.0) / (total as f64 + 2.0)).floor();
        if mode >= MODE_MIN {
            let many = rand_distr::Hypergeometric::new(total, n_good, n_sample).ok()?;
            return Some(Hypergeometric::Many(many));
        }
        // Of the rarer kind in the sample, and from that, of the good ones.
        let (mut offset, mut sign) = (0.0, 1.0);
        if n_sample > n_left {
            (offset, sign) = (rarer as f64, -1.0);
        }
        if n_good > n_bad {
            (offset, sign) = (n_sample as f64 - offset, -sign);
        }
        Some(Hypergeometric::Few(Few {
            rarer: rarer as f64,
            other: n_good.max(n_bad) as f64,
            drawn: drawn as f64,
            of_none: ln_of_none(total, rarer, drawn).exp(),
            offset,
            sign,
        }))
    }

    pub(super) fn sample(&self, bits: &mut Bits) -> f64 {
        match self {
            Hypergeometric::Few(few) => few.offset + few.sign * few.sample(bits),
            Hypergeometric::Many(many) => many.sample(bits) as f64,
        }
    }
}

/// The logarithm of the probability that none of `rarer` is among `drawn` of `total`: each that is drawn is another one
/// as likely as what is left says.
fn ln_of_none(total: u64, rarer: u64, drawn: u64) -> f64 {
    // Both may be seen as drawn.
    let (n, of) = (rarer.min(drawn), rarer.max(drawn));
    let n_terms = n.min(N_TERMS_MAX);
    let step = n as f64 / n_terms.max(1) as f64;
    let term = |i: u64| {
        let before = i as f64 * step + (step - 1.0) / 2.0;
        step * (-(of as f64) / (total as f64 - before)).ln_1p()
    };
    (0..n_terms).map(term).sum()
}

impl Few {
    fn sample(&self, bits: &mut Bits) -> f64 {
        let mut unit: f64 = StandardUniform.sample(bits);
        let (mut x, mut probability) = (0.0, self.of_none);
        while unit > probability && x < self.rarer.min(self.drawn) {
            unit -= probability;
            probability *= (self.rarer - x) * (self.drawn - x);
            probability /= (x + 1.0) * (self.other - self.drawn + 1.0 + x);
            x += 1.0;
        }
        x
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_probability_of_none_is_that_of_a_product() {
        for (total, rarer, drawn) in
            [(30, 10, 8), (7, 0, 3), (101_000, 1000, 500), (2_000_000, 4000, 3000), (24, 12, 6)]
        {
            let product: f64 =
                (0..drawn).map(|i| ((total - rarer - i) as f64 / (total - i) as f64).ln()).sum();
            let got = ln_of_none(total, rarer, drawn);
            assert!((got - product).abs() < 1e-8, "{got} {product}");
        }
    }
}
