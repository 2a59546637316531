//! Distributions against their moments and cumulative functions, and elements against how they are made.

use ndarray::{ArrayD, arr1};
use statrs::distribution::{self as known, ContinuousCDF, DiscreteCDF};

use super::{Choice, Generator};
use crate::prelude::*;
use crate::{Config, ExecutorKind};

/// Elements of each sample.
const N: u64 = 20_000;

fn rng() -> Generator {
    Generator::new(20_261_121)
}

fn values(x: &Array<f64>) -> Vec<f64> {
    let mut values = x.compute().unwrap().into_raw_vec_and_offset().0;
    values.sort_by(f64::total_cmp);
    values
}

/// The largest distance between the distribution of a sample and the one it should have (Kolmogorov, Smirnov): beyond
/// 1.95 / √n it is so in one sample of a thousand. Seeds are fixed, so a sample that passes passes always.
#[track_caller]
fn follows(name: &str, sample: &[f64], cdf: impl Fn(f64) -> f64) {
    let n = sample.len() as f64;
    let distance = sample.iter().enumerate().map(|(i, &x)| {
        let p = cdf(x);
        (p - i as f64 / n).abs().max((p - (i + 1) as f64 / n).abs())
    });
    let distance = distance.fold(0.0, f64::max);
    assert!(distance < 1.95 / n.sqrt(), "{name}: {distance}");
}

/// The same where several elements are equal.
#[track_caller]
fn follows_steps(name: &str, sample: &[f64], cdf: impl Fn(u64) -> f64) {
    let n = sample.len() as f64;
    for k in 0..=sample[sample.len() - 1] as u64 {
        let share = sample.partition_point(|x| *x <= k as f64) as f64 / n;
        assert!((share - cdf(k)).abs() < 1.95 / n.sqrt(), "{name} up to {k}: {share} {}", cdf(k));
    }
}

#[test]
fn floats_have_their_distributions() {
    let mut g = rng();
    macro_rules! check {
        ($($draw:ident($($p:expr),*): $cdf:expr;)*) => {$(
            follows(stringify!($draw), &values(&g.$draw($($p,)* N, 3000)), $cdf);
        )*};
    }
    let normal = known::Normal::new(3.0, 2.0).unwrap();
    let gamma = known::Gamma::new(2.5, 0.5).unwrap();
    let small = known::Gamma::new(0.3, 1.0).unwrap();
    let beta = known::Beta::new(2.0, 0.7).unwrap();
    let chi = known::ChiSquared::new(5.0).unwrap();
    let t = known::StudentsT::new(0.0, 1.0, 4.0).unwrap();
    let f = known::FisherSnedecor::new(6.0, 9.0).unwrap();
    check! {
        uniform(-1.0, 3.0): |x| (x + 1.0) / 4.0;
        normal(3.0, 2.0): |x| normal.cdf(x);
        lognormal(3.0, 2.0): |x| normal.cdf(x.ln());
        exponential(2.0): |x| 1.0 - (-x / 2.0).exp();
        gamma(2.5, 2.0): |x| gamma.cdf(x);
        gamma(0.3, 1.0): |x| small.cdf(x);
        beta(2.0, 0.7): |x| beta.cdf(x);
        chisquare(5.0): |x| chi.cdf(x);
        standard_t(4.0): |x| t.cdf(x);
        f(6.0, 9.0): |x| f.cdf(x);
        cauchy(1.0, 2.0): |x| 0.5 + ((x - 1.0) / 2.0).atan() / std::f64::consts::PI;
        weibull(1.5): |x| 1.0 - (-x.powf(1.5)).exp();
        pareto(3.0): |x| 1.0 - (1.0 + x).powi(-3);
        gumbel(1.0, 2.0): |x| (-(-(x - 1.0) / 2.0).exp()).exp();
        laplace(1.0, 2.0): |x| {
            let tail = 0.5 * (-(x - 1.0_f64).abs() / 2.0).exp();
            if x < 1.0 { tail } else { 1.0 - tail }
        };
        logistic(1.0, 2.0): |x| 1.0 / (1.0 + (-(x - 1.0) / 2.0).exp());
        rayleigh(2.0): |x| 1.0 - (-x * x / 8.0).exp();
        triangular(0.0, 1.0, 3.0): |x| if x < 1.0 { x * x / 3.0 } else { 1.0 - (3.0 - x).powi(2) / 6.0 };
        random(): |x| x;
        standard_normal(): |x| normal.cdf(3.0 + 2.0 * x);
        standard_exponential(): |x| 1.0 - (-x).exp();
    }
    let wald = values(&g.wald(2.0, 3.0, N, 3000));
    // numpy: the mean is `mean`, the variance its cube divided by `scale`.
    let mean = wald.iter().sum::<f64>() / N as f64;
    let var = wald.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / N as f64;
    assert!((mean - 2.0).abs() < 0.05 && (var - 8.0 / 3.0).abs() < 0.25, "{mean} {var}");
    let steep = values(&g.wald(1e10, 1.0, N, 3000));
    assert!(steep.iter().all(|x| *x > 0.0));
    // Next to a Lévy distribution, whose distribution function at 1 is erfc(√½).
    let below = steep.iter().filter(|x| **x <= 1.0).count() as f64 / N as f64;
    assert!((below - 0.3173).abs() < 0.02, "{below}");
    let narrow: Array<f32> = g.random(1 << 16, 1000);
    let narrow = narrow.compute().unwrap();
    assert!(narrow.iter().all(|x| (0.0..1.0).contains(x)));
    assert!((narrow.iter().sum::<f32>() / 65536.0 - 0.5).abs() < 0.01);
}

