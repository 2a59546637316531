//! Groups against loops over positions.

use ndarray::{ArrayD, IxDyn, arr1};
use proptest::prelude::*;

use crate::array::{AxisGroups, QuantileMethod};
use crate::prelude::*;
use crate::{Config, ExecutorKind};

/// A function of the elements of each group along the last axes, which are merged to one, loop by loop.
fn naive(
    x: &ArrayD<f64>,
    labels: &[i64],
    axis: usize,
    function: impl Fn(&[f64]) -> f64,
) -> ArrayD<f64> {
    let mut distinct = labels.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    let mut shape = x.shape().to_vec();
    shape[axis] = distinct.len();
    ArrayD::from_shape_fn(IxDyn(&shape), |index| {
        let mut at = index.clone();
        let members = (0..labels.len()).filter(|&i| labels[i] == distinct[index[axis]]);
        let elements: Vec<f64> = members
            .map(|i| {
                at[axis] = i;
                x[&at]
            })
            .collect();
        function(&elements)
    })
}

#[track_caller]
fn check(what: &str, lazy: &Array<f64>, want: &ArrayD<f64>) {
    for config in [
        Config::new().with_executor(ExecutorKind::Serial),
        Config::new().with_executor(ExecutorKind::Seeded(3)).with_optimize(false),
    ] {
        let got = config.scope(|| lazy.compute()).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(got.shape(), want.shape(), "{what}");
        let near =
            |a: f64, b: f64| (a - b).abs() < 1e-9 * b.abs().max(1.0) || a.is_nan() && b.is_nan();
        let all = got.iter().zip(want).all(|(&a, &b)| near(a, b));
        assert!(all, "{what} gave\n{got:?}\nexpected\n{want:?}");
    }
}

fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}

fn var(x: &[f64]) -> f64 {
    if x.len() < 2 {
        return f64::NAN;
    }
    let mean = mean(x);
    x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (x.len() as f64 - 1.0)
}

fn valid(x: &[f64]) -> Vec<f64> {
    x.iter().copied().filter(|x| !x.is_nan()).collect()
}

fn median(x: &[f64]) -> f64 {
    let mut x = x.to_vec();
    x.sort_by(f64::total_cmp);
    if x.iter().any(|x| x.is_nan()) || x.is_empty() {
        return f64::NAN;
    }
    (x[(x.len() - 1) / 2] + x[x.len() / 2]) / 2.0
}

fn check_all(x: &ArrayD<f64>, groups: &AxisGroups<f64, i64>, labels: &[i64], axis: usize) {
    let want = |function: fn(&[f64]) -> f64| naive(x, labels, axis, function);
    check("sum", &groups.sum(), &want(|x| x.iter().sum()));
    check("nansum", &groups.nansum(), &want(|x| valid(x).iter().sum()));
    check("mean", &groups.mean(), &want(mean));
    check("nanmean", &groups.nanmean(), &want(|x| mean(&valid(x))));
    check("var", &groups.var(1.0), &want(var));
    check("nanstd", &groups.nanstd(1.0), &want(|x| var(&valid(x)).sqrt()));
    check("nanmin", &groups.nanmin(), &want(|x| valid(x).into_iter().fold(f64::NAN, f64::min)));
    check(
        "max",
        &groups.max(),
        &want(|x| {
            x.iter().fold(f64::NEG_INFINITY, |a, &b| {
                if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
            })
        }),
    );
    check("count", &groups.count().cast(), &want(|x| valid(x).len() as f64));
    check("first", &groups.first(), &want(|x| x[0]));
    check("last", &groups.last(), &want(|x| x[x.len() - 1]));
    check("median", &groups.median(), &want(median));
    check("nanmedian", &groups.nanmedian(), &want(|x| median(&valid(x))));
}

