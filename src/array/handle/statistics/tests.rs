//! Values of NumPy 2.4 and SciPy 1.17, of the same arrays.

use ndarray::{ArrayD, arr1, arr2};

use crate::array::{QuantileMethod, histogram2d, histogramdd, ttest_ind, ttest_rel};
use crate::prelude::*;
use crate::{Config, ExecutorKind};

fn a() -> Array<f64> {
    let rows = [
        [3.0, 1.0, 4.0, 1.5],
        [5.0, 9.0, 2.0, 6.0],
        [5.0, 3.0, 5.0, 8.0],
        [9.0, 7.0, 9.0, 3.0],
        [2.0, 3.0, 8.0, 4.5],
        [6.0, 2.0, 6.0, 4.0],
    ];
    array::from_ndarray(arr2(&rows), [4, 3])
}

fn b() -> Array<f64> {
    let rows =
        [[2.0, 7.0, 1.0, 8.0], [2.0, 8.0, 1.0, 8.0], [2.0, 8.0, 4.0, 5.0], [9.0, 0.0, 4.0, 5.0]];
    array::from_ndarray(arr2(&rows), [3, 2])
}

#[track_caller]
fn close(got: &Array<f64>, want: &[f64]) {
    for optimize in [true, false] {
        let config = Config::new().with_executor(ExecutorKind::Serial).with_optimize(optimize);
        let got = config.scope(|| got.compute()).unwrap();
        assert_eq!(got.len(), want.len());
        for (got, want) in got.iter().zip(want) {
            assert!((got - want).abs() < 1e-7 * want.abs().max(1.0), "{got} is not {want}");
        }
    }
}

#[test]
fn shapes_of_distributions() {
    let rough = |x: &Array<f64>, want: &[f64]| close(x, want);
    rough(&a().skew(0, true), &[0.4472136, 0.65000421, -0.05656854, 0.29100213]);
    rough(&a().skew(0, false), &[0.61237244, 0.89005492, -0.07745967, 0.39847107]);
    rough(&a().skew(.., true), &[0.30050787626415587]);
    rough(&a().kurtosis(0, true), &[-0.64, -1.14696735, -1.1544, -0.85872781]);
    rough(&a().kurtosis(0, false), &[0.63333333, -0.84532144, -0.867, -0.00462278]);
    rough(&a().kurtosis(.., true), &[-1.0682292244897955]);
    rough(&a().moment(3, 0), &[5.0, 15.09259259, -0.74074074, 2.625]);
    let rows = [2.8215332, 75.0625, 20.70703125, 72.0, 52.0168457, 12.3125];
    rough(&a().moment(4, 1), &rows);
}

#[test]
fn tests_of_means() {
    let one = a().ttest_1samp(4.0, 0);
    close(&one.statistic, &[1.0, 0.13063249, 1.58113883, 0.53708616]);
    close(&one.pvalue, &[0.36321747, 0.90115918, 0.17468781, 0.61423795]);
    close(&one.df, &[5.0; 4]);
    let equal = ttest_ind(&a(), &b(), 0, true);
    close(&equal.statistic, &[0.67040152, -0.71717264, 2.13261143, -1.48131216]);
    close(&equal.pvalue, &[0.52148074, 0.4936721, 0.065526, 0.17680011]);
    close(&equal.df, &[8.0; 4]);
    let welch = ttest_ind(&a(), &b(), 0, false);
    close(&welch.statistic, &[0.62017367, -0.68409085, 2.32121944, -1.57296752]);
    close(&welch.pvalue, &[0.56251308, 0.52141202, 0.04893026, 0.15563956]);
    close(&welch.df, &[4.96163783, 5.55549128, 7.97335702, 7.73893733]);
    let pairs = ttest_rel(&a().slice(s![..4, ..]), &b(), 0);
    close(&pairs.statistic, &[2.33333333, -0.24913644, 2.61116484, -0.96623494]);
    close(&pairs.pvalue, &[0.10183797, 0.81933847, 0.07960498, 0.40520096]);
    assert!(matches!(ttest_rel(&a(), &b(), 0).pvalue.check(), Err(Error::ShapeMismatch { .. })));
    assert!(matches!(a().ttest_1samp(0.0, 2).statistic.check(), Err(Error::InvalidAxis { .. })));
}

#[test]
fn histograms_of_points() {
    let vector = |x: &[f64]| array::from_ndarray(arr1(x), [3]);
    let x = vector(&[1.0, 2.0, 2.5, 3.0, 7.0, 9.0, f64::NAN, 4.0]);
    let y = array::from_ndarray(arr1(&[0.0, 1.0, 1.0, 5.0, 2.0, 3.0, 1.0, 2.0]), [5]);
    let weights = vector(&[1.0, 2.0, 0.5, 1.0, 1.0, 3.0, 1.0, 1.0]);
    let (x_edges, y_edges) = (&[0.0, 2.5, 5.0, 9.0][..], &[0.0, 1.0, 3.0][..]);
    close(&histogram2d(&x, &y, x_edges, y_edges), &[1.0, 1.0, 0.0, 2.0, 0.0, 2.0]);
    let density = histogramdd(&[&x, &y], &[x_edges, y_edges], Some(&weights), true);
    let want = [
        0.047058823529411764,
        0.047058823529411764,
        0.0,
        0.03529411764705882,
        0.0,
        0.058823529411764705,
    ];
    close(&density, &want);
    let one = vector(&[1.0, 2.0, 2.5, 3.0, 7.0]).histogram_density(&[0.0, 2.0, 3.0, 8.0]);
    close(&one, &[0.1, 0.4, 0.08]);
    let few = histogramdd(&[&x], &[x_edges, y_edges], None, false);
    assert!(matches!(few.check(), Err(Error::InvalidArgument { argument: "edges", .. })));
    let unlike = histogram2d(&x, &y.slice(s![1..]), x_edges, y_edges);
    assert!(matches!(unlike.check(), Err(Error::ShapeMismatch { .. })));
}