#[test]
fn counts_have_their_distributions() {
    let mut g = rng();
    macro_rules! check {
        ($($draw:ident($($p:expr),*): $cdf:expr;)*) => {$(
            follows_steps(stringify!($draw), &values(&g.$draw($($p,)* N, 3000).cast()), $cdf);
        )*};
    }
    let few = known::Poisson::new(2.5).unwrap();
    let many = known::Poisson::new(80.0).unwrap();
    let binomial = known::Binomial::new(0.3, 40).unwrap();
    let failures = known::NegativeBinomial::new(3.0, 0.4).unwrap();
    let good = known::Hypergeometric::new(30, 10, 8).unwrap();
    let rare = known::Hypergeometric::new(101_000, 1000, 500).unwrap();
    let common = known::Hypergeometric::new(5300, 5000, 100).unwrap();
    let nearly_all = known::Hypergeometric::new(5300, 300, 5200).unwrap();
    let many_good = known::Hypergeometric::new(1100, 500, 400).unwrap();
    check! {
        poisson(2.5): |k| few.cdf(k);
        poisson(80.0): |k| many.cdf(k);
        poisson(0.0): |_| 1.0;
        binomial(40.0, 0.3): |k| binomial.cdf(k);
        geometric(0.3): |k| 1.0 - 0.7_f64.powi(k as i32);
        negative_binomial(3.0, 0.4): |k| failures.cdf(k);
        hypergeometric(10.0, 20.0, 8.0): |k| good.cdf(k);
        hypergeometric(1000.0, 100_000.0, 500.0): |k| rare.cdf(k);
        hypergeometric(5000.0, 300.0, 100.0): |k| common.cdf(k);
        hypergeometric(300.0, 5000.0, 5200.0): |k| nearly_all.cdf(k);
        hypergeometric(500.0, 600.0, 400.0): |k| many_good.cdf(k);
    }
    let zipf = g.zipf(3.0, N, 3000).eq(1).cast::<f64>().mean(..).compute().unwrap()[[]];
    // 1 / ζ(3)
    assert!((zipf - 0.83190737).abs() < 0.01, "{zipf}");
    let dice = g.integers(-3_i8, 3, N, 777);
    let (faces, counts) = compute(dice.unique_counts()).unwrap();
    assert_eq!(faces, arr1(&[-3_i8, -2, -1, 0, 1, 2]).into_dyn());
    assert!(counts.iter().all(|n| (n - N as i64 / 6).abs() < 200), "{counts}");
    let wide = g.integers(0, u64::MAX, 100, -1).max(..).compute().unwrap()[[]];
    assert!(wide > u64::MAX / 2);
}