/// Numbers with some NaN.
fn data(shape: &[usize]) -> ArrayD<f64> {
    let mut i = 0_u64;
    ArrayD::from_shape_simple_fn(IxDyn(shape), || {
        i += 1;
        if i % 13 == 5 { f64::NAN } else { ((i * 37) % 101) as f64 - 50.0 }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn groups_are_what_loops_find(
        shape in [1usize..5, 1..4, 1..4],
        axis in 0usize..3,
        raw in prop::collection::vec(0i64..6, 17),
        sizes in [1u64..6, 1..4, 1..4],
        chunk_bytes in prop::sample::select(vec![64_u64, 1 << 20]),
    ) {
        let mut shape = shape.to_vec();
        shape[axis] = raw.len();
        let x = data(&shape);
        Config::new().with_chunk_bytes(chunk_bytes).with_split_every(2).scope(|| {
            let lazy = array::from_ndarray(x.clone(), sizes);
            let groups = lazy.group_by_axis(axis, raw.iter().copied());
            check_all(&x, &groups, &raw, axis);
        });
    }
}

#[test]
fn long_rows_and_many_groups() {
    // Rows that are added up, in more than one panel and more than 128 times.
    let x =
        ArrayD::from_shape_fn(vec![300, 3, 1000], |i| ((i[0] * 31 + i[1] * 7 + i[2]) % 97) as f64);
    let labels: Vec<i64> = (0..300).map(|i| i64::from(i % 5 == 0)).collect();
    for chunks in [[300, 3, 1000], [70, 2, 600]] {
        let lazy = array::from_ndarray(x.clone(), chunks);
        let groups = lazy.group_by_axis(0, labels.clone());
        check("rows", &groups.mean(), &naive(&x, &labels, 0, mean));
        check("rows", &groups.var(1.0), &naive(&x, &labels, 0, var));
    }
    let flat = ArrayD::from_shape_fn(vec![20_000], |i| ((i[0] * 31) % 97) as f64);
    let labels: Vec<i64> = (0..20_000).map(|i| (i * 7919) % 3001).collect();
    let groups = array::from_ndarray(flat.clone(), [3000]).group_by_axis(0, labels.clone());
    check("many", &groups.sum(), &naive(&flat, &labels, 0, |x| x.iter().sum()));
    assert_eq!(groups.labels().unwrap().len(), 3001);
}

#[test]
fn zones_of_two_axes() {
    let x = data(&[4, 6, 5]);
    let zones: Vec<i64> = (0..30).map(|i| (i * 7 % 11) as i64 / 2).collect();
    let flat = x.clone().into_shape_with_order(IxDyn(&[4, 30])).unwrap();
    let lazy = array::from_ndarray(x.clone(), [3, 2, 2]).with_dim_names(["time", "y", "x"]);
    let groups = lazy.group_by_axis(["y", "x"], zones.clone());
    check_all(&flat, &groups, &zones, 1);
    let sums = groups.nansum();
    assert_eq!(sums.dim_names().unwrap().unwrap(), ["time", "y"]);
    let expanded = groups.expand(&sums).compute().unwrap();
    let want = naive(&flat, &zones, 1, |x| valid(x).iter().sum());
    assert_eq!(expanded.shape(), x.shape());
    for (index, got) in expanded.indexed_iter() {
        let zone = zones[index[1] * 5 + index[2]] as usize;
        assert_eq!(*got, want[[index[0], zone]]);
    }
    // Axes that are not beside each other, and in another order.
    let turned = lazy.permute_axes([2, 0, 1]).group_by_axis(["y", "x"], zones.clone());
    check("turned", &turned.nansum().transpose(), &want);
    assert_eq!(
        turned.expand(&turned.nansum()).permute_axes([1, 2, 0]).compute().unwrap(),
        expanded
    );
}

#[test]
fn climatologies_are_subtracted_block_by_block() {
    let x = ArrayD::from_shape_fn(vec![36, 8], |i| (i[0] % 12 * 100 + i[1]) as f64);
    let lazy = array::from_ndarray(x, [5, 3]);
    let months = lazy.group_by_axis(0, (0..36).map(|i| i % 12));
    let anomaly = &lazy - months.expand(&months.mean());
    assert_eq!(anomaly.chunks().unwrap(), lazy.chunks().unwrap());
    assert!(anomaly.compute().unwrap().iter().all(|&x| x == 0.0));
    let quartiles = months.quantile([0.25, 0.75], QuantileMethod::Linear);
    assert_eq!(quartiles.shape().unwrap(), [2, 12, 8]);
    assert_eq!(quartiles.slice(s![1, 3, 2]).compute().unwrap()[[]], 302.0);
}

#[test]
fn bins_may_be_empty_and_labels_wrong() {
    let x: Array<f64> = array::from_ndarray(arr1(&[1.0, 2.0, 3.0, 4.0]), [3]);
    let bins = x.group_by_bins(0, &[0.5, 9.0, 2.5, 0.7], &[0.0, 1.0, 2.0, 3.0]);
    assert_eq!(bins.labels().unwrap(), [0.0, 1.0, 2.0]);
    assert_eq!(bins.sum().compute().unwrap(), arr1(&[5.0, 0.0, 3.0]).into_dyn());
    let min = bins.min().compute().unwrap();
    assert!(min[0] == 1.0 && min[1].is_nan() && min[2] == 3.0);
    assert!(bins.median().compute().unwrap()[1].is_nan());
    assert_eq!(bins.count().compute().unwrap(), arr1(&[2_i64, 0, 1]).into_dyn());
    let whole = x.cast::<i32>().group_by_bins(0, &[0, 0, 0, 0], &[0, 1, 2]);
    assert!(whole.max().compute().is_err());
    assert!(bins.first().check().is_err() && bins.expand(&bins.sum()).check().is_err());

    let is_wrong = |x: &Array<f64>| matches!(x.check(), Err(Error::InvalidArgument { .. }));
    assert!(is_wrong(&x.group_by_axis(0, [1, 2, 3]).sum()));
    assert!(is_wrong(&x.resample(0, 0).sum()));
    assert!(is_wrong(&x.group_by_bins(0, &[1.0; 4], &[2.0, 1.0]).sum()));
    assert!(matches!(
        x.group_by_axis("time", [1; 4]).sum().check(),
        Err(Error::InvalidAxis { .. })
    ));
    let words = x.group_by_axis(0, ["b", "a", "b", "c"]);
    assert_eq!(words.sum().compute().unwrap(), arr1(&[2.0, 4.0, 4.0]).into_dyn());
}

#[test]
fn resampling_reads_a_few_blocks_each() {
    let x: Array<f64> = array::ones([1000, 4], [10, 4]);
    let config = Config::new().with_chunk_bytes(20 * 4 * 8);
    let monthly = config.scope(|| x.resample(0, 25).mean());
    // Forty groups in blocks of as many as fit, and each block of the array is reduced once.
    assert_eq!(monthly.shape().unwrap(), [40, 4]);
    assert!(monthly.grid().unwrap()[0] > 1);
    let first = config.scope(|| monthly.slice(s![0, ..]).compute()).unwrap();
    assert_eq!(first, arr1(&[1.0; 4]).into_dyn());
    assert_eq!(monthly.compute().unwrap(), ArrayD::from_elem(vec![40, 4], 1.0));
}

#[test]
fn kept_axes_of_unknown_lengths_are_refused() {
    let x = array::arange(0_i64, 12, 1, [12]).reshape([4, 3]);
    let mask = array::from_ndarray(arr1(&[true, false, true]), [2]);
    let some = x.compress(&mask, 1);
    let groups = some.group_by_axis(0, vec![0, 1, 0, 1]);
    assert!(matches!(groups.mean().check(), Err(Error::UnknownChunks { .. })));
    assert!(matches!(groups.count().check(), Err(Error::UnknownChunks { .. })));
}
