//! Quantiles of all elements by counting, and reductions of windows that are never made: the same as the long way.

use dask_rs::array::{self, Array, Element, PadMode, QuantileMethod};
use dask_rs::{Config, Error, compute};
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

/// Bits, so that zeros of different signs differ.
fn bits(x: &ArrayD<f64>) -> Vec<u64> {
    x.iter().map(|x| x.to_bits()).collect()
}

#[test]
fn reduced_windows_have_the_bits_of_windows_in_memory() {
    let number = |i: &[u64]| match i[0] * 31 + i[1] * 7 {
        n if n % 53 == 0 => f64::NAN,
        n if n % 5 == 0 => -0.0,
        n => spread(n) % 1e3 + 0.1,
    };
    let x = array::from_fn([23, 40], [9, 17], number).pad(2, PadMode::Reflect);
    let lists: [&[(usize, u64)]; 4] = [&[(0, 3), (1, 3)], &[(1, 7)], &[(0, 5)], &[(1, 4), (0, 9)]];
    for windows in lists {
        let lazy = x.sliding_window_view(windows.iter().copied());
        let axes: Vec<i64> = (0..windows.len() as i64).map(|i| i - windows.len() as i64).collect();
        let made = lazy.persist().unwrap();
        let ways: [Reduce; 7] = [
            |x, axes| x.sum(axes),
            |x, axes| x.mean(axes),
            |x, axes| x.max(axes),
            |x, axes| x.nanmean(axes),
            |x, axes| x.std(axes),
            |x, axes| x.nansum(axes),
            |x, axes| x.prod(axes),
        ];
        for (i, reduce) in ways.iter().enumerate() {
            let (got, want) = (reduce(&lazy, axes.clone()), reduce(&made, axes.clone()));
            let want = want.compute().unwrap();
            assert_eq!(bits(&got.compute().unwrap()), bits(&want), "{i} of {windows:?}");
            let plain = Config::new().with_optimize(false).scope(|| got.compute().unwrap());
            assert_eq!(bits(&plain), bits(&want), "{i} of {windows:?} without the optimizer");
        }
    }
}

/// A reduction of these axes.
type Reduce = fn(&Array<f64>, Vec<i64>) -> Array<f64>;

/// What `join` makes of each window of the matrix.
fn windows_of<T: Element>(
    x: &ArrayD<T>,
    windows: [usize; 2],
    join: impl Fn(T, T) -> T,
) -> ArrayD<T> {
    let shape = [0, 1].map(|axis| x.len_of(Axis(axis)) + 1 - windows[axis]);
    ArrayD::from_shape_fn(IxDyn(&shape), |at| {
        let window = x.slice(s![at[0]..at[0] + windows[0], at[1]..at[1] + windows[1]]);
        window.iter().copied().reduce(&join).expect("windows have elements")
    })
}