/// The same elements in every way to make them.
#[test]
fn chunks_threads_and_slices_change_nothing() {
    let make = |chunks: [i64; 3]| rng().standard_normal::<f64>([6, 50, 70], chunks);
    let want = make([-1, -1, -1]).compute().unwrap();
    assert_ne!(want[[0, 0, 0]], want[[0, 0, 1]]);
    for chunks in [[1, 50, 70], [4, 7, 70], [6, 50, 3], [5, 11, 64]] {
        let x = make(chunks);
        for config in [
            Config::new().with_executor(ExecutorKind::Serial),
            Config::new().with_executor(ExecutorKind::Seeded(5)).with_optimize(false),
            Config::new().with_threads(2),
        ] {
            let all =
                (x.clone(), x.rechunk([3, 20, 9]), x.transpose(), x.slice(s![2.., 3..;9, ..;-1]));
            let (whole, cut, turned, part) = config.scope(|| compute(all)).unwrap();
            assert_eq!(whole, want);
            assert_eq!(cut, want);
            assert_eq!(turned, want.t());
            assert_eq!(part, want.slice(s![2.., 3..;9, ..;-1]).into_dyn());
        }
    }
    let column = make([6, 50, 70]).slice(s![.., 4..6, 69]).compute().unwrap();
    assert_eq!(column, want.slice(s![.., 4..6, 69]).into_dyn());
    // As in NumPy, the shape does not matter either.
    let flat: Array<f64> = rng().standard_normal(6 * 50 * 70, 999);
    assert_eq!(flat.reshape([6, 50, 70]).compute().unwrap(), want);
    // Tall and narrow: rows are shorter than a tile.
    let thin: Array<f64> = rng().standard_normal([7000, 3], [1000, 2]);
    assert_eq!(thin.ravel().compute().unwrap(), flat.compute().unwrap());
}

#[test]
fn parameters_may_be_arrays() {
    let scale = array::arange(1.0, 5.0, 1.0, [3]);
    let make = |chunks: [u64; 2]| rng().gamma::<f64>(2.0, &scale, [5000, 4], chunks);
    let want = make([5000, 4]).compute().unwrap();
    assert_eq!(make([77, 3]).compute().unwrap(), want);
    assert_eq!(
        make([77, 3]).slice(s![3.., 2..]).compute().unwrap(),
        want.slice(s![3.., 2..]).into_dyn()
    );
    for (i, column) in want.columns().into_iter().enumerate() {
        let mut column = column.to_vec();
        column.sort_by(f64::total_cmp);
        let gamma = known::Gamma::new(2.0, 1.0 / (i as f64 + 1.0)).unwrap();
        follows("gamma", &column, |x| gamma.cdf(x));
    }
    let wrong = rng().gamma::<f64>(2.0, &(&scale - 2.0), [5, 4], -1).compute();
    assert!(wrong.unwrap_err().to_string().contains("gamma"));
    let unlike = rng().gamma::<f64>(2.0, &scale, [5, 3], -1);
    assert!(matches!(unlike.check(), Err(Error::ShapeMismatch { .. })));
}