#[test]
fn weights_are_returned() {
    let weights = array::from_ndarray(arr1(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), [5]);
    let (average, sum) = a().average_returned(&weights, 0);
    close(&average, &[5.23809524, 3.95238095, 6.42857143, 4.57142857]);
    close(&sum, &[21.0; 4]);
    let mut holes = a().compute().unwrap();
    holes[[0, 0]] = f64::NAN;
    holes[[3, 1]] = f64::NAN;
    let holes = array::from_ndarray(holes, [4, 3]);
    let of_columns = holes.nanpercentile([25.0, 60.0], QuantileMethod::Linear, 0);
    // numpy.nanpercentile
    close(&of_columns, &[5.0, 2.0, 4.25, 3.25, 5.4, 3.0, 6.0, 4.5]);
}

#[test]
fn where_elements_are() {
    let x = array::from_ndarray(arr1(&[3, 1, 2, 3, 1, 7]), [4]);
    let (values, places) = compute(x.unique_index()).unwrap();
    assert_eq!((values, places), (arr1(&[1, 2, 3, 7]).into_dyn(), arr1(&[1, 2, 0, 5]).into_dyn()));
    let table = x.reshape([3, 2]).rechunk([2, 1]);
    let (_, places) = table.unique_index();
    assert_eq!(places.compute().unwrap(), arr1(&[1, 2, 0, 5]).into_dyn());

    // Every way to cut an axis, against a stable sort.
    let data = ArrayD::from_shape_fn(vec![3, 11], |i| ((i[0] * 7 + i[1] * 5) % 6) as f64);
    for size in [1, 2, 5, 11] {
        let x = array::from_ndarray(data.clone(), [2, size]);
        for k in [-11_i64, -4, -1, 1, 3, 20] {
            let got = x.argtopk(k, 1).compute().unwrap();
            let n = (k.unsigned_abs() as usize).min(11);
            assert_eq!(got.shape(), [3, n]);
            for row in 0..3 {
                let mut order: Vec<usize> = (0..11).collect();
                let value = |i: usize| data[[row, i]];
                order.sort_by(|&a, &b| match k < 0 {
                    true => value(a).total_cmp(&value(b)),
                    false => value(b).total_cmp(&value(a)),
                });
                let want: Vec<i64> = order[..n].iter().map(|&i| i as i64).collect();
                let row = got.index_axis(ndarray::Axis(0), row);
                assert!(row.iter().eq(&want), "{k} of {size}: {row}");
            }
        }
    }
}

#[test]
fn positions_may_be_computed() {
    let data = ArrayD::from_shape_fn(vec![7, 5], |i| i[0] * 10 + i[1]).mapv(|x| x as i32);
    let positions = arr1(&[6_i64, -7, 0, 3, 3, -1, 2, 5]);
    let wanted: Vec<usize> = positions.iter().map(|i| i.rem_euclid(7) as usize).collect();
    for (size, of_index) in [(7, 8), (3, 3), (1, 5)] {
        let x = array::from_ndarray(data.clone(), [size, 2]);
        let lazy = array::from_ndarray(positions.clone(), [of_index]);
        let got = x.take_array(&lazy, 0).compute().unwrap();
        assert_eq!(got, data.select(ndarray::Axis(0), &wanted));
        let flat = x.transpose().take_array(&lazy, 1).compute().unwrap();
        assert_eq!(flat, data.t().select(ndarray::Axis(1), &wanted));
    }
    let x = array::from_ndarray(data, [3, 2]);
    let outside = x.take_array(&array::from_ndarray(arr1(&[0_i64, 7]), [1]), 0);
    let error = outside.compute().unwrap_err().to_string();
    assert!(error.contains("take_array") && error.contains('7'), "{error}");
    let table = x.cast::<i64>();
    assert!(matches!(x.take_array(&table, 0).check(), Err(Error::InvalidArgument { .. })));
}

#[test]
fn positions_are_picked_from_more_blocks_than_fit_together() {
    let x = array::arange(0_i64, 200_000, 1, [1000]);
    let index: Vec<i64> = (0..1000).map(|i| (i * 7919) % 200_000).collect();
    let lazy = array::from_ndarray(ndarray::Array1::from(index.clone()), [1000]);
    // 200 results of 8 kB each are more than this.
    let config = Config::new().with_memory_limit(600_000).with_split_every(8);
    let got = config.scope(|| x.take_array(&lazy, 0).compute()).unwrap();
    assert_eq!(got.into_raw_vec_and_offset().0, index);
}

#[test]
fn lanes_become_others() {
    let x = array::arange(0.0, 24.0, 1.0, [5]).reshape([2, 3, 4]).rechunk([1, 2, 2]);
    let spread = x.apply_along_axis(1, 1, |lane| arr1(&[lane.var(0.0)])).squeeze(1);
    let want = x.var(1).compute().unwrap();
    assert_eq!(spread.compute().unwrap(), want);
    let wrong = x.apply_along_axis(1, 3, |lane| lane.to_vec()[1..].to_vec().into());
    assert!(wrong.compute().unwrap_err().to_string().contains("apply_along_axis"));
    let all = x.apply_over_axes([2, 0], |x, axis| x.max(axis));
    assert_eq!(all.compute().unwrap().into_raw_vec_and_offset().0, [15.0, 19.0, 23.0]);
}
