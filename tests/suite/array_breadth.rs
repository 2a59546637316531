//! Functions of arrays against NumPy's answers, and against loops.

use dask_rs::ExecutorKind;
use dask_rs::array::PadMode;
use dask_rs::prelude::*;
use ndarray::{Array1, ArrayD, IxDyn, arr1, arr2};

/// Computes with and without the optimizer, in any order.
#[track_caller]
fn check<T: array::Element>(lazy: &Array<T>, expected: &ArrayD<T>) {
    for (executor, optimize) in [(ExecutorKind::Serial, false), (ExecutorKind::Seeded(5), true)] {
        let config = Config::new().with_executor(executor).with_optimize(optimize);
        let got = config.scope(|| lazy.compute()).unwrap();
        // What is not equal to itself is NaN.
        let is_same = |(a, b): (&T, &T)| a == b || (PartialEq::ne(a, a) && PartialEq::ne(b, b));
        assert_eq!(got.shape(), expected.shape());
        assert!(got.iter().zip(expected).all(is_same), "{got:?}\nexpected\n{expected:?}");
    }
}

#[test]
fn pads_with_medians_and_ramps() {
    let x = array::from_ndarray(arr1(&[3, 9, 4, 1]), [3]);
    check(&x.pad((2, 3), PadMode::Median), &arr1(&[4, 4, 3, 9, 4, 1, 4, 4, 4]).into_dyn());
    let ramp = arr1(&[-2, -1, 0, 1, 3, 9, 4, 1, 0, -1, -2]).into_dyn();
    check(&x.pad((4, 3), PadMode::LinearRamp(-2)), &ramp);
    let halves = x.cast::<f64>() / 2.0;
    let got = halves.pad((3, 2), PadMode::LinearRamp(5.0)).compute().unwrap();
    let expected = [5.0, 23.0 / 6.0, 8.0 / 3.0, 1.5, 4.5, 2.0, 0.5, 2.75, 5.0];
    assert!(got.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{got}");
    let y = array::from_ndarray(arr2(&[[1, 5], [2, 9], [4, 4]]), [2, 1]);
    let medians = arr2(&[[4, 2, 5, 4, 4], [3, 1, 5, 3, 3], [6, 2, 9, 6, 6], [4; 5]]);
    check(&y.pad([(1, 0), (1, 2)], PadMode::Median), &medians.into_dyn());
    let ramps = arr2(&[[0; 4], [0, 2, 1, 0], [1, 5, 2, 0], [2, 9, 4, 0], [4, 4, 2, 0], [0; 4]]);
    check(&y.pad([(2, 1), (0, 2)], PadMode::LinearRamp(0)), &ramps.into_dyn());
}

#[test]
fn a_part_of_a_ramp_is_that_of_the_whole_one() {
    let x = array::from_ndarray(arr1(&[3, 9, 4, 1]), [3]);
    let padded = x.pad((4, 3), PadMode::LinearRamp(-2));
    let whole = [-2, -1, 0, 1, 3, 9, 4, 1, 0, -1, -2];
    for i in 0..11 {
        check(&padded.slice(s![i]), &ndarray::arr0(whole[i as usize]).into_dyn());
    }
    check(&padded.slice(s![2..]), &arr1(&whole[2..]).into_dyn());
    check(&padded.slice(s![..;-3]), &arr1(&[-2, 1, 3, -1]).into_dyn());
    check(&padded.take([8, 1, 2], 0), &arr1(&[0, -1, 0]).into_dyn());
}

#[test]
fn the_spread_of_what_is_not_finite_is_nan_however_it_is_cut() {
    let (nan, inf) = (f64::NAN, f64::INFINITY);
    let data = arr2(&[[nan, inf, 1.0], [5.0, 5.0, 5.0], [7.0, 8.0, -inf]]);
    // Rows beside each other, of which the last block has one, and columns.
    for chunks in [[3, 3], [2, 3], [1, 1], [3, 1]] {
        let x = array::from_ndarray(data.clone(), chunks);
        check(&x.var(0), &arr1(&[nan; 3]).into_dyn());
        check(&x.slice(s![..1, ..]).var(0), &arr1(&[nan, nan, 0.0]).into_dyn());
        check(&x.slice(s![1..2, ..]).std(0), &arr1(&[0.0; 3]).into_dyn());
        check(&x.var(1), &arr1(&[nan, 0.0, nan]).into_dyn());
        let groups = x.group_by_axis(0, [0, 1, 1]);
        check(&groups.var(0.0), &arr2(&[[nan, nan, 0.0], [1.0, 2.25, nan]]).into_dyn());
    }
    // A row of its own after those that are added up together.
    let n = 129;
    let tall = ArrayD::from_shape_fn(IxDyn(&[n, 70]), |i| if i[0] + 1 == n { inf } else { 1.0 });
    check(&array::from_ndarray(tall, -1).var(0), &ArrayD::from_elem(IxDyn(&[70]), nan));
}

#[test]
fn groups_of_positions_stay_in_one_block() {
    let all = ArrayD::from_shape_fn(IxDyn(&[12, 4]), |i| (i[0] * 10 + i[1]) as i32);
    let x = array::from_ndarray(all.clone(), [3, 2]);
    let groups = [vec![0_i64, 11, 3], vec![5], vec![], vec![-2, 4, 4, 1]];
    let y = x.shuffle(groups.clone(), 0);
    let order: Vec<usize> = groups.concat().iter().map(|i| i.rem_euclid(12) as usize).collect();
    check(&y, &all.select(ndarray::Axis(0), &order));
    assert_eq!(y.chunks().unwrap().sizes(0).unwrap(), [3, 1, 4]);
    // Blocks are no larger than they were.
    let block = y.chunks().unwrap().sizes(1).unwrap().into_iter().max().unwrap() * 4;
    assert!(block <= 8, "{block}");
    check(&x.shuffle(Vec::<Vec<i64>>::new(), 0), &ArrayD::zeros(IxDyn(&[0, 4])));
    assert!(matches!(x.shuffle([[12]], 0).check(), Err(Error::IndexOutOfBounds { .. })));
}

#[test]
fn quantiles_with_weights() {
    let x = array::from_ndarray(arr1(&[7.0, -1.0, 3.0, 9.0, 3.0, 8.0]), [4]);
    let weights = array::from_ndarray(arr1(&[1.0, 0.0, 2.0, 1.0, 3.0, 0.5]), [2]);
    let got = x.quantile_weighted([0.0, 0.1, 0.5, 0.55, 0.9, 1.0], &weights, 0);
    check(&got, &arr1(&[3.0, 3.0, 3.0, 3.0, 9.0, 9.0]).into_dyn());
    // Over both axes, with one weight for each column.
    let y = array::from_ndarray(arr2(&[[1, 5, 2], [9, 0, 4]]), [1, 2]);
    let columns = array::from_ndarray(arr1(&[1.0, 0.0, 3.0]), [1]);
    check(&y.quantile_weighted(0.5, &columns, ..), &ndarray::arr0(2).into_dyn());
    check(
        &y.quantile_weighted([0.5], &columns, over(1).keepdims()),
        &ArrayD::from_shape_vec(vec![1, 2, 1], vec![2, 4]).unwrap(),
    );
    let with_nan = array::from_ndarray(arr2(&[[1.0, f64::NAN], [2.0, 3.0]]), [1, 2]);
    let ones = array::ones([2], [2]);
    check(&with_nan.quantile_weighted(0.5, &ones, 1), &arr1(&[f64::NAN, 2.0]).into_dyn());
    for wrong in [-1.0, f64::NAN, 0.0] {
        let weights = array::full([6], wrong, [6]);
        let error = x.quantile_weighted(0.5, &weights, 0).compute().unwrap_err().to_string();
        assert!(error.contains("weights"), "{error}");
    }
}

#[test]
fn approximate_quantiles_keep_their_promise_however_the_data_lies() {
    let n = 20_000_u64;
    let numbers = |f: fn(u64) -> f64| Array1::from_iter((0..n).map(f));
    let orders: [(&str, Array1<f64>); 4] = [
        ("ascending", numbers(|i| i as f64)),
        ("mixed", numbers(|i| (i * 7919 % 20_000) as f64)),
        ("steep", numbers(|i| (i as f64 / 1000.0).exp())),
        ("two heaps", numbers(|i| if i < 10_000 { i as f64 } else { 1e9 + (i % 7) as f64 })),
    ];
    let wanted = [0.0, 0.01, 0.25, 0.5, 0.9, 0.999, 1.0];
    for (name, values) in &orders {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        for (chunk, error) in [(700, 0.01), (1, 0.05), (20_000, 0.002), (6007, 0.1)] {
            let x = array::from_ndarray(values.clone(), [chunk]);
            let got = x.quantile_approximate(wanted, error, 0).compute().unwrap();
            for (q, got) in wanted.iter().zip(&got) {
                let below = sorted.partition_point(|x| x < got) as f64 / n as f64;
                let up_to = sorted.partition_point(|x| x <= got) as f64 / n as f64;
                let is_near = below <= q + error && up_to >= q - error;
                assert!(is_near, "{name}, chunks of {chunk}: {q} is {below} to {up_to}");
            }
        }
    }
    // Along one of two axes, and NaN is seen whatever its rank.
    let rows = array::from_ndarray(orders[1].1.to_shape((4, 5000)).unwrap().to_owned(), [3, 600]);
    let medians = rows.quantile_approximate(0.5, 0.01, 1).compute().unwrap();
    assert_eq!(medians.shape(), [4]);
    assert!(medians.iter().all(|median| (median - 10_000.0).abs() < 1000.0), "{medians}");
    assert_eq!(rows.quantile_approximate([0.1, 0.5], 0.1, ..).shape().unwrap(), [2]);
    let with_nan = rows.assign(s![1, 7], f64::NAN);
    let medians = with_nan.quantile_approximate(0.5, 0.1, 1).compute().unwrap();
    assert!(medians[[1]].is_nan() && !medians[[0]].is_nan());
    assert!(rows.quantile_approximate(0.5, 0.0, 1).check().is_err());
}

#[test]
fn first_and_last_of_groups_without_nan() {
    let nan = f64::NAN;
    let all = arr2(&[[nan, 1.0], [-0.0, nan], [nan, 3.0], [4.0, nan], [5.0, nan], [nan, nan]]);
    let x = array::from_ndarray(all, [2, 1]);
    let groups = x.group_by_axis(0, ["a", "a", "a", "b", "b", "b"]);
    let first = groups.nanfirst().compute().unwrap();
    check(&groups.nanfirst(), &arr2(&[[0.0, 1.0], [4.0, nan]]).into_dyn());
    assert!(first[[0, 0]].is_sign_negative());
    check(&groups.nanlast(), &arr2(&[[0.0, 3.0], [5.0, nan]]).into_dyn());
    // Over two axes, whose labels are in their order; what is in no bin counts for nothing.
    let labels = [1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0];
    let both = x.group_by_axis([1, 0], labels).nanlast();
    check(&both, &arr1(&[4.0, 3.0]).into_dyn());
    let integers = x.isnan().cast::<i32>().group_by_axis(0, [0, 0, 1, 1, 2, 2]).nanfirst();
    check(&integers, &arr2(&[[1, 0], [1, 0], [0, 1]]).into_dyn());
}

#[test]
fn groups_that_are_rarely_twice_in_a_block() {
    let (n, width) = (40, 90);
    let value = |day: u64, place: u64| ((day * 7 + place * 3) % 11) as f64 - 5.0;
    let x = array::from_fn([n, width], [8, 80], move |i| value(i[0], i[1]));
    // Four rounds of ten days, of which one is in no round and one beyond.
    let groups = x.group_by_axis(0, (0..n).map(|i| if i == 13 { 11 } else { i % 10 }));
    let text = groups.mean().explain().unwrap().to_string();
    assert!(!text.contains("combine"), "{text}");
    let days: Vec<Vec<u64>> = (0..11)
        .map(|g| (0..n).filter(|&i| if i == 13 { g == 10 } else { i % 10 == g }).collect())
        .collect();
    let each = |f: &dyn Fn(Vec<f64>) -> f64| {
        ArrayD::from_shape_fn(IxDyn(&[11, width as usize]), |at| {
            f(days[at[0]].iter().map(|&day| value(day, at[1] as u64)).collect())
        })
    };
    let mean = |of: &[f64]| of.iter().sum::<f64>() / of.len() as f64;
    check(&groups.mean(), &each(&|of| mean(&of)));
    check(&groups.max(), &each(&|of| of.into_iter().fold(f64::MIN, f64::max)));
    // The other way round in memory, and elements that are shorter than their sums.
    let turned = x.transpose().compute().unwrap().as_standard_layout().into_owned();
    let turned = array::from_ndarray(turned, [80, 8]);
    let by_column = turned.transpose().group_by_axis(0, (0..n).map(|i| i % 10)).sum();
    let want = x.compute().unwrap().into_shape_with_order((4, 10, 90)).unwrap();
    check(&by_column, &want.sum_axis(ndarray::Axis(0)).into_dyn());
    let narrow = x.cast::<f32>().group_by_axis(0, (0..n).map(|i| i % 10)).sum();
    check(&narrow, &want.sum_axis(ndarray::Axis(0)).mapv(|x| x as f32).into_dyn());
}

#[test]
fn points_of_many_blocks_keep_their_order() {
    let x = array::from_fn([30, 20, 3], [7, 6, 2], |i| (i[0] * 100 + i[1] * 10 + i[2]) as i32);
    let rows: Vec<u64> = (0..200).map(|i| i * 7919 % 30).collect();
    let columns: Vec<u64> = (0..200).map(|i| i * 104_729 % 20).collect();
    let points = x.vindex([(0, &rows), (1, &columns)]);
    let want = ArrayD::from_shape_fn(IxDyn(&[200, 3]), |at| {
        (rows[at[0]] * 100 + columns[at[0]] * 10 + at[1] as u64) as i32
    });
    check(&points, &want);
    assert!(points.chunks().unwrap().sizes(0).unwrap().iter().all(|size| *size < 60));
    let sorted: Vec<u64> = (0..30).collect();
    check(&x.vindex([(0, &sorted)]), &x.compute().unwrap());
}

#[test]
fn coarse_blocks_come_from_whole_groups() {
    let x = array::arange(0, 24, 1, [7]);
    let y = x.coarsen([(0, 4)], |x, axes| x.sum(axes));
    check(&y, &Array1::from_iter((0..6).map(|i| 16 * i + 6_i64)).into_dyn());
    assert_eq!(y.chunks().unwrap().sizes(0).unwrap(), [2, 2, 1, 1]);
}

#[test]
fn closeness_rounding_and_numbers_in_place_of_nan() {
    let (nan, inf) = (f64::NAN, f64::INFINITY);
    let a = array::from_ndarray(arr1(&[1.0, 1.0, inf, inf, nan, 0.0, 1e9]), [3]);
    let b = array::from_ndarray(arr1(&[1.00001, 1.1, inf, 1.0, nan, 1e-9, inf]), [2]);
    let near = arr1(&[true, false, true, false, false, true, false]);
    check(&a.isclose(&b, 1e-5, 1e-8), &near.clone().into_dyn());
    let mut with_nan = near;
    with_nan[4] = true;
    check(&a.isclose_or_nan(&b, 1e-5, 1e-8), &with_nan.into_dyn());
    check(&a.allclose(&a, 0.0, 0.0), &ndarray::arr0(false).into_dyn());
    let integers = array::arange(0, 4, 1, [2]);
    check(&integers.isclose(2, 0.0, 1.0), &arr1(&[false, true, true, true]).into_dyn());
    let complex = array::full([2], num_complex::Complex::new(3.0, 4.0), [1]);
    let other = array::full([2], num_complex::Complex::new(3.0, 4.1), [1]);
    check(&complex.isclose(&other, 0.0, 0.11), &arr1(&[true, true]).into_dyn());
    let x = array::from_ndarray(arr1(&[1.25, -2.675, 0.5, 1.5, 1234.5]), [2]);
    check(&x.round(0), &arr1(&[1.0, -3.0, 0.0, 2.0, 1234.0]).into_dyn());
    check(&x.round(1), &arr1(&[1.2, -2.7, 0.5, 1.5, 1234.5]).into_dyn());
    check(&x.round(-2), &arr1(&[0.0, -0.0, 0.0, 0.0, 1200.0]).into_dyn());
    let i = array::from_ndarray(arr1(&[15, 25, -36]), [2]);
    check(&i.round(-1), &arr1(&[20, 20, -40]).into_dyn());
    check(&i.round(3), &arr1(&[15, 25, -36]).into_dyn());
    let numbers = arr1(&[1.0, 1.0, f64::MAX, f64::MAX, 0.0, 0.0, 1e9]);
    check(&a.nan_to_num(), &numbers.into_dyn());
    let least = array::full([1], f32::NEG_INFINITY, [1]).nan_to_num();
    check(&least, &arr1(&[f32::MIN]).into_dyn());
    assert!(complex.nan_to_num().check().is_err());
}

#[test]
fn samples_of_everything_are_everything() {
    let x = array::from_ndarray(Array1::from_iter((0..23).map(|i| i * 7 % 23)), [5]);
    for error in [0.01, 1e-12, f64::MIN_POSITIVE] {
        let got = x.quantile_approximate([0.0, 0.5, 1.0], error, 0);
        check(&got, &arr1(&[0, 11, 22]).into_dyn());
    }
}

#[test]
fn a_group_without_positions_has_no_first() {
    let nan = f64::NAN;
    let x = array::from_ndarray(arr1(&[nan, 2.0, 5.0, nan, 7.0]), [2]);
    let groups = x.group_by_bins(0, &[0, 1, 1, 5, 9], &[0, 1, 2, 5, 8]);
    check(&groups.nanfirst(), &arr1(&[nan, 2.0, nan, nan]).into_dyn());
    check(&groups.nanlast(), &arr1(&[nan, 5.0, nan, nan]).into_dyn());
}

#[test]
fn any_number_of_decimals_is_one() {
    let x = array::from_ndarray(arr1(&[1.26, -3e300, f64::NAN, f64::INFINITY]), [3]);
    check(&x.round(1), &arr1(&[1.3, -3e300, f64::NAN, f64::INFINITY]).into_dyn());
    for many in [300, 400, i32::MAX] {
        check(&x.round(many), &x.compute().unwrap());
    }
    let y = array::from_ndarray(arr1(&[1.26_f32, -3e30, f32::MAX]), [2]);
    check(&y.round(38), &y.compute().unwrap());
    for few in [-39, -400, i32::MIN] {
        check(&y.slice(s![..2]).round(few), &arr1(&[0_f32, -0.0]).into_dyn());
    }
}

#[test]
fn groups_by_labels_that_are_computed() {
    let shape = [3, 8, 9];
    let value = |t: usize, y: usize, x: usize| (t * 100 + y * 9 + x) as f64;
    let zone = |y: usize, x: usize| ((y / 3) * 10 + x * x / 20) as i32;
    let all = ArrayD::from_shape_fn(IxDyn(&shape), |i| value(i[0], i[1], i[2]));
    let zones = ArrayD::from_shape_fn(IxDyn(&shape[1..]), |i| zone(i[0], i[1]));
    let names = ["time", "y", "x"];
    let x = array::from_ndarray(all.clone(), [2, 3, 4]).with_dim_names(names);
    // In other chunks, and computed; a group twice, one that no position has, and positions in none.
    let labels = array::from_ndarray(zones.clone(), [8, 2]) * 2
        - &array::from_ndarray(zones.clone(), [3, 9]);
    let wanted = [20, 0, 11, 99, 0, 3, 10];
    let groups = x.group_by_array(["y", "x"], &labels, wanted);
    assert_eq!(groups.labels().unwrap(), [0, 3, 10, 11, 20, 99]);
    let members = |t: usize, label: i32| -> Vec<f64> {
        let places = (0..shape[1]).flat_map(|y| (0..shape[2]).map(move |x| (y, x)));
        places.filter(|&(y, x)| zone(y, x) == label).map(|(y, x)| value(t, y, x)).collect()
    };
    let of = |f: fn(&[f64]) -> f64| {
        ArrayD::from_shape_fn(IxDyn(&[3, 6]), |i| f(&members(i[0], [0, 3, 10, 11, 20, 99][i[1]])))
    };
    check(&groups.sum(), &of(|of| of.iter().sum()));
    check(&groups.mean(), &of(|of| of.iter().sum::<f64>() / of.len() as f64));
    let max = |of: &[f64]| {
        if of.is_empty() { f64::NAN } else { of.iter().fold(f64::MIN, |a, &b| a.max(b)) }
    };
    check(&groups.max(), &of(max));
    check(&groups.count(), &of(|of| of.len() as f64).mapv(|n| n as i64));
    assert_eq!(groups.sum().dim_names().unwrap().unwrap(), ["time", "y"]);

    // The other way round, more groups than positions in a block, and a kept axis between.
    let turned = array::from_ndarray(zones.t().into_owned(), [9, 8]);
    let many = x.permute_axes(["y", "time", "x"]).group_by_array([2, 0], &turned, 0..200);
    let expected =
        ArrayD::from_shape_fn(IxDyn(&[21, 3]), |i| members(i[1], i[0] as i32).iter().sum());
    assert_eq!(many.nansum().shape().unwrap(), [200, 3]);
    check(&many.nansum().slice(s![..21, ..]), &expected);

    // As if they were known.
    let known = x.group_by_axis(["y", "x"], zones.iter().copied());
    let same = x.group_by_array(
        ["y", "x"],
        &array::from_ndarray(zones.clone(), [3, 3]),
        zones.iter().copied(),
    );
    check(&same.var(1.0), &known.var(1.0).compute().unwrap());
    let is_wrong = |array: Array<f64>, text: &str| {
        let error = array.compute().unwrap_err().to_string();
        assert!(error.contains(text) && error.contains("array_breadth.rs"), "{error}");
    };
    is_wrong(same.median(), "group_by_axis()");
    is_wrong(same.first(), "group_by_axis()");
    check(
        &(&x - same.expand(&same.mean())),
        &(&x - known.expand(&known.mean())).compute().unwrap(),
    );
    check(&same.nanlast(), &known.nanlast().compute().unwrap());
    check(
        &groups.nanfirst().slice(s![.., ..5]),
        &of(|of| of.first().copied().unwrap_or(0.0)).slice(s![.., ..5]).to_owned().into_dyn(),
    );
    let error = groups.expand(&groups.sum()).compute().unwrap_err();
    assert!(error.to_string().contains("index"), "{error}");
    is_wrong(
        x.group_by_array("x", &array::zeros::<i32>([8], [8]), [1]).sum(),
        "label for each position",
    );
    is_wrong(x.group_by_array("x", &array::zeros::<f64>([9], [9]), [f64::NAN]).sum(), "NaN");
}