#[test]
fn windows_of_every_type_are_reduced_as_ndarray_does() {
    let data = ArrayD::from_shape_fn(IxDyn(&[31, 83]), |i| {
        (spread((i[0] * 83 + i[1]) as u64) % 90.0) as i64 - 40
    });
    let (floats, narrow) = (data.mapv(|x| x as f64), data.mapv(|x| x as f32));
    let (bytes, truths) = (data.mapv(|x| x as i8), data.mapv(|x| x > -35));
    // One lane, a part of a lane, and several rounds of lanes; rows of less than a register, and more.
    for windows in [[1, 2], [4, 1], [3, 3], [7, 9], [2, 80], [31, 40]] {
        let sizes = windows.map(|len| len as u64);
        for chunks in [[31, 83], [8, 83], [11, 30]] {
            fn view<T: Element>(x: &ArrayD<T>, chunks: [i64; 2], sizes: [u64; 2]) -> Array<T> {
                let x = array::from_ndarray(x.clone(), chunks);
                x.sliding_window_view([(0, sizes[0]), (1, sizes[1])])
            }
            let axes = [2, 3];
            let got = compute((
                view(&data, chunks, sizes).sum(axes),
                view(&floats, chunks, sizes).mean(axes),
                view(&narrow, chunks, sizes).sum(axes),
                view(&bytes, chunks, sizes).min(axes),
                view(&floats, chunks, sizes).max(axes),
            ));
            let (sum, mean, narrow_sum, min, max) = got.unwrap();
            assert_eq!(sum, windows_of(&data, windows, |a, b| a + b), "{windows:?} {chunks:?}");
            let n = (windows[0] * windows[1]) as f64;
            assert_eq!(
                mean,
                windows_of(&floats, windows, |a, b| a + b) / n,
                "{windows:?} {chunks:?}"
            );
            assert_eq!(
                narrow_sum,
                windows_of(&narrow, windows, |a, b| a + b),
                "{windows:?} {chunks:?}"
            );
            assert_eq!(min, windows_of(&bytes, windows, |a, b| a.min(b)), "{windows:?} {chunks:?}");
            assert_eq!(max, windows_of(&floats, windows, f64::max), "{windows:?} {chunks:?}");
            let turned =
                array::from_ndarray(data.t().to_owned(), [chunks[1], chunks[0]]).transpose();
            let turned = turned.sliding_window_view([(0, sizes[0]), (1, sizes[1])]).prod(axes);
            let wrapping = |a: i64, b: i64| a.wrapping_mul(b);
            let truths_view = view(&truths, chunks, sizes);
            let (product, all, any) =
                compute((turned, truths_view.all(axes), truths_view.any(axes))).unwrap();
            assert_eq!(product, windows_of(&data, windows, wrapping), "{windows:?} {chunks:?}");
            assert_eq!(all, windows_of(&truths, windows, |a, b| a & b), "{windows:?} {chunks:?}");
            assert_eq!(any, windows_of(&truths, windows, |a, b| a | b), "{windows:?} {chunks:?}");
        }
    }
}

#[test]
fn an_axis_beside_the_windows_is_reduced_as_any_other() {
    let data = ArrayD::from_shape_fn(IxDyn(&[5, 4, 3]), |i| (i[0] * 17 + i[1] * 5 + i[2]) as i64);
    for chunks in [[5, 4, 3], [2, 3, 2]] {
        let x = array::from_ndarray(data.clone(), chunks);
        let windows = x.sliding_window_view([(0, 2)]);
        let window = |at: IxDyn| data[[at[0] + at[3], at[1], at[2]]];
        let all = ArrayD::from_shape_fn(IxDyn(&[4, 4, 3, 2]), window);
        for axis in 0..4_usize {
            let (sum, max) = compute((windows.sum(axis), windows.max(axis))).unwrap();
            assert_eq!(sum, all.sum_axis(Axis(axis)), "axis {axis} in {chunks:?}");
            let largest = all.fold_axis(Axis(axis), i64::MIN, |a, b| *a.max(b));
            assert_eq!(max, largest, "axis {axis} in {chunks:?}");
        }
        let two = x.sliding_window_view([(0, 2), (1, 1)]).sum([1, 2]).compute().unwrap();
        let both = all.sum_axis(Axis(1)).sum_axis(Axis(1)).insert_axis(Axis(2));
        assert_eq!(two, both, "{chunks:?}");
    }
}

#[test]
fn windows_that_are_reduced_are_never_made() {
    let x = array::from_fn([400, 300], [100, 300], |i| (i[0] + i[1]) as f64);
    let rolling = x.sliding_window_view([(0, 7)]).mean(-1);
    let text = rolling.explain().unwrap().to_string();
    let layers = &text[text.find("layers:").unwrap()..];
    assert!(layers.contains("of windows") && !layers.contains("sliding_window_view"), "{text}");

    // The windows of a block take 19 MiB, and what reads their means is in the same task.
    let peak = |x: &Array<f64>| x.explain().unwrap().peak_bytes().unwrap();
    let view = x.pad(4, PadMode::Edge).sliding_window_view([(0, 9), (1, 9)]);
    let boxes = view.mean([-2, -1]);
    for lazy in [boxes.clone(), boxes.sum(..), (boxes - 1.0).max(0)] {
        assert!(peak(&lazy) < 10 << 20, "{}", lazy.explain().unwrap());
    }
    // Windows that something else is done with first have to be there.
    let weights = array::arange(0.0, 9.0, 1.0, -1);
    assert!(peak(&(&view * weights).sum([-2, -1])) > 16 << 20);
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
