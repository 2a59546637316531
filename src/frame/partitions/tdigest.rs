//! Quantiles of any number of values in a bounded number of bytes.
//!
//! # Source
//! T. Dunning and O. Ertl, *Computing extremely accurate quantiles using t-digests*, 2019: the merging digest with the
//! scale function k1. No crate is used: those that there are keep more state or can't be taken apart into numbers.

use std::f64::consts::PI;

/// How fine digests are: 400 centroids at most, in the middle each of less than 1 % of the values.
const COMPRESSION: f64 = CENTROIDS_MAX as f64;
pub(crate) const CENTROIDS_MAX: u32 = 400;

/// Some values by their mean.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Centroid {
    mean: f64,
    weight: f64,
}

/// A mergeable sketch of a distribution, finest at its ends.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TDigest {
    min: f64,
    max: f64,
    /// Ascending.
    centroids: Vec<Centroid>,
}

impl TDigest {
    /// Of values without NaN; `None` of none.
    pub(crate) fn new(mut values: Vec<f64>) -> Option<Self> {
        values.sort_unstable_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let centroids = values.into_iter().map(|mean| Centroid { mean, weight: 1.0 });
        Some(TDigest { min, max, centroids: compressed(centroids.collect()) })
    }

    /// The digest of all values that these are digests of.
    pub(crate) fn merge(digests: Vec<TDigest>) -> Option<Self> {
        let min = digests.iter().map(|digest| digest.min).min_by(f64::total_cmp)?;
        let max = digests.iter().map(|digest| digest.max).max_by(f64::total_cmp)?;
        let mut all: Vec<Centroid> = digests.into_iter().flat_map(|d| d.centroids).collect();
        // Stable, so that equal means merge in the order of the digests.
        all.sort_by(|a, b| a.mean.total_cmp(&b.mean));
        Some(TDigest { min, max, centroids: compressed(all) })
    }

    /// The value below which a share `q` of the values lies, between two centroids by distance.
    pub(crate) fn quantile(&self, q: f64) -> f64 {
        let n: f64 = self.centroids.iter().map(|centroid| centroid.weight).sum();
        let place = q.clamp(0.0, 1.0) * (n - 1.0);
        // Values have places from 0 to n - 1; a centroid stands in the middle of its own.
        let mut before = (0.0, self.min);
        let mut first = 0.0;
        for Centroid { mean, weight } in &self.centroids {
            let middle = (first + (weight - 1.0) / 2.0, *mean);
            if place <= middle.0 {
                return between(before, middle, place);
            }
            (before, first) = (middle, first + weight);
        }
        between(before, (n - 1.0, self.max), place)
    }

    /// The digest as numbers, from which [`from_numbers`](Self::from_numbers) makes it again.
    pub(crate) fn numbers(&self) -> Vec<f64> {
        let ends = [self.min, self.max];
        let centroids = self.centroids.iter().flat_map(|c| [c.mean, c.weight]);
        ends.into_iter().chain(centroids).collect()
    }

    pub(crate) fn from_numbers(numbers: &[f64]) -> Option<Self> {
        let [min, max, rest @ ..] = numbers else { return None };
        let (pairs, []) = rest.as_chunks::<2>() else { return None };
        let centroids = pairs.iter().map(|&[mean, weight]| Centroid { mean, weight });
        Some(TDigest { min: *min, max: *max, centroids: centroids.collect() })
    }
}

fn between(low: (f64, f64), high: (f64, f64), place: f64) -> f64 {
    if high.0 <= low.0 || low.1 == high.1 {
        return high.1;
    }
    let share = (place - low.0) / (high.0 - low.0);
    if (high.1 - low.1).is_finite() {
        low.1 + (high.1 - low.1) * share
    } else {
        // To infinity there is no line.
        if share < 0.5 { low.1 } else { high.1 }
    }
}

/// Joins neighbours as long as they take no more than one step of the scale.
fn compressed(sorted: Vec<Centroid>) -> Vec<Centroid> {
    let n: f64 = sorted.iter().map(|centroid| centroid.weight).sum();
    let mut out: Vec<Centroid> = Vec::new();
    let (mut before, mut limit) = (0.0, 0.0);
    for next in sorted {
        match out.last_mut() {
            Some(last)
                // Infinity has no mean with other values.
                if (last.mean == next.mean || (last.mean - next.mean).is_finite())
                    && before + last.weight + next.weight <= limit =>
            {
                last.weight += next.weight;
                if next.mean != last.mean {
                    last.mean += (next.mean - last.mean) * next.weight / last.weight;
                }
            }
            _ => {
                before += out.last().map_or(0.0, |last| last.weight);
                limit = n * share_after(before / n);
                out.push(next);
            }
        }
    }
    out
}

