//! Quantiles of all elements by counting, medians and masks of any layout: the same as the long way.

use dask_rs::array::{self, Array, Element, QuantileMethod};
use dask_rs::{Config, Error};
use ndarray::{Array1, ArrayD, Axis, IxDyn, s};

/// Numbers of any size and sign in no order, some of them twice or more.
fn spread(i: u64) -> f64 {
    let bits = i.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let x = (bits >> 40) as f64 - (1_u64 << 23) as f64;
    match i % 7 {
        0 => 0.0 * x,
        1 => x.signum(),
        2 => x * 1e-300,
        3 => x * 1e300,
        _ => x,
    }
}

/// As NumPy has it: a part of the way between two neighbours.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let place = q * (sorted.len() - 1) as f64;
    let (low, part) = (place.floor() as usize, place.fract());
    let (a, b) = (sorted[low], sorted[(low + 1).min(sorted.len() - 1)]);
    if part < 0.5 { a + (b - a) * part } else { b - (b - a) * (1.0 - part) }
}

/// Builds and computes with chunks that are small enough for counting to pay.
fn counted<R>(compute: impl FnOnce() -> R) -> R {
    Config::new().with_chunk_bytes(2 << 20).with_memory_limit(64 << 20).scope(compute)
}

fn check_counted<T: Element + PartialOrd>(x: &Array1<T>, numbers: impl Fn(T) -> f64) {
    let mut sorted: Vec<f64> = x.iter().map(|&x| numbers(x)).collect();
    sorted.sort_by(f64::total_cmp);
    let n = x.len() as u64;
    let lazy = array::from_ndarray(x.clone(), [n / 5 + 3]);
    let lazy = if n.is_multiple_of(2) { lazy.reshape([2, -1]).transpose() } else { lazy };
    for q in [[0.0, 1.0], [0.5, 0.123_456], [0.999_99, 0.25]] {
        let got = counted(|| {
            let found = lazy.quantile(q, QuantileMethod::Linear, ..).cast::<f64>();
            assert!(found.explain().unwrap().to_string().contains("quantile (count)"));
            found.compute().unwrap()
        });
        let want = q.map(|q| quantile(&sorted, q));
        let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-6 * b.abs();
        assert!(got.iter().zip(&want).all(near), "{q:?} of {}: {got} {want:?}", T::DTYPE);
    }
}

#[test]
fn quantiles_of_all_are_found_by_counting() {
    check_counted(&(0..300_000).map(spread).collect(), |x| x);
    check_counted(&(0..600_001).map(|i| (spread(i) * 1e-290) as f32).collect(), f64::from);
    check_counted(&(0..300_001).map(|i| spread(i) as i64).collect(), |x| x as f64);
    check_counted(&(0..1_100_000).map(|i| spread(i) as i16).collect(), f64::from);
    check_counted(&(0..2_200_000).map(|i| i % 5 == 0).collect(), |x| f64::from(u8::from(x)));
}

#[test]
fn counting_knows_nan_and_the_methods() {
    let mut x: Array1<f64> = (0..300_000).map(|i| f64::from(i % 1000)).collect();
    x[170_000] = f64::NAN;
    let lazy = array::from_ndarray(x, [64_000]);
    let of = |what: Array<f64>| what.compute().map(|found| found[[]]);
    counted(|| {
        assert!(of(lazy.median(..))?.is_nan());
        assert_eq!(of(lazy.nanmedian(..))?, 500.0);
        assert_eq!(of(lazy.nanquantile(0.250_5, QuantileMethod::Lower, ..))?, 250.0);
        assert_eq!(of(lazy.nanquantile(1.0, QuantileMethod::Nearest, ..))?, 999.0);
        let kept = lazy.nanmedian(array::over(..).keepdims());
        assert_eq!(kept.compute()?.shape(), [1]);
        let nothing = lazy.slice(s![..0]).median(..);
        assert!(matches!(nothing.check(), Err(Error::InvalidArgument { .. })));
        Ok::<(), Error>(())
    })
    .unwrap();
}

#[test]
fn medians_of_strided_lanes_are_those_of_sorted_ones() {
    let data = ArrayD::from_shape_fn(IxDyn(&[301, 70]), |i| spread((i[0] * 70 + i[1]) as u64));
    let want = data.map_axis(Axis(0), |lane| {
        let mut sorted = lane.to_vec();
        sorted.sort_by(f64::total_cmp);
        sorted[150]
    });
    let lazy = array::from_ndarray(data.clone(), [100, 33]);
    assert_eq!(lazy.median(0).compute().unwrap(), want);
    let upside_down = array::from_ndarray(data.slice(s![..;-1, ..]).to_owned(), [100, 70]);
    assert_eq!(upside_down.transpose().median(1).compute().unwrap(), want);
}

#[test]
fn masks_keep_what_they_hold_for_in_any_layout() {
    let x = array::arange(0.0, 1000.0, 1.0, [300]);
    for (bound, n) in [(-1.0, 1000), (1e9, 0), (700.0, 299)] {
        assert_eq!(x.mask(&x.gt(bound)).compute().unwrap().len(), n);
    }
    let flipped = x.flip(0);
    let kept = flipped.mask(&(flipped.clone() / 3.0).floor().eq(flipped.clone() / 3.0));
    let want: Array1<f64> = (0..1000).rev().filter(|i| i % 3 == 0).map(f64::from).collect();
    assert_eq!(kept.compute().unwrap(), want.into_dyn());
}