#[test]
fn arrays_of_one_generator_are_independent() {
    let mut g = rng();
    let [a, b]: [Array<f64>; 2] = [g.standard_normal(N, 5000), g.standard_normal(N, 5000)];
    let c: Array<f64> = Generator::new(20_261_122).standard_normal(N, 5000);
    let spawned: Vec<Array<f64>> =
        g.spawn(2).iter_mut().map(|g| g.standard_normal(N, 5000)).collect();
    let all = [a, b, c, spawned[0].clone(), spawned[1].clone()];
    let table = array::stack(&all, 0).corrcoef().compute().unwrap();
    for (index, r) in table.indexed_iter() {
        // Four standard errors.
        assert!(index[0] == index[1] || r.abs() < 4.0 / (N as f64).sqrt(), "{table}");
    }
    // Neighbours in an array, and elements a tile apart.
    let lags = |lag: isize| {
        let x = &all[0];
        (x.slice(s![lag..]) * x.slice(s![..-lag])).mean(..).compute().unwrap()[[]]
    };
    assert!([1, 2, 63, 64, 65, 128].iter().all(|&lag| lags(lag).abs() < 4.0 / (N as f64).sqrt()));
}

#[test]
fn choices_are_from_what_there_is() {
    let mut g = rng();
    let sorted = |x: ArrayD<i64>| {
        let mut x = x.into_raw_vec_and_offset().0;
        x.sort_unstable();
        x
    };
    let order = g.permutation(1000, 300).compute().unwrap();
    assert_ne!(order[[0]], order[[1]] - 1);
    assert_eq!(sorted(order), (0..1000).collect::<Vec<_>>());
    let some = sorted(
        g.choice_index(50, [4, 5], [2, 2], &Choice::default().without_replacement())
            .compute()
            .unwrap(),
    );
    assert!(some.windows(2).all(|pair| pair[0] < pair[1]) && some[19] < 50);

    let weights = Choice::default().weights([1.0, 0.0, 3.0]);
    let drawn = g.choice_index(3, N, 3000, &weights).bincount(3).compute().unwrap();
    assert!(drawn[[1]] == 0 && (drawn[[0]] - 5000).abs() < 250, "{drawn}");
    let both =
        sorted(g.choice_index(3, 2, -1, &weights.clone().without_replacement()).compute().unwrap());
    assert_eq!(both, [0, 2]);
    let x = array::arange(0, 60, 1, [7]).reshape([20, 3]);
    let shuffled = g.shuffle(&x, 0).compute().unwrap();
    let mut rows: Vec<_> = shuffled.rows().into_iter().map(|row| row.to_vec()).collect();
    assert!(!rows.is_sorted());
    rows.sort();
    assert_eq!(rows.concat(), (0..60).collect::<Vec<_>>());

    for how in
        [weights, Choice::default().weights([1.0, -1.0]), Choice::default().without_replacement()]
    {
        let wrong = g.choice_index(2, 5, -1, &how);
        assert!(matches!(wrong.check(), Err(Error::InvalidArgument { .. })), "{how:?}");
    }
    for how in [Choice::default(), Choice::default().without_replacement()] {
        let too_many = g.choice_index(u64::MAX, 3, -1, &how);
        assert!(matches!(too_many.check(), Err(Error::InvalidArgument { .. })), "{how:?}");
        assert_eq!(g.choice_index(i64::MAX as u64, 3, -1, &how).compute().unwrap().len(), 3);
    }
    assert!(
        g.integers(5, 5, 3, -1).check().is_err() && g.integers(0.0, 1.0, 3, -1).check().is_err()
    );
    assert!(g.normal::<f64>(0.0, -1.0, 3, -1).check().is_err());
    assert!(g.poisson(f64::NAN, 3, -1).check().is_err());
}

#[test]
fn slices_reach_what_is_drawn() {
    let x: Array<f64> = rng().normal(0.0, 1.0, [1_000_000, 1_000_000], [1000, 1000]);
    let explained = (&x * 2.0).slice(s![5..7, 10..20]).explain().unwrap().to_string();
    assert!(explained.contains("normal(0, 1) [5:7, 10:20]"), "{explained}");
    assert!(explained.contains("read            0 B"), "{explained}");
    assert_eq!((x * 2.0).slice(s![5..7, 10..20]).compute().unwrap().shape(), [2, 10]);
}