/// The share of all values that lies below the end of a centroid which begins at the share `q`.
fn share_after(q: f64) -> f64 {
    let step = 2.0 * PI / COMPRESSION;
    let angle = (2.0 * q - 1.0).clamp(-1.0, 1.0).asin() + step;
    if angle >= PI / 2.0 { 1.0 } else { (angle.sin() + 1.0) / 2.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// How far the rank of a value is from the wanted one, as a share of all values.
    fn error(sorted: &[f64], q: f64, got: f64) -> f64 {
        let n = sorted.len() as f64;
        let low = sorted.partition_point(|v| *v < got) as f64 / n;
        let high = sorted.partition_point(|v| *v <= got) as f64 / n;
        (low - q).max(q - high).max(0.0)
    }

    #[test]
    fn few_values_are_exact() {
        let digest = TDigest::new(vec![3.0, 1.0, 2.0, 10.0]).unwrap();
        for (q, expected) in [(0.0, 1.0), (1.0, 10.0), (0.5, 2.5), (1.0 / 3.0, 2.0), (0.9, 7.9)] {
            assert!((digest.quantile(q) - expected).abs() < 1e-12, "{q}: {}", digest.quantile(q));
        }
        assert_eq!(TDigest::new(vec![5.0]).unwrap().quantile(0.3), 5.0);
        assert_eq!(TDigest::new(vec![]), None);
        assert_eq!(TDigest::merge(vec![]), None);
        let ends = TDigest::new(vec![f64::NEG_INFINITY, 0.0, f64::INFINITY]).unwrap();
        assert_eq!(
            [0.0, 0.5, 1.0].map(|q| ends.quantile(q)),
            [f64::NEG_INFINITY, 0.0, f64::INFINITY]
        );
    }

    #[test]
    fn infinity_has_no_mean_with_other_values() {
        for infinity in [f64::NEG_INFINITY, f64::INFINITY] {
            let many = (0..90_000).map(f64::from).chain([infinity; 10_000]);
            let digest = TDigest::new(many.collect()).unwrap();
            let ranks = (0..=1000).map(|i| digest.quantile(f64::from(i) / 1000.0));
            let quantiles: Vec<f64> = ranks.collect();
            assert!(quantiles.iter().all(|q| !q.is_nan()) && quantiles.is_sorted());
        }
    }

    #[test]
    fn numbers_are_the_digest() {
        let digest = TDigest::new((0..5000).map(f64::from).collect()).unwrap();
        assert!(digest.numbers().len() < 2 + 2 * 400);
        assert_eq!(TDigest::from_numbers(&digest.numbers()), Some(digest));
        assert_eq!(TDigest::from_numbers(&[1.0, 2.0, 3.0]), None);
        assert_eq!(TDigest::from_numbers(&[]), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn ranks_are_within_a_percent_however_values_are_cut(
            n in 1..6000_usize, parts in 1..40_usize, power in 1..12, sorted in any::<bool>(), seed in any::<u32>(),
        ) {
            // Values that lie ever closer, in partitions that have one part of the range or all of it.
            let noise = |i: usize| f64::from(((i as u32).wrapping_mul(2_654_435_761) ^ seed) % 10_007) / 10_007.0;
            let mut values: Vec<f64> = (0..n).map(|i| noise(i).powi(power)).collect();
            if sorted {
                values.sort_by(f64::total_cmp);
            }
            let digests = values.chunks(n.div_ceil(parts)).filter_map(|part| TDigest::new(part.to_vec()));
            let digests: Vec<TDigest> = digests.collect();
            let groups = digests.chunks(8).filter_map(|group| TDigest::merge(group.to_vec()));
            let all = TDigest::merge(groups.collect()).unwrap();
            values.sort_by(f64::total_cmp);
            for i in 0..=100 {
                let q = f64::from(i) / 100.0;
                let error = error(&values, q, all.quantile(q));
                prop_assert!(error <= 0.01 + 1.0 / n as f64, "{q}: {error} of {n}");
            }
        }
    }
}
